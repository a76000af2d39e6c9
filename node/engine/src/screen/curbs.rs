//! Limits that the detector has lowered for one source, destination or zone: above it in sum, each worker
//! lets its part of the limit through. Each has an end, so that a detector that is gone limits nobody.
//!
//! A limit stands in one of the sets by the hash of what it counts, with 48 bits of it. In a full set the one
//! that ends first gives way.

use wire::Time;

use crate::limits::{CURB_SETS, CURB_WAYS};

/// What is limited, to how much, and until when.
pub(super) struct Curbs {
    sets: Box<[Set]>,
    /// Until then something may be limited: before it nothing is looked for.
    last_end: Time,
}

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Set([Curb; CURB_WAYS]);

#[derive(Clone, Copy)]
struct Curb {
    tag: u32,
    most: u32,
    until: Time,
}

const FREE: Curb = Curb { tag: 0, most: 0, until: Time::ZERO };

impl Curbs {
    pub(super) fn new() -> Self {
        Self { sets: vec![Set([FREE; CURB_WAYS]); CURB_SETS].into(), last_end: Time::ZERO }
    }

    /// What a limit of the policy is for the thing with this hash.
    #[inline]
    pub(super) fn lowered(&self, limit: u32, hash: u64, now: Time) -> u32 {
        if self.last_end <= now {
            return limit;
        }
        let tag = tag(hash);
        let mut known = self.sets[set(hash)].0.iter().filter(|it| it.tag == tag && it.until > now);
        known.next().map_or(limit, |it| limit.min(it.most))
    }

    /// Lets so many through until then.
    pub(super) fn set(&mut self, hash: u64, most: u32, until: Time) {
        let (ways, tag) = (&mut self.sets[set(hash)].0, tag(hash));
        let way = ways.iter().position(|it| it.tag == tag).unwrap_or_else(|| {
            let first = (0..CURB_WAYS).min_by_key(|way| ways[*way].until);
            first.expect("a set has ways")
        });
        ways[way] = Curb { tag, most, until };
        self.last_end = self.last_end.max(until);
    }

    /// The policy's limit again.
    pub(super) fn lift(&mut self, hash: u64) {
        let tag = tag(hash);
        let ways = &mut self.sets[set(hash)].0;
        ways.iter_mut().filter(|it| it.tag == tag).for_each(|it| *it = FREE);
    }

    /// The policy's limits for everybody.
    pub(super) fn clear(&mut self) {
        self.sets.fill(Set([FREE; CURB_WAYS]));
        self.last_end = Time::ZERO;
    }
}

const fn set(hash: u64) -> usize {
    hash as usize % CURB_SETS
}

/// Never that of a free place.
const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    #[test]
    fn a_limit_is_lowered_until_its_end_or_a_word() {
        let mut curbs = Curbs::new();
        curbs.set(1 << 40, 50, at(10));
        curbs.set(2 << 40, 5, at(20));
        let lowered = |curbs: &Curbs, hash: u64, now| curbs.lowered(100, hash << 40, at(now));
        assert_eq!([1, 2, 3].map(|hash| lowered(&curbs, hash, 9)), [50, 5, 100]);
        assert_eq!(curbs.lowered(7, 1 << 40, at(9)), 7, "never above the policy's");
        assert_eq!([1, 2].map(|hash| lowered(&curbs, hash, 10)), [100, 5]);
        curbs.set(1 << 40, 60, at(30));
        curbs.lift(2 << 40);
        assert_eq!([1, 2].map(|hash| lowered(&curbs, hash, 19)), [60, 100]);
        curbs.clear();
        assert_eq!(lowered(&curbs, 1, 19), 100);
    }

    #[test]
    fn in_a_full_set_the_one_that_ends_first_gives_way() {
        let mut curbs = Curbs::new();
        let last = CURB_WAYS as u64 + 1;
        (1..=last).for_each(|it| curbs.set(it << 40, 1, at(100 + it)));
        assert_eq!(curbs.lowered(100, 1 << 40, at(1)), 100);
        assert!((2..=last).all(|it| curbs.lowered(100, it << 40, at(1)) == 1));
    }
}
