//! Between IPv4 and IPv6 (RFC 7915), as stateful NAT64 uses it (RFC 6146): the ends come from its session.
//!
//! A frame is written anew into the caller's buffer: link header with its VLAN tags, IP header of the other
//! version, transport header with other ports, data. IPv4 options and IPv6 extension headers are left away.
//! Checksums are changed by what is different, so that a wrong one stays wrong; only a datagram that has
//! none over IPv4 gets one (§4.5). The hop limit is copied: who routes the packet takes its hop away.
//!
//! | IPv4 | IPv6 |
//! |---|---|
//! | type of service | traffic class |
//! | total length | payload length |
//! | identification: the caller's, or of a fragment header | not kept: a whole packet has no such header |
//! | don't-fragment: if longer than 1,260 bytes, without such a header | not kept: the caller may cut (§4) |
//! | protocol 1 | next header 58; all others are copied, but those that mean something else there |
//!
//! Of an ICMP error the embedded packet is translated as well, with the ends that its receiver knows; an error
//! about an error is not translated (§4.3, §5.3). Extensions (RFC 4884) are carried over as they are, where
//! the other type has them and there is room.

mod header;
mod icmp;
mod quotation;
mod transport;

use core::fmt;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::Ends;
use crate::bytes::Writer;
use crate::{Embedded, Options, Packet, Protocol, Transport, Udp, Version};
use crate::{ipv4, ipv6};

use header::Header;
use quotation::Quotation;
use transport::Part;

/// Why a packet cannot be of the other IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Untranslatable {
    /// The packet, or one of the new addresses, is not of the version that was asked for.
    Version,
    /// A fragment: whole datagrams are translated.
    Fragment,
    /// IPv4: a source route that is not used up (§4.1). Its sender gets "source route failed".
    SourceRoute,
    /// IPv6: a routing header has segments left (§5.1). Its sender gets "parameter problem", which points to
    /// this offset in the packet.
    SegmentsLeft(u32),
    /// The protocol is of one version alone, or means something else in the other one; or it protects
    /// addresses (AH).
    Protocol(Protocol),
    /// No message of the other version's ICMP says this: type, code.
    Icmp(u8, u8),
    /// An ICMP error about an ICMP error.
    NestedError,
    /// Longer than a packet of the other version can be, or than the buffer.
    TooLong,
}

/// Writes an IPv4 frame's packet as IPv6, with the ends `to`, into `out`; bytes written. Not for ICMP errors:
/// [`error_to_v6`].
///
/// # Errors
/// [`Untranslatable`]; `out` holds nothing meaningful then.
pub fn to_v6(
    frame: &[u8],
    packet: &Packet,
    to: &Ends,
    out: &mut [u8],
) -> Result<usize, Untranslatable> {
    packet_to(Version::V6, frame, packet, to, 0, out)
}

/// Writes an IPv6 frame's packet as IPv4, with the ends `to`, into `out`; bytes written. Not for ICMP errors:
/// [`error_to_v4`]. `id` is the identification, which is to differ from that of other packets to the same
/// destination for a time (RFC 6864 §4.3): packets of up to 1,260 bytes may be cut on their way.
///
/// # Errors
/// [`Untranslatable`]; `out` holds nothing meaningful then.
pub fn to_v4(
    frame: &[u8],
    packet: &Packet,
    to: &Ends,
    id: u16,
    out: &mut [u8],
) -> Result<usize, Untranslatable> {
    packet_to(Version::V4, frame, packet, to, id, out)
}

/// Writes an ICMPv4 error as ICMPv6 into `out`; bytes written. `outer` are its source and destination, and
/// `inner` the ends of the packet embedded in it, as its receiver sent that.
///
/// # Errors
/// [`Untranslatable`]; `out` holds nothing meaningful then.
pub fn error_to_v6(
    frame: &[u8],
    error: &Packet,
    embedded: &Embedded,
    outer: (IpAddr, IpAddr),
    inner: &Ends,
    out: &mut [u8],
) -> Result<usize, Untranslatable> {
    Quotation { frame, error, embedded, outer, inner, id: 0 }.write(Version::V6, out)
}

/// As [`error_to_v6`], from ICMPv6 to ICMPv4; `id` as [`to_v4`] wants it.
///
/// # Errors
/// [`Untranslatable`]; `out` holds nothing meaningful then.
pub fn error_to_v4(
    frame: &[u8],
    error: &Packet,
    embedded: &Embedded,
    outer: (IpAddr, IpAddr),
    inner: &Ends,
    id: u16,
    out: &mut [u8],
) -> Result<usize, Untranslatable> {
    Quotation { frame, error, embedded, outer, inner, id }.write(Version::V4, out)
}

/// The IPv6 address of an IPv4 host behind a prefix of 96 bits (RFC 6052 §2.2).
pub fn embed(prefix: Ipv6Addr, address: Ipv4Addr) -> Ipv6Addr {
    Ipv6Addr::from_bits(prefix.to_bits() & !u128::from(u32::MAX) | u128::from(address.to_bits()))
}

