//! A translated flow has one public endpoint as long as it lives, and nobody else has that one: after a
//! failover, a switchover, a split and a merge.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use wire::Time;

/// What silence ends a UDP session at the earliest, and frees its port; a connection of TCP lives longer
/// than a run (`config::Timeouts`).
const UDP_SILENCE: Duration = Duration::from_secs(30);

pub(crate) const NAME: &str = "mappings-stay";

/// A public endpoint of TCP (6) or UDP (17).
pub(crate) type Public = (u8, IpAddr, u16);

/// Who was seen as what.
#[derive(Debug, Default)]
pub(crate) struct Translations {
    flows: Vec<Seen>,
    owners: BTreeMap<Public, usize>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    public: Option<Public>,
    /// When it was first seen as that.
    since: Time,
    /// When it was last seen.
    last: Time,
    /// Nobody who forwards now need know of it.
    exempt: bool,
    over: bool,
}

impl Seen {
    fn may_have_expired(&self, now: Time) -> bool {
        let udp = self.public.is_some_and(|(protocol, _, _)| protocol == 17);
        udp && now >= self.last + UDP_SILENCE
    }
}

impl Translations {
    pub(crate) fn new(flows: usize) -> Self {
        Self { flows: vec![Seen::default(); flows], owners: BTreeMap::new() }
    }

    /// A packet of a flow came out as `public`. `apart_until`: when the nodes were apart last.
    pub(crate) fn seen(
        &mut self,
        flow: usize,
        public: Public,
        now: Time,
        apart_until: Option<Time>,
    ) -> Option<String> {
        let seen = &mut self.flows[flow];
        let expired = seen.may_have_expired(now);
        seen.last = now;
        let before = seen.public.replace(public);
        let split = apart_until.is_some_and(|until| until >= seen.since);
        let changed = before.filter(|before| *before != public);
        if before != Some(public) {
            seen.since = now;
        }
        let excused = seen.exempt || split || expired;
        seen.exempt &= changed.is_none();
        if let Some(before) = changed.filter(|_| !excused) {
            return Some(format!("flow {flow} was {before:?} and is {public:?}"));
        }
        let other = self.owners.insert(public, flow).filter(|other| *other != flow);
        let lives = |other: &usize| {
            let other = &self.flows[*other];
            let gone = other.over || other.exempt || other.may_have_expired(now);
            !gone && other.public == Some(public)
        };
        other.filter(lives).map(|other| format!("flows {other} and {flow} are both {public:?}"))
    }

    /// The flow has come to its end.
    pub(crate) fn over(&mut self, flow: usize) {
        self.flows[flow].over = true;
    }

    /// A second failure came before the standby had all that it needs: what is mapped now may be mapped
    /// anew, once.
    pub(crate) fn excuse_all(&mut self) {
        self.flows.iter_mut().for_each(|seen| seen.exempt = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn public(port: u16) -> Public {
        (6, IpAddr::from([10, 2, 0, 200]), port)
    }

    #[test]
    fn a_change_and_a_port_given_twice_are_found() {
        let now = Time::from_secs(1);
        let mut seen = Translations::new(3);
        assert_eq!(seen.seen(0, public(2_000), now, None), None);
        assert_eq!(seen.seen(0, public(2_000), now, None), None);
        assert!(seen.seen(1, public(2_000), now, None).is_some());
        seen.over(1);
        assert_eq!(seen.seen(2, public(2_000), now, None), None, "its flow is over");
        assert!(seen.seen(2, public(2_001), now, None).is_some());
    }

    #[test]
    fn a_port_is_free_after_as_much_silence_as_ends_a_session() {
        for (protocol, free) in [(17, true), (6, false)] {
            let public = (protocol, IpAddr::from([10, 2, 0, 200]), 2_000);
            let mut seen = Translations::new(3);
            assert_eq!(seen.seen(0, public, Time::from_secs(1), None), None);
            assert!(seen.seen(1, public, Time::from_secs(30), None).is_some());
            assert_eq!(seen.seen(2, public, Time::from_secs(60), None).is_none(), free);
        }
    }

    #[test]
    fn what_was_mapped_before_a_split_or_a_second_failure_may_be_mapped_anew_once() {
        let (now, later) = (Time::from_secs(1), Time::from_secs(9));
        let mut seen = Translations::new(1);
        assert_eq!(seen.seen(0, public(2_000), now, None), None);
        assert_eq!(seen.seen(0, public(2_001), later, Some(Time::from_secs(5))), None);
        assert!(seen.seen(0, public(2_002), later, Some(Time::from_secs(5))).is_some());
        seen.excuse_all();
        assert_eq!(seen.seen(0, public(2_003), later, None), None);
        assert!(seen.seen(0, public(2_004), later, None).is_some());
    }
}
