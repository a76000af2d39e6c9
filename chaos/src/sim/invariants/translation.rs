//! A translated flow has one public endpoint as long as it lives, and nobody else has that one: after a
//! failover, a switchover, a split and a merge.

use std::collections::BTreeMap;
use std::net::IpAddr;

use wire::Time;

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
    /// Nobody who forwards now need know of it.
    exempt: bool,
    over: bool,
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
        let before = seen.public.replace(public);
        let split = apart_until.is_some_and(|until| until >= seen.since);
        let changed = before.filter(|before| *before != public);
        if before != Some(public) {
            seen.since = now;
        }
        let excused = seen.exempt || split;
        seen.exempt &= changed.is_none();
        if let Some(before) = changed.filter(|_| !excused) {
            return Some(format!("flow {flow} was {before:?} and is {public:?}"));
        }
        let other = self.owners.insert(public, flow).filter(|other| *other != flow);
        let lives = |other: &usize| {
            let other = &self.flows[*other];
            !other.over && !other.exempt && other.public == Some(public)
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
