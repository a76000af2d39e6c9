//! What is different between two screens of one zone, detector by detector, and what a screen says.

use std::collections::BTreeMap;

use super::change::{Change, Difference, FieldChange, RuleField};
use super::list;
use crate::{Flood, Policy, Response, Scan, Screen};

/// Screens by the names of their zones.
pub(super) fn changes(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let (before, after) = (by_zone(old), by_zone(new));
    for (zone, screen) in &before {
        if !after.contains_key(zone) {
            let (zone, was) = ((*zone).to_owned(), says(old, screen));
            changes.push(Change::ScreenRemoved { zone, was });
        }
    }
    for (zone, screen) in &after {
        let zone = (*zone).to_owned();
        if let Some(was) = before.get(zone.as_str()) {
            let fields = fields((old, was), (new, screen));
            if !fields.is_empty() {
                changes.push(Change::ScreenChanged { zone, fields });
            }
        } else {
            changes.push(Change::ScreenAdded { zone, is: says(new, screen) });
        }
    }
}

fn by_zone(policy: &Policy) -> BTreeMap<&str, &Screen> {
    policy.screens.iter().map(|it| (policy.zones[it.zone].name.as_str(), it)).collect()
}

fn fields(old: (&Policy, &Screen), new: (&Policy, &Screen)) -> Vec<FieldChange> {
    let pairs = values(old.1).into_iter().zip(values(new.1));
    let differing = pairs.filter(|((_, old), (_, new))| old != new);
    let mut fields: Vec<_> = differing
        .map(|((name, old), (_, new))| FieldChange {
            field: name.to_owned(),
            difference: Difference::Value { old, new },
        })
        .collect();
    let (old, new) = ((old.0, old.1.exempt.as_ref()), (new.0, new.1.exempt.as_ref()));
    let exempt = list::addresses_differ(old, new);
    fields.extend(exempt.map(|difference| FieldChange { field: "exempt".to_owned(), difference }));
    fields
}

/// What a screen says, but for what is so anyway.
fn says(policy: &Policy, screen: &Screen) -> Vec<RuleField> {
    let silent = values(&Screen::of_zone(screen.zone));
    let defaults = |name: &str| silent.iter().find(|(it, _)| *it == name).map(|(_, value)| value);
    let told = values(screen).into_iter().filter(|(name, value)| defaults(name) != Some(value));
    let mut all: Vec<_> = told
        .map(|(name, value)| RuleField {
            field: name.to_owned(),
            value: [value].into_iter().collect(),
        })
        .collect();
    let exempt = screen.exempt.as_ref().map(|exempt| list::addresses_said(policy, exempt));
    all.extend(exempt.map(|value| RuleField { field: "exempt".to_owned(), value }));
    all
}

const OFF: &str = "off";

/// Detectors in the words of the policy file; equal words mean the same.
fn values(screen: &Screen) -> [(&'static str, String); 12] {
    let text = |it: Option<String>| it.unwrap_or_else(|| OFF.to_owned());
    let syn_flood = screen.syn_flood.map(|it| {
        let zone = it.zone.map(|zone| format!(", zone {zone}")).unwrap_or_default();
        let (alarm, source, destination) = (it.alarm, it.source, it.destination);
        let action = action(&it.response);
        format!("alarm {alarm}, source {source}, destination {destination}{zone}, {action}")
    });
    let session_limit = screen.session_limit.map(|it| {
        let limits = [("source", it.source), ("destination", it.destination), ("pair", it.pair)];
        let limits = limits.into_iter().filter_map(|(name, it)| Some(format!("{name} {}", it?)));
        limits.chain([action(&it.response)]).collect::<Vec<_>>().join(", ")
    });
    let baseline = screen.baseline.map(|it| {
        let learn = it.learn.as_secs();
        format!("deviations {}, factor {}, learn {learn}s", it.deviations, it.factor)
    });
    [
        ("aggregate-v4", screen.aggregate.v4.to_string()),
        ("aggregate-v6", screen.aggregate.v6.to_string()),
        ("syn-flood", text(syn_flood)),
        ("icmp-flood", text(screen.icmp_flood.map(flood))),
        ("udp-flood", text(screen.udp_flood.map(flood))),
        ("fragment-flood", text(screen.fragment_flood.map(flood))),
        ("port-scan", text(screen.port_scan.map(scan))),
        ("address-sweep", text(screen.address_sweep.map(scan))),
        ("session-limit", text(session_limit)),
        ("connection-rate", text(screen.connection_rate.map(flood))),
        ("anomalies", text(screen.anomalies.map(flood))),
        ("baseline", text(baseline)),
    ]
}

fn flood(it: Flood) -> String {
    format!("threshold {}, {}", it.threshold, action(&it.response))
}

fn scan(it: Scan) -> String {
    let (window, slow_window) = (it.window.as_secs(), it.slow_window.as_secs());
    let (threshold, slow) = (it.threshold, it.slow_threshold);
    let (burst, action) = (it.burst_threshold, action(&it.response));
    format!("{burst} in 100ms, {threshold} in {window}s, {slow} in {slow_window}s, {action}")
}

fn action(it: &Response) -> String {
    format!("{} (block-for {}s)", it.action.name(), it.block_for.as_secs())
}
