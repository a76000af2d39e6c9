//! Carrying a plan out: the session table, the frame's own bytes, the outbox, the events. Nothing
//! here decides, and nothing here can fail half-way.

use core::net::IpAddr;

use wire::{Packet, Time, Transport, Version, checksum, ethernet};

use crate::alg::{Begin, Claimed, Hint};
use crate::answer::{Answer, Limiter};
use crate::engine::{Engine, Keyed, Settings, Waiting};
use crate::event::{Event, EventKind, Leaving};
use crate::fib::Fib;
use crate::fragment::{Datagram, Fragments};
use crate::ledger::Ledger;
use crate::limits::ANSWER_FRAME_BYTES;
use crate::nat::{Binding, Turn};
use crate::outbox::Outbox;
use crate::pipeline::{Change, Link, Outcome, Permission, Plan, Way};
use crate::policy::LifeIndex;
use crate::proxy::Relay;
use crate::replication::{Ending, Goes, HeldPacket, NoteKind, Origins};
use crate::rules::{NO_EPOCH, short_epoch};
use crate::session::{CloseReason, Egress, Flags, Opening, Peer, Session};
use crate::table::Handle;
use crate::track::{self, Update};
use crate::{Anomaly, Arrived, Checksum, Decision, Mode, PortId, Reason, Verdict, ZoneId};

/// The bytes of a packet: the frame in hand, or a datagram put together from several.
pub(crate) enum Body<'a> {
    Frame(&'a mut [u8]),
    Datagram(&'a mut Datagram),
}

impl Body<'_> {
    pub(crate) fn bytes(&self) -> &[u8] {
        match self {
            Self::Frame(frame) => frame,
            Self::Datagram(datagram) => datagram.frame(),
        }
    }

    pub(crate) fn bytes_mut(&mut self) -> &mut [u8] {
        match self {
            Self::Frame(frame) => frame,
            Self::Datagram(datagram) => datagram.frame_mut(),
        }
    }
}

/// One plan with what it is about.
pub(crate) struct Context<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) keyed: &'a Keyed,
    arrived: Arrived,
    /// Bytes of the IP datagram.
    bytes: u32,
    now: Time,
}

impl<'a> Context<'a> {
    /// The same about a packet that leaves in the place of this one.
    pub(crate) const fn of<'b>(&'b self, keyed: &'b Keyed) -> Context<'b>
    where
        'a: 'b,
    {
        let Self { plan, keyed: _, arrived, bytes: _, now } = *self;
        Context { plan, keyed, arrived, bytes: keyed.packet.ip_len(), now }
    }

    /// The same about one more packet that leaves for the one that came.
    pub(crate) const fn further(&self) -> Self {
        let Self { plan, keyed, arrived, bytes, now } = *self;
        Self { plan, keyed, arrived: Arrived { packets: 0, ..arrived }, bytes, now }
    }

    /// Packets that it is about.
    pub(crate) const fn packets(&self) -> u32 {
        self.arrived.packets
    }

    pub(crate) const fn now(&self) -> Time {
        self.now
    }

    /// The port that it came in by.
    pub(crate) const fn ingress(&self) -> PortId {
        self.arrived.ingress
    }
}

impl Engine {
    /// Does what `plan` says and returns the verdict, which the caller enters into the books.
    #[inline]
    pub(crate) fn commit(
        &mut self,
        (plan, bound): (&Plan, Option<&Binding>),
        keyed: &Keyed,
        arrived: Arrived,
        body: &mut Body<'_>,
        now: Time,
    ) -> Decision {
        let context = Context { plan, keyed, arrived, bytes: keyed.packet.ip_len(), now };
        let (session, turn) = self.change(&context, bound);
        let (verdict, in_hand) = match plan.outcome {
            Outcome::Forward(way) => match &plan.relay {
                Some(Relay::Join(handle)) => self.join(&way, *handle, &context, body),
                Some(Relay::Ask(handle)) => self.ask_again(&way, *handle, &context, body),
                Some(Relay::Control(handle, sender)) => {
                    self.forward_control(&way, (*handle, *sender), &context, turn, body)
                }
                Some(Relay::Begin(begin)) => self.forward_first(&way, *begin, &context, turn, body),
                Some(Relay::Translate(..) | Relay::Quotation(_)) | None => {
                    self.forward(&way, &context, turn, body)
                }
            },
            // Its SYN was to be judged in its place.
            Outcome::Vouched(_) => (Verdict::Drop(Reason::BadCookie), false),
            Outcome::Answer(answer) => {
                self.answerer().answer(answer, &keyed.packet, arrived.ingress, body.bytes(), now);
                (Verdict::Answer, false)
            }
            Outcome::Consume => (Verdict::Consume, false),
            Outcome::Drop(reason) => (Verdict::Drop(reason), false),
        };
        Decision {
            verdict,
            state: plan.state,
            session: session.map(|counter| self.session_id(counter)),
            rule: plan.rule,
            packets: arrived.packets,
            in_hand,
        }
    }

