//! The session record: what one node tells another of a session, in bytes.
//!
//! All numbers are big-endian. The first two bytes mean the same in every version, so that a stream of
//! records can be cut; what stands behind the bytes of the version that a reader knows is passed over.
//! A record holds no point in time: only how long ago, and how long still.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | version: 1; 2 of a session that a SYN cookie has opened; 3 of one that is translated |
//! | 1 | 1 | length of the whole record, bytes |
//! | 2 | 2 | flags, below |
//! | 4 | 40 | flow key, as `wire` lays it out |
//! | 44 | 2 + 4 + 8 | identity: node, boot, counter |
//! | 58 | 2 + 4 + 8 | identity of the conversation |
//! | 72 | 48 | TCP tracker, laid out in `tcp/record.rs`; of another protocol, an idle one |
//! | 120 | 1 | close reason by its place, from 1; 0 if none is decided |
//! | 121 | 1 | type of the ICMP query that opened it; 0 of other protocols, and where it is not known |
//! | 122 | 1 | from version 3 on: what stands behind 192, below; else zero |
//! | 123 | 1 | from version 3 on: marks of the translation, `table::Marks`; else zero |
//! | 124 | 2 × 6 | packets of initiator and responder |
//! | 136 | 2 × 8 | bytes of both |
//! | 152 | 8 | hash of the rule's id; 0 if the rule is gone |
//! | 160 | 4 | epoch of the policy that rule and zones are of, low half |
//! | 164 | 2 × 4 | hashes of the names of both zones; 0 if one is gone |
//! | 172 | 8 | age, microseconds |
//! | 180 | 4 | idle for, milliseconds |
//! | 184 | 4 | rest of its life, milliseconds |
//! | 188 | 4 | own idle life, milliseconds; 0 if it has none |
//! | 192 | 24 | version 2: how to translate numbers, laid out in `proxy.rs` |
//! | | | version 3: 36 + 2, the ends of the second key, low first (address, port), and its domain; 2 × 4, |
//! | | | hashes of the ids of the rules of translation; or, with bit 8, the 24 bytes of version 2 and the 38 |
//!
//! Byte 122: 1 translated, 2 the second key is of IPv6, 4 the initiator is its high end, 8 opened by a SYN cookie,
//! too.
//!
//! So a node of an earlier version reads all sessions but for what it could not translate. Such a session it
//! has, and breaks if it takes over.
//!
//! Flags: 1 the initiator is the high end of the key, 2 the responder has answered, 4 past its beginnings,
//! 8 the responder may open it too, 16 its end is logged.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use wire::{Direction, FlowKey, Protocol, Version};

use crate::nat::protocol_in;
use crate::proxy::Proxied;
use crate::session::{CloseReason, Flags, SessionId};
use crate::table::Marks;
use crate::tcp::{State, Tcp};

#[cfg(test)]
mod tests;

/// Version that is written of nearly all sessions.
pub const VERSION: u8 = 1;
/// Bytes of a record of that version.
pub const LEN: usize = 192;
/// Version that is written of the others.
pub const VERSION_PROXIED: u8 = 2;
/// Bytes of a record of that one.
pub const LEN_PROXIED: usize = LEN + Proxied::RECORD_LEN;
/// Version that is written of sessions that are translated.
pub const VERSION_TRANSLATED: u8 = 3;
/// Bytes of a record of that one.
pub const LEN_TRANSLATED: usize = LEN + ENDS + 8;
/// The same of a session that a SYN cookie has opened, too.
pub const LEN_BOTH: usize = LEN + Proxied::RECORD_LEN + ENDS;
/// Bytes of both ends and the domain of a second key.
const ENDS: usize = 38;

/// A record in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    bytes: [u8; LEN_BOTH],
    len: usize,
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl DerefMut for Bytes {
    fn deref_mut(&mut self) -> &mut [u8] {
        &mut self.bytes[..self.len]
    }
}

