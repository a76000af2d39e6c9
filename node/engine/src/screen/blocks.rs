//! Sources that are blocked for a time, as an engine drops them: the slow twin of the XDP program's list.
//!
//! A source stands in one of the sets by its keyed hash, with 48 bits of it. In a full set the block that
//! ends first gives way.

use wire::Time;

use crate::limits::{BLOCK_SETS, BLOCK_WAYS};

/// Who is blocked, and until when.
pub(super) struct Blocks {
    sets: Box<[Set]>,
    /// Until then somebody may be blocked: before it nobody is looked for.
    last_end: Time,
}

/// One cache line.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Set([Block; BLOCK_WAYS]);

#[derive(Clone, Copy)]
struct Block {
    tag: u32,
    until: Time,
}

const FREE: Block = Block { tag: 0, until: Time::ZERO };

impl Blocks {
    pub(super) fn new() -> Self {
        Self { sets: vec![Set([FREE; BLOCK_WAYS]); BLOCK_SETS].into(), last_end: Time::ZERO }
    }

    /// Whether nobody is blocked.
    #[inline]
    pub(super) fn is_empty(&self, now: Time) -> bool {
        self.last_end <= now
    }

    /// Whether the source with this hash is blocked.
    #[inline]
    pub(super) fn has(&self, hash: u64, now: Time) -> bool {
        let tag = tag(hash);
        self.sets[set(hash)].0.iter().any(|block| block.tag == tag && block.until > now)
    }

    /// Blocks a source; of one that is blocked already this is the end from now on.
    pub(super) fn block(&mut self, hash: u64, until: Time) {
        let (ways, tag) = (&mut self.sets[set(hash)].0, tag(hash));
        let way = ways.iter().position(|block| block.tag == tag).unwrap_or_else(|| {
            let first = (0..BLOCK_WAYS).min_by_key(|way| ways[*way].until);
            first.expect("a set has ways")
        });
        ways[way] = Block { tag, until };
        self.last_end = self.last_end.max(until);
    }

    /// Lets a source through again.
    pub(super) fn unblock(&mut self, hash: u64) {
        let tag = tag(hash);
        let ways = &mut self.sets[set(hash)].0;
        ways.iter_mut().filter(|block| block.tag == tag).for_each(|block| *block = FREE);
    }

    /// Lets everybody through again.
    pub(super) fn clear(&mut self) {
        self.sets.fill(Set([FREE; BLOCK_WAYS]));
        self.last_end = Time::ZERO;
    }
}

const fn set(hash: u64) -> usize {
    hash as usize % BLOCK_SETS
}

/// Never that of a free place.
const fn tag(hash: u64) -> u32 {
    (hash >> 32) as u32 | 1
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
