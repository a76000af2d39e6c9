//! Identities whose end came before messages that may still tell of their life.

use std::collections::{HashMap, VecDeque};

use engine::session::SessionId;

use crate::limits::{ITEMS_PER_MESSAGE_MAX, TOMBSTONES_MAX};
use crate::replication::keyed::Keyed;

/// A bounded map from identity to the number of the message that ended it.
#[derive(Debug)]
pub(super) struct Tombstones {
    by_id: HashMap<SessionId, u64, Keyed>,
    order: VecDeque<(u64, SessionId)>,
}

impl Tombstones {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            by_id: HashMap::with_capacity_and_hasher(TOMBSTONES_MAX, Keyed::new(seed)),
            order: VecDeque::with_capacity(TOMBSTONES_MAX),
        }
    }

    pub(super) fn clear(&mut self) {
        self.by_id.clear();
        self.order.clear();
    }

    /// Whether the deletes of one more message fit.
    pub(super) fn has_room(&self) -> bool {
        self.order.len() + ITEMS_PER_MESSAGE_MAX <= TOMBSTONES_MAX
    }

    pub(super) fn add(&mut self, id: SessionId, number: u64) {
        let before = self.by_id.insert(id, number);
        if let Some(higher) = before.filter(|before| *before > number) {
            self.by_id.insert(id, higher);
        }
        self.order.push_back((number, id));
    }

    /// Whether a record in message `number` is older than the end of `id`.
    pub(super) fn covers(&self, id: SessionId, number: u64) -> bool {
        self.by_id.get(&id).is_some_and(|end| number < *end)
    }

    /// No number up to `settled` comes any more, so no tombstone up to the next is of use. One that
    /// stands behind a higher one waits for it, by a window at most.
    pub(super) fn expire(&mut self, settled: u64) {
        while let Some((number, id)) = self.order.pop_front_if(|(it, _)| *it <= settled + 1) {
            if self.by_id.get(&id) == Some(&number) {
                self.by_id.remove(&id);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }
}
