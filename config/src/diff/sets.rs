//! Address sets, in prefixes.

use std::collections::BTreeMap;

use super::change::Change;
use super::members::Members;
use crate::ranges::{prefix_count, subtract};
use crate::{AddressSet, Policy};

pub(super) fn changes(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let (before, after) = (named(old), named(new));
    for (name, set) in old.sets.iter().filter_map(|set| Some((set.name.as_deref()?, set))) {
        if !after.contains_key(name) {
            let prefixes = beyond(set, &AddressSet::default());
            changes.push(Change::AddressSetRemoved { set: name.to_owned(), prefixes });
        }
    }
    for (name, set) in new.sets.iter().filter_map(|set| Some((set.name.as_deref()?, set))) {
        let Some(before) = before.get(name) else {
            let prefixes = beyond(set, &AddressSet::default());
            changes.push(Change::AddressSetAdded { set: name.to_owned(), prefixes });
            continue;
        };
        let (added, removed) = (beyond(set, before), beyond(before, set));
        if !added.is_empty() || !removed.is_empty() {
            changes.push(Change::AddressSetChanged { set: name.to_owned(), added, removed });
        }
    }
}

fn named(policy: &Policy) -> BTreeMap<&str, &AddressSet> {
    let sets = policy.sets.iter();
    sets.filter_map(|set| set.name.as_deref().map(|name| (name, set))).collect()
}

/// The prefixes that make up what `set` holds beyond `other`.
pub(super) fn beyond(set: &AddressSet, other: &AddressSet) -> Members {
    let (v4, v6) = (subtract(&set.v4, &other.v4), subtract(&set.v6, &other.v6));
    let count = prefix_count(&v4) + prefix_count(&v6);
    let rest = AddressSet { name: None, v4, v6 };
    let mut members = Members::default();
    members.extend_counted(count, rest.prefix_texts());
    members
}
