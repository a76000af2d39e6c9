//! The second keys of translated sessions: what their packets look like on the other side.
//!
//! A session stands in the table under the key of its first packet. Is it translated, then its responder
//! sends packets with another key, and that one stands here: buckets of its own, so that a table without
//! translation pays nothing, and one line for each place of the slab.

use wire::{Delta, Direction, Ends, FlowKey};

use super::bucket::Buckets;
use super::hash::Keyed;
use super::{Guess, Handle, SessionTable};
use crate::nat::NatRule;
use crate::session::{Flags, Peer, Session};

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
}

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
}

/// Which of its keys a session was found by: how its packets look before they are translated, those of its
/// initiator by the first one and those of its responder by the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    First,
    Second,
}

impl Twin {
    const EMPTY: Self = Self {
        key: FlowKey::ZERO,
        delta: Delta { header: 0, transport: 0 },
        initiator: Direction::Forward,
        marks: Marks(0),
        rules: [NatRule::NONE; 2],
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
}

/// The second keys by the places of the slab. Nothing until there is translation.
#[derive(Debug, Default)]
pub(super) struct Twins {
    parts: Option<Parts>,
}

#[derive(Debug)]
pub(super) struct Parts {
    pub(super) buckets: Buckets,
    slab: Box<[Line]>,
}

/// One of them, in a cache line of its own.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
struct Line(Twin);

impl Parts {
    #[inline]
    fn twin(&self, place: u32) -> Option<&Twin> {
        self.slab.get(place as usize).map(|line| &line.0)
    }
}

impl Twins {
    /// Takes the memory for so many sessions: not on the packet path.
    pub(super) fn reserve(&mut self, capacity: usize) {
        self.parts.get_or_insert_with(|| Parts {
            buckets: Buckets::new(capacity as u32),
            slab: vec![Line(Twin::EMPTY); capacity].into_boxed_slice(),
        });
    }

    #[inline]
    pub(super) const fn parts(&self) -> Option<&Parts> {
        self.parts.as_ref()
    }

    /// How the session of a place is translated, if it is.
    pub(super) fn of(&self, place: u32, session: &Session) -> Option<&Twin> {
        let translated = session.flags.has(Flags::TRANSLATED);
        self.parts().filter(|_| translated)?.twin(place)
    }

    pub(super) const fn parts_mut(&mut self) -> Option<&mut Parts> {
        self.parts.as_mut()
    }

    pub(super) fn memory(&self) -> usize {
        self.parts
            .as_ref()
            .map_or(0, |parts| parts.slab.len() * size_of::<Line>() + parts.buckets.memory())
    }
}

const _: () = assert!(size_of::<Line>() == 64, "one cache line");

impl SessionTable {
    /// Takes the memory for translated sessions, the first time: not on the packet path.
    pub(crate) fn reserve_twins(&mut self) {
        self.twins.reserve(self.slab.len());
    }

    /// The session whose responder sends packets with this key.
    #[inline]
    pub(crate) fn find_twin(&self, hash: u64, key: &FlowKey) -> Option<Handle> {
        let parts = self.twins.parts()?;
        let is_it = |at: u32| parts.twin(at).is_some_and(|twin| twin.key == *key);
        parts.buckets.find(hash, is_it).map(Handle)
    }

    /// The session of a packet with this key: by its first key, or by its second one.
    #[inline]
    pub(crate) fn locate(&self, hash: u64, key: &FlowKey) -> Option<(Handle, Side)> {
        match self.find(hash, key) {
            Some(handle) => Some((handle, Side::First)),
            None => Some((self.find_twin(hash, key)?, Side::Second)),
        }
    }

    /// [`Self::locate`], with a look at `guess` first.
    #[inline]
    pub(crate) fn locate_at(
        &self,
        guess: Guess,
        hash: u64,
        key: &FlowKey,
    ) -> Option<(Handle, Side)> {
        let handle = Handle(guess.0);
        let Some(session) = self.get(handle) else { return self.locate(hash, key) };
        if session.key == *key {
            return Some((handle, Side::First));
        }
        match self.twin(handle, session) {
            Some(twin) if twin.key == *key => Some((handle, Side::Second)),
            Some(_) | None => self.locate(hash, key),
        }
    }

    /// How the session of this place is translated, if it is.
    #[inline]
    pub(crate) fn twin(&self, handle: Handle, session: &Session) -> Option<&Twin> {
        self.twins.of(handle.0, session)
    }

