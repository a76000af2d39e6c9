//! Reading a control channel over TCP; that of lines.

use wire::{Protocol, Seq, Time};

use super::expect::{Announced, Refused};
use super::ftp::{self, Announcement, Line, Sender};
use super::stream::{ALL, Fit};
use crate::Reason;
use crate::engine::Engine;
use crate::limits::{ALG_EDIT_BYTES, ALG_KEPT_BYTES};
use crate::session::Peer;
use crate::table::Handle;

/// A segment with data on a control channel.
#[derive(Clone, Copy)]
pub(crate) struct Segment<'a> {
    pub(crate) handle: Handle,
    pub(crate) sender: Peer,
    /// Of the first byte.
    pub(crate) at: Seq,
    pub(crate) bytes: &'a [u8],
    /// Nothing follows.
    pub(crate) last: bool,
}

/// What was found in one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Read {
    /// It has bytes that were not there before.
    pub(crate) new: bool,
    /// What stands right before its bytes leaves with them: it was kept back, or may be lost.
    pub(crate) again: bool,
}

/// Bytes that follow one another, and are to be read.
pub(super) struct Run<'a> {
    pub(super) handle: Handle,
    pub(super) sender: Peer,
    /// Of the first byte.
    pub(super) from: Seq,
    pub(super) text: &'a [u8],
    /// Bytes at the beginning that were kept back.
    pub(super) kept: usize,
    /// Where what is new stands, and its length.
    pub(super) new: (Seq, usize),
    /// Nothing follows.
    pub(super) last: bool,
    pub(super) now: Time,
}

impl Engine {
    /// Reads what is new in a segment; `space` is for what began in an earlier one.
    pub(crate) fn read_stream(
        &mut self,
        segment: &Segment<'_>,
        space: &mut [u8],
        now: Time,
    ) -> Result<Read, Reason> {
        let Some(run) = self.begin_reading(segment, space, now)? else {
            return Ok(Read { new: false, again: true });
        };
        let control = self.algs.controls.at(segment.handle.place()).ok_or(Reason::AlgGap)?;
        let speech = control.speech;
        if let Some((stream, _)) = self.algs.controls.stream(segment.handle.place(), segment.sender)
        {
            stream.lift();
        }
        if speech.is_lines() {
            self.read_lines(&run);
        } else {
            self.read_messages(&run, speech);
        }
        let kept = run.kept > 0;
        let new = run.new.1 > 0;
        Ok(Read { new: new || kept, again: kept || !new })
    }

