//! What the tracker reads of a segment, and what it keeps of a SYN and of a peer.

use wire::plain::Ack;
use wire::{Seq, TcpFlags};

use crate::limits::WINDOW_SCALE_MAX;
use crate::session::Peer;

/// A TCP segment, as far as tracking needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Segment {
    /// Sequence number of the first byte (or of SYN).
    pub sequence: Seq,
    /// Acknowledgment number; meaningless without ACK.
    pub acknowledgment: Seq,
    /// The flags.
    pub flags: TcpFlags,
    /// Window field as sent, unscaled.
    pub window: u16,
    /// Bytes of payload.
    pub payload: u32,
    /// The window scale option.
    pub window_scale: Option<u8>,
    /// Whether the SACK-permitted option is there.
    pub sack_permitted: bool,
    /// Highest right edge of the SACK blocks.
    pub sack: Option<Seq>,
}

impl Segment {
    /// The sequence number after the segment: SEG.SEQ + SEG.LEN (RFC 9293 §3.4).
    #[inline(always)]
    pub fn end(&self) -> Seq {
        let syn = u32::from(self.flags.contains(TcpFlags::SYN));
        let fin = u32::from(self.flags.contains(TcpFlags::FIN));
        self.sequence + self.payload.wrapping_add(syn + fin)
    }

    /// Equal for a segment that is sent again, and hardly ever for another: sequence number, its
    /// end and acknowledgment, mixed (constants of the golden ratio, as good as any odd ones).
    #[inline(always)]
    pub(super) fn fingerprint(&self) -> u32 {
        let ends = self.sequence.0.wrapping_mul(0x9e37_79b9) ^ self.end().0;
        ends.wrapping_mul(0x85eb_ca6b) ^ self.acknowledgment.0
    }
}

impl From<&wire::Tcp> for Segment {
    fn from(tcp: &wire::Tcp) -> Self {
        Self {
            sequence: tcp.sequence,
            acknowledgment: tcp.acknowledgment,
            flags: tcp.flags,
            window: tcp.window,
            payload: tcp.payload_len,
            window_scale: tcp.window_scale,
            sack_permitted: tcp.sack_permitted,
            sack: tcp.sack.highest(),
        }
    }
}

impl From<&Ack> for Segment {
    #[inline(always)]
    fn from(ack: &Ack) -> Self {
        Self {
            sequence: ack.sequence,
            acknowledgment: ack.acknowledgment,
            // A constant, so that all questions about SYN, FIN and RST are answered at compile
            // time. PSH, ECE and CWR mean nothing to the tracker.
            flags: TcpFlags::ACK,
            window: ack.window,
            payload: ack.payload_len,
            window_scale: None,
            sack_permitted: false,
            sack: None,
        }
    }
}

/// Window scale (bits 0–3), whether it was offered (4), SACK permitted (5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct SynOptions(pub(super) u8);

impl SynOptions {
    const SCALE: u8 = 0x0f;
    const SCALING: u8 = 0x10;
    const SACK: u8 = 0x20;
    /// Of a peer whose SYN was not seen: it may have offered everything.
    pub(super) const UNKNOWN: Self = Self(Self::SCALING | WINDOW_SCALE_MAX | Self::SACK);

    pub(super) fn of(segment: &Segment) -> Self {
        let scale =
            segment.window_scale.map_or(0, |scale| Self::SCALING | scale.min(WINDOW_SCALE_MAX));
        Self(scale | if segment.sack_permitted { Self::SACK } else { 0 })
    }

    /// What either of two SYNs of one peer offered; of two scales the larger.
    pub(super) fn or(self, again: Self) -> Self {
        let scale = self.scale().max(again.scale());
        Self(((self.0 | again.0) & !Self::SCALE) | scale)
    }

    pub(super) const fn scale(self) -> u8 {
        self.0 & Self::SCALE
    }

    pub(super) const fn scaling(self) -> bool {
        self.0 & Self::SCALING != 0
    }

    pub(super) const fn sack(self) -> bool {
        self.0 & Self::SACK != 0
    }
}

/// What one peer has done so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Marks(pub(super) u8);

impl Marks {
    /// Has acknowledged something of the other peer.
    pub(super) const ACKED: Self = Self(1);
    /// Has sent a FIN.
    pub(super) const FIN: Self = Self(2);
    /// Has sent something that is not acknowledged yet.
    pub(super) const UNACKNOWLEDGED: Self = Self(4);
    /// Has reset the connection before it was open.
    pub(super) const RESET_OPENING: Self = Self(8);

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Those of both peers in one word, where changing one peer's needs no branch.
    #[inline(always)]
    pub(super) const fn pair([initiator, responder]: [Self; 2]) -> PairOfMarks {
        PairOfMarks(initiator.0 as u16 | (responder.0 as u16) << 8)
    }

    pub(super) const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) const fn set(&mut self, other: Self, on: bool) {
        self.0 = if on { self.0 | other.0 } else { self.0 & !other.0 };
    }
}

/// Marks of both peers, the initiator's in the low byte.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairOfMarks(u16);

impl PairOfMarks {
    #[inline(always)]
    pub(super) const fn set(&mut self, peer: Peer, marks: Marks) {
        self.0 |= (marks.0 as u16) << (8 * peer.index());
    }

    #[inline(always)]
    pub(super) const fn clear(&mut self, peer: Peer, marks: Marks) {
        self.0 &= !((marks.0 as u16) << (8 * peer.index()));
    }

    #[inline(always)]
    pub(super) const fn split(self) -> [Marks; 2] {
        [Marks(self.0 as u8), Marks((self.0 >> 8) as u8)]
    }
}

/// How the connection began: whether by SYNs from both peers (bit 0), and how often the sequence
/// numbers of a peer were begun anew (bits 1–7, modulo 128). Windows of different attempts are not
/// to be compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Opening(pub(super) u8);

impl Opening {
    pub(super) const fn is_simultaneous(self) -> bool {
        self.0 & 1 != 0
    }

    #[must_use]
    pub(super) const fn simultaneous_if(self, yes: bool) -> Self {
        Self(self.0 | yes as u8)
    }

    /// The next attempt.
    #[must_use]
    pub(super) const fn again(self) -> Self {
        Self(self.0.wrapping_add(2))
    }

    /// The attempt, as the upper bits of a byte.
    pub(super) const fn attempt(self) -> u8 {
        self.0 & !1
    }
}
