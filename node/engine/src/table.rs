//! The session table: fixed capacity, all memory taken at construction.
//!
//! ```text
//!  key ──hash──► bucket (64 bytes: 8 × 16-bit tag, 8 × index, spill count)
//!                  │ tag fits
//!                  ▼
//!                slab (192 bytes a session)         wheel (12 bytes a session)
//! ```
//!
//! A key has a primary and a secondary bucket. It lives in the primary one unless that was full when
//! it came; then the primary counts it as spilled. So a lookup reads the secondary bucket only where
//! something spilled, and a miss costs one line. Both full is a refusal of its own, at the load that
//! the table is built for about one in 20,000 of the insertions into an all but full table.
//!
//! Memory is 192 (session) + 20 (buckets) + 12 (timer) + 4 (free list) = 228 bytes a session.
//!
//! A [`Handle`] is a place in the slab. It stays the session's until [`SessionTable::remove`], and is
//! then given to another: do not keep one beyond the packet or message in hand.

mod audit;
mod bucket;
mod hash;
#[cfg(test)]
mod tests;
mod twins;

use wire::{FlowKey, Time};

pub use self::audit::Audit;
use self::bucket::Buckets;
use self::hash::Keyed;
pub(crate) use self::twins::{Beyond, NO_PLACE, Side};
pub use self::twins::{Marks, Twin};
use self::twins::{SECOND, Twins};
use crate::limits::{SESSIONS_MAX, SESSIONS_PER_PAGE, VICTIMS_TRIED};
use crate::session::{Flags, Peer, Session};
use crate::timer::{Advance, TimerWheel, Visit};
use crate::track::Update;

/// All sessions of one flow actor.
#[derive(Debug)]
pub struct SessionTable {
    keyed: Keyed,
    buckets: Buckets,
    slab: Box<[Session]>,
    /// Places that were used and given back, last in first out: the warmest first.
    free: Vec<u32>,
    /// Places from here on were never used.
    fresh: u32,
    wheel: TimerWheel,
    twins: Twins,
    refused_full: u64,
    refused_buckets: u64,
}

/// A place in the slab that holds a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Handle(u32);

/// Where a session probably is, from [`SessionTable::guess`]. Never relied upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Guess(u32);

impl Handle {
    /// The place as a number, for [`crate::Engine::session_at`].
    #[must_use]
    pub const fn place(self) -> u32 {
        self.0
    }
}

impl Guess {
    /// No idea.
    pub const NONE: Self = Self(bucket::FREE);
}

/// Why a session cannot be inserted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refused {
    /// Every place is taken.
    Full,
    /// Both buckets of the key are full.
    BucketsFull,
    /// The key has a session already.
    Duplicate,
}

/// Where [`SessionTable::page`] goes on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cursor(u32);

impl Cursor {
    /// The cursor as a number, to be shown to a client.
    pub const fn place(self) -> u32 {
        self.0
    }

    /// The cursor that [`Cursor::place`] made this number of.
    pub const fn at(place: u32) -> Self {
        Self(place)
    }
}

/// How the table is doing; see [`SessionTable::gauges`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gauges {
    /// Sessions in it.
    pub sessions: u32,
    /// Sessions that fit.
    pub capacity: u32,
    /// Sessions in their secondary bucket.
    pub spilled: u32,
    /// Insertions refused because the table was full.
    pub refused_full: u64,
    /// Insertions refused because both buckets were full.
    pub refused_buckets: u64,
}

impl SessionTable {
    /// A table for `capacity` sessions. `seed` keys the hash: whoever does not know it cannot choose
    /// keys that collide. `start` is the time before which no timer is due.
    pub fn new(capacity: u32, seed: [u64; 2], start: Time) -> Self {
        let capacity = capacity.clamp(1, SESSIONS_MAX);
        Self {
            keyed: Keyed::new(seed),
            buckets: Buckets::new(capacity),
            slab: vec![Session::empty(); capacity as usize].into_boxed_slice(),
            free: Vec::with_capacity(capacity as usize),
            fresh: 0,
            wheel: TimerWheel::new(capacity, start),
            twins: Twins::default(),
            refused_full: 0,
            refused_buckets: 0,
        }
    }

