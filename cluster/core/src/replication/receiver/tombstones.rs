//! Identities whose end came before messages that may still tell of their life.

use std::collections::HashMap;

use engine::session::SessionId;

use crate::limits::{ITEMS_PER_MESSAGE_MAX, TOMBSTONES_MAX, WINDOW_MESSAGES};
use crate::replication::keyed::Keyed;

/// A map from identity to the number of the message that ended it, bounded by the window.
#[derive(Debug)]
pub(super) struct Tombstones {
    by_id: HashMap<SessionId, u64, Keyed>,
    /// What message n ended, at n modulo the window: messages come in any order, and one that is ahead
    /// of the others must not keep theirs.
    by_message: Box<[Vec<SessionId>]>,
    /// Tombstones up to this number are gone.
    expired: u64,
}

impl Tombstones {
    pub(super) fn new(seed: u64) -> Self {
        let message = |_| Vec::with_capacity(ITEMS_PER_MESSAGE_MAX);
        Self {
            by_id: HashMap::with_capacity_and_hasher(TOMBSTONES_MAX, Keyed::new(seed)),
            by_message: (0..WINDOW_MESSAGES).map(message).collect(),
            expired: 0,
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.by_message.iter_mut().for_each(Vec::clear);
        self.expired = 0;
    }

    /// The window reaches `number`, and its message has no more items than one may have.
    pub(super) fn add(&mut self, id: SessionId, number: u64) {
        debug_assert!((1..=WINDOW_MESSAGES).contains(&number.saturating_sub(self.expired)));
        let before = self.by_id.insert(id, number);
        if let Some(higher) = before.filter(|before| *before > number) {
            self.by_id.insert(id, higher);
        }
        self.by_message[place(number)].push(id);
    }

    /// Whether a record in message `number` is older than the end of `id`.
    pub(super) fn covers(&self, id: SessionId, number: u64) -> bool {
        self.by_id.get(&id).is_some_and(|end| number < *end)
    }

    /// No number up to `settled` comes any more, so no tombstone up to the next is of use.
    pub(super) fn expire(&mut self, settled: u64) {
        let last = settled + 1;
        let first = (self.expired + 1).max(last.saturating_sub(WINDOW_MESSAGES) + 1);
        for number in first..=last {
            for id in self.by_message[place(number)].drain(..) {
                // A later message may have ended it once more.
                if self.by_id.get(&id).is_some_and(|end| *end <= last) {
                    self.by_id.remove(&id);
                }
            }
        }
        self.expired = self.expired.max(last);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// Those of a delete that came in two messages count twice.
    pub(super) fn len(&self) -> usize {
        self.by_message.iter().map(Vec::len).sum()
    }
}

fn place(number: u64) -> usize {
    (number % WINDOW_MESSAGES) as usize
}
