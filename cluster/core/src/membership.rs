//! Membership: who lives, who owns the VIP group, and until when it may forward.
//!
//! [`Member`] is one node's machine. It is told heartbeats, time and what its driver found out
//! ([`Input`]), and says what to do ([`Output`]). The driver carries outputs out in their order, calls
//! [`Member::handle`] for every packet and at [`Member::next_deadline`], and takes all outputs after
//! each call. It reads all packets that have come before it tells that time has passed.
//!
//! ```text
//!  heartbeat ─► admission ─► liveness (each path)           is it new? is the path up?
//!                  │
//!                  ▼
//!               what each peer says ─► vote, promise        whose claim do we acknowledge?
//!                  │                        │
//!                  ▼                        ▼
//!               ownership (role × trigger) ◄─► lease        who owns? until when?
//!                  │                        │
//!                  ▼                        ▼
//!               addresses, events        lease word
//! ```
//!
//! A node that claims the ownership takes a higher term than any it knows, notes it on its disk, and
//! waits for a lease ([`lease`] tells why two never overlap). A voter notes whose term it acknowledges
//! before it does so, and never does while it may still forward itself.
//!
//! At its start a node is silent for a detection time: if it hears an owner, the first thing it says is
//! an acknowledgment, and the owner, alone so far, goes on without a gap. If it hears none, it speaks for
//! a takeover time before it claims, so that an owner who is not heard, but hears, has stopped by then.

mod act;
mod admission;
mod certainty;
mod decide;
mod hear;
mod lists;
mod partner;
mod peer;
mod speak;
#[cfg(test)]
mod tests;

pub mod config;
pub mod fitness;
pub mod heartbeat;
pub mod lease;
pub mod liveness;
pub mod messages;
pub mod ownership;
pub mod view;
pub mod vips;

use std::collections::VecDeque;
use std::time::Duration;

use wire::Time;

pub use self::config::{
    Alone, Config, ConfigError, Kind, PeerConfig, PolicyGuard, Timing, TimingError,
};
pub use self::fitness::{Class, Fitness, Readiness};
pub use self::heartbeat::{HEARTBEAT_LEN, Heartbeat, PathId, Refusal};
pub use self::lists::List;
pub use self::messages::{Event, Facts, Input, Output, Refused, Request, Why};
pub use self::ownership::Role;
pub use self::view::{Failover, View};
pub use self::vips::Vip;

use self::heartbeat::Key;
use self::lease::Lease;
use self::partner::Partner;
use self::peer::Peer;
use self::speak::Stance;
use self::vips::Vips;
use crate::limits::MEMBER_OUTPUTS_MAX;
use crate::{Boot, NodeId, Term};

/// One node's part in the cluster's membership.
#[derive(Clone, Debug)]
pub struct Member {
    config: Config,
    key: Key,
    boot: Boot,
    peers: Vec<Peer>,
    role: Role,
    lease: Lease,
    vips: Vips,
    /// What should be on disk, and what is.
    wanted: Facts,
    saved: Facts,
    promise: Promise,
    /// Whose claim this node follows, by its place among the peers.
    owner: Option<usize>,
    /// The last owner other than this node, as it was last heard.
    last_owner: Option<LastOwner>,
    partner: Partner,
    offer: Option<Offer>,
    wish: Wish,
    claim: Option<Claim>,
    /// The term that this node owned in last, as the driver was told.
    owned_term: Term,
    fitness: Fitness,
    readiness: Readiness,
    /// Whether the replicas are complete now, as the driver says.
    replicas: Readiness,
    policy: [u8; 16],
    /// The operator has said that the dead owner's policy does not matter.
    policy_overridden: bool,
    /// Since when a standby is the better one, and when the last switchover of that kind was.
    better_since: Option<Time>,
    switched_at: Option<Time>,
    /// The last time that this node forwarded alone.
    was_alone: Option<WasAlone>,
    /// The list of members, as a number, and whether somebody was heard who has a newer one.
    members: u64,
    outnumbered: bool,
    /// When somebody went from the list.
    parted: Option<Time>,
    /// Since when it listens without having been paused, and since when it speaks.
    listening: Time,
    speaking: Option<Time>,
    /// Whether the turn began with a pause.
    woken: bool,
    /// The last turn; and whether it left something to do.
    now: Time,
    hurry: bool,
    sequence: u64,
    stance: Option<Stance>,
    last_failover: Option<Failover>,
    outputs: VecDeque<Output>,
    tally: Tally,
    #[cfg(test)]
    flaw: Option<tests::Flaw>,
}

/// A promise not to vote for another, nor to claim, for a while.
#[derive(Clone, Copy, Debug)]
struct Promise {
    /// To whom; nobody in particular after a start with three voters or more and no memory.
    to: Option<NodeId>,
    until: Time,
}

