//! Calls by SIP over UDP: what messages announce, and what they say where addresses are translated.
//!
//! Everything is a function of the message and of the two sides of its session: an endpoint of its sender is
//! told as the other side knows it, and an endpoint of the other side, as its sender knows it, as what it is.
//! So a response says to whom asked what that has said itself, and nothing is remembered but pinholes.

use std::net::IpAddr;

use wire::{Packet, Protocol, Time, Transport};

use super::act::{payload, set_ip_len};
use super::endpoint;
use super::expect::{Announced, Refused, Sides};
use super::pinholes::ANY;
use super::sdp::{self, Candidate, Connection, Media};
use super::sip::{self, Body as Content, Message, Method, Place, Start};
use super::stream::Text;
use super::{List, Span};
use crate::commit::{Body, Context};
use crate::engine::Engine;
use crate::limits::{ALG_MESSAGE_EDITS, ANSWERED_CALL_LIFE, SIP_CHANNEL_LIFE};
use crate::nat::Turn;
use crate::pipeline::Way;
use crate::session::Peer;
use crate::table::Handle;
use crate::{Reason, Verdict};

/// The port of SIP where none is named (RFC 3261 §19.1.2).
const SIP_PORT: u16 = 5_060;
/// What a pinhole is of that is no call's: of a `Contact` with a port of its own.
const CONTACT: u32 = 1;
/// Ports of one medium that are let in (RFC 8866 §5.14).
const PORTS_OF_MEDIUM: u16 = 4;

/// A message and who sends it.
struct Sent<'a> {
    handle: Handle,
    sender: Peer,
    bytes: &'a [u8],
    /// Its sender, and the other side.
    mine: Sides,
    theirs: Sides,
    call: u32,
    now: Time,
}

/// Other texts for parts of a message.
#[derive(Debug, Default)]
struct Edits {
    list: List<(Span, Text<{ endpoint::TEXT_BYTES }>), ALG_MESSAGE_EDITS>,
    /// What a pinhole was opened or closed for.
    changed: bool,
}

impl Edits {
    fn put(&mut self, span: Span, text: &[u8]) {
        if let Some(text) = Text::new(text) {
            // What finds no place is left: the message then says less than it could.
            let _ = self.list.push((span, text));
        }
    }

    fn address(&mut self, span: Span, address: IpAddr) {
        let mut text = [0; endpoint::TEXT_BYTES];
        if let Some(len) = sdp::print_address(address, &mut text) {
            self.put(span, &text[..len]);
        }
    }

    fn number(&mut self, span: Span, number: u32) {
        let mut text = [0; 10];
        if let Some(len) = sdp::print_number(number, &mut text) {
            self.put(span, &text[..len]);
        }
    }

    fn endpoint(&mut self, span: Span, (address, port): (IpAddr, u16), explicit: bool) {
        let port = (explicit || port != SIP_PORT).then_some(port);
        let mut text = [0; endpoint::TEXT_BYTES];
        if let Some(len) = endpoint::print(address, port, &mut text) {
            self.put(span, &text[..len]);
        }
    }

    /// By how many bytes what stands from `start` on grows.
    fn growth(&self, start: u32) -> i64 {
        let from = self.list.iter().filter(|(span, _)| span.start >= start);
        from.map(|(span, text)| text.as_bytes().len() as i64 - span.len() as i64).sum()
    }

    /// Writes the message with them; returns its length.
    fn write(&self, bytes: &[u8], space: &mut [u8]) -> Option<usize> {
        let (mut at, mut len) = (0, 0);
        let mut put = |part: &[u8]| {
            space.get_mut(len..len + part.len())?.copy_from_slice(part);
            len += part.len();
            Some(())
        };
        while let Some((span, text)) = self.next(at) {
            put(bytes.get(at..span.start as usize)?)?;
            put(text.as_bytes())?;
            at = span.end as usize;
        }
        put(bytes.get(at..)?)?;
        Some(len)
    }

    /// The first one that begins at this place or behind it.
    fn next(&self, at: usize) -> Option<&(Span, Text<{ endpoint::TEXT_BYTES }>)> {
        let behind = self.list.iter().filter(|(span, _)| span.start as usize >= at);
        behind.min_by_key(|(span, _)| span.start)
    }
}

impl Engine {
    /// A datagram of a channel of SIP.
    pub(super) fn forward_message(
        &mut self,
        way: &Way,
        (handle, sender): (Handle, Peer),
        context: &Context<'_>,
        turn: Turn,
        body: &mut Body<'_>,
    ) -> (Verdict, bool) {
        let packet = &context.keyed.packet;
        self.make_ready(context, body);
        let Some(edits) = self.read_message((handle, sender), context, body) else {
            return self.forward(way, context, turn, body);
        };
        if edits.changed {
            self.note_control(handle);
        }
        if edits.list.is_empty() {
            return self.forward(way, context, turn, body);
        }
        let mut space = std::mem::take(&mut self.algs.space);
        let verdict = match rewrite(packet, body, &edits, &mut space) {
            None => Verdict::Drop(Reason::AlgBusy),
            Some((len, packet)) => {
                self.forward_instead(way, &packet, context, turn, &mut space[..len])
            }
        };
        self.algs.space = space;
        (verdict, false)
    }

