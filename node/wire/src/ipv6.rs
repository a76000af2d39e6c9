//! IPv6 and its extension headers (RFC 8200; AH: RFC 4302 §2).
use core::net::{IpAddr, Ipv6Addr};

use crate::bytes::{be16, be32, chunk};
use crate::limits::MAX_EXTENSION_HEADERS;
use crate::packet::{Fragment, Network};
use crate::{Malformed, Options, Protocol, Version};

/// Bytes of the fixed header.
pub const HEADER_LEN: usize = 40;
/// Bytes of the fragment header.
pub const FRAGMENT_LEN: usize = 8;
/// Bytes of an authentication header without its integrity check value.
pub const AH_MIN_LEN: usize = 12;
/// Offset of the payload length, 2 bytes.
pub const PAYLOAD_LENGTH: usize = 4;
/// Offset of the next header, 1 byte.
pub const NEXT_HEADER: usize = 6;
/// Offset of the hop limit, 1 byte.
pub const HOP_LIMIT: usize = 7;
/// Offset of the source address, 16 bytes.
pub const SOURCE: usize = 8;
/// Offset of the destination address, 16 bytes.
pub const DESTINATION: usize = 24;

/// Types of options in hop-by-hop options headers.
pub mod option {
    /// One byte of padding, without a length.
    pub const PAD1: u8 = 0;
    /// Padding.
    pub const PADN: u8 = 1;
    /// Router alert (RFC 2711).
    pub const ROUTER_ALERT: u8 = 5;
    /// Jumbo payload (RFC 2675).
    pub const JUMBO: u8 = 0xc2;
}

/// Reads the header at `at` in a whole frame: the payload length is checked against the frame.
pub(crate) fn parse(frame: &[u8], at: usize) -> Result<Network, Malformed> {
    let header: &[u8; HEADER_LEN] = chunk(frame, at).ok_or(Malformed::HeaderTruncated)?;
    let mut network = fixed(header, at)?;
    let payload = usize::from(be16(header, PAYLOAD_LENGTH));
    if payload == 0 && network.protocol == Protocol::HOP_BY_HOP {
        refuse_jumbo(frame, at + HEADER_LEN)?;
    }
    network.end = at + HEADER_LEN + payload;
    let bytes = frame.get(..network.end).ok_or(Malformed::TotalLengthTooLong)?;
    if is_extension(network.protocol) {
        network.walk(bytes)?;
    }
    Ok(network)
}

/// Reads the header of a packet embedded in an ICMP error: the frame may end early.
pub(crate) fn parse_embedded(bytes: &[u8], at: usize) -> Result<Network, Malformed> {
    let header: &[u8; HEADER_LEN] = chunk(bytes, at).ok_or(Malformed::HeaderTruncated)?;
    let mut network = fixed(header, at)?;
    network.end = bytes.len();
    network.walk(bytes)?;
    Ok(network)
}

/// Whether the protocol is an extension header that the chain passes over.
pub(crate) fn is_extension(protocol: Protocol) -> bool {
    matches!(
        protocol,
        Protocol::HOP_BY_HOP
            | Protocol::ROUTING
            | Protocol::FRAGMENT
            | Protocol::DESTINATION_OPTIONS
            | Protocol::AH
    )
}

/// The last address of the routing header with segments left, if the packet has one: the
/// destination that the transport checksum is made with (RFC 8200 §8.1). Types: 0 (RFC 5095), 2
/// (RFC 6275), 4 (RFC 8754).
pub fn final_destination(frame: &[u8], network: usize) -> Option<Ipv6Addr> {
    let header: &[u8; HEADER_LEN] = chunk(frame, network)?;
    let (mut protocol, mut at) = (Protocol(header[NEXT_HEADER]), network + HEADER_LEN);
    let mut last = None;
    for _ in 0..MAX_EXTENSION_HEADERS {
        if !is_extension(protocol) {
            break;
        }
        let start: &[u8; 8] = chunk(frame, at)?;
        if protocol == Protocol::ROUTING && start[3] > 0 {
            last = match start[2] {
                0 | 2 if start[1] >= 2 => chunk(frame, at + usize::from(start[1]) * 8 - 8),
                4 if start[1] >= 2 => chunk(frame, at + 8),
                _ => None,
            };
        }
        at += extension_len(protocol, start[1]);
        protocol = Protocol(start[0]);
    }
    last.map(|address: &[u8; 16]| Ipv6Addr::from(*address))
}

/// Where the first extension header of this protocol begins, if the packet has one.
pub(crate) fn find_extension(frame: &[u8], network: usize, wanted: Protocol) -> Option<usize> {
    let header: &[u8; HEADER_LEN] = chunk(frame, network)?;
    let (mut protocol, mut at) = (Protocol(header[NEXT_HEADER]), network + HEADER_LEN);
    for _ in 0..MAX_EXTENSION_HEADERS {
        if protocol == wanted {
            return Some(at);
        }
        if !is_extension(protocol) {
            return None;
        }
        let start: &[u8; 2] = chunk(frame, at)?;
        at += extension_len(protocol, start[1]);
        protocol = Protocol(start[0]);
    }
    None
}

