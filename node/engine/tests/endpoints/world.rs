//! Two hosts, the firewall, and the four ways between them, in virtual time.

use std::collections::BTreeMap;

use engine::session::{CloseReason, SessionId};
use engine::{Decision, State, Verdict};

use crate::dice::Dice;
use crate::firewall::Firewall;
use crate::forger::{Forged, Kind, Permitted};
use crate::host::{Fate, Host, LONGEST};
use crate::plan::{Leg, Micros, Plan, SECOND};
use crate::segment::{ACK, FIN, RST, SYN, Segment};
use crate::truth::{Excuse, Truth};

/// What happened in a world, for saying that the test tested something.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) honest: u64,
    pub(crate) excused: BTreeMap<Excuse, u64>,
    pub(crate) forged: BTreeMap<(Kind, &'static str), u64>,
    pub(crate) closed: BTreeMap<&'static str, u64>,
    pub(crate) rounds: u64,
    /// Segments with more data than the window has room for, and a FIN; they are not sent.
    pub(crate) overfull: u64,
    /// Rounds that the stack did not bring to their end.
    pub(crate) stranded: u64,
    pub(crate) seconds: u64,
}

pub(crate) struct World {
    plan: Plan,
    dice: Dice,
    now: Micros,
    hosts: [Host; 2],
    firewall: Firewall,
    /// What is on its way, by the time of its arrival.
    on_the_way: BTreeMap<(Micros, u64), Moving>,
    count: u64,
    truths: Vec<Truth>,
    sessions: BTreeMap<SessionId, usize>,
    tells: bool,
    pub(crate) tally: Tally,
}

struct Moving {
    packet: Vec<u8>,
    to: Place,
}

#[derive(Clone, Copy, Debug)]
enum Place {
    /// Sent by this side, at a time when its connection had seen so many initial numbers.
    Firewall {
        from: usize,
        born: [u32; 2],
    },
    Host(usize),
}

impl World {
    pub(crate) fn new(seed: u64, tells: bool) -> Self {
        let mut dice = Dice::new(seed);
        let plan = Plan::of(&mut dice);
        let hosts = [0, 1].map(|side| Host::new(side, &plan, &mut dice));
        let truths = plan.connections.iter().map(|_| Truth::default()).collect();
        Self {
            firewall: Firewall::new(plan.wire),
            plan,
            dice,
            now: 0,
            hosts,
            on_the_way: BTreeMap::new(),
            count: 0,
            truths,
            sessions: BTreeMap::new(),
            tells,
            tally: Tally::default(),
        }
    }

    /// Plays to the end, where every session is gone.
    pub(crate) fn run(&mut self) {
        while let Some(next) = self.next() {
            assert!(next < LONGEST, "stuck:\n{}{}", self.hosts[0].tells(), self.hosts[1].tells());
            self.now = next;
            self.turn();
        }
        // A reset that overtook data has passed for its challenge ACK, and closed nothing: the data
        // is waited for longest.
        for _ in 0..310 {
            self.now += SECOND;
            self.turn();
        }
        assert!(self.firewall.is_empty(), "sessions are left: {:#?}", self.truths);
        self.tally.seconds += self.now / SECOND;
    }

    /// When something happens next.
    fn next(&mut self) -> Option<Micros> {
        let arrival = self.on_the_way.keys().next().map(|(at, _)| *at);
        let now = self.now;
        let turns = self.hosts.each_mut().map(|host| host.wakes(now));
        let next = turns.into_iter().flatten().chain(arrival).min();
        next.map(|at| at.max(now))
    }

    fn turn(&mut self) {
        self.tick();
        while let Some(entry) = self.on_the_way.first_entry().filter(|it| it.key().0 <= self.now) {
            let Moving { packet, to } = entry.remove();
            match to {
                Place::Firewall { from, born } => self.at_firewall(from, born, packet),
                Place::Host(side) => self.hosts[side].arrive(packet),
            }
        }
        for side in 0..2 {
            for packet in self.hosts[side].turn(self.now) {
                self.sent(side, packet);
            }
        }
        for number in 0..self.truths.len() {
            let fates = self.hosts.each_ref().map(|host| host.fate(number));
            let stranded = self.hosts.iter().any(|host| host.is_stranded(number));
            assert!(
                stranded || !fates.contains(&Fate::Broken),
                "connection {number} broke at {} µs:\n{}{}",
                self.now,
                self.hosts[0].tells(),
                self.hosts[1].tells()
            );
            let waits_in_vain = stranded
                && !fates.iter().all(|fate| *fate == Fate::Running)
                && self.hosts.iter().any(|host| host.listens(number));
            let over = waits_in_vain || !fates.contains(&Fate::Running);
            if over && !fates.contains(&Fate::Over) {
                self.tally.stranded += u64::from(stranded);
                self.next_round(number);
            }
        }
    }

