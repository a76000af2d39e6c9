//! Changing the ends of a packet: addresses, ports, and every checksum that counts them.
//!
//! Checksums are changed by what the ends differ, never computed anew: a wrong one stays wrong, and no
//! data is read (RFC 1624; RFC 5382 and RFC 4787 want no more of a translator).
//!
//! | packet | changed besides addresses and IPv4 header checksum |
//! |---|---|
//! | TCP, UDP | ports, checksum; of UDP a checksum of 0, none, stays 0 |
//! | SCTP | ports, and the CRC32c if they changed; 0, none (RFC 9653), stays 0 |
//! | ICMP query or reply | identifier, checksum; in IPv6 it counts the addresses |
//! | other ICMPv6 | checksum |
//! | enhanced GRE | the number of the call, which is the port that it goes to |
//! | DCCP, UDP-Lite | checksum |
//! | other ICMP, other GRE, ESP, AH, later fragments, … | nothing |
//!
//! AH covers addresses, and some protocols carry addresses as data: those do not survive translation,
//! unless something above this module helps.
pub mod nat64;
pub mod nptv6;
mod quotation;

use core::net::IpAddr;

use crate::bytes::{be16, chunk, chunk_mut};
use crate::checksum::{address_sum, fold};
use crate::key::ports;
use crate::{Direction, Embedded, FlowKey, Icmp, Options, Packet, Protocol, Transport, Version};
use crate::{crc32c, gre, icmp, ipv4, ipv6, sctp, tcp, udp};

pub use quotation::rewrite_quotation;

/// Both ends of a packet as keys have them ([`crate::key`]): ports, or the identifier of an ICMP query
/// in both, or 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// Address and port that it comes from.
    pub source: (IpAddr, u16),
    /// Address and port that it goes to.
    pub destination: (IpAddr, u16),
}

impl Ends {
    /// Those of a packet; an ICMP error and a later fragment have no ports.
    #[inline]
    pub fn of(packet: &Packet) -> Self {
        let (source, destination) = ports(packet);
        Self { source: (packet.source, source), destination: (packet.destination, destination) }
    }

    /// Those of the packets of a flow in one direction.
    #[inline]
    pub fn of_key(key: &FlowKey, direction: Direction) -> Self {
        Self { source: key.source(direction), destination: key.destination(direction) }
    }

    /// Those of the packet that an ICMP error is about, as it went.
    #[inline]
    pub const fn of_embedded(embedded: &Embedded) -> Self {
        Self {
            source: (embedded.source, embedded.source_port),
            destination: (embedded.destination, embedded.destination_port),
        }
    }

    /// Those of the packets that go back.
    #[inline]
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { source: self.destination, destination: self.source }
    }

    fn address_sum(&self) -> u32 {
        address_sum(self.source.0) + address_sum(self.destination.0)
    }

    fn port_sum(&self) -> u32 {
        u32::from(self.source.1) + u32::from(self.destination.1)
    }
}

/// What a pair of ends differs from another, as one's complement differences: the packets of a session
/// are translated by adding them, and those that go back by adding their complement. All zeros is no
/// difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Of the addresses: what the IPv4 header checksum counts.
    pub header: u16,
    /// Of addresses and ports: what a checksum over ports and pseudo-header counts.
    pub transport: u16,
}

impl Delta {
    /// From ends to others, of either IP version.
    pub fn between(from: &Ends, to: &Ends) -> Self {
        let (old, new) = (from.address_sum(), to.address_sum());
        Self {
            header: difference(old, new),
            transport: difference(old + from.port_sum(), new + to.port_sum()),
        }
    }

    /// [`Delta::between`] of ends of IPv4 whose sources alone differ.
    #[inline(always)]
    pub const fn between_v4_sources(from: (u32, u16), to: (u32, u16)) -> Self {
        let header = fold(v4_sum(!from.0) + v4_sum(to.0));
        let transport = fold(header as u32 + !from.1 as u32 + to.1 as u32);
        Self { header: one_zero(header), transport: one_zero(transport) }
    }

