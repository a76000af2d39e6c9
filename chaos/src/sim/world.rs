//! The world: two nodes, the network, the hosts, and time, which goes from one event to the next.

use std::sync::Arc;

use cluster_core::Boot;
use cluster_core::membership::PathId;
use cluster_core::membership::messages::Facts;
use engine::PortId;
use engine::policy::Policy;
use wire::Time;

use super::clock::Clock;
use super::daemon::{Daemon, Effect};
use super::dice::Dice;
use super::fault::Planned;
use super::flow::Flow;
use super::hosts::Neighbourhood;
use super::invariants::overlap::Overlap;
use super::invariants::survival::Survival;
use super::invariants::translation::Translations;
use super::invariants::{Violation, agreement, conservation, monotone, overlap, survival};
use super::log::{Fact, Log};
use super::network::{End, Network};
use super::node::{Message, Node};
use super::queue::Queue;
use super::topology::{Revision, Sim};
use crate::limits::{HOSTS, LOOK, TURNS_AT_ONCE};

/// Everything.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) sim: Sim,
    pub(crate) now: Time,
    pub(crate) end: Time,
    pub(crate) queue: Queue<Event>,
    pub(crate) nodes: [Node; 2],
    pub(crate) network: Network,
    pub(crate) hosts: [[Neighbourhood; HOSTS]; 2],
    pub(crate) flows: Vec<Flow>,
    pub(crate) faults: Vec<Planned>,
    /// The node that each fault is at, while it lasts.
    pub(crate) struck: Vec<Option<usize>>,
    /// The faults with which connections may break.
    pub(crate) excused: Vec<bool>,
    pub(crate) revision: Revision,
    pub(crate) policy: Arc<Policy>,
    pub(crate) log: Log,
    pub(crate) overlap: Overlap,
    pub(crate) survival: Survival,
    pub(crate) translations: Translations,
    pub(crate) violation: Option<Violation>,
    /// For the hosts, and for what nodes and their disks do.
    pub(crate) dice: [Dice; 2],
    pub(crate) tally: Tally,
}

/// What is on its way, or will be.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message comes to a node.
    Message { to: usize, message: Message },
    /// A frame comes to a node by a port.
    FrameToNode { to: usize, port: PortId, frame: Vec<u8> },
    /// A frame comes to the hosts of a side.
    FrameToHosts { side: usize, frame: Vec<u8> },
    /// A host asks a node whether it has the gateway's address.
    Question { to: usize, side: usize, host: usize },
    /// A host hears that a node has it.
    Announced { side: usize, host: usize, node: usize },
    /// Facts are on a node's disk.
    Persisted { node: usize, boot: u32, facts: Facts },
    /// The transport of a node has a connection.
    Connected { node: usize, boot: u32, attempt: u32 },
    /// The kernel has found a neighbour.
    Resolved { node: usize, boot: u32, port: PortId, address: std::net::IpAddr },
    /// A node is told of the policy that is in force.
    Commit { node: usize },
    /// Something of a flow is due.
    Flow { flow: usize },
    /// A fault begins, or ends.
    Fault { number: usize, begins: bool },
    /// A datagram should have been answered.
    Answered { flow: usize, number: u64 },
    /// A look at everything.
    Look,
}

/// What a run saw, for its report.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events.
    pub events: u64,
    /// Flows that began.
    pub flows: u64,
    /// Frames that left a node.
    pub forwarded: u64,
    /// Frames that came to hosts.
    pub arrived: u64,
    /// Forged frames sent.
    pub forged: u64,
    /// Datagrams that had to be answered, and were.
    pub answered: u64,
    /// Faults.
    pub faults: u64,
    /// Takeovers and switchovers.
    pub takeovers: u64,
    /// Frames that waited for the backup for too long.
    pub holds_expired: u64,
    /// Frames that came to their servers with a translated source.
    pub translated: u64,
}

impl Tally {
    /// Adds what another run saw.
    pub fn add(&mut self, other: &Self) {
        self.translated += other.translated;
        self.events += other.events;
        self.flows += other.flows;
        self.forwarded += other.forwarded;
        self.arrived += other.arrived;
        self.forged += other.forged;
        self.answered += other.answered;
        self.faults += other.faults;
        self.takeovers += other.takeovers;
        self.holds_expired += other.holds_expired;
    }
}

impl World {
    /// The world of `sim`, with the faults that are drawn for it.
    pub(crate) fn new(sim: Sim) -> Self {
        Self::with_faults(sim, Planned::roll_all(&sim))
    }

