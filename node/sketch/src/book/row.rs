//! The rows of a book.

use crate::distinct::Distinct;
use crate::entropy::Entropy;
use crate::limits::{ROW_REGISTERS, SCOPE_CELLS};
use crate::observation::{Kind, Measure, Measures, Observation};
use crate::place::Place;
use crate::rows::Noted;

/// Counts of one row.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Tally {
    /// Packets of what was told.
    pub packets: u64,
    /// Bytes of what was told.
    pub bytes: u64,
    counts: [u32; Measure::COUNT],
}

impl Tally {
    const EMPTY: Self = Self { packets: 0, bytes: 0, counts: [0; _] };

    /// The count of one measure.
    #[inline]
    pub const fn of(&self, measure: Measure) -> u32 {
        self.counts[measure as usize]
    }

    /// Sets the count of one measure: of a tally that comes from another node.
    pub const fn set(&mut self, measure: Measure, count: u32) {
        self.counts[measure as usize] = count;
    }

    /// The sum of several.
    pub fn sum(&self, measures: Measures) -> u64 {
        measures.iter().map(|measure| u64::from(self.of(measure))).sum()
    }

    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        let pairs = self.counts.iter_mut().zip(&other.counts);
        pairs.for_each(|(count, more)| *count = count.saturating_add(*more));
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    #[inline]
    fn add(&mut self, delta: &Delta) {
        for (measure, by) in delta.counts {
            let count = &mut self.counts[measure as usize];
            *count = count.saturating_add(by);
        }
        // What is added up by ones and by bytes of packets does not reach the end of 64 bits.
        self.packets = self.packets.wrapping_add(delta.packets.into());
        self.bytes = self.bytes.wrapping_add(delta.bytes);
    }

    /// Sessions and packets: how busy the row is.
    fn weight(&self) -> u32 {
        u32::try_from(self.packets).unwrap_or(u32::MAX)
    }
}

/// What one observation adds to a tally: made once, added to every row that it concerns.
pub(super) struct Delta {
    /// The counts that grow, and by how much. If there are fewer, some grow by nothing.
    counts: [(Measure, u32); MEASURES_MAX],
    pub(super) packets: u32,
    bytes: u64,
    /// It is an attempt that failed, so that its port and host count.
    pub(super) failed: bool,
    /// It is the first packet of a flow, let through or not.
    begins: bool,
}

/// Measures of one observation at most.
const MEASURES_MAX: usize = 3;

impl Delta {
    #[inline]
    pub(super) fn new(it: &Observation) -> Self {
        let mut counts = [(Measure::Syn, 0); MEASURES_MAX];
        let measures = it.measures();
        let mut left = measures.bits();
        for count in &mut counts {
            if left != 0 {
                let measure = Measure::ALL[left.trailing_zeros() as usize];
                let of_packets = Measure::OF_PACKETS.has(measure);
                *count = (measure, if of_packets { it.packets.max(1) } else { 1 });
                left &= left - 1;
            }
        }
        let begins = matches!(it.kind, Kind::Permitted | Kind::Denied(_));
        let failed = measures.has_any(Measure::FAILED);
        Self { counts, packets: it.packets, bytes: it.bytes, failed, begins }
    }
}

/// What a source does.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct SourceRow {
    /// Counts.
    pub tally: Tally,
    /// The last destination at which it failed.
    pub target: Place,
    /// Ports, with their protocols, at which it failed.
    pub ports: Distinct<ROW_REGISTERS>,
    /// Destinations at which it failed.
    pub hosts: Distinct<ROW_REGISTERS>,
}

impl SourceRow {
    #[inline]
    pub(super) fn note(&mut self, delta: &Delta, port: u64, (host, target): (u64, &Place)) {
        self.tally.add(delta);
        if delta.failed {
            self.ports.insert(port);
            self.hosts.insert(host);
            self.target = *target;
        }
    }
}

impl Noted for SourceRow {
    /// Who probed different ports or hosts stays before who was only busy; of those the busier.
    fn rank(&self) -> u16 {
        let probes = spread(&self.ports) + spread(&self.hosts);
        probes.saturating_sub(2) * 256 + self.tally.weight().min(255) as u16
    }

    fn weight(&self) -> u32 {
        self.tally.weight()
    }

    fn reset(&mut self) {
        self.tally = Tally::EMPTY;
        self.ports.clear();
        self.hosts.clear();
    }

    #[inline]
    fn touch(&self) -> u32 {
        self.tally.weight() ^ self.ports.touch() ^ self.hosts.touch()
    }
}

/// How many different ones, as far as it matters for a rank: one of each is no sign of anything.
fn spread(distinct: &Distinct<ROW_REGISTERS>) -> u16 {
    if distinct.is_exact() { distinct.count() as u16 } else { 100 }
}

