//! What one node tells another of a control channel, in bytes: it stands behind the record of its session.
//!
//! All numbers are big-endian; what stands behind the bytes that a reader knows is passed over.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version: 2 |
//! | 1 | what is spoken: 1 FTP, 2 TFTP, 3 SIP, 4 RAS, 5 H.225.0, 6 H.245, 7 RTSP, 8 PPTP |
//! | 2 | length of all |
//! | 4 | changes: of two pictures the one with more is the later |
//! | 1 + 3 | bits: 1 it is encrypted, 2 a reply is open; the code of that reply |
//! | | of the initiator, then of the responder: |
//! | 1 | bits: 1 it has begun, 2 the next byte stands in the middle of a line, 4 what is kept back is told |
//! | 1, 2 | edits; bytes that are kept back |
//! | 4, 4, 4 | next number; bytes that pass unread; what the far end is ahead by |
//! | 4, 2, 2 | of each edit: number, bytes that are replaced, those that stand for them |
//! | 2 | how many of those bytes are told: all of the first edits, none of the last ones |
//! | … | they, and then what is kept back, if that is told |
//! | 1 | pinholes |
//! | 1, 1 | of each: bits, 1 IPv6, 2 the responder opens it; protocol |
//! | 1, 1 | uses, 255 for any; what its sessions speak, if that is read, too, or 0 |
//! | 2, 4, 4 | routing domain; rest of its life, milliseconds; the call that it is of, or 0 |
//! | n, n + 2, n + 2 | who may come; to which endpoint; whom that means |
//!
//! All numbers are told always: what is sent later is translated right. Text is told as far as there is room.
//! An edit without its text cannot be repeated: a segment that has it is dropped until the far end has
//! acknowledged it. What is kept back and not told is taken for not sent: its sender sends it again; if it
//! had been acknowledged already, what follows is dropped (`alg-gap`), and the connection ends.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use wire::{Protocol, Seq, Time};

use super::control::{Control, Loose};
use super::expect::Sides;
use super::ftp::Replies;
use super::pinholes::{Hint, Pinhole};
use super::queries::Queries;
use super::speech::Speech;
use super::steering::Steered;
use super::stream::{Edit, Stream, Texts};
use crate::engine::Engine;
use crate::limits::{ALG_RECORD_BYTES, ALG_RECORD_PINHOLE_BYTES, PINHOLES_PER_CONTROL};
use crate::replication::{Contest, NoteKind, Role};
use crate::session::Peer;
use crate::table::Handle;

const VERSION: u8 = 2;
const SECURED: u8 = 1;
const REPLY_OPEN: u8 = 2;
const BEGUN: u8 = 1;
const IN_LINE: u8 = 2;
const KEPT_TOLD: u8 = 4;
const IPV6: u8 = 1;
const BY_RESPONDER: u8 = 2;

impl Engine {
    /// Appends what is known of the control channel in `place` to the record of its session.
    pub fn export_control(&self, place: u32, now: Time, out: &mut Vec<u8>) {
        let found = self.table.at(place);
        let control = found.and_then(|(handle, session)| self.algs.controls.of(handle, session));
        let Some(control) = control else { return };
        let start = out.len();
        let code = control.replies.open();
        let secured = if control.secured { SECURED } else { 0 };
        let open = if code.is_some() { REPLY_OPEN } else { 0 };
        out.extend([VERSION, control.speech.number(), 0, 0]);
        out.extend(control.changes.to_be_bytes());
        out.push(secured | open);
        out.extend(code.unwrap_or_default());
        let holes = || {
            control.hints().filter_map(|hint| {
                let known = self.algs.pinholes.get(hint, now);
                known.filter(|it| it.parent == (place, control.session)).map(|it| (hint, it))
            })
        };
        let numbers: usize = control.streams.iter().map(Stream::numbers_len).sum();
        let pinholes: usize = holes().map(|(hint, _)| hole_len(hint)).sum();
        let taken = out.len() - start + numbers + 1 + pinholes.min(ALG_RECORD_PINHOLE_BYTES);
        let mut room = ALG_RECORD_BYTES.saturating_sub(taken);
        let Some(texts) = self.algs.controls.texts(place) else {
            out.truncate(start);
            return;
        };
        for (stream, texts) in control.streams.iter().zip(texts) {
            stream.write_record(texts, &mut room, out);
        }
        let (count, mut written) = (out.len(), 0);
        out.push(0);
        for (hint, pinhole) in holes() {
            let before = out.len();
            pinhole.write_record(hint, now, out);
            if out.len() - start > ALG_RECORD_BYTES {
                out.truncate(before);
                break;
            }
            written += 1;
        }
        out[count] = written;
        let len = (out.len() - start) as u16;
        out[start + 2..start + 4].copy_from_slice(&len.to_be_bytes());
    }

