//! What is different between two rules of one id, field by field, and what a rule says.

use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};

use super::change::{Difference, FieldChange, RuleField};
use super::members::Members;
use super::sets;
use crate::ranges::merge;
use crate::{AddressMatch, AddressSet, OnChange, Policy, Replication, Rule, Service};

/// A rule with the policy that its indices point into.
pub(super) type Within<'a> = (&'a Policy, &'a Rule);

const ANY: &str = "any";

/// Each field that is different in meaning.
pub(super) fn fields(old: Within<'_>, new: Within<'_>) -> Vec<FieldChange> {
    if same(old, new) {
        return Vec::new();
    }
    let (before, after) = (values(old), values(new));
    let mut fields: Vec<_> = before
        .into_iter()
        .zip(after)
        .filter(|(old, new)| old != new)
        .map(|((field, old), (_, new))| changed(field, Difference::Value { old, new }))
        .collect();
    let (before, after) = (lists(old), lists(new));
    fields.extend(before.iter().zip(&after).filter_map(|((field, old), (_, new))| {
        let list = new.difference(old);
        list.map(|difference| changed(field, difference))
    }));
    fields.sort_by_key(|field| ORDER.iter().position(|name| *name == field.field));
    fields
}

/// Fields in the order of the policy file.
const ORDER: [&str; 13] = [
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
];

fn changed(field: &str, difference: Difference) -> FieldChange {
    FieldChange { field: field.to_owned(), difference }
}

/// What a rule says, but for what is so anyway.
pub(super) fn says(rule: Within<'_>) -> Vec<RuleField> {
    let silent = [
        ("from", ANY),
        ("to", ANY),
        ("on-change", OnChange::default().name()),
        ("replication", Replication::default().name()),
        ("pick-up", "false"),
    ];
    let told =
        |(field, value): &(&str, String)| !value.is_empty() && !silent.contains(&(*field, value));
    let field = |field: &str, value| RuleField { field: field.to_owned(), value };
    let values = values(rule).into_iter().filter(told);
    let mut all: Vec<_> =
        values.map(|(name, value)| field(name, [value].into_iter().collect())).collect();
    let lists = lists(rule);
    let said = lists.iter().filter(|(_, list)| !list.says_nothing());
    all.extend(said.map(|(name, list)| field(name, list.members())));
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
        && (&old.description, &old.services) == (&new.description, &new.services)
        && (old.action, old.log_open, old.log_close) == (new.action, new.log_open, new.log_close)
        && (old.on_change, old.replication, old.terms)
            == (new.on_change, new.replication, new.terms)
}

/// Named sets are compared on their own, by name.
fn same_set(old: &AddressSet, new: &AddressSet) -> bool {
    if old.name.is_some() { old.name == new.name } else { old == new }
}