    /// Sessions in the table.
    #[inline]
    pub fn len(&self) -> usize {
        self.fresh as usize - self.free.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Sessions that fit.
    pub fn capacity(&self) -> usize {
        self.slab.len()
    }

    /// The hash of a key in this table, for the calls below.
    #[inline(always)]
    pub fn hash(&self, key: &FlowKey) -> u64 {
        self.keyed.hash(key)
    }

    /// Has the primary bucket fetched, so that [`Self::find`] meets it in the cache a little later.
    /// Call it for a whole burst first: the fetches overlap.
    #[inline]
    pub fn touch(&self, hash: u64, prefetch: impl Fn(*const u8)) {
        prefetch(self.buckets.line(hash));
    }

    /// Where the session of this hash probably is, and has its lines fetched; a burst later than
    /// [`Self::touch`].
    #[inline]
    pub fn guess(&self, hash: u64, prefetch: impl Fn(*const u8)) -> Guess {
        let index = self.buckets.first(hash).unwrap_or(bucket::FREE);
        let place = index & !SECOND;
        if let Some(line) = self.twins.line(place) {
            prefetch(line);
        }
        if let Some(session) = self.slab.get(place as usize) {
            let start = std::ptr::from_ref(session).cast::<u8>();
            (0..size_of::<Session>()).step_by(64).for_each(|at| prefetch(start.wrapping_add(at)));
        }
        Guess(index)
    }

    /// The session of `key`, if there is one.
    #[inline]
    pub fn find(&self, hash: u64, key: &FlowKey) -> Option<Handle> {
        let is_it = |session: &Session| session.key == *key;
        self.buckets.find(hash, |at| self.slab.get(at as usize).is_some_and(is_it)).map(Handle)
    }

    /// Whether a session with this hash can be inserted, for whoever decides first and commits last:
    /// after `Ok`, and no other insertion, [`Self::insert`] of a new key succeeds.
    pub fn room(&self, hash: u64) -> Result<(), Refused> {
        if self.free.is_empty() && self.fresh as usize == self.slab.len() {
            return Err(Refused::Full);
        }
        if self.buckets.has_room(hash) { Ok(()) } else { Err(Refused::BucketsFull) }
    }

    /// The session that gives way to one with this hash, when [`Self::room`] said that every place is
    /// taken: of a few, wherever the hash points, the one that is still at its beginnings and has
    /// the least life left. `None` if there is none among them, or its place would not help.
    pub fn victim(&self, hash: u64) -> Option<Handle> {
        if !self.buckets.has_room(hash) {
            return None;
        }
        let places = self.slab.len() as u64;
        let first = ((hash >> 32) * places) >> 32;
        (0..u64::from(VICTIMS_TRIED.min(self.slab.len() as u32)))
            .map(|step| ((first + step) % places) as u32)
            .filter_map(|place| Some((place, self.get(Handle(place))?)))
            .filter(|(_, session)| !session.flags.has(Flags::ASSURED))
            .min_by_key(|(_, session)| session.deadline)
            .map(|(place, _)| Handle(place))
    }

    /// Places that were ever used: all sessions are among them.
    pub(crate) const fn places(&self) -> u32 {
        self.fresh
    }

    /// The place with this number, if it holds a session.
    pub(crate) fn at(&self, place: u32) -> Option<(Handle, &Session)> {
        // What was never used is not read: walks over a large table pass over it.
        let used = (place < self.fresh).then_some(Handle(place))?;
        self.get(used).map(|session| (used, session))
    }

    /// Puts a session in and arms its timer.
    pub fn insert(&mut self, hash: u64, session: &Session) -> Result<Handle, Refused> {
        if self.find(hash, &session.key).is_some() {
            return Err(Refused::Duplicate);
        }
        if let Err(refused) = self.room(hash) {
            self.count_refusal(refused);
            return Err(refused);
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.fresh += 1;
            self.fresh - 1
        });
        self.buckets.insert(hash, index);
        let place = &mut self.slab[index as usize];
        *place = *session;
        place.flags.set(Flags::LIVE, true);
        self.wheel.arm(index, session.deadline);
        Ok(Handle(index))
    }

    /// Counts a refusal that [`Self::room`] gave and that made a packet be dropped.
    pub fn count_refusal(&mut self, refused: Refused) {
        match refused {
            Refused::Full => self.refused_full += 1,
            Refused::BucketsFull => self.refused_buckets += 1,
            Refused::Duplicate => {}
        }
    }

    /// Takes a session out; `None` if the place is empty.
    pub fn remove(&mut self, handle: Handle) -> Option<Session> {
        let mut session = *self.get(handle)?;
        self.buckets.remove(self.keyed.hash(&session.key), handle.0);
        let Self { keyed, buckets, twins, .. } = self;
        Self::forget_twin(keyed, buckets, twins, &session, handle.0);
        self.wheel.disarm(handle.0);
        self.slab[handle.0 as usize].flags.set(Flags::LIVE, false);
        self.free.push(handle.0);
        session.flags.set(Flags::LIVE, false);
        Some(session)
    }

