//! The keys of flows and of fragments: byte strings with a fixed layout.
//!
//! Both are 40 bytes, all numbers big-endian. An IPv4 address stands as its IPv4-mapped IPv6
//! address (`::ffff:a.b.c.d`, RFC 4291 §2.5.5.2); the version in the last byte keeps it apart from
//! an IPv6 packet that carries such an address.
//!
//! | offset | bytes | flow key | fragment key |
//! |---|---|---|---|
//! | 0 | 16 | address of the low end | source address |
//! | 16 | 16 | address of the high end | destination address |
//! | 32 | 2 | port of the low end | identification, high half (0 in IPv4) |
//! | 34 | 2 | port of the high end | identification, low half |
//! | 36 | 2 | routing domain | routing domain |
//! | 38 | 1 | protocol | protocol (0 in IPv6) |
//! | 39 | 1 | `0x04` or `0x06` | `0x14` or `0x16` |
//!
//! The **low end** is the one whose 18 bytes (address, then port) compare lower as a byte string,
//! so both directions of a flow have one key. Ports by protocol:
//!
//! | protocol | port of the source | port of the destination |
//! |---|---|---|
//! | TCP, UDP, SCTP | source port | destination port |
//! | ICMP, ICMPv6 query or reply (echo; in IPv4 types 13 to 18) | identifier | identifier |
//! | GRE version 1 | 0 | call id (each direction has its own: an ALG joins them) |
//! | all others: other ICMP, GRE version 0, ESP, AH, … | 0 | 0 |
//!
//! The protocol is IPv4's protocol field or the last next-header value of IPv6's extension headers;
//! AH is a protocol in IPv4 and an extension header, passed over, in IPv6. An ICMP error has the
//! key of the packet embedded in it; a fragment has no flow key before it is reassembled.
use core::fmt;
use core::hash::{Hash, Hasher};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bytes::{be16, be32};
use crate::{Embedded, Packet, Protocol, Transport, Version};

/// Bytes of a [`FlowKey`] and of a [`FragmentKey`].
pub const KEY_LEN: usize = 40;
/// In the last byte of a key, added to the version: a fragment key.
pub const FRAGMENT_TAG: u8 = 0x10;

pub(crate) const LOW: usize = 0;
pub(crate) const HIGH: usize = 16;
pub(crate) const LOW_PORT: usize = 32;
pub(crate) const HIGH_PORT: usize = 34;
/// Where an IPv4 address stands within the address of an end.
const V4: usize = 12;
const DOMAIN: usize = 36;
const PROTOCOL: usize = 38;
const VERSION: usize = 39;

/// The canonical key of a flow and of its reverse: five-tuple and routing domain. The module
/// describes its bytes; order and equality are theirs.
#[derive(Clone, Copy, Eq, PartialOrd, Ord)]
#[repr(C, align(8))]
pub struct FlowKey([u8; KEY_LEN]);

impl PartialEq for FlowKey {
    /// Word by word: so many bytes would be compared by a call.
    #[inline(always)]
    fn eq(&self, other: &Self) -> bool {
        let pairs = self.0.as_chunks::<8>().0.iter().zip(other.0.as_chunks::<8>().0);
        pairs.fold(0, |differs, (a, b)| differs | (u64::from_ne_bytes(*a) ^ u64::from_ne_bytes(*b)))
            == 0
    }
}

impl FlowKey {
    /// No flow's key.
    pub const ZERO: Self = Self([0; KEY_LEN]);

    /// The key of the flow from `source` to `destination`, and which way that is. With ends of
    /// different IP versions it counts as IPv6.
    #[inline]
    pub fn new(
        domain: u16,
        protocol: Protocol,
        source: (IpAddr, u16),
        destination: (IpAddr, u16),
    ) -> (Self, Direction) {
        let from = (mapped(source.0), source.1);
        let to = (mapped(destination.0), destination.1);
        let (low, high, direction) = if from <= to {
            (from, to, Direction::Forward)
        } else {
            (to, from, Direction::Reverse)
        };
        let v4 = source.0.is_ipv4() && destination.0.is_ipv4();
        let mut bytes = [0; KEY_LEN];
        put(&mut bytes, low.0, high.0, domain);
        bytes[LOW_PORT..HIGH_PORT].copy_from_slice(&low.1.to_be_bytes());
        bytes[HIGH_PORT..DOMAIN].copy_from_slice(&high.1.to_be_bytes());
        bytes[PROTOCOL] = protocol.0;
        bytes[VERSION] = if v4 { 4 } else { 6 };
        (Self(bytes), direction)
    }

