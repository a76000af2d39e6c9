//! Prefix translation between IPv6 and IPv6 (RFC 6296): without state, and so that the sum of an address
//! stays what it was. No transport checksum changes, so it does for every protocol.
//!
//! The prefix is replaced, and what that adds to the sum is taken from one word behind it: the subnet's,
//! bits 48 to 63, behind a prefix of up to 48 bits (§3.4, §3.5); else the first of the interface
//! identifier's four that is not all ones (§3.7). All ones and all zeros are one number there: zero is what
//! is written, and all ones cannot be translated, for nothing would come back as they.
use core::net::Ipv6Addr;

use crate::checksum::fold;

/// The longest prefix (§3.7): behind it there is an interface identifier.
pub const MAX_LENGTH: u8 = 64;
/// The longest prefix with a subnet of 16 bits behind it.
const LONGEST_WITH_SUBNET: u8 = 48;

/// A prefix inside and the one that it is outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Nptv6 {
    inside: u128,
    outside: u128,
    length: u8,
    /// What a word outside has more than inside, as one's complement number.
    adjustment: u16,
}

impl Nptv6 {
    /// Both prefixes are `length` bits long; what stands behind them is not looked at. `None` for 0 bits
    /// and for more than [`MAX_LENGTH`].
    pub fn new(inside: Ipv6Addr, outside: Ipv6Addr, length: u8) -> Option<Self> {
        if !(1..=MAX_LENGTH).contains(&length) {
            return None;
        }
        let mask = mask(length);
        let (inside, outside) = (inside.to_bits() & mask, outside.to_bits() & mask);
        let adjustment = fold(u32::from(sum(inside)) + u32::from(!sum(outside)));
        Some(Self { inside, outside, length, adjustment })
    }

    /// What an address inside is outside: of the source of a packet that leaves. `None` if it does not
    /// begin with the prefix inside, or cannot be translated: then the packet is dropped.
    pub fn outward(&self, address: Ipv6Addr) -> Option<Ipv6Addr> {
        self.translate(address, self.inside, self.outside, self.adjustment)
    }

    /// What an address outside is inside, likewise: of the destination of a packet that enters.
    pub fn inward(&self, address: Ipv6Addr) -> Option<Ipv6Addr> {
        self.translate(address, self.outside, self.inside, !self.adjustment)
    }

    fn translate(
        &self,
        address: Ipv6Addr,
        from: u128,
        to: u128,
        adjustment: u16,
    ) -> Option<Ipv6Addr> {
        let mask = mask(self.length);
        let bits = address.to_bits();
        if bits & mask != from {
            return None;
        }
        let mut words = Ipv6Addr::from_bits(bits & !mask | to).segments();
        let word = adjusted_word(&mut words, self.length)?;
        let sum = fold(u32::from(*word) + u32::from(adjustment));
        *word = if sum == 0xffff { 0 } else { sum };
        (!is_routers(&words, self.length)).then(|| Ipv6Addr::from(words))
    }
}

/// The word that makes up for the prefix.
fn adjusted_word(words: &mut [u16; 8], length: u8) -> Option<&mut u16> {
    if is_routers(words, length) {
        return None;
    }
    let candidates = if length <= LONGEST_WITH_SUBNET { 3..4 } else { 4..8 };
    words[candidates].iter_mut().find(|word| **word != 0xffff)
}

/// §3.7: an interface identifier of zeros, which all routers have, must not be translated where it would
/// change; nor what would become one, and not come back.
fn is_routers(words: &[u16; 8], length: u8) -> bool {
    length > LONGEST_WITH_SUBNET && words[4..] == [0; 4]
}

fn mask(length: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0)
}

