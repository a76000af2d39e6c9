//! Times by quarters of powers of two.

use core::time::Duration;

use crate::limits::HOLD_BUCKETS;

/// Parts that a power of two is cut into.
const PARTS: usize = 4;

/// Counts of times. Four buckets of one width share what lies between 2^n ns and 2^(n+1); those of the
/// first two powers have one place for several, and the last bucket has all that are longer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; HOLD_BUCKETS],
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: [0; HOLD_BUCKETS] }
    }
}

impl Histogram {
    /// Counts one.
    pub fn add(&mut self, nanos: u64) {
        self.buckets[bucket(nanos).min(HOLD_BUCKETS - 1)] += 1;
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The time that so many of a thousand stay below: the upper end of their bucket.
    pub fn below(&self, permille: u64) -> Option<Duration> {
        let wanted = (self.count() * permille).div_ceil(1_000).max(1);
        let mut seen = 0;
        let reached = |count: &u64| {
            seen += count;
            seen >= wanted
        };
        self.buckets.iter().position(reached).map(|bucket| Duration::from_nanos(end(bucket)))
    }
}

fn bucket(nanos: u64) -> usize {
    let power = nanos.checked_ilog2().unwrap_or(0);
    let part = ((nanos << 2) >> power) as usize % PARTS;
    power as usize * PARTS + part
}

/// What a bucket's times stay below.
fn end(bucket: usize) -> u64 {
    let (power, part) = (bucket / PARTS, bucket % PARTS);
    ((PARTS + part + 1) as u64) << power >> 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_upper_ends_of_buckets() {
        let mut histogram = Histogram::default();
        assert_eq!(histogram.below(500), None);
        (0..99).for_each(|_| histogram.add(1_000));
        histogram.add(u64::MAX);
        assert_eq!(histogram.below(500), Some(Duration::from_nanos(1_024)));
        assert_eq!(histogram.below(990), Some(Duration::from_nanos(1_024)));
        assert_eq!(histogram.below(1_000), Some(Duration::from_nanos(1 << (HOLD_BUCKETS / PARTS))));
        histogram.add(0);
        assert_eq!(histogram.count(), 101);
    }

    #[test]
    fn a_bucket_is_a_quarter_of_its_power_wide() {
        for power in 3..38 {
            for part in 0..4_u64 {
                let start = (4 + part) << power >> 2;
                let width = 1_u64 << power >> 2;
                let at = bucket(start);
                assert_eq!((bucket(start + width - 1), end(at)), (at, start + width), "{start}");
                assert_eq!(bucket(start - 1), at - 1, "{start}");
            }
        }
    }
}
