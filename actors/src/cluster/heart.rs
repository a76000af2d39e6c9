//! The membership thread: reads heartbeats and the clock, asks the machine, and carries out what it says.
//!
//! ```text
//!  sockets ─► hear ─┐                                   ┌─► sockets, lease words, ownership word
//!  commands ► obey ─┼─► Member ─► outputs, one match ───┼─► disk thread, address task, workers
//!  pulses ──► judge ┘                                   └─► log, answers
//!                         sleep: ppoll until the next deadline, a packet, or the bell
//! ```
//!
//! Nothing here waits for anything but `ppoll`: disk, netlink and workers are asked by others, who
//! answer with a [`Command`].

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Duration;

use cluster_core::membership::vips::Order;
use cluster_core::membership::{
    Event, Facts, Fitness, Input, List, Member, Output, PathId, Readiness, Refused, Request, Role,
    View,
};
use cluster_core::policy::coordinator::Liveness;
use cluster_core::{NodeId, Term};
use datapath::xdp::LeaseWord;
use datapath::{Bell, Latecomers, Lease};
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use wire::Time;

use super::limits::{
    FAREWELL, HANDOVER_PATIENCE, HEARTBEATS_PER_READ, HOLD_AHEAD, LEASE_LAG_MAX, PRIORITY,
    REQUESTS, SETTLE_PATIENCE, STOP_PATIENCE, TURN_MAX, WORKER_STUCK_AFTER,
};
use super::memory::Note;
use super::ownership::{Completeness, Ownership, readiness};
use super::paths::Paths;
use super::stream::{self, SharedStream};
use super::tell::tell;
use crate::clock;
use crate::lease::Pulse;
use crate::policy::{Permit, Standing};
use crate::ports::Watched;
use crate::shard::Shard;

/// Bytes of the longest heartbeat that is read; a longer one is refused by its length.
const BUFFER: usize = cluster_core::limits::HEARTBEAT_BYTES_MAX + 1;

/// What the membership thread is told.
pub(super) enum Command {
    /// These facts are on disk.
    Persisted(Facts),
    /// The disk fails.
    DiskFailed,
    /// This end of the lease has reached every worker.
    Stopped(u64),
    /// Another policy is in force.
    Policy([u8; 16]),
    /// Somebody else uses an address of the group.
    Conflict(IpAddr),
    /// The operator asks for something.
    Request(Request, oneshot::Sender<Result<(), Refused>>),
    /// Whether all tracked targets answer.
    Targets(bool),
    /// Somebody wants to see.
    View(oneshot::Sender<View>),
    /// The cluster has another list of members, which is on the disk.
    Members(Box<Membership>),
    /// This node has left the cluster, for good.
    Removed,
    /// Whether a member does not know this node as one.
    Disowned(bool),
    /// The daemon ends: hand over, then end.
    Stop,
}

/// Who belongs to the cluster now, as the membership thread needs it.
#[derive(Clone, Debug)]
pub(super) struct Membership {
    pub(super) list: List,
    /// Where the others are in the fabric.
    pub(super) fabric: Vec<(NodeId, IpAddr)>,
    /// The firewalls that workers can pass packets on to, in the workers' order.
    pub(super) firewalls: Vec<NodeId>,
}

/// The way to the membership thread.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) commands: SyncSender<Command>,
    pub(super) bell: Bell,
}

impl Line {
    /// Tells it, if there is room; whether there was.
    pub(super) fn tell(&self, command: Command) -> bool {
        let told = self.commands.try_send(command).is_ok();
        self.bell.ring();
        told
    }

    /// Tells it, and waits for room. Not for a thread that must not wait.
    pub(super) fn insist(&self, command: Command) {
        // It has ended: the daemon stops.
        let _ = self.commands.send(command);
        self.bell.ring();
    }
}

