//! What a detector knows of its own node's traffic: rows of sources, destinations and pairs.

use sketch::{
    DestinationRow, Malformed, Measure, Measures, Noted, OddityRow, PairRow, Place, Reader,
    SourceRow, Tally,
};
use wire::Time;

use super::attack::Totals;
use super::window::{Set, Window};
use crate::limits::TALKER_SECONDS;

/// Counts since a row began; on the wire too, so they never go down while it lives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Sums {
    counts: [u64; Measure::COUNT],
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

impl Sums {
    pub(super) const fn of(&self, measure: Measure) -> u64 {
        self.counts[measure as usize]
    }

    pub(super) fn sum(&self, measures: Measures) -> u64 {
        measures.iter().map(|measure| self.of(measure)).sum()
    }

    pub(super) fn add(&mut self, tally: &Tally) {
        for measure in Measure::ALL {
            self.counts[measure as usize] += u64::from(tally.of(measure));
        }
        self.packets += tally.packets;
        self.bytes += tally.bytes;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        let pairs = self.counts.iter_mut().zip(&other.counts);
        pairs.for_each(|(count, more)| *count = count.saturating_add(*more));
        self.packets = self.packets.saturating_add(other.packets);
        self.bytes = self.bytes.saturating_add(other.bytes);
    }

    pub(super) fn totals(&self) -> Totals {
        Totals {
            anomalies: self.sum(Measure::ANOMALIES),
            sessions: self.of(Measure::Opened),
            packets: self.packets,
            bytes: self.bytes,
        }
    }

    /// Those of one tally.
    pub(super) fn totals_of(tally: &Tally) -> Totals {
        let mut sums = Self::default();
        sums.add(tally);
        sums.totals()
    }

    /// Sessions that were seen to begin and not to end.
    pub(super) fn open(&self) -> u64 {
        self.of(Measure::Opened).saturating_sub(self.of(Measure::Ended))
    }

    /// How many counts a message has, and each of them.
    pub(super) fn store(&self, out: &mut Vec<u8>) {
        out.push(Measure::COUNT as u8);
        let all = self.counts.iter().chain([&self.packets, &self.bytes]);
        all.for_each(|count| sketch::put_count(*count, out));
    }

    /// A later version may count more; what this one does not know is passed over.
    pub(super) fn load(reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut sums = Self::default();
        for at in 0..usize::from(reader.u8()?) {
            let count = reader.count()?;
            if let Some(place) = sums.counts.get_mut(at) {
                *place = count;
            }
        }
        sums.packets = reader.count()?;
        sums.bytes = reader.count()?;
        Ok(sums)
    }
}

/// Counts of the running second and of the one before, and averages.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Rates {
    second: u64,
    running: Tally,
    last: Tally,
    average: Speeds,
}

/// Averages a second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Speeds {
    pub(super) sessions: f64,
    pub(super) packets: f64,
    pub(super) bytes: f64,
}

/// The second that a time is in.
pub(super) const fn second_of(now: Time) -> u64 {
    now.as_nanos() / 1_000_000_000
}

impl Rates {
    pub(super) fn add(&mut self, second: u64, tally: &Tally) {
        self.roll(second);
        self.running.merge(tally);
    }

    /// Counts of the second before `second`.
    pub(super) fn last(&self, second: u64) -> Tally {
        let mut rolled = *self;
        rolled.roll(second);
        rolled.last
    }

    /// Averages at the beginning of `second`.
    pub(super) fn average(&self, second: u64) -> Speeds {
        let mut rolled = *self;
        rolled.roll(second);
        rolled.average
    }

    fn roll(&mut self, second: u64) {
        if second <= self.second {
            return;
        }
        let gone = second - self.second;
        self.average.take(&self.running);
        self.average.fade(gone - 1);
        self.last = if gone == 1 { self.running } else { Tally::default() };
        self.running = Tally::default();
        self.second = second;
    }
}

