//! The second keys of translated sessions: what their packets look like on the other side.
//!
//! A session stands in the table under the key of its first packet. Is it translated, then its responder
//! sends packets with another key. That one stands in the same buckets, marked by a bit of its index, so that
//! either is found by one look; and here, one line for each place of the slab. A table without
//! translation has neither.

use wire::{Delta, Direction, Ends, FlowKey, Protocol};

use super::bucket::{Buckets, FREE};
use super::hash::Keyed;
use super::{Guess, Handle, SessionTable};
use crate::limits::SESSIONS_MAX;
use crate::nat::NatRule;
use crate::session::{Flags, Peer, Session};
use crate::tcp::State;

/// How a session is translated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Twin {
    /// The key of its packets as the responder sends them.
    pub key: FlowKey,
    /// What the initiator's packets change by; those of its responder by the opposite.
    pub delta: Delta,
    /// Which way the initiator's packets go within the key, once translated.
    pub initiator: Direction,
    /// What is known of it, bit by bit.
    pub marks: Marks,
    /// The rules that translate source and destination.
    pub rules: [NatRule; 2],
    /// Where the engine keeps the ports of its public address; [`NO_PLACE`] if it has none, or has not asked.
    pub(crate) place: u16,
}

/// No public address is kept there.
pub(crate) const NO_PLACE: u16 = u16::MAX;

/// Bits of a [`Twin`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Marks(u8);

impl Marks {
    /// Its source has a port of a pool.
    pub const PORT: Self = Self(1);
    /// That port is of an endpoint-independent mapping.
    pub const MAPPED: Self = Self(2);
    /// That port is not of its slot's run.
    pub const BORROWED: Self = Self(4);
    /// It was opened from outside, by a mapping: the mapped endpoint is its responder.
    pub const INWARD: Self = Self(8);

    /// Anybody may open sessions by that mapping.
    pub const OPEN: Self = Self(16);
    /// Addresses may that its endpoint has sent to.
    pub const KNOWN: Self = Self(32);
    /// None.
    pub const NONE: Self = Self(0);

    /// Those of a record; `None` if one of them is unknown.
    #[must_use]
    pub const fn from_bits(bits: u8) -> Option<Self> {
        if bits < 64 { Some(Self(bits)) } else { None }
    }

    /// As a record has them.
    #[must_use]
    pub const fn bits(self) -> u8 {
        self.0
    }

    /// Whether all bits of `other` are set.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits of both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Those that `other` has not.
    #[must_use]
    pub const fn without(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }
}

/// Which of its keys a session was found by: how its packets look before they are translated, those of its
/// initiator by the first one and those of its responder by the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    First,
    Second,
}

impl Twin {
    pub(super) const EMPTY: Self = Self {
        key: FlowKey::ZERO,
        delta: Delta { header: 0, transport: 0 },
        initiator: Direction::Forward,
        marks: Marks(0),
        rules: [NatRule::NONE; 2],
        place: NO_PLACE,
    };

    /// Who sends the packets that go this way within the key.
    #[inline]
    #[must_use]
    pub fn sender(&self, direction: Direction) -> Peer {
        if direction == self.initiator { Peer::Initiator } else { Peer::Responder }
    }

    /// Both ends of the initiator's packets, once translated.
    #[inline]
    #[must_use]
    pub fn ends(&self) -> Ends {
        Ends::of_key(&self.key, self.initiator)
    }

    /// What a sender's packets look like on the other side: their key and which way they go within it, and
    /// what they change by.
    #[inline(always)]
    pub(crate) fn beyond<'a>(&'a self, session: &'a Session, sender: Peer) -> Beyond<'a> {
        match sender {
            Peer::Initiator => {
                Beyond { key: &self.key, direction: self.initiator, delta: self.delta }
            }
            Peer::Responder => Beyond {
                key: &session.key,
                direction: session.direction(Peer::Responder),
                delta: self.delta.reversed(),
            },
        }
    }
}

/// Packets of one sender when they have been translated.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Beyond<'a> {
    pub(crate) key: &'a FlowKey,
    pub(crate) direction: Direction,
    pub(crate) delta: Delta,
}

impl Beyond<'_> {
    /// Both ends of them.
    pub(crate) fn ends(&self) -> Ends {
        Ends::of_key(self.key, self.direction)
    }
}

/// The second keys by the places of the slab. Nothing until there is translation.
#[derive(Debug, Default)]
pub(super) struct Twins {
    slab: Box<[Line]>,
}

/// One of them, in a cache line of its own.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line(Twin);

const _: () = assert!(size_of::<Line>() == 64, "one cache line");

/// In an index of a bucket: it is a second key's. No table has so many places.
pub(super) const SECOND: u32 = 1 << 31;

const _: () = assert!(SESSIONS_MAX < SECOND);

impl Twins {
    #[inline]
    fn at(&self, place: u32) -> Option<&Twin> {
        self.slab.get(place as usize).map(|line| &line.0)
    }

    /// How the session of a place is translated, if it is.
    #[inline]
    pub(super) fn of(&self, place: u32, session: &Session) -> Option<&Twin> {
        if session.flags.has(Flags::TRANSLATED) { self.at(place) } else { None }
    }

    /// The line of a place, if there are any.
    #[inline]
    pub(super) fn line(&self, place: u32) -> Option<*const u8> {
        self.slab.get(place as usize).map(|line| std::ptr::from_ref(line).cast())
    }

    pub(super) fn memory(&self) -> usize {
        self.slab.len() * size_of::<Line>()
    }
}

