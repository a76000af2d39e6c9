//! What is noted: session events as they happen, and what became of packets that opened nothing.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use sketch::{Kind, Observation};
use wire::{Packet, Plain, Protocol, Time, Transport, ethernet};

use super::marks::News;
use super::{Meter, Screening, Sides, number, oddity};
use crate::commit::Context;
use crate::engine::{Engine, Keyed};
use crate::limits::CARRIED_EVERY;
use crate::pipeline::{Change, Outcome, Plan};
use crate::policy::Policy;
use crate::replication::Role;
use crate::session::{CloseReason, Flags, Peer, Session};
use crate::table::Handle;
use crate::{Anomaly, Arrived, PortId, Reason, ZoneId};

/// What is known of a packet beside its verdict.
struct Sight<'a> {
    zone: ZoneId,
    packet: &'a Packet,
    sides: Sides,
    packets: u32,
    now: Time,
}

/// Packets.
impl Engine {
    /// Notes what became of a packet that was judged in full.
    #[inline]
    pub(crate) fn observe(&mut self, plan: &Plan, keyed: &Keyed, arrived: Arrived, now: Time) {
        if let Some(screening) = self.screening.as_deref_mut()
            && let Some(zone) = self.policy.zone_of_port(arrived.ingress)
        {
            let Keyed { packet, sides, .. } = keyed;
            let sight = Sight { zone, packet, sides: *sides, packets: arrived.packets, now };
            screening.count(&self.policy, &sight, plan);
            screening.note_packet(&sight, plan);
        }
    }

    /// Notes a frame that was refused before it was judged.
    #[cold]
    pub(crate) fn observe_refused(&mut self, ingress: PortId, frame: &[u8], reason: Reason) {
        // What comes to a backup its owner sees.
        if self.replication.role == Role::Backup {
            return;
        }
        let Some(screening) = self.screening.as_deref_mut() else { return };
        let Some(number) = self.policy.zone_of_port(ingress).and_then(number) else { return };
        let Some(kind) = oddity::of_drop(reason, None) else { return };
        let seen = match Packet::parse(frame) {
            Ok(packet) => Some(of_packet(kind, number, &packet, 1)),
            Err(_) => of_header(kind, number, frame),
        };
        seen.iter().for_each(|it| screening.note(*it));
    }

    /// Notes a plain packet that the straight way dropped.
    #[cold]
    pub(crate) fn observe_plain(&mut self, plain: &Plain, ingress: PortId, reason: Reason) {
        let Some(screening) = self.screening.as_deref_mut() else { return };
        let Some(number) = self.policy.zone_of_port(ingress).and_then(number) else { return };
        let Some(kind) = oddity::of_drop(reason, None) else { return };
        let (source, source_port) = plain.key.source(plain.direction);
        let (destination, port) = plain.key.destination(plain.direction);
        screening.note(Observation {
            kind,
            zone: number,
            protocol: plain.key.protocol().0,
            source,
            destination,
            source_port,
            port,
            packets: 1,
            bytes: plain.ip_len.into(),
        });
    }

    /// Notes a fragment, and why it is dropped before it is looked at, if it is one too many.
    pub(crate) fn observe_fragment(
        &mut self,
        keyed: &Keyed,
        ingress: PortId,
        now: Time,
    ) -> Option<Reason> {
        let Keyed { packet, sides, .. } = keyed;
        let gate = self.gate(ingress, keyed, now)?;
        let refused = gate.fragment();
        let screening = self.screening.as_deref_mut()?;
        let zone = self.policy.zone_of_port(ingress)?;
        let number = number(zone)?;
        let screens = self.policy.screens();
        if screens.of(zone).is_some_and(|screen| screen.fragments.is_some()) {
            screening.meter(Meter::Fragments, *sides, now);
        }
        screening.note(of_packet(Kind::Fragment, number, packet, 1));
        if let Some(kind) = refused.and_then(|reason| oddity::of_drop(reason, None)) {
            // Its packet has been told.
            screening.note(of_packet(kind, number, packet, 0));
        }
        refused
    }

    /// Notes a fragment that makes no datagram.
    pub(crate) fn observe_bad_fragment(&mut self, packet: &Packet, ingress: PortId, why: Reason) {
        let Some(screening) = self.screening.as_deref_mut() else { return };
        let Some(number) = self.policy.zone_of_port(ingress).and_then(number) else { return };
        if let Some(kind) = oddity::of_drop(why, None) {
            screening.note(of_packet(kind, number, packet, 0));
        }
    }
}

