//! The order of the stages, and nothing else: this is the one file that knows it.
//!
//! ```text
//! parse ► integrity ► screen ► transit? ► hop limit ► lookup
//!   lookup ─┬─ hit  ► tracker ► rematch ─────────────────────────┬► route ► MTU ► forward
//!           ├─ miss ► tracker ► screen ► route ► policy ► limits ┘
//!           └─ ICMP error ► its session ► route
//! ```
//!
//! [`judge`] reads and decides, changing nothing; [`commit`](crate::commit) carries the plan out with
//! code that cannot fail. So a panic while judging leaves everything as it was, and `explain` is the
//! same judge with somebody watching.

mod announced;
mod proxied;
mod related;
mod translated;
mod watch;

use core::cell::Cell;
use core::net::IpAddr;

use wire::{Options, Packet, Time, Version};

use wire::cookie::Proof;

pub(crate) use self::announced::NO_LIFE;
pub(crate) use self::proxied::judge_vouched;
pub use self::watch::Stage;
pub(crate) use self::watch::{Unwatched, Watch};
use crate::alg::Speech;
use crate::answer::{Answer, Unreachable};
use crate::engine::{Engine, Keyed};
use crate::fib::Lookup;
use crate::nat::{Binding, Place, Toward};
use crate::policy::{self, LifeIndex, Question};
use crate::proxy::Relay;
use crate::rematch::{self, Rematch};
use crate::replication::Role;
use crate::rules::short_epoch;
use crate::screen::Gate;
use crate::session::{CloseReason, Egress, Flags, Peer, Session};
use crate::sweep;
use crate::table::{Handle, Refused, Side};
use crate::track::{self, Update};
use crate::{Anomaly, Arrived, Mode, PortId, Reason, RuleIndex, State, ZoneId, integrity};

/// A session, and by which of its keys it was found.
type Located<'a> = ((Handle, Side), &'a Session);

/// What is to happen to a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) outcome: Outcome,
    pub(crate) state: State,
    /// The rule that was asked, of the policy in force.
    pub(crate) rule: Option<RuleIndex>,
    /// A rule, or the lack of one, decided just now: it is hit.
    pub(crate) hit: bool,
    /// What happens to the session table.
    pub(crate) session: Change,
    /// What is done to the packet, if its session was opened by a cookie.
    pub(crate) relay: Option<Relay>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Outcome {
    Forward(Way),
    Answer(Answer),
    Consume,
    Drop(Reason),
    /// Its cookie is right: the SYN that it stands for is to be judged.
    Vouched(Proof),
}

/// How a packet leaves.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Way {
    pub(crate) port: PortId,
    pub(crate) link: Link,
    /// Longest IP packet that may leave in one piece; longer ones are fragmented.
    pub(crate) mtu: u32,
}

/// What happens to the link-layer header.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Link {
    /// Nothing: the other end of a wire.
    Untouched,
    /// New addresses, hop limit less one.
    Routed([u8; 6]),
    /// The same, once this next hop's address is known.
    Unresolved(IpAddr),
}

/// What happens to the session table.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    None,
    /// A packet of this session.
    Follow {
        handle: Handle,
        sender: Peer,
        update: Update,
        rematched: Option<Permission>,
    },
    /// A new session; `stale` stood under its key and has ended.
    Open {
        update: Update,
        zones: [ZoneId; 2],
        life: LifeIndex,
        stale: Option<(Handle, CloseReason)>,
    },
    /// This session ends, and the packet with it.
    Close {
        handle: Handle,
        reason: CloseReason,
    },
    /// An ICMP error has said that this session's packets find no destination.
    Unreachable {
        handle: Handle,
        anomaly: Anomaly,
    },
    /// A refused first packet that is to be logged, and where it would have left.
    Deny {
        to: ZoneId,
        egress: PortId,
    },
}

/// A first packet that a rule permits, and its way on.
#[derive(Clone, Copy, Debug)]
struct Permitted {
    way: Way,
    permission: Permission,
}

