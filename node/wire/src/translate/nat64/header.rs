//! IP headers of the other version (RFC 7915 §4.1, §5.1).
use core::net::IpAddr;

use super::{Ends, Untranslatable};
use crate::bytes::{Writer, be16, chunk};
use crate::{Embedded, Fragment, Options, Packet, Protocol, Version};
use crate::{checksum, ipv4, ipv6};

/// Bytes of an IPv4 packet that any path of IPv6 carries as IPv6 (§5.1): longer ones must not be cut, for
/// then their sender does path MTU discovery.
const LEAST_MTU_AS_V4: usize = 1_260;

/// What both length fields can say; an embedded header may say more.
const MAX_PAYLOAD: usize = u16::MAX as usize - ipv4::HEADER_LEN;

/// A header to be written.
pub(super) struct Header {
    /// Addresses of one version, the header's.
    source: IpAddr,
    destination: IpAddr,
    traffic_class: u8,
    hop_limit: u8,
    protocol: Protocol,
    /// Bytes behind the header: of an embedded packet those that it had.
    payload: usize,
    /// IPv4: identification.
    id: u16,
    dont_fragment: bool,
    fragment: Option<Fragment>,
}

impl Header {
    /// That of a whole packet.
    pub(super) fn of(
        frame: &[u8],
        packet: &Packet,
        to: &Ends,
        payload: usize,
        id: u16,
    ) -> Result<Self, Untranslatable> {
        let protocol = counterpart(packet.protocol, packet.version, packet.options)?;
        let mut header = Self {
            source: to.source.0,
            destination: to.destination.0,
            traffic_class: traffic_class(frame, packet.network, packet.version),
            hop_limit: packet.hop_limit,
            protocol,
            payload,
            id,
            dont_fragment: payload + ipv4::HEADER_LEN > LEAST_MTU_AS_V4,
            fragment: None,
        };
        if packet.options.contains(Options::ATOMIC_FRAGMENT) {
            header.take_id(frame, packet.network);
        }
        Ok(header)
    }

    /// That of a packet in an error, which had `payload` bytes behind its headers.
    pub(super) fn of_embedded(
        frame: &[u8],
        embedded: &Embedded,
        inner: &Ends,
        payload: usize,
    ) -> Result<Self, Untranslatable> {
        if embedded.chain_cut {
            return Err(Untranslatable::Fragment);
        }
        let protocol = counterpart(embedded.protocol, embedded.version, embedded.options)?;
        let hop_limit = match embedded.version {
            Version::V4 => embedded.network as usize + ipv4::TTL,
            Version::V6 => embedded.network as usize + ipv6::HOP_LIMIT,
        };
        let mut header = Self {
            source: inner.source.0,
            destination: inner.destination.0,
            traffic_class: traffic_class(frame, embedded.network, embedded.version),
            hop_limit: frame.get(hop_limit).copied().unwrap_or(0),
            protocol,
            payload: payload.min(MAX_PAYLOAD),
            id: embedded.fragment.map_or(0, |fragment| fragment.id as u16),
            dont_fragment: embedded.fragment.is_none()
                && payload + ipv4::HEADER_LEN > LEAST_MTU_AS_V4,
            fragment: embedded.fragment,
        };
        if embedded.options.contains(Options::ATOMIC_FRAGMENT) {
            header.take_id(frame, embedded.network);
        }
        Ok(header)
    }

    /// §5.1.1: the low half of the fragment header's identification; the packet may be cut.
    fn take_id(&mut self, frame: &[u8], network: u32) {
        let header = ipv6::find_extension(frame, network as usize, Protocol::FRAGMENT);
        let id: Option<&[u8; 2]> = header.and_then(|at| chunk(frame, at + 6));
        if let Some(id) = id {
            (self.id, self.dont_fragment) = (u16::from_be_bytes(*id), false);
        }
    }

