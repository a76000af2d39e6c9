//! A hash table of slot numbers with chaining, in memory of fixed size.

/// No slot.
pub(super) const NONE: u32 = u32::MAX;

/// Finds the slots of a hash; the caller compares keys. Two slots of one hash come newest first.
pub(super) struct Index {
    /// First slot of each bucket; their number is a power of two.
    heads: Box<[u32]>,
    /// The slot behind each slot.
    next: Box<[u32]>,
}

impl Index {
    /// For slots `0..slots`.
    pub(super) fn new(slots: usize) -> Self {
        let buckets = (slots * 2).next_power_of_two();
        Self { heads: filled(buckets), next: filled(slots) }
    }

    pub(super) fn insert(&mut self, hash: u64, slot: u32) {
        let bucket = self.bucket(hash);
        self.next[slot as usize] = self.heads[bucket];
        self.heads[bucket] = slot;
    }

    /// Takes out a slot that is in.
    pub(super) fn remove(&mut self, hash: u64, slot: u32) {
        let bucket = self.bucket(hash);
        let behind = self.next[slot as usize];
        if self.heads[bucket] == slot {
            self.heads[bucket] = behind;
            return;
        }
        let before = self.slots(hash).find(|&other| self.next[other as usize] == slot);
        if let Some(before) = before {
            self.next[before as usize] = behind;
        }
    }

    /// The slots of the bucket of `hash`.
    pub(super) fn slots(&self, hash: u64) -> impl Iterator<Item = u32> {
        let mut at = self.heads[self.bucket(hash)];
        std::iter::from_fn(move || {
            let slot = (at != NONE).then_some(at)?;
            at = self.next[slot as usize];
            Some(slot)
        })
    }

    fn bucket(&self, hash: u64) -> usize {
        hash as usize & (self.heads.len() - 1)
    }
}

fn filled(length: usize) -> Box<[u32]> {
    vec![NONE; length].into_boxed_slice()
}
