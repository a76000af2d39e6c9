//! Connections that were opened by a SYN cookie: the client spoke to us before its server did, so the
//! numbers of the two differ for as long as the connection lives.
//!
//! ```text
//! client                       firewall                          server
//!    │ SYN x                       │                                │
//!    ├────────────────────────────►│ no state                       │
//!    │ SYN-ACK c, ack x+1, window 0│                                │
//!    │◄────────────────────────────┤                                │
//!    │ ACK c+1                     │ cookie right, rule permits     │
//!    ├────────────────────────────►│ SYN x                          │
//!    │                  Asked      ├───────────────────────────────►│
//!    │                             │ SYN-ACK s, ack x+1             │
//!    │                  Joined     │◄───────────────────────────────┤
//!    │ ACK c+1, window open        │ ACK s+1                        │
//!    │◄────────────────────────────┼───────────────────────────────►│
//!    │        c + n                │             s + n              │
//! ```
//!
//! The tracker and all that stands on it know the client's numbers only: what the server sends is
//! translated before it is looked at, and what the client sends when it leaves. A session that is no such
//! one has one flag that is clear; one that is goes the long way, since it never remembers its egress.

mod act;
mod rewrite;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use wire::cookie::{Offer, SCALE, Stamped};
use wire::{Packet, Seq, Tcp, Time, Transport};

pub(crate) use self::act::Remade;
pub(crate) use self::rewrite::{ACKNOWLEDGMENT, SEQUENCE, put32, update};
use crate::alg::Begin;
use crate::limits::{ASK_INTERVAL, ASKED_MAX, WINDOW_SCALE_MAX};
use crate::session::{Flags, Peer, Session};
use crate::table::Handle;

/// What is known of such a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proxied {
    /// Its server was sent a SYN and has not answered.
    Asked(Asked),
    /// Client and server speak to each other.
    Joined(Joined),
}

/// What it takes to ask the server, also again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The client's initial sequence number.
    pub client: Seq,
    /// The one that it was answered with.
    pub cookie: Seq,
    /// What its SYN offered.
    pub offer: Offer,
    /// Its window, as in its ACK.
    pub window: u16,
}

/// How to translate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// From the server's sequence numbers to those that the client knows.
    pub shift: u32,
    /// From the server's timestamps to those that the client knows.
    pub stamp_shift: u32,
    /// The client's windows, in steps to the left, for a server that scales none.
    pub up: u8,
    /// The server's windows, in steps to the left; negative to the right.
    pub down: i8,
}

/// What is done to a packet of such a session when it is forwarded. In few words, since every plan has room
/// for it; the rest is looked up when it is carried out.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Relay {
    /// It is translated; who sent it.
    Translate(Joined, Peer),
    /// What it quotes is translated back: an ICMP error for the server.
    Quotation(Joined),
    /// A SYN for this session leaves in its place.
    Ask(Handle),
    /// It opens the window of the client of this session, and an ACK goes back to its sender.
    Join(Handle),
    /// It is of a control channel, which its gateway reads.
    Control(Handle, Peer),
    /// It opens a session that a gateway is for, or that one has announced.
    Begin(Begin),
}

const _: () = assert!(size_of::<Option<Relay>>() <= 16, "beside what every packet needs");

/// By the sessions' places: what is known of those with [`Flags::PROXIED`].
#[derive(Debug, Default)]
pub(crate) struct Proxies {
    /// Empty until there is one.
    sessions: Vec<Words>,
    /// Sessions whose server may have to be asked again, in the order of time.
    due: VecDeque<Due>,
}

/// A server is to be asked again.
#[derive(Clone, Copy, Debug)]
struct Due {
    at: Time,
    place: u32,
    tries: u8,
    id: u64,
}

/// A [`Proxied`] in fixed form. All zeros: none.
pub(crate) type Words = [u32; 6];