/// What the membership thread works with.
pub(super) struct Heart {
    pub(super) member: Member,
    pub(super) paths: Paths,
    pub(super) commands: Receiver<Command>,
    pub(super) line: Line,
    /// The workers' and the XDP program's copies of the lease.
    pub(super) lease: Lease,
    /// None on a witness.
    pub(super) word: Option<LeaseWord>,
    pub(super) ownership: Ownership,
    /// What workers do with packets without a lease.
    pub(super) latecomers: Latecomers,
    /// The firewalls that packets can be passed on to, in the order in which the workers know them.
    pub(super) firewalls: Vec<NodeId>,
    pub(super) streams: Vec<SharedStream>,
    pub(super) completeness: Vec<Completeness>,
    pub(super) worker_bells: Vec<Bell>,
    pub(super) pulses: Vec<Pulse>,
    pub(super) shards: Vec<Shard>,
    pub(super) watched: watch::Receiver<Vec<Watched>>,
    /// Ports that must have a link.
    pub(super) tracked: Vec<usize>,
    pub(super) addresses: mpsc::Sender<Order>,
    pub(super) notes: SyncSender<Note>,
    /// With whom sessions are replicated, while it is heard by any path.
    pub(super) heard: watch::Sender<Option<NodeId>>,
    /// What the policy says of a lease.
    pub(super) permit: Permit,
    /// What the policy's actor is told.
    pub(super) standing: watch::Sender<Standing>,
    pub(super) runtime: Handle,
    pub(super) state: State,
}

/// What it remembers from turn to turn.
#[derive(Default)]
pub(super) struct State {
    fitness: Fitness,
    /// The parts of it that do not change by themselves.
    lasting: Fitness,
    readiness: Readiness,
    /// Of each other node, by its number.
    paths_up: BTreeMap<NodeId, u64>,
    partner: Option<NodeId>,
    /// The newest term on this node's disk.
    noted: Term,
    next: Option<Command>,
    asked: VecDeque<(Request, oneshot::Sender<Result<(), Refused>>)>,
    stopping: Option<Time>,
    /// Whether the log says that this node has left, and whether a member does.
    out: (bool, bool),
    heir: Heir,
    disowned: Option<Time>,
    /// Facts for which the disk's queue had no room; later ones say all that they said.
    owed: Option<Facts>,
    /// Until when packets are passed on, and until when the lease lives, as the workers were told.
    passing_until: Time,
    leased_until: Time,
    /// Until when a lease may be felt, however it ended; none since then.
    felt_until: Option<Time>,
    /// Until when they are held.
    holding_until: Time,
    word_failed: bool,
}

impl State {
    pub(super) fn begin(is_out: bool) -> Self {
        let mut state = Self { out: (is_out, false), ..Self::default() };
        state.note_removal();
        state
    }

    /// A lasting reason against this node holds, or holds no more.
    fn note(&mut self, reason: Fitness, holds: bool) {
        self.lasting.0 &= !reason.0;
        if holds {
            self.lasting = self.lasting.and(reason);
        }
    }

    fn note_removal(&mut self) {
        self.note(Fitness::REMOVED, self.out.0 || self.out.1);
    }
}

/// Who takes over from a node that stops.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Heir {
    /// To be asked, or asked again: the standby may soon be complete.
    #[default]
    Unasked,
    /// The standby: the switchover is under way.
    Found,
    /// Nobody who could.
    Nobody,
}

impl Heir {
    /// What the answer to a request for a switchover says.
    const fn of(answer: Result<(), Refused>) -> Self {
        match answer {
            Ok(()) => Self::Found,
            Err(Refused::Busy | Refused::PeerNotReady(..)) => Self::Unasked,
            Err(
                Refused::NotOwner(_)
                | Refused::Owned(_)
                | Refused::NoPeer
                | Refused::PeerUnfit(..)
                | Refused::PeerPolicyDiffers(_)
                | Refused::NotDrained
                | Refused::Unable(_),
            ) => Self::Nobody,
        }
    }
}

impl Heart {
    /// Runs until it is told to stop, or nobody can tell it any more.
    pub(super) fn run(mut self) {
        if let Err(error) = datapath::run_first(PRIORITY) {
            tracing::warn!(%error, "no real-time thread: a busy machine may look dead to its peer");
        }
        self.look_at_ports();
        while !self.is_over() {
            self.turn();
            self.sleep();
        }
        self.close();
    }

    fn turn(&mut self) {
        let now = clock::now();
        self.paths.open(now);
        self.hear(now);
        self.obey(now);
        self.hand_over(now);
        self.pay();
        self.judge(now);
        if self.member.next_deadline().is_some_and(|at| at <= now) {
            self.handle(Input::Timeout, now);
        }
        self.hold(now);
    }

    fn handle(&mut self, input: Input<'_>, now: Time) {
        self.member.handle(input, now);
        while let Some(output) = self.member.poll_output() {
            self.carry_out(output, now);
        }
    }

    /// Has facts noted. While the disk has more to do than there is room for, this node promises nothing.
    fn pay(&mut self) {
        let Some(facts) = self.state.owed.take() else { return };
        if self.notes.try_send(Note::Facts(facts)).is_err() {
            self.state.owed = Some(facts);
        }
    }

