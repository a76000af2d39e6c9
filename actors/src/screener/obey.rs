//! What a detector says, carried out by one engine: a worker's, or the only one there is.

use cluster_core::screen::{Action, Kind, Output, RateLimit, Subject};
use engine::Engine;
use engine::screen::Meter;
use sketch::Place;
use wire::Time;

use crate::limits::{CURB_LIFE, GUARD_LIFE, GUARD_MSS};

/// Carries out what the detector says; may be done twice.
pub fn obey(engine: &mut Engine, said: &Output, now: Time) {
    match said {
        Output::Started(_) | Output::GoingOn(_) | Output::Ended(_) => {}
        Output::Act(Action::Block { source, until }) => engine.block(source, *until),
        Output::Undo(Action::Block { source, until: _ }) => engine.unblock(source),
        Output::Act(Action::Proxy { destination }) => {
            engine.guard(destination, mss(destination), now + GUARD_LIFE);
        }
        Output::Undo(Action::Proxy { destination }) => {
            engine.guard(destination, mss(destination), now);
        }
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

/// What the workers count for a limit, and by what. `None`: sessions at once, of which each worker has its
/// part of the limit always.
const fn meter(limit: &RateLimit) -> Option<(Meter, Place)> {
    match (limit.kind, limit.subject) {
        (Kind::SynFlood, Subject::Source(place)) => Some((Meter::SynsOfSource, place)),
        (Kind::SynFlood, Subject::Destination(place)) => Some((Meter::SynsToDestination, place)),
        (Kind::SynFlood, Subject::Zone(zone)) => Some((Meter::SynsOfZone, Place::zone(zone))),
        (Kind::IcmpFlood, Subject::Destination(place)) => Some((Meter::Icmp, place)),
        (Kind::UdpFlood, Subject::Destination(place)) => Some((Meter::Udp, place)),
        (Kind::FragmentFlood, Subject::Destination(place)) => Some((Meter::Fragments, place)),
        (Kind::ConnectionRate, Subject::Source(place)) => Some((Meter::Connections, place)),
        (Kind::SessionLimit, _) => None,
        // No detector finds these about such a subject, and those that are no rates limit nothing.
        (
            Kind::SynFlood
            | Kind::IcmpFlood
            | Kind::UdpFlood
            | Kind::FragmentFlood
            | Kind::ConnectionRate
            | Kind::PortScan(_)
            | Kind::AddressSweep(_)
            | Kind::Odd(_)
            | Kind::Unusual(_),
            _,
        ) => None,
    }
}

/// The MSS that is announced in a destination's place.
pub(super) fn mss(destination: &Place) -> u16 {
    match destination.address().is_ipv4() {
        true => GUARD_MSS[0],
        false => GUARD_MSS[1],
    }
}
