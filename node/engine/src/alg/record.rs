//! What one node tells another of a control channel, in bytes: it stands behind the record of its session.
//!
//! All numbers are big-endian; what stands behind the bytes that a reader knows is passed over.
//!
//! | bytes | field |
//! |---|---|
//! | 1 | version: 1 |
//! | 1 | gateway: 1 FTP, 2 TFTP, 3 SIP |
//! | 2 | length of all |
//! | 4 | changes: of two pictures the one with more is the later |
//! | 1 + 3 | bits: 1 it is encrypted, 2 a reply is open; the code of that reply |
//! | | of the initiator, then of the responder: |
//! | 1 | bits: 1 it has begun, 2 the next byte stands in the middle of a line |
//! | 1, 1, 1 | edits; bytes that are kept back; zero |
//! | 4, 4 | next number; what the far end is ahead by |
//! | … | what is kept back |
//! | 4, 2, 2, … | of each edit: number, bytes that are replaced, those that stand for them |
//! | 1 | pinholes |
//! | 1, 1, 1, 1 | of each: bits, 1 IPv6, 2 the responder opens it; protocol; uses, 255 for any; zero |
//! | 2, 4, 4 | routing domain; rest of its life, milliseconds; the call that it is of, or 0 |
//! | n, n + 2, n + 2 | who may come; to which endpoint; whom that means |

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use config::Alg;
use wire::{Protocol, Seq, Time};

use super::control::{Control, Loose};
use super::expect::Sides;
use super::ftp::Replies;
use super::pinholes::{Hint, Pinhole};
use super::steering::Steered;
use super::stream::{Edit, Stream, Text};
use crate::engine::Engine;
use crate::limits::{ALG_RECORD_BYTES, PINHOLES_PER_CONTROL};
use crate::session::Peer;
use crate::table::Handle;

const VERSION: u8 = 1;
const SECURED: u8 = 1;
const REPLY_OPEN: u8 = 2;
const BEGUN: u8 = 1;
const IN_LINE: u8 = 2;
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
        out.extend([VERSION, number_of(control.alg), 0, 0]);
        out.extend(control.changes.to_be_bytes());
        out.push(secured | open);
        out.extend(code.unwrap_or_default());
        control.streams.iter().for_each(|stream| stream.write_record(out));
        let holes = control.hints().filter_map(|hint| {
            let known = self.algs.pinholes.get(hint, now);
            known.filter(|it| it.parent == (place, control.session)).map(|it| (hint, it))
        });
        let (count, mut written) = (out.len(), 0);
        out.push(0);
        for (hint, pinhole) in holes {
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

    /// Takes over what stands behind the record of the session in `place`, if it is news.
    pub fn import_control(&mut self, place: u32, bytes: &[u8], now: Time) {
        let Some((handle, session)) = self.table.at(place) else { return };
        let Some((control, holes)) = Control::read_record(session.id, bytes) else { return };
        let newer = |known: &Control| (known.changes.wrapping_sub(control.changes) as i32) < 0;
        if self.algs.controls.of(handle, session).is_some_and(|known| !newer(known)) {
            return;
        }
        self.algs.reserve(self.settings.seed[1]);
        self.nat.prepare_announcements();
        self.replace_control(handle, control);
        for (hint, mut pinhole, rest) in holes.into_iter().flatten() {
            pinhole.parent = (place, control.session);
            pinhole.until = now + rest;
            self.restore_pinhole(hint, pinhole);
        }
    }

    /// Another picture of a control channel, without pinholes yet.
    fn replace_control(&mut self, handle: Handle, control: Control) {
        let Self { algs, nat, table, .. } = self;
        algs.end(handle.place(), nat);
        if let Some(session) =
            table.get_mut(handle).filter(|_| algs.controls.begin(handle, control))
        {
            session.set_alg(control.alg);
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

/// Pinholes of a record, with the rest of their lives.
type Holes = [Option<(Hint, Pinhole, Duration)>; PINHOLES_PER_CONTROL];

impl Control {
    /// That of a session of this name.
    fn read_record(session: u64, bytes: &[u8]) -> Option<(Self, Holes)> {
        let mut from = Reader(bytes);
        let [version, alg, high, low] = from.take()?;
        let len = usize::from(u16::from_be_bytes([high, low]));
        if version == 0 || len > bytes.len() {
            return None;
        }
        from = Reader(bytes.get(4..len)?);
        let changes = from.word()?;
        let ([bits], code) = (from.take()?, from.take()?);
        let streams = [Stream::read_record(&mut from)?, Stream::read_record(&mut from)?];
        let [count] = from.take()?;
        let mut holes = [None; PINHOLES_PER_CONTROL];
        for hole in holes.iter_mut().take(usize::from(count)) {
            *hole = Some(Pinhole::read_record(&mut from)?);
        }
        let control = Self {
            changes,
            streams,
            replies: Replies::of((bits & REPLY_OPEN != 0).then_some(code)),
            secured: bits & SECURED != 0,
            // More may have been said than was told.
            loose: [Loose::Perhaps; 2],
            ..Self::new(session, numbered(alg)?)
        };
        Some((control, holes))
    }
}

impl Stream {
    fn write_record(&self, out: &mut Vec<u8>) {
        let begun = if self.end().is_some() { BEGUN } else { 0 };
        let in_line = if self.in_line() { IN_LINE } else { 0 };
        let kept = self.kept().as_bytes();
        out.extend([begun | in_line, self.edits().len() as u8, kept.len() as u8, 0]);
        out.extend(self.end().unwrap_or_default().0.to_be_bytes());
        out.extend(self.base().to_be_bytes());
        out.extend(kept);
        for Edit { at, old, new } in self.edits() {
            let new = new.as_bytes();
            out.extend(at.0.to_be_bytes());
            out.extend(old.to_be_bytes());
            out.extend((new.len() as u16).to_be_bytes());
            out.extend(new);
        }
    }

    fn read_record(from: &mut Reader<'_>) -> Option<Self> {
        let [bits, edits, kept, _] = from.take()?;
        let (end, base) = (Seq(from.word()?), from.word()?);
        let kept = Text::new(from.bytes(kept.into())?)?;
        let end = (bits & BEGUN != 0).then_some(end);
        let mut stream = Self::restored(end, kept, bits & IN_LINE != 0, base);
        for _ in 0..edits {
            let at = Seq(from.word()?);
            let (old, len) = (from.half()?, from.half()?);
            let new = Text::new(from.bytes(len.into())?)?;
            if !stream.replace(Edit { at, old, new }) {
                return None;
            }
        }
        Some(stream)
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
        out.extend([v6 | opener, hint.protocol.0, self.uses, 0]);
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
        let [bits, protocol, uses, _] = from.take()?;
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

const fn number_of(alg: Alg) -> u8 {
    match alg {
        Alg::Ftp => 1,
        Alg::Tftp => 2,
        Alg::Sip => 3,
    }
}

fn numbered(number: u8) -> Option<Alg> {
    Alg::ALL.into_iter().find(|alg| number_of(*alg) == number)
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
