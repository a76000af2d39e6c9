//! Whether this node may forward, as far as its policy says: between the policy's actor and whoever has
//! the lease, neither of whom waits for the other.
//!
//! ```text
//! lease's side   holds := true, then reads `begin`      (not allowed: holds := false)
//! actor's side   begin := 0,    then reads `holds`
//! ```
//!
//! So a lease that begins while the policy moves is seen by one side or the other: either the actor knows
//! that the node forwards, and whoever commits waits for it, or the lease does not begin.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::Arc;

use tokio::sync::Notify;
use wire::Time;

/// The words that both sides see. Clones are the same ones.
#[derive(Clone, Debug, Default)]
pub struct Permit(Arc<Words>);

#[derive(Debug, Default)]
struct Words {
    /// Until when (CLOCK_BOOTTIME) a lease may begin.
    begin: AtomicU64,
    /// Whether one that there is may go on.
    go_on: AtomicBool,
    /// Whether there is one, or one is about to begin.
    holds: AtomicBool,
    /// Rings when one may begin that could not.
    opened: Notify,
}

impl Permit {
    /// For the lease's side, before a lease begins and before each renewal: whether it may.
    #[must_use]
    pub fn take(&self, boottime: Time) -> bool {
        let Words { begin, go_on, holds, .. } = &*self.0;
        if holds.load(Ordering::SeqCst) {
            return go_on.load(Ordering::SeqCst);
        }
        holds.store(true, Ordering::SeqCst);
        let may = boottime.0 < begin.load(Ordering::SeqCst);
        if !may {
            holds.store(false, Ordering::SeqCst);
        }
        may
    }

    /// For the lease's side: what [`Self::take`] would say. Nothing begins.
    #[must_use]
    pub fn would_take(&self, boottime: Time) -> bool {
        let Words { begin, go_on, holds, .. } = &*self.0;
        if holds.load(Ordering::SeqCst) {
            go_on.load(Ordering::SeqCst)
        } else {
            boottime.0 < begin.load(Ordering::SeqCst)
        }
    }

    /// For the lease's side: resolves when a lease may begin; whoever waits looks at [`Self::take`] then.
    pub async fn opened(&self) {
        self.0.opened.notified().await;
    }

    /// For the lease's side: it has certainly ended.
    pub fn end(&self) {
        self.0.holds.store(false, Ordering::SeqCst);
    }

    /// For the actor: no lease begins from now on; whether there is one.
    #[must_use]
    pub fn close(&self) -> bool {
        self.0.begin.store(0, Ordering::SeqCst);
        self.0.holds.load(Ordering::SeqCst)
    }

    /// For the actor, after [`Self::close`]: what the policy allows now.
    pub fn open(&self, begin: Option<Time>, go_on: bool) {
        self.0.go_on.store(go_on, Ordering::SeqCst);
        self.0.begin.store(begin.map_or(0, |until| until.0), Ordering::SeqCst);
        if begin.is_some() && !self.0.holds.load(Ordering::SeqCst) {
            self.0.opened.notify_one();
        }
    }

    /// For the actor when it ends: nothing begins, and nothing goes on.
    pub fn revoke(&self) {
        let _ = self.close();
        self.open(None, false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_begins_within_the_time_and_goes_on_beyond_it() {
        let permit = Permit::default();
        assert!(!permit.take(Time(1)), "nobody has opened it");
        assert!(!permit.close(), "and so there is none");
        permit.open(Some(Time(10)), true);
        assert!(permit.would_take(Time(9)) && !permit.would_take(Time(10)));
        assert!(!permit.close(), "a look begins nothing");
        permit.open(Some(Time(10)), true);
        assert!(!permit.take(Time(10)) && permit.take(Time(9)));
        assert!(permit.take(Time(11)), "it goes on");
        assert!(permit.close());
        assert!(permit.take(Time(12)), "also while the policy moves");
        permit.open(None, false);
        assert!(!permit.take(Time(13)), "it cannot run what it should");
        permit.end();
        permit.open(None, true);
        assert!(!permit.take(Time(14)), "a new one may not begin");
    }

    /// Both sides at once, many times: if the lease began, the actor saw it or had not closed before.
    #[test]
    fn no_lease_begins_unseen_while_the_policy_moves() {
        for _ in 0..2_000 {
            let permit = Permit::default();
            permit.open(Some(Time(u64::MAX)), true);
            let (mine, theirs) = (permit.clone(), permit);
            let taker = std::thread::spawn(move || theirs.take(Time(1)));
            let seen = mine.close();
            let began = taker.join().expect("no panic");
            // It may have been about to begin, and not have begun.
            assert!(seen || !began);
        }
    }
}
