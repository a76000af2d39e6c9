//! The heaviest things of a stream: Space-Saving, with weights.
//!
//! A thing that has an entry adds to it. One that has none takes the place of the lightest entry and goes on
//! from its count, which becomes its *error*: for every entry `count - error ≤ truth ≤ count`, no error is
//! above total / capacity, and every thing heavier than that has an entry (Metwally, Agrawal, El Abbadi,
//! "Efficient Computation of Frequent and Top-k Elements in Data Streams", 2005). Two of them merge with the
//! same bounds over both streams (Agarwal, Cormode, Huang, Phillips, Wei, Yi, "Mergeable Summaries", 2013):
//! what only one of them has may have been missed by the other one up to its lightest count.
//!
//! The lightest is the top of a heap, so an update costs O(log capacity).

use std::collections::BTreeMap;

use crate::bytes::{Malformed, Reader, put_count};
use crate::limits::SPACE_SAVING_ENTRIES_MAX;

const VERSION: u8 = 1;

/// What can be counted and told to another node.
pub trait Stored: Copy + Ord {
    /// Appends its bytes.
    fn store(&self, out: &mut Vec<u8>);

    /// Reads them back.
    ///
    /// # Errors
    /// Bytes that are none.
    fn load(reader: &mut Reader<'_>) -> Result<Self, Malformed>;
}

/// A thing and how heavy it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry<K> {
    /// The thing.
    pub key: K,
    /// Its weight at most.
    pub count: u64,
    /// How much of that may be others'.
    pub error: u64,
}

impl<K> Entry<K> {
    /// Its weight at least.
    pub const fn least(&self) -> u64 {
        self.count - self.error
    }
}

/// The heaviest things, `capacity` of them.
#[derive(Clone, Debug)]
pub struct SpaceSaving<K> {
    capacity: usize,
    total: u64,
    /// A binary heap by count, the lightest first.
    heap: Vec<Entry<K>>,
    /// Where each thing stands in the heap.
    places: BTreeMap<K, u16>,
}

impl<K: Stored> SpaceSaving<K> {
    /// An empty one with room for `capacity` things, at least one.
    pub fn new(capacity: usize) -> Self {
        let capacity = capacity.clamp(1, SPACE_SAVING_ENTRIES_MAX);
        let heap = Vec::with_capacity(capacity);
        Self { capacity, total: 0, heap, places: BTreeMap::new() }
    }

    /// Adds `weight` to a thing.
    pub fn add(&mut self, key: K, weight: u64) {
        if weight == 0 {
            return;
        }
        self.total = self.total.saturating_add(weight);
        if let Some(at) = self.places.get(&key).copied() {
            let entry = &mut self.heap[usize::from(at)];
            entry.count = entry.count.saturating_add(weight);
            self.sink(usize::from(at));
        } else if self.heap.len() < self.capacity {
            self.push(Entry { key, count: weight, error: 0 });
        } else {
            let lightest = self.heap[0];
            self.places.remove(&lightest.key);
            let count = lightest.count.saturating_add(weight);
            self.heap[0] = Entry { key, count, error: lightest.count };
            self.places.insert(key, 0);
            self.sink(0);
        }
    }

    /// The entry of a thing.
    pub fn get(&self, key: &K) -> Option<Entry<K>> {
        self.places.get(key).map(|at| self.heap[usize::from(*at)])
    }

    /// The heaviest first; of equal ones the lower key.
    pub fn heaviest(&self) -> Vec<Entry<K>> {
        let mut all = self.heap.clone();
        all.sort_by(|a, b| b.count.cmp(&a.count).then(a.key.cmp(&b.key)));
        all
    }

    /// The sum of all weights.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// What a thing without an entry may weigh at most: total / capacity, or less.
    pub fn missed(&self) -> u64 {
        if self.heap.len() < self.capacity { 0 } else { self.heap[0].count }
    }