/// A session, free of everything that only its own node understands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Canonical key.
    pub key: FlowKey,
    /// The direction of the first packet within the key.
    pub initiator: Direction,
    /// Which session it is.
    pub id: SessionId,
    /// The session that it was opened for, or itself.
    pub conversation: SessionId,
    /// What is known of it: those bits of a session that mean something elsewhere.
    pub flags: Flags,
    /// The TCP tracker.
    pub tcp: Tcp,
    /// Why it is about to end.
    pub close_reason: Option<CloseReason>,
    /// The type of the ICMP query that opened it, where that is known; else 0.
    pub query: u8,
    /// Packets of both peers, at most 2^48 − 1.
    pub packets: [u64; 2],
    /// Bytes of both peers' IP datagrams.
    pub bytes: [u64; 2],
    /// Hash of the rule's id; 0 if it is gone.
    pub rule: u64,
    /// The policy's epoch that rule and zones belong to, low 32 bits.
    pub epoch: u32,
    /// Hashes of the zones' names; 0 if one is gone.
    pub zones: [u32; 2],
    /// Since its first packet, in microseconds.
    pub age: Duration,
    /// Since its last packet, in milliseconds.
    pub idle: Duration,
    /// Until its end if no packet comes, in milliseconds.
    pub remaining: Duration,
    /// Its own idle life, in milliseconds.
    pub own_life: Option<Duration>,
    /// How its packets are translated, if a SYN cookie has opened it.
    pub proxied: Option<Proxied>,
    /// How they look beyond, if they are given other ends.
    pub translated: Option<Translated>,
}

/// How a session's packets look beyond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Translated {
    /// The key of its packets as the responder sends them.
    pub key: FlowKey,
    /// Which way the initiator's packets go within that key.
    pub initiator: Direction,
    /// What is known of its port.
    pub marks: Marks,
    /// Hashes of the ids of the rules for source and destination; 0 for none.
    pub rules: [u32; 2],
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// Fewer bytes than the record says, or than its version has.
    Truncated,
    /// No version has this number.
    Version(u8),
    /// The length is below that of its version.
    Length(u8),
    /// The key is not canonical.
    Key,
    /// An identity that no session can have.
    Identity,
    /// A flag that its version does not have.
    Flags(u16),
    /// No tracker is ever in such a state; or it is not idle, and the protocol is not TCP.
    Tcp,
    /// No such close reason.
    CloseReason(u8),
    /// It has been idle for longer than it exists.
    Idle,
    /// No session is translated so; or it is not TCP.
    Proxied,
    /// The second key is not canonical, or of another protocol.
    Translated,
}

impl Record {
    /// Reads the record at the start of `bytes`, and tells how long it is.
    pub fn parse(bytes: &[u8]) -> Result<(Self, usize), Malformed> {
        let [version, length, ..] = *bytes else { return Err(Malformed::Truncated) };
        if version == 0 {
            return Err(Malformed::Version(version));
        }
        let wrong = match version {
            VERSION => usize::from(length) != LEN,
            VERSION_PROXIED => usize::from(length) != LEN_PROXIED,
            VERSION_TRANSLATED => !matches!(usize::from(length), LEN_TRANSLATED | LEN_BOTH),
            _ => usize::from(length) < LEN,
        };
        if wrong {
            return Err(Malformed::Length(length));
        }
        if bytes.len() < usize::from(length) {
            return Err(Malformed::Truncated);
        }
        let mut record = Self::read(&Reader(bytes.first_chunk().ok_or(Malformed::Truncated)?))?;
        record.read_later(version, &bytes[..usize::from(length)])?;
        Ok((record, usize::from(length)))
    }

    /// What stands behind the first version.
    fn read_later(&mut self, version: u8, bytes: &[u8]) -> Result<(), Malformed> {
        let mut later = bytes.get(LEN..).unwrap_or(&[]);
        let content = if version >= VERSION_TRANSLATED { bytes[CONTENT] } else { 0 };
        if version == VERSION_PROXIED || content & CONTENT_PROXIED != 0 {
            let words = later.split_first_chunk();
            let (words, rest) = words.ok_or(Malformed::Truncated)?;
            self.proxied = Some(Proxied::from_bytes(words).ok_or(Malformed::Proxied)?);
            if self.key.protocol() != Protocol::TCP {
                return Err(Malformed::Proxied);
            }
            later = rest;
        }
        if content & CONTENT_TRANSLATED != 0 {
            let (ends, rest) = later.split_first_chunk().ok_or(Malformed::Truncated)?;
            let hash = |at: usize| rest.get(at..)?.first_chunk().copied();
            let rules = [hash(0), hash(4)].map(|it| it.map_or(0, u32::from_be_bytes));
            let marks = Marks::from_bits(bytes[CONTENT + 1]).ok_or(Malformed::Translated)?;
            let (key, initiator) =
                Translated::key(self.key.protocol(), ends, content).ok_or(Malformed::Translated)?;
            self.translated = Some(Translated { key, initiator, marks, rules });
        }
        Ok(())
    }

