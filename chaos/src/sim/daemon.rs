//! A node's driver: engine and machines as they ship, and one match over what each of them wants. What
//! is for others (network, disk, kernel) leaves as an [`Effect`], in order.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use cluster_core::membership::messages::{Event, Facts};
use cluster_core::membership::{self, Fitness, Member, Output, PathId, Readiness, Request, Role};
use cluster_core::replication::halves::Halves;
use cluster_core::replication::replicas::Event as Fate;
use cluster_core::replication::{self, Release, Replicas, Replication};
use cluster_core::{Boot, Term};
use engine::policy::Policy;
use engine::replication::{Note, NoteKind};
use engine::{Engine, Origin, PortId, Reason, Verdict};
use wire::Time;

use super::invariants::monotone::{Monotone, Picture};
use super::planted::Planted;
use super::table::Watched;
use super::topology::{self, FABRIC, Revision, Sim};
use crate::limits::{BULK_WAIT, ENGINE_TICK, FLUSH_WAIT};

/// One run of a node's daemon.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) engine: Engine,
    pub(crate) member: Member,
    pub(crate) replication: Replication,
    pub(crate) boot: Boot,
    pub(crate) revision: Revision,
    pub(crate) watch: Monotone,
    pub(crate) replicas: Replicas,
    halves: Halves,
    /// The transport's connection: up, and which attempt it is.
    pub(crate) connected: bool,
    pub(crate) attempt: u32,
    owner: bool,
    stopping: Option<Stopping>,
    tick_at: Time,
    /// Times that the engine's ring of notes was full.
    pub(crate) notes_lost: u64,
    planted: Planted,
    /// Notes that come too late, by a mistake that is planted.
    late: Vec<Note>,
    /// Frames that it sends by a mistake that is planted, and no engine has made.
    pub(crate) unmade: u64,
}

/// An end of the lease that is being carried out.
#[derive(Clone, Copy, Debug)]
struct Stopping {
    number: u64,
    until: Time,
}

/// What a daemon does to the world around it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Effect {
    /// A heartbeat leaves by a path.
    Heartbeat(PathId, Vec<u8>),
    /// A message for the peer's replication leaves by the fabric.
    Replicate(Vec<u8>),
    /// A frame leaves by a port.
    Frame(PortId, Vec<u8>),
    /// Something is to be on disk.
    Persist(Facts),
    /// The lease word is set; `None` closes it.
    Lease(Option<Time>),
    /// Every worker has stopped.
    Stopped,
    /// The transport is to connect.
    Connect(u32),
    /// The group's addresses are put on the ports, or taken off.
    Addresses(bool),
    /// The group's address on a port is announced.
    Announce(PortId),
    /// The kernel is asked for a neighbour.
    Resolve(PortId, IpAddr),
    /// The node owns, or does not any more.
    Owns(bool, Term),
    /// Replication has a connection; its number.
    Linked(u32),
    /// How far the replicas are complete.
    Ready(Readiness),
    /// Something that people are told.
    Told(Event),
    /// A request of the operator was answered.
    Answered(Request, bool),
    /// Packets that are the new owner's may still come.
    PassOn,
}

impl Daemon {
    /// Starts on node `index`, which remembers `facts`.
    pub(crate) fn start(sim: &Sim, index: usize, boot: Boot, facts: Facts, now: Time) -> Self {
        let engine = topology::engine(sim, index, boot, now);
        let replication = Replication::new(topology::stream(sim, index, boot, facts.term));
        let config = topology::member(index);
        let member = Member::new(config, boot, facts, now).expect("the configuration is right");
        Self {
            engine,
            member,
            replication,
            boot,
            revision: Revision::First,
            watch: Monotone::default(),
            replicas: Replicas::new(),
            halves: Halves::new(topology::node_id(index), topology::node_id(1 - index)),
            connected: false,
            attempt: 0,
            owner: false,
            stopping: None,
            tick_at: now,
            notes_lost: 0,
            planted: sim.planted,
            unmade: 0,
            late: Vec::new(),
        }
    }

    /// When it must be run, by its own clock.
    pub(crate) fn next_deadline(&self, now: Time) -> Time {
        let member = self.member.next_deadline();
        let replication = self.replication.next_deadline(now);
        let stopping = self.stopping.map(|it| it.until);
        let held = self.engine.next_hold_expiry();
        let due = [member, replication, stopping, held].into_iter().flatten().min();
        due.map_or(self.tick_at, |due| due.min(self.tick_at))
    }

