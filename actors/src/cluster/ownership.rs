//! What membership and workers tell each other past all mailboxes, in one word each.

use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::Arc;

use cluster_core::Term;
use cluster_core::membership::Readiness;

/// Whether this node owns, and in which term; workers look before each turn. Written before the lease
/// opens and after it ends, so that a worker that sees the lease, but not yet this, drops: it never
/// forwards what it does not own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ownership(Arc<AtomicU64>);

impl Ownership {
    pub(super) fn set(&self, owner: bool, term: Term) {
        self.0.store(term.0 << 1 | u64::from(owner), Ordering::Release);
    }

    pub(super) fn get(&self) -> (bool, Term) {
        let word = self.0.load(Ordering::Acquire);
        (word & 1 == 1, Term(word >> 1))
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
        assert_eq!(word.get(), (false, Term(0)));
        for (owner, term) in [(true, Term(7)), (false, Term(7)), (true, Term(1 << 40))] {
            word.set(owner, term);
            assert_eq!(word.get(), (owner, term));
        }
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
