//! The matcher in use: an index over the rules that finds the first match without looking at those
//! that cannot match.
//!
//! ```text
//! source ──► interval ──► labels that hold, e.g. {any, web-servers, 10/8}       (chain)
//! destination ► interval ► labels that hold                                    (chain)
//! for each pair of labels that rules are filed under, and zones: hash table ──► leaf
//! leaf: the few rules with these zones and address tests, by service, in their order
//! ```
//! A *label* is one distinct address test of the rules; equal ones are one, whatever their names.
//! The approach is that of distributed crossproducting (Taylor and Turner, "Scalable Packet
//! Classification using Distributed Crossproducting of Field Labels", 2005), with the service left
//! to the leaf. Three things keep it fast and bounded:
//!
//! - Each label knows its first rule, so that labels that can only lose are not tried, and 64 bits
//!   about the labels that it is filed with, so that few pairs are looked up in vain.
//! - A large leaf has bit columns per port (`leaves`).
//! - Where one address lies in very many labels, some are filed under `any` and told apart by bit
//!   rows in the leaf, or, where even these were too large, by comparing the rule in full. Then the
//!   work of the worst question approaches that of the scan; memory does not grow.

use std::hash::BuildHasherDefault;

use rapidhash::quality::RapidHasher;

use super::{Linear, Matcher, Mismatch, Question};
use crate::ids::RuleIndex;
use crate::limits::{
    MATCHER_CHAIN_MAX, MATCHER_CLASS_LABELS_MAX, MATCHER_ROW_BYTES_MAX, MATCHER_SWEEP_STEPS_MAX,
};

mod build;
mod chains;
mod classes;
mod entry;
mod leaves;
mod pairs;
mod rows;
mod sides;
mod sweep;
#[cfg(test)]
mod tests;
mod trie;

use build::ZoneForms;
use chains::{Chains, bit};
use entry::{Asked, Certainty};
use leaves::Leaves;
use pairs::{Key, Leaf, Pair, Pairs};

/// Hashes what the operator wrote, off the packet path: no seed needed, and the same every time.
type Hashing = BuildHasherDefault<RapidHasher<'static>>;

/// Stands for any zone: zones are numbered below it.
const ANY_ZONE: u16 = u16::MAX;

/// What compiling may cost; tests make it tight.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    class_labels: usize,
    sweep_steps: usize,
    chain: usize,
    row_bytes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            class_labels: MATCHER_CLASS_LABELS_MAX,
            sweep_steps: MATCHER_SWEEP_STEPS_MAX,
            chain: MATCHER_CHAIN_MAX,
            row_bytes: MATCHER_ROW_BYTES_MAX,
        }
    }
}

/// Finds the first match by labels; see the module.
#[derive(Debug)]
pub struct Indexed {
    sources: Chains,
    destinations: Chains,
    zones: ZoneForms,
    pairs: Pairs,
    leaves: Leaves,
    linear: Linear,
}

impl Indexed {
    /// Indexes the rules of `linear`, and keeps it for what the index does not tell.
    pub(crate) fn new(linear: Linear) -> Self {
        build::build(linear, Bounds::default())
    }

    /// The scan over the same rules.
    pub(super) const fn linear(&self) -> &Linear {
        &self.linear
    }

    /// Bytes on the heap, without those of the scan's rules.
    pub(super) fn bytes(&self) -> usize {
        self.sources.bytes() + self.destinations.bytes() + self.pairs.bytes() + self.leaves.bytes()
    }

    pub(super) fn mismatch(&self, rule: RuleIndex, question: &Question) -> Option<Mismatch> {
        self.linear.mismatch(rule, question)
    }

    /// The zones that rules may name for a question between `from` and `to`; as many as the second
    /// number says.
    #[inline]
    fn zones(&self, question: &Question) -> ([u32; 4], usize) {
        let (from, to) = (question.from_zone.0, question.to_zone.0);
        let (mut list, mut len) = ([0; 4], 0);
        for (occurs, key) in [
            (self.zones.both, zones(from, to)),
            (self.zones.any_to, zones(from, ANY_ZONE)),
            (self.zones.any_from, zones(ANY_ZONE, to)),
            (self.zones.neither, zones(ANY_ZONE, ANY_ZONE)),
        ] {
            list[len] = key;
            len += usize::from(occurs);
        }
        (list, len)
    }

    /// The first rule before `best` in a pair's leaf, or `best`.
    #[inline]
    fn settle(&self, pair: &Pair, hunt: &Hunt<'_>, best: u32) -> u32 {
        let verify = |rule| self.linear.mismatch(RuleIndex(rule), hunt.question).is_none();
        let first = &pair.first;
        let whole = first.certainty == Certainty::Whole;
        if first.matches(&hunt.asked) && (whole || verify(first.rule)) {
            return first.rule;
        }
        match pair.leaf {
            Leaf::Scan(at, len) => self.leaves.scan((at, len), &hunt.asked, best, verify),
            Leaf::Large(leaf) => {
                let classes =
                    (self.sources.class(hunt.source), self.destinations.class(hunt.destination));
                self.leaves.search(leaf, classes, &hunt.asked, best, verify)
            }
        }
    }
}

/// What one search knows.
struct Hunt<'a> {
    question: &'a Question,
    asked: Asked,
    source: usize,
    destination: usize,
}

impl Matcher for Indexed {
    fn find(&self, question: &Question) -> Option<RuleIndex> {
        let source = self.sources.enter(question.source);
        let destination = self.destinations.enter(question.destination);
        let hunt = Hunt {
            question,
            asked: Asked::of(question),
            source: self.sources.at(source, question.source),
            destination: self.destinations.at(destination, question.destination),
        };
        let (zones, forms) = self.zones(question);
        let mut best = u32::MAX;
        for source in self.sources.from(hunt.source) {
            if source.first >= best {
                break;
            }
            for destination in self.destinations.from(hunt.destination) {
                if destination.first >= best {
                    break;
                }
                for &zones in &zones[..forms] {
                    let filed = source.others & bit(destination.label(), zones) != 0
                        && destination.others & bit(source.label(), zones) != 0;
                    if !filed {
                        continue;
                    }
                    let (source, destination) = (source.label(), destination.label());
                    let pair = self.pairs.get(Key { zones, source, destination });
                    if let Some(pair) = pair.filter(|pair| pair.first.rule < best) {
                        best = self.settle(pair, &hunt, best);
                    }
                }
            }
        }
        (best != u32::MAX).then_some(RuleIndex(best))
    }
}

/// Two zones in one number.
const fn zones(from: u16, to: u16) -> u32 {
    (from as u32) << 16 | to as u32
}
