//! IPv4 datagrams as bytes: other addresses and ports in them, with sums that follow. Written for these tests
//! alone, so that nothing of the engine is compared with itself.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use wire::checksum::{finish, fold, sum, update16};

pub(crate) const ICMP: u8 = 1;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
/// The header of an ICMP error, before what it quotes.
const ICMP_HEADER: usize = 8;
/// Echo, timestamp, information and mask, each request and reply: those with an id.
const QUERIES: [u8; 8] = [0, 8, 13, 14, 15, 16, 17, 18];
/// Unreachable, source quench, redirect, time exceeded, parameter problem: those that quote.
const ERRORS: [u8; 5] = [3, 4, 5, 11, 12];
const DONT_FRAGMENT: u16 = 0x4000;
const MORE: u16 = 0x2000;

/// An address and a port of a header; of ICMP queries the id is the port of both.
pub(crate) type Endpoint = (Ipv4Addr, u16);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Source,
    Destination,
}

pub(crate) fn word(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    bytes[at..at + 2].copy_from_slice(&value.to_be_bytes());
}

/// A view of one IPv4 header in a datagram: at 0 its own, at the end of an ICMP error's the quoted one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Header(usize);

/// The datagram's own.
pub(crate) const OUTER: Header = Header(0);

impl Header {
    pub(crate) fn transport(self, bytes: &[u8]) -> usize {
        self.0 + usize::from(bytes[self.0] & 15) * 4
    }

    pub(crate) fn protocol(self, bytes: &[u8]) -> u8 {
        bytes[self.0 + 9]
    }

    pub(crate) fn id(self, bytes: &[u8]) -> u16 {
        word(bytes, self.0 + 4)
    }

    /// In bytes.
    pub(crate) fn offset(self, bytes: &[u8]) -> usize {
        usize::from(word(bytes, self.0 + 6) & 0x1fff) * 8
    }

    fn more(self, bytes: &[u8]) -> bool {
        word(bytes, self.0 + 6) & MORE != 0
    }

    pub(crate) fn is_fragment(self, bytes: &[u8]) -> bool {
        self.more(bytes) || self.offset(bytes) != 0
    }

    pub(crate) fn address(self, bytes: &[u8], end: End) -> Ipv4Addr {
        let at = self.address_at(end);
        Ipv4Addr::from_octets(bytes[at..at + 4].try_into().unwrap())
    }

    const fn address_at(self, end: End) -> usize {
        match end {
            End::Source => self.0 + 12,
            End::Destination => self.0 + 16,
        }
    }

    /// Where the port or id stands; none in a later fragment, in other protocols, and past the end.
    fn port_at(self, bytes: &[u8], end: End) -> Option<usize> {
        let at = self.transport(bytes);
        let place = match (self.protocol(bytes), end) {
            (TCP | UDP, End::Source) => at,
            (TCP | UDP, End::Destination) => at + 2,
            (ICMP, _) if QUERIES.contains(bytes.get(at)?) => at + 4,
            _ => return None,
        };
        (self.offset(bytes) == 0 && place + 2 <= bytes.len()).then_some(place)
    }

    pub(crate) fn port(self, bytes: &[u8], end: End) -> Option<u16> {
        self.port_at(bytes, end).map(|at| word(bytes, at))
    }

    pub(crate) fn endpoint(self, bytes: &[u8], end: End) -> Option<Endpoint> {
        Some((self.address(bytes, end), self.port(bytes, end)?))
    }

    fn checksum_at(self, bytes: &[u8]) -> Option<usize> {
        let field = match self.protocol(bytes) {
            TCP => 16,
            UDP => 6,
            ICMP => 2,
            _ => return None,
        };
        let at = self.transport(bytes) + field;
        (self.offset(bytes) == 0 && at + 2 <= bytes.len()).then_some(at)
    }

    /// Other address, and port where one is given and stands here; sums follow by RFC 1624.
    pub(crate) fn readdress(
        self,
        bytes: &mut [u8],
        end: End,
        address: Ipv4Addr,
        port: Option<u16>,
    ) {
        let (at, new) = (self.address_at(end), address.octets());
        for (place, half) in [(at, [new[0], new[1]]), (at + 2, [new[2], new[3]])] {
            let (old, new) = (word(bytes, place), u16::from_be_bytes(half));
            put(bytes, place, new);
            let header = self.0 + 10;
            put(bytes, header, update16(word(bytes, header), old, new));
            if self.protocol(bytes) != ICMP {
                self.follow(bytes, old, new);
            }
        }
        if let (Some(port), Some(at)) = (port, self.port_at(bytes, end)) {
            let old = word(bytes, at);
            put(bytes, at, port);
            self.follow(bytes, old, port);
        }
    }

    /// The transport checksum, after a word changed.
    fn follow(self, bytes: &mut [u8], old: u16, new: u16) {
        let Some(at) = self.checksum_at(bytes) else { return };
        let (checksum, udp) = (word(bytes, at), self.protocol(bytes) == UDP);
        // RFC 768: zero is none; and a sum of zero is written as all ones.
        if udp && checksum == 0 {
            return;
        }
        let new = update16(checksum, old, new);
        put(bytes, at, if udp && new == 0 { 0xffff } else { new });
    }

    /// Clears "don't fragment".
    pub(crate) fn allow_fragments(self, bytes: &mut [u8]) {
        let flags = word(bytes, self.0 + 6) & !DONT_FRAGMENT;
        put(bytes, self.0 + 6, flags);
        self.fill(bytes);
    }