    /// The session table's part. Returns the number of the packet's session.
    fn change(&mut self, context: &Context<'_>, bound: Option<&Binding>) -> (Option<u64>, Turn) {
        let plan = context.plan;
        if plan.hit {
            self.rules.hit(plan.rule, context.now);
        }
        match plan.session {
            Change::None => (None, self.turn_of_error(context.keyed)),
            Change::Follow { handle, sender, update, rematched } => {
                self.follow(handle, sender, &update, rematched, context)
            }
            Change::Open { update, zones, life, stale } => {
                if let Some((handle, reason)) = stale {
                    self.close(handle, reason, context.now);
                }
                self.open(&update, zones, (life, bound), context)
            }
            Change::Close { handle, reason } => {
                self.close(handle, reason, context.now);
                (None, Turn::Not)
            }
            Change::Unreachable { handle, anomaly } => {
                self.note_unreachable(handle, Some(anomaly));
                (None, self.turn_of_error(context.keyed))
            }
            Change::Deny { to, egress } => {
                self.log_denial(to, egress, context);
                (None, Turn::Not)
            }
        }
    }

    fn follow(
        &mut self,
        handle: Handle,
        sender: Peer,
        update: &Update,
        rematched: Option<Permission>,
        context: &Context<'_>,
    ) -> (Option<u64>, Turn) {
        let Some(before) = self.table.get(handle).copied() else { return (None, Turn::Not) };
        self.settle(handle, &before, update.jumped().then_some(sender));
        self.table.commit(handle, update, sender, context.bytes, context.now);
        if let Some(permission) = rematched {
            self.renew(handle, permission, context.now);
        }
        self.note_change(handle, &before);
        if self.screening.is_some() {
            self.observe_follow(handle, &before, context.now);
        }
        let Some(after) = self.table.get(handle) else { return (None, Turn::Not) };
        if after.tcp.begins_since(&before.tcp) && self.is_sync(self.rule_of(after)) {
            self.begin_hold(handle, NoteKind::Changed);
        }
        let Some(session) = self.table.get_mut(handle) else { return (None, Turn::Not) };
        let held = self.replication.connected && session.flags.has(Flags::HELD);
        // Not noted yet, for want of room: the next packet goes the long way, too.
        let held = held || session.flags.has(Flags::EXPORTED);
        // What must be translated goes the long way.
        let held = held || session.flags.has(Flags::PROXIED) || session.alg().is_some();
        if let Some(egress) = egress(context.plan).filter(|_| !held) {
            session.set_egress(sender, self.fib.generation(), egress);
        }
        let (id, turn) = (session.id, Turn::of(handle, session, sender));
        if let Some(reason) = update.finished() {
            self.close(handle, reason, context.now);
        }
        (Some(id), turn)
    }

