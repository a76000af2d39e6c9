//! Two nodes, a network between them, and the clock.

use std::collections::BTreeMap;

use engine::session::CloseReason;
use wire::Time;

use super::model::Table;
use crate::replication::{Input, Outcome, Output, Purpose, Replication, Settings, View};
use crate::{Boot, NodeId, Term};

/// Numbers that look random and are the same for the same seed (SplitMix64).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Below `bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    pub(super) fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// What a network does to messages.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weather {
    pub(super) loss_percent: u64,
    pub(super) doubled_percent: u64,
    /// A message takes 100 µs and up to so much more.
    pub(super) jitter_micros: u64,
}

pub(super) const FAIR: Weather = Weather { loss_percent: 0, doubled_percent: 0, jitter_micros: 1 };
pub(super) const FOUL: Weather =
    Weather { loss_percent: 15, doubled_percent: 10, jitter_micros: 3_000 };

/// One node: machine, table, and what the machine told.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) machine: Replication,
    pub(super) table: Table,
    pub(super) outcomes: Vec<(Purpose, Outcome)>,
    pub(super) newer_terms: Vec<Term>,
    /// Holds that ended before the peer had what they waited for.
    pub(super) early: Vec<String>,
    /// Held packets may go without the peer: it is gone.
    pub(super) alone: bool,
}

/// Both of them.
#[derive(Debug)]
pub(super) struct Pair {
    pub(super) nodes: [Node; 2],
    pub(super) now: Time,
    pub(super) dice: Dice,
    pub(super) weather: Weather,
    pub(super) connected: bool,
    under_way: BTreeMap<(Time, u64), (usize, Vec<u8>)>,
    sent: u64,
    /// The longest message seen.
    pub(super) longest: usize,
}

const PLACES: u32 = 256;
/// More steps at one point in time than this are a loop that does not end.
const STEPS_MAX: u32 = 10_000;

impl Node {
    pub(super) fn new(index: usize, boot: u32, places: u32) -> Self {
        let ids = [NodeId(1), NodeId(2)];
        Self::between(ids[index], ids[1 - index], boot, places)
    }

    pub(super) fn between(node: NodeId, peer: NodeId, boot: u32, places: u32) -> Self {
        let mut settings = Settings::new(node, Boot(boot), peer, 0, places, 99);
        settings.digest_interval = core::time::Duration::from_secs(1);
        Self {
            machine: Replication::new(settings),
            table: Table::new(node.0, boot, places),
            outcomes: Vec::new(),
            newer_terms: Vec::new(),
            early: Vec::new(),
            alone: true,
        }
    }

    pub(super) fn handle(&mut self, input: Input<'_>, now: Time) {
        self.machine.handle(input, &mut self.table, now);
    }
}

impl Pair {
    /// Node 0 owns; they are connected.
    pub(super) fn new(seed: u64, weather: Weather) -> Self {
        let mut pair = Self::apart(seed, weather);
        pair.role(0, true, Term(1));
        pair.role(1, false, Term(1));
        pair.connect();
        pair
    }

    /// Nobody owns yet and there is no connection.
    pub(super) fn apart(seed: u64, weather: Weather) -> Self {
        Self {
            nodes: [Node::new(0, 1, PLACES), Node::new(1, 1, PLACES)],
            now: Time::from_secs(1),
            dice: Dice::new(seed),
            weather,
            connected: false,
            under_way: BTreeMap::new(),
            sent: 0,
            longest: 0,
        }
    }

    pub(super) fn role(&mut self, index: usize, owner: bool, term: Term) {
        self.input(index, Input::Role { owner, term });
    }

    pub(super) fn want(&mut self, index: usize, purpose: Purpose) {
        let deadline = Some(core::time::Duration::from_secs(20));
        self.input(index, Input::Want { purpose, deadline });
    }

    pub(super) fn connect(&mut self) {
        self.connected = true;
        for index in 0..2 {
            self.nodes[index].alone = false;
            self.input(index, Input::Connected);
        }
    }

    /// The connection breaks; what is under way is lost.
    pub(super) fn cut(&mut self) {
        self.connected = false;
        self.under_way.clear();
        for index in 0..2 {
            self.nodes[index].alone = true;
            self.input(index, Input::Lost);
        }
    }

    /// The node's daemon starts anew with an empty table.
    pub(super) fn restart(&mut self, index: usize, boot: u32) {
        self.cut();
        self.nodes[index] = Node::new(index, boot, PLACES);
    }

    /// Node 0 goes on with another one, which comes in the place of its present partner.
    pub(super) fn swap(&mut self, other: Node) -> Node {
        self.cut();
        let node = other.machine.settings.node;
        let gone = core::mem::replace(&mut self.nodes[1], other);
        self.input(0, Input::Partner(node));
        self.connect();
        self.want(1, Purpose::Join);
        gone
    }

    pub(super) fn input(&mut self, index: usize, input: Input<'_>) {
        let now = self.now;
        self.nodes[index].handle(input, now);
        self.drain(index);
    }

    pub(super) fn open(&mut self, index: usize, n: u16, sync: bool) {
        self.nodes[index].table.open(n, sync);
        self.tell(index);
    }

    pub(super) fn change(&mut self, index: usize, n: u16, state: bool, sync: bool) {
        self.nodes[index].table.change(n, state, sync);
        self.tell(index);
    }

