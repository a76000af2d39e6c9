//! Rules that can never match, because an earlier rule takes all their packets.
//!
//! The search is bounded and only says what is certain: a rule is reported if *one* earlier rule
//! covers it in every field. It never reports a rule that still matches something another way.

use core::ops::Range;

use super::nat::Families;
use super::reader::Reader;
use crate::limits::{SHADOW_COMPARISONS_MAX, SHADOW_STEPS_MAX};
use crate::ranges::{covers, touches};
use crate::{AddressMatch, AddressSet, NatKind, NatRule, Policy, Rule, Service};

/// Warns about each rule of `policy` that an earlier one covers. `spans` are their places.
pub(crate) fn check(reader: &mut Reader<'_>, policy: &Policy, spans: &[Range<usize>]) {
    for (later, earlier) in shadowed(policy) {
        let (later_rule, earlier) = (&policy.rules[later], &policy.rules[earlier]);
        warn(reader, &spans[later], &later_rule.id, (&earlier.id, earlier.line));
    }
}

/// The same of rules of translation.
pub(crate) fn check_nat(reader: &mut Reader<'_>, policy: &Policy, spans: &[Range<usize>]) {
    let mut cover = Cover { sets: &policy.sets, steps_left: SHADOW_STEPS_MAX };
    let rules = &policy.nat.rules;
    for (later, rule) in rules.iter().enumerate() {
        let mut before = rules[..later].iter();
        let earlier = before.find(|it| cover.steps_left > 0 && cover.nat_rule(policy, it, rule));
        if let Some(earlier) = earlier {
            warn(reader, &spans[later], &rule.id, (&earlier.id, earlier.line));
        }
    }
}

fn warn(reader: &mut Reader<'_>, span: &Range<usize>, id: &str, (by, line): (&str, usize)) {
    let message = format!("rule `{id}` never matches");
    let hint =
        format!("rule `{by}` in line {line} takes all its packets; move or remove one of them");
    reader.warn(span, message, hint);
}

/// Indices of the rules that are covered, each with the one that covers it.
pub(crate) fn shadowed(policy: &Policy) -> Vec<(usize, usize)> {
    let count = policy.rules.len();
    let window = SHADOW_COMPARISONS_MAX / count.max(1);
    let mut cover = Cover { sets: &policy.sets, steps_left: SHADOW_STEPS_MAX };
    let mut found = Vec::new();
    for (later, rule) in policy.rules.iter().enumerate() {
        let covered = candidates(later, window).find(|&earlier| {
            let earlier = Matcher::from(&policy.rules[earlier]);
            cover.steps_left > 0 && cover.matcher(&earlier, &Matcher::from(rule))
        });
        found.extend(covered.map(|earlier| (later, earlier)));
    }
    found
}

/// Earlier rules to compare with: all, or the first and the nearest of them. The first ones are
/// the broad ones as a rule.
fn candidates(later: usize, window: usize) -> impl Iterator<Item = usize> {
    let first = later.min(window.div_ceil(2));
    let near = later.saturating_sub(window / 2).max(first);
    (0..first).chain(near..later)
}

/// What a rule matches by.
struct Matcher<'r> {
    from: Option<usize>,
    to: Option<usize>,
    source: Option<&'r AddressMatch>,
    destination: Option<&'r AddressMatch>,
    services: Option<&'r [Service]>,
}

impl<'r> From<&'r Rule> for Matcher<'r> {
    fn from(rule: &'r Rule) -> Self {
        Self {
            from: rule.from,
            to: rule.to,
            source: rule.source.as_ref(),
            destination: rule.destination.as_ref(),
            services: rule.services.as_deref(),
        }
    }
}

impl<'r> Matcher<'r> {
    /// A rule of translation, and the families that it translates. `None`: it is compared where it is
    /// parsed.
    fn of_nat(policy: &Policy, rule: &'r NatRule) -> Option<(Self, Families)> {
        let (from, source) = (rule.from, rule.source.as_ref());
        let of = |addresses| Families::of_match(&policy.sets, addresses);
        let (to, destination, services, families) = match &rule.kind {
            NatKind::Source(nat) => {
                let destination = nat.destination.as_ref();
                let families = Families::of_source_to(&policy.nat, nat.translate);
                let families = families.and(of(source)).and(of(destination));
                (nat.to, destination, nat.services.as_deref(), families)
            }
            NatKind::Destination(nat) => {
                let families = Families::of_destination_to(nat.to);
                (None, Some(&nat.destination), nat.services.as_deref(), families)
            }
            NatKind::Nat64(_) => (None, None, None, Families::V6),
            NatKind::Static(_) | NatKind::Prefix(_) => return None,
        };
        Some((Self { from, to, source, destination, services }, families))
    }
}