fn fixed(header: &[u8; HEADER_LEN], at: usize) -> Result<Network, Malformed> {
    if header[0] >> 4 != 6 {
        return Err(Malformed::BadVersion);
    }
    Ok(Network {
        version: Version::V6,
        source: address(header, SOURCE),
        destination: address(header, DESTINATION),
        hop_limit: header[HOP_LIMIT],
        protocol: Protocol(header[NEXT_HEADER]),
        options: Options::NONE,
        fragment: None,
        chain_cut: false,
        transport: at + HEADER_LEN,
        end: at + HEADER_LEN,
    })
}

fn address(header: &[u8; HEADER_LEN], at: usize) -> IpAddr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&header[at..at + 16]);
    IpAddr::V6(Ipv6Addr::from(octets))
}

/// A payload length of 0 with a jumbo option means a jumbogram; its other headers lie past `end`.
fn refuse_jumbo(frame: &[u8], at: usize) -> Result<(), Malformed> {
    let start: &[u8; 2] = chunk(frame, at).ok_or(Malformed::ExtensionTruncated)?;
    let body = at + 2..at + extension_len(Protocol::HOP_BY_HOP, start[1]);
    let body = frame.get(body).ok_or(Malformed::ExtensionTruncated)?;
    walk_options(body).map(|_| ())
}

fn extension_len(protocol: Protocol, field: u8) -> usize {
    match protocol {
        Protocol::FRAGMENT => FRAGMENT_LEN,
        Protocol::AH => (usize::from(field) + 2) * 4,
        _ => (usize::from(field) + 1) * 8,
    }
}

impl Network {
    /// Follows the chain of extension headers to the transport header or to fragment data. What is
    /// missing of the chain in a first fragment is not an error: it comes with the next one.
    fn walk(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        for count in 0..=MAX_EXTENSION_HEADERS {
            if !is_extension(self.protocol) || self.fragment.is_some_and(|f| f.offset != 0) {
                return Ok(());
            }
            if count == MAX_EXTENSION_HEADERS {
                return Err(Malformed::ExtensionChainTooLong);
            }
            if self.protocol == Protocol::HOP_BY_HOP && count > 0 {
                return Err(Malformed::HopByHopNotFirst);
            }
            match self.pass(bytes) {
                Ok(()) => {}
                Err(Malformed::ExtensionTruncated | Malformed::FragmentHeaderTruncated)
                    if self.fragment.is_some() =>
                {
                    self.chain_cut = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Passes over the extension header at `self.transport`.
    fn pass(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        if self.protocol == Protocol::FRAGMENT {
            return self.pass_fragment(bytes);
        }
        let at = self.transport;
        let start: &[u8; 4] = chunk(bytes, at).ok_or(Malformed::ExtensionTruncated)?;
        let len = extension_len(self.protocol, start[1]);
        let header = bytes.get(at..at + len).ok_or(Malformed::ExtensionTruncated)?;
        if self.protocol == Protocol::AH && len < AH_MIN_LEN {
            return Err(Malformed::ExtensionTruncated);
        }
        self.options |= match self.protocol {
            Protocol::HOP_BY_HOP => Options::HOP_BY_HOP | walk_options(&header[2..])?,
            // Its options are for the destination alone to read (RFC 8200 §4); no hop judges them.
            Protocol::DESTINATION_OPTIONS => Options::DESTINATION_OPTIONS,
            Protocol::ROUTING => routing(start[2], start[3]),
            _ => Options::AH,
        };
        self.transport = at + len;
        self.protocol = Protocol(start[0]);
        Ok(())
    }

    fn pass_fragment(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let at = self.transport;
        let header: &[u8; FRAGMENT_LEN] =
            chunk(bytes, at).ok_or(Malformed::FragmentHeaderTruncated)?;
        let field = be16(header, 2);
        let (offset, more) = (field & 0xfff8, field & 1 != 0);
        let real = offset != 0 || more;
        if self.fragment.is_some() || (real && self.options.contains(Options::ATOMIC_FRAGMENT)) {
            return Err(Malformed::FragmentHeaderRepeated);
        }
        if real {
            let id = be32(header, 4);
            self.fragment = Some(Fragment { id, offset, more, header: at as u32 });
        } else {
            self.options |= Options::ATOMIC_FRAGMENT;
        }
        self.transport = at + FRAGMENT_LEN;
        self.protocol = Protocol(header[0]);
        Ok(())
    }
}

fn routing(kind: u8, segments_left: u8) -> Options {
    let mut found = Options::ROUTING;
    if kind == 0 {
        found |= Options::ROUTING_0;
    }
    if segments_left > 0 {
        found |= Options::SEGMENTS_LEFT;
    }
    found
}

fn walk_options(mut rest: &[u8]) -> Result<Options, Malformed> {
    let mut found = Options::NONE;
    while let Some(&kind) = rest.first() {
        let len = match (kind, rest.get(1)) {
            (option::PAD1, _) => 1,
            (_, Some(&len)) => usize::from(len) + 2,
            (_, None) => return Err(Malformed::OptionsBad),
        };
        rest = rest.get(len..).ok_or(Malformed::OptionsBad)?;
        match kind {
            option::JUMBO => return Err(Malformed::JumboPayload),
            option::ROUTER_ALERT => found |= Options::ROUTER_ALERT,
            _ => {}
        }
    }
    Ok(found)
}