/// The IPv4 address in an address that begins with this prefix of 96 bits.
pub fn extract(prefix: Ipv6Addr, address: Ipv6Addr) -> Option<Ipv4Addr> {
    let inside = prefix.to_bits() >> 32 == address.to_bits() >> 32;
    inside.then(|| Ipv4Addr::from_bits(address.to_bits() as u32))
}

/// Whether this is 64:ff9b::/96, by which only global IPv4 addresses may be reached (RFC 6052 §3.1).
pub fn is_well_known(prefix: Ipv6Addr) -> bool {
    prefix.to_bits() >> 32 == 0x0064_ff9b_0000_0000_0000_0000
}

impl fmt::Display for Untranslatable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Version => f.write_str("of another IP version"),
            Self::Fragment => f.write_str("a fragment"),
            Self::SourceRoute => f.write_str("an unexpired source route"),
            Self::SegmentsLeft(pointer) => write!(f, "segments left at byte {pointer}"),
            Self::Protocol(protocol) => write!(f, "protocol {protocol}"),
            Self::Icmp(kind, code) => write!(f, "no counterpart of ICMP type {kind}, code {code}"),
            Self::NestedError => f.write_str("an ICMP error about an ICMP error"),
            Self::TooLong => f.write_str("too long"),
        }
    }
}

impl core::error::Error for Untranslatable {}

fn packet_to(
    version: Version,
    frame: &[u8],
    packet: &Packet,
    to: &Ends,
    id: u16,
    out: &mut [u8],
) -> Result<usize, Untranslatable> {
    check(version, frame, packet, to)?;
    let body = frame.get(packet.transport as usize..packet.end as usize);
    let body = body.ok_or(Untranslatable::TooLong)?;
    let mut writer = Writer { out, at: 0 };
    put_link(frame, packet, version, &mut writer).ok_or(Untranslatable::TooLong)?;
    Header::of(frame, packet, to, body.len(), id)?.write(&mut writer)?;
    let transport = writer.at;
    writer.put(body).ok_or(Untranslatable::TooLong)?;
    let len = writer.at;
    let bytes = out.get_mut(..len).ok_or(Untranslatable::TooLong)?;
    Part::of(packet, to, transport).translate(bytes)?;
    if let Transport::Udp(Udp { checksum: 0, length, .. }) = packet.body
        && version == Version::V6
    {
        transport::fill_udp(bytes, transport, usize::from(length), to);
    }
    Ok(len)
}

/// Refuses what cannot be of this version, with these ends, whatever it carries.
fn check(version: Version, frame: &[u8], packet: &Packet, to: &Ends) -> Result<(), Untranslatable> {
    if packet.version == version || !of_version(to, version) {
        return Err(Untranslatable::Version);
    }
    if packet.fragment.is_some() {
        return Err(Untranslatable::Fragment);
    }
    let (network, options) = (packet.network as usize, packet.options);
    if options.contains(Options::SEGMENTS_LEFT) {
        // The field is the fourth byte of the header.
        let header = ipv6::find_extension(frame, network, Protocol::ROUTING);
        let pointer = header.map_or(0, |at| at + 3 - network);
        return Err(Untranslatable::SegmentsLeft(pointer as u32));
    }
    let ip_options = frame.get(network + ipv4::HEADER_LEN..packet.transport as usize);
    match options.contains(Options::SOURCE_ROUTE) && ip_options.is_none_or(is_routed) {
        true => Err(Untranslatable::SourceRoute),
        false => Ok(()),
    }
}

/// Whether a source route among these options is not used up: its pointer is not past its end (RFC 791 §3.1).
fn is_routed(mut options: &[u8]) -> bool {
    while let [kind, rest @ ..] = options {
        let len = match (*kind, rest.first()) {
            (ipv4::option::END, _) => return false,
            (ipv4::option::NOP, _) => 1,
            (_, Some(len @ 2..)) => usize::from(*len),
            (_, _) => return true,
        };
        let route =
            matches!(*kind, ipv4::option::LOOSE_SOURCE_ROUTE | ipv4::option::STRICT_SOURCE_ROUTE);
        if route && rest.get(1).is_none_or(|pointer| usize::from(*pointer) <= len) {
            return true;
        }
        options = options.get(len..).unwrap_or(&[]);
    }
    false
}

fn of_version(ends: &Ends, version: Version) -> bool {
    [ends.source.0, ends.destination.0].map(Version::of) == [version; 2]
}

/// Copies what stands before the IP header, with the other EtherType.
fn put_link(
    frame: &[u8],
    packet: &Packet,
    version: Version,
    writer: &mut Writer<'_>,
) -> Option<()> {
    let network = packet.network as usize;
    writer.put(frame.get(..network)?)?;
    match network.checked_sub(2) {
        Some(ethertype) => writer.set16(ethertype, version.ethertype()),
        None => Some(()),
    }
}