impl SessionTable {
    /// Takes the memory for translated sessions, the first time, and room for their second keys: not on the
    /// packet path.
    pub(crate) fn reserve_twins(&mut self) {
        if !self.twins.slab.is_empty() {
            return;
        }
        self.twins.slab = vec![Line(Twin::EMPTY); self.slab.len()].into_boxed_slice();
        self.buckets = Buckets::new(self.slab.len() as u32 * 2);
        self.rebuild();
    }

    /// The session of a packet with this key: by its first key, or by its second one.
    #[inline]
    pub(crate) fn locate(&self, hash: u64, key: &FlowKey) -> Option<(Handle, Side)> {
        let is_it = |at: u32| self.key_of(at).is_some_and(|it| it == key);
        self.buckets.find(hash, is_it).map(found)
    }

    /// [`Self::locate`], with a look at `guess` first.
    #[inline]
    pub(crate) fn locate_at(
        &self,
        guess: Guess,
        hash: u64,
        key: &FlowKey,
    ) -> Option<(Handle, Side)> {
        let (handle, side) = found(guess.0);
        let right = match side {
            Side::First => self.get(handle).is_some_and(|session| session.key == *key),
            Side::Second => {
                let twin = self.get(handle).and_then(|session| self.twin(handle, session));
                twin.is_some_and(|twin| twin.key == *key)
            }
        };
        if right { Some((handle, side)) } else { self.locate_missed(hash, key) }
    }

    /// Where the guess was wrong. Apart, so that others do not pay for it.
    #[cold]
    #[inline(never)]
    fn locate_missed(&self, hash: u64, key: &FlowKey) -> Option<(Handle, Side)> {
        self.locate(hash, key)
    }

    /// The key that an index of a bucket stands for.
    #[inline]
    fn key_of(&self, index: u32) -> Option<&FlowKey> {
        if index & SECOND == 0 {
            self.slab.get(index as usize).map(|session| &session.key)
        } else {
            self.twins.at(index & !SECOND).map(|twin| &twin.key)
        }
    }

    /// The hash of that key, if the index is of a session that lives.
    pub(super) fn hash_of(&self, index: u32) -> Option<u64> {
        let session = self.slab.get((index & !SECOND) as usize).filter(|_| index != FREE)?;
        let second = index & SECOND != 0;
        let lives = session.flags.has(Flags::LIVE);
        let has = lives && (!second || session.flags.has(Flags::TRANSLATED));
        self.key_of(index).filter(|_| has).map(|key| self.keyed.hash(key))
    }

    /// How the session of this place is translated, if it is.
    #[inline]
    pub(crate) fn twin(&self, handle: Handle, session: &Session) -> Option<&Twin> {
        self.twins.of(handle.0, session)
    }

    /// What a place has of a translated session, though it may have ended with the packet in hand.
    #[inline]
    pub(crate) fn remains(&self, handle: Handle) -> Option<(&Session, &Twin)> {
        let session = self.slab.get(handle.0 as usize)?;
        Some((session, self.twins.of(handle.0, session)?))
    }

    /// Whether there is room for a second key of this hash that nobody can have, also when its session's
    /// first one has been put in.
    #[inline]
    pub(crate) fn has_twin_room(&self, hash: u64) -> bool {
        !self.twins.slab.is_empty() && self.buckets.has_room_for_second(hash)
    }

    /// Whether a session, `child` if it was announced, may have this second key: nobody has it but `stale`,
    /// which is about to end, or one that gives way, and there is room.
    pub(crate) fn twin_room(
        &self,
        hash: u64,
        key: &FlowKey,
        stale: Option<Handle>,
        child: bool,
    ) -> bool {
        let gives_way = |handle| Some(handle) == stale || self.gives_way(handle, child);
        self.has_twin_room(hash)
            && self.locate(hash, key).is_none_or(|(handle, _)| gives_way(handle))
    }

    /// The session with this key that gives way to another one, if there is one.
    pub(crate) fn in_the_way(&self, hash: u64, key: &FlowKey, child: bool) -> Option<Handle> {
        let (handle, _) = self.locate(hash, key)?;
        self.gives_way(handle, child).then_some(handle)
    }

    /// Whether it is kept for stray segments alone; or it was announced, and so is the other one: what was
    /// announced last stands. (Media of a call that is over have no end of their own.)
    fn gives_way(&self, handle: Handle, child: bool) -> bool {
        let Some(session) = self.get(handle) else { return false };
        let is_media = session.is_child() && session.key.protocol() == Protocol::UDP;
        matches!(session.tcp.state(), State::TimeWait | State::Close) || child && is_media
    }

    /// Has a session translated, whose second key has this hash; nobody has that key ([`Self::twin_room`]).
    /// `false`, and nothing done, if there is no room.
    #[inline]
    pub(crate) fn translate(&mut self, handle: Handle, hash: u64, twin: &Twin) -> bool {
        let place = handle.0 as usize;
        let (Some(line), Some(session)) =
            (self.twins.slab.get_mut(place), self.slab.get_mut(place))
        else {
            return false;
        };
        if session.flags.has(Flags::TRANSLATED) || !self.buckets.insert(hash, handle.0 | SECOND) {
            return false;
        }
        line.0 = *twin;
        session.flags.set(Flags::TRANSLATED, true);
        true
    }

    /// Takes the second key of a session out of the buckets.
    pub(super) fn forget_twin(
        keyed: &Keyed,
        buckets: &mut Buckets,
        twins: &Twins,
        session: &Session,
        place: u32,
    ) {
        if let Some(twin) = twins.of(place, session) {
            buckets.remove(keyed.hash(&twin.key), place | SECOND);
        }
    }
}

/// The place that an index of a bucket means, and by which key.
#[inline]
const fn found(index: u32) -> (Handle, Side) {
    let side = if index & SECOND == 0 { Side::First } else { Side::Second };
    (Handle(index & !SECOND), side)
}
