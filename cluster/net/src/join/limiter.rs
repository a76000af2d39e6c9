//! How often a proof is looked at.

use std::time::Instant;

use crate::limits::{JOIN_BURST, JOIN_INTERVAL};

/// A bucket of attempts that fills up again with time.
#[derive(Debug)]
pub(super) struct Limiter {
    left: u32,
    since: Instant,
}

impl Limiter {
    pub(super) fn new(now: Instant) -> Self {
        Self { left: JOIN_BURST, since: now }
    }

    /// Whether one more may be looked at now.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        while self.left < JOIN_BURST && now.duration_since(self.since) >= JOIN_INTERVAL {
            self.left += 1;
            self.since += JOIN_INTERVAL;
        }
        if self.left == JOIN_BURST {
            self.since = now;
        }
        let allowed = self.left > 0;
        self.left = self.left.saturating_sub(1);
        allowed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_then_one_an_interval() {
        let start = Instant::now();
        let mut limiter = Limiter::new(start);
        let mut taken = |now| (0..100).filter(|_| limiter.take(now)).count();
        assert_eq!(taken(start), JOIN_BURST as usize);
        assert_eq!(taken(start + JOIN_INTERVAL / 2), 0);
        assert_eq!(taken(start + JOIN_INTERVAL), 1);
        assert_eq!(taken(start + JOIN_INTERVAL * 3), 2);
        assert_eq!(taken(start + JOIN_INTERVAL * 1000), JOIN_BURST as usize);
    }
}