/// A first packet that opens no session.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    outcome: Outcome,
    rule: Option<RuleIndex>,
    /// The rule, or the lack of one, decided.
    hit: bool,
    /// Where the packet would have left, if that is known.
    toward: Option<(ZoneId, PortId)>,
}

/// What permits a session, be it a new one or that of an older epoch, under the policy in force.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Permission {
    pub(crate) rule: RuleIndex,
    /// The zones of initiator and responder, by their numbers of today.
    pub(crate) zones: [ZoneId; 2],
    pub(crate) life: LifeIndex,
}

/// Decides about a whole packet (never a fragment).
#[inline]
pub(crate) fn judge(
    engine: &Engine,
    keyed: &Keyed,
    arrived: Arrived,
    (frame, chosen): (&[u8], &Chosen),
    now: Time,
    watch: &mut impl Watch,
) -> Plan {
    let gate = engine.gate(arrived.ingress, keyed, now);
    let judge = Judge::new(engine, (keyed, gate.as_ref()), arrived, (frame, chosen), now);
    let mut plan = match judge.entrance(watch) {
        Some(outcome) => Plan::bare(outcome),
        None => judge.lookup(watch),
    };
    if let Outcome::Answer(answer) = plan.outcome {
        plan.outcome = judge.audible(answer);
    }
    watch.stage(Stage::Verdict, || format!("{:?}", plan.outcome));
    plan
}

/// One packet before its judge.
struct Judge<'a> {
    engine: &'a Engine,
    keyed: &'a Keyed,
    packet: &'a Packet,
    arrived: Arrived,
    frame: &'a [u8],
    now: Time,
    /// Its sender has proved that it is there.
    vouched: bool,
    /// What its destination means, where `packet` says that.
    toward: Option<Toward>,
    /// A control channel has announced its session, and perhaps what is to be read of it.
    announced: Option<Option<Speech>>,
    chosen: &'a Chosen,
    /// The screen that the packet meets, where there are any.
    gate: Option<&'a Gate<'a>>,
}

/// Where the judge leaves how a new session will be translated: few are, so the plan has no room for it.
#[derive(Debug, Default)]
pub(crate) struct Chosen {
    pub(crate) binding: Cell<Option<Binding>>,
    /// The public address of which no port was left, if the packet is refused for that.
    pub(crate) full: Cell<Option<Place>>,
}

impl<'a> Judge<'a> {
    const fn new(
        engine: &'a Engine,
        (keyed, gate): (&'a Keyed, Option<&'a Gate<'a>>),
        arrived: Arrived,
        (frame, chosen): (&'a [u8], &'a Chosen),
        now: Time,
    ) -> Self {
        let (packet, vouched, toward) = (&keyed.packet, false, None);
        let announced = None;
        Self {
            engine,
            keyed,
            packet,
            arrived,
            frame,
            now,
            vouched,
            toward,
            announced,
            chosen,
            gate,
        }
    }
}

impl Judge<'_> {
    /// What needs no session. `None` lets the packet in.
    #[inline]
    fn entrance(&self, watch: &mut impl Watch) -> Option<Outcome> {
        // A backup judges nothing.
        if self.engine.replication.role == Role::Backup {
            return Some(Outcome::Drop(Reason::NotOwner));
        }
        let port = self.engine.settings.ports.get(self.arrived.ingress.index())?;
        if let Err(reason) = integrity::transport(port, self.frame, self.packet) {
            watch.stage(Stage::Integrity, || reason.explain().to_owned());
            return Some(Outcome::Drop(reason));
        }
        watch.stage(Stage::Integrity, || "headers and checksums are right".to_owned());
        if let Some(gate) = self.gate
            && let Some(outcome) = self.screen(gate, watch)
        {
            return Some(outcome);
        }
        if port.mode != Mode::Routed {
            return None;
        }
        match integrity::transit(self.packet) {
            integrity::Transit::Yes => {}
            integrity::Transit::ForRouter => return Some(Outcome::Consume),
            integrity::Transit::No(reason) => {
                watch.stage(Stage::Transit, || reason.explain().to_owned());
                return Some(Outcome::Drop(reason));
            }
        }
        let expired = self.packet.hop_limit <= 1;
        watch.stage(Stage::Transit, || match expired {
            true => "the hop limit runs out here".to_owned(),
            false => "a packet to be routed".to_owned(),
        });
        expired.then_some(Outcome::Answer(Answer::HopLimit))
    }

