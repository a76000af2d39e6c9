//! Keyed hashing: SipHash-1-3 under a secret of 128 bits, as the placement of flows has it.
//!
//! An attacker who does not know the secret can neither choose things that collide nor things that look
//! rare to a sketch (Aumasson and Bernstein, "SipHash: a fast short-input PRF", 2012).

use core::fmt;

use siphasher::sip::SipHasher13;

/// The secret under which all sketches of a cluster hash. Nodes with different seeds cannot merge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed([u64; 2]);

/// Odd constants of [`Seed::join`]: the fractions of the square roots of 2 and 3.
const LEFT: u64 = 0x6a09_e667_f3bc_c909;
const RIGHT: u64 = 0xbb67_ae85_84ca_a73b;

impl Seed {
    /// A seed of two secret words.
    pub const fn new(secret: [u64; 2]) -> Self {
        Self(secret)
    }

    /// The hash of some bytes.
    #[inline]
    pub fn hash(self, bytes: &[u8]) -> u64 {
        SipHasher13::new_with_keys(self.0[0], self.0[1]).hash(bytes)
    }

    /// The hash of one word; not that of its eight bytes.
    #[inline]
    pub fn word(self, word: u64) -> u64 {
        SipHasher13::new_with_keys(self.0[0], !self.0[1]).hash(&word.to_le_bytes())
    }

    /// One hash of two hashes, in this order: a folded multiplication. It needs no secrecy of its own, since
    /// both sides are values that nobody outside can predict.
    #[inline]
    pub fn join(self, left: u64, right: u64) -> u64 {
        let product = u128::from(left ^ LEFT) * u128::from(right.rotate_left(32) ^ RIGHT);
        (product as u64) ^ ((product >> 64) as u64) ^ self.0[0]
    }

    /// A word that tells seeds apart and says nothing else of them: for headers of messages.
    pub fn check(self) -> u32 {
        self.hash(b"ringwall sketch seed") as u32
    }
}

impl fmt::Debug for Seed {
    /// Never the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({:08x})", self.check())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change_by_accident() {
        let seed = Seed::new([1, 2]);
        assert_eq!(seed.hash(b""), SipHasher13::new_with_keys(1, 2).hash(b""));
        let golden = [seed.hash(b"ringwall"), seed.word(7), seed.join(1, 2), seed.check().into()];
        assert_eq!(golden, GOLDEN);
        assert_eq!(format!("{seed:?}"), format!("Seed({:08x})", GOLDEN[3]));
    }

    const GOLDEN: [u64; 4] = [
        17_504_791_238_144_728_541,
        4_554_058_698_837_360_158,
        12_471_358_352_380_961_010,
        3_654_313_575,
    ];

    #[test]
    fn order_and_seed_count() {
        let (one, other) = (Seed::new([1, 2]), Seed::new([1, 3]));
        assert_ne!(one.join(5, 6), one.join(6, 5));
        assert_ne!(one.word(5), other.word(5));
        assert_ne!(one.check(), other.check());
    }
}
