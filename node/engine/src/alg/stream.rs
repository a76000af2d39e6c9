//! One direction of a control channel over TCP: what of it was read, what is kept back, what was replaced.
//!
//! ```text
//!  as its sender numbers it    ───── passed on ─────┬─ kept back ─┬── not there yet
//!                                      ▲ edits      │             end
//!  as the far end knows it     ───── passed on, with other text ──┤
//! ```
//!
//! A line or message that is not whole yet is kept back if something in it may have to be replaced: that can
//! only be done with the whole. When the rest comes, both leave. Its sender may wait for an acknowledgment
//! before it sends the rest (Nagle's algorithm, RFC 9293 §3.7.4); so what is kept back is acknowledged in the
//! far end's place: with what the far end acknowledges, and when it is sent again.
//!
//! An edit is kept until the far end has acknowledged it: what is sent again until then is replaced again.
//! What was kept back is an edit, too, once it has left: its sender may have forgotten it.
//!
//! The bytes stand apart, in the direction's [`Texts`]: those of each edit, one behind the other, and then
//! what is kept back.

use wire::Seq;

use crate::limits::{ALG_EDITS, ALG_GROWTH_BYTES, ALG_SEGMENT_MIN, ALG_STREAM_BYTES};

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stream {
    /// The sender's next byte; `None` before its SYN.
    end: Option<Seq>,
    /// How many bytes before `end` were not passed on.
    kept: u16,
    /// What stands in the middle of a line that announces nothing.
    in_line: bool,
    /// Bytes from `end` on that pass unread; [`ALL`] never end.
    skip: u32,
    /// What the far end's numbers are ahead by, before the first of the edits.
    base: u32,
    /// Bytes of the longest segment that its sender has sent.
    longest: u16,
    edits: [Edit; ALG_EDITS],
    count: u8,
}

/// Nothing of a stream is read any more.
pub(crate) const ALL: u32 = u32::MAX;

/// The bytes of one direction.
pub(crate) type Texts = [u8; ALG_STREAM_BYTES];

/// Some bytes of a stream that others stand for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Edit {
    /// The first of them, as its sender numbers it.
    pub(crate) at: Seq,
    /// How many.
    pub(crate) old: u16,
    /// How many stand for them.
    pub(crate) new: u16,
    /// Those are not known here: another node has written them.
    pub(crate) untold: bool,
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

impl Edit {
    const NONE: Self = Self { at: Seq(0), old: 0, new: 0, untold: false };

    fn end(&self) -> Seq {
        self.at + u32::from(self.old)
    }

    /// What the numbers behind it are further on by.
    fn shift(&self) -> u32 {
        u32::from(self.new).wrapping_sub(u32::from(self.old))
    }

    /// Bytes of it among the texts.
    pub(crate) fn text(&self) -> usize {
        if self.untold { 0 } else { self.new.into() }
    }
}

impl Stream {
    pub(crate) const NEW: Self = Self {
        end: None,
        kept: 0,
        in_line: false,
        skip: 0,
        base: 0,
        longest: 0,
        edits: [Edit::NONE; ALG_EDITS],
        count: 0,
    };

    /// One that another node has told of, without its edits.
    pub(crate) const fn restored(end: Option<Seq>, in_line: bool, skip: u32, base: u32) -> Self {
        Self { end, in_line, skip, base, ..Self::NEW }
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
        self.count == 0 && self.base == 0 && self.kept == 0
    }

    /// Where its sender is.
    pub(crate) const fn end(&self) -> Option<Seq> {
        self.end
    }

    /// Bytes that are kept back.
    pub(crate) const fn kept(&self) -> usize {
        self.kept as usize
    }