    /// The session at a place, if it holds one.
    #[inline]
    pub fn get(&self, handle: Handle) -> Option<&Session> {
        self.slab.get(handle.0 as usize).filter(|session| session.flags.has(Flags::LIVE))
    }

    /// The session at a place, to change. Not its key; and whoever makes the deadline earlier calls
    /// [`Self::rearm`].
    #[inline]
    pub fn get_mut(&mut self, handle: Handle) -> Option<&mut Session> {
        self.slab.get_mut(handle.0 as usize).filter(|session| session.flags.has(Flags::LIVE))
    }

    /// Carries out what tracking decided about a packet of `sender` with `bytes` of IP datagram. An
    /// empty place is left alone. Whoever gets [`Update::finished`] removes the session afterwards.
    #[inline]
    pub fn commit(&mut self, handle: Handle, update: &Update, sender: Peer, bytes: u32, now: Time) {
        if let Some(session) = self.get_mut(handle) {
            update.apply(session, sender, bytes, now);
            if update.stepped() {
                self.rearm(handle);
            }
        }
    }

    /// Makes a session end earlier.
    pub(crate) fn shorten(&mut self, handle: Handle, deadline: Time) {
        if let Some(session) = self.get_mut(handle) {
            session.deadline = deadline;
            self.rearm(handle);
        }
    }

    /// Tells the timer that the session's deadline may have become earlier. Later ones need nothing.
    pub fn rearm(&mut self, handle: Handle) {
        if let Some(session) = self.get(handle) {
            let deadline = session.deadline;
            self.wheel.arm(handle.0, deadline);
        }
    }

    /// Looks at sessions whose timer comes up, at most `budget`. `keep` tells until when a session
    /// stays; one that it does not keep is gone after it.
    pub fn review(
        &mut self,
        now: Time,
        budget: usize,
        mut keep: impl FnMut(Handle, &Session, Option<&Twin>) -> Option<Time>,
    ) -> Advance {
        let Self { keyed, buckets, slab, free, wheel, twins, .. } = self;
        wheel.advance(now, budget, |index| {
            let session = &mut slab[index as usize];
            if let Some(until) = keep(Handle(index), session, twins.of(index, session)) {
                return Visit::Rearm(until);
            }
            buckets.remove(keyed.hash(&session.key), index);
            Self::forget_twin(keyed, buckets, twins, session, index);
            session.flags.set(Flags::LIVE, false);
            free.push(index);
            Visit::Done
        })
    }

    /// Ends sessions whose deadline has passed, as an engine does that is alone.
    #[cfg(test)]
    pub(crate) fn expire(
        &mut self,
        now: Time,
        budget: usize,
        mut close: impl FnMut(&Session, crate::session::CloseReason),
    ) -> Advance {
        self.review(now, budget, |_, session, _| {
            if session.deadline > now {
                return Some(session.deadline);
            }
            close(session, session.expiry_reason());
            None
        })
    }

    /// When [`Self::review`] may next have something to do.
    pub fn next_deadline(&self) -> Option<Time> {
        self.wheel.next_deadline()
    }

    /// Shows sessions from `cursor` on to `visit`, and gives the cursor of the next page. One page
    /// looks at a bounded number of places. A session that lives from the first page to the last is
    /// shown exactly once, whatever comes and goes in between.
    pub fn page(&self, cursor: Cursor, mut visit: impl FnMut(Handle, &Session)) -> Option<Cursor> {
        let end = (cursor.0 as usize).saturating_add(SESSIONS_PER_PAGE).min(self.fresh as usize);
        for index in cursor.0 as usize..end {
            let handle = Handle(index as u32);
            if let Some(session) = self.get(handle) {
                visit(handle, session);
            }
        }
        (end < self.fresh as usize).then_some(Cursor(end as u32))
    }

    /// The numbers that telemetry shows.
    pub fn gauges(&self) -> Gauges {
        Gauges {
            sessions: self.len() as u32,
            capacity: self.capacity() as u32,
            spilled: self.buckets.spilled(),
            refused_full: self.refused_full,
            refused_buckets: self.refused_buckets,
        }
    }

    /// Bytes that the table takes, all told.
    pub fn memory(&self) -> usize {
        self.slab.len() * size_of::<Session>()
            + self.buckets.memory()
            + self.wheel.memory()
            + self.twins.memory()
            + self.free.capacity() * size_of::<u32>()
    }
}
