//! One firewall of two nodes: what an engine keeps for it, its role, and the way in and out for
//! session records.
//!
//! ```text
//!            owner                                          backup
//!  packet ─► session ─► note ─► driver ── export ── record ──► import ─► replica
//!     │                                                          │
//!     └► held, if its rule says `sync` ◄── release ── acknowledged ┘
//! ```
//!
//! An owner judges packets. A backup drops them (`not-owner`), keeps replicas and does not age them. An
//! engine whose driver never speaks of a peer is an owner for ever, notes nothing and holds nothing.

mod export;
mod hold;
mod import;
mod notes;
mod origins;
mod recovery;
#[cfg(test)]
mod tests;

use wire::Time;

pub use self::export::Exported;
use self::hold::Held;
pub use self::hold::Unconfirmed;
pub(crate) use self::hold::{Goes, Packet as HeldPacket};
pub use self::import::{Contest, Imported, Refused};
pub(crate) use self::notes::Notes;
pub use self::notes::{Note, NoteKind};
pub(crate) use self::origins::Origins;
use self::recovery::Lags;
pub(crate) use self::recovery::Recovery;
use crate::Anomaly;
use crate::alg::Algs;
use crate::engine::Engine;
use crate::event::Events;
use crate::ledger::Ledger;
use crate::limits::{REPLICA_GRACE, REPLICA_REVISIT, TAKEOVER_GRACE};
use crate::nat::Nat;
use crate::policy::Policy;
use crate::rules::Rules;
use crate::screen::Screening;
use crate::session::{CloseReason, Flags, Session, SessionId};
use crate::table::{Handle, Twin};
use crate::{Reason, commit};

/// What an engine is to its sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Role {
    /// Judges packets; its word counts.
    #[default]
    Owner,
    /// Keeps replicas for the owner.
    Backup,
}

/// What was counted of replication. Sessions that came by records are among those opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Replicated {
    /// Records that opened a session.
    pub opened: u64,
    /// Records that told something of a known session.
    pub updated: u64,
    /// Records older than what was known.
    pub stale: u64,
    /// Sessions that two nodes had opened with one key.
    pub conflicts: u64,
    /// Records that were not taken.
    pub refused: u64,
    /// Replicas ended by their owner's word.
    pub deleted: u64,
    /// Notes that found the ring full.
    pub notes_lost: u64,
    /// Takeovers.
    pub takeovers: u64,
    /// Waits for the backup that took too long.
    pub holds_expired: u64,
    /// Waits that were ended, or not begun, for want of room or because it is silent.
    pub holds_skipped: u64,
}

/// The part of an engine that a second node is for.
#[derive(Debug)]
pub(crate) struct Replication {
    pub(crate) role: Role,
    /// Whether somebody takes records: then changes are noted, and packets may be held.
    pub(crate) connected: bool,
    pub(crate) origins: Origins,
    pub(crate) notes: Notes,
    lags: Lags,
    pub(crate) held: Held,
    unconfirmed: Unconfirmed,
    /// The number of the last change that packets wait for.
    mark: u64,
    /// The packet in hand made that change.
    begun: bool,
    /// A wait took too long, and none has ended by the backup's word since.
    silent: bool,
    /// When this engine last became the owner.
    pub(crate) taken_over: Time,
    pub(crate) counters: Replicated,
}

impl Replication {
    /// Whether the backup lets packets wait for too long.
    pub(crate) const fn is_silent(&self) -> bool {
        self.silent
    }

    /// Of an engine that is alone, and whose sessions are called like `first`.
    pub(crate) fn new(first: SessionId, seed: u64) -> Self {
        Self {
            role: Role::Owner,
            connected: false,
            origins: Origins::new(first),
            notes: Notes::new(),
            lags: Lags::default(),
            held: hold::store(seed),
            unconfirmed: Unconfirmed::default(),
            mark: 0,
            begun: false,
            silent: false,
            taken_over: Time::ZERO,
            counters: Replicated::default(),
        }
    }

    /// Leaves a note, if somebody wants it.
    pub(crate) fn note(&mut self, kind: NoteKind, place: u32, session: u64, sync: bool) {
        if self.connected && self.role == Role::Owner {
            let id = self.origins.name(session);
            if !self.notes.push(Note { kind, place, id, sync }) {
                self.counters.notes_lost += 1;
            }
        }
    }

    /// When a session ends if no packet comes. After a takeover its last packets may be unknown.
    #[inline]
    pub(crate) fn ends(&self, session: &Session) -> Time {
        if session.created < self.taken_over {
            session.deadline.max(self.taken_over + TAKEOVER_GRACE)
        } else {
            session.deadline
        }
    }

    /// Until when the timer leaves a session alone; `None` if its time is over.
    pub(crate) fn keeps(&self, session: &Session, now: Time) -> Option<Time> {
        let until = match self.role {
            Role::Owner => self.ends(session),
            Role::Backup if session.deadline > now => session.deadline,
            Role::Backup if session.deadline + REPLICA_GRACE > now => now + REPLICA_REVISIT,
            Role::Backup => now,
        };
        (until > now).then_some(until)
    }
}

