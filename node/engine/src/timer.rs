//! A hashed timer wheel over the indices of a slab.
//!
//! ```text
//!            cursor
//!              ▼
//!  slots  ┌──┬──┬──┬──┬──┬──┐   slot = tick mod SLOTS, tick = ⌈deadline / granularity⌉
//!         │  │  │  │  │  │  │
//!         └──┴┬─┴──┴┬─┴──┴──┘
//!             5     9 ⇄ 2 ⇄ 7   doubly linked through `links`, no memory of its own
//! ```
//!
//! *Lazy*: a packet that prolongs a life writes the deadline into its session and leaves the wheel
//! alone. When the entry's slot comes up it is *visited*; the visitor says what the true deadline is,
//! and the entry is put where that belongs. Only a life that gets *shorter* must be told to the wheel
//! ([`TimerWheel::arm`]). A deadline beyond the wheel's span waits in the farthest slot and is put
//! forward from there, once per revolution; five days are a few hundred visits.
//!
//! *Bounded*: [`TimerWheel::advance`] visits at most its budget and goes on next time where it
//! stopped, in order. So nothing fires early, and nothing fires later than one granularity, plus the
//! time to the next call, plus (visits left over ÷ budget) calls.

#[cfg(test)]
mod tests;

use wire::Time;

use crate::limits::{TIMER_GRANULARITY_NANOS, TIMER_SLOTS};

/// Timers for the indices `0..capacity`, at most one each.
#[derive(Debug)]
pub struct TimerWheel {
    /// The next tick to drain; every earlier one is empty.
    cursor: u64,
    /// First index of each slot's list, or [`NONE`].
    heads: Box<[u32]>,
    /// One bit a slot: set if its list is not empty. Lets a quiet wheel skip ahead.
    occupied: Box<[u64]>,
    links: Box<[Link]>,
    armed: usize,
}

/// What a visitor decides about an entry whose slot came up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Visit {
    /// The deadline was put off: fire again at this time.
    Rearm(Time),
    /// The timer is done with and stays unarmed until the next [`TimerWheel::arm`].
    Done,
}

/// What one call of [`TimerWheel::advance`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Advance {
    /// Entries visited, at most the budget.
    pub visits: usize,
    /// The budget ran out before the time was reached; the rest comes first in the next call.
    pub behind: bool,
}

/// A place in the list of one slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Link {
    previous: u32,
    next: u32,
    /// The tick it is armed for, in the low 32 bits; only compared within one revolution.
    tick: u32,
}

/// No index: the end of a list, or an entry that is not armed.
const NONE: u32 = u32::MAX;
/// In `previous`: not armed.
const UNARMED: u32 = u32::MAX - 1;

impl Link {
    const UNARMED: Self = Self { previous: UNARMED, next: NONE, tick: 0 };

    const fn is_armed(&self) -> bool {
        self.previous != UNARMED
    }
}

impl TimerWheel {
    /// A wheel for `capacity` indices that has seen everything before `start`. Allocates here only.
    pub fn new(capacity: u32, start: Time) -> Self {
        assert!(capacity < UNARMED, "two indices are reserved");
        Self {
            cursor: start.0 / TIMER_GRANULARITY_NANOS,
            heads: vec![NONE; TIMER_SLOTS].into_boxed_slice(),
            occupied: vec![0; TIMER_SLOTS.div_ceil(64)].into_boxed_slice(),
            links: vec![Link::UNARMED; capacity as usize].into_boxed_slice(),
            armed: 0,
        }
    }

    /// Indices that have a timer.
    pub fn armed(&self) -> usize {
        self.armed
    }

    /// Whether `index` has a timer.
    pub fn is_armed(&self, index: u32) -> bool {
        self.links[index as usize].is_armed()
    }

    /// Bytes that the wheel takes.
    pub fn memory(&self) -> usize {
        self.heads.len() * size_of::<u32>()
            + self.occupied.len() * size_of::<u64>()
            + self.links.len() * size_of::<Link>()
    }

    /// Makes `index` fire no later than `deadline` (within the lag of the module's text). If it is
    /// armed for an earlier time it stays there, and its visitor will put it off.
    pub fn arm(&mut self, index: u32, deadline: Time) {
        let tick = self.tick_of(deadline);
        let link = self.links[index as usize];
        if link.is_armed() {
            if self.ticks_ahead(link.tick) <= tick - self.cursor {
                return;
            }
            self.unlink(index);
        }
        self.link(index, tick);
    }

    /// Takes the timer of `index` away; nothing happens if it has none.
    pub fn disarm(&mut self, index: u32) {
        if self.links[index as usize].is_armed() {
            self.unlink(index);
        }
    }

    /// Visits what is due at `now`, oldest tick first, at most `budget` entries.
    pub fn advance(
        &mut self,
        now: Time,
        budget: usize,
        mut visit: impl FnMut(u32) -> Visit,
    ) -> Advance {
        let last = now.0 / TIMER_GRANULARITY_NANOS;
        let mut visits = 0;
        while let Some(tick) = self.next_occupied(last) {
            self.cursor = tick;
            let slot = slot_of(tick);
            while self.heads[slot] != NONE {
                if visits == budget {
                    return Advance { visits, behind: true };
                }
                visits += 1;
                self.visit_first(slot, &mut visit);
            }
        }
        self.cursor = self.cursor.max(last.saturating_add(1));
        Advance { visits, behind: false }
    }

