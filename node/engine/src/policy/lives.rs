//! Idle lives that rules and services grant in the place of those of `[timeouts]`.
//!
//! A session remembers its own in one byte: the place in the policy's list of different lives,
//! counted from 1. So each packet finds it without its rule, and a session without one pays nothing.

use std::time::Duration;

use super::Question;
use super::criteria::Service;
use crate::ids::RuleIndex;
use crate::limits::OWN_LIVES_MAX;

/// A session's own idle life in its epoch's policy; 0 is none.
pub type LifeIndex = u8;

/// The own lives of a policy.
#[derive(Debug, Default)]
pub(super) struct Lives {
    different: Vec<Duration>,
    /// By rule; empty if no rule has any.
    rules: Vec<RuleLives>,
}

#[derive(Debug, Default)]
struct RuleLives {
    own: LifeIndex,
    /// Services with a life, in the order of the rule.
    services: Box<[(Service, LifeIndex)]>,
}

impl Lives {
    /// The lives of `rules`; `None` if there are more different ones than a session can name.
    pub(super) fn of(rules: &[config::Rule]) -> Option<Self> {
        let mut lives = Self::default();
        let is_own = |service: &config::Service| service.timeout.is_some();
        let any = |rule: &config::Rule| {
            rule.terms.timeout.is_some() || rule.services.iter().flatten().any(is_own)
        };
        if rules.iter().any(any) {
            let rules: Option<Vec<_>> = rules.iter().map(|rule| lives.add(rule)).collect();
            lives.rules = rules?;
        }
        Some(lives)
    }

    fn add(&mut self, rule: &config::Rule) -> Option<RuleLives> {
        let own = rule.terms.timeout.map_or(Some(0), |life| self.number(life))?;
        let timed = rule.services.iter().flatten();
        let timed = timed.filter_map(|service| Some((Service::from(service), service.timeout?)));
        let services = timed.map(|(service, life)| Some((service, self.number(life)?)));
        Some(RuleLives { own, services: services.collect::<Option<_>>()? })
    }

    fn number(&mut self, life: Duration) -> Option<LifeIndex> {
        let known = self.different.iter().position(|other| *other == life);
        let place = known.unwrap_or(self.different.len());
        if known.is_none() {
            self.different.push(life);
        }
        (place < OWN_LIVES_MAX).then(|| place as LifeIndex + 1)
    }

    pub(super) fn different(&self) -> &[Duration] {
        &self.different
    }

    pub(super) fn find(&self, rule: RuleIndex, question: &Question) -> LifeIndex {
        let Some(rule) = self.rules.get(rule.index()) else { return 0 };
        if rule.own != 0 {
            return rule.own;
        }
        let found = rule.services.iter().find(|(service, _)| service.matches(question));
        found.map_or(0, |(_, life)| *life)
    }
}

#[cfg(test)]
mod tests {
    use super::Lives;
    use crate::limits::OWN_LIVES_MAX;

    fn rules(count: usize) -> Vec<config::Rule> {
        let rule = |at: usize| {
            let timeout = at / 2 + 1; // two rules share each
            format!(
                "[[rule]]\nid = \"r{at}\"\nfrom = \"a\"\nservice = \"tcp/{at}\"\n\
                 action = \"permit\"\ntimeout = \"{timeout}s\"\n"
            )
        };
        let text: String = (0..2 * count).map(rule).collect();
        let mut no_lists = |_: &str| Err("no lists".to_owned());
        let text = format!("[zones]\na = [\"p\"]\n{text}");
        config::parse_policy("test", &text, &mut no_lists).expect("a valid policy").value.rules
    }

    #[test]
    fn equal_lives_share_a_number_and_there_are_numbers_for_255() {
        let mut full = rules(OWN_LIVES_MAX);
        let lives = Lives::of(&full).expect("as many as there are numbers");
        assert_eq!(lives.different().len(), OWN_LIVES_MAX);
        let numbers: Vec<_> = lives.rules.iter().map(|rule| rule.own).collect();
        assert_eq!((&numbers[..4], numbers.last()), (&[1, 1, 2, 2][..], Some(&255)));
        full[0].terms.timeout = Some(std::time::Duration::from_secs(10_000));
        assert!(Lives::of(&full).is_none());
    }

    #[test]
    fn a_policy_without_lives_takes_no_memory_for_them() {
        let mut plain = rules(3);
        plain.iter_mut().for_each(|rule| rule.terms.timeout = None);
        let lives = Lives::of(&plain).expect("none");
        assert!(lives.rules.is_empty() && lives.different().is_empty());
    }
}
