//! Nodes that fence each other, in virtual time. Each has a slot of its own, which the next one backs.
//!
//! A host has a clock of its own speed, a lease word that outlives its daemon, and a disk that takes a while.
//! What is forwarded is what the lease word allows, by the host's clock, and for the time that workers
//! take to stop.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use wire::Time;

use super::super::{Fencing, Incarnation, Memory, Report};
use super::{Flaw, TIMES, nodes};
use crate::NodeId;
use crate::limits::{DRIFT_PPM, HEARTBEAT_INTERVAL, LEASE};
use crate::membership::lease::{Basis, Lease, acknowledged};

pub(super) const MS: u64 = 1_000_000;
/// The longest that workers take to stop.
const LAG: Duration = Duration::from_millis(3);

/// What befalls a node, or a path from it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Fault {
    Crash,
    Pause(u64),
    /// What it sends to another one is lost for so long; or to all.
    Deaf(Option<usize>, u64),
    /// What it is sent by all is lost for so long.
    Mute(u64),
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Beat {
    sent: u64,
    /// The newest heartbeat of the receiver that was acknowledged, with its incarnation.
    acknowledged: (u64, u64),
}

pub(super) struct World {
    hosts: Vec<Host>,
    dice: u64,
    time: u64,
    /// When, to whom, from whom.
    under_way: BinaryHeap<Reverse<(u64, usize, usize, usize)>>,
    beats: Vec<(Beat, Report)>,
    cut: Vec<Vec<u64>>,
    loss: u64,
    delay: u64,
    /// Milliseconds that a disk takes at most.
    disk: u64,
    flaw: Option<Flaw>,
    faults: bool,
    pub(super) overlaps: u32,
    pub(super) takeovers: u32,
    /// Nodes that found themselves fenced.
    pub(super) refenced: u32,
}

struct Host {
    drift: i64,
    offset: u64,
    up: bool,
    /// Until when the daemon does nothing, if it is up; or is down.
    idle_until: u64,
    fencing: Fencing,
    lease: Lease,
    disk: Memory,
    writing: Option<(u64, Memory)>,
    next_beat: u64,
    /// Of each other: the newest of ours that it acknowledged in this incarnation; the newest of its own that
    /// we did.
    acks: Vec<Time>,
    heard: Vec<(u64, u64)>,
    /// The deadline that the kernel has, by its own clock.
    word: u64,
    stops_at: Option<u64>,
    /// Its own slot, since the beginning; that of the one before it, in which incarnation.
    owns: bool,
    took: Option<Incarnation>,
}

impl Host {
    fn clock(&self, time: u64) -> Time {
        let drifted = i128::from(time) * i128::from(1_000_000 + self.drift) / 1_000_000;
        Time(self.offset + drifted as u64)
    }

    fn forwards(&self, time: u64) -> bool {
        self.clock(time).0 < self.word + LAG.as_nanos() as u64
    }
}

impl World {
    pub(super) fn new(seed: u64, count: u16, flaw: Option<Flaw>) -> Self {
        let all = nodes(count);
        let mut world = Self {
            hosts: Vec::new(),
            dice: seed,
            time: 0,
            under_way: BinaryHeap::new(),
            beats: Vec::new(),
            cut: vec![vec![0; all.len()]; all.len()],
            loss: 0,
            delay: 1,
            disk: 20,
            flaw,
            faults: false,
            overlaps: 0,
            takeovers: 0,
            refenced: 0,
        };
        for node in &all {
            let drift = world.below(2 * u64::from(DRIFT_PPM)) as i64 - i64::from(DRIFT_PPM);
            let offset = world.below(1_000_000) * MS;
            let fencing = world.daemon(*node, &all, Memory::default(), Time(offset));
            world.hosts.push(Host {
                drift,
                offset,
                up: true,
                idle_until: 0,
                fencing,
                lease: Lease::new(LEASE, LAG),
                disk: Memory::default(),
                writing: None,
                next_beat: 0,
                acks: vec![Time::ZERO; all.len()],
                heard: vec![(0, 0); all.len()],
                word: 0,
                stops_at: None,
                owns: true,
                took: None,
            });
        }
        world
    }

    /// One that has had three seconds of whatever may happen.
    pub(super) fn lived(seed: u64, flaw: Option<Flaw>) -> Self {
        let mut world = Self::new(seed, 3 + (seed % 4) as u16, flaw);
        world.faults = true;
        world.loss = world.below(30);
        world.delay = 1 + world.below(20);
        world.disk = world.below(4) * 20;
        world.run(3_000);
        world
    }

    pub(super) fn calm(&mut self) {
        (self.loss, self.delay, self.disk, self.faults) = (0, 1, 5, false);
    }

