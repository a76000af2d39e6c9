//! What is different between two policies, as a list that people and machines can read.

mod change;
mod list;
mod members;
mod nat;
mod order;
mod rule;
mod screen;
mod sets;
mod words;

pub use change::{Change, Difference, FieldChange, Place, RuleField};
pub use members::Members;

use std::collections::{BTreeMap, BTreeSet};

use crate::{Policy, Service, Zone};

use order::Step;

/// Everything that is different in meaning, section by section. Equal policies have no changes;
/// neither has another order of zones, of sets, of pools, or of the services without timeouts in one rule.
pub fn diff(old: &Policy, new: &Policy) -> Vec<Change> {
    let mut changes = Vec::new();
    zones(old, new, &mut changes);
    sets::changes(old, new, &mut changes);
    rules(old, new, &mut changes);
    host_inbound(old, new, &mut changes);
    options(old, new, &mut changes);
    screen::changes(old, new, &mut changes);
    nat::changes(old, new, &mut changes);
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
    for step in order::steps(&ids(old), &ids(new)) {
        match step {
            Step::Removed { was, place } => {
                let rule = &old.rules[was];
                let was = rule::says((old, rule));
                changes.push(Change::RuleRemoved { rule: rule.id.clone(), place, was });
            }
            Step::Added { is, place } => {
                let rule = &new.rules[is];
                let is = rule::says((new, rule));
                changes.push(Change::RuleAdded { rule: rule.id.clone(), place, is });
            }
            Step::Kept { was, is, moved } => {
                let (before, rule) = (&old.rules[was], &new.rules[is]);
                let id = || rule.id.clone();
                let from = was + 1;
                changes.extend(moved.map(|place| Change::RuleMoved { rule: id(), from, place }));
                let fields = rule::fields((old, before), (new, rule));
                if !fields.is_empty() {
                    changes.push(Change::RuleChanged { rule: id(), fields });
                }
            }
        }
    }
}

fn ids(policy: &Policy) -> Vec<&str> {
    policy.rules.iter().map(|rule| rule.id.as_str()).collect()
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
