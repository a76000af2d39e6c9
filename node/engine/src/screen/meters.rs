//! How often something happened in the running second, in fixed memory.
//!
//! Each thing stands in one of the sets by its keyed hash, with 48 bits of it; what is not of the running
//! second, else what happened least, gives way. So a flood from forged sources turns over the forged ones,
//! and its destination stays. A newcomer begins at nothing: nobody answers for another one's packets.
//!
//! While all is quiet, the highest count of a meter says of everybody that the limit is not reached.

use wire::Time;

use super::Meter;
use super::timed::{find, tag};
use crate::limits::{METER_SETS, METER_WAYS};

/// Counts of the running second, by hash.
pub(super) struct Meters {
    sets: Box<[Set]>,
    /// The running second, and when it is over.
    second: u32,
    ends: Time,
    /// What was counted most in it, by [`Meter`], and of all.
    highest: [u32; Meter::ALL],
    most: u32,
}

/// One cache line.
#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Set {
    tags: [u32; METER_WAYS],
    seconds: [u32; METER_WAYS],
    counts: [u32; METER_WAYS],
}

impl Meters {
    pub(super) fn new() -> Self {
        Self {
            sets: vec![Set::default(); METER_SETS].into(),
            second: 0,
            ends: Time::ZERO,
            highest: [0; Meter::ALL],
            most: 0,
        }
    }

    /// Whether nothing happened so often in this second, by any meter.
    #[inline]
    pub(super) const fn all_below(&self, limit: u32, now: Time) -> bool {
        let most = if now.as_nanos() < self.ends.as_nanos() { self.most } else { 0 };
        most < limit
    }

    /// Whether it happened so often in this second, or oftener.
    #[inline]
    pub(super) fn reaches(&self, limit: u32, meter: Meter, hash: u64, now: Time) -> bool {
        let highest = if now < self.ends { self.highest[meter as usize] } else { 0 };
        highest >= limit && self.count(hash, now) >= limit
    }

    /// How often it happened in this second.
    fn count(&self, hash: u64, now: Time) -> u32 {
        let set = &self.sets[set(hash)];
        find(&set.tags, tag(hash)).map_or(0, |way| set.count(way, second(now)))
    }

    /// Reads its set early.
    #[inline]
    pub(super) fn touch(&self, hash: u64) -> u32 {
        self.sets[set(hash)].tags[0]
    }

    /// It happened once more.
    #[inline]
    pub(super) fn add(&mut self, meter: Meter, hash: u64, now: Time) {
        if now >= self.ends {
            self.begin_second(now);
        }
        let second = self.second;
        let (set, tag) = (&mut self.sets[set(hash)], tag(hash));
        let (way, before) = match find(&set.tags, tag) {
            Some(way) => (way, set.count(way, second)),
            None => (set.least(second), 0),
        };
        (set.tags[way], set.seconds[way]) = (tag, second);
        let count = before.saturating_add(1);
        set.counts[way] = count;
        let highest = &mut self.highest[meter as usize];
        *highest = (*highest).max(count);
        self.most = self.most.max(count);
    }

    #[cold]
    fn begin_second(&mut self, now: Time) {
        self.second = second(now);
        self.ends = Time::from_secs(u64::from(self.second) + 1);
        (self.highest, self.most) = ([0; Meter::ALL], 0);
    }
}

impl Set {
    /// What a way has counted in this second.
    #[inline]
    const fn count(&self, way: usize, second: u32) -> u32 {
        if self.seconds[way] == second { self.counts[way] } else { 0 }
    }

    /// The way that has counted least in this second.
    #[inline]
    fn least(&self, second: u32) -> usize {
        // Count, then place, in one word.
        let one = |way: usize| u64::from(self.count(way, second)) << 32 | way as u64;
        (1..METER_WAYS).fold(one(0), |least, way| least.min(one(way))) as u32 as usize
    }
}

const fn set(hash: u64) -> usize {
    hash as usize % METER_SETS
}

const fn second(now: Time) -> u32 {
    (now.as_nanos() / 1_000_000_000) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Time = Time::from_secs(77);
    const METER: Meter = Meter::Icmp;

    #[test]
    fn each_second_begins_at_nothing() {
        let mut meters = Meters::new();
        (0..5).for_each(|_| meters.add(METER, 9 << 40, NOW));
        assert_eq!([meters.count(9 << 40, NOW), meters.count(8 << 40, NOW)], [5, 0]);
        let next = Time::from_secs(78);
        assert_eq!(meters.count(9 << 40, next), 0);
        meters.add(METER, 9 << 40, next);
        assert_eq!(meters.count(9 << 40, next), 1);
    }

    #[test]
    fn a_limit_is_reached_by_who_reaches_it() {
        let mut meters = Meters::new();
        let reaches = |meters: &Meters, limit, hash: u64, now| {
            let others = meters.reaches(limit, Meter::Udp, hash << 40, now);
            (meters.reaches(limit, METER, hash << 40, now), others)
        };
        assert_eq!(reaches(&meters, 0, 9, NOW), (true, true), "nothing is let through");
        (0..5).for_each(|_| meters.add(METER, 9 << 40, NOW));
        meters.add(METER, 8 << 40, NOW);
        assert_eq!([5, 6].map(|limit| reaches(&meters, limit, 9, NOW).0), [true, false]);
        assert_eq!([1, 2].map(|limit| reaches(&meters, limit, 8, NOW).0), [true, false]);
        assert!(!reaches(&meters, 1, 7, NOW).0);
        let next = Time::from_secs(78);
        assert!(!reaches(&meters, 1, 9, next).0, "of the second before");
        meters.add(METER, 8 << 40, next);
        assert_eq!([9, 8].map(|hash| reaches(&meters, 1, hash, next).0), [false, true]);
    }

    #[test]
    fn what_happens_most_stays_whoever_else_comes() {
        let mut meters = Meters::new();
        for other in 10..10_000_u64 {
            meters.add(METER, 5 << 40, NOW);
            meters.add(METER, other << 40, NOW);
        }
        assert_eq!(meters.count(5 << 40, NOW), 9_990);
        assert!((10..10_000).all(|other| meters.count(other << 40, NOW) <= 1));
    }
}
