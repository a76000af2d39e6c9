//! From an address to the labels that hold for it.

use std::net::IpAddr;

use super::classes::Classes;
use super::pairs::Pair;
use super::sides::{ANY, Side};
use super::trie::Trie;

/// One side: an address's class, and each class's chain of labels, the one with the earliest rule
/// first.
///
/// ```text
///                  at
///  … │ class │ label │ label │ end │ class │ …
/// ```
#[derive(Debug)]
pub(super) struct Chains {
    v4: Trie<u32>,
    v6: Trie<u128>,
    links: Box<[Link]>,
}

/// A label of a class.
#[derive(Clone, Copy, Debug)]
pub(super) struct Link {
    /// First rule filed under the label; `u32::MAX` ends the chain.
    pub(super) first: u32,
    /// The label; before the chain, the class.
    pub(super) label: u32,
    /// One bit, by [`bit`], for each label of the other side, and zones, that this one is filed with.
    pub(super) others: u64,
}

/// The bit of a label in [`Link::others`] of the labels that it is filed with.
#[inline]
pub(super) const fn bit(label: u32, zones: u32) -> u64 {
    let mixed = label ^ zones.wrapping_mul(0x85eb_ca6b);
    1 << (mixed.wrapping_mul(0x9e37_79b1) >> 26)
}

impl Chains {
    /// `ends` gives a pair's label on this side, and the one on the other.
    pub(super) fn new(
        classes: &Classes,
        side: &Side,
        pairs: &[Pair],
        ends: impl Fn(&Pair) -> (u32, u32),
    ) -> Self {
        let mut of_label = vec![Link::END; side.labels.len()];
        for pair in pairs {
            let (own, other) = ends(pair);
            let link = &mut of_label[own as usize];
            link.label = own;
            link.first = link.first.min(pair.first);
            link.others |= bit(other, pair.key.zones);
        }
        let mut links = Vec::new();
        let mut at = Vec::with_capacity(classes.labels.len());
        for (class, labels) in classes.labels.iter().enumerate() {
            links.push(Link { label: class as u32, ..Link::END });
            at.push(links.len() as u32);
            let labels = std::iter::once(&ANY).chain(labels);
            let chain = labels.map(|label| of_label[*label as usize]);
            links.extend(chain.filter(|link| link.first != Link::END.first));
            links[at[class] as usize..].sort_unstable_by_key(|link| link.first);
            links.push(Link::END);
        }
        let v4: Vec<_> = classes.v4.iter().map(|own| (own.0, at[own.1 as usize])).collect();
        let v6: Vec<_> = classes.v6.iter().map(|own| (own.0, at[own.1 as usize])).collect();
        Self { v4: Trie::new(&v4), v6: Trie::new(&v6), links: links.into() }
    }

    /// Where the chain of `address` begins.
    #[inline]
    pub(super) fn at(&self, address: IpAddr) -> usize {
        match address {
            IpAddr::V4(address) => self.v4.get(address.to_bits()) as usize,
            IpAddr::V6(address) => self.v6.get(address.to_bits()) as usize,
        }
    }

    /// The chain that begins there, to its end and beyond it: a reader stops at the end.
    #[inline]
    pub(super) fn from(&self, at: usize) -> &[Link] {
        &self.links[at..]
    }

    /// The class whose chain begins there.
    #[inline]
    pub(super) fn class(&self, at: usize) -> u32 {
        self.links[at - 1].label
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes() + size_of_val(&*self.links)
    }
}

impl Link {
    const END: Self = Self { first: u32::MAX, label: 0, others: 0 };
}
