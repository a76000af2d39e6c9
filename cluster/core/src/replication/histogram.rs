//! Times by powers of two.

use core::time::Duration;

use crate::limits::HOLD_BUCKETS;

/// Counts of times; bucket n has those of at least 2^n ns and below 2^(n+1), the first also 0 and the
/// last all that are longer.
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
        let bucket = nanos.checked_ilog2().unwrap_or(0) as usize;
        self.buckets[bucket.min(HOLD_BUCKETS - 1)] += 1;
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
        let bucket = self.buckets.iter().position(reached)?;
        Some(Duration::from_nanos(2 << bucket))
    }
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
        assert_eq!(histogram.below(1_000), Some(Duration::from_nanos(1 << HOLD_BUCKETS)));
        histogram.add(0);
        assert_eq!(histogram.count(), 101);
    }
}
