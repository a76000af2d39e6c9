//! What ICMP messages are in the other version (RFC 7915 §4.2, §5.2). Messages that are not here are not
//! translated: those of one link, obsolete ones, and unknown ones.

use crate::icmp::{v4, v6};
use crate::{Icmp, Version, ipv4, ipv6};

/// Bytes that the IPv6 header is longer than the IPv4 header.
const LONGER: u32 = (ipv6::HEADER_LEN - ipv4::HEADER_LEN) as u32;
/// The least MTU of IPv6 (RFC 8200 §5), and of IPv4 (RFC 791 §3.2).
const LEAST_MTU_V6: u32 = 1_280;
const LEAST_MTU_V4: u32 = 68;
/// MTUs of common links (RFC 1191 §7.1), of those above the least of IPv6.
const PLATEAUS: [u32; 7] = [32_000, 17_914, 8_166, 4_352, 2_002, 1_492, LEAST_MTU_V6 - LONGER];

/// An error: type, code, and bytes 4 to 7.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) kind: u8,
    pub(super) code: u8,
    pub(super) rest: u32,
}

impl Message {
    /// What an error of the other version is in this one. `quoted` is the length that the embedded IPv4
    /// packet says it had.
    pub(super) fn of(version: Version, error: &Icmp, quoted: usize) -> Option<Self> {
        match version {
            Version::V4 => Self::v4(error),
            Version::V6 => Self::v6(error, quoted),
        }
    }

    fn v6(error: &Icmp, quoted: usize) -> Option<Self> {
        let (kind, code, rest) = match (error.kind, error.code) {
            (v4::UNREACHABLE, 0 | 1 | 5..=8 | 11 | 12) => (v6::UNREACHABLE, v6::NO_ROUTE, 0),
            (v4::UNREACHABLE, v4::PROTOCOL) => (v6::PARAMETER_PROBLEM, 1, ipv6::NEXT_HEADER as u32),
            (v4::UNREACHABLE, v4::PORT) => (v6::UNREACHABLE, v6::PORT, 0),
            (v4::UNREACHABLE, v4::FRAGMENTATION_NEEDED) => {
                (v6::PACKET_TOO_BIG, 0, mtu_v6(error.rest & 0xffff, quoted))
            }
            (v4::UNREACHABLE, 9 | 10 | v4::PROHIBITED | 15) => (v6::UNREACHABLE, v6::PROHIBITED, 0),
            (v4::TIME_EXCEEDED, 0 | 1) => (v6::TIME_EXCEEDED, error.code, 0),
            (v4::PARAMETER_PROBLEM, 0 | 2) => {
                (v6::PARAMETER_PROBLEM, 0, pointer_v6(error.rest >> 24)?)
            }
            _ => return None,
        };
        Some(Self { kind, code, rest })
    }

    fn v4(error: &Icmp) -> Option<Self> {
        let (kind, code, rest) = match (error.kind, error.code) {
            (v6::UNREACHABLE, v6::NO_ROUTE | 2 | v6::ADDRESS) => (v4::UNREACHABLE, v4::HOST, 0),
            (v6::UNREACHABLE, v6::PROHIBITED) => (v4::UNREACHABLE, 10, 0),
            (v6::UNREACHABLE, v6::PORT) => (v4::UNREACHABLE, v4::PORT, 0),
            (v6::PACKET_TOO_BIG, 0) => {
                (v4::UNREACHABLE, v4::FRAGMENTATION_NEEDED, mtu_v4(error.rest))
            }
            (v6::TIME_EXCEEDED, 0 | 1) => (v4::TIME_EXCEEDED, error.code, 0),
            (v6::PARAMETER_PROBLEM, 0) => (v4::PARAMETER_PROBLEM, 0, pointer_v4(error.rest)? << 24),
            (v6::PARAMETER_PROBLEM, 1) => (v4::UNREACHABLE, v4::PROTOCOL, 0),
            _ => return None,
        };
        Some(Self { kind, code, rest })
    }
}

/// The type that a query or its reply has in this version: of echo alone.
pub(super) const fn query(version: Version, kind: u8) -> Option<u8> {
    match (version, kind) {
        (Version::V6, v4::ECHO_REQUEST) => Some(v6::ECHO_REQUEST),
        (Version::V6, v4::ECHO_REPLY) => Some(v6::ECHO_REPLY),
        (Version::V4, v6::ECHO_REQUEST) => Some(v4::ECHO_REQUEST),
        (Version::V4, v6::ECHO_REPLY) => Some(v4::ECHO_REPLY),
        _ => None,
    }
}

/// Where a message says how long the packet is that it quotes, if an extension follows (RFC 4884 §3): by how
/// much a word is shifted, and the bytes that it counts.
pub(super) const fn length_field(version: Version, kind: u8) -> Option<(u32, usize)> {
    match (version, kind) {
        (Version::V4, v4::UNREACHABLE | v4::TIME_EXCEEDED | v4::PARAMETER_PROBLEM) => Some((16, 4)),
        (Version::V6, v6::UNREACHABLE | v6::TIME_EXCEEDED) => Some((24, 8)),
        _ => None,
    }
}

/// A router that does not say its MTU is taken to have the next one of a common link below what was too long.
fn mtu_v6(said: u32, quoted: usize) -> u32 {
    let mtu = match said {
        0 => PLATEAUS.into_iter().find(|mtu| (*mtu as usize) < quoted).unwrap_or(0),
        said => said,
    };
    (mtu + LONGER).max(LEAST_MTU_V6)
}

