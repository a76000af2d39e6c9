//! Fields that are lists: what they have beyond one another.

use std::collections::BTreeSet;

use super::change::Difference;
use super::members::Members;
use super::sets;
use crate::ranges::merge;
use crate::{AddressMatch, AddressSet, Policy, Service};

/// What a list says that is not there.
pub(super) const ANY: &str = "any";

/// A field that is a list.
pub(super) enum List<'a> {
    Addresses(Addresses<'a>),
    Services(Option<&'a [Service]>),
    Words(Vec<&'static str>),
}

impl List<'_> {
    /// True of what matches anything, or is empty.
    pub(super) fn says_nothing(&self) -> bool {
        match self {
            Self::Addresses(addresses) => addresses.any || addresses.is_none(),
            Self::Services(services) => services.is_none_or(<[Service]>::is_empty),
            Self::Words(words) => words.is_empty(),
        }
    }

    pub(super) fn members(&self) -> Members {
        match self {
            Self::Addresses(addresses) => addresses.members(),
            Self::Services(None) => [ANY].into_iter().collect(),
            Self::Services(Some(services)) => services.iter().map(ToString::to_string).collect(),
            Self::Words(words) => words.iter().copied().collect(),
        }
    }

    pub(super) fn difference(&self, old: &Self) -> Option<Difference> {
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
pub(super) struct Addresses<'a> {
    any: bool,
    negate: bool,
    names: BTreeSet<&'a str>,
    literals: AddressSet,
}

impl<'a> Addresses<'a> {
    /// None at all: of what has no such field.
    pub(super) fn none() -> Self {
        Self { any: false, negate: false, names: BTreeSet::new(), literals: AddressSet::default() }
    }

    /// These and no others.
    pub(super) fn literal(literals: AddressSet) -> Self {
        Self { literals, ..Self::none() }
    }

    pub(super) fn of(policy: &'a Policy, addresses: Option<&AddressMatch>) -> Self {
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

    fn is_none(&self) -> bool {
        !self.any && self.names.is_empty() && self.literals.is_empty()
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
