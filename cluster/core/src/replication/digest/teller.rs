//! The owner's half: says what its table adds up to.

use wire::Time;

use super::PIECES;
use super::proof::Proof;
use super::sums::Sums;
use crate::limits::{DIGEST_PIECE_SLOTS, PAGE_INTERVAL};
use crate::replication::envelope::Writer;
use crate::replication::sessions::Sessions;

/// Rounds of digests, one after the other.
#[derive(Debug)]
pub(in crate::replication) struct Teller {
    phase: Phase,
    round: u32,
    sums: Sums,
    say_at: Option<Time>,
    pub(in crate::replication) proof: Proof,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Until then.
    Rest(Time),
    /// Adds up.
    Walk,
    /// Sends pieces from this one on.
    Tell(u16),
}

impl Teller {
    pub(in crate::replication) fn new() -> Self {
        Self {
            phase: Phase::Rest(Time::ZERO),
            round: 0,
            sums: Sums::new(),
            say_at: None,
            proof: Proof::new(),
        }
    }

    /// The next round waits until `at`; one that is on is broken off.
    pub(in crate::replication) fn rest_until(&mut self, at: Time) {
        self.phase = Phase::Rest(at);
        self.say_at = None;
        self.sums.stop();
    }

    /// A difference is likely: the next round comes at once.
    pub(in crate::replication) fn hurry(&mut self, now: Time) {
        if let Phase::Rest(at) = self.phase {
            self.phase = Phase::Rest(at.min(now));
        }
    }

    /// When the next round may begin, if it waits for that.
    pub(in crate::replication) fn rests_until(&self) -> Option<Time> {
        match self.phase {
            Phase::Rest(at) => Some(at),
            Phase::Walk | Phase::Tell(_) => None,
        }
    }

    /// Begins a round.
    pub(in crate::replication) fn begin(&mut self, now: Time) {
        self.round += 1;
        self.phase = Phase::Walk;
        self.say_at = Some(now);
        self.sums.begin(now);
        self.proof.round_began(self.round, now);
    }

    /// A step of the walk.
    pub(in crate::replication) fn work<S: Sessions>(&mut self, sessions: &S, now: Time) {
        if self.sums.work(sessions, now) {
            self.phase = Phase::Tell(0);
            self.say_at = Some(now);
        }
    }

    pub(in crate::replication) fn work_at(&self) -> Option<Time> {
        self.sums.work_at()
    }

    pub(in crate::replication) fn say_at(&self) -> Option<Time> {
        self.say_at
    }

    /// Says that a round began, or a piece of it; true if that was the last, and it is time to rest.
    pub(in crate::replication) fn say(&mut self, writer: &mut Writer<'_>, now: Time) -> bool {
        self.say_at = None;
        match self.phase {
            Phase::Rest(_) => false,
            Phase::Walk => {
                writer.digest(self.round, 0, &[]);
                false
            }
            Phase::Tell(piece) => {
                self.tell(piece, writer, now);
                piece + 1 == PIECES
            }
        }
    }

    fn tell(&mut self, piece: u16, writer: &mut Writer<'_>, now: Time) {
        let first = piece * DIGEST_PIECE_SLOTS;
        let range = usize::from(first)..usize::from(first + DIGEST_PIECE_SLOTS);
        writer.digest(self.round, first, &self.sums.words()[range]);
        self.phase = Phase::Tell(piece + 1);
        self.say_at = Some(now + PAGE_INTERVAL);
    }

    /// What the other node found.
    pub(in crate::replication) fn result(&mut self, round: u32, equal_since: u32, unequal: u16) {
        if round <= self.round && equal_since <= round {
            self.proof.result(equal_since, unequal);
        }
    }
}
