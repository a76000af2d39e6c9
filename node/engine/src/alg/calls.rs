//! Calls by SIP: what messages announce, and what they say where addresses are translated.
//!
//! Everything is a function of the message and of the two sides of its session: an endpoint of its sender is
//! told as the other side knows it, and an endpoint of the other side, as its sender knows it, as what it is.
//! So a response says to whom asked what that has said itself, and nothing is remembered but pinholes.

use std::net::IpAddr;

use wire::{Protocol, Time};

use super::Span;
use super::edits::Edits;
use super::expect::{Announced, Refused};
use super::messages::Sent;
use super::pinholes::ANY;
use super::sdp::{self, Candidate, Connection, Media};
use super::sip::{self, Body as Content, Message, Method, Place, Start};
use super::speech::Speech;
use crate::engine::Engine;
use crate::limits::{ANSWERED_CALL_LIFE, SIP_CHANNEL_LIFE};
use crate::table::Handle;

/// The port of SIP where none is named (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5_060;
/// What a pinhole is of that is no call's: of a `Contact` with a port of its own.
const CONTACT: u32 = 1;
/// Ports of one medium that are let in (RFC 8866 §5.14).
const PORTS_OF_MEDIUM: u16 = 4;

/// A message, and the call that it is of.
struct Told<'a> {
    sent: &'a Sent<'a>,
    call: u32,
}

impl Engine {
    /// Reads a message of SIP.
    pub(super) fn read_sip(&mut self, sent: &Sent<'_>) -> Option<Edits> {
        let message = match sip::read(sent.bytes, self.name_seed()) {
            Ok(message) => message,
            Err(sip::Refused::NotSip) => return None,
            Err(_) => {
                self.algs.counters.malformed += 1;
                return None;
            }
        };
        if sent.protocol == Protocol::UDP {
            self.live_until(sent.handle, sent.now + SIP_CHANNEL_LIFE);
        }
        let told = Told { sent, call: (message.call_id as u32) | 2 };
        let mut edits = Edits::default();
        self.read_mentions(&told, &message, &mut edits);
        if let Content::Sdp(span) = message.body {
            self.read_media(&told, span, &mut edits);
        }
        self.follow_call(&told, &message, &mut edits);
        let growth = edits.growth(message.content.start);
        if let Some(length) = message.content_length.filter(|_| growth != 0) {
            let new = u32::try_from(i64::from(length.value) + growth).ok()?;
            edits.number(length.span, new);
        }
        Some(edits)
    }

    /// A control channel lives until then, at least.
    pub(super) fn live_until(&mut self, handle: Handle, until: Time) {
        if let Some(session) = self.table.get_mut(handle) {
            session.deadline = session.deadline.max(until);
        }
    }

    /// Endpoints in the header.
    fn read_mentions(&mut self, told: &Told<'_>, message: &Message, edits: &mut Edits) {
        let sent = told.sent;
        let request = matches!(message.start, Start::Request(_));
        for mention in message.mentions.iter() {
            let Some(address) = mention.endpoint.address else { continue };
            let named = (address, mention.endpoint.port.unwrap_or(SIP_PORT));
            let told = if named == sent.mine.own {
                Some(sent.mine.shown)
            } else if named == sent.theirs.shown {
                Some(sent.theirs.own)
            } else if address == sent.mine.own.0 {
                // It listens at another port than it sends from.
                let listens = match mention.place {
                    Place::Contact => true,
                    Place::TopVia => request,
                    Place::Request
                    | Place::Via
                    | Place::Route
                    | Place::RecordRoute
                    | Place::From
                    | Place::To => false,
                };
                let told = listens.then(|| self.let_contact_in(sent, named.1));
                let told = told.and_then(Result::ok);
                edits.changed |= told.is_some();
                told.or(Some((sent.mine.shown.0, named.1)))
            } else {
                None
            };
            if let Some(told) = told.filter(|told| *told != named) {
                let explicit = mention.endpoint.port.is_some() || told.1 != SIP_PORT;
                let port = explicit.then_some(told.1);
                edits.endpoint(mention.endpoint.span(), told.0, port);
            }
        }
    }

    /// The media of a description.
    fn read_media(&mut self, told: &Told<'_>, span: Span, edits: &mut Edits) {
        let sent = told.sent;
        let Ok(session) = sdp::read(sent.bytes, span) else {
            self.algs.counters.malformed += 1;
            return;
        };
        let ours = |it: &Connection| it.address == Some(sent.mine.own.0);
        let translated = sent.mine.own.0 != sent.mine.shown.0;
        let lines = [Some(session.origin), session.connection];
        for line in lines.iter().flatten().filter(|it| ours(it) && translated) {
            edits.address(line.host, sent.mine.shown.0);
        }
        for (place, media) in session.media.iter().enumerate().filter(|(_, media)| media.port != 0)
        {
            let Some(connection) = session.connection_of(media) else { continue };
            if !ours(&connection) {
                let elsewhere = connection.address.is_some_and(|it| !it.is_unspecified());
                self.algs.counters.third_party += u64::from(elsewhere);
                continue;
            }
            if let Some(own) = media.connection.filter(|_| translated) {
                edits.address(own.host, sent.mine.shown.0);
            }
            let Ok(told) = self.let_media_in(told, media) else { continue };
            edits.changed = true;
            let candidates = session.candidates.iter().filter(|it| usize::from(it.media) == place);
            say_media(sent, media, told, candidates, edits);
        }
    }