    pub(super) const fn slow_disks(&mut self, millis: u64) {
        self.disk = millis;
    }

    /// Nothing passes between two for so long.
    pub(super) fn cut_both_ways(&mut self, one: usize, other: usize, millis: u64) {
        let until = self.time + millis * MS;
        (self.cut[one][other], self.cut[other][one]) = (until, until);
    }

    /// Whether a node says that it has fenced another.
    pub(super) fn has_told(&self, at: usize, of: usize) -> bool {
        let host = &self.hosts[at];
        let report = host.fencing.report(host.clock(self.time));
        let fenced = report.map(|it| it.fenced).unwrap_or_default();
        fenced.iter().any(|(node, _)| *node == NodeId(of as u16 + 1))
    }

    /// A daemon crashes, and starts as soon as it may.
    pub(super) fn restart(&mut self, at: usize) {
        let host = &mut self.hosts[at];
        (host.up, host.idle_until, host.writing) = (false, self.time, None);
    }

    pub(super) const fn now(&self) -> u64 {
        self.time
    }

    /// Whether the next one has the slot of a node.
    pub(super) fn passed_on(&self, at: usize) -> bool {
        self.hosts[(at + 1) % self.hosts.len()].took.is_some()
    }

    fn daemon(&self, node: NodeId, all: &[NodeId], memory: Memory, now: Time) -> Fencing {
        let mut fencing = Fencing::new((node, all), vec![all.to_vec()], TIMES, memory, now);
        fencing.flaw = self.flaw;
        fencing
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.dice = self.dice.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.dice;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % bound.max(1)
    }

    pub(super) fn run(&mut self, millis: u64) {
        for _ in 0..millis {
            self.time += MS;
            if self.faults && self.below(60) == 0 {
                self.befall();
            }
            self.deliver();
            for at in 0..self.hosts.len() {
                self.turn(at);
            }
            self.judge();
        }
    }

    fn befall(&mut self) {
        let count = self.hosts.len() as u64;
        let (at, other) = (self.below(count) as usize, self.below(count) as usize);
        let span = 5 + self.below(250);
        let fault = match self.below(6) {
            0 => Fault::Crash,
            1 => Fault::Pause(span),
            2 | 3 => Fault::Deaf(Some(other), span),
            4 => Fault::Deaf(None, span),
            _ => Fault::Mute(span),
        };
        self.strike(at, fault);
    }

    pub(super) fn strike(&mut self, at: usize, fault: Fault) {
        let (time, count) = (self.time, self.hosts.len());
        match fault {
            Fault::Crash => {
                let down = if self.faults { 1 + self.below(400) } else { 10_000 };
                let host = &mut self.hosts[at];
                (host.up, host.idle_until, host.writing) = (false, time + down * MS, None);
            }
            Fault::Pause(span) => {
                let host = &mut self.hosts[at];
                host.idle_until = host.idle_until.max(time + span * MS);
            }
            Fault::Deaf(Some(to), span) => self.cut[at][to] = time + span * MS,
            Fault::Deaf(None, span) => {
                (0..count).for_each(|to| self.cut[at][to] = time + span * MS)
            }
            Fault::Mute(span) => (0..count).for_each(|from| self.cut[from][at] = time + span * MS),
        }
    }

    /// A daemon that is idle finds its packets when it is back.
    fn deliver(&mut self) {
        let mut later = Vec::new();
        while let Some(Reverse((when, to, from, beat))) = self.under_way.peek().copied() {
            if when > self.time {
                break;
            }
            self.under_way.pop();
            let host = &self.hosts[to];
            if host.up && host.idle_until > self.time {
                later.push(Reverse((host.idle_until, to, from, beat)));
            } else if host.up {
                self.hear(to, from, beat);
            }
        }
        self.under_way.extend(later);
    }

    fn hear(&mut self, to: usize, from: usize, beat: usize) {
        let (Beat { sent, acknowledged }, report) = self.beats[beat].clone();
        let incarnation = report.incarnation.0;
        let host = &mut self.hosts[to];
        let now = host.clock(self.time);
        if host.fencing.hear(NodeId(from as u16 + 1), report, now) {
            host.heard[from] = host.heard[from].max((incarnation, sent));
        }
        let (of, newest) = acknowledged;
        if of == host.fencing.incarnation().0 && host.lease.counts(Time(newest)) {
            host.acks[from] = host.acks[from].max(Time(newest));
        }
    }

