//! Checking the table against itself, after a panic in the middle of something.
//!
//! The slab is what counts: a place is in use if its session says so. Buckets, free list and timers
//! follow from it, so a table that fails the audit is rebuilt from its slab.

use super::SessionTable;
use super::twins::SECOND;
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
    /// Sessions that had to be given up: their key was there twice, or found no room any more.
    pub dropped: usize,
}

impl Audit {
    /// Everything that was wrong, and is right now.
    pub const fn repairs(&self) -> usize {
        self.entries + self.lost + self.spills + self.places + self.timers + self.dropped
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
            dropped: 0,
        };
        if audit.repairs() > 0 {
            audit.dropped = self.rebuild();
        }
        audit.timers = self.audit_timers();
        audit
    }

    fn audit_timers(&mut self) -> usize {
        let Self { wheel, slab, .. } = self;
        wheel.audit(|index| {
            let session = slab.get(index as usize)?;
            session.flags.has(Flags::LIVE).then_some(session.deadline)
        })
    }

    /// Indices of the places in use.
    fn live(&self) -> impl Iterator<Item = u32> + '_ {
        let used = |&index: &u32| self.slab[index as usize].flags.has(Flags::LIVE);
        (0..self.slab.len() as u32).filter(used)
    }

    fn is_sound(&self, (at, tag, index): (usize, u16, u32)) -> bool {
        self.hash_of(index).is_some_and(|hash| self.buckets.belongs(hash, at, tag))
    }

    fn is_found(&self, index: u32) -> bool {
        let keys =
            [index, index | SECOND].into_iter().filter_map(|it| Some((it, self.hash_of(it)?)));
        let missing = |(index, hash): &(u32, u64)| {
            self.buckets.find(*hash, |found| found == *index).is_none()
        };
        !keys.into_iter().any(|key| missing(&key))
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
            self.hash_of(index).is_some_and(|hash| {
                self.buckets.primary(hash) == primary && self.buckets.is_spilled(hash, at)
            })
        };
        entries.filter(from).count() as u32
    }

    fn spills_wrong(&self) -> usize {
        let mut spills = vec![0_u32; self.buckets.len()];
        for (at, _, index) in self.buckets.entries().filter(|&entry| self.is_sound(entry)) {
            let Some(hash) = self.hash_of(index) else { continue };
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

    /// Buckets, free list and timers anew from the slab; returns how many sessions were given up: in another
    /// order, keys of two buckets that are nearly full may not find room for each of them.
    pub(super) fn rebuild(&mut self) -> usize {
        let dropped = self.rebuild_buckets();
        if dropped > 0 {
            self.audit_timers();
        }
        dropped
    }

    fn rebuild_buckets(&mut self) -> usize {
        self.buckets.clear();
        self.free.clear();
        self.fresh = self.live().last().map_or(0, |index| index + 1);
        let mut dropped = 0;
        for index in (0..self.fresh).rev() {
            let session = self.slab[index as usize];
            let hash = self.keyed.hash(&session.key);
            let live = session.flags.has(Flags::LIVE);
            let unique = live && self.locate(hash, &session.key).is_none();
            let found = unique && self.buckets.insert(hash, index) && self.restore_twin(index);
            if !found {
                dropped += usize::from(live);
                self.slab[index as usize].flags.set(Flags::LIVE, false);
                self.free.push(index);
            }
        }
        dropped
    }

    /// Puts the second key of a session in again, if it has one; without a place for it, the first one goes,
    /// too.
    fn restore_twin(&mut self, index: u32) -> bool {
        let session = self.slab[index as usize];
        let Some(key) = self.twins.of(index, &session).map(|twin| twin.key) else { return true };
        let hash = self.keyed.hash(&key);
        let restored =
            self.locate(hash, &key).is_none() && self.buckets.insert(hash, index | SECOND);
        if !restored {
            self.buckets.remove(self.keyed.hash(&session.key), index);
        }
        restored
    }
}
