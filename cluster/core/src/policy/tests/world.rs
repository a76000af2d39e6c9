//! The world: time, messages, entries, leases, and what the driver would do.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Flaw;
use super::client::Clients;
use super::judge::Judge;
use super::messages::Message;
use super::node::Node;
use crate::NodeId;
use crate::membership::Kind;
use crate::policy::coordinator::{self, Liveness};
use crate::policy::local;
use crate::policy::log::{Member, Stamp};
use crate::policy::{Action, Command, Line, Log, Replicated, encode_command, outcome};

/// Milliseconds of a step.
pub(super) const TICK: u64 = 5;

/// Life of a lease, and how often it is renewed: each step.
const LEASE: u64 = 65;

/// Numbers that look random and are the same for the same seed (SplitMix64).
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Everything.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) now: u64,
    pub(super) nodes: Vec<Node>,
    pub(super) entries: Vec<Vec<u8>>,
    pub(super) reference: Log,
    pub(super) leader: Option<usize>,
    pub(super) messages: BTreeMap<(u64, u64), Message>,
    pub(super) posted: u64,
    pub(super) ticket: u64,
    pub(super) loss_percent: u64,
    /// One in so many steps has a fault, of ten kinds.
    pub(super) calm: u64,
    pub(super) confirm_time: Duration,
    pub(super) clients: Clients,
    pub(super) judge: Judge,
}

impl World {
    pub(super) fn new(seed: u64, nodes: usize, flaw: Option<Flaw>) -> Self {
        let mut dice = Dice(seed);
        let with_witness = nodes == 3 && dice.percent(30);
        let id = |at: usize| NodeId(at as u16 + 1);
        let is_witness = |at: usize| with_witness && at == nodes - 1;
        let calm = 400 + dice.below(3_000);
        let mut it = Self {
            loss_percent: dice.below(40),
            now: 0,
            nodes: (0..nodes).map(|at| Node::new(id(at), is_witness(at), flaw)).collect(),
            entries: Vec::new(),
            reference: Log::default(),
            leader: None,
            messages: BTreeMap::new(),
            posted: 0,
            ticket: 0,
            calm,
            confirm_time: Duration::from_millis(5_000 + dice.below(2_000)),
            clients: Clients::default(),
            judge: Judge::default(),
            dice,
        };
        it.reference.flaw = flaw;
        it.found();
        it
    }

    /// The first entries name the members.
    fn found(&mut self) {
        for at in 0..self.nodes.len() {
            let node = self.nodes[at].id;
            let kind = if self.nodes[at].is_witness { Kind::Witness } else { Kind::Firewall };
            let address = ([10, 0, 9, node.0 as u8], 7_400).into();
            let member = Member { kind, address, name: Line::cut("fw") };
            let (request, stamp) = (None, Stamp::default());
            let action = Action::SetMember { node, member };
            self.commit(at, &Command { request, stamp, action });
        }
        for at in 0..self.nodes.len() {
            self.apply(at, u64::MAX);
        }
        self.lead(0);
    }

    pub(super) fn some_node(&mut self) -> usize {
        self.dice.below(self.nodes.len() as u64) as usize
    }

    /// Whether anything can be agreed on.
    pub(super) fn has_voters(&self) -> bool {
        let there = self.nodes.iter().filter(|it| it.votes(self.now)).count();
        2 * there > self.nodes.len()
    }

    pub(super) fn has_majority(&self) -> bool {
        let there = self.nodes.iter().filter(|it| it.is_reachable(self.now)).count();
        2 * there > self.nodes.len()
    }

    /// One step.
    pub(super) fn step(&mut self, quiet: bool) {
        self.now += TICK;
        if !quiet {
            self.fault();
        }
        self.elect();
        self.leases();
        self.deliver();
        self.clients_act(quiet);
        for node in 0..self.nodes.len() {
            self.live(node);
        }
        for at in 0..self.nodes.len() {
            self.judge.look(&self.nodes[at], self.now);
        }
    }