/// What is done to a destination.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct DestinationRow {
    /// Counts.
    pub tally: Tally,
    /// Ports, with their protocols, at which others failed.
    pub ports: Distinct<ROW_REGISTERS>,
    /// Sources that came.
    pub peers: Distinct<ROW_REGISTERS>,
}

impl DestinationRow {
    #[inline]
    pub(super) fn note(&mut self, delta: &Delta, port: u64, peer: u64) {
        self.tally.add(delta);
        self.peers.insert(peer);
        if delta.failed {
            self.ports.insert(port);
        }
    }
}

impl Noted for DestinationRow {
    /// The busiest stay: a flood is the last to give way.
    fn rank(&self) -> u16 {
        self.tally.weight().min(u32::from(u16::MAX)) as u16
    }

    fn weight(&self) -> u32 {
        self.tally.weight()
    }

    fn reset(&mut self) {
        self.tally = Tally::EMPTY;
        self.ports.clear();
        self.peers.clear();
    }

    #[inline]
    fn touch(&self) -> u32 {
        self.tally.weight() ^ self.ports.touch() ^ self.peers.touch()
    }
}

/// What a source does to a destination.
#[derive(Clone, Debug, Default)]
#[repr(C)]
pub struct PairRow {
    /// Counts.
    pub tally: Tally,
    /// Ports, with their protocols, at which it failed.
    pub ports: Distinct<ROW_REGISTERS>,
}

impl PairRow {
    #[inline]
    pub(super) fn note(&mut self, delta: &Delta, port: u64) {
        self.tally.add(delta);
        if delta.failed {
            self.ports.insert(port);
        }
    }
}

impl Noted for PairRow {
    fn rank(&self) -> u16 {
        spread(&self.ports).saturating_sub(1) * 256 + self.tally.weight().min(255) as u16
    }

    fn weight(&self) -> u32 {
        self.tally.weight()
    }

    fn reset(&mut self) {
        self.tally = Tally::EMPTY;
        self.ports.clear();
    }

    #[inline]
    fn touch(&self) -> u32 {
        self.tally.weight() ^ self.ports.touch()
    }
}

/// What a flow carried.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowRow {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
    /// It ended.
    pub ended: bool,
}

impl FlowRow {
    pub(super) fn note(&mut self, it: &Observation, ended: bool) {
        self.packets = self.packets.saturating_add(u64::from(it.packets));
        self.bytes = self.bytes.saturating_add(it.bytes);
        self.ended |= ended;
    }
}

impl Noted for FlowRow {
    /// By bytes, in steps of a sixteenth of a power of two.
    fn rank(&self) -> u16 {
        let log2 = 64 - self.bytes.leading_zeros();
        let below = if log2 > 5 { (self.bytes >> (log2 - 5)) & 15 } else { 0 };
        (log2 as u16) * 16 + below as u16
    }

    /// In kilobytes, so that 32 bits are enough.
    fn weight(&self) -> u32 {
        u32::try_from(self.bytes.div_ceil(1024)).unwrap_or(u32::MAX)
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// How often a source sent a destination such a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OddityRow {
    /// Packets.
    pub packets: u32,
}

impl OddityRow {
    pub(super) fn note(&mut self) {
        self.packets = self.packets.saturating_add(1);
    }
}

impl Noted for OddityRow {
    fn rank(&self) -> u16 {
        self.packets.min(u32::from(u16::MAX)) as u16
    }

    fn weight(&self) -> u32 {
        self.packets
    }

    fn reset(&mut self) {
        self.packets = 0;
    }
}

/// The traffic into a zone or to a destination prefix, as a baseline wants it.
#[derive(Clone, Debug, Default)]
pub struct ScopeRow {
    /// Counts.
    pub tally: Tally,
    /// Sources that came.
    pub peers: Distinct<ROW_REGISTERS>,
    /// Sources of first and denied packets.
    pub sources: Entropy<SCOPE_CELLS>,
    /// Ports of first and denied packets.
    pub ports: Entropy<SCOPE_CELLS>,
}

impl ScopeRow {
    /// Adds another one.
    pub fn merge(&mut self, other: &Self) {
        self.tally.merge(&other.tally);
        self.peers.merge(&other.peers);
        self.sources.merge(&other.sources);
        self.ports.merge(&other.ports);
    }

    #[inline]
    pub(super) fn note(&mut self, delta: &Delta, port: u64, peer: u64) {
        self.tally.add(delta);
        if delta.begins {
            self.peers.insert(peer);
            self.sources.add(peer);
            self.ports.add(port);
        }
    }
}

impl Noted for ScopeRow {
    fn rank(&self) -> u16 {
        self.tally.weight().min(u32::from(u16::MAX)) as u16
    }

    fn weight(&self) -> u32 {
        self.tally.weight()
    }

    fn reset(&mut self) {
        self.tally = Tally::EMPTY;
        self.peers.clear();
        self.sources.clear();
        self.ports.clear();
    }

    #[inline]
    fn touch(&self) -> u32 {
        self.tally.weight() ^ self.peers.touch()
    }
}
