//! One worker's engine: its state, how it is controlled between bursts, how packets enter.

use core::net::IpAddr;
use std::collections::VecDeque;
use std::sync::Arc;

use wire::{Direction, FlowKey, FragmentKey, Packet, SLOTS, Slot, Time};

use crate::alg::Algs;
use crate::answer::{Limiter, Rates};
use crate::commit::Body;
use crate::event::{Event, Events};
use crate::fib::{Applied, Fib, FibChange};
use crate::fragment::{self, Datagram, Fragments};
use crate::ledger::Ledger;
use crate::limits::{RESOLVE_QUEUE, SESSIONS_MAX};
use crate::nat::Nat;
use crate::outbox::Outbox;
use crate::pending::Pending;
use crate::pipeline::Outcome;
use crate::policy::Policy;
use crate::proxy::Proxies;
use crate::replication::{Replication, Role};
use crate::rules::{Rules, short_epoch};
use crate::screen::{Screening, Sides};
use crate::session::{CloseReason, Session, SessionId};
use crate::straight::Straight;
use crate::sweep::{self, Sweep};
use crate::table::{Handle, SessionTable};
use crate::track;
use crate::{
    Arrived, Counters, Decision, Elsewhere, Mode, Port, PortId, Reason, RuleIndex, Shares, Verdict,
    WorkerId, ZoneId, integrity, pipeline,
};

/// What an engine is built from.
#[derive(Clone, Debug)]
pub struct Settings {
    /// This worker.
    pub worker: WorkerId,
    /// Node and run of the daemon, for session identities.
    pub node: u16,
    /// The run of the node's daemon.
    pub boot: u32,
    /// Key of the hash tables; nobody outside may guess it.
    pub seed: [u64; 2],
    /// The cluster's secret: places flows into slots.
    pub secret: [u64; 2],
    /// Sessions that fit; memory for them is taken at construction.
    pub sessions: u32,
    /// The ports, in `PortId` order.
    pub ports: Vec<Port>,
}

impl Settings {
    /// Each worker counts by itself, so its number stands above the bits that any counter reaches.
    pub(crate) fn session_id(&self, counter: u64) -> SessionId {
        let counter = u64::from(self.worker.0) << 48 | counter;
        SessionId { node: self.node, boot: self.boot, counter }
    }
}

/// The firewall of one worker.
#[derive(Debug)]
pub struct Engine {
    pub(crate) settings: Settings,
    pub(crate) owners: Arc<Owners>,
    /// Whether every slot is ours: then no packet's slot needs to be worked out.
    pub(crate) owns_all: bool,
    /// How many slots are ours: our share of what is limited for the whole node.
    pub(crate) slots: u16,
    /// Where many nodes own: who has which slot, and the version that was counted last.
    pub(crate) shares: Option<Arc<Shares>>,
    pub(crate) shares_counted: u64,
    pub(crate) policy: Arc<Policy>,
    pub(crate) rules: Rules,
    pub(crate) fib: Fib,
    pub(crate) table: SessionTable,
    pub(crate) tracking: track::Settings,
    pub(crate) sweep: Sweep,
    pub(crate) fragments: Fragments,
    pub(crate) reassembled: Option<Reassembled>,
    pub(crate) pending: Pending<(PortId, IpAddr), Waiting>,
    pub(crate) limiter: Limiter,
    pub(crate) outbox: Outbox,
    pub(crate) events: Events,
    pub(crate) resolve: VecDeque<(PortId, IpAddr)>,
    pub(crate) ledger: Ledger,
    pub(crate) replication: Replication,
    /// Where some zone has a screen.
    pub(crate) screening: Option<Box<Screening>>,
    /// The slot of the wall clock that cookies are made in.
    pub(crate) cookie_slot: u32,
    /// Of sessions that a cookie has opened: also when there are no screens any more.
    pub(crate) proxies: Proxies,
    /// Public addresses and mappings.
    pub(crate) nat: Nat,
    /// Control channels and what they have announced.
    pub(crate) algs: Algs,
    pub(crate) last_session: u64,
    /// The bucket that the packet in hand works on, for re-adoption after a panic.
    pub(crate) touched: Option<u64>,
}

