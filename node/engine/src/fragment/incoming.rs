//! One fragment, checked by itself.

use wire::{Options, Packet, Protocol, Transport, Version};

use crate::{Reason, limits};

/// Bytes of the IPv6 fragment header (RFC 8200 §4.5).
pub(super) const FRAGMENT_HEADER: usize = 8;
/// Bytes of the IPv6 header, which its payload length does not count.
pub(super) const IPV6_HEADER: usize = 40;
/// Bytes of the fixed TCP header.
const TCP_HEADER: u32 = 20;
/// Largest IPv4 total length and IPv6 payload length.
const LENGTH_MAX: u32 = 65_535;

/// A fragment that is sound as far as it can be judged alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming<'a> {
    frame: &'a [u8],
    /// Bytes before the payload: link header, IP header, and in IPv6 everything up to and including the
    /// fragment header.
    pub(super) header: usize,
    /// Offset of the IP header in the frame.
    pub(super) network: usize,
    /// Offset of the payload in the datagram, bytes.
    pub(super) offset: u32,
    /// Whether it is not the last.
    pub(super) more: bool,
    pub(super) version: Version,
    pub(super) dont_fragment: bool,
    /// The ECN codepoint (RFC 3168 §5).
    pub(super) ecn: u8,
}

impl<'a> Incoming<'a> {
    /// `packet` is the descriptor of `frame`; without a fragment in it there is nothing to hold.
    pub(super) fn check(frame: &'a [u8], packet: &Packet, tiny: bool) -> Result<Self, Reason> {
        let incoming = Self::of(frame, packet).ok_or(Reason::FragmentLength)?;
        let length = incoming.length();
        if length == 0 || (incoming.more && !length.is_multiple_of(8)) {
            return Err(Reason::FragmentLength);
        }
        if incoming.counted_header() + incoming.end() > LENGTH_MAX {
            return Err(Reason::FragmentOversize);
        }
        incoming.check_headers(packet, tiny)?;
        Ok(incoming)
    }

    fn of(frame: &'a [u8], packet: &Packet) -> Option<Self> {
        let fragment = packet.fragment?;
        let network = packet.network as usize;
        let ip = frame.get(network..packet.end as usize)?;
        let (header, ecn) = match packet.version {
            Version::V4 => (network + usize::from(ip.first()? & 15) * 4, ip.get(1)? & 3),
            Version::V6 => (fragment.header as usize + FRAGMENT_HEADER, (ip.get(1)? >> 4) & 3),
        };
        Some(Self {
            frame: frame.get(..packet.end as usize).filter(|frame| frame.len() >= header)?,
            header,
            network,
            offset: u32::from(fragment.offset),
            more: fragment.more,
            version: packet.version,
            dont_fragment: packet.options.contains(Options::DONT_FRAGMENT),
            ecn,
        })
    }

    /// The first fragment holds all headers: RFC 7112 §5 for IPv6, RFC 1858 and RFC 3128 for IPv4.
    fn check_headers(&self, packet: &Packet, tiny: bool) -> Result<(), Reason> {
        if self.header > limits::FRAGMENT_HEADER_BYTES {
            return Err(Reason::FragmentHeaderChain);
        }
        let cut = self.offset == 0 && packet.body == Transport::None;
        match self.version {
            Version::V6 if cut && packet.protocol != Protocol::NO_NEXT_HEADER => {
                Err(Reason::FragmentHeaderChain)
            }
            Version::V4 if tiny && self.splits_header(cut, packet.protocol) => {
                Err(Reason::FragmentTiny)
            }
            Version::V4 | Version::V6 => Ok(()),
        }
    }

    /// A first fragment that ends inside the TCP header, or another that begins there: its existence
    /// proves that the first one does, or overlaps it.
    fn splits_header(&self, cut: bool, protocol: Protocol) -> bool {
        let begins_inside = (1..TCP_HEADER).contains(&self.offset);
        protocol == Protocol::TCP && (cut || begins_inside)
    }

    /// The payload.
    pub(super) fn payload(&self) -> &'a [u8] {
        &self.frame[self.header..]
    }

    /// Payload bytes.
    pub(super) fn length(&self) -> u32 {
        self.payload().len() as u32
    }

    /// Offset behind the payload in the datagram.
    pub(super) fn end(&self) -> u32 {
        self.offset + self.length()
    }

    /// What has to be kept: the whole frame of the first fragment, of others only the payload.
    pub(super) fn stored(&self) -> &'a [u8] {
        if self.offset == 0 { self.frame } else { self.payload() }
    }

    /// Bytes of the IP packet: what the link's MTU is compared with.
    pub(super) fn packet_bytes(&self) -> u32 {
        (self.frame.len() - self.network) as u32
    }

    /// Bytes of the reassembled datagram's headers that its length field counts.
    pub(super) fn counted_header(&self) -> u32 {
        let header = self.header - self.network;
        let uncounted = match self.version {
            Version::V4 => 0,
            Version::V6 => IPV6_HEADER + FRAGMENT_HEADER,
        };
        header.saturating_sub(uncounted) as u32
    }

    /// Whether a datagram with these headers and `payload` bytes has a length that can be written.
    pub(super) fn fits(counted_header: u32, payload: u32) -> bool {
        counted_header + payload <= LENGTH_MAX
    }
}
