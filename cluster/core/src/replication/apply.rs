//! What comes from the peer.

use engine::replication::Contest;
use wire::Time;

use super::digest;
use super::envelope::{Item, Message, MessageKind};
use super::receiver::Arrival;
use super::sessions::{Imported, Refusal, Sessions};
use super::{Purpose, Replication, Waiting};
use crate::limits::VERIFY_ROUNDS;

/// The message that a record is in.
#[derive(Clone, Copy, Debug)]
struct Origin {
    number: u64,
    /// A later one came before it.
    overtaken: bool,
}

impl Replication {
    pub(super) fn message<S: Sessions>(&mut self, bytes: &[u8], sessions: &mut S, now: Time) {
        let message = match Message::parse(bytes) {
            Ok(message) => message,
            Err(error) => {
                self.counters.malformed += 1;
                self.counters.last_error = Some(error);
                return;
            }
        };
        let header = message.header;
        if header.node != self.settings.peer || header.stream != self.settings.stream {
            self.counters.misdirected += 1;
            return;
        }
        if !self.meet(header.boot, now) {
            return;
        }
        if header.peer_boot == self.settings.boot {
            let ack = (header.ack, header.ack_bits);
            self.sender.acknowledge(ack, header.number, now, &mut self.releases);
        }
        if header.term < self.term {
            self.counters.refused_term += 1;
            return self.receiver.acknowledge_by(now);
        }
        if header.term > self.newest_term {
            self.newest_term = header.term;
            self.follow_newest_term();
            self.events.push_back(Waiting::NewerTerm(header.term));
        }
        match header.kind {
            MessageKind::Changes => self.changes(&message, sessions, now),
            MessageKind::Control => self.control(&message, sessions, now),
        }
        self.sender.settle(self.receiver.settled());
        self.take_outcome();
    }

    /// Applies records and deletes, and only then owes an acknowledgment.
    fn changes<S: Sessions>(&mut self, message: &Message<'_>, sessions: &mut S, now: Time) {
        let header = &message.header;
        let overtaken = match self.receiver.arrive(header, now) {
            Arrival::New { overtaken } => overtaken,
            Arrival::Settled => return self.counters.duplicates += 1,
            Arrival::Beyond => return self.counters.beyond_window += 1,
        };
        self.counters.messages += 1;
        self.counters.overtaken += u64::from(overtaken);
        let origin = Origin { number: header.number, overtaken };
        for item in message.items() {
            self.change(item, origin, sessions, now);
        }
        self.receiver.applied(header.number, header.urgent, now);
    }

    fn change<S: Sessions>(&mut self, item: Item<'_>, origin: Origin, sessions: &mut S, now: Time) {
        match item {
            Item::Record { answer, bytes } => self.record(bytes, answer, origin, sessions, now),
            Item::Delete { key, id, reason } => {
                self.counters.deletes += 1;
                self.receiver.bury(id, origin.number);
                self.counters.deleted += u64::from(sessions.delete(&key, id, reason, now));
            }
            Item::Unknown { .. } => self.counters.unknown_items += 1,
            Item::BulkRequest { .. }
            | Item::BulkBegin { .. }
            | Item::BulkEnd { .. }
            | Item::BulkDone { .. }
            | Item::Digest { .. }
            | Item::DigestResult { .. }
            | Item::Malformed { .. } => self.counters.malformed_items += 1,
        }
    }

    fn record<S: Sessions>(
        &mut self,
        bytes: &[u8],
        answer: bool,
        origin: Origin,
        sessions: &mut S,
        now: Time,
    ) {
        self.counters.records += 1;
        if self.has_ended(bytes, origin, sessions) {
            self.counters.refused_ended += 1;
            return;
        }
        let contest = if self.is_merging() { Contest::Further } else { Contest::Owners };
        match sessions.import(bytes, contest, now) {
            Imported::Applied { place, replaced } => {
                self.counters.replaced += u64::from(replaced);
                self.joiner.mark(place);
            }
            Imported::Stale { place, id } => {
                self.counters.stale += 1;
                let same = sessions.identity(bytes) == Some(id);
                self.stale(place, same, answer || origin.overtaken, now);
            }
            Imported::Refused(Refusal::Full) => self.counters.refused_full += 1,
            Imported::Refused(Refusal::Malformed) => self.counters.refused_malformed += 1,
            Imported::Refused(Refusal::Unknown) => self.counters.refused_unknown += 1,
        }
    }

