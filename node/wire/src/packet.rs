//! The descriptor of a packet: parsed once, passed everywhere.
use core::fmt;
use core::net::IpAddr;

use crate::ethernet::{self, Ethernet};
use crate::{Embedded, Gre, Icmp, Malformed, Options, Ports, Protocol, Tcp, Udp};
use crate::{esp, icmp, ipv4, ipv6, udp};

/// What one frame says, from Ethernet to the transport header. Offsets are bytes from the start of
/// the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packet {
    /// EtherType after VLAN tags: that of IPv4 or IPv6.
    pub ethertype: u16,
    /// VLAN tags passed over.
    pub vlans: u8,
    /// Offset of the IP header.
    pub network: u32,
    /// Offset of the transport header, after IPv4 options and IPv6 extension headers; of the
    /// fragment's data in a later fragment.
    pub transport: u32,
    /// End of the datagram: Ethernet padding is past it.
    pub end: u32,
    /// IP version.
    pub version: Version,
    /// Transport protocol: the last next-header value of the chain.
    pub protocol: Protocol,
    /// Source address.
    pub source: IpAddr,
    /// Destination address of the IP header.
    pub destination: IpAddr,
    /// Hop limit, or time to live.
    pub hop_limit: u8,
    /// Options and extension headers found.
    pub options: Options,
    /// Some only for a real fragment: offset not 0, or more to come.
    pub fragment: Option<Fragment>,
    /// The transport header.
    pub body: Transport,
}

impl Packet {
    /// Reads an Ethernet II frame, with up to two VLAN tags.
    pub fn parse(frame: &[u8]) -> Result<Self, Malformed> {
        let ethernet = Ethernet::parse(frame)?;
        let (at, vlans) = (ethernet.payload, ethernet.vlans);
        match (ethernet.ethertype, frame.get(at).map(|byte| byte >> 4)) {
            (ethernet::IPV4, Some(4)) | (ethernet::IPV6, Some(6)) => {
                Self::parse_ip(frame, at as u32, vlans)
            }
            (ethernet::IPV4 | ethernet::IPV6, Some(_)) => Err(Malformed::BadVersion),
            (ethernet::IPV4 | ethernet::IPV6, None) => Err(Malformed::HeaderTruncated),
            (other, _) => Err(Malformed::NotIp(other)),
        }
    }

    /// Reads the IP packet at offset `network`, whatever stands before it; `vlans` is passed on.
    pub fn parse_ip(frame: &[u8], network: u32, vlans: u8) -> Result<Self, Malformed> {
        let at = network as usize;
        let header = match frame.get(at).map(|byte| byte >> 4) {
            Some(4) => ipv4::parse(frame, at)?,
            Some(6) => ipv6::parse(frame, at)?,
            Some(_) => return Err(Malformed::BadVersion),
            None => return Err(Malformed::HeaderTruncated),
        };
        Ok(Self {
            ethertype: header.version.ethertype(),
            vlans,
            network,
            transport: header.transport as u32,
            end: header.end as u32,
            version: header.version,
            protocol: header.protocol,
            source: header.source,
            destination: header.destination,
            hop_limit: header.hop_limit,
            options: header.options,
            fragment: header.fragment,
            body: header.body(&frame[..header.end])?,
        })
    }

    /// Reads the packet inside this ICMP error; see [`Embedded::parse`].
    pub fn parse_embedded(frame: &[u8], error: &Self) -> Result<Embedded, Malformed> {
        Embedded::parse(frame, error)
    }

    /// Whether this is an ICMP error, which speaks about another packet.
    #[inline]
    pub const fn is_icmp_error(&self) -> bool {
        matches!(self.body, Transport::Icmp(Icmp { embedded: true, .. }))
    }

    /// Whether this is a fragment other than the first.
    #[inline]
    pub const fn is_later_fragment(&self) -> bool {
        matches!(self.fragment, Some(Fragment { offset: 1.., .. }))
    }

    /// Bytes of the datagram from the IP header to its end.
    #[inline]
    pub const fn ip_len(&self) -> u32 {
        self.end - self.network
    }

    /// Bytes after the IP header with its options and extension headers: of a fragment, its data.
    #[inline]
    pub const fn transport_len(&self) -> u32 {
        self.end - self.transport
    }

