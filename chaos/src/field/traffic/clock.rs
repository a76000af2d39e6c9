//! Sleeping to a point in time, and pacing.

use std::time::Duration;

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::time::{ClockId, ClockNanosleepFlags, clock_gettime, clock_nanosleep};

/// CLOCK_MONOTONIC.
pub(super) fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("a clock that every Linux has").into()
}

/// Sleeps until CLOCK_MONOTONIC shows `at`.
pub(super) fn sleep_until(at: Duration) {
    let at = TimeSpec::from(at);
    let absolute = ClockNanosleepFlags::TIMER_ABSTIME;
    while clock_nanosleep(ClockId::CLOCK_MONOTONIC, absolute, &at) == Err(Errno::EINTR) {}
}

/// Turns at a fixed rate.
#[derive(Debug)]
pub(super) struct Pace {
    next: Duration,
    period: Duration,
}

impl Pace {
    pub(super) fn new(period: Duration) -> Self {
        Self { next: monotonic(), period }
    }

    pub(super) fn per_second(rate: u32) -> Self {
        Self::new(Duration::from_secs(1) / rate.max(1))
    }

    /// Sleeps until the next turn; how many are due, at least one. Turns that were missed are not
    /// made up for by turns without a pause.
    pub(super) fn wait(&mut self) -> u64 {
        sleep_until(self.next);
        let late = monotonic().saturating_sub(self.next);
        let due = 1 + (late.as_nanos() / self.period.as_nanos()) as u64;
        self.next += self.period * due as u32;
        due
    }
}
