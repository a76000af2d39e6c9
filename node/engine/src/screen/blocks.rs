//! Sources that are blocked for a time, as an engine drops them: the slow twin of the XDP program's list.

use wire::Time;

use super::timed::Timed;
use crate::limits::{BLOCK_SETS, BLOCK_WAYS};

/// Who is blocked, and until when.
pub(super) struct Blocks(Timed<(), BLOCK_SETS, BLOCK_WAYS>);

impl Blocks {
    pub(super) fn new() -> Self {
        Self(Timed::new())
    }

    /// Whether nobody is blocked.
    #[inline]
    pub(super) fn is_empty(&self, now: Time) -> bool {
        self.0.last_end() <= now
    }

    /// Whether the source with this hash is blocked.
    #[inline]
    pub(super) fn has(&self, hash: u64, now: Time) -> bool {
        self.0.live(hash, now).is_some()
    }

    /// Blocks a source; of one that is blocked already this is the end from now on.
    pub(super) fn block(&mut self, hash: u64, until: Time) {
        self.0.set(hash, (), until);
    }

    /// Lets a source through again.
    pub(super) fn unblock(&mut self, hash: u64) {
        self.0.lift(hash);
    }

    /// Lets everybody through again.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: u64) -> Time {
        Time::from_secs(secs)
    }

    #[test]
    fn a_block_ends_by_itself_or_by_a_word() {
        let mut blocks = Blocks::new();
        assert!(blocks.is_empty(at(1)));
        blocks.block(1 << 40, at(10));
        blocks.block(2 << 40, at(20));
        assert!(blocks.has(1 << 40, at(9)) && !blocks.has(1 << 40, at(10)));
        assert!(!blocks.has(3 << 40, at(9)), "another one of the same set");
        blocks.block(1 << 40, at(30));
        assert!(blocks.has(1 << 40, at(29)));
        blocks.unblock(1 << 40);
        assert!(!blocks.has(1 << 40, at(9)) && blocks.has(2 << 40, at(19)));
        assert!(!blocks.is_empty(at(29)) && blocks.is_empty(at(30)));
        blocks.clear();
        assert!(!blocks.has(2 << 40, at(9)) && blocks.is_empty(at(9)));
    }

    #[test]
    fn in_a_full_set_the_block_that_ends_first_gives_way() {
        let mut blocks = Blocks::new();
        let last = BLOCK_WAYS as u64 + 1;
        (1..=last).for_each(|it| blocks.block(it << 40, at(100 + it)));
        assert!(!blocks.has(1 << 40, at(1)));
        assert!((2..=last).all(|it| blocks.has(it << 40, at(1))));
    }
}
