//! Who a row is about: places, pairs of them, flows.

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bytes::{Malformed, Reader};
use crate::rows::Key;
use crate::seed::Seed;
use crate::space_saving::Stored;

/// An address or a prefix, as seen by a zone: where its packets enter, or, of a destination, where the
/// packets to it do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// The zone by which packets enter.
    pub zone: u8,
    /// 0 to 128; of IPv4, 96 more than its own.
    length: u8,
    /// IPv4 as IPv4-mapped (RFC 4291 §2.5.5.2); bits beyond the length are 0. In two halves, for a `u128`
    /// would be aligned to 16 bytes and make rows larger.
    high: u64,
    low: u64,
}

/// The bits before an IPv4 address that is written as one of IPv6.
const MAPPED: u64 = 0xffff;

impl Place {
    /// The place of `address` with so many bits of it: `v4` of 32 or `v6` of 128, the rest counts as 0.
    #[inline]
    pub fn new(zone: u8, address: IpAddr, v4: u8, v6: u8) -> Self {
        let (length, high, low) = bits(address, v4, v6);
        Self { zone, length, high, low }
    }

    /// [`Self::new`] and [`Key::hash`] in one: bytes that were just written one by one are not read again as
    /// one word, for which a processor waits until they are in its cache.
    #[inline]
    pub(crate) fn hashed(seed: Seed, zone: u8, address: IpAddr, (v4, v6): (u8, u8)) -> (Self, u64) {
        let (length, high, low) = bits(address, v4, v6);
        (Self { zone, length, high, low }, seed.words(high, low, head(0, zone, length)))
    }

    /// The place of one address.
    pub fn of(zone: u8, address: IpAddr) -> Self {
        Self::new(zone, address, 32, 128)
    }

    /// A whole zone.
    pub const fn zone(zone: u8) -> Self {
        Self { zone, length: 0, high: 0, low: 0 }
    }

    /// Whether it is a whole zone.
    pub const fn is_zone(&self) -> bool {
        self.length == 0
    }

    /// Its first address.
    pub fn address(&self) -> IpAddr {
        let address = Ipv6Addr::from_bits(u128::from(self.high) << 64 | u128::from(self.low));
        match address.to_ipv4_mapped() {
            Some(v4) if self.length >= 96 => IpAddr::V4(v4),
            Some(_) | None => IpAddr::V6(address),
        }
    }

    /// Bits of its prefix, in its own family.
    pub fn prefix_length(&self) -> u8 {
        match self.address() {
            IpAddr::V4(_) => self.length - 96,
            IpAddr::V6(_) => self.length,
        }
    }

    /// The same place with no more than so many bits.
    #[must_use]
    pub fn widened(&self, v4: u8, v6: u8) -> Self {
        let length = self.prefix_length();
        Self::new(self.zone, self.address(), v4.min(length), v6.min(length))
    }

    /// Its hash as one of several kinds of things, which has nothing to do with those of other kinds; kind 0
    /// is [`Key::hash`].
    #[inline]
    pub fn hash_as(&self, kind: u8, seed: Seed) -> u64 {
        seed.words(self.high, self.low, head(kind, self.zone, self.length))
    }

    /// Whether it holds `address`.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.is_zone()
            || Self::new(self.zone, address, self.prefix_length(), self.prefix_length()) == *self
    }
}

/// How many bits of an IPv6 address count, and those in two halves.
#[inline]
fn bits(address: IpAddr, v4: u8, v6: u8) -> (u8, u64, u64) {
    match address {
        IpAddr::V4(address) => {
            let length = v4.min(32);
            let mask = u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0);
            (96 + length, 0, MAPPED << 32 | u64::from(address.to_bits() & mask))
        }
        IpAddr::V6(address) => {
            let length = v6.min(128);
            let mask = u128::MAX.checked_shl(128 - u32::from(length)).unwrap_or(0);
            let bits = address.to_bits() & mask;
            (length, (bits >> 64) as u64, bits as u64)
        }
    }
}

