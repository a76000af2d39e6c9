//! The sending half of a stream: what waits, what is under way, and who may let packets go.
//!
//! | queue | leaves | stands for |
//! |---|---|---|
//! | insert | at once | new sessions, and changes for which a packet is held |
//! | deletes | with the next message, after 5 ms at the latest | sessions that ended |
//! | update | after 25 ms, merged with all changes meanwhile | changes |
//! | bulk | as the bulk's window allows | sessions that a joiner asked for |
//!
//! Only places wait. A record is made when its message is, of the session as it is then.

mod fill;
mod loss;
#[cfg(test)]
mod tests;

use core::time::Duration;
use std::collections::VecDeque;

use engine::replication::{Note, NoteKind};
use wire::Time;

use self::fill::Pace;
use super::deletes::{Delete, Deletes};
use super::histogram::Histogram;
use super::note::Release;
use super::queues::{self, Queue, Queues, Stamp};
use super::rtt::Rtt;
use super::settings::Settings;
use super::window::{Carried, Window};
use crate::limits::{
    ANSWERS_PER_SECOND, BULK_WINDOW_BYTES, DELETE_BYTES, DELETE_DELAY, MESSAGE_BYTES, UPDATE_DELAY,
};

/// Queues, window and measurements of one stream.
#[derive(Debug)]
pub(super) struct Sender {
    queues: Queues,
    deletes: Deletes,
    window: Window,
    rtt: Rtt,
    pace: Pace,
    up: bool,
    /// What waits leaves at once.
    pub(super) hurries: bool,
    /// Bytes of the last record: whether another one is worth trying.
    record_bytes: usize,
    /// Deletes were forgotten, and only digests can tell which.
    repair_needed: bool,
    answers: Answers,
    holds: Histogram,
    counters: SenderCounters,
}

/// What the sending half counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SenderCounters {
    /// Messages with changes.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Records in them.
    pub records: u64,
    /// Deletes in them.
    pub deletes: u64,
    /// Messages that were acknowledged.
    pub acknowledged: u64,
    /// Messages given up because later ones were acknowledged.
    pub lost_overtaken: u64,
    /// Messages given up because no acknowledgment came in time.
    pub lost_expired: u64,
    /// Messages given up because the connection was.
    pub lost_connection: u64,
    /// Holds that ended by an acknowledgment.
    pub released: u64,
    /// Holds that ended, or never began, because there is no peer.
    pub degraded: u64,
    /// Deletes for which there was no room; the digests find what they leave behind.
    pub deletes_forgotten: u64,
    /// Records longer than a message: they cannot be sent.
    pub oversized: u64,
    /// Notes of places that the table does not have.
    pub misplaced: u64,
    /// Acknowledgments of what was never sent.
    pub impossible: u64,
    /// Stale records answered.
    pub answers: u64,
    /// Stale records not answered, because too many were.
    pub answers_suppressed: u64,
}

/// How far the peer is behind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// Sessions that wait to be sent, those of a bulk not counted.
    pub queued: u32,
    /// Deletes that wait to be sent.
    pub deletes_queued: u32,
    /// Sessions of a bulk that wait to be sent.
    pub bulk_queued: u32,
    /// Records and deletes under way.
    pub in_flight: u32,
    /// Age of the oldest change that the peer has not acknowledged, in nanoseconds.
    pub oldest_nanos: u64,
}

/// A bound on answers.
#[derive(Clone, Copy, Debug)]
struct Answers {
    since: Time,
    given: u32,
}

const SECOND: Duration = Duration::from_secs(1);

