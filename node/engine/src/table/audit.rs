//! Checking the table against itself, after a panic in the middle of something.
//!
//! The slab is what counts: a place is in use if its session says so. Buckets, free list and timers
//! follow from it, so a table that fails the audit is rebuilt from its slab.

use super::bucket::FREE;
use super::{Handle, SessionTable};
use crate::session::Flags;

/// What an audit found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Audit {
    /// Bucket entries that pointed nowhere, to a free place, or from the wrong bucket.
    pub entries: usize,
    /// Sessions that could not be found by their key.
    pub lost: usize,
    /// Buckets whose spill count was wrong.
    pub spills: usize,
    /// Places that were free and used at once, or neither.
    pub places: usize,
    /// Timers that were missing, superfluous or badly linked.
    pub timers: usize,
    /// Second keys of translated sessions that were missing or pointed to another.
    pub twins: usize,
    /// Sessions that had to be given up: their key was there twice, or found no room any more.
    pub dropped: usize,
}

impl Audit {
    /// Everything that was wrong, and is right now.
    pub const fn repairs(&self) -> usize {
        let keys = self.entries + self.lost + self.spills + self.twins;
        keys + self.places + self.timers + self.dropped
    }
}

impl SessionTable {
    /// Checks the two buckets of a hash; if anything in them is wrong, the whole table is audited.
    /// Returns the number of repairs.
    pub fn audit_bucket(&mut self, hash: u64) -> usize {
        let wrong = self.buckets.near(hash).any(|entry| !self.is_sound(entry));
        let spills = self.spills_wrong_near(hash);
        if wrong || spills { self.audit().repairs() } else { 0 }
    }

    /// Checks everything, in time linear in the capacity, and repairs what is wrong.
    pub fn audit(&mut self) -> Audit {
        let mut audit = Audit {
            entries: self.buckets.entries().filter(|&entry| !self.is_sound(entry)).count(),
            lost: self.live().filter(|&index| !self.is_found(index)).count(),
            spills: self.spills_wrong(),
            places: self.places_wrong(),
            timers: 0,
            twins: self.twins_wrong(),
            dropped: 0,
        };
        if audit.repairs() > 0 {
            audit.dropped = self.rebuild() + self.rebuild_twins();
        }
        let Self { wheel, slab, .. } = self;
        audit.timers = wheel.audit(|index| {
            let session = slab.get(index as usize)?;
            session.flags.has(Flags::LIVE).then_some(session.deadline)
        });
        audit
    }

    /// Indices of the places in use.
    fn live(&self) -> impl Iterator<Item = u32> + '_ {
        let used = |&index: &u32| self.slab[index as usize].flags.has(Flags::LIVE);
        (0..self.slab.len() as u32).filter(used)
    }

    fn is_sound(&self, (at, tag, index): (usize, u16, u32)) -> bool {
        index != FREE
            && self.slab.get(index as usize).is_some_and(|session| {
                let hash = self.keyed.hash(&session.key);
                session.flags.has(Flags::LIVE) && self.buckets.belongs(hash, at, tag)
            })
    }

    fn is_found(&self, index: u32) -> bool {
        let hash = self.keyed.hash(&self.slab[index as usize].key);
        self.buckets.find(hash, |found| found == index).is_some()
    }

    /// Whether the primary bucket of `hash` counts fewer spilled keys than its secondary one shows.
    fn spills_wrong_near(&self, hash: u64) -> bool {
        let primary = self.buckets.primary(hash);
        let seen = self.spilled_from(self.buckets.near(hash), primary);
        self.buckets.spill_of(primary) < seen
    }

    fn spilled_from(
        &self,
        entries: impl Iterator<Item = (usize, u16, u32)>,
        primary: usize,
    ) -> u32 {
        let from = |&(at, _, index): &(usize, u16, u32)| {
            self.slab.get(index as usize).is_some_and(|session| {
                let hash = self.keyed.hash(&session.key);
                self.buckets.primary(hash) == primary && self.buckets.is_spilled(hash, at)
            })
        };
        entries.filter(from).count() as u32
    }

    fn spills_wrong(&self) -> usize {
        let mut spills = vec![0_u32; self.buckets.len()];
        for (at, _, index) in self.buckets.entries().filter(|&entry| self.is_sound(entry)) {
            let hash = self.keyed.hash(&self.slab[index as usize].key);
            spills[self.buckets.primary(hash)] += u32::from(self.buckets.is_spilled(hash, at));
        }
        spills.iter().enumerate().filter(|&(at, &spill)| spill != self.buckets.spill_of(at)).count()
    }

    fn places_wrong(&self) -> usize {
        let mut free = vec![false; self.slab.len()];
        let mut wrong = 0;
        for &index in &self.free {
            match free.get_mut(index as usize) {
                Some(seen) if !*seen && index < self.fresh => *seen = true,
                Some(_) | None => wrong += 1,
            }
        }
        let place = |(index, session): (usize, &crate::session::Session)| {
            let unused = free[index] || index >= self.fresh as usize;
            unused == session.flags.has(Flags::LIVE)
        };
        wrong + self.slab.iter().enumerate().filter(|&entry| place(entry)).count()
    }

    /// Buckets and free list anew from the slab; returns how many sessions were given up.
    fn rebuild(&mut self) -> usize {
        self.buckets.clear();
        self.free.clear();
        self.fresh = self.live().last().map_or(0, |index| index + 1);
        let mut dropped = 0;
        for index in (0..self.fresh).rev() {
            let session = self.slab[index as usize];
            let hash = self.keyed.hash(&session.key);
            let live = session.flags.has(Flags::LIVE);
            let unique = live && self.find(hash, &session.key).is_none();
            if !(unique && self.buckets.insert(hash, index)) {
                dropped += usize::from(live);
                self.slab[index as usize].flags.set(Flags::LIVE, false);
                self.free.push(index);
            }
        }
        dropped
    }

    /// Takes a session out whose second key found no place.
    pub(super) fn give_up(&mut self, handle: Handle) -> bool {
        let Some(session) = self.slab.get_mut(handle.0 as usize) else { return false };
        session.flags.set(Flags::LIVE, false);
        let hash = self.keyed.hash(&session.key);
        self.free.push(handle.0);
        self.buckets.remove(hash, handle.0)
    }
}
