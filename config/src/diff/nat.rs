//! What is different between pools of one name and rules of translation of one id.

use std::collections::BTreeMap;

use super::change::Change;
use super::list::{ANY, Addresses, List};
use super::order::{self, Step};
use super::rule::{fields_of, said};
use crate::{
    AddressMatch, AddressSet, Filtering, Mapping, Nat64, NatKind, NatPool, NatRule, Policy,
    Pooling, PrefixNat, SourceTo, StaticNat,
};

pub(super) fn changes(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    pools(old, new, changes);
    rules(old, new, changes);
}

fn pools(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    let (before, after) = (by_name(old), by_name(new));
    for pool in old.nat.pools.iter().filter(|pool| !after.contains_key(pool.name.as_str())) {
        let was = said((pool_values(pool), &pool_lists(pool)), &POOL_SILENT);
        changes.push(Change::NatPoolRemoved { pool: pool.name.clone(), was });
    }
    for pool in &new.nat.pools {
        let (values, lists, name) = (pool_values(pool), pool_lists(pool), pool.name.clone());
        let Some(was) = before.get(pool.name.as_str()) else {
            let is = said((values, &lists), &POOL_SILENT);
            changes.push(Change::NatPoolAdded { pool: name, is });
            continue;
        };
        let fields = fields_of((pool_values(was), &pool_lists(was)), (values, &lists));
        if !fields.is_empty() {
            changes.push(Change::NatPoolChanged { pool: name, fields });
        }
    }
}

fn by_name(policy: &Policy) -> BTreeMap<&str, &NatPool> {
    policy.nat.pools.iter().map(|pool| (pool.name.as_str(), pool)).collect()
}

/// What is so anyway.
const POOL_SILENT: [(&str, &str); 2] = [("pooling", Pooling::Paired.name()), ("domain", "0")];

