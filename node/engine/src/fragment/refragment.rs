//! A datagram into fragments again, in place.
//!
//! Fragments go out in order, so the bytes in front of a payload, which have left already, are free for
//! its headers:
//!
//! ```text
//!   [headers|payload 0|payload 1|payload 2]   emit headers + payload 0
//!   [........|..headers|payload 1|payload 2]   emit headers + payload 1
//! ```

use wire::{Version, checksum};

use crate::limits;

use super::datagram::Assembly;
use super::incoming::{FRAGMENT_HEADER, IPV6_HEADER};

/// Bytes of the IPv4 header without options.
const IPV4_HEADER: usize = 20;
/// Flag of IPv4 options that go into every fragment (RFC 791 §3.1).
const COPIED: u8 = 0x80;
const OPTION_END: u8 = 0;
const OPTION_NOOP: u8 = 1;
const IPV6_FRAGMENT: u8 = 44;
/// Bytes of the longest headers of a fragment.
const HEADERS_MAX: usize = limits::FRAGMENT_HEADER_BYTES + FRAGMENT_HEADER;

/// Headers of the first fragment and of the others: link header, then IP.
struct Headers {
    bytes: [u8; 2 * HEADERS_MAX],
    first: usize,
    other: usize,
}

/// Part of the payload: where it begins, how long it is, and whether more follows.
struct Part {
    offset: usize,
    length: usize,
    more: bool,
}

/// See [`Datagram::refragment`](super::Datagram::refragment).
pub(super) fn refragment(assembly: &mut Assembly, mtu: usize, mut emit: impl FnMut(&[u8])) -> u32 {
    let headers = Headers::of(assembly);
    let limit = mtu.min(largest(assembly));
    let keep = keeps_boundaries(assembly, &headers, limit);
    let total = assembly.end - assembly.start - assembly.payload;
    let (mut offset, mut count) = (0, 0);
    while offset < total {
        let length = if keep {
            usize::from(assembly.lengths[count])
        } else {
            room(limit, headers.ip_bytes(offset, assembly.network), total - offset)
        };
        let part = Part { offset, length, more: offset + length < total };
        emit(write_fragment(assembly, &headers, &part));
        offset += length;
        count += 1;
    }
    count as u32
}

/// Payload bytes of a fragment with `header` bytes of IP header; all but the last in multiples of eight,
/// and never none at all.
fn room(limit: usize, header: usize, rest: usize) -> usize {
    let room = limit.saturating_sub(header);
    if rest <= room { rest } else { (room & !7).max(8).min(rest) }
}

/// What the sender's path has shown to carry; every IPv6 link carries 1,280 bytes.
fn largest(assembly: &Assembly) -> usize {
    let largest = assembly.largest as usize;
    match assembly.version {
        Version::V4 => largest,
        Version::V6 => largest.max(limits::IPV6_MTU_MIN as usize),
    }
}

fn keeps_boundaries(assembly: &Assembly, headers: &Headers, limit: usize) -> bool {
    let mut offset = 0;
    assembly.lengths[..assembly.fragments].iter().all(|&length| {
        let header = headers.ip_bytes(offset, assembly.network);
        offset += usize::from(length);
        header + usize::from(length) <= limit
    })
}

/// Writes the headers in front of a part and returns the finished frame.
fn write_fragment<'a>(assembly: &'a mut Assembly, headers: &Headers, part: &Part) -> &'a [u8] {
    let template = headers.of_offset(part.offset);
    let payload = assembly.start + assembly.payload + part.offset;
    let start = payload - template.len();
    let frame = &mut assembly.buffer[start..payload + part.length];
    frame[..template.len()].copy_from_slice(template);
    let ip = &mut frame[assembly.network..];
    match assembly.version {
        Version::V4 => finish_ipv4(ip, part, assembly.dont_fragment),
        Version::V6 => finish_ipv6(ip, part),
    }
    frame
}

