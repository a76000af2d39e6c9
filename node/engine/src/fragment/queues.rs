//! All incomplete datagrams: found by key, counted by source, known by age.

use std::hash::BuildHasher;
use std::ops;

use wire::{FragmentKey, Time};

use crate::keyed::Keyed;

use super::index::{Index, NONE};
use super::queue::Queue;

/// A fixed number of queues. A queue is named by its slot.
pub(super) struct Queues {
    slots: Vec<Queue>,
    /// Slots that ever were in use are below the length of `slots`; those free again are chained.
    free: u32,
    capacity: usize,
    len: usize,
    oldest: u32,
    newest: u32,
    by_key: Index,
    by_source: Index,
    hasher: Keyed,
}

impl Queues {
    pub(super) fn new(capacity: usize, seed: u64) -> Self {
        Self {
            slots: Vec::with_capacity(capacity),
            free: NONE,
            capacity,
            len: 0,
            oldest: NONE,
            newest: NONE,
            by_key: Index::new(capacity),
            by_source: Index::new(capacity),
            hasher: Keyed::new(seed),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn is_full(&self) -> bool {
        self.len == self.capacity
    }

    pub(super) fn find(&self, key: &FragmentKey, ingress: u16) -> Option<u32> {
        let hash = self.key_hash(key, ingress);
        self.by_key.slots(hash).find(|&at| self[at].key == *key && self[at].ingress == ingress)
    }

    /// How many queues the source of `key` has, and its oldest.
    pub(super) fn of_source(&self, key: &FragmentKey) -> (usize, Option<u32>) {
        let hash = self.hasher.hash_one(source(key));
        let slots = self.by_source.slots(hash).filter(|&at| source(&self[at].key) == source(key));
        slots.fold((0, None), |(count, _), at| (count + 1, Some(at)))
    }

    pub(super) fn oldest(&self) -> Option<u32> {
        (self.oldest != NONE).then_some(self.oldest)
    }

    /// The oldest that is not `keep`.
    pub(super) fn oldest_but(&self, keep: u32) -> Option<u32> {
        let oldest = self.oldest()?;
        let other = if oldest == keep { self[oldest].newer } else { oldest };
        (other != NONE).then_some(other)
    }

    /// A new queue, the newest; `None` if all are in use.
    pub(super) fn open(&mut self, key: FragmentKey, ingress: u16, now: Time) -> Option<u32> {
        let at = self.slot(Queue::new(key, ingress, now))?;
        self[at].older = self.newest;
        self.len += 1;
        match self.newest {
            NONE => self.oldest = at,
            newest => self[newest].newer = at,
        }
        self.newest = at;
        self.by_key.insert(self.key_hash(&key, ingress), at);
        self.by_source.insert(self.hasher.hash_one(source(&key)), at);
        Some(at)
    }

    pub(super) fn close(&mut self, at: u32) {
        let Queue { key, ingress, older, newer, .. } = self[at];
        self.by_key.remove(self.key_hash(&key, ingress), at);
        self.by_source.remove(self.hasher.hash_one(source(&key)), at);
        match older {
            NONE => self.oldest = newer,
            older => self[older].newer = newer,
        }
        match newer {
            NONE => self.newest = older,
            newer => self[newer].older = older,
        }
        self[at].newer = self.free;
        self.free = at;
        self.len -= 1;
    }

    /// Puts a queue into a free slot.
    fn slot(&mut self, queue: Queue) -> Option<u32> {
        if self.free != NONE {
            let at = self.free;
            self.free = self[at].newer;
            self[at] = queue;
            return Some(at);
        }
        let unused = self.slots.len() < self.capacity;
        unused.then(|| {
            self.slots.push(queue);
            self.slots.len() as u32 - 1
        })
    }

    fn key_hash(&self, key: &FragmentKey, ingress: u16) -> u64 {
        self.hasher.hash_one((key, ingress))
    }
}

/// Source address (the first 16 bytes of a key) and domain.
fn source(key: &FragmentKey) -> ([u8; 16], u16) {
    let mut address = [0; 16];
    address.copy_from_slice(&key.as_bytes()[..16]);
    (address, key.domain())
}

impl ops::Index<u32> for Queues {
    type Output = Queue;

    fn index(&self, at: u32) -> &Queue {
        &self.slots[at as usize]
    }
}

impl ops::IndexMut<u32> for Queues {
    fn index_mut(&mut self, at: u32) -> &mut Queue {
        &mut self.slots[at as usize]
    }
}