    /// Takes over what stands behind the record of the session in `place`, if it is news. To an owner it
    /// is none, unless both have owned or the rule is not replicated in time: what its peer knows beyond
    /// that was never done.
    pub fn import_control(&mut self, place: u32, bytes: &[u8], contest: Contest, now: Time) {
        let Some((handle, session)) = self.table.at(place) else { return };
        let Some((control, texts, holes)) = Control::read_record(session.id, bytes) else { return };
        let newer = |known: &Control| (known.changes.wrapping_sub(control.changes) as i32) < 0;
        let known = self.algs.controls.of(handle, session);
        if known.is_some_and(|known| !newer(known)) {
            return;
        }
        let replication = self.rule_of(session).map(|rule| self.policy.rule(rule).replication);
        let counts = self.replication.role == Role::Owner && contest == Contest::Owners;
        if known.is_some() && counts && replication != Some(config::Replication::Async) {
            return self.tell_control_again(handle, control.changes);
        }
        self.algs.reserve(self.settings.seed[1]);
        self.nat.prepare_announcements();
        self.replace_control(handle, control);
        for (peer, told) in Peer::BOTH.into_iter().zip(texts) {
            if let Some((_, texts)) = self.algs.controls.stream(place, peer) {
                texts[..told.len()].copy_from_slice(told);
            }
        }
        for (hint, mut pinhole, rest) in holes.into_iter().flatten() {
            pinhole.parent = (place, control.session);
            pinhole.until = now + rest;
            self.restore_pinhole(hint, pinhole);
        }
    }

    /// Has a peer take this picture of a channel, though it has seen so many.
    fn tell_control_again(&mut self, handle: Handle, seen: u32) {
        if let Some(control) = self.algs.controls.at(handle.place()) {
            control.changes = seen.wrapping_add(1);
        }
        self.note_session(handle, NoteKind::Changed, false);
    }

    /// Another picture of a control channel, without pinholes yet.
    fn replace_control(&mut self, handle: Handle, control: Control) {
        let Self { algs, nat, table, .. } = self;
        algs.end(handle.place(), nat);
        if let Some(session) =
            table.get_mut(handle).filter(|_| algs.controls.begin(handle, control))
        {
            session.set_alg(control.speech.alg());
            session.forget_egress();
        }
    }

    fn restore_pinhole(&mut self, hint: Hint, mut pinhole: Pinhole) {
        let Self { algs, nat, table, .. } = self;
        let Some((handle, session)) = table.at(pinhole.parent.0) else { return };
        let twin = table.twin(handle, session);
        pinhole.seen = Sides::of(session, twin, pinhole.opener.other()).seen;
        pinhole.takes_port = nat.reserve((hint.domain, hint.protocol), hint.to);
        algs.steer(&Steered::of_pinhole(&hint, &pinhole));
        if !algs.pinholes.insert(hint, pinhole) {
            algs.give_back(&hint, &pinhole, nat);
        } else if let Some(control) = algs.controls.at(pinhole.parent.0) {
            control.remember(hint);
        }
    }
}

/// What stands in a record of the texts of both directions.
type Told<'a> = [&'a [u8]; 2];

/// Pinholes of a record, with the rest of their lives.
type Holes = [Option<(Hint, Pinhole, Duration)>; PINHOLES_PER_CONTROL];

impl Control {
    /// That of a session of this name.
    fn read_record(session: u64, bytes: &[u8]) -> Option<(Self, Told<'_>, Holes)> {
        let mut from = Reader(bytes);
        let [version, speech, high, low] = from.take()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        // The first version could not tell of more than lines; no node has only that.
        if version < VERSION || len > bytes.len() {
            return None;
        }
        from = Reader(bytes.get(4..len)?);
        let changes = from.word()?;
        let ([bits], code) = (from.take()?, from.take()?);
        let first = Stream::read_record(&mut from)?;
        let second = Stream::read_record(&mut from)?;
        let [count] = from.take()?;
        let mut holes = [None; PINHOLES_PER_CONTROL];
        for hole in holes.iter_mut().take(usize::from(count)) {
            *hole = Some(Pinhole::read_record(&mut from)?);
        }
        let control = Self {
            changes,
            streams: [first.stream, second.stream],
            replies: Replies::of((bits & REPLY_OPEN != 0).then_some(code)),
            secured: bits & SECURED != 0,
            // More may have been said than was told.
            loose: [first.loose, second.loose].map(Loose::of_record),
            queries: Queries::UNKNOWN,
            ..Self::new(session, Speech::numbered(speech)?)
        };
        Some((control, [first.texts, second.texts], holes))
    }
}

/// A direction of a record.
struct Restored<'a> {
    stream: Stream,
    texts: &'a [u8],
    /// What comes next may come behind what was told.
    loose: bool,
}

impl Stream {
    /// Bytes of its record without texts.
    fn numbers_len(&self) -> usize {
        1 + 1 + 2 + 3 * 4 + 8 * self.edits().len() + 2
    }

