//! Slow connections: a message a second each, staggered, every one to be echoed.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::clock::monotonic;
use super::sockets::at;
use super::talk::{Heard, Talk, Watch};
use super::task::{Class, Ready, Signals, Task, Usage};
use super::{Ends, Error, Port};
use crate::field::limits::{LOOK, OPENED_PER_SECOND, PATIENCE, PROBED, SLOW_PERIOD};
use crate::field::log::{self, Entry, Event};

/// Starts them; each is counted in `ready` once it is open.
pub(super) fn start(
    ends: &Ends<'_>,
    count: usize,
    ready: &Ready,
    signals: &Signals,
) -> Result<Task<Vec<Entry>>, Error> {
    let (from, server) = (ends.client_address, ends.server_address);
    let (ready, signals) = (ready.clone(), signals.clone());
    Task::start("slow", ends.client, Class::Prompt, move || {
        let mut slow = Slow::new(from, server, count, ready)?;
        while !(signals.stopped() && slow.idle()) {
            slow.turn(signals.stopped())?;
        }
        Ok(slow.close())
    })
}

/// Waits for them, who have been told to stop, and writes `slow.log`.
pub(super) fn finish(
    task: Task<Vec<Entry>>,
    folder: &Path,
    usages: &mut Vec<Usage>,
) -> Result<(), Error> {
    Ok(log::write(folder, "slow.log", task.join(usages)?)?)
}

/// The ports of the clients that segments may be forged of are those of the first [`PROBED`].
const fn port_of(id: usize) -> u16 {
    if id < PROBED { Port::PROBED } else { Port::SLOW }
}

/// All slow connections of a run.
struct Slow {
    from: IpAddr,
    server: IpAddr,
    count: usize,
    watch: Watch,
    ready: Ready,
    connections: Vec<Connection>,
    entries: Vec<Entry>,
    /// Visits so far, and the time of the first: one connection after the other, each once a second.
    visits: u32,
    start: Duration,
}

struct Connection {
    talk: Talk,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening { since: Duration },
    Idle,
    Waiting { since: Duration },
    Over,
}

impl State {
    /// Since when something is owed.
    const fn owed(self) -> Option<Duration> {
        match self {
            Self::Opening { since } | Self::Waiting { since } => Some(since),
            Self::Idle | Self::Over => None,
        }
    }
}

impl Slow {
    fn new(from: IpAddr, server: IpAddr, count: usize, ready: Ready) -> Result<Self, Error> {
        let (watch, start) = (Watch::new()?, monotonic());
        let (connections, entries) = (Vec::with_capacity(count), Vec::new());
        Ok(Self { from, server, count, watch, ready, connections, entries, visits: 0, start })
    }

    /// Whether nothing is owed.
    fn idle(&self) -> bool {
        self.connections.iter().all(|connection| connection.state.owed().is_none())
    }

    fn turn(&mut self, stopped: bool) -> Result<(), Error> {
        let due = (monotonic() - self.start).as_secs_f64() * f64::from(OPENED_PER_SECOND);
        while !stopped && self.connections.len() < self.count.min(due as usize) {
            self.open()?;
        }
        for id in self.watch.wait(LOOK.as_millis() as u16)? {
            self.news(id)?;
        }
        let now = monotonic();
        while self.start + SLOW_PERIOD * self.visits / (self.count as u32).max(1) <= now {
            self.visit(self.visits as usize % self.count.max(1), now, stopped)?;
            self.visits += 1;
        }
        Ok(())
    }

    fn open(&mut self) -> Result<(), Error> {
        let id = self.connections.len();
        let to: SocketAddr = at(self.server, port_of(id));
        let talk = Talk::begin(id as u32, self.from, to).map_err(Error::io("connect"))?;
        self.watch.opening(&talk)?;
        let state = State::Opening { since: monotonic() };
        self.connections.push(Connection { talk, state });
        Ok(())
    }

    fn news(&mut self, id: u32) -> Result<(), Error> {
        let Connection { talk, state } = &mut self.connections[id as usize];
        let heard = match state {
            State::Over => return Ok(()),
            State::Opening { .. } => match talk.established() {
                Ok(()) => {
                    *state = State::Idle;
                    self.watch.open(talk)?;
                    self.entries.push(Entry::now(id, Event::Open));
                    self.ready.one_more();
                    return Ok(());
                }
                Err(heard) => heard,
            },
            State::Idle | State::Waiting { .. } => talk.hear(),
        };
        self.take(id, heard)
    }

    fn take(&mut self, id: u32, heard: Heard) -> Result<(), Error> {
        let (event, state) = match heard {
            Heard::Nothing => return Ok(()),
            Heard::Echo => (Event::Echoed, State::Idle),
            Heard::Wrong => (Event::Wrong, State::Over),
            Heard::TimedOut => (Event::Timeout, State::Over),
            Heard::Reset => (Event::Reset, State::Over),
        };
        self.entries.push(Entry::now(id, event));
        let connection = &mut self.connections[id as usize];
        connection.state = state;
        match state {
            State::Over => self.watch.forget(&connection.talk),
            State::Opening { .. } | State::Idle | State::Waiting { .. } => Ok(()),
        }
    }

    /// The time of a connection has come: it says something, or has waited for too long.
    fn visit(&mut self, id: usize, now: Duration, stopped: bool) -> Result<(), Error> {
        let Some(Connection { talk, state }) = self.connections.get_mut(id) else { return Ok(()) };
        if state.owed().is_some_and(|since| now.saturating_sub(since) > PATIENCE) {
            return self.take(id as u32, Heard::TimedOut);
        }
        if *state != State::Idle || stopped {
            return Ok(());
        }
        self.entries.push(Entry::now(id as u32, Event::Sent));
        let said = talk.say();
        *state = State::Waiting { since: now };
        said.or_else(|heard| self.take(id as u32, heard))
    }

    fn close(mut self) -> Vec<Entry> {
        for connection in &self.connections {
            if connection.state == State::Idle {
                self.entries.push(Entry::now(connection.talk.id(), Event::Closed));
            }
        }
        self.entries
    }
}
