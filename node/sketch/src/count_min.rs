//! How often things were seen, from above: the count-min sketch.
//!
//! ```text
//! depth rows × width counters; a thing has one counter in each row, its estimate is the smallest
//! ```
//!
//! With width w = 2^k and depth d the estimate is never too low, and too high by more than ε·total with a
//! probability of at most δ, where ε = e/w and δ = e^-d (Cormode and Muthukrishnan, "An Improved Data Stream
//! Summary: The Count-Min Sketch and its Applications", 2005, theorem 1). The row's hashes come from one
//! hash by double hashing (Kirsch and Mitzenmacher, "Less Hashing, Same Performance", 2008).
//!
//! The update is the plain one. *Conservative update* (raise only the counters that are below the new
//! estimate) errs less on one stream, but two such sketches do not add up to the sketch of both streams:
//! what a counter was not raised by depends on the order. Here merging is exact.

use crate::bytes::{Malformed, Reader, put_count};
use crate::limits::{COUNT_MIN_DEPTH_MAX, COUNT_MIN_WIDTH_LOG2_MAX};

const VERSION: u8 = 1;

/// Counts by hash, never too low. Equal shapes under one seed add up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountMin {
    width_log2: u8,
    depth: u8,
    total: u64,
    /// Row by row.
    counters: Vec<u64>,
}

impl CountMin {
    /// An empty sketch of `depth` rows (at least one) of 2^`width_log2` counters, both held to their limits.
    pub fn new(width_log2: u8, depth: u8) -> Self {
        let width_log2 = width_log2.min(COUNT_MIN_WIDTH_LOG2_MAX);
        let depth = depth.clamp(1, COUNT_MIN_DEPTH_MAX);
        let counters = vec![0; usize::from(depth) << width_log2];
        Self { width_log2, depth, total: 0, counters }
    }

    /// Adds `weight` to the thing with this hash.
    pub fn add(&mut self, hash: u64, weight: u64) {
        self.total = self.total.saturating_add(weight);
        for row in 0..self.depth {
            let at = self.place(row, hash);
            self.counters[at] = self.counters[at].saturating_add(weight);
        }
    }

    /// How often it was seen at most.
    pub fn estimate(&self, hash: u64) -> u64 {
        let counters = (0..self.depth).map(|row| self.counters[self.place(row, hash)]);
        counters.min().expect("at least one row")
    }

    /// The sum of all weights.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// How far above the truth an estimate is at most, but with probability e^-depth: e/width of the total.
    pub fn error(&self) -> u64 {
        let epsilon = core::f64::consts::E / f64::from(1_u32 << self.width_log2);
        (self.total as f64 * epsilon).ceil() as u64
    }

    /// Adds another one of the same shape and seed; one of another shape is left out.
    pub fn merge(&mut self, other: &Self) -> bool {
        let same = (self.width_log2, self.depth) == (other.width_log2, other.depth);
        if same {
            self.total = self.total.saturating_add(other.total);
            let pairs = self.counters.iter_mut().zip(&other.counters);
            pairs.for_each(|(counter, more)| *counter = counter.saturating_add(*more));
        }
        same
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        self.total = 0;
        self.counters.fill(0);
    }

    /// Version, width, depth, total, counters; ten bytes a counter at most.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend([VERSION, self.width_log2, self.depth]);
        put_count(self.total, out);
        self.counters.iter().for_each(|counter| put_count(*counter, out));
    }

    /// Reads what [`CountMin::encode`] wrote.
    ///
    /// # Errors
    /// Another version, a shape beyond the limits, or bytes that end too early.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.version(VERSION)?;
        let [width_log2, depth] = reader.array()?;
        if width_log2 > COUNT_MIN_WIDTH_LOG2_MAX || !(1..=COUNT_MIN_DEPTH_MAX).contains(&depth) {
            return Err(Malformed::Limit);
        }
        let total = reader.count()?;
        let count = usize::from(depth) << width_log2;
        // Room is made as they come: a header alone costs nothing.
        let counters = (0..count).map(|_| reader.count()).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { width_log2, depth, total, counters })
    }

    fn place(&self, row: u8, hash: u64) -> usize {
        let step = (hash >> 32) | 1;
        let at = hash.wrapping_add(u64::from(row).wrapping_mul(step)) as usize;
        let width = 1_usize << self.width_log2;
        usize::from(row) * width + (at & (width - 1))
    }
}

#[cfg(test)]
mod tests;
