//! Makes the next message out of what waits.

use core::time::Duration;

use wire::Time;

use super::Sender;
use crate::limits::{BULK_WINDOW_BYTES, UPDATE_DELAY};
use crate::replication::envelope::{ITEM_HEAD_BYTES, Tail, Writer};
use crate::replication::queues::{ANSWER, BULK_PENDING, HELD, Queue};
use crate::replication::sessions::{Exported, Sessions};
use crate::replication::window::Carried;

/// Bounds the bytes of updates in a second, if it is told to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    bytes_per_second: Option<u64>,
    ready: Time,
}

/// What a message is about to carry.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::replication) struct Filled {
    /// Somebody holds a packet for it.
    pub(in crate::replication) urgent: bool,
    bulk_bytes: u32,
}

impl Pace {
    pub(super) fn new(bytes_per_second: Option<u64>) -> Self {
        Self { bytes_per_second, ready: Time::ZERO }
    }

    pub(super) fn ready(&self) -> Time {
        self.ready
    }

    fn spend(&mut self, bytes: u64, now: Time) {
        let Some(rate) = self.bytes_per_second else { return };
        let nanos = bytes.saturating_mul(1_000_000_000) / rate.max(1);
        self.ready = self.ready.max(now) + Duration::from_nanos(nanos);
    }
}

impl Sender {
    /// Puts what is due into `writer`; `None` if there is nothing. The message counts as sent only
    /// after [`launch`](Self::launch).
    pub(in crate::replication) fn fill<S: Sessions>(
        &mut self,
        sessions: &mut S,
        now: Time,
        writer: &mut Writer<'_>,
    ) -> Option<Filled> {
        let mut filled = Filled::default();
        self.window.next_mut().clear();
        self.fill_records(Queue::Insert, sessions, now, writer, &mut filled);
        self.fill_deletes(writer);
        let start = writer.len();
        self.fill_records(Queue::Update, sessions, now, writer, &mut filled);
        self.pace.spend((writer.len() - start) as u64, now);
        let start = writer.len();
        self.fill_records(Queue::Bulk, sessions, now, writer, &mut filled);
        filled.bulk_bytes = (writer.len() - start) as u32;
        (!writer.is_empty()).then_some(filled)
    }

    /// The message that was filled leaves; its number is the last one from now on.
    pub(in crate::replication) fn launch(&mut self, filled: Filled, bytes: usize, now: Time) {
        let carried = self.window.next_mut();
        let deletes = carried.iter().filter(|item| matches!(item, Carried::Delete(_))).count();
        self.counters.records += (carried.len() - deletes) as u64;
        self.counters.deletes += deletes as u64;
        self.counters.messages += 1;
        self.counters.bytes += bytes as u64;
        self.window.launch(now, filled.bulk_bytes);
    }

    fn fill_records<S: Sessions>(
        &mut self,
        queue: Queue,
        sessions: &mut S,
        now: Time,
        writer: &mut Writer<'_>,
        filled: &mut Filled,
    ) {
        while let Some(place) = self.queues.first(queue).filter(|it| self.may_go(*it, queue, now)) {
            if !writer.is_empty() && !writer.has_room(self.record_bytes) {
                return;
            }
            let before = writer.len();
            let answer = self.queues.bits(place) & ANSWER != 0;
            match writer.record(answer, |out| sessions.export(place, now, out)) {
                Tail::Written(exported) => {
                    self.record_bytes = writer.len() - before - ITEM_HEAD_BYTES;
                    filled.urgent |= self.carry(place, queue, exported);
                }
                Tail::Nothing => self.pass_over(place),
                Tail::Oversized => {
                    self.counters.oversized += 1;
                    self.pass_over(place);
                }
                Tail::Full => return,
            }
        }
    }

    /// Whether the first of a queue may go with the next message. An update that is half due goes
    /// with one that is due: it fills the message, and is merged no worse the next time.
    fn may_go(&self, place: u32, queue: Queue, now: Time) -> bool {
        match queue {
            Queue::Insert => true,
            Queue::Update => {
                let age = self.queues.noted(place).age_nanos(now);
                let due = u128::from(age) >= UPDATE_DELAY.as_nanos() / 2;
                self.hurries || (due && self.pace.ready() <= now)
            }
            Queue::Bulk => self.window.bulk_bytes() < BULK_WINDOW_BYTES,
        }
    }

    /// Notes what the message carries; whether somebody holds a packet for it.
    fn carry(&mut self, place: u32, queue: Queue, exported: Exported) -> bool {
        let Exported { id, held_up_to } = exported;
        let bits = self.queues.bits(place);
        let noted = self.queues.noted(place);
        let bits_kept = bits & (BULK_PENDING | ANSWER);
        let record = Carried::Record { place, id, held_up_to, queue, noted, bits: bits_kept };
        self.window.next_mut().push(record);
        self.queues.unlink(place);
        self.queues.clear(place, HELD | ANSWER);
        held_up_to > 0 || bits & HELD != 0
    }

    /// Nothing stands there any more, or nothing that can be sent.
    fn pass_over(&mut self, place: u32) {
        self.queues.unlink(place);
        self.queues.clear(place, HELD | ANSWER | BULK_PENDING);
    }

    fn fill_deletes(&mut self, writer: &mut Writer<'_>) {
        while let Some((index, delete)) = self.deletes.first() {
            if !writer.delete(&delete.key, delete.id, delete.reason) {
                return;
            }
            self.window.next_mut().push(Carried::Delete(index));
            self.deletes.sent();
        }
    }
}