    pub(crate) fn with_faults(sim: Sim, faults: Vec<Planned>) -> Self {
        let mut dice = Dice::new(sim.seed, 3);
        let clock = |_| {
            let (offset, ppm) =
                (dice.within(1_000_000_000..90_000_000_000), dice.below(601) as i64 - 300);
            Clock::new(offset, ppm)
        };
        let [a, b] = [0, 1].map(clock);
        let flows = Flow::roll_all(&sim);
        let revision = Revision::First;
        let mut world = Self {
            sim,
            now: Time::ZERO,
            end: Time::from_secs(sim.seconds),
            queue: Queue::new(),
            nodes: [Node::new(0, a), Node::new(1, b)],
            network: Network::new(Dice::new(sim.seed, 4)),
            hosts: Default::default(),
            struck: vec![None; faults.len()],
            excused: vec![false; faults.len()],
            survival: Survival::new(flows.len()),
            translations: Translations::new(flows.len()),
            flows,
            faults,
            revision,
            policy: revision.policy(),
            log: Log::new(sim.log_all),
            overlap: Overlap::default(),
            violation: None,
            dice: [Dice::new(sim.seed, 5), Dice::new(sim.seed, 6)],
            tally: Tally::default(),
        };
        world.prepare();
        world
    }

    fn prepare(&mut self) {
        for number in 0..self.faults.len() {
            self.queue.push(self.faults[number].at, Event::Fault { number, begins: true });
        }
        for flow in 0..self.flows.len() {
            self.queue.push(self.flows[flow].starts, Event::Flow { flow });
        }
        self.queue.push(Time::ZERO + LOOK, Event::Look);
        let late = self.dice[1].below(400);
        self.start(0);
        self.now = Time::from_millis(late);
        self.start(1);
    }

    /// Runs until the end, or until something is broken.
    pub(crate) fn run(&mut self) {
        let end = self.end;
        self.run_until(end);
        self.finish();
    }

    pub(crate) fn run_until(&mut self, end: Time) {
        let mut turns = 0;
        while self.violation.is_none() {
            let wakes = self.nodes.iter().map(|node| node.wake_at);
            let Some(next) = wakes.chain(self.queue.next_at()).min().filter(|at| *at <= end) else {
                break;
            };
            turns = if next > self.now { 0 } else { turns + 1 };
            assert!(turns < TURNS_AT_ONCE, "no end at {:?}: {}", self.now, self.picture());
            self.now = self.now.max(next);
            self.step();
        }
        if self.violation.is_none() {
            self.now = end;
        }
    }

