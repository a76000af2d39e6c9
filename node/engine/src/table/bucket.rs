//! The buckets: tags and indices, one cache line each.

use crate::limits::{BUCKET_ENTRIES, SESSIONS_PER_BUCKET_TENTHS};

/// All buckets of a table.
#[derive(Debug)]
pub(super) struct Buckets {
    buckets: Box<[Bucket]>,
}

/// Eight entries. An entry is free if its index is [`FREE`]; the tag of a free entry is 0, which no
/// hash has, so that a look at the tags alone rules most keys out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C, align(64))]
pub(super) struct Bucket {
    tags: [u16; BUCKET_ENTRIES],    //     0
    indices: [u32; BUCKET_ENTRIES], // 16
    /// Keys whose primary bucket this is and that live in their secondary one.
    spill: u32, //                     48
}

/// Of a free entry.
const NO_TAG: u16 = 0;

/// No session.
pub(super) const FREE: u32 = u32::MAX;

/// The two buckets and the tag of a hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spot {
    pub(super) primary: usize,
    pub(super) secondary: usize,
    tag: u16,
}

impl Buckets {
    pub(super) fn new(capacity: u32) -> Self {
        let count = (u64::from(capacity) * 10).div_ceil(SESSIONS_PER_BUCKET_TENTHS).max(2);
        Self { buckets: vec![Bucket::EMPTY; count as usize].into_boxed_slice() }
    }

    /// The primary bucket's cache line.
    #[inline]
    pub(super) fn line(&self, hash: u64) -> *const u8 {
        std::ptr::from_ref(&self.buckets[self.primary(hash)]).cast()
    }

    /// The index behind the first fitting tag of the primary bucket; only a guess.
    #[inline]
    pub(super) fn first(&self, hash: u64) -> Option<u32> {
        let bucket = &self.buckets[self.primary(hash)];
        let fits = bucket.fits(tag(hash));
        (fits != 0).then(|| bucket.indices[entry(fits)])
    }

    /// The index for which `is_it` says yes, among those whose tag fits.
    #[inline]
    pub(super) fn find(&self, hash: u64, is_it: impl Fn(u32) -> bool) -> Option<u32> {
        let primary = &self.buckets[self.primary(hash)];
        if let Some(index) = primary.find(tag(hash), &is_it) {
            return Some(index);
        }
        if primary.spill == 0 {
            return None;
        }
        self.buckets[self.spot(hash).secondary].find(tag(hash), &is_it)
    }

    #[inline]
    pub(super) fn has_room(&self, hash: u64) -> bool {
        self.buckets[self.primary(hash)].has_room() || self.has_secondary_room(hash)
    }

    /// The same for a second key, whose session's first one takes a place before it, perhaps there.
    #[inline(always)]
    pub(super) fn has_room_for_second(&self, hash: u64) -> bool {
        self.buckets[self.primary(hash)].has_room_for_two() || self.has_secondary_room_for_two(hash)
    }

    #[cold]
    fn has_secondary_room_for_two(&self, hash: u64) -> bool {
        self.buckets[self.spot(hash).secondary].has_room_for_two()
    }

    #[cold]
    fn has_secondary_room(&self, hash: u64) -> bool {
        self.buckets[self.spot(hash).secondary].has_room()
    }

    /// Adds an entry; `false` if both buckets are full.
    pub(super) fn insert(&mut self, hash: u64, index: u32) -> bool {
        let primary = self.primary(hash);
        self.buckets[primary].put(tag(hash), index) || self.insert_secondary(hash, index)
    }

    #[cold]
    fn insert_secondary(&mut self, hash: u64, index: u32) -> bool {
        let spot = self.spot(hash);
        let spilled = self.buckets[spot.secondary].put(spot.tag, index);
        self.buckets[spot.primary].spill += u32::from(spilled);
        spilled
    }

    /// Takes an entry away; `false` if it is in neither bucket.
    pub(super) fn remove(&mut self, hash: u64, index: u32) -> bool {
        let primary = self.primary(hash);
        self.buckets[primary].take(index) || self.remove_secondary(hash, index)
    }

    #[cold]
    fn remove_secondary(&mut self, hash: u64, index: u32) -> bool {
        let spot = self.spot(hash);
        let spilled = self.buckets[spot.secondary].take(index);
        let spill = &mut self.buckets[spot.primary].spill;
        *spill = spill.saturating_sub(u32::from(spilled));
        spilled
    }

    pub(super) fn clear(&mut self) {
        self.buckets.fill(Bucket::EMPTY);
    }

