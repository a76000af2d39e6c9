//! What the engine tells of its sessions, and what it is told back.

use engine::session::{CloseReason, SessionId};
use wire::FlowKey;

/// A change of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// What happened.
    pub kind: NoteKind,
    /// The session's place.
    pub place: u32,
    /// The session.
    pub id: SessionId,
    /// A packet is held until the peer has acknowledged the change.
    pub sync: bool,
}

/// What happened to a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// It is new.
    Opened,
    /// Its state, NAT or rule changed, or its windows and counters have moved for long enough.
    Changed,
    /// It ended. Its place may have another session when this is read.
    Closed {
        /// Its key.
        key: FlowKey,
        /// Why.
        reason: CloseReason,
    },
}

/// Held packets of a session may go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The session's place.
    pub place: u32,
    /// The session. If it has ended its hold has ended with it.
    pub id: SessionId,
    /// The number of the last one that may go.
    pub up_to: u32,
}