/// What hears of a session's end.
pub(crate) struct Ending<'a> {
    pub(crate) replication: &'a mut Replication,
    pub(crate) rules: &'a mut Rules,
    pub(crate) ledger: &'a mut Ledger,
    pub(crate) events: &'a mut Events,
    pub(crate) screening: Option<&'a mut Screening>,
    pub(crate) policy: &'a Policy,
    pub(crate) nat: &'a mut Nat,
    pub(crate) algs: &'a mut Algs,
}

impl Ending<'_> {
    /// The session that was in `place` is gone.
    pub(crate) fn tell(
        &mut self,
        place: u32,
        session: &Session,
        twin: Option<&Twin>,
        reason: CloseReason,
        now: Time,
    ) {
        let replication = &mut *self.replication;
        let ledger = &mut *self.ledger;
        if session.flags.has(Flags::HELD) {
            replication.drop_held(place, |packets| ledger.expire(Reason::HoldClosed, packets));
        }
        self.rules.ended(session);
        if let Some(twin) = twin {
            self.nat.end(session, twin);
        }
        if session.alg().is_some() {
            self.algs.end(place, self.nat);
        }
        self.algs.end_child(session, twin);
        ledger.closed(reason);
        // Of a replica's end its owner tells.
        let owner = replication.role == Role::Owner;
        if let Some(screening) = self.screening.as_deref_mut() {
            let (_, zone) = self.rules.place(session);
            screening.ended(self.policy, place, session, zone);
            if owner {
                screening.note_end(place, session, zone, reason);
            }
        }
        if let Some(anomaly) = Anomaly::at_end(session, reason).filter(|_| owner) {
            ledger.anomalous(anomaly);
        }
        let epoch = self.rules.epoch();
        let translated = twin.map(|twin| self.nat.leaving(twin));
        let told = commit::Told { session, translated, epoch };
        let event = commit::close_event(&replication.origins, &told, reason, now);
        let event = event.filter(|_| owner);
        if event.is_some_and(|event| !self.events.push(event)) {
            self.ledger.event_lost();
        }
        replication.note(NoteKind::Closed(session.key, reason), place, session.id, false);
        replication.origins.let_go(session.id);
        replication.origins.let_go(session.conversation);
    }
}

/// Control of the replication, between two bursts.
impl Engine {
    /// Whether somebody takes session records. From now on changes are noted; what was there
    /// before, the driver exports page by page. Without a peer nothing is noted and nothing held.
    pub fn set_peer(&mut self, connected: bool, now: Time) {
        self.release_all(now);
        self.replication.notes.clear();
        self.replication.connected = connected;
        if connected {
            self.replication.notes.reserve();
        }
    }

    /// What this engine is to its sessions.
    #[must_use]
    pub const fn role(&self) -> Role {
        self.replication.role
    }

    /// The backup becomes the owner. Takes the same time for any number of sessions: what it means
    /// for one of them is worked out when its next packet comes, or its timer.
    pub fn take_over(&mut self, now: Time) {
        if self.replication.role == Role::Owner {
            return;
        }
        self.replication.role = Role::Owner;
        self.replication.taken_over = now;
        self.replication.counters.takeovers += 1;
        self.sweep.start();
    }

    /// The owner becomes the backup: nothing that it held leaves any more.
    pub fn stand_down(&mut self) {
        if self.replication.role == Role::Backup {
            return;
        }
        self.replication.role = Role::Backup;
        self.replication.notes.clear();
        self.replication.lags.reserve(self.table.capacity());
        // The straight way asks for no role: it needs to know the egress, and now it does not.
        self.fib.forget();
        while let Some(frame) = self.pending.expire(Time::MAX) {
            self.ledger.expire(Reason::NotOwner, frame.meta.packets);
        }
        while let Some(frame) = self.replication.held.expire(Time::MAX) {
            self.ledger.expire(Reason::NotOwner, frame.meta.waiting.packets);
        }
    }

    /// The oldest note.
    pub fn next_note(&mut self) -> Option<Note> {
        self.replication.notes.pop()
    }

    /// Whether notes were lost since this was last asked: then the tables must be compared.
    pub const fn take_notes_lost(&mut self) -> bool {
        self.replication.notes.take_lost()
    }

    /// What was counted of replication.
    #[must_use]
    pub const fn replicated(&self) -> &Replicated {
        &self.replication.counters
    }

    /// The first packet of a session since its last record.
    pub(crate) fn moved(&mut self, handle: Handle) {
        self.note_session(handle, NoteKind::Moved, false);
    }

    /// Leaves a note about a session that lives. One that finds no room leaves the mark of its
    /// record, so that the next packet tries again.
    pub(crate) fn note_session(&mut self, handle: Handle, kind: NoteKind, sync: bool) {
        let Some(session) = self.table.get_mut(handle) else { return };
        let Self { replication, .. } = self;
        if kind != NoteKind::Moved || replication.notes.has_room() {
            session.flags.set(Flags::EXPORTED, false);
            replication.note(kind, handle.place(), session.id, sync);
        }
    }
}

const _: () = assert!(REPLICA_REVISIT.as_nanos() < REPLICA_GRACE.as_nanos());
