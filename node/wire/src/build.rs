//! Making frames: the engine's answers, and what tests send.
//!
//! A [`Builder`] describes one packet and writes it into the caller's buffer with every length and
//! checksum right; nothing is allocated. A whole datagram is cut by [`Fragments`].
//!
//! ```
//! use ringwall_wire::{Packet, TcpFlags, build::Builder};
//! let mut out = [0; 128];
//! let tcp = Builder::v4([10, 0, 0, 1], [10, 0, 0, 2]).tcp(40_000, 443);
//! let len = tcp.flags(TcpFlags::SYN).mss(1460).write(&mut out).expect("58 bytes fit");
//! assert_eq!(Packet::parse(&out[..len]).unwrap().ports(), Some((40_000, 443)));
//! ```
mod fragments;
mod write;

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use core::ops::Deref;

use crate::ethernet::Mac;
use crate::limits::{MAX_ERROR_LEN_V4, MAX_ERROR_LEN_V6, MAX_EXTENSION_HEADERS, MAX_VLAN_TAGS};
use crate::{Packet, Protocol, TcpFlags, Version, icmp, tcp};

pub use fragments::Fragments;

/// Extension headers that a builder holds: more than the parser takes, so that tests can go past
/// its limit.
const MAX_EXTENSIONS: usize = MAX_EXTENSION_HEADERS as usize + 2;
/// VLAN tags that a builder holds: more than the parser takes.
const MAX_TAGS: usize = MAX_VLAN_TAGS as usize + 1;
/// The address frames come from unless [`Builder::ethernet`] says otherwise (locally administered).
const SOURCE_MAC: Mac = [0x02, 0, 0, 0, 0, 0x01];
/// The address frames go to unless [`Builder::ethernet`] says otherwise.
const DESTINATION_MAC: Mac = [0x02, 0, 0, 0, 0, 0x02];

/// One packet to be written. Methods that make no sense together (an extension header in IPv4, too
/// many options) make [`Builder::write`] refuse.
#[derive(Clone, Copy, Debug)]
pub struct Builder<'a> {
    source: IpAddr,
    destination: IpAddr,
    /// Source and destination; none for a bare IP packet.
    macs: Option<(Mac, Mac)>,
    vlans: [u16; MAX_TAGS],
    vlan_count: usize,
    hop_limit: u8,
    traffic_class: u8,
    id: u16,
    dont_fragment: bool,
    /// IPv4: offset in bytes, more.
    fragment: (u16, bool),
    ip_options: &'a [u8],
    extensions: [Extension<'a>; MAX_EXTENSIONS],
    extension_count: usize,
    body: Body,
    tcp_options: TcpOptions,
    payload: &'a [u8],
    min_len: usize,
    refused: bool,
}

#[derive(Clone, Copy, Debug)]
enum Extension<'a> {
    /// The header after its first two bytes, which are made; padded with zeros.
    Raw(Protocol, &'a [u8]),
    Fragment {
        id: u32,
        offset: u16,
        more: bool,
    },
}

#[derive(Clone, Copy, Debug)]
enum Body {
    Tcp(TcpFields),
    Udp { ports: (u16, u16), checksum: bool },
    Icmp { kind: u8, code: u8, rest: u32 },
    Sctp { ports: (u16, u16), tag: u32 },
    Gre { protocol: u16, key: Option<u32> },
    GreCall { call_id: u16, sequence: u32 },
    Esp { spi: u32, sequence: u32 },
    Raw(Protocol),
}

#[derive(Clone, Copy, Debug)]
struct TcpFields {
    ports: (u16, u16),
    sequence: u32,
    ack: u32,
    flags: TcpFlags,
    window: u16,
    urgent: u16,
}

/// Addresses, Ethernet and IP.
impl<'a> Builder<'a> {
    /// A packet from `source` to `destination`, of the same IP version: hop limit 64, no payload,
    /// "no next header".
    pub fn new(source: IpAddr, destination: IpAddr) -> Self {
        Self {
            source,
            destination,
            macs: Some((SOURCE_MAC, DESTINATION_MAC)),
            vlans: [0; MAX_TAGS],
            vlan_count: 0,
            hop_limit: 64,
            traffic_class: 0,
            id: 0,
            dont_fragment: false,
            fragment: (0, false),
            ip_options: &[],
            extensions: [Extension::Raw(Protocol::NO_NEXT_HEADER, &[]); MAX_EXTENSIONS],
            extension_count: 0,
            body: Body::Raw(Protocol::NO_NEXT_HEADER),
            tcp_options: TcpOptions { bytes: [0; TcpOptions::MAX], len: 0 },
            payload: &[],
            min_len: 0,
            refused: source.is_ipv4() != destination.is_ipv4(),
        }
    }