    /// [`FlowKey::new`] for IPv4 alone, which compares and writes half as much. Of addresses and ports.
    #[inline(always)]
    pub fn v4(
        domain: u16,
        protocol: Protocol,
        source: (u32, u16),
        destination: (u32, u16),
    ) -> (Self, Direction) {
        let end = |(address, port)| u64::from(address) << 16 | u64::from(port);
        let (from, to): (u64, u64) = (end(source), end(destination));
        let direction = if from <= to { Direction::Forward } else { Direction::Reverse };
        let (low, high) = (from.min(to), from.max(to));
        let ports = (low & 0xffff) << 48 | (high & 0xffff) << 32;
        let words = [
            0,
            0xffff_0000_0000 | low >> 16,
            0,
            0xffff_0000_0000 | high >> 16,
            ports | u64::from(domain) << 16 | u64::from(protocol.0) << 8 | 4,
        ];
        let mut bytes = [0; KEY_LEN];
        for (place, word) in bytes.as_chunks_mut().0.iter_mut().zip(words) {
            *place = word.to_be_bytes();
        }
        (Self(bytes), direction)
    }

    /// The bytes as the module describes them.
    #[inline]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// Takes bytes that [`FlowKey::as_bytes`] gave; `None` if they are not canonical.
    pub fn from_bytes(bytes: &[u8; KEY_LEN]) -> Option<Self> {
        let key = Self(*bytes);
        if !matches!(bytes[VERSION], 4 | 6) {
            return None;
        }
        let (made, _) = Self::new(key.domain(), key.protocol(), key.low(), key.high());
        (made == key).then_some(key)
    }

    /// The routing domain.
    #[inline]
    pub fn domain(&self) -> u16 {
        be16(&self.0, DOMAIN)
    }

    /// The protocol.
    #[inline]
    pub fn protocol(&self) -> Protocol {
        Protocol(self.0[PROTOCOL])
    }

    /// The IP version.
    #[inline]
    pub fn version(&self) -> Version {
        if self.0[VERSION] == 4 { Version::V4 } else { Version::V6 }
    }

    /// The low end.
    #[inline]
    pub fn low(&self) -> (IpAddr, u16) {
        (self.address(LOW), be16(&self.0, LOW_PORT))
    }

    /// The high end.
    #[inline]
    pub fn high(&self) -> (IpAddr, u16) {
        (self.address(HIGH), be16(&self.0, HIGH_PORT))
    }

    /// Both ends, low first.
    #[inline]
    pub fn ends(&self) -> ((IpAddr, u16), (IpAddr, u16)) {
        (self.low(), self.high())
    }

    /// Who sends in this direction.
    #[inline]
    pub fn source(&self, direction: Direction) -> (IpAddr, u16) {
        match direction {
            Direction::Forward => self.low(),
            Direction::Reverse => self.high(),
        }
    }

    /// Both ends of IPv4 as they stand in headers, who sends in this direction first: addresses, ports.
    #[inline(always)]
    pub(crate) fn v4_fields(&self, direction: Direction) -> ([u8; 8], [u8; 4]) {
        let word = |from: usize| {
            let at = |place: usize| self.0[from + place];
            u32::from_le_bytes([at(0), at(1), at(2), at(3)])
        };
        let addresses = u64::from(word(LOW + V4)) | u64::from(word(HIGH + V4)) << 32;
        let ports = word(LOW_PORT);
        let (addresses, ports) = match direction {
            Direction::Forward => (addresses, ports),
            Direction::Reverse => (addresses.rotate_left(32), ports.rotate_left(16)),
        };
        (addresses.to_le_bytes(), ports.to_le_bytes())
    }

    /// Both ends of a key of IPv4, address and port, who sends in this direction first; `None` of IPv6.
    #[inline(always)]
    pub fn v4_ends(&self, direction: Direction) -> Option<[(u32, u16); 2]> {
        if self.0[VERSION] != 4 {
            return None;
        }
        let low = (be32(&self.0, LOW + V4), be16(&self.0, LOW_PORT));
        let high = (be32(&self.0, HIGH + V4), be16(&self.0, HIGH_PORT));
        Some(match direction {
            Direction::Forward => [low, high],
            Direction::Reverse => [high, low],
        })
    }

    /// The port of who sends in this direction.
    #[inline]
    pub fn source_port(&self, direction: Direction) -> u16 {
        match direction {
            Direction::Forward => be16(&self.0, LOW_PORT),
            Direction::Reverse => be16(&self.0, HIGH_PORT),
        }
    }

    /// Who receives in this direction.
    #[inline]
    pub fn destination(&self, direction: Direction) -> (IpAddr, u16) {
        self.source(direction.reversed())
    }

    #[inline]
    fn address(&self, at: usize) -> IpAddr {
        match self.version() {
            // Canonical: the rest says that it is IPv4-mapped.
            Version::V4 => IpAddr::V4(Ipv4Addr::from_bits(be32(&self.0, at + V4))),
            Version::V6 => {
                let mut octets = [0; 16];
                octets.copy_from_slice(&self.0[at..at + 16]);
                IpAddr::V6(Ipv6Addr::from(octets))
            }
        }
    }
}

