//! What replication must know of a session table: a record is bytes, and everything about them is
//! asked here. The driver implements it over an engine, tests over a model.

use engine::replication::Contest;
use engine::session::{CloseReason, SessionId};
use wire::{FlowKey, Slot, Time};

/// The session table of one worker. `place` is a session's place in it, below the `places` that the
/// machine was made for; a session keeps its place as long as it lives.
pub trait Sessions {
    /// Appends the record of whichever session stands in `place` to `out`, and says which it is;
    /// nothing is appended if there is none.
    fn export(&mut self, place: u32, now: Time, out: &mut Vec<u8>) -> Option<Exported>;

    /// The identity that `record` is about, if it can be read.
    fn identity(&self, record: &[u8]) -> Option<SessionId>;

    /// Merges `record` into the table. Of two records of one session the order is: state, windows; a
    /// state never goes back and a window never slides back. `contest` decides between two sessions of
    /// one key.
    fn import(&mut self, record: &[u8], contest: Contest, now: Time) -> Imported;

    /// Ends the session of `key` if it is `id`, else does nothing. `reason` is the peer's, or
    /// `None` if this version does not know it or the owner just no longer has the session.
    fn delete(
        &mut self,
        key: &FlowKey,
        id: SessionId,
        reason: Option<CloseReason>,
        now: Time,
    ) -> bool;

    /// Shows the sessions in at most `places` places from `from` on, and says where to go on;
    /// `None` at the table's end.
    fn page(&self, from: u32, places: u32, visit: impl FnMut(&Row<'_>)) -> Option<u32>;

    /// Sessions in the table.
    fn count(&self) -> u32;
}

/// What was put into a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exported {
    /// Whose record it is.
    pub id: SessionId,
    /// Number of the session's last packet that is held and whose effects the record includes; 0 if
    /// none is. It comes back in the `Release`.
    pub held_up_to: u64,
}

/// What became of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// The table now has it, or had it already.
    Applied {
        /// Where.
        place: u32,
        /// Whether another session of the same key was closed for it.
        replaced: bool,
    },
    /// The table has a newer record.
    Stale {
        /// Where.
        place: u32,
        /// Whose.
        id: SessionId,
    },
    /// It was not taken.
    Refused(Refusal),
}

/// Why a record was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The table has no place.
    Full,
    /// It cannot be read.
    Malformed,
    /// It names what this node does not have: a zone, a domain.
    Unknown,
}

/// A session in a walk over the table.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Its place.
    pub place: u32,
    /// Its identity.
    pub id: SessionId,
    /// Its key.
    pub key: &'a FlowKey,
    /// The slot of its flow.
    pub slot: Slot,
    /// A hash, keyed by the cluster's secret, of key, identity, state class, NAT and rule.
    pub word: u64,
}