    /// Writes its numbers, and of its texts as many as there is room for.
    fn write_record(&self, texts: &Texts, room: &mut usize, out: &mut Vec<u8>) {
        let kept = self.kept_text(texts);
        let kept_told = kept.len() <= *room;
        if kept_told {
            *room -= kept.len();
        }
        let mut told = 0;
        for edit in self.edits() {
            if edit.untold || edit.text() > *room {
                break;
            }
            *room -= edit.text();
            told += edit.text();
        }
        let begun = if self.end().is_some() { BEGUN } else { 0 };
        let in_line = if self.in_line() { IN_LINE } else { 0 };
        let with_kept = if kept_told { KEPT_TOLD } else { 0 };
        out.extend([begun | in_line | with_kept, self.edits().len() as u8]);
        out.extend((kept.len() as u16).to_be_bytes());
        out.extend(self.end().unwrap_or_default().0.to_be_bytes());
        out.extend(self.skip().to_be_bytes());
        out.extend(self.base().to_be_bytes());
        for Edit { at, old, new, .. } in self.edits() {
            out.extend(at.0.to_be_bytes());
            out.extend(old.to_be_bytes());
            out.extend(new.to_be_bytes());
        }
        out.extend((told as u16).to_be_bytes());
        out.extend(&texts[..told]);
        out.extend(if kept_told { kept } else { &[] });
    }

    fn read_record<'a>(from: &mut Reader<'a>) -> Option<Restored<'a>> {
        let [bits, edits] = from.take()?;
        let kept = from.half()?;
        let (end, skip, base) = (Seq(from.word()?), from.word()?, from.word()?);
        let told_kept = if bits & KEPT_TOLD != 0 { kept } else { 0 };
        // What was kept back and is not told was not sent, as far as is known here.
        let end = (bits & BEGUN != 0).then_some(end - u32::from(kept - told_kept));
        let mut stream = Self::restored(end, bits & IN_LINE != 0, skip, base);
        let mut heads = Reader(from.bytes(8 * usize::from(edits))?);
        let told = usize::from(from.half()?);
        let texts = from.bytes(told + usize::from(told_kept))?;
        let mut left = told;
        for _ in 0..edits {
            let at = Seq(heads.word()?);
            let (old, new) = (heads.half()?, heads.half()?);
            let untold = usize::from(new) > left;
            // None behind one that is not told is told.
            left = if untold { 0 } else { left - usize::from(new) };
            if !stream.restore(Edit { at, old, new, untold }) {
                return None;
            }
        }
        if left > 0 || texts.len() > size_of::<Texts>() {
            return None;
        }
        stream.restore_kept(told_kept);
        Some(Restored { stream, texts, loose: told_kept == kept })
    }
}

impl Pinhole {
    fn write_record(&self, hint: &Hint, now: Time, out: &mut Vec<u8>) {
        let v6 = if hint.from.is_ipv6() { IPV6 } else { 0 };
        let opener = match self.opener {
            Peer::Initiator => 0,
            Peer::Responder => BY_RESPONDER,
        };
        let rest = u32::try_from(self.until.since(now).as_millis()).unwrap_or(u32::MAX);
        let speech = self.speech.map_or(0, Speech::number);
        out.extend([v6 | opener, hint.protocol.0, self.uses, speech]);
        out.extend(hint.domain.to_be_bytes());
        out.extend(rest.to_be_bytes());
        out.extend(self.call.to_be_bytes());
        write_address(hint.from, out);
        for (address, port) in [hint.to, self.inside] {
            write_address(address, out);
            out.extend(port.to_be_bytes());
        }
    }

    fn read_record(from: &mut Reader<'_>) -> Option<(Hint, Self, Duration)> {
        let [bits, protocol, uses, speech] = from.take()?;
        let (domain, rest, call) = (from.half()?, from.word()?, from.word()?);
        let v6 = bits & IPV6 != 0;
        let who = from.address(v6)?;
        let to = (from.address(v6)?, from.half()?);
        let inside = (from.address(v6)?, from.half()?);
        let opener = if bits & BY_RESPONDER != 0 { Peer::Responder } else { Peer::Initiator };
        let hint = Hint { domain, protocol: Protocol(protocol), from: who, to };
        let (parent, until) = ((0, 0), Time::ZERO);
        let seen = (domain, who);
        let pinhole = Self {
            parent,
            opener,
            inside,
            seen,
            takes_port: false,
            uses,
            call,
            speech: Speech::numbered(speech),
            answered: true,
            until,
        };
        Some((hint, pinhole, Duration::from_millis(rest.into())))
    }
}

fn write_address(address: IpAddr, out: &mut Vec<u8>) {
    match address {
        IpAddr::V4(address) => out.extend(address.octets()),
        IpAddr::V6(address) => out.extend(address.octets()),
    }
}

/// Bytes of a pinhole's record.
const fn hole_len(hint: &Hint) -> usize {
    let address = if hint.from.is_ipv6() { 16 } else { 4 };
    4 + 2 + 4 + 4 + 3 * address + 2 * 2
}

/// Bytes that are read one behind the other.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn bytes(&mut self, len: usize) -> Option<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(bytes)
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.bytes(N)?.first_chunk().copied()
    }

    fn half(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn word(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn address(&mut self, v6: bool) -> Option<IpAddr> {
        if v6 {
            self.take::<16>().map(|it| Ipv6Addr::from(it).into())
        } else {
            self.take::<4>().map(|it| Ipv4Addr::from(it).into())
        }
    }
}