    /// That of the packets that go back, and what undoes it.
    #[inline]
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { header: complement(self.header), transport: complement(self.transport) }
    }
}

/// Gives a packet, which `packet` was parsed from `frame`, the ends `to`, of its IP version; `delta` is
/// what they differ from its own. Of an ICMP query both ports are the identifier. With ends of the other
/// IP version it does nothing.
///
/// `packet` tells the old ends afterwards.
#[inline]
pub fn rewrite(frame: &mut [u8], packet: &Packet, to: &Ends, delta: Delta) {
    let place = Place {
        version: packet.version,
        network: packet.network as usize,
        transport: packet.transport as usize,
        end: packet.end as usize,
        length: packet.fragment.is_none().then(|| packet.transport_len() as usize),
        shape: Shape::of(packet),
    };
    let delta = match goes_on(frame, packet.options, packet.network) {
        true => pseudo_delta(&Ends::of(packet), to),
        false => delta,
    };
    place.rewrite(frame, to, delta);
}

/// [`rewrite`] of what nearly every first packet is, TCP over IPv4 or UDP with a checksum: the ends
/// of packets that go one way within a key. `false`, and nothing done, for any other.
#[inline]
pub fn rewrite_simple(
    frame: &mut [u8],
    packet: &Packet,
    (key, direction): (&FlowKey, Direction),
    delta: Delta,
) -> bool {
    let (checksum, udp) = match &packet.body {
        Transport::Tcp(_) => (tcp::CHECKSUM, false),
        Transport::Udp(udp) if udp.checksum != 0 => (udp::CHECKSUM, true),
        Transport::Udp(_)
        | Transport::Icmp(_)
        | Transport::Sctp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => return false,
    };
    let (network, transport) = (packet.network as usize, packet.transport as usize);
    let one_family = packet.version == Version::V4 && key.version() == Version::V4;
    if !one_family || packet.fragment.is_some() {
        return false;
    }
    let Some(ip) = chunk_mut::<{ ipv4::HEADER_LEN }>(frame, network) else { return false };
    let (addresses, ports) = key.v4_fields(direction);
    ip[ipv4::SOURCE..].copy_from_slice(&addresses);
    let sum = moved(be16(ip, ipv4::CHECKSUM), delta.header);
    ip[ipv4::CHECKSUM..][..2].copy_from_slice(&sum.to_be_bytes());
    let Some(header) = frame.get_mut(transport..transport + checksum + 2) else { return true };
    header[..4].copy_from_slice(&ports);
    let sum = u16::from_be_bytes([header[checksum], header[checksum + 1]]);
    let sum = moved(sum, delta.transport);
    let sum = if udp && sum == 0 { 0xffff } else { sum };
    header[checksum..].copy_from_slice(&sum.to_be_bytes());
    true
}

/// Whether the destination of the header at `network` is not the last one: the pseudo-header has the last
/// one (RFC 8200 §8.1), which stays.
#[inline]
fn goes_on(frame: &[u8], options: Options, network: u32) -> bool {
    options.contains(Options::SEGMENTS_LEFT)
        && ipv6::final_destination(frame, network as usize).is_some()
}

/// The difference of the pseudo-headers of a packet that goes on.
#[cold]
fn pseudo_delta(from: &Ends, to: &Ends) -> Delta {
    let kept = (from.destination.0, to.destination.1);
    Delta::between(from, &Ends { destination: kept, ..*to })
}

/// What of a transport header counts the ends.
#[derive(Clone, Copy, Debug)]
enum Shape {
    Tcp,
    Udp,
    Sctp,
    Icmp {
        query: bool,
    },
    /// A checksum over the pseudo-header at offset 6; its ports are not read.
    Pseudo,
    /// No checksum; what it goes to has a number instead of a port.
    Call,
    /// Nothing, or nobody knows.
    Opaque,
}

/// DCCP (RFC 4340 §9.1) and UDP-Lite (RFC 3828 §3.1) sum like UDP.
const DCCP: Protocol = Protocol(33);
const UDP_LITE: Protocol = Protocol(136);

