//! The session record: what one node tells another of a session, in bytes.
//!
//! All numbers are big-endian. The first two bytes mean the same in every version, so that a stream of
//! records can be cut; what stands behind the bytes of the version that a reader knows is passed over.
//! A record holds no point in time: only how long ago, and how long still.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 1 | version: 1, or 2 of a session that a SYN cookie has opened |
//! | 1 | 1 | length of the whole record, bytes |
//! | 2 | 2 | flags, below |
//! | 4 | 40 | flow key, as `wire` lays it out |
//! | 44 | 2 + 4 + 8 | identity: node, boot, counter |
//! | 58 | 2 + 4 + 8 | identity of the conversation |
//! | 72 | 48 | TCP tracker, laid out in `tcp/record.rs`; of another protocol, an idle one |
//! | 120 | 1 | close reason by its place, from 1; 0 if none is decided |
//! | 121 | 1 | type of the ICMP query that opened it; 0 of other protocols, and where it is not known |
//! | 122 | 2 | zero |
//! | 124 | 2 × 6 | packets of initiator and responder |
//! | 136 | 2 × 8 | bytes of both |
//! | 152 | 8 | hash of the rule's id; 0 if the rule is gone |
//! | 160 | 4 | epoch of the policy that rule and zones are of, low half |
//! | 164 | 2 × 4 | hashes of the names of both zones; 0 if one is gone |
//! | 172 | 8 | age, microseconds |
//! | 180 | 4 | idle for, milliseconds |
//! | 184 | 4 | rest of its life, milliseconds |
//! | 188 | 4 | own idle life, milliseconds; 0 if it has none |
//! | 192 | 24 | from version 2 on: how to translate, laid out in `proxy.rs`; zeros if there is nothing to |
//!
//! So a node of an earlier version reads all sessions but for what it could not translate. Such a session it
//! has, and breaks if it takes over.
//!
//! Flags: 1 the initiator is the high end of the key, 2 the responder has answered, 4 past its beginnings,
//! 8 the responder may open it too, 16 its end is logged.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use wire::{Direction, FlowKey, Protocol};

use crate::proxy::Proxied;
use crate::session::{CloseReason, Flags, SessionId};
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

/// A record in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bytes {
    bytes: [u8; LEN_PROXIED],
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
            _ => usize::from(length) < LEN,
        };
        if wrong {
            return Err(Malformed::Length(length));
        }
        if bytes.len() < usize::from(length) {
            return Err(Malformed::Truncated);
        }
        let mut record = Self::read(&Reader(bytes.first_chunk().ok_or(Malformed::Truncated)?))?;
        let later = bytes.get(LEN..usize::from(length)).filter(|_| version >= VERSION_PROXIED);
        if let Some(words) = later.and_then(|later| later.first_chunk()) {
            record.proxied = proxied(words, version)?;
            let is_tcp = record.key.protocol() == Protocol::TCP;
            if record.proxied.is_some() && !is_tcp {
                return Err(Malformed::Proxied);
            }
        }
        Ok((record, usize::from(length)))
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
        })
    }

    /// The record as bytes, of the earliest version that can tell it. What does not fit is the largest that
    /// does.
    pub fn to_bytes(&self) -> Bytes {
        let mut bytes = [0; LEN_PROXIED];
        let (version, len) = match self.proxied {
            None => (VERSION, LEN),
            Some(_) => (VERSION_PROXIED, LEN_PROXIED),
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
        if let Some(proxied) = &self.proxied {
            put(LEN, &proxied.to_bytes());
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

/// What stands behind the first version. A later one may know more kinds; of those this one knows none.
fn proxied(words: &[u8; Proxied::RECORD_LEN], version: u8) -> Result<Option<Proxied>, Malformed> {
    match Proxied::from_bytes(words) {
        None if version == VERSION_PROXIED => Err(Malformed::Proxied),
        proxied => Ok(proxied),
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
        if bits & !known != 0 && self.0[0] <= VERSION_PROXIED {
            return Err(Malformed::Flags(bits));
        }
        let set = FLAGS.iter().filter(|(bit, _)| bits & bit != 0);
        Ok(set.fold(Flags::NONE, |flags, (_, flag)| flags.with(*flag)))
    }

    fn close_reason(&self, at: usize) -> Result<Option<CloseReason>, Malformed> {
        let code = self.0[at];
        let known = CloseReason::ALL.get(usize::from(code).wrapping_sub(1)).copied();
        match known {
            None if code != 0 && self.0[0] <= VERSION_PROXIED => Err(Malformed::CloseReason(code)),
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