    fn read(from: &Reader<'_>) -> Result<Self, Malformed> {
        let key = FlowKey::from_bytes(&from.bytes(4)).ok_or(Malformed::Key)?;
        let bits = from.half(2);
        let tcp = Tcp::from_bytes(&from.bytes(72)).ok_or(Malformed::Tcp)?;
        let is_tcp = key.protocol() == Protocol::TCP;
        if is_tcp == (tcp.state() == State::None) || !(is_tcp || tcp == Tcp::IDLE) {
            return Err(Malformed::Tcp);
        }
        let age = Duration::from_micros(from.long(172));
        let idle = milliseconds(from.word(180));
        if idle > age {
            return Err(Malformed::Idle);
        }
        let own_life = milliseconds(from.word(188));
        Ok(Self {
            key,
            initiator: match bits & INITIATOR_REVERSE {
                0 => Direction::Forward,
                _ => Direction::Reverse,
            },
            id: from.identity(44)?,
            conversation: from.identity(58)?,
            flags: from.flags(bits)?,
            tcp,
            close_reason: from.close_reason(120)?,
            query: from.0[121],
            packets: [from.six(124), from.six(130)],
            bytes: [from.long(136), from.long(144)],
            rule: from.long(152),
            epoch: from.word(160),
            zones: [from.word(164), from.word(168)],
            age,
            idle,
            remaining: milliseconds(from.word(184)),
            own_life: (own_life != Duration::ZERO).then_some(own_life),
            proxied: None,
            translated: None,
        })
    }

    /// The record as bytes, of the earliest version that can tell it. What does not fit is the largest that
    /// does.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = [0; LEN_BOTH];
        let (version, len) = match (&self.proxied, &self.translated) {
            (None, None) => (VERSION, LEN),
            (Some(_), None) => (VERSION_PROXIED, LEN_PROXIED),
            (None, Some(_)) => (VERSION_TRANSLATED, LEN_TRANSLATED),
            (Some(_), Some(_)) => (VERSION_TRANSLATED, LEN_BOTH),
        };
        let mut put = |at: usize, field: &[u8]| {
            bytes[at..at + field.len()].copy_from_slice(field);
        };
        put(0, &[version, len as u8]);
        put(2, &self.bits().to_be_bytes());
        put(4, self.key.as_bytes());
        for (at, id) in [(44, self.id), (58, self.conversation)] {
            put(at, &id.node.to_be_bytes());
            put(at + 2, &id.boot.to_be_bytes());
            put(at + 6, &id.counter.to_be_bytes());
        }
        put(72, &self.tcp.to_bytes());
        put(120, &[self.close_reason.map_or(0, |reason| reason as u8 + 1), self.query]);
        for side in 0..2 {
            let packets = self.packets[side].min(PACKETS_MAX);
            put(124 + 6 * side, &packets.to_be_bytes()[2..]);
            put(136 + 8 * side, &self.bytes[side].to_be_bytes());
            put(164 + 4 * side, &self.zones[side].to_be_bytes());
        }
        put(152, &self.rule.to_be_bytes());
        put(160, &self.epoch.to_be_bytes());
        put(172, &u64::try_from(self.age.as_micros()).unwrap_or(u64::MAX).to_be_bytes());
        put(180, &in_milliseconds(self.idle).to_be_bytes());
        put(184, &in_milliseconds(self.remaining).to_be_bytes());
        put(188, &self.own_life.map_or(0, |life| in_milliseconds(life).max(1)).to_be_bytes());
        let mut at = LEN;
        if let Some(proxied) = &self.proxied {
            put(at, &proxied.to_bytes());
            at += Proxied::RECORD_LEN;
        }
        if let Some(translated) = &self.translated {
            let both = if self.proxied.is_some() { CONTENT_PROXIED } else { 0 };
            put(CONTENT, &[translated.content() | both, translated.marks.bits()]);
            put(at, &translated.ends());
            if both == 0 {
                put(at + ENDS, &translated.rules[0].to_be_bytes());
                put(at + ENDS + 4, &translated.rules[1].to_be_bytes());
            }
        }
        Bytes { bytes, len }
    }

    fn bits(&self) -> u16 {
        let reverse = u16::from(self.initiator == Direction::Reverse);
        FLAGS.iter().fold(reverse * INITIATOR_REVERSE, |bits, (bit, flag)| {
            if self.flags.has(*flag) { bits | bit } else { bits }
        })
    }
}

/// Where the kinds of what stands behind the first version stand.
const CONTENT: usize = 122;
const CONTENT_TRANSLATED: u8 = 1;
const CONTENT_V6: u8 = 2;
const CONTENT_REVERSE: u8 = 4;
const CONTENT_PROXIED: u8 = 8;