    /// An IPv4 packet.
    pub fn v4(source: [u8; 4], destination: [u8; 4]) -> Self {
        Self::new(Ipv4Addr::from(source).into(), Ipv4Addr::from(destination).into())
    }

    /// An IPv6 packet; addresses as eight 16-bit segments.
    pub fn v6(source: [u16; 8], destination: [u16; 8]) -> Self {
        Self::new(Ipv6Addr::from(source).into(), Ipv6Addr::from(destination).into())
    }

    /// Ethernet addresses.
    #[must_use]
    pub const fn ethernet(mut self, source: Mac, destination: Mac) -> Self {
        self.macs = Some((source, destination));
        self
    }

    /// No Ethernet header: the output starts with the IP header.
    #[must_use]
    pub const fn bare(mut self) -> Self {
        self.macs = None;
        self
    }

    /// One more VLAN tag inside the tags so far.
    #[must_use]
    pub const fn vlan(mut self, id: u16) -> Self {
        if self.vlan_count < MAX_TAGS {
            self.vlans[self.vlan_count] = id;
            self.vlan_count += 1;
        } else {
            self.refused = true;
        }
        self
    }

    /// Hop limit or time to live.
    #[must_use]
    pub const fn hop_limit(mut self, hop_limit: u8) -> Self {
        self.hop_limit = hop_limit;
        self
    }

    /// Traffic class or type of service: DSCP and ECN.
    #[must_use]
    pub const fn traffic_class(mut self, traffic_class: u8) -> Self {
        self.traffic_class = traffic_class;
        self
    }

    /// IPv4 identification.
    #[must_use]
    pub const fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    /// IPv4 don't-fragment bit.
    #[must_use]
    pub const fn dont_fragment(mut self) -> Self {
        self.dont_fragment = true;
        self
    }

    /// IPv4 options, padded with "end of list" to a multiple of 4; at most 40 bytes.
    #[must_use]
    pub const fn ip_options(mut self, options: &'a [u8]) -> Self {
        self.ip_options = options;
        self.refused |= options.len() > 40 || self.source.is_ipv6();
        self
    }

    /// One more IPv6 extension header: `body` is what follows its first two bytes, padded with
    /// zeros to the unit of the header (8 bytes).
    #[must_use]
    pub const fn extension(self, protocol: Protocol, body: &'a [u8]) -> Self {
        self.push(Extension::Raw(protocol, body))
    }

    /// Marks the packet as a fragment: in IPv4 in its header, in IPv6 by one more extension header.
    /// `offset` in bytes, a multiple of 8. The payload is the fragment's data; use [`Builder::raw`]
    /// with the protocol.
    #[must_use]
    pub const fn fragment(mut self, id: u32, offset: u16, more: bool) -> Self {
        if self.source.is_ipv6() {
            return self.push(Extension::Fragment { id, offset, more });
        }
        self.id = id as u16;
        self.fragment = (offset, more);
        self
    }

    /// What comes after all headers.
    #[must_use]
    pub const fn payload(mut self, payload: &'a [u8]) -> Self {
        self.payload = payload;
        self
    }

    /// Zeros after the datagram until the frame has this length, as short Ethernet frames have
    /// them.
    #[must_use]
    pub const fn padded_to(mut self, len: usize) -> Self {
        self.min_len = len;
        self
    }

    /// Writes the packet; how many bytes it took. `None` if `out` is too short, a length field
    /// cannot hold its value, or the description makes no sense.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        write::packet(self, out)
    }

    /// The packet as an owned frame.
    ///
    /// # Panics
    /// If [`Builder::write`] refuses, or the frame is longer than [`Frame::MAX`]: for tests and
    /// fixed packets.
    pub fn frame(&self) -> Frame {
        let mut frame = Frame { bytes: [0; Frame::MAX], len: 0 };
        frame.len =
            self.write(&mut frame.bytes).expect("a packet that can be written in Frame::MAX");
        frame
    }

    const fn push(mut self, extension: Extension<'a>) -> Self {
        if self.extension_count < MAX_EXTENSIONS && self.source.is_ipv6() {
            self.extensions[self.extension_count] = extension;
            self.extension_count += 1;
        } else {
            self.refused = true;
        }
        self
    }
}