impl Hash for FlowKey {
    /// All 40 bytes in one write.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl fmt::Debug for FlowKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ((low, low_port), (high, high_port)) = self.ends();
        let (domain, protocol) = (self.domain(), self.protocol());
        write!(f, "FlowKey({domain} {protocol} {low} {low_port} {high} {high_port})")
    }
}

/// Which way a packet goes in its canonical flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the low end to the high end.
    Forward,
    /// From the high end to the low end.
    Reverse,
}

impl Direction {
    /// The other way.
    #[inline]
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Forward => Self::Reverse,
            Self::Reverse => Self::Forward,
        }
    }
}

/// The key of a packet's flow and the packet's direction in it. `None` for a fragment
/// ([`FragmentKey::of`] has its key) and for an ICMP error ([`embedded_key`] has it).
#[inline]
pub fn flow_key(packet: &Packet, domain: u16) -> Option<(FlowKey, Direction)> {
    if packet.fragment.is_some() {
        return None;
    }
    if packet.is_icmp_error() {
        return None;
    }
    let (source_port, destination_port) = ports(packet);
    let source = (packet.source, source_port);
    let destination = (packet.destination, destination_port);
    Some(FlowKey::new(domain, packet.protocol, source, destination))
}

/// The ports of a packet as keys have them; of an ICMP error and of a later fragment none, 0.
#[inline]
pub(crate) fn ports(packet: &Packet) -> (u16, u16) {
    match &packet.body {
        Transport::Tcp(tcp) => (tcp.source_port, tcp.destination_port),
        Transport::Udp(udp) => (udp.source_port, udp.destination_port),
        Transport::Sctp(ports) => (ports.source, ports.destination),
        Transport::Icmp(icmp) => (icmp.id, icmp.id),
        Transport::Gre(gre) => (0, gre.call_id().unwrap_or(0)),
        Transport::Esp { .. } | Transport::None | Transport::Other => (0, 0),
    }
}

/// The key of the flow of an embedded packet and *its* direction, the opposite of the error's.
/// `None` for a later fragment and for an ICMP error, about which there are no errors (RFC 1122
/// §3.2.2).
pub fn embedded_key(embedded: &Embedded, domain: u16) -> Option<(FlowKey, Direction)> {
    let about_error = embedded.icmp.is_some_and(|icmp| icmp.embedded);
    if about_error || embedded.is_later_fragment() || embedded.chain_cut {
        return None;
    }
    let source = (embedded.source, embedded.source_port);
    let destination = (embedded.destination, embedded.destination_port);
    Some(FlowKey::new(domain, embedded.protocol, source, destination))
}

/// The key of the fragments of one datagram (RFC 791 §3.2, RFC 8200 §4.5). The module describes its
/// bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(C, align(8))]
pub struct FragmentKey([u8; KEY_LEN]);

impl FragmentKey {
    /// The key of the fragments with this identification; the protocol counts in IPv4 only.
    #[inline]
    pub fn new(
        domain: u16,
        source: IpAddr,
        destination: IpAddr,
        id: u32,
        protocol: Protocol,
    ) -> Self {
        let v4 = source.is_ipv4();
        let mut bytes = [0; KEY_LEN];
        put(&mut bytes, mapped(source), mapped(destination), domain);
        bytes[LOW_PORT..DOMAIN].copy_from_slice(&id.to_be_bytes());
        bytes[PROTOCOL] = if v4 { protocol.0 } else { 0 };
        bytes[VERSION] = FRAGMENT_TAG | if v4 { 4 } else { 6 };
        Self(bytes)
    }

    /// The key of this fragment; `None` if the packet is none.
    #[inline]
    pub fn of(packet: &Packet, domain: u16) -> Option<Self> {
        let id = packet.fragment?.id;
        Some(Self::new(domain, packet.source, packet.destination, id, packet.protocol))
    }

    /// The bytes as the module describes them.
    #[inline]
    pub const fn as_bytes(&self) -> &[u8; KEY_LEN] {
        &self.0
    }

    /// The routing domain.
    #[inline]
    pub fn domain(&self) -> u16 {
        be16(&self.0, DOMAIN)
    }
}

impl Hash for FragmentKey {
    /// All 40 bytes in one write.
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(&self.0);
    }
}

impl fmt::Debug for FragmentKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FragmentKey(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// The address as 128 bits, IPv4 as IPv4-mapped.
#[inline(always)]
pub(crate) fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => 0xffff_0000_0000 | u128::from(v4.to_bits()),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

#[inline(always)]
fn put(bytes: &mut [u8; KEY_LEN], first: u128, second: u128, domain: u16) {
    bytes[LOW..HIGH].copy_from_slice(&first.to_be_bytes());
    bytes[HIGH..LOW_PORT].copy_from_slice(&second.to_be_bytes());
    bytes[DOMAIN..PROTOCOL].copy_from_slice(&domain.to_be_bytes());
}
