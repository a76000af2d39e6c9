//! What membership and workers tell each other past all mailboxes, in one word each.

use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::Arc;

use cluster_core::Term;
use cluster_core::membership::Readiness;

/// Whether this node owns, and in which term; workers look before each turn. Written before the lease
/// opens and after it ends, so that a worker that sees the lease, but not yet this, drops: it never
/// forwards what it does not own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ownership(Arc<Words>);

#[derive(Debug, Default)]
struct Words {
    role: AtomicU64,
    follows: AtomicU32,
    heals: AtomicU32,
    alone: AtomicBool,
}

/// What a worker sees of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) owner: bool,
    pub(super) term: Term,
    /// How often this node began to follow another owner.
    pub(super) follows: u32,
    /// How often it met the other one after a split.
    pub(super) heals: u32,
    /// Its lease rests on nobody's being heard.
    pub(super) alone: bool,
}

impl Ownership {
    pub(super) fn set(&self, owner: bool, term: Term) {
        self.0.role.store(term.0 << 1 | u64::from(owner), Ordering::Release);
    }

    /// On what the lease rests that begins now; told before it does.
    pub(super) fn rest(&self, alone: bool) {
        self.0.alone.store(alone, Ordering::Release);
    }

    /// Another node owns, and this one stands by; told after it has ceased to own.
    pub(super) fn follow(&self) {
        self.0.follows.fetch_add(1, Ordering::Release);
    }

    /// Both nodes may have forwarded.
    pub(super) fn heal(&self) {
        self.0.heals.fetch_add(1, Ordering::Release);
    }

    /// Whether this node owns now.
    pub(crate) fn is_owner(&self) -> bool {
        self.get().owner
    }

    /// The role is read last: it is not older than what else there is.
    pub(super) fn get(&self) -> Standing {
        let [follows, heals] =
            [&self.0.follows, &self.0.heals].map(|count| count.load(Ordering::Acquire));
        let alone = self.0.alone.load(Ordering::Acquire);
        let word = self.0.role.load(Ordering::Acquire);
        Standing { owner: word & 1 == 1, term: Term(word >> 1), follows, heals, alone }
    }
}

/// Whether one worker's replicas are complete.
#[derive(Clone, Debug)]
pub(crate) struct Completeness(Arc<AtomicU8>);

impl Default for Completeness {
    fn default() -> Self {
        Self(Arc::new(AtomicU8::new(Readiness::BulkWaiting as u8)))
    }
}

impl Completeness {
    pub(super) fn set(&self, readiness: Readiness) {
        self.0.store(readiness as u8, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> Readiness {
        const CODES: [Readiness; 4] = [
            Readiness::Ready,
            Readiness::DeadlinePassed,
            Readiness::BulkWaiting,
            Readiness::BulkRunning,
        ];
        let code = self.0.load(Ordering::Relaxed);
        CODES.into_iter().find(|it| *it as u8 == code).unwrap_or_default()
    }
}

/// A node is as complete as its least complete worker.
pub(super) fn readiness(workers: &[Completeness]) -> Readiness {
    let rank = |it: &Readiness| match it {
        Readiness::Ready => 0,
        Readiness::DeadlinePassed => 1,
        Readiness::BulkRunning => 2,
        Readiness::BulkWaiting => 3,
    };
    workers.iter().map(Completeness::get).max_by_key(rank).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_holds_role_and_term() {
        let word = Ownership::default();
        assert_eq!(word.get(), Standing::default());
        for (owner, term) in [(true, Term(7)), (false, Term(7)), (true, Term(1 << 40))] {
            word.set(owner, term);
            assert_eq!(word.get(), Standing { owner, term, ..Standing::default() });
        }
        word.follow();
        word.heal();
        let Standing { follows, heals, .. } = word.get();
        assert_eq!((follows, heals), (1, 1));
    }

    #[test]
    fn the_least_complete_worker_counts() {
        let workers = [Completeness::default(), Completeness::default()];
        assert_eq!(readiness(&workers), Readiness::BulkWaiting);
        workers[0].set(Readiness::Ready);
        workers[1].set(Readiness::BulkRunning);
        assert_eq!(readiness(&workers), Readiness::BulkRunning);
        workers[1].set(Readiness::DeadlinePassed);
        assert_eq!(readiness(&workers), Readiness::DeadlinePassed);
        workers[1].set(Readiness::Ready);
        assert_eq!(readiness(&workers), Readiness::Ready);
    }
}
