//! Packets that wait: until the next hop's link-layer address is known, or the backup has a session.
//!
//! All memory is taken at construction: a slot per frame, a queue per key (neighbour or session), both
//! threaded through the slots by index. A frame is copied in, and lent out again when its time comes
//! ([`Pending::release`]) or its life is over ([`Pending::expire`]).
//!
//! ```text
//! queues  key ── first ─► slot ─► slot ─► last       in order of arrival
//! age     oldest ─► slot ─► slot ─► slot ─► youngest          all lives are equal: a plain queue
//! ```

use std::collections::HashMap;
use std::hash::Hash;
use std::time::Duration;

use wire::Time;

use crate::keyed::Keyed;
use crate::limits::{HELD_FRAME_BYTES, HELD_FRAMES, HELD_LIFE, HELD_PER_NEIGHBOUR};

#[cfg(test)]
mod tests;

/// Frames held, in a queue for each `K`. `M` is what is wanted back with each frame.
#[derive(Debug)]
pub struct Pending<K, M> {
    bounds: Bounds,
    bytes: Box<[u8]>, // slot n owns bytes[n * frame_bytes ..][.. frame_bytes]
    slots: Box<[Slot<K, M>]>, // by slot number
    queues: Queues<K>, // never more than slots, so it never grows
    free: u32,        // chain of free slots, by `behind`
    age: Ends,
    held: usize,
}

impl<K: Copy + Eq + Hash, M: Copy + Default> Pending<K, M> {
    /// A store with the bounds of this crate's limits.
    pub fn new(seed: u64) -> Self {
        Self::with_bounds(Bounds::default(), seed)
    }

    /// A store with other bounds; takes all its memory at once. `seed` keys the index.
    pub fn with_bounds(bounds: Bounds, seed: u64) -> Self {
        let slot = |n: usize| Slot { behind: link(n + 1, bounds.frames), ..Slot::default() };
        // Twice the entries: a map that is never more than half full cleans up in place when
        // removals have worn it out, and does not allocate.
        let index = HashMap::with_capacity_and_hasher(2 * bounds.frames, Keyed::new(seed));
        Self {
            bytes: vec![0; bounds.frames * bounds.frame_bytes].into(),
            slots: (0..bounds.frames).map(slot).collect(),
            queues: index,
            free: link(0, bounds.frames),
            age: Ends::EMPTY,
            held: 0,
            bounds,
        }
    }

    /// Copies a frame in, behind those of the same key.
    pub fn hold(&mut self, key: K, frame: &[u8], now: Time, meta: M) -> Result<Held, Refused> {
        if frame.len() > self.bounds.frame_bytes {
            return Err(Refused::TooLong);
        }
        let waiting = self.queues.get(&key).map_or(0, |queue| queue.frames);
        if waiting == self.bounds.per_queue {
            return Err(Refused::QueueFull);
        }
        let number = self.free;
        if number == NONE {
            return Err(Refused::StoreFull);
        }
        self.free = self.slots[at(number)].behind;
        self.bytes_of(number)[..frame.len()].copy_from_slice(frame);
        let since = now;
        let length = frame.len() as u32;
        self.slots[at(number)] = Slot { key: Some(key), length, since, meta, ..Slot::default() };
        self.enter_age(number);
        self.enter_queue(key, number);
        self.held += 1;
        Ok(if waiting == 0 { Held::First } else { Held::Behind })
    }