impl Proxies {
    /// Takes the memory for as many places: not on the packet path. It is touched where sessions are.
    pub(crate) fn reserve(&mut self, places: usize) {
        if self.sessions.len() < places {
            self.sessions = vec![[0; 6]; places];
        }
        self.due.reserve_exact(ASKED_MAX - self.due.len());
    }

    /// What is known of the session in this place.
    #[inline]
    pub(crate) fn of(&self, handle: Handle, session: &Session) -> Option<Proxied> {
        if !session.flags.has(Flags::PROXIED) {
            return None;
        }
        Proxied::from_words(self.sessions.get(handle.place() as usize)?)
    }

    /// Remembers it of the session in this place, which has the flag. `false`: there is no memory.
    pub(crate) fn set(&mut self, handle: Handle, proxied: &Proxied) -> bool {
        let place = self.sessions.get_mut(handle.place() as usize);
        place.is_some_and(|words| {
            *words = proxied.to_words();
            true
        })
    }

    /// Has the server of a session asked again after a while, if there is room.
    fn ask_later(&mut self, place: u32, id: u64, tries: u8, now: Time) {
        if self.due.len() < ASKED_MAX {
            self.due.push_back(Due { at: now + ASK_INTERVAL, place, tries, id });
        }
    }

    fn next_due(&mut self, now: Time) -> Option<Due> {
        self.due.pop_front_if(|due| due.at <= now)
    }
}

impl Proxied {
    /// Bytes that [`Self::to_bytes`] makes.
    pub(crate) const RECORD_LEN: usize = 24;

    const ASKED: u32 = 1;
    const JOINED: u32 = 2;
    const STAMPED: u32 = 0x20;
    const SACK: u32 = 0x10;
    const NO_SCALE: u32 = 15;

    /// ```text
    ///  0  1: asked · 2: joined
    ///  1  asked: window scale 4 bits (15: none) · SACK permitted 1 · timestamps 1; joined: up
    ///  2  asked: window 2; joined: down 1 · zero 1
    ///  4  asked: client's number 4 · cookie 4 · told 4 · client's timestamp 4 · zero 2 · MSS 2
    ///     joined: shift 4 · timestamp shift 4 · zero 12
    /// ```
    pub(crate) const fn to_words(self) -> Words {
        match self {
            Self::Asked(Asked { client, cookie, offer: Offer { mss, stamped }, window }) => {
                let (options, told, value) = match stamped {
                    None => (Self::NO_SCALE, 0, 0),
                    Some(Stamped { window_scale, sack_permitted, told, value }) => {
                        let scale = match window_scale {
                            Some(scale) => scale as u32,
                            None => Self::NO_SCALE,
                        };
                        let sack = if sack_permitted { Self::SACK } else { 0 };
                        (Self::STAMPED | sack | scale, told, value)
                    }
                };
                let head = Self::ASKED << 24 | options << 16 | window as u32;
                [head, client.0, cookie.0, told, value, mss as u32]
            }
            Self::Joined(Joined { shift, stamp_shift, up, down }) => {
                let head = Self::JOINED << 24 | (up as u32) << 16 | (down as u8 as u32) << 8;
                [head, shift, stamp_shift, 0, 0, 0]
            }
        }
    }

    /// `None` if no connection is such a one.
    pub(crate) fn from_words(words: &Words) -> Option<Self> {
        let [head, a, b, told, value, mss] = *words;
        let byte = head >> 16 & 0xff;
        match head >> 24 {
            Self::ASKED => {
                let scale = byte & Self::NO_SCALE;
                let window_scale = (scale != Self::NO_SCALE).then_some(scale as u8);
                let sack_permitted = byte & Self::SACK != 0;
                let stamped = Stamped { window_scale, sack_permitted, told, value };
                let stamped = (byte & Self::STAMPED != 0).then_some(stamped);
                let offer = Offer { mss: u16::try_from(mss).ok()?, stamped };
                let (client, cookie, window) = (Seq(a), Seq(b), head as u16);
                let asked = Self::Asked(Asked { client, cookie, offer, window });
                (asked.to_words() == *words).then_some(asked)
            }
            Self::JOINED => {
                let (up, down) = (byte as u8, (head >> 8) as u8 as i8);
                let joined = Self::Joined(Joined { shift: a, stamp_shift: b, up, down });
                let possible = up <= WINDOW_SCALE_MAX
                    && (-(SCALE as i8)..=WINDOW_SCALE_MAX as i8).contains(&down);
                (possible && joined.to_words() == *words).then_some(joined)
            }
            _ => None,
        }
    }

