//! What is different between two policies, as a list that people and machines can read.

mod change;
mod members;
mod order;
mod rule;
mod screen;
mod sets;
mod words;

pub use change::{Change, Difference, FieldChange, Place, RuleField};
pub use members::Members;

use std::collections::{BTreeMap, BTreeSet};

use crate::{Policy, Service, Zone};

/// Everything that is different in meaning, section by section. Equal policies have no changes;
/// neither has another order of zones, of sets, or of the services without timeouts in one rule.
pub fn diff(old: &Policy, new: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    zones(old, new, &mut changes);
    sets::changes(old, new, &mut changes);
    rules(old, new, &mut changes);
    host_inbound(old, new, &mut changes);
    options(old, new, &mut changes);
    screen::changes(old, new, &mut changes);
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

fn rules(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let (before, after) = (rule::positions(old), rule::positions(new));
    for (position, rule) in old.rules.iter().enumerate() {
        if !after.contains_key(rule.id.as_str()) {
            let (place, was) = (place(old, position), rule::says((old, rule)));
            changes.push(Change::RuleRemoved { rule: rule.id.clone(), place, was });
        }
    }
    let common = new.rules.iter().filter_map(|rule| before.get(rule.id.as_str()));
    let moved = order::out_of_order(common.copied());
    for (position, rule) in new.rules.iter().enumerate() {
        let id = rule.id.clone();
        let Some(&was) = before.get(rule.id.as_str()) else {
            let (place, is) = (place(new, position), rule::says((new, rule)));
            changes.push(Change::RuleAdded { rule: id, place, is });
            continue;
        };
        if moved.contains(&was) {
            let place = place(new, position);
            changes.push(Change::RuleMoved { rule: id.clone(), from: was + 1, place });
        }
        let fields = rule::fields((old, &old.rules[was]), (new, rule));
        if !fields.is_empty() {
            changes.push(Change::RuleChanged { rule: id, fields });
        }
    }
}

fn place(policy: &Policy, position: usize) -> Place {
    let id = |position: usize| policy.rules.get(position).map(|rule| rule.id.clone());
    let after = position.checked_sub(1).and_then(id);
    Place { position: position + 1, after, before: id(position + 1) }
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
            let (added, removed) = (added.into_iter().collect(), removed.into_iter().collect());
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
            Some(services) => services.iter().map(Service::to_string).collect(),
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
