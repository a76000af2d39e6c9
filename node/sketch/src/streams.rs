//! Streams for tests: Zipf's, as traffic is, and what an attacker would choose.

/// A small generator with a fixed sequence (splitmix64; Steele, Lea, Flood 2014).
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, not including, 1.
    pub(crate) fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// `length` things out of `things`, the n-th of them with weight 1/n.
pub(crate) fn zipf(seed: u64, length: usize, things: u64) -> Vec<u64> {
    let mut sums = Vec::new();
    let mut sum = 0.0;
    for thing in 1..=things {
        sum += 1.0 / thing as f64;
        sums.push(sum);
    }
    let mut dice = Dice::new(seed);
    let mut one = || {
        let at = dice.unit() * sum;
        sums.partition_point(|upto| *upto <= at) as u64
    };
    (0..length).map(|_| one()).collect()
}

/// Mostly new things, in an order and of a form that would break a weak hash: counted upwards, multiples of
/// 2^32, and random; between them, in every tenth place, one of 64 that come again.
pub(crate) fn adversarial(seed: u64, length: usize) -> Vec<u64> {
    let mut dice = Dice::new(seed);
    let mut one = |at: usize| match at % 10 {
        0 => dice.next() % 64,
        1..=3 => 1_000 + at as u64,
        4..=6 => (at as u64) << 32,
        _ => dice.next(),
    };
    (0..length).map(&mut one).collect()
}
