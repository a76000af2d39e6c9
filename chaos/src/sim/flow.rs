//! A flow of a run: who speaks with whom, and what they have to say to each other.

use core::time::Duration;

use wire::Time;

use super::dice::Dice;
use super::hosts::echo::Echo;
use super::hosts::forger::Forgery;
use super::hosts::frame::{Ends, Segment};
use super::hosts::tcp::Peer;
use super::topology::{Sim, service};
use crate::limits::{FLOWS, HOSTS, QUIET};

/// The client's port of the first flow; the next one has the next. So a port names a flow.
pub(crate) const FIRST_PORT: u16 = 10_000;

/// A flow.
#[derive(Debug)]
pub(crate) struct Flow {
    pub(crate) ends: Ends,
    pub(crate) starts: Time,
    pub(crate) content: Content,
    /// The time that an event is due for it, so that there is no second one.
    pub(crate) due: Option<Time>,
    /// Whether it has begun.
    pub(crate) begun: bool,
}

/// What is said.
#[derive(Debug)]
pub(crate) enum Content {
    /// A TCP connection.
    Conversation(Box<Conversation>),
    /// Datagrams and their answers.
    Exchange(Exchange),
    /// A SYN that no policy permits, sent again and again.
    Denied(Peer),
    /// Forged segments.
    Forgery(Forgeries),
}

/// A connection and its program.
#[derive(Clone, Debug)]
pub(crate) struct Conversation {
    pub(crate) peers: [Peer; 2],
    rounds: u32,
    asked: u32,
    answered: u32,
    ask: u32,
    answer: u32,
    rest: Duration,
    rests_until: Option<Time>,
    /// The client has seen the SYN-ACK.
    pub(crate) acknowledged: bool,
    pub(crate) over: bool,
}

/// Datagrams at intervals.
#[derive(Clone, Debug)]
pub(crate) struct Exchange {
    pub(crate) echo: Echo,
    pub(crate) left: u32,
    pub(crate) interval: Duration,
    pub(crate) next: Time,
}

/// Forged segments at intervals.
#[derive(Clone, Debug)]
pub(crate) struct Forgeries {
    pub(crate) left: u32,
    pub(crate) next: Time,
    pub(crate) kind: Forgery,
}

impl Flow {
    /// All flows of a run.
    pub(crate) fn roll_all(sim: &Sim) -> Vec<Self> {
        let mut dice = Dice::new(sim.seed, 2);
        (0..FLOWS).map(|number| Self::roll(number, sim, &mut dice)).collect()
    }

    fn roll(number: u32, sim: &Sim, dice: &mut Dice) -> Self {
        // A third of them in the quiet time; but each must have time to come to its end.
        let end = sim.seconds * 1_000 - QUIET.as_millis() as u64 * 2 / 3;
        let mut starts = Time::from_millis(dice.within(1_500..end));
        let port = FIRST_PORT + number as u16;
        let (side, service, mut content) = match dice.below(100) {
            0..30 => (0, service::WEB, Content::conversation(dice)),
            30..45 => (0, service::SHARED + number as u16, Content::conversation(dice)),
            45..60 => (1, service::MAIL, Content::conversation(dice)),
            60..69 => (0, service::ECHO, Content::exchange(starts, dice)),
            69..78 => (0, service::SHARED + number as u16, Content::exchange(starts, dice)),
            78..84 => (0, service::HASTY, Content::exchange(starts, dice)),
            84..88 => (0, service::SOMETIMES, Content::exchange(starts, dice)),
            88..90 => (0, service::NEVER, Content::exchange(starts, dice)),
            90..92 => (1, service::NEVER, Content::Denied(peer(dice))),
            92..94 => (1, service::WEB, Content::exchange(starts, dice)),
            _ => {
                let side = dice.below(2) as usize;
                (side, [service::WEB, service::MAIL][side], Content::forgeries(starts, dice))
            }
        };
        if let Content::Conversation(it) = &mut content {
            it.rest = it.rest.min(Duration::from_millis(end) / (it.rounds + 2));
            let latest = Time::from_millis(end).since(Time::ZERO + it.duration());
            starts = starts.min(Time::from_millis(1_500) + latest);
        }
        let hosts = [0; 2].map(|_| dice.below(HOSTS as u64) as usize);
        let v6 = dice.per_mille(400);
        let ends = Ends { v6, side, hosts, ports: [port, service], public: None };
        Self { ends, starts, content, due: None, begun: false }
    }
}

