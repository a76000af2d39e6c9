//! What `show cluster` and the metrics tell of a stream.

use core::time::Duration;

use wire::Time;

use super::envelope::EnvelopeError;
use super::{Histogram, Lag, Link, Progress, Replication, SenderCounters};
use crate::{Boot, Term};

/// A stream as it stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct View {
    /// Whether there is a connection.
    pub link: Link,
    /// The run of the peer's daemon, once it was heard.
    pub peer_boot: Option<Boot>,
    /// The ownership that this node knows.
    pub term: Term,
    /// How far the peer is behind.
    pub lag: Lag,
    /// The smoothed round trip.
    pub round_trip: Option<Duration>,
    /// How long packets were held.
    pub holds: Histogram,
    /// The bulk that this node wants, if there is one.
    pub bulk: Option<Progress>,
    /// Whether this node walks over its table for the peer.
    pub bulk_for_peer: bool,
    /// Both tables were the same at this time or later, slot by slot, as digests prove.
    pub in_sync_as_of: Option<Time>,
    /// Slots that differed in the last comparison.
    pub unequal_slots: Option<u16>,
    /// Sessions dropped because the owner does not have them.
    pub swept: u64,
    /// Identities of ended sessions that are kept for the peer, and tombstones of the peer's.
    pub ended: [usize; 2],
    /// What the sending half counted.
    pub sent: SenderCounters,
    /// What the receiving half counted.
    pub received: ReceiverCounters,
}

/// What the receiving half counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReceiverCounters {
    /// Messages with changes that were applied.
    pub messages: u64,
    /// Those of them that a later one overtook.
    pub overtaken: u64,
    /// Messages that had come before, or came in another one.
    pub duplicates: u64,
    /// Messages further ahead than the window: they come again.
    pub beyond_window: u64,
    /// Records.
    pub records: u64,
    /// Records for which another session of the same key was closed.
    pub replaced: u64,
    /// Records older than what is here.
    pub stale: u64,
    /// Records of sessions that have ended.
    pub refused_ended: u64,
    /// Records for which the table has no place.
    pub refused_full: u64,
    /// Records that cannot be read.
    pub refused_malformed: u64,
    /// Records that name what this node does not have.
    pub refused_unknown: u64,
    /// Deletes.
    pub deletes: u64,
    /// Those of them whose session was here.
    pub deleted: u64,
    /// Items of a kind that only a newer version knows.
    pub unknown_items: u64,
    /// Items that cannot be read, or do not belong into such a message.
    pub malformed_items: u64,
    /// Messages that cannot be read.
    pub malformed: u64,
    /// Why the last of them cannot.
    pub last_error: Option<EnvelopeError>,
    /// Messages of another node or stream.
    pub misdirected: u64,
    /// Messages without a connection.
    pub refused_unconnected: u64,
    /// Messages of a run of the peer's daemon that has ended.
    pub refused_boot: u64,
    /// Messages of an ownership that has ended.
    pub refused_term: u64,
    /// Requests for sessions that this node does not own.
    pub refused_requests: u64,
    /// Times that slots were asked for anew because their digests differ.
    pub repairs: u64,
    /// Slots that were.
    pub slots_repaired: u64,
}

impl Replication {
    /// The stream as it stands. It walks over some lists: not for every packet.
    pub fn view(&self, now: Time) -> View {
        let proof = if self.owner { &self.teller.proof } else { &self.comparer.proof };
        View {
            link: self.link,
            peer_boot: self.peer_boot,
            term: self.term,
            lag: self.sender.lag(now),
            round_trip: self.sender.round_trip(),
            holds: *self.sender.holds(),
            bulk: self.joiner.progress(now),
            bulk_for_peer: self.bulk_owner.is_busy(),
            in_sync_as_of: proof.as_of(),
            unequal_slots: proof.unequal(),
            swept: self.joiner.swept(),
            ended: [self.sender.deletes(), self.receiver.tombstones()],
            sent: *self.sender.counters(),
            received: self.counters,
        }
    }
}
