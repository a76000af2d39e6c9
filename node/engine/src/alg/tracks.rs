//! Media by RTSP: a client says where it receives, a server answers from where it sends (RFC 2326 §12.39).
//!
//! A request lets the server send to the client's ports, for as long as a call may ring. The answer to it
//! lets the client send to the server's, and both stand then until the session is torn down.

use wire::Protocol;

use super::edits::Edits;
use super::expect::{Announced, Refused};
use super::messages::Sent;
use super::pinholes::{ANY, Pinhole};
use super::rtsp::{self, Host, Lower, Message, Method, Ports, Start, Transport};
use crate::engine::Engine;
use crate::limits::ANSWERED_CALL_LIFE;

/// A request that is not answered: with its number.
const ASKED: u32 = 1 << 31;

/// What a session is called here.
const fn call_of(session: u64) -> u32 {
    session as u32 & !ASKED | 1
}

impl Engine {
    /// Reads a message of RTSP.
    pub(super) fn read_rtsp(&mut self, sent: &Sent<'_>) -> Option<Edits> {
        let message = match rtsp::read(sent.bytes, self.name_seed()) {
            Ok(message) => message,
            Err(rtsp::Refused::NotRtsp) => return None,
            Err(_) => {
                self.algs.counters.malformed += 1;
                return None;
            }
        };
        let mut edits = Edits::default();
        let asked = ASKED | message.cseq;
        match message.start {
            Start::Request(Method::Setup) => {
                for transport in message.transports.iter().filter(|it| is_for_one(it)) {
                    self.offer_track(sent, transport, asked, &mut edits);
                }
            }
            Start::Request(Method::Teardown) => {
                let call = message.session.map(call_of);
                let closed = call.is_some_and(|call| self.close_call(sent.handle, call, false));
                edits.changed |= closed;
            }
            Start::Response(200..=299) => self.answer_track(sent, &message, asked, &mut edits),
            Start::Response(300..) => {
                edits.changed |= self.close_call(sent.handle, asked, false);
            }
            Start::Request(Method::Other) | Start::Response(_) => {}
        }
        Some(edits)
    }

    /// Where a client receives.
    fn offer_track(
        &mut self,
        sent: &Sent<'_>,
        transport: &Transport,
        call: u32,
        edits: &mut Edits,
    ) {
        let Some(ports) = transport.client_port else { return };
        let Ok(first) = self.let_ports_in(sent, ports, transport.destination, call) else { return };
        edits.changed = true;
        say_ports(ports, first, edits);
        self.say_host(sent, transport.destination, edits);
    }

    /// Where a server sends from, and who is meant to receive it.
    fn answer_track(&mut self, sent: &Sent<'_>, message: &Message, asked: u32, edits: &mut Edits) {
        let chosen = message.transports.iter().find(|it| is_for_one(it));
        let (Some(transport), Some(session)) = (chosen, message.session) else { return };
        let (call, until) = (call_of(session), sent.now + ANSWERED_CALL_LIFE);
        let answered = |it: &Pinhole| {
            (it.call == asked).then_some(Pinhole { call, until, answered: true, ..*it })
        };
        if !self.change_calls(sent.handle, answered) {
            return;
        }
        edits.changed = true;
        if let Some(ports) = transport.client_port
            && let Some((address, first)) =
                self.inside_of(sent.handle, (sent.theirs.shown.0, ports.first))
        {
            say_ports(ports, first, edits);
            let told = transport.destination.filter(|it| it.address == Some(sent.theirs.shown.0));
            if let Some(host) = told.filter(|_| address != sent.theirs.shown.0) {
                edits.address(host.span, address);
            }
        }
        if let Some(ports) = transport.server_port
            && let Ok(first) = self.let_ports_in(sent, ports, transport.source, call)
        {
            self.answer_call(sent.handle, call, until);
            say_ports(ports, first, edits);
            self.say_host(sent, transport.source, edits);
        }
    }

    /// Lets in what comes to one port or two of who sends the message; returns how the first is known.
    fn let_ports_in(
        &mut self,
        sent: &Sent<'_>,
        ports: Ports,
        host: Option<Host>,
        call: u32,
    ) -> Result<u16, Refused> {
        let (protocol, own) = (Protocol::UDP, sent.mine.own.0);
        let Ports { first, last, .. } = ports;
        // Of a name it is not known whose it is.
        let address = Some(host.map_or(Some(own), |host| host.address).ok_or(Refused::ThirdParty)?);
        let pairs = first.is_multiple_of(2) && first.checked_add(1) == Some(last);
        let shown = match self.told_at(sent.handle, protocol, (own, first)) {
            None if pairs => self.pair_for(sent.handle, sent.sender, protocol)?,
            known => known,
        };
        let announced =
            Announced { protocol, address, port: first, uses: ANY, call, shown, ..Announced::NONE };
        let (_, told) = self.expect(sent.handle, sent.sender, &announced, sent.now)?;
        if pairs {
            let shown = told.checked_add(1).filter(|_| told != first);
            let beside = Announced { port: last, shown, ..announced };
            self.expect(sent.handle, sent.sender, &beside, sent.now)?;
        }
        Ok(told)
    }

    /// The address of who sends the message, as the other side knows it.
    fn say_host(&self, sent: &Sent<'_>, host: Option<Host>, edits: &mut Edits) {
        let own = host.filter(|it| it.address == Some(sent.mine.own.0));
        if let Some(host) = own.filter(|_| sent.mine.own.0 != sent.mine.shown.0) {
            edits.address(host.span, sent.mine.shown.0);
        }
    }
}

/// Whether it is RTP to one host, by datagrams: else nothing is to be opened.
fn is_for_one(transport: &Transport) -> bool {
    transport.lower == Lower::Udp && !transport.multicast && !transport.interleaved
}

/// Says ports as the other side knows them: as many as there are.
fn say_ports(ports: Ports, first: u16, edits: &mut Edits) {
    if first == ports.first {
        return;
    }
    let last = first.saturating_add(ports.last - ports.first);
    edits.ports(ports.span, first, last);
}