    /// The frame that has waited longest under `key`: to be called until it gives `None`, when what they
    /// wait for has come.
    pub fn release(&mut self, key: K) -> Option<Frame<'_, K, M>> {
        let number = self.queues.get(&key)?.ends.first;
        Some(self.take(number))
    }

    /// What was given with the frame that has waited longest under `key`.
    pub fn first(&self, key: K) -> Option<&M> {
        let number = self.queues.get(&key)?.ends.first;
        self.slots.get(at(number)).map(|slot| &slot.meta)
    }

    /// What was given with the frame that has waited least under `key`.
    pub fn last(&self, key: K) -> Option<&M> {
        let number = self.queues.get(&key)?.ends.last;
        self.slots.get(at(number)).map(|slot| &slot.meta)
    }

    /// A frame whose life is over: to be called until it gives `None`.
    pub fn expire(&mut self, now: Time) -> Option<Frame<'_, K, M>> {
        if self.next_expiry()? > now {
            return None;
        }
        Some(self.take(self.age.first))
    }

    /// When the oldest frame's life is over.
    pub fn next_expiry(&self) -> Option<Time> {
        let oldest = self.slots.get(at(self.age.first))?;
        Some(oldest.since + self.bounds.life)
    }

    /// The frame that has waited longest of all: its key, and what was given with it.
    pub fn oldest(&self) -> Option<(K, &M)> {
        let slot = self.slots.get(at(self.age.first))?;
        Some((slot.key?, &slot.meta))
    }

    /// Whether a frame more finds a slot.
    pub const fn has_room(&self) -> bool {
        self.free != NONE
    }

    /// Whether a frame of so many bytes can be held under `key`.
    pub fn fits(&self, key: K, bytes: usize) -> bool {
        let waiting = self.queues.get(&key).map_or(0, |queue| queue.frames);
        bytes <= self.bounds.frame_bytes && waiting < self.bounds.per_queue && self.has_room()
    }

    /// Number of frames held.
    pub const fn len(&self) -> usize {
        self.held
    }

    /// Whether no frame is held.
    pub const fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Number of keys that frames wait under.
    pub fn queues(&self) -> usize {
        self.queues.len()
    }

    /// Unlinks a slot, which must be the first of its queue, and lends its frame: the bytes stay as
    /// they are until the next `hold`.
    fn take(&mut self, number: u32) -> Frame<'_, K, M> {
        self.leave_age(number);
        let slot = self.slots[at(number)];
        let key = slot.key.expect("a slot in use has a key");
        self.leave_queue(key, number);
        self.slots[at(number)].key = None;
        self.slots[at(number)].behind = self.free;
        self.free = number;
        self.held -= 1;
        let Slot { length, since, meta, .. } = slot;
        let bytes = &mut self.bytes_of(number)[..length as usize];
        Frame { key, bytes, since, meta }
    }

    fn enter_queue(&mut self, key: K, number: u32) {
        let queue = self.queues.entry(key).or_insert(Queue { ends: Ends::EMPTY, frames: 0 });
        let last = queue.ends.last;
        queue.frames += 1;
        queue.ends.last = number;
        if last == NONE {
            queue.ends.first = number;
        } else {
            self.slots[at(last)].behind = number;
        }
    }

    /// Lives are equal and time does not go back, so whichever way a frame leaves, it is the first
    /// of its queue.
    fn leave_queue(&mut self, key: K, number: u32) {
        let queue = self.queues.get_mut(&key).expect("a slot in use is in its queue");
        assert_eq!(queue.ends.first, number, "frames leave their queue in order");
        queue.frames -= 1;
        queue.ends.first = self.slots[at(number)].behind;
        if queue.frames == 0 {
            self.queues.remove(&key);
        }
    }

    fn enter_age(&mut self, number: u32) {
        let last = self.age.last;
        self.slots[at(number)].older = last;
        self.age.last = number;
        if last == NONE {
            self.age.first = number;
        } else {
            self.slots[at(last)].younger = number;
        }
    }

    fn leave_age(&mut self, number: u32) {
        let Slot { older, younger, .. } = self.slots[at(number)];
        match self.slots.get_mut(at(older)) {
            Some(older) => older.younger = younger,
            None => self.age.first = younger,
        }
        match self.slots.get_mut(at(younger)) {
            Some(younger) => younger.older = older,
            None => self.age.last = older,
        }
    }

    fn bytes_of(&mut self, number: u32) -> &mut [u8] {
        let size = self.bounds.frame_bytes;
        &mut self.bytes[at(number) * size..][..size]
    }
}

/// How much is held, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// Frames under one key.
    pub per_queue: usize,
    /// Frames in all.
    pub frames: usize,
    /// Bytes of the longest frame; `frames × frame_bytes` is the memory.
    pub frame_bytes: usize,
    /// Life of a frame.
    pub life: Duration,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            per_queue: HELD_PER_NEIGHBOUR,
            frames: HELD_FRAMES,
            frame_bytes: HELD_FRAME_BYTES,
            life: HELD_LIFE,
        }
    }
}

/// How a frame was taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Nothing waited under this key yet: what it waits for must be asked for.
    First,
    /// Others wait already.
    Behind,
}

/// Why a frame was not taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// As many frames as allowed wait under this key.
    QueueFull,
    /// As many frames as allowed wait in all.
    StoreFull,
    /// The frame is longer than a slot.
    TooLong,
}

/// A frame lent out: it is no longer held.
#[derive(Debug)]
pub struct Frame<'a, K, M> {
    /// What it waited under.
    pub key: K,
    /// The frame as it was held; may be changed in place.
    pub bytes: &'a mut [u8],
    /// When it was held.
    pub since: Time,
    /// What was given with it.
    pub meta: M,
}

#[derive(Clone, Copy, Debug)]
struct Slot<K, M> {
    key: Option<K>, // None: free
    length: u32,
    since: Time,
    behind: u32, // the next one of the same queue, or of the free chain
    older: u32,
    younger: u32,
    meta: M,
}

impl<K, M: Default> Default for Slot<K, M> {
    fn default() -> Self {
        Self {
            key: None,
            length: 0,
            since: Time::ZERO,
            behind: NONE,
            older: NONE,
            younger: NONE,
            meta: M::default(),
        }
    }
}

type Queues<K> = HashMap<K, Queue, Keyed>;

#[derive(Clone, Copy, Debug)]
struct Queue {
    ends: Ends,
    frames: usize,
}

#[derive(Clone, Copy, Debug)]
struct Ends {
    first: u32,
    last: u32,
}

impl Ends {
    const EMPTY: Self = Self { first: NONE, last: NONE };
}

/// No slot: past the end of any store, so that `get` finds nothing.
const NONE: u32 = u32::MAX;

fn at(number: u32) -> usize {
    number as usize
}

fn link(number: usize, frames: usize) -> u32 {
    if number < frames { number as u32 } else { NONE }
}