    /// Makes a session, whose last packet came at `seen`, one of the policy in force.
    pub(crate) fn renew(&mut self, handle: Handle, permission: Permission, seen: Time) {
        let Permission { rule, zones, life } = permission;
        let before = self.table.get(handle).and_then(|session| self.rule_of(session));
        let Some(session) = self.table.get_mut(handle) else { return };
        self.rules.ended(session);
        if let Some(screening) = self.screening.as_deref_mut() {
            let (_, zone) = self.rules.place(session);
            screening.ended(&self.policy, handle.place(), session, zone);
        }
        let old_life = core::mem::replace(&mut session.life, life);
        (session.rule, session.zones) = (rule, zones);
        session.epoch = short_epoch(&self.policy);
        self.rules.begun(session);
        if let Some(screening) = self.screening.as_deref_mut() {
            screening.begun(&self.policy, handle.place(), session, Some(zones[0]));
        }
        session.flags.set(Flags::BOTH_MAY_OPEN, false);
        session.flags.set(Flags::LOG_CLOSE, self.policy.rule(rule).log_close);
        if (old_life, life) != (0, 0) {
            session.deadline = Time(seen.0.saturating_add(track::life(session, &self.tracking)));
            self.table.rearm(handle);
        }
        // A backup follows a rule's id through commits by itself: a million sessions make no records.
        if before != Some(rule) {
            self.note_session(handle, NoteKind::Changed, false);
        }
    }

    fn open(
        &mut self,
        update: &Update,
        zones: [ZoneId; 2],
        (life, bound): (LifeIndex, Option<&Binding>),
        context: &Context<'_>,
    ) -> (Option<u64>, Turn) {
        let nothing = (None, Turn::Not);
        let Some((key, direction)) = context.keyed.flow else { return nothing };
        let Some(rule) = context.plan.rule else { return nothing };
        let id = self.last_session + 1;
        let epoch = short_epoch(&self.policy);
        let opening = Opening { key, direction, id, rule, epoch, zones };
        let mut session = Session::new(&opening, context.now);
        self.join_conversation(&mut session, context);
        update.apply(&mut session, Peer::Initiator, context.bytes, context.now);
        if life != 0 {
            session.life = life;
            let life = track::life(&session, &self.tracking);
            session.deadline = Time(context.now.0.saturating_add(life));
        }
        session.flags.set(Flags::LOG_CLOSE, self.policy.rule(rule).log_close);
        if let Transport::Icmp(icmp) = &context.keyed.packet.body {
            session.set_query(icmp.kind);
        }
        if let Some(egress) = egress(context.plan) {
            session.set_egress(Peer::Initiator, self.fib.generation(), egress);
        }
        // The judge saw that there is room; nothing has changed since.
        let Ok(handle) = self.table.insert(context.keyed.hash, &session) else { return nothing };
        self.last_session = id;
        let turn = match bound {
            Some(binding) => self.translate_from_now(handle, &session, binding, context.now),
            None => Turn::Not,
        };
        self.rules.begun(&session);
        self.ledger.opened();
        if let Some(anomaly) = Anomaly::at_opening(&context.keyed.packet) {
            self.ledger.anomalous(anomaly);
        }
        self.observe_open(handle, context);
        if self.is_sync(Some(rule)) {
            self.begin_hold(handle, NoteKind::Opened);
        } else {
            self.replication.note(NoteKind::Opened, handle.place(), id, false);
        }
        if self.policy.rule(rule).log_open {
            let event = event(&self.replication.origins, EventKind::Open, &session, context.now);
            let translated = bound.map(|bound| self.nat.leaving(&bound.twin));
            self.tell(Event { ingress: Some(context.arrived.ingress), translated, ..event });
        }
        (Some(id), turn)
    }

    /// A session that another one has announced is of the conversation of that.
    #[inline]
    fn join_conversation(&mut self, session: &mut Session, context: &Context<'_>) {
        let Some(Relay::Begin(Begin { announced: true, .. })) = context.plan.relay else { return };
        let Self { algs, nat, fib, replication, table, .. } = self;
        let domain = fib.domain_of(context.arrived.ingress).unwrap_or_default();
        let hint = Hint::of(&context.keyed.packet, domain);
        let claimed = hint.and_then(|hint| algs.claim(&hint, nat, context.now));
        let Some(Claimed { parent: (place, parent), used_up }) = claimed else { return };
        let known = table.at(place).filter(|(_, it)| it.id == parent);
        let conversation = known.map_or(parent, |(_, it)| it.conversation);
        session.conversation = conversation;
        replication.origins.hold(conversation);
        if used_up {
            self.note_used_pinhole(place, parent);
        }
    }

