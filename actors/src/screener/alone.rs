//! What a detector says, carried out by a single engine: where there is one worker and no XDP program.

use cluster_core::screen::{Action, Output};
use engine::Engine;
use wire::Time;

use super::meter;
use crate::limits::CURB_LIFE;

/// Carries out what the detector of an engine says.
pub fn obey(engine: &mut Engine, said: &Output, now: Time) {
    match said {
        Output::Started(_) | Output::GoingOn(_) | Output::Ended(_) => {}
        Output::Act(Action::Block { source, until }) => engine.block(source, *until),
        Output::Undo(Action::Block { source, until: _ }) => engine.unblock(source),
        Output::Act(Action::Drop(limit)) => {
            if let Some((meter, place)) = meter(limit) {
                let most = u32::try_from(limit.threshold).unwrap_or(u32::MAX);
                engine.curb(meter, &place, most, now + CURB_LIFE);
            }
        }
        Output::Undo(Action::Drop(limit)) => {
            if let Some((meter, place)) = meter(limit) {
                engine.uncurb(meter, &place);
            }
        }
    }
}
