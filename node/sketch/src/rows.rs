//! A bounded table of rows: Space-Saving in sets, so that an update is a fixed, small amount of work.
//!
//! ```text
//! hash ─► one of the sets ─► [ 8 tags | 8 ranks ]  one cache line
//!                              │ the row with this tag and key, else a free one,
//!                              └ else the one of lowest rank: it gives way
//! ```
//!
//! Space-Saving proper lets a newcomer go on from the lightest count, and needs the lightest of all: a heap,
//! and a flood of newcomers then raises every count. Here a newcomer begins at nothing, and beside its count
//! stands what it may have *missed*: the heaviest that any row of its set had when it gave way. So
//! `count ≤ truth ≤ count + missed` always holds, which is Space-Saving's bound seen from below, and what
//! a row says is never too much: nobody is accused of others' packets.
//!
//! Who gives way is decided by a *rank* that the owner of the row sets, not by its count alone: in a book,
//! rows that probed different ports or hosts outrank all that came once, so that a flood from a million
//! forged sources turns over the million and leaves the scanner. The set is chosen by a keyed hash, so
//! nobody can aim at one.

use crate::limits::WAYS;
use crate::seed::Seed;

/// What a row can be about.
pub trait Key: Copy + Default + PartialEq {
    /// Its hash under the seed of the table.
    fn hash(&self, seed: Seed) -> u64;
}

/// What a row notes.
pub trait Noted: Default {
    /// How worthy of its place it is: the lowest of a set gives way.
    fn rank(&self) -> u16;

    /// Its count, of which a newcomer in its place may have missed so much.
    fn weight(&self) -> u32;

    /// Back to the default, at less cost than a new one.
    fn reset(&mut self);
}

/// A row.
#[derive(Clone, Debug, Default)]
pub struct Row<K, V> {
    /// What it is about.
    pub key: K,
    /// What its set gave away at most before it began: how much of this thing may be missing here.
    pub missed: u32,
    /// What is noted.
    pub value: V,
}

/// Tags (0: free) and ranks of a set, and what it gave away at most.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Set {
    tags: [u32; WAYS],
    ranks: [u16; WAYS],
    floor: u32,
}

/// Rows by key, as many as there is room for.
#[derive(Clone)]
pub struct Rows<K, V> {
    sets: Box<[Set]>,
    rows: Box<[Row<K, V>]>,
    /// Places that were taken since the last clear, each once.
    taken: Vec<u32>,
    evicted: u64,
}

impl<K: Key, V: Noted> Rows<K, V> {
    /// Room for `rows` of them, rounded up to a power of two of sets.
    pub fn new(rows: usize) -> Self {
        let sets = rows.div_ceil(WAYS).next_power_of_two();
        let row = || Row { key: K::default(), missed: 0, value: V::default() };
        Self {
            sets: vec![Set::default(); sets].into(),
            rows: (0..sets * WAYS).map(|_| row()).collect(),
            taken: Vec::with_capacity(sets * WAYS),
            evicted: 0,
        }
    }

    /// How many rows there is room for.
    pub fn capacity(&self) -> usize {
        self.rows.len()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.taken.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.taken.is_empty()
    }

    /// Rows that gave way since the last clear.
    pub const fn evicted(&self) -> u64 {
        self.evicted
    }

    /// All rows, in the order in which their places were taken.
    pub fn iter(&self) -> impl Iterator<Item = &Row<K, V>> {
        self.taken.iter().map(|at| &self.rows[*at as usize])
    }

    /// The row of a key with this hash.
    #[inline]
    pub fn get(&self, hash: u64, key: &K) -> Option<&Row<K, V>> {
        self.find(hash, key).map(|at| &self.rows[at])
    }

    /// Changes the row of a key, made if it is not there; in a full set another one gives way to it.
    #[inline]
    pub fn change<T>(&mut self, hash: u64, key: &K, change: impl FnOnce(&mut Row<K, V>) -> T) -> T {
        let at = self.find(hash, key).unwrap_or_else(|| self.make(hash, key));
        self.update(at, change)
    }

    /// Changes the row of a key, if it is there.
    #[inline]
    pub fn change_known<T>(
        &mut self,
        hash: u64,
        key: &K,
        change: impl FnOnce(&mut Row<K, V>) -> T,
    ) -> Option<T> {
        self.find(hash, key).map(|at| self.update(at, change))
    }

    /// Changes every row.
    pub fn change_all(&mut self, mut change: impl FnMut(&mut Row<K, V>)) {
        for place in 0..self.taken.len() {
            self.update(self.taken[place] as usize, &mut change);
        }
    }

    /// Asks for a set's memory early: the loads of several tables then wait together.
    #[inline]
    pub fn touch(&self, hash: u64) -> u32 {
        self.sets[self.set(hash)].tags[0]
    }

    /// Forgets everything; as much work as there were rows.
    pub fn clear(&mut self) {
        for at in self.taken.drain(..) {
            let set = at as usize / WAYS;
            self.sets[set] = Set::default();
        }
        self.evicted = 0;
    }

    #[inline]
    fn update<T>(&mut self, at: usize, change: impl FnOnce(&mut Row<K, V>) -> T) -> T {
        let row = &mut self.rows[at];
        let result = change(row);
        self.sets[at / WAYS].ranks[at % WAYS] = row.value.rank();
        result
    }

