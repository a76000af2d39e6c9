//! An owner that goes on with another partner, and comes back to an earlier one.

use engine::session::CloseReason;

use super::network::{FAIR, FOUL, Node, Pair};
use crate::replication::{Input, Outcome, Purpose};
use crate::{NodeId, Term};

const COMPLETE: (Purpose, Outcome) = (Purpose::Join, Outcome::Complete);

/// Node 3, which has followed node 1 all the time.
fn third() -> Node {
    let mut node = Node::between(NodeId(3), NodeId(1), 1, 256);
    let now = wire::Time::from_secs(1);
    node.handle(Input::Role { owner: false, term: Term(1) }, now);
    node
}

fn churn(pair: &mut Pair, from: u16) {
    (from..from + 40).for_each(|n| pair.open(0, n, n % 2 == 0));
    (from..from + 10).for_each(|n| pair.close(0, n, CloseReason::TcpFin));
    pair.run(50);
    (from + 10..from + 20).for_each(|n| pair.change(0, n, true, n % 2 == 0));
}

#[test]
fn each_partner_in_turn_has_all_sessions() {
    for (weather, millis) in [(FAIR, 3_000), (FOUL, 15_000)] {
        for seed in 0..10 {
            let mut pair = Pair::new(seed, weather);
            churn(&mut pair, 0);
            pair.run(millis);
            pair.check_quiet().unwrap();
            let mut other = third();
            for turn in 1..5 {
                churn(&mut pair, 40 * turn);
                other = pair.swap(other);
                churn(&mut pair, 40 * turn + 100);
                pair.run(millis);
                pair.check_quiet().unwrap_or_else(|why| panic!("seed {seed}, {turn}: {why}"));
                assert_eq!(pair.nodes[1].outcomes.last(), Some(&COMPLETE), "seed {seed}, {turn}");
                let n = 40 * turn + 39;
                pair.change(0, n, true, true);
                pair.run(100);
                assert!(pair.nodes[0].table.holding.is_empty(), "seed {seed}, {turn}");
            }
        }
    }
}

#[test]
fn nobody_waits_for_a_partner_that_was_left() {
    let mut pair = Pair::new(1, FAIR);
    pair.weather.loss_percent = 100;
    pair.open(0, 1, true);
    pair.run(5);
    assert_eq!(pair.nodes[0].table.holding.len(), 1);
    pair.nodes.iter_mut().for_each(|node| node.alone = true);
    pair.input(0, Input::Partner(NodeId(3)));
    assert!(pair.nodes[0].table.holding.is_empty());
    pair.open(0, 2, true);
    assert!(pair.nodes[0].table.holding.is_empty(), "there is no connection");
}

#[test]
fn what_an_earlier_partner_still_says_is_not_taken() {
    let mut pair = Pair::new(1, FAIR);
    churn(&mut pair, 0);
    pair.run(1_000);
    let (mut left, now) = (pair.swap(third()), pair.now);
    let mut late = Vec::new();
    left.handle(Input::Connected, now);
    left.handle(Input::Want { purpose: Purpose::Join, deadline: None }, now);
    while let Some(output) = left.machine.poll_output(&mut left.table, now) {
        if let crate::replication::Output::Send(bytes) = output {
            late.push(bytes.to_vec());
        }
    }
    assert!(!late.is_empty());
    late.iter().for_each(|bytes| pair.input(0, Input::Message(bytes)));
    assert_eq!(pair.views()[0].received.misdirected, late.len() as u64);
    pair.run(3_000);
    pair.check_quiet().unwrap();
}

#[test]
fn the_same_partner_named_again_changes_nothing() {
    let mut pair = Pair::new(1, FAIR);
    churn(&mut pair, 0);
    pair.run(200);
    let before = pair.views()[0].sent.records;
    pair.input(0, Input::Partner(NodeId(2)));
    pair.run(1_000);
    pair.check_quiet().unwrap();
    assert_eq!(pair.views()[0].sent.records, before);
}