/// The one's complement sum of the words of a prefix.
fn sum(prefix: u128) -> u16 {
    fold(Ipv6Addr::from_bits(prefix).segments().iter().map(|word| u32::from(*word)).sum())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> Ipv6Addr {
        text.parse().unwrap()
    }

    /// Inside, outside, length; then an address inside and what it is outside.
    fn expect(
        (inside, outside, length): (&str, &str, u8),
        from: &str,
        to: impl Into<Option<&'static str>>,
    ) {
        let prefixes = Nptv6::new(address(inside), address(outside), length).unwrap();
        let outward = prefixes.outward(address(from));
        assert_eq!(outward, to.into().map(address), "{from}");
        if let Some(outward) = outward {
            assert_eq!(prefixes.inward(outward), Some(address(from)), "{outward}");
        }
    }

    #[test]
    fn the_example_of_the_rfc() {
        // §3.6, with erratum 3033.
        let prefixes = ("fd01:203:405::", "2001:db8:1::", 48);
        assert_eq!(
            Nptv6::new(address(prefixes.0), address(prefixes.1), 48).unwrap().adjustment,
            0xd54f
        );
        expect(prefixes, "fd01:203:405:1::1234", "2001:db8:1:d550::1234");
    }

    #[test]
    fn the_word_that_changes() {
        let short = ("fd00::", "2001::", 16);
        expect(short, "fd00:1:2:3:4:5:6:7", "2001:1:2:dd02:4:5:6:7");
        let long = ("fd00:0:0:100::", "fd00:0:0:300::", 56);
        expect(long, "fd00:0:0:1aa:5::1", "fd00:0:0:3aa:fe04::1");
        expect(long, "fd00:0:0:1aa:ffff:5:0:1", "fd00:0:0:3aa:ffff:fe04:0:1");
        expect(long, "fd00:0:0:1aa:ffff:ffff:ffff:200", "fd00:0:0:3aa:ffff:ffff:ffff:0");
        let whole = ("fd00:0:0:1::", "fd00:0:0:2::", 64);
        expect(whole, "fd00:0:0:1::1", "fd00::2:fffe:0:0:1");
        expect(("fd00::", "fd00::", 48), "fd00:0:0:5::1", "fd00:0:0:5::1");
    }

    #[test]
    fn what_cannot_be_translated() {
        expect(("fd00::", "2001:db8::", 48), "fd00:0:0:ffff::1", None);
        expect(("fd00::", "2001:db8::", 48), "fd00:0:1:5::1", None);
        let long = ("fd00:0:0:100::", "2001:db8:0:300::", 56);
        expect(long, "fd00:0:0:100:ffff:ffff:ffff:ffff", None);
        expect(long, "fd00:0:0:100::", None);
        expect(long, "fd00:0:0:200::1", None);
        // Behind a subnet it stays what it is.
        expect(("fd00::", "2001:db8::", 48), "fd00:0:0:1::", "2001:db8:0:cf48::");
        // What would become one: fd00:0:0:100 is more than 2001:db8:0:300 by cd47.
        expect(long, "fd00:0:0:100:32b8::", None);
        for length in [0, 65, 128, 255] {
            assert_eq!(Nptv6::new(address("fd00::"), address("2001::"), length), None);
        }
    }

    #[test]
    fn the_sum_of_all_ones_is_written_as_zero() {
        // fd00 - 2001 = dcff.
        expect(("fd00::", "2001::", 16), "fd00:0:0:2300::1", "2001::1");
        expect(("fd00::", "2001::", 16), "fd00::1", "2001:0:0:dcff::1");
    }

    /// The only number but all ones that leaves the sum as it was, found by trying all.
    fn slowly(from: Ipv6Addr, to: u128, length: u8) -> Option<Ipv6Addr> {
        let total = |words: [u16; 8]| words.iter().map(|word| u64::from(*word)).sum::<u64>();
        let words = from.segments();
        let at = if length <= 48 { 3 } else { (4..8).find(|at| words[*at] != 0xffff)? };
        if words[at] == 0xffff || length > 48 && words[4..] == [0; 4] {
            return None;
        }
        let mask = u128::MAX << (128 - u32::from(length));
        let mut words = Ipv6Addr::from_bits(from.to_bits() & !mask | to).segments();
        let found = (0..0xffff).find(|word| {
            words[at] = *word;
            total(words) % 0xffff == total(from.segments()) % 0xffff
        });
        words[at] = found?;
        (length <= 48 || words[4..] != [0; 4]).then(|| Ipv6Addr::from(words))
    }

    /// Words with those that are special.
    fn bits() -> impl Strategy<Value = u128> {
        let word = prop_oneof![Just(0), Just(0xffff_u16), any::<u16>()];
        prop::array::uniform8(word).prop_map(|words| Ipv6Addr::from(words).to_bits())
    }

    proptest! {
        #[test]
        fn the_slow_twin_agrees_and_all_comes_back(
            (inside, outside, rest) in (bits(), bits(), bits()),
            length in 1u8..=64,
        ) {
            let mask = u128::MAX << (128 - u32::from(length));
            let [inside, outside] = [inside & mask, outside & mask];
            let prefixes =
                Nptv6::new(Ipv6Addr::from_bits(inside), Ipv6Addr::from_bits(outside), length);
            let prefixes = prefixes.unwrap();
            let address = Ipv6Addr::from_bits(inside | rest & !mask);
            let outward = prefixes.outward(address);
            prop_assert_eq!(outward, slowly(address, outside, length));
            if let Some(outward) = outward {
                prop_assert_eq!(prefixes.inward(outward), Some(address));
            }
        }
    }
}