/// The third word of a place's hash. Never 0, as that of one word's hash is.
#[inline]
fn head(kind: u8, zone: u8, length: u8) -> u64 {
    1 << 24 | u64::from(kind) << 16 | u64::from(zone) << 8 | u64::from(length)
}

impl Key for Place {
    #[inline]
    fn hash(&self, seed: Seed) -> u64 {
        self.hash_as(0, seed)
    }
}

impl Stored for Place {
    /// Zone, family (4 or 6), length, and as many bytes of the address as the length needs.
    fn store(&self, out: &mut Vec<u8>) {
        let bytes = usize::from(self.prefix_length().div_ceil(8));
        match self.address() {
            IpAddr::V4(address) => {
                out.extend([self.zone, 4, self.prefix_length()]);
                out.extend(&address.octets()[..bytes]);
            }
            IpAddr::V6(address) => {
                out.extend([self.zone, 6, self.prefix_length()]);
                out.extend(&address.octets()[..bytes]);
            }
        }
    }

    fn load(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let [zone, family, length] = reader.array()?;
        let most = match family {
            4 => 32,
            6 => 128,
            _ => return Err(Malformed::Value),
        };
        if length > most {
            return Err(Malformed::Value);
        }
        let bytes = reader.bytes(usize::from(length.div_ceil(8)))?;
        let address = if family == 4 {
            let mut octets = [0; 4];
            octets[..bytes.len()].copy_from_slice(bytes);
            IpAddr::V4(Ipv4Addr::from(octets))
        } else {
            let mut octets = [0; 16];
            octets[..bytes.len()].copy_from_slice(bytes);
            IpAddr::V6(Ipv6Addr::from(octets))
        };
        Ok(Self::new(zone, address, length, length))
    }
}

impl fmt::Display for Place {
    /// The address, with its prefix length unless it is one address.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (address, length) = (self.address(), self.prefix_length());
        let whole = if address.is_ipv4() { 32 } else { 128 };
        if self.is_zone() {
            f.write_str("any")
        } else if length == whole {
            write!(f, "{address}")
        } else {
            write!(f, "{address}/{length}")
        }
    }
}

/// A source and a destination.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pair {
    /// Who begins.
    pub source: Place,
    /// To whom.
    pub destination: Place,
}

impl Key for Pair {
    fn hash(&self, seed: Seed) -> u64 {
        seed.join(self.source.hash(seed), self.destination.hash(seed))
    }
}

impl Stored for Pair {
    fn store(&self, out: &mut Vec<u8>) {
        self.source.store(out);
        self.destination.store(out);
    }

    fn load(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { source: Place::load(reader)?, destination: Place::load(reader)? })
    }
}

/// One flow, as its initiator sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// The ends, each one address.
    pub pair: Pair,
    /// The initiator's port.
    pub source_port: u16,
    /// The responder's port, or the ICMP type.
    pub port: u16,
    /// IP protocol number.
    pub protocol: u8,
}

impl Flow {
    #[inline]
    pub(crate) fn ports_word(&self) -> u64 {
        u64::from(self.source_port) << 24 | u64::from(self.port) << 8 | u64::from(self.protocol)
    }
}

impl Key for Flow {
    fn hash(&self, seed: Seed) -> u64 {
        seed.join(self.pair.hash(seed), seed.word(self.ports_word()))
    }
}

impl Stored for Flow {
    fn store(&self, out: &mut Vec<u8>) {
        self.pair.store(out);
        out.extend(self.source_port.to_be_bytes());
        out.extend(self.port.to_be_bytes());
        out.push(self.protocol);
    }

    fn load(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let pair = Pair::load(reader)?;
        let (source_port, port) = (reader.u16()?, reader.u16()?);
        Ok(Self { pair, source_port, port, protocol: reader.u8()? })
    }
}

/// A kind of stateless anomaly between two places.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OddPair {
    /// Which one.
    pub oddity: crate::Oddity,
    /// Between whom.
    pub pair: Pair,
}

