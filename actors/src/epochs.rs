//! What rules and zones of the last epochs are called: sessions and events name them by epoch and place.
//!
//! An epoch is entered before the first worker runs its policy, so that nothing comes of an unknown one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cluster_core::policy::Version;
use engine::nat::word_of;
use engine::{PortId, RuleIndex, ZoneId};

use crate::limits::POLICIES_REMEMBERED;
use crate::policy::InForce;

/// The last epochs, shared by who enters them and who asks.
#[derive(Clone, Debug)]
pub struct Epochs(Arc<Mutex<VecDeque<Arc<Named>>>>);

/// The names of one epoch's policy, without the policy.
#[derive(Debug)]
pub struct Named {
    /// The epoch, and the revision that brought its text.
    pub version: Version,
    rules: Box<[String]>,
    zones: Box<[Zone]>,
    /// Rules of translation, by the words that sessions know them by.
    translations: BTreeMap<u32, String>,
}

#[derive(Debug)]
struct Zone {
    name: String,
    /// Its port, if it has but one.
    only: Option<PortId>,
}

impl Epochs {
    /// Of a node with so many ports, which begins with this policy.
    #[must_use]
    pub fn new(first: &InForce, ports: usize) -> Self {
        let epochs = Self(Arc::default());
        epochs.enter(first, ports);
        epochs
    }

    /// Enters a policy that is about to be run. The oldest makes room.
    pub fn enter(&self, policy: &InForce, ports: usize) {
        let named = Arc::new(Named::of(policy, ports));
        let mut known = self.lock();
        known.retain(|it| it.version.epoch != named.version.epoch);
        if known.len() == POLICIES_REMEMBERED {
            known.pop_front();
        }
        known.push_back(named);
    }

    /// The one with these low 32 bits.
    #[must_use]
    pub fn find(&self, epoch: u32) -> Option<Arc<Named>> {
        self.lock().iter().rev().find(|it| it.version.epoch.0 as u32 == epoch).cloned()
    }

    /// Epoch and revision by the epoch's low 32 bits, as far as they are known.
    #[must_use]
    pub fn tell(&self, epoch: u32) -> [Option<u64>; 2] {
        match self.find(epoch) {
            Some(named) => [named.version.epoch.0, named.version.source.0].map(Some),
            None => [(epoch != engine::NO_EPOCH).then_some(u64::from(epoch)), None],
        }
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Arc<Named>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Named {
    fn of(policy: &InForce, ports: usize) -> Self {
        let compiled = &policy.compiled;
        let only = |zone: ZoneId| {
            let ids = (0..ports).map(|index| PortId(index as u16));
            let mut of_zone = ids.filter(|port| compiled.zone_of_port(*port) == Some(zone));
            let first = of_zone.next()?;
            of_zone.next().is_none().then_some(first)
        };
        let zone = |(at, name): (usize, &String)| Zone {
            name: name.clone(),
            only: only(ZoneId(at as u16)),
        };
        Self {
            version: policy.version,
            rules: compiled.rules().iter().map(|rule| rule.id.clone()).collect(),
            zones: compiled.zones().iter().enumerate().map(zone).collect(),
            translations: compiled
                .translation_ids()
                .map(|id| (word_of(id), id.to_owned()))
                .collect(),
        }
    }

    /// The id of a rule.
    #[must_use]
    pub fn rule(&self, rule: RuleIndex) -> Option<&str> {
        self.rules.get(rule.index()).map(String::as_str)
    }

    /// The id of a rule of translation, by its word.
    #[must_use]
    pub fn translation(&self, word: u32) -> Option<&str> {
        self.translations.get(&word).map(String::as_str)
    }

    /// The name of a zone.
    #[must_use]
    pub fn zone(&self, zone: ZoneId) -> Option<&str> {
        self.zones.get(zone.index()).map(|zone| zone.name.as_str())
    }

    /// The only port of a zone that has one.
    #[must_use]
    pub fn only_port(&self, zone: ZoneId) -> Option<PortId> {
        self.zones.get(zone.index())?.only
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::sample;
    use cluster_core::policy::Epoch;

    fn policy(epoch: u64, source: u64) -> InForce {
        let rule = format!("[[rule]]\nid = \"r{epoch}\"\naction = \"deny\"\n");
        let nat = "[[nat]]\nid = \"out\"\ntype = \"source\"\ntranslate = \"interface\"\n";
        let text = format!("[zones]\na = [\"p\"]\n{rule}{nat}");
        let mut policy = sample("p", &text, epoch, &["p".to_owned()]);
        policy.version.source = Epoch(source);
        policy
    }

    #[test]
    fn an_epoch_is_found_by_its_low_half_until_it_is_too_old() {
        let long = (1 << 32) + 1;
        let epochs = Epochs::new(&policy(long, 7), 1);
        let named = epochs.find(1).expect("known");
        assert_eq!(named.rule(RuleIndex(0)), Some("r4294967297"));
        assert_eq!(named.zone(ZoneId(0)), Some("a"));
        assert_eq!([word_of("out"), 0].map(|it| named.translation(it)), [Some("out"), None]);
        assert_eq!(named.only_port(ZoneId(0)), Some(PortId(0)));
        assert_eq!(epochs.tell(1), [Some(long), Some(7)]);
        assert_eq!(epochs.tell(2), [Some(2), None], "unknown, or forgotten");
        assert_eq!(epochs.tell(engine::NO_EPOCH), [None, None]);
        for epoch in 0..POLICIES_REMEMBERED as u64 {
            epochs.enter(&policy(long + 1 + epoch, 7), 1);
        }
        assert!(epochs.find(1).is_none() && epochs.find(2).is_some());
    }

    #[test]
    fn an_epoch_that_is_run_again_stands_once() {
        let epochs = Epochs::new(&policy(1, 1), 1);
        (0..2).for_each(|_| epochs.enter(&policy(2, 1), 1));
        let known = epochs.lock().len();
        assert_eq!((known, epochs.tell(2)), (2, [Some(2), Some(1)]));
    }
}
