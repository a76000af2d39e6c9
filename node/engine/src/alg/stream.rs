//! One direction of a control channel over TCP: what of it was read, what is kept back, what was replaced.
//!
//! ```text
//!  as its sender numbers it    ───── passed on ─────┬─ kept back ─┬── not there yet
//!                                      ▲ edits      │             end
//!  as the far end knows it     ───── passed on, with other text ──┤
//! ```
//!
//! A line that is not whole yet and may announce something is kept back: it can only be replaced as a whole.
//! When the rest comes, both leave in the one segment. Its sender may wait for an acknowledgment before it
//! sends the rest (Nagle's algorithm, RFC 9293 §3.7.4); so what is kept back is acknowledged in the far
//! end's place: with what the far end acknowledges, and when it is sent again.
//!
//! An edit is kept until the far end has acknowledged it: what is sent again until then is replaced again.

use wire::Seq;

use crate::limits::{ALG_EDIT_BYTES, ALG_EDITS, ALG_KEPT_BYTES};

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// The sender's next byte; `None` before its SYN.
    end: Option<Seq>,
    /// The last bytes before `end`, which were not passed on.
    kept: Text<ALG_KEPT_BYTES>,
    /// What stands in the middle of a line that announces nothing.
    in_line: bool,
    /// What the far end's numbers are ahead by, before the first of the edits.
    base: u32,
    edits: [Edit; ALG_EDITS],
    count: u8,
}

/// Some bytes of a stream that others stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The first of them, as its sender numbers it.
    pub(crate) at: Seq,
    /// How many.
    pub(crate) old: u16,
    /// What stands for them.
    pub(crate) new: Text<ALG_EDIT_BYTES>,
}

/// A short text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<const MOST: usize> {
    len: u16,
    bytes: [u8; MOST],
}

/// Where a segment's bytes stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    /// All were there before.
    Old,
    /// So many were, and the rest is what comes next.
    Next(usize),
    /// Some before them are missing.
    Gap,
}

impl<const MOST: usize> Text<MOST> {
    pub(crate) const EMPTY: Self = Self { len: 0, bytes: [0; MOST] };

    /// `None` if it is too long.
    pub(crate) fn new(text: &[u8]) -> Option<Self> {
        let mut new = Self::EMPTY;
        new.bytes.get_mut(..text.len())?.copy_from_slice(text);
        new.len = text.len() as u16;
        Some(new)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.len)]
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its first `len` bytes, if it has so many.
    pub(crate) fn up_to(mut self, len: usize) -> Self {
        self.len = self.len.min(len.min(MOST) as u16);
        self
    }
}

impl Edit {
    const NONE: Self = Self { at: Seq(0), old: 0, new: Text::EMPTY };

    fn end(&self) -> Seq {
        self.at + u32::from(self.old)
    }

    /// What the numbers behind it are further on by.
    fn shift(&self) -> u32 {
        u32::from(self.new.len).wrapping_sub(u32::from(self.old))
    }
}

impl Stream {
    pub(crate) const NEW: Self = Self {
        end: None,
        kept: Text::EMPTY,
        in_line: false,
        base: 0,
        edits: [Edit::NONE; ALG_EDITS],
        count: 0,
    };

    /// One that another node has told of, without its edits.
    pub(crate) const fn restored(
        end: Option<Seq>,
        kept: Text<ALG_KEPT_BYTES>,
        in_line: bool,
        base: u32,
    ) -> Self {
        Self { end, kept, in_line, base, ..Self::NEW }
    }

    /// What the far end's numbers are ahead by, before the first of the edits.
    pub(crate) const fn base(&self) -> u32 {
        self.base
    }

    /// The sender begins: its SYN has this number.
    pub(crate) const fn begin(&mut self, syn: Seq) {
        *self = Self { end: Some(Seq(syn.0.wrapping_add(1))), ..Self::NEW };
    }

    /// Whether nothing in it is another than the far end knows it.
    #[inline]
    pub(crate) const fn is_plain(&self) -> bool {
        self.count == 0 && self.base == 0 && self.kept.len == 0
    }

    /// Where its sender is.
    pub(crate) const fn end(&self) -> Option<Seq> {
        self.end
    }

    /// What is kept back.
    pub(crate) const fn kept(&self) -> &Text<ALG_KEPT_BYTES> {
        &self.kept
    }

    /// The next byte is this one, whatever was before it.
    pub(crate) const fn skip_to(&mut self, at: Seq) {
        (self.end, self.kept, self.in_line) = (Some(at), Text::EMPTY, false);
    }

    /// Whether `len` bytes from `at` on leave as they came.
    pub(crate) fn stands_as_sent(&self, at: Seq, len: usize) -> bool {
        let end = at + len as u32;
        let touched = |edit: &Edit| edit.end().gt(at) && edit.at.lt(end);
        len == 0 || (self.passed().is_none_or(|it| end.le(it)) && !self.edits().iter().any(touched))
    }

