//! Messages, and what the driver does with them.

use wire::Time;

use super::world::World;
use crate::NodeId;
use crate::policy::coordinator::{self, Ticket};
use crate::policy::local::{self, Facts, Purpose, Report};
use crate::policy::{Command, Line, Version, command, encode_command};

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
        run: u32,
        asked: Time,
    },
    StandsStill {
        to: usize,
        run: u32,
        node: NodeId,
        asked: Time,
        why: Line,
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

impl World {
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

    /// A disk's write, after those before it; now and then it stalls.
    fn write(&mut self, node: usize, message: Message) {
        let millis = if self.dice.percent(5) { 400 } else { 20 };
        self.posted += 1;
        let due = self.nodes[node].disk.busy_until.max(self.now) + 1 + self.dice.below(millis);
        self.nodes[node].disk.busy_until = due;
        self.messages.insert((due, self.posted), message);
    }

    /// What is due arrives.
    pub(super) fn deliver(&mut self) {
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
            Message::Ask { from, to, run, asked } if there(self, to) && there(self, from) => {
                let it = &self.nodes[to];
                match it.local.stands_still().cloned() {
                    Some(why) => {
                        let node = it.id;
                        self.judge.stands_still();
                        self.post(Message::StandsStill { to: from, run, node, asked, why });
                    }
                    None => self.local(to, local::Input::Asked),
                }
            }
            Message::StandsStill { to, run, node, asked, why } if there(self, to) => {
                if self.nodes[to].run == run {
                    let input = coordinator::Input::StandsStill { node, asked, why: &why };
                    self.coordinate(to, input);
                }
            }
            Message::AskClearance { from, to, asked } if there(self, to) => {
                let (from, index) = (self.nodes[from].id, self.entries.len() as u64);
                if self.leader == Some(to) {
                    self.post_within(Message::Sure { node: to, from, asked, index }, 10);
                }
            }
            Message::Sure { node, from, asked, index } if there(self, node) => {
                if self.leader == Some(node) && self.has_voters() {
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
            | Message::StandsStill { .. }
            | Message::AskClearance { .. }
            | Message::Sure { .. }
            | Message::Request { .. } => {}
        }
    }

    /// A leader's entry is agreed on if it still leads; if not, it may be all the same.
    fn append(&mut self, node: usize, command: Command, in_doubt: bool) {
        let leads = self.leader == Some(node) && self.nodes[node].votes(self.now);
        if self.has_voters() && (leads || in_doubt) {
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
                self.write(node, Message::Saved { node, run, facts });
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
            local::Output::Event(event) => self.judge.event(&event),
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
                let (run, asked) = (self.nodes[node].run, self.nodes[node].time(self.now));
                self.post(Message::Ask { from: node, to, run, asked });
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
