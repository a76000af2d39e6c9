//! Bulk: bringing all sessions of some slots from the owner to the joiner.
//!
//! ```text
//!  joiner                                owner
//!    │ ── request (bulk, slots) ───────►  │   again and again until it is answered
//!    │ ◄── begin (bulk, sessions) ─────── │
//!    │ ◄══ records, as changes ══════════ │   a page of the table whenever its queue runs low;
//!    │                                    │   live changes go on beside it
//!    │ ◄── end (bulk) ─────────────────── │   when every record is acknowledged
//!    │ ── done (bulk) ─────────────────►  │
//!  sweep: what the owner no longer has goes
//!  wait for digests that agree
//! ```
//!
//! The owner's cursor outlives a lost connection: what was under way waits again, and the walk goes
//! on where it was. Another run of either daemon begins anew, under a new number.

pub(super) mod joiner;
pub(super) mod owner;

use core::time::Duration;

use wire::Time;

/// What a bulk is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// This node takes the owner's sessions for the truth, and drops others.
    Join,
    /// Both nodes had sessions of their own; both ask, and neither drops any.
    Merge,
    /// Digests of some slots differ; those are brought over anew.
    Repair,
}

/// How a bulk stands, as the joiner sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// What it is for.
    pub purpose: Purpose,
    /// Sessions that have come, those that were here already included.
    pub done: u32,
    /// About how many there are; 0 while unknown.
    pub total: u32,
    /// Since when.
    pub since: Time,
    /// Sessions a second, since then.
    pub per_second: u32,
    /// How long the rest will take, if that can be told.
    pub eta: Option<Duration>,
}

/// How a bulk ended; what readiness asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All sessions are here, and so far as slots stood still, digests prove it.
    Complete,
    /// It took too long. It goes on, but nobody needs to wait for it.
    DeadlinePassed,
    /// This node owns the sessions now.
    Abandoned,
}

impl Progress {
    fn new(purpose: Purpose, done: u32, total: u32, since: Time, now: Time) -> Self {
        let nanos = now.since(since).as_nanos().max(1);
        let per_second = (u128::from(done) * 1_000_000_000 / nanos) as u32;
        let left = u64::from(total.saturating_sub(done));
        let known = total > 0 && per_second > 0;
        let eta = known.then(|| Duration::from_millis(left * 1_000 / u64::from(per_second.max(1))));
        Self { purpose, done, total, since, per_second, eta }
    }
}
