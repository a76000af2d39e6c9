//! A place in the bytes that moves forward only: so no reading takes longer than the bytes are long.

use super::Span;
use super::text::is_space;

/// What is still to be read of a span.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    end: usize,
}

impl<'a> Scan<'a> {
    /// At the beginning of `span`, or of what `bytes` have of it.
    pub(super) fn new(bytes: &'a [u8], span: Span) -> Self {
        let end = (span.end as usize).min(bytes.len());
        Self { bytes, at: (span.start as usize).min(end), end }
    }

    /// Offset of the next byte.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// The next byte, which stays.
    pub(super) fn peek(&self) -> Option<u8> {
        self.rest().first().copied()
    }

    /// The next byte, which is passed.
    pub(super) fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// Whether the next byte is this one, which is passed then.
    pub(super) fn eat(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Whether the next is this word in any case, which is passed then.
    pub(super) fn eat_word(&mut self, word: &[u8]) -> bool {
        let found = self.rest().get(..word.len()).is_some_and(|it| it.eq_ignore_ascii_case(word));
        self.at += if found { word.len() } else { 0 };
        found
    }

    /// Passes the bytes that are `wanted`, and tells where they stand.
    pub(super) fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> Span {
        let rest = self.rest();
        let count = rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
        self.take(count)
    }

    /// Passes all up to this byte, and the byte; tells where what stood before it. `None`, and nothing
    /// passed, if there is none.
    pub(super) fn take_until(&mut self, byte: u8) -> Option<Span> {
        let count = self.rest().iter().position(|it| *it == byte)?;
        let span = self.take(count);
        self.at += 1;
        Some(span)
    }

    /// Passes this many, or as many as there are.
    pub(super) fn take(&mut self, count: usize) -> Span {
        let start = self.at;
        self.at = start.saturating_add(count).min(self.end);
        Span::new(start, self.at)
    }

    /// Passes white space.
    pub(super) fn skip_space(&mut self) {
        self.take_while(is_space);
    }

    /// Where what was not read yet stands.
    pub(super) fn remains(&self) -> Span {
        Span::new(self.at, self.end)
    }

    /// What was not read yet.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..self.end).unwrap_or_default()
    }

    /// Whether all was read.
    pub(super) const fn is_at_end(&self) -> bool {
        self.at >= self.end
    }
}