impl Key for OddPair {
    fn hash(&self, seed: Seed) -> u64 {
        seed.join(self.pair.hash(seed), seed.word(u64::from(self.oddity.number())))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().expect("an address of a test")
    }

    #[test]
    fn prefixes_are_cut_and_shown() {
        let cases = [
            ("192.0.2.77", 32, 128, "192.0.2.77"),
            ("192.0.2.77", 24, 128, "192.0.2.0/24"),
            ("2001:db8:1:2:3::4", 24, 128, "2001:db8:1:2:3::4"),
            ("2001:db8:1:2:3::4", 24, 64, "2001:db8:1:2::/64"),
            ("2001:db8:1:2:3::4", 24, 48, "2001:db8:1::/48"),
            ("192.0.2.77", 99, 0, "192.0.2.77"),
        ];
        for (text, v4, v6, shown) in cases {
            assert_eq!(Place::new(1, address(text), v4, v6).to_string(), shown);
        }
        let host = Place::of(1, address("2001:db8:1:2:3::4"));
        assert_eq!(host.widened(24, 56).to_string(), "2001:db8:1::/56");
        assert_eq!(host.widened(24, 56).widened(0, 64), host.widened(0, 56));
        assert_eq!(
            (Place::zone(3).to_string(), Place::zone(3).is_zone()),
            ("any".to_owned(), true)
        );
    }

    #[test]
    fn a_prefix_contains_its_addresses_alone() {
        let net = Place::new(1, address("192.0.2.0"), 24, 0);
        assert!(net.contains(address("192.0.2.255")) && !net.contains(address("192.0.3.0")));
        let v6 = Place::new(1, address("2001:db8::"), 0, 32);
        assert!(v6.contains(address("2001:db8:ffff::1")) && !v6.contains(address("192.0.2.1")));
    }

    #[test]
    fn these_bytes() {
        let mut out = Vec::new();
        let (source, destination) =
            (Place::of(2, address("192.0.2.1")), Place::new(2, address("2001:db8::"), 0, 29));
        let pair = Pair { source, destination };
        Flow { pair, source_port: 0x1234, port: 443, protocol: 6 }.store(&mut out);
        let golden =
            [2, 4, 32, 192, 0, 2, 1, 2, 6, 29, 0x20, 1, 0x0d, 0xb8, 0x12, 0x34, 1, 0xbb, 6];
        assert_eq!(out, golden);
        for bad in [[1, 5, 0], [1, 4, 33], [1, 6, 129]] {
            assert_eq!(Place::load(&mut Reader::new(&bad)), Err(Malformed::Value));
        }
        assert_eq!(Place::load(&mut Reader::new(&[1, 4, 32, 1])), Err(Malformed::Truncated));
    }

    proptest! {
        #[test]
        fn a_place_comes_back(zone: u8, v6: bool, bits: u128, length in 0_u8..=128) {
            let address = match v6 {
                true => IpAddr::V6(Ipv6Addr::from_bits(bits)),
                false => IpAddr::V4(Ipv4Addr::from_bits(bits as u32)),
            };
            let place = Place::new(zone, address, length.min(32), length);
            let mut out = Vec::new();
            place.store(&mut out);
            prop_assert_eq!(Place::load(&mut Reader::new(&out)), Ok(place));
        }

        #[test]
        fn equal_places_hash_equally_and_others_do_not(zone: u8, bits: u32, other: u32) {
            let seed = Seed::new([1, 2]);
            let place = |bits| Place::of(zone, IpAddr::V4(Ipv4Addr::from_bits(bits)));
            prop_assert_eq!(place(bits).hash(seed) == place(other).hash(seed), bits == other);
            prop_assert_ne!(place(bits).hash(seed), place(bits).widened(24, 64).hash(seed));
            prop_assert_ne!(place(bits).hash(seed), place(bits).hash_as(1, seed));
        }
    }
}
