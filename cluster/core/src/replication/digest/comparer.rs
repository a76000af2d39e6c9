//! The other half: compares the owner's sums with those of its own table.

use wire::{SLOTS, Slot, Time};

use super::PIECES;
use super::proof::Proof;
use super::sums::Sums;
use crate::limits::{DIGEST_PIECE_SLOTS, DIGEST_UNEQUAL_ROUNDS};
use crate::replication::envelope::{SlotSet, Words, Writer};
use crate::replication::sessions::Sessions;

/// The present round, and what is known of each slot.
#[derive(Debug)]
pub(in crate::replication) struct Comparer {
    round: u32,
    phase: Phase,
    sums: Sums,
    theirs: Box<[u64]>,
    /// Pieces that have come, and those that were compared.
    came: u32,
    compared: u32,
    slots: Box<[Known; SLOTS as usize]>,
    differing: SlotSet,
    finished: bool,
    owed: bool,
    pub(in crate::replication) proof: Proof,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Idle,
    Walk,
    Compare,
}

#[derive(Clone, Copy, Debug, Default)]
struct Known {
    /// The last difference; 0 if there was none.
    difference: u64,
    /// The last round in which there was none.
    equal_in: u32,
    unequal_rounds: u8,
}

/// What a round gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::replication) struct Found {
    pub(in crate::replication) round: u32,
    /// Every slot was equal in this round or a later one.
    pub(in crate::replication) equal_since: u32,
    /// Slots that are believed to differ.
    pub(in crate::replication) differing: SlotSet,
}

impl Comparer {
    pub(in crate::replication) fn new() -> Self {
        Self {
            round: 0,
            phase: Phase::Idle,
            sums: Sums::new(),
            theirs: vec![0; SLOTS.into()].into_boxed_slice(),
            came: 0,
            compared: 0,
            slots: Box::new([Known::default(); SLOTS as usize]),
            differing: SlotSet::NONE,
            finished: false,
            owed: false,
            proof: Proof::new(),
        }
    }

    /// The owner is another one, or another run: its rounds begin anew.
    pub(in crate::replication) fn reset(&mut self) {
        *self = Self::new();
    }

    /// The owner sent digests from slot `first` on, or began a round.
    pub(in crate::replication) fn heard(
        &mut self,
        round: u32,
        first: u16,
        words: Words<'_>,
        now: Time,
    ) -> Option<Found> {
        if round < self.round {
            return None;
        }
        let found = if round > self.round { self.begin(round, now) } else { None };
        if words.len() == usize::from(DIGEST_PIECE_SLOTS)
            && first.is_multiple_of(DIGEST_PIECE_SLOTS)
        {
            self.came |= 1 << (first / DIGEST_PIECE_SLOTS);
            let theirs = &mut self.theirs[usize::from(first)..];
            theirs.iter_mut().zip(words.iter()).for_each(|(to, word)| *to = word);
        }
        found.or_else(|| self.compare())
    }

    /// A step of the walk.
    pub(in crate::replication) fn work<S: Sessions>(
        &mut self,
        sessions: &S,
        now: Time,
    ) -> Option<Found> {
        if self.sums.work(sessions, now) {
            self.phase = Phase::Compare;
        }
        self.compare()
    }

    pub(in crate::replication) fn work_at(&self) -> Option<Time> {
        self.sums.work_at()
    }

    /// Whether a result is to be told.
    pub(in crate::replication) fn owes_result(&self) -> bool {
        self.owed
    }

    pub(in crate::replication) fn say(&mut self, writer: &mut Writer<'_>) {
        if core::mem::take(&mut self.owed) {
            writer.digest_result(self.round, self.equal_since(), self.unequal());
        }
    }

    /// Begins a round; what the last one gave, if pieces of it were lost.
    fn begin(&mut self, round: u32, now: Time) -> Option<Found> {
        let found = if self.compared != 0 { self.finish() } else { None };
        self.round = round;
        (self.came, self.compared, self.finished) = (0, 0, false);
        self.differing = SlotSet::NONE;
        self.phase = Phase::Walk;
        self.sums.begin(now);
        self.proof.round_began(round, now);
        found
    }

    /// Compares the pieces that have come since.
    fn compare(&mut self) -> Option<Found> {
        if self.phase != Phase::Compare {
            return None;
        }
        let fresh = self.came & !self.compared;
        for piece in (0..PIECES).filter(|piece| fresh >> piece & 1 == 1) {
            let first = piece * DIGEST_PIECE_SLOTS;
            (first..first + DIGEST_PIECE_SLOTS).for_each(|slot| self.compare_slot(slot));
        }
        self.compared = self.came;
        if self.compared.count_ones() == u32::from(PIECES) { self.finish() } else { None }
    }

    fn compare_slot(&mut self, slot: u16) {
        let index = usize::from(slot);
        let difference = self.theirs[index].wrapping_sub(self.sums.words()[index]);
        let known = &mut self.slots[index];
        if difference == 0 {
            *known = Known { equal_in: self.round, ..Known::default() };
            return;
        }
        known.unequal_rounds = known.unequal_rounds.saturating_add(1);
        if difference == known.difference || known.unequal_rounds >= DIGEST_UNEQUAL_ROUNDS {
            self.differing.insert(Slot(slot));
        }
        known.difference = difference;
    }

    fn finish(&mut self) -> Option<Found> {
        if core::mem::replace(&mut self.finished, true) {
            return None;
        }
        self.owed = true;
        self.proof.result(self.equal_since(), self.unequal());
        let (round, equal_since) = (self.round, self.equal_since());
        Some(Found { round, equal_since, differing: self.differing })
    }

    fn equal_since(&self) -> u32 {
        self.slots.iter().map(|known| known.equal_in).min().unwrap_or(0)
    }

    fn unequal(&self) -> u16 {
        self.slots.iter().filter(|known| known.difference != 0).count() as u16
    }
}