fn peer(dice: &mut Dice) -> Peer {
    let scale = dice.per_mille(600).then(|| dice.below(8) as u8);
    Peer::new(dice.next() as u32, dice.within(4_000..65_535) as u16, scale)
}

impl Content {
    fn conversation(dice: &mut Dice) -> Self {
        // Some rest for so long that they sleep through a fault and what follows from it.
        let (rounds, rest) = match dice.below(10) {
            0 => (2, dice.millis(8_000..15_000)),
            1 => (dice.within(20..60) as u32, dice.millis(20..120)),
            _ => (dice.within(1..8) as u32, dice.millis(50..1_500)),
        };
        Self::Conversation(Box::new(Conversation {
            peers: [peer(dice), peer(dice)],
            rounds,
            asked: 0,
            answered: 0,
            ask: dice.within(1..900) as u32,
            answer: dice.within(1..6_000) as u32,
            rest,
            rests_until: None,
            acknowledged: false,
            over: false,
        }))
    }

    fn exchange(starts: Time, dice: &mut Dice) -> Self {
        let (left, interval) = (dice.within(3..25) as u32, dice.millis(40..900));
        Self::Exchange(Exchange { echo: Echo::default(), left, interval, next: starts })
    }

    fn forgeries(starts: Time, dice: &mut Dice) -> Self {
        let kind = Forgery::roll(dice);
        Self::Forgery(Forgeries { left: dice.within(2..8) as u32, next: starts, kind })
    }
}

impl Conversation {
    /// The client opens.
    pub(crate) fn open(&mut self, now: Time, out: &mut [Vec<Segment>; 2]) {
        self.peers[0].open(now, &mut out[0]);
    }

    /// A segment came to `end`.
    pub(crate) fn hear(
        &mut self,
        end: usize,
        segment: &Segment,
        now: Time,
        out: &mut [Vec<Segment>; 2],
    ) {
        self.peers[end].hear(segment, now, &mut out[end]);
        self.go_on(now, out);
    }

    /// Time has passed.
    pub(crate) fn time(&mut self, now: Time, out: &mut [Vec<Segment>; 2]) {
        for (peer, out) in self.peers.iter_mut().zip(out.iter_mut()) {
            peer.time(now, out);
        }
        self.go_on(now, out);
    }

    /// When [`Self::time`] is due.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let timers = self.peers.iter().filter_map(Peer::timer);
        timers.chain(self.rests_until).min()
    }

    /// Whether the client has not even begun to open.
    pub(crate) fn is_new(&self) -> bool {
        self.next_deadline().is_none() && !self.acknowledged && !self.over
    }

    /// About how long it takes in peace.
    fn duration(&self) -> Duration {
        (self.rest + Duration::from_millis(60)) * (self.rounds + 1)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.peers.iter().all(Peer::is_done)
    }

    /// What the programs at both ends do next.
    fn go_on(&mut self, now: Time, out: &mut [Vec<Segment>; 2]) {
        let [client, server] = &mut self.peers;
        while server.is_open()
            && self.answered < self.asked
            && server.received(client) >= (self.answered + 1) * self.ask
        {
            self.answered += 1;
            server.write(self.answer, now, &mut out[1]);
        }
        if server.has_finished() {
            server.close(now, &mut out[1]);
        }
        if !client.is_open() || client.received(server) < self.asked * self.answer {
            return;
        }
        match self.rests_until {
            None if self.asked == 0 => self.rests_until = Some(now),
            None if self.asked <= self.rounds => self.rests_until = Some(now + self.rest),
            None => return,
            Some(_) => {}
        }
        if self.rests_until.is_some_and(|until| until <= now) {
            self.rests_until = None;
            self.asked += 1;
            if self.asked <= self.rounds {
                client.write(self.ask, now, &mut out[0]);
            } else {
                client.close(now, &mut out[0]);
            }
        }
    }
}