    #[inline]
    fn lookup(&self, watch: &mut impl Watch) -> Plan {
        let Some((key, direction)) = &self.keyed.flow else {
            return Plan::drop(Reason::IcmpUnrelated);
        };
        let found = self.engine.table.locate(self.keyed.hash, key);
        let live = found.and_then(|found| Some((found, self.engine.table.get(found.0)?)));
        if self.packet.is_icmp_error() {
            return self.related(live, watch);
        }
        let Some((found, session)) = live else {
            watch.stage(Stage::Lookup, || "no session".to_owned());
            return self.open(None, watch);
        };
        if self.engine.replication.ends(session) <= self.now {
            watch.stage(Stage::Lookup, || "its session's time is over".to_owned());
            return self.open(Some((found.0, session.expiry_reason())), watch);
        }
        let Some(sender) = self.engine.sender(found, session, *direction) else {
            return self.bypassed(watch);
        };
        watch.stage(Stage::Lookup, || format!("session {}, from its {sender:?}", session.id));
        match self.leaving(found.0, session, sender) {
            None => self.follow(found.0, session, sender, watch),
            Some(packet) => self.of(&packet).follow(found.0, session, sender, watch),
        }
    }

    /// A packet of a session.
    fn follow(
        &self,
        handle: Handle,
        session: &Session,
        sender: Peer,
        watch: &mut impl Watch,
    ) -> Plan {
        if !self.enters_by_its_zone(session, sender) {
            watch.stage(Stage::Lookup, || Reason::ZoneMismatch.explain().to_owned());
            return Plan::invalid(Reason::ZoneMismatch);
        }
        let forgetful;
        let session = if session.epoch == short_epoch(&self.engine.policy) {
            session
        } else {
            forgetful = session.of_epoch(short_epoch(&self.engine.policy));
            &forgetful
        };
        if let Some(proxied) = self.engine.proxies.of(handle, session) {
            return self.follow_proxied(handle, session, sender, proxied, watch);
        }
        if let Some(control) = self.engine.algs.controls.of(handle, session) {
            return self.follow_control(handle, session, sender, control, watch);
        }
        let judgement = self.track(handle, session, sender);
        self.follow_judged(handle, session, sender, judgement, None, watch)
    }