    /// A node takes entries at its own pace, hears of the others, and looks at its clocks.
    fn live(&mut self, node: usize) {
        if !self.nodes[node].is_awake(self.now) {
            return;
        }
        self.notice_disk(node);
        if self.nodes[node].is_reachable(self.now) && self.has_majority() {
            if self.dice.percent(30) && self.nodes[node].votes(self.now) {
                let entries = 1 + self.dice.below(4);
                self.apply(node, entries);
            }
            if self.dice.percent(10) {
                self.liveness(node);
            }
        }
        if self.dice.below(200) == 0 {
            self.nodes[node].save_log();
        }
        let clocks = self.nodes[node].clocks(self.now);
        self.nodes[node].local.handle(local::Input::Tick, &clocks);
        self.nodes[node].coordinator.handle(coordinator::Input::Tick, &clocks);
        self.carry_out(node);
    }

    /// A node hears that its log stands still, or that it goes on.
    fn notice_disk(&mut self, node: usize) {
        let it = &mut self.nodes[node];
        if it.stalled != it.knows_stalled {
            it.knows_stalled = it.stalled;
            let why = it.stalled.then(|| Line::cut("its disk is full"));
            let clocks = it.clocks(self.now);
            it.local.handle(local::Input::Stalled(why), &clocks);
            self.carry_out(node);
        }
    }

    /// What membership tells a node that is with the majority: certain, but not fresh.
    fn liveness(&mut self, node: usize) {
        let now = self.now;
        let clocks = self.nodes[node].clocks(now);
        for about in 0..self.nodes.len() {
            let it = &self.nodes[about];
            let (id, dark_at) = (it.id, it.lease_until.unwrap_or(now));
            let liveness = match it.is_reachable(now) {
                true => Liveness::Alive,
                false => Liveness::Down { dark_at: self.nodes[node].time(dark_at) },
            };
            let input = coordinator::Input::Liveness(id, liveness);
            self.nodes[node].coordinator.handle(input, &clocks);
        }
    }

    /// Leases: renewed with a majority, for who may forward; they end by themselves.
    fn leases(&mut self) {
        let (now, majority) = (self.now, self.has_majority());
        for node in 0..self.nodes.len() {
            let it = &mut self.nodes[node];
            if it.is_witness || !it.is_awake(now) {
                continue;
            }
            let held = it.lease_until.is_some();
            let clocks = it.clocks(now);
            let fit = it.wants_lease && it.local.may_forward(&clocks);
            let renewed = it.is_reachable(now) && majority && fit;
            let over = it.lease_until.is_some_and(|until| until <= now) || held && !fit;
            if over {
                it.lease_until = None;
                it.local.handle(local::Input::Lease(false), &clocks);
            } else if renewed {
                it.lease_until = Some(now + LEASE);
                it.local.handle(local::Input::Lease(true), &clocks);
            }
            self.carry_out(node);
        }
    }

    /// An entry is agreed on.
    pub(super) fn commit(&mut self, by: usize, command: &Command) {
        let bytes = encode_command(command);
        let index = self.entries.len() as u64 + 1;
        let reference = self.reference.apply(index, &bytes);
        let outcome = outcome(&reference).expect("an outcome");
        let Self { judge, reference, nodes, now, .. } = self;
        judge.entry(command, &outcome, reference, *now);
        if let Action::Switch { .. } = command.action
            && outcome.moves_policy()
        {
            let source = reference.summary().running.source;
            judge.switched(reference.text(source).expect("it runs").as_str(), by, nodes);
        }
        self.entries.push(bytes);
    }

    fn apply(&mut self, node: usize, count: u64) {
        let from = self.nodes[node].log.summary().applied as usize;
        let to = self.entries.len().min(from.saturating_add(count as usize));
        if from == to {
            return;
        }
        for at in from..to {
            self.nodes[node].log.apply(at as u64 + 1, &self.entries[at]);
        }
        self.show_log(node);
    }

    /// Tells both machines of a node what its log is now.
    pub(super) fn show_log(&mut self, node: usize) {
        let now = self.now;
        let it = &mut self.nodes[node];
        let clocks = it.clocks(now);
        let summary = it.log.summary();
        let current = summary.decided >= it.disk.facts.decided;
        match summary.trial.filter(|_| current) {
            Some(trial) if it.trial_seen.is_none_or(|(epoch, _)| epoch != trial.epoch) => {
                it.trial_seen = Some((trial.epoch, now));
            }
            Some(_) => {}
            None => it.trial_seen = None,
        }
        it.local.handle(local::Input::Log(summary), &clocks);
        it.coordinator.handle(coordinator::Input::Log(&it.log, it.local.trial()), &clocks);
        self.carry_out(node);
    }
}
