//! ICMP for IPv4 (RFC 792, RFC 950, RFC 1191) and IPv6 (RFC 4443).
use crate::bytes::{be16, be32, chunk};
use crate::{Malformed, Version};

/// Bytes of the header: type, code, checksum, and 4 bytes whose meaning the type gives.
pub const HEADER_LEN: usize = 8;
/// Offset of the checksum, 2 bytes.
pub const CHECKSUM: usize = 2;

/// Types and codes of ICMPv4.
pub mod v4 {
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 0;
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 3;
    /// Source quench (obsolete: RFC 6633).
    pub const SOURCE_QUENCH: u8 = 4;
    /// Redirect.
    pub const REDIRECT: u8 = 5;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 8;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 11;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 12;
    /// Timestamp request; with its reply and the information and mask messages up to 18 it has an
    /// id.
    pub const TIMESTAMP_REQUEST: u8 = 13;
    /// Address mask reply.
    pub const MASK_REPLY: u8 = 18;
    /// Code of unreachable: network.
    pub const NETWORK: u8 = 0;
    /// Code of unreachable: host.
    pub const HOST: u8 = 1;
    /// Code of unreachable: protocol.
    pub const PROTOCOL: u8 = 2;
    /// Code of unreachable: port.
    pub const PORT: u8 = 3;
    /// Code of unreachable: fragmentation needed and don't-fragment set; bytes 6 and 7 are the MTU.
    pub const FRAGMENTATION_NEEDED: u8 = 4;
    /// Code of unreachable: communication administratively prohibited (RFC 1812 §5.2.7.1).
    pub const PROHIBITED: u8 = 13;
    /// Code of time exceeded: in transit.
    pub const IN_TRANSIT: u8 = 0;
    /// Code of time exceeded: fragment reassembly.
    pub const REASSEMBLY: u8 = 1;
}

/// Types and codes of ICMPv6.
pub mod v6 {
    /// Destination unreachable.
    pub const UNREACHABLE: u8 = 1;
    /// Packet too big; bytes 4 to 7 are the MTU.
    pub const PACKET_TOO_BIG: u8 = 2;
    /// Time exceeded.
    pub const TIME_EXCEEDED: u8 = 3;
    /// Parameter problem.
    pub const PARAMETER_PROBLEM: u8 = 4;
    /// Types below this are errors (RFC 4443 §2.1).
    pub const FIRST_INFORMATIONAL: u8 = 128;
    /// Echo request.
    pub const ECHO_REQUEST: u8 = 128;
    /// Echo reply.
    pub const ECHO_REPLY: u8 = 129;
    /// Router solicitation (RFC 4861).
    pub const ROUTER_SOLICITATION: u8 = 133;
    /// Router advertisement.
    pub const ROUTER_ADVERTISEMENT: u8 = 134;
    /// Neighbour solicitation.
    pub const NEIGHBOR_SOLICITATION: u8 = 135;
    /// Neighbour advertisement.
    pub const NEIGHBOR_ADVERTISEMENT: u8 = 136;
    /// Redirect.
    pub const REDIRECT: u8 = 137;
    /// Code of unreachable: no route.
    pub const NO_ROUTE: u8 = 0;
    /// Code of unreachable: administratively prohibited.
    pub const PROHIBITED: u8 = 1;
    /// Code of unreachable: address.
    pub const ADDRESS: u8 = 3;
    /// Code of unreachable: port.
    pub const PORT: u8 = 4;
    /// Code of time exceeded: hop limit.
    pub const HOP_LIMIT: u8 = 0;
    /// Code of time exceeded: fragment reassembly.
    pub const REASSEMBLY: u8 = 1;
}

/// A message's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Type.
    pub kind: u8,
    /// Code.
    pub code: u8,
    /// Identifier of a query (echo; in IPv4 also timestamp, information and mask), else 0.
    pub id: u16,
    /// Sequence number of a query, else 0.
    pub sequence: u16,
    /// Bytes 4 to 7 as they stand: MTU, pointer, gateway, or id and sequence.
    pub rest: u32,
    /// The message is an error: a packet is embedded after the header.
    pub embedded: bool,
    /// The message is a query or its reply: `id` pairs them.
    pub query: bool,
}

impl Icmp {
    /// Reads the message `bytes[at..]`.
    pub(crate) fn parse(bytes: &[u8], at: usize, version: Version) -> Result<Self, Malformed> {
        let header: &[u8; HEADER_LEN] = chunk(bytes, at).ok_or(Malformed::TransportTruncated)?;
        let query = is_query(version, header[0]);
        let (id, sequence) = if query { (be16(header, 4), be16(header, 6)) } else { (0, 0) };
        Ok(Self {
            kind: header[0],
            code: header[1],
            id,
            sequence,
            rest: be32(header, 4),
            embedded: is_error(version, header[0]),
            query,
        })
    }

    /// Whether this is an echo request or reply.
    #[inline]
    pub const fn is_echo(&self, version: Version) -> bool {
        match version {
            Version::V4 => matches!(self.kind, v4::ECHO_REQUEST | v4::ECHO_REPLY),
            Version::V6 => matches!(self.kind, v6::ECHO_REQUEST | v6::ECHO_REPLY),
        }
    }
}

/// Whether the type is an error with an embedded packet. ICMPv6: all types below 128, known or not.
#[inline]
pub const fn is_error(version: Version, kind: u8) -> bool {
    match version {
        Version::V4 => matches!(
            kind,
            v4::UNREACHABLE
                | v4::SOURCE_QUENCH
                | v4::REDIRECT
                | v4::TIME_EXCEEDED
                | v4::PARAMETER_PROBLEM
        ),
        Version::V6 => kind < v6::FIRST_INFORMATIONAL,
    }
}

/// Whether the type is a query or a reply with an id.
#[inline]
pub const fn is_query(version: Version, kind: u8) -> bool {
    match version {
        Version::V4 => {
            matches!(kind, v4::ECHO_REPLY | v4::ECHO_REQUEST)
                || (kind >= v4::TIMESTAMP_REQUEST && kind <= v4::MASK_REPLY)
        }
        Version::V6 => matches!(kind, v6::ECHO_REQUEST | v6::ECHO_REPLY),
    }
}