/// Which worker of the node owns each slot.
pub type Owners = [WorkerId; SLOTS as usize];

/// A reassembled datagram that is being judged, or waits to be handed to its owner.
#[derive(Debug)]
pub(crate) struct Reassembled {
    pub(crate) datagram: Datagram,
    pub(crate) ingress: PortId,
}

/// What is remembered with a packet that waits for its next hop's link-layer address.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Waiting {
    /// The port that the packet came in by, for the ICMP error.
    pub(crate) ingress: PortId,
    /// Packets that it stands for.
    pub(crate) packets: u32,
    /// The link-layer addresses that it came with.
    pub(crate) link: [u8; 12],
    /// The routing domain that it leaves in.
    pub(crate) domain: u16,
}

/// Where a packet came from, for counting it once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// From a port of this worker.
    Port,
    /// From another worker, who received it.
    Peer,
    /// From another node, who received it and does not own it.
    Fabric,
    /// Counted before, and held since.
    Held,
}

/// What the parser says of a frame: all, if it is plain; else nothing, and it is read again in full
/// when it is decided about. So a burst's descriptors stay in the first-level cache.
#[derive(Clone, Copy, Debug)]
pub struct Parsed {
    /// The port it came in by.
    pub ingress: PortId,
    is_plain: bool,
    /// Meaningless unless the packet is plain.
    straight: Straight,
}

impl Parsed {
    /// Of a frame that has not been looked at, or is not plain. What follows gives the same answer
    /// for it as for one that was parsed.
    #[must_use]
    pub const fn nothing(ingress: PortId) -> Self {
        Self { ingress, is_plain: false, straight: Straight::NONE }
    }

    /// Whether the packet may go the straight way.
    #[must_use]
    pub const fn is_plain(&self) -> bool {
        self.is_plain
    }

    #[inline(always)]
    const fn straight(&self) -> Option<&Straight> {
        if self.is_plain { Some(&self.straight) } else { None }
    }
}

/// What a frame is, read in full.
#[derive(Clone, Copy, Debug)]
#[expect(clippy::large_enum_variant, reason = "nearly all are packets, and a box would allocate")]
pub(crate) enum Content {
    /// An IP packet.
    Ip(Keyed),
    /// Address resolution, at one end of a wire that passes it on (ARP, IPv6's neighbour discovery).
    Link,
    /// Not for the engine to judge: for the host, but nobody to give it to.
    Consume,
    /// Unfit.
    Refused(Reason),
}

/// A packet with what it is found by.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keyed {
    pub(crate) packet: Packet,
    /// Key and direction of the flow (of the embedded packet's, in an ICMP error).
    pub(crate) flow: Option<(FlowKey, Direction)>,
    pub(crate) fragment: Option<FragmentKey>,
    pub(crate) hash: u64,
    /// What screens count it by, where there are any.
    pub(crate) sides: Sides,
}

impl Content {
    fn is_fragment(&self) -> bool {
        matches!(self, Self::Ip(keyed) if keyed.fragment.is_some())
    }
}

