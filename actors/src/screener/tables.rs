//! What is answered to operators: tables of anomalies, top talkers.

use cluster_core::screen::{
    self, Attack, Detector, Kind, Learning, Order, Query, Side, TalkerOrder,
};
use config::api;
use sketch::Place;
use wire::Time;

use super::say::{Named, name};
use super::{Watch, lock};
use crate::clock;

impl Watch {
    /// Attacks, a table, and what is blocked.
    pub(crate) fn anomalies(&self, request: &api::AnomaliesRequest) -> api::Anomalies {
        let zones = self.zones();
        let detector = lock(&self.detector);
        let Some(detector) = &*detector else { return api::Anomalies::default() };
        let now = clock::now();
        let rows = detector.anomalies(&query(request), now);
        api::Anomalies {
            screening: true,
            attacks: detector.attacks().map(|it| attack(it, &zones)).collect(),
            rows: rows.iter().map(|it| row(it, &zones)).collect(),
            blocks: blocks(detector, &zones, now),
            beyond_limits: detector.beyond_limits(),
        }
    }

    /// Forgets all of it, or ends blocks. The workers hear of it with the next beat.
    pub(crate) fn clear(&self, request: &api::AnomaliesClearRequest) {
        let mut detector = lock(&self.detector);
        let Some(detector) = &mut *detector else { return };
        detector.unblock(|source| {
            request.source.is_none_or(|prefix| prefix.contains(source.address()))
        });
        if request.source.is_none() {
            detector.clear(clock::now());
        }
    }

    /// The top talkers.
    pub(crate) fn top(&self, request: &api::TopRequest) -> api::Top {
        let zones = self.zones();
        let detector = lock(&self.detector);
        let Some(detector) = &*detector else { return api::Top::default() };
        let order = match request.order {
            api::TopOrder::Bandwidth => TalkerOrder::Bytes,
            api::TopOrder::Packets => TalkerOrder::Packets,
            api::TopOrder::Sessions => TalkerOrder::Sessions,
        };
        let (rows, now) = (request.rows as usize, clock::now());
        let rows = match request.by {
            api::TopSide::Source => talkers(detector, Side::Sources, order, rows, &zones),
            api::TopSide::Destination => talkers(detector, Side::Destinations, order, rows, &zones),
            api::TopSide::Pair => talkers(detector, Side::Pairs, order, rows, &zones),
            api::TopSide::Flow => {
                let flows = detector.flows(order, rows, now);
                flows.iter().map(|it| flow(it, &zones)).collect()
            }
        };
        api::Top { screening: true, rows }
    }

    /// What was done, and what is learned.
    pub(crate) fn screening(&self) -> api::Screening {
        let zones = self.zones();
        let detector = lock(&self.detector);
        let Some(detector) = &*detector else { return api::Screening::default() };
        let counts = detector.counts();
        let live = |kind: Kind| detector.attacks().filter(|it| it.kind == kind).count() as u64;
        let kind = |(kind, begun): (&Kind, &u64)| api::ScreenKind {
            kind: kind.to_string(),
            live: live(*kind),
            begun: *begun,
        };
        api::Screening {
            screening: true,
            kinds: counts.begun.iter().map(kind).collect(),
            blocked: detector.blocks().count() as u64,
            blocks: counts.blocks,
            curbs: detector.curbs() as u64,
            guarded: detector.guarded() as u64,
            noted: counts.noted,
            evicted: counts.evicted,
            digests_made: counts.digests_made,
            digests_taken: counts.digests_taken,
            digests_refused: counts.digests_refused,
            digests_lost: counts.digests_lost,
            baselines: detector.learning().iter().map(|it| baseline(it, &zones)).collect(),
        }
    }

    fn zones(&self) -> Vec<String> {
        self.in_force.borrow().compiled.zones().to_vec()
    }
}

