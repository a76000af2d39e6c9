//! From an address to the labels that hold for it.

use std::net::IpAddr;

use super::classes::Classes;
use super::pairs::Pair;
use super::sides::{ANY, Side};
use super::trie::{Cell, Trie};

/// One side: an address's class, and each class's chain of labels, the one with the earliest rule
/// first.
///
/// ```text
/// class │ label │ label │ last label │ class │ label │ …        class: only if there are bit rows
///         ▲ where the chain is
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
    /// First rule filed under the label.
    pub(super) first: u32,
    label: u32, // and LAST
    /// One bit, by [`bit`], for each label of the other side, and zones, that this one is filed with.
    pub(super) others: u64,
}

/// Ends a chain.
const LAST: u32 = 1 << 31;

/// The bit of a label in [`Link::others`] of the labels that it is filed with.
#[inline]
pub(super) const fn bit(label: u32, zones: u32) -> u64 {
    let mixed = label ^ zones.wrapping_mul(0x85eb_ca6b);
    1 << (mixed.wrapping_mul(0x9e37_79b1) >> 26)
}

impl Chains {
    /// `ends` gives a pair's label on this side, and the one on the other; `told` says whether
    /// [`Chains::class`] is asked.
    pub(super) fn new(
        classes: &Classes,
        side: &Side,
        pairs: &[Pair],
        ends: impl Fn(&Pair) -> (u32, u32),
        told: bool,
    ) -> Self {
        let mut of_label = vec![Link::NONE; side.labels.len()];
        for pair in pairs {
            let (own, other) = ends(pair);
            let link = &mut of_label[own as usize];
            link.label = own;
            link.first = link.first.min(pair.first.rule);
            link.others |= bit(other, pair.key.zones);
        }
        let mut links = vec![Link { label: LAST, ..Link::NONE }];
        let mut at = Vec::with_capacity(classes.labels.len());
        for (class, labels) in classes.labels.iter().enumerate() {
            if told {
                links.push(Link { label: class as u32, ..Link::NONE });
            }
            let first = links.len();
            let labels = std::iter::once(&ANY).chain(labels);
            let chain = labels.map(|label| of_label[*label as usize]);
            links.extend(chain.filter(|link| link.first != Link::NONE.first));
            if links.len() == first {
                links.push(Link::NONE);
            }
            links[first..].sort_unstable_by_key(|link| link.first);
            links.last_mut().into_iter().for_each(|link| link.label |= LAST);
            at.push(first as u32);
        }
        let v4: Vec<_> = classes.v4.iter().map(|own| (own.0, at[own.1 as usize])).collect();
        let v6: Vec<_> = classes.v6.iter().map(|own| (own.0, at[own.1 as usize])).collect();
        Self { v4: Trie::new(&v4), v6: Trie::new(&v6), links: links.into() }
    }

    /// The first step towards the chain of `address`; take it on both sides before the second, so
    /// that their reads overlap.
    #[inline]
    pub(super) fn enter(&self, address: IpAddr) -> Cell {
        match address {
            IpAddr::V4(address) => self.v4.enter(address.to_bits()),
            IpAddr::V6(address) => self.v6.enter(address.to_bits()),
        }
    }

    /// From there to where the chain begins.
    #[inline]
    pub(super) fn at(&self, entered: Cell, address: IpAddr) -> usize {
        match address {
            IpAddr::V4(address) => self.v4.follow(entered, address.to_bits()) as usize,
            IpAddr::V6(address) => self.v6.follow(entered, address.to_bits()) as usize,
        }
    }

    /// The chain that begins there.
    #[inline]
    pub(super) fn from(&self, at: usize) -> impl Iterator<Item = &Link> {
        let mut last = false;
        self.links[at..]
            .iter()
            .take_while(move |link| !std::mem::replace(&mut last, link.label & LAST != 0))
    }

    /// The class whose chain begins there; means nothing if classes are not told.
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
    /// The label.
    #[inline]
    pub(super) const fn label(&self) -> u32 {
        self.label & !LAST
    }

    const NONE: Self = Self { first: u32::MAX, label: 0, others: 0 };
}
