//! Since when both tables are known to be equal.

use wire::Time;

use crate::limits::DIGEST_ROUNDS_REMEMBERED;

/// When rounds began, and what the last one gave.
#[derive(Clone, Debug)]
pub(in crate::replication) struct Proof {
    began: [(u32, Time); DIGEST_ROUNDS_REMEMBERED],
    equal_since: u32,
    unequal: Option<u16>,
}

impl Proof {
    pub(in crate::replication) fn new() -> Self {
        Self { began: [(0, Time::ZERO); DIGEST_ROUNDS_REMEMBERED], equal_since: 0, unequal: None }
    }

    pub(super) fn round_began(&mut self, round: u32, now: Time) {
        self.began[round as usize % DIGEST_ROUNDS_REMEMBERED] = (round, now);
    }

    pub(in crate::replication) fn result(&mut self, equal_since: u32, unequal: u16) {
        self.equal_since = self.equal_since.max(equal_since);
        self.unequal = Some(unequal);
    }

    /// Every slot was seen equal at this time or later.
    pub(in crate::replication) fn as_of(&self) -> Option<Time> {
        let (round, began) = self.began[self.equal_since as usize % DIGEST_ROUNDS_REMEMBERED];
        (self.equal_since > 0 && round == self.equal_since).then_some(began)
    }

    /// Slots that differed in the last round.
    pub(in crate::replication) fn unequal(&self) -> Option<u16> {
        self.unequal
    }
}
