//! What is different between two policies, as a list that people and machines can read.

mod change;
mod order;

pub use change::{Change, FieldChange};

use std::collections::{BTreeMap, BTreeSet};

use crate::ranges::{prefix_count, subtract};
use crate::{AddressMatch, AddressSet, Policy, Rule, Service, Zone};

/// Everything that is different in meaning, section by section. Equal policies have no changes;
/// neither has another order of zones, of sets, or of the services without timeouts in one rule.
pub fn diff(old: &Policy, new: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    zones(old, new, &mut changes);
    sets(old, new, &mut changes);
    rules(old, new, &mut changes);
    host_inbound(old, new, &mut changes);
    options(old, new, &mut changes);
    changes
}

fn zones(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let gone = old.zones.iter().filter(|zone| new.zone(&zone.name).is_none());
    changes.extend(gone.map(|zone| Change::ZoneRemoved { zone: zone.name.clone() }));
    for zone in &new.zones {
        let name = zone.name.clone();
        let before = old.zone(&zone.name).map(|index| &old.zones[index]);
        if let Some(before) = before {
            let (added, removed) = both_ways(before.ports.iter(), zone.ports.iter());
            if !added.is_empty() || !removed.is_empty() {
                changes.push(Change::ZoneChanged { zone: name, added, removed });
            }
        } else {
            changes.push(Change::ZoneAdded { zone: name, ports: zone.ports.clone() });
        }
        changes.extend(zone_sessions(before, zone));
    }
}

fn zone_sessions(before: Option<&Zone>, zone: &Zone) -> Option<Change> {
    let (old, new) = (before.and_then(|zone| zone.sessions_max), zone.sessions_max);
    (old != new).then(|| Change::ZoneSessionsChanged { zone: zone.name.clone(), old, new })
}

/// What is only in `new`, and what is only in `old`.
fn both_ways<T: Ord + ToString>(
    old: impl Iterator<Item = T>,
    new: impl Iterator<Item = T>,
) -> (Vec<String>, Vec<String>) {
    let (old, new): (BTreeSet<T>, BTreeSet<T>) = (old.collect(), new.collect());
    let texts = |from: &BTreeSet<T>, without: &BTreeSet<T>| {
        from.difference(without).map(ToString::to_string).collect()
    };
    (texts(&new, &old), texts(&old, &new))
}

fn sets(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let (before, after) = (named(old), named(new));
    for set in old.sets.iter().filter(|set| set.name.is_some()) {
        let name = set.name.clone().unwrap_or_default();
        if !after.contains_key(name.as_str()) {
            changes.push(Change::AddressSetRemoved { set: name, prefixes: size(set) });
        }
    }
    for set in new.sets.iter().filter(|set| set.name.is_some()) {
        let name = set.name.clone().unwrap_or_default();
        let Some(before) = before.get(name.as_str()) else {
            changes.push(Change::AddressSetAdded { set: name, prefixes: size(set) });
            continue;
        };
        let (added, removed) = (beyond(set, before), beyond(before, set));
        if added + removed > 0 {
            changes.push(Change::AddressSetChanged { set: name, added, removed });
        }
    }
}

fn named(policy: &Policy) -> BTreeMap<&str, &AddressSet> {
    let sets = policy.sets.iter();
    sets.filter_map(|set| set.name.as_deref().map(|name| (name, set))).collect()
}

fn size(set: &AddressSet) -> usize {
    prefix_count(&set.v4) + prefix_count(&set.v6)
}

/// Prefixes that make up what `set` holds beyond `other`.
fn beyond(set: &AddressSet, other: &AddressSet) -> usize {
    prefix_count(&subtract(&set.v4, &other.v4)) + prefix_count(&subtract(&set.v6, &other.v6))
}

fn rules(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let (before, after) = (positions(old), positions(new));
    for rule in old.rules.iter().filter(|rule| !after.contains_key(rule.id.as_str())) {
        changes.push(Change::RuleRemoved { rule: rule.id.clone() });
    }
    let common = new.rules.iter().filter_map(|rule| before.get(rule.id.as_str()));
    let moved = order::out_of_order(common.copied());
    for (position, rule) in new.rules.iter().enumerate() {
        let id = rule.id.clone();
        let Some(&was) = before.get(rule.id.as_str()) else {
            changes.push(Change::RuleAdded { rule: id, position: position + 1 });
            continue;
        };
        if moved.contains(&was) {
            let (from, to) = (was + 1, position + 1);
            changes.push(Change::RuleMoved { rule: id.clone(), from, to });
        }
        let fields = fields((old, &old.rules[was]), (new, rule));
        if !fields.is_empty() {
            changes.push(Change::RuleChanged { rule: id, fields });
        }
    }
}

fn positions(policy: &Policy) -> BTreeMap<&str, usize> {
    policy.rules.iter().enumerate().map(|(at, rule)| (rule.id.as_str(), at)).collect()
}

