//! The receiving half of a stream: which numbers have come, what must not come any more, and when
//! to acknowledge.
//!
//! Messages are applied as they come, in any order: a record is a whole session and the table keeps
//! the newer of two, so waiting would only make a loss delay the records behind it, and with them
//! the packets held for them. One thing does depend on the order: a record that is older than the
//! delete of its session would bring it back. So the identities that a message deletes are kept as
//! *tombstones* as long as a lower number may still come, and a record of such an identity in a
//! lower message is refused. The window bounds how many that can be, and no time is involved.
//!
//! ```text
//!      settled      gap   arrived             a delete in 8 leaves a tombstone: 6 may still come
//!   ───────────────┬─────┬───────┬──────      a floor of 7 or 6 itself ends it
//!    1  2  3  4  5 │  6  │ 7   8 │
//! ```

mod received;
#[cfg(test)]
mod tests;
mod tombstones;

use engine::session::SessionId;
use wire::Time;

use self::received::Received;
use self::tombstones::Tombstones;
use super::envelope::Header;
use crate::limits::{ACK_DELAY, ACK_EVERY_MESSAGES};

/// Numbers, tombstones and the acknowledgment that is owed.
#[derive(Debug)]
pub(super) struct Receiver {
    received: Option<Received>,
    highest: u64,
    tombstones: Tombstones,
    owed: u32,
    acknowledge_at: Option<Time>,
}

/// What a number says about its message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Arrival {
    /// It is to be applied.
    New {
        /// A later one came before it.
        overtaken: bool,
    },
    /// It has come before, or was given up and its content came in a later one.
    Settled,
    /// The peer's window cannot reach so far: it is not taken.
    Beyond,
}

impl Receiver {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            received: None,
            highest: 0,
            tombstones: Tombstones::new(seed),
            owed: 0,
            acknowledge_at: None,
        }
    }

    /// The peer is another run of its daemon, and numbers anew.
    pub(super) fn peer_restarted(&mut self) {
        self.received = None;
        self.highest = 0;
        self.tombstones.clear();
        (self.owed, self.acknowledge_at) = (0, None);
    }

    /// Numbers below the floor come no more.
    pub(super) fn raise_floor(&mut self, header: &Header) {
        let settled = header.floor.saturating_sub(1);
        self.received.get_or_insert(Received::new(settled)).settle(settled);
        self.tombstones.expire(self.settled());
    }

    /// Numbers of a message with changes. Nothing is acknowledged before [`applied`](Self::applied).
    pub(super) fn arrive(&mut self, header: &Header, now: Time) -> Arrival {
        self.raise_floor(header);
        let Some(received) = &self.received else { return Arrival::Beyond };
        if received.contains(header.number) {
            // The acknowledgment must have been lost.
            self.acknowledge_by(now);
            return Arrival::Settled;
        }
        if !received.reaches(header.number) {
            return Arrival::Beyond;
        }
        let overtaken = header.number < self.highest;
        self.highest = self.highest.max(header.number);
        Arrival::New { overtaken }
    }

    /// A session was deleted by message `number`.
    pub(super) fn bury(&mut self, id: SessionId, number: u64) {
        if number > self.settled() + 1 {
            self.tombstones.add(id, number);
        }
    }

    /// Whether there is a tombstone at all, so that a record's identity matters.
    pub(super) fn has_tombstones(&self) -> bool {
        !self.tombstones.is_empty()
    }

    /// Whether a record of `id` in message `number` is older than the session's end.
    pub(super) fn is_buried(&self, id: SessionId, number: u64) -> bool {
        self.tombstones.covers(id, number)
    }

    /// Everything in a message is in the table: it may be acknowledged, at once if somebody waits or
    /// if a gap before it shows a loss.
    pub(super) fn applied(&mut self, number: u64, urgent: bool, now: Time) {
        let Some(received) = &mut self.received else { return };
        received.insert(number);
        let gap = number > received.settled();
        self.tombstones.expire(self.settled());
        self.owed += 1;
        let at_once = urgent || gap || self.owed >= ACK_EVERY_MESSAGES;
        self.acknowledge_by(if at_once { now } else { now + ACK_DELAY });
    }

    /// An acknowledgment, or a word on our term, is owed at `at`.
    pub(super) fn acknowledge_by(&mut self, at: Time) {
        self.acknowledge_at = Some(self.acknowledge_at.map_or(at, |before| before.min(at)));
    }

    pub(super) fn acknowledge_at(&self) -> Option<Time> {
        self.acknowledge_at
    }

    /// What stands in the header of a message that leaves now.
    pub(super) fn acknowledgment(&self) -> (u64, u64) {
        self.received.as_ref().map_or((0, 0), |received| (received.settled(), received.ack_bits()))
    }

    /// It has left.
    pub(super) fn acknowledged(&mut self) {
        (self.owed, self.acknowledge_at) = (0, None);
    }

    /// Every number up to this has come, or never will.
    pub(super) fn settled(&self) -> u64 {
        self.received.as_ref().map_or(0, Received::settled)
    }

    /// Tombstones that are kept.
    pub(super) fn tombstones(&self) -> usize {
        self.tombstones.len()
    }
}
