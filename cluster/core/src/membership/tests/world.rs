//! Members, a network between them, and their hosts, in virtual time.
//!
//! A host has a clock of its own speed, a lease word that outlives its daemon, and a disk that takes a
//! while. What is forwarded is what the lease word allows, by the host's clock, until its lag has passed:
//! the worst that the real one does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use engine::PortId;

use super::super::*;
use super::Flaw;
use crate::limits::LEASE;
use crate::policy::coordinator::Liveness;

pub(super) const MS: u64 = 1_000_000;
/// The longest that workers take to stop after they were told.
const STOP_MS: u64 = 2;

/// A small random source (splitmix64): the whole schedule follows from its seed.
#[derive(Clone, Debug)]
pub(super) struct Rng(pub(super) u64);

impl Rng {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    pub(super) fn percent(&mut self, chance: u64) -> bool {
        self.below(100) < chance
    }
}

/// Something on its way.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Parcel {
    Heartbeat { from: usize, path: PathId, bytes: [u8; HEARTBEAT_LEN] },
    Persisted(u64, Option<NodeId>, bool),
    Stopped(u64),
}

type Sent = (u64, u64, usize, u32, Parcel);

/// What a path does to packets, each way of a pair of nodes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) cut: bool,
    pub(super) loss_percent: u64,
    pub(super) delay_us: (u64, u64),
}

pub(super) struct Host {
    pub(super) member: Option<Member>,
    pub(super) config: Config,
    /// Parts per million that its clock is fast, and what it showed at the beginning.
    pub(super) drift_ppm: i64,
    offset: u64,
    pub(super) boot: u32,
    pub(super) disk: Facts,
    pub(super) disk_us: (u64, u64),
    disk_busy_until: u64,
    pub(super) paused_until: Option<u64>,
    paused_at: u64,
    waiting: Vec<Parcel>,
    wake_at: u64,
    /// When forwarding ends, in true time.
    pub(super) dark_at: u64,
    /// The driver's idea of what it may do.
    pub(super) until: Option<u64>,
    pub(super) owning: Option<Term>,
    pub(super) addresses: Vec<Vip>,
    pub(super) announced: u64,
    pub(super) events: Vec<(u64, Event)>,
    pub(super) answers: Vec<Result<(), Refused>>,
    pub(super) passed_on: Vec<NodeId>,
    /// With whom it replicates, as its driver was told, and how often it was told.
    pub(super) partner: Option<NodeId>,
    pub(super) partners: u32,
    /// When it came to itself last: start, or end of a pause that it must have noticed.
    came_to: u64,
    heard_at: u64,
    sent_at: u64,
    /// Whether its lease was last renewed in a silence that allows it.
    silent: bool,
    pub(super) intervals: Vec<(u64, u64)>,
}

pub(super) struct World {
    pub(super) now: u64,
    pub(super) hosts: Vec<Host>,
    pub(super) lines: Vec<Line>,
    pub(super) paths: usize,
    parcels: BinaryHeap<Reverse<Sent>>,
    order: u64,
    pub(super) rng: Rng,
    flaw: Option<Flaw>,
    pub(super) violation: Option<String>,
    owners: Vec<(Term, usize)>,
    pub(super) overlapped: bool,
}

/// A cluster's configuration for node `index + 1`; the last `witnesses` nodes only vote.
pub(super) fn config(index: usize, nodes: usize, witnesses: usize, paths: u8) -> Config {
    let kind = |i: usize| if i + witnesses >= nodes { Kind::Witness } else { Kind::Firewall };
    let id = |i: usize| NodeId(u16::try_from(i).unwrap() + 1);
    let paths: Vec<PathId> = (0..paths).map(PathId).collect();
    let peer = |i| PeerConfig { node: id(i), kind: kind(i), paths: paths.clone() };
    let vip = Vip { port: PortId(0), address: "10.0.1.1".parse().unwrap(), prefix: 24 };
    Config {
        node: id(index),
        kind: kind(index),
        // The first node has the best rank.
        rank: 200 - u16::try_from(index).unwrap(),
        preempt: false,
        alone: Alone::Forward,
        guard: PolicyGuard::Digest,
        list: 0,
        earlier: Vec::new(),
        peers: (0..nodes).filter(|i| *i != index).map(peer).collect(),
        vips: if kind(index) == Kind::Firewall { vec![vip] } else { Vec::new() },
        timing: Timing::default(),
        secret: [7; 32],
    }
}

