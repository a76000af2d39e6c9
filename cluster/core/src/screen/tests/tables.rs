//! Anomaly tables and top talkers, of one node and of several.

use sketch::{Kind as Seen, Observation};

use super::world::{DENIED, World, tcp};
use crate::screen::{Order, Query, Side, TalkerOrder};

/// Two nodes; a scanner on both, a client that does nothing wrong on one.
fn world() -> World {
    let mut world = World::new(2, "");
    for port in 1..=6 {
        world.note(usize::from(port % 2), 0, &tcp(DENIED, "192.0.2.1", "10.0.0.1", port));
    }
    world.note(0, 0, &tcp(DENIED, "192.0.2.2", "10.0.0.2", 23));
    for _ in 0..10 {
        world.note(0, 1, &tcp(Seen::Permitted, "192.0.2.3", "10.0.0.1", 443));
        let carried = Observation {
            packets: 100,
            bytes: 100_000,
            ..tcp(Seen::Carried, "192.0.2.3", "10.0.0.1", 443)
        };
        world.note(0, 1, &carried);
    }
    world.run_seconds(2);
    world
}

fn table(world: &World, node: usize, query: &Query) -> Vec<(String, u64)> {
    let text = |row: &crate::screen::Anomaly| {
        let places = [row.source, row.destination].into_iter().flatten();
        places.map(|it| it.to_string()).collect::<Vec<_>>().join(" > ")
    };
    let rows = world.nodes[node].detector.anomalies(query, world.now);
    rows.iter().map(|row| (text(row), row.totals.anomalies)).collect()
}

#[test]
fn a_table_is_of_all_nodes_and_in_order() {
    let world = world();
    for node in 0..2 {
        let sources = table(&world, node, &Query::new(Side::Sources));
        assert_eq!(sources, [("192.0.2.1".to_owned(), 6), ("192.0.2.2".to_owned(), 1)]);
    }
    let sites = table(&world, 0, &Query::new(Side::Destinations));
    assert_eq!(sites[0], ("10.0.0.1".to_owned(), 6));
    let pairs = table(&world, 0, &Query::new(Side::Pairs));
    assert_eq!(pairs[0], ("192.0.2.1 > 10.0.0.1".to_owned(), 6));
}

#[test]
fn filters_thresholds_and_orders() {
    let world = world();
    let all = Query { threshold: 0, ..Query::new(Side::Sources) };
    assert_eq!(table(&world, 0, &all).len(), 3);
    let by_bytes = Query { order: Order::Bytes, ..all };
    assert_eq!(table(&world, 0, &by_bytes)[0].0, "192.0.2.3");
    let by_flows = Query { order: Order::Flows, rows: 1, ..all };
    assert_eq!(table(&world, 0, &by_flows), [("192.0.2.3".to_owned(), 0)]);
    let by_packets = Query { order: Order::Packets, ..all };
    assert_eq!(table(&world, 0, &by_packets)[0].0, "192.0.2.3");
    let some = Query { threshold: 2, ..all };
    assert_eq!(table(&world, 0, &some).len(), 1);
    let within = Query { source: Some(("192.0.2.2".parse().unwrap(), 31)), ..all };
    assert_eq!(table(&world, 0, &within).len(), 2);
    let pairs =
        Query { destination: Some(("10.0.0.2".parse().unwrap(), 32)), ..Query::new(Side::Pairs) };
    assert_eq!(table(&world, 0, &pairs), [("192.0.2.2 > 10.0.0.2".to_owned(), 1)]);
}

#[test]
fn top_talkers_are_of_all_nodes_and_fade() {
    let mut world = world();
    let top = |world: &World, order| {
        let talkers = world.nodes[1].detector.talkers(Side::Sources, order, 3, world.now);
        talkers.first().map(|it| it.source.unwrap().to_string())
    };
    for order in [TalkerOrder::Bytes, TalkerOrder::Packets, TalkerOrder::Sessions] {
        assert_eq!(top(&world, order).as_deref(), Some("192.0.2.3"), "{order:?}");
    }
    let talkers = world.nodes[0].detector.talkers(Side::Pairs, TalkerOrder::Bytes, 1, world.now);
    assert!(talkers[0].bytes > 50_000.0 && talkers[0].bytes < 125_100.0, "{talkers:?}");
    world.run_seconds(60);
    let talkers =
        world.nodes[0].detector.talkers(Side::Destinations, TalkerOrder::Bytes, 1, world.now);
    assert!(talkers[0].bytes < 100.0, "{talkers:?}");
    assert_ne!(top(&world, TalkerOrder::Bytes).as_deref(), Some("192.0.2.3"), "old news");
}

#[test]
fn flows_are_told_when_their_span_is_complete() {
    let mut world = world();
    world.run_seconds(10);
    for node in 0..2 {
        let flows = world.nodes[node].detector.flows(TalkerOrder::Bytes, 5, world.now);
        assert_eq!((flows.len(), flows[0].flow.port), (1, 443), "node {node}");
        assert!((90_000.0..100_001.0).contains(&flows[0].bytes), "{flows:?}");
        assert!((90.0..101.0).contains(&flows[0].packets), "{flows:?}");
    }
    world.run_seconds(30);
    for node in &world.nodes {
        assert_eq!(node.detector.flows(TalkerOrder::Packets, 5, world.now), [], "old news");
    }
    world.nodes[0].detector.clear(world.now);
    assert!(table(&world, 0, &Query::new(Side::Pairs)).is_empty());
}