impl Engine {
    /// An engine without routes, under a policy that denies everything, at `now`.
    #[must_use]
    pub fn new(mut settings: Settings, now: Time) -> Self {
        settings.sessions = settings.sessions.clamp(1, SESSIONS_MAX);
        let domains: Vec<u16> = settings.ports.iter().map(|port| port.domain).collect();
        let [seed, other] = settings.seed;
        let policy = Arc::new(deny_all());
        Self {
            owners: Arc::new([settings.worker; SLOTS as usize]),
            owns_all: true,
            slots: SLOTS,
            shares: None,
            shares_counted: 0,
            rules: Rules::new(&policy),
            policy,
            fib: Fib::new(&domains, seed),
            table: SessionTable::new(settings.sessions, settings.seed, now),
            tracking: track::Settings::default(),
            sweep: Sweep::default(),
            fragments: Fragments::new(fragment::Limits::default(), other),
            reassembled: None,
            pending: Pending::new(seed),
            limiter: Limiter::new(Rates::default(), other),
            outbox: Outbox::new(),
            events: Events::new(),
            resolve: VecDeque::with_capacity(RESOLVE_QUEUE),
            ledger: Ledger::default(),
            replication: Replication::new(settings.session_id(0), other),
            screening: None,
            cookie_slot: 0,
            proxies: Proxies::default(),
            nat: Nat::new(seed ^ other.rotate_left(32)),
            algs: Algs::default(),
            last_session: 0,
            touched: None,
            settings,
        }
    }
}

/// The policy before there is one: nothing passes.
fn deny_all() -> Policy {
    Policy::compile(&config::Policy::default(), 0, &[]).expect("an empty policy compiles")
}

/// Packets in, verdicts out.
impl Engine {
    /// Reads a frame, if it is one of those that nearly all are; pure.
    #[must_use]
    pub fn parse(&self, ingress: PortId, frame: &[u8]) -> Parsed {
        let mut parsed = Parsed::nothing(ingress);
        self.parse_into(&mut parsed, frame);
        parsed
    }

    /// [`Self::parse`] where the result is to be: `parsed` is [`Parsed::nothing`] yet.
    #[inline(never)]
    pub fn parse_into(&self, parsed: &mut Parsed, frame: &[u8]) {
        if let Some(port) = self.settings.ports.get(parsed.ingress.index()) {
            parsed.is_plain = parsed.straight.read_from(port, frame, &self.table);
        }
    }

    /// What a frame is, and by what screens count it.
    pub(crate) fn read(&self, ingress: PortId, frame: &[u8]) -> Content {
        self.read_as(ingress, frame, |packet| self.sides(ingress, packet))
    }

    /// What a frame is, and by what screens count it, if anybody asks.
    #[inline]
    fn read_as(
        &self,
        ingress: PortId,
        frame: &[u8],
        sides: impl FnOnce(&Packet) -> Sides,
    ) -> Content {
        let Some(port) = self.settings.ports.get(ingress.index()) else {
            return Content::Refused(Reason::NoZone);
        };
        match &Packet::parse(frame) {
            Ok(packet) => match integrity::network(port, frame, packet) {
                Ok(()) => match integrity::resolution(port, frame, packet) {
                    Some(content) => content,
                    None => self.keyed(port.domain, frame, packet, sides),
                },
                Err(reason) => Content::Refused(reason),
            },
            Err(malformed) => integrity::not_a_packet(port, *malformed),
        }
    }

    /// The packet with its keys.
    #[inline]
    fn keyed(
        &self,
        domain: u16,
        frame: &[u8],
        packet: &Packet,
        sides: impl FnOnce(&Packet) -> Sides,
    ) -> Content {
        let sides = sides(packet);
        if let Some(key) = FragmentKey::of(packet, domain) {
            let packet = *packet;
            return Content::Ip(Keyed { packet, flow: None, fragment: Some(key), hash: 0, sides });
        }
        let flow = if packet.is_icmp_error() {
            match Packet::parse_embedded(frame, packet) {
                Ok(embedded) => wire::embedded_key(&embedded, domain),
                Err(malformed) => return Content::Refused(malformed.into()),
            }
        } else {
            wire::flow_key(packet, domain)
        };
        let Some((key, _)) = flow else { return Content::Refused(Reason::IcmpUnrelated) };
        let hash = self.table.hash(&key);
        Content::Ip(Keyed { packet: *packet, flow, fragment: None, hash, sides })
    }