    /// When the next slot that holds anything comes up; the entries in it may turn out to be put
    /// off, so this is a lower bound. `None` if nothing is armed.
    pub fn next_deadline(&self) -> Option<Time> {
        let tick = self.next_occupied(self.cursor + TIMER_SLOTS as u64 - 1)?;
        Some(Time(tick.saturating_mul(TIMER_GRANULARITY_NANOS)))
    }

    /// Links that cannot be right: used by the audit after a panic. Returns how many entries were
    /// wrong; if any, the whole wheel was rebuilt with `deadline_of` as the only truth.
    pub fn audit(&mut self, deadline_of: impl Fn(u32) -> Option<Time>) -> usize {
        let wrong = self.count_wrong(&deadline_of);
        if wrong > 0 {
            self.rebuild(deadline_of);
        }
        wrong
    }

    fn visit_first(&mut self, slot: usize, visit: &mut impl FnMut(u32) -> Visit) {
        let index = self.heads[slot];
        match visit(index) {
            Visit::Done => self.unlink(index),
            Visit::Rearm(deadline) => {
                self.unlink(index);
                // A later slot, whatever the deadline says: a visitor cannot hold the wheel up.
                let tick = self.tick_of(deadline).max(self.cursor + 1);
                self.link(index, tick);
            }
        }
    }

    /// The first occupied tick in `cursor..=last`.
    fn next_occupied(&self, last: u64) -> Option<u64> {
        let mut tick = self.cursor;
        let end = last.min(self.cursor + TIMER_SLOTS as u64 - 1);
        while tick <= end {
            let slot = slot_of(tick);
            let rest = self.occupied[slot / 64] >> (slot % 64);
            if rest != 0 {
                let found = tick + u64::from(rest.trailing_zeros());
                return (found <= end).then_some(found);
            }
            tick += 64 - (slot % 64) as u64;
        }
        None
    }

    /// The tick at which `deadline` has certainly passed, kept within the wheel's span.
    fn tick_of(&self, deadline: Time) -> u64 {
        let tick = deadline.0.div_ceil(TIMER_GRANULARITY_NANOS);
        tick.clamp(self.cursor, self.cursor + TIMER_SLOTS as u64 - 1)
    }

    /// How many ticks after the cursor an armed entry stands.
    fn ticks_ahead(&self, tick: u32) -> u64 {
        u64::from(tick.wrapping_sub(self.cursor as u32))
    }

    fn link(&mut self, index: u32, tick: u64) {
        let slot = slot_of(tick);
        let head = self.heads[slot];
        self.links[index as usize] = Link { previous: NONE, next: head, tick: tick as u32 };
        if head != NONE {
            self.links[head as usize].previous = index;
        }
        self.heads[slot] = index;
        self.occupied[slot / 64] |= 1 << (slot % 64);
        self.armed += 1;
    }

    fn unlink(&mut self, index: u32) {
        let link = self.links[index as usize];
        let slot = slot_of(u64::from(link.tick));
        match link.previous {
            NONE => self.heads[slot] = link.next,
            previous => self.links[previous as usize].next = link.next,
        }
        if link.next != NONE {
            self.links[link.next as usize].previous = link.previous;
        }
        if self.heads[slot] == NONE {
            self.occupied[slot / 64] &= !(1 << (slot % 64));
        }
        self.links[index as usize] = Link::UNARMED;
        self.armed -= 1;
    }

    fn count_wrong(&self, deadline_of: &impl Fn(u32) -> Option<Time>) -> usize {
        let wants = |index: u32| deadline_of(index).is_some();
        let unarmed = (0..self.links.len() as u32)
            .filter(|&index| wants(index) != self.links[index as usize].is_armed())
            .count();
        let reached: usize = (0..TIMER_SLOTS).map(|slot| self.walk(slot)).sum();
        unarmed + reached.abs_diff(self.armed)
    }

    /// Entries reachable from a slot's head whose links agree with each other.
    fn walk(&self, slot: usize) -> usize {
        let (mut seen, mut previous, mut index) = (0, NONE, self.heads[slot]);
        while index != NONE && seen <= self.links.len() {
            let Some(link) = self.links.get(index as usize) else { break };
            if link.previous != previous || slot_of(u64::from(link.tick)) != slot {
                break;
            }
            (seen, previous, index) = (seen + 1, index, link.next);
        }
        seen
    }

    fn rebuild(&mut self, deadline_of: impl Fn(u32) -> Option<Time>) {
        self.heads.fill(NONE);
        self.occupied.fill(0);
        self.links.fill(Link::UNARMED);
        self.armed = 0;
        for index in 0..self.links.len() as u32 {
            if let Some(deadline) = deadline_of(index) {
                let tick = self.tick_of(deadline);
                self.link(index, tick);
            }
        }
    }
}

fn slot_of(tick: u64) -> usize {
    tick as usize % TIMER_SLOTS
}

const _: () = assert!(TIMER_SLOTS.is_power_of_two() && TIMER_SLOTS >= 64);
// `Link::tick` keeps 32 bits, which must name the same slot.
const _: () = assert!(TIMER_SLOTS <= 1 << 31);