    /// Bytes of it.
    pub(super) const fn len(&self) -> usize {
        match (self.source, self.fragment) {
            (IpAddr::V4(_), _) => ipv4::HEADER_LEN,
            (IpAddr::V6(_), None) => ipv6::HEADER_LEN,
            (IpAddr::V6(_), Some(_)) => ipv6::HEADER_LEN + ipv6::FRAGMENT_LEN,
        }
    }

    /// Writes it.
    pub(super) fn write(&self, writer: &mut Writer<'_>) -> Result<(), Untranslatable> {
        let written = match (self.source, self.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                self.write_v4(source.octets(), destination.octets(), writer)
            }
            (IpAddr::V6(source), IpAddr::V6(destination)) => {
                self.write_v6(source.octets(), destination.octets(), writer)
            }
            _ => return Err(Untranslatable::Version),
        };
        written.ok_or(Untranslatable::TooLong)
    }

    fn write_v4(
        &self,
        source: [u8; 4],
        destination: [u8; 4],
        writer: &mut Writer<'_>,
    ) -> Option<()> {
        let network = writer.at;
        let total = u16::try_from(self.payload + ipv4::HEADER_LEN).ok()?;
        let mut flags = if self.dont_fragment { ipv4::DONT_FRAGMENT } else { 0 };
        if let Some(fragment) = self.fragment {
            flags |= fragment.offset >> 3 & ipv4::OFFSET_MASK;
            flags |= if fragment.more { ipv4::MORE_FRAGMENTS } else { 0 };
        }
        writer.put(&[0x45, self.traffic_class])?;
        writer.put(&total.to_be_bytes())?;
        writer.put(&self.id.to_be_bytes())?;
        writer.put(&flags.to_be_bytes())?;
        writer.put(&[self.hop_limit, self.protocol.0, 0, 0])?;
        writer.put(&source)?;
        writer.put(&destination)?;
        checksum::fill_ipv4_header_checksum(writer.out, network as u32);
        Some(())
    }

    fn write_v6(
        &self,
        source: [u8; 16],
        destination: [u8; 16],
        writer: &mut Writer<'_>,
    ) -> Option<()> {
        let class = self.traffic_class;
        let extension = if self.fragment.is_some() { ipv6::FRAGMENT_LEN } else { 0 };
        let payload = u16::try_from(self.payload + extension).ok()?;
        let next = if self.fragment.is_some() { Protocol::FRAGMENT } else { self.protocol };
        writer.put(&[0x60 | class >> 4, class << 4, 0, 0])?;
        writer.put(&payload.to_be_bytes())?;
        writer.put(&[next.0, self.hop_limit])?;
        writer.put(&source)?;
        writer.put(&destination)?;
        if let Some(fragment) = self.fragment {
            writer.put(&[self.protocol.0, 0])?;
            writer.put(&(fragment.offset & !7 | u16::from(fragment.more)).to_be_bytes())?;
            writer.put(&fragment.id.to_be_bytes())?;
        }
        Some(())
    }
}

/// The protocol's number in the other version. What is an extension header there, or another protocol than it
/// says, would be read as something that nobody sent.
fn counterpart(
    protocol: Protocol,
    from: Version,
    options: Options,
) -> Result<Protocol, Untranslatable> {
    match (protocol, from) {
        _ if options.contains(Options::AH) => Err(Untranslatable::Protocol(Protocol::AH)),
        (Protocol::ICMP, Version::V4) => Ok(Protocol::ICMPV6),
        (Protocol::ICMPV6, Version::V6) => Ok(Protocol::ICMP),
        (Protocol::ICMP | Protocol::ICMPV6 | Protocol::IGMP, _) => {
            Err(Untranslatable::Protocol(protocol))
        }
        _ if ipv6::is_extension(protocol) => Err(Untranslatable::Protocol(protocol)),
        _ => Ok(protocol),
    }
}

fn traffic_class(frame: &[u8], network: u32, version: Version) -> u8 {
    let start: Option<&[u8; 2]> = chunk(frame, network as usize);
    match (start, version) {
        (Some(start), Version::V4) => start[1],
        (Some(start), Version::V6) => (be16(start, 0) >> 4) as u8,
        (None, _) => 0,
    }
}