    /// Adds another one, of any capacity. The bounds hold over both streams.
    pub fn merge(&mut self, other: &Self) {
        let (mine, theirs) = (self.missed(), other.missed());
        let mut merged: Vec<_> =
            self.heap.iter().map(|it| sum(*it, other.get(&it.key), theirs)).collect();
        let news = other.heap.iter().filter(|it| !self.places.contains_key(&it.key));
        merged.extend(news.map(|it| sum(*it, None, mine)));
        merged.sort_by(|a, b| b.count.cmp(&a.count).then(a.key.cmp(&b.key)));
        merged.truncate(self.capacity);
        self.total = self.total.saturating_add(other.total);
        self.heap.clear();
        self.places.clear();
        merged.into_iter().for_each(|entry| self.push(entry));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.total = 0;
        self.heap.clear();
        self.places.clear();
    }

    /// Version, capacity, total, number of entries, entries.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        [self.capacity as u64, self.total, self.heap.len() as u64]
            .into_iter()
            .for_each(|it| put_count(it, out));
        for entry in self.heaviest() {
            entry.key.store(out);
            put_count(entry.count, out);
            put_count(entry.error, out);
        }
    }

    /// Reads what [`SpaceSaving::encode`] wrote.
    ///
    /// # Errors
    /// Another version, more than a limit, a thing twice, an error above its count, an early end.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.version(VERSION)?;
        let mut limited = |max: usize| {
            let count = usize::try_from(reader.count()?).map_err(|_| Malformed::Limit)?;
            if count <= max { Ok(count) } else { Err(Malformed::Limit) }
        };
        let capacity = limited(SPACE_SAVING_ENTRIES_MAX)?.max(1);
        let total = reader.count()?;
        let count = reader.count()?;
        if count > capacity as u64 {
            return Err(Malformed::Limit);
        }
        let mut read = Self { capacity, total, heap: Vec::new(), places: BTreeMap::new() };
        for _ in 0..count {
            let entry =
                Entry { key: K::load(reader)?, count: reader.count()?, error: reader.count()? };
            if entry.error > entry.count || read.places.contains_key(&entry.key) {
                return Err(Malformed::Value);
            }
            read.push(entry);
        }
        Ok(read)
    }

    fn push(&mut self, entry: Entry<K>) {
        let mut at = self.heap.len();
        self.heap.push(entry);
        while at > 0 {
            let above = (at - 1) / 2;
            if self.heap[above].count <= entry.count {
                break;
            }
            self.heap[at] = self.heap[above];
            self.note_place(at);
            at = above;
        }
        self.heap[at] = entry;
        self.note_place(at);
    }

    /// An entry that has become heavier goes down to its place.
    fn sink(&mut self, mut at: usize) {
        let entry = self.heap[at];
        loop {
            let left = 2 * at + 1;
            let Some(mut below) = self.heap.get(left).map(|_| left) else { break };
            if self.heap.get(left + 1).is_some_and(|right| right.count < self.heap[left].count) {
                below = left + 1;
            }
            if self.heap[below].count >= entry.count {
                break;
            }
            self.heap[at] = self.heap[below];
            self.note_place(at);
            at = below;
        }
        self.heap[at] = entry;
        self.note_place(at);
    }

    fn note_place(&mut self, at: usize) {
        self.places.insert(self.heap[at].key, at as u16);
    }
}

/// An entry with what the other sketch knows of its thing, or may have missed of it.
fn sum<K>(entry: Entry<K>, other: Option<Entry<K>>, missed: u64) -> Entry<K> {
    let (count, error) = other.map_or((missed, missed), |it| (it.count, it.error));
    let (count, error) = (entry.count.saturating_add(count), entry.error.saturating_add(error));
    Entry { key: entry.key, count, error }
}

/// A bare number, as tests and simple uses have it.
impl Stored for u64 {
    fn store(&self, out: &mut Vec<u8>) {
        out.extend(self.to_be_bytes());
    }

    fn load(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.u64()
    }
}

#[cfg(test)]
mod tests;