impl Shape {
    #[inline]
    fn of(packet: &Packet) -> Self {
        match &packet.body {
            Transport::Tcp(_) => Self::Tcp,
            Transport::Udp(_) => Self::Udp,
            Transport::Sctp(_) => Self::Sctp,
            Transport::Icmp(icmp) => Self::Icmp { query: icmp.query },
            Transport::Other => Self::of_other(packet.protocol),
            Transport::Gre(gre) if gre.call_id().is_some() => Self::Call,
            Transport::Gre(_) | Transport::Esp { .. } | Transport::None => Self::Opaque,
        }
    }

    fn of_embedded(embedded: &Embedded) -> Self {
        match (embedded.protocol, embedded.icmp) {
            _ if embedded.is_later_fragment() || embedded.chain_cut => Self::Opaque,
            (Protocol::TCP, _) => Self::Tcp,
            (Protocol::UDP, _) => Self::Udp,
            (Protocol::SCTP, _) => Self::Sctp,
            (Protocol::GRE, _) if embedded.destination_port != 0 => Self::Call,
            (_, Some(Icmp { query, .. })) => Self::Icmp { query },
            (protocol, None) => Self::of_other(protocol),
        }
    }

    const fn of_other(protocol: Protocol) -> Self {
        if matches!(protocol, DCCP | UDP_LITE) { Self::Pseudo } else { Self::Opaque }
    }
}

/// Where in a frame a packet is that gets other ends. Offsets are bytes from the start of the frame.
struct Place {
    version: Version,
    network: usize,
    transport: usize,
    /// Nothing from here on is touched.
    end: usize,
    /// Bytes from the transport header to the end of the whole packet, where they are known.
    length: Option<usize>,
    shape: Shape,
}

impl Place {
    /// Writes the ends; `delta` is what the pseudo-header differs. Gives back the one's complement
    /// difference, not folded, of all that was changed but the addresses.
    #[inline]
    fn rewrite(&self, frame: &mut [u8], to: &Ends, delta: Delta) -> u32 {
        let Some(bytes) = frame.get_mut(..self.end) else { return 0 };
        if put_addresses(bytes, self.version, self.network, to).is_none() {
            return 0;
        }
        let mut change = Change { bytes, sum: 0 };
        if self.version == Version::V4 {
            change.checksum(self.network + ipv4::CHECKSUM, delta.header, Zero::IsASum);
        }
        self.rewrite_transport(&mut change, to, delta);
        change.sum
    }

    #[inline]
    fn rewrite_transport(&self, change: &mut Change<'_>, to: &Ends, delta: Delta) {
        let at = self.transport;
        match self.shape {
            Shape::Tcp => {
                change.ports(at, to);
                change.checksum(at + tcp::CHECKSUM, delta.transport, Zero::IsASum);
            }
            Shape::Udp => {
                change.ports(at, to);
                change.checksum(at + udp::CHECKSUM, delta.transport, Zero::IsNone);
            }
            Shape::Sctp => self.rewrite_sctp(change, to),
            Shape::Icmp { query } => {
                let id = if query { change.put(at + 4, to.source.1) } else { 0 };
                let pseudo = if self.version == Version::V6 { delta.header } else { 0 };
                let delta = fold(id + u32::from(pseudo));
                change.checksum(at + icmp::CHECKSUM, delta, Zero::IsASum);
            }
            Shape::Pseudo => {
                change.checksum(at + udp::CHECKSUM, delta.header, Zero::IsNone);
            }
            Shape::Call => {
                change.put(at + gre::CALL_ID, to.destination.1);
            }
            Shape::Opaque => {}
        }
    }