fn pool_values(pool: &NatPool) -> [(&'static str, String); 2] {
    [("pooling", pool.pooling.name().to_owned()), ("domain", pool.domain.to_string())]
}

fn pool_lists(pool: &NatPool) -> [(&'static str, List<'_>); 1] {
    let set = AddressSet { name: None, v4: pool.v4.clone(), v6: pool.v6.clone() };
    [("addresses", List::Addresses(Addresses::literal(set)))]
}

fn rules(old: &Policy, new: &Policy, changes: &mut Vec<Change>) {
    for step in order::steps(&ids(old), &ids(new)) {
        match step {
            Step::Removed { was, place } => {
                let rule = &old.nat.rules[was];
                let was = says(old, rule);
                changes.push(Change::NatRuleRemoved { rule: rule.id.clone(), place, was });
            }
            Step::Added { is, place } => {
                let rule = &new.nat.rules[is];
                let is = says(new, rule);
                changes.push(Change::NatRuleAdded { rule: rule.id.clone(), place, is });
            }
            Step::Kept { was, is, moved } => {
                let (before, rule) = (&old.nat.rules[was], &new.nat.rules[is]);
                let id = || rule.id.clone();
                let from = was + 1;
                changes.extend(moved.map(|place| Change::NatRuleMoved { rule: id(), from, place }));
                let before = (values(old, before), &lists(old, before));
                let fields = fields_of(before, (values(new, rule), &lists(new, rule)));
                if !fields.is_empty() {
                    changes.push(Change::NatRuleChanged { rule: id(), fields });
                }
            }
        }
    }
}

fn ids(policy: &Policy) -> Vec<&str> {
    policy.nat.rules.iter().map(|rule| rule.id.as_str()).collect()
}

fn says(policy: &Policy, rule: &NatRule) -> Vec<super::RuleField> {
    let silent = [
        ("from", ANY),
        ("to", ANY),
        ("mapping", mapping_name(Mapping::default())),
        ("filtering", Filtering::default().name()),
        ("port-parity", "false"),
    ];
    said((values(policy, rule), &lists(policy, rule)), &silent)
}

/// What only some kinds say, in words; empty where a kind has no such key.
#[derive(Default)]
struct Words {
    to: String,
    translate: String,
    mapping: Option<Mapping>,
    to_address: String,
    to_port: String,
    outside: String,
    inside: String,
    prefix: String,
}

/// Fields with one value, in words; equal words mean the same.
fn values(policy: &Policy, rule: &NatRule) -> [(&'static str, String); 13] {
    let words = words(policy, rule);
    let mapping = |text: fn(Mapping) -> String| words.mapping.map_or_else(String::new, text);
    let from = match rule.kind {
        NatKind::Static(StaticNat::V4 { zone, .. } | StaticNat::V6 { zone, .. })
        | NatKind::Prefix(PrefixNat { zone, .. }) => zone,
        NatKind::Source(_) | NatKind::Destination(_) | NatKind::Nat64(_) => rule.from,
    };
    [
        ("description", rule.description.clone().unwrap_or_default()),
        ("type", rule.kind.name().to_owned()),
        ("from", zone(policy, from)),
        ("to", words.to),
        ("translate", words.translate),
        ("mapping", mapping(|it| mapping_name(it).to_owned())),
        ("filtering", mapping(|it| it.filtering.name().to_owned())),
        ("port-parity", mapping(|it| it.parity.to_string())),
        ("to-address", words.to_address),
        ("to-port", words.to_port),
        ("outside", words.outside),
        ("inside", words.inside),
        ("prefix", words.prefix),
    ]
}

fn words(policy: &Policy, rule: &NatRule) -> Words {
    let translate = |to: SourceTo| policy.nat.source_to_text(to);
    match &rule.kind {
        NatKind::Source(nat) => Words {
            to: zone(policy, nat.to),
            translate: translate(nat.translate),
            mapping: Some(nat.mapping),
            ..Words::default()
        },
        NatKind::Nat64(Nat64 { prefix, translate: to, mapping }) => Words {
            translate: translate(*to),
            mapping: Some(*mapping),
            prefix: format!("{prefix}/96"),
            ..Words::default()
        },
        NatKind::Destination(nat) => Words {
            to_address: nat.to.to_string(),
            to_port: nat.to_port.map_or_else(String::new, |port| port.to_string()),
            ..Words::default()
        },
        NatKind::Static(StaticNat::V4 { outside, inside, length, zone: _ }) => Words {
            outside: format!("{outside}/{length}"),
            inside: format!("{inside}/{length}"),
            ..Words::default()
        },
        NatKind::Static(StaticNat::V6 { outside, inside, length, zone: _ })
        | NatKind::Prefix(PrefixNat { outside, inside, length, zone: _ }) => Words {
            outside: format!("{outside}/{length}"),
            inside: format!("{inside}/{length}"),
            ..Words::default()
        },
    }
}

fn zone(policy: &Policy, zone: Option<usize>) -> String {
    policy.zone_name(zone).unwrap_or(ANY).to_owned()
}

const fn mapping_name(mapping: Mapping) -> &'static str {
    if mapping.endpoint_independent { "endpoint-independent" } else { "address-and-port-dependent" }
}

fn lists<'a>(policy: &'a Policy, rule: &'a NatRule) -> [(&'static str, List<'a>); 3] {
    let of = |addresses: Option<&AddressMatch>| Addresses::of(policy, addresses);
    let source = of(rule.source.as_ref());
    let none: &[_] = &[];
    let (source, destination, services) = match &rule.kind {
        NatKind::Source(nat) => (source, of(nat.destination.as_ref()), nat.services.as_deref()),
        NatKind::Destination(nat) => (source, of(Some(&nat.destination)), nat.services.as_deref()),
        NatKind::Nat64(_) => (source, Addresses::none(), Some(none)),
        NatKind::Static(_) | NatKind::Prefix(_) => {
            (Addresses::none(), Addresses::none(), Some(none))
        }
    };
    [
        ("source", List::Addresses(source)),
        ("destination", List::Addresses(destination)),
        ("service", List::Services(services)),
    ]
}