    /// Everything that has come, before time counts.
    fn hear(&mut self, now: Time) {
        let mut buffer = [0; BUFFER];
        for index in 0..self.paths.len() {
            for _ in 0..HEARTBEATS_PER_READ {
                let Some((path, length)) = self.paths.receive(index, &mut buffer) else { break };
                self.handle(Input::Heartbeat { path, bytes: &buffer[..length] }, now);
            }
        }
    }

    fn obey(&mut self, now: Time) {
        while let Some(command) = self.state.next.take().or_else(|| self.commands.try_recv().ok()) {
            match command {
                Command::Persisted(facts) => {
                    self.state.note(Fitness::DISK_FAILED, false);
                    self.state.noted = self.state.noted.max(facts.term);
                    // Before the vote is told: what is passed on from then on belongs to its term.
                    if self.latecomers.are_passed_on(now) {
                        self.latecomers.set_term(self.state.noted.0);
                    }
                    self.handle(Input::Persisted(facts), now);
                    self.follow();
                }
                Command::DiskFailed => {
                    self.state.note(Fitness::DISK_FAILED, true);
                }
                Command::Stopped(number) => {
                    if self.state.leased_until <= now {
                        self.state.felt_until = self.state.felt_until.map(|_| now);
                    }
                    self.handle(Input::Stopped { number }, now);
                }
                Command::Targets(reached) => {
                    self.state.note(Fitness::TARGET_UNREACHABLE, !reached);
                }
                Command::Policy(digest) => self.handle(Input::Policy(digest), now),
                Command::Conflict(address) => self.handle(Input::Conflict(address), now),
                Command::Request(request, answer) => self.ask(request, answer, now),
                // Whoever asked may have gone.
                Command::View(seen) => drop(seen.send(self.member.view())),
                Command::Members(membership) => self.set_members(*membership, now),
                Command::Removed => {
                    self.state.out.0 = true;
                    self.state.note_removal();
                }
                Command::Disowned(disowned) => {
                    self.state.out.1 = disowned;
                    self.state.note_removal();
                }
                Command::Stop => {
                    self.state.stopping = self.state.stopping.or(Some(now));
                }
            }
        }
    }

    /// Goes by another list of members from now on.
    fn set_members(&mut self, membership: Membership, now: Time) {
        let Membership { list, fabric, firewalls } = membership;
        tracing::info!(
            version = list.version,
            members = list.peers.len() + 1,
            "the list of members"
        );
        self.paths.set_fabric(fabric);
        self.firewalls = firewalls;
        let named = |node: &NodeId| list.peers.iter().any(|peer| peer.node == *node);
        self.state.paths_up.retain(|node, _| named(node));
        self.handle(Input::Members(&list), now);
    }

    /// A planned stop is a switchover, if there is anybody to take over; only then the node calls itself
    /// unfit, which would end its lease before another has one.
    fn hand_over(&mut self, now: Time) {
        let Some(since) = self.state.stopping else { return };
        let tried = now.since(since) >= HANDOVER_PATIENCE;
        if tried || self.state.heir == Heir::Nobody || !self.member.role().owns() {
            self.state.note(Fitness::STOPPING, true);
        } else if self.state.heir == Heir::Unasked {
            self.handle(Input::Request(Request::Failover), now);
        }
    }

    fn ask(&mut self, request: Request, answer: oneshot::Sender<Result<(), Refused>>, now: Time) {
        let asked = &mut self.state.asked;
        asked.retain(|(_, waiting)| !waiting.is_closed());
        if asked.len() < REQUESTS {
            asked.push_back((request, answer));
            self.handle(Input::Request(request), now);
        }
    }

    /// Tells the machine what has become of this node.
    fn judge(&mut self, now: Time) {
        if self.watched.has_changed().unwrap_or(false) {
            self.look_at_ports();
        }
        let moves = |pulse: &Pulse| pulse.beats_within(now, WORKER_STUCK_AFTER);
        let workers = match self.pulses.iter().all(moves) {
            true => Fitness::FIT,
            false => Fitness::WORKERS_STUCK,
        };
        self.permission(now);
        let fitness = self.state.lasting.and(workers);
        if fitness != self.state.fitness {
            tracing::warn!(%fitness, "the fitness of this node changed");
            self.state.fitness = fitness;
            self.handle(Input::Fitness(fitness), now);
        }
        let readiness = readiness(&self.completeness);
        if readiness != self.state.readiness {
            tracing::info!(?readiness, "replicas");
            self.state.readiness = readiness;
            self.handle(Input::Readiness(readiness), now);
        }
    }

