//! The forwarding lease as workers see it: a deadline that somebody else keeps renewing.

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::Arc;

use wire::Time;

/// Permission to forward until a deadline; clones share it. The XDP program holds its own copy of
/// the deadline, so a process that does not run cannot forward either way.
#[derive(Clone, Debug, Default)]
pub struct Lease(Arc<AtomicU64>);

impl Lease {
    /// How long one renewal lasts: renewed five times as often, so that a busy machine's scheduling
    /// does not end it, and short against what a person notices.
    pub const LENGTH: Duration = Duration::from_millis(1_000);

    /// Extends the lease to `deadline`.
    pub fn renew(&self, deadline: Time) {
        self.0.store(deadline.0, Ordering::Relaxed);
    }

    /// Whether forwarding is allowed at `now`.
    #[must_use]
    pub fn covers(&self, now: Time) -> bool {
        now.0 <= self.0.load(Ordering::Relaxed)
    }
}
