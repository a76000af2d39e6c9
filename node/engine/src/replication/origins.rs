//! Who opened the sessions of this table. A session keeps its name when another node takes it over;
//! it stores 48 bits of its count, and in the upper 16 bits of the same word the place of its origin
//! in this table. Place 0 is this engine.

use crate::limits::ORIGINS_MAX;
use crate::session::SessionId;

/// The origins of sessions, and how many sessions name each.
#[derive(Debug)]
pub(crate) struct Origins {
    /// By place: how its sessions are called, but for the difference to what they store, so that the
    /// one counter makes the other. Always this long: nearly every packet reads it, without a check.
    names: Box<[SessionId; ORIGINS_MAX]>,
    known: Vec<Origin>,
}

/// An engine of some node in one run of its daemon.
#[derive(Clone, Copy, Debug)]
struct Origin {
    node: u16,
    boot: u32,
    /// The worker, where it stands in a counter.
    worker: u64,
    /// Names that sessions hold of it: each its own and that of its conversation.
    names: u64,
}

const COUNT: u64 = (1 << SessionId::COUNTER_BITS) - 1;

impl Origins {
    /// Of a table whose own sessions are called like `first`.
    pub(crate) fn new(first: SessionId) -> Self {
        let mut known = Vec::with_capacity(ORIGINS_MAX);
        known.push(Origin::of(first));
        Self { names: Box::new([Origin::of(first).name(0); ORIGINS_MAX]), known }
    }

    /// The full name of a stored one.
    #[inline(always)]
    pub(crate) fn name(&self, stored: u64) -> SessionId {
        let place = (stored >> SessionId::COUNTER_BITS) as usize % ORIGINS_MAX;
        let SessionId { node, boot, counter } = self.names[place];
        SessionId { node, boot, counter: counter ^ stored }
    }

    /// How a name is stored; `None` if its origin is new and there is no place for one more.
    pub(crate) fn store(&mut self, id: SessionId) -> Option<u64> {
        let place = self.place(id)?;
        Some((place as u64) << SessionId::COUNTER_BITS | id.counter & COUNT)
    }

    /// Two stored names of the same origin.
    pub(crate) const fn is_same(a: u64, b: u64) -> bool {
        a >> SessionId::COUNTER_BITS == b >> SessionId::COUNTER_BITS
    }

    /// A session comes to hold this name.
    pub(crate) fn hold(&mut self, stored: u64) {
        if let Some(origin) = self.foreign(stored) {
            origin.names += 1;
        }
    }

    /// A session that held this name is gone.
    #[inline]
    pub(crate) fn let_go(&mut self, stored: u64) {
        if let Some(origin) = self.foreign(stored) {
            origin.names = origin.names.saturating_sub(1);
        }
    }

    /// Origins known, this engine included.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.known.len()
    }

    fn foreign(&mut self, stored: u64) -> Option<&mut Origin> {
        match (stored >> SessionId::COUNTER_BITS) as usize {
            0 => None,
            place => self.known.get_mut(place),
        }
    }

    fn place(&mut self, id: SessionId) -> Option<usize> {
        let wanted = Origin::of(id);
        if let Some(place) = self.known.iter().position(|origin| origin.is(&wanted)) {
            return Some(place);
        }
        // A place that no session names any more, first of all; its origin will hardly come back.
        let free = self.known.iter().skip(1).position(|origin| origin.names == 0);
        match free {
            Some(place) => self.known[place + 1] = wanted,
            None if self.known.len() < ORIGINS_MAX => self.known.push(wanted),
            None => return None,
        }
        let place = free.map_or(self.known.len() - 1, |place| place + 1);
        self.names[place] = wanted.name(place);
        Some(place)
    }
}

impl Origin {
    const fn of(id: SessionId) -> Self {
        Self { node: id.node, boot: id.boot, worker: id.counter & !COUNT, names: 0 }
    }

    const fn name(&self, place: usize) -> SessionId {
        let stored = (place as u64) << SessionId::COUNTER_BITS;
        SessionId { node: self.node, boot: self.boot, counter: self.worker ^ stored }
    }

    fn is(&self, other: &Self) -> bool {
        (self.node, self.boot, self.worker) == (other.node, other.boot, other.worker)
    }
}

const _: () = assert!(ORIGINS_MAX.is_power_of_two());

#[cfg(test)]
mod tests {
    use super::*;

    fn id(node: u16, worker: u64, count: u64) -> SessionId {
        SessionId { node, boot: 7, counter: worker << SessionId::COUNTER_BITS | count }
    }

    #[test]
    fn a_name_comes_back_as_it_was() {
        let mut origins = Origins::new(id(1, 2, 0));
        for name in [id(1, 2, 9), id(2, 2, 9), id(1, 3, COUNT), id(2, 2, 10)] {
            let stored = origins.store(name).expect("room");
            origins.hold(stored);
            assert_eq!(origins.name(stored), name);
        }
        assert_eq!(origins.name(5), id(1, 2, 5));
        assert_eq!(origins.len(), 3);
    }

    #[test]
    fn a_place_that_nobody_names_is_given_to_another() {
        let mut origins = Origins::new(id(0, 0, 0));
        let stored: Vec<u64> = (1..ORIGINS_MAX as u16)
            .map(|node| {
                let stored = origins.store(id(node, 0, 1)).expect("room");
                origins.hold(stored);
                stored
            })
            .collect();
        assert_eq!(origins.store(id(u16::MAX, 0, 1)), None);
        origins.let_go(stored[5]);
        let again = origins.store(id(u16::MAX, 0, 77)).expect("a place is free");
        assert_eq!(origins.name(again), id(u16::MAX, 0, 77));
        assert_eq!(again >> SessionId::COUNTER_BITS, stored[5] >> SessionId::COUNTER_BITS);
    }
}