impl World {
    pub(super) fn new(nodes: usize, witnesses: usize, seed: u64) -> Self {
        let paths = 2;
        let mut rng = Rng(seed);
        let hosts = (0..nodes)
            .map(|index| Host::new(config(index, nodes, witnesses, paths as u8), &mut rng))
            .collect();
        let line = Line { cut: false, loss_percent: 0, delay_us: (50, 300) };
        Self {
            now: 0,
            hosts,
            lines: vec![line; nodes * nodes * paths],
            paths,
            parcels: BinaryHeap::new(),
            order: 0,
            rng,
            flaw: None,
            violation: None,
            owners: Vec::new(),
            overlapped: false,
        }
    }

    pub(super) fn with_flaw(mut self, flaw: Option<Flaw>) -> Self {
        self.flaw = flaw;
        self
    }

    /// All nodes started, and one of them active.
    pub(super) fn settled(nodes: usize, witnesses: usize, seed: u64) -> Self {
        let mut world = Self::new(nodes, witnesses, seed);
        for node in 0..nodes {
            world.start(node);
        }
        world.run_ms(1_000);
        world.assert_safe();
        assert_eq!(world.actives(), [0], "the better rank owns");
        world
    }

    pub(super) fn line(&mut self, from: usize, to: usize, path: usize) -> &mut Line {
        let nodes = self.hosts.len();
        &mut self.lines[(from * nodes + to) * self.paths + path]
    }

    /// Cuts or mends every path from one node to another, one way.
    pub(super) fn cut(&mut self, from: usize, to: usize, cut: bool) {
        for path in 0..self.paths {
            self.line(from, to, path).cut = cut;
        }
    }

    pub(super) fn cut_both(&mut self, a: usize, b: usize, cut: bool) {
        self.cut(a, b, cut);
        self.cut(b, a, cut);
    }

