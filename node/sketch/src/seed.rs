//! Keyed hashing: folded multiplications under secrets that are drawn from 128 secret bits.
//!
//! Each step multiplies two words, each xored with a secret, to 128 bits and uses both halves (the step of
//! wyhash and rapidhash), as the session table hashes. The attacks that those functions know choose a word
//! that is equal to a *public* secret, for then the product is 0 whatever the other word is. Here every
//! secret is drawn from the seed, so an attacker would have to guess 64 bits, and he sees neither hashes nor
//! rows: he can neither choose things that collide nor things that look rare to a sketch.
//!
//! Hashes travel between nodes in sets of different things, so they are a format: they never change.

use core::fmt;

use siphasher::sip::SipHasher13;

/// The secret under which all sketches of a cluster hash. Nodes with different seeds cannot merge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed {
    secret: [u64; 2],
    keys: [u64; 6],
}

impl Seed {
    /// A seed of two secret words.
    pub const fn new(secret: [u64; 2]) -> Self {
        Self { secret, keys: draw(secret) }
    }

    /// The hash of one word.
    #[inline]
    pub const fn word(self, word: u64) -> u64 {
        self.words(word, word.rotate_left(32), 0)
    }

    /// The hash of three words, in this order.
    #[inline]
    pub const fn words(self, a: u64, b: u64, c: u64) -> u64 {
        let [k0, k1, k2, k3, _, _] = self.keys;
        let (low, high) = multiply(a ^ k0, b ^ k1);
        fold(low ^ c ^ k2, high ^ c.rotate_left(32) ^ k3)
    }

    /// One hash of two hashes, in this order: nobody outside can predict either, so one step is enough.
    #[inline]
    pub const fn join(self, left: u64, right: u64) -> u64 {
        let [_, _, _, _, k4, k5] = self.keys;
        fold(left ^ k4, right.rotate_left(32) ^ k5)
    }

    /// A word that tells seeds apart and says nothing else of them: for headers of messages.
    pub fn check(self) -> u32 {
        let [left, right] = self.secret;
        SipHasher13::new_with_keys(left, right).hash(b"ringwall sketch seed") as u32
    }
}

#[inline]
const fn multiply(a: u64, b: u64) -> (u64, u64) {
    let product = a as u128 * b as u128;
    (product as u64, (product >> 64) as u64)
}

#[inline]
const fn fold(a: u64, b: u64) -> u64 {
    let (low, high) = multiply(a, b);
    low ^ high
}

/// The secrets of a seed: SplitMix64 (Steele, Lea, Flood 2014) over both halves, none of them with so few or
/// so many bits that a multiplication by it loses much.
const fn draw(secret: [u64; 2]) -> [u64; 6] {
    let ([mut left, mut right], mut keys, mut drawn) = (secret, [0; 6], 0);
    while drawn < keys.len() {
        left = left.wrapping_add(GOLDEN_RATIO);
        right = right.wrapping_add(GOLDEN_RATIO);
        let key = mixed(left) ^ mixed(right).rotate_left(32);
        if key.count_ones() >= 24 && key.count_ones() <= 40 {
            keys[drawn] = key;
            drawn += 1;
        }
    }
    keys
}

const GOLDEN_RATIO: u64 = 0x9e37_79b9_7f4a_7c15;

const fn mixed(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
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
        let golden = [seed.words(1, 2, 3), seed.word(7), seed.join(1, 2), seed.check().into()];
        assert_eq!(golden, GOLDEN);
        assert_eq!(format!("{seed:?}"), format!("Seed({:08x})", GOLDEN[3]));
    }

    const GOLDEN: [u64; 4] = [
        5_247_982_413_229_306_613,
        13_654_484_436_492_759_552,
        806_350_370_097_696_963,
        3_654_313_575,
    ];

    #[test]
    fn order_and_seed_count() {
        let (one, other) = (Seed::new([1, 2]), Seed::new([1, 3]));
        assert_ne!(one.join(5, 6), one.join(6, 5));
        assert_ne!(one.word(5), other.word(5));
        assert_ne!(one.check(), other.check());
    }

    /// Things that differ in few bits, or in steps, as ports and addresses do: their hashes share registers,
    /// cells and sets no oftener than random ones would.
    #[test]
    fn near_things_are_far_apart() {
        let seed = Seed::new([5, 6]);
        let hashes: [fn(Seed, u64) -> u64; 2] =
            [|seed, at| seed.word(at), |seed, at| seed.words(0, (0xffff << 32) ^ at, 1 << 24)];
        let steps = [1, 2, 256, 1 << 16, 1 << 24, 1 << 32, 1 << 48, 0x0001_0001_0001];
        for (step, hash) in steps.into_iter().flat_map(|step| hashes.map(|hash| (step, hash))) {
            for shift in [0, 20, 32, 57] {
                let mut cells = [0_u32; 128];
                for at in 0..128 * 64_u64 {
                    cells[(hash(seed, at * step) >> shift) as usize % 128] += 1;
                }
                // Of 128 cells with 64 each, chi-squared has 127 degrees of freedom: 228 is 6 sigma.
                let square = |count: &u32| (f64::from(*count) - 64.0).powi(2) / 64.0;
                let chi = cells.iter().map(square).sum::<f64>();
                assert!((40.0..228.0).contains(&chi), "{step} {shift}: {chi}");
            }
        }
    }
}
