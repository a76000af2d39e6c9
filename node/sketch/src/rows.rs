//! A bounded table of rows: Space-Saving in sets, so that an update is a fixed, small amount of work.
//!
//! ```text
//! hash ─► one of the sets ─► [ 8 tags | 8 ranks | 8 heights ]  one cache line
//!                              │ the row with this tag and key, else a free one,
//!                              └ else the one of lowest rank: it gives way, unread
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

    /// Reads a word of each part that notes change, and makes one word of them.
    fn touch(&self) -> u32 {
        self.weight()
    }
}

/// A row; what is counted first stands beside its key, so that a new one is few cache lines.
#[derive(Clone, Debug, Default)]
#[repr(C, align(64))]
pub struct Row<K, V> {
    /// What it is about.
    pub key: K,
    /// What its set gave away at most before it began: how much of this thing may be missing here.
    pub missed: u32,
    /// What is noted.
    pub value: V,
}

/// What decides about the rows of a set, so that none of them is read when a newcomer takes its place: under
/// a flood that would be a cache miss for each packet.
#[derive(Clone, Copy, Default)]
#[repr(align(64))]
struct Set {
    tags: Tags,
    ranks: [u16; WAYS],
    /// Weight and what was missed before, of each; the highest number stands for all that are higher.
    heights: [u16; WAYS],
    /// The highest that gave way.
    floor: u32,
}

/// Parts of the hashes of eight rows, 16 bits each; 0: free.
#[derive(Clone, Copy, Default)]
struct Tags([u64; 2]);

impl Tags {
    const EACH: u64 = 0x0001_0001_0001_0001;

    fn set(&mut self, way: usize, tag: u16) {
        let (word, shift) = (&mut self.0[way / 4], way % 4 * 16);
        *word = *word & !(0xffff << shift) | u64::from(tag) << shift;
    }

    /// The highest bit of the 16 of each way that has this tag. Above one that has it another one may be set
    /// that has not (Warren, "Hacker's Delight", 2013, §6-1).
    #[inline]
    fn having(self, tag: u16) -> u128 {
        let [low, high] = self.0.map(|word| {
            let differs = word ^ (Self::EACH * u64::from(tag));
            differs.wrapping_sub(Self::EACH) & !differs & (Self::EACH << 15)
        });
        u128::from(high) << 64 | u128::from(low)
    }
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

impl<K, V: Noted> Row<K, V> {
    /// What its set may have missed of another one, if it gives way to that.
    fn height(&self) -> u32 {
        self.value.weight().saturating_add(self.missed)
    }
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

    /// Changes the row of a key, made if it is not there and its set is not full.
    #[inline]
    pub fn change_unless_full<T>(
        &mut self,
        hash: u64,
        key: &K,
        change: impl FnOnce(&mut Row<K, V>) -> T,
    ) -> Option<T> {
        let at = match self.find(hash, key) {
            Some(at) => at,
            None => {
                let way = self.free(hash)?;
                self.begin(hash, key, way)
            }
        };
        Some(self.update(at, change))
    }

    /// Changes the row of a key that is not there and whose set is full, made in the place of another one,
    /// which `gone` is shown.
    pub fn take_over<T>(
        &mut self,
        hash: u64,
        key: &K,
        gone: impl FnOnce(&Row<K, V>),
        change: impl FnOnce(&mut Row<K, V>) -> T,
    ) -> T {
        let way = self.evict(hash, gone);
        let at = self.begin(hash, key, way);
        self.update(at, change)
    }

    /// A newcomer with this hash found no room: what it weighs may be missing in the next row of its set.
    pub fn pass_over(&mut self, hash: u64, weight: u32) {
        let set = self.set(hash);
        self.sets[set].floor = self.sets[set].floor.saturating_add(weight);
    }

    /// Changes every row.
    pub fn change_all(&mut self, mut change: impl FnMut(&mut Row<K, V>)) {
        for place in 0..self.taken.len() {
            self.update(self.taken[place] as usize, &mut change);
        }
    }

    /// Reads a word of a set early: the reads of several tables then wait together.
    #[inline]
    pub fn touch(&self, hash: u64) -> u32 {
        self.sets[self.set(hash)].floor
    }

    /// The same for the row that a change will concern.
    #[inline]
    pub fn touch_row(&self, hash: u64) -> u32 {
        let set = self.set(hash);
        let tags = self.sets[set].tags;
        let (known, free) = (tags.having(tag(hash)), tags.having(0));
        let way = match (known, free) {
            (0, 0) => self.victim(hash),
            (0, free) => first(free),
            (known, _) => first(known),
        };
        let row = &self.rows[set * WAYS + way];
        row.missed ^ row.value.touch()
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
        let (set, way) = (&mut self.sets[at / WAYS], at % WAYS);
        set.ranks[way] = row.value.rank();
        set.heights[way] = row.height().min(u32::from(u16::MAX)) as u16;
        result
    }

