//! Capture time as the engine's clock.

use std::time::Duration;

use wire::Time;

/// Runs as the capture's timestamps do, but never backwards, and not over a gap longer than allowed.
#[derive(Debug)]
pub(super) struct Clock {
    now: Time,
    /// The latest timestamp so far, nanoseconds since the Unix epoch.
    latest: Option<u64>,
    max_gap: Option<Duration>,
}

impl Clock {
    /// When the first packet comes: not the origin, so that every packet has a past.
    const START: Time = Time::from_secs(1);

    pub(super) fn new(max_gap: Option<Duration>) -> Self {
        Self { now: Self::START, latest: None, max_gap }
    }

    pub(super) fn now(&self) -> Time {
        self.now
    }

    /// A packet of this time arrives.
    pub(super) fn advance(&mut self, timestamp: u64) -> Time {
        let latest = self.latest.map_or(timestamp, |latest| latest.max(timestamp));
        let gap = Duration::from_nanos(latest - self.latest.unwrap_or(latest));
        self.latest = Some(latest);
        self.now = self.now + self.max_gap.map_or(gap, |most| gap.min(most));
        self.now
    }
}

/// Parses a time such as `20ms`, `1.5s` or `250us`.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let nanos_per_unit = match &text[digits.len()..] {
        "ns" => 1.0,
        "us" => 1e3,
        "ms" => 1e6,
        "s" => 1e9,
        "m" => 60e9,
        _ => return Err("a time has a unit: 20ms, 1.5s, 250us".to_owned()),
    };
    let number: f64 = digits.parse().map_err(|_| format!("`{digits}` is no number"))?;
    let seconds = number * nanos_per_unit / 1e9;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Clock, duration};
    use std::time::Duration;
    use wire::Time;

    fn run(max_gap: Option<Duration>, timestamps: &[u64]) -> Vec<Duration> {
        let mut clock = Clock::new(max_gap);
        let since_start = |time: Time| time.since(Clock::START);
        timestamps.iter().map(|timestamp| since_start(clock.advance(*timestamp))).collect()
    }

    #[test]
    fn follows_the_capture_and_never_goes_back() {
        let nanos = Duration::from_nanos;
        assert_eq!(run(None, &[50, 60, 55, 61]), [nanos(0), nanos(10), nanos(10), nanos(11)]);
        assert_eq!(run(None, &[60, 0, 1 << 63]), [nanos(0), nanos(0), nanos((1 << 63) - 60)]);
    }

    #[test]
    fn a_long_gap_counts_as_the_longest() {
        let millis = Duration::from_millis;
        let times = [0, 5_000_000, 86_400_000_000_000, 86_400_001_000_000];
        let expected = [millis(0), millis(5), millis(25), millis(26)];
        assert_eq!(run(Some(millis(20)), &times), expected);
    }

    #[test]
    fn reads_times() {
        assert_eq!(duration("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(duration("1.5s"), Ok(Duration::from_millis(1_500)));
        assert_eq!(duration("0s"), Ok(Duration::ZERO));
        for bad in ["20", "ms", "-1s", "1h30m", "", "1e99s", "nans"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}