    /// Bytes after the transport header: TCP and UDP data, the ICMP body after 8 bytes; else as
    /// [`Packet::transport_len`].
    #[inline]
    pub fn payload_len(&self) -> u32 {
        match &self.body {
            Transport::Tcp(tcp) => tcp.payload_len,
            Transport::Udp(datagram) => {
                let len = u32::from(datagram.length).min(self.transport_len());
                len - udp::HEADER_LEN as u32
            }
            Transport::Icmp(_) => self.transport_len() - icmp::HEADER_LEN as u32,
            Transport::Sctp(_)
            | Transport::Gre(_)
            | Transport::Esp { .. }
            | Transport::None
            | Transport::Other => self.transport_len(),
        }
    }

    /// Source and destination port of TCP, UDP and SCTP.
    #[inline]
    pub const fn ports(&self) -> Option<(u16, u16)> {
        match &self.body {
            Transport::Tcp(tcp) => Some((tcp.source_port, tcp.destination_port)),
            Transport::Udp(udp) => Some((udp.source_port, udp.destination_port)),
            Transport::Sctp(ports) => Some((ports.source, ports.destination)),
            Transport::Icmp(_)
            | Transport::Gre(_)
            | Transport::Esp { .. }
            | Transport::None
            | Transport::Other => None,
        }
    }
}

/// The IP version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Version {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Version {
    /// 4 or 6.
    #[inline]
    pub const fn number(self) -> u8 {
        match self {
            Self::V4 => 4,
            Self::V6 => 6,
        }
    }

    /// The EtherType.
    #[inline]
    pub const fn ethertype(self) -> u16 {
        match self {
            Self::V4 => ethernet::IPV4,
            Self::V6 => ethernet::IPV6,
        }
    }

    /// The version of an address.
    #[inline]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }
}

impl fmt::Display for Version {
    /// `IPv4` or `IPv6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IPv{}", self.number())
    }
}

/// A real fragment's place in its datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// Identification: 16 bits in IPv4, 32 in IPv6.
    pub id: u32,
    /// Offset of the data in the datagram's fragmentable part, bytes.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// Offset in the frame of the IPv6 fragment header; in IPv4 of the IP header.
    pub header: u32,
}

/// The transport header, or why there is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp(Tcp),
    /// UDP.
    Udp(Udp),
    /// ICMP of the packet's IP version.
    Icmp(Icmp),
    /// SCTP.
    Sctp(Ports),
    /// GRE.
    Gre(Gre),
    /// ESP.
    Esp {
        /// Security parameters index.
        spi: u32,
    },
    /// No transport header here: a later fragment, a first fragment that ends before or inside it,
    /// or "no next header".
    None,
    /// A protocol that is not read.
    Other,
}

/// What an IP header and its extensions say.
pub(crate) struct Network {
    pub(crate) version: Version,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) hop_limit: u8,
    pub(crate) protocol: Protocol,
    pub(crate) options: Options,
    pub(crate) fragment: Option<Fragment>,
    /// A first fragment ends inside its extension headers.
    pub(crate) chain_cut: bool,
    pub(crate) transport: usize,
    pub(crate) end: usize,
}

impl Network {
    /// Reads the transport header; `bytes` end with the datagram.
    fn body(&self, bytes: &[u8]) -> Result<Transport, Malformed> {
        match self.fragment {
            None => self.transport(bytes, true),
            Some(_) => self.fragment_body(bytes),
        }
    }

    fn fragment_body(&self, bytes: &[u8]) -> Result<Transport, Malformed> {
        if self.chain_cut || self.fragment.is_some_and(|fragment| fragment.offset != 0) {
            return Ok(Transport::None);
        }
        match self.transport(bytes, false) {
            Err(Malformed::TransportTruncated) => Ok(Transport::None),
            body => body,
        }
    }

    fn transport(&self, bytes: &[u8], whole: bool) -> Result<Transport, Malformed> {
        let at = self.transport;
        Ok(match (self.protocol, self.version) {
            (Protocol::TCP, _) => Transport::Tcp(Tcp::parse(bytes, at, whole)?),
            (Protocol::UDP, _) => Transport::Udp(Udp::parse(bytes, at, whole)?),
            (Protocol::ICMP, Version::V4) | (Protocol::ICMPV6, Version::V6) => {
                Transport::Icmp(Icmp::parse(bytes, at, self.version)?)
            }
            (Protocol::SCTP, _) => Transport::Sctp(Ports::parse(bytes, at)?),
            (Protocol::GRE, _) => Transport::Gre(Gre::parse(bytes, at)?),
            (Protocol::ESP, _) => Transport::Esp { spi: esp::spi(bytes, at)? },
            (Protocol::NO_NEXT_HEADER, Version::V6) => Transport::None,
            _ => Transport::Other,
        })
    }
}
