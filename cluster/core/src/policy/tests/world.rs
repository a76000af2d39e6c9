//! The world: time, messages, entries, leases, and what the driver would do.

use std::collections::BTreeMap;
use std::time::Duration;

use wire::Time;

use super::Flaw;
use super::client::Clients;
use super::judge::Judge;
use super::node::Node;
use crate::NodeId;
use crate::membership::Kind;
use crate::policy::coordinator::{self, Liveness, Ticket};
use crate::policy::local::{self, Facts, Purpose, Report};
use crate::policy::log::{Member, Stamp};
use crate::policy::{
    Action, Command, Line, Log, Replicated, Version, command, encode_command, outcome,
};

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

/// What is on its way. What belongs to one run of a node names it.
#[derive(Clone)]
pub(super) enum Message {
    Report {
        to: usize,
        report: Report,
    },
    Ask {
        from: usize,
        to: usize,
    },
    AskClearance {
        from: usize,
        to: usize,
        asked: Time,
    },
    /// The leader has asked a majority whether it leads.
    Sure {
        node: usize,
        from: NodeId,
        asked: Time,
        index: u64,
    },
    Cleared {
        to: NodeId,
        asked: Time,
        index: u64,
    },
    Append {
        node: usize,
        command: Command,
        in_doubt: bool,
    },
    Request {
        to: usize,
        ticket: Ticket,
        command: Command,
    },
    Leads {
        node: usize,
        run: u32,
        leads: bool,
    },
    Compiled {
        node: usize,
        run: u32,
        purpose: Purpose,
        version: Version,
    },
    Running {
        node: usize,
        run: u32,
        version: Version,
    },
    Saved {
        node: usize,
        run: u32,
        facts: Facts,
    },
}

/// Everything.
pub(super) struct World {
    pub(super) dice: Dice,
    pub(super) now: u64,
    pub(super) nodes: Vec<Node>,
    entries: Vec<Vec<u8>>,
    pub(super) reference: Log,
    pub(super) leader: Option<usize>,
    messages: BTreeMap<(u64, u64), Message>,
    posted: u64,
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

    pub(super) fn has_majority(&self) -> bool {
        let there = self.nodes.iter().filter(|it| it.is_reachable(self.now)).count();
        2 * there > self.nodes.len()
    }

    /// Sends a message over the network: late, lost, or twice.
    pub(super) fn post(&mut self, message: Message) {
        let loss = self.loss_percent;
        if self.dice.percent(loss) {
            return;
        }
        if self.dice.percent(loss / 2) {
            self.post_within(message.clone(), 2_000);
        }
        let late = if self.dice.percent(loss / 4) { 1_500 } else { 20 };
        self.post_within(message, late);
    }