    /// As a record has it.
    pub(crate) fn to_bytes(self) -> [u8; Self::RECORD_LEN] {
        let words = self.to_words().map(u32::to_be_bytes);
        std::array::from_fn(|at| words[at / 4][at % 4])
    }

    /// As [`Self::from_words`].
    pub(crate) fn from_bytes(bytes: &[u8; Self::RECORD_LEN]) -> Option<Self> {
        let word = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        Self::from_words(&std::array::from_fn(|place| word(4 * place)))
    }

    /// Whether it is further on than another picture of the same session.
    pub(crate) const fn is_newer_than(&self, other: Option<&Self>) -> bool {
        match (self, other) {
            (Self::Joined(_), Some(Self::Asked(_))) | (_, None) => true,
            (_, Some(_)) => false,
        }
    }
}

impl Asked {
    /// How to translate from now on, by the server's SYN-ACK.
    pub(crate) fn joined_by(&self, answer: &Tcp) -> Joined {
        let offered = self.offer.window_scale();
        // Scales count where both have offered one (RFC 7323 §2.2): to us the client, and to it the server.
        let (told, meant) = match (offered, answer.window_scale) {
            (None, _) => (0, 0),
            (Some(_), scale) => (SCALE, scale.unwrap_or(0)),
        };
        let up = match (offered, answer.window_scale) {
            (Some(scale), None) => scale,
            (Some(_), Some(_)) | (None, _) => 0,
        };
        let stamp_shift = match (&self.offer.stamped, answer.timestamps) {
            (Some(stamped), Some((value, _))) => stamped.told.wrapping_sub(value),
            (Some(_) | None, _) => 0,
        };
        let shift = self.cookie.0.wrapping_sub(answer.sequence.0);
        Joined { shift, stamp_shift, up, down: meant as i8 - told as i8 }
    }

    /// How a refusal is translated: to the number that the client expects next.
    pub(crate) fn refused_by(&self, reset: &Tcp) -> Joined {
        let shift = (self.cookie + 1).0.wrapping_sub(reset.sequence.0);
        Joined { shift, ..Joined::default() }
    }
}

impl Joined {
    /// A packet of the server, as the client will see it.
    pub(crate) fn as_seen(&self, packet: &Packet) -> Packet {
        let mut packet = *packet;
        if let Transport::Tcp(tcp) = &mut packet.body {
            tcp.sequence += self.shift;
            tcp.window = self.servers_window(tcp.window, tcp.flags.contains(wire::TcpFlags::SYN));
        }
        packet
    }

    /// A window of the server's. That of a SYN is never scaled.
    pub(crate) fn servers_window(&self, window: u16, syn: bool) -> u16 {
        match self.down {
            _ if syn => window,
            down @ 0.. => widened(window, down as u8),
            down => window >> down.unsigned_abs(),
        }
    }

    /// A window of the client's.
    pub(crate) fn clients_window(&self, window: u16, syn: bool) -> u16 {
        if syn { window } else { widened(window, self.up) }
    }
}

/// What does not fit is the largest that does.
fn widened(window: u16, steps: u8) -> u16 {
    u16::try_from(u32::from(window) << steps.min(WINDOW_SCALE_MAX)).unwrap_or(u16::MAX)
}
