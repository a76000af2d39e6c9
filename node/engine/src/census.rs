//! How many sessions each rule and each zone has: what a `sessions-max` is compared with.

#[cfg(test)]
mod tests;

use crate::policy::Policy;
use crate::{RuleIndex, ZoneId};

/// Sessions by the rules and by the initiators' zones of one policy.
#[derive(Debug)]
pub(crate) struct Census {
    rules: Box<[u32]>,
    zones: Box<[u32]>,
    /// All that were counted, those of no known rule or zone too.
    total: u32,
}

impl Census {
    /// Nobody yet, by the rules and zones of `policy`.
    pub(crate) fn of(policy: &Policy) -> Self {
        let (rules, zones) = (policy.rules().len(), policy.zones().len());
        Self { rules: vec![0; rules].into(), zones: vec![0; zones].into(), total: 0 }
    }

    /// One session more, or one less.
    pub(crate) fn count(&mut self, rule: Option<RuleIndex>, zone: Option<ZoneId>, change: i32) {
        let add = |count: &mut u32| *count = count.saturating_add_signed(change);
        if let Some(of_rule) = rule.and_then(|rule| self.rules.get_mut(rule.index())) {
            add(of_rule);
        }
        if let Some(of_zone) = zone.and_then(|zone| self.zones.get_mut(zone.index())) {
            add(of_zone);
        }
        add(&mut self.total);
    }

    /// Takes over those whom `other` counts, each where the maps say it is here.
    pub(crate) fn take(
        &mut self,
        other: &Self,
        rules: &[Place<RuleIndex>],
        zones: &[Place<ZoneId>],
    ) {
        self.join(other, rules, zones, |count, more| *count = count.saturating_add(more));
        self.total = other.total;
    }

    /// Gives up those whom `other` counts. They live on, but nobody knows their rules and zones.
    pub(crate) fn give(
        &mut self,
        other: &Self,
        rules: &[Place<RuleIndex>],
        zones: &[Place<ZoneId>],
    ) {
        self.join(other, rules, zones, |count, less| *count = count.saturating_sub(less));
    }

    fn join(
        &mut self,
        other: &Self,
        rules: &[Place<RuleIndex>],
        zones: &[Place<ZoneId>],
        with: impl Fn(&mut u32, u32),
    ) {
        for (&count, to) in other.rules.iter().zip(rules) {
            let here = to.and_then(|to| self.rules.get_mut(to.index()));
            here.into_iter().for_each(|here| with(here, count));
        }
        for (&count, to) in other.zones.iter().zip(zones) {
            let here = to.and_then(|to| self.zones.get_mut(to.index()));
            here.into_iter().for_each(|here| with(here, count));
        }
    }

    /// Forgets everybody.
    pub(crate) fn clear(&mut self) {
        self.rules.fill(0);
        self.zones.fill(0);
        self.total = 0;
    }

    pub(crate) fn of_rule(&self, rule: RuleIndex) -> u32 {
        self.rules.get(rule.index()).copied().unwrap_or_default()
    }

    pub(crate) fn of_zone(&self, zone: ZoneId) -> u32 {
        self.zones.get(zone.index()).copied().unwrap_or_default()
    }

    pub(crate) const fn total(&self) -> u32 {
        self.total
    }
}

/// Where a rule or a zone is in another policy, if it is there.
type Place<T> = Option<T>;