    /// Whether the next byte stands in the middle of a line that announces nothing.
    pub(crate) const fn in_line(&self) -> bool {
        self.in_line
    }

    pub(crate) fn edits(&self) -> &[Edit] {
        &self.edits[..usize::from(self.count)]
    }

    /// Edits that there is room for.
    pub(crate) const fn room(&self) -> usize {
        ALG_EDITS - self.count as usize
    }

    /// The first byte that was not passed on.
    pub(crate) fn passed(&self) -> Option<Seq> {
        self.end.map(|end| Seq(end.0.wrapping_sub(u32::from(self.kept.len))))
    }

    /// Where `len` bytes from `at` on stand. The first ones of all are what comes next.
    pub(crate) fn fit(&self, at: Seq, len: usize) -> Fit {
        let Some(end) = self.end else { return Fit::Next(0) };
        if at.gt(end) {
            return Fit::Gap;
        }
        let old = (end - at) as usize;
        if old >= len && len > 0 { Fit::Old } else { Fit::Next(old.min(len)) }
    }

    /// `len` more bytes were read, of which the last, with what was kept back before, are now kept back.
    pub(crate) fn read(&mut self, at: Seq, len: usize, kept: Text<ALG_KEPT_BYTES>, in_line: bool) {
        self.end = Some(self.end.unwrap_or(at) + len as u32);
        (self.kept, self.in_line) = (kept, in_line);
    }

    /// Other bytes stand for some of those just read. `false`: there is no room.
    pub(crate) fn replace(&mut self, edit: Edit) -> bool {
        let Some(place) = self.edits.get_mut(usize::from(self.count)) else { return false };
        *place = edit;
        self.count += 1;
        true
    }

    /// The number that the far end knows a byte of its sender by; that of the first one of an edit.
    pub(crate) fn beyond(&self, seq: Seq) -> Seq {
        let mut shift = self.base;
        for edit in self.edits() {
            if edit.end().gt(seq) {
                return if edit.at.lt(seq) { edit.at + shift } else { seq + shift };
            }
            shift = shift.wrapping_add(edit.shift());
        }
        seq + shift
    }

    /// The number that its sender knows a byte of the far end by; that of the first one of an edit.
    pub(crate) fn here(&self, seq: Seq) -> Seq {
        let mut shift = self.base;
        for edit in self.edits() {
            if seq.le(edit.at + shift) {
                break;
            }
            if seq.lt(edit.at + shift + u32::from(edit.new.len)) {
                return edit.at;
            }
            shift = shift.wrapping_add(edit.shift());
        }
        seq + shift.wrapping_neg()
    }

    /// The same of an acknowledgment: of all that was passed on, it is one of what is kept back, too.
    pub(crate) fn acknowledged(&self, seq: Seq) -> Seq {
        let here = self.here(seq);
        match self.end {
            Some(end) if Some(here) == self.passed() => end,
            Some(_) | None => here,
        }
    }

    /// The far end has all before `here`, as its sender numbers it: what it has is not sent again.
    pub(crate) fn forget(&mut self, here: Seq) {
        let done = self.edits().iter().take_while(|edit| edit.end().le(here)).count();
        for edit in &self.edits[..done] {
            self.base = self.base.wrapping_add(edit.shift());
        }
        self.edits.rotate_left(done);
        self.count -= done as u8;
    }

    /// Writes what stands for the bytes from `at` on and has been passed on, or is now, into `space`: those
    /// of the segment, and before them what was kept back of the last one. Returns the first one's number,
    /// as the far end knows it, and how many there are. `None`: there is no room.
    pub(crate) fn write(
        &self,
        (at, bytes): (Seq, &[u8]),
        before: &[u8],
        space: &mut [u8],
    ) -> Option<(Seq, usize)> {
        let passed = self.passed()?;
        let mut out = Writer { space, len: 0 };
        let from = Seq(at.0.wrapping_sub(before.len() as u32));
        let end = (at + bytes.len() as u32).min(passed);
        let original = |seq: Seq| {
            let place = (seq - from) as usize;
            before.get(place).or_else(|| bytes.get(place.checked_sub(before.len())?)).copied()
        };
        let mut next = from;
        for edit in self.edits().iter().filter(|edit| edit.end().gt(from) && edit.at.lt(end)) {
            while next.lt(edit.at) {
                out.put(&[original(next)?])?;
                next += 1;
            }
            out.put(edit.new.as_bytes())?;
            next = edit.end();
        }
        while next.lt(end) {
            out.put(&[original(next)?])?;
            next += 1;
        }
        Some((self.beyond(from), out.len))
    }
}

struct Writer<'a> {
    space: &'a mut [u8],
    len: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.space.get_mut(self.len..self.len + bytes.len())?.copy_from_slice(bytes);
        self.len += bytes.len();
        Some(())
    }
}

#[cfg(test)]
mod tests;
