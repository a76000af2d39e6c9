//! The table's hash: a keyed folded multiply over the 40 bytes of a flow key.
//!
//! Each step multiplies two words, each xored with a secret, to 128 bits and folds the halves by xor
//! (the step of wyhash and rapidhash). Those functions know attacks that choose a word equal to a
//! *public* secret, which makes the product zero whatever the other word is. Here every secret is
//! drawn from the table's 128-bit seed, so the attacker would have to guess 64 bits, and sees neither
//! hashes nor buckets. It is not a MAC: placement, which outsiders could observe, uses SipHash.

use wire::FlowKey;

/// A hash function drawn from a seed.
#[derive(Clone, Copy)]
pub(super) struct Keyed {
    secrets: [u64; 6],
}

impl Keyed {
    pub(super) fn new(seed: [u64; 2]) -> Self {
        let mut state = seed;
        Self { secrets: std::array::from_fn(|_| draw(&mut state)) }
    }

    /// The hash of a key.
    #[inline(always)]
    pub(super) fn hash(&self, key: &FlowKey) -> u64 {
        let [a, b, c, d, e] = words(key);
        let [s0, s1, s2, s3, s4, s5] = self.secrets;
        let low = fold(a ^ s0, b ^ s1);
        let high = fold(c ^ s2, d ^ s3);
        fold(low ^ e ^ s4, high ^ e.rotate_left(32) ^ s5)
    }
}

impl std::fmt::Debug for Keyed {
    /// Not the secrets.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Keyed")
    }
}

#[inline]
fn words(key: &FlowKey) -> [u64; 5] {
    let (chunks, _) = key.as_bytes().as_chunks::<8>();
    std::array::from_fn(|word| u64::from_le_bytes(chunks[word]))
}

#[inline]
fn fold(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    product as u64 ^ (product >> 64) as u64
}

/// The next secret: SplitMix64 (Steele, Lea, Flood 2014) over both halves of the seed, never with
/// so few or so many bits that a multiplication by it loses much.
fn draw(state: &mut [u64; 2]) -> u64 {
    loop {
        let [a, b] = state.each_mut().map(|half| {
            *half = half.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = *half;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        });
        let secret = a ^ b.rotate_left(32);
        if (24..=40).contains(&secret.count_ones()) {
            return secret;
        }
    }
}
