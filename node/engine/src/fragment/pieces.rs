//! The bytes of held fragments, in chains of small blocks, and where each belongs in its datagram.

use crate::limits;

use super::incoming::Incoming;
use super::index::NONE;

const BLOCK: usize = limits::FRAGMENT_BLOCK_BYTES;

/// All held fragments. A fragment is named by its first block.
pub(super) struct Pieces {
    bytes: Box<[u8]>,
    /// The block behind each block in its chain, or in the list of free ones.
    next: Box<[u32]>,
    /// The fragment that begins in each block.
    pieces: Box<[Piece]>,
    free: u32,
    available: usize,
}

/// One held fragment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Piece {
    /// Offset of the payload in the datagram, bytes.
    pub(super) offset: u32,
    /// Payload bytes.
    pub(super) length: u32,
    /// Bytes stored before the payload.
    pub(super) header: u32,
    /// The fragment with the next higher offset.
    pub(super) next: u32,
}

impl Pieces {
    /// Room for `memory` bytes, in whole blocks.
    pub(super) fn new(memory: usize) -> Self {
        let blocks = (memory / BLOCK).min(NONE as usize - 1);
        let piece = Piece { offset: 0, length: 0, header: 0, next: NONE };
        let chain = (1..=blocks as u32).map(|next| if next == blocks as u32 { NONE } else { next });
        Self {
            bytes: vec![0; blocks * BLOCK].into_boxed_slice(),
            next: chain.collect(),
            pieces: vec![piece; blocks].into_boxed_slice(),
            free: if blocks == 0 { NONE } else { 0 },
            available: blocks,
        }
    }

    pub(super) fn has_room(&self, bytes: usize) -> bool {
        bytes.div_ceil(BLOCK) <= self.available
    }

    pub(super) fn used_bytes(&self) -> usize {
        (self.pieces.len() - self.available) * BLOCK
    }

    /// Copies a fragment; `None` if there is no room.
    pub(super) fn put(&mut self, incoming: &Incoming<'_>) -> Option<u32> {
        let stored = incoming.stored();
        if stored.is_empty() || !self.has_room(stored.len()) {
            return None;
        }
        let first = self.free;
        let mut last = first;
        for chunk in stored.chunks(BLOCK) {
            last = self.free;
            let start = last as usize * BLOCK;
            self.bytes[start..start + chunk.len()].copy_from_slice(chunk);
            self.free = self.next[last as usize];
            self.available -= 1;
        }
        self.next[last as usize] = NONE;
        self.pieces[first as usize] = Piece {
            offset: incoming.offset,
            length: incoming.length(),
            header: (stored.len() - incoming.payload().len()) as u32,
            next: NONE,
        };
        Some(first)
    }

    /// Frees a fragment's blocks and returns the fragment behind it.
    pub(super) fn release(&mut self, first: u32) -> u32 {
        let mut block = first;
        while block != NONE {
            let next = self.next[block as usize];
            self.next[block as usize] = self.free;
            self.free = block;
            self.available += 1;
            block = next;
        }
        self.pieces[first as usize].next
    }

    /// The stored bytes behind the first `skip`, block by block.
    pub(super) fn chunks(&self, first: u32, skip: usize) -> impl Iterator<Item = &[u8]> {
        let Piece { header, length, .. } = self.pieces[first as usize];
        let (mut block, mut skip) = (first, skip);
        let mut left = (header + length) as usize;
        std::iter::from_fn(move || {
            while left > 0 {
                let start = block as usize * BLOCK;
                let chunk = &self.bytes[start..start + left.min(BLOCK)];
                left -= chunk.len();
                block = self.next[block as usize];
                let passed = skip.min(chunk.len());
                skip -= passed;
                if passed < chunk.len() {
                    return Some(&chunk[passed..]);
                }
            }
            None
        })
    }

    /// Copies the stored bytes behind the first `skip` into `out`, as far as both go.
    pub(super) fn copy(&self, first: u32, skip: usize, out: &mut [u8]) {
        let mut at = 0;
        for chunk in self.chunks(first, skip) {
            let length = chunk.len().min(out.len() - at);
            out[at..at + length].copy_from_slice(&chunk[..length]);
            at += length;
        }
    }

    /// Whether a held fragment's payload is `payload`.
    pub(super) fn has_payload(&self, first: u32, payload: &[u8]) -> bool {
        let Piece { header, length, .. } = self.pieces[first as usize];
        let mut rest = payload;
        length as usize == payload.len()
            && self.chunks(first, header as usize).all(|chunk| {
                let (same, behind) = rest.split_at(chunk.len());
                rest = behind;
                same == chunk
            })
    }

    /// A queue's fragments in the order of their offsets, beginning with `first`.
    pub(super) fn in_order(&self, first: u32) -> impl Iterator<Item = (u32, &Piece)> {
        let mut at = first;
        std::iter::from_fn(move || {
            let id = (at != NONE).then_some(at)?;
            let piece = &self.pieces[id as usize];
            at = piece.next;
            Some((id, piece))
        })
    }
}

impl std::ops::Index<u32> for Pieces {
    type Output = Piece;

    fn index(&self, first: u32) -> &Piece {
        &self.pieces[first as usize]
    }
}

impl std::ops::IndexMut<u32> for Pieces {
    fn index_mut(&mut self, first: u32) -> &mut Piece {
        &mut self.pieces[first as usize]
    }
}

impl Piece {
    /// Offset behind the payload in the datagram.
    pub(super) fn end(&self) -> u32 {
        self.offset + self.length
    }
}