    /// Every entry with the bucket that it stands in.
    pub(super) fn entries(&self) -> impl Iterator<Item = (usize, u16, u32)> + '_ {
        self.buckets
            .iter()
            .enumerate()
            .flat_map(|(at, bucket)| bucket.entries().map(move |(tag, index)| (at, tag, index)))
    }

    /// The entries of both buckets of a hash.
    pub(super) fn near(&self, hash: u64) -> impl Iterator<Item = (usize, u16, u32)> + '_ {
        let spot = self.spot(hash);
        [spot.primary, spot.secondary]
            .into_iter()
            .flat_map(|at| self.buckets[at].entries().map(move |(tag, index)| (at, tag, index)))
    }

    /// Whether an entry may stand there: its tag is that of the hash, and the bucket one of its two.
    pub(super) fn belongs(&self, hash: u64, at: usize, tag: u16) -> bool {
        let spot = self.spot(hash);
        tag == spot.tag && (at == spot.primary || at == spot.secondary)
    }

    /// Whether it stands in its secondary bucket.
    pub(super) fn is_spilled(&self, hash: u64, at: usize) -> bool {
        self.spot(hash).primary != at
    }

    pub(super) fn spill_of(&self, at: usize) -> u32 {
        self.buckets[at].spill
    }

    /// The high half of the hash names the primary bucket.
    #[inline]
    pub(super) fn primary(&self, hash: u64) -> usize {
        (((hash >> 32) * self.buckets.len() as u64) >> 32) as usize
    }

    pub(super) fn len(&self) -> usize {
        self.buckets.len()
    }

    /// Sessions that live in their secondary bucket.
    pub(super) fn spilled(&self) -> u32 {
        self.buckets.iter().map(|bucket| bucket.spill).sum()
    }

    pub(super) fn memory(&self) -> usize {
        self.buckets.len() * size_of::<Bucket>()
    }

    /// For tests that break things.
    #[cfg(test)]
    pub(super) fn bucket_mut(&mut self, at: usize) -> &mut Bucket {
        &mut self.buckets[at]
    }

    #[inline]
    pub(super) fn spot(&self, hash: u64) -> Spot {
        let count = self.buckets.len() as u64;
        let primary = self.primary(hash) as u64;
        // How far the secondary one is from the primary comes from all of the hash, mixed again.
        let mixed = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let distance = 1 + (((mixed >> 32) * (count - 1)) >> 32);
        let beyond = primary + distance;
        let secondary = if beyond < count { beyond } else { beyond - count };
        Spot { primary: primary as usize, secondary: secondary as usize, tag: tag(hash) }
    }
}

/// The low bits of the hash, never 0.
#[inline]
const fn tag(hash: u64) -> u16 {
    if hash as u16 == NO_TAG { 1 } else { hash as u16 }
}

impl Bucket {
    const EMPTY: Self =
        Self { tags: [NO_TAG; BUCKET_ENTRIES], indices: [FREE; BUCKET_ENTRIES], spill: 0 };

    #[inline]
    fn find(&self, tag: u16, is_it: &impl Fn(u32) -> bool) -> Option<u32> {
        let mut fits = self.fits(tag);
        while fits != 0 {
            let index = self.indices[entry(fits)];
            if is_it(index) {
                return Some(index);
            }
            fits &= fits - 1;
        }
        None
    }

    /// The highest bit of each 16 for an entry with this tag, and sometimes for one above such an
    /// entry: a fit is only a hint. (Mycroft's test for a zero in a word, 1987: a handful of
    /// instructions, where comparing one by one takes forty.)
    #[inline(always)]
    fn fits(&self, tag: u16) -> u128 {
        let lanes = self.tags.as_chunks::<4>().0;
        let half = |half: [u16; 4]| {
            let zero = word(half) ^ (u64::from(tag) * ONES);
            u128::from(zero.wrapping_sub(ONES) & !zero & (ONES << 15))
        };
        half(lanes[0]) | half(lanes[1]) << 64
    }

    /// The highest bit of each 16 for a free entry, and for no other: of a tag of 0 it is neither set nor
    /// reached when all ones below it are added.
    #[inline(always)]
    fn free(&self) -> u128 {
        const BELOW: u64 = (ONES << 15) - ONES;
        let lanes = self.tags.as_chunks::<4>().0;
        let half = |half: [u16; 4]| {
            let word = word(half);
            u128::from(!(((word & BELOW) + BELOW) | word) & (ONES << 15))
        };
        half(lanes[0]) | half(lanes[1]) << 64
    }

    #[inline]
    fn has_room(&self) -> bool {
        self.free() != 0
    }

    #[inline]
    fn has_room_for_two(&self) -> bool {
        let free = self.free();
        free & free.wrapping_sub(1) != 0
    }

    #[inline]
    fn put(&mut self, tag: u16, index: u32) -> bool {
        let free = self.free();
        if free == 0 {
            return false;
        }
        let entry = entry(free);
        self.tags[entry] = tag;
        self.indices[entry] = index;
        true
    }

    fn take(&mut self, index: u32) -> bool {
        let Some(entry) = self.indices.iter().position(|&taken| taken == index) else {
            return false;
        };
        self.tags[entry] = NO_TAG;
        self.indices[entry] = FREE;
        true
    }

    fn entries(&self) -> impl Iterator<Item = (u16, u32)> + '_ {
        self.tags
            .iter()
            .copied()
            .zip(self.indices.iter().copied())
            .filter(|&(tag, index)| index != FREE || tag != NO_TAG)
    }

    #[cfg(test)]
    pub(super) fn set(&mut self, entry: usize, tag: u16, index: u32) {
        self.tags[entry] = tag;
        self.indices[entry] = index;
    }

    #[cfg(test)]
    pub(super) fn set_spill(&mut self, spill: u32) {
        self.spill = spill;
    }
}

/// Four tags, the first in the lowest bits.
#[inline(always)]
fn word(tags: [u16; 4]) -> u64 {
    u64::from(tags[0])
        | u64::from(tags[1]) << 16
        | u64::from(tags[2]) << 32
        | u64::from(tags[3]) << 48
}

/// The first entry of [`Bucket::fits`].
#[inline(always)]
const fn entry(fits: u128) -> usize {
    fits.trailing_zeros() as usize / 16 % BUCKET_ENTRIES
}

/// A one in each of four lanes.
const ONES: u64 = 0x0001_0001_0001_0001;

const _: () = assert!(size_of::<Bucket>() == 64, "one cache line");