    /// Time has passed.
    pub(crate) fn time(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let held_too_long = self.engine.next_hold_expiry().is_some_and(|at| at <= now);
        if self.tick_at <= now || held_too_long {
            while self.engine.tick(now) {}
            self.tick_at = now + ENGINE_TICK;
            for note in std::mem::take(&mut self.late) {
                self.replicate(replication::Input::Note(note), now);
            }
        }
        self.tell(membership::Input::Timeout, now, effects);
        self.replicate(replication::Input::Time, now);
        self.settle(now, effects);
    }

    /// A frame came, and the lease word covers it.
    pub(crate) fn frame(
        &mut self,
        port: PortId,
        mut bytes: Vec<u8>,
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        let parsed = self.engine.parse(port, &bytes);
        let decision = self.engine.decide(Origin::Port, &parsed, &mut bytes, now);
        match decision.verdict {
            Verdict::Forward(egress) if decision.in_hand => {
                effects.push(Effect::Frame(egress, bytes));
            }
            Verdict::Forward(_) | Verdict::Answer | Verdict::Consume | Verdict::Hold => {}
            Verdict::HandOff(_) => unreachable!("a node of the simulator has one worker"),
            Verdict::Drop(_) if self.planted == Planted::PassesWhatIsDenied => {
                self.unmade += 1;
                effects.push(Effect::Frame(PortId(1 - port.0), bytes));
            }
            Verdict::Drop(_) => {}
        }
    }

    /// A frame came, and the lease word does not cover it.
    pub(crate) fn refuse(&mut self) {
        self.engine.refuse(Origin::Port, Reason::LeaseExpired, 1);
    }

    pub(crate) fn heartbeat(
        &mut self,
        path: PathId,
        bytes: &[u8],
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        self.tell(membership::Input::Heartbeat { path, bytes }, now, effects);
        self.settle(now, effects);
    }

    pub(crate) fn message(&mut self, bytes: &[u8], now: Time, effects: &mut Vec<Effect>) {
        self.replicate(replication::Input::Message(bytes), now);
        self.settle(now, effects);
    }

    pub(crate) fn persisted(&mut self, facts: Facts, now: Time, effects: &mut Vec<Effect>) {
        self.tell(membership::Input::Persisted(facts), now, effects);
        if !self.owner {
            // Replication refuses what an owner of an older term sends.
            let (owner, term) = (false, facts.term);
            self.replicate(replication::Input::Role { owner, term }, now);
        }
        self.settle(now, effects);
    }

    pub(crate) fn request(&mut self, request: Request, now: Time, effects: &mut Vec<Effect>) {
        self.tell(membership::Input::Request(request), now, effects);
        self.settle(now, effects);
    }

    pub(crate) fn fitness(&mut self, fitness: Fitness, now: Time, effects: &mut Vec<Effect>) {
        self.tell(membership::Input::Fitness(fitness), now, effects);
        self.settle(now, effects);
    }

    pub(crate) fn resolved(
        &mut self,
        changes: &[engine::fib::FibChange],
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        self.engine.apply(changes);
        self.settle(now, effects);
    }

    /// Another policy is in force.
    pub(crate) fn commit(
        &mut self,
        revision: Revision,
        policy: Arc<Policy>,
        now: Time,
        effects: &mut Vec<Effect>,
    ) {
        self.engine.set_policy(policy);
        self.revision = revision;
        self.tick_at = now;
        self.tell(membership::Input::Policy(revision.digest()), now, effects);
        self.settle(now, effects);
    }

    /// The transport has a connection.
    pub(crate) fn connect(&mut self, attempt: u32, now: Time, effects: &mut Vec<Effect>) {
        if attempt != self.attempt || self.connected {
            return;
        }
        self.connected = true;
        effects.push(Effect::Linked(attempt));
        self.replicate(replication::Input::Connected, now);
        self.replicas(Fate::Connected, now, effects);
        self.settle(now, effects);
    }

    fn disconnect(&mut self, now: Time, effects: &mut Vec<Effect>) {
        self.attempt += 1;
        if std::mem::take(&mut self.connected) {
            self.replicate(replication::Input::Lost, now);
            self.replicas(Fate::Lost, now, effects);
        }
    }

    /// Tells the replicas what happened, and does what follows.
    fn replicas(&mut self, event: Fate, now: Time, effects: &mut Vec<Effect>) {
        let before = self.replicas.readiness();
        let wanted = self.replicas.handle(event);
        if let Some(purpose) = wanted.filter(|_| self.planted != Planted::NeverJoins) {
            let deadline = Some(BULK_WAIT);
            self.replicate(replication::Input::Want { purpose, deadline }, now);
        }
        let readiness = self.replicas.readiness();
        if readiness != before {
            effects.push(Effect::Ready(readiness));
            self.tell(membership::Input::Readiness(readiness), now, effects);
        }
    }

