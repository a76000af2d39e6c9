//! Of the system: the clock, cores, and who we are.

use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::time::{ClockId, clock_gettime};
use nix::unistd::{Pid, geteuid};
use wire::Time;

use crate::failure::Failure;

/// The core of whoever sends.
pub(crate) const SENDER_CORE: usize = 0;
/// The core of whoever forwards.
pub(crate) const FORWARDER_CORE: usize = 1;

/// Moves this thread to a core. A machine that has only one runs both there, and says so.
pub(crate) fn pin(core: usize) -> Result<(), Failure> {
    let mut set = CpuSet::new();
    let pinned = set.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    pinned.map_err(|errno| Failure::io(&format!("run on core {core}"))(errno.into()))
}

/// CLOCK_MONOTONIC, as the worker is told it.
pub(crate) fn now() -> Time {
    Time(read(ClockId::CLOCK_MONOTONIC).as_nanos() as u64)
}

/// CPU time of this thread.
pub(crate) fn thread_time() -> Duration {
    read(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

fn read(clock: ClockId) -> Duration {
    clock_gettime(clock).expect("a clock that every Linux has").into()
}

/// Refuses without the right to make namespaces.
pub(crate) fn require_root() -> Result<(), Failure> {
    if !geteuid().is_root() {
        return Err(Failure::Skipped("network namespaces and AF_XDP need root".to_owned()));
    }
    netns::available().map_err(Failure::Skipped)
}
