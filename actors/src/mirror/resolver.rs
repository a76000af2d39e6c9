//! Which neighbours the kernel is asked to resolve, and when: a function of requests, of what the
//! kernel tells, and of the time given.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use engine::PortId;
use engine::fib::{FibChange, NeighbourState};
use tokio::time::Instant;

use super::limits::{ASK_PAUSE, REUSE_INTERVAL, UNRESOLVED_MAX};

#[cfg(test)]
mod tests;

type Key = (PortId, IpAddr);

/// The neighbours that were asked for.
#[derive(Debug, Default)]
pub(super) struct Resolver {
    asked: HashMap<Key, Asked>,
    unresolved: usize, // of `asked`
    /// Those set by an operator, asked for or not: to use one would make it expire.
    permanent: HashSet<Key>,
}

#[derive(Clone, Copy, Debug)]
struct Asked {
    last: Instant,
    state: Option<NeighbourState>,
}

impl Resolver {
    /// Whether the kernel is to be asked now.
    pub(super) fn ask(&mut self, key: Key, now: Instant) -> bool {
        if self.permanent.contains(&key) {
            return false;
        }
        if let Some(asked) = self.asked.get_mut(&key) {
            let due = now.duration_since(asked.last) >= ASK_PAUSE;
            if due {
                asked.last = now;
            }
            return due;
        }
        if self.unresolved >= UNRESOLVED_MAX {
            self.forget(now);
        }
        if self.unresolved >= UNRESOLVED_MAX {
            return false;
        }
        self.unresolved += 1;
        self.asked.insert(key, Asked { last: now, state: None });
        true
    }

    /// Takes notice of what was told to the engines.
    pub(super) fn observe(&mut self, changes: &[FibChange]) {
        for change in changes {
            match change {
                FibChange::NeighbourSet { port, address, state, .. } => {
                    self.observe_one((*port, *address), Some(*state));
                }
                FibChange::NeighbourLost { port, address } => {
                    self.observe_one((*port, *address), None);
                }
                FibChange::Flush => self.lose_if(|_| true),
                FibChange::PortDown { port } => self.lose_if(|(of, _)| of == port),
                FibChange::RouteSet { .. }
                | FibChange::RouteAppend { .. }
                | FibChange::RouteDelete { .. }
                | FibChange::PortAddresses { .. } => {}
            }
        }
    }

    /// The stale ones whose turn it is to be verified.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Key> {
        let is_due = |asked: &Asked| {
            asked.state == Some(NeighbourState::Stale)
                && now.duration_since(asked.last) >= REUSE_INTERVAL
        };
        let due = self.asked.iter_mut().filter(|(_, asked)| is_due(asked));
        due.map(|(key, asked)| {
            asked.last = now;
            *key
        })
        .collect()
    }

    /// The port has its carrier again: what was asked for by it lately, and is not known, is to be asked for
    /// anew. Of those that the kernel was asked for while there was none it asks again after a second only.
    pub(super) fn anew(&mut self, port: PortId, now: Instant) -> Vec<Key> {
        let lost = self
            .asked
            .iter_mut()
            .filter(|((of, _), asked)| *of == port && asked.state.is_none())
            .take(UNRESOLVED_MAX);
        lost.map(|(key, asked)| {
            asked.last = now;
            *key
        })
        .collect()
    }

    /// Forgets those that were asked for some time ago and are not known.
    pub(super) fn forget(&mut self, now: Instant) {
        self.asked
            .retain(|_, asked| asked.state.is_some() || now.duration_since(asked.last) < ASK_PAUSE);
        self.count();
    }

    fn observe_one(&mut self, key: Key, state: Option<NeighbourState>) {
        if state == Some(NeighbourState::Permanent) {
            self.permanent.insert(key);
        } else {
            self.permanent.remove(&key);
        }
        if let Some(asked) = self.asked.get_mut(&key) {
            match (asked.state.is_some(), state.is_some()) {
                (false, true) => self.unresolved -= 1,
                (true, false) => self.unresolved += 1,
                (false, false) | (true, true) => {}
            }
            asked.state = state;
        }
    }

    fn lose_if(&mut self, lost: impl Fn(&Key) -> bool) {
        self.permanent.retain(|key| !lost(key));
        for (_, asked) in self.asked.iter_mut().filter(|(key, _)| lost(key)) {
            asked.state = None;
        }
        self.count();
    }

    fn count(&mut self) {
        self.unresolved = self.asked.values().filter(|asked| asked.state.is_none()).count();
    }
}