fn query(request: &api::AnomaliesRequest) -> Query {
    let side = match request.by {
        api::ScreenSide::Source => Side::Sources,
        api::ScreenSide::Destination => Side::Destinations,
        api::ScreenSide::Pair => Side::Pairs,
    };
    let order = match request.order {
        api::AnomalyOrder::Anomalies => Order::Anomalies,
        api::AnomalyOrder::Bytes => Order::Bytes,
        api::AnomalyOrder::Flows => Order::Flows,
        api::AnomalyOrder::Packets => Order::Packets,
    };
    let prefix = |prefix: Option<api::Prefix>| prefix.map(|it| (it.address(), it.length()));
    Query {
        order,
        source: prefix(request.source),
        destination: prefix(request.destination),
        threshold: request.threshold,
        rows: request.rows as usize,
        ..Query::new(side)
    }
}

fn attack(it: &Attack, zones: &[String]) -> api::Attack {
    let Named { zone, source, destination } = Named::of(&it.subject, zones);
    let told = |text: String| Some(text).filter(|text| text != "-");
    api::Attack {
        number: it.number,
        kind: it.kind.to_string(),
        zone,
        source: told(source),
        destination: told(destination),
        seen: it.seen,
        most: it.most,
        threshold: it.threshold,
        expected: it.deviation.map(|deviation| deviation.expected),
        packets: it.totals.packets,
        action: it.reaction.name().to_owned(),
        lasted_ms: it.lasted.as_millis() as u64,
    }
}

fn row(it: &screen::Anomaly, zones: &[String]) -> api::AnomalyRow {
    api::AnomalyRow {
        zone: zone_of(it.source, it.destination, zones),
        source: it.source.map(|place| place.to_string()),
        destination: it.destination.map(|place| place.to_string()),
        anomalies: it.totals.anomalies,
        sessions: it.totals.sessions,
        packets: it.totals.packets,
        bytes: it.totals.bytes,
        ports: it.ports,
        peers: it.peers,
    }
}

fn blocks(detector: &Detector, zones: &[String], now: Time) -> Vec<api::Block> {
    let block = |(source, until): (&Place, Time)| api::Block {
        zone: name(source.zone, zones),
        source: source.to_string(),
        rest_ms: until.since(now).as_millis() as u64,
    };
    detector.blocks().map(block).collect()
}

fn baseline(it: &Learning, zones: &[String]) -> api::ScreenBaseline {
    let expected = it.features.iter().filter_map(|of| Some((of.feature.to_string(), of.expected?)));
    api::ScreenBaseline {
        zone: name(it.scope.zone, zones),
        prefix: (!it.scope.is_zone()).then(|| it.scope.to_string()),
        learned: it.learned,
        // A day has 24.
        hours: it.hours as u32,
        expected: expected.collect(),
    }
}

fn talkers(
    detector: &Detector,
    side: Side,
    order: TalkerOrder,
    rows: usize,
    zones: &[String],
) -> Vec<api::TopRow> {
    let talkers = detector.talkers(side, order, rows, clock::now());
    let row = |it: screen::Talker| api::TopRow {
        zone: zone_of(it.source, it.destination, zones),
        source: it.source.map(|place| place.to_string()),
        destination: it.destination.map(|place| place.to_string()),
        flow: None,
        sessions: it.sessions,
        packets: it.packets,
        bits: it.bytes * 8.0,
    };
    talkers.into_iter().map(row).collect()
}

fn flow(it: &screen::TalkerFlow, zones: &[String]) -> api::TopRow {
    let pair = it.flow.pair;
    api::TopRow {
        zone: name(pair.source.zone, zones),
        source: Some(pair.source.to_string()),
        destination: Some(pair.destination.to_string()),
        flow: Some(api::TopFlow {
            protocol: it.flow.protocol,
            source_port: it.flow.source_port,
            port: it.flow.port,
        }),
        sessions: 0.0,
        packets: it.packets,
        bits: it.bytes * 8.0,
    }
}