    /// The same, once its tracker has spoken.
    fn follow_judged(
        &self,
        handle: Handle,
        session: &Session,
        sender: Peer,
        judgement: track::Judgement,
        relay: Option<Relay>,
        watch: &mut impl Watch,
    ) -> Plan {
        let update = match judgement {
            track::Judgement::Pass(update) => update,
            track::Judgement::Ask(update) => return self.ask(handle, sender, update, watch),
            track::Judgement::Reopen => {
                watch.stage(Stage::Tracker, || "a new connection on an ended one's ports".into());
                return self.open(Some((handle, CloseReason::Reopened)), watch);
            }
            track::Judgement::Challenge { sequence, acknowledgment } => {
                watch.stage(Stage::Tracker, || "must prove itself after a takeover".to_owned());
                let answer = Answer::Challenge { sequence, acknowledgment };
                return Plan { state: State::Invalid, ..Plan::answer(answer) };
            }
            track::Judgement::Invalid(reason) => {
                let proof = self.proof_against(session, reason, watch);
                return proof.unwrap_or_else(|reason| {
                    watch.stage(Stage::Tracker, || reason.explain().to_owned());
                    Plan::invalid(reason)
                });
            }
        };
        watch.stage(Stage::Tracker, || format!("fits, in state {:?}", session.tcp.state()));
        let state = match session.is_established_for(sender) {
            true => State::Established,
            false => State::New,
        };
        let current = session.epoch == short_epoch(&self.engine.policy);
        let (rule, rematched) =
            match (!current).then(|| self.rematch(handle, session, sender, watch)) {
                None => (Some(session.rule), None),
                Some(Rematch::Postponed(rule)) => (rule, None),
                Some(Rematch::Kept(rule)) => (Some(rule), None),
                Some(Rematch::Permitted(permission)) => (Some(permission.rule), Some(permission)),
                Some(Rematch::Refused(rule)) => {
                    let session = Change::Close { handle, reason: CloseReason::Policy };
                    return Plan { state, rule, session, ..Plan::drop(Reason::PolicyChanged) };
                }
            };
        let change = Change::Follow { handle, sender, update, rematched };
        let cached = session.egress(sender, self.engine.fib.generation());
        let outcome = match cached {
            Some(Egress { port, mac }) => self.leave(port, Link::Routed(mac)),
            None => self.route(watch),
        };
        match outcome {
            Outcome::Forward(_) => {
                Plan { state, rule, session: change, relay, ..Plan::bare(outcome) }
            }
            // The peer will not see this packet, so the session must not either.
            Outcome::Answer(_) | Outcome::Consume | Outcome::Drop(_) | Outcome::Vouched(_) => {
                Plan { state, rule, ..Plan::bare(outcome) }
            }
        }
    }

    /// What the packet means for its session; after a takeover, more may be true than is known.
    fn track(&self, handle: Handle, session: &Session, sender: Peer) -> track::Judgement {
        let (tracking, now) = (&self.engine.tracking, self.now);
        match self.engine.replication.recovery(handle, session) {
            None => track::judge(session, sender, self.packet, tracking, now),
            Some(recovery) => {
                track::judge_recovering(session, sender, self.packet, tracking, now, &recovery)
            }
        }
    }

    /// Whether the packet enters by a port of its sender's zone. Without this, a host in one zone could
    /// speak within a session between two others by forging addresses.
    fn enters_by_its_zone(&self, session: &Session, sender: Peer) -> bool {
        let policy = &self.engine.policy;
        let entered = policy.zone_of_port(self.arrived.ingress);
        if session.epoch == short_epoch(policy) {
            return entered == Some(session.zones[sender.index()]);
        }
        rematch::zone_today(self.engine, session, sender).is_none_or(|zone| entered == zone)
    }