    /// Before its session is known, the backup is told that the pinhole is no more: else it would let in
    /// another one.
    fn note_used_pinhole(&mut self, place: u32, parent: u64) {
        let found = self.table.at(place).filter(|(_, session)| session.id == parent);
        let Some((handle, session)) = found else { return };
        let sync = self.replication.connected && self.is_sync(self.rule_of(session));
        self.note_session(handle, NoteKind::Changed, sync);
    }

    /// Ends a session.
    pub(crate) fn close(&mut self, handle: Handle, reason: CloseReason, now: Time) {
        let twin = self.twin_of(handle.place()).copied();
        let Some(session) = self.table.remove(handle) else { return };
        self.ending().tell(handle.place(), &session, twin.as_ref(), reason, now);
    }

    fn ending(&mut self) -> Ending<'_> {
        let Self { replication, rules, ledger, events, screening, policy, nat, algs, .. } = self;
        let screening = screening.as_deref_mut();
        Ending { replication, rules, ledger, events, screening, policy, nat, algs }
    }

    /// Tells the replication's sender what a packet changed of a session.
    fn note_change(&mut self, handle: Handle, before: &Session) {
        let Some(session) = self.table.get(handle) else { return };
        if session.changes_class(before) {
            self.note_session(handle, NoteKind::Changed, false);
        } else if session.flags.has(Flags::EXPORTED) {
            self.moved(handle);
        }
    }

    /// Counts what an ICMP error says of a session, the first time that one says it.
    fn note_unreachable(&mut self, handle: Handle, anomaly: Option<Anomaly>) {
        if let Some(session) = self.table.get_mut(handle) {
            session.flags.set(Flags::UNREACHABLE, true);
            anomaly.into_iter().for_each(|anomaly| self.ledger.anomalous(anomaly));
            self.observe_unreachable(handle);
        }
    }

    /// The same where the ICMP error is this engine's: the next hop of a session's first packet is silent.
    pub(crate) fn note_unreached(&mut self, handle: Handle) {
        let anomaly = self.table.get(handle).map(Anomaly::of_silence);
        anomaly.into_iter().for_each(|anomaly| self.note_unreachable(handle, anomaly));
    }

    fn log_denial(&mut self, to: ZoneId, egress: PortId, context: &Context<'_>) {
        let Some((key, initiator)) = context.keyed.flow else { return };
        let reason = match context.plan.outcome {
            Outcome::Drop(reason) => reason,
            Outcome::Answer(_) | Outcome::Consume | Outcome::Forward(_) | Outcome::Vouched(_) => {
                Reason::Denied
            }
        };
        let ingress = context.arrived.ingress;
        self.tell(Event {
            kind: EventKind::Deny(reason),
            key,
            initiator,
            translated: None,
            session: None,
            rule: context.plan.rule,
            epoch: short_epoch(&self.policy),
            judged: short_epoch(&self.policy),
            zones: [self.policy.zone_of_port(ingress), Some(to)],
            ingress: Some(ingress),
            egress: Some(egress),
            packets: [u64::from(context.arrived.packets), 0],
            bytes: [u64::from(context.bytes), 0],
            duration: core::time::Duration::ZERO,
        });
    }

    fn tell(&mut self, event: Event) {
        if !self.events.push(event) {
            self.ledger.event_lost();
        }
    }
}

/// A session that is told of, and the epoch of the policy in force.
pub(crate) struct Told<'a> {
    pub(crate) session: &'a Session,
    pub(crate) translated: Option<Leaving>,
    pub(crate) epoch: u32,
}

/// The event of a session's end under the policy of an epoch, if its rule wants one.
pub(crate) fn close_event(
    origins: &Origins,
    told: &Told<'_>,
    reason: CloseReason,
    now: Time,
) -> Option<Event> {
    let Told { session, translated, epoch } = *told;
    if !session.flags.has(Flags::LOG_CLOSE) {
        return None;
    }
    let event = event(origins, EventKind::Close(reason), session, now);
    let judged = if reason == CloseReason::Policy { epoch } else { event.judged };
    // A session that came by a record of a policy that is not known here has no rule of its own.
    let known = session.epoch != NO_EPOCH;
    let (rule, zones) = if known { (event.rule, event.zones) } else { (None, [None; 2]) };
    Some(Event { judged, rule, zones, translated, ..event })
}