    /// Whether the policy lets this node forward, and what the policy's actor is told of the others.
    fn permission(&mut self, now: Time) {
        if self.state.felt_until.is_some_and(|until| until <= now) {
            self.state.felt_until = None;
            self.permit.end();
        }
        let permitted = self.permit.would_take(clock::boottime());
        // A witness needs no leave to vote.
        self.state.note(Fitness::POLICY, !permitted && self.word.is_some());
        let told = self.standing.borrow().clone();
        let liveness = |node| {
            let before = told.members.iter().find(|(it, _)| *it == node).map(|(_, it)| *it);
            (node, steady(before, self.member.liveness(node), now))
        };
        let stands = Standing {
            members: self.member.peers().map(liveness).collect(),
            alone: self.member.is_alone_for_policy(now),
            owner: self.member.owner(),
        };
        self.standing.send_if_modified(|it| {
            let changed = *it != stands;
            *it = stands;
            changed
        });
    }

    fn look_at_ports(&mut self) {
        let watched = self.watched.borrow_and_update();
        let is_up = |port: &usize| {
            watched.get(*port).is_some_and(|seen| seen.link.up && seen.link.ifindex.is_some())
        };
        let all_up = self.tracked.iter().all(is_up);
        self.state.note(Fitness::PORT_DOWN, !all_up);
    }

    fn carry_out(&mut self, output: Output, now: Time) {
        match output {
            Output::SendHeartbeat { to, path, bytes } => {
                // Stopped in the middle of a turn: what it says was true when the turn began.
                if clock::now().since(now) < TURN_MAX {
                    self.paths.send(to, path, &bytes, now);
                }
            }
            Output::Persist(facts) => {
                self.state.owed = Some(facts);
                self.pay();
            }
            Output::LeaseUntil(until) => self.set_lease(until, now),
            Output::LeaseEnd { number } => {
                let stop = Stop {
                    shards: self.shards.clone(),
                    streams: self.streams.clone(),
                    planned: self.latecomers.are_passed_on(now),
                    until: self.state.leased_until,
                };
                self.set_lease(Time::ZERO, now);
                drop(self.runtime.spawn(stop.confirm(self.line.clone(), number)));
            }
            Output::BecomeOwner { term, slots: _ } => self.set_owner(true, term, now),
            // Who hands over has voted for its heir's term already.
            Output::StopOwning { term } => {
                self.set_owner(false, term.max(self.state.noted), now);
            }
            Output::PassOn { to, until } => {
                tracing::info!(%to, "packets that come without a lease are passed on");
                self.pass_on(to, until);
            }
            Output::Replicate { with } => {
                self.state.partner = with;
                self.tell_partner();
            }
            Output::AddAddress(vip) => self.order(Order::Add(vip)),
            Output::RemoveAddress(vip) => self.order(Order::Remove(vip)),
            Output::Announce(vip) => self.order(Order::Announce(vip)),
            Output::Answer(request, result) => self.answer(request, result),
            Output::Event(event) => self.note(event),
        }
    }

    fn set_lease(&mut self, until: Time, now: Time) {
        // The last word before it begins: the policy may have moved since it was looked at.
        let until = match until > now && !self.permit.take(clock::boottime()) {
            true => Time::ZERO,
            false => until,
        };
        if until > now {
            let felt = until + LEASE_LAG_MAX;
            self.state.felt_until = Some(self.state.felt_until.map_or(felt, |it| it.max(felt)));
        }
        self.ownership.rest(self.member.stands_alone());
        if until == Time::ZERO {
            self.lease.end();
        } else {
            self.lease.renew(until);
        }
        // What is held leaves, or is passed on, with a worker's next turn.
        if (self.state.leased_until > now) != (until > now) {
            self.worker_bells.iter().for_each(Bell::ring);
        }
        self.state.leased_until = until;
        let set = self.word.as_mut().map(|word| word.renew(clock::of_kernel(until)));
        self.word_set(set);
    }

    /// Another firewall, which owns now, gets what comes until then.
    fn pass_on(&mut self, to: NodeId, until: Time) {
        let place = self.firewalls.iter().position(|node| *node == to);
        self.latecomers.set_heir(place.unwrap_or(usize::MAX));
        self.pass_on_until(until);
    }