    /// What a frame is, for who only asks whose it is.
    fn read_unscreened(&self, ingress: PortId, frame: &[u8]) -> Content {
        self.read_as(ingress, frame, |_| Sides::default())
    }

    /// Has the memory fetched that deciding about a burst will need. In two passes, since the place of
    /// a session stands in its bucket: the fetches of one pass depend on nothing and overlap.
    /// `prefetch` is the driver's, who may speak to the processor; it may do nothing.
    #[inline]
    pub fn touch(&self, burst: &mut [Parsed], prefetch: impl Fn(*const u8) + Copy) {
        for parsed in &*burst {
            if parsed.is_plain {
                self.table.touch(parsed.straight.hash, prefetch);
            }
        }
        for parsed in burst {
            if parsed.is_plain {
                parsed.straight.guess = self.table.guess(parsed.straight.hash, prefetch);
            }
        }
    }

    /// Who has this packet's flow, if it is not ours; of a fragment, who puts its datagram together: us,
    /// if it is one of those `pieces` that who had it whole has sent here.
    #[must_use]
    #[inline]
    pub fn owner(&self, parsed: &Parsed, frame: &[u8], pieces: bool) -> Option<Elsewhere> {
        if self.owns_all {
            return None;
        }
        let ingress = parsed.ingress;
        if let Some(straight) = parsed.straight() {
            let plain = &straight.plain;
            if let Some(worker) = self.steered(&plain.key) {
                return self.other_than_us(worker);
            }
            return self.owner_of(self.slot_of_plain(ingress, &plain.key, plain.direction));
        }
        let content = self.read_unscreened(ingress, frame);
        if pieces && content.is_fragment() {
            return None;
        }
        self.owner_of_content(ingress, &content)
    }

    /// Who has what was read of a frame, if it is not ours.
    pub(crate) fn owner_of_content(&self, ingress: PortId, content: &Content) -> Option<Elsewhere> {
        match self.steered_content(content) {
            Some(worker) => self.other_than_us(worker),
            None => self.owner_of(self.slot_of(ingress, content)?),
        }
    }

    /// Whether other nodes own some of the slots.
    #[inline]
    #[must_use]
    pub const fn shares_slots(&self) -> bool {
        self.shares.is_some()
    }

    fn other_than_us(&self, worker: WorkerId) -> Option<Elsewhere> {
        (worker != self.settings.worker).then_some(Elsewhere::Worker(worker))
    }

    /// The worker of a flow that a control channel has announced.
    #[inline]
    fn steered(&self, key: &FlowKey) -> Option<WorkerId> {
        self.algs.rudder.as_ref()?.find(key)
    }

    fn steered_content(&self, content: &Content) -> Option<WorkerId> {
        match content {
            Content::Ip(keyed) => self.steered(&keyed.flow.as_ref()?.0),
            Content::Link | Content::Consume | Content::Refused(_) => None,
        }
    }

    /// The slot that a frame belongs to. Not worked out with the rest: SipHash is a tenth of a packet's
    /// work, and on a node with one worker nobody asks.
    pub(crate) fn slot_of(&self, ingress: PortId, content: &Content) -> Option<Slot> {
        match content {
            Content::Ip(keyed) => self.slot_of_packet(ingress, keyed),
            Content::Link | Content::Consume | Content::Refused(_) => None,
        }
    }

    /// Who has this slot, if it is not ours.
    pub(crate) fn owner_of(&self, slot: Slot) -> Option<Elsewhere> {
        if let Some(elsewhere) = self.shares.as_ref().and_then(|shares| shares.elsewhere(slot)) {
            return Some(elsewhere);
        }
        self.worker_of(slot).map(Elsewhere::Worker)
    }

    /// The other worker of this node that has the sessions of a slot, whichever node owns it.
    pub(crate) fn worker_of(&self, slot: Slot) -> Option<WorkerId> {
        let worker = self.owners.get(usize::from(slot.0)).copied();
        worker.filter(|worker| *worker != self.settings.worker)
    }

