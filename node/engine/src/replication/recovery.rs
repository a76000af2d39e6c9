//! After a takeover: how much of a connection may have passed unseen.
//!
//! The last record of a connection is older than its last segments. So each direction has a limit,
//! fixed at the takeover, up to which its peer may have got meanwhile:
//!
//! ```text
//!    known end ──── rate × age of the record ──── window ──► limit
//! ```
//!
//! The rate is what the direction showed between two records, the age is bounded, and the sum too
//! ([`RECOVERY_AHEAD_MAX`]). [`Tcp::recover`](crate::tcp::Tcp::recover) tells what a limit allows.
//!
//! It is worked out when the session's first packet comes; until then its replica's numbers are as the
//! last record left them.

use wire::{Protocol, Seq, Time};

use super::Replication;
use crate::engine::Engine;
use crate::limits::{
    RATE_SPAN_MIN, RECOVERY_AHEAD_MAX, RECOVERY_DELAY, RECOVERY_LAG_MAX, RECOVERY_RATE_MIN,
};
use crate::session::{Peer, Session};
use crate::table::Handle;

/// How far each peer of a connection may have got, and which may still jump there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Recovery {
    /// By sender: the highest end of a segment.
    pub(crate) limits: [Seq; 2],
    /// By sender: whether no segment has jumped yet.
    pub(crate) jumps: [bool; 2],
}

/// For each place of the table what records tell of speed. Taken when the first record comes.
#[derive(Debug, Default)]
pub(crate) struct Lags(Vec<Lag>);

#[derive(Clone, Copy, Debug)]
struct Lag {
    /// The session, as its table stores its name.
    session: u64,
    known: Known,
}

#[derive(Clone, Copy, Debug)]
enum Known {
    /// A replica: when its last record was made, and bytes a second of both peers.
    Rates(Time, [u32; 2]),
    /// A session with packets since the takeover of this number.
    Limits(u64, Recovery),
}

impl Lag {
    const NONE: Self = Self { session: 0, known: Known::Rates(Time::ZERO, [0; 2]) };
}

impl Lags {
    /// A record told of a session: `before` is what was known.
    pub(super) fn learn(
        &mut self,
        at: Handle,
        before: Option<&Session>,
        new: &Session,
        made: Time,
    ) {
        let Some(lag) = self.0.get_mut(at.place() as usize) else { return };
        let old = match lag.known {
            Known::Rates(made, rates) if lag.session == new.id => Some((made, rates)),
            Known::Rates(..) | Known::Limits(..) => None,
        };
        let rates = match (before, old) {
            (Some(before), Some((then, rates))) => rates_since(before, new, then, made, rates),
            _ => [0; 2],
        };
        let made = old.map_or(made, |(then, _)| made.max(then));
        *lag = Lag { session: new.id, known: Known::Rates(made, rates) };
    }

    /// Takes memory for so many places; a node without peer needs none.
    pub(super) fn reserve(&mut self, places: usize) {
        if self.0.is_empty() {
            self.0 = vec![Lag::NONE; places];
        }
    }

    fn of(&self, at: Handle, session: &Session) -> Option<Known> {
        let lag = self.0.get(at.place() as usize).filter(|lag| lag.session == session.id);
        lag.map(|lag| lag.known)
    }

    fn settle(&mut self, at: Handle, session: &Session, takeover: u64, recovery: Recovery) {
        if let Some(lag) = self.0.get_mut(at.place() as usize) {
            *lag = Lag { session: session.id, known: Known::Limits(takeover, recovery) };
        }
    }
}

/// Bytes a second between two records; a slower one counts half as much as what was known.
fn rates_since(before: &Session, new: &Session, then: Time, made: Time, old: [u32; 2]) -> [u32; 2] {
    let span = made.since(then);
    if span < RATE_SPAN_MIN {
        return old;
    }
    Peer::BOTH.map(|peer| {
        let side = peer.index();
        let bytes = new.bytes[side].saturating_sub(before.bytes[side]);
        per_second(bytes, span.as_micros() as u64).max(old[side] / 2)
    })
}

fn per_second(bytes: u64, micros: u64) -> u32 {
    let rate = bytes.saturating_mul(1_000_000) / micros.max(1);
    u32::try_from(rate).unwrap_or(u32::MAX)
}

impl Replication {
    /// What may have passed unseen of a connection; `None` if nothing can have.
    pub(crate) fn recovery(&self, at: Handle, session: &Session) -> Option<Recovery> {
        if self.lags.0.is_empty() || session.key.protocol() != Protocol::TCP {
            return None;
        }
        match self.lags.of(at, session) {
            Some(Known::Limits(takeover, recovery)) if takeover == self.counters.takeovers => {
                Some(recovery)
            }
            Some(Known::Rates(made, rates)) => Some(self.limits(session, made, rates)),
            // Its own of an earlier time as owner.
            Some(Known::Limits(..)) | None if session.created < self.taken_over => {
                Some(self.limits(session, Time::ZERO, [0; 2]))
            }
            Some(Known::Limits(..)) | None => None,
        }
    }

    fn limits(&self, session: &Session, made: Time, rates: [u32; 2]) -> Recovery {
        // A record that came to an owner, as when two have met again, is of another owner's session.
        let lag = match made < self.taken_over {
            true => (self.taken_over.since(made) + RECOVERY_DELAY).min(RECOVERY_LAG_MAX),
            false => RECOVERY_LAG_MAX,
        };
        let lag = lag.as_micros() as u64;
        let age = session.age(self.taken_over).as_micros() as u64;
        let limits = Peer::BOTH.map(|peer| {
            let side = peer.index();
            let average = per_second(session.bytes[side], age);
            let rate = rates[side].max(average).max(RECOVERY_RATE_MIN);
            let ahead = u64::from(rate).saturating_mul(lag) / 1_000_000;
            let ahead = ahead.min(u64::from(RECOVERY_AHEAD_MAX)) as u32;
            session.tcp.limit(peer, ahead)
        });
        Recovery { limits, jumps: [true; 2] }
    }
}

impl Engine {
    /// The first packet after a takeover, and one that jumped, leave their mark; `session` is as it
    /// was before the packet.
    pub(crate) fn settle(&mut self, at: Handle, session: &Session, jumped: Option<Peer>) {
        let Some(mut recovery) = self.replication.recovery(at, session) else { return };
        if let Some(peer) = jumped {
            recovery.jumps[peer.index()] = false;
        }
        let takeover = self.replication.counters.takeovers;
        self.replication.lags.settle(at, session, takeover, recovery);
    }
}