/// An owner that fell silent or stopped is remembered, for detection and for its policy.
#[derive(Clone, Copy, Debug)]
struct LastOwner {
    node: NodeId,
    heard_at: Time,
    policy: [u8; 16],
    /// Whether people were told that its policy differs.
    told: bool,
}

/// A time alone that ended because the peer was heard.
#[derive(Clone, Copy, Debug)]
struct WasAlone {
    since: Time,
    heard_at: Time,
    /// Whether the peer turned out to have been alone, too, and people were told.
    told: bool,
}

/// An offer of the ownership to a peer.
#[derive(Clone, Copy, Debug)]
struct Offer {
    to: NodeId,
    term: Term,
    until: Time,
    stage: Stage,
}

/// How far a switchover has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Offered.
    Made,
    /// The peer has claimed the term; ours is to be noted.
    Taken,
    /// The lease is ended here.
    Ending,
}

/// What the operator has asked for and was granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    None,
    Failover,
    Drain,
    Resume,
}

/// The claim of this node.
#[derive(Clone, Copy, Debug)]
struct Claim {
    why: Why,
    since: Time,
    detection: Duration,
    from: Option<NodeId>,
    /// It is on disk, in this term or a lower one.
    noted: bool,
}

/// What is counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Heartbeats that were listened to.
    pub heard: u64,
    /// Heartbeats that were not, by [`Refusal`].
    pub refused: [u64; Refusal::COUNT],
    /// Heartbeats sent.
    pub sent: u64,
    /// Outputs that found the queue full: the driver does not take them.
    pub outputs_lost: u64,
    /// Times this node became owner.
    pub takeovers: u64,
    /// Of them: by a planned switchover.
    pub switchovers: u64,
    /// Times its lease was lost.
    pub leases_lost: u64,
    /// Pauses of this node.
    pub pauses: u64,
}

impl Member {
    /// A node that starts at `now` in `boot`, and remembers `facts`. Its lease word is closed.
    ///
    /// Boots go up even if the disk is lost (the wall clock's seconds, or one more than the last boot,
    /// whichever is higher): a peer that still remembers a number takes its second use for a replay.
    ///
    /// # Errors
    /// What is wrong with the configuration.
    pub fn new(config: Config, boot: Boot, facts: Facts, now: Time) -> Result<Self, ConfigError> {
        config.check()?;
        let peer = |(place, it)| Peer::new(it, &config.timing, (boot, place), now);
        let peers: Vec<Peer> = (0..).zip(&config.peers).map(peer).collect();
        let drained = facts.drained && config.kind == Kind::Firewall;
        Ok(Self {
            key: Key::new(&config.secret),
            boot,
            role: if drained { Role::Drained } else { Role::Listening },
            lease: Lease::new(config.timing.lease, config.timing.lag),
            vips: Vips::new(config.vips.clone()),
            wanted: facts,
            saved: facts,
            promise: Promise::at_start(&config, facts, now),
            peers,
            owner: None,
            last_owner: None,
            partner: Partner::new(&config),
            offer: None,
            wish: Wish::None,
            claim: None,
            owned_term: Term::default(),
            fitness: Fitness::FIT,
            readiness: Readiness::BulkWaiting,
            replicas: Readiness::BulkWaiting,
            policy: [0; 16],
            policy_overridden: false,
            better_since: None,
            switched_at: None,
            was_alone: None,
            members: config.members(),
            outnumbered: false,
            parted: None,
            listening: now,
            speaking: None,
            woken: false,
            now,
            hurry: false,
            sequence: 0,
            stance: None,
            last_failover: None,
            outputs: VecDeque::new(),
            tally: Tally::default(),
            config,
            #[cfg(test)]
            flaw: None,
        })
    }

    /// Takes something in.
    pub fn handle(&mut self, input: Input<'_>, now: Time) {
        let now = self.begin(now);
        match input {
            Input::Heartbeat { path, bytes } => self.handle_heartbeat(path, bytes, now),
            Input::Timeout => {}
            Input::Persisted(facts) => self.handle_persisted(facts, now),
            Input::Stopped { number } => self.lease.confirm(number, now),
            Input::Fitness(fitness) => self.fitness = fitness,
            Input::Readiness(readiness) => self.replicas = readiness,
            Input::Policy(digest) => self.policy = digest,
            Input::Path { peer, path, enabled } => self.handle_path(peer, path, enabled),
            Input::Conflict(address) => self.handle_conflict(address, now),
            Input::Request(request) => self.handle_request(request),
            Input::Members(list) => self.set_members(list, now),
        }
        if self.settle_lists(now) {
            let version = self.config.list;
            self.push(Output::Event(Event::MembersSettled { version }));
        }
        self.expire_paths(now);
        self.note_readiness(now);
        self.settle(now);
        self.pair_up(now);
        self.announce(now);
        self.speak(now);
    }

