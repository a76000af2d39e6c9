//! What waits to be sent, place by place: four lists through one array, so that a note costs no
//! memory and a session stands in one list at most.

use wire::Time;

/// The lists. A session in a higher one is not put into a lower one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub(super) enum Queue {
    /// Walked by a bulk; leaves as the bulk's window allows.
    Bulk = 1,
    /// Changed; waits to be merged with the next change.
    Update = 2,
    /// New, or somebody holds a packet for it; leaves at once.
    Insert = 3,
}

/// Which sessions wait, where, and since when.
#[derive(Debug)]
pub(super) struct Queues {
    places: Box<[Place]>,
    lists: [List; 3],
    /// Places with [`BULK_PENDING`].
    bulk_pending: u32,
    /// Places with [`HELD`].
    held: u32,
}

/// One place's links, in a quarter of a cache line.
#[derive(Clone, Copy, Debug)]
struct Place {
    next: u32,
    previous: u32,
    /// When the oldest change not yet sent was noted; see [`Stamp`].
    noted: Stamp,
    queue: Option<Queue>,
    bits: u8,
}

#[derive(Clone, Copy, Debug)]
struct List {
    first: u32,
    last: u32,
    len: u32,
}

/// A point in time in units of 8,192 ns, which wraps after 9.7 hours. Nothing that a live peer has
/// not acknowledged is nearly as old; of what waits for a dead one no age is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(u32);

/// Somebody holds a packet until the place's record is acknowledged.
pub(super) const HELD: u8 = 1;
/// A bulk must bring it over, in whichever message.
pub(super) const BULK_PENDING: u8 = 2;
/// It only answers a stale record.
pub(super) const ANSWER: u8 = 4;

const NIL: u32 = u32::MAX;
const STAMP_SHIFT: u32 = 13;

impl Queues {
    /// Lists over so many places.
    pub(super) fn new(places: u32) -> Self {
        let place = Place { next: NIL, previous: NIL, noted: Stamp(0), queue: None, bits: 0 };
        Self {
            places: vec![place; places as usize].into_boxed_slice(),
            lists: [List { first: NIL, last: NIL, len: 0 }; 3],
            bulk_pending: 0,
            held: 0,
        }
    }

    pub(super) fn has(&self, place: u32) -> bool {
        (place as usize) < self.places.len()
    }

    pub(super) fn len(&self, queue: Queue) -> u32 {
        self.lists[queue as usize - 1].len
    }

    pub(super) fn bulk_pending(&self) -> u32 {
        self.bulk_pending
    }

    pub(super) fn queue(&self, place: u32) -> Option<Queue> {
        self.places[place as usize].queue
    }

    pub(super) fn bits(&self, place: u32) -> u8 {
        self.places[place as usize].bits
    }

    pub(super) fn noted(&self, place: u32) -> Stamp {
        self.places[place as usize].noted
    }

    pub(super) fn first(&self, queue: Queue) -> Option<u32> {
        let first = self.lists[queue as usize - 1].first;
        (first != NIL).then_some(first)
    }

    /// Puts a place at the end of a list, unless it stands in that or a higher one. It keeps the
    /// age of what already waits.
    pub(super) fn enqueue(&mut self, place: u32, queue: Queue, noted: Stamp) {
        let before = self.queue(place);
        if before >= Some(queue) {
            return;
        }
        if before.is_none() || before == Some(Queue::Bulk) {
            self.places[place as usize].noted = noted;
        }
        self.unlink(place);
        let last = self.lists[queue as usize - 1].last;
        self.link(place, queue, last, NIL);
    }

    /// Puts a place at the beginning of a list: it was sent once, and is older than all others.
    pub(super) fn enqueue_again(&mut self, place: u32, queue: Queue, noted: Stamp) {
        let before = self.queue(place);
        self.places[place as usize].noted = noted;
        if before < Some(queue) {
            self.unlink(place);
            let first = self.lists[queue as usize - 1].first;
            self.link(place, queue, NIL, first);
        }
    }

    /// Takes a place out of its list.
    pub(super) fn unlink(&mut self, place: u32) {
        let Place { next, previous, queue, .. } = self.places[place as usize];
        let Some(queue) = queue else { return };
        self.join(queue, previous, next);
        self.lists[queue as usize - 1].len -= 1;
        self.places[place as usize].queue = None;
    }

    pub(super) fn set(&mut self, place: u32, bit: u8) {
        let bits = self.bits(place);
        self.write_bits(place, bits | bit);
    }

    pub(super) fn clear(&mut self, place: u32, bit: u8) {
        let bits = self.bits(place);
        self.write_bits(place, bits & !bit);
    }

    /// Nobody holds a packet for any place any more: the peer is gone.
    pub(super) fn clear_held(&mut self) -> u32 {
        let held = self.held;
        let mut at = self.first(Queue::Insert);
        while let Some(place) = at.filter(|_| self.held > 0) {
            self.clear(place, HELD);
            let next = self.places[place as usize].next;
            at = (next != NIL).then_some(next);
        }
        held
    }

    fn write_bits(&mut self, place: u32, bits: u8) {
        let before = self.bits(place);
        let gained = |bit| u32::from(bits & bit != 0);
        let lost = |bit| u32::from(before & bit != 0);
        self.held = self.held + gained(HELD) - lost(HELD);
        self.bulk_pending = self.bulk_pending + gained(BULK_PENDING) - lost(BULK_PENDING);
        self.places[place as usize].bits = bits;
    }

