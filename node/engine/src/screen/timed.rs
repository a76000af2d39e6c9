//! What the tables of a screen have in common, and those of them whose entries have an end.
//!
//! A thing stands in one of the sets by its keyed hash, with 48 bits of it: those that choose the set, and a
//! tag. In a full set of a [`Timed`] the entry that ends first gives way.

use wire::Time;

/// What of a hash is remembered in a set; never that of a free place.
pub(super) const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
}

/// The first place with this tag, or count. Looks at all, without a branch for each: several are compared at
/// once, for which each has a bit of its own beforehand.
#[inline]
pub(super) fn find<const WAYS: usize>(words: &[u32; WAYS], word: u32) -> Option<usize> {
    let bits = const { bits::<WAYS>() };
    let hit = |(it, bit): (&u32, &u32)| if *it == word { *bit } else { 0 };
    let hits = words.iter().zip(&bits).map(hit).fold(0, |hits, hit| hits | hit);
    (hits != 0).then(|| hits.trailing_zeros() as usize)
}

const fn bits<const WAYS: usize>() -> [u32; WAYS] {
    let (mut bits, mut way) = ([0; WAYS], 0);
    while way < WAYS {
        bits[way] = 1 << way;
        way += 1;
    }
    bits
}

/// Values by hash, each until its end.
pub(super) struct Timed<V, const SETS: usize, const WAYS: usize> {
    sets: Box<[Set<V, WAYS>]>,
    /// The last end of all.
    last_end: Time,
}

/// One cache line, of small values.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Set<V, const WAYS: usize>([Entry<V>; WAYS]);

/// A value with its end.
#[derive(Clone, Copy)]
pub(super) struct Entry<V> {
    tag: u32,
    pub(super) value: V,
    pub(super) until: Time,
}

impl<V: Copy + Default, const SETS: usize, const WAYS: usize> Timed<V, SETS, WAYS> {
    pub(super) fn new() -> Self {
        Self { sets: vec![Set([Self::free(); WAYS]); SETS].into(), last_end: Time::ZERO }
    }

    fn free() -> Entry<V> {
        Entry { tag: 0, value: V::default(), until: Time::ZERO }
    }

    /// When the last one of all ends: after it nothing need be looked for.
    #[inline]
    pub(super) const fn last_end(&self) -> Time {
        self.last_end
    }

    /// What stands there by this hash, though it may have ended.
    #[inline]
    pub(super) fn get(&self, hash: u64) -> Option<&Entry<V>> {
        let tag = tag(hash);
        self.sets[hash as usize % SETS].0.iter().find(|it| it.tag == tag)
    }

    /// What stands there by this hash and has not ended.
    #[inline]
    pub(super) fn live(&self, hash: u64, now: Time) -> Option<V> {
        self.get(hash).filter(|it| it.until > now).map(|it| it.value)
    }

    /// Puts it there; of what is there already this is value and end from now on.
    pub(super) fn set(&mut self, hash: u64, value: V, until: Time) {
        let (ways, tag) = (&mut self.sets[hash as usize % SETS].0, tag(hash));
        let way = ways.iter().position(|it| it.tag == tag).unwrap_or_else(|| {
            let first = (0..WAYS).min_by_key(|way| ways[*way].until);
            first.expect("a set has ways")
        });
        ways[way] = Entry { tag, value, until };
        self.last_end = self.last_end.max(until);
    }

    /// Takes it away before its end.
    pub(super) fn lift(&mut self, hash: u64) {
        let tag = tag(hash);
        let ways = &mut self.sets[hash as usize % SETS].0;
        ways.iter_mut().filter(|it| it.tag == tag).for_each(|it| *it = Self::free());
    }

    /// Takes all away.
    pub(super) fn clear(&mut self) {
        self.sets.fill(Set([Self::free(); WAYS]));
        self.last_end = Time::ZERO;
    }
}
