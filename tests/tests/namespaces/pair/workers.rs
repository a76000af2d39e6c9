//! Pairs of nodes with more than one worker, and with unequal numbers of them.

use std::time::Duration;

use ringwall_tests::{require, root, wait_for};
use serde_json::Value;

use super::{GAP, PATIENCE, PORT, Pair, longest_gap};
use crate::sockets::{at, connect, echoes, tcp_echo};

/// As many that one worker of two has none of them once in 4,096 runs.
const CONNECTIONS: usize = 12;

/// What each worker's stream on a node says under `key`.
fn of_streams(pair: &Pair, index: usize, key: &str) -> Vec<u64> {
    let cluster = pair.cluster(index).unwrap_or_default();
    let streams = cluster["streams"].as_array().cloned().unwrap_or_default();
    streams.iter().filter_map(|stream| stream[key].as_u64()).collect()
}

#[test]
fn connections_of_two_workers_over_ipv6_outlive_the_active_node() {
    require!(root());
    let mut pair = Pair::with_workers([2, 2]);
    pair.found();
    (0..2).for_each(|index| pair.start(index));
    let active = pair.settles_somehow();

    let _server = tcp_echo(&pair.server, "fd02::2", PORT);
    let mut streams: Vec<_> = (0..CONNECTIONS)
        .map(|_| connect(&pair.client, at("fd02::2", PORT), PATIENCE).expect("by the vip"))
        .collect();
    for stream in &mut streams {
        echoes(stream, b"hello").expect("an echo");
    }
    wait_for(PATIENCE, "all sessions on the standby", || {
        let opened = of_streams(&pair, 1 - active, "replicas_opened");
        opened.len() == 2 && opened.iter().sum::<u64>() >= CONNECTIONS as u64
    });
    let opened = of_streams(&pair, 1 - active, "replicas_opened");
    assert!(opened.iter().all(|count| *count > 0), "each worker has its own: {opened:?}");

    pair.nodes[active] = None; // SIGKILL
    let gap = longest_gap(&mut streams[0], Duration::from_secs(2));
    eprintln!("the longest time without an answer: {gap:?}");
    assert!(gap <= GAP, "{gap:?}");
    for stream in &mut streams {
        echoes(stream, b"still there?").expect("each connection goes on");
    }
    pair.start(active);
    pair.settles(1 - active);
    let opened = of_streams(&pair, active, "replicas_opened");
    assert!(opened.iter().all(|count| *count > 0), "as a bulk: {opened:?}");
    pair.verb(1 - active, &["cluster", "failover"]).exits(0);
    pair.settles(active);
    for stream in &mut streams {
        echoes(stream, b"goodbye").expect("each connection goes on");
    }
}

#[test]
fn unequal_numbers_of_workers_are_refused_and_told() {
    require!(root());
    let mut pair = Pair::with_workers([1, 2]);
    pair.found();
    (0..2).for_each(|index| pair.start(index));
    for (index, says) in [(0, "1 `workers`, node 2 has 2"), (1, "2 `workers`, node 1 has 1")] {
        wait_for(PATIENCE, "the reason", || {
            let cluster = pair.cluster(index).unwrap_or_default();
            cluster["not_replicating"].as_str().is_some_and(|why| why.contains(says))
        });
        let text = pair.verb(index, &["show", "cluster"]).exits(0).stdout;
        assert!(text.contains("NO SESSION IS REPLICATED: this node has"), "{text}");
    }
    // One is active all the same; the other one is not ready, and a planned failover is refused.
    wait_for(PATIENCE, "an active node", || (0..2).any(|index| pair.role(index) == "active"));
    let active = (0..2).find(|index| pair.role(*index) == "active").expect("one of them");
    let standby = pair.cluster(1 - active).unwrap_or_default();
    assert_ne!(standby["readiness"], Value::from("ready"), "{standby}");
    pair.verb(active, &["cluster", "failover"]).exits(1);
}