impl Sender {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            queues: Queues::new(settings.places),
            deletes: Deletes::new(settings.deletes_max, settings.seed),
            window: Window::new(),
            rtt: Rtt::new(),
            pace: Pace::new(settings.update_bytes_per_second),
            up: false,
            hurries: false,
            record_bytes: 0,
            repair_needed: false,
            answers: Answers { since: Time::ZERO, given: 0 },
            holds: Histogram::default(),
            counters: SenderCounters::default(),
        }
    }

    /// A session changed. Without a peer nobody waits for it.
    pub(super) fn note(&mut self, note: &Note, now: Time) -> Option<Release> {
        if !self.queues.has(note.place) {
            self.counters.misplaced += 1;
            return note.sync.then(|| self.release_at_once(note));
        }
        let queue = match note.kind {
            NoteKind::Opened => Queue::Insert,
            NoteKind::Changed if note.sync => Queue::Insert,
            NoteKind::Changed | NoteKind::Moved => Queue::Update,
            NoteKind::Closed(key, reason) => {
                let noted = Stamp::of(now);
                self.closed(note.place, Delete { key, id: note.id, reason, noted });
                return None;
            }
        };
        self.queues.enqueue(note.place, queue, Stamp::of(now));
        self.queues.clear(note.place, queues::ANSWER);
        if !note.sync {
            return None;
        }
        if self.up {
            self.queues.set(note.place, queues::HELD);
            return None;
        }
        Some(self.release_at_once(note))
    }

    fn release_at_once(&mut self, note: &Note) -> Release {
        self.counters.degraded += 1;
        Release { place: note.place, id: note.id, up_to: u64::MAX }
    }

    fn closed(&mut self, place: u32, delete: Delete) {
        self.queues.unlink(place);
        self.queues.clear(place, u8::MAX);
        if !self.deletes.add(delete) {
            self.counters.deletes_forgotten += 1;
            self.repair_needed = true;
        }
    }

    /// The peer sent a record that is older than what stands in `place`: ours goes back, unless so
    /// many did that something must be wrong.
    pub(super) fn answer(&mut self, place: u32, now: Time) {
        if now.since(self.answers.since) >= SECOND {
            self.answers = Answers { since: now, given: 0 };
        }
        if self.answers.given >= ANSWERS_PER_SECOND || !self.queues.has(place) {
            self.counters.answers_suppressed += 1;
            return;
        }
        self.answers.given += 1;
        self.counters.answers += 1;
        if self.queues.queue(place).is_none() {
            self.queues.set(place, queues::ANSWER);
        }
        self.queues.enqueue(place, Queue::Update, Stamp::of(now));
    }

    /// A bulk wants the session in `place` to be brought over.
    pub(super) fn offer(&mut self, place: u32, now: Time) {
        if self.queues.has(place) {
            self.queues.set(place, queues::BULK_PENDING);
            self.queues.enqueue(place, Queue::Bulk, Stamp::of(now));
        }
    }

    /// Sessions of bulks that the peer has not acknowledged.
    pub(super) fn bulk_pending(&self) -> u32 {
        self.queues.bulk_pending()
    }

    /// Sessions of bulks that wait.
    pub(super) fn bulk_queued(&self) -> u32 {
        self.queues.len(Queue::Bulk)
    }

    /// Whether a session ended here and the peer may not know.
    pub(super) fn has_deleted(&self, id: engine::session::SessionId) -> bool {
        self.deletes.contains(id)
    }

    /// Every message of the peer up to `settled` has come, or never will.
    pub(super) fn settle(&mut self, settled: u64) {
        self.deletes.settle(settled);
    }

    /// Two tables are to be joined, or the peer owns the sessions now: what ended here for want of
    /// packets may live there, where the packets went.
    pub(super) fn forget_timeouts(&mut self) {
        use engine::session::CloseReason as R;
        self.deletes.retain_waiting(|reason| match reason {
            R::Timeout | R::Evicted | R::PortGone | R::Shutdown | R::Poison => false,
            R::TcpFin | R::TcpRst | R::Reopened | R::Cleared | R::Policy => true,
            R::Conflict | R::Answered => true,
        });
    }

    /// Whether deletes were forgotten since this was last asked.
    pub(super) fn take_repair_needed(&mut self) -> bool {
        core::mem::take(&mut self.repair_needed)
    }

    /// When a message should leave; a time that has passed if at once.
    pub(super) fn due(&self, now: Time) -> Option<Time> {
        if !self.up || !self.window.is_open() {
            return None;
        }
        let changes = self.queues.len(Queue::Update) > 0 || self.deletes.first().is_some();
        let now_or_never = self.hurries && changes;
        if self.queues.len(Queue::Insert) > 0 || self.bulk_may_leave() || now_or_never {
            return Some(Time::ZERO);
        }
        self.deletes_due(now).into_iter().chain(self.updates_due(now)).min()
    }

    /// When a message counts as lost.
    pub(super) fn loss_deadline(&self) -> Option<Time> {
        self.window.oldest().map(|flight| flight.sent + self.rtt.timeout())
    }

    fn bulk_may_leave(&self) -> bool {
        self.queues.len(Queue::Bulk) > 0 && self.window.bulk_bytes() < BULK_WINDOW_BYTES
    }

    fn deletes_due(&self, now: Time) -> Option<Time> {
        let (_, first) = self.deletes.first()?;
        let a_message_full = self.deletes.waiting() * DELETE_BYTES >= MESSAGE_BYTES;
        Some(if a_message_full { Time::ZERO } else { first.noted.time(now) + DELETE_DELAY })
    }

    fn updates_due(&self, now: Time) -> Option<Time> {
        let first = self.queues.first(Queue::Update)?;
        let due = self.queues.noted(first).time(now) + UPDATE_DELAY;
        Some(due.max(self.pace.ready()))
    }

    pub(super) fn floor(&self) -> u64 {
        self.window.floor()
    }

    pub(super) fn last(&self) -> u64 {
        self.window.last()
    }

    pub(super) fn counters(&self) -> &SenderCounters {
        &self.counters
    }

    pub(super) fn holds(&self) -> &Histogram {
        &self.holds
    }

    pub(super) fn round_trip(&self) -> Option<Duration> {
        self.rtt.smoothed()
    }

    /// Deletes that are remembered.
    pub(super) fn deletes(&self) -> usize {
        self.deletes.len()
    }

    /// How far the peer is behind.
    pub(super) fn lag(&self, now: Time) -> Lag {
        Lag {
            queued: self.queues.len(Queue::Insert) + self.queues.len(Queue::Update),
            deletes_queued: self.deletes.waiting() as u32,
            bulk_queued: self.queues.len(Queue::Bulk),
            in_flight: self.window.records(),
            oldest_nanos: self.oldest(now).map_or(0, |noted| noted.age_nanos(now)),
        }
    }

    fn oldest(&self, now: Time) -> Option<Stamp> {
        let waits = [Queue::Insert, Queue::Update].map(|queue| self.queues.first(queue));
        let waits = waits.into_iter().flatten().map(|place| self.queues.noted(place));
        let ended = self.deletes.first().map(|(_, delete)| delete.noted);
        let carried = self.window.oldest().into_iter().flat_map(|flight| &flight.carried);
        let under_way = carried.filter_map(|item| match item {
            Carried::Record { queue: Queue::Bulk, .. } => None,
            Carried::Record { noted, .. } => Some(*noted),
            Carried::Delete(index) => Some(self.deletes.noted(*index)),
        });
        waits.chain(ended).chain(under_way).max_by_key(|noted| noted.age_nanos(now))
    }
}

/// Where releases go.
pub(super) type Releases = VecDeque<Release>;
