//! Open sessions by source, destination and pair, in fixed memory.
//!
//! Each of them stands in one of the sets by its keyed hash, with 48 bits of it. A newcomer takes a free
//! place, or that of one with a single session; else it is not counted. So a count is never too high, and
//! whoever has many sessions stays: who has a limit to fear is always counted, but for those that came in
//! between.
//!
//! The highest count that there ever was says of everybody that a limit is not reached, until somebody has
//! reached it.

use super::timed::{find, tag};
use crate::limits::{OPEN_SETS, OPEN_WAYS};

/// Counts of open sessions, by hash.
pub(super) struct OpenSessions {
    sets: Box<[Set]>,
    /// The highest count there was: by source, by destination, by both.
    highest: [u32; 3],
    most: u32,
}

/// Half a cache line.
#[derive(Clone, Copy, Default)]
#[repr(C, align(32))]
struct Set {
    tags: [u32; OPEN_WAYS],
    counts: [u32; OPEN_WAYS],
}

impl OpenSessions {
    pub(super) fn new() -> Self {
        Self { sets: vec![Set::default(); OPEN_SETS].into(), highest: [0; 3], most: 0 }
    }

    /// How many there are, as far as they are counted.
    #[inline]
    pub(super) fn count(&self, hash: u64) -> u32 {
        let set = &self.sets[set(hash)];
        find(&set.tags, tag(hash)).map_or(0, |way| set.counts[way])
    }

    /// Reads its set early.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u32 {
        self.sets[set(hash)].tags[0]
    }

    /// Whether nobody was ever counted so often on any side.
    #[inline]
    pub(super) const fn all_below_anywhere(&self, limit: u32) -> bool {
        self.most < limit
    }

    /// Whether nobody was ever counted so often on this side.
    #[inline]
    pub(super) const fn all_below(&self, limit: u32, side: usize) -> bool {
        self.highest[side] < limit
    }

    /// One more, on this side.
    #[inline]
    pub(super) fn begin(&mut self, side: usize, hash: u64) {
        let (set, tag) = (&mut self.sets[set(hash)], tag(hash));
        let count = if let Some(way) = find(&set.tags, tag) {
            set.counts[way] = set.counts[way].saturating_add(1);
            set.counts[way]
        } else {
            if let Some(way) = find(&set.counts, 0).or_else(|| find(&set.counts, 1)) {
                (set.tags[way], set.counts[way]) = (tag, 1);
            }
            1
        };
        self.highest[side] = self.highest[side].max(count);
        self.most = self.most.max(count);
    }

    /// One less.
    #[inline]
    pub(super) fn end(&mut self, hash: u64) {
        let set = &mut self.sets[set(hash)];
        if let Some(way) = find(&set.tags, tag(hash)) {
            set.counts[way] = set.counts[way].saturating_sub(1);
        }
    }

    /// Nobody has any.
    pub(super) fn clear(&mut self) {
        self.sets.fill(Set::default());
        (self.highest, self.most) = ([0; 3], 0);
    }
}

const fn set(hash: u64) -> usize {
    hash as usize % OPEN_SETS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_go_up_and_down_and_never_below_nothing() {
        let mut open = OpenSessions::new();
        assert!(open.all_below(1, 0));
        (0..3).for_each(|_| open.begin(0, 1 << 40));
        assert_eq!([3, 4].map(|limit| open.all_below(limit, 0)), [false, true]);
        assert!(open.all_below(1, 1), "another side");
        open.end(1 << 40);
        open.end(2 << 40);
        assert_eq!([open.count(1 << 40), open.count(2 << 40)], [2, 0]);
        (0..3).for_each(|_| open.end(1 << 40));
        assert_eq!(open.count(1 << 40), 0);
        open.clear();
        assert!(open.all_below(1, 0));
    }

    #[test]
    fn newcomers_take_no_place_of_who_has_many() {
        let mut open = OpenSessions::new();
        let heavy = OPEN_WAYS as u64 - 1;
        for hash in (1..=heavy).map(|it| it << 40) {
            (0..9).for_each(|_| open.begin(0, hash));
        }
        (100..1_000_u64).for_each(|it| open.begin(0, it << 40));
        assert!((1..=heavy).all(|it| open.count(it << 40) == 9));
        assert_eq!((100..1_000_u64).filter(|it| open.count(it << 40) == 1).count(), 1);
        (0..2).for_each(|_| open.begin(0, 999 << 40));
        open.begin(0, 1_000 << 40);
        assert_eq!(open.count(1_000 << 40), 0, "a full set of such as have several");
    }
}
