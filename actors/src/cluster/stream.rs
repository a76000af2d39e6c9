//! One worker's replication: lives beside its worker, and is run around each of its turns.
//!
//! ```text
//!  before: role, words of the peer ──► machine ──► engine        (then the worker's turn)
//!  after:  notes of the engine ──► machine ──► messages to the transport, holds released
//! ```

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cluster_core::Term;
use cluster_core::limits::BULK_DEADLINE;
use cluster_core::membership::Readiness;
use cluster_core::replication::{Input, Outcome, Output, Purpose, Replication, View};
use datapath::Latecomers;
use engine::Engine;
use tokio::sync::mpsc;
use wire::Time;

use super::limits::{MESSAGES_PER_TURN, NOTES_PER_TURN};
use super::ownership::{Completeness, Ownership};
use super::sessions::{Table, note};

/// What the transport tells a worker.
#[derive(Debug)]
pub(crate) enum Word {
    /// The peer is connected.
    Connected,
    /// It is not any more, or is declared dead.
    Lost,
    /// It says this.
    Message(Bytes),
}

/// A stream that outlives its flow actor, like the worker.
pub type SharedStream = Arc<Mutex<Stream>>;

/// The replication of one worker.
#[derive(Debug)]
pub struct Stream {
    pub(super) machine: Replication,
    pub(super) secret: [u64; 2],
    pub(super) ownership: Ownership,
    pub(super) completeness: Completeness,
    pub(super) inbox: mpsc::Receiver<Word>,
    pub(super) outbox: mpsc::Sender<Bytes>,
    pub(super) latecomers: Latecomers,
    /// The role that the engine has, and its term.
    pub(super) role: (bool, Term),
    pub(super) connected: bool,
    /// Messages that found no room on their way out; they are lost, and come again.
    pub(super) unsent: u64,
    /// Times that the engine's notes found no room; the digests find what they leave behind.
    pub(super) notes_lost: u64,
}

/// A stream as it stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamView {
    pub(super) machine: View,
    pub(super) unsent: u64,
    pub(super) notes_lost: u64,
}

/// What a stream wants after a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// A turn at once: packets were released.
    pub(crate) at_once: bool,
    /// A turn then, at the latest.
    pub(crate) until: Option<Time>,
}

impl Stream {
    /// Before the worker's turn.
    pub(crate) fn before(&mut self, engine: &mut Engine, now: Time) {
        self.follow(engine, now);
        for _ in 0..MESSAGES_PER_TURN {
            let Ok(word) = self.inbox.try_recv() else { break };
            match word {
                Word::Connected => self.connect(engine, now),
                Word::Lost => {
                    self.connected = false;
                    self.handle(Input::Lost, engine, now);
                    if !self.role.0 {
                        self.completeness.set(Readiness::BulkWaiting);
                    }
                }
                Word::Message(bytes) => self.handle(Input::Message(&bytes), engine, now),
            }
        }
    }

    /// After the worker's turn.
    pub(crate) fn after(&mut self, engine: &mut Engine, now: Time) -> Wish {
        for _ in 0..NOTES_PER_TURN {
            let Some(left) = engine.next_note() else { break };
            self.handle(Input::Note(note(&left)), engine, now);
        }
        self.notes_lost += u64::from(engine.take_notes_lost());
        // An owner that passes packets on has stopped: nothing is merged any more by waiting.
        self.machine.set_hurry(self.role.0 && self.latecomers.are_passed_on(now));
        if self.machine.next_deadline(now).is_some_and(|at| at <= now) {
            self.handle(Input::Time, engine, now);
        }
        self.carry_out(engine, now);
        let until = self.machine.next_deadline(now).into_iter().chain(engine.next_hold_expiry());
        Wish { at_once: engine.has_output() || !self.inbox.is_empty(), until: until.min() }
    }

    /// Whether something has come since the last turn; to be asked after the worker lay down.
    pub(crate) fn is_due(&self) -> bool {
        !self.inbox.is_empty() || self.ownership.get() != self.role
    }

    /// Whether the peer has all that there is to tell.
    pub(super) fn is_settled(&self, now: Time) -> bool {
        self.machine.is_settled(now)
    }

    /// The stream as it stands.
    pub(super) fn view(&self, now: Time) -> StreamView {
        let (unsent, notes_lost) = (self.unsent, self.notes_lost);
        StreamView { machine: self.machine.view(now), unsent, notes_lost }
    }

    /// Gives the engine the role that this node has.
    fn follow(&mut self, engine: &mut Engine, now: Time) {
        let role = self.ownership.get();
        if role == self.role {
            return;
        }
        let (owner, term) = role;
        let changed = owner != self.role.0;
        self.role = role;
        if owner {
            engine.take_over(now);
            self.completeness.set(Readiness::Ready);
        } else {
            engine.stand_down();
        }
        self.handle(Input::Role { owner, term }, engine, now);
        if changed && !owner && self.connected {
            self.join(engine, now);
        }
    }

    fn connect(&mut self, engine: &mut Engine, now: Time) {
        self.connected = true;
        engine.set_peer(true, now);
        self.handle(Input::Connected, engine, now);
        if !self.role.0 {
            self.join(engine, now);
        }
    }

    /// Asks for all sessions of the owner.
    fn join(&mut self, engine: &mut Engine, now: Time) {
        self.completeness.set(Readiness::BulkRunning);
        let want = Input::Want { purpose: Purpose::Join, deadline: Some(BULK_DEADLINE) };
        self.handle(want, engine, now);
    }

    fn handle(&mut self, input: Input<'_>, engine: &mut Engine, now: Time) {
        let mut table = Table { engine, secret: self.secret };
        self.machine.handle(input, &mut table, now);
    }

    fn carry_out(&mut self, engine: &mut Engine, now: Time) {
        let mut table = Table { engine, secret: self.secret };
        while let Some(output) = self.machine.poll_output(&mut table, now) {
            match output {
                Output::Send(message) => {
                    let sent = self.outbox.try_send(Bytes::copy_from_slice(message));
                    self.unsent += u64::from(sent.is_err());
                }
                Output::Release(release) => table.release(&release, now),
                Output::ReleaseAll => table.engine.set_peer(false, now),
                // Membership hears of it by heartbeats, and decides.
                Output::NewerTerm(term) => tracing::debug!(%term, "the peer knows a newer term"),
                Output::Bulk(purpose, outcome) => {
                    ended(&self.completeness, self.role.0, purpose, outcome);
                }
            }
        }
    }
}

/// What the end of a bulk says about this worker's replicas.
fn ended(completeness: &Completeness, owner: bool, purpose: Purpose, outcome: Outcome) {
    let counts = match purpose {
        Purpose::Join | Purpose::Merge => true,
        Purpose::Repair => false,
    };
    if !counts || owner {
        return;
    }
    completeness.set(match outcome {
        Outcome::Complete => Readiness::Ready,
        Outcome::DeadlinePassed => Readiness::DeadlinePassed,
        Outcome::Abandoned => Readiness::BulkWaiting,
    });
}

/// Takes the stream. A panic in its turn ended the flow actor; what it then missed comes again, or is
/// found by digests.
pub(crate) fn lock(stream: &SharedStream) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
