//! Which address families there are on each side of a translation.

use core::ops::Range;

use crate::parse::reader::Reader;
use crate::{AddressMatch, AddressSet, DestinationTo, Nat, NatPool, SourceTo};

/// Some of IPv4 and IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Families {
    pub(crate) v4: bool,
    pub(crate) v6: bool,
}

impl Families {
    pub(crate) const BOTH: Self = Self { v4: true, v6: true };
    pub(crate) const V4: Self = Self { v4: true, v6: false };
    pub(crate) const V6: Self = Self { v4: false, v6: true };

    /// Those that a match may take: all of a negated one, whose sets say what it does not.
    pub(crate) fn of_match(sets: &[AddressSet], addresses: Option<&AddressMatch>) -> Self {
        let Some(addresses) = addresses.filter(|addresses| !addresses.negate) else {
            return Self::BOTH;
        };
        let sets = || addresses.sets.iter().map(|&index| &sets[index]);
        Self { v4: sets().any(|set| !set.v4.is_empty()), v6: sets().any(|set| !set.v6.is_empty()) }
    }

    pub(crate) fn of_pool(pool: &NatPool) -> Self {
        Self { v4: !pool.v4.is_empty(), v6: !pool.v6.is_empty() }
    }

    /// Those that a source may be translated to; an exception is for all.
    pub(crate) fn of_source_to(nat: &Nat, to: SourceTo) -> Self {
        match to {
            SourceTo::Interface | SourceTo::Untouched => Self::BOTH,
            SourceTo::Pool(index) => Self::of_pool(&nat.pools[index]),
        }
    }

    pub(crate) const fn of_destination_to(to: DestinationTo) -> Self {
        match to {
            DestinationTo::V4(..) => Self::V4,
            DestinationTo::V6(..) => Self::V6,
        }
    }

    pub(crate) const fn and(self, other: Self) -> Self {
        Self { v4: self.v4 && other.v4, v6: self.v6 && other.v6 }
    }

    pub(crate) const fn is_none(self) -> bool {
        !self.v4 && !self.v6
    }

    /// True if it has all of `other`.
    pub(crate) fn covers(self, other: Self) -> bool {
        self.and(other) == other
    }
}

/// Reports `one` if it has none of the families of `other`. What has no address at all, as an empty list
/// has, is told elsewhere.
pub(super) fn check(
    reader: &mut Reader<'_>,
    span: &Range<usize>,
    (one, families): (&str, Families),
    (other, wanted): (&str, Families),
) {
    if families.is_none() || wanted.is_none() || !families.and(wanted).is_none() {
        return;
    }
    let (missing, there) = if wanted.v4 { ("IPv4", "IPv6") } else { ("IPv6", "IPv4") };
    let message = format!("{one} has no {missing} address");
    let hint = format!("{other} is {missing}, {one} {there}: they never meet");
    reader.error_hint(span, message, hint);
}