    fn tell(&mut self, input: membership::Input<'_>, now: Time, effects: &mut Vec<Effect>) {
        self.member.handle(input, now);
        self.obey(now, effects);
    }

    fn replicate(&mut self, input: replication::Input<'_>, now: Time) {
        let Self { engine, watch, planted, .. } = self;
        self.replication.handle(input, &mut Watched::new(engine, watch, *planted), now);
    }

    /// Takes everything out that engine and machines have to say.
    pub(crate) fn settle(&mut self, now: Time, effects: &mut Vec<Effect>) {
        while self.obey(now, effects) || self.drain_engine(now, effects) || self.send(now, effects)
        {
        }
        self.share_ports(now);
        self.finish_stop(now, effects);
    }

    /// What the engine says. Whether there was anything for the machines.
    fn drain_engine(&mut self, now: Time, effects: &mut Vec<Effect>) -> bool {
        if self.engine.take_notes_lost() {
            self.notes_lost += 1;
        }
        while let Some((port, frame)) = self.engine.outbox().pop() {
            effects.push(Effect::Frame(port, frame.to_vec()));
        }
        while self.engine.next_event().is_some() {}
        while let Some((port, address)) = self.engine.next_resolve() {
            effects.push(Effect::Resolve(port, address));
        }
        let mut noted = false;
        while let Some(note) = self.engine.next_note() {
            noted = true;
            match self.planted {
                Planted::LosesNotes => {}
                Planted::AnnouncesTooEarly if self.is_announcement(&note) => {
                    self.engine.release(note.place, note.id, u64::MAX, now);
                    self.late.push(note);
                }
                Planted::AnnouncesTooEarly
                | Planted::Nothing
                | Planted::KeepsTheLease
                | Planted::IgnoresTheLease
                | Planted::PassesWhatIsDenied
                | Planted::SwallowsFrames
                | Planted::GoesBack
                | Planted::LetsForgeryIn
                | Planted::LosesTranslations
                | Planted::NeverJoins => self.replicate(replication::Input::Note(note), now),
            }
        }
        noted
    }

    fn is_announcement(&self, note: &Note) -> bool {
        let session = self.engine.session_at(note.place).map(|(_, session)| session);
        note.sync && note.kind == NoteKind::Changed && session.is_some_and(|it| it.alg().is_some())
    }

    /// Who may not be the only one gives ports from its half.
    fn share_ports(&mut self, now: Time) {
        let complete = self.replicas.readiness() == Readiness::Ready;
        let half = self.halves.at(self.member.stands_alone(), complete, now);
        self.engine.set_nat_half(half, self.halves.own());
    }

    /// The one match over what a member wants. Whether there was anything.
    fn obey(&mut self, now: Time, effects: &mut Vec<Effect>) -> bool {
        let mut any = false;
        while let Some(output) = self.member.poll_output() {
            any = true;
            match output {
                Output::SendHeartbeat { to: _, path, bytes } => {
                    effects.push(Effect::Heartbeat(path, bytes.to_vec()));
                }
                Output::Persist(facts) => effects.push(Effect::Persist(facts)),
                Output::LeaseUntil(until) => effects.push(Effect::Lease(Some(until))),
                Output::LeaseEnd { number } => {
                    if self.planted != Planted::KeepsTheLease {
                        effects.push(Effect::Lease(None));
                    }
                    self.stopping = Some(Stopping { number, until: now + FLUSH_WAIT });
                }
                Output::BecomeOwner { term, slots: _ } => self.own(true, term, now, effects),
                Output::StopOwning { term } => self.own(false, term, now, effects),
                Output::PassOn { .. } => effects.push(Effect::PassOn),
                // There is only one other.
                Output::Replicate { .. } => {}
                Output::AddAddress(_) => effects.push(Effect::Addresses(true)),
                Output::RemoveAddress(_) => effects.push(Effect::Addresses(false)),
                Output::Announce(vip) => effects.push(Effect::Announce(vip.port)),
                Output::Answer(request, answer) => {
                    effects.push(Effect::Answered(request, answer.is_ok()));
                }
                Output::Event(event) => self.hear(event, now, effects),
            }
        }
        any
    }