    /// A packet that opens its session from the other side too: it needs a permission of its own.
    fn ask(&self, handle: Handle, sender: Peer, update: Update, watch: &mut impl Watch) -> Plan {
        watch.stage(Stage::Tracker, || "opens its session from the other side".to_owned());
        // To a public address nobody asks but by a mapping, and queries have none.
        let translated = |session: &Session| session.flags.has(Flags::TRANSLATED);
        if self.engine.table.get(handle).is_some_and(translated) {
            return Plan::invalid(Reason::NatUnmapped);
        }
        match self.ask_policy(watch) {
            Ok(Permitted { way, permission }) => {
                let session = Change::Follow { handle, sender, update, rematched: None };
                Plan { session, ..permitted_by(permission.rule, way) }
            }
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// A session of an older epoch is looked at again.
    fn rematch(
        &self,
        handle: Handle,
        session: &Session,
        sender: Peer,
        watch: &mut impl Watch,
    ) -> Rematch {
        let policy = &self.engine.policy;
        // Without a way on, this packet goes nowhere; the next one is asked again.
        let zones = self.other_port(session, sender).map(|there| {
            let zones = [self.arrived.ingress, there].map(|port| policy.zone_of_port(port));
            in_order(sender, zones)
        });
        let twin = self.engine.table.twin(handle, session);
        let rematch = rematch::judge(self.engine, session, zones, |zones| {
            if twin.is_some() {
                return sweep::question(session, twin, zones);
            }
            let [here, there] = in_order(sender, zones);
            Some(self.first_question(sender, here, there))
        });
        if let Rematch::Permitted(permission) = &rematch {
            let rule = &policy.rule(permission.rule).id;
            watch.stage(Stage::Policy, || format!("an older epoch's session, now by {rule}"));
        }
        rematch
    }

    /// The port that the packet in hand leaves by, if it leaves.
    fn other_port(&self, session: &Session, sender: Peer) -> Option<PortId> {
        let cached = session.egress(sender, self.engine.fib.generation()).map(|egress| egress.port);
        cached.or_else(|| match self.route(&mut Unwatched) {
            Outcome::Forward(way) => Some(way.port),
            Outcome::Answer(_) | Outcome::Consume | Outcome::Drop(_) | Outcome::Vouched(_) => None,
        })
    }

    /// A packet that would open a session where it leads.
    fn open_here(&self, stale: Option<(Handle, CloseReason)>, watch: &mut impl Watch) -> Plan {
        // With a session this is answered by its route; without, before anything else.
        let domain = self.engine.fib.domain_of(self.arrived.ingress).unwrap_or_default();
        if self.toward.is_none() && self.engine.fib.is_own(domain, self.packet.destination) {
            return Plan::drop(Reason::LocalDestination);
        }
        // Nobody sends from all hosts of a network; whoever answers would answer to all (smurf).
        if self.engine.fib.is_broadcast(domain, self.packet.source) {
            return Plan::drop(Reason::SourceInvalid);
        }
        match track::open(self.packet, &self.engine.tracking) {
            Ok(update) => {
                watch.stage(Stage::Tracker, || "may open a session".to_owned());
                if let Some(reason) = self.gate.and_then(|gate| gate.beginning(self.vouched)) {
                    watch.stage(Stage::Screen, || reason.explain().to_owned());
                    return Plan { state: State::New, ..Plan::drop(reason) };
                }
                self.open_with(update, stale, watch)
            }
            Err(reason) => self.proof(reason, watch).unwrap_or_else(|reason| {
                self.pick_up(stale, watch).unwrap_or_else(|| {
                    watch.stage(Stage::Tracker, || reason.explain().to_owned());
                    Plan::invalid(reason)
                })
            }),
        }
    }

    /// A TCP segment that is no beginning, where the rule that permits it wants no beginning.
    fn pick_up(
        &self,
        stale: Option<(Handle, CloseReason)>,
        watch: &mut impl Watch,
    ) -> Option<Plan> {
        if !self.engine.policy.picks_up() {
            return None;
        }
        let update = track::pick_up(self.packet, &self.engine.tracking)?;
        watch.stage(Stage::Tracker, || "may be picked up, if its rule says so".to_owned());
        let permitted = self.ask_policy(watch).ok()?;
        let wanted = self.engine.policy.rule(permitted.permission.rule).pick_up;
        wanted.then(|| self.open_permitted(update, permitted, stale, watch))
    }

    /// A packet that needs a rule's permission to open a session.
    fn open_with(
        &self,
        update: Update,
        stale: Option<(Handle, CloseReason)>,
        watch: &mut impl Watch,
    ) -> Plan {
        match self.ask_policy(watch) {
            Ok(permitted) => self.open_permitted(update, permitted, stale, watch),
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// A session that a rule permits needs a place too.
    fn open_permitted(
        &self,
        update: Update,
        permitted: Permitted,
        stale: Option<(Handle, CloseReason)>,
        watch: &mut impl Watch,
    ) -> Plan {
        let Permitted { way, permission: Permission { rule, zones, life } } = permitted;
        if let Some(reason) = self.beyond_limit(rule, zones[0], stale, watch) {
            let outcome = Outcome::Drop(reason);
            let toward = Some((zones[1], way.port));
            return self.refuse(Refusal { outcome, rule: Some(rule), hit: true, toward });
        }
        // It could not even wait; a session for each would fill the table with what nobody will answer.
        if matches!(way.link, Link::Unresolved(_)) && !self.engine.pending.has_room() {
            return Plan { state: State::New, ..Plan::drop(Reason::NeighbourQueueFull) };
        }
        let Some(stale) = stale.map_or_else(|| self.make_room(), |stale| Some(Some(stale))) else {
            return Plan { state: State::New, ..Plan::drop(Reason::TableFull) };
        };
        if !self.engine.is_untranslated() {
            let ending = stale.map(|(handle, _)| handle);
            if let Err(reason) = self.bind(&permitted, ending, watch) {
                let (outcome, toward) = (Outcome::Drop(reason), Some((zones[1], way.port)));
                return self.refuse(Refusal { outcome, rule: Some(rule), hit: true, toward });
            }
        }
        let session = Change::Open { update, zones, life, stale };
        let relay = self.begin(rule).map(Relay::Begin);
        Plan { session, relay, ..permitted_by(rule, way) }
    }

    /// Which of the limits of its rule and zone one more session would go beyond, once the one that it
    /// takes the place of is gone.
    fn beyond_limit(
        &self,
        rule: RuleIndex,
        zone: ZoneId,
        stale: Option<(Handle, CloseReason)>,
        watch: &mut impl Watch,
    ) -> Option<Reason> {
        let Engine { policy, rules, table, .. } = self.engine;
        if let Some(gate) = self.gate {
            let ending = stale.map(|(handle, _)| handle);
            if let Some(reason) = gate.session(ending, |max| self.engine.share(max)) {
                watch.stage(Stage::Screen, || reason.explain().to_owned());
                return Some(reason);
            }
        }
        let (rule_max, zone_max) = (policy.rule(rule).sessions_max, policy.zone_sessions_max(zone));
        if (rule_max, zone_max) == (None, None) {
            return None;
        }
        let ending = stale.and_then(|(handle, _)| table.get(handle));
        let (ends_in_rule, ends_in_zone) = ending.map_or((None, None), |it| rules.place(it));
        let left = |sessions: u32, ends: bool| sessions.saturating_sub(u32::from(ends));
        let rule_now = left(rules.sessions_of_rule(rule), ends_in_rule == Some(rule));
        let zone_now = left(rules.sessions_of_zone(zone), ends_in_zone == Some(zone));
        let limits = [
            (Reason::RuleSessions, rule_max, rule_now),
            (Reason::ZoneSessions, zone_max, zone_now),
        ];
        limits.into_iter().find_map(|(reason, max, now)| {
            let share = self.engine.share(max?);
            let beyond = now >= share;
            if beyond {
                let says = || format!("{} Here: {now} of {share}.", reason.explain());
                watch.stage(Stage::Policy, says);
            }
            beyond.then_some(reason)
        })
    }

    /// Asks the policy about a first packet: what permits it, or what becomes of it instead.
    fn ask_policy(&self, watch: &mut impl Watch) -> Result<Permitted, Refusal> {
        let unasked = |outcome| Refusal { outcome, rule: None, hit: false, toward: None };
        let no_zone = unasked(Outcome::Drop(Reason::NoZone));
        let policy = &self.engine.policy;
        let from = policy.zone_of_port(self.arrived.ingress).ok_or(no_zone)?;
        let way = match self.route(watch) {
            Outcome::Forward(way) => way,
            outcome @ (Outcome::Answer(_)
            | Outcome::Consume
            | Outcome::Drop(_)
            | Outcome::Vouched(_)) => {
                return Err(unasked(outcome));
            }
        };
        let to = policy.zone_of_port(way.port).ok_or(no_zone)?;
        let question = Question::of(self.packet, from, to);
        let decision = policy.judge(&question);
        watch.stage(Stage::Policy, || self.say_policy(decision, from, to));
        let outcome = match decision {
            policy::Decision::Permit(rule) => {
                let life = policy.life(rule, &question);
                let permission = Permission { rule, zones: [from, to], life };
                return Ok(Permitted { way, permission });
            }
            policy::Decision::NoRule => Outcome::Drop(Reason::NoRule),
            policy::Decision::Deny(_) => Outcome::Drop(Reason::Denied),
            policy::Decision::Reject(_) => Outcome::Answer(Answer::reject(self.packet)),
        };
        let toward = Some((to, way.port));
        Err(Refusal { outcome, rule: decision.rule(), hit: true, toward })
    }

    fn refuse(&self, Refusal { outcome, rule, hit, toward }: Refusal) -> Plan {
        let logged = rule.is_some_and(|rule| self.engine.policy.rule(rule).log_open);
        let session = match toward {
            Some((to, egress)) if logged => Change::Deny { to, egress },
            Some(_) | None => Change::None,
        };
        Plan { outcome, state: State::New, rule, hit, session, relay: None }
    }

    /// Whether a new session fits, and which one would have to give way: one still at its beginnings,
    /// so that a flood of first packets takes places from itself and from no open connection.
    fn make_room(&self) -> Option<Option<(Handle, CloseReason)>> {
        let (table, hash) = (&self.engine.table, self.keyed.hash);
        match table.room(hash) {
            Ok(()) => Some(None),
            Err(Refused::Full) => {
                table.victim(hash).map(|victim| Some((victim, CloseReason::Evicted)))
            }
            Err(Refused::BucketsFull | Refused::Duplicate) => None,
        }
    }

    fn say_policy(&self, decision: policy::Decision, from: ZoneId, to: ZoneId) -> String {
        let policy = &self.engine.policy;
        let zones = format!("{} to {}", policy.zone_name(from), policy.zone_name(to));
        match decision.rule() {
            Some(rule) => format!("{zones}: rule {} says {decision:?}", policy.rule(rule).id),
            None => format!("{zones}: no rule matches"),
        }
    }

    /// The question that the session's first packet would raise today: the packet in hand, seen from
    /// its initiator. `here` is the zone that this packet comes from.
    fn first_question(&self, sender: Peer, here: ZoneId, there: ZoneId) -> Question {
        let question = Question::of(self.packet, here, there);
        match sender {
            Peer::Initiator => question,
            Peer::Responder => Question {
                from_zone: there,
                to_zone: here,
                source: question.destination,
                destination: question.source,
                source_port: question.destination_port,
                destination_port: question.source_port,
                icmp: question.icmp.map(|(kind, _)| (request(self.packet.version, kind), 0)),
                ..question
            },
        }
    }

    /// Where the packet leaves.
    fn route(&self, watch: &mut impl Watch) -> Outcome {
        let ports = &self.engine.settings.ports;
        let Some(ingress) = ports.get(self.arrived.ingress.index()) else {
            return Outcome::Drop(Reason::NoRoute);
        };
        if let Mode::Wire(peer) = ingress.mode {
            watch.stage(Stage::Route, || "the other end of the wire".to_owned());
            return self.leave(peer, Link::Untouched);
        }
        let fib = &self.engine.fib;
        let flow = self.keyed.hash as u32;
        let lookup = fib.lookup(ingress.domain, self.packet.destination, flow);
        watch.stage(Stage::Route, || format!("{lookup:?}"));
        match lookup {
            Lookup::Hop(hop) => {
                let known = fib.resolve(hop.port, hop.next);
                self.leave(hop.port, known.map_or(Link::Unresolved(hop.next), Link::Routed))
            }
            Lookup::NoRoute | Lookup::Unreachable => {
                Outcome::Answer(Answer::Unreachable(Unreachable::Route))
            }
            Lookup::Prohibit => Outcome::Answer(Answer::Unreachable(Unreachable::Prohibited)),
            Lookup::Blackhole => Outcome::Drop(Reason::RouteRefused),
            Lookup::Local => Outcome::Drop(Reason::LocalDestination),
            Lookup::Broadcast => Outcome::Drop(Reason::Multicast),
        }
    }

    /// By `port`, if it is up and the packet fits.
    fn leave(&self, port: PortId, link: Link) -> Outcome {
        let Some(egress) = self.engine.settings.ports.get(port.index()).filter(|port| port.up)
        else {
            return Outcome::Drop(Reason::PortDown);
        };
        let link = match egress.mode {
            Mode::Wire(_) => Link::Untouched,
            Mode::Routed => link,
        };
        // A datagram that came in pieces leaves in pieces no longer than the longest it came in.
        let pieces = self.arrived.pieces;
        let longest = pieces.map_or(self.packet.ip_len(), |pieces| pieces.largest);
        let growth = self.growth();
        let longest = longest.saturating_add_signed(growth);
        // What becomes IPv6 is not cut here: its sender is told, as of any path that is too small.
        let fragmentable = growth <= 0
            && pieces.map_or_else(|| may_fragment(self.packet), |pieces| pieces.fragmentable);
        if longest > egress.mtu && !fragmentable {
            let mtu = egress.mtu.saturating_add_signed(-growth);
            return Outcome::Answer(Answer::TooBig { mtu });
        }
        Outcome::Forward(Way { port, link, mtu: egress.mtu })
    }

    /// An answer that may not be given becomes a drop.
    fn audible(&self, answer: Answer) -> Outcome {
        let domain = self.engine.fib.domain_of(self.arrived.ingress).unwrap_or_default();
        let broadcast = self.engine.fib.is_broadcast(domain, self.packet.destination);
        let allowed = !broadcast
            && answer.may(self.frame, self.packet).is_ok()
            && (answer.is_cookie() || self.engine.limiter.permits(self.packet.source, self.now));
        if allowed { Outcome::Answer(answer) } else { Outcome::Drop(answer.silent()) }
    }
}

/// The plan for a first packet that `rule` permits, without what it means for the session table.
fn permitted_by(rule: RuleIndex, way: Way) -> Plan {
    let (state, rule) = (State::New, Some(rule));
    Plan { state, rule, hit: true, ..Plan::bare(Outcome::Forward(way)) }
}

/// What belongs to the sender's side and to the far side, the initiator's first; and back again.
fn in_order<T>(sender: Peer, [here, there]: [T; 2]) -> [T; 2] {
    match sender {
        Peer::Initiator => [here, there],
        Peer::Responder => [there, here],
    }
}

/// The ICMP type of the request that this type answers (RFC 792, RFC 4443 §4.2, RFC 6275 §6.5).
const fn request(version: Version, reply: u8) -> u8 {
    match (version, reply) {
        (Version::V4, 0) => 8,
        (Version::V4, 14 | 16 | 18) | (Version::V6, 129 | 145 | 147) => reply - 1,
        _ => reply,
    }
}

/// Whether a router may fragment this packet: IPv4 without don't-fragment (RFC 791 §2.3).
fn may_fragment(packet: &Packet) -> bool {
    packet.version == Version::V4 && !packet.options.contains(Options::DONT_FRAGMENT)
}

impl Plan {
    const fn bare(outcome: Outcome) -> Self {
        let (state, rule, hit, session, relay) = (State::None, None, false, Change::None, None);
        Self { outcome, state, rule, hit, session, relay }
    }

    const fn drop(reason: Reason) -> Self {
        Self::bare(Outcome::Drop(reason))
    }

    const fn answer(answer: Answer) -> Self {
        Self::bare(Outcome::Answer(answer))
    }

    const fn invalid(reason: Reason) -> Self {
        Self { state: State::Invalid, ..Self::drop(reason) }
    }
}
