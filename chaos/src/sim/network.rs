//! What is between the nodes and hosts: three segments with weather, cuts and links that go down. It
//! keeps books: what entered, what it made more of, what it lost.

use core::ops::Range;
use core::time::Duration;

use wire::Time;

use super::dice::Dice;
use super::topology::SEGMENTS;

/// What a segment does to what crosses it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Weather {
    /// Lost, of a thousand.
    pub(crate) loss: u64,
    /// Doubled, of a thousand.
    pub(crate) doubled: u64,
    /// How long the way is, microseconds; a wide range lets later things overtake.
    pub(crate) delay: Range<u64>,
}

impl Weather {
    pub(crate) const FAIR: Self = Self { loss: 0, doubled: 0, delay: 40..160 };
}

/// One end of a way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum End {
    Node(usize),
    Hosts,
}

/// All segments.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) weather: [Weather; SEGMENTS],
    /// How many cuts lie on the way between the nodes, by segment and sender.
    cuts: [[u32; 2]; SEGMENTS],
    /// How many reasons keep a node's link down, by segment and node.
    down: [[u32; 2]; SEGMENTS],
    /// When every way in both directions was last cut.
    apart_until: Option<Time>,
    pub(crate) books: Books,
    dice: Dice,
}

/// Frames, in all segments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Books {
    pub(crate) sent: u64,
    pub(crate) doubled: u64,
    pub(crate) lost: u64,
    pub(crate) arrived: u64,
}

impl Network {
    pub(crate) fn new(dice: Dice) -> Self {
        Self {
            weather: [Weather::FAIR, Weather::FAIR, Weather::FAIR],
            cuts: [[0; 2]; SEGMENTS],
            down: [[0; 2]; SEGMENTS],
            apart_until: None,
            books: Books::default(),
            dice,
        }
    }

    /// How long each copy of a thing takes that is sent now; none arrives if it is lost.
    pub(crate) fn ways(&mut self, segment: usize, from: End, to: End) -> [Option<Duration>; 2] {
        let Weather { loss, doubled, delay } = self.weather[segment].clone();
        if self.is_cut(segment, from, to) || self.dice.per_mille(loss) {
            return [None, None];
        }
        let first = Some(self.dice.micros(delay.clone()));
        let twice = self.dice.per_mille(doubled);
        [first, twice.then(|| self.dice.micros(delay))]
    }

    /// The same for a frame, which is entered in the books.
    pub(crate) fn frame_ways(
        &mut self,
        segment: usize,
        from: End,
        to: End,
    ) -> [Option<Duration>; 2] {
        let ways = self.ways(segment, from, to);
        self.books.sent += 1;
        self.books.lost += u64::from(ways[0].is_none());
        self.books.doubled += u64::from(ways[1].is_some());
        ways
    }

    fn is_cut(&self, segment: usize, from: End, to: End) -> bool {
        let link = |end| match end {
            End::Node(node) => self.down[segment][node] > 0,
            End::Hosts => false,
        };
        let cut = match (from, to) {
            (End::Node(from), End::Node(_)) => self.cuts[segment][from] > 0,
            (End::Node(_) | End::Hosts, _) => false,
        };
        cut || link(from) || link(to)
    }

    /// Cuts the way from `node` to the other, or takes one cut away.
    pub(crate) fn cut(&mut self, segment: usize, node: usize, on: bool, now: Time) {
        self.note_apart(now);
        count(&mut self.cuts[segment][node], on);
        self.note_apart(now);
    }

    /// Takes a node's link down, or one reason for it away.
    pub(crate) fn take_down(&mut self, segment: usize, node: usize, on: bool, now: Time) {
        self.note_apart(now);
        count(&mut self.down[segment][node], on);
        self.note_apart(now);
    }

    pub(crate) fn has_link(&self, segment: usize, node: usize) -> bool {
        self.down[segment][node] == 0
    }

    /// Whether not a single way is open between the nodes, in either direction.
    pub(crate) fn is_apart(&self) -> bool {
        (0..SEGMENTS).all(|segment| {
            self.is_cut(segment, End::Node(0), End::Node(1))
                && self.is_cut(segment, End::Node(1), End::Node(0))
        })
    }

    fn note_apart(&mut self, now: Time) {
        if self.is_apart() {
            self.apart_until = Some(now);
        }
    }

    /// How long ago the nodes were apart last; `None` if never.
    pub(crate) fn apart_ago(&self, now: Time) -> Option<Duration> {
        if self.is_apart() {
            Some(Duration::ZERO)
        } else {
            self.apart_until.map(|at| now.since(at))
        }
    }

    /// Whether the fabric brings everything, soon.
    pub(crate) fn fabric_is_fair(&self) -> bool {
        let open =
            [(0, 1), (1, 0)].into_iter().all(|(a, b)| !self.is_cut(0, End::Node(a), End::Node(b)));
        open && self.weather[0] == Weather::FAIR
    }
}

const fn count(reasons: &mut u32, on: bool) {
    *reasons = if on { *reasons + 1 } else { reasons.saturating_sub(1) };
}
