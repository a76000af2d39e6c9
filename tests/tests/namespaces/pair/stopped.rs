//! A node that is stopped on purpose hands over first.

use std::time::{Duration, Instant};

use ringwall_tests::{require, root, wait_for};

use super::{GAP, PATIENCE, PORT, Pair, longest_gap};
use crate::sockets::{at, connect, echoes, tcp_echo};

/// How long a stop may take. It is 200 ms on a machine that has nothing else to do.
const STOP: Duration = Duration::from_secs(1);

#[test]
fn a_planned_stop_is_a_switchover() {
    require!(root());
    let mut pair = Pair::new();
    pair.found();
    (0..2).for_each(|index| pair.start(index));
    let active = pair.settles_somehow();
    let _server = tcp_echo(&pair.server, "10.2.0.2", PORT);
    let mut stream = connect(&pair.client, at("10.2.0.2", PORT), PATIENCE).expect("by the vip");
    echoes(&mut stream, b"hello").expect("an echo");
    wait_for(PATIENCE, "the session on the standby", || {
        let page = pair.verb(1 - active, &["show", "sessions", "--json"]).exits(0).json();
        page["sessions"].as_array().is_some_and(|sessions| !sessions.is_empty())
    });

    let start = Instant::now();
    let mut node = pair.nodes[active].take().expect("it runs");
    let status = node.stop(PATIENCE);
    let took = start.elapsed();
    assert!(status.success(), "{node}");
    assert!(took < STOP, "{took:?}: {node}");
    let gap = longest_gap(&mut stream, Duration::from_secs(1));
    assert!(gap <= GAP, "{gap:?}");
    let cluster = pair.cluster(1 - active).expect("it runs");
    assert_eq!(
        (&cluster["role"], &cluster["last_failover"]["why"]),
        (&"active".into(), &"switchover".into())
    );

    // The other one is alone: nobody could take over, and that takes no longer.
    let start = Instant::now();
    let mut last = pair.nodes[1 - active].take().expect("it runs");
    assert!(last.stop(PATIENCE).success(), "{last}");
    let took = start.elapsed();
    assert!(took < STOP, "{took:?}: {last}");
}
