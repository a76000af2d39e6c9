//! Reading a control channel of lines.

use wire::{Protocol, Seq, Time};

use super::control::Loose;
use super::expect::{Announced, Refused};
use super::ftp::{self, Announcement, Line, Sender};
use super::stream::{Edit, Fit, Text};
use crate::Reason;
use crate::engine::Engine;
use crate::limits::{ALG_EDIT_BYTES, ALG_KEPT_BYTES};
use crate::session::Peer;
use crate::table::Handle;

/// The beginning of a line.
pub(crate) type Kept = Text<ALG_KEPT_BYTES>;

/// A segment with data on a control channel.
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
    /// What was kept back before its first byte, and leaves now, if it does.
    pub(crate) before: Kept,
    /// It has bytes that were not there before.
    pub(crate) new: bool,
}

/// Lines that follow one another.
struct Lines<'a> {
    handle: Handle,
    sender: Peer,
    /// Of the first byte.
    from: Seq,
    text: &'a [u8],
    /// Bytes at the beginning that were kept back.
    kept: usize,
    now: Time,
}

impl Engine {
    /// Reads what is new in a segment; `space` is for lines that began in an earlier one.
    pub(crate) fn read_lines(
        &mut self,
        segment: &Segment<'_>,
        space: &mut [u8],
        now: Time,
    ) -> Result<Read, Reason> {
        let Segment { handle, sender, at, bytes, last } = *segment;
        let control = self.algs.controls.at(handle.place()).ok_or(Reason::AlgGap)?;
        let secured = control.secured;
        let fit = control.stream(sender).fit(at, bytes.len());
        // What is sent again says nothing about what comes next.
        if fit == Fit::Old {
            return Ok(Read { before: Kept::EMPTY, new: false });
        }
        let loose = std::mem::take(&mut control.loose[sender.index()]);
        let stream = control.stream_mut(sender);
        let skip = match fit {
            Fit::Old => return Ok(Read { before: Kept::EMPTY, new: false }),
            Fit::Next(skip) => skip,
            Fit::Gap if secured || matches!(loose, Loose::Early(first) if at.le(first)) => {
                stream.skip_to(at);
                0
            }
            Fit::Gap => {
                if loose != Loose::No {
                    let first = if let Loose::Early(first) = loose { first } else { at };
                    control.loose[sender.index()] = Loose::Early(first);
                }
                return Err(Reason::AlgGap);
            }
        };
        if stream.room() == 0 {
            return Err(Reason::AlgBusy);
        }
        let new = &bytes[skip..];
        let kept = *stream.kept();
        let from = stream.passed().unwrap_or(at);
        let before = kept.up_to((at - from).max(0) as usize);
        let text = join(kept.as_bytes(), new, space).ok_or(Reason::AlgBusy)?;
        let lines = Lines { handle, sender, from, text, kept: kept.as_bytes().len(), now };
        let in_line = stream.in_line();
        let (rest, in_line) =
            if secured { (text.len(), false) } else { self.read_whole(&lines, in_line) };
        self.end_reading(&lines, (rest, in_line), (at + skip as u32, new.len()), last);
        Ok(Read { before, new: !new.is_empty() || !before.is_empty() })
    }

    /// Reads the lines that are whole. Returns where the one begins that is not, and whether that is in the
    /// middle of one.
    fn read_whole(&mut self, lines: &Lines<'_>, mut in_line: bool) -> (usize, bool) {
        let mut at = 0;
        while let Some(len) = lines.text[at..].iter().position(|byte| *byte == b'\n') {
            let line = at..at + len + 1;
            let new =
                if in_line { None } else { self.read_line(lines, at, &lines.text[line.clone()]) };
            if let Some(edit) = new.or_else(|| lines.identity(line.clone())) {
                self.replace(lines, edit);
            }
            (at, in_line) = (line.end, false);
            if self.algs.controls.at(lines.handle.place()).is_some_and(|it| it.secured) {
                return (lines.text.len(), false);
            }
        }
        (at, in_line)
    }

    /// What stands for a line, or a part of it, beyond.
    fn read_line(&mut self, lines: &Lines<'_>, at: usize, line: &[u8]) -> Option<Edit> {
        let control = self.algs.controls.at(lines.handle.place())?;
        let read = match lines.sender {
            Peer::Initiator => ftp::command(line),
            Peer::Responder => control.replies.line(line),
        };
        match read {
            Line::Announces(announcement) => self.announced(lines, at, line, &announcement),
            Line::Secured => {
                control.secured = true;
                None
            }
            Line::Malformed(_) => {
                self.algs.counters.malformed += 1;
                None
            }
            Line::Asks(_) | Line::Auth | Line::Other => None,
        }
    }

