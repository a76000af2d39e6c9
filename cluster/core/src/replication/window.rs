//! Messages under way: what each carried, until it is acknowledged or given up.
//!
//! A number is never used twice. What a lost message carried leaves again in a later one, made of
//! the sessions as they are then; the *floor* in every header tells the peer which numbers it need
//! not wait for. So an acknowledgment that has passed a number does not say that it arrived: a
//! message that was given up is no longer here, and acknowledges nothing.

use engine::session::SessionId;
use wire::Time;

use super::queues::{Queue, Stamp};
use crate::limits::{ACK_BITS, ITEMS_PER_MESSAGE_MAX, REORDERED_MESSAGES, WINDOW_MESSAGES};

/// The messages from the floor to the last number.
#[derive(Debug)]
pub(super) struct Window {
    flights: Vec<Flight>,
    /// Lowest number that is under way, or the next one.
    floor: u64,
    next: u64,
    /// Highest number that the peer has.
    highest_acknowledged: u64,
    bulk_bytes: u32,
    records: u32,
}

/// One message.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    under_way: bool,
    pub(super) sent: Time,
    pub(super) bulk_bytes: u32,
    pub(super) carried: Vec<Carried>,
}

/// One item of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// A session.
    Record {
        place: u32,
        id: SessionId,
        /// Number of the last held packet whose effects it includes; 0 if none.
        held_up_to: u64,
        queue: Queue,
        noted: Stamp,
        /// [`BULK_PENDING`](super::queues::BULK_PENDING) and [`ANSWER`](super::queues::ANSWER).
        bits: u8,
    },
    /// An entry of the deletes.
    Delete(u32),
}

impl Window {
    pub(super) fn new() -> Self {
        let flight = || Flight {
            under_way: false,
            sent: Time::ZERO,
            bulk_bytes: 0,
            carried: Vec::with_capacity(ITEMS_PER_MESSAGE_MAX),
        };
        Self {
            flights: (0..WINDOW_MESSAGES).map(|_| flight()).collect(),
            floor: 1,
            next: 1,
            highest_acknowledged: 0,
            bulk_bytes: 0,
            records: 0,
        }
    }

    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    pub(super) fn last(&self) -> u64 {
        self.next - 1
    }

    pub(super) fn is_open(&self) -> bool {
        self.next - self.floor < WINDOW_MESSAGES
    }

    pub(super) fn bulk_bytes(&self) -> u32 {
        self.bulk_bytes
    }

    pub(super) fn records(&self) -> u32 {
        self.records
    }

    /// The message that will have the next number; it counts once it is [`launch`](Self::launch)ed.
    pub(super) fn next_mut(&mut self) -> &mut Vec<Carried> {
        let index = index(self.next);
        &mut self.flights[index].carried
    }

    /// The next message leaves.
    pub(super) fn launch(&mut self, now: Time, bulk_bytes: u32) {
        let flight = &mut self.flights[index(self.next)];
        (flight.under_way, flight.sent, flight.bulk_bytes) = (true, now, bulk_bytes);
        self.records += flight.carried.len() as u32;
        self.bulk_bytes += bulk_bytes;
        self.next += 1;
    }

    /// The oldest message under way.
    pub(super) fn oldest(&self) -> Option<&Flight> {
        (self.floor < self.next).then(|| &self.flights[index(self.floor)])
    }

    /// All messages under way.
    pub(super) fn under_way(&self) -> impl Iterator<Item = &Flight> {
        self.flights.iter().filter(|flight| flight.under_way)
    }

    /// Takes a message out of the window, with what it carried; its memory comes back by
    /// [`give_back`](Self::give_back).
    pub(super) fn land(&mut self, number: u64) -> Option<Flight> {
        let within = (self.floor..self.next).contains(&number);
        let flight = within.then(|| &mut self.flights[index(number)])?;
        if !flight.under_way {
            return None;
        }
        flight.under_way = false;
        let carried = core::mem::take(&mut flight.carried);
        let landed = Flight { carried, ..*flight };
        self.records -= landed.carried.len() as u32;
        self.bulk_bytes -= landed.bulk_bytes;
        self.raise_floor();
        Some(landed)
    }

    /// Takes back the memory of a message that has landed.
    pub(super) fn give_back(&mut self, number: u64, mut carried: Vec<Carried>) {
        carried.clear();
        self.flights[index(number)].carried = carried;
    }

    fn raise_floor(&mut self) {
        while self.floor < self.next && !self.flights[index(self.floor)].under_way {
            self.floor += 1;
        }
    }

    /// Numbers in the window that an acknowledgment covers.
    pub(super) fn covered(&self, ack: u64, bits: u64) -> impl Iterator<Item = u64> + use<> {
        let told = (0..ACK_BITS).filter(move |bit| bits >> bit & 1 == 1);
        let told = told.map(move |bit| ack.saturating_add(1 + bit));
        (self.floor..=ack.min(self.last())).chain(told)
    }

    /// The peer has `number`.
    pub(super) fn acknowledged(&mut self, number: u64) {
        self.highest_acknowledged = self.highest_acknowledged.max(number);
    }

    /// The lowest message under way, if so much later ones were acknowledged that it must be lost.
    pub(super) fn overtaken(&self) -> Option<u64> {
        let lost = self.floor + REORDERED_MESSAGES <= self.highest_acknowledged;
        (lost && self.floor < self.next).then_some(self.floor)
    }

    /// The lowest message under way, if it was sent at `before` or earlier.
    pub(super) fn sent_by(&self, before: Time) -> Option<u64> {
        self.oldest().filter(|flight| flight.sent <= before).map(|_| self.floor)
    }
}

fn index(number: u64) -> usize {
    (number % WINDOW_MESSAGES) as usize
}