    fn next_round(&mut self, number: usize) {
        for host in &mut self.hosts {
            host.next_round(number, self.now);
        }
        self.tally.rounds += 1;
    }

    /// A host sends.
    fn sent(&mut self, side: usize, packet: Vec<u8>) {
        let segment = Segment::read(&packet);
        let number = self.connection(side, &segment);
        let truth = &mut self.truths[number];
        if segment.has(FIN) && truth.is_beyond(side, segment.end().wrapping_sub(1)) {
            // No honest segment: this stack ignores the window when it sends again fast, and as a
            // receiver takes the FIN without the data that had no room. It comes again, and fits.
            self.tally.overfull += 1;
            return;
        }
        truth.sent.take(side, &segment);
        let born = truth.sent.incarnation;
        self.tally.honest += 1;
        self.tell("sends", side, &segment, "");
        self.send(self.plan.before[side], packet, Place::Firewall { from: side, born });
    }

    /// A packet goes its way: once, twice, or not at all.
    fn send(&mut self, leg: Leg, packet: Vec<u8>, to: Place) {
        let calm = self.now >= self.plan.calm;
        let hit = |dice: &mut Dice, one_in| one_in > 0 && !calm && dice.one_in(one_in);
        if hit(&mut self.dice, leg.lost_in) {
            return;
        }
        let copies = if hit(&mut self.dice, leg.doubled_in) { 2 } else { 1 };
        for _ in 0..copies {
            let at = self.now + leg.delay + self.dice.below(leg.jitter + 1);
            self.count += 1;
            self.on_the_way.insert((at, self.count), Moving { packet: packet.clone(), to });
        }
    }

    fn at_firewall(&mut self, from: usize, born: [u32; 2], packet: Vec<u8>) {
        let segment = Segment::read(&packet);
        let number = self.connection(from, &segment);
        let (decision, packet) = self.firewall.arrive(from, &packet, self.now);
        self.tell("firewall", from, &segment, &format!("{:?}", decision.verdict));
        self.note_ends();
        match (packet, decision.verdict) {
            (Some(packet), _) => {
                self.passed(number, from, &segment, &decision);
                self.send(self.plan.behind[from], packet, Place::Host(1 - from));
            }
            (None, Verdict::Drop(reason)) => {
                let truth = &self.truths[number];
                let excuse = truth.excuse(from, born, &segment, reason);
                let Some(excuse) = excuse else {
                    panic!(
                        "at {} µs the firewall drops an honest segment of side {from} of \
                         connection {number} for {reason}:\n{segment:?}\n{truth:#?}\n{:?}",
                        self.now, self.plan.connections[number]
                    );
                };
                *self.tally.excused.entry(excuse).or_default() += 1;
            }
            (None, verdict) => panic!("{verdict:?} for {segment:?}"),
        }
        if self.plan.forged_in > 0 && self.dice.one_in(self.plan.forged_in) {
            self.forge();
        }
    }

    fn passed(&mut self, number: usize, from: usize, segment: &Segment, decision: &Decision) {
        let truth = &mut self.truths[number];
        truth.passed.take(from, segment);
        if !segment.has(RST) {
            truth.last_passed = self.now;
        }
        if decision.state == State::New {
            truth.session = Some(from);
            let id = decision.session.expect("a new session has a name");
            self.sessions.insert(id, number);
            assert!(segment.has(SYN) && !segment.has(ACK), "{segment:?} opens a session");
        }
    }

    /// Takes note of the sessions that ended, each for a reason that is true.
    fn tick(&mut self) {
        self.note_ends();
    }