fn event(origins: &Origins, kind: EventKind, session: &Session, now: Time) -> Event {
    Event {
        kind,
        key: session.key,
        initiator: session.direction(Peer::Initiator),
        translated: None,
        session: Some(origins.name(session.id)),
        rule: Some(session.rule),
        epoch: session.epoch,
        judged: session.epoch,
        zones: session.zones.map(Some),
        ingress: session.last_egress(Peer::Responder).map(|egress| egress.port),
        egress: session.last_egress(Peer::Initiator).map(|egress| egress.port),
        packets: session.packets,
        bytes: session.bytes,
        duration: session.age(now),
    }
}

/// The egress to remember, once its link-layer address is known.
fn egress(plan: &Plan) -> Option<Egress> {
    let Outcome::Forward(way) = plan.outcome else { return None };
    match way.link {
        Link::Untouched => Some(Egress { port: way.port, mac: [0; 6] }),
        Link::Routed(mac) => Some(Egress { port: way.port, mac }),
        Link::Unresolved(_) => None,
    }
}

/// Frames.
impl Engine {
    /// Rewrites the packet and sends it on its way. Returns the verdict, and whether the frame in
    /// hand itself is to be sent. Inlined, for nearly all packets come by one of its two callers.
    #[inline(always)]
    pub(crate) fn forward(
        &mut self,
        way: &Way,
        context: &Context<'_>,
        turn: Turn,
        body: &mut Body<'_>,
    ) -> (Verdict, bool) {
        let packet = &context.keyed.packet;
        if turn != Turn::Done {
            self.make_ready(context, body);
        }
        if !self.rewrites_simply(turn, packet, body)
            && let Some(rewriting) = self.rewriting(turn, context.keyed)
        {
            if rewriting.makes_another() {
                return self.forward_across(way, &rewriting, context, body);
            }
            rewriting.apply(body.bytes_mut(), packet);
        }
        let ports = &self.settings.ports;
        let frame = body.bytes_mut();
        let mut link = [0; 12];
        if let Some(addresses) = frame.first_chunk() {
            link = *addresses;
        }
        let own = ports[way.port.index()].mac;
        let next = match way.link {
            Link::Untouched => None,
            Link::Routed(mac) => {
                rewrite(frame, packet, mac, own);
                None
            }
            Link::Unresolved(next) => {
                rewrite(frame, packet, [0; 6], own);
                Some(next)
            }
        };
        let domain = ports[way.port.index()].domain;
        let waiting = Waiting { ingress: context.arrived.ingress, packets: 0, link, domain };
        let mut behind = false;
        if let Some(session) = self.held_session(context) {
            let longest = body.bytes().len().min(way.mtu as usize + LINK_HEADER_MAX);
            let goes = self.goes_unconfirmed(session, longest, context.now);
            if goes == Goes::Waits {
                let packet = self.wait_with(session, way, next, waiting);
                return (self.hold_for_backup(session.place(), packet, way, context, body), false);
            }
            behind = goes == Goes::Behind;
        }
        if let Some(next) = next {
            return (self.hold(way, next, waiting, context, body), false);
        }
        let in_hand = matches!(body, Body::Frame(_)) && context.bytes <= way.mtu && !behind;
        if !in_hand {
            self.send_by_outbox(way, context, body);
        }
        (Verdict::Forward(way.port), in_hand)
    }

    /// Completes a checksum that a sender left to hardware, and translates the numbers of a connection that a
    /// cookie has opened.
    #[inline(always)]
    pub(crate) fn make_ready(&self, context: &Context<'_>, body: &mut Body<'_>) {
        let packet = &context.keyed.packet;
        let port = self.settings.ports.get(context.arrived.ingress.index());
        if port.is_some_and(|port| port.checksum == Checksum::Trust)
            && checksum::transport_checksum_partial(body.bytes(), packet)
        {
            checksum::fill_transport_checksum(body.bytes_mut(), packet);
        }
        if let Some(relay) = &context.plan.relay {
            relay.rewrite(body.bytes_mut(), packet);
        }
    }

