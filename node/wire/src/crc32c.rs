//! The CRC32c of SCTP (RFC 9260 appendix A), as far as a change of a few bytes needs it.
//!
//! A CRC is linear: the CRCs of two messages of one length differ by what their difference makes of a
//! register of zeros. So a translator leaves a wrong checksum wrong, and reads no data.

/// The polynomial of RFC 3309, lowest power in the highest bit.
const POLYNOMIAL: u32 = 0x82f6_3b78;
/// x⁰ and x⁸.
const ONE: u32 = 1 << 31;
const BYTE: u32 = 1 << 23;

/// The CRC after 4 bytes of the message, with `behind` bytes behind them, went from `old` to `new`.
pub(crate) fn update(crc: u32, old: [u8; 4], new: [u8; 4], behind: usize) -> u32 {
    // The difference stands 4 bytes and those behind it before the end of the message.
    let difference = u32::from_le_bytes(old) ^ u32::from_le_bytes(new);
    crc ^ times(difference, power(behind + 4))
}

/// x to the power of 8·`bytes`.
fn power(mut bytes: usize) -> u32 {
    let (mut product, mut square) = (ONE, BYTE);
    while bytes != 0 {
        if bytes & 1 != 0 {
            product = times(product, square);
        }
        square = times(square, square);
        bytes >>= 1;
    }
    product
}

/// The product of two polynomials, modulo [`POLYNOMIAL`].
fn times(a: u32, mut b: u32) -> u32 {
    let mut product = 0;
    for power in 0..32 {
        if a << power & ONE != 0 {
            product ^= b;
        }
        b = b >> 1 ^ if b & 1 != 0 { POLYNOMIAL } else { 0 };
    }
    product
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::{POLYNOMIAL, update};

    /// The CRC of a message, bit by bit.
    fn slowly(bytes: &[u8]) -> u32 {
        !bytes.iter().fold(!0, |crc, byte| {
            (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
                crc >> 1 ^ if crc & 1 != 0 { POLYNOMIAL } else { 0 }
            })
        })
    }

    #[test]
    fn the_slow_twin_is_crc32c() {
        assert_eq!(slowly(b"123456789"), 0xe306_9283);
        // RFC 3720 appendix B.4: 32 bytes of zeros, and of ones.
        assert_eq!(slowly(&[0; 32]), 0x8a91_36aa);
        assert_eq!(slowly(&[0xff; 32]), 0x62a8_ab43);
    }

    proptest! {
        #[test]
        fn a_change_is_what_a_new_sum_says(
            message in prop::collection::vec(any::<u8>(), 4..300),
            place in any::<prop::sample::Index>(),
            new: [u8; 4],
        ) {
            let at = place.index(message.len() - 3);
            let mut changed: Vec<u8> = message.clone();
            changed[at..at + 4].copy_from_slice(&new);
            let old = message[at..at + 4].try_into().unwrap();
            let updated = update(slowly(&message), old, new, message.len() - at - 4);
            prop_assert_eq!(updated, slowly(&changed));
        }
    }
}
