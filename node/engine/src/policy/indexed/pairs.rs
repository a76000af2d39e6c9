//! Which rules are filed under a pair of labels between two zones: a hash table of open addressing
//! whose slots hold a place and, in the bits that are left, a part of the hash, so that a miss is
//! seldom more than one read.

use super::entry::Entry;

/// Zones, labels and where the rules are.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pair {
    pub(super) key: Key,
    /// The first entry of the pair: most have no other.
    pub(super) first: Entry,
    pub(super) leaf: Leaf,
}

/// Where the rules of a pair are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Leaf {
    /// So many entries from this place, besides the first.
    Scan(u32, u32),
    /// This large leaf.
    Large(u32),
}

/// What a pair is found by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) zones: u32,
    pub(super) source: u32,
    pub(super) destination: u32,
}

impl Key {
    /// The mixing steps of MurmurHash3's 64-bit finalizer on both labels and the zones.
    #[inline]
    const fn hash(self) -> u64 {
        let labels = (self.source as u64) << 32 | self.destination as u64;
        let mut bits = labels ^ (self.zones as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        bits = (bits ^ (bits >> 33)).wrapping_mul(0xc4ce_b9fe_1a85_ec53);
        bits ^ (bits >> 33)
    }
}

/// The table; at most half full.
#[derive(Debug, Default)]
pub(super) struct Pairs {
    slots: Box<[u32]>, // place in `pairs` plus one in the low bits, hash above; 0 is empty
    place_bits: u32,
    pairs: Vec<Pair>,
}

impl Pairs {
    pub(super) fn new(pairs: Vec<Pair>) -> Self {
        let slots = (2 * pairs.len()).next_power_of_two().max(2);
        let place_bits = (pairs.len() + 1).next_power_of_two().trailing_zeros();
        let mut table = Self { slots: vec![0; slots].into(), place_bits, pairs };
        for place in 0..table.pairs.len() {
            let hash = table.pairs[place].key.hash();
            let mut at = hash as usize & (slots - 1);
            while table.slots[at] != 0 {
                at = (at + 1) & (slots - 1);
            }
            table.slots[at] = table.tag(hash) | (place as u32 + 1);
        }
        table
    }

    #[inline]
    const fn tag(&self, hash: u64) -> u32 {
        ((hash >> 32) as u32) & !((1 << self.place_bits) - 1)
    }

    #[inline]
    pub(super) fn get(&self, key: Key) -> Option<&Pair> {
        let hash = key.hash();
        let (mask, places) = (self.slots.len() - 1, (1 << self.place_bits) - 1);
        let tag = self.tag(hash);
        let mut at = hash as usize & mask;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot & !places == tag {
                let pair = &self.pairs[(slot & places) as usize - 1];
                if pair.key == key {
                    return Some(pair);
                }
            }
            at = (at + 1) & mask;
        }
    }

    pub(super) fn all(&self) -> &[Pair] {
        &self.pairs
    }

    /// Bytes on the heap.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.slots) + size_of_val(&*self.pairs)
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::Certainty;
    use super::*;

    #[test]
    fn what_is_in_is_found_and_nothing_else() {
        let key = |n: u32| Key { zones: n % 3, source: n / 40, destination: n % 40 };
        let first = |n| Entry::any(n, Certainty::Whole);
        let pair = |n| Pair { key: key(n), first: first(n), leaf: Leaf::Large(n) };
        for count in [0, 1, 2, 3, 1_000, 4_097] {
            let table = Pairs::new((0..count).map(|n| pair(2 * n)).collect());
            for n in 0..2 * count {
                let found = table.get(key(n)).map(|pair| pair.first.rule);
                assert_eq!(found, (n % 2 == 0).then_some(n), "{n} of {count}");
            }
            assert!(table.get(Key { zones: u32::MAX, source: 0, destination: 0 }).is_none());
        }
    }
}