    fn pass_on_until(&mut self, until: Time) {
        self.state.passing_until = until;
        self.latecomers.pass_on(until);
        self.let_latecomers(until.max(self.state.holding_until));
    }

    /// While this node waits for its lease, packets wait for it, too: the first one of an heir, or an owner's
    /// next one, if acknowledgments are late. The words are set ahead: an owner's before its lease is over.
    fn hold(&mut self, now: Time) {
        let until = match self.member.role() {
            Role::TakingOver => now + HOLD_AHEAD,
            Role::Active => now.max(self.state.leased_until) + HOLD_AHEAD,
            Role::Listening | Role::Standby | Role::Yielding | Role::Drained | Role::Closed => {
                Time::ZERO
            }
        };
        if until != self.state.holding_until {
            self.state.holding_until = until;
            self.latecomers.hold(until);
            self.let_latecomers(until.max(self.state.passing_until));
        }
    }

    fn let_latecomers(&mut self, until: Time) {
        let set = self.word.as_mut().map(|word| word.let_latecomers(clock::of_kernel(until)));
        self.word_set(set);
    }

    fn word_set(&mut self, set: Option<Result<(), datapath::xdp::Error>>) {
        let failure = set.and_then(Result::err);
        if let Some(error) = &failure
            && !self.state.word_failed
        {
            tracing::error!(%error, "the XDP program's lease cannot be set");
        }
        self.state.word_failed = failure.is_some();
    }

    fn set_owner(&mut self, owner: bool, term: Term, now: Time) {
        if owner {
            self.latecomers.pass_on(Time::ZERO);
            self.state.passing_until = Time::ZERO;
        }
        self.latecomers.set_term(term.0);
        self.ownership.rest(self.member.stands_alone());
        self.ownership.set(owner, term);
        self.state.disowned = (!owner).then_some(now);
        self.worker_bells.iter().for_each(Bell::ring);
    }

    /// A node that does not own must know the owner's term all the same: replication refuses older ones.
    /// But a claim of its own is no owner yet: what the old one still sends is taken.
    fn follow(&self) {
        if !self.member.role().claims() {
            self.latecomers.set_term(self.state.noted.0);
            self.ownership.set(false, self.state.noted);
            self.worker_bells.iter().for_each(Bell::ring);
        }
    }

    fn order(&self, order: Order) {
        if self.addresses.try_send(order).is_err() {
            tracing::error!(?order, "addresses may be on the wrong node: their task is behind");
        }
    }

    fn answer(&mut self, request: Request, result: Result<(), Refused>) {
        if self.state.stopping.is_some() && request == Request::Failover {
            self.state.heir = Heir::of(result);
        }
        let asked = &mut self.state.asked;
        let Some(index) = asked.iter().position(|(it, _)| *it == request) else { return };
        if let Some((_, answer)) = asked.remove(index) {
            let _ = answer.send(result);
        }
    }

    fn note(&mut self, event: Event) {
        if let Event::Path { peer, path: PathId(path), up, diagnostic: _ } = event {
            let bit = 1_u64 << (path & 63);
            let paths_up = self.state.paths_up.entry(peer).or_default();
            match up {
                true => *paths_up |= bit,
                false => *paths_up &= !bit,
            }
            self.tell_partner();
        }
        match event {
            Event::Role { to: Role::Standby, .. } => {
                // Seen at once, not when the workers come to it: nobody is to hand over to this node.
                self.completeness.iter().for_each(|it| it.set(Readiness::BulkWaiting));
                self.ownership.follow();
                self.worker_bells.iter().for_each(Bell::ring);
            }
            // Without the note, the next run waits for them once more.
            Event::MembersSettled { version } => drop(self.notes.try_send(Note::Settled(version))),
            Event::SplitHealed { .. } => {
                self.ownership.heal();
                self.worker_bells.iter().for_each(Bell::ring);
            }
            Event::Role { .. }
            | Event::TookOver { .. }
            | Event::SwitchoverFailed { .. }
            | Event::Paused(_)
            | Event::Path { .. }
            | Event::PeerBooted { .. }
            | Event::PeerClass { .. }
            | Event::PolicyDiffers { .. }
            | Event::MembersDiffer { .. }
            | Event::AddressConflict(_) => {}
        }
        tell(event, &self.paths);
    }

    /// Tells the transport's task with whom sessions are replicated now.
    fn tell_partner(&self) {
        let is_heard = |node: &NodeId| self.state.paths_up.get(node).is_some_and(|up| *up != 0);
        let heard = self.state.partner.filter(is_heard);
        self.heard.send_if_modified(|it| std::mem::replace(it, heard) != heard);
    }

