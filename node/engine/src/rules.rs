//! What is known of each rule beside its text: hits, and where rules of earlier epochs are now.

use std::collections::VecDeque;

use wire::Time;

use crate::RuleIndex;
use crate::limits::EPOCHS_REMEMBERED;
use crate::policy::Policy;

/// Hit counts of the policy in force, and the way from older epochs' rules to its own.
#[derive(Debug)]
pub struct Rules {
    hits: Box<[Hits]>,
    no_rule: Hits,
    /// For each remembered epoch, oldest first: where its rules are in the policy in force.
    earlier: VecDeque<(u32, Box<[Option<RuleIndex>]>)>,
}

/// How often and when a rule last decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Hits {
    /// First packets that it decided.
    pub count: u64,
    /// The last of them.
    pub last: Option<Time>,
}

/// A session's epoch as it is stored: the low 32 bits of the policy's.
pub(crate) const fn short_epoch(policy: &Policy) -> u32 {
    policy.epoch() as u32
}

impl Rules {
    pub(crate) fn new(policy: &Policy) -> Self {
        Self {
            hits: vec![Hits::default(); policy.rules().len()].into(),
            no_rule: Hits::default(),
            earlier: VecDeque::with_capacity(EPOCHS_REMEMBERED),
        }
    }

    /// Carries counts over to `new`, rule by rule of the same id.
    pub(crate) fn switch(&mut self, old: &Policy, new: &Policy) {
        let map = new.map_from(old);
        let mut hits = vec![Hits::default(); new.rules().len()];
        for (old_hits, to) in self.hits.iter().zip(&map) {
            if let Some(slot) = to.and_then(|to| hits.get_mut(to.index())) {
                *slot = *old_hits;
            }
        }
        self.hits = hits.into();
        for (_, rules) in &mut self.earlier {
            for rule in rules.iter_mut() {
                *rule = rule.and_then(|rule| map.get(rule.index()).copied().flatten());
            }
        }
        if self.earlier.len() == EPOCHS_REMEMBERED {
            self.earlier.pop_front();
        }
        self.earlier.push_back((short_epoch(old), map.into()));
    }

    /// Where a rule of an earlier epoch is now; `None` if it is gone, or the epoch forgotten.
    pub(crate) fn now(&self, epoch: u32, rule: RuleIndex) -> Option<RuleIndex> {
        let (_, rules) = self.earlier.iter().rev().find(|(earlier, _)| *earlier == epoch)?;
        rules.get(rule.index()).copied().flatten()
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

#[cfg(test)]
mod tests {
    use super::Rules;
    use crate::RuleIndex;
    use crate::policy::Policy;
    use wire::Time;

    fn policy(epoch: u64, ids: &[&str]) -> Policy {
        let mut text = String::from("[zones]\na = [\"p\"]\n");
        for id in ids {
            text += &format!(
                "[[rule]]\nid = \"{id}\"\nfrom = \"a\"\nto = \"a\"\naction = \"permit\"\n"
            );
        }
        let mut no_lists = |_: &str| Err("no lists".to_owned());
        let parsed = config::parse_policy("test", &text, &mut no_lists).expect("a valid policy");
        Policy::compile(&parsed.value, epoch, &["p"]).expect("a policy that compiles")
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
    fn a_rule_is_found_across_several_epochs_until_it_vanishes() {
        let policies = [policy(1, &["a", "b"]), policy(2, &["b", "a"]), policy(3, &["a"])];
        let mut rules = Rules::new(&policies[0]);
        rules.switch(&policies[0], &policies[1]);
        rules.switch(&policies[1], &policies[2]);
        assert_eq!(rules.now(1, RuleIndex(0)), Some(RuleIndex(0)));
        assert_eq!(rules.now(1, RuleIndex(1)), None);
        assert_eq!(rules.now(7, RuleIndex(0)), None);
    }
}
