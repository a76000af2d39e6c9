//! The packet inside an ICMP error (RFC 792, RFC 4443 §3): as much of it as its sender gave.
use core::net::IpAddr;

use crate::bytes::{be16, be32, chunk};
use crate::packet::Network;
use crate::{Fragment, Gre, Icmp, Malformed, Options, Packet, Protocol, Seq, Version};
use crate::{icmp, ipv4, ipv6};

/// Bytes of its transport header that an embedded packet must have (RFC 792).
pub const MIN_TRANSPORT_LEN: usize = 8;

/// What an embedded packet says. It went from `source` to `destination`: the other way than the
/// error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Embedded {
    /// IP version.
    pub version: Version,
    /// Transport protocol.
    pub protocol: Protocol,
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Options and extension headers found.
    pub options: Options,
    /// Source port as keys use it: of TCP, UDP and SCTP; the id of an ICMP query; else 0.
    pub source_port: u16,
    /// Destination port as keys use it: like `source_port`, and the call id of GRE version 1.
    pub destination_port: u16,
    /// SEG.SEQ of TCP.
    pub tcp_sequence: Option<Seq>,
    /// The ICMP header.
    pub icmp: Option<Icmp>,
    /// Some only for a real fragment; of a later one nothing but the addresses is known.
    pub fragment: Option<Fragment>,
    /// A first fragment that ends inside its extension headers: the transport protocol is not
    /// known.
    pub chain_cut: bool,
    /// Offset in the frame of the embedded IP header.
    pub network: u32,
    /// Offset in the frame of the embedded transport header.
    pub transport: u32,
    /// End of the embedded bytes in the frame.
    pub end: u32,
}

impl Embedded {
    /// Reads the packet inside `error`, which was parsed from `frame`.
    pub fn parse(frame: &[u8], error: &Packet) -> Result<Self, Malformed> {
        if !error.is_icmp_error() {
            return Err(Malformed::NoEmbeddedPacket);
        }
        let bytes = frame.get(..error.end as usize).ok_or(Malformed::EmbeddedTruncated)?;
        let at = error.transport as usize + icmp::HEADER_LEN;
        let network = match error.version {
            Version::V4 => ipv4::parse_embedded(bytes, at)?,
            Version::V6 => ipv6::parse_embedded(bytes, at)?,
        };
        let mut embedded = Self::bare(&network, at);
        if !network.chain_cut && !embedded.is_later_fragment() {
            embedded.read_transport(bytes)?;
        }
        Ok(embedded)
    }

    /// Whether it is a fragment other than the first: its ports are not known.
    #[inline]
    pub const fn is_later_fragment(&self) -> bool {
        matches!(self.fragment, Some(Fragment { offset: 1.., .. }))
    }

    fn bare(network: &Network, at: usize) -> Self {
        Self {
            version: network.version,
            protocol: network.protocol,
            source: network.source,
            destination: network.destination,
            options: network.options,
            source_port: 0,
            destination_port: 0,
            tcp_sequence: None,
            icmp: None,
            fragment: network.fragment,
            chain_cut: network.chain_cut,
            network: at as u32,
            transport: network.transport as u32,
            end: network.end as u32,
        }
    }

    fn read_transport(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let at = self.transport as usize;
        let start: Option<&[u8; MIN_TRANSPORT_LEN]> = chunk(bytes, at);
        let start = start.ok_or(Malformed::EmbeddedTruncated);
        match (self.protocol, self.version) {
            (Protocol::TCP, _) => {
                self.take_ports(start?);
                self.tcp_sequence = Some(Seq(be32(start?, 4)));
            }
            (Protocol::UDP | Protocol::SCTP, _) => self.take_ports(start?),
            (Protocol::ICMP, Version::V4) | (Protocol::ICMPV6, Version::V6) => {
                let message = Icmp::parse(bytes, at, self.version);
                let message = message.map_err(|_| Malformed::EmbeddedTruncated)?;
                (self.source_port, self.destination_port) = (message.id, message.id);
                self.icmp = Some(message);
            }
            (Protocol::GRE, _) => {
                start?;
                let call = Gre::parse(bytes, at).ok().and_then(|gre| gre.call_id());
                self.destination_port = call.unwrap_or(0);
            }
            _ => {}
        }
        Ok(())
    }

    fn take_ports(&mut self, start: &[u8; MIN_TRANSPORT_LEN]) {
        (self.source_port, self.destination_port) = (be16(start, 0), be16(start, 2));
    }
}