impl Speeds {
    /// A second's counts come in, and an eighth of what was goes.
    fn take(&mut self, tally: &Tally) {
        let share = 1.0 / f64::from(TALKER_SECONDS);
        self.fade(1);
        self.sessions += f64::from(tally.of(Measure::Opened)) * share;
        self.packets += tally.packets as f64 * share;
        self.bytes += tally.bytes as f64 * share;
    }

    fn fade(&mut self, seconds: u64) {
        let left = 1.0 - 1.0 / f64::from(TALKER_SECONDS);
        let left = left.powi(i32::try_from(seconds).unwrap_or(i32::MAX));
        self.sessions *= left;
        self.packets *= left;
        self.bytes *= left;
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.sessions += other.sessions;
        self.packets += other.packets;
        self.bytes += other.bytes;
    }
}

/// Generations of the four windows of a zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Generations {
    pub(super) ports: u64,
    pub(super) hosts: u64,
    pub(super) slow_ports: u64,
    pub(super) slow_hosts: u64,
}

/// What every row has.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Base {
    pub(super) sums: Sums,
    pub(super) rates: Rates,
    /// When it was last added to.
    pub(super) last: Time,
    /// It was added to since it was told to the others.
    pub(super) untold: bool,
    /// Packets, halved each minute: what decides between rows that are not suspicious.
    busy: u32,
}

impl Base {
    pub(super) fn add(&mut self, tally: &Tally, now: Time) {
        self.sums.add(tally);
        self.rates.add(second_of(now), tally);
        self.last = now;
        self.untold = true;
        self.busy = self.busy.saturating_add(u32::try_from(tally.packets).unwrap_or(u32::MAX));
    }

    /// The others were told. If that was amid the second of its last news, its rate is news still.
    pub(super) fn told(&mut self, now: Time) {
        self.untold &= second_of(now) == second_of(self.last);
    }
}

/// A source.
#[derive(Clone, Debug, Default)]
pub(super) struct SourceState {
    pub(super) base: Base,
    pub(super) ports: Window,
    pub(super) hosts: Window,
    pub(super) slow_ports: Window,
    pub(super) slow_hosts: Window,
    /// When it failed last, and at how many ports and hosts in one of the books that were read then.
    at_once: (Time, [u64; 2]),
    /// The destination that it failed at last.
    pub(super) target: Place,
    /// Different ones it failed at, for its rank.
    spread: u16,
}

impl SourceState {
    pub(super) fn take(&mut self, row: &SourceRow, now: Time, of: &Generations) {
        self.base.add(&row.tally, now);
        if row.ports.is_empty() && row.hosts.is_empty() {
            return;
        }
        self.ports.merge(of.ports, &row.ports);
        self.hosts.merge(of.hosts, &row.hosts);
        self.slow_ports.merge(of.slow_ports, &row.ports);
        self.slow_hosts.merge(of.slow_hosts, &row.hosts);
        let ([ports, hosts], (read, most)) = ([&row.ports, &row.hosts], self.at_once);
        let most = if read == now { most } else { [0; 2] };
        self.at_once = (now, [most[0].max(ports.count()), most[1].max(hosts.count())]);
        self.target = row.target;
        self.rate_spread(of);
    }

    /// How many ports and hosts it failed at within the tenth of a second that was read last.
    pub(super) const fn at_once(&self) -> [u64; 2] {
        self.at_once.1
    }

    /// Old generations and old traffic count no longer.
    pub(super) fn refresh(&mut self, of: &Generations) {
        self.base.busy /= 2;
        self.rate_spread(of);
    }

    fn rate_spread(&mut self, of: &Generations) {
        let ports = self.slow_ports.all(of.slow_ports).count();
        let hosts = self.slow_hosts.all(of.slow_hosts).count();
        self.spread = spread(ports, hosts);
    }
}

/// How suspicious so many different ports and hosts are: one of each is nothing.
pub(super) fn spread(ports: u64, hosts: u64) -> u16 {
    ports.saturating_add(hosts).saturating_sub(2).min(254) as u16
}

