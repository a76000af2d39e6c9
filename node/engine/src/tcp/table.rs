//! The transition table: sender × class × state.
//!
//! A cell names the state that the segment leads to *at most*: the tracker holds a step back until
//! the numbers prove it ([`super::Tcp::confirm`]), so that an ACK in FIN-WAIT that does not cover the
//! FIN leaves FIN-WAIT alone. `ig` and `iv` are for segments that lead nowhere:
//!
//! - `ig`, ignore: it may be honest although the state does not expect it. Pass it, believe nothing;
//!   the peer's answer will tell.
//! - `iv`, invalid: no honest peer sends it here.
//! - `ro`, reopen: it may begin a new connection on a finished one's ports.

use super::State::{
    Close, CloseWait, Established, FinWait, LastAck, PickedUp, SynReceived, SynSent, SynSent2,
    TimeWait,
};
use super::{Class, State};
use crate::session::Peer;

/// What a segment does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Leads to this state, or stays in it.
    To(State),
    /// Passes without effect.
    Ignore,
    /// Asks for a new connection.
    Reopen,
    /// Does not pass.
    Invalid,
}

/// The cell for a segment of `class` that `sender` sends in `state`.
#[inline]
pub(super) const fn cell(sender: Peer, class: Class, state: State) -> Cell {
    TABLE[sender as usize][class as usize][state as usize]
}

#[allow(non_upper_case_globals)]
mod short {
    use super::*;
    pub(super) const sS: Cell = Cell::To(SynSent);
    pub(super) const sR: Cell = Cell::To(SynReceived);
    pub(super) const es: Cell = Cell::To(Established);
    pub(super) const fw: Cell = Cell::To(FinWait);
    pub(super) const cw: Cell = Cell::To(CloseWait);
    pub(super) const la: Cell = Cell::To(LastAck);
    pub(super) const tw: Cell = Cell::To(TimeWait);
    pub(super) const cl: Cell = Cell::To(Close);
    pub(super) const s2: Cell = Cell::To(SynSent2);
    pub(super) const pu: Cell = Cell::To(PickedUp);
    pub(super) const ig: Cell = Cell::Ignore;
    pub(super) const ro: Cell = Cell::Reopen;
    pub(super) const iv: Cell = Cell::Invalid;
}
use short::*;

#[rustfmt::skip]
const TABLE: [[[Cell; State::ALL.len()]; Class::ALL.len()]; 2] = [
    // The initiator sends
    [
        // Columns: none, SYN-SENT, SYN-RECEIVED, ESTABLISHED, FIN-WAIT, CLOSE-WAIT, LAST-ACK,
        // TIME-WAIT, CLOSE, SYN-SENT-2, picked up.
        //
        // SYN. none: opens. SYN-SENT: sent again, or tried anew. SYN-RECEIVED: sent again because the
        // SYN-ACK was lost behind us. ESTABLISHED to LAST-ACK: the initiator has forgotten the
        // connection; the responder answers with a challenge ACK. TIME-WAIT, CLOSE: a new connection.
        // SYN-SENT-2: sent again. Picked up: as in ESTABLISHED.
        [sS, sS, ig, ig, ig, ig, ig, ro, ro, s2, ig],
        // SYN-ACK. none: too late. SYN-SENT: answers a SYN that nobody sent. SYN-SENT-2: answers the
        // responder's SYN. The rest: sent again after a simultaneous open, or late.
        [iv, iv, ig, ig, ig, ig, ig, ig, ig, sR, ig],
        // FIN. none to SYN-SENT: nothing to close. SYN-RECEIVED, ESTABLISHED: the first FIN.
        // FIN-WAIT, CLOSE-WAIT: the second one, or the first again. LAST-ACK, TIME-WAIT, CLOSE: again.
        // SYN-SENT-2: before the handshake. Picked up: the first FIN.
        [iv, iv, fw, fw, la, la, la, tw, cl, iv, fw],
        // ACK. none: picked up by a rule, or not at all. SYN-SENT: acknowledges what nobody sent.
        // SYN-RECEIVED: completes the handshake. ESTABLISHED: the long run. FIN-WAIT: may acknowledge the
        // FIN. CLOSE-WAIT: half-closed, the other half goes on. LAST-ACK: may acknowledge the second FIN.
        // TIME-WAIT: that again. CLOSE: was on its way. SYN-SENT-2: a SYN-ACK is due first. Picked up: the
        // responder is still silent.
        [iv, iv, es, es, cw, cw, tw, tw, cl, iv, pu],
        // RST. none: of nothing. The rest: closes, if its number is right.
        [iv, cl, cl, cl, cl, cl, cl, cl, cl, cl, cl],
        // No flags: never.
        [iv, iv, iv, iv, iv, iv, iv, iv, iv, iv, iv],
    ],
    // The responder sends
    [
        // Columns: none, SYN-SENT, SYN-RECEIVED, ESTABLISHED, FIN-WAIT, CLOSE-WAIT, LAST-ACK,
        // TIME-WAIT, CLOSE, SYN-SENT-2, picked up.
        //
        // SYN. none: who speaks first is the initiator. SYN-SENT: simultaneous open, or a split
        // handshake. SYN-RECEIVED to LAST-ACK: that of a simultaneous open, overtaken by what came
        // after it. No other one: a responder that starts afresh uses another port, and a challenge
        // ACK would go the way that only a forger needs. TIME-WAIT, CLOSE: a new connection the other
        // way round. SYN-SENT-2: sent again. Picked up: as in ESTABLISHED.
        [iv, s2, ig, ig, ig, ig, ig, ro, ro, s2, ig],
        // SYN-ACK. none: to nothing. SYN-SENT: the answer. SYN-RECEIVED: again. ESTABLISHED to CLOSE:
        // late, or to a SYN that was let through. SYN-SENT-2: answers the initiator's SYN.
        [iv, sR, ig, ig, ig, ig, ig, ig, ig, sR, ig],
        // FIN. none to SYN-SENT: nothing to close. SYN-RECEIVED, ESTABLISHED: the first FIN.
        // FIN-WAIT, CLOSE-WAIT: the second one, or the first again. LAST-ACK, TIME-WAIT, CLOSE: again.
        // SYN-SENT-2: before the handshake. Picked up: the first FIN.
        [iv, iv, fw, fw, la, la, la, tw, cl, iv, fw],
        // ACK. none: to nothing. SYN-SENT, SYN-SENT-2: from a responder that still holds an old
        // connection; data only if they acknowledge the SYN. SYN-RECEIVED: data before the handshake's
        // end (fast open). ESTABLISHED: the long run. FIN-WAIT: may acknowledge the FIN. CLOSE-WAIT:
        // half-closed, the other half goes on. LAST-ACK: may acknowledge the second FIN. TIME-WAIT: that
        // again. CLOSE: was on its way. Picked up: both are seen now.
        [iv, ig, sR, es, cw, cw, tw, tw, cl, ig, es],
        // RST. none: of nothing. SYN-SENT: the refusal. The rest: closes, if its number is right.
        [iv, cl, cl, cl, cl, cl, cl, cl, cl, cl, cl],
        // No flags: never.
        [iv, iv, iv, iv, iv, iv, iv, iv, iv, iv, iv],
    ],
];
