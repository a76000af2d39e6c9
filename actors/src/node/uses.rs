//! What the policy in force is used for: hits of its rules, sessions of its rules and zones.

use engine::policy::Policy;
use engine::{Engine, Hits, RuleIndex, ZoneId};

/// Of one worker, or of several together.
#[derive(Clone, Debug)]
pub(super) struct Uses {
    pub(super) rules: Vec<RuleUse>,
    /// Live sessions whose initiators are in each zone.
    pub(super) zones: Vec<u64>,
    /// Packets that no rule matched.
    pub(super) no_rule: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct RuleUse {
    pub(super) hits: Hits,
    /// Live sessions.
    pub(super) sessions: u64,
}

impl Uses {
    /// No use of `policy` yet.
    pub(super) fn none(policy: &Policy) -> Self {
        let rules = vec![RuleUse::default(); policy.rules().len()];
        Self { rules, zones: vec![0; policy.zones().len()], no_rule: 0 }
    }

    /// What one worker's engine counted, for the rules and zones that `policy` has of its own: while a
    /// commit is under way, the engine may run another one.
    pub(super) fn of(engine: &Engine, policy: &Policy) -> Self {
        let (known, its_own) = (engine.rules(), engine.policy());
        let mut uses = Self { no_rule: known.no_rule().count, ..Self::none(policy) };
        for (at, (place, hits)) in policy.map_from(its_own).iter().zip(known.hits()).enumerate() {
            let Some(of_rule) = place.and_then(|place| uses.rules.get_mut(place.index())) else {
                continue;
            };
            let sessions = known.sessions_of_rule(RuleIndex(at as u32));
            *of_rule = RuleUse { hits: *hits, sessions: u64::from(sessions) };
        }
        for (zone, name) in uses.zones.iter_mut().zip(policy.zones()) {
            let at = its_own.zones().iter().position(|own| own == name);
            let sessions = at.map_or(0, |at| known.sessions_of_zone(ZoneId(at as u16)));
            *zone = u64::from(sessions);
        }
        uses
    }

    /// Adds what another worker counted.
    pub(super) fn add(&mut self, other: &Self) {
        for (sum, more) in self.rules.iter_mut().zip(&other.rules) {
            sum.hits.count += more.hits.count;
            sum.hits.last = sum.hits.last.max(more.hits.last);
            sum.sessions += more.sessions;
        }
        self.zones.iter_mut().zip(&other.zones).for_each(|(sum, more)| *sum += more);
        self.no_rule += other.no_rule;
    }
}
