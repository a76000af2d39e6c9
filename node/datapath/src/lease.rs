//! The forwarding lease as workers see it: a deadline that somebody else keeps renewing; and what may be
//! done with transit that comes without it.

use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::Arc;

use wire::Time;

/// Permission to forward until a deadline; clones share it. The XDP program holds its own copy of
/// the deadline, so a process that does not run cannot forward either way.
#[derive(Clone, Debug, Default)]
pub struct Lease(Arc<Words>);

#[derive(Debug, Default)]
struct Words {
    until: AtomicU64,
    /// The deadline that there would have been, had the lease not been ended.
    ended: AtomicU64,
}

impl Lease {
    /// How long one renewal lasts: renewed five times as often, so that a busy machine's scheduling
    /// does not end it, and short against what a person notices.
    pub const LENGTH: Duration = Duration::from_millis(1_000);

    /// Extends the lease to `deadline`.
    pub fn renew(&self, deadline: Time) {
        self.0.until.store(deadline.0, Ordering::Release);
    }

    /// Ends the lease at once.
    pub fn end(&self) {
        let until = self.0.until.swap(0, Ordering::AcqRel);
        if until > 0 {
            self.0.ended.store(until, Ordering::Release);
        }
    }

    /// Whether forwarding is allowed at `now`.
    #[must_use]
    pub fn covers(&self, now: Time) -> bool {
        now.0 <= self.0.until.load(Ordering::Acquire)
    }

    /// Whether what was judged before the lease ended may still leave at `now`: nobody else has a lease
    /// before that deadline, unless this node says that it has stopped.
    #[must_use]
    pub fn covers_output(&self, now: Time) -> bool {
        self.covers(now) || now.0 <= self.0.ended.load(Ordering::Acquire)
    }
}

/// What workers do with transit while there is no lease; clones share it. The XDP program has a deadline
/// for it, too ([`LeaseWord::let_latecomers`](crate::xdp::LeaseWord::let_latecomers)).
#[derive(Clone, Debug, Default)]
pub struct Latecomers(Arc<Deadlines>);

#[derive(Debug, Default)]
struct Deadlines {
    pass_on: AtomicU64,
    heir: AtomicUsize,
    hold: AtomicU64,
    term: AtomicU64,
}

impl Latecomers {
    /// Another node owns now: until then packets are passed on to it.
    pub fn pass_on(&self, until: Time) {
        self.0.pass_on.store(until.0, Ordering::Release);
    }

    /// Which one that is, by its place in [`FabricParts::peers`](crate::fabric::FabricParts::peers); to be
    /// said before [`Self::pass_on`].
    pub fn set_heir(&self, peer: usize) {
        self.0.heir.store(peer, Ordering::Release);
    }

    /// This node is about to own: until then packets are held for that.
    pub fn hold(&self, until: Time) {
        self.0.hold.store(until.0, Ordering::Release);
    }

    /// The term of the ownership, as far as this node knows.
    pub fn set_term(&self, term: u64) {
        self.0.term.store(term, Ordering::Release);
    }

    /// Whether packets are passed on at `now`.
    #[must_use]
    pub fn are_passed_on(&self, now: Time) -> bool {
        now.0 <= self.0.pass_on.load(Ordering::Acquire)
    }

    /// To which of the other nodes.
    #[must_use]
    pub fn heir(&self) -> usize {
        self.0.heir.load(Ordering::Acquire)
    }

    /// Whether packets are held at `now`.
    #[must_use]
    pub fn are_held(&self, now: Time) -> bool {
        now.0 <= self.0.hold.load(Ordering::Acquire)
    }

    /// The term of the ownership.
    #[must_use]
    pub fn term(&self) -> u64 {
        self.0.term.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests {
    use super::{Latecomers, Lease};
    use wire::Time;

    #[test]
    fn what_was_judged_may_leave_until_the_deadline_of_a_lease_that_was_ended() {
        let (lease, at) = (Lease::default(), Time::from_secs);
        assert!(!lease.covers(at(1)) && !lease.covers_output(at(1)));
        lease.renew(at(5));
        assert!(lease.covers(at(5)) && lease.covers_output(at(5)) && !lease.covers_output(at(6)));
        lease.end();
        lease.end();
        assert!(!lease.covers(at(1)) && lease.covers_output(at(5)) && !lease.covers_output(at(6)));
    }

    #[test]
    fn latecomers_have_deadlines_of_their_own() {
        let (words, at) = (Latecomers::default(), Time::from_secs);
        assert!(!words.are_passed_on(at(1)) && !words.are_held(at(1)));
        let twin = words.clone();
        twin.pass_on(at(2));
        twin.hold(at(3));
        twin.set_term(7);
        twin.set_heir(1);
        assert!(words.are_passed_on(at(2)) && !words.are_passed_on(at(3)));
        assert!(words.are_held(at(3)) && !words.are_held(at(4)));
        assert_eq!((words.term(), words.heir()), (7, 1));
    }
}
