//! What gateways do with the packets of control channels.

use std::ops::Range;

use wire::{Packet, Protocol, Seq, TcpFlags, Time, Transport};

use super::control::Control;
use super::edits::Edits;
use super::expect::Announced;
use super::reading::{Read, Segment};
use super::renumber::renumber;
use super::speech::Speech;
use super::stream::Stream;
use super::{Begin, tftp};
use crate::answer::Answer;
use crate::commit::{Body, Context};
use crate::engine::{Engine, Keyed};
use crate::nat::Turn;
use crate::pipeline::Way;
use crate::replication::NoteKind;
use crate::session::Peer;
use crate::table::Handle;
use crate::{Reason, Verdict};

impl Engine {
    /// The packet opens a session that a gateway is for, or one that another session has announced.
    #[cold]
    pub(crate) fn forward_first(
        &mut self,
        way: &Way,
        begin: Begin,
        context: &Context<'_>,
        turn: Turn,
        body: &mut Body<'_>,
    ) -> (Verdict, bool) {
        let key = context.keyed.flow.map(|(key, _)| key);
        let found = key.and_then(|key| self.table.locate(context.keyed.hash, &key));
        if let Some((handle, _)) = found.filter(|_| begin.announced)
            && let Some(session) = self.table.get(handle)
        {
            self.algs.begin_child(session, self.table.twin(handle, session));
        }
        let (Some((handle, _)), Some(speech)) = (found, begin.speech) else {
            return self.forward(way, context, turn, body);
        };
        self.begin_control(handle, speech);
        self.forward_control(way, (handle, Peer::Initiator), context, turn, body)
    }

    fn begin_control(&mut self, handle: Handle, speech: Speech) {
        let Some(session) = self.table.get_mut(handle) else { return };
        let (channels, room) = (self.algs.controls.len(), speech.room());
        if channels >= room || !self.algs.controls.begin(handle, Control::new(session.id, speech)) {
            self.algs.counters.unread += 1;
            return;
        }
        session.set_alg(speech.alg());
        // Its packets go the long way, all of them.
        session.forget_egress();
        self.algs.counters.channels += 1;
    }

    /// A packet of a control channel.
    #[cold]
    pub(crate) fn forward_control(
        &mut self,
        way: &Way,
        (handle, sender): (Handle, Peer),
        context: &Context<'_>,
        turn: Turn,
        body: &mut Body<'_>,
    ) -> (Verdict, bool) {
        let of = self.table.get(handle).and_then(|it| self.algs.controls.of(handle, it));
        let Some(speech) = of.map(|control| control.speech) else {
            return self.forward(way, context, turn, body);
        };
        match context.keyed.packet.body {
            Transport::Tcp(_) => {
                let done = self.forward_segment(way, (handle, sender), context, turn, body);
                self.close_with_connection(handle);
                done
            }
            Transport::Udp(_) if speech == Speech::Dns => {
                self.forward_names(way, (handle, sender), (context, turn), body)
            }
            Transport::Udp(_) if speech == Speech::Tftp => {
                self.read_datagram((handle, sender), context, body);
                self.forward(way, context, turn, body)
            }
            Transport::Udp(_) => {
                self.forward_message(way, (handle, sender), speech, (context, turn), body)
            }
            Transport::Sctp(_)
            | Transport::Icmp(_)
            | Transport::Gre(_)
            | Transport::Esp { .. }
            | Transport::None
            | Transport::Other => self.forward(way, context, turn, body),
        }
    }

    /// A request of TFTP: the answer comes from another port of its server (RFC 1350 §4).
    fn read_datagram(
        &mut self,
        (handle, sender): (Handle, Peer),
        context: &Context<'_>,
        body: &Body<'_>,
    ) {
        let packet = &context.keyed.packet;
        let Transport::Udp(udp) = &packet.body else { return };
        let Some(bytes) = payload(packet, body) else { return };
        if sender == Peer::Initiator && tftp::read(bytes).is_ok() {
            let port = udp.source_port;
            let announced = Announced { protocol: Protocol::UDP, port, ..Announced::NONE };
            if self.expect(handle, sender, &announced, context.now()).is_ok() {
                self.note_control(handle);
            }
        }
    }