    pub(super) fn actives(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|node| self.role(*node) == Some(Role::Active)).collect()
    }

    pub(super) fn role(&self, node: usize) -> Option<Role> {
        self.hosts[node].member.as_ref().map(Member::role)
    }

    pub(super) fn view(&self, node: usize) -> View {
        self.hosts[node].member.as_ref().unwrap().view()
    }

    pub(super) fn forwards(&self, node: usize) -> bool {
        self.now < self.hosts[node].dark_at
    }

    #[track_caller]
    pub(super) fn assert_safe(&self) {
        assert_eq!(self.violation, None);
    }

    /// The owner and one other firewall, if there is one that is up, replicate with each other, and nobody
    /// else does.
    #[track_caller]
    pub(super) fn assert_paired(&self, owner: usize) {
        let firewall = |host: &Host| host.config.kind == Kind::Firewall && host.member.is_some();
        let up = self.hosts.iter().filter(|host| firewall(host)).count();
        let id = |node: usize| self.hosts[node].config.node;
        let backup = self.hosts[owner].partner;
        assert_eq!(backup.is_some(), up > 1, "node {owner}: {backup:?}");
        for (node, host) in self.hosts.iter().enumerate().filter(|(node, _)| *node != owner) {
            let wanted = (Some(id(node)) == backup).then_some(id(owner));
            assert_eq!(host.partner, wanted, "node {node}; the owner has {backup:?}");
        }
    }

    /// Starts the daemon; the lease word is closed first.
    pub(super) fn start(&mut self, node: usize) {
        let now = self.now;
        let flaw = self.flaw;
        let host = &mut self.hosts[node];
        host.stop_forwarding(now);
        host.boot += 1;
        host.came_to = now;
        host.heard_at = 0;
        host.waiting.clear();
        host.paused_until = None;
        let at = host.clock(now);
        let mut member = Member::new(host.config.clone(), Boot(host.boot), host.disk, at).unwrap();
        member.flaw = flaw;
        host.member = Some(member);
        self.tell(node, Input::Readiness(Readiness::Ready));
    }

    /// The daemon is killed; the lease word stays.
    pub(super) fn kill(&mut self, node: usize) {
        let host = &mut self.hosts[node];
        host.member = None;
        host.owning = None;
        host.partner = None;
        host.addresses.clear();
        host.wake_at = u64::MAX;
    }

    /// The whole host is gone.
    pub(super) fn power_loss(&mut self, node: usize) {
        self.kill(node);
        let now = self.now;
        self.hosts[node].stop_forwarding(now);
    }

    /// The daemon is not run for a while; what comes in waits.
    pub(super) fn pause(&mut self, node: usize, ms: u64) {
        let now = self.now;
        let host = &mut self.hosts[node];
        if host.member.is_some() && host.paused_until.is_none() {
            host.paused_at = now;
            host.paused_until = Some(now + ms * MS);
        }
    }

    pub(super) fn tell(&mut self, node: usize, input: Input<'_>) {
        let now = self.now;
        let host = &mut self.hosts[node];
        let at = host.clock(now);
        let Some(member) = host.member.as_mut() else { return };
        member.handle(input, at);
        self.carry_out(node);
        self.check();
        self.check_certainty(node);
    }

    pub(super) fn run_ms(&mut self, ms: u64) {
        self.run_until(self.now + ms * MS);
    }

    pub(super) fn run_until(&mut self, end: u64) {
        while let Some(at) = self.next_at().filter(|at| *at <= end) {
            self.now = self.now.max(at);
            self.step();
        }
        self.now = end;
        self.check();
    }

    fn next_at(&self) -> Option<u64> {
        let parcel = self.parcels.peek().map(|Reverse(sent)| sent.0);
        let wakes = self.hosts.iter().filter(|it| it.member.is_some());
        let wakes = wakes.map(|host| host.paused_until.unwrap_or(host.wake_at));
        wakes.chain(parcel).min()
    }

    fn step(&mut self) {
        for node in 0..self.hosts.len() {
            let host = &mut self.hosts[node];
            if host.paused_until.is_some_and(|until| until <= self.now) {
                host.paused_until = None;
                if self.now - host.paused_at > 26 * MS {
                    host.came_to = self.now;
                }
                // The timer is first, then what lies in the sockets: the worse order.
                let waiting = core::mem::take(&mut host.waiting);
                self.tell(node, Input::Timeout);
                waiting.into_iter().for_each(|parcel| self.deliver(node, &parcel));
                return;
            }
            if host.member.is_some() && host.paused_until.is_none() && host.wake_at <= self.now {
                self.tell(node, Input::Timeout);
                return;
            }
        }
        if self.parcels.peek().is_some_and(|Reverse(sent)| sent.0 <= self.now) {
            let Some(Reverse((_, _, to, boot, parcel))) = self.parcels.pop() else { return };
            let host = &mut self.hosts[to];
            // What is for an earlier boot of a daemon dies with it; packets do not know boots.
            let stale = boot != 0 && boot != host.boot;
            if host.member.is_none() || stale {
            } else if host.paused_until.is_some() {
                host.waiting.push(parcel);
            } else {
                self.deliver(to, &parcel);
            }
        }
    }

    fn deliver(&mut self, to: usize, parcel: &Parcel) {
        match parcel {
            Parcel::Heartbeat { from, path, bytes } => {
                // One that was overtaken on its way is no sign of life: it could be a recording.
                let heard = |host: &Host| host.member.as_ref().map(|it| it.tally().heard);
                let (before, last) = (heard(&self.hosts[to]), self.hosts[to].heard_at);
                // Nor is one of who is no member yet.
                if self.hosts[to].knows(*from) {
                    self.hosts[to].heard_at = self.now;
                }
                self.tell(to, Input::Heartbeat { path: *path, bytes });
                if heard(&self.hosts[to]) == before {
                    self.hosts[to].heard_at = last;
                }
            }
            Parcel::Persisted(term, vote, drained) => {
                let facts = Facts { term: Term(*term), vote: *vote, drained: *drained };
                self.hosts[to].disk = facts;
                self.tell(to, Input::Persisted(facts));
            }
            Parcel::Stopped(number) => self.tell(to, Input::Stopped { number: *number }),
        }
    }

    fn post(&mut self, to: usize, boot: u32, after_ns: u64, parcel: Parcel) {
        self.order += 1;
        self.parcels.push(Reverse((self.now + after_ns, self.order, to, boot, parcel)));
    }

    /// The driver's one match.
    fn carry_out(&mut self, node: usize) {
        let now = self.now;
        while let Some(output) = self.hosts[node].member.as_mut().and_then(Member::poll_output) {
            let boot = self.hosts[node].boot;
            match output {
                Output::SendHeartbeat { to, path, bytes } => self.send(node, to, path, bytes),
                Output::Persist(Facts { term, vote, drained }) => {
                    let (low, high) = self.hosts[node].disk_us;
                    let takes = (low + self.rng.below(high - low + 1)) * 1_000;
                    // A disk does one thing after the other.
                    let done_at = (now + takes).max(self.hosts[node].disk_busy_until + 1);
                    self.hosts[node].disk_busy_until = done_at;
                    let parcel = Parcel::Persisted(term.0, vote, drained);
                    self.post(node, boot, done_at - now, parcel);
                }
                Output::LeaseUntil(until) => {
                    let silent = self.is_silent(node);
                    self.hosts[node].renew(until, silent, now);
                }
                Output::LeaseEnd { number } => {
                    let stop = self.rng.below(STOP_MS * MS + 1);
                    self.hosts[node].end(now, stop);
                    self.post(node, boot, stop, Parcel::Stopped(number));
                }
                Output::BecomeOwner { term, slots } => {
                    assert_eq!(slots, 0..wire::SLOTS);
                    self.hosts[node].owning = Some(term);
                    self.note_owner(term, node);
                }
                Output::StopOwning { .. } => {
                    assert!(self.hosts[node].owning.take().is_some(), "it owned");
                }
                Output::PassOn { to, .. } => self.hosts[node].passed_on.push(to),
                Output::Replicate { with } => {
                    self.hosts[node].partner = with;
                    self.hosts[node].partners += 1;
                }
                Output::AddAddress(vip) => self.hosts[node].addresses.push(vip),
                Output::RemoveAddress(vip) => self.hosts[node].addresses.retain(|it| *it != vip),
                Output::Announce(_) => self.hosts[node].announced += 1,
                Output::Answer(_, answer) => self.hosts[node].answers.push(answer),
                Output::Event(event) => self.hosts[node].events.push((now, event)),
            }
        }
        let host = &mut self.hosts[node];
        let at = host.member.as_ref().and_then(Member::next_deadline);
        host.wake_at = at.map_or(u64::MAX, |at| host.true_time(at).max(now + 1));
    }

    fn send(&mut self, from: usize, to: NodeId, path: PathId, bytes: [u8; HEARTBEAT_LEN]) {
        let to = usize::from(to.0) - 1;
        self.hosts[from].sent_at = self.now;
        let line = *self.line(from, to, usize::from(path.0));
        if line.cut || self.rng.percent(line.loss_percent) {
            return;
        }
        let (low, high) = line.delay_us;
        let delay = low + self.rng.below(high - low + 1);
        self.post(to, 0, delay * 1_000, Parcel::Heartbeat { from, path, bytes });
    }

    /// No two nodes own in one term; but for a pair of which neither hears the other.
    fn note_owner(&mut self, term: Term, node: usize) {
        let other = self.owners.iter().find(|(known, owner)| *known == term && *owner != node);
        let apart = self.is_silent(node);
        if other.is_some() && !apart {
            let told = [0, 1].map(|node| self.describe(node)).join("; ");
            self.violate(format!("term {term} is owned twice: {told}"));
        }
        self.owners.push((term, node));
    }

    /// Whether a pair's node has been running and heard nothing for the detection time, by the network's
    /// account, while its peer spoke or was unable to.
    fn is_silent(&self, node: usize) -> bool {
        let host = &self.hosts[node];
        let detect = 50 * MS - MS / 10;
        let since = host.heard_at.max(host.came_to);
        if self.now - since < detect {
            return false;
        }
        let from = self.now - detect;
        let Some(other) = host.partner_of_two().map(|node| &self.hosts[node]) else { return false };
        let able = other.member.is_some() && other.paused_until.is_none() && other.came_to <= from;
        !able || other.sent_at + 60 * MS >= self.now
    }

    /// Forwarding intervals do not overlap; but for a pair of which neither hears the other.
    fn check(&mut self) {
        let now = self.now;
        let forwarding: Vec<usize> =
            (0..self.hosts.len()).filter(|node| self.forwards(*node)).collect();
        if forwarding.len() < 2 {
            return;
        }
        self.overlapped = true;
        let allowed = |node: &usize| {
            let host = &self.hosts[*node];
            // As it was when its lease was renewed: it may have another list since then.
            host.silent && (host.until.is_some() || now < host.dark_at)
        };
        if !forwarding.iter().all(allowed) {
            let told = forwarding.iter().map(|node| self.describe(*node)).collect::<Vec<_>>();
            self.violate(format!("both forward: {}", told.join("; ")));
        }
    }

    /// Who is said to be dark is; unless its lease began a moment ago, by the end of another's.
    fn check_certainty(&mut self, teller: usize) {
        let Some(member) = &self.hosts[teller].member else { return };
        for (node, host) in self.hosts.iter().enumerate() {
            let Liveness::Down { dark_at } = member.liveness(host.config.node) else { continue };
            let since = host.intervals.last().map_or(self.now, |(since, _)| *since);
            let long = self.now - since > LEASE.as_nanos() as u64;
            if dark_at <= member.now && self.forwards(node) && long {
                let told = [teller, node].map(|node| self.describe(node)).join("; ");
                return self.violate(format!("node {teller} says that {node} is dark: {told}"));
            }
        }
    }

    fn describe(&self, node: usize) -> String {
        let host = &self.hosts[node];
        let role = host.member.as_ref().map(Member::role);
        let (heard, dark) = (host.heard_at / 1_000, host.dark_at / 1_000);
        let (sent, came_to) = (host.sent_at / 1_000, host.came_to / 1_000);
        format!(
            "node {node} {role:?} silent {} heard {heard} sent {sent} up {came_to} dark {dark} µs",
            host.silent
        )
    }

    fn violate(&mut self, what: String) {
        if self.violation.is_none() {
            self.violation = Some(format!("at {} µs: {what}", self.now / 1_000));
        }
    }
}

