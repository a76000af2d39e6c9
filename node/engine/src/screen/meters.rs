//! How often something happened in the running second, in fixed memory.
//!
//! Each thing stands in one of the sets by its keyed hash, with 48 bits of it; what is not of the running
//! second, else what happened least, gives way. So a flood from forged sources turns over the forged ones,
//! and its destination stays. A newcomer begins at nothing: nobody answers for another one's packets.

use wire::Time;

use crate::limits::{METER_SETS, METER_WAYS};

/// Counts of the running second, by hash.
pub(super) struct Meters {
    sets: Box<[Set]>,
}

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Set([Count; METER_WAYS]);

#[derive(Clone, Copy)]
struct Count {
    tag: u32,
    second: u32,
    count: u32,
}

const FREE: Count = Count { tag: 0, second: 0, count: 0 };

impl Meters {
    pub(super) fn new() -> Self {
        Self { sets: vec![Set([FREE; METER_WAYS]); METER_SETS].into() }
    }

    /// How often it happened in this second.
    #[inline]
    pub(super) fn count(&self, hash: u64, now: Time) -> u32 {
        let (tag, second) = (tag(hash), second(now));
        let counts = self.sets[set(hash)].0.iter();
        let mut known = counts.filter(|it| it.tag == tag && it.second == second);
        known.next().map_or(0, |it| it.count)
    }

    /// Reads its set early.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u32 {
        self.sets[set(hash)].0[0].tag
    }

    /// It happened once more.
    #[inline]
    pub(super) fn add(&mut self, hash: u64, now: Time) {
        let (tag, second) = (tag(hash), second(now));
        let ways = &mut self.sets[set(hash)].0;
        let way = ways.iter().position(|it| it.tag == tag).unwrap_or_else(|| {
            let least = (0..METER_WAYS).min_by_key(|way| {
                let Count { second: of, count, .. } = ways[*way];
                if of == second { count } else { 0 }
            });
            least.expect("a set has ways")
        });
        let before = ways[way];
        let same = before.tag == tag && before.second == second;
        let count = if same { before.count.saturating_add(1) } else { 1 };
        ways[way] = Count { tag, second, count };
    }
}

const fn set(hash: u64) -> usize {
    hash as usize % METER_SETS
}

/// Never that of a free place.
const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

const fn second(now: Time) -> u32 {
    (now.as_nanos() / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(77);

    #[test]
    fn each_second_begins_at_nothing() {
        let mut meters = Meters::new();
        (0..5).for_each(|_| meters.add(9 << 40, NOW));
        assert_eq!([meters.count(9 << 40, NOW), meters.count(8 << 40, NOW)], [5, 0]);
        let next = Time::from_secs(78);
        assert_eq!(meters.count(9 << 40, next), 0);
        meters.add(9 << 40, next);
        assert_eq!(meters.count(9 << 40, next), 1);
    }

    #[test]
    fn what_happens_most_stays_whoever_else_comes() {
        let mut meters = Meters::new();
        for other in 10..10_000_u64 {
            meters.add(5 << 40, NOW);
            meters.add(other << 40, NOW);
        }
        assert_eq!(meters.count(5 << 40, NOW), 9_990);
        assert!((10..10_000).all(|other| meters.count(other << 40, NOW) <= 1));
    }
}