    fn turn(&mut self, at: usize) {
        let time = self.time;
        if self.hosts[at].idle_until > time {
            return;
        }
        if !self.hosts[at].up {
            self.start(at);
        }
        self.write(at);
        self.renew(at);
        let host = &mut self.hosts[at];
        let now = host.clock(time);
        host.fencing.tick(now);
        if host.fencing.is_fenced() && host.stops_at.is_none() {
            self.refenced += 1;
            host.word = host.word.min(now.0);
            let _ = host.lease.disclaim();
            (host.owns, host.took) = (false, None);
            host.stops_at = Some(now.0 + LAG.as_nanos() as u64);
        }
        if host.stops_at.is_some_and(|at| at <= now.0) {
            host.stops_at = None;
            host.fencing.begin_next();
            host.acks.fill(Time::ZERO);
        }
        self.take(at);
        if self.hosts[at].next_beat <= time {
            self.hosts[at].next_beat = time + HEARTBEAT_INTERVAL.as_nanos() as u64;
            self.send(at);
        }
    }

    /// A daemon begins when nothing of its last life is forwarded any more.
    fn start(&mut self, at: usize) {
        let all = nodes(self.hosts.len() as u16);
        let host = &self.hosts[at];
        if host.forwards(self.time) {
            return;
        }
        let (memory, now) = (host.disk.clone(), host.clock(self.time));
        let fencing = self.daemon(all[at], &all, memory, now);
        let host = &mut self.hosts[at];
        (host.up, host.fencing, host.lease) = (true, fencing, Lease::new(LEASE, LAG));
        (host.owns, host.took, host.stops_at) = (false, None, None);
        host.acks.fill(Time::ZERO);
        host.heard.fill((0, 0));
    }

    fn write(&mut self, at: usize) {
        let slowness = (self.disk / 2 + self.below(self.disk / 2)) * MS;
        let host = &mut self.hosts[at];
        if let Some((_, memory)) = host.writing.take_if(|(done, _)| *done <= self.time) {
            host.disk.clone_from(&memory);
            let begins = memory.incarnation == host.fencing.incarnation();
            host.fencing.saved(memory);
            if begins && host.stops_at.is_none() && !host.lease.counts(Time(u64::MAX)) {
                host.lease.claim(host.clock(self.time));
            }
        }
        if host.up && host.writing.is_none() && !host.fencing.is_saved() {
            host.writing = Some((self.time + slowness, host.fencing.memory()));
        }
    }

    fn renew(&mut self, at: usize) {
        let majority = self.hosts.len() / 2 + 1;
        let host = &mut self.hosts[at];
        if !host.up || host.stops_at.is_some() {
            return;
        }
        let now = host.clock(self.time);
        let mut acks: Vec<Time> = host.acks.clone();
        acks.remove(at);
        let acknowledged = acknowledged(majority, &mut acks, now).filter(|it| *it > Time::ZERO);
        let _ = host.lease.renew(Basis { acknowledged, alone: false }, now);
        host.word = host.lease.until().map_or(host.word.min(now.0), |until| until.0);
    }

    /// The slot of the one before it, when that has certainly stopped.
    fn take(&mut self, at: usize) {
        let before = (at + self.hosts.len() - 1) % self.hosts.len();
        let host = &mut self.hosts[at];
        let over = host.fencing.is_over(NodeId(before as u16 + 1), Incarnation(1));
        let able = host.up && host.stops_at.is_none() && host.lease.is_live(host.clock(self.time));
        if over && able && host.took.is_none() {
            host.took = Some(host.fencing.incarnation());
            self.takeovers += 1;
        }
    }

    fn send(&mut self, at: usize) {
        let host = &self.hosts[at];
        let now = host.clock(self.time);
        let Some(report) = host.fencing.report(now).filter(|_| host.up) else { return };
        let heard = host.heard.clone();
        for to in (0..self.hosts.len()).filter(|to| *to != at) {
            let (loss, late) = (self.below(100), self.below(self.delay * 1_000) * 1_000);
            // Now and then one takes far longer than others.
            let late = if self.below(40) == 0 { late + self.below(80) * MS } else { late };
            if loss < self.loss || self.cut[at][to] > self.time {
                continue;
            }
            let beat = Beat { sent: now.0, acknowledged: heard[to] };
            self.beats.push((beat, report.clone()));
            self.under_way.push(Reverse((self.time + late, to, at, self.beats.len() - 1)));
        }
    }

    fn judge(&mut self) {
        for at in 0..self.hosts.len() {
            let (own, next) = (&self.hosts[at], &self.hosts[(at + 1) % self.hosts.len()]);
            let both = own.forwards(self.time) && next.forwards(self.time);
            if own.owns && next.took.is_some() && both {
                self.overlaps += 1;
            }
        }
    }
}
