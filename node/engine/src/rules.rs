//! What is known of each rule beside its text: hits, live sessions, and where rules of earlier epochs
//! are now.
//!
//! A session belongs to the rule and the initiator's zone that it was last judged by. Those of an
//! earlier epoch count for what has their rule's id and their zone's name today, until they are judged
//! again. Each epoch keeps a census of its own, so that what is forgotten with it can be taken out.

use std::collections::VecDeque;

use wire::Time;

use crate::census::Census;
use crate::limits::{EPOCHS_REMEMBERED, RULES_REMEMBERED};
use crate::policy::Policy;
use crate::session::Session;
use crate::{RuleIndex, ZoneId};

/// Hit counts and sessions of the policy in force, and the way from older epochs' rules to its own.
#[derive(Debug)]
pub struct Rules {
    epoch: u32,
    /// All sessions, by what their rules and zones are today.
    all: Census,
    /// Those of the epoch in force.
    own: Census,
    hits: Box<[Hits]>,
    /// Hits of rules that a commit took out, by id, the oldest first. None has no hits.
    retired: VecDeque<(String, Hits)>,
    no_rule: Hits,
    /// The remembered epochs, oldest first.
    earlier: VecDeque<Earlier>,
}

/// Where rules and zones of an earlier epoch are in the policy in force.
#[derive(Debug)]
struct Earlier {
    epoch: u32,
    rules: Box<[Option<RuleIndex>]>,
    zones: Box<[Option<ZoneId>]>,
    /// Its sessions, by its own rules and zones.
    sessions: Census,
}

/// How often and when a rule last decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// First packets that it decided.
    pub count: u64,
    /// The last of them.
    pub last: Option<Time>,
}

/// The epoch of a session that no policy has judged here: none that a policy ever has.
pub const NO_EPOCH: u32 = u32::MAX;

/// A session's epoch as it is stored: the low 32 bits of the policy's.
pub(crate) const fn short_epoch(policy: &Policy) -> u32 {
    policy.epoch() as u32
}

