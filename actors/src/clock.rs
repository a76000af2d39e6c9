//! The clock that drivers read: CLOCK_MONOTONIC, which is the XDP program's too.

use core::time::Duration;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use wire::Time;

/// Names the environment variable with the seconds by which this process's clock is ahead. For tests
/// alone: nodes on one machine share its clock, nodes of the world share none, and what compares times
/// of two nodes must not go unnoticed.
pub const OFFSET_VARIABLE: &str = "RINGWALL_TEST_CLOCK_OFFSET_SECONDS";

static OFFSET: LazyLock<Duration> = LazyLock::new(|| {
    let text = std::env::var(OFFSET_VARIABLE).unwrap_or_default();
    Duration::from_secs(text.parse::<u32>().unwrap_or(0).into())
});

/// Reads the time.
#[must_use]
pub fn now() -> Time {
    // The kernel knows this clock on every system that has XDP; it cannot fail.
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists");
    let nanos = i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec());
    Time(u64::try_from(nanos).unwrap_or(u64::MAX)) + *OFFSET
}

/// What the clock of the wall shows, in seconds since 1970: for people, who compare it with theirs. It
/// jumps, so nothing may depend on it.
#[must_use]
pub fn unix_seconds() -> Option<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.ok().map(|since| since.as_secs())
}

/// By how much this process's clock is ahead of the kernel's; nothing outside of tests.
#[must_use]
pub fn offset() -> Duration {
    *OFFSET
}

/// What the kernel's clock shows at `time`, for deadlines that the XDP program keeps.
#[must_use]
pub fn of_kernel(time: Time) -> Time {
    Time(time.0.saturating_sub(OFFSET.as_nanos() as u64))
}
