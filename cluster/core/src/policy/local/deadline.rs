//! When a trial ends here, whatever happens to daemon, machine and clocks meanwhile.
//!
//! | since it began | what counts |
//! |---|---|
//! | the same run of the kernel, daemon restarted or not | CLOCK_BOOTTIME; nobody can set it |
//! | the machine was restarted | the wall clock, but never less than nothing, nor more than the whole span |

use std::time::Duration;

use wire::Time;

use crate::policy::{Clocks, MachineBoot, WallTime};

/// A deadline that can be written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// In which run of the kernel `at` is told.
    pub machine: MachineBoot,
    /// By its CLOCK_BOOTTIME.
    pub at: Time,
    /// By the wall clock.
    pub wall: WallTime,
    /// The most that can be left.
    pub span: Duration,
}

impl Deadline {
    /// `span` from now.
    #[must_use]
    pub fn new(span: Duration, clocks: &Clocks) -> Self {
        let (at, wall) = (clocks.boottime + span, clocks.wall.after(span));
        Self { machine: clocks.machine, at, wall, span }
    }

    /// The same deadline, told in this run of the kernel: what is left may be less than it was, never more.
    #[must_use]
    pub fn carried_over(self, clocks: &Clocks) -> Self {
        if self.machine == clocks.machine {
            return self;
        }
        Self::new(self.wall.since(clocks.wall).min(self.span), clocks)
    }

    /// Whether it has come.
    #[must_use]
    pub fn has_come(&self, clocks: &Clocks) -> bool {
        self.carried_over(clocks).at <= clocks.boottime
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn clocks(machine: u128, boottime_ms: u64, wall_ms: u64) -> Clocks {
        let boottime = Time::from_millis(boottime_ms);
        let (machine, wall) = (MachineBoot(machine), WallTime(wall_ms));
        Clocks { now: boottime, boottime, machine, wall }
    }

    /// A deadline of 20 s, set at 1,000 s after the boot of machine 1, at 10 h by the wall.
    fn deadline() -> Deadline {
        Deadline::new(Duration::from_secs(20), &clocks(1, 1_000_000, 10 * HOUR))
    }

    #[test]
    fn it_comes_after_the_span_and_not_before() {
        let cases = [
            // machine, boottime, wall, has it come
            (1, 1_019_999, 10 * HOUR, false, "not yet"),
            (1, 1_020_000, 10 * HOUR, true, "now"),
            (1, 1_019_999, 11 * HOUR, false, "the wall clock jumped ahead"),
            (1, 1_020_000, 9 * HOUR, true, "the wall clock jumped back"),
            (2, 5, 10 * HOUR + 19_999, false, "the machine was restarted, in time"),
            (2, 5, 10 * HOUR + 20_000, true, "the machine was restarted, too late"),
            (2, 2_000_000, 10 * HOUR + 1, false, "another machine run's boottime says nothing"),
            (2, 5, 9 * HOUR, false, "restarted with a clock set back"),
        ];
        for (machine, boottime, wall, come, name) in cases {
            assert_eq!(deadline().has_come(&clocks(machine, boottime, wall)), come, "{name}");
        }
    }

    #[test]
    fn carried_over_a_restart_it_has_no_more_than_the_span_left() {
        let left = |wall| {
            let there = clocks(2, 7_000, wall);
            deadline().carried_over(&there).at.since(there.boottime)
        };
        assert_eq!(left(10 * HOUR + 5_000), Duration::from_secs(15));
        assert_eq!(left(9 * HOUR), Duration::from_secs(20), "clamped");
        assert_eq!(left(11 * HOUR), Duration::ZERO);
        assert_eq!(deadline().carried_over(&clocks(1, 5, 0)), deadline(), "the same run: as it is");
    }
}