    /// Sends the packet behind what is in the outbox, in pieces if it is too long for its way.
    fn send_by_outbox(&mut self, way: &Way, context: &Context<'_>, body: &mut Body<'_>) {
        let (outbox, ledger) = (&mut self.outbox, &mut self.ledger);
        let mut send = |piece: &[u8]| {
            if !outbox.push(way.port, piece) {
                ledger.output_lost();
            }
        };
        match body {
            Body::Frame(frame) if context.bytes <= way.mtu => send(frame),
            Body::Frame(_) | Body::Datagram(_) => {
                pieces(&mut self.fragments, body, &context.keyed.packet, way.mtu, send);
            }
        }
    }

    /// Keeps the packet, in the pieces it will leave in, until `next` has a link-layer address.
    fn hold(
        &mut self,
        way: &Way,
        next: IpAddr,
        waiting: Waiting,
        context: &Context<'_>,
        body: &mut Body<'_>,
    ) -> Verdict {
        let (pending, ledger) = (&mut self.pending, &mut self.ledger);
        let mut packets = context.arrived.packets;
        let mut keep = |piece: &[u8]| {
            match pending.hold((way.port, next), piece, context.now, Waiting { packets, ..waiting })
            {
                Ok(_) => packets = 0, // the count stays with the first piece kept
                // A piece of a packet whose other pieces wait; else the packet itself is dropped.
                Err(_) if packets == 0 => ledger.output_lost(),
                Err(_) => {}
            }
        };
        match body {
            Body::Frame(frame) if context.bytes <= way.mtu => keep(frame),
            Body::Frame(_) | Body::Datagram(_) => {
                pieces(&mut self.fragments, body, &context.keyed.packet, way.mtu, keep);
            }
        }
        if packets > 0 {
            return Verdict::Drop(Reason::NeighbourQueueFull);
        }
        self.want(way.port, next);
        Verdict::Hold
    }

    /// Keeps the packet, in the pieces it will leave in, until the backup has its session.
    fn hold_for_backup(
        &mut self,
        place: u32,
        packet: HeldPacket,
        way: &Way,
        context: &Context<'_>,
        body: &mut Body<'_>,
    ) -> Verdict {
        let (held, ledger) = (&mut self.replication.held, &mut self.ledger);
        let mut packets = context.arrived.packets;
        let mut keep =
            |piece: &[u8]| match held.hold(place, piece, context.now, packet.standing_for(packets))
            {
                Ok(_) => packets = 0,
                Err(_) if packets == 0 => ledger.output_lost(),
                Err(_) => {}
            };
        match body {
            Body::Frame(frame) if context.bytes <= way.mtu => keep(frame),
            Body::Frame(_) | Body::Datagram(_) => {
                pieces(&mut self.fragments, body, &context.keyed.packet, way.mtu, keep);
            }
        }
        if packets > 0 { Verdict::Drop(Reason::HoldFull) } else { Verdict::Hold }
    }

    /// Asks the driver to resolve a next hop. A full queue is no loss: the next packet asks again.
    pub(crate) fn want(&mut self, port: PortId, next: IpAddr) {
        let room = self.resolve.len() < self.resolve.capacity();
        if room && !self.resolve.contains(&(port, next)) {
            self.resolve.push_back((port, next));
        }
    }

    /// Answers a packet of a control channel.
    pub(crate) fn answer_control(
        &mut self,
        answer: Answer,
        context: &Context<'_>,
        body: &Body<'_>,
    ) {
        let (packet, ingress) = (&context.keyed.packet, context.ingress());
        self.answerer().answer(answer, packet, ingress, body.bytes(), context.now);
    }

    /// What it takes to answer.
    fn answerer(&mut self) -> Answerer<'_> {
        let Self { settings, fib, limiter, outbox, ledger, .. } = self;
        Answerer { settings, fib, limiter, outbox, ledger }
    }
}

/// The part of an engine that answers: apart, so that the packet may lie in another part of it.
pub(crate) struct Answerer<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) fib: &'a Fib,
    pub(crate) limiter: &'a mut Limiter,
    pub(crate) outbox: &'a mut Outbox,
    pub(crate) ledger: &'a mut Ledger,
}