impl Noted for SourceState {
    fn rank(&self) -> u16 {
        self.spread * 256 + self.base.busy.min(255) as u16
    }

    fn weight(&self) -> u32 {
        u32::try_from(self.base.sums.packets).unwrap_or(u32::MAX)
    }

    fn reset(&mut self) {
        self.base = Base::default();
        [&mut self.ports, &mut self.hosts, &mut self.slow_ports, &mut self.slow_hosts]
            .into_iter()
            .for_each(Window::clear);
        self.at_once = Default::default();
        self.spread = 0;
    }
}

/// A destination.
#[derive(Clone, Debug, Default)]
pub(super) struct DestinationState {
    pub(super) base: Base,
    pub(super) ports: Window,
    pub(super) peers: Window,
}

impl DestinationState {
    pub(super) fn take(&mut self, row: &DestinationRow, now: Time, of: &Generations) {
        self.base.add(&row.tally, now);
        self.ports.merge(of.ports, &row.ports);
        self.peers.merge(of.hosts, &row.peers);
    }

    pub(super) fn refresh(&mut self) {
        self.base.busy /= 2;
    }
}

impl Noted for DestinationState {
    fn rank(&self) -> u16 {
        self.base.busy.min(u32::from(u16::MAX)) as u16
    }

    fn weight(&self) -> u32 {
        u32::try_from(self.base.sums.packets).unwrap_or(u32::MAX)
    }

    fn reset(&mut self) {
        self.base = Base::default();
        self.ports.clear();
        self.peers.clear();
    }
}

/// A source and a destination.
#[derive(Clone, Debug, Default)]
pub(super) struct PairState {
    pub(super) base: Base,
    pub(super) ports: Window,
    spread: u16,
}

impl PairState {
    pub(super) fn take(&mut self, row: &PairRow, now: Time, of: &Generations) {
        self.base.add(&row.tally, now);
        if !row.ports.is_empty() {
            self.ports.merge(of.ports, &row.ports);
            self.spread = spread(self.ports.all(of.ports).count(), 1);
        }
    }

    pub(super) fn refresh(&mut self, of: &Generations) {
        self.base.busy /= 2;
        self.spread = spread(self.ports.all(of.ports).count(), 1);
    }
}

impl Noted for PairState {
    fn rank(&self) -> u16 {
        self.spread * 256 + self.base.busy.min(255) as u16
    }

    fn weight(&self) -> u32 {
        u32::try_from(self.base.sums.packets).unwrap_or(u32::MAX)
    }

    fn reset(&mut self) {
        self.base = Base::default();
        self.ports.clear();
        self.spread = 0;
    }
}

/// Odd packets of one kind between two.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct OddState {
    pub(super) packets: u64,
    second: u64,
    running: u64,
    last: u64,
}

impl OddState {
    pub(super) fn take(&mut self, row: &OddityRow, now: Time) {
        self.roll(second_of(now));
        self.packets += u64::from(row.packets);
        self.running += u64::from(row.packets);
    }

    /// Packets of the second before `second`.
    pub(super) fn last(&self, second: u64) -> u64 {
        let mut rolled = *self;
        rolled.roll(second);
        rolled.last
    }

    fn roll(&mut self, second: u64) {
        if second > self.second {
            self.last = if second == self.second + 1 { self.running } else { 0 };
            self.running = 0;
            self.second = second;
        }
    }
}

impl Noted for OddState {
    fn rank(&self) -> u16 {
        self.packets.min(u64::from(u16::MAX)) as u16
    }

    fn weight(&self) -> u32 {
        u32::try_from(self.packets).unwrap_or(u32::MAX)
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// What a set of another node adds.
pub(super) fn with(mut own: Set, others: impl Iterator<Item = Set>) -> Set {
    others.for_each(|set| own.merge(&set));
    own
}