    #[inline]
    fn set(&self, hash: u64) -> usize {
        hash as usize & (self.sets.len() - 1)
    }

    #[inline]
    fn find(&self, hash: u64, key: &K) -> Option<usize> {
        let set = self.set(hash);
        let (tags, tag) = (&self.sets[set].tags, tag(hash));
        let hits = (0..WAYS).filter(|way| tags[*way] == tag).map(|way| set * WAYS + way);
        hits.into_iter().find(|at| self.rows[*at].key == *key)
    }

    /// A row for a new key: in a free place, or in that of the lowest rank.
    fn make(&mut self, hash: u64, key: &K) -> usize {
        let index = self.set(hash);
        let set = &mut self.sets[index];
        let way = if let Some(free) = set.tags.iter().position(|tag| *tag == 0) {
            self.taken.push((index * WAYS + free) as u32);
            free
        } else {
            // Of equals another one each time, so that none stays by its place alone.
            let first = (hash >> 29) as usize % WAYS;
            let ways = (0..WAYS).map(|it| (first + it) % WAYS);
            let way = ways.min_by_key(|way| set.ranks[*way]).expect("a set has ways");
            let row = &self.rows[index * WAYS + way];
            set.floor = set.floor.max(row.value.weight().saturating_add(row.missed));
            self.evicted += 1;
            way
        };
        set.tags[way] = tag(hash);
        let at = index * WAYS + way;
        let row = &mut self.rows[at];
        row.key = *key;
        row.missed = set.floor;
        row.value.reset();
        at
    }
}

/// What of the hash is remembered; never 0.
#[inline]
fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::streams::{adversarial, zipf};

    const SEED: Seed = Seed::new([41, 42]);

    #[derive(Clone, Copy, Debug, Default, PartialEq)]
    struct Thing(u64);

    impl Key for Thing {
        fn hash(&self, seed: Seed) -> u64 {
            seed.word(self.0)
        }
    }

    #[derive(Clone, Debug, Default)]
    struct Count(u32);

    impl Noted for Count {
        fn rank(&self) -> u16 {
            self.0.min(60_000) as u16
        }
        fn weight(&self) -> u32 {
            self.0
        }
        fn reset(&mut self) {
            self.0 = 0;
        }
    }

    fn table(stream: &[u64], rows: usize) -> Rows<Thing, Count> {
        let mut table: Rows<Thing, Count> = Rows::new(rows);
        for thing in stream.iter().map(|it| Thing(*it)) {
            table.change(thing.hash(SEED), &thing, |row| row.value.0 += 1);
        }
        table
    }

    fn exact(stream: &[u64]) -> BTreeMap<u64, u32> {
        let mut counts = BTreeMap::new();
        stream.iter().for_each(|thing| *counts.entry(*thing).or_insert(0) += 1);
        counts
    }

    fn keeps_its_bounds(table: &Rows<Thing, Count>, counts: &BTreeMap<u64, u32>) {
        for (thing, truth) in counts {
            let floor = table.sets[table.set(Thing(*thing).hash(SEED))].floor;
            let row = table.get(Thing(*thing).hash(SEED), &Thing(*thing));
            let (count, missed) = row.map_or((0, floor), |row| (row.value.0, row.missed));
            assert!(count <= *truth && *truth <= count + missed, "{thing}: {truth}, {row:?}");
        }
    }

    #[test]
    fn a_row_never_says_too_much_nor_misses_more_than_it_says() {
        for stream in [zipf(13, 60_000, 9_000), adversarial(13, 60_000)] {
            let table = table(&stream, 256);
            keeps_its_bounds(&table, &exact(&stream));
            assert!(table.evicted() > 0 && table.len() == 256);
        }
    }

    #[test]
    fn the_heaviest_stay() {
        let stream = zipf(14, 60_000, 9_000);
        let (table, counts) = (table(&stream, 256), exact(&stream));
        for thing in 0..20 {
            let row = table.get(Thing(thing).hash(SEED), &Thing(thing)).expect("a heavy row");
            assert!(u64::from(row.value.0) * 10 >= u64::from(counts[&thing]) * 9, "{row:?}");
        }
    }

    #[test]
    fn clear_forgets_and_keeps_the_memory() {
        let mut table = table(&[1, 2, 3, 2], 8);
        assert_eq!((table.len(), table.capacity(), table.iter().count()), (3, 8, 3));
        let two = Thing(2);
        assert_eq!(table.change_known(two.hash(SEED), &two, |row| row.value.0), Some(2));
        table.change_all(|row| row.value.0 = 7);
        table.clear();
        assert!(table.is_empty() && table.get(two.hash(SEED), &two).is_none());
        assert_eq!(table.change_known(two.hash(SEED), &two, |row| row.value.0), None);
        assert_eq!(table.change(two.hash(SEED), &two, |row| row.value.0), 0);
    }

    proptest! {
        #[test]
        fn bounds_hold_for_any_stream(stream in prop::collection::vec(0_u64..200, 0..600)) {
            keeps_its_bounds(&table(&stream, 16), &exact(&stream));
        }
    }
}