    /// The one match over what replication wants. Whether there was anything.
    fn send(&mut self, now: Time, effects: &mut Vec<Effect>) -> bool {
        let mut any = false;
        loop {
            let Self { engine, watch, planted, .. } = self;
            let Some(output) =
                self.replication.poll_output(&mut Watched::new(engine, watch, *planted), now)
            else {
                return any;
            };
            any = true;
            match output {
                replication::Output::Send(bytes) => {
                    effects.push(Effect::Replicate(bytes.to_vec()));
                }
                replication::Output::Release(Release { place, id, up_to }) => {
                    self.engine.release(place, id, up_to, now);
                }
                replication::Output::Peer(there) => self.engine.set_peer(there, now),
                // Membership hears of it by heartbeats, and decides.
                replication::Output::NewerTerm(_) => {}
                replication::Output::Bulk(purpose, outcome) => {
                    self.replicas(Fate::Ended(purpose, outcome), now, effects);
                }
            }
        }
    }

    fn own(&mut self, owner: bool, term: Term, now: Time, effects: &mut Vec<Effect>) {
        self.owner = owner;
        if owner {
            self.engine.take_over(now);
            // The sweep begins with the next tick.
            self.tick_at = now;
        } else {
            self.engine.stand_down();
        }
        effects.push(Effect::Owns(owner, term));
        self.replicate(replication::Input::Role { owner, term }, now);
        self.replicas(if owner { Fate::Owned } else { Fate::Disowned }, now, effects);
    }

    /// What a member tells people, and what the transport makes of it.
    fn hear(&mut self, event: Event, now: Time, effects: &mut Vec<Effect>) {
        match event {
            Event::Path { path, up: true, .. } if path == FABRIC => {
                self.disconnect(now, effects);
                effects.push(Effect::Connect(self.attempt));
            }
            Event::Path { path, up: false, .. } if path == FABRIC => self.disconnect(now, effects),
            Event::PeerBooted { .. } if self.connected => {
                self.disconnect(now, effects);
                effects.push(Effect::Connect(self.attempt));
            }
            Event::Role { to: Role::Standby, .. } => {
                self.replicas(Fate::Followed, now, effects);
            }
            Event::SplitHealed { .. } => self.replicas(Fate::SplitHealed, now, effects),
            Event::Path { .. }
            | Event::PeerBooted { .. }
            | Event::Role { .. }
            | Event::TookOver { .. }
            | Event::SwitchoverFailed { .. }
            | Event::Paused(_)
            | Event::PeerClass { .. }
            | Event::PolicyDiffers { .. }
            | Event::MembersDiffer { .. }
            | Event::MembersSettled { .. }
            | Event::AddressConflict(_) => {}
        }
        effects.push(Effect::Told(event));
    }

    /// Says that forwarding has ended, once the peer has all that there is to replicate.
    fn finish_stop(&mut self, now: Time, effects: &mut Vec<Effect>) {
        let Some(Stopping { number, until }) = self.stopping else { return };
        let lag = self.replication.view(now).lag;
        let waits = lag.queued + lag.deletes_queued + lag.in_flight > 0 && self.connected;
        if waits && now < until {
            return;
        }
        self.stopping = None;
        effects.push(Effect::Stopped);
        self.tell(membership::Input::Stopped { number }, now, effects);
        self.settle(now, effects);
    }

    /// Shows every session to the watch over them.
    pub(crate) fn look_at_sessions(&mut self) {
        let Self { engine, watch, .. } = self;
        for place in 0..engine.sessions().capacity() as u32 {
            if let Some((_, session)) = engine.session_at(place) {
                let mut picture = Picture::of(session);
                if self.planted == Planted::GoesBack && self.owner {
                    picture.packets[0] %= 5;
                }
                watch.see(engine.session_id(session.id), picture);
            }
        }
    }

    /// How it stands, for a report.
    pub(crate) fn picture(&self, now: Time) -> String {
        let counters = self.engine.counters();
        let dropped = Reason::ALL.iter().filter(|reason| counters.dropped(**reason) > 0);
        let dropped: Vec<String> = dropped
            .map(|reason| format!("{} {}", reason.name(), counters.dropped(*reason)))
            .collect();
        let replicated = self.engine.replicated();
        format!(
            "{:?}, connected {}, {} sessions, next {:?} {:?}\n  dropped: {}\n  {replicated:?}\n  \
             {:?}\n  {:?}",
            self.member.view(),
            self.connected,
            self.engine.sessions().len(),
            self.member.next_deadline(),
            self.replication.next_deadline(now),
            dropped.join(", "),
            self.replication.view(now),
            self.engine.alg_counters(),
        )
    }

    pub(crate) const fn owns(&self) -> bool {
        self.owner
    }

    /// Whether this node could take the other's place without anybody's loss.
    pub(crate) fn is_sound(&self) -> bool {
        let ready = self.connected && self.replicas.readiness() == Readiness::Ready;
        ready && self.member.role() == Role::Standby
    }
}

const _: () = assert!(ENGINE_TICK.as_nanos() <= Duration::from_secs(1).as_nanos());
