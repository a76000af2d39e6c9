//! Reading control channels of messages: in a stream, each with a length, or in datagrams.
//!
//! What of a segment is to be told otherwise leaves as one edit, from the first byte that is another one to
//! the last; with what was kept back, which has to be known until the far end has it.

use std::ops::Range;

use wire::{Protocol, Time};

use super::edits::Edits;
use super::expect::Sides;
use super::reading::Run;
use super::speech::{Speech, Unit};
use super::stream::ALL;
use crate::engine::Engine;
use crate::limits::ALG_MESSAGE_KEPT_BYTES;
use crate::session::Peer;
use crate::table::Handle;

/// A message and who sends it.
pub(super) struct Sent<'a> {
    pub(super) handle: Handle,
    pub(super) sender: Peer,
    pub(super) bytes: &'a [u8],
    /// Of its session.
    pub(super) protocol: Protocol,
    /// Its sender, and the other side.
    pub(super) mine: Sides,
    pub(super) theirs: Sides,
    pub(super) now: Time,
}

/// What stands for a part of a segment's text, while it is written.
struct Draft<'a> {
    text: &'a [u8],
    /// The part that it stands for, once there is one.
    old: Option<Range<usize>>,
    space: &'a mut [u8],
    len: usize,
}

impl Draft<'_> {
    fn put(&mut self, bytes: &[u8]) -> Option<()> {
        self.space.get_mut(self.len..self.len + bytes.len())?.copy_from_slice(bytes);
        self.len += bytes.len();
        Some(())
    }

    /// Goes on as the text does, up to this place.
    fn go_on(&mut self, to: usize) -> Option<()> {
        let (text, old) = (self.text, self.old.clone().unwrap_or(to..to));
        self.put(text.get(old.end..to.max(old.end))?)?;
        self.old = Some(old.start..to.max(old.end));
        Some(())
    }

    /// Other texts for parts of the message that begins here. `None`: there is no room.
    fn apply(&mut self, start: usize, edits: &Edits) -> Option<()> {
        let mut at = 0;
        while let Some((span, new)) = edits.next(at) {
            self.go_on(start + span.start as usize)?;
            self.put(new.as_bytes())?;
            at = span.end as usize;
            if let Some(old) = &mut self.old {
                old.end = start + at;
            }
        }
        Some(())
    }

    /// The same, or nothing of it.
    fn apply_all(&mut self, start: usize, edits: &Edits) -> Option<()> {
        let before = (self.old.clone(), self.len);
        let applied = self.apply(start, edits);
        if applied.is_none() {
            (self.old, self.len) = before;
        }
        applied
    }
}

impl Engine {
    /// Reads the messages of a stream, and keeps the beginning of one back.
    pub(super) fn read_messages(&mut self, run: &Run<'_>, speech: Speech) {
        let mut space = std::mem::take(&mut self.algs.draft);
        let room = match self.algs.controls.stream(run.handle.place(), run.sender) {
            Some((stream, _)) => stream.text_room().min(space.len()),
            None => 0,
        };
        // What was kept back is a part of it.
        let old = (run.kept > 0).then_some(0..0);
        let mut draft = Draft { text: run.text, old, space: &mut space[..room], len: 0 };
        let (read, skip) = self.read_units(run, speech, &mut draft);
        self.end_messages(run, &mut draft, read, skip);
        self.algs.draft = space;
    }

    /// Returns how many bytes were read, and how many behind them pass unread.
    fn read_units(&mut self, run: &Run<'_>, speech: Speech, draft: &mut Draft<'_>) -> (usize, u32) {
        let control = self.algs.controls.at(run.handle.place());
        let mut skip = control.map_or(ALL, |control| control.stream(run.sender).skip());
        let mut at = 0;
        loop {
            let rest = &run.text[at..];
            let passes = rest.len().min(skip as usize);
            at += passes;
            if skip != ALL {
                skip -= passes as u32;
            }
            let rest = &run.text[at..];
            if rest.is_empty() {
                return (at, skip);
            }
            match speech.unit(rest) {
                Unit::Whole(len) => {
                    self.read_unit(run, speech, at..at + len, draft);
                    at += len;
                }
                Unit::Pass(len) => skip = self.passes_by(rest, len),
                Unit::Part(_) if run.last => skip = ALL,
                Unit::Part(Some(len)) if len > ALG_MESSAGE_KEPT_BYTES => {
                    skip = self.passes_by(rest, len);
                }
                Unit::Part(_) if rest.len() <= ALG_MESSAGE_KEPT_BYTES => return (at, 0),
                Unit::Part(_) | Unit::Foreign => {
                    self.algs.counters.foreign += 1;
                    skip = ALL;
                }
            }
        }
    }

    /// Something that announces nothing, or is too long to be read.
    fn passes_by(&mut self, rest: &[u8], len: usize) -> u32 {
        // Media and keep-alives are as long as they are.
        let read = !matches!(rest.first(), Some(b'$' | b'\r'));
        self.algs.counters.too_long += u64::from(read);
        u32::try_from(len).map_or(ALL, |len| len.min(ALL - 1))
    }

    fn read_unit(
        &mut self,
        run: &Run<'_>,
        speech: Speech,
        unit: Range<usize>,
        draft: &mut Draft<'_>,
    ) {
        let start = unit.start;
        let of = (run.handle, run.sender);
        let edits = self.read_message(of, speech, &run.text[unit], run.now);
        let Some(edits) = edits.filter(|edits| !edits.is_empty()) else { return };
        if draft.apply_all(start, &edits).is_none() {
            self.algs.counters.no_room += 1;
        }
    }

    /// What was read passes, with other text for some of it, and the rest is kept back.
    fn end_messages(&mut self, run: &Run<'_>, draft: &mut Draft<'_>, read: usize, skip: u32) {
        if read > 0 && run.kept > 0 {
            // There is room: what was kept back stood where this will.
            draft.go_on(run.kept);
        }
        if let Some(old) = draft.old.clone().filter(|old| !old.is_empty()) {
            self.replace(run, old, &draft.space[..draft.len]);
        }
        let kept = self.end_reading(run, &run.text[read..], false);
        let Some((stream, _)) = self.algs.controls.stream(run.handle.place(), run.sender) else {
            return;
        };
        stream.pass(if kept { skip } else { ALL });
        self.algs.counters.foreign += u64::from(!kept);
    }

    /// Reads a message, lets in what it announces, and says what must be told otherwise. `None`: it is no
    /// message, or one that is not understood.
    pub(super) fn read_message(
        &mut self,
        (handle, sender): (Handle, Peer),
        speech: Speech,
        bytes: &[u8],
        now: Time,
    ) -> Option<Edits> {
        let session = *self.table.get(handle)?;
        let twin = self.table.twin(handle, &session).copied();
        let (mine, theirs) = (
            Sides::of(&session, twin.as_ref(), sender),
            Sides::of(&session, twin.as_ref(), sender.other()),
        );
        if mine.own.0.is_ipv4() != mine.shown.0.is_ipv4() {
            self.algs.counters.families += 1;
            return None;
        }
        let protocol = session.key.protocol();
        let sent = Sent { handle, sender, bytes, protocol, mine, theirs, now };
        match speech {
            Speech::Sip => self.read_sip(&sent),
            Speech::Ras | Speech::Signalling | Speech::H245 => self.read_h323(&sent, speech),
            Speech::Rtsp => self.read_rtsp(&sent),
            Speech::Pptp => self.read_pptp(&sent),
            Speech::Ftp | Speech::Tftp | Speech::Dns => None,
        }
    }
}
