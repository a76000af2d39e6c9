//! Where something stands in the bytes that were read.

use core::ops::Range;

/// The bytes from `start` up to, not including, `end`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Span {
    /// Offset of the first byte.
    pub start: u32,
    /// Offset behind the last byte; never less than `start`.
    pub end: u32,
}

impl Span {
    /// From offsets. What lies beyond 4 GiB, where no message does, becomes empty.
    pub fn new(start: usize, end: usize) -> Self {
        let start = u32::try_from(start).unwrap_or(u32::MAX);
        let end = u32::try_from(end).unwrap_or(u32::MAX);
        Self { start, end: end.max(start) }
    }

    /// As a range to index with.
    pub const fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }

    /// What stands there; nothing if `bytes` are not those that were read.
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        bytes.get(self.range()).unwrap_or_default()
    }

    /// Bytes.
    pub const fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether nothing stands there.
    pub const fn is_empty(self) -> bool {
        self.start == self.end
    }

    /// Whether all of it lies in `outer`.
    pub const fn is_within(self, outer: Self) -> bool {
        outer.start <= self.start && self.end <= outer.end
    }

    /// From the start of this to the end of `last`.
    #[must_use]
    pub fn to(self, last: Self) -> Self {
        Self { start: self.start, end: last.end.max(self.start) }
    }
}