    /// Whether a record tells of a session whose end is known here: from a later message of the
    /// peer, or because it ended here and the peer had not heard of it.
    fn has_ended<S: Sessions>(&self, bytes: &[u8], origin: Origin, sessions: &S) -> bool {
        if !self.receiver.has_tombstones() && self.sender.deletes() == 0 {
            return false;
        }
        let buried = |id| self.receiver.is_buried(id, origin.number);
        sessions.identity(bytes).is_some_and(|id| buried(id) || self.sender.has_deleted(id))
    }

    /// The session here is newer. It goes back, unless a newer record is known to be under way
    /// (`settled`: an answer is not answered, and what was overtaken was overtaken by it), or the
    /// owner has another session under this key: then it is ours that is wrong, a sweep drops it.
    fn stale(&mut self, place: u32, same: bool, settled: bool, now: Time) {
        let merging = self.is_merging();
        if same || merging {
            self.joiner.mark(place);
        }
        if !settled && (same || merging || self.owner) {
            self.sender.answer(place, now);
        }
    }

    /// Whether both tables are being merged: both nodes have owned.
    fn is_merging(&self) -> bool {
        self.joiner.is_merging() || self.bulk_owner.is_merging()
    }

    fn control<S: Sessions>(&mut self, message: &Message<'_>, sessions: &S, now: Time) {
        self.receiver.raise_floor(&message.header);
        for item in message.items() {
            match item {
                Item::BulkRequest { bulk, merge, slots } if self.owner || merge => {
                    let request = (bulk, merge, slots.set());
                    self.bulk_owner.requested(request, sessions.count(), now);
                }
                Item::BulkRequest { .. } => self.counters.refused_requests += 1,
                Item::BulkBegin { bulk, sessions } => self.joiner.begun(bulk, sessions, now),
                Item::BulkEnd { bulk, .. } => self.joiner.ended(bulk, now),
                Item::BulkDone { bulk } => self.bulk_done(bulk, now),
                Item::Digest { round, first, words } if self.compares() => {
                    if let Some(found) = self.comparer.heard(round, first, words, now) {
                        self.compared(found, now);
                    }
                }
                Item::Digest { .. } => {}
                Item::DigestResult { round, equal_since, unequal } => {
                    self.teller.result(round, equal_since, unequal);
                }
                Item::Unknown { .. } => self.counters.unknown_items += 1,
                Item::Record { .. } | Item::Delete { .. } | Item::Malformed { .. } => {
                    self.counters.malformed_items += 1;
                }
            }
        }
    }

    /// The joiner waits for a proof: rounds of digests follow each other closely.
    fn bulk_done(&mut self, bulk: u32, now: Time) {
        if self.bulk_owner.done(bulk, now) {
            self.close_rounds = VERIFY_ROUNDS;
            self.teller.rest_until(now);
        }
    }

    /// Whether this node compares what the owner adds up to: not while it is being filled.
    fn compares(&self) -> bool {
        !self.owner && (!self.joiner.is_busy() || self.joiner.is_verifying())
    }

    /// A comparison ended.
    pub(super) fn compared(&mut self, found: digest::Found, now: Time) {
        if self.owner {
            return;
        }
        let digest::Found { round, equal_since, differing } = found;
        if self.joiner.compared(round, equal_since, &differing, now) {
            return;
        }
        if !self.joiner.is_busy() && !differing.is_empty() {
            self.counters.repairs += 1;
            self.counters.slots_repaired += u64::from(differing.len());
            self.joiner.want(Purpose::Repair, differing, None, now);
        }
    }
}
