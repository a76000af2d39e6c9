//! A complete datagram as one frame, as if it had never been fragmented.

use std::fmt;

use wire::{Version, checksum};

use crate::limits;

use super::incoming::{FRAGMENT_HEADER, IPV6_HEADER};
use super::pieces::Pieces;
use super::queue::Queue;

/// Bytes in front of the frame: refragmenting puts an IPv6 fragment header in.
pub(super) const HEADROOM: usize = FRAGMENT_HEADER;

/// A reassembled datagram in memory that belongs to [`Fragments`](super::Fragments). Judge it as one
/// packet, rewrite it in place, send it whole or by [`Datagram::refragment`], then give it back with
/// [`Fragments::done`](super::Fragments::done).
pub struct Datagram {
    assembly: Box<Assembly>,
    held: u32,
}

/// Memory in which datagrams are put together, one after another.
pub(super) struct Assembly {
    pub(super) buffer: Box<[u8]>,
    /// Where the frame lies in the buffer.
    pub(super) start: usize,
    pub(super) end: usize,
    /// Offset of the IP header in the frame.
    pub(super) network: usize,
    /// Offset of the fragmentable part in the frame.
    pub(super) payload: usize,
    /// Payload bytes of each fragment, in order.
    pub(super) lengths: [u16; limits::FRAGMENTS_PER_DATAGRAM],
    pub(super) fragments: usize,
    /// Largest IP packet among the fragments, bytes.
    pub(super) largest: u32,
    pub(super) dont_fragment: bool,
    pub(super) version: Version,
    /// IPv6: the fragment header's id.
    pub(super) id: [u8; 4],
    /// IPv6: offset in the frame of the field that named the fragment header.
    pub(super) next_header: usize,
}

impl Datagram {
    /// Memory without a datagram, to be exchanged for one that goes to another worker. Allocates.
    #[must_use]
    pub fn empty() -> Self {
        Self::new(Box::new(Assembly::new()), 0)
    }

    pub(super) fn new(assembly: Box<Assembly>, held: u32) -> Self {
        Self { assembly, held }
    }

    pub(super) fn into_assembly(self) -> Box<Assembly> {
        self.assembly
    }

    /// The whole frame: the first fragment's link and IP headers without a trace of fragmentation,
    /// lengths and IPv4 header checksum right, and all of the payload.
    #[must_use]
    pub fn frame(&self) -> &[u8] {
        &self.assembly.buffer[self.assembly.start..self.assembly.end]
    }

    /// The frame, to be rewritten; headers must keep their lengths.
    #[must_use]
    pub fn frame_mut(&mut self) -> &mut [u8] {
        &mut self.assembly.buffer[self.assembly.start..self.assembly.end]
    }

    /// Offset of the IP header in the frame, for `Packet::parse_ip`.
    #[must_use]
    pub fn network(&self) -> u32 {
        self.assembly.network as u32
    }

    /// Fragments that were held and have left with this datagram: all but the last to arrive.
    #[must_use]
    pub fn held(&self) -> u32 {
        self.held
    }

    /// Fragments it came in.
    #[must_use]
    pub fn fragments(&self) -> u32 {
        self.held + 1
    }

    /// The largest IP packet among its fragments, bytes: proof that the path up to here carries it.
    #[must_use]
    pub fn largest(&self) -> u32 {
        self.assembly.largest
    }

    /// Whether no router may make its fragments smaller: IPv6, or don't-fragment was set. Then a link
    /// with an MTU below [`Datagram::largest`] is answered with an ICMP error instead.
    #[must_use]
    pub fn dont_fragment(&self) -> bool {
        self.assembly.dont_fragment || self.assembly.version == Version::V6
    }

    /// Whether a link with this MTU (bytes of IP packet) demands smaller fragments than are allowed.
    #[must_use]
    pub fn is_too_big(&self, mtu: u32) -> bool {
        self.dont_fragment() && self.largest() > mtu
    }

    /// Gives `emit` the datagram in fragments for a link with this MTU (bytes of IP packet), in order,
    /// and returns their number. The sender's own boundaries are kept if they fit; otherwise fragments
    /// are as large as the MTU and [`Datagram::largest`] allow. Options without the copied flag go
    /// into the first only (RFC 791 §3.1), the IPv6 id stays. Afterwards the frame is used up.
    pub fn refragment(&mut self, mtu: u32, emit: impl FnMut(&[u8])) -> u32 {
        super::refragment::refragment(&mut self.assembly, mtu as usize, emit)
    }
}