    /// Whether a slot is ours.
    #[inline]
    pub(crate) fn owns(&self, slot: Slot) -> bool {
        self.owns_all || self.owner_of(slot).is_none()
    }

    /// Judges a packet and carries the verdict out: counters, session, the frame's own bytes, and
    /// frames for the outbox.
    #[inline]
    pub fn decide(
        &mut self,
        origin: Origin,
        parsed: &Parsed,
        frame: &mut [u8],
        now: Time,
    ) -> Decision {
        self.ledger.take(origin, 1);
        if let Some(straight) = parsed.straight() {
            self.touched = Some(straight.hash);
            if self.screening.is_some()
                && let Some(reason) = self.screen_plain(&straight.plain, parsed.ingress, now)
            {
                return self.drop_plain(straight, parsed.ingress, reason);
            }
            if let Some(decision) = self.go_straight(straight, parsed.ingress, frame, now) {
                self.ledger.settle_forwarded();
                return decision;
            }
        }
        self.decide_in_full(parsed.ingress, frame, now)
    }

    /// What the screen refuses on the straight way.
    #[cold]
    fn drop_plain(&mut self, straight: &Straight, ingress: PortId, reason: Reason) -> Decision {
        let reason = match self.replication.role {
            Role::Owner => reason,
            Role::Backup => Reason::NotOwner,
        };
        self.observe_plain(&straight.plain, ingress, reason);
        let decision = Decision::bare(Verdict::Drop(reason));
        self.ledger.settle(&decision);
        decision
    }

    #[inline(never)]
    fn decide_in_full(&mut self, ingress: PortId, frame: &mut [u8], now: Time) -> Decision {
        let arrived = Arrived { ingress, packets: 1, pieces: None };
        let decision = match &self.read(ingress, frame) {
            Content::Refused(reason) => {
                self.observe_refused(ingress, frame, *reason);
                Decision::bare(Verdict::Drop(*reason))
            }
            Content::Link | Content::Ip(_) if self.replication.role == Role::Backup => {
                Decision::bare(Verdict::Drop(Reason::NotOwner))
            }
            Content::Consume => Decision::bare(Verdict::Consume),
            Content::Link => self.pass_link(ingress),
            Content::Ip(keyed) => match &keyed.fragment {
                Some(key) => return self.fragment(keyed, key, ingress, frame, now),
                None => self.decide_packet(keyed, arrived, &mut Body::Frame(frame), now),
            },
        };
        self.ledger.settle(&decision);
        decision
    }

    /// Counts `packets` that the driver itself drops.
    pub fn refuse(&mut self, origin: Origin, reason: Reason, packets: u32) {
        self.ledger.take(origin, packets);
        let decision = Decision { packets, ..Decision::bare(Verdict::Drop(reason)) };
        self.ledger.settle(&decision);
    }

    /// Counts packets that came here and were given to the worker who owns them, or could not be.
    pub fn hand_off(&mut self, origin: Origin, given: bool, packets: u32) {
        self.ledger.take(origin, packets);
        self.ledger.hand_off(given, packets);
    }

    /// Takes a `forward` back because the port could not take the frame.
    pub fn retract(&mut self, reason: Reason, packets: u32) {
        self.ledger.retract(reason, packets);
    }

    fn pass_link(&self, ingress: PortId) -> Decision {
        let port = self.settings.ports.get(ingress.index());
        let verdict = match port.map(|port| port.mode) {
            Some(Mode::Wire(peer)) => Verdict::Forward(peer),
            Some(Mode::Routed) | None => Verdict::Drop(Reason::NotIp),
        };
        Decision { in_hand: true, ..Decision::bare(verdict) }
    }

