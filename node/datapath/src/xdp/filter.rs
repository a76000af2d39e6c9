//! A bitmap that tells the program at a glance that an address is not the host's.

use super::limits::FILTER_WORDS;
use super::port::AddressKey;

/// `struct filter` of the program.
pub(super) type FilterWords = [u64; FILTER_WORDS];

/// The factors of the program's `filter_bit`: the domain's, then those of the address's words.
const FACTORS: [u64; 5] = [
    0x9e37_79b9_7f4a_7c15,
    0xbf58_476d_1ce4_e5b9,
    0x94d0_49bb_1331_11eb,
    0xd6e8_feb8_6659_fd93,
    0xc2b2_ae3d_27d4_eb4f,
];

/// The bitmap over these addresses.
pub(super) fn filter<'a>(keys: impl IntoIterator<Item = &'a AddressKey>) -> Box<FilterWords> {
    let mut words = Box::new([0; FILTER_WORDS]);
    for key in keys {
        let bit = filter_bit(key);
        words[bit / 64] |= 1 << (bit % 64);
    }
    words
}

/// The bit of an address: the top of a sum of products, over words as the processor reads them.
fn filter_bit(key: &AddressKey) -> usize {
    let (words, _) = key.as_chunks::<4>();
    let [a, b, c, d, domain] = [0, 1, 2, 3, 4].map(|at| u64::from(u32::from_ne_bytes(words[at])));
    let products = [domain, a, b, c, d].into_iter().zip(FACTORS);
    let sum =
        products.fold(0u64, |sum, (word, factor)| sum.wrapping_add(word.wrapping_mul(factor)));
    // 16 bits: any platform's usize holds them.
    usize::from((sum >> 48) as u16)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xdp::port::address_key;

    #[test]
    fn the_bits_of_a_few_addresses_lie_apart() {
        let keys: Vec<AddressKey> = (0..64u8)
            .map(|last| address_key(u16::from(last % 2), [10, 8, 0, last].into()))
            .collect();
        let set: u32 = filter(&keys).iter().map(|word| word.count_ones()).sum();
        assert!(set > 60, "{set} bits for {} addresses", keys.len());
        assert_eq!(filter([]).iter().max(), Some(&0));
    }
}
