//! How long to wait before a message counts as lost (RFC 6298). No number is sent twice, so every
//! acknowledgment measures, and Karn's rule has no use here.

use core::time::Duration;

use wire::Time;

use crate::limits::{RTO_FIRST, RTO_MAX, RTO_MIN};

/// The estimate.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rtt {
    smoothed: Option<u64>,
    variation: u64,
    doublings: u32,
}

impl Rtt {
    pub(super) const fn new() -> Self {
        Self { smoothed: None, variation: 0, doublings: 0 }
    }

    /// A message sent at `sent` was acknowledged (RFC 6298 §2.2, §2.3).
    pub(super) fn measured(&mut self, sent: Time, now: Time) {
        let sample = now.as_nanos().saturating_sub(sent.as_nanos());
        self.doublings = 0;
        let Some(smoothed) = self.smoothed else {
            (self.smoothed, self.variation) = (Some(sample), sample / 2);
            return;
        };
        self.variation = self.variation / 4 * 3 + smoothed.abs_diff(sample) / 4;
        self.smoothed = Some(smoothed / 8 * 7 + sample / 8);
    }

    /// Messages were lost by time (RFC 6298 §5.5).
    pub(super) fn expired(&mut self) {
        self.doublings = (self.doublings + 1).min(10);
    }

    /// The present timeout.
    pub(super) fn timeout(&self) -> Duration {
        let base = match self.smoothed {
            Some(smoothed) => Duration::from_nanos(smoothed.saturating_add(4 * self.variation)),
            None => RTO_FIRST,
        };
        (base.max(RTO_MIN) * (1 << self.doublings)).min(RTO_MAX)
    }

    /// The smoothed round trip, if one was measured.
    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed.map(Duration::from_nanos)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(rtt: &mut Rtt, millis: u64) -> Duration {
        rtt.measured(Time::ZERO, Time::from_millis(millis));
        rtt.timeout()
    }

    #[test]
    fn the_timeout_follows_the_round_trip_within_its_bounds() {
        let mut rtt = Rtt::new();
        assert_eq!(rtt.timeout(), RTO_FIRST);
        assert_eq!(after(&mut rtt, 20), Duration::from_millis(20 + 4 * 10));
        assert_eq!(
            after(&mut rtt, 20),
            Duration::from_millis(20 + 4 * 7) + Duration::from_millis(2)
        );
        rtt.expired();
        assert_eq!(rtt.timeout(), Duration::from_millis(100));
        (0..20).for_each(|_| rtt.expired());
        assert_eq!(rtt.timeout(), RTO_MAX);
        (0..100).for_each(|_| _ = after(&mut rtt, 0));
        assert_eq!(rtt.timeout(), RTO_MIN);
    }
}