    /// Lets a medium in; returns the ports that it and its RTCP are told by.
    fn let_media_in(
        &mut self,
        told: &Told<'_>,
        media: &Media,
    ) -> Result<(u16, Option<u16>), Refused> {
        let Told { sent, call } = *told;
        let protocol = match media.protocol {
            sdp::Protocol::Rtp | sdp::Protocol::Udp => Protocol::UDP,
            sdp::Protocol::TcpRtp | sdp::Protocol::Tcp => Protocol::TCP,
            sdp::Protocol::Other => return Err(Refused::NoRoom),
        };
        let rtcp = media.rtcp_port();
        let pairs = rtcp == media.port.checked_add(1) && media.port.is_multiple_of(2);
        let mut first = None;
        for step in 0..media.count.clamp(1, PORTS_OF_MEDIUM) {
            let width = if rtcp.is_some() { 2 } else { 1 };
            let port = media.port.checked_add(step * width).ok_or(Refused::NoPort)?;
            let inside = (sent.mine.own.0, port);
            let before = Announced { protocol, call, port, ..Announced::NONE };
            let told = match self.told_before(sent.handle, inside, &before) {
                None if pairs => self.pair_for(sent.handle, sent.sender, protocol)?,
                told => told,
            };
            let (_, told) = self.let_in(sent, protocol, port, call, told)?;
            if pairs && let Some(next) = port.checked_add(1) {
                let beside = told.checked_add(1).filter(|_| told != port);
                self.let_in(sent, protocol, next, call, beside)?;
            }
            first.get_or_insert(told);
        }
        let told = first.ok_or(Refused::NoPort)?;
        let rtcp = match rtcp {
            Some(_) if pairs => told.checked_add(1),
            Some(port) => Some(self.let_in(sent, protocol, port, call, None)?.1),
            None => None,
        };
        Ok((told, rtcp))
    }

    fn let_in(
        &mut self,
        sent: &Sent<'_>,
        protocol: Protocol,
        port: u16,
        call: u32,
        shown: Option<u16>,
    ) -> Result<(IpAddr, u16), Refused> {
        let announced = Announced { protocol, port, uses: ANY, call, shown, ..Announced::NONE };
        self.expect(sent.handle, sent.sender, &announced, sent.now)
    }

    /// Where who sends the message listens for others.
    fn let_contact_in(&mut self, sent: &Sent<'_>, port: u16) -> Result<(IpAddr, u16), Refused> {
        let protocol = sent.protocol;
        let speech = Some(Speech::Sip);
        let announced =
            Announced { protocol, port, uses: ANY, call: CONTACT, speech, ..Announced::NONE };
        self.expect(sent.handle, sent.sender, &announced, sent.now)
    }

    /// What the message means for the pinholes of its call.
    fn follow_call(&mut self, told: &Told<'_>, message: &Message, edits: &mut Edits) {
        let Told { sent, call } = *told;
        match (message.start, message.cseq.method) {
            (Start::Request(Method::Bye | Method::Cancel), _) => {
                edits.changed |= self.close_call(sent.handle, call, false);
            }
            (Start::Response(200..=299), Method::Invite) => {
                let until = sent.now + ANSWERED_CALL_LIFE;
                edits.changed |= self.answer_call(sent.handle, call, until);
            }
            // One that was refused; of one that goes on only the change was (RFC 3261 §14.1).
            (Start::Response(300..), Method::Invite) => {
                edits.changed |= self.close_call(sent.handle, call, true);
            }
            (Start::Request(_) | Start::Response(_), _) => {}
        }
    }
}

/// Says ports and addresses of a medium as the other side must know them.
fn say_media<'a>(
    sent: &Sent<'_>,
    media: &Media,
    (port, rtcp): (u16, Option<u16>),
    candidates: impl Iterator<Item = &'a Candidate>,
    edits: &mut Edits,
) {
    if port != media.port {
        edits.number(media.span, port.into());
    }
    if let (Some(said), Some(told)) = (media.rtcp, rtcp) {
        if said.port != told {
            edits.number(said.span, told.into());
        }
        let own = said.connection.filter(|it| it.address == Some(sent.mine.own.0));
        if let Some(own) = own.filter(|_| sent.mine.own.0 != sent.mine.shown.0) {
            edits.address(own.host, sent.mine.shown.0);
        }
    }
    if sent.mine.own.0 == sent.mine.shown.0 {
        return;
    }
    for candidate in candidates.filter(|it| it.address == Some(sent.mine.own.0)) {
        let told = match candidate.component {
            1 if candidate.port == media.port => Some(port),
            2 if Some(candidate.port) == media.rtcp_port() => rtcp,
            _ => None,
        };
        if let Some(told) = told {
            edits.address(candidate.host, sent.mine.shown.0);
            edits.number(candidate.digits, told.into());
        }
    }
}