    /// The next thing to do.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When to call [`Member::handle`] at the latest. There is always a time: a node that is not run for
    /// longer than it asked knows that it was paused.
    pub fn next_deadline(&self) -> Option<Time> {
        if self.hurry {
            return Some(self.now);
        }
        let turn = self.now + self.config.timing.interval;
        let due = self.deadlines().filter(|at| *at > self.now).min();
        Some(due.map_or(turn, |due| due.min(turn)))
    }

    /// What is counted.
    pub fn tally(&self) -> &Tally {
        &self.tally
    }

    /// Starts a turn: finds out whether this node was paused.
    fn begin(&mut self, now: Time) -> Time {
        let now = now.max(self.now);
        let gap = now.since(self.now);
        self.now = now;
        self.woken = gap > self.config.timing.detect() / 2;
        if self.woken {
            self.tally.pauses += 1;
            self.push(Output::Event(Event::Paused(gap)));
            self.listen_anew(now);
        }
        now
    }

    /// All points in time at which something here changes by itself.
    fn deadlines(&self) -> impl Iterator<Item = Time> {
        let timing = &self.config.timing;
        let own = [
            Some(self.promise.until),
            Some(self.listening + timing.detect()),
            Some(self.listening + timing.takeover),
            self.speaking.map(|at| at + timing.takeover),
            self.offer.map(|offer| offer.until),
            self.vips.next_deadline(),
        ];
        let lease = self.lease.next_deadline();
        let peers = self.peers.iter().flat_map(|peer| self.silences(peer));
        let paths = self.peers.iter().flat_map(|peer| &peer.paths);
        let timers = paths.flat_map(|path| [Some(path.send_at), path.session.next_deadline()]);
        own.into_iter().chain(lease).chain(timers).flatten().chain(peers)
    }

    /// When a peer's silence comes to mean something.
    fn silences(&self, peer: &Peer) -> [Time; 3] {
        let timing = &self.config.timing;
        let heard = peer.heard_at.map_or(self.listening, |at| at.max(self.listening));
        let both_ways = self.speaking.map_or(heard, |at| at.max(heard));
        let (detect, patience) = (peer.detect(timing), peer.patience(timing));
        [heard + detect, heard + patience, both_ways + patience]
    }

    /// Queues an output. The queue is as long as all that one turn can want; if the driver does not
    /// take its outputs, heartbeats give way, and at last nothing more is taken in.
    fn push(&mut self, output: Output) {
        if self.outputs.len() >= MEMBER_OUTPUTS_MAX {
            self.tally.outputs_lost += 1;
            let beat = |it: &Output| matches!(it, Output::SendHeartbeat { .. });
            let Some(oldest) = self.outputs.iter().position(beat) else { return };
            self.outputs.remove(oldest);
        }
        self.outputs.push_back(output);
    }

    /// Who had all of an owner's sessions when that fell silent is the one to take over: that its replication
    /// has ended since is no news then, as it has for all.
    fn note_readiness(&mut self, now: Time) {
        let falls = self.readiness.is_ready() && !self.replicas.is_ready();
        let hears_owner = self.owner.is_some_and(|index| self.is_near(&self.peers[index], now));
        let waits = match self.role {
            Role::Standby | Role::TakingOver => !hears_owner,
            Role::Listening | Role::Active | Role::Yielding | Role::Drained | Role::Closed => false,
        };
        if !falls || !waits {
            self.readiness = self.replicas;
        }
    }

    /// What speaks against this node as an owner.
    fn own_fitness(&self) -> Fitness {
        let drained = if self.wanted.drained { Fitness::DRAINED } else { Fitness::FIT };
        let kind = match self.config.kind {
            Kind::Firewall => Fitness::FIT,
            Kind::Witness => Fitness::WITNESS,
        };
        let members = if self.outnumbered { Fitness::MEMBERS } else { Fitness::FIT };
        self.fitness.and(drained).and(kind).and(members)
    }

    #[cfg(test)]
    fn flawed(&self, flaw: tests::Flaw) -> bool {
        self.flaw == Some(flaw)
    }
}

impl Promise {
    /// What an earlier boot of this node may have promised, moments ago. In a pair that can only have
    /// been to the peer; with more voters it was to the one on disk, or nobody knows to whom.
    fn at_start(config: &Config, facts: Facts, now: Time) -> Self {
        let other = facts.vote.filter(|node| *node != config.node);
        let to = match config.peers.as_slice() {
            [peer] => Some(peer.node),
            _ => other,
        };
        Self { to, until: now + config.timing.takeover }
    }

    /// Whether it does not bind against `node`.
    fn is_free_for(&self, node: NodeId, now: Time) -> bool {
        self.to == Some(node) || self.until <= now
    }
}