    fn rewrite_sctp(&self, change: &mut Change<'_>, to: &Ends) {
        let header: Option<&[u8; 4]> = chunk(change.bytes, self.transport);
        let Some(old) = header.copied() else { return };
        change.ports(self.transport, to);
        let new: Option<&[u8; 4]> = chunk(change.bytes, self.transport);
        let Some(new) = new.copied().filter(|new| *new != old) else { return };
        let behind = self.length.and_then(|length| length.checked_sub(old.len()));
        let at = self.transport + sctp::CHECKSUM;
        if let (Some(behind), Some(crc)) = (behind, chunk(change.bytes, at).copied())
            && crc != [0; 4]
        {
            let crc = crc32c::update(u32::from_le_bytes(crc), old, new, behind).swap_bytes();
            change.put(at, (crc >> 16) as u16);
            change.put(at + 2, crc as u16);
        }
    }
}

/// What a checksum of zero is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Zero {
    /// A sum like another.
    IsASum,
    /// That there is none; a sum of zero is written as its other representation, all ones (RFC 768).
    IsNone,
}

/// Bytes that are changed in words.
struct Change<'f> {
    bytes: &'f mut [u8],
    /// The one's complement difference so far, not folded: a packet has too few words to overflow.
    sum: u32,
}

impl Change<'_> {
    /// Writes a word, and gives back the difference; does nothing where there is none.
    #[inline]
    fn put(&mut self, at: usize, value: u16) -> u32 {
        let Some(field) = chunk_mut::<2>(self.bytes, at) else { return 0 };
        let difference = u32::from(!u16::from_be_bytes(*field)) + u32::from(value);
        *field = value.to_be_bytes();
        self.sum += difference;
        difference
    }

    #[inline]
    fn ports(&mut self, at: usize, to: &Ends) {
        self.put(at, to.source.1);
        self.put(at + 2, to.destination.1);
    }

    /// Adds a difference to the checksum at `at`.
    #[inline]
    fn checksum(&mut self, at: usize, difference: u16, zero: Zero) {
        let Some(field) = chunk::<2>(self.bytes, at) else { return };
        let old = u16::from_be_bytes(*field);
        if old == 0 && zero == Zero::IsNone {
            return;
        }
        let new = moved(old, difference);
        self.put(at, if new == 0 && zero == Zero::IsNone { 0xffff } else { new });
    }
}

/// The checksum after what it counts changed by `difference` (RFC 1624 §3, equation 3): one end-around
/// carry, for a sum of two words has no more.
#[inline(always)]
pub(crate) const fn moved(checksum: u16, difference: u16) -> u16 {
    let (sum, carry) = (!checksum).overflowing_add(difference);
    !sum.wrapping_add(carry as u16)
}

/// Writes both addresses into the header at `network`. `None`, and nothing written, if they are of
/// another IP version or the bytes do not hold them.
#[inline]
fn put_addresses(bytes: &mut [u8], version: Version, network: usize, to: &Ends) -> Option<()> {
    match (version, to.source.0, to.destination.0) {
        (Version::V4, IpAddr::V4(source), IpAddr::V4(destination)) => {
            let field: &mut [u8; 8] = chunk_mut(bytes, network + ipv4::SOURCE)?;
            field[..4].copy_from_slice(&source.octets());
            field[4..].copy_from_slice(&destination.octets());
            Some(())
        }
        (Version::V6, IpAddr::V6(source), IpAddr::V6(destination)) => {
            let field: &mut [u8; 32] = chunk_mut(bytes, network + ipv6::SOURCE)?;
            field[..16].copy_from_slice(&source.octets());
            field[16..].copy_from_slice(&destination.octets());
            Some(())
        }
        _ => None,
    }
}

#[inline(always)]
const fn v4_sum(address: u32) -> u32 {
    (address >> 16) + (address & 0xffff)
}

/// The difference of two sums, with one representation of zero.
const fn difference(old: u32, new: u32) -> u16 {
    one_zero(fold(!fold(old) as u32 + fold(new) as u32))
}

#[inline(always)]
const fn one_zero(difference: u16) -> u16 {
    if difference == 0xffff { 0 } else { difference }
}

const fn complement(difference: u16) -> u16 {
    if difference == 0 { 0 } else { !difference }
}