impl Answerer<'_> {
    /// Writes an answer into the outbox. The judge saw that it may be given.
    fn answer(
        &mut self,
        answer: Answer,
        packet: &Packet,
        ingress: PortId,
        frame: &[u8],
        now: Time,
    ) {
        if !answer.is_cookie() {
            self.limiter.spend(packet.source, now);
        }
        let source = self.error_source(ingress, packet);
        let written = self.outbox.push_with(ingress, ANSWER_FRAME_BYTES, |space| {
            answer.write(frame, packet, source, space).ok()
        });
        if written { self.ledger.answered() } else { self.ledger.output_lost() }
    }

    /// Sends an ICMP error about a packet that is no longer in hand, if it may be sent.
    pub(crate) fn answer_about(
        &mut self,
        answer: Answer,
        ingress: PortId,
        frame: &[u8],
        now: Time,
    ) {
        let Ok(packet) = Packet::parse(frame) else { return };
        let may = answer.may(frame, &packet).is_ok() && self.limiter.permits(packet.source, now);
        if may {
            self.answer(answer, &packet, ingress, frame, now);
        }
    }

    /// Where ICMP errors come from: an own address, or on a port without any the packet's own
    /// destination, as a wire that has no addresses must (IPv4: RFC 7600's dummy when routed).
    fn error_source(&self, ingress: PortId, packet: &Packet) -> IpAddr {
        let port = &self.settings.ports[ingress.index()];
        let own = self.fib.source_for(ingress, packet.source);
        own.unwrap_or(match (port.mode, packet.version) {
            (Mode::Routed, Version::V4) => DUMMY_V4,
            (Mode::Routed, Version::V6) | (Mode::Wire(_), _) => packet.destination,
        })
    }
}

/// Gives `emit` the packet in pieces of at most `mtu` bytes of IP.
fn pieces(
    fragments: &mut Fragments,
    body: &mut Body<'_>,
    packet: &Packet,
    mtu: u32,
    emit: impl FnMut(&[u8]),
) {
    match body {
        Body::Datagram(datagram) => {
            datagram.refragment(mtu, emit);
        }
        Body::Frame(frame) => {
            if let Some(mut datagram) = fragments.wrap(frame, packet) {
                datagram.refragment(mtu, emit);
                fragments.done(datagram);
            }
        }
    }
}

/// RFC 7600 §4.8: what a router without an IPv4 address sends ICMP errors from.
const DUMMY_V4: IpAddr = IpAddr::V4(core::net::Ipv4Addr::new(192, 0, 0, 8));

/// Bytes of an Ethernet header with two VLAN tags.
const LINK_HEADER_MAX: usize = ethernet::HEADER_LEN + 8;

/// Bytes of an IPv4 header without options.
const IPV4_HEADER: usize = 20;
/// Offset of the hop limit in the IPv6 header (RFC 8200 §3).
const IPV6_HOP_LIMIT: usize = 7;

/// What a router changes: link-layer addresses, and one hop less.
fn rewrite(frame: &mut [u8], packet: &Packet, to: [u8; 6], from: [u8; 6]) {
    if let Some(header) = frame.get_mut(..ethernet::HEADER_LEN) {
        header[ethernet::DESTINATION..ethernet::SOURCE].copy_from_slice(&to);
        header[ethernet::SOURCE..ethernet::SOURCE + 6].copy_from_slice(&from);
    }
    change_hop_limit(frame, packet, |hops| hops.saturating_sub(1));
}

/// Changes the hop limit, and with it the header's checksum.
pub(crate) fn change_hop_limit(frame: &mut [u8], packet: &Packet, with: impl Fn(u8) -> u8) {
    let network = packet.network as usize;
    match packet.version {
        Version::V4 => {
            let Some(header) = frame.get_mut(network..network + IPV4_HEADER) else { return };
            let old = u16::from_be_bytes([header[8], header[9]]);
            header[8] = with(header[8]);
            let new = u16::from_be_bytes([header[8], header[9]]);
            let sum = u16::from_be_bytes([header[10], header[11]]);
            header[10..12].copy_from_slice(&checksum::update16(sum, old, new).to_be_bytes());
        }
        Version::V6 => {
            if let Some(hop_limit) = frame.get_mut(network + IPV6_HOP_LIMIT) {
                *hop_limit = with(*hop_limit);
            }
        }
    }
}