    /// Zeros behind the end of the options (RFC 791 §3.1: type 0 ends, 1 has no length).
    pub(crate) fn end_options(self, bytes: &mut [u8]) {
        let (mut at, end) = (self.0 + 20, self.transport(bytes));
        while at < end && bytes[at] != 0 {
            at += match bytes[at] {
                1 => 1,
                _ => usize::from(*bytes.get(at + 1).unwrap_or(&0)).max(2),
            };
        }
        if at < end {
            bytes[at..end].fill(0);
            self.fill(bytes);
        }
    }

    /// The header's own checksum, after any change.
    fn fill(self, bytes: &mut [u8]) {
        put(bytes, self.0 + 10, 0);
        let checksum = finish(sum(&bytes[self.0..self.transport(bytes)]));
        put(bytes, self.0 + 10, checksum);
    }
}

/// The quoted header, if this is an ICMP error that quotes one, with 8 bytes behind it (RFC 792).
pub(crate) fn quoted(bytes: &[u8]) -> Option<Header> {
    let at = OUTER.transport(bytes);
    let is_error = OUTER.protocol(bytes) == ICMP && ERRORS.contains(bytes.get(at)?);
    let inner = Header(at + ICMP_HEADER);
    let whole = bytes.len() >= inner.0 + 20 && bytes[inner.0] >> 4 == 4;
    let room = whole && bytes.len() >= inner.transport(bytes) + 8;
    (is_error && !OUTER.is_fragment(bytes) && room).then_some(inner)
}

/// The covering sum of an ICMP message, anew.
pub(crate) fn fill_icmp(bytes: &mut [u8]) {
    let at = OUTER.transport(bytes);
    put(bytes, at + 2, 0);
    let checksum = finish(sum(&bytes[at..]));
    put(bytes, at + 2, checksum);
}

/// The transport checksum of an unfragmented datagram, anew; UDP without one stays without.
pub(crate) fn fill_transport(bytes: &mut [u8]) {
    let Some(at) = OUTER.checksum_at(bytes) else { return };
    if OUTER.protocol(bytes) == UDP && word(bytes, at) == 0 {
        return;
    }
    put(bytes, at, 0);
    let checksum = finish(transport_sum(bytes));
    let none = OUTER.protocol(bytes) == UDP && checksum == 0;
    put(bytes, at, if none { 0xffff } else { checksum });
}

fn transport_sum(bytes: &[u8]) -> u32 {
    let covered = &bytes[OUTER.transport(bytes)..];
    let pseudo = match OUTER.protocol(bytes) {
        ICMP => 0,
        protocol => sum(&bytes[12..20]) + u32::from(protocol) + covered.len() as u32,
    };
    pseudo + sum(covered)
}

/// The header's checksum and, of a whole datagram, the transport's are right.
pub(crate) fn sums_are_right(bytes: &[u8]) -> bool {
    let header = fold(sum(&bytes[..OUTER.transport(bytes)])) == 0xffff;
    let transport = match OUTER.checksum_at(bytes) {
        _ if OUTER.is_fragment(bytes) => true,
        Some(at) if OUTER.protocol(bytes) == UDP && word(bytes, at) == 0 => true,
        Some(_) => fold(transport_sum(bytes)) == 0xffff,
        None => true,
    };
    header && transport
}

/// The quoted header's checksum is right.
pub(crate) fn quoted_sum_is_right(bytes: &[u8]) -> bool {
    quoted(bytes).is_none_or(|inner| fold(sum(&bytes[inner.0..inner.transport(bytes)])) == 0xffff)
}

/// What one datagram left as, in one piece; none if it is not all there.
pub(crate) fn reassemble(pieces: &[Vec<u8>]) -> Option<Vec<u8>> {
    if let [whole] = pieces
        && !OUTER.is_fragment(whole)
    {
        return Some(whole.clone());
    }
    let by_offset: BTreeMap<usize, &Vec<u8>> =
        pieces.iter().map(|piece| (OUTER.offset(piece), piece)).collect();
    let (first, last) = (by_offset.first_key_value()?.1, by_offset.last_key_value()?.1);
    let mut whole = first[..OUTER.transport(first)].to_vec();
    let header = whole.len();
    for (offset, piece) in &by_offset {
        if *offset != whole.len() - header || OUTER.id(piece) != OUTER.id(first) {
            return None;
        }
        whole.extend(&piece[OUTER.transport(piece)..]);
    }
    if OUTER.more(last) {
        return None;
    }
    let length = whole.len() as u16;
    put(&mut whole, 2, length);
    let flags = word(&whole, 6) & DONT_FRAGMENT;
    put(&mut whole, 6, flags);
    OUTER.fill(&mut whole);
    Some(whole)
}

/// Fragments of a datagram without options, of at most `most` bytes of data each but the last.
pub(crate) fn fragments(bytes: &[u8], most: usize) -> Vec<Vec<u8>> {
    let header = OUTER.transport(bytes);
    let chunks: Vec<&[u8]> = bytes[header..].chunks(most / 8 * 8).collect();
    let mut offset = 0;
    let mut pieces = Vec::new();
    for (index, chunk) in chunks.iter().enumerate() {
        let mut piece = [&bytes[..header], chunk].concat();
        let more = if index + 1 < chunks.len() { MORE } else { 0 };
        let length = piece.len() as u16;
        put(&mut piece, 2, length);
        put(&mut piece, 6, more | (offset / 8) as u16);
        OUTER.fill(&mut piece);
        pieces.push(piece);
        offset += chunk.len();
    }
    pieces
}