    pub(crate) fn decide_packet(
        &mut self,
        keyed: &Keyed,
        arrived: Arrived,
        body: &mut Body<'_>,
        now: Time,
    ) -> Decision {
        self.touched = Some(keyed.hash);
        let chosen = pipeline::Chosen::default();
        let seen = (body.bytes(), &chosen);
        let plan = pipeline::judge(self, keyed, arrived, seen, now, &mut pipeline::Unwatched);
        if let Outcome::Vouched(proof) = plan.outcome {
            return self.vouch(&proof, keyed, arrived, body, now);
        }
        let bound = self.nat.settle(chosen);
        let decision = self.commit((&plan, bound.as_ref()), keyed, arrived, body, now);
        if self.screening.is_some() {
            self.observe(&plan, keyed, arrived, now);
        }
        decision
    }
}

/// Control, between two bursts.
impl Engine {
    /// Puts another policy in force. Sessions are looked at again when their next packet comes, or the
    /// sweep of the next ticks.
    pub fn set_policy(&mut self, policy: Arc<Policy>) {
        self.rules.switch(&self.policy, &policy);
        self.fragments.configure(policy.timeouts().fragment, true);
        let same_zones = self.policy.zones() == policy.zones();
        self.policy = policy;
        self.tracking = sweep::tracking(self);
        self.set_screens(same_zones);
        self.prepare_nat();
        self.prepare_algs();
        self.sweep.start();
    }

    /// Takes what the policy in force needs for translation.
    pub(crate) fn prepare_nat(&mut self) {
        let Self { nat, policy, fib, settings, table, .. } = self;
        if !policy.translations().is_empty() {
            nat.prepare(policy, fib, &settings.ports, table.capacity());
            table.reserve_twins();
        }
    }

    /// The policy in force.
    #[must_use]
    pub fn policy(&self) -> &Arc<Policy> {
        &self.policy
    }

    /// Hits of the rules of the policy in force.
    #[must_use]
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Sets which worker owns which slot.
    pub fn set_owners(&mut self, owners: Arc<Owners>) {
        self.owners = owners;
        self.count_slots();
    }

    /// From now on many nodes own, each its slots.
    pub fn set_shares(&mut self, shares: Arc<Shares>) {
        self.shares = Some(shares);
        self.count_slots();
    }

    /// Counts our slots anew if nodes have exchanged some.
    pub(crate) fn follow_shares(&mut self) {
        let version = self.shares.as_ref().map(|shares| shares.version());
        if version.is_some_and(|version| version != self.shares_counted) {
            self.count_slots();
        }
    }

    fn count_slots(&mut self) {
        // Before they are counted: what changes meanwhile is counted again.
        self.shares_counted = self.shares.as_ref().map_or(0, |shares| shares.version());
        let ours = (0..SLOTS).filter(|slot| self.owner_of(Slot(*slot)).is_none());
        self.slots = ours.count() as u16;
        // Others may have some of them with the next packet.
        self.owns_all = self.slots == SLOTS && self.shares.is_none();
    }

    /// Carries out changes of routes, neighbours and addresses; packets that waited for one leave by
    /// the outbox.
    pub fn apply(&mut self, changes: &[FibChange]) -> Applied {
        let mut worst = Applied::Unchanged;
        for change in changes {
            match self.fib.apply(change) {
                Applied::Full => worst = Applied::Full,
                Applied::Changed if worst == Applied::Unchanged => worst = Applied::Changed,
                Applied::Changed | Applied::Unchanged => {}
            }
            self.release_waiting(change);
        }
        if self.policy.translations().masquerades
            && changes.iter().any(|change| matches!(change, FibChange::PortAddresses { .. }))
        {
            self.prepare_nat();
        }
        worst
    }

    /// Changes what is known of a port: link state, MAC, MTU.
    pub fn set_port(&mut self, port: PortId, with: impl FnOnce(&mut Port)) {
        if let Some(port) = self.settings.ports.get_mut(port.index()) {
            with(port);
        }
    }

