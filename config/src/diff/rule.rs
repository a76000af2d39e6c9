//! What is different between two rules of one id, field by field, and what a rule says.

use core::time::Duration;

use super::change::{Difference, FieldChange, RuleField};
use super::list::{ANY, Addresses, List};
use crate::{AddressMatch, AddressSet, OnChange, Policy, Replication, Rule};

/// A rule with the policy that its indices point into.
pub(super) type Within<'a> = (&'a Policy, &'a Rule);

/// Each field that is different in meaning.
pub(super) fn fields(old: Within<'_>, new: Within<'_>) -> Vec<FieldChange> {
    if same(old, new) {
        return Vec::new();
    }
    let mut fields = fields_of((values(old), &lists(old)), (values(new), &lists(new)));
    fields.sort_by_key(|field| ORDER.iter().position(|name| *name == field.field));
    fields
}

/// Values of fields, and lists, each by its key.
pub(super) type Said<'a, const V: usize, const L: usize> =
    ([(&'static str, String); V], &'a [(&'static str, List<'a>); L]);

/// Each field that is different, of two things with the same keys.
pub(super) fn fields_of<const V: usize, const L: usize>(
    (old_values, old_lists): Said<'_, V, L>,
    (new_values, new_lists): Said<'_, V, L>,
) -> Vec<FieldChange> {
    let changed = |field: &str, difference| FieldChange { field: field.to_owned(), difference };
    let values = old_values.into_iter().zip(new_values).filter(|(old, new)| old != new);
    let values =
        values.map(|((field, old), (_, new))| changed(field, Difference::Value { old, new }));
    let lists = old_lists.iter().zip(new_lists);
    let lists =
        lists.filter_map(|((field, old), (_, new))| Some(changed(field, new.difference(old)?)));
    values.chain(lists).collect()
}

/// What is said, but for values that are so anyway.
pub(super) fn said<const V: usize, const L: usize>(
    (values, lists): Said<'_, V, L>,
    silent: &[(&str, &str)],
) -> Vec<RuleField> {
    let told = |(field, value): &(&str, String)| {
        !value.is_empty() && !silent.contains(&(*field, value.as_str()))
    };
    let field = |field: &str, value| RuleField { field: field.to_owned(), value };
    let values = values.into_iter().filter(told);
    let values = values.map(|(name, value)| field(name, [value].into_iter().collect()));
    let lists = lists.iter().filter(|(_, list)| !list.says_nothing());
    values.chain(lists.map(|(name, list)| field(name, list.members()))).collect()
}

/// Fields in the order of the policy file.
const ORDER: [&str; 14] = [
    "description",
    "action",
    "from",
    "to",
    "source",
    "destination",
    "service",
    "log",
    "on-change",
    "replication",
    "timeout",
    "sessions-max",
    "pick-up",
    "alg",
];

/// What a rule says, but for what is so anyway.
pub(super) fn says(rule: Within<'_>) -> Vec<RuleField> {
    let silent = [
        ("from", ANY),
        ("to", ANY),
        ("on-change", OnChange::default().name()),
        ("replication", Replication::default().name()),
        ("pick-up", "false"),
    ];
    let mut all = said((values(rule), &lists(rule)), &silent);
    all.sort_by_key(|field| ORDER.iter().position(|name| *name == field.field));
    all
}

/// True for most rules that mean the same, and for no others: spares them the words.
fn same((old_policy, old): Within<'_>, (new_policy, new): Within<'_>) -> bool {
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
        && (&old.description, &old.services, &old.algs)
            == (&new.description, &new.services, &new.algs)
        && (old.action, old.log_open, old.log_close) == (new.action, new.log_open, new.log_close)
        && (old.on_change, old.replication, old.terms)
            == (new.on_change, new.replication, new.terms)
}

/// Named sets are compared on their own, by name.
fn same_set(old: &AddressSet, new: &AddressSet) -> bool {
    if old.name.is_some() { old.name == new.name } else { old == new }
}

/// Fields with one value, in words; equal words mean the same.
fn values((policy, rule): Within<'_>) -> [(&'static str, String); 10] {
    let zone = |zone| policy.zone_name(zone).unwrap_or(ANY).to_owned();
    let seconds = |time: Duration| format!("{}s", time.as_secs());
    [
        ("description", rule.description.clone().unwrap_or_default()),
        ("from", zone(rule.from)),
        ("to", zone(rule.to)),
        ("action", rule.action.name().to_owned()),
        ("on-change", rule.on_change.name().to_owned()),
        ("replication", rule.replication.name().to_owned()),
        ("timeout", rule.terms.timeout.map_or_else(String::new, seconds)),
        ("sessions-max", rule.terms.sessions_max.map_or_else(String::new, |max| max.to_string())),
        ("pick-up", rule.terms.pick_up.to_string()),
        ("alg", rule.alg_names().join(", ")),
    ]
}

fn lists<'a>((policy, rule): Within<'a>) -> [(&'static str, List<'a>); 4] {
    let addresses = |of: &Option<AddressMatch>| List::Addresses(Addresses::of(policy, of.as_ref()));
    [
        ("source", addresses(&rule.source)),
        ("destination", addresses(&rule.destination)),
        ("service", List::Services(rule.services.as_deref())),
        ("log", List::Words(rule.log_names())),
    ]
}
