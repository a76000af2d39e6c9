//! The active daemon is stopped, and goes on after the other one has taken over.

use std::time::Duration;

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::run::Run;
use crate::field::scenario::{Bar, Of, Scenario, nothing_special};

const BEFORE: Duration = Duration::from_millis(1_000);
/// Longer than any lease.
const STOPPED: Duration = Duration::from_secs(2);
const AFTER: Duration = Duration::from_millis(1_500);

pub(crate) const PAUSE: Scenario = Scenario {
    name: "pause",
    about: "SIGSTOP of the active daemon for 2 s, then SIGCONT",
    bars: &[
        Bar::none("overlap_ms"),
        Bar::none("overlap_frames"),
        Bar::most("gap_ms", Of::Median, 100.0),
        Bar::most("gap_ms", Of::Max, 200.0),
        Bar::none("tcp_broken"),
        Bar::none("young_dead"),
        Bar::most("takeovers", Of::Max, 1.0),
    ],
    peer: true,
    wants: nothing_special,
    run,
};

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    let active = run.settle()?;
    let plan = run.half_load()?;
    run.while_flowing(&plan, |run, _| {
        run.pause(BEFORE)?;
        run.strike(Fault::Pause(active))?;
        let waited = run.pause(run.outlast(STOPPED));
        // Also when the user wants an end: a stopped process could not be asked for anything.
        run.strike(Fault::Continue(active))?;
        waited?;
        run.pause(run.outlast(AFTER))
    })
}
