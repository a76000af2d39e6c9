//! What gateways do with the packets of control channels.

use config::Alg;
use wire::{Packet, Protocol, TcpFlags, Time, Transport};

use super::control::Control;
use super::expect::Announced;
use super::reading::{Kept, Read, Segment};
use super::renumber::renumber;
use super::{Begin, tftp};
use crate::answer::Answer;
use crate::commit::{Body, Context};
use crate::engine::{Engine, Keyed};
use crate::nat::Turn;
use crate::pipeline::Way;
use crate::replication::NoteKind;
use crate::session::{Peer, Session};
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
        let (Some((handle, _)), Some(alg)) = (found, begin.alg) else {
            return self.forward(way, context, turn, body);
        };
        self.begin_control(handle, alg);
        self.forward_control(way, (handle, Peer::Initiator), context, turn, body)
    }

    fn begin_control(&mut self, handle: Handle, alg: Alg) {
        let Some(session) = self.table.get_mut(handle) else { return };
        if !self.algs.controls.begin(handle, Control::new(session.id, alg)) {
            self.algs.counters.unread += 1;
            return;
        }
        session.set_alg(alg);
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
        let of = self.table.get(handle).filter(|it| self.algs.controls.of(handle, it).is_some());
        if of.is_none() {
            return self.forward(way, context, turn, body);
        }
        let alg = of.and_then(Session::alg);
        match context.keyed.packet.body {
            Transport::Udp(_) if alg == Some(Alg::Sip) => {
                self.forward_message(way, (handle, sender), context, turn, body)
            }
            Transport::Tcp(_) => {
                let done = self.forward_segment(way, (handle, sender), context, turn, body);
                self.close_with_connection(handle);
                done
            }
            Transport::Udp(_) => {
                self.read_datagram((handle, sender), context, body);
                self.forward(way, context, turn, body)
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
            let announced = Announced {
                protocol: Protocol::UDP,
                address: None,
                port,
                uses: 1,
                call: 0,
                shown: None,
            };
            if self.expect(handle, sender, &announced, context.now()).is_ok() {
                self.note_control(handle);
            }
        }
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
        let Transport::Tcp(tcp) = &packet.body else {
            return (Verdict::Drop(Reason::AlgGap), false);
        };
        self.make_ready(context, body);
        let syn = tcp.flags.contains(TcpFlags::SYN);
        let at = tcp.sequence + u32::from(syn);
        let Some(bytes) = payload(packet, body) else {
            return (Verdict::Drop(Reason::AlgGap), false);
        };
        if let Some(control) = self.algs.controls.at(handle.place()) {
            if syn {
                control.stream_mut(sender).begin(tcp.sequence);
            }
            if tcp.flags.contains(TcpFlags::ACK) {
                let theirs = control.stream_mut(sender.other());
                theirs.forget(theirs.acknowledged(tcp.acknowledgment));
            }
        }
        let last = tcp.flags.contains(TcpFlags::FIN);
        let segment = Segment { handle, sender, at, bytes, last };
        let read = match self.read_segment(&segment, context.now()) {
            Ok(read) => read,
            Err(reason) => return (Verdict::Drop(reason), false),
        };
        let Some(control) = self.algs.controls.at(handle.place()).copied() else {
            return self.forward(way, context, turn, body);
        };
        let stream = control.stream(sender);
        if !read.before.is_empty() || !stream.stands_as_sent(at, bytes.len()) {
            return self.forward_rewritten(way, &control, &segment, &read, (context, turn), body);
        }
        if !control.is_plain() {
            let sequence = stream.beyond(tcp.sequence);
            renumber(body.bytes_mut(), packet, &control, sender, sequence);
        }
        self.forward(way, context, turn, body)
    }

    /// Reads what is new in a segment.
    fn read_segment(&mut self, segment: &Segment<'_>, now: Time) -> Result<Read, Reason> {
        if segment.bytes.is_empty() && !segment.last {
            return Ok(Read { before: Kept::EMPTY, new: false });
        }
        let mut text = std::mem::take(&mut self.algs.text);
        let read = self.read_lines(segment, &mut text, now);
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

    /// The segment leaves with other text, in another frame.
    fn forward_rewritten(
        &mut self,
        way: &Way,
        control: &Control,
        segment: &Segment<'_>,
        read: &Read,
        (context, turn): (&Context<'_>, Turn),
        body: &Body<'_>,
    ) -> (Verdict, bool) {
        let mut space = std::mem::take(&mut self.algs.space);
        let written =
            rewrite(control, segment, &read.before, (&context.keyed.packet, body), &mut space);
        let verdict = match written {
            None => Verdict::Drop(Reason::AlgGap),
            // It was kept back before, and its sender waits for an acknowledgment.
            Some((_, packet)) if packet.payload_len() == 0 && !read.new && !segment.last => {
                self.acknowledge(control, segment, context, body)
            }
            Some((len, packet)) => {
                self.forward_instead(way, &packet, context, turn, &mut space[..len])
            }
        };
        self.algs.space = space;
        (verdict, false)
    }

    /// Another frame, which is this packet, leaves in the place of the one in hand.
    pub(super) fn forward_instead(
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
    fn acknowledge(
        &mut self,
        control: &Control,
        segment: &Segment<'_>,
        context: &Context<'_>,
        body: &Body<'_>,
    ) -> Verdict {
        let packet = &context.keyed.packet;
        let (Transport::Tcp(tcp), Some(end)) = (&packet.body, control.stream(segment.sender).end())
        else {
            return Verdict::Drop(Reason::AlgGap);
        };
        let answer = Answer::Challenge { sequence: tcp.acknowledgment, acknowledgment: end };
        self.answer_control(answer, context, body);
        Verdict::Answer
    }
}

/// The data of a packet.
pub(super) fn payload<'a>(packet: &Packet, body: &'a Body<'_>) -> Option<&'a [u8]> {
    let end = packet.end as usize;
    let start = end.checked_sub(packet.payload_len() as usize)?;
    body.bytes().get(start..end)
}

/// Writes the frame that leaves in the place of a segment's; returns its length, and what it is.
fn rewrite(
    control: &Control,
    segment: &Segment<'_>,
    before: &Kept,
    (packet, body): (&Packet, &Body<'_>),
    space: &mut [u8],
) -> Option<(usize, Packet)> {
    let Transport::Tcp(tcp) = &packet.body else { return None };
    let network = packet.network as usize;
    let start = packet.transport as usize + usize::from(tcp.header_len);
    space.get_mut(..start)?.copy_from_slice(body.bytes().get(..start)?);
    let stream = control.stream(segment.sender);
    let text = (segment.at, segment.bytes);
    let (first, len) = stream.write(text, before.as_bytes(), &mut space[start..])?;
    let end = start + len;
    set_ip_len(&mut space[network..end], packet, end - network)?;
    let frame = &mut space[..end];
    let packet = Packet::parse_ip(frame, packet.network, packet.vlans).ok()?;
    let syn = u32::from(tcp.flags.contains(TcpFlags::SYN));
    renumber(frame, &packet, control, segment.sender, first - syn);
    wire::checksum::fill_transport_checksum(frame, &packet);
    let packet = Packet::parse_ip(frame, packet.network, packet.vlans).ok()?;
    Some((end, packet))
}

/// Says in an IP header how long the datagram is, `header` being its first bytes.
pub(super) fn set_ip_len(datagram: &mut [u8], packet: &Packet, len: usize) -> Option<()> {
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
