//! The clock that drivers read: CLOCK_MONOTONIC, which is the XDP program's too.

use core::time::Duration;
use std::sync::LazyLock;
use std::time::{SystemTime, UNIX_EPOCH};

use cluster_core::policy::{Clocks, MachineBoot, WallTime};
use nix::time::{ClockId, clock_gettime};
use wire::Time;

/// Names the environment variable with the seconds by which this process's clock is ahead. For tests
/// alone: nodes on one machine share its clock, nodes of the world share none, and what compares times
/// of two nodes must not go unnoticed.
pub const OFFSET_VARIABLE: &str = "RINGWALL_TEST_CLOCK_OFFSET_SECONDS";

/// Names the environment variable with a file that has the seconds by which the wall clock is off, read at
/// each look. For tests alone: a clock that jumps while the daemon runs.
pub const WALL_OFFSET_VARIABLE: &str = "RINGWALL_TEST_WALL_OFFSET_FILE";

static OFFSET: LazyLock<Duration> = LazyLock::new(|| {
    let text = std::env::var(OFFSET_VARIABLE).unwrap_or_default();
    Duration::from_secs(text.parse::<u32>().unwrap_or(0).into())
});

static WALL_OFFSET: LazyLock<Option<std::path::PathBuf>> =
    LazyLock::new(|| std::env::var_os(WALL_OFFSET_VARIABLE).map(Into::into));

static MACHINE: LazyLock<MachineBoot> = LazyLock::new(|| {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    // Without it, every start counts as one of the machine, and deadlines go by the wall clock.
    MachineBoot(u128::from_str_radix(&digits, 16).unwrap_or_else(|_| now().0.into()))
});

/// Reads the time.
#[must_use]
pub fn now() -> Time {
    read(ClockId::CLOCK_MONOTONIC)
}

/// Reads CLOCK_BOOTTIME, which counts on while the machine sleeps.
#[must_use]
pub fn boottime() -> Time {
    read(ClockId::CLOCK_BOOTTIME)
}

/// Reads all clocks that the policy's machines count by.
#[must_use]
pub fn all() -> Clocks {
    Clocks { now: now(), boottime: boottime(), machine: *MACHINE, wall: wall() }
}

fn read(clock: ClockId) -> Time {
    // The kernel knows these clocks on every system that has XDP; it cannot fail.
    let time = clock_gettime(clock).expect("the clock exists");
    let nanos = i128::from(time.tv_sec()) * 1_000_000_000 + i128::from(time.tv_nsec());
    Time(u64::try_from(nanos).unwrap_or(u64::MAX)) + *OFFSET
}

/// What the clock of the wall shows. It jumps.
#[must_use]
pub fn wall() -> WallTime {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let millis = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
    let read = |path: &std::path::PathBuf| std::fs::read_to_string(path).ok();
    let text = WALL_OFFSET.as_ref().and_then(read).unwrap_or_default();
    let offset = text.trim().parse::<i64>().unwrap_or(0).saturating_mul(1_000);
    WallTime(millis.saturating_add_signed(offset))
}

/// What the clock of the wall shows, in seconds since 1970: for people, who compare it with theirs. It
/// jumps, so nothing may depend on it.
#[must_use]
pub fn unix_seconds() -> Option<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.ok().map(|since| since.as_secs())
}

/// Seconds since midnight by the clock of the wall, in UTC: which hour of the day it is, whatever an hour is
/// called here.
#[must_use]
pub fn second_of_day() -> u32 {
    (wall().0 / 1_000 % 86_400) as u32
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