    /// Lets in what a line announces, and says it as the other side must know it.
    fn announced(
        &mut self,
        lines: &Lines<'_>,
        at: usize,
        line: &[u8],
        announcement: &Announcement,
    ) -> Option<Edit> {
        let Announcement { form, span, address, port } = *announcement;
        let announced =
            Announced { protocol: Protocol::TCP, address, port, uses: 1, call: 0, shown: None };
        let told = self.expect(lines.handle, lines.sender, &announced, lines.now);
        let told = match told {
            // A server behind a translator of its own: clients go where they already are.
            Err(Refused::ThirdParty) if lines.sender == Peer::Responder => {
                let announced = Announced { address: None, ..announced };
                self.expect(lines.handle, lines.sender, &announced, lines.now).ok()?;
                return None;
            }
            told => told.ok()?,
        };
        if told.1 == port && address.is_none_or(|address| address == told.0) {
            return None;
        }
        let mut text = [0; ftp::TEXT_BYTES];
        let len = ftp::print(form, told.0, told.1, &mut text)?;
        lines.edit(at, line, span.start as usize..span.end as usize, &text[..len])
    }

    fn replace(&mut self, lines: &Lines<'_>, edit: Edit) {
        if let Some(control) = self.algs.controls.at(lines.handle.place()) {
            control.stream_mut(lines.sender).replace(edit);
        }
    }

    /// Keeps what is left back, if it may become something that must be replaced.
    fn end_reading(
        &mut self,
        lines: &Lines<'_>,
        (rest, in_line): (usize, bool),
        (at, len): (Seq, usize),
        last: bool,
    ) {
        let tail = &lines.text[rest..];
        let Some(control) = self.algs.controls.at(lines.handle.place()) else { return };
        let may = !in_line && !last && !control.secured && may_announce(tail, lines.sender);
        let kept = if may { Kept::new(tail) } else { None };
        let kept = kept.unwrap_or(Kept::EMPTY);
        let passes = kept.is_empty() && !tail.is_empty();
        if passes && !in_line && lines.sender == Peer::Responder {
            // Which reply it is of counts for those behind it.
            control.replies.line(tail);
        }
        let stream = control.stream_mut(lines.sender);
        if passes && let Some(edit) = lines.identity(rest..lines.text.len()) {
            stream.replace(edit);
        }
        stream.read(at, len, kept, passes);
    }
}

impl Lines<'_> {
    /// What was kept back and is now passed on was acknowledged, perhaps: so it is kept until the far end
    /// has it.
    fn identity(&self, range: std::ops::Range<usize>) -> Option<Edit> {
        let kept =
            self.text.get(..self.kept).filter(|kept| !kept.is_empty() && range.start == 0)?;
        Some(Edit { at: self.from, old: kept.len() as u16, new: Text::new(kept)? })
    }

    /// Other text for a part of a line; of one that was kept back, the whole.
    fn edit(
        &self,
        at: usize,
        line: &[u8],
        span: std::ops::Range<usize>,
        new: &[u8],
    ) -> Option<Edit> {
        if at > 0 || self.kept == 0 {
            let old = span.len() as u16;
            return Some(Edit {
                at: self.from + (at + span.start) as u32,
                old,
                new: Text::new(new)?,
            });
        }
        let mut text = [0; ALG_EDIT_BYTES];
        let parts = [line.get(..span.start)?, new, line.get(span.end..)?];
        let mut len = 0;
        for part in parts {
            text.get_mut(len..len + part.len())?.copy_from_slice(part);
            len += part.len();
        }
        Some(Edit { at: self.from, old: line.len() as u16, new: Text::new(&text[..len])? })
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

/// Both texts as one.
fn join<'a>(first: &[u8], second: &'a [u8], space: &'a mut [u8]) -> Option<&'a [u8]> {
    if first.is_empty() {
        return Some(second);
    }
    let len = first.len() + second.len();
    let joined = space.get_mut(..len)?;
    joined[..first.len()].copy_from_slice(first);
    joined[first.len()..].copy_from_slice(second);
    Some(joined)
}