fn finish_ipv4(ip: &mut [u8], part: &Part, dont_fragment: bool) {
    let offset = (part.offset / 8) as u16;
    let flags = u16::from(part.more) << 13 | u16::from(dont_fragment) << 14;
    let length = (ip.len() as u16).to_be_bytes();
    ip[2..4].copy_from_slice(&length);
    ip[6..8].copy_from_slice(&(flags | offset).to_be_bytes());
    checksum::fill_ipv4_header_checksum(ip, 0);
}

fn finish_ipv6(ip: &mut [u8], part: &Part) {
    let length = ((ip.len() - IPV6_HEADER) as u16).to_be_bytes();
    ip[4..6].copy_from_slice(&length);
    let payload = ip.len() - part.length;
    let field = part.offset as u16 | u16::from(part.more);
    ip[payload - 6..payload - 4].copy_from_slice(&field.to_be_bytes());
}

impl Headers {
    /// From the frame as the pipeline has rewritten it.
    fn of(assembly: &Assembly) -> Self {
        let frame = &assembly.buffer[assembly.start..][..assembly.payload];
        let bytes = [0; 2 * HEADERS_MAX];
        match assembly.version {
            Version::V4 => Self { bytes, first: 0, other: 0 }.ipv4(frame, assembly.network),
            Version::V6 => Self { bytes, first: 0, other: 0 }.ipv6(frame, assembly),
        }
    }

    /// The first fragment has all options, the others those with the copied flag.
    fn ipv4(mut self, frame: &[u8], network: usize) -> Self {
        self.first = frame.len();
        let (first, other) = self.bytes.split_at_mut(HEADERS_MAX);
        first[..frame.len()].copy_from_slice(frame);
        let fixed = network + IPV4_HEADER;
        other[..fixed].copy_from_slice(&frame[..fixed]);
        let options = copied_options(&frame[fixed..], &mut other[fixed..]);
        other[network] = 0x40 | ((IPV4_HEADER + options) / 4) as u8;
        self.other = fixed + options;
        self
    }

    /// Everything up to the fragment header, which takes over the next header; the same in each.
    fn ipv6(mut self, frame: &[u8], assembly: &Assembly) -> Self {
        let length = frame.len() + FRAGMENT_HEADER;
        for bytes in self.bytes.chunks_mut(HEADERS_MAX) {
            bytes[..frame.len()].copy_from_slice(frame);
            bytes[frame.len()] = frame[assembly.next_header];
            bytes[length - 4..length].copy_from_slice(&assembly.id);
            bytes[assembly.next_header] = IPV6_FRAGMENT;
        }
        (self.first, self.other) = (length, length);
        self
    }

    /// The headers of the fragment at `offset`.
    fn of_offset(&self, offset: usize) -> &[u8] {
        let (first, other) = self.bytes.split_at(HEADERS_MAX);
        if offset == 0 { &first[..self.first] } else { &other[..self.other] }
    }

    /// Their bytes without the link header.
    fn ip_bytes(&self, offset: usize, network: usize) -> usize {
        self.of_offset(offset).len() - network
    }
}

/// Writes the options with the copied flag, filled up to a multiple of four; returns their bytes.
fn copied_options(mut options: &[u8], out: &mut [u8]) -> usize {
    let mut written = 0;
    while let Some(&kind) = options.first().filter(|&&kind| kind != OPTION_END) {
        let length = match kind {
            OPTION_NOOP => 1,
            _ => options.get(1).map_or(0, |&length| usize::from(length)),
        };
        // The parser refuses such options; nothing behind one could be understood.
        let Some(option) = options.get(..length).filter(|_| length > 0) else { break };
        if kind & COPIED != 0 {
            out[written..written + length].copy_from_slice(option);
            written += length;
        }
        options = &options[length..];
    }
    let padded = written.next_multiple_of(4);
    out[written..padded].fill(OPTION_END);
    padded
}