    /// A datagram that is a message.
    fn forward_message(
        &mut self,
        way: &Way,
        of: (Handle, Peer),
        speech: Speech,
        (context, turn): (&Context<'_>, Turn),
        body: &mut Body<'_>,
    ) -> (Verdict, bool) {
        let packet = &context.keyed.packet;
        self.make_ready(context, body);
        let read = payload(packet, body)
            .and_then(|bytes| self.read_message(of, speech, bytes, context.now()));
        let Some(edits) = read else {
            return self.forward(way, context, turn, body);
        };
        if edits.changed {
            self.note_control(of.0);
        }
        if edits.is_empty() {
            return self.forward(way, context, turn, body);
        }
        let mut space = std::mem::take(&mut self.algs.space);
        let verdict = match rewrite_datagram(packet, body, &edits, &mut space) {
            None => Verdict::Drop(Reason::AlgBusy),
            Some((len, packet)) => {
                self.forward_instead(way, &packet, context, turn, &mut space[..len])
            }
        };
        self.algs.space = space;
        (verdict, false)
    }

    fn forward_segment(
        &mut self,
        way: &Way,
        (handle, sender): (Handle, Peer),
        context: &Context<'_>,
        turn: Turn,
        body: &mut Body<'_>,
    ) -> (Verdict, bool) {
        let packet = &context.keyed.packet;
        let early = (Verdict::Drop(Reason::AlgGap), false);
        let Transport::Tcp(tcp) = &packet.body else { return early };
        self.make_ready(context, body);
        let syn = tcp.flags.contains(TcpFlags::SYN);
        let at = tcp.sequence + u32::from(syn);
        let Some(bytes) = payload(packet, body) else { return early };
        self.follow_numbers((handle, sender), tcp);
        let last = tcp.flags.contains(TcpFlags::FIN);
        let segment = Segment { handle, sender, at, bytes, last };
        let read = match self.read_segment(&segment, context.now()) {
            Ok(read) => read,
            Err(reason) => return (Verdict::Drop(reason), false),
        };
        let Some(streams) = self.algs.controls.at(handle.place()).map(|it| it.streams) else {
            return self.forward(way, context, turn, body);
        };
        let stream = &streams[sender.index()];
        if !stream.stands_as_sent(at, bytes.len(), read.again) {
            return self.forward_rewritten(way, &streams, (&segment, &read), (context, turn), body);
        }
        if !streams.iter().all(Stream::is_plain) {
            let sequence = stream.beyond(tcp.sequence);
            renumber(body.bytes_mut(), packet, &streams, sender, sequence);
        }
        self.forward(way, context, turn, body)
    }

    /// Takes note of what a segment's header says.
    fn follow_numbers(&mut self, (handle, sender): (Handle, Peer), tcp: &wire::Tcp) {
        let controls = &mut self.algs.controls;
        if tcp.flags.contains(TcpFlags::SYN)
            && let Some((stream, _)) = controls.stream(handle.place(), sender)
        {
            stream.begin(tcp.sequence);
        }
        if tcp.flags.contains(TcpFlags::ACK)
            && let Some((theirs, texts)) = controls.stream(handle.place(), sender.other())
        {
            match theirs.end() {
                Some(_) => theirs.forget(theirs.acknowledged(tcp.acknowledgment), texts),
                // It came by a record of before its SYN: what follows is known by what its far end has.
                None => theirs.skip_to(tcp.acknowledgment),
            }
        }
    }

    /// Reads what is new in a segment.
    fn read_segment(&mut self, segment: &Segment<'_>, now: Time) -> Result<Read, Reason> {
        if segment.bytes.is_empty() && !segment.last {
            return Ok(Read { new: false, again: false });
        }
        let mut text = std::mem::take(&mut self.algs.text);
        let read = self.read_stream(segment, &mut text, now);
        self.algs.text = text;
        if read.is_ok_and(|read| read.new) {
            self.note_control(segment.handle);
        }
        read
    }

    /// What is known of a control channel has changed: its packet waits for the backup.
    pub(super) fn note_control(&mut self, handle: Handle) {
        let Some(session) = self.table.get(handle) else { return };
        if let Some(control) = self.algs.controls.at(handle.place()) {
            control.changes = control.changes.wrapping_add(1);
        }
        if self.is_sync(self.rule_of(session)) {
            self.begin_hold(handle, NoteKind::Changed);
        } else {
            self.note_session(handle, NoteKind::Changed, false);
        }
    }

    /// The segment leaves with other text, in other frames.
    fn forward_rewritten(
        &mut self,
        way: &Way,
        streams: &[Stream; 2],
        (segment, read): (&Segment<'_>, &Read),
        (context, turn): (&Context<'_>, Turn),
        body: &Body<'_>,
    ) -> (Verdict, bool) {
        let mut text = std::mem::take(&mut self.algs.text);
        let stream = &streams[segment.sender.index()];
        let texts = self.algs.controls.texts(segment.handle.place());
        let written = texts.and_then(|texts| {
            let of = (segment.at, segment.bytes);
            stream.write(of, read.again, texts[segment.sender.index()], &mut text)
        });
        let verdict = match written {
            None => Verdict::Drop(Reason::AlgBusy),
            // It was kept back before, and its sender waits for an acknowledgment.
            Some((_, 0)) if !read.new && !segment.last => self.acknowledge(stream, context, body),
            Some((first, len)) => {
                let leaves = Leaves { first, text: &text[..len], streams, sender: segment.sender };
                self.forward_pieces(way, &leaves, (context, turn), body)
            }
        };
        self.algs.text = text;
        (verdict, false)
    }

    /// Text leaves in segments that are no longer than their way and their far end take.
    fn forward_pieces(
        &mut self,
        way: &Way,
        leaves: &Leaves<'_>,
        (context, turn): (&Context<'_>, Turn),
        body: &Body<'_>,
    ) -> Verdict {
        let packet = &context.keyed.packet;
        let header = packet.ip_len() - packet.payload_len();
        let most = way.mtu.saturating_sub(header).max(1) as usize;
        let most = leaves.streams[leaves.sender.index()].segment().min(most);
        let mut space = std::mem::take(&mut self.algs.space);
        let (mut at, mut verdict) = (0, None);
        while verdict.is_none() || at < leaves.text.len() {
            let piece = at..leaves.text.len().min(at + most);
            at = piece.end;
            let written = leaves.write(piece, (packet, body), &mut space);
            let Some((len, packet)) = written else { break };
            // Of the packet that came, the first one is what is counted.
            let further = context.further();
            let context = if verdict.is_none() { context } else { &further };
            let left = self.forward_instead(way, &packet, context, turn, &mut space[..len]);
            verdict.get_or_insert(left);
        }
        self.algs.space = space;
        verdict.unwrap_or(Verdict::Drop(Reason::AlgBusy))
    }

    /// Another frame, which is this packet, leaves in the place of the one in hand.
    fn forward_instead(
        &mut self,
        way: &Way,
        packet: &Packet,
        context: &Context<'_>,
        turn: Turn,
        frame: &mut [u8],
    ) -> Verdict {
        let keyed = Keyed { packet: *packet, ..*context.keyed };
        let context = context.of(&keyed);
        let (verdict, in_hand) = self.forward(way, &context, turn, &mut Body::Frame(frame));
        if in_hand && !self.outbox.push(way.port, frame) {
            self.ledger.output_lost();
        }
        verdict
    }

    /// Acknowledges what is kept back, in the far end's place.
    fn acknowledge(&mut self, stream: &Stream, context: &Context<'_>, body: &Body<'_>) -> Verdict {
        let packet = &context.keyed.packet;
        let (Transport::Tcp(tcp), Some(end)) = (&packet.body, stream.end()) else {
            return Verdict::Drop(Reason::AlgGap);
        };
        let answer = Answer::Challenge { sequence: tcp.acknowledgment, acknowledgment: end };
        self.answer_control(answer, context, body);
        Verdict::Answer
    }
}

/// What leaves in a segment's place.
struct Leaves<'a> {
    /// The number of its first byte, as the far end knows it.
    first: Seq,
    text: &'a [u8],
    streams: &'a [Stream; 2],
    sender: Peer,
}

impl Leaves<'_> {
    /// Writes the frame with a piece of it; returns its length, and what it is.
    fn write(
        &self,
        piece: Range<usize>,
        (packet, body): (&Packet, &Body<'_>),
        space: &mut [u8],
    ) -> Option<(usize, Packet)> {
        let Transport::Tcp(tcp) = &packet.body else { return None };
        let (network, transport) = (packet.network as usize, packet.transport as usize);
        let start = transport + usize::from(tcp.header_len);
        let (text, sequence) = (self.text.get(piece.clone())?, self.first + piece.start as u32);
        let end = start + text.len();
        space.get_mut(..start)?.copy_from_slice(body.bytes().get(..start)?);
        space.get_mut(start..end)?.copy_from_slice(text);
        if piece.end < self.text.len() {
            // What they say is of the last byte.
            space[transport + FLAGS] &= !(TcpFlags::FIN.0 | TcpFlags::PSH.0);
        }
        set_ip_len(&mut space[network..end], packet, end - network)?;
        let frame = &mut space[..end];
        let packet = Packet::parse_ip(frame, packet.network, packet.vlans).ok()?;
        let syn = u32::from(tcp.flags.contains(TcpFlags::SYN));
        renumber(frame, &packet, self.streams, self.sender, sequence - syn);
        wire::checksum::fill_transport_checksum(frame, &packet);
        let packet = Packet::parse_ip(frame, packet.network, packet.vlans).ok()?;
        Some((end, packet))
    }
}

/// Offset of the flags in a TCP header (RFC 9293 §3.1).
const FLAGS: usize = 13;

/// The data of a packet.
pub(super) fn payload<'a>(packet: &Packet, body: &'a Body<'_>) -> Option<&'a [u8]> {
    let end = packet.end as usize;
    let start = end.checked_sub(packet.payload_len() as usize)?;
    body.bytes().get(start..end)
}

/// Writes the frame with another message; returns its length, and what it is.
fn rewrite_datagram(
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

/// Says in an IP header how long the datagram is, `header` being its first bytes.
fn set_ip_len(datagram: &mut [u8], packet: &Packet, len: usize) -> Option<()> {
    match packet.version {
        wire::Version::V4 => {
            let len = u16::try_from(len).ok()?;
            datagram.get_mut(2..4)?.copy_from_slice(&len.to_be_bytes());
            wire::checksum::fill_ipv4_header_checksum(datagram, 0);
        }
        wire::Version::V6 => {
            let len = u16::try_from(len.checked_sub(40)?).ok()?;
            datagram.get_mut(4..6)?.copy_from_slice(&len.to_be_bytes());
        }
    }
    Some(())
}