impl Screening {
    /// Counts the packet for the limits of its zone.
    fn count(&mut self, policy: &Policy, sight: &Sight<'_>, plan: &Plan) {
        let metered = core::mem::take(&mut self.metered);
        let Sight { zone, packet, sides, now, packets: _ } = *sight;
        let (Some(screen), Some(number)) = (policy.screens().of(zone), number(zone)) else {
            return;
        };
        match packet.body {
            Transport::Icmp(_) if screen.icmp.is_some() => {
                self.meter(Meter::Icmp, sides, now);
            }
            Transport::Udp(_) if screen.udp.is_some() && !metered => {
                self.meter(Meter::Udp, sides, now);
            }
            Transport::Tcp(_) if screen.counts_syns && begins(packet, plan) => {
                self.meter(Meter::SynsOfSource, sides, now);
                self.meter(Meter::SynsToDestination, sides, now);
                if screen.syns[2].is_some() {
                    let key = self.meter_of_zone(number);
                    self.meters.add(Meter::SynsOfZone, key, now);
                }
            }
            Transport::Icmp(_)
            | Transport::Udp(_)
            | Transport::Tcp(_)
            | Transport::Sctp(_)
            | Transport::Gre(_)
            | Transport::Esp { .. }
            | Transport::None
            | Transport::Other => {}
        }
    }

    fn note_packet(&mut self, sight: &Sight<'_>, plan: &Plan) {
        let Sight { zone, packet, packets, sides: _, now: _ } = *sight;
        let Some(number) = number(zone) else { return };
        if let Some(oddity) = oddity::of_packet(packet) {
            self.note(of_packet(Kind::Odd(oddity), number, packet, packets));
        }
        let kind = match plan.outcome {
            Outcome::Drop(reason) => oddity::of_drop(reason, tcp(packet)),
            Outcome::Answer(answer) => oddity::of_answer(answer),
            Outcome::Forward(_) | Outcome::Consume | Outcome::Vouched(_) => None,
        };
        if let Some(kind) = kind {
            self.note(of_packet(kind, number, packet, packets));
        }
    }
}

const fn tcp(packet: &Packet) -> Option<&wire::Tcp> {
    match &packet.body {
        Transport::Tcp(tcp) => Some(tcp),
        Transport::Udp(_)
        | Transport::Sctp(_)
        | Transport::Icmp(_)
        | Transport::Gre(_)
        | Transport::Esp { .. }
        | Transport::None
        | Transport::Other => None,
    }
}

/// Whether the packet is the first of a connection, let through or not.
fn begins(packet: &Packet, plan: &Plan) -> bool {
    let follows = matches!(plan.session, Change::Follow { .. } | Change::Close { .. });
    super::is_syn(packet) && !follows
}

fn of_packet(kind: Kind, zone: u8, packet: &Packet, packets: u32) -> Observation {
    let (source_port, port) = match &packet.body {
        Transport::Tcp(tcp) => (tcp.source_port, tcp.destination_port),
        Transport::Udp(udp) => (udp.source_port, udp.destination_port),
        Transport::Sctp(ports) => (ports.source, ports.destination),
        Transport::Icmp(icmp) => (0, icmp.kind.into()),
        Transport::Gre(_) | Transport::Esp { .. } | Transport::None | Transport::Other => (0, 0),
    };
    Observation {
        kind,
        zone,
        protocol: packet.protocol.0,
        source: packet.source,
        destination: packet.destination,
        source_port,
        port,
        packets,
        bytes: if packets == 0 { 0 } else { packet.ip_len().into() },
    }
}

/// What the IP header says of a packet that cannot be read in full. `None`: not even that.
fn of_header(kind: Kind, zone: u8, frame: &[u8]) -> Option<Observation> {
    let header = frame.get(ethernet::HEADER_LEN..)?;
    let (protocol, source, destination): (u8, IpAddr, IpAddr) = match header.first()? >> 4 {
        4 => {
            let header: &[u8; 20] = header.first_chunk()?;
            let address = |at: usize| {
                Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3])
            };
            (header[9], address(12).into(), address(16).into())
        }
        6 => {
            let header: &[u8; 40] = header.first_chunk()?;
            let [source, destination] = [8, 24].map(|at| {
                let mut octets = [0; 16];
                octets.copy_from_slice(&header[at..at + 16]);
                IpAddr::V6(Ipv6Addr::from(octets))
            });
            (header[6], source, destination)
        }
        _ => return None,
    };
    let (source_port, port, packets) = (0, 0, 1);
    let bytes = header.len() as u64;
    Some(Observation {
        kind,
        zone,
        protocol,
        source,
        destination,
        source_port,
        port,
        packets,
        bytes,
    })
}

/// Sessions.
impl Engine {
    /// Notes a session that this packet has opened.
    pub(crate) fn observe_open(&mut self, handle: Handle, context: &Context<'_>) {
        let Self { screening: Some(screening), table, policy, .. } = self else { return };
        let Some(session) = table.get(handle) else { return };
        let zone = session.zones[Peer::Initiator.index()];
        let counted = screening.begun_as(policy.screens(), zone, context.keyed.sides);
        screening.marks.begin(handle.place(), session, counted);
        let packet = &context.keyed.packet;
        let Some(number) = number(zone) else { return };
        screening.note(of_packet(Kind::Permitted, number, packet, context.packets()));
        if Anomaly::at_opening(packet) == Some(Anomaly::TcpSynUrgent) {
            let kind = oddity::of_session(Anomaly::TcpSynUrgent);
            screening.note(of_packet(kind, number, packet, 0));
        }
    }

