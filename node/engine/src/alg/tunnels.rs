//! Tunnels by PPTP: two numbers name a call, and each is in the GRE packets to who gave it (RFC 2637 §4.1).
//!
//! A call is two sessions here, one of each direction: with another number, each has another key. The numbers
//! are told as they are, so that nothing is let in where an address is translated.

use wire::Protocol;

use super::edits::Edits;
use super::expect::{Announced, Refused};
use super::messages::Sent;
use super::pinholes::{ANY, Pinhole};
use super::pptp::{self, Control, Kind};
use crate::engine::Engine;
use crate::limits::ANSWERED_CALL_LIFE;
use crate::session::Peer;

/// The result of a reply that is a success.
const DONE: u8 = 1;
/// A call is named by the number that who asked for it gave, and a bit for who that was; its two sides are
/// told apart by their direction.
const NUMBERED: u32 = 1 << 16;
const BY_RESPONDER: u32 = 1 << 17;

impl Engine {
    /// Reads a message of PPTP.
    pub(super) fn read_pptp(&mut self, sent: &Sent<'_>) -> Option<Edits> {
        let Ok(control) = pptp::read(sent.bytes) else {
            self.algs.counters.malformed += 1;
            return None;
        };
        let mine = control.call.map(|call| numbered(sent.sender, call.number));
        let theirs = control.peer.map(|call| numbered(sent.sender.other(), call.number));
        let changed = match control.kind {
            Kind::OutgoingCallRequest | Kind::IncomingCallRequest => {
                self.let_tunnel_in(sent, &control, mine).is_ok()
            }
            Kind::OutgoingCallReply | Kind::IncomingCallReply if control.result == Some(DONE) => {
                theirs.is_some_and(|call| self.answer_tunnel(sent, &control, call))
            }
            Kind::OutgoingCallReply | Kind::IncomingCallReply => {
                theirs.is_some_and(|call| self.close_call(sent.handle, call, false))
            }
            Kind::CallClearRequest | Kind::CallDisconnectNotify => {
                control.call.is_some_and(|call| self.end_tunnel(sent, call.number))
            }
            Kind::StopRequest | Kind::StopReply => self.close_calls(sent.handle, |_| true),
            Kind::EchoRequest | Kind::EchoReply => {
                // Both are still there, and so are their calls.
                let until = sent.now + ANSWERED_CALL_LIFE;
                let answered = |it: &Pinhole| it.answered.then_some(Pinhole { until, ..*it });
                self.change_calls(sent.handle, answered)
            }
            Kind::StartRequest
            | Kind::StartReply
            | Kind::IncomingCallConnected
            | Kind::WanErrorNotify
            | Kind::SetLinkInfo => false,
        };
        let mut edits = Edits::default();
        edits.changed = changed;
        Some(edits)
    }

    /// Lets in the packets with the number that who sends the message gave to a call.
    fn let_tunnel_in(
        &mut self,
        sent: &Sent<'_>,
        control: &Control,
        call: Option<u32>,
    ) -> Result<(), Refused> {
        let (Some(id), Some(call)) = (control.call, call) else { return Err(Refused::NoPort) };
        if sent.mine.own.0 != sent.mine.shown.0 || sent.theirs.own.0 != sent.theirs.shown.0 {
            self.algs.counters.count(Some(Refused::NoPort));
            return Err(Refused::NoPort);
        }
        let (protocol, port, uses) = (Protocol::GRE, id.number, ANY);
        let announced = Announced { protocol, port, uses, call, ..Announced::NONE };
        self.expect(sent.handle, sent.sender, &announced, sent.now).map(drop)
    }

    /// A call is accepted: only of one that was asked for.
    fn answer_tunnel(&mut self, sent: &Sent<'_>, control: &Control, asked: u32) -> bool {
        let until = sent.now + ANSWERED_CALL_LIFE;
        self.answer_call(sent.handle, asked, until)
            && self.let_tunnel_in(sent, control, Some(asked)).is_ok()
            && self.answer_call(sent.handle, asked, until)
    }

    /// Who sends the message ends the call that it gave this number, whoever asked for it.
    fn end_tunnel(&mut self, sent: &Sent<'_>, number: u16) -> bool {
        let inside = (sent.mine.own.0, number);
        match self.call_at(sent.handle, Protocol::GRE, inside) {
            Some(call) => self.close_call(sent.handle, call, false),
            None => false,
        }
    }
}

const fn numbered(giver: Peer, number: u16) -> u32 {
    let by = match giver {
        Peer::Initiator => 0,
        Peer::Responder => BY_RESPONDER,
    };
    NUMBERED | by | number as u32
}
