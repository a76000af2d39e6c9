//! The bytes of the transfers: those of transfer `id` at place `at` are known to both ends, and made
//! once, so that comparing is as cheap as it can be.

use std::sync::LazyLock;

/// After so many bytes they begin anew: a prime, so no multiple of any length in the way.
pub(super) const PERIOD: usize = 65_521;

/// Twice the period, so that a whole one stands in one piece at every place.
static BYTES: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut word = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        // Marsaglia's xorshift64.
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        (word >> 24) as u8
    };
    let once: Vec<u8> = (0..PERIOD).map(|_| next()).collect();
    once.repeat(2)
});

/// `length` bytes from a place on; `length` is at most [`PERIOD`].
pub(super) fn bytes(id: u32, at: u64, length: usize) -> &'static [u8] {
    // Transfers begin at places far from each other.
    let start = (at + u64::from(id) * 7_919) % PERIOD as u64;
    &BYTES[start as usize..][..length]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_fit_together_and_transfers_differ() {
        let whole = bytes(3, 65_000, PERIOD).to_vec();
        let pieces = [bytes(3, 65_000, 1_000), bytes(3, 66_000, PERIOD - 1_000)].concat();
        assert_eq!(whole, pieces);
        for (id, at) in [(4, 65_000), (3, 65_001), (3, 66_448), (5, 65_000)] {
            assert_ne!(bytes(id, at, 64), &whole[..64], "{id} at {at}");
        }
    }
}
