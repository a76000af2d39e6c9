//! How spread out a stream is: the entropy of its hashes, cell by cell.
//!
//! Things fall into `M` cells by their hash, and the entropy of the cells' counts is told, in bits. Several
//! things in a cell are one thing to it, so it is never above the true entropy (grouping only loses), and
//! never above log2 M; far below log2 M it is close to the truth, since then few things carry the stream and
//! seldom share a cell. With n things counted it is too low by about (M-1)/(2·n·ln 2) bits besides (Miller,
//! "Note on the bias of information estimates", 1955). That is what a baseline needs: the same stream gives
//! the same number, and one source among many or many instead of few move it far.
//!
//! Counts add up, so merging is exact, which the sampling estimators (Lall, Sekar, Ogihara, Xu, Zhang,
//! 2006) do not give.

use crate::bytes::{Malformed, Reader, put_count};
use crate::limits::ENTROPY_CELLS_MAX;

const VERSION: u8 = 1;

/// Counts of `M` cells, a power of two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entropy<const M: usize> {
    cells: [u32; M],
}

impl<const M: usize> Entropy<M> {
    const EMPTY: Self = {
        assert!(M.is_power_of_two() && M <= ENTROPY_CELLS_MAX, "a bounded power of two");
        Self { cells: [0; M] }
    };

    /// Bits of a stream that is spread out evenly: the most it can tell.
    pub const BITS_MAX: u32 = M.trailing_zeros();

    /// Nothing yet.
    pub const fn new() -> Self {
        Self::EMPTY
    }

    /// A thing was seen, by its hash.
    #[inline]
    pub fn add(&mut self, hash: u64) {
        let cell = &mut self.cells[hash as usize & (M - 1)];
        *cell = cell.saturating_add(1);
    }

    /// How many things were seen.
    pub fn total(&self) -> u64 {
        self.cells.iter().copied().map(u64::from).sum()
    }

    /// Entropy of the stream, in bits; 0 of one without things.
    pub fn bits(&self) -> f64 {
        let total = self.total() as f64;
        if total == 0.0 {
            return 0.0;
        }
        let shares =
            self.cells.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total);
        shares.map(|share| -share * share.log2()).sum::<f64>().max(0.0)
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        let pairs = self.cells.iter_mut().zip(&other.cells);
        pairs.for_each(|(cell, more)| *cell = cell.saturating_add(*more));
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.cells.fill(0);
    }

    /// Version, log2 M, counts; five bytes a count at most.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend([VERSION, Self::BITS_MAX as u8]);
        self.cells.iter().for_each(|count| put_count(u64::from(*count), out));
    }

    /// Reads what [`Entropy::encode`] wrote.
    ///
    /// # Errors
    /// Another version, another M, a count beyond 32 bits, an early end.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.version(VERSION)?;
        if u32::from(reader.u8()?) != Self::BITS_MAX {
            return Err(Malformed::Value);
        }
        let mut read = Self::new();
        for cell in &mut read.cells {
            *cell = u32::try_from(reader.count()?).map_err(|_| Malformed::Limit)?;
        }
        Ok(read)
    }
}

impl<const M: usize> Default for Entropy<M> {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::Seed;
    use crate::streams::{adversarial, zipf};

    const SEED: Seed = Seed::new([31, 32]);

    fn sketch<const M: usize>(stream: &[u64]) -> Entropy<M> {
        let mut sketch = Entropy::new();
        stream.iter().for_each(|thing| sketch.add(SEED.word(*thing)));
        sketch
    }

    fn exact(stream: &[u64]) -> f64 {
        let mut counts = BTreeMap::new();
        stream.iter().for_each(|thing| *counts.entry(*thing).or_insert(0_u32) += 1);
        let total = stream.len() as f64;
        let shares = counts.values().map(|count| f64::from(*count) / total);
        shares.map(|share| -share * share.log2()).sum()
    }

    #[test]
    fn it_is_near_the_truth_and_never_above() {
        for things in [1, 2, 5, 20, 60] {
            let stream = zipf(5, 20_000, things);
            let (seen, truth) = (sketch::<1024>(&stream).bits(), exact(&stream));
            assert!(seen <= truth + 1e-9, "{things}: {seen} of {truth}");
            assert!(truth - seen < 0.15, "{things}: {seen} of {truth}");
        }
        for stream in [zipf(6, 50_000, 50_000), adversarial(6, 50_000)] {
            let (seen, truth) = (sketch::<256>(&stream).bits(), exact(&stream));
            assert!(seen <= truth && seen <= 8.0, "{seen} of {truth}");
        }
        let spread = sketch::<256>(&adversarial(7, 50_000)).bits();
        let usual = sketch::<256>(&zipf(7, 50_000, 500)).bits();
        assert!(spread > 7.5 && usual < 6.7, "a spoofed flood stands out: {spread}, {usual}");
        assert_eq!(sketch::<256>(&[]).bits(), 0.0);
    }

    #[test]
    fn these_bytes() {
        let mut sketch = Entropy::<4>::new();
        [0, 1, 1, 7].into_iter().for_each(|hash| sketch.add(hash));
        assert_eq!((sketch.total(), sketch.bits()), (4, 1.5));
        let mut out = Vec::new();
        sketch.encode(&mut out);
        assert_eq!(out, [1, 2, 1, 2, 0, 1]);
        assert_eq!(Entropy::decode(&mut Reader::new(&out)), Ok(sketch));
        assert_eq!(Entropy::<8>::decode(&mut Reader::new(&out)), Err(Malformed::Value));
        let large = [1, 2, 255, 255, 255, 255, 127];
        assert_eq!(Entropy::<4>::decode(&mut Reader::new(&large)), Err(Malformed::Limit));
        assert_eq!(Entropy::<4>::decode(&mut Reader::new(&[1, 2, 1])), Err(Malformed::Truncated));
    }

    proptest! {
        #[test]
        fn a_merge_is_the_sketch_of_both_streams(
            one in prop::collection::vec(0_u64..50, 0..99),
            other in prop::collection::vec(0_u64..50, 0..99),
        ) {
            let mut merged = sketch::<16>(&one);
            merged.merge(&sketch(&other));
            let both: Vec<_> = one.iter().chain(&other).copied().collect();
            prop_assert_eq!(&merged, &sketch(&both));
            prop_assert!(merged.bits() <= exact(&both) + 1e-9);
            let mut out = Vec::new();
            merged.encode(&mut out);
            prop_assert_eq!(Entropy::decode(&mut Reader::new(&out)), Ok(merged));
        }
    }
}