fn zone_of(source: Option<Place>, destination: Option<Place>, zones: &[String]) -> String {
    source.or(destination).map_or_else(|| "-".to_owned(), |place| name(place.zone, zones))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use cluster_core::screen::{Screens, Settings};
    use cluster_core::{Boot, NodeId};
    use sketch::{Book, DenyClass, Kind as Seen, Observation, Seed};
    use tokio::sync::watch;

    use super::*;
    use crate::policy::sample;

    const POLICY: &str = "[zones]\nin = [\"a\"]\nout = [\"b\"]\n[[screen]]\nzone = \"out\"\n\
                          action = \"block\"\n";

    /// A detector that has seen a scan of twenty ports, and its questions' desk.
    fn scanned() -> (Watch, watch::Sender<crate::policy::InForce>) {
        let in_force = sample("p", POLICY, 1, &["a".to_owned(), "b".to_owned()]);
        let screens = Screens::new(&in_force.source);
        let seed = Seed::new([1, 2]);
        let settings = Settings { node: NodeId(1), boot: Boot(1), seed };
        let now = clock::now();
        let mut detector = Detector::new(settings, screens, now);
        let mut book = Book::new(seed, &[]);
        for port in 1..=20 {
            book.note(&Observation {
                kind: Seen::Denied(DenyClass::Policy),
                zone: 1,
                protocol: 6,
                source: [192, 0, 2, 1].into(),
                destination: [10, 0, 0, 1].into(),
                source_port: 4_000,
                port,
                packets: 1,
                bytes: 40,
            });
        }
        detector.take(&mut book, now);
        let (sender, in_force) = watch::channel(in_force);
        let detector = Arc::new(Mutex::new(Some(Box::new(detector))));
        (Watch { detector, in_force }, sender)
    }

    #[test]
    fn without_a_detector_nothing_is_known() {
        let (watch, _sender) = scanned();
        *lock(&watch.detector) = None;
        assert!(!watch.anomalies(&api::AnomaliesRequest::default()).screening);
        assert!(!watch.top(&api::TopRequest::default()).screening);
        watch.clear(&api::AnomaliesClearRequest::default());
        assert_eq!(watch.screening(), api::Screening::default());
    }

    #[test]
    fn what_was_done_is_counted_by_kind_and_stays_when_rows_are_cleared() {
        let (watch, _sender) = scanned();
        let counted = |watch: &Watch| {
            let it = watch.screening();
            let kinds = it.kinds.iter().map(|it| format!("{} {}/{}", it.kind, it.live, it.begun));
            let done = (it.blocked, it.blocks, it.curbs, it.noted, it.evicted);
            (it.screening, kinds.collect::<Vec<_>>().join(" "), done)
        };
        let scan = "tcp-port-scan 1/1".to_owned();
        assert_eq!(counted(&watch), (true, scan, (1, 1, 0, 20, 0)));
        watch.clear(&api::AnomaliesClearRequest::default());
        let over = "tcp-port-scan 0/1".to_owned();
        assert_eq!(counted(&watch), (true, over, (0, 1, 0, 20, 0)));
        let refused = lock(&watch.detector).as_mut().map(|it| it.hear(&[1, 2, 3], clock::now()));
        assert!(refused.is_some_and(|it| it.is_err()));
        assert_eq!(watch.screening().digests_refused, 1);
    }

    #[test]
    fn a_scan_is_shown_by_names_until_it_is_cleared() {
        let (watch, _sender) = scanned();
        let shown = watch.anomalies(&api::AnomaliesRequest::default());
        let row = &shown.rows[0];
        assert_eq!((row.zone.as_str(), row.source.as_deref()), ("out", Some("192.0.2.1")));
        assert_eq!((row.anomalies, row.ports, row.peers), (20, 20, 1));
        let attack = &shown.attacks[0];
        assert_eq!((attack.kind.as_str(), attack.seen), ("tcp-port-scan", 20));
        assert_eq!(
            (attack.source.as_deref(), attack.destination.as_deref()),
            (row.source.as_deref(), None)
        );
        assert_eq!(shown.blocks[0].source, "192.0.2.1");
        let by = api::ScreenSide::Pair;
        let request = api::AnomaliesRequest { by, ..api::AnomaliesRequest::default() };
        assert_eq!(watch.anomalies(&request).rows[0].destination.as_deref(), Some("10.0.0.1"));
        let elsewhere = "10.0.0.0/8".parse().ok();
        watch.clear(&api::AnomaliesClearRequest { source: elsewhere });
        assert_eq!(watch.anomalies(&request).blocks.len(), 1, "another prefix");
        watch.clear(&api::AnomaliesClearRequest::default());
        let shown = watch.anomalies(&request);
        assert_eq!((shown.rows.len(), shown.attacks.len(), shown.blocks.len()), (0, 0, 0));
    }
}