/// Transport headers.
impl Builder<'_> {
    /// TCP: sequence and acknowledgment 0, no flags, window 65,535.
    #[must_use]
    pub const fn tcp(mut self, source_port: u16, destination_port: u16) -> Self {
        self.body = Body::Tcp(TcpFields {
            ports: (source_port, destination_port),
            sequence: 0,
            ack: 0,
            flags: TcpFlags::NONE,
            window: u16::MAX,
            urgent: 0,
        });
        self
    }

    /// TCP: SEG.SEQ.
    #[must_use]
    pub fn seq(self, number: u32) -> Self {
        self.tcp_field(|tcp| tcp.sequence = number)
    }

    /// TCP: SEG.ACK, without setting the flag.
    #[must_use]
    pub fn ack(self, number: u32) -> Self {
        self.tcp_field(|tcp| tcp.ack = number)
    }

    /// TCP: control bits.
    #[must_use]
    pub fn flags(self, bits: TcpFlags) -> Self {
        self.tcp_field(|tcp| tcp.flags = bits)
    }

    /// TCP: SEG.WND, unscaled.
    #[must_use]
    pub fn window(self, size: u16) -> Self {
        self.tcp_field(|tcp| tcp.window = size)
    }

    /// TCP: urgent pointer.
    #[must_use]
    pub fn urgent(self, pointer: u16) -> Self {
        self.tcp_field(|tcp| tcp.urgent = pointer)
    }

    /// TCP option: maximum segment size.
    #[must_use]
    pub fn mss(self, mss: u16) -> Self {
        let [high, low] = mss.to_be_bytes();
        self.tcp_option(&[tcp::option::MSS, 4, high, low])
    }

    /// TCP option: window scale.
    #[must_use]
    pub fn window_scale(self, scale: u8) -> Self {
        self.tcp_option(&[tcp::option::NOP, tcp::option::WINDOW_SCALE, 3, scale])
    }

    /// TCP option: SACK permitted.
    #[must_use]
    pub fn sack_permitted(self) -> Self {
        self.tcp_option(&[tcp::option::NOP, tcp::option::NOP, tcp::option::SACK_PERMITTED, 2])
    }

    /// TCP option: timestamps.
    #[must_use]
    pub fn timestamps(self, value: u32, echo: u32) -> Self {
        self.tcp_option(&[tcp::option::NOP, tcp::option::NOP, tcp::option::TIMESTAMPS, 10])
            .tcp_option(&value.to_be_bytes())
            .tcp_option(&echo.to_be_bytes())
    }

    /// TCP option: SACK blocks (left edge, right edge).
    #[must_use]
    pub fn sack(self, blocks: &[(u32, u32)]) -> Self {
        let len = 2 + 8 * blocks.len() as u8;
        let start = self.tcp_option(&[tcp::option::NOP, tcp::option::NOP, tcp::option::SACK, len]);
        blocks.iter().fold(start, |builder, (left, right)| {
            builder.tcp_option(&left.to_be_bytes()).tcp_option(&right.to_be_bytes())
        })
    }

    /// TCP option bytes as they are; the header is padded with "end of list" to a multiple of 4.
    #[must_use]
    pub fn tcp_option(mut self, bytes: &[u8]) -> Self {
        self.refused |= self.tcp_options.push(bytes).is_none();
        self
    }

    /// UDP.
    #[must_use]
    pub const fn udp(mut self, source_port: u16, destination_port: u16) -> Self {
        self.body = Body::Udp { ports: (source_port, destination_port), checksum: true };
        self
    }

    /// UDP: checksum 0, none.
    #[must_use]
    pub const fn without_checksum(mut self) -> Self {
        if let Body::Udp { checksum, .. } = &mut self.body {
            *checksum = false;
        } else {
            self.refused = true;
        }
        self
    }

    /// ICMP of the packet's IP version; `rest` is bytes 4 to 7 (MTU, pointer, …).
    #[must_use]
    pub const fn icmp(mut self, kind: u8, code: u8, rest: u32) -> Self {
        self.body = Body::Icmp { kind, code, rest };
        self
    }

    /// ICMP echo request.
    #[must_use]
    pub const fn echo_request(self, id: u16, sequence: u16) -> Self {
        let kind = match self.version() {
            Version::V4 => icmp::v4::ECHO_REQUEST,
            Version::V6 => icmp::v6::ECHO_REQUEST,
        };
        self.icmp(kind, 0, (id as u32) << 16 | sequence as u32)
    }

    /// ICMP echo reply.
    #[must_use]
    pub const fn echo_reply(self, id: u16, sequence: u16) -> Self {
        let kind = match self.version() {
            Version::V4 => icmp::v4::ECHO_REPLY,
            Version::V6 => icmp::v6::ECHO_REPLY,
        };
        self.icmp(kind, 0, (id as u32) << 16 | sequence as u32)
    }

    /// SCTP common header with a checksum of zero, which is not a right one.
    #[must_use]
    pub const fn sctp(mut self, source_port: u16, destination_port: u16, tag: u32) -> Self {
        self.body = Body::Sctp { ports: (source_port, destination_port), tag };
        self
    }

    /// GRE version 0; `protocol` is the payload's EtherType.
    #[must_use]
    pub const fn gre(mut self, protocol: u16, key: Option<u32>) -> Self {
        self.body = Body::Gre { protocol, key };
        self
    }

    /// GRE version 1 as PPTP uses it, with a sequence number.
    #[must_use]
    pub const fn gre_call(mut self, call_id: u16, sequence: u32) -> Self {
        self.body = Body::GreCall { call_id, sequence };
        self
    }

    /// ESP.
    #[must_use]
    pub const fn esp(mut self, spi: u32, sequence: u32) -> Self {
        self.body = Body::Esp { spi, sequence };
        self
    }

    /// No transport header is made: the payload is all there is of this protocol.
    #[must_use]
    pub const fn raw(mut self, protocol: Protocol) -> Self {
        self.body = Body::Raw(protocol);
        self
    }

    fn tcp_field(mut self, change: impl FnOnce(&mut TcpFields)) -> Self {
        if let Body::Tcp(fields) = &mut self.body {
            change(fields);
        } else {
            self.refused = true;
        }
        self
    }

    const fn version(&self) -> Version {
        Version::of(self.source)
    }
}