    #[inline]
    fn set(&self, hash: u64) -> usize {
        hash as usize & (self.sets.len() - 1)
    }

    #[inline]
    fn find(&self, hash: u64, key: &K) -> Option<usize> {
        let set = self.set(hash);
        let mut hits = self.sets[set].tags.having(tag(hash));
        while hits != 0 {
            let at = set * WAYS + first(hits);
            if self.rows[at].key == *key {
                return Some(at);
            }
            hits &= hits - 1;
        }
        None
    }

    /// A row for a new key: in a free place, or in that of the lowest rank.
    fn make(&mut self, hash: u64, key: &K) -> usize {
        let way = self.free(hash).unwrap_or_else(|| self.evict(hash, |_| {}));
        self.begin(hash, key, way)
    }

    /// Has the lowest rank of a full set give way: its place.
    fn evict(&mut self, hash: u64, gone: impl FnOnce(&Row<K, V>)) -> usize {
        let (index, way) = (self.set(hash), self.victim(hash));
        let (set, row) = (&mut self.sets[index], &self.rows[index * WAYS + way]);
        gone(row);
        let height = match set.heights[way] {
            u16::MAX => row.height(),
            height => height.into(),
        };
        set.floor = set.floor.max(height);
        self.evicted += 1;
        way
    }

    /// Takes a free place.
    fn free(&mut self, hash: u64) -> Option<usize> {
        let set = self.set(hash);
        let free = self.sets[set].tags.having(0);
        let way = (free != 0).then(|| first(free))?;
        self.taken.push((set * WAYS + way) as u32);
        Some(way)
    }

    /// The lowest rank; of equals another one each time, so that none stays by its place alone.
    fn victim(&self, hash: u64) -> usize {
        let (ranks, turn) = (&self.sets[self.set(hash)].ranks, (hash >> 29) as usize % WAYS);
        // Rank, then distance from the turn, then the place itself, in one word: a comparison each.
        let one = |way: usize| {
            let distance = way.wrapping_sub(turn) % WAYS;
            u32::from(ranks[way]) << 16 | (distance as u32) << 8 | way as u32
        };
        let lowest = (1..WAYS).fold(one(0), |lowest, way| lowest.min(one(way)));
        lowest as usize & 0xff
    }

    fn begin(&mut self, hash: u64, key: &K, way: usize) -> usize {
        let index = self.set(hash);
        let set = &mut self.sets[index];
        set.tags.set(way, tag(hash));
        let at = index * WAYS + way;
        let row = &mut self.rows[at];
        row.key = *key;
        row.missed = set.floor;
        row.value.reset();
        at
    }
}

/// The way of the lowest bit.
#[inline]
const fn first(hits: u128) -> usize {
    hits.trailing_zeros() as usize / 16
}

/// What of the hash is remembered; never 0.
#[inline]
fn tag(hash: u64) -> u16 {
    (hash >> 48) as u16 | 1
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::streams::{Dice, adversarial, zipf};

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
    fn the_lowest_way_with_a_tag_is_found() {
        let mut dice = Dice::new(15);
        for _ in 0..10_000 {
            // Few different ones, some of them one apart: that is where the borrow runs on.
            let each: [u16; WAYS] =
                core::array::from_fn(|_| [0, 1, 2, 0xffff][dice.next() as usize % 4]);
            let mut tags = Tags([u64::MAX; 2]);
            each.iter().enumerate().for_each(|(way, tag)| tags.set(way, *tag));
            for tag in [0, 1, 2, 3, 0xffff] {
                let hits = tags.having(tag);
                let lowest = (hits != 0).then(|| first(hits));
                assert_eq!(lowest, each.iter().position(|it| *it == tag), "{each:?} {tag}");
                let all = (0..WAYS).filter(|way| each[*way] == tag);
                assert!(
                    all.into_iter().all(|way| hits >> (way * 16 + 15) & 1 == 1),
                    "{each:?} {tag}"
                );
            }
        }
    }

    /// Also when heights do not fit the set any more.
    #[test]
    fn what_is_heavy_is_missed_exactly() {
        let mut table: Rows<Thing, Count> = Rows::new(WAYS);
        for thing in (0..=WAYS as u64).map(Thing) {
            table.change(thing.hash(SEED), &thing, |row| row.value.0 = 100_000);
        }
        let last = Thing(WAYS as u64);
        let row = table.get(last.hash(SEED), &last).expect("the newest row");
        assert_eq!((row.value.0, row.missed, table.evicted()), (100_000, 100_000, 1));
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