    pub(super) fn close(&mut self, index: usize, n: u16, reason: CloseReason) {
        self.nodes[index].table.close(n, reason);
        self.tell(index);
    }

    /// Gives the machine what the table noted.
    fn tell(&mut self, index: usize) {
        let now = self.now;
        let node = &mut self.nodes[index];
        while let Some(note) = node.table.notes.pop_front() {
            node.handle(Input::Note(note), now);
        }
        self.drain(index);
    }

    /// Lets so much time pass.
    pub(super) fn run(&mut self, millis: u64) {
        let end = self.now + core::time::Duration::from_millis(millis);
        let mut steps = 0;
        while let Some(next) = self.next_event().filter(|next| *next <= end) {
            steps = if next > self.now { 0 } else { steps + 1 };
            assert!(steps < STEPS_MAX, "no end at {:?}: {:?}", self.now, self.views());
            self.now = self.now.max(next);
            self.deliver();
            self.time_passes();
        }
        self.now = end;
    }

    fn next_event(&self) -> Option<Time> {
        let arrival = self.under_way.keys().next().map(|(at, _)| *at);
        let deadlines = self.nodes.iter().filter_map(|node| node.machine.next_deadline(self.now));
        arrival.into_iter().chain(deadlines).min()
    }

    fn deliver(&mut self) {
        while let Some(first) = self.under_way.first_entry().filter(|it| it.key().0 <= self.now) {
            let (to, bytes) = first.remove();
            self.input(to, Input::Message(&bytes));
        }
    }

    fn time_passes(&mut self) {
        for index in 0..2 {
            if self.nodes[index].machine.next_deadline(self.now).is_some_and(|at| at <= self.now) {
                self.input(index, Input::Time);
            }
        }
    }

    /// The driver's one match.
    fn drain(&mut self, index: usize) {
        let now = self.now;
        let [left, right] = &mut self.nodes;
        let (node, peer) = if index == 0 { (left, right) } else { (right, left) };
        while let Some(output) = node.machine.poll_output(&mut node.table, now) {
            match output {
                Output::Send(bytes) => {
                    assert!(self.connected, "there is no way to send");
                    self.longest = self.longest.max(bytes.len());
                    let copies = 1 + u64::from(self.dice.percent(self.weather.doubled_percent));
                    for _ in 0..copies {
                        if self.dice.percent(self.weather.loss_percent) {
                            continue;
                        }
                        let micros = 100 + self.dice.below(self.weather.jitter_micros);
                        self.sent += 1;
                        let at = now + core::time::Duration::from_micros(micros);
                        self.under_way.insert((at, self.sent), (1 - index, bytes.to_vec()));
                    }
                }
                Output::Release(release) => {
                    let held = node.table.holding.get(&release.id);
                    let seen = peer.table.seen.get(&release.id).copied().unwrap_or(0);
                    if let Some((first, last)) = held
                        && !node.alone
                        && (*first..=*last)
                            .any(|packet| packet > seen && u64::from(packet) <= release.up_to)
                    {
                        node.early.push(format!("{release:?} {held:?}, peer has {seen}"));
                    }
                    node.table.release(release.id, release.up_to);
                }
                Output::Peer(there) => {
                    assert_eq!(there, !node.alone);
                    node.table.holding.clear();
                }
                Output::NewerTerm(term) => node.newer_terms.push(term),
                Output::Bulk(purpose, outcome) => node.outcomes.push((purpose, outcome)),
            }
        }
    }

    pub(super) fn views(&self) -> [View; 2] {
        [self.nodes[0].machine.view(self.now), self.nodes[1].machine.view(self.now)]
    }

    /// What must hold at every time.
    pub(super) fn check(&self) -> Result<(), String> {
        for (index, node) in self.nodes.iter().enumerate() {
            let offence = |name: &str, what: String| Err(format!("node {index}: {name}: {what}"));
            if !node.early.is_empty() {
                return offence("released early", format!("{:?}", node.early));
            }
            if !node.table.resurrected.is_empty() {
                return offence("resurrected", format!("{:?}", node.table.resurrected));
            }
            if !node.table.went_back.is_empty() {
                return offence("went back", format!("{:?}", node.table.went_back));
            }
        }
        if self.longest > crate::limits::MESSAGE_BYTES {
            return Err(format!("a message of {} bytes", self.longest));
        }
        Ok(())
    }

    /// What must hold once the network was fair for a while.
    pub(super) fn check_quiet(&self) -> Result<(), String> {
        self.check()?;
        let [left, right] = [&self.nodes[0].table, &self.nodes[1].table];
        let strip = |table: &Table| -> Vec<_> {
            table.sessions().values().map(|it| (it.key, it.id, it.rank, it.window)).collect()
        };
        if strip(left) != strip(right) {
            return Err(format!("tables differ:\n{:?}\n{:?}", strip(left), strip(right)));
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if !node.table.holding.is_empty() {
                return Err(format!("node {index} still holds {:?}", node.table.holding));
            }
            let view = node.machine.view(self.now);
            if view.lag.queued + view.lag.deletes_queued + view.lag.in_flight > 0 {
                return Err(format!("node {index} is not done: {:?}", view.lag));
            }
        }
        Ok(())
    }
}
