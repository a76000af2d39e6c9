//! The sums of all slots, made in steps.

use wire::{SLOTS, Time};

use crate::limits::PAGE_INTERVAL;
use crate::replication::sessions::Sessions;
use crate::replication::walk;

/// A walk over the table that adds up a word for each session.
#[derive(Debug)]
pub(super) struct Sums {
    words: Box<[u64]>,
    walk: Option<Walk>,
}

#[derive(Clone, Copy, Debug)]
struct Walk {
    cursor: u32,
    step_at: Time,
}

impl Sums {
    pub(super) fn new() -> Self {
        Self { words: vec![0; SLOTS.into()].into_boxed_slice(), walk: None }
    }

    pub(super) fn begin(&mut self, now: Time) {
        self.words.fill(0);
        self.walk = Some(Walk { cursor: 0, step_at: now });
    }

    pub(super) fn stop(&mut self) {
        self.walk = None;
    }

    /// A step, if it is time for one; true if it was the last.
    pub(super) fn work<S: Sessions>(&mut self, sessions: &S, now: Time) -> bool {
        let Some(walk) = self.walk.filter(|walk| walk.step_at <= now) else { return false };
        let words = &mut self.words;
        let next = walk::step(sessions, walk.cursor, |row| {
            let word = &mut words[usize::from(row.slot.0 % SLOTS)];
            *word = word.wrapping_add(row.word);
        });
        self.walk = next.map(|cursor| Walk { cursor, step_at: now + PAGE_INTERVAL });
        self.walk.is_none()
    }

    pub(super) fn work_at(&self) -> Option<Time> {
        self.walk.map(|walk| walk.step_at)
    }

    pub(super) fn words(&self) -> &[u64] {
        &self.words
    }
}