impl Host {
    fn new(config: Config, rng: &mut Rng) -> Self {
        Self {
            member: None,
            config,
            drift_ppm: rng.below(1_001) as i64 - 500,
            offset: rng.below(1_000_000) * MS,
            boot: 0,
            disk: Facts::default(),
            disk_us: (200, 2_000),
            disk_busy_until: 0,
            paused_until: None,
            paused_at: 0,
            waiting: Vec::new(),
            wake_at: u64::MAX,
            dark_at: 0,
            until: None,
            owning: None,
            addresses: Vec::new(),
            announced: 0,
            events: Vec::new(),
            answers: Vec::new(),
            passed_on: Vec::new(),
            partner: None,
            partners: 0,
            came_to: 0,
            heard_at: 0,
            sent_at: 0,
            silent: false,
            intervals: Vec::new(),
        }
    }

    /// What its clock shows.
    pub(super) fn clock(&self, now: u64) -> Time {
        let drift = now as i64 / 1_000_000 * self.drift_ppm;
        Time(self.offset + now.saturating_add_signed(drift))
    }

    /// When its clock shows `at`; a microsecond later at most.
    fn true_time(&self, at: Time) -> u64 {
        let shown = at.0.saturating_sub(self.offset);
        let drift = shown as i64 / 1_000_000 * self.drift_ppm;
        let mut now = shown.saturating_add_signed(-drift);
        while self.clock(now) < at {
            now += 1_000;
        }
        now
    }