impl fmt::Debug for Datagram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Datagram")
            .field("bytes", &self.frame().len())
            .field("fragments", &self.fragments())
            .field("largest", &self.largest())
            .finish_non_exhaustive()
    }
}

impl Assembly {
    pub(super) fn new() -> Self {
        let bytes = HEADROOM + limits::DATAGRAM_FRAME_BYTES;
        Self {
            buffer: vec![0; bytes].into_boxed_slice(),
            start: HEADROOM,
            end: HEADROOM,
            network: 0,
            payload: 0,
            lengths: [0; limits::FRAGMENTS_PER_DATAGRAM],
            fragments: 0,
            largest: 0,
            dont_fragment: false,
            version: Version::V4,
            id: [0; 4],
            next_header: 0,
        }
    }

    /// Puts a complete queue together. Its checks bound every length here.
    pub(super) fn fill(&mut self, queue: &Queue, pieces: &Pieces) {
        let Some(first) = queue.first(pieces) else { return };
        let stored = pieces[first].header as usize;
        self.version = queue.version;
        self.network = queue.network;
        self.largest = queue.largest;
        self.dont_fragment = queue.dont_fragment();
        self.start = HEADROOM;
        self.payload = match self.version {
            Version::V4 => stored,
            Version::V6 => stored - FRAGMENT_HEADER,
        };
        pieces.copy(first, 0, &mut self.buffer[self.start..][..stored]);
        let fragment_header = self.fragment_header();
        self.copy_payload(queue, pieces);
        match self.version {
            Version::V4 => self.finish_ipv4(queue.ecn()),
            Version::V6 => self.finish_ipv6(fragment_header, queue.ecn()),
        }
    }

    /// The frame of the fragment with offset 0, in this memory; empty if it has not come.
    pub(super) fn first_frame(&mut self, queue: &Queue, pieces: &Pieces) -> &[u8] {
        let Some(first) = queue.first(pieces) else { return &[] };
        let length = (pieces[first].header + pieces[first].length) as usize;
        let frame = &mut self.buffer[..length];
        pieces.copy(first, 0, frame);
        frame
    }

    fn copy_payload(&mut self, queue: &Queue, pieces: &Pieces) {
        let base = self.start + self.payload;
        self.fragments = 0;
        self.end = base;
        for (id, piece) in queue.pieces(pieces) {
            let out = &mut self.buffer[base + piece.offset as usize..][..piece.length as usize];
            pieces.copy(id, piece.header as usize, out);
            self.lengths[self.fragments] = piece.length as u16;
            self.fragments += 1;
            self.end = base + piece.end() as usize;
        }
    }

    /// The IPv6 fragment header, before payload overwrites it.
    fn fragment_header(&self) -> [u8; FRAGMENT_HEADER] {
        let at = self.start + self.payload;
        let mut header = [0; FRAGMENT_HEADER];
        header.copy_from_slice(&self.buffer[at..at + FRAGMENT_HEADER]);
        header
    }

    fn finish_ipv4(&mut self, ecn: u8) {
        let flags = if self.dont_fragment { 0x4000_u16 } else { 0 };
        let ip = &mut self.buffer[self.start + self.network..self.end];
        let length = (ip.len() as u16).to_be_bytes();
        ip[1] = ip[1] & !3 | ecn;
        ip[2..4].copy_from_slice(&length);
        ip[6..8].copy_from_slice(&flags.to_be_bytes());
        checksum::fill_ipv4_header_checksum(ip, 0);
    }

    fn finish_ipv6(&mut self, fragment_header: [u8; FRAGMENT_HEADER], ecn: u8) {
        let [protocol, _, _, _, id @ ..] = fragment_header;
        self.id = id;
        let ip = &mut self.buffer[self.start + self.network..self.end];
        let length = ((ip.len() - IPV6_HEADER) as u16).to_be_bytes();
        ip[1] = ip[1] & !0x30 | ecn << 4;
        ip[4..6].copy_from_slice(&length);
        let field = next_header_field(ip, self.payload - self.network);
        ip[field] = protocol;
        self.next_header = self.network + field;
    }
}

/// Offset in the packet of the next-header field that names the header at `target`.
fn next_header_field(ip: &[u8], target: usize) -> usize {
    const AUTHENTICATION: u8 = 51;
    let (mut field, mut at) = (6, IPV6_HEADER);
    while at < target {
        let length = usize::from(ip[at + 1]);
        let bytes = if ip[field] == AUTHENTICATION { (length + 2) * 4 } else { (length + 1) * 8 };
        field = at;
        at += bytes;
    }
    field
}
