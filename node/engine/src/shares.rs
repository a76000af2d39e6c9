//! Which node has which slot, as the workers of a node read it: one word each, so that a reader sees a slot
//! change hands at once, and never half of that.
//!
//! ```text
//!  word   term (48 bits) │ holder (16 bits): 0 this node, n the peer at place n − 1
//! ```
//!
//! A packet of another node's slot goes to that node. One writer changes it; ownership never goes back to an
//! older term.

use std::sync::atomic::{AtomicU64, Ordering};

use wire::{SLOTS, Slot};

use crate::WorkerId;

/// Who has a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// This node.
    Here,
    /// Another one, by its place among the peers of the fabric.
    Peer(u8),
}

/// A slot's holder, and since which term.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// Who has it.
    pub holder: Holder,
    /// The version of its ownership, below 2^48.
    pub term: u64,
}

/// Who has a slot that is not ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Elsewhere {
    /// Another worker of this node.
    Worker(WorkerId),
    /// Another node: its place among the peers of the fabric, and the term of the slot.
    Node(u8, u64),
}

/// The slots of a cluster in which many nodes own.
#[derive(Debug)]
pub struct Shares {
    words: Box<[AtomicU64]>,
    /// Changes so far.
    version: AtomicU64,
}

const HOLDER_BITS: u32 = 16;

/// The ownership of a slot does not become older.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Older;

impl Share {
    const fn word(self) -> u64 {
        let holder = match self.holder {
            Holder::Here => 0,
            Holder::Peer(place) => place as u64 + 1,
        };
        self.term << HOLDER_BITS | holder
    }

    const fn of(word: u64) -> Self {
        let holder = match word as u16 {
            0 => Holder::Here,
            place => Holder::Peer((place - 1) as u8),
        };
        Self { holder, term: word >> HOLDER_BITS }
    }
}

impl Shares {
    /// Those of a node that knows nobody's yet: what comes goes to the peer at this place, in term 0.
    #[must_use]
    pub fn with_peer(place: u8) -> Self {
        let word = Share { holder: Holder::Peer(place), term: 0 }.word();
        let words = (0..SLOTS).map(|_| AtomicU64::new(word)).collect();
        Self { words, version: AtomicU64::new(0) }
    }

    /// Who has a slot now.
    #[inline]
    #[must_use]
    pub fn of(&self, slot: Slot) -> Share {
        let word = self.words.get(usize::from(slot.0));
        Share::of(word.map_or(0, |word| word.load(Ordering::Acquire)))
    }

    /// A slot changes hands; for the one writer.
    ///
    /// # Errors
    /// It has done so in a later term, or in this one to somebody else: nothing happens.
    pub fn set(&self, slot: Slot, share: Share) -> Result<(), Older> {
        debug_assert!(share.term < 1 << (64 - HOLDER_BITS), "terms count takeovers");
        let Some(word) = self.words.get(usize::from(slot.0)) else { return Ok(()) };
        let known = Share::of(word.load(Ordering::Acquire));
        if known == share {
            return Ok(());
        }
        if share.term < known.term || share.term == known.term && known.term > 0 {
            return Err(Older);
        }
        word.store(share.word(), Ordering::Release);
        self.version.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    /// How often anything has changed.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::Acquire)
    }

    /// The peer that has a slot, and its term; `None`: this node has it.
    #[inline]
    pub(crate) fn elsewhere(&self, slot: Slot) -> Option<Elsewhere> {
        let Share { holder, term } = self.of(slot);
        match holder {
            Holder::Here => None,
            Holder::Peer(place) => Some(Elsewhere::Node(place, term)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_changes_hands_in_later_terms_alone() {
        let shares = Shares::with_peer(2);
        let (slot, other) = (Slot(4_095), Slot(0));
        assert_eq!(shares.elsewhere(slot), Some(Elsewhere::Node(2, 0)));
        let here = Share { holder: Holder::Here, term: 5 };
        assert_eq!((shares.set(slot, here), shares.set(slot, here)), (Ok(()), Ok(())));
        assert_eq!((shares.elsewhere(slot), shares.version()), (None, 1));
        let peer = |term| Share { holder: Holder::Peer(0), term };
        for term in 0..=5 {
            assert_eq!(shares.set(slot, peer(term)), Err(Older), "{term}");
        }
        assert_eq!((shares.of(slot), shares.version()), (here, 1));
        let last = peer((1 << 48) - 1);
        assert_eq!(shares.set(slot, last), Ok(()));
        assert_eq!((shares.of(slot), shares.version()), (last, 2));
        assert_eq!(shares.elsewhere(other), Some(Elsewhere::Node(2, 0)));
        // Nobody has owned in term 0.
        assert_eq!(shares.set(other, peer(0)), Ok(()));
    }
}
