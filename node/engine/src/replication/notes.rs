//! What the replication's sender is told: that a session opened, changed, moved or closed. Not the
//! session itself, of which a record is made when it is sent; so changes merge by themselves.
//!
//! A session whose record was made is marked as exported, and the first packet after that takes the
//! mark away and leaves a note. So an open connection leaves one note for each of its records, however
//! many packets it has, and none at all when nobody makes records.

use std::collections::VecDeque;

use wire::FlowKey;

use crate::limits::NOTES;
use crate::session::{CloseReason, SessionId};

/// Something to be replicated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Note {
    /// What happened.
    pub kind: NoteKind,
    /// The session's place in the table; it may have been given to another since.
    pub place: u32,
    /// The session.
    pub id: SessionId,
    /// Whether a packet is held until the backup has it.
    pub sync: bool,
}

/// The kinds of notes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoteKind {
    /// It was opened: its record is due at once.
    Opened,
    /// Its state, its rule or another thing that decides about packets changed: due at once.
    Changed,
    /// Packets came since its last record: due at leisure.
    Moved,
    /// It is gone; this was its key, and this is why.
    Closed(FlowKey, CloseReason),
}

/// The bounded ring of notes between engine and driver.
#[derive(Debug)]
pub(crate) struct Notes {
    ring: VecDeque<Note>,
    lost: bool,
}

impl Notes {
    pub(crate) const fn new() -> Self {
        Self { ring: VecDeque::new(), lost: false }
    }

    /// Takes its memory; a node without peer needs none.
    pub(crate) fn reserve(&mut self) {
        if self.ring.capacity() < NOTES {
            self.ring.reserve_exact(NOTES);
        }
    }

    /// `false` when the ring is full and the note is lost.
    pub(crate) fn push(&mut self, note: Note) -> bool {
        let room = self.ring.len() < NOTES;
        if room {
            self.ring.push_back(note);
        }
        self.lost |= !room;
        room
    }

    /// Whether a note finds room.
    pub(crate) fn has_room(&self) -> bool {
        self.ring.len() < NOTES
    }

    pub(crate) fn pop(&mut self) -> Option<Note> {
        self.ring.pop_front()
    }

    pub(crate) fn clear(&mut self) {
        self.ring.clear();
        self.lost = false;
    }

    /// Whether notes were lost since this was last asked.
    pub(crate) const fn take_lost(&mut self) -> bool {
        std::mem::replace(&mut self.lost, false)
    }
}
