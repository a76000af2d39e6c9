//! The lease: until when this node may forward, and when it has certainly stopped.
//!
//! | ground | counted from | needs |
//! |---|---|---|
//! | votes | oldest of the newest acknowledged heartbeats of a majority, by its *sending* | own vote free |
//! | alone | now | a pair, every path silent for the detection time, own vote free |
//!
//! Why two leases never overlap. A voter that acknowledges a heartbeat at `r` promises not to vote for
//! another before `r` + takeover; the lease that rests on it ends at `s` + lease with `s ≤ r`. Takeover
//! is longer than lease, lag and drift. A node's own vote is a promise, too, so that two majorities share
//! a voter. Only the second ground needs no vote: both nodes of a pair can have it, if neither hears
//! the other; as soon as one is heard, that ground is gone, and with it what it gave.

#[cfg(test)]
mod tests;

use std::time::Duration;

use wire::Time;

/// Why a lease lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Ground {
    /// A majority acknowledged.
    Votes,
    /// Nobody is heard.
    Alone,
}

/// What to do with the lease word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Forward until then.
    Until(Time),
    /// Stop now. Confirmed by its number when no worker and no program forwards any more.
    End {
        /// Counts the ends of this boot.
        number: u64,
    },
}

/// What a renewal rests on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Basis {
    /// When the heartbeat was sent that a majority has acknowledged, itself or a later one.
    pub acknowledged: Option<Time>,
    /// Whether this node may think itself alone.
    pub alone: bool,
}

/// The lease of this node.
#[derive(Clone, Debug)]
pub struct Lease {
    life: Duration,
    lag: Duration,
    /// Since when this node claims; acknowledgments of what it sent before count for nothing.
    claimed_at: Option<Time>,
    votes_until: Option<Time>,
    alone_until: Option<Time>,
    /// Since when the second ground gives the lease, or gave one that ended before anybody was heard.
    alone_since: Option<Time>,
    /// The deadline that the driver has.
    told: Option<Time>,
    /// When the last lease ended, while there is none.
    lapsed_at: Option<Time>,
    /// From when on nothing is forwarded, for certain.
    dark_at: Time,
    ends: u64,
}

impl Lease {
    /// No lease, and none before: the driver starts with a closed lease word.
    pub fn new(life: Duration, lag: Duration) -> Self {
        Self {
            life,
            lag,
            claimed_at: None,
            votes_until: None,
            alone_until: None,
            alone_since: None,
            told: None,
            lapsed_at: None,
            dark_at: Time::ZERO,
            ends: 0,
        }
    }

    /// The node claims: from now on acknowledgments count.
    pub fn claim(&mut self, now: Time) {
        self.claimed_at = Some(now);
        self.votes_until = None;
        self.lapsed_at = None;
    }

    /// The node claims no more; what it has ends.
    pub fn disclaim(&mut self) -> Option<Order> {
        self.claimed_at = None;
        self.end()
    }

    /// Whether an acknowledgment of what was sent then counts.
    pub fn counts(&self, sent: Time) -> bool {
        self.claimed_at.is_some_and(|at| sent >= at)
    }

    /// The peer is heard: what was given because of its silence is gone. Tells since when that was.
    pub fn hear(&mut self) -> Option<Time> {
        self.alone_until = None;
        self.alone_since.take()
    }

    /// Renews the lease on `basis`, and tells what changes for the driver.
    pub fn renew(&mut self, basis: Basis, now: Time) -> Option<Order> {
        if let Some(sent) = basis.acknowledged.filter(|sent| self.counts(*sent)) {
            self.votes_until = self.votes_until.max(Some(sent + self.life));
        }
        if basis.alone {
            self.alone_until = Some(now + self.life);
            self.alone_since = self.alone_since.or(Some(now));
        }
        let until = self.votes_until.max(self.alone_until).filter(|until| *until > now);
        self.tell(until, now)
    }

    /// Ends the lease at once, whatever it rests on. That it rested on nobody's being heard is not
    /// forgotten before somebody is: the other one may have forwarded, too.
    pub fn end(&mut self) -> Option<Order> {
        self.votes_until = None;
        self.alone_until = None;
        self.told.take().map(|_| self.next_end())
    }

    /// The driver has carried an end out to the last worker.
    pub fn confirm(&mut self, number: u64, now: Time) {
        if number == self.ends && self.told.is_none() {
            self.dark_at = self.dark_at.min(now);
        }
    }

    /// Whether there is a lease.
    pub fn is_live(&self, now: Time) -> bool {
        self.told.is_some_and(|until| until > now)
    }

    /// Whether this node has certainly ceased to forward.
    pub fn is_dark(&self, now: Time) -> bool {
        self.told.is_none() && self.dark_at <= now
    }

    /// Until when it lives, if it does.
    pub fn until(&self) -> Option<Time> {
        self.told
    }

    /// How long there has been none, since there was one.
    pub fn lapsed_for(&self, now: Time) -> Option<Duration> {
        self.lapsed_at.map(|at| now.since(at))
    }

    /// Why it lives.
    pub fn ground(&self) -> Option<Ground> {
        let ground =
            if self.alone_until > self.votes_until { Ground::Alone } else { Ground::Votes };
        self.told.map(|_| ground)
    }

    /// When something here changes by time alone.
    pub fn next_deadline(&self) -> [Option<Time>; 2] {
        [self.told, Some(self.dark_at)]
    }

    fn tell(&mut self, until: Option<Time>, now: Time) -> Option<Order> {
        if until == self.told {
            return None;
        }
        let before = core::mem::replace(&mut self.told, until);
        match (until, before) {
            (Some(until), _) => {
                self.dark_at = self.dark_at.max(until + self.lag);
                self.lapsed_at = None;
                Some(Order::Until(until))
            }
            (None, before) => {
                self.lapsed_at = before.map(|before| before.min(now));
                Some(self.next_end())
            }
        }
    }

    fn next_end(&mut self) -> Order {
        self.ends += 1;
        Order::End { number: self.ends }
    }
}

/// When the heartbeat was sent that a majority has acknowledged: with the node's own vote the
/// `majority - 1`st newest of what each peer acknowledged. A single node acknowledges itself, now.
pub fn acknowledged(majority: usize, acks: &mut [Time], now: Time) -> Option<Time> {
    match majority.checked_sub(2) {
        None => Some(now),
        Some(index) => {
            acks.sort_unstable_by(|a, b| b.cmp(a));
            acks.get(index).copied()
        }
    }
}
