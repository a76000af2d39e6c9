//! Histories of many keys, each of them judged alone.
//!
//! One key may have too many orders to try, while another one has a violation that is found at once. So
//! all keys are looked at with a small bound first, then those that are left with a larger one.

use std::collections::BTreeMap;

use super::check::{Done, Verdict, check};
use super::history::History;
use super::model::Model;
use super::report::Violation;
use crate::limits::{LINEAR_CONFIGURATIONS, LINEAR_FIRST_ROUND};

/// Judges a history key by key. Of the violations that are found first, the earliest one is told.
pub fn check_keys<M: Model, K: Ord + ToString>(
    model: &M,
    history: &History<M::Call, M::Answer>,
    key: impl Fn(&M::Call) -> K,
) -> Verdict {
    let mut left: BTreeMap<K, Vec<&Done<M>>> = BTreeMap::new();
    for operation in history.operations() {
        left.entry(key(&operation.call)).or_default().push(operation);
    }
    let mut most = LINEAR_FIRST_ROUND;
    loop {
        let mut undecided = 0;
        let mut earliest: Option<Violation> = None;
        left.retain(|key, part| match check(model, part, most) {
            Verdict::Linearizable => false,
            Verdict::Violation(found) => {
                let found = Violation { key: Some(key.to_string()), ..found };
                let earlier = earliest.as_ref().is_none_or(|it| found.events < it.events);
                earliest = if earlier { Some(found) } else { earliest.take() };
                false
            }
            Verdict::Undecided { configurations } => {
                undecided += configurations;
                true
            }
        });
        match earliest {
            Some(violation) => return Verdict::Violation(violation),
            None if left.is_empty() => return Verdict::Linearizable,
            None if most >= LINEAR_CONFIGURATIONS => {
                return Verdict::Undecided { configurations: undecided };
            }
            None => most = LINEAR_CONFIGURATIONS.min(most * 10),
        }
    }
}