    /// Reads a message, lets in what it announces, and says what must be told otherwise. `None`: it is no
    /// message, or one that is not understood.
    fn read_message(
        &mut self,
        (handle, sender): (Handle, Peer),
        context: &Context<'_>,
        body: &Body<'_>,
    ) -> Option<Edits> {
        let bytes = payload(&context.keyed.packet, body)?;
        let now = context.now();
        let message = match sip::read(bytes, self.settings.seed[1]) {
            Ok(message) => message,
            Err(sip::Refused::NotSip) => return None,
            Err(_) => {
                self.algs.counters.malformed += 1;
                return None;
            }
        };
        let session = self.table.get_mut(handle)?;
        session.deadline = session.deadline.max(now + SIP_CHANNEL_LIFE);
        let session = *session;
        let twin = self.table.twin(handle, &session).copied();
        let (mine, theirs) = (
            Sides::of(&session, twin.as_ref(), sender),
            Sides::of(&session, twin.as_ref(), sender.other()),
        );
        if mine.own.0.is_ipv4() != mine.shown.0.is_ipv4() {
            self.algs.counters.families += 1;
            return None;
        }
        let call = (message.call_id as u32) | 2;
        let sent = Sent { handle, sender, bytes, mine, theirs, call, now };
        let mut edits = Edits::default();
        self.read_mentions(&sent, &message, &mut edits);
        if let Content::Sdp(span) = message.body {
            self.read_media(&sent, span, &mut edits);
        }
        self.follow_call(&sent, &message, &mut edits);
        let growth = edits.growth(message.content.start);
        if let Some(length) = message.content_length.filter(|_| growth != 0) {
            let new = u32::try_from(i64::from(length.value) + growth).ok()?;
            edits.number(length.span, new);
        }
        Some(edits)
    }

    /// Endpoints in the header.
    fn read_mentions(&mut self, sent: &Sent<'_>, message: &Message, edits: &mut Edits) {
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
                let port =
                    listens.then(|| self.let_in(sent, Protocol::UDP, named.1, CONTACT, None));
                let told = port.and_then(Result::ok);
                edits.changed |= told.is_some();
                told.or(Some((sent.mine.shown.0, named.1)))
            } else {
                None
            };
            if let Some(told) = told.filter(|told| *told != named) {
                edits.endpoint(mention.endpoint.span(), told, mention.endpoint.port.is_some());
            }
        }
    }

    /// The media of a description.
    fn read_media(&mut self, sent: &Sent<'_>, span: Span, edits: &mut Edits) {
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
            let Ok(told) = self.let_media_in(sent, media) else { continue };
            edits.changed = true;
            let candidates = session.candidates.iter().filter(|it| usize::from(it.media) == place);
            say_media(sent, media, told, candidates, edits);
        }
    }

    /// Lets a medium in; returns the ports that it and its RTCP are told by.
    fn let_media_in(
        &mut self,
        sent: &Sent<'_>,
        media: &Media,
    ) -> Result<(u16, Option<u16>), Refused> {
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
            let before = Announced { protocol, call: sent.call, port, ..Announced::NONE };
            let told = match self.told_before(sent.handle, inside, &before) {
                None if pairs => self.pair_for(sent.handle, sent.sender, protocol)?,
                told => told,
            };
            let (_, told) = self.let_in(sent, protocol, port, sent.call, told)?;
            if pairs && let Some(next) = port.checked_add(1) {
                let beside = told.checked_add(1).filter(|_| told != port);
                self.let_in(sent, protocol, next, sent.call, beside)?;
            }
            first.get_or_insert(told);
        }
        let told = first.ok_or(Refused::NoPort)?;
        let rtcp = match rtcp {
            Some(_) if pairs => told.checked_add(1),
            Some(port) => Some(self.let_in(sent, protocol, port, sent.call, None)?.1),
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
        let announced = Announced { protocol, address: None, port, uses: ANY, call, shown };
        self.expect(sent.handle, sent.sender, &announced, sent.now)
    }

    /// What the message means for the pinholes of its call.
    fn follow_call(&mut self, sent: &Sent<'_>, message: &Message, edits: &mut Edits) {
        match (message.start, message.cseq.method) {
            (Start::Request(Method::Bye | Method::Cancel), _) => {
                edits.changed |= self.close_call(sent.handle, sent.call, false);
            }
            (Start::Response(200..=299), Method::Invite) => {
                let until = sent.now + ANSWERED_CALL_LIFE;
                edits.changed |= self.answer_call(sent.handle, sent.call, until);
            }
            // One that was refused; of one that goes on only the change was (RFC 3261 §14.1).
            (Start::Response(300..), Method::Invite) => {
                edits.changed |= self.close_call(sent.handle, sent.call, true);
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

/// Writes the frame with another message; returns its length, and what it is.
fn rewrite(
    packet: &Packet,
    body: &Body<'_>,
    edits: &Edits,
    space: &mut [u8],
) -> Option<(usize, Packet)> {
    let Transport::Udp(_) = &packet.body else { return None };
    let (network, transport) = (packet.network as usize, packet.transport as usize);
    let start = transport + wire::udp::HEADER_LEN;
    space.get_mut(..start)?.copy_from_slice(body.bytes().get(..start)?);
    let len = edits.write(payload(packet, body)?, &mut space[start..])?;
    let end = start + len;
    let udp = u16::try_from(end - transport).ok()?;
    space.get_mut(transport + 4..transport + 6)?.copy_from_slice(&udp.to_be_bytes());
    set_ip_len(&mut space[network..end], packet, end - network)?;
    let frame = &mut space[..end];
    let packet = Packet::parse_ip(frame, packet.network, packet.vlans).ok()?;
    wire::checksum::fill_transport_checksum(frame, &packet);
    Some((end, Packet::parse_ip(frame, packet.network, packet.vlans).ok()?))
}
