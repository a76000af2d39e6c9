//! Sessions that ended here: their keys and identities wait to be sent, and are remembered until the
//! peer can no longer send a record of one.
//!
//! ```text
//!   add ──► waiting ──sent──► under way ──acknowledged──► echo ──► forgotten
//!             ▲────────lost───────┘                        until every message that the peer made
//!                                                          before it knew has come or never will
//! ```
//!
//! Without the last step, a record that crossed the delete on its way would bring the session back.

use std::collections::{HashMap, VecDeque};

use engine::session::{CloseReason, SessionId};
use wire::FlowKey;

use super::keyed::Keyed;
use super::queues::Stamp;

/// A bounded store of ended sessions.
#[derive(Debug)]
pub(super) struct Deletes {
    entries: Vec<Delete>,
    free: Vec<u32>,
    by_id: HashMap<SessionId, u32, Keyed>,
    waiting: VecDeque<u32>,
    /// The peer's number after which none of its messages knows the session, and the entry.
    echo: VecDeque<(u64, u32)>,
    capacity: usize,
}

/// A session that ended.
#[derive(Clone, Copy, Debug)]
pub(super) struct Delete {
    pub(super) key: FlowKey,
    pub(super) id: SessionId,
    pub(super) reason: CloseReason,
    pub(super) noted: Stamp,
}

impl Deletes {
    pub(super) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            entries: Vec::with_capacity(capacity),
            free: Vec::with_capacity(capacity),
            by_id: HashMap::with_capacity_and_hasher(capacity, Keyed::new(seed)),
            waiting: VecDeque::with_capacity(capacity),
            echo: VecDeque::with_capacity(capacity),
            capacity,
        }
    }

    /// Remembers an ended session; false if there is no room.
    pub(super) fn add(&mut self, delete: Delete) -> bool {
        if self.by_id.contains_key(&delete.id) {
            return true;
        }
        let Some(index) = self.take(delete) else { return false };
        self.by_id.insert(delete.id, index);
        self.waiting.push_back(index);
        true
    }

    fn take(&mut self, delete: Delete) -> Option<u32> {
        if let Some(index) = self.free.pop() {
            self.entries[index as usize] = delete;
            return Some(index);
        }
        let fits = self.entries.len() < self.capacity;
        fits.then(|| self.entries.push(delete))?;
        u32::try_from(self.entries.len() - 1).ok()
    }

    /// Whether the session ended here and the peer may not know.
    pub(super) fn contains(&self, id: SessionId) -> bool {
        !self.by_id.is_empty() && self.by_id.contains_key(&id)
    }

    /// The next one to send.
    pub(super) fn first(&self) -> Option<(u32, &Delete)> {
        let index = *self.waiting.front()?;
        Some((index, &self.entries[index as usize]))
    }

    /// When the session of an entry ended.
    pub(super) fn noted(&self, index: u32) -> Stamp {
        self.entries[index as usize].noted
    }

    /// The next one to send is under way.
    pub(super) fn sent(&mut self) {
        self.waiting.pop_front();
    }

    /// One that was under way is lost.
    pub(super) fn send_again(&mut self, index: u32) {
        self.waiting.push_front(index);
    }

    /// The peer has applied one; what it makes after its message `barrier` does not know the session.
    pub(super) fn acknowledged(&mut self, index: u32, barrier: u64) {
        self.echo.push_back((barrier, index));
    }

    /// Every message of the peer up to `settled` has come, or never will.
    pub(super) fn settle(&mut self, settled: u64) {
        while let Some((_, index)) = self.echo.pop_front_if(|(barrier, _)| *barrier <= settled) {
            self.forget(index);
        }
    }

    /// The peer begins anew and knows no session.
    pub(super) fn forget_echo(&mut self) {
        self.settle(u64::MAX);
    }

    /// Forgets those that wait and that `keep` does not want.
    pub(super) fn retain_waiting(&mut self, keep: impl Fn(CloseReason) -> bool) {
        for _ in 0..self.waiting.len() {
            let Some(index) = self.waiting.pop_front() else { return };
            match keep(self.entries[index as usize].reason) {
                true => self.waiting.push_back(index),
                false => self.forget(index),
            }
        }
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// All that are remembered.
    pub(super) fn len(&self) -> usize {
        self.by_id.len()
    }

    fn forget(&mut self, index: u32) {
        self.by_id.remove(&self.entries[index as usize].id);
        self.free.push(index);
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::model;
    use super::*;

    fn delete(counter: u64, reason: CloseReason) -> Delete {
        let id = SessionId { node: 1, boot: 1, counter };
        Delete { key: model::key(counter as u16), id, reason, noted: Stamp::of(wire::Time(0)) }
    }

    fn ids(deletes: &Deletes) -> Vec<u64> {
        deletes.waiting.iter().map(|it| deletes.entries[*it as usize].id.counter).collect()
    }

    #[test]
    fn a_full_store_refuses_and_loses_none_that_it_has() {
        let mut deletes = Deletes::new(2, 7);
        assert!(deletes.add(delete(1, CloseReason::TcpFin)));
        assert!(deletes.add(delete(2, CloseReason::TcpFin)));
        assert!(!deletes.add(delete(3, CloseReason::TcpFin)));
        assert!(deletes.add(delete(2, CloseReason::TcpFin)), "known already");
        assert_eq!(ids(&deletes), [1, 2]);
    }

    #[test]
    fn one_is_remembered_until_the_peers_older_messages_are_settled() {
        let mut deletes = Deletes::new(1, 7);
        assert!(deletes.add(delete(1, CloseReason::TcpFin)));
        let (index, _) = deletes.first().expect("it waits");
        deletes.sent();
        deletes.send_again(index);
        assert_eq!(ids(&deletes), [1], "a lost one waits again");
        deletes.sent();
        deletes.acknowledged(index, 9);
        deletes.settle(8);
        assert!(deletes.contains(SessionId { node: 1, boot: 1, counter: 1 }));
        deletes.settle(9);
        assert_eq!((deletes.len(), deletes.waiting()), (0, 0));
        assert!(deletes.add(delete(2, CloseReason::TcpFin)), "its room is free again");
    }

    #[test]
    fn those_that_are_not_wanted_go_and_the_others_keep_their_order() {
        let mut deletes = Deletes::new(4, 7);
        let reasons = [CloseReason::TcpFin, CloseReason::Timeout, CloseReason::TcpRst];
        for (counter, reason) in (1..).zip(reasons) {
            assert!(deletes.add(delete(counter, reason)));
        }
        deletes.retain_waiting(|reason| reason != CloseReason::Timeout);
        assert_eq!(ids(&deletes), [1, 3]);
        assert_eq!(deletes.len(), 2);
    }
}