    fn is_over(&self) -> bool {
        let Some(since) = self.state.stopping else { return false };
        let now = clock::now();
        let quiet = self.state.disowned.map_or(since, |at| at.max(since));
        let told = !self.member.role().owns() && now.since(quiet) >= FAREWELL;
        told || now.since(since) >= STOP_PATIENCE
    }

    fn sleep(&mut self) {
        self.line.bell.lie_down();
        self.state.next = self.commands.try_recv().ok();
        let deadline = self.member.next_deadline().unwrap_or(Time::ZERO);
        let left = deadline.since(clock::now());
        if self.state.next.is_none() && left > Duration::ZERO {
            self.wait(left);
        }
        self.line.bell.get_up();
    }

    fn wait(&self, left: Duration) {
        let bell = self.line.bell.descriptor();
        let descriptors = self.paths.descriptors().chain([bell]);
        let watch = descriptors.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN));
        let mut watched: Vec<PollFd<'_>> = watch.collect();
        // Interrupted by a signal: the next turn finds nothing to do, and sleeps again.
        let _ = ppoll(&mut watched, Some(TimeSpec::from_duration(left)), None);
    }

    /// The node forwards nothing from here on, whatever became of the hand-over.
    fn close(&mut self) {
        let now = clock::now();
        self.set_lease(Time::ZERO, now);
        let term = self.ownership.get().term;
        self.set_owner(false, term, now);
        self.state.holding_until = Time::ZERO;
        self.latecomers.hold(Time::ZERO);
        self.pass_on_until(Time::ZERO);
    }
}

/// Who is dark stays so since when it was, lest each turn tells something new.
fn steady(before: Option<Liveness>, liveness: Liveness, now: Time) -> Liveness {
    match (before, liveness) {
        (Some(Liveness::Down { dark_at: since }), Liveness::Down { dark_at })
            if since <= now && dark_at <= now =>
        {
            Liveness::Down { dark_at: since }
        }
        (_, liveness) => liveness,
    }
}

/// An end of the lease that is to be confirmed.
struct Stop {
    shards: Vec<Shard>,
    streams: Vec<SharedStream>,
    /// Whether the peer waits for it, and gets the packets meanwhile.
    planned: bool,
    /// When the lease would have ended by itself.
    until: Time,
}

impl Stop {
    /// Confirms it when every worker has begun a turn after it; a planned one when all is sent that was
    /// judged before, too, and the peer knows all changes, or takes too long to.
    async fn confirm(self, line: Line, number: u64) {
        let patience = clock::now() + SETTLE_PATIENCE;
        for (shard, stream) in self.shards.iter().zip(&self.streams) {
            loop {
                match self.stopped(shard, stream, patience).await {
                    Some(true) => break,
                    Some(false) if clock::now() <= self.until => {}
                    // The lease ends by its time.
                    Some(false) | None => return,
                }
            }
        }
        if !line.tell(Command::Stopped(number)) {
            tracing::error!("the membership thread takes no commands");
        }
    }

    /// Whether a worker has stopped; `None` if it does not answer.
    async fn stopped(&self, shard: &Shard, stream: &SharedStream, patience: Time) -> Option<bool> {
        let (stream, planned) = (stream.clone(), self.planned);
        let stopped = shard.ask(move |worker| {
            let now = clock::now();
            let settled = !planned || now >= patience || stream::lock(&stream).is_settled(now);
            (!planned || worker.has_stopped(now)) && settled
        });
        match stopped.await {
            Ok(stopped) => Some(stopped),
            Err(error) => {
                tracing::error!(shard = shard.index, %error, "the end of the lease is not confirmed");
                None
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_stops_waits_for_a_standby_that_is_about_to_be_complete() {
        let peer = NodeId(2);
        for (answer, heir) in [
            (Ok(()), Heir::Found),
            (Err(Refused::PeerNotReady(peer, Readiness::BulkRunning)), Heir::Unasked),
            (Err(Refused::Busy), Heir::Unasked),
            (Err(Refused::NoPeer), Heir::Nobody),
            (Err(Refused::PeerUnfit(peer, Fitness::STOPPING)), Heir::Nobody),
            (Err(Refused::PeerPolicyDiffers(peer)), Heir::Nobody),
            (Err(Refused::NotOwner(Some(peer))), Heir::Nobody),
        ] {
            assert_eq!(Heir::of(answer), heir, "{answer:?}");
        }
    }
}