    /// Notes what a packet of an open session says beside its verdict: that the handshake is complete, and
    /// now and then what the session carried.
    #[inline]
    pub(crate) fn observe_follow(&mut self, handle: Handle, before: &Session, now: Time) {
        let Some(screening) = self.screening.as_deref_mut() else { return };
        let Some(session) = self.table.get(handle) else { return };
        let completed = session.flags.has(Flags::ASSURED) && !before.flags.has(Flags::ASSURED);
        let (_, zone) = self.rules.place(session);
        if completed && session.key.protocol() == Protocol::TCP {
            screening.completed(&self.policy, session, zone, now);
        }
        if screening.is_carried_due() {
            screening.note_carried(handle.place(), session, zone);
        }
    }

    /// The same for a packet that went the straight way, and completed nothing.
    #[inline]
    pub(crate) fn observe_straight(&mut self, handle: Handle) {
        let Some(screening) = self.screening.as_deref_mut() else { return };
        screening.metered = false;
        if !screening.is_carried_due() {
            return;
        }
        if let Some(session) = self.table.get(handle) {
            let (_, zone) = self.rules.place(session);
            screening.note_carried(handle.place(), session, zone);
        }
    }

    /// Takes note of a session that came by a record: what it carried until now, others have told.
    pub(crate) fn observe_import(&mut self, handle: Handle, before: Option<&Session>) {
        let Self { screening: Some(screening), table, policy, rules, .. } = self else { return };
        let (place, Some(session)) = (handle.place(), table.get(handle)) else { return };
        if let Some(before) = before {
            screening.ended(policy, place, before, rules.place(before).1);
        }
        let (_, zone) = rules.place(session);
        screening.begun(policy, place, session, zone);
        screening.marks.tell(place, session);
    }

    /// Notes that an ICMP error, be it ours, says a session's packets find no destination.
    pub(crate) fn observe_unreachable(&mut self, handle: Handle) {
        let Some(screening) = self.screening.as_deref_mut() else { return };
        let Some(session) = self.table.get(handle) else { return };
        let (_, zone) = self.rules.place(session);
        screening.note_session(Kind::Unreachable, session, zone, News::default());
    }
}

impl Screening {
    /// Whether it is time to tell what a session carried: at random, so that nobody can hide behind it.
    #[inline]
    const fn is_carried_due(&mut self) -> bool {
        self.until_carried -= 1;
        if self.until_carried > 0 {
            return false;
        }
        // Numerical Recipes' generator: its upper bits are good enough to break patterns.
        self.dice = self.dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.until_carried = CARRIED_EVERY + (self.dice >> 16) % (2 * CARRIED_EVERY);
        true
    }

    #[cold]
    fn note_carried(&mut self, place: u32, session: &Session, zone: Option<ZoneId>) {
        let news = self.marks.tell(place, session);
        if news != News::default() {
            self.note_session(Kind::Carried, session, zone, news);
        }
    }

    fn completed(&mut self, policy: &Policy, session: &Session, zone: Option<ZoneId>, now: Time) {
        self.note_session(Kind::Completed, session, zone, News::default());
        let Some(zone) = zone else { return };
        let (Some(screen), Some(number)) = (policy.screens().of(zone), number(zone)) else {
            return;
        };
        if screen.connections.is_some() {
            let (source, _) = session.key.source(session.direction(Peer::Initiator));
            let source = policy.screens().source(zone, number, source);
            let key = Meter::Connections.key(self.hash_place(&source));
            self.meters.add(Meter::Connections, key, now);
        }
    }

    /// Notes a session's end. Of a replica's its owner tells.
    pub(crate) fn note_end(
        &mut self,
        place: u32,
        session: &Session,
        zone: Option<ZoneId>,
        reason: CloseReason,
    ) {
        let news = self.marks.tell(place, session);
        self.note_session(Kind::Ended, session, zone, news);
        let odd = Anomaly::at_end(session, reason).map(oddity::of_session);
        let odd = odd.or_else(|| is_unanswered(session, reason).then_some(Kind::Unanswered));
        if let Some(kind) = odd {
            self.note_session(kind, session, zone, News::default());
        }
    }

    fn note_session(&mut self, kind: Kind, session: &Session, zone: Option<ZoneId>, news: News) {
        let Some(number) = zone.and_then(number) else { return };
        let direction = session.direction(Peer::Initiator);
        let (source, source_port) = session.key.source(direction);
        let (destination, port) = session.key.destination(direction);
        let query = session.query();
        self.note(Observation {
            kind,
            zone: number,
            protocol: session.key.protocol().0,
            source,
            destination,
            source_port: if query.is_some() { 0 } else { source_port },
            port: query.map_or(port, u16::from),
            packets: news.packets,
            bytes: news.bytes.into(),
        });
    }
}

/// A datagram or a query to which nobody answered, nor an ICMP error came; of TCP there are names for it.
fn is_unanswered(session: &Session, reason: CloseReason) -> bool {
    session.key.protocol() != Protocol::TCP
        && reason == CloseReason::Timeout
        && !session.flags.has(Flags::REPLY_SEEN)
        && !session.flags.has(Flags::UNREACHABLE)
}
