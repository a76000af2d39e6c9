//! What the log says of attacks: one line for each and second, in the structured form of session events.

use core::time::Duration;

use cluster_core::screen::{Attack, Subject};
use sketch::Place;

/// An attack that began, goes on or is over. Of several nodes that see it one writes it down.
pub(super) fn attack(event: &str, it: &Attack, zones: &[String]) {
    if !it.teller {
        return;
    }
    let Named { zone, source, destination } = Named::of(&it.subject, zones);
    let expected = it.deviation.map(|deviation| deviation.expected);
    let sure = it.deviation.map(|deviation| deviation.sure);
    tracing::warn!(
        target: "screen",
        event,
        attack = it.number,
        kind = %it.kind,
        zone,
        source,
        destination,
        seen = it.seen,
        most = it.most,
        threshold = it.threshold,
        expected,
        sure,
        peers = it.peers,
        anomalies = it.totals.anomalies,
        sessions = it.totals.sessions,
        packets = it.totals.packets,
        bytes = it.totals.bytes,
        action = it.reaction.name(),
        folded = it.folded,
        milliseconds = it.lasted.as_millis() as u64,
    );
}

/// A source that is blocked for a time, or let through again.
pub(super) fn block(source: &Place, lasts: Option<Duration>, zones: &[String]) {
    let zone = name(source.zone, zones);
    let event = if lasts.is_some() { "block" } else { "unblock" };
    let seconds = lasts.map(|lasts| lasts.as_secs());
    tracing::warn!(target: "screen", event, zone, %source, seconds);
}

/// A subject by its names; `-` where there is none.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) zone: String,
    pub(super) source: String,
    pub(super) destination: String,
}

impl Named {
    pub(super) fn of(subject: &Subject, zones: &[String]) -> Self {
        let named =
            |place: Option<Place>| place.map_or_else(|| "-".to_owned(), |it| it.to_string());
        let (source, destination) = (named(subject.source()), named(subject.destination()));
        Self { zone: name(subject.zone(), zones), source, destination }
    }
}

/// The name of a zone by its number.
pub(super) fn name(zone: u8, zones: &[String]) -> String {
    zones.get(usize::from(zone)).map_or_else(|| "-".to_owned(), Clone::clone)
}

#[cfg(test)]
mod tests {
    use sketch::Pair;

    use super::*;

    #[test]
    fn a_subject_has_the_names_of_the_policy() {
        let zones = ["in".to_owned(), "out".to_owned()];
        let place = |address: &str| Place::of(1, address.parse().expect("an address"));
        let named = |subject| {
            let Named { zone, source, destination } = Named::of(&subject, &zones);
            [zone, source, destination].join(" ")
        };
        let (source, destination) = (place("192.0.2.1"), place("2001:db8::1"));
        assert_eq!(named(Subject::Source(source)), "out 192.0.2.1 -");
        assert_eq!(named(Subject::Destination(destination)), "out - 2001:db8::1");
        let pair = Pair { source, destination };
        assert_eq!(named(Subject::Pair(pair)), "out 192.0.2.1 2001:db8::1");
        assert_eq!(named(Subject::Zone(0)), "in - -");
        assert_eq!(named(Subject::Zone(9)), "- - -");
    }
}
