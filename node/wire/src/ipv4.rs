//! IPv4 (RFC 791).
use core::net::{IpAddr, Ipv4Addr};

use crate::bytes::{be16, be32, chunk};
use crate::packet::{Fragment, Network};
use crate::{Malformed, Options, Protocol, Version};

/// Bytes of a header without options.
pub const HEADER_LEN: usize = 20;
/// Bytes of the longest header.
pub const MAX_HEADER_LEN: usize = 60;
/// Offset of the total length, 2 bytes.
pub const TOTAL_LENGTH: usize = 2;
/// Offset of the identification, 2 bytes.
pub const IDENTIFICATION: usize = 4;
/// Offset of flags and fragment offset, 2 bytes.
pub const FLAGS: usize = 6;
/// Offset of the time to live, 1 byte.
pub const TTL: usize = 8;
/// Offset of the protocol, 1 byte.
pub const PROTOCOL: usize = 9;
/// Offset of the header checksum, 2 bytes.
pub const CHECKSUM: usize = 10;
/// Offset of the source address, 4 bytes.
pub const SOURCE: usize = 12;
/// Offset of the destination address, 4 bytes.
pub const DESTINATION: usize = 16;

/// Bits of the flags field.
pub const RESERVED: u16 = 0x8000;
/// Don't fragment.
pub const DONT_FRAGMENT: u16 = 0x4000;
/// More fragments.
pub const MORE_FRAGMENTS: u16 = 0x2000;
/// Fragment offset in units of 8 bytes.
pub const OFFSET_MASK: u16 = 0x1fff;

/// Option types (the IANA registry "IP Option Numbers").
pub mod option {
    /// End of the list, 1 byte.
    pub const END: u8 = 0;
    /// No operation, 1 byte.
    pub const NOP: u8 = 1;
    /// Record route.
    pub const RECORD_ROUTE: u8 = 7;
    /// Internet timestamp.
    pub const TIMESTAMP: u8 = 68;
    /// Security (RFC 1108).
    pub const SECURITY: u8 = 130;
    /// Loose source route.
    pub const LOOSE_SOURCE_ROUTE: u8 = 131;
    /// Stream identifier.
    pub const STREAM: u8 = 136;
    /// Strict source route.
    pub const STRICT_SOURCE_ROUTE: u8 = 137;
    /// Router alert (RFC 2113).
    pub const ROUTER_ALERT: u8 = 148;
}

/// Reads the header at `at` in a whole frame: lengths are checked against the frame.
pub(crate) fn parse(frame: &[u8], at: usize) -> Result<Network, Malformed> {
    let header: &[u8; HEADER_LEN] = chunk(frame, at).ok_or(Malformed::HeaderTruncated)?;
    let header_len = header_len(header)?;
    let total = usize::from(be16(header, TOTAL_LENGTH));
    if total < header_len {
        return Err(Malformed::TotalLengthTooShort);
    }
    if frame.len() - at < total {
        let cut = frame.len() - at < header_len;
        return Err(if cut { Malformed::HeaderTruncated } else { Malformed::TotalLengthTooLong });
    }
    read(frame, header, at, header_len, at + total)
}

/// Reads the header of a packet embedded in an ICMP error: the frame may end early, and the total
/// length is not believed (some routers give it in host byte order).
pub(crate) fn parse_embedded(bytes: &[u8], at: usize) -> Result<Network, Malformed> {
    let header: &[u8; HEADER_LEN] = chunk(bytes, at).ok_or(Malformed::HeaderTruncated)?;
    let header_len = header_len(header)?;
    if bytes.len() - at < header_len {
        return Err(Malformed::HeaderTruncated);
    }
    read(bytes, header, at, header_len, bytes.len())
}

fn header_len(header: &[u8; HEADER_LEN]) -> Result<usize, Malformed> {
    if header[0] >> 4 != 4 {
        return Err(Malformed::BadVersion);
    }
    let len = usize::from(header[0] & 0x0f) * 4;
    if len < HEADER_LEN { Err(Malformed::HeaderTooShort) } else { Ok(len) }
}

fn read(
    bytes: &[u8],
    header: &[u8; HEADER_LEN],
    at: usize,
    header_len: usize,
    end: usize,
) -> Result<Network, Malformed> {
    let flags = be16(header, FLAGS);
    let mut options = flag_options(flags);
    if header_len > HEADER_LEN {
        options |= walk_options(&bytes[at + HEADER_LEN..at + header_len])?;
    }
    let protocol = Protocol(header[PROTOCOL]);
    if protocol == Protocol::AH {
        options |= Options::AH;
    }
    Ok(Network {
        version: Version::V4,
        source: IpAddr::V4(Ipv4Addr::from_bits(be32(header, SOURCE))),
        destination: IpAddr::V4(Ipv4Addr::from_bits(be32(header, DESTINATION))),
        hop_limit: header[TTL],
        protocol,
        options,
        fragment: fragment(flags, be16(header, IDENTIFICATION), at),
        chain_cut: false,
        transport: at + header_len,
        end,
    })
}

fn flag_options(flags: u16) -> Options {
    let mut options = Options::NONE;
    if flags & DONT_FRAGMENT != 0 {
        options |= Options::DONT_FRAGMENT;
    }
    if flags & RESERVED != 0 {
        options |= Options::RESERVED_FLAG;
    }
    options
}

fn fragment(flags: u16, identification: u16, at: usize) -> Option<Fragment> {
    if flags & (MORE_FRAGMENTS | OFFSET_MASK) == 0 {
        return None;
    }
    Some(Fragment {
        id: u32::from(identification),
        offset: (flags & OFFSET_MASK) << 3,
        more: flags & MORE_FRAGMENTS != 0,
        header: at as u32,
    })
}

fn walk_options(mut rest: &[u8]) -> Result<Options, Malformed> {
    let mut found = Options::IPV4_OPTIONS;
    while let Some(&kind) = rest.first() {
        let len = match kind {
            option::END => break,
            option::NOP => 1,
            _ => match rest.get(1) {
                Some(&len) if len >= 2 => usize::from(len),
                _ => return Err(Malformed::OptionsBad),
            },
        };
        rest = rest.get(len..).ok_or(Malformed::OptionsBad)?;
        found |= match kind {
            option::LOOSE_SOURCE_ROUTE | option::STRICT_SOURCE_ROUTE => Options::SOURCE_ROUTE,
            option::RECORD_ROUTE => Options::RECORD_ROUTE,
            option::TIMESTAMP => Options::TIMESTAMP,
            option::ROUTER_ALERT => Options::ROUTER_ALERT,
            option::SECURITY => Options::SECURITY,
            option::STREAM => Options::STREAM,
            _ => Options::NONE,
        };
    }
    Ok(found)
}