    fn note_ends(&mut self) {
        for (id, reason) in self.firewall.tick(self.now) {
            let Some(number) = self.sessions.remove(&id) else {
                // It was opened and closed by one packet, or by a forged one.
                continue;
            };
            *self.tally.closed.entry(reason.name()).or_default() += 1;
            if self.tells {
                eprintln!("{:>12} session of connection {number} ends: {reason}", self.now);
            }
            let truth = &mut self.truths[number];
            truth.session = None;
            let ends = &truth.sent.ends;
            let fair = match reason {
                CloseReason::TcpRst => ends.iter().any(|end| end.rst),
                CloseReason::TcpFin => ends.iter().all(|end| end.fin),
                CloseReason::Reopened => true,
                CloseReason::Timeout => self.now - truth.last_passed >= truth.shortest_silence(),
                CloseReason::Cleared
                | CloseReason::Policy
                | CloseReason::PortGone
                | CloseReason::Evicted
                | CloseReason::Poison
                | CloseReason::Conflict
                | CloseReason::Answered
                | CloseReason::Shutdown => false,
            };
            assert!(fair, "connection {number} ended for {reason}: {truth:#?}");
        }
    }

    /// Somebody tries.
    fn forge(&mut self) {
        let number = self.dice.below(self.truths.len() as u64) as usize;
        let truth = &self.truths[number];
        let plan = &self.plan.connections[number];
        let Some(forged) = Forged::new(plan, truth, &mut self.dice) else { return };
        let id = self.sessions.iter().rev().find(|(_, it)| **it == number).map(|(id, _)| *id);
        let id = id.expect("a session that is known");
        let before = self.firewall.standing(id);
        assert!(before.is_some(), "the session is in the table");
        let (decision, packet) = self.firewall.arrive(forged.ingress, &forged.packet, self.now);
        let words = format!("{:?} {:?}", forged.kind, decision.verdict);
        self.tell("forged", forged.side, &forged.segment, &words);
        let after = self.firewall.standing(id);
        assert_eq!(before, after, "{words}: {:?}", forged.segment);
        let passes = packet.is_some();
        let result = if passes { "passes" } else { "dropped" };
        *self.tally.forged.entry((forged.kind, result)).or_default() += 1;
        match (packet, forged.permitted) {
            (None, _) => {}
            (Some(packet), Permitted::Challenge) => {
                // This stack takes a reset anywhere in its window; one that follows RFC 5961 would
                // answer with a challenge ACK.
                if forged.kind == Kind::Syn {
                    self.send(self.plan.behind[forged.side], packet, Place::Host(1 - forged.side));
                }
            }
            (Some(_), Permitted::Nothing) => panic!(
                "a forged segment passes: {:?} {:?}\n{:#?}",
                forged.kind, forged.segment, self.truths[number]
            ),
        }
    }

    fn connection(&self, side: usize, segment: &Segment) -> usize {
        let mut connections = self.plan.connections.iter();
        let number = connections.position(|it| it.ports[side] == segment.ports[0]);
        number.expect("a port of the plan")
    }

    fn tell(&self, what: &str, side: usize, segment: &Segment, then: &str) {
        if !self.tells {
            return;
        }
        let letters = ["F", "S", "R", "P", "A"].iter().enumerate();
        let flags: String = letters
            .filter(|(bit, _)| segment.flags & 1 << bit != 0)
            .map(|(_, letter)| *letter)
            .collect();
        let Segment { ports, sequence, ack, payload, window, .. } = segment;
        let numbers = format!("seq={sequence} ack={ack} len={payload} win={window}");
        let [from, to] = ports;
        eprintln!("{:>12} {what:<8} {side} {from}>{to} {flags} {numbers} {then}", self.now);
    }
}

impl Tally {
    pub(crate) fn add(&mut self, other: Self) {
        self.honest += other.honest;
        self.rounds += other.rounds;
        self.overfull += other.overfull;
        self.stranded += other.stranded;
        self.seconds += other.seconds;
        for (excuse, count) in other.excused {
            *self.excused.entry(excuse).or_default() += count;
        }
        for (kind, count) in other.forged {
            *self.forged.entry(kind).or_default() += count;
        }
        for (reason, count) in other.closed {
            *self.closed.entry(reason).or_default() += count;
        }
    }
}
