//! The clock that drivers read: CLOCK_MONOTONIC, which is the XDP program's too.

use nix::time::{ClockId, clock_gettime};
use wire::Time;

/// Reads the time.
#[must_use]
pub fn now() -> Time {
    // The kernel knows this clock on every system that has XDP; it cannot fail.
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists");
    let nanos = i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec());
    Time(u64::try_from(nanos).unwrap_or(u64::MAX))
}