/// Fields with one value, in words; equal words mean the same.
fn values((policy, rule): Within<'_>) -> [(&'static str, String); 9] {
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

/// A field that is a list.
enum List<'a> {
    Addresses(Addresses<'a>),
    Services(Option<&'a [Service]>),
    Words(Vec<&'static str>),
}

impl List<'_> {
    fn says_nothing(&self) -> bool {
        match self {
            Self::Addresses(addresses) => addresses.any,
            Self::Services(services) => services.is_none(),
            Self::Words(words) => words.is_empty(),
        }
    }

    fn members(&self) -> Members {
        match self {
            Self::Addresses(addresses) => addresses.members(),
            Self::Services(None) => [ANY].into_iter().collect(),
            Self::Services(Some(services)) => services.iter().map(ToString::to_string).collect(),
            Self::Words(words) => words.iter().copied().collect(),
        }
    }

    fn difference(&self, old: &Self) -> Option<Difference> {
        let (added, removed) = (self.beyond(old), old.beyond(self));
        let reordered = self.reordered(old);
        let differs = !added.is_empty() || !removed.is_empty() || reordered;
        differs.then_some(Difference::List { added, removed, reordered })
    }

    fn beyond(&self, other: &Self) -> Members {
        match (self, other) {
            (Self::Addresses(addresses), Self::Addresses(other)) => addresses.beyond(other),
            (Self::Services(Some(services)), Self::Services(Some(others))) => {
                let others: BTreeSet<&Service> = others.iter().collect();
                let services: BTreeSet<&Service> = services.iter().collect();
                services.difference(&others).map(ToString::to_string).collect()
            }
            (Self::Services(None), Self::Services(None)) => Members::default(),
            (Self::Services(_), Self::Services(_)) => self.members(),
            (Self::Words(words), Self::Words(others)) => {
                words.iter().filter(|word| !others.contains(word)).copied().collect()
            }
            // A field keeps its kind.
            (Self::Addresses(_) | Self::Services(_) | Self::Words(_), _) => Members::default(),
        }
    }

    /// Which service matches first has a meaning only where it tells the timeout.
    fn reordered(&self, old: &Self) -> bool {
        let (Self::Services(Some(services)), Self::Services(Some(others))) = (self, old) else {
            return false;
        };
        let timed = |services: &[Service]| services.iter().any(|it| it.timeout.is_some());
        if !timed(services) && !timed(others) {
            return false;
        }
        let common = |these: &[Service], those: &[Service]| {
            let those: BTreeSet<&Service> = those.iter().collect();
            let mut seen = BTreeSet::new();
            let kept = these.iter().filter(|it| those.contains(it) && seen.insert(**it));
            kept.copied().collect::<Vec<_>>()
        };
        common(services, others) != common(others, services)
    }
}

/// Addresses of a rule: named sets, and all its literals together.
struct Addresses<'a> {
    any: bool,
    negate: bool,
    names: BTreeSet<&'a str>,
    literals: AddressSet,
}

impl<'a> Addresses<'a> {
    fn of(policy: &'a Policy, addresses: Option<&AddressMatch>) -> Self {
        let (mut names, mut literals) = (BTreeSet::new(), AddressSet::default());
        for set in addresses.iter().flat_map(|it| &it.sets).map(|&index| &policy.sets[index]) {
            if let Some(name) = &set.name {
                names.insert(name.as_str());
            } else {
                literals.v4.extend(&set.v4);
                literals.v6.extend(&set.v6);
            }
        }
        merge(&mut literals.v4);
        merge(&mut literals.v6);
        let negate = addresses.is_some_and(|it| it.negate);
        Self { any: addresses.is_none(), negate, names, literals }
    }

    fn members(&self) -> Members {
        self.all_but(&BTreeSet::new(), &AddressSet::default())
    }

    fn beyond(&self, other: &Self) -> Members {
        match self.any == other.any && self.negate == other.negate {
            true if self.any => Members::default(),
            true => self.all_but(&other.names, &other.literals),
            false => self.members(),
        }
    }

    fn all_but(&self, names: &BTreeSet<&str>, literals: &AddressSet) -> Members {
        if self.any {
            return [ANY].into_iter().collect();
        }
        let not = if self.negate { "!" } else { "" };
        let named = self.names.difference(names).map(|name| format!("{not}{name}"));
        let mut members: Members = named.collect();
        let beyond = sets::beyond(&self.literals, literals);
        let texts = beyond.first.into_iter().map(|text| format!("{not}{text}"));
        members.extend_counted(beyond.count, texts);
        members
    }
}

/// What is different between the addresses of two policies that mean "none" where there are none.
pub(super) fn addresses_differ(
    old: (&Policy, Option<&AddressMatch>),
    new: (&Policy, Option<&AddressMatch>),
) -> Option<Difference> {
    let of = |(policy, addresses): (_, Option<&AddressMatch>)| {
        let mut of = Addresses::of(policy, addresses);
        of.any = false;
        List::Addresses(of)
    };
    of(new).difference(&of(old))
}

/// Addresses in words.
pub(super) fn addresses_said(policy: &Policy, addresses: &AddressMatch) -> Members {
    Addresses::of(policy, Some(addresses)).members()
}

/// Where each rule stands, by its id.
pub(super) fn positions(policy: &Policy) -> BTreeMap<&str, usize> {
    policy.rules.iter().enumerate().map(|(at, rule)| (rule.id.as_str(), at)).collect()
}
