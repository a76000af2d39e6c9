//! The window check: four bounds on what an honest peer can send, after Guido van Rooij, "Real
//! Stateful TCP Packet Filtering in IP Filter" (2000).
//!
//! ```text
//!      sequence space of the sender            sequence space of the receiver
//!   ──┬───────────────┬──────────┬──►       ──┬───────────────────────┬──►
//!     floor           end        max_end      ack_floor               end
//!     II: no older    sent       I: offered   IV: no older            III: sent
//!         than this   so far     by receiver      than this               so far
//! ```
//!
//! | bound | demands | else |
//! |---|---|---|
//! | I | `sequence ≤ max_end` of the sender, if it is new | data that nobody asked for |
//! | II | `end ≥ floor = sender's end − receiver's largest window` | already acknowledged |
//! | III | `ack, sack ≤ receiver's end` | acknowledges what was never sent |
//! | IV | `ack ≥ receiver's end − max(66,000, sender's largest window)` | overtaken by others |
//!
//! A segment below II or IV may be honest and late (RFC 9293 §3.10.7.4 has the receiver answer it with
//! an ACK and drop it), so for one more window it is *stale*: it passes and changes nothing. It
//! cannot do harm, because every byte of it was sent before; a segment below IV that carries *new*
//! data does not get this grace (RFC 5961 §5).

use wire::Seq;

use super::Invalid;
use crate::limits::ACK_WINDOW_MIN;

/// The sequence space of one peer, as the other one and the firewall know it: 16 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Window {
    /// After the highest sequence number that it sent.
    pub(super) end: Seq,
    /// The highest right edge that the other peer offered it.
    pub(super) max_end: Seq,
    /// The largest window that it offered, bytes, scaled; 0 before its first segment.
    pub(super) max_window: u32,
    /// The highest acknowledgment that it sent; before that, the least that it can send: one more
    /// than the other peer's initial sequence number.
    pub(super) max_ack: Seq,
}

/// The numbers of one segment, scaled and made comparable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Numbers {
    pub(super) sequence: Seq,
    pub(super) end: Seq,
    /// Without ACK (a RST): the receiver's end, which fits all bounds.
    pub(super) ack: Seq,
    /// The highest sequence number acknowledged, SACK included.
    pub(super) sack: Seq,
    pub(super) window: u32,
}

/// The outcome of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Inside all bounds.
    In,
    /// Late but harmless.
    Stale,
    /// Outside.
    Out(Invalid),
}

impl Window {
    pub(super) const UNSEEN: Self =
        Self { end: Seq(0), max_end: Seq(0), max_window: 0, max_ack: Seq(0) };

    /// Whether this peer has sent anything.
    pub(super) const fn is_seen(&self) -> bool {
        self.max_window != 0
    }

    /// Bound II: the least end of a segment of this peer that `receiver` may still want.
    pub(super) fn floor(&self, receiver: &Self) -> Seq {
        self.end - receiver.max_window
    }

    /// Where a late segment of this peer may still begin: one more window below the floor.
    pub(super) fn past(&self, receiver: &Self) -> Seq {
        self.floor(receiver) - receiver.ack_span()
    }

    /// How far acknowledgments of this peer may trail.
    fn ack_span(&self) -> u32 {
        self.max_window.max(ACK_WINDOW_MIN)
    }
}

/// Checks a segment that `from` sends to `to`.
#[inline(always)]
pub(super) fn fit(from: &Window, to: &Window, numbers: &Numbers) -> Fit {
    let ack_floor = to.end - from.ack_span();
    // What reached beyond the window and was let through is the sender's past now: a FIN, for which
    // many stacks ask no room, or data after the window shrank. Nothing new may follow it.
    if numbers.sequence.gt(from.max_end) && numbers.end.gt(from.end) {
        return Fit::Out(Invalid::AboveWindow);
    }
    if numbers.sack.gt(to.end) || numbers.ack.gt(to.end) {
        return Fit::Out(Invalid::AckAhead);
    }
    let below = numbers.end.lt(from.floor(to));
    let behind = numbers.ack.lt(ack_floor);
    if below && numbers.end.lt(from.past(to)) {
        return Fit::Out(Invalid::BelowWindow);
    }
    if behind && (numbers.end.gt(from.end) || numbers.ack.lt(ack_floor - from.ack_span())) {
        return Fit::Out(Invalid::AckBehind);
    }
    if below || behind { Fit::Stale } else { Fit::In }
}

/// Why a segment cannot belong to a connection of which one peer was not seen yet: no window is as wide
/// as it would take.
pub(super) fn out_of_reach(from: &Window, to: &Window, numbers: &Numbers) -> Option<Invalid> {
    if numbers.sequence.gt(from.max_end) {
        Some(Invalid::AboveWindow)
    } else if numbers.end.lt(from.end - WINDOW_MAX) {
        Some(Invalid::BelowWindow)
    } else if numbers.ack.gt(to.max_end) || numbers.sack.gt(to.max_end) {
        Some(Invalid::AckAhead)
    } else if numbers.ack.lt(to.end - WINDOW_MAX) {
        Some(Invalid::AckBehind)
    } else {
        None
    }
}

/// Takes the numbers of an accepted segment over: its end, its acknowledgment and its scaled window.
#[inline(always)]
pub(super) fn advance(from: &mut Window, to: &mut Window, end: Seq, ack: Seq, window: u32) {
    from.end = from.end.max(end);
    from.max_window = from.max_window.max(window).max(1);
    from.max_ack = from.max_ack.max(ack);
    if end.gt(from.max_end) {
        // The segment reaches beyond the window; its receiver may have taken all of it.
        let beyond = (end - from.max_end).unsigned_abs();
        to.max_window = to.max_window.saturating_add(beyond).min(WINDOW_MAX);
    }
    // A closed window may be probed with one byte (RFC 9293 §3.8.6.1).
    to.max_end = to.max_end.max(ack + window.max(1));
}

/// Largest window there is: 65,535 at scale 14 (RFC 7323 §2.3), rounded up. A quarter of the
/// sequence space, so that comparisons stay meaningful.
pub(super) const WINDOW_MAX: u32 = 1 << 30;