    /// What is to be read with a segment; `None`: nothing, for all of it was there before.
    fn begin_reading<'a>(
        &mut self,
        segment: &Segment<'_>,
        space: &'a mut [u8],
        now: Time,
    ) -> Result<Option<Run<'a>>, Reason> {
        let Segment { handle, sender, at, bytes, last } = *segment;
        let Some(skip) = self.find_place(segment)? else { return Ok(None) };
        let controls = &mut self.algs.controls;
        let (stream, texts) = controls.stream(handle.place(), sender).ok_or(Reason::AlgGap)?;
        let (from, kept) = (stream.passed().unwrap_or(at), stream.kept_text(texts));
        let new = &bytes[skip..];
        if !stream.has_room_for(kept.len() + new.len()) {
            return Err(Reason::AlgBusy);
        }
        let len = kept.len() + new.len();
        let text = space.get_mut(..len).ok_or(Reason::AlgBusy)?;
        text[..kept.len()].copy_from_slice(kept);
        text[kept.len()..].copy_from_slice(new);
        let (kept, new) = (kept.len(), (at + skip as u32, new.len()));
        Ok(Some(Run { handle, sender, from, text, kept, new, last, now }))
    }

    /// How many bytes of a segment were there before; `None`: all of them.
    fn find_place(&mut self, segment: &Segment<'_>) -> Result<Option<usize>, Reason> {
        let Segment { handle, sender, at, bytes, .. } = *segment;
        let controls = &mut self.algs.controls;
        let (stream, _) = controls.stream(handle.place(), sender).ok_or(Reason::AlgGap)?;
        stream.sent(bytes.len());
        let (fit, unread) = (stream.fit(at, bytes.len()), stream.skip() == ALL);
        // What is sent again says nothing about what comes next.
        if fit == Fit::Old {
            return Ok(None);
        }
        let control = controls.at(handle.place()).ok_or(Reason::AlgGap)?;
        let secured = control.secured;
        let loose = &mut control.loose[sender.index()];
        let before = std::mem::take(loose);
        match fit {
            Fit::Old => Ok(None),
            Fit::Next(skip) => Ok(Some(skip)),
            Fit::Gap if secured || unread || before.passes_over(at) => {
                let (stream, _) = controls.stream(handle.place(), sender).ok_or(Reason::AlgGap)?;
                stream.skip_to(at);
                Ok(Some(0))
            }
            Fit::Gap => {
                *loose = before.after_gap(at);
                Err(Reason::AlgGap)
            }
        }
    }

    /// Reads lines, and keeps the beginning of one back if it may become something to be replaced.
    fn read_lines(&mut self, run: &Run<'_>) {
        let Some(control) = self.algs.controls.at(run.handle.place()) else { return };
        let in_line = control.stream(run.sender).in_line();
        let (rest, in_line) =
            if control.secured { (run.text.len(), false) } else { self.read_whole(run, in_line) };
        self.end_lines(run, rest, in_line);
    }

    /// Reads the lines that are whole. Returns where the one begins that is not, and whether that is in the
    /// middle of one.
    fn read_whole(&mut self, run: &Run<'_>, mut in_line: bool) -> (usize, bool) {
        let mut at = 0;
        while let Some(len) = run.text[at..].iter().position(|byte| *byte == b'\n') {
            let line = at..at + len + 1;
            let replaced = !in_line && self.read_line(run, at, &run.text[line.clone()]);
            if !replaced && at == 0 {
                self.replace_kept(run);
            }
            (at, in_line) = (line.end, false);
            if self.algs.controls.at(run.handle.place()).is_some_and(|it| it.secured) {
                return (run.text.len(), false);
            }
        }
        (at, in_line)
    }

    /// Reads a line; returns whether other text stands for it, or for a part of it.
    fn read_line(&mut self, run: &Run<'_>, at: usize, line: &[u8]) -> bool {
        let Some(control) = self.algs.controls.at(run.handle.place()) else { return false };
        let read = match run.sender {
            Peer::Initiator => ftp::command(line),
            Peer::Responder => control.replies.line(line),
        };
        match read {
            Line::Announces(announcement) => {
                return self.announced(run, at, line, &announcement).is_some();
            }
            Line::Secured => control.secured = true,
            Line::Malformed(_) => self.algs.counters.malformed += 1,
            Line::Asks(_) | Line::Auth | Line::Other => {}
        }
        false
    }

    /// Lets in what a line announces, and says it as the other side must know it.
    fn announced(
        &mut self,
        run: &Run<'_>,
        at: usize,
        line: &[u8],
        announcement: &Announcement,
    ) -> Option<()> {
        let Announcement { form, span, address, port } = *announcement;
        let announced = Announced { protocol: Protocol::TCP, address, port, ..Announced::NONE };
        // There is one data connection at a time: who announces another has given the last one up.
        self.close_announced(run.handle);
        let told = self.expect(run.handle, run.sender, &announced, run.now);
        let told = match told {
            // A server behind a translator of its own: clients go where they already are.
            Err(Refused::ThirdParty) if run.sender == Peer::Responder => {
                let announced = Announced { address: None, ..announced };
                self.expect(run.handle, run.sender, &announced, run.now).ok()?;
                return None;
            }
            told => told.ok()?,
        };
        if told.1 == port && address.is_none_or(|address| address == told.0) {
            return None;
        }
        let mut text = [0; ftp::TEXT_BYTES];
        let len = ftp::print(form, told.0, told.1, &mut text)?;
        self.replace_part(run, (at, line), span.range(), &text[..len])
    }

    /// Other text for a part of a line; of one that was kept back, the whole.
    fn replace_part(
        &mut self,
        run: &Run<'_>,
        (at, line): (usize, &[u8]),
        part: std::ops::Range<usize>,
        new: &[u8],
    ) -> Option<()> {
        if at > 0 || run.kept == 0 {
            return self.replace(run, at + part.start..at + part.end, new);
        }
        let mut text = [0; ALG_EDIT_BYTES];
        let parts = [line.get(..part.start)?, new, line.get(part.end..)?];
        let mut len = 0;
        for part in parts {
            text.get_mut(len..len + part.len())?.copy_from_slice(part);
            len += part.len();
        }
        self.replace(run, 0..line.len(), &text[..len])
    }

    /// Other text for a part of what is read.
    pub(super) fn replace(
        &mut self,
        run: &Run<'_>,
        old: std::ops::Range<usize>,
        new: &[u8],
    ) -> Option<()> {
        let (stream, texts) = self.algs.controls.stream(run.handle.place(), run.sender)?;
        let at = (run.from + old.start as u32, old.len());
        stream.replace(at, new, texts).then_some(())
    }

    /// What was kept back and is now passed on was acknowledged, perhaps: so it is kept until the far end
    /// has it.
    fn replace_kept(&mut self, run: &Run<'_>) {
        if let Some(kept) = run.text.get(..run.kept).filter(|kept| !kept.is_empty()) {
            self.replace(run, 0..kept.len(), kept);
        }
    }

    /// Keeps what is left back, if it may become something that must be replaced.
    fn end_lines(&mut self, run: &Run<'_>, rest: usize, in_line: bool) {
        let tail = &run.text[rest..];
        let Some(control) = self.algs.controls.at(run.handle.place()) else { return };
        let may = !in_line && !run.last && !control.secured && may_announce(tail, run.sender);
        let may = may && tail.len() <= ALG_KEPT_BYTES;
        let passes = !may && !tail.is_empty();
        if passes && !in_line && run.sender == Peer::Responder {
            // Which reply it is of counts for those behind it.
            control.replies.line(tail);
        }
        if rest == 0 && !may {
            self.replace_kept(run);
        }
        self.end_reading(run, if may { tail } else { &[] }, passes);
    }

    /// What was read passes, but for what is kept back.
    pub(super) fn end_reading(&mut self, run: &Run<'_>, kept: &[u8], in_line: bool) -> bool {
        let known = self.algs.controls.stream(run.handle.place(), run.sender);
        known.is_some_and(|(stream, texts)| stream.read(run.new, kept, in_line, texts))
    }
}

/// Whether the beginning of a line must not leave alone: it may announce something, or it does not say yet
/// which reply it is of.
fn may_announce(tail: &[u8], sender: Peer) -> bool {
    match sender {
        Peer::Initiator => !tail.is_empty() && ftp::may_announce(tail, Sender::Client),
        Peer::Responder => {
            let code = !tail.is_empty() && tail.len() < CODE_BYTES;
            code || (!tail.is_empty() && ftp::may_announce(tail, Sender::Server))
        }
    }
}

/// Bytes of a reply's code, and what stands behind it (RFC 959 §4.2).
const CODE_BYTES: usize = 4;