    /// Whether a session may have this second key: nobody has it but `stale`, which is about to end, and
    /// there is room.
    pub(crate) fn twin_room(&self, key: &FlowKey, stale: Option<Handle>) -> bool {
        let hash = self.keyed.hash(key);
        let room = self.twins.parts().is_some_and(|parts| parts.buckets.has_room(hash));
        room && self.locate(hash, key).is_none_or(|(handle, _)| Some(handle) == stale)
    }

    /// Has a session translated; `false`, and nothing done, if [`Self::twin_room`] says no.
    pub(crate) fn translate(&mut self, handle: Handle, twin: Twin) -> bool {
        if !self.twin_room(&twin.key, None) {
            return false;
        }
        let hash = self.keyed.hash(&twin.key);
        let (Some(parts), Some(session)) =
            (self.twins.parts_mut(), self.slab.get_mut(handle.0 as usize))
        else {
            return false;
        };
        if session.flags.has(Flags::TRANSLATED) || !parts.buckets.insert(hash, handle.0) {
            return false;
        }
        parts.slab[handle.0 as usize] = Line(twin);
        session.flags.set(Flags::TRANSLATED, true);
        true
    }

    /// Takes the second key of a session away.
    pub(super) fn forget_twin(keyed: &Keyed, twins: &mut Twins, session: &Session, place: u32) {
        if session.flags.has(Flags::TRANSLATED)
            && let Some(parts) = twins.parts_mut()
            && let Some(twin) = parts.twin(place)
        {
            parts.buckets.remove(keyed.hash(&twin.key), place);
        }
    }

    /// Has the buckets fetched that a packet of a translated session is found by.
    #[inline]
    pub(super) fn touch_twin(&self, hash: u64, prefetch: impl Fn(*const u8)) {
        if let Some(parts) = self.twins.parts() {
            prefetch(parts.buckets.line(hash));
        }
    }

    /// The place behind the first fitting tag; only a guess.
    #[inline]
    pub(super) fn guess_twin(&self, hash: u64) -> Option<u32> {
        self.twins.parts()?.buckets.first(hash)
    }

    /// Has the line fetched that tells how the session of a place is translated, if any are.
    #[inline]
    pub(super) fn prefetch_twin(&self, place: u32, prefetch: impl Fn(*const u8)) {
        if let Some(parts) = self.twins.parts()
            && let Some(twin) = parts.twin(place)
        {
            prefetch(std::ptr::from_ref(twin).cast());
        }
    }

    /// The second keys anew from the slab, after a panic; returns how many sessions had to be given up.
    pub(super) fn rebuild_twins(&mut self) -> usize {
        let Some(parts) = self.twins.parts_mut() else { return 0 };
        parts.buckets.clear();
        let mut lost = Vec::new();
        for index in 0..self.fresh {
            let session = &self.slab[index as usize];
            if !session.flags.has(Flags::LIVE) || !session.flags.has(Flags::TRANSLATED) {
                continue;
            }
            let key = parts.slab[index as usize].0.key;
            let hash = self.keyed.hash(&key);
            let known = parts.buckets.find(hash, |at| parts.slab[at as usize].0.key == key);
            if known.is_some() || !parts.buckets.insert(hash, index) {
                lost.push(Handle(index));
            }
        }
        lost.iter().filter(|handle| self.give_up(**handle)).count()
    }

    /// Entries of second keys that are wrong, and sessions whose second key finds them no more.
    pub(super) fn twins_wrong(&self) -> usize {
        let Some(parts) = self.twins.parts() else { return 0 };
        let translated = |index: u32| {
            self.slab.get(index as usize).is_some_and(|session| {
                session.flags.has(Flags::LIVE) && session.flags.has(Flags::TRANSLATED)
            })
        };
        let sound = |&(at, tag, index): &(usize, u16, u32)| {
            let hash = parts.twin(index).map(|twin| self.keyed.hash(&twin.key));
            translated(index) && hash.is_some_and(|hash| parts.buckets.belongs(hash, at, tag))
        };
        let wrong = parts.buckets.entries().filter(|entry| !sound(entry)).count();
        let found = |&index: &u32| {
            let hash = self.keyed.hash(&parts.slab[index as usize].0.key);
            parts.buckets.find(hash, |at| at == index).is_some()
        };
        let lost = (0..self.fresh).filter(|&index| translated(index) && !found(&index)).count();
        wrong + lost
    }
}