    /// This engine's share of a limit of the whole node: the part that it has of the slots, rounded up,
    /// so that a small limit leaves no worker without any session.
    pub(crate) fn share(&self, max: u32) -> u32 {
        (u64::from(max) * u64::from(self.slots)).div_ceil(u64::from(SLOTS)) as u32
    }

    /// The ports, in `PortId` order.
    #[must_use]
    pub fn ports(&self) -> &[Port] {
        &self.settings.ports
    }

    /// Routes, neighbours, own addresses.
    #[must_use]
    pub fn fib(&self) -> &Fib {
        &self.fib
    }

    /// The session table, for reading.
    #[must_use]
    pub fn sessions(&self) -> &SessionTable {
        &self.table
    }

    /// Ends a session, because an operator or a driver wants it.
    pub fn end_session(&mut self, handle: Handle, reason: CloseReason, now: Time) {
        self.close(handle, reason, now);
    }

    /// The session's rule in the policy in force; `None` when it is gone.
    #[must_use]
    pub fn rule_of(&self, session: &Session) -> Option<RuleIndex> {
        match session.epoch == short_epoch(&self.policy) {
            true => Some(session.rule),
            false => self.rules.now(session.epoch, session.rule),
        }
    }

    /// The zones of its initiator and responder in the policy in force, as far as they are known.
    #[must_use]
    pub fn zones_of(&self, session: &Session) -> [Option<ZoneId>; 2] {
        session.zones.map(|zone| match session.epoch == short_epoch(&self.policy) {
            true => Some(zone),
            false => self.rules.zone_now(session.epoch, zone),
        })
    }

    /// This worker.
    #[must_use]
    pub fn worker(&self) -> WorkerId {
        self.settings.worker
    }

    /// The full name of a session, from what the session stores of it.
    #[must_use]
    pub fn session_id(&self, stored: u64) -> SessionId {
        self.replication.origins.name(stored)
    }

    /// What was counted so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        self.ledger.counters()
    }

    /// Puts the engine right after a panic: checks the table where the packet in hand worked.
    pub fn recover(&mut self) -> Recovered {
        let repairs = self.touched.take().map_or(0, |hash| self.table.audit_bucket(hash));
        if repairs > 0 || self.rules.sessions() as usize != self.table.len() {
            let table = &self.table;
            let places = 0..table.places();
            self.rules.recount(places.filter_map(|place| Some(table.at(place)?.1)));
            let twins = (0..table.places()).filter_map(|place| {
                let (handle, session) = table.at(place)?;
                Some((session, table.twin(handle, session)?))
            });
            self.nat.recount(twins);
            self.recount_announced();
            if let Some(screening) = &mut self.screening {
                screening.recount();
                self.sweep.start();
            }
        }
        self.reassembled = None;
        self.fragments.recover();
        Recovered { repairs, in_flight: self.ledger.settle_poisoned() }
    }
}

/// What [`Engine::recover`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// Table entries put right.
    pub repairs: usize,
    /// Whether a packet had been taken and had no verdict; it is counted as `poison` now.
    pub in_flight: bool,
}

/// Output, after each packet or burst.
impl Engine {
    /// Whether anything waits to be taken out.
    #[must_use]
    pub fn has_output(&self) -> bool {
        !self.outbox.is_empty() || !self.events.is_empty()
    }

    /// Frames to send besides the one in hand.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// The oldest session event.
    pub fn next_event(&mut self) -> Option<Event> {
        self.events.pop()
    }

    /// A next hop whose link-layer address is wanted.
    pub fn next_resolve(&mut self) -> Option<(PortId, IpAddr)> {
        self.resolve.pop_front()
    }

    /// Counts a frame of the outbox that could not be sent.
    pub fn output_lost(&mut self) {
        self.ledger.output_lost();
    }

    /// Counts an event that found no room in the driver's ring.
    pub fn event_lost(&mut self) {
        self.ledger.event_lost();
    }
}
