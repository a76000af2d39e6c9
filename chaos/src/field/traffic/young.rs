//! Young connections: opened all the time, a message after a rest, closed after its echo. So at any
//! moment some have seen their SYN-ACK and nothing else yet.

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use super::clock::monotonic;
use super::sockets::at;
use super::talk::{Heard, Talk, Watch};
use super::task::{Class, Signals, Task, Usage};
use super::{Ends, Error, Port};
use crate::field::limits::{LONGEST_SLEEP, OPENED_AT_ONCE, PATIENCE, YOUNG_REST};
use crate::field::log::{self, Entry, Event};

pub(super) fn start(
    ends: &Ends<'_>,
    per_second: u32,
    signals: &Signals,
) -> Result<Task<Vec<Entry>>, Error> {
    let (from, to) = (ends.client_address, at(ends.server_address, Port::YOUNG));
    let signals = signals.clone();
    Task::start("young", ends.client, Class::Prompt, move || {
        let mut young = Young::new(from, to, per_second)?;
        while !(signals.stopped() && young.connections.is_empty()) {
            young.turn(signals.stopped())?;
        }
        Ok(young.entries)
    })
}

/// Waits for them, who have been told to stop, and writes `young.log`.
pub(super) fn finish(
    task: Task<Vec<Entry>>,
    folder: &Path,
    usages: &mut Vec<Usage>,
) -> Result<(), Error> {
    Ok(log::write(folder, "young.log", task.join(usages)?)?)
}

/// All young connections that are not over.
struct Young {
    from: IpAddr,
    to: SocketAddr,
    period: Duration,
    next_open: Duration,
    next_id: u32,
    watch: Watch,
    connections: HashMap<u32, (Talk, State)>,
    /// Who speaks when, and who is given up when; both in order.
    resting: VecDeque<(Duration, u32)>,
    patience: VecDeque<(Duration, (u32, State))>,
    entries: Vec<Entry>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening,
    Resting,
    Waiting,
}

impl Young {
    fn new(from: IpAddr, to: SocketAddr, per_second: u32) -> Result<Self, Error> {
        Ok(Self {
            from,
            to,
            period: Duration::from_secs(1) / per_second.max(1),
            next_open: monotonic(),
            next_id: 0,
            watch: Watch::new()?,
            connections: HashMap::new(),
            resting: VecDeque::new(),
            patience: VecDeque::new(),
            entries: Vec::new(),
        })
    }

    fn turn(&mut self, stopped: bool) -> Result<(), Error> {
        for id in self.watch.wait(self.sleep(stopped))? {
            self.news(id)?;
        }
        let now = monotonic();
        for _ in 0..OPENED_AT_ONCE {
            if !stopped && self.next_open <= now {
                self.open(now)?;
            }
        }
        while let Some(id) = due(&mut self.resting, now) {
            self.speak(id)?;
        }
        while let Some((id, state)) = due(&mut self.patience, now) {
            if self.connections.get(&id).is_some_and(|(_, present)| *present == state) {
                self.take(id, Heard::TimedOut);
            }
        }
        Ok(())
    }

    /// Milliseconds until something is due.
    fn sleep(&self, stopped: bool) -> u16 {
        let open = (!stopped).then_some(self.next_open);
        let speak = self.resting.front().map(|(at, _)| *at);
        let next = open.into_iter().chain(speak).min().unwrap_or(Duration::MAX);
        let left = next.saturating_sub(monotonic()).min(LONGEST_SLEEP);
        left.as_micros().div_ceil(1_000) as u16
    }

    fn open(&mut self, now: Duration) -> Result<(), Error> {
        let id = self.next_id;
        self.next_id += 1;
        // What was missed while the thread did not run is not made up for.
        self.next_open = (self.next_open + self.period).max(now);
        self.entries.push(Entry::now(id, Event::Connect));
        match Talk::begin(id, self.from, self.to) {
            Ok(talk) => {
                self.watch.opening(&talk)?;
                self.connections.insert(id, (talk, State::Opening));
                self.patience.push_back((now + PATIENCE, (id, State::Opening)));
            }
            // No port left, no file left: the harness's own fault, not the way's.
            Err(error) if error.kind() == std::io::ErrorKind::AddrNotAvailable => {
                return Err(Error::io("connect")(error));
            }
            Err(error) => self.take(id, Heard::of(&error)),
        }
        Ok(())
    }

    fn news(&mut self, id: u32) -> Result<(), Error> {
        let Some((talk, state)) = self.connections.get_mut(&id) else { return Ok(()) };
        let heard = match state {
            State::Opening => match talk.established() {
                Ok(()) => {
                    self.entries.push(Entry::now(id, Event::Established));
                    *state = State::Resting;
                    self.watch.open(talk)?;
                    self.resting.push_back((monotonic() + YOUNG_REST, id));
                    return Ok(());
                }
                Err(heard) => heard,
            },
            State::Resting | State::Waiting => talk.hear(),
        };
        self.take(id, heard);
        Ok(())
    }

    fn speak(&mut self, id: u32) -> Result<(), Error> {
        let Some((talk, state)) = self.connections.get_mut(&id) else { return Ok(()) };
        self.entries.push(Entry::now(id, Event::Sent));
        *state = State::Waiting;
        let said = talk.say();
        self.patience.push_back((monotonic() + PATIENCE, (id, State::Waiting)));
        said.or_else(|heard| {
            self.take(id, heard);
            Ok(())
        })
    }

    /// The outcome of a connection; whatever it is, it is closed.
    fn take(&mut self, id: u32, heard: Heard) {
        let event = match heard {
            Heard::Nothing => return,
            Heard::Echo => Event::Echoed,
            Heard::Wrong => Event::Wrong,
            Heard::TimedOut => Event::Timeout,
            Heard::Reset => Event::Reset,
        };
        self.entries.push(Entry::now(id, event));
        self.connections.remove(&id);
    }
}

/// The first of the queue, if its time has come.
fn due<T>(queue: &mut VecDeque<(Duration, T)>, now: Duration) -> Option<T> {
    queue.pop_front_if(|(at, _)| *at <= now).map(|(_, what)| what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_due_comes_in_order_and_not_early() {
        let mut queue: VecDeque<_> = (1..=3).map(|n| (Duration::from_secs(n), n as u32)).collect();
        let now = Duration::from_secs(2);
        let taken: Vec<_> = std::iter::from_fn(|| due(&mut queue, now)).collect();
        assert_eq!((taken, queue.len()), (vec![1, 2], 1));
    }
}