    fn knows(&self, node: usize) -> bool {
        self.config.peers.iter().any(|peer| usize::from(peer.node.0) == node + 1)
    }

    /// The other one, if it goes by a list of two and by no other.
    fn partner_of_two(&self) -> Option<usize> {
        let config = self.member.as_ref().map_or(&self.config, |member| &member.config);
        match config.peers.as_slice() {
            [peer] if config.is_settled() => Some(usize::from(peer.node.0) - 1),
            _ => None,
        }
    }

    fn renew(&mut self, until: Time, silent: bool, now: u64) {
        let lag = self.config.timing.lag;
        let dark_at = self.true_time(until + lag);
        self.until = Some(dark_at);
        self.silent = silent;
        match self.intervals.last_mut().filter(|(_, end)| *end >= now) {
            Some((_, end)) => *end = dark_at,
            None => self.intervals.push((now, dark_at)),
        }
        self.dark_at = dark_at;
    }

    fn end(&mut self, now: u64, stop: u64) {
        let dark_at = self.dark_at.min(now + stop);
        self.until = None;
        self.close(dark_at);
    }

    fn stop_forwarding(&mut self, now: u64) {
        self.until = None;
        self.close(self.dark_at.min(now));
    }

    fn close(&mut self, dark_at: u64) {
        self.dark_at = dark_at;
        if let Some((_, end)) = self.intervals.last_mut() {
            *end = (*end).min(dark_at);
        }
    }

    pub(super) fn has(&self, wanted: impl Fn(&Event) -> bool) -> bool {
        self.events.iter().any(|(_, event)| wanted(event))
    }
}

/// The time that no host forwarded in, and the longest gap, between two points in time.
pub(super) fn longest_gap(world: &World, from: u64, to: u64) -> Duration {
    let mut all: Vec<(u64, u64)> =
        world.hosts.iter().flat_map(|host| host.intervals.iter().copied()).collect();
    all.sort_unstable();
    let (mut covered, mut longest) = (from, 0);
    for (start, end) in all {
        if end > covered {
            longest = longest.max(start.min(to).saturating_sub(covered));
            covered = end;
        }
    }
    Duration::from_nanos(longest.max(to.saturating_sub(covered)))
}