impl Translated {
    fn content(&self) -> u8 {
        let v6 = if self.key.version() == Version::V6 { CONTENT_V6 } else { 0 };
        let reverse = if self.initiator == Direction::Reverse { CONTENT_REVERSE } else { 0 };
        CONTENT_TRANSLATED | v6 | reverse
    }

    /// Both ends and the domain.
    fn ends(&self) -> [u8; ENDS] {
        std::array::from_fn(|at| self.key.as_bytes()[at])
    }

    /// The second key of a session of this protocol.
    fn key(protocol: Protocol, ends: &[u8; ENDS], content: u8) -> Option<(FlowKey, Direction)> {
        let version = if content & CONTENT_V6 != 0 { Version::V6 } else { Version::V4 };
        let mut bytes = [0; wire::key::KEY_LEN];
        bytes[..ENDS].copy_from_slice(ends);
        bytes[ENDS] = protocol_in(version, protocol).0;
        bytes[ENDS + 1] = if version == Version::V6 { 6 } else { 4 };
        let reverse = content & CONTENT_REVERSE != 0;
        let direction = if reverse { Direction::Reverse } else { Direction::Forward };
        Some((FlowKey::from_bytes(&bytes)?, direction))
    }
}

/// The bytes of a record's first version.
struct Reader<'a>(&'a [u8; LEN]);

impl Reader<'_> {
    fn bytes<const N: usize>(&self, at: usize) -> [u8; N] {
        std::array::from_fn(|place| self.0[at + place])
    }

    fn half(&self, at: usize) -> u16 {
        u16::from_be_bytes(self.bytes(at))
    }

    fn word(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.bytes(at))
    }

    fn six(&self, at: usize) -> u64 {
        u64::from(self.half(at)) << 32 | u64::from(self.word(at + 2))
    }

    fn long(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.bytes(at))
    }

    fn identity(&self, at: usize) -> Result<SessionId, Malformed> {
        let id =
            SessionId { node: self.half(at), boot: self.word(at + 2), counter: self.long(at + 6) };
        if id.is_possible() { Ok(id) } else { Err(Malformed::Identity) }
    }

    /// A later version may have more flags; this one has none.
    fn flags(&self, bits: u16) -> Result<Flags, Malformed> {
        let known = FLAGS.iter().fold(INITIATOR_REVERSE, |known, (bit, _)| known | bit);
        if bits & !known != 0 && self.0[0] <= VERSION_TRANSLATED {
            return Err(Malformed::Flags(bits));
        }
        let set = FLAGS.iter().filter(|(bit, _)| bits & bit != 0);
        Ok(set.fold(Flags::NONE, |flags, (_, flag)| flags.with(*flag)))
    }

    fn close_reason(&self, at: usize) -> Result<Option<CloseReason>, Malformed> {
        let code = self.0[at];
        let known = CloseReason::ALL.get(usize::from(code).wrapping_sub(1)).copied();
        match known {
            None if code != 0 && self.0[0] <= VERSION_TRANSLATED => {
                Err(Malformed::CloseReason(code))
            }
            _ => Ok(known),
        }
    }
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("the record ends too early"),
            Self::Version(version) => write!(f, "no record has version {version}"),
            Self::Length(length) => write!(f, "no record of its version has {length} bytes"),
            Self::Key => f.write_str("the key is not canonical"),
            Self::Identity => f.write_str("no session has such an identity"),
            Self::Flags(bits) => write!(f, "flags {bits:#06x} are not those of its version"),
            Self::Tcp => f.write_str("no TCP tracker is ever in such a state"),
            Self::CloseReason(code) => write!(f, "no close reason has the number {code}"),
            Self::Idle => f.write_str("idle for longer than it exists"),
            Self::Proxied => f.write_str("no session is translated so"),
            Self::Translated => f.write_str("no session has such a second key"),
        }
    }
}

impl std::error::Error for Malformed {}

const INITIATOR_REVERSE: u16 = 1;

/// The flags that mean something to another node, with their bits there.
const FLAGS: [(u16, Flags); 4] = [
    (2, Flags::REPLY_SEEN),
    (4, Flags::ASSURED),
    (8, Flags::BOTH_MAY_OPEN),
    (16, Flags::LOG_CLOSE),
];

/// Most packets that a record can tell.
const PACKETS_MAX: u64 = (1 << 48) - 1;

const fn milliseconds(count: u32) -> Duration {
    Duration::from_millis(count as u64)
}

fn in_milliseconds(span: Duration) -> u32 {
    u32::try_from(span.as_millis()).unwrap_or(u32::MAX)
}
