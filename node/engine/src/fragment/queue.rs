//! One incomplete datagram: its fragments in order, and whether another one agrees with them.

use wire::{FragmentKey, Time, Version};

use crate::Reason;

use super::incoming::Incoming;
use super::index::NONE;
use super::pieces::{Piece, Pieces};

/// An incomplete datagram.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queue {
    pub(super) key: FragmentKey,
    pub(super) ingress: u16,
    /// Arrival of the fragment that opened it.
    pub(super) created: Time,
    /// The queue opened before this one.
    pub(super) older: u32,
    /// The queue opened after this one; in a free slot, the next free one.
    pub(super) newer: u32,
    /// Fragment with the lowest offset, and with the highest.
    head: u32,
    tail: u32,
    fragments: u32,
    /// Payload bytes held.
    bytes: u32,
    /// Highest end of a fragment.
    highest: u32,
    /// Payload bytes of the datagram, once the last fragment has come.
    total: Option<u32>,
    /// From the first fragment: the length field counts so many bytes beside the payload.
    counted_header: Option<u32>,
    /// Offset of the IP header in the first fragment's frame.
    pub(super) network: usize,
    pub(super) version: Version,
    /// Largest IP packet that came, and the largest with don't-fragment set; bytes.
    pub(super) largest: u32,
    largest_dont_fragment: u32,
    /// One bit for each ECN codepoint that came.
    ecn: u8,
}

/// Where a fragment goes. `T` is what is known of the place.
pub(super) enum Place<T> {
    /// It is there already.
    Duplicate,
    /// Another one has exactly its range, with other bytes.
    Forged,
    /// Behind a held one, or in front of all ([`NONE`]).
    Behind(T),
}

const NOT_ECT: u8 = 0b00;
const CE: u8 = 0b11;

impl Queue {
    pub(super) fn new(key: FragmentKey, ingress: u16, created: Time) -> Self {
        Self {
            key,
            ingress,
            created,
            older: NONE,
            newer: NONE,
            head: NONE,
            tail: NONE,
            fragments: 0,
            bytes: 0,
            highest: 0,
            total: None,
            counted_header: None,
            network: 0,
            version: Version::V4,
            largest: 0,
            largest_dont_fragment: 0,
            ecn: 0,
        }
    }

    /// Lengths against what is known: two different ends, or bytes behind the end.
    pub(super) fn check_lengths(&self, incoming: &Incoming<'_>) -> Result<(), Reason> {
        let end = incoming.end();
        let contradicts = match self.total {
            Some(total) => end > total || (end == total) == incoming.more,
            None => !incoming.more && end <= self.highest,
        };
        if contradicts { Err(Reason::FragmentLength) } else { Ok(()) }
    }

    /// How `incoming` stands to the held fragments.
    ///
    /// One that has exactly the range of a held one, but other bytes, cannot change the datagram: what
    /// was held first is judged and leaves. So it is refused alone, or whoever guesses an id could make
    /// others' datagrams fail (RFC 8200 §4.5 keeps the rest for an exact duplicate; Linux compares
    /// ranges only). Any other overlap shifts where headers and data begin: RFC 5722 §4.
    pub(super) fn position(
        &self,
        pieces: &Pieces,
        incoming: &Incoming<'_>,
    ) -> Result<Place<u32>, Reason> {
        if incoming.offset >= self.highest {
            return Ok(Place::Behind(self.tail));
        }
        let mut previous = NONE;
        for (id, piece) in pieces.in_order(self.head) {
            if piece.end() <= incoming.offset {
                previous = id;
            } else if incoming.end() <= piece.offset {
                break;
            } else if piece.offset != incoming.offset || piece.end() != incoming.end() {
                return Err(Reason::FragmentOverlap);
            } else {
                let same = pieces.has_payload(id, incoming.payload());
                return Ok(if same { Place::Duplicate } else { Place::Forged });
            }
        }
        Ok(Place::Behind(previous))
    }

    /// Whether the datagram stays within its bounds with one more fragment.
    pub(super) fn check_bounds(
        &self,
        incoming: &Incoming<'_>,
        fragments_max: usize,
    ) -> Result<(), Reason> {
        if self.fragments as usize >= fragments_max {
            return Err(Reason::FragmentTooMany);
        }
        let total = if incoming.more { self.total } else { Some(incoming.end()) };
        let header = if incoming.offset == 0 {
            Some(incoming.counted_header())
        } else {
            self.counted_header
        };
        match (header, total) {
            (Some(header), Some(total)) if !Incoming::fits(header, total) => {
                Err(Reason::FragmentOversize)
            }
            _ => Ok(()),
        }
    }

    /// Takes up a stored fragment behind `previous`.
    pub(super) fn link(
        &mut self,
        pieces: &mut Pieces,
        previous: u32,
        piece: u32,
        incoming: &Incoming<'_>,
    ) {
        let next = if previous == NONE { &mut self.head } else { &mut pieces[previous].next };
        let behind = std::mem::replace(next, piece);
        pieces[piece].next = behind;
        if behind == NONE {
            self.tail = piece;
        }
        self.account(incoming);
    }

    fn account(&mut self, incoming: &Incoming<'_>) {
        self.fragments += 1;
        self.bytes += incoming.length();
        self.highest = self.highest.max(incoming.end());
        self.largest = self.largest.max(incoming.packet_bytes());
        self.ecn |= 1 << incoming.ecn;
        if incoming.dont_fragment {
            self.largest_dont_fragment = self.largest_dont_fragment.max(incoming.packet_bytes());
        }
        if !incoming.more {
            self.total = Some(incoming.end());
        }
        if incoming.offset == 0 {
            self.counted_header = Some(incoming.counted_header());
            self.network = incoming.network;
            self.version = incoming.version;
        }
    }

    /// Whether every byte is there; without overlaps a sum tells.
    pub(super) fn is_complete(&self) -> bool {
        self.total == Some(self.bytes)
    }

    /// The fragments in the order of their offsets.
    pub(super) fn pieces<'a>(&self, pieces: &'a Pieces) -> impl Iterator<Item = (u32, &'a Piece)> {
        pieces.in_order(self.head)
    }

    /// The fragment with offset 0, if it came.
    pub(super) fn first(&self, pieces: &Pieces) -> Option<u32> {
        self.counted_header.map(|_| self.head).filter(|&head| pieces[head].offset == 0)
    }

    pub(super) fn fragments(&self) -> u32 {
        self.fragments
    }

    /// Frees the fragments; returns how many they were.
    pub(super) fn release(&self, pieces: &mut Pieces) -> u32 {
        let mut at = self.head;
        while at != NONE {
            at = pieces.release(at);
        }
        self.fragments
    }

    /// Don't-fragment counts if the largest fragment had it: a smaller one may come from a router
    /// behind one that fragmented (as Linux decides it).
    pub(super) fn dont_fragment(&self) -> bool {
        self.largest_dont_fragment == self.largest
    }

    /// The codepoint of the whole (RFC 3168 §5.3): congestion met by one fragment was met by all, and
    /// a transport that did not say it knows ECN in every fragment does not.
    pub(super) fn ecn(&self) -> u8 {
        let came = |codepoint: u8| self.ecn & (1 << codepoint) != 0;
        match self.ecn.trailing_zeros() as u8 {
            _ if came(CE) => CE,
            _ if came(NOT_ECT) => NOT_ECT,
            lowest => lowest,
        }
    }
}
