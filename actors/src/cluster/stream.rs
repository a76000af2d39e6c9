//! One worker's replication: lives beside its worker, and is run around each of its turns.
//!
//! ```text
//!  before: role, words of the peer ──► machine ──► engine        (then the worker's turn)
//!  after:  notes of the engine ──► machine ──► messages to the transport, holds released
//! ```

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cluster_core::NodeId;
use cluster_core::limits::BULK_DEADLINE;
use cluster_core::membership::Readiness;
use cluster_core::replication::halves::Halves;
use cluster_core::replication::replicas::Event;
use cluster_core::replication::{Input, Output, Replicas, Replication, Table, View};
use datapath::Latecomers;
use engine::Engine;
use engine::replication::Replicated;
use tokio::sync::mpsc;
use wire::Time;

use super::fabric::{InboxFull, MessageRoom};
use super::limits::{MESSAGES_PER_TURN, NOTES_PER_TURN};
use super::ownership::{Completeness, Ownership, Standing};

/// What the transport tells a worker.
#[derive(Debug)]
pub(crate) enum Word {
    /// There is a peer to replicate with: this one.
    Connected(NodeId),
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
    pub(super) ownership: Ownership,
    pub(super) completeness: Completeness,
    pub(super) inbox: mpsc::Receiver<Word>,
    pub(super) room: MessageRoom,
    pub(super) outbox: mpsc::Sender<(NodeId, Bytes)>,
    pub(super) latecomers: Latecomers,
    /// The role that the engine has, and what else it was told of the ownership.
    pub(super) standing: Standing,
    pub(super) replicas: Replicas,
    /// Which ports of public addresses this node gives.
    pub(super) halves: Halves,
    /// Messages that found no room on their way out; they are lost, and come again.
    pub(super) unsent: u64,
    /// Times that the engine's notes found no room; the digests find what they leave behind.
    pub(super) notes_lost: u64,
    /// Messages of the peer that found no room on their way in.
    pub(super) inbox_full: InboxFull,
}

/// A stream as it stands, and what its engine counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct StreamView {
    pub(super) machine: View,
    pub(super) engine: Replicated,
    pub(super) unsent: u64,
    pub(super) notes_lost: u64,
    pub(super) inbox_full: u64,
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
        let complete = self.replicas.readiness() == Readiness::Ready;
        let half = self.halves.at(self.standing.alone, complete, now);
        engine.set_nat_half(half, self.halves.own());
        self.machine.set_message_bytes(self.room.get());
        for _ in 0..MESSAGES_PER_TURN {
            let Ok(word) = self.inbox.try_recv() else { break };
            match word {
                Word::Connected(node) => self.connect(node, engine, now),
                Word::Lost => {
                    self.handle(Input::Lost, engine, now);
                    self.replicas(Event::Lost, engine, now);
                }
                Word::Message(bytes) => {
                    self.handle(Input::Message(&bytes), engine, now);
                    continue;
                }
            }
            // Before the next word: what the engine is told of its peer has an order.
            self.carry_out(engine, now);
        }
    }

    /// After the worker's turn.
    pub(crate) fn after(&mut self, engine: &mut Engine, now: Time) -> Wish {
        for _ in 0..NOTES_PER_TURN {
            let Some(left) = engine.next_note() else { break };
            self.handle(Input::Note(left), engine, now);
        }
        self.notes_lost += u64::from(engine.take_notes_lost());
        // An owner that passes packets on has stopped: nothing is merged any more by waiting.
        self.machine.set_hurry(self.standing.owner && self.latecomers.are_passed_on(now));
        if self.machine.next_deadline(now).is_some_and(|at| at <= now) {
            self.handle(Input::Time, engine, now);
        }
        self.carry_out(engine, now);
        let until = self.machine.next_deadline(now).into_iter().chain(engine.next_hold_expiry());
        Wish { at_once: engine.has_output() || !self.inbox.is_empty(), until: until.min() }
    }

    /// Whether something has come since the last turn; to be asked after the worker lay down.
    pub(crate) fn is_due(&self) -> bool {
        !self.inbox.is_empty() || self.ownership.get() != self.standing
    }

    /// Whether the peer has all that there is to tell.
    pub(super) fn is_settled(&self, now: Time) -> bool {
        self.machine.is_settled(now)
    }

    /// The stream as it stands.
    pub(super) fn view(&self, engine: &Engine, now: Time) -> StreamView {
        StreamView {
            machine: self.machine.view(now),
            engine: *engine.replicated(),
            unsent: self.unsent,
            notes_lost: self.notes_lost,
            inbox_full: self.inbox_full.get(),
        }
    }

    /// Gives the engine the role that this node has.
    fn follow(&mut self, engine: &mut Engine, now: Time) {
        let seen = self.ownership.get();
        let before = std::mem::replace(&mut self.standing, seen);
        if seen == before {
            return;
        }
        if seen.heals != before.heals {
            self.replicas(Event::SplitHealed, engine, now);
        }
        let followed = seen.follows != before.follows;
        let Standing { owner, term, .. } = seen;
        // Who owns again has not owned meanwhile, even if the worker saw nothing of it.
        if before.owner && (followed || !owner) {
            engine.stand_down();
            self.handle(Input::Role { owner: false, term }, engine, now);
            self.replicas(Event::Disowned, engine, now);
        }
        if followed {
            self.replicas(Event::Followed, engine, now);
        }
        if owner && (followed || !before.owner) {
            engine.take_over(now);
            self.handle(Input::Role { owner, term }, engine, now);
            self.replicas(Event::Owned, engine, now);
        } else {
            self.handle(Input::Role { owner, term }, engine, now);
        }
    }

    fn connect(&mut self, node: NodeId, engine: &mut Engine, now: Time) {
        self.handle(Input::Partner(node), engine, now);
        self.handle(Input::Connected, engine, now);
        self.replicas(Event::Connected, engine, now);
    }

    /// Tells the replicas what happened, asks for what they lack, and says how complete they are.
    fn replicas(&mut self, event: Event, engine: &mut Engine, now: Time) {
        if let Some(purpose) = self.replicas.handle(event) {
            let deadline = Some(BULK_DEADLINE);
            self.handle(Input::Want { purpose, deadline }, engine, now);
        }
        self.completeness.set(self.replicas.readiness());
    }

    fn handle(&mut self, input: Input<'_>, engine: &mut Engine, now: Time) {
        let mut table = Table { engine };
        self.machine.handle(input, &mut table, now);
    }

    fn carry_out(&mut self, engine: &mut Engine, now: Time) {
        let mut table = Table { engine };
        let to = self.machine.partner();
        while let Some(output) = self.machine.poll_output(&mut table, now) {
            match output {
                Output::Send(message) => {
                    let sent = self.outbox.try_send((to, Bytes::copy_from_slice(message)));
                    self.unsent += u64::from(sent.is_err());
                }
                Output::Release(release) => table.release(&release, now),
                Output::Peer(there) => table.engine.set_peer(there, now),
                // Membership hears of it by heartbeats, and decides.
                Output::NewerTerm(term) => tracing::debug!(%term, "the peer knows a newer term"),
                Output::Bulk(purpose, outcome) => {
                    let ended = Event::Ended(purpose, outcome);
                    self.replicas(ended, table.engine, now);
                }
            }
        }
    }
}

/// Takes the stream. A panic in its turn ended the flow actor; what it then missed comes again, or is
/// found by digests.
pub(crate) fn lock(stream: &SharedStream) -> MutexGuard<'_, Stream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}
