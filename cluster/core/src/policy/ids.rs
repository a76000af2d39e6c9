//! Numbers and times of the policy's machines.

use std::fmt;
use std::time::Duration;

use wire::Time;

/// The number of a revision, and the version of the policy in force. 0 stands for none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Epoch(pub u64);

/// A proposal, by the place of its entry in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProposalId(pub u64);

/// A request, by a random number of whoever makes it. A retry has the same one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u128);

/// What a node runs: an epoch, and the revision that brought its text. A revert and a rollback have an
/// epoch of their own, and an earlier one's text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// What sessions and logs are marked with.
    pub epoch: Epoch,
    /// Where to find the text.
    pub source: Epoch,
}

/// Milliseconds since 1970, by somebody's wall clock: for people, and for a deadline that outlives its
/// machine.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WallTime(pub u64);

/// One run of a machine's kernel (`/proc/sys/kernel/random/boot_id`); a daemon's restart keeps it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MachineBoot(pub u128);

/// All clocks of a node, read at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Clocks {
    /// CLOCK_MONOTONIC, in which leases are told.
    pub now: Time,
    /// CLOCK_BOOTTIME, which also counts while the machine sleeps; it begins with `machine`.
    pub boottime: Time,
    /// In which run of the kernel.
    pub machine: MachineBoot,
    /// CLOCK_REALTIME: may jump.
    pub wall: WallTime,
}

impl Epoch {
    /// No revision at all.
    pub const NONE: Self = Self(0);

    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl Version {
    /// Nothing: all is dropped.
    pub const NONE: Self = Self { epoch: Epoch::NONE, source: Epoch::NONE };
}

impl WallTime {
    /// How long after `earlier`; nothing if it is not.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// A time after this.
    #[must_use]
    pub fn after(self, span: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(span.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