/// Decides whether one part of a rule holds all of another.
struct Cover<'p> {
    sets: &'p [AddressSet],
    steps_left: usize,
}

impl Cover<'_> {
    fn nat_rule(&mut self, policy: &Policy, wide: &NatRule, narrow: &NatRule) -> bool {
        let alike = match (&wide.kind, &narrow.kind) {
            (NatKind::Nat64(wide), NatKind::Nat64(narrow)) => wide.prefix == narrow.prefix,
            (wide, narrow) => core::mem::discriminant(wide) == core::mem::discriminant(narrow),
        };
        let (wide, narrow) = (Matcher::of_nat(policy, wide), Matcher::of_nat(policy, narrow));
        let (Some((wide, all)), Some((narrow, some))) = (wide, narrow) else { return false };
        alike && all.covers(some) && self.matcher(&wide, &narrow)
    }

    fn matcher(&mut self, wide: &Matcher<'_>, narrow: &Matcher<'_>) -> bool {
        (wide.from.is_none() || wide.from == narrow.from)
            && (wide.to.is_none() || wide.to == narrow.to)
            && self.services(wide.services, narrow.services)
            && self.addresses(wide.source, narrow.source)
            && self.addresses(wide.destination, narrow.destination)
    }

    /// True if each service of `narrow` is part of one of `wide`.
    fn services(&mut self, wide: Option<&[Service]>, narrow: Option<&[Service]>) -> bool {
        let Some(wide) = wide else { return true };
        let Some(narrow) = narrow else { return false };
        narrow.iter().all(|service| {
            self.steps_left = self.steps_left.saturating_sub(wide.len());
            self.steps_left > 0 && wide.iter().any(|other| other.covers(service))
        })
    }

    fn addresses(&mut self, wide: Option<&AddressMatch>, narrow: Option<&AddressMatch>) -> bool {
        let Some(wide) = wide else { return true };
        let Some(narrow) = narrow else { return false };
        match (wide.negate, narrow.negate) {
            (false, false) => self.within(&narrow.sets, &wide.sets),
            // All but W holds all but N if N holds W.
            (true, true) => self.within(&wide.sets, &narrow.sets),
            (true, false) => self.disjoint(&narrow.sets, &wide.sets),
            (false, true) => false,
        }
    }

    /// True if each range of `inner` lies in a range of one of `outer`.
    fn within(&mut self, inner: &[usize], outer: &[usize]) -> bool {
        let rest = inner.iter().filter(|set| !outer.contains(set)).copied();
        self.all_ranges(rest, outer, |sets, family| match family {
            Family::V4(range) => sets.iter().any(|set| covers(&set.v4, range)),
            Family::V6(range) => sets.iter().any(|set| covers(&set.v6, range)),
        })
    }

    /// True if no range of `inner` touches one of `outer`.
    fn disjoint(&mut self, inner: &[usize], outer: &[usize]) -> bool {
        self.all_ranges(inner.iter().copied(), outer, |sets, family| match family {
            Family::V4(range) => !sets.iter().any(|set| touches(&set.v4, range)),
            Family::V6(range) => !sets.iter().any(|set| touches(&set.v6, range)),
        })
    }

    /// True if `holds` for each range of `inner` against the sets of `outer`, and the budget
    /// lasts.
    fn all_ranges(
        &mut self,
        inner: impl Iterator<Item = usize>,
        outer: &[usize],
        holds: impl Fn(&[&AddressSet], Family) -> bool,
    ) -> bool {
        let outer: Vec<&AddressSet> = outer.iter().map(|&index| &self.sets[index]).collect();
        for set in inner.map(|index| &self.sets[index]) {
            let v4 = set.v4.iter().map(|&range| Family::V4(range));
            let v6 = set.v6.iter().map(|&range| Family::V6(range));
            for range in v4.chain(v6) {
                self.steps_left = self.steps_left.saturating_sub(outer.len());
                if self.steps_left == 0 || !holds(&outer, range) {
                    return false;
                }
            }
        }
        true
    }
}

enum Family {
    V4((u32, u32)),
    V6((u128, u128)),
}

#[cfg(test)]
mod tests;