    fn link(&mut self, place: u32, queue: Queue, previous: u32, next: u32) {
        let entry = &mut self.places[place as usize];
        (entry.previous, entry.next, entry.queue) = (previous, next, Some(queue));
        self.join(queue, previous, place);
        self.join(queue, place, next);
        self.lists[queue as usize - 1].len += 1;
    }

    /// Makes `left` and `right` neighbours; an end of the list where one is none.
    fn join(&mut self, queue: Queue, left: u32, right: u32) {
        match self.places.get_mut(left as usize) {
            Some(left) => left.next = right,
            None => self.lists[queue as usize - 1].first = right,
        }
        match self.places.get_mut(right as usize) {
            Some(right) => right.previous = left,
            None => self.lists[queue as usize - 1].last = left,
        }
    }
}

impl Stamp {
    pub(super) const fn of(time: Time) -> Self {
        Self((time.as_nanos() >> STAMP_SHIFT) as u32)
    }

    /// Nanoseconds from this to `now`; the unit is lost.
    pub(super) const fn age_nanos(self, now: Time) -> u64 {
        (Self::of(now).0.wrapping_sub(self.0) as u64) << STAMP_SHIFT
    }

    /// The point in time, for one that lies before `now`; at most a unit late, so that a deadline
    /// made of it has come when it is asked again.
    pub(super) const fn time(self, now: Time) -> Time {
        let unit = now.as_nanos() >> STAMP_SHIFT;
        let age = (unit as u32).wrapping_sub(self.0) as u64;
        Time(unit.saturating_sub(age) << STAMP_SHIFT)
    }
}

const _: () = assert!(size_of::<Place>() == 16, "four places in a cache line");

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    const NOW: Stamp = Stamp(0);

    /// Every list an own deque: what the links must agree with.
    #[derive(Default)]
    struct Slow([VecDeque<u32>; 3]);

    impl Slow {
        fn queue(&self, place: u32) -> Option<usize> {
            (0..3).find(|queue| self.0[*queue].contains(&place))
        }

        fn enqueue(&mut self, place: u32, queue: usize, front: bool) {
            if self.queue(place) >= Some(queue) {
                return;
            }
            self.unlink(place);
            match front {
                true => self.0[queue].push_front(place),
                false => self.0[queue].push_back(place),
            }
        }

        fn unlink(&mut self, place: u32) {
            self.0.iter_mut().for_each(|list| list.retain(|other| *other != place));
        }
    }

    const ALL: [Queue; 3] = [Queue::Bulk, Queue::Update, Queue::Insert];

    #[test]
    fn a_session_stands_in_the_highest_list_that_asked_for_it() {
        for (before, asked) in ALL.iter().flat_map(|it| ALL.map(|asked| (*it, asked))) {
            let mut queues = Queues::new(1);
            queues.enqueue(0, before, NOW);
            queues.enqueue(0, asked, NOW);
            assert_eq!(queues.queue(0), Some(before.max(asked)), "{before:?} then {asked:?}");
            assert_eq!(ALL.map(|queue| queues.len(queue)).iter().sum::<u32>(), 1);
        }
    }

    #[test]
    fn the_oldest_change_gives_the_age_but_a_bulk_gives_none() {
        let mut queues = Queues::new(2);
        queues.enqueue(0, Queue::Update, Stamp(1));
        queues.enqueue(0, Queue::Insert, Stamp(9));
        assert_eq!(queues.noted(0), Stamp(1));
        queues.enqueue(1, Queue::Bulk, Stamp(1));
        queues.enqueue(1, Queue::Update, Stamp(9));
        assert_eq!(queues.noted(1), Stamp(9));
    }

    #[test]
    fn stamps_survive_their_wrap() {
        let before = Time(((1_u64 << 32) - 1) << STAMP_SHIFT);
        let after = Time(before.0 + (3 << STAMP_SHIFT));
        assert_eq!(Stamp::of(before).age_nanos(after), 3 << STAMP_SHIFT);
        assert_eq!(Stamp::of(before).time(after), before);
    }

    proptest! {
        #[test]
        fn links_agree_with_deques(
            steps in prop::collection::vec((0_u32..8, 0_usize..3, 0_u8..3), 0..200),
        ) {
            let (mut queues, mut slow) = (Queues::new(8), Slow::default());
            for (place, queue, what) in steps {
                match what {
                    0 => queues.enqueue(place, ALL[queue], NOW),
                    1 => queues.enqueue_again(place, ALL[queue], NOW),
                    _ => queues.unlink(place),
                }
                match what {
                    0 | 1 => slow.enqueue(place, queue, what == 1),
                    _ => slow.unlink(place),
                }
                for (queue, list) in ALL.iter().zip(&slow.0) {
                    let mut found = Vec::new();
                    let mut at = queues.first(*queue);
                    while let Some(place) = at {
                        found.push(place);
                        let next = queues.places[place as usize].next;
                        at = (next != NIL).then_some(next);
                    }
                    prop_assert_eq!(&found, &Vec::from(list.clone()));
                    prop_assert_eq!(queues.len(*queue) as usize, found.len());
                    prop_assert_eq!(
                        queues.lists[*queue as usize - 1].last,
                        found.last().copied().unwrap_or(NIL)
                    );
                }
            }
        }
    }
}
