//! How many different things a stream has: exact while they are few, then HyperLogLog, in the same bytes.
//!
//! ```text
//! up to M/4 things   [ hash 4 | hash 4 | … ]   exact
//! more               [ register 1 | register 1 | … ]   M registers: each the highest rank of its share
//! ```
//!
//! A thing's register is the first log2 M bits of its hash; its rank is the place of the first 1 in the rest.
//! The standard error of M registers is 1.04/√M (Flajolet, Fusy, Gandouet, Meunier, "HyperLogLog", 2007):
//! 13 % of 64, 9.2 % of 128, 3.3 % of 1,024. The estimator is Ertl's (*New cardinality estimation algorithms
//! for HyperLogLog sketches*, 2017, algorithm 6), which has no bias at the small end and needs no table.
//! Hashes have 32 bits here, so counts up to a hundred million keep the error.

use crate::bytes::{Malformed, Reader};

const VERSION: u8 = 1;
/// In the place of the length: registers.
const REGISTERS: u8 = 0xff;

/// A count of different things, with `M` registers: a power of two from 64 to 1,024 (below 1,021 exact
/// ones, so that their number is a byte).
#[derive(Clone, Copy, Debug)]
pub struct Distinct<const M: usize> {
    /// Hashes in `bytes`, or [`REGISTERS`].
    len: u8,
    bytes: [u8; M],
}

impl<const M: usize> Distinct<M> {
    /// How many are counted exactly.
    pub const EXACT: usize = if M / 4 < 254 { M / 4 } else { 254 };

    /// Bytes of the longest encoding.
    pub const ENCODED_MAX: usize = 2 + M;

    const EMPTY: Self = {
        assert!(M.is_power_of_two() && M >= 64 && M <= 1024, "64 to 1,024 registers");
        Self { len: 0, bytes: [0; M] }
    };

    /// Nothing yet.
    pub const fn new() -> Self {
        Self::EMPTY
    }

    /// Puts a thing in by its hash. True if the count may be another one now.
    #[inline]
    pub fn insert(&mut self, hash: u64) -> bool {
        self.insert_short((hash >> 32) as u32)
    }

    /// Whether it still knows each of them.
    pub const fn is_exact(&self) -> bool {
        self.len != REGISTERS
    }

    /// Whether nothing was put in.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many different things were put in.
    pub fn count(&self) -> u64 {
        if self.is_exact() { u64::from(self.len) } else { self.estimate().round() as u64 }
    }

    /// The standard error of [`Distinct::count`], as a share of it.
    pub fn error(&self) -> f64 {
        if self.is_exact() { 0.0 } else { 1.04 / (M as f64).sqrt() }
    }

    /// Puts in all that another one has.
    pub fn merge(&mut self, other: &Self) {
        if other.is_exact() {
            other.hashes().for_each(|hash| _ = self.insert_short(hash));
            return;
        }
        self.spread();
        let pairs = self.bytes.iter_mut().zip(&other.bytes);
        pairs.for_each(|(register, more)| *register = (*register).max(*more));
    }

    /// Reads it early.
    #[inline]
    pub(crate) fn touch(&self) -> u32 {
        self.len.into()
    }

    /// Forgets everything.
    #[inline]
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Version, length (255: registers), hashes or registers.
    pub fn encode(&self, out: &mut Vec<u8>) {
        out.extend([VERSION, self.len]);
        if self.is_exact() {
            self.hashes().for_each(|hash| out.extend(hash.to_be_bytes()));
        } else {
            out.extend(self.bytes);
        }
    }

    /// Reads what [`Distinct::encode`] wrote.
    ///
    /// # Errors
    /// Another version, more hashes than are exact, one twice, a rank that cannot be, an early end.
    pub fn decode(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        reader.version(VERSION)?;
        let mut read = Self::new();
        let len = reader.u8()?;
        if len == REGISTERS {
            read.len = len;
            read.bytes = reader.array()?;
            let possible = read.bytes.iter().all(|rank| *rank <= Self::RANK_MAX);
            return if possible { Ok(read) } else { Err(Malformed::Value) };
        }
        if usize::from(len) > Self::EXACT {
            return Err(Malformed::Limit);
        }
        for _ in 0..len {
            if !read.insert_short(reader.u32()?) {
                return Err(Malformed::Value);
            }
        }
        Ok(read)
    }

    const INDEX_BITS: u32 = M.trailing_zeros();
    /// The rank of a hash whose other bits are all 0.
    const RANK_MAX: u8 = (32 - Self::INDEX_BITS + 1) as u8;

    #[inline]
    fn insert_short(&mut self, hash: u32) -> bool {
        if self.is_exact() {
            // To the end, without a branch for each: several are compared at once.
            if self.hashes().fold(false, |known, it| known | (it == hash)) {
                return false;
            }
            let at = usize::from(self.len);
            if at < Self::EXACT {
                self.bytes.as_chunks_mut::<4>().0[at] = hash.to_le_bytes();
                self.len += 1;
                return true;
            }
            self.spread();
        }
        self.raise(hash)
    }

    /// The rank of a hash goes into its register.
    fn raise(&mut self, hash: u32) -> bool {
        let at = (hash >> (32 - Self::INDEX_BITS)) as usize;
        let rest = hash << Self::INDEX_BITS;
        let rank = (rest.leading_zeros() as u8 + 1).min(Self::RANK_MAX);
        let higher = rank > self.bytes[at];
        if higher {
            self.bytes[at] = rank;
        }
        higher
    }

    /// From hashes to registers.
    #[cold]
    fn spread(&mut self) {
        if self.is_exact() {
            let before = *self;
            *self = Self { len: REGISTERS, bytes: [0; M] };
            before.hashes().for_each(|hash| _ = self.raise(hash));
        }
    }

    #[inline]
    fn hashes(&self) -> impl Iterator<Item = u32> + '_ {
        let chunks = self.bytes.as_chunks::<4>().0;
        let len = if self.is_exact() { usize::from(self.len) } else { 0 };
        chunks[..len].iter().map(|bytes| u32::from_le_bytes(*bytes))
    }

    /// Ertl's estimator: how many registers have each rank is all it needs.
    fn estimate(&self) -> f64 {
        let mut having = [0_u32; 40];
        self.bytes.iter().for_each(|rank| having[usize::from(*rank)] += 1);
        let registers = M as f64;
        let top = usize::from(Self::RANK_MAX);
        let mut z = registers * tau(1.0 - f64::from(having[top]) / registers);
        for rank in (1..top).rev() {
            z = 0.5 * (z + f64::from(having[rank]));
        }
        z += registers * sigma(f64::from(having[0]) / registers);
        registers * registers / (2.0 * core::f64::consts::LN_2 * z)
    }
}

/// Ertl 2017, equation 23: what registers without a thing tell.
fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if z == before {
            return z;
        }
    }
}

/// Ertl 2017, equation 25: what registers at the highest rank tell.
fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x) * (1.0 - x) * y;
        if z == before {
            return z / 3.0;
        }
    }
}

impl<const M: usize> Default for Distinct<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const M: usize> PartialEq for Distinct<M> {
    /// Of sets the order does not count.
    fn eq(&self, other: &Self) -> bool {
        if self.len != other.len {
            return false;
        }
        if self.is_exact() {
            return self.hashes().all(|hash| other.hashes().any(|it| it == hash));
        }
        self.bytes == other.bytes
    }
}

impl<const M: usize> Eq for Distinct<M> {}

#[cfg(test)]
mod tests;