    /// Something happens in `millis` at most.
    pub(super) fn post_within(&mut self, message: Message, millis: u64) {
        self.posted += 1;
        let due = self.now + 1 + self.dice.below(millis);
        self.messages.insert((due, self.posted), message);
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
        if self.nodes[node].is_reachable(self.now) && self.has_majority() {
            if self.dice.percent(30) {
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
        self.nodes[node].fit = self.nodes[node].local.may_forward(&clocks);
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
            let renewed = it.is_reachable(now) && majority && it.fit;
            let over = it.lease_until.is_some_and(|until| until <= now) || held && !it.fit;
            let clocks = it.clocks(now);
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
    fn commit(&mut self, by: usize, command: &Command) {
        let bytes = encode_command(command);
        let index = self.entries.len() as u64 + 1;
        let reference = self.reference.apply(index, &bytes);
        let outcome = outcome(&reference).expect("an outcome");
        let World { judge, reference, nodes, now, .. } = self;
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

    fn deliver(&mut self) {
        while let Some(entry) = self.messages.first_entry() {
            if entry.key().0 > self.now {
                return;
            }
            let message = entry.remove();
            self.arrive(message);
        }
    }

    fn arrive(&mut self, message: Message) {
        let now = self.now;
        let there = |world: &Self, node: usize| world.nodes[node].is_reachable(now);
        let at = |world: &Self, id: NodeId| {
            world.nodes.iter().position(|it| it.id == id).expect("a node")
        };
        match message {
            Message::Report { to, report } if there(self, to) => {
                self.coordinate(to, coordinator::Input::Report(&report));
            }
            Message::Ask { from, to } if there(self, to) && there(self, from) => {
                self.local(to, local::Input::Asked);
            }
            Message::AskClearance { from, to, asked } if there(self, to) => {
                let (from, index) = (self.nodes[from].id, self.entries.len() as u64);
                if self.leader == Some(to) {
                    self.post_within(Message::Sure { node: to, from, asked, index }, 10);
                }
            }
            Message::Sure { node, from, asked, index } if there(self, node) => {
                if self.leader == Some(node) && self.has_majority() {
                    let input = coordinator::Input::Clearance { node: from, asked, index };
                    self.coordinate(node, input);
                }
            }
            Message::Cleared { to, asked, index } => {
                let to = at(self, to);
                if there(self, to) {
                    self.local(to, local::Input::Cleared { asked, index });
                }
            }
            Message::Append { node, command, in_doubt } => self.append(node, command, in_doubt),
            Message::Request { to, ticket, command } if there(self, to) => {
                let it = &mut self.nodes[to];
                let input = coordinator::Input::Request(ticket, &command, &it.log);
                it.coordinator.handle(input, &it.clocks(now));
                self.carry_out(to);
            }
            Message::Leads { node, run, leads } => self.leads(node, run, leads),
            Message::Compiled { node, run, purpose, version } => {
                self.compiled(node, run, purpose, version);
            }
            Message::Running { node, run, version } => self.running(node, run, version),
            Message::Saved { node, run, facts } => self.saved(node, run, facts),
            Message::Report { .. }
            | Message::Ask { .. }
            | Message::AskClearance { .. }
            | Message::Sure { .. }
            | Message::Request { .. } => {}
        }
    }

    /// A leader's entry is agreed on if it still leads; if not, it may be all the same.
    fn append(&mut self, node: usize, command: Command, in_doubt: bool) {
        let leads = self.leader == Some(node) && self.nodes[node].is_reachable(self.now);
        if self.has_majority() && (leads || in_doubt) {
            self.commit(node, &command);
        } else if !in_doubt && self.dice.percent(30) {
            self.post_within(Message::Append { node, command, in_doubt: true }, 600);
        }
    }

    /// A paused node learns it when it wakes up.
    fn leads(&mut self, node: usize, run: u32, leads: bool) {
        if self.nodes[node].run != run
            || !self.nodes[node].up
            || leads != (self.leader == Some(node))
        {
            return;
        }
        if !self.nodes[node].is_awake(self.now) {
            self.post_within(Message::Leads { node, run, leads }, 50);
            return;
        }
        self.coordinate(node, coordinator::Input::Leads(leads));
    }

    /// Something that goes on inside of a node; it waits while the node is paused.
    fn goes_on(&mut self, node: usize, run: u32, message: Message) -> bool {
        let it = &self.nodes[node];
        if it.run != run || !it.up {
            return false;
        }
        if !it.is_awake(self.now) {
            self.post_within(message, 50);
            return false;
        }
        true
    }

    fn compiled(&mut self, node: usize, run: u32, purpose: Purpose, version: Version) {
        if !self.goes_on(node, run, Message::Compiled { node, run, purpose, version }) {
            return;
        }
        let text = self.nodes[node].text(version.source);
        let result = match (text, purpose) {
            (Some(text), _) => self.nodes[node].compile(text.as_str(), purpose),
            (None, Purpose::Proposal(_)) => Err(Line::cut("withdrawn meanwhile")),
            (None, Purpose::Force) => {
                let id = self.nodes[node].id;
                self.judge.accuse(format!("node {id} lost the text of {version:?}"));
                return;
            }
        };
        self.local(node, local::Input::Compiled { purpose, version, result });
    }

    fn running(&mut self, node: usize, run: u32, version: Version) {
        if !self.goes_on(node, run, Message::Running { node, run, version }) {
            return;
        }
        self.nodes[node].workers = version;
        let id = self.nodes[node].id;
        match self.nodes[node].text(version.source) {
            Some(text) => self.judge.runs(id, version, text.as_str()),
            None => self.judge.accuse(format!("node {id} runs {version:?} without a text")),
        }
        self.local(node, local::Input::Running(version));
    }

    fn saved(&mut self, node: usize, run: u32, facts: Facts) {
        if self.goes_on(node, run, Message::Saved { node, run, facts }) {
            self.nodes[node].save(facts);
            self.local(node, local::Input::Saved(facts));
        }
    }

    fn local(&mut self, node: usize, input: local::Input) {
        let clocks = self.nodes[node].clocks(self.now);
        self.nodes[node].local.handle(input, &clocks);
        self.carry_out(node);
    }

    fn coordinate(&mut self, node: usize, input: coordinator::Input<'_>) {
        let clocks = self.nodes[node].clocks(self.now);
        self.nodes[node].coordinator.handle(input, &clocks);
        self.carry_out(node);
    }

    /// Does what a node's machines want.
    pub(super) fn carry_out(&mut self, node: usize) {
        while let Some(output) = self.nodes[node].local.poll_output() {
            self.do_local(node, output);
        }
        while let Some(output) = self.nodes[node].coordinator.poll_output() {
            self.do_coordinate(node, output);
        }
    }

    fn do_local(&mut self, node: usize, output: local::Output) {
        let run = self.nodes[node].run;
        let to = match self.leader {
            Some(leader) if self.dice.percent(90) => leader,
            Some(_) | None => self.some_node(),
        };
        match output {
            local::Output::Compile { purpose, version } => {
                self.post_within(Message::Compiled { node, run, purpose, version }, 150);
            }
            local::Output::Run(version) => {
                self.post_within(Message::Running { node, run, version }, 30);
            }
            local::Output::Save(facts) => {
                let millis = if self.dice.percent(5) { 400 } else { 20 };
                self.post_within(Message::Saved { node, run, facts }, millis);
            }
            local::Output::Tell(report) => {
                self.judge.told(&report);
                if !self.nodes[node].cut {
                    self.post(Message::Report { to, report });
                }
            }
            local::Output::AskClearance { asked } => {
                if !self.nodes[node].cut {
                    self.post(Message::AskClearance { from: node, to, asked });
                }
            }
            local::Output::Event(_) => {}
        }
    }

    fn do_coordinate(&mut self, node: usize, output: coordinator::Output) {
        match output {
            coordinator::Output::Append(it) => {
                assert_eq!(command(&encode_command(&it)).as_ref(), Ok(&it));
                self.post_within(Message::Append { node, command: it, in_doubt: false }, 20);
            }
            coordinator::Output::Ask(to) => {
                let to = self.nodes.iter().position(|it| it.id == to).expect("a member");
                self.post(Message::Ask { from: node, to });
            }
            coordinator::Output::Clear { node: to, asked, index } => {
                if !self.nodes[node].cut {
                    self.post(Message::Cleared { to, asked, index });
                }
            }
            coordinator::Output::Answer(ticket, answer) => self.take_answer(ticket, &answer),
        }
    }
}