/// The part of a datagram that an ICMP error about it quotes: so much that the error is at most
/// [`MAX_ERROR_LEN_V4`] or [`MAX_ERROR_LEN_V6`] long.
pub fn quotation<'f>(frame: &'f [u8], packet: &Packet) -> &'f [u8] {
    let most = match packet.version {
        Version::V4 => MAX_ERROR_LEN_V4 - crate::ipv4::HEADER_LEN - icmp::HEADER_LEN,
        Version::V6 => MAX_ERROR_LEN_V6 - crate::ipv6::HEADER_LEN - icmp::HEADER_LEN,
    };
    let start = packet.network as usize;
    let end = (packet.end as usize).min(start + most);
    frame.get(start..end).unwrap_or(&[])
}

/// A frame that owns its bytes without allocating.
#[derive(Clone, Copy)]
pub struct Frame {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl Frame {
    /// Longest frame, bytes: an Ethernet frame with two tags and room to spare.
    pub const MAX: usize = 2048;
}

impl Deref for Frame {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl core::fmt::Debug for Frame {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// The options of a TCP header in the making.
#[derive(Clone, Copy, Debug)]
struct TcpOptions {
    bytes: [u8; Self::MAX],
    len: usize,
}

impl TcpOptions {
    const MAX: usize = tcp::MAX_HEADER_LEN - tcp::HEADER_LEN;

    fn push(&mut self, bytes: &[u8]) -> Option<()> {
        let room = self.bytes.get_mut(self.len..self.len + bytes.len())?;
        room.copy_from_slice(bytes);
        self.len += bytes.len();
        Some(())
    }

    /// The options, padded to a multiple of 4.
    fn padded(&self) -> &[u8] {
        &self.bytes[..self.len.next_multiple_of(4)]
    }
}