impl Rules {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            epoch: short_epoch(policy),
            all: Census::of(policy),
            own: Census::of(policy),
            hits: vec![Hits::default(); policy.rules().len()].into(),
            retired: VecDeque::new(),
            no_rule: Hits::default(),
            earlier: VecDeque::with_capacity(EPOCHS_REMEMBERED),
        }
    }

    /// Carries counts over to `new`: rule by rule of the same id, zone by zone of the same name.
    pub(crate) fn switch(&mut self, old: &Policy, new: &Policy) {
        let map = new.map_from(old);
        self.carry_hits(old, new, &map);
        let zones = zones(old, new);
        let mut all = Census::of(new);
        all.take(&self.all, &map, &zones);
        self.all = all;
        let sessions = core::mem::replace(&mut self.own, Census::of(new));
        self.epoch = short_epoch(new);
        for Earlier { rules: earlier, zones: earlier_zones, .. } in &mut self.earlier {
            for rule in earlier.iter_mut() {
                *rule = rule.and_then(|rule| map.get(rule.index()).copied().flatten());
            }
            for zone in earlier_zones.iter_mut() {
                *zone = zone.and_then(|zone| zones.get(zone.index()).copied().flatten());
            }
        }
        if self.earlier.len() == EPOCHS_REMEMBERED {
            let forgotten = self.earlier.pop_front();
            forgotten.iter().for_each(|it| self.all.give(&it.sessions, &it.rules, &it.zones));
        }
        let (epoch, rules) = (short_epoch(old), map.into());
        self.earlier.push_back(Earlier { epoch, rules, zones, sessions });
    }

    /// Counts stay with their rule's id. Those of a rule that goes wait for a rollback.
    fn carry_hits(&mut self, old: &Policy, new: &Policy, map: &[Option<RuleIndex>]) {
        let mut hits = vec![Hits::default(); new.rules().len()];
        self.retired.retain(|(id, known)| match new.rule_by_id(id) {
            Some(rule) => {
                hits[rule.index()] = *known;
                false
            }
            None => true,
        });
        for ((rule, known), to) in old.rules().iter().zip(&self.hits).zip(map) {
            match to {
                Some(to) => hits[to.index()] = *known,
                None if *known == Hits::default() => {}
                None => self.retired.push_back((rule.id.clone(), *known)),
            }
        }
        let beyond = self.retired.len().saturating_sub(RULES_REMEMBERED);
        self.retired.drain(..beyond);
        self.hits = hits.into();
    }

    /// The epoch in force, low 32 bits.
    pub(crate) const fn epoch(&self) -> u32 {
        self.epoch
    }

    /// Where a rule of an earlier epoch is now; `None` if it is gone, or the epoch forgotten.
    pub(crate) fn now(&self, epoch: u32, rule: RuleIndex) -> Option<RuleIndex> {
        self.earlier(epoch)?.rules.get(rule.index()).copied().flatten()
    }

    /// The zone that has the name of this one of an earlier epoch; `None` if there is none, or the
    /// epoch forgotten.
    pub(crate) fn zone_now(&self, epoch: u32, zone: ZoneId) -> Option<ZoneId> {
        self.earlier(epoch)?.zones.get(zone.index()).copied().flatten()
    }

    fn earlier(&self, epoch: u32) -> Option<&Earlier> {
        self.earlier.iter().rev().find(|earlier| earlier.epoch == epoch)
    }

    /// The rule and the initiator's zone that a session counts for.
    pub(crate) fn place(&self, session: &Session) -> (Option<RuleIndex>, Option<ZoneId>) {
        let Session { epoch, rule, zones: [zone, _], .. } = *session;
        if epoch == self.epoch {
            return (Some(rule), Some(zone));
        }
        (self.now(epoch, rule), self.zone_now(epoch, zone))
    }

    /// A session has begun, or begun to belong to its rule and zone.
    pub(crate) fn begun(&mut self, session: &Session) {
        self.count(session, 1);
    }

    /// A session has ended, or ended to belong to its rule and zone.
    pub(crate) fn ended(&mut self, session: &Session) {
        self.count(session, -1);
    }

    fn count(&mut self, session: &Session, change: i32) {
        let Session { epoch, rule, zones: [zone, _], .. } = *session;
        let (rule_now, zone_now) = self.place(session);
        self.all.count(rule_now, zone_now, change);
        if epoch == self.epoch {
            self.own.count(Some(rule), Some(zone), change);
        } else if let Some(earlier) = self.earlier.iter_mut().rev().find(|it| it.epoch == epoch) {
            earlier.sessions.count(Some(rule), Some(zone), change);
        }
    }

    /// Counts anew, since the sessions are not those that were counted.
    pub(crate) fn recount<'a>(&mut self, sessions: impl Iterator<Item = &'a Session>) {
        self.all.clear();
        self.own.clear();
        self.earlier.iter_mut().for_each(|earlier| earlier.sessions.clear());
        sessions.for_each(|session| self.begun(session));
    }

    /// Sessions counted.
    pub(crate) const fn sessions(&self) -> u32 {
        self.all.total()
    }

    /// Live sessions of a rule of the policy in force.
    #[must_use]
    pub fn sessions_of_rule(&self, rule: RuleIndex) -> u32 {
        self.all.of_rule(rule)
    }

    /// Live sessions whose initiators are in a zone of the policy in force.
    #[must_use]
    pub fn sessions_of_zone(&self, zone: ZoneId) -> u32 {
        self.all.of_zone(zone)
    }

    /// Counts a decision by `rule`, or by none.
    pub(crate) fn hit(&mut self, rule: Option<RuleIndex>, now: Time) {
        let hits = match rule {
            Some(rule) => self.hits.get_mut(rule.index()),
            None => Some(&mut self.no_rule),
        };
        if let Some(hits) = hits {
            hits.count += 1;
            hits.last = Some(now);
        }
    }

    /// Hits of each rule, by `RuleIndex`.
    #[must_use]
    pub fn hits(&self) -> &[Hits] {
        &self.hits
    }

    /// Packets that no rule matched.
    #[must_use]
    pub const fn no_rule(&self) -> Hits {
        self.no_rule
    }
}

/// For each zone of `old`, the zone of `new` with its name.
fn zones(old: &Policy, new: &Policy) -> Box<[Option<ZoneId>]> {
    let find = |name: &String| new.zones().iter().position(|other| other == name);
    old.zones().iter().map(|name| find(name).map(|at| ZoneId(at as u16))).collect()
}

#[cfg(test)]
mod tests {
    use super::Rules;
    use crate::limits::RULES_REMEMBERED;
    use crate::policy::Policy;
    use crate::{RuleIndex, ZoneId};
    use wire::Time;

    fn policy(epoch: u64, ids: &[&str]) -> Policy {
        let mut text = String::from("[zones]\na = [\"p\"]\n");
        for id in ids {
            text += &format!(
                "[[rule]]\nid = \"{id}\"\nfrom = \"a\"\nto = \"a\"\naction = \"permit\"\n"
            );
        }
        Policy::from_text(&text, epoch, &["p"]).expect("a valid policy")
    }