fn mtu_v4(said: u32) -> u32 {
    said.saturating_sub(LONGER).clamp(LEAST_MTU_V4, u32::from(u16::MAX))
}

/// The field of an IPv6 header that is an IPv4 header's (§4.2, figure 3).
const fn pointer_v6(pointer: u32) -> Option<u32> {
    Some(match pointer {
        0 | 1 => pointer,
        2 | 3 => 4,
        8 => 7,
        9 => 6,
        12..=15 => 8,
        16..=19 => 24,
        _ => return None,
    })
}

/// The field of an IPv4 header that is an IPv6 header's (§5.2, figure 6).
const fn pointer_v4(pointer: u32) -> Option<u32> {
    Some(match pointer {
        0 | 1 => pointer,
        4 | 5 => 2,
        6 => 9,
        7 => 8,
        8..=23 => 12,
        24..=39 => 16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(version: Version, kind: u8, code: u8, rest: u32) -> Option<(u8, u8, u32)> {
        let icmp = Icmp { kind, code, id: 0, sequence: 0, rest, embedded: true, query: false };
        Message::of(version, &icmp, 1_500).map(|found| (found.kind, found.code, found.rest))
    }

    /// A type, codes, and the counterpart of each.
    type Row = (u8, &'static [u8], (u8, u8, u32));

    /// Every type and code has the counterpart in the table, or none.
    fn expect(version: Version, rest: u32, table: &[Row]) {
        for (kind, code) in (0..=255).flat_map(|kind| (0..=255).map(move |code| (kind, code))) {
            let row = table.iter().find(|row| row.0 == kind && row.1.contains(&code));
            assert_eq!(message(version, kind, code, rest), row.map(|row| row.2), "{kind} {code}");
        }
    }

    #[test]
    fn errors_of_ipv4_in_ipv6() {
        // MTU 1,400, and a pointer to the time to live.
        let rest = 8 << 24 | 1_400;
        expect(
            Version::V6,
            rest,
            &[
                (3, &[0, 1, 5, 6, 7, 8, 11, 12], (1, 0, 0)),
                (3, &[2], (4, 1, 6)),
                (3, &[3], (1, 4, 0)),
                (3, &[4], (2, 0, 1_420)),
                (3, &[9, 10, 13, 15], (1, 1, 0)),
                (11, &[0], (3, 0, 0)),
                (11, &[1], (3, 1, 0)),
                (12, &[0, 2], (4, 0, 7)),
            ],
        );
    }

    #[test]
    fn errors_of_ipv6_in_ipv4() {
        expect(
            Version::V4,
            7,
            &[
                (1, &[0, 2, 3], (3, 1, 0)),
                (1, &[1], (3, 10, 0)),
                (1, &[4], (3, 3, 0)),
                (3, &[0], (11, 0, 0)),
                (3, &[1], (11, 1, 0)),
                (4, &[0], (12, 0, 8 << 24)),
                (4, &[1], (3, 2, 0)),
                (2, &[0], (3, 4, 68)),
            ],
        );
    }

    #[test]
    fn queries() {
        for kind in 0..=255 {
            let pair = |version, pairs: [(u8, u8); 2]| {
                let found = pairs.into_iter().find(|pair| pair.0 == kind).map(|pair| pair.1);
                assert_eq!(query(version, kind), found, "{kind}");
            };
            pair(Version::V6, [(8, 128), (0, 129)]);
            pair(Version::V4, [(128, 8), (129, 0)]);
        }
    }

    #[test]
    fn pointers() {
        let v6 = |pointer: u32| message(Version::V6, 12, 0, pointer << 24).map(|found| found.2);
        let none = [4, 5, 6, 7, 10, 11, 20, 255];
        assert!(none.into_iter().all(|pointer| v6(pointer).is_none()));
        for (from, to) in
            [(0, 0), (1, 1), (2, 4), (3, 4), (8, 7), (9, 6), (12, 8), (15, 8), (16, 24), (19, 24)]
        {
            assert_eq!(v6(from), Some(to), "{from}");
        }
        let v4 = |pointer: u32| message(Version::V4, 4, 0, pointer).map(|found| found.2 >> 24);
        let none = [2, 3, 40, u32::MAX];
        assert!(none.into_iter().all(|pointer| v4(pointer).is_none()));
        for (from, to) in
            [(0, 0), (1, 1), (4, 2), (5, 2), (6, 9), (7, 8), (8, 12), (23, 12), (24, 16), (39, 16)]
        {
            assert_eq!(v4(from), Some(to), "{from}");
        }
    }

    #[test]
    fn mtus() {
        let v6 = |mtu| message(Version::V6, 3, 4, mtu).map(|found| found.2);
        assert_eq!([68, 1_260, 1_261, 65_535].map(v6), [1_280, 1_280, 1_281, 65_555].map(Some));
        // Who does not say its MTU had a packet of 1,500 bytes.
        assert_eq!(v6(0), Some(1_512));
        let plateaus = [1_000, 1_261, 1_492, 1_493, 65_535].map(|quoted| mtu_v6(0, quoted));
        assert_eq!(plateaus, [1_280, 1_280, 1_280, 1_512, 32_020]);
        let v4 = |mtu| message(Version::V4, 2, 0, mtu).map(|found| found.2);
        let said = [0, 88, 1_280, 1_500, 65_556, u32::MAX];
        assert_eq!(said.map(v4), [68, 68, 1_260, 1_480, 65_535, 65_535].map(Some));
    }
}
