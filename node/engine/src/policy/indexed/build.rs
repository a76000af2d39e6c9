//! Builds the index from compiled criteria: labels, classes, then what is filed where.

use std::collections::HashSet;

use super::super::Linear;
use super::super::criteria::Criteria;
use super::chains::Chains;
use super::classes::{Classes, relax};
use super::entry::{Certainty, Content, Entry};
use super::leaves::Leaves;
use super::pairs::{Key, Leaf, Pair, Pairs};
use super::rows::Rows;
use super::sides::{Label, Side, same_sets};
use super::{ANY_ZONE, Bounds, Hashing, Indexed, zones};
use crate::limits::{MATCHER_ROWS_MIN, MATCHER_SCAN_ENTRIES};

pub(super) fn build(linear: Linear, bounds: Bounds) -> Indexed {
    let (criteria, tables) = linear.parts();
    let same = same_sets(&tables.book);
    let label = |sets: &[u32], negate| {
        let mut sets: Vec<u32> = sets.iter().map(|&set| same[set as usize]).collect();
        sets.sort_unstable();
        sets.dedup();
        Label { sets, negate }
    };
    let side = |test: fn(&Criteria) -> Option<super::super::addresses::AddressTest>| {
        let labels = criteria.iter().map(|rule| {
            test(rule).map(|test| {
                let (sets, negate) = tables.book.sets_of(test);
                label(sets, negate)
            })
        });
        let mut side = Side::new(labels);
        let classes = Classes::new(&tables.book, &mut side, bounds);
        relax(&mut side, &classes.labels, bounds.chain);
        (side, classes)
    };
    let sources = side(|rule| rule.source);
    let destinations = side(|rule| rule.destination);
    let (leaves, row_bytes) = (Leaves::default(), bounds.row_bytes);
    let mut filing = Filing { linear: &linear, sources, destinations, leaves, row_bytes };
    let pairs = Pairs::new(filing.file());
    let Filing { sources, destinations, leaves, .. } = filing;
    let told = leaves.has_rows();
    let chains = |(side, classes): (Side, Classes), ends: fn(&Pair) -> (u32, u32)| {
        Chains::new(&classes, &side, pairs.all(), ends, told)
    };
    Indexed {
        sources: chains(sources, |pair| (pair.key.source, pair.key.destination)),
        destinations: chains(destinations, |pair| (pair.key.destination, pair.key.source)),
        zones: ZoneForms::of(pairs.all()),
        pairs,
        leaves,
        linear,
    }
}

/// Which of the four forms of a rule's zones occur at all.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ZoneForms {
    pub(super) both: bool,
    pub(super) any_to: bool,
    pub(super) any_from: bool,
    pub(super) neither: bool,
}

impl ZoneForms {
    fn of(pairs: &[Pair]) -> Self {
        let mut forms = Self::default();
        for pair in pairs {
            let (from, to) = ((pair.key.zones >> 16) as u16, pair.key.zones as u16);
            match (from == ANY_ZONE, to == ANY_ZONE) {
                (false, false) => forms.both = true,
                (false, true) => forms.any_to = true,
                (true, false) => forms.any_from = true,
                (true, true) => forms.neither = true,
            }
        }
        forms
    }
}

/// Files each rule under its zones and labels.
struct Filing<'a> {
    linear: &'a Linear,
    sources: (Side, Classes),
    destinations: (Side, Classes),
    leaves: Leaves,
    row_bytes: usize, // that may still be spent
}

impl Filing<'_> {
    fn file(&mut self) -> Vec<Pair> {
        let (criteria, _) = self.linear.parts();
        let key = |(at, rule): (usize, &Criteria)| {
            let number = |zone: Option<crate::ids::ZoneId>| zone.map_or(ANY_ZONE, |zone| zone.0);
            let key = Key {
                zones: zones(number(rule.from), number(rule.to)),
                source: self.sources.0.filed(at),
                destination: self.destinations.0.filed(at),
            };
            (key, at as u32)
        };
        let mut filed: Vec<(Key, u32)> = criteria.iter().enumerate().map(key).collect();
        filed.sort_unstable();
        let groups = filed.chunk_by(|a, b| a.0 == b.0);
        groups.filter_map(|group| self.pair(group[0].0, group)).collect()
    }

    /// `None` if no rule of the pair can ever match.
    fn pair(&mut self, key: Key, group: &[(Key, u32)]) -> Option<Pair> {
        let mut entries = self.entries(group);
        let first = *entries.first()?; // as it is without rows, which it is compared before
        if entries.len() <= MATCHER_SCAN_ENTRIES {
            let at = self.leaves.entries.len() as u32;
            self.leaves.entries.extend(entries.drain(1..));
            let leaf = Leaf::Scan(at, self.leaves.entries.len() as u32 - at);
            return Some(Pair { key, first, leaf });
        }
        let [sources, destinations] = self.rows(&mut entries);
        let leaf = Leaf::Large(self.leaves.add_large(&entries, sources, destinations));
        Some(Pair { key, first, leaf })
    }

    /// The entries of a pair in the order of rules, without those that an earlier one hides.
    fn entries(&self, group: &[(Key, u32)]) -> Vec<Entry> {
        let mut seen: HashSet<Content, Hashing> = HashSet::default();
        let mut entries = Vec::new();
        for &(_, rule) in group {
            let certainty = self.certainty(rule as usize);
            for entry in self.services(rule, certainty) {
                if seen.contains(&entry.content()) {
                    continue;
                }
                entries.push(entry);
                if certainty == Certainty::Whole {
                    seen.insert(entry.content());
                    if entry.is_any() {
                        return entries;
                    }
                }
            }
        }
        entries
    }

    fn services(&self, rule: u32, certainty: Certainty) -> Vec<Entry> {
        let (criteria, tables) = self.linear.parts();
        match criteria[rule as usize].services {
            None => vec![Entry::any(rule, certainty)],
            Some((from, to)) => tables.services[from as usize..to as usize]
                .iter()
                .filter_map(|service| Entry::new(rule, service, certainty))
                .collect(),
        }
    }

    fn certainty(&self, rule: usize) -> Certainty {
        let sides = [&self.sources.0, &self.destinations.0];
        if sides.iter().any(|side| side.is_opaque(rule)) {
            Certainty::Opaque
        } else if sides.iter().any(|side| side.widened(rule)) {
            Certainty::Widened
        } else {
            Certainty::Whole
        }
    }

    /// Rows for both sides, where many rules are filed under wider labels than their own and memory
    /// allows. Then the rows say for certain what classes tell.
    fn rows(&mut self, entries: &mut [Entry]) -> [Option<Rows>; 2] {
        let widened = |entry: &&Entry| entry.certainty == Certainty::Widened;
        if entries.iter().filter(widened).count() < MATCHER_ROWS_MIN {
            return [None, None];
        }
        let needs = |side: &Side| {
            let of = |entry: &Entry| side.widened(entry.rule as usize);
            entries.iter().any(of)
        };
        let sides = [&self.sources, &self.destinations].map(|own| needs(&own.0).then_some(own));
        let cost = |own: &(Side, Classes)| Rows::bytes_max(own.1.labels.len(), entries.len());
        let bytes: usize = sides.iter().flatten().map(|own| cost(own)).sum();
        if bytes > self.row_bytes {
            return [None, None];
        }
        self.row_bytes -= bytes;
        let rows = sides.map(|own| own.map(|own| Rows::new(entries, &own.0, &own.1.labels)));
        for entry in entries.iter_mut().filter(|entry| entry.certainty == Certainty::Widened) {
            entry.certainty = Certainty::Whole;
        }
        rows
    }
}