    #[test]
    fn hits_follow_a_rule_that_moves() {
        let (one, two) = (policy(1, &["a", "b"]), policy(2, &["new", "b", "a"]));
        let mut rules = Rules::new(&one);
        rules.hit(Some(RuleIndex(1)), Time(5));
        rules.switch(&one, &two);
        assert_eq!(rules.hits()[1].count, 1);
        assert_eq!(rules.hits()[0].count, 0);
        assert_eq!(rules.now(1, RuleIndex(0)), Some(RuleIndex(2)));
    }

    #[test]
    fn hits_wait_for_a_rule_that_a_rollback_brings_back() {
        let policies =
            [(1, vec!["a", "b"]), (2, vec!["b"]), (3, vec!["c"]), (4, vec!["b", "c", "a"])]
                .map(|(epoch, ids)| policy(epoch, &ids));
        let mut rules = Rules::new(&policies[0]);
        (0..3).for_each(|_| rules.hit(Some(RuleIndex(0)), Time(5)));
        rules.switch(&policies[0], &policies[1]);
        rules.hit(Some(RuleIndex(0)), Time(6));
        rules.switch(&policies[1], &policies[2]);
        rules.hit(None, Time(7));
        rules.switch(&policies[2], &policies[3]);
        let counts: Vec<u64> = rules.hits().iter().map(|hits| hits.count).collect();
        assert_eq!((counts, rules.no_rule().count), (vec![1, 0, 3], 1));
        assert_eq!(rules.hits()[2].last, Some(Time(5)));
        assert!(rules.retired.is_empty(), "what is back is not remembered a second time");
    }

    #[test]
    fn of_rules_that_are_gone_the_last_ones_are_remembered() {
        let names: Vec<String> = (0..RULES_REMEMBERED + 2).map(|at| format!("r{at}")).collect();
        let ids: Vec<&str> = names.iter().map(String::as_str).collect();
        let policies = [policy(1, &ids), policy(2, &["x"]), policy(3, &ids)];
        let mut rules = Rules::new(&policies[0]);
        (0..ids.len()).for_each(|at| rules.hit(Some(RuleIndex(at as u32)), Time(5)));
        rules.switch(&policies[0], &policies[1]);
        assert_eq!(rules.retired.len(), RULES_REMEMBERED);
        rules.switch(&policies[1], &policies[2]);
        let lost: Vec<usize> = (0..ids.len()).filter(|at| rules.hits()[*at].count == 0).collect();
        assert_eq!(lost, [0, 1], "a policy may have more rules than are remembered");
    }

    #[test]
    fn a_rule_is_found_across_several_epochs_until_it_vanishes() {
        let policies = [policy(1, &["a", "b"]), policy(2, &["b", "a"]), policy(3, &["a"])];
        let mut rules = Rules::new(&policies[0]);
        rules.switch(&policies[0], &policies[1]);
        rules.switch(&policies[1], &policies[2]);
        assert_eq!(rules.now(1, RuleIndex(0)), Some(RuleIndex(0)));
        assert_eq!(rules.now(1, RuleIndex(1)), None);
        assert_eq!(rules.now(7, RuleIndex(0)), None);
    }

    #[test]
    fn a_zone_is_found_by_its_name() {
        let zones = |epoch, names: &[&str]| {
            let mut text = String::from("[zones]\n");
            for name in names {
                text += &format!("{name} = [\"p-{name}\"]\n");
            }
            Policy::from_text(&text, epoch, &["p-a", "p-b", "p-c"]).expect("a valid policy")
        };
        let policies = [zones(1, &["a", "b"]), zones(2, &["b", "c"]), zones(3, &["c", "b"])];
        let mut rules = Rules::new(&policies[0]);
        rules.switch(&policies[0], &policies[1]);
        rules.switch(&policies[1], &policies[2]);
        let name = |zone: ZoneId| policies[2].zone_name(zone);
        let now = |epoch, zone: &str| {
            let old = policies[epoch as usize - 1].zones();
            let at = old.iter().position(|name| name == zone).expect("a zone of that epoch");
            rules.zone_now(epoch, ZoneId(at as u16)).map(name)
        };
        assert_eq!([now(1, "a"), now(1, "b")], [None, Some("b")]);
        assert_eq!([now(2, "b"), now(2, "c")], [Some("b"), Some("c")]);
        assert_eq!(rules.zone_now(9, ZoneId(0)), None);
    }
}
