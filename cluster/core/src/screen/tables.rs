//! Questions: anomaly tables (sites under attack, suspected attackers, pairs) and top talkers.
//!
//! Both are of all nodes: this one's rows, and the newest that each other one told of its own.

use core::net::IpAddr;
use std::collections::BTreeMap;

use sketch::{Flow, Pair, Place};
use wire::Time;

use super::attack::Totals;
use super::detector::Detector;
use super::judge::generations;
use super::state::{Base, Speeds, Sums, second_of};
use super::window::Set;
use crate::limits::{SCAN_QUIET, TABLE_ROWS_MAX, TALKER_FLOWS};

/// By whom a table goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Sites under attack.
    Destinations,
    /// Suspected attackers.
    Sources,
    /// Both together.
    Pairs,
}

/// What comes first in an anomaly table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The most anomalies.
    Anomalies,
    /// The most bytes.
    Bytes,
    /// The most sessions.
    Flows,
    /// The most packets.
    Packets,
}

/// Which rows of an anomaly table are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// By whom.
    pub side: Side,
    /// What comes first.
    pub order: Order,
    /// Sources within this prefix; of destination rows nothing is known of their sources.
    pub source: Option<(IpAddr, u8)>,
    /// Destinations within this prefix.
    pub destination: Option<(IpAddr, u8)>,
    /// Rows with fewer anomalies are left out. At 1 the table has those with any.
    pub threshold: u64,
    /// So many rows, within [`TABLE_ROWS_MAX`].
    pub rows: usize,
}

impl Query {
    /// The first 32 by anomalies, as Junos shows them.
    pub const fn new(side: Side) -> Self {
        let (source, destination) = (None, None);
        Self { side, order: Order::Anomalies, source, destination, threshold: 1, rows: 32 }
    }
}

/// A row of an anomaly table.
#[derive(Clone, Debug, PartialEq)]
pub struct Anomaly {
    /// The source, unless the table goes by destination.
    pub source: Option<Place>,
    /// The destination, unless it goes by source.
    pub destination: Option<Place>,
    /// Sums of all nodes, since each of them made its row.
    pub totals: Totals,
    /// Different ports at which it failed lately.
    pub ports: u64,
    /// Different hosts at which a source failed lately, or sources that came to a destination.
    pub peers: u64,
}

/// What comes first among talkers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TalkerOrder {
    /// Sessions opened a second.
    Sessions,
    /// Packets a second.
    Packets,
    /// Bytes a second.
    Bytes,
}

/// A row of the top talkers, averaged over the last seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Talker {
    /// The source, unless it is about a destination.
    pub source: Option<Place>,
    /// The destination, unless it is about a source.
    pub destination: Option<Place>,
    /// Sessions opened a second.
    pub sessions: f64,
    /// Packets a second.
    pub packets: f64,
    /// Bytes a second.
    pub bytes: f64,
}

/// A flow among the top talkers, averaged over the last complete span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TalkerFlow {
    /// Which.
    pub flow: Flow,
    /// Packets a second, at most.
    pub packets: f64,
    /// Bytes a second, at most.
    pub bytes: f64,
}

/// Rows by key while they are added up.
type Rows<V> = BTreeMap<(Option<Place>, Option<Place>), V>;

#[derive(Default)]
struct Sum {
    sums: Sums,
    ports: Set,
    peers: Set,
}

impl Detector {
    /// Rows of an anomaly table.
    pub fn anomalies(&self, query: &Query, now: Time) -> Vec<Anomaly> {
        let mut rows = Rows::new();
        match query.side {
            Side::Sources => self.sources(&mut rows, now),
            Side::Destinations => self.destinations(&mut rows, now),
            Side::Pairs => self.pairs(&mut rows, now),
        }
        let wanted = |((source, destination), _): &((Option<Place>, Option<Place>), Sum)| {
            within(source, query.source) && within(destination, query.destination)
        };
        let mut rows: Vec<_> = rows.into_iter().filter(wanted).map(anomaly).collect();
        rows.retain(|row| row.totals.anomalies >= query.threshold);
        let by = |row: &Anomaly| match query.order {
            Order::Anomalies => row.totals.anomalies,
            Order::Bytes => row.totals.bytes,
            Order::Flows => row.totals.sessions,
            Order::Packets => row.totals.packets,
        };
        rows.sort_by_key(|row| core::cmp::Reverse(by(row)));
        rows.truncate(query.rows.min(TABLE_ROWS_MAX));
        rows
    }

    /// The top talkers by source, destination or pair.
    pub fn talkers(&self, side: Side, order: TalkerOrder, rows: usize, now: Time) -> Vec<Talker> {
        let mut speeds: Rows<Speeds> = Rows::new();
        let own = |base: &Base| base.rates.average(second_of(now));
        let mut add = |source, destination, more: &Speeds| {
            speeds.entry((source, destination)).or_default().merge(more);
        };
        match side {
            Side::Sources => {
                self.own
                    .sources
                    .iter()
                    .for_each(|it| add(Some(it.key), None, &own(&it.value.base)));
                for it in self.peers.iter().flat_map(|peer| peer.sources.iter()) {
                    it.value
                        .average(now)
                        .into_iter()
                        .for_each(|more| add(Some(it.key), None, more));
                }
            }
            Side::Destinations => {
                let all = self.own.destinations.iter();
                all.for_each(|it| add(None, Some(it.key), &own(&it.value.base)));
                let told = self.peers.iter().flat_map(|peer| peer.destinations.iter());
                for it in told.filter(|it| !it.key.is_zone()) {
                    it.value
                        .average(now)
                        .into_iter()
                        .for_each(|more| add(None, Some(it.key), more));
                }
            }
            Side::Pairs => {
                let ends = |pair: Pair| (Some(pair.source), Some(pair.destination));
                for it in self.own.pairs.iter() {
                    let (source, destination) = ends(it.key);
                    add(source, destination, &own(&it.value.base));
                }
                for it in self.peers.iter().flat_map(|peer| peer.pairs.iter()) {
                    let (source, destination) = ends(it.key);
                    it.value
                        .average(now)
                        .into_iter()
                        .for_each(|more| add(source, destination, more));
                }
            }
        }
        first(speeds, order, rows)
    }