fn fields(old: (&Policy, &Rule), new: (&Policy, &Rule)) -> Vec<FieldChange> {
    if same(old, new) {
        return Vec::new();
    }
    let (before, after) = (rule_texts(old), rule_texts(new));
    let pairs = before.into_iter().zip(after);
    let changed = pairs.filter(|((_, old), (_, new))| old != new);
    changed
        .map(|((field, old), (_, new))| FieldChange { field: field.to_owned(), old, new })
        .collect()
}

/// True for most rules that mean the same, and for no others: spares them the words.
fn same((old_policy, old): (&Policy, &Rule), (new_policy, new): (&Policy, &Rule)) -> bool {
    let zone = |old, new| old_policy.zone_name(old) == new_policy.zone_name(new);
    let addresses = |old: &Option<AddressMatch>, new: &Option<AddressMatch>| match (old, new) {
        (None, None) => true,
        (Some(old), Some(new)) => {
            let sets = old.sets.iter().zip(&new.sets);
            old.negate == new.negate
                && old.sets.len() == new.sets.len()
                && sets
                    .into_iter()
                    .all(|(&old, &new)| same_set(&old_policy.sets[old], &new_policy.sets[new]))
        }
        (None, Some(_)) | (Some(_), None) => false,
    };
    zone(old.from, new.from)
        && zone(old.to, new.to)
        && addresses(&old.source, &new.source)
        && addresses(&old.destination, &new.destination)
        && (&old.description, &old.services) == (&new.description, &new.services)
        && (old.action, old.log_open, old.log_close) == (new.action, new.log_open, new.log_close)
        && (old.on_change, old.replication, old.terms)
            == (new.on_change, new.replication, new.terms)
}

/// Named sets are compared on their own, by name.
fn same_set(old: &AddressSet, new: &AddressSet) -> bool {
    if old.name.is_some() { old.name == new.name } else { old == new }
}

/// Each field of a rule in words; equal words mean the same.
fn rule_texts((policy, rule): (&Policy, &Rule)) -> [(&'static str, String); 13] {
    let zone = |zone| policy.zone_name(zone).unwrap_or("any").to_owned();
    let addresses = |addresses| sorted(policy.address_texts(addresses));
    [
        ("description", rule.description.clone().unwrap_or_default()),
        ("from", zone(rule.from)),
        ("to", zone(rule.to)),
        ("source", addresses(rule.source.as_ref())),
        ("destination", addresses(rule.destination.as_ref())),
        ("service", services(rule.services.as_deref())),
        ("action", rule.action.name().to_owned()),
        ("log", rule.log_names().join(", ")),
        ("on-change", rule.on_change.name().to_owned()),
        ("replication", rule.replication.name().to_owned()),
        ("timeout", rule.terms.timeout.map_or_else(String::new, seconds)),
        ("sessions-max", rule.terms.sessions_max.map_or_else(String::new, |max| max.to_string())),
        ("pick-up", rule.terms.pick_up.to_string()),
    ]
}

/// In any order, unless which one matches first tells the timeout.
fn services(services: Option<&[Service]>) -> String {
    let texts = service_texts(services);
    let timed = services.unwrap_or_default().iter().any(|service| service.timeout.is_some());
    if timed { texts.join(", ") } else { sorted(texts) }
}

fn seconds(duration: core::time::Duration) -> String {
    format!("{}s", duration.as_secs())
}

fn service_texts(services: Option<&[Service]>) -> Vec<String> {
    services.unwrap_or_default().iter().map(ToString::to_string).collect()
}

fn sorted(mut texts: Vec<String>) -> String {
    texts.sort_unstable();
    if texts.is_empty() { "any".to_owned() } else { texts.join(", ") }
}

fn host_inbound(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let (before, after) = (inbound(old), inbound(new));
    let zones: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    for zone in zones {
        let services =
            |all: &BTreeMap<String, Vec<String>>| all.get(zone).cloned().unwrap_or_default();
        let (old, new) = (services(&before), services(&after));
        let (added, removed) = both_ways(old.into_iter(), new.into_iter());
        if !added.is_empty() || !removed.is_empty() {
            changes.push(Change::HostInboundChanged { zone: zone.clone(), added, removed });
        }
    }
}

/// Services into the node, by the names of zones.
fn inbound(policy: &Policy) -> BTreeMap<String, Vec<String>> {
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for entry in &policy.host_inbound {
        let zone = policy.zones[entry.zone].name.clone();
        let services = match &entry.services {
            Some(services) => service_texts(Some(services)),
            None => vec!["any".to_owned()],
        };
        all.entry(zone).or_default().extend(services);
    }
    all
}

fn options(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let timeouts = old.timeouts.entries().into_iter().zip(new.timeouts.entries());
    for ((name, old), (_, new)) in timeouts.filter(|((_, old), (_, new))| old != new) {
        let (timeout, old, new) = (name.to_owned(), old.as_secs(), new.as_secs());
        changes.push(Change::TimeoutChanged { timeout, old_seconds: old, new_seconds: new });
    }
    let (before, after) = (old.integrity.tcp_window, new.integrity.tcp_window);
    if before != after {
        let (old, new) = (before.name().to_owned(), after.name().to_owned());
        changes.push(Change::IntegrityChanged { option: "tcp-window".to_owned(), old, new });
    }
}

#[cfg(test)]
mod tests;