    fn step(&mut self) {
        self.tally.events += 1;
        for node in 0..2 {
            if self.nodes[node].wake_at <= self.now {
                return self.wake(node);
            }
        }
        if let Some((_, event)) = self.queue.pop() {
            self.happen(event);
        }
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Message { to, message } => self.message(to, message),
            Event::FrameToNode { to, port, frame } => self.frame_to_node(to, port, frame),
            Event::FrameToHosts { side, frame } => self.frame_to_hosts(side, &frame),
            Event::Question { to, side, host } => self.question(to, side, host),
            Event::Announced { side, host, node } => self.believe(side, host, node),
            Event::Persisted { node, boot, facts } => self.persisted(node, boot, facts),
            Event::Connected { node, boot, attempt } => {
                self.with(node, boot, |daemon, now, effects| daemon.connect(attempt, now, effects));
            }
            Event::Resolved { node, boot, port, address } => {
                let change = super::topology::neighbour(port, address);
                self.with(node, boot, |daemon, now, effects| {
                    daemon.resolved(change.as_slice(), now, effects);
                });
            }
            Event::Commit { node } => self.commit(node),
            Event::Flow { flow } => self.flow_due(flow),
            Event::Fault { number, begins } => self.strike(number, begins),
            Event::Answered { flow, number } => self.must_be_answered(flow, number),
            Event::Look => self.look(),
        }
    }

    /// Starts a node's daemon.
    pub(crate) fn start(&mut self, index: usize) {
        let now = self.now;
        self.overlap.ends(index, now);
        let node = &mut self.nodes[index];
        if !node.has_power() || node.killed > 0 || node.daemon.is_some() {
            return;
        }
        node.boots += 1;
        node.lease = None;
        node.addresses = false;
        node.books.given_now = 0;
        node.books.emitted_now = 0;
        let (boot, facts, local) = (node.boots, node.disk, node.local(now));
        node.daemon = Some(Daemon::start(&self.sim, index, Boot(boot), facts, local));
        self.note(Fact::Starts { node: index, boot });
        self.commit(index);
    }

    /// A node is told of the policy in force, if it is there to hear it.
    fn commit(&mut self, node: usize) {
        let (revision, policy) = (self.revision, Arc::clone(&self.policy));
        let boot = self.nodes[node].boots;
        self.with(node, boot, |daemon, now, effects| {
            daemon.commit(revision, policy, now, effects);
        });
    }

    /// Does something with a node's daemon, if it still is that boot, and carries out what follows.
    pub(crate) fn with(
        &mut self,
        index: usize,
        boot: u32,
        act: impl FnOnce(&mut Daemon, Time, &mut Vec<Effect>),
    ) {
        let node = &mut self.nodes[index];
        let local = node.local(self.now);
        let Some(daemon) = node.daemon.as_mut().filter(|it| it.boot == Boot(boot)) else { return };
        let mut effects = Vec::new();
        act(daemon, local, &mut effects);
        self.carry_out(index, effects);
        self.schedule(index);
    }

    /// When the node is run next.
    pub(crate) fn schedule(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        let Some(daemon) = node.daemon.as_ref().filter(|_| node.pauses == 0) else {
            node.wake_at = Time::MAX;
            return;
        };
        let local = node.clock.local(self.now);
        let due = node.clock.world(daemon.next_deadline(local)).max(self.now);
        node.wake_at = match node.slow.iter().max() {
            None => due,
            // Something may be waiting already.
            Some(longest) => {
                let late = self.dice[1].below(longest.as_micros() as u64 + 1);
                let due =
                    if node.ring.is_empty() && node.sockets.is_empty() { due } else { self.now };
                due + core::time::Duration::from_micros(late)
            }
        };
    }

    /// The node is run: what waits is read, then time passes.
    fn wake(&mut self, index: usize) {
        let boot = self.nodes[index].boots;
        let frames_first = self.dice[1].per_mille(500);
        if frames_first {
            self.drain_ring(index);
        }
        while let Some(message) = self.nodes[index].sockets.pop_front() {
            self.hear(index, message);
        }
        if !frames_first {
            self.drain_ring(index);
        }
        self.with(index, boot, Daemon::time);
        self.look_at_engine(index);
    }

    fn drain_ring(&mut self, index: usize) {
        while let Some((port, frame)) = self.nodes[index].ring.pop_front() {
            self.turn(index, port, frame);
        }
    }

    fn message(&mut self, to: usize, message: Message) {
        let node = &mut self.nodes[to];
        if node.daemon.is_none() {
            return;
        }
        if node.is_prompt() {
            return self.hear(to, message);
        }
        node.queue_message(message);
        self.rouse(to);
    }

    /// Something waits at a node that is slow.
    fn rouse(&mut self, index: usize) {
        let node = &mut self.nodes[index];
        if node.pauses == 0
            && let Some(longest) = node.slow.iter().max()
        {
            let late = self.dice[1].below(longest.as_micros() as u64 + 1);
            node.wake_by(self.now + core::time::Duration::from_micros(late));
        }
    }

    fn hear(&mut self, index: usize, message: Message) {
        let boot = self.nodes[index].boots;
        match message {
            Message::Heartbeat(path, bytes) => {
                self.note(Fact::Heard { node: index, bytes: path.0.into() });
                self.with(index, boot, |daemon, now, effects| {
                    daemon.heartbeat(path, &bytes, now, effects);
                });
            }
            Message::Replication(bytes) => {
                self.note(Fact::Heard { node: index, bytes: bytes.len() });
                self.with(index, boot, |daemon, now, effects| {
                    daemon.message(&bytes, now, effects);
                });
                self.look_at_records(index);
            }
        }
    }

    fn frame_to_node(&mut self, to: usize, port: PortId, frame: Vec<u8>) {
        self.network.books.arrived += 1;
        let (now, planted) = (self.now, self.sim.planted);
        let node = &mut self.nodes[to];
        node.books.arrived += 1;
        if node.daemon.is_none() {
            node.books.lost += 1;
        } else if !node.has_lease(node.local(now), planted) {
            node.books.no_lease += 1;
        } else if node.is_prompt() {
            self.turn(to, port, frame);
            self.look_at_engine(to);
        } else {
            node.queue_frame(port, frame);
            self.rouse(to);
        }
    }

    /// The worker takes a frame out of its ring.
    fn turn(&mut self, index: usize, port: PortId, frame: Vec<u8>) {
        let (now, planted) = (self.now, self.sim.planted);
        let node = &mut self.nodes[index];
        node.books.given += 1;
        node.books.given_now += 1;
        let (boot, covered) = (node.boots, node.has_lease(node.local(now), planted));
        self.with(index, boot, |daemon, now, effects| match covered {
            true => {
                daemon.frame(port, frame, now, effects);
                daemon.settle(now, effects);
            }
            false => daemon.refuse(),
        });
    }

    fn persisted(&mut self, index: usize, boot: u32, facts: Facts) {
        let node = &mut self.nodes[index];
        if node.boots != boot || node.daemon.is_none() {
            return;
        }
        // The disk writes whether the daemon runs or not; it hears of it when it runs.
        node.disk = facts;
        if node.pauses > 0 {
            let later = self.now + core::time::Duration::from_millis(1);
            // Nothing that is written later is heard of earlier.
            node.disk_busy = node.disk_busy.max(later);
            self.queue.push(later, Event::Persisted { node: index, boot, facts });
            return;
        }
        self.with(index, boot, |daemon, now, effects| daemon.persisted(facts, now, effects));
    }

    pub(crate) fn note(&mut self, fact: Fact) {
        self.log.note(self.now, fact);
    }

    /// Something must not be.
    pub(crate) fn breaks(&mut self, invariant: &'static str, what: Option<String>) {
        if let Some(what) = what
            && self.violation.is_none()
        {
            self.violation = Some(Violation { invariant, what, at: self.now });
        }
    }

    pub(crate) fn look_at_engine(&mut self, index: usize) {
        let node = &self.nodes[index];
        let found = node.daemon.as_ref().and_then(|daemon| conservation::engine(daemon, index));
        self.breaks(conservation::NAME, found);
    }

    fn look_at_records(&mut self, index: usize) {
        let found = self.nodes[index].daemon.as_mut().and_then(|daemon| daemon.watch.take());
        self.breaks(monotone::NAME, found);
    }

    fn look(&mut self) {
        self.queue.push(self.now + LOOK, Event::Look);
        self.look_at_everything();
    }

    fn look_at_everything(&mut self) {
        for index in 0..2 {
            self.look_at_engine(index);
            self.breaks(conservation::NAME, conservation::node(&self.nodes[index]));
            if let Some(daemon) = &mut self.nodes[index].daemon {
                daemon.look_at_sessions();
            }
            self.look_at_records(index);
        }
        let frames = self.queue.iter().filter(|event| event.is_frame()).count() as u64;
        self.breaks(conservation::NAME, conservation::network(&self.network.books, frames));
        let apart = self.network.apart_ago(self.now);
        let both_run = self.nodes.iter().all(Node::answers);
        let found = self.overlap.look(apart, both_run, self.now);
        self.breaks(overlap::NAME, found);
    }

    /// The end: what must have come to rest has.
    fn finish(&mut self) {
        self.look_at_everything();
        if let Some(flow) = self.survival.finish() {
            let flow = &self.flows[flow];
            let what = "was acknowledged and is not done after a quiet time";
            self.breaks(survival::NAME, Some(format!("{flow:?} {what}")));
        }
        // A session may be ending at this very moment.
        for _ in 0..4 {
            if self.violation.is_some() || agreement::look(&self.nodes).is_none() {
                break;
            }
            let later = self.now + LOOK;
            self.run_until(later);
        }
        self.breaks(agreement::NAME, agreement::look(&self.nodes));
    }

    /// Where everybody stands, for a report.
    pub(crate) fn picture(&self) -> String {
        let node = |node: &Node| {
            let index = node.index + 1;
            match &node.daemon {
                None => format!("n{index}: down"),
                Some(daemon) => format!("n{index}: {}", daemon.picture(node.local(self.now))),
            }
        };
        format!("{}\n{}", node(&self.nodes[0]), node(&self.nodes[1]))
    }

    /// Sends a message to the other node.
    pub(crate) fn send(&mut self, from: usize, path: PathId, message: impl Fn() -> Message) {
        let to = 1 - from;
        let ways = self.network.ways(usize::from(path.0), End::Node(from), End::Node(to));
        for way in ways.into_iter().flatten() {
            self.queue.push(self.now + way, Event::Message { to, message: message() });
        }
    }
}

impl Event {
    const fn is_frame(&self) -> bool {
        matches!(self, Self::FrameToNode { .. } | Self::FrameToHosts { .. })
    }
}
