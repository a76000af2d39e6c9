//! Limits that the detector has lowered for one source, destination or zone: above it in sum, each worker
//! lets its part of the limit through. Each has an end, so that a detector that is gone limits nobody.

use wire::Time;

use super::timed::Timed;
use crate::limits::{CURB_SETS, CURB_WAYS};

/// What is limited, to how much, and until when.
pub(super) struct Curbs(Timed<u32, CURB_SETS, CURB_WAYS>);

impl Curbs {
    pub(super) fn new() -> Self {
        Self(Timed::new())
    }

    /// Whether nothing is limited.
    #[inline]
    pub(super) const fn is_empty(&self, now: Time) -> bool {
        self.0.last_end().as_nanos() <= now.as_nanos()
    }

    /// What a limit of the policy is for the thing with this hash.
    #[inline]
    pub(super) fn lowered(&self, limit: u32, hash: u64, now: Time) -> u32 {
        if self.is_empty(now) {
            return limit;
        }
        self.0.live(hash, now).map_or(limit, |most| limit.min(most))
    }

    /// Lets so many through until then.
    pub(super) fn set(&mut self, hash: u64, most: u32, until: Time) {
        self.0.set(hash, most, until);
    }

    /// The policy's limit again.
    pub(super) fn lift(&mut self, hash: u64) {
        self.0.lift(hash);
    }

    /// The policy's limits for everybody.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
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