    /// What is kept back.
    pub(crate) fn kept_text<'a>(&self, texts: &'a Texts) -> &'a [u8] {
        let start = self.text();
        texts.get(start..start + self.kept()).unwrap_or_default()
    }

    /// Bytes of its edits.
    fn text(&self) -> usize {
        self.edits().iter().map(Edit::text).sum()
    }

    /// Bytes that there is room for, beside those of its edits.
    pub(crate) fn text_room(&self) -> usize {
        ALG_STREAM_BYTES.saturating_sub(self.text())
    }

    /// Whether there is room for another edit, of so many bytes that may grow; or as much as there will be.
    pub(crate) fn has_room_for(&self, len: usize) -> bool {
        let all = self.text_room() >= len + ALG_GROWTH_BYTES && self.room() > 0;
        all || self.count == 0
    }

    /// The next byte is this one, whatever was before it.
    pub(crate) const fn skip_to(&mut self, at: Seq) {
        (self.end, self.kept, self.in_line) = (Some(at), 0, false);
        if self.skip != ALL {
            self.skip = 0;
        }
    }

    /// Bytes from `end` on that pass unread.
    pub(crate) const fn skip(&self) -> u32 {
        self.skip
    }

    /// So many bytes behind those that were read pass unread.
    pub(crate) const fn pass(&mut self, skip: u32) {
        self.skip = skip;
    }

    /// Its sender has sent a segment of so many bytes.
    pub(crate) fn sent(&mut self, len: usize) {
        self.longest = self.longest.max(u16::try_from(len).unwrap_or(u16::MAX));
    }

    /// Bytes that a segment may have: no more than its sender has found to pass.
    pub(crate) fn segment(&self) -> usize {
        usize::from(self.longest).max(ALG_SEGMENT_MIN)
    }

    /// Whether `len` bytes from `at` on leave as they came; `again`: they were there before.
    pub(crate) fn stands_as_sent(&self, at: Seq, len: usize, again: bool) -> bool {
        let end = at + len as u32;
        let touched = |edit: &Edit| {
            edit.end().gt(at) && edit.at.lt(end) || again && edit.end() == at && edit.old > 0
        };
        let passed = len == 0 || self.passed().is_none_or(|it| end.le(it));
        passed && !self.edits().iter().any(touched)
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
        self.end.map(|end| Seq(end.0.wrapping_sub(u32::from(self.kept))))
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

    /// What was kept back is no more: it is to be read again, with what follows.
    pub(crate) const fn lift(&mut self) {
        self.kept = 0;
    }

    /// `len` more bytes were read, of which the last, with what was kept back before, are now kept back.
    /// `false`: there is no room for them.
    pub(crate) fn read(
        &mut self,
        (at, len): (Seq, usize),
        kept: &[u8],
        in_line: bool,
        texts: &mut Texts,
    ) -> bool {
        self.end = Some(self.end.unwrap_or(at) + len as u32);
        self.in_line = in_line;
        let start = self.text();
        let space = texts.get_mut(start..start + kept.len());
        let room = space.is_some();
        if let Some(space) = space {
            space.copy_from_slice(kept);
        }
        self.kept = if room { kept.len() as u16 } else { 0 };
        room
    }

    /// Other bytes stand for some of those just read, while nothing is kept back. `false`: there is no room.
    pub(crate) fn replace(
        &mut self,
        (at, old): (Seq, usize),
        new: &[u8],
        texts: &mut Texts,
    ) -> bool {
        let start = self.text();
        let Some(space) = texts.get_mut(start..start + new.len()) else { return false };
        let (old, new_len) = (old as u16, new.len() as u16);
        let added = self.restore(Edit { at, old, new: new_len, untold: false });
        if added {
            space.copy_from_slice(new);
        }
        added
    }

    /// An edit whose bytes stand behind those of the others already, or are not told.
    pub(crate) fn restore(&mut self, edit: Edit) -> bool {
        let Some(place) = self.edits.get_mut(usize::from(self.count)) else { return false };
        *place = edit;
        self.count += 1;
        true
    }

    /// So many bytes behind those of its edits are what is kept back.
    pub(crate) const fn restore_kept(&mut self, kept: u16) {
        self.kept = kept;
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
            if seq.lt(edit.at + shift + u32::from(edit.new)) {
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
    pub(crate) fn forget(&mut self, here: Seq, texts: &mut Texts) {
        let done = self.edits().iter().take_while(|edit| edit.end().le(here)).count();
        if done == 0 {
            return;
        }
        let all = self.text() + self.kept();
        let gone: usize = self.edits[..done].iter().map(Edit::text).sum();
        texts.copy_within(gone..all.min(ALG_STREAM_BYTES), 0);
        for edit in &self.edits[..done] {
            self.base = self.base.wrapping_add(edit.shift());
        }
        self.edits[..usize::from(self.count)].rotate_left(done);
        self.count -= done as u8;
    }

    /// Where to begin with what leaves for the bytes from `at` on: with all edits right before it, too, if
    /// they may have to be sent again.
    fn from(&self, at: Seq, again: bool) -> Seq {
        let before = |next: Seq, edit: &Edit| if edit.end() == next { edit.at } else { next };
        if again { self.edits().iter().rev().fold(at, before) } else { at }
    }

    /// Writes what stands for the bytes from `at` on and has been passed on, or is now, into `space`;
    /// `again`: and for what was kept back before them, or replaced. Returns the first one's number, as the
    /// far end knows it, and how many there are. `None`: there is no room, or they are not known here.
    pub(crate) fn write(
        &self,
        (at, bytes): (Seq, &[u8]),
        again: bool,
        texts: &Texts,
        space: &mut [u8],
    ) -> Option<(Seq, usize)> {
        let mut out = Writer { space, len: 0 };
        let end = (at + bytes.len() as u32).min(self.passed()?);
        let from = self.from(at, again);
        let original = |from: Seq, to: Seq| {
            let (from, to) = ((from - at).max(0) as usize, (to - at).max(0) as usize);
            bytes.get(from..to.max(from))
        };
        let (mut next, mut place) = (from, 0);
        for edit in self.edits() {
            let new = place..place + edit.text();
            place = new.end;
            let behind = edit.at.ge(end) && edit.end().gt(at);
            if behind || edit.end().lt(from) || edit.end() == from {
                continue;
            }
            out.put(original(next, edit.at)?)?;
            if edit.untold {
                return None;
            }
            out.put(texts.get(new)?)?;
            next = edit.end();
        }
        if next.lt(end) {
            out.put(original(next, end)?)?;
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