    /// The flows that carried most in the last complete span of each node, by packets or bytes; sessions
    /// have no order among flows.
    pub fn flows(&self, order: TalkerOrder, rows: usize, now: Time) -> Vec<TalkerFlow> {
        let mut all: BTreeMap<Flow, (u64, u64)> = BTreeMap::new();
        let told = self.peers.iter().flat_map(|peer| peer.flows.news(now));
        let own = self.own.flow_rates(TALKER_FLOWS);
        for (flow, packets, bytes) in own.into_iter().chain(told) {
            let sum = all.entry(flow).or_default();
            *sum = (sum.0.saturating_add(packets), sum.1.saturating_add(bytes));
        }
        let talker = |(flow, (packets, bytes)): (Flow, (u64, u64))| TalkerFlow {
            flow,
            packets: packets as f64,
            bytes: bytes as f64,
        };
        let mut talkers: Vec<_> = all.into_iter().map(talker).collect();
        let by = |it: &TalkerFlow| match order {
            TalkerOrder::Bytes => it.bytes,
            TalkerOrder::Packets | TalkerOrder::Sessions => it.packets,
        };
        talkers.sort_by(|a, b| by(b).total_cmp(&by(a)));
        talkers.truncate(rows.min(TABLE_ROWS_MAX));
        talkers
    }

    fn sources(&self, rows: &mut Rows<Sum>, now: Time) {
        for row in self.own.sources.iter() {
            let at = generations(&self.screens, row.key.zone, now);
            let state = &row.value;
            let sum = rows.entry((Some(row.key), None)).or_default();
            sum.add(
                &state.base.sums,
                &state.slow_ports.all(at.slow_ports),
                &state.slow_hosts.all(at.slow_hosts),
            );
        }
        for row in self.peers.iter().flat_map(|peer| peer.sources.iter()) {
            let sum = rows.entry((Some(row.key), None)).or_default();
            sum.add(&row.value.sums, &row.value.of.slow_ports, &row.value.of.slow_hosts);
        }
    }

    fn destinations(&self, rows: &mut Rows<Sum>, now: Time) {
        for row in self.own.destinations.iter() {
            let at = generations(&self.screens, row.key.zone, now);
            let state = &row.value;
            let sum = rows.entry((None, Some(row.key))).or_default();
            sum.add(&state.base.sums, &state.ports.all(at.ports), &state.peers.all(at.hosts));
        }
        let told = self.peers.iter().flat_map(|peer| peer.destinations.iter());
        for row in told.filter(|row| !row.key.is_zone()) {
            let sum = rows.entry((None, Some(row.key))).or_default();
            let none = Default::default();
            let of = row.value.within(now, SCAN_QUIET).unwrap_or(&none);
            sum.add(&row.value.sums, &of.ports, &of.peers);
        }
    }

    fn pairs(&self, rows: &mut Rows<Sum>, now: Time) {
        for row in self.own.pairs.iter() {
            let at = generations(&self.screens, row.key.source.zone, now);
            let key = (Some(row.key.source), Some(row.key.destination));
            let state = &row.value;
            rows.entry(key).or_default().add(
                &state.base.sums,
                &state.ports.all(at.ports),
                &Set::new(),
            );
        }
        for row in self.peers.iter().flat_map(|peer| peer.pairs.iter()) {
            let key = (Some(row.key.source), Some(row.key.destination));
            rows.entry(key).or_default().add(&row.value.sums, &row.value.of.ports, &Set::new());
        }
    }
}

impl Sum {
    fn add(&mut self, sums: &Sums, ports: &Set, peers: &Set) {
        self.sums.merge(sums);
        self.ports.merge(ports);
        self.peers.merge(peers);
    }
}

fn anomaly(((source, destination), sum): ((Option<Place>, Option<Place>), Sum)) -> Anomaly {
    let Sum { sums, ports, peers } = sum;
    Anomaly {
        source,
        destination,
        totals: sums.totals(),
        ports: ports.count(),
        peers: peers.count(),
    }
}

/// A place that is not known passes every filter but one about it.
fn within(place: &Option<Place>, prefix: Option<(IpAddr, u8)>) -> bool {
    let Some((address, length)) = prefix else { return true };
    place.is_some_and(|place| {
        Place::new(place.zone, address, length, length).contains(place.address())
    })
}

fn first(speeds: Rows<Speeds>, order: TalkerOrder, rows: usize) -> Vec<Talker> {
    let talker = |((source, destination), it): ((_, _), Speeds)| {
        let Speeds { sessions, packets, bytes } = it;
        Talker { source, destination, sessions, packets, bytes }
    };
    let by = |it: &Talker| match order {
        TalkerOrder::Sessions => it.sessions,
        TalkerOrder::Packets => it.packets,
        TalkerOrder::Bytes => it.bytes,
    };
    let mut talkers: Vec<_> = speeds.into_iter().map(talker).filter(|it| by(it) > 0.0).collect();
    talkers.sort_by(|a, b| by(b).total_cmp(&by(a)));
    talkers.truncate(rows.min(TABLE_ROWS_MAX));
    talkers
}
