//! Link types: where the IP packet begins, and the Ethernet frame that the engine sees instead.
//!
//! A packet counts as IP if its version nibble is 4 and it has at least 20 bytes, or 6 and 40. Only
//! Ethernet and PPPoE name the payload reliably; for the other types the nibble decides alone, so that
//! packet numbers agree with those of the Netfilter oracle.

use std::fmt;

/// A link type as the tcpdump registry numbers it (<https://www.tcpdump.org/linktypes.html>).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct LinkType(pub u16);

impl LinkType {
    /// BSD loopback: four bytes of address family in the byte order of the capturing host.
    pub const NULL: Self = Self(0);
    pub const ETHERNET: Self = Self(1);
    pub const PPP: Self = Self(9);
    /// DLT_RAW as BSD numbers it.
    pub const RAW_BSD: Self = Self(12);
    /// DLT_RAW as OpenBSD numbers it.
    pub const RAW_OPENBSD: Self = Self(14);
    /// PPPoE session packets without the Ethernet header.
    pub const PPPOE: Self = Self(51);
    /// IPv4 or IPv6 without anything before it.
    pub const RAW: Self = Self(101);
    /// OpenBSD loopback: four bytes of address family, big-endian.
    pub const LOOP: Self = Self(108);
    /// "Cooked" Linux capture.
    pub const LINUX_SLL: Self = Self(113);
    pub const IPV4: Self = Self(228);
    pub const IPV6: Self = Self(229);
    /// "Cooked" Linux capture, version 2.
    pub const LINUX_SLL2: Self = Self(276);
}

impl fmt::Debug for LinkType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match *self {
            Self::NULL => "null",
            Self::ETHERNET => "ethernet",
            Self::PPP => "ppp",
            Self::RAW | Self::RAW_BSD | Self::RAW_OPENBSD => "raw",
            Self::PPPOE => "pppoe",
            Self::LOOP => "loop",
            Self::LINUX_SLL => "linux-sll",
            Self::IPV4 => "ipv4",
            Self::IPV6 => "ipv6",
            Self::LINUX_SLL2 => "linux-sll2",
            Self(_) => "link",
        };
        write!(f, "{name}({})", self.0)
    }
}

const ETHERTYPE_IPV4: u16 = 0x0800;
const ETHERTYPE_IPV6: u16 = 0x86dd;
const ETHERTYPE_PPPOE_SESSION: u16 = 0x8864;
/// 802.1Q, 802.1ad, and the older QinQ.
const ETHERTYPES_VLAN: [u16; 3] = [0x8100, 0x88a8, 0x9100];
const ETHERNET_HEADER: usize = 14;
const PPPOE_HEADER: usize = 6;
/// Address and control of PPP in HDLC-like framing (RFC 1662 §3.1).
const PPP_ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];

/// The IP packet in a captured packet (with the link's padding, if any), or `None` if it is not IP.
pub fn ip_packet(link: LinkType, bytes: &[u8]) -> Option<&[u8]> {
    let packet = match link {
        LinkType::ETHERNET => ethernet_payload(bytes),
        LinkType::RAW
        | LinkType::RAW_BSD
        | LinkType::RAW_OPENBSD
        | LinkType::IPV4
        | LinkType::IPV6 => Some(bytes),
        LinkType::NULL | LinkType::LOOP => bytes.get(4..),
        LinkType::LINUX_SLL => bytes.get(16..),
        LinkType::LINUX_SLL2 => bytes.get(20..),
        LinkType::PPP => ppp_payload(bytes),
        LinkType::PPPOE => pppoe_payload(bytes),
        LinkType(_) => None,
    }?;
    version(packet).map(|_| packet)
}

/// Writes an Ethernet frame with this IP packet into `out`; the version nibble gives the ethertype.
/// Returns its length in bytes, or `None` if it is not IP or does not fit.
pub fn ethernet_frame(
    ip: &[u8],
    destination: [u8; 6],
    source: [u8; 6],
    out: &mut [u8],
) -> Option<usize> {
    let ethertype = if version(ip)? == 4 { ETHERTYPE_IPV4 } else { ETHERTYPE_IPV6 };
    let length = ETHERNET_HEADER + ip.len();
    let frame = out.get_mut(..length)?;
    frame[..6].copy_from_slice(&destination);
    frame[6..12].copy_from_slice(&source);
    frame[12..ETHERNET_HEADER].copy_from_slice(&ethertype.to_be_bytes());
    frame[ETHERNET_HEADER..].copy_from_slice(ip);
    Some(length)
}

/// 4 or 6 if there is at least a fixed header of that version.
fn version(packet: &[u8]) -> Option<u8> {
    match packet.first()? >> 4 {
        4 if packet.len() >= 20 => Some(4),
        6 if packet.len() >= 40 => Some(6),
        _ => None,
    }
}

fn ethernet_payload(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = ETHERNET_HEADER;
    let mut ethertype = u16_at(bytes, at - 2)?;
    while ETHERTYPES_VLAN.contains(&ethertype) {
        ethertype = u16_at(bytes, at + 2)?;
        at += 4;
    }
    match ethertype {
        ETHERTYPE_IPV4 | ETHERTYPE_IPV6 => bytes.get(at..),
        ETHERTYPE_PPPOE_SESSION => pppoe_payload(bytes.get(at..)?),
        _ => None,
    }
}

/// RFC 2516 §4: six bytes, then the PPP protocol in two.
fn pppoe_payload(bytes: &[u8]) -> Option<&[u8]> {
    match u16_at(bytes, PPPOE_HEADER)? {
        0x0021 | 0x0057 => bytes.get(PPPOE_HEADER + 2..),
        _ => None,
    }
}

/// PPP with or without address and control, its protocol in two bytes or, compressed, in one
/// (RFC 1661 §6.5). A protocol other than IP is left to the version nibble.
fn ppp_payload(bytes: &[u8]) -> Option<&[u8]> {
    let bytes = bytes.strip_prefix(&PPP_ADDRESS_CONTROL).unwrap_or(bytes);
    match *bytes.first()? {
        0x21 | 0x57 => bytes.get(1..),
        _ => bytes.get(2..),
    }
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let pair = bytes.get(at..)?.first_chunk()?;
    Some(u16::from_be_bytes(*pair))
}
