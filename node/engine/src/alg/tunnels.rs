//! Tunnels by PPTP: two numbers name a call, and each is in the GRE packets to who gave it (RFC 2637 §4.1).
//!
//! A call is two sessions here, one of each direction: with another number, each has another key. Where
//! an address stands for several hosts, their numbers may meet there: then a call is told by another one.
//! All below knows a call by the numbers that its sides gave.

use wire::Protocol;

use super::edits::Edits;
use super::expect::{Announced, NO_CALL, Refused};
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
        let peer = control.peer.map(|call| (call, self.given_by_other(sent, call.number)));
        let theirs = peer.map(|(_, given)| numbered(sent.sender.other(), given));
        // One that ends with this message is told by the number that it has had until now.
        let told_before = control.call.and_then(|call| self.told_call(sent, call.number));
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
        let told = control.call.and_then(|it| self.told_call(sent, it.number).or(told_before));
        // What is let in by no number must not be told by one that may be another host's.
        let translated = sent.mine.own.0 != sent.mine.shown.0;
        let told = told.or(translated.then_some(NO_CALL));
        let numbers = control.call.zip(told).into_iter().chain(peer);
        for (call, number) in numbers.filter(|(call, number)| call.number != *number) {
            edits.put(call.span, &number.to_be_bytes());
        }
        Some(edits)
    }

    /// The number that the other side gave, of one that it is known by here.
    fn given_by_other(&self, sent: &Sent<'_>, told: u16) -> u16 {
        let inside = self.inside_of(sent.handle, (sent.theirs.shown.0, told));
        inside.map_or(told, |(_, number)| number)
    }

    /// The number by which the other side knows one that the sender gave.
    fn told_call(&self, sent: &Sent<'_>, given: u16) -> Option<u16> {
        self.told_at(sent.handle, Protocol::GRE, (sent.mine.own.0, given))
    }

    /// Lets in the packets with the number that who sends the message gave to a call.
    fn let_tunnel_in(
        &mut self,
        sent: &Sent<'_>,
        control: &Control,
        call: Option<u32>,
    ) -> Result<(), Refused> {
        let (Some(id), Some(call)) = (control.call, call) else { return Err(Refused::NoPort) };
        let told = self.call_number(sent.handle, &sent.mine, id.number);
        let Some(told) = told.filter(|_| id.number != NO_CALL) else {
            self.algs.counters.count(Some(Refused::NoPort));
            return Err(Refused::NoPort);
        };
        let (protocol, port, uses) = (Protocol::GRE, id.number, ANY);
        let announced =
            Announced { protocol, port, uses, call, shown: Some(told), ..Announced::NONE };
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
