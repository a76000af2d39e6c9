//! The one notion of time: an argument everywhere, read by workers and drivers only.
use core::ops::Add;
use core::time::Duration;

/// A point in time, in nanoseconds of CLOCK_MONOTONIC (the XDP program's clock too).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub u64);

impl Time {
    /// The clock's origin.
    pub const ZERO: Self = Self(0);
    /// A point that never comes: about 584 years after the origin.
    pub const MAX: Self = Self(u64::MAX);

    /// `secs` seconds after the origin, saturating.
    pub const fn from_secs(secs: u64) -> Self {
        Self(secs.saturating_mul(1_000_000_000))
    }

    /// `millis` milliseconds after the origin, saturating.
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis.saturating_mul(1_000_000))
    }

    /// `micros` microseconds after the origin, saturating.
    pub const fn from_micros(micros: u64) -> Self {
        Self(micros.saturating_mul(1_000))
    }

    /// Nanoseconds after the origin.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// How long after `earlier` this is; zero if it is not after it.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Time {
    type Output = Self;

    /// Saturates at [`Time::MAX`].
    #[inline]
    fn add(self, span: Duration) -> Self {
        let nanos = u64::try_from(span.as_nanos()).unwrap_or(u64::MAX);
        Self(self.0.saturating_add(nanos))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_saturates() {
        assert_eq!(Time::from_secs(2), Time::from_millis(2_000));
        assert_eq!(Time::from_millis(3), Time::from_micros(3_000));
        assert_eq!(Time::from_micros(1).as_nanos(), 1_000);
        assert_eq!(Time::from_secs(5).since(Time::from_secs(3)), Duration::from_secs(2));
        assert_eq!(Time::from_secs(3).since(Time::from_secs(5)), Duration::ZERO);
        assert_eq!(Time::MAX + Duration::from_nanos(1), Time::MAX);
        assert_eq!(Time(7) + Duration::MAX, Time::MAX);
        assert_eq!(Time::from_secs(u64::MAX), Time::MAX);
    }
}
