//! Single stories, told one by one.

use engine::session::CloseReason;

use super::network::{FAIR, FOUL, Node, Pair, Weather};
use crate::limits::{DELETES_MAX, ITEMS_PER_MESSAGE_MAX, MESSAGE_BYTES_MAX};
use crate::replication::envelope::{EnvelopeError, Header, MessageKind, Writer};
use crate::replication::{Input, Outcome, Purpose, Replication, Sessions as _, Settings};
use crate::{Boot, NodeId, Term};

/// Of node 0, as it begins.
const HEADER: Header = Header {
    kind: MessageKind::Changes,
    urgent: false,
    stream: 0,
    node: NodeId(1),
    boot: Boot(1),
    peer_boot: Boot(1),
    term: Term(1),
    number: 1,
    floor: 1,
    ack: 0,
    ack_bits: 0,
};

fn fill(pair: &mut Pair, index: usize, flows: core::ops::Range<u16>) {
    flows.for_each(|n| pair.open(index, n, false));
}

#[test]
fn a_held_packet_goes_after_one_round_trip() {
    let mut pair = Pair::new(1, FAIR);
    pair.open(0, 1, true);
    assert_eq!(pair.nodes[0].table.holding.len(), 1);
    pair.run(1);
    assert!(pair.nodes[0].table.holding.is_empty());
    let view = pair.views()[0];
    assert_eq!((view.sent.released, view.sent.degraded), (1, 0));
    assert!(view.holds.below(500).expect("one hold").as_micros() <= 1_024);
    pair.check_quiet().unwrap();
}

#[test]
fn who_is_about_to_stop_has_all_changes_acknowledged_within_a_round_trip() {
    let mut pair = Pair::new(1, FAIR);
    fill(&mut pair, 0, 0..20);
    pair.run(100);
    for (hurry, settled) in [(false, false), (true, true)] {
        (0..18).for_each(|n| pair.change(0, n, false, false));
        pair.close(0, 18 + u16::from(hurry), CloseReason::TcpRst);
        pair.nodes[0].machine.set_hurry(hurry);
        pair.run(2);
        assert_eq!(pair.nodes[0].machine.is_settled(pair.now), settled, "hurry: {hurry}");
        pair.run(100);
        assert!(pair.nodes[0].machine.is_settled(pair.now));
    }
    pair.cut();
    (0..18).for_each(|n| pair.change(0, n, false, false));
    assert!(pair.nodes[0].machine.is_settled(pair.now), "nobody is there to tell");
}

#[test]
fn without_a_peer_nobody_waits() {
    let mut pair = Pair::new(1, FAIR);
    pair.weather.loss_percent = 100;
    pair.open(0, 1, true);
    pair.run(5);
    pair.open(0, 2, true);
    assert_eq!(pair.nodes[0].table.holding.len(), 2);
    pair.cut();
    assert!(pair.nodes[0].table.holding.is_empty(), "the peer is gone");
    pair.open(0, 3, true);
    assert!(pair.nodes[0].table.holding.is_empty(), "there is none");
    assert_eq!(pair.views()[0].sent.degraded, 3);
}

#[test]
fn the_same_run_goes_on_where_it_was() {
    let mut pair = Pair::new(1, FAIR);
    fill(&mut pair, 0, 0..20);
    pair.run(100);
    pair.cut();
    pair.close(0, 3, CloseReason::TcpFin);
    pair.change(0, 4, true, false);
    pair.open(0, 30, false);
    pair.run(1_000);
    pair.connect();
    pair.run(200);
    pair.check_quiet().unwrap();
    let records = pair.views()[0].sent.records;
    assert!(records <= 22, "only what changed was sent, not {records}");
}

#[test]
fn another_run_joins_by_bulk() {
    let mut pair = Pair::new(1, FAIR);
    fill(&mut pair, 0, 0..200);
    pair.run(100);
    pair.restart(1, 2);
    pair.connect();
    pair.role(1, false, Term(1));
    pair.want(1, Purpose::Join);
    pair.run(3_000);
    assert_eq!(pair.nodes[1].outcomes, [(Purpose::Join, Outcome::Complete)]);
    pair.check_quiet().unwrap();
    assert!(pair.views().iter().all(|view| view.in_sync_as_of.is_some()));
}

#[test]
fn a_joiner_drops_what_the_owner_no_longer_has() {
    let mut pair = Pair::new(1, FAIR);
    fill(&mut pair, 0, 0..50);
    pair.run(100);
    pair.nodes[0].table.lose(7);
    pair.want(1, Purpose::Join);
    pair.run(3_000);
    assert_eq!(pair.nodes[1].outcomes, [(Purpose::Join, Outcome::Complete)]);
    assert_eq!(pair.views()[1].swept, 1);
    pair.check_quiet().unwrap();
}

#[test]
fn a_bulk_outlives_a_short_loss_of_the_connection() {
    let mut pair = Pair::new(1, FAIR);
    fill(&mut pair, 0, 0..250);
    pair.restart(1, 2);
    pair.connect();
    pair.role(1, false, Term(1));
    pair.weather.loss_percent = 60;
    pair.want(1, Purpose::Join);
    pair.run(3);
    pair.cut();
    pair.run(500);
    pair.weather.loss_percent = 0;
    pair.connect();
    pair.run(5_000);
    assert_eq!(pair.nodes[1].outcomes, [(Purpose::Join, Outcome::Complete)]);
    pair.check_quiet().unwrap();
}

#[test]
fn a_bulk_whose_owner_is_gone_says_so_at_its_deadline() {
    let mut pair = Pair::new(1, FAIR);
    pair.cut();
    pair.want(1, Purpose::Join);
    pair.run(19_999);
    assert_eq!(pair.nodes[1].outcomes, []);
    pair.run(1);
    assert_eq!(pair.nodes[1].outcomes, [(Purpose::Join, Outcome::DeadlinePassed)]);
    pair.connect();
    pair.run(5_000);
    let complete = (Purpose::Join, Outcome::Complete);
    assert_eq!(pair.nodes[1].outcomes.last(), Some(&complete), "it goes on");
}

#[test]
fn who_takes_over_abandons_its_bulk() {
    let mut pair = Pair::new(1, FAIR);
    pair.cut();
    pair.want(1, Purpose::Join);
    pair.role(1, true, Term(2));
    assert_eq!(pair.nodes[1].outcomes, [(Purpose::Join, Outcome::Abandoned)]);
}

#[test]
fn an_older_ownership_is_refused_and_told_the_newer() {
    let mut pair = Pair::new(1, FAIR);
    pair.run(100);
    pair.role(1, true, Term(2));
    pair.open(0, 1, false);
    pair.run(5);
    assert!(pair.nodes[1].table.get(1).is_none(), "node 0 owns no more");
    assert_eq!(pair.nodes[0].newer_terms, [Term(2)]);
    assert!(pair.views()[1].received.refused_term > 0);
    pair.role(0, false, Term(1));
    pair.run(500);
    assert!(pair.nodes[1].table.get(1).is_some(), "what it had is not lost");
}

#[test]
fn digests_find_a_lost_session_and_repair_its_slot_alone() {
    for loser in 0..2 {
        let mut pair = Pair::new(1, FAIR);
        fill(&mut pair, 0, 0..100);
        pair.run(3_000);
        pair.check_quiet().unwrap();
        let before = pair.views()[0].sent.records;
        pair.nodes[loser].table.lose(42);
        pair.run(5_000);
        pair.check_quiet().unwrap();
        assert_eq!(pair.views()[1].received.slots_repaired, 1);
        assert!(pair.views()[0].sent.records - before <= 2);
        assert_eq!(pair.views().map(|view| view.unequal_slots), [Some(0); 2]);
    }
}

#[test]
fn forgotten_deletes_are_found_by_digests() {
    let mut pair = Pair::new(1, FAIR);
    let mut settings = Settings::new(NodeId(1), Boot(1), NodeId(2), 0, 256, 99);
    settings.deletes_max = 4;
    pair.nodes[0].machine = Replication::new(settings);
    pair.role(0, true, Term(1));
    pair.input(0, Input::Connected);
    fill(&mut pair, 0, 0..100);
    pair.run(100);
    pair.cut();
    (0..50).for_each(|n| pair.close(0, n, CloseReason::TcpFin));
    assert_eq!(pair.views()[0].sent.deletes_forgotten, 46);
    pair.connect();
    pair.run(2_000);
    pair.check_quiet().unwrap();
}

#[test]
fn a_burst_of_deletes_in_the_longest_messages_is_taken_over_a_gap() {
    const FLOWS: u16 = DELETES_MAX as u16;
    let mut pair = Pair::apart(1, FAIR);
    for index in 0..2 {
        pair.nodes[index] = Node::new(index, 1, u32::from(FLOWS));
        pair.nodes[index].machine.set_message_bytes(MESSAGE_BYTES_MAX);
        pair.role(index, index == 0, Term(1));
    }
    pair.connect();
    fill(&mut pair, 0, 0..FLOWS);
    pair.run(2_000);
    assert_eq!(pair.nodes[1].table.sessions().len(), usize::from(FLOWS));

    // The first of them are lost, and the others come in any order for some milliseconds.
    pair.weather.loss_percent = 100;
    (0..100).for_each(|n| pair.close(0, n, CloseReason::TcpFin));
    pair.weather = Weather { jitter_micros: 8_000, ..FAIR };
    (100..FLOWS).for_each(|n| pair.close(0, n, CloseReason::TcpFin));
    let mut tombstones = 0;
    for _ in 0..20 {
        pair.run(1);
        tombstones = tombstones.max(pair.views()[1].ended[1]);
    }
    assert!(tombstones > ITEMS_PER_MESSAGE_MAX, "{tombstones}: there was no gap");
    pair.run(2_000);
    let [sender, receiver] = pair.views();
    assert_eq!((receiver.received.beyond_window, sender.sent.deletes_forgotten), (0, 0));
    assert!(pair.nodes[1].table.sessions().is_empty());
    assert_eq!((sender.ended[0], receiver.ended[1]), (0, 0), "nothing is left");
}

#[test]
fn after_a_split_both_tables_become_one() {
    for seed in 0..50 {
        let mut pair = Pair::new(seed, FOUL);
        fill(&mut pair, 0, 0..30);
        pair.weather = FAIR;
        pair.run(3_000);
        pair.cut();
        pair.role(1, true, Term(2));
        fill(&mut pair, 0, 30..60);
        fill(&mut pair, 1, 40..70);
        pair.close(0, 1, CloseReason::Timeout);
        pair.close(0, 2, CloseReason::TcpFin);
        pair.change(1, 1, true, false);
        pair.change(0, 41, true, false);
        pair.weather = FOUL;
        pair.role(0, false, Term(2));
        pair.connect();
        pair.want(0, Purpose::Merge);
        pair.want(1, Purpose::Merge);
        pair.run(2_000);
        pair.weather = FAIR;
        pair.run(8_000);
        for index in 0..2 {
            let expected = (Purpose::Merge, Outcome::Complete);
            assert_eq!(pair.nodes[index].outcomes, [expected], "seed {seed} node {index}");
        }
        assert_eq!(pair.nodes[0].table.sessions(), pair.nodes[1].table.sessions(), "seed {seed}");
        assert_eq!(pair.nodes[1].table.count(), 69, "all flows but the one that was closed");
        assert!(pair.nodes[1].table.get(1).is_some(), "where its packets went it lived");
        let kept = [41, 42].map(|n| pair.nodes[1].table.get(n).unwrap().id.node);
        assert_eq!(kept, [1, 2], "the one that is further on");
        let losers: Vec<_> = pair.nodes.iter().map(|node| node.table.losers.len()).collect();
        let counted = pair.views().map(|view| view.received.replaced as usize);
        assert_eq!(losers, counted, "each loser is counted");
        assert_eq!(losers.iter().sum::<usize>(), 20, "one for each flow that both had opened");
        assert!(pair.views().iter().all(|view| view.unequal_slots == Some(0)));
    }
}

#[test]
fn a_stale_record_is_answered_with_the_newer_one_and_no_more() {
    let mut pair = Pair::new(1, FAIR);
    pair.open(0, 1, false);
    pair.run(100);
    // What the owner forgot, the standby knows better.
    let place = pair.nodes[1].table.places.iter_mut().flatten().next().unwrap();
    (place.rank, place.window) = (5, 50);
    pair.change(0, 1, false, false);
    pair.run(500);
    let entry = pair.nodes[0].table.get(1).unwrap();
    assert_eq!((entry.rank, entry.window), (5, 50));
    let views = pair.views();
    assert_eq!((views[1].received.stale, views[1].sent.answers), (1, 1));
    assert_eq!((views[0].received.stale, views[0].sent.answers), (0, 0));
}

#[test]
fn an_acknowledgment_of_an_earlier_run_counts_for_nothing() {
    let mut pair = Pair::new(1, FAIR);
    pair.open(0, 1, true);
    pair.run(100);
    pair.restart(0, 2);
    pair.role(0, true, Term(1));
    pair.connect();
    pair.weather.loss_percent = 100;
    pair.open(0, 2, true);
    pair.weather.loss_percent = 0;
    // The request's header still acknowledges message 1 of the earlier run.
    pair.want(1, Purpose::Join);
    pair.run(3_000);
    pair.check_quiet().unwrap();
}

#[test]
fn what_must_not_be_taken_is_counted() {
    let mut pair = Pair::new(1, FAIR);
    pair.open(0, 1, false);
    pair.run(100);
    let message = |node, boot, stream, number| {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, 1_200);
        writer.record(false, |out| {
            out.extend_from_slice(&[1, 2, 3]);
            Some(())
        });
        writer.bulk_done(1);
        let (node, boot) = (NodeId(node), Boot(boot));
        writer.finish(&Header { node, boot, stream, number, ..HEADER });
        bytes
    };
    let refused = [
        message(1, 1, 0, 1_000),
        message(1, 0, 0, 2),
        message(3, 1, 0, 2),
        message(1, 1, 9, 2),
        vec![9; 100],
        message(1, 1, 0, 2),
    ];
    refused.iter().for_each(|bytes| pair.input(1, Input::Message(bytes)));
    pair.cut();
    pair.input(1, Input::Message(&message(1, 1, 0, 3)));
    let seen = pair.views()[1].received;
    assert_eq!((seen.beyond_window, seen.refused_boot, seen.misdirected), (1, 1, 2));
    assert_eq!((seen.malformed, seen.last_error), (1, Some(EnvelopeError::Version(9))));
    assert_eq!((seen.refused_malformed, seen.malformed_items), (1, 1));
    assert_eq!(seen.refused_unconnected, 1);
}

#[test]
fn a_full_table_refuses_and_the_owner_goes_on() {
    let mut pair = Pair::new(1, FAIR);
    (0..256).for_each(|n| pair.open(1, 1_000 + n, false));
    pair.open(0, 1, true);
    pair.run(5);
    assert_eq!(pair.views()[1].received.refused_full, 1);
    assert!(pair.nodes[0].table.holding.is_empty(), "nobody waits for a full table");
}

#[test]
fn a_bulk_tells_how_far_it_is() {
    let mut pair = Pair::new(1, FAIR);
    fill(&mut pair, 0, 0..200);
    pair.run(100);
    pair.restart(1, 2);
    pair.role(1, false, Term(1));
    pair.connect();
    pair.want(1, Purpose::Join);
    let mut seen = Vec::new();
    while let Some(progress) = pair.views()[1].bulk {
        seen.push(progress);
        pair.run(1);
    }
    assert!(seen.windows(2).all(|pair| pair[0].done <= pair[1].done), "it only grows");
    let last = seen.last().unwrap();
    assert_eq!((last.done, last.total, last.purpose), (200, 200, Purpose::Join));
    assert_eq!(last.eta, Some(core::time::Duration::ZERO));
}

#[test]
fn an_answer_is_not_answered() {
    for answer in [false, true] {
        let mut pair = Pair::new(1, FAIR);
        pair.open(0, 1, false);
        pair.run(100);
        let older = pair.nodes[1].table.get(1).unwrap();
        pair.change(0, 1, true, false);
        pair.run(100);
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, 1_200);
        writer.record(answer, |out| {
            older.write(out);
            Some(())
        });
        let header = Header { number: 3, ..HEADER };
        writer.finish(&header);
        pair.input(1, Input::Message(&bytes));
        let view = pair.views()[1];
        assert_eq!((view.received.stale, view.sent.answers), (1, u64::from(!answer)));
    }
}

#[test]
fn numbers_at_their_end_are_no_trouble() {
    let mut pair = Pair::new(1, FAIR);
    pair.open(1, 9, false);
    let last = (1 << 63) - 1;
    for (number, floor) in [(last, 1), (last, last), (last - 1, last - 1)] {
        let mut bytes = Vec::new();
        Writer::new(&mut bytes, 1_200).finish(&Header {
            number,
            floor,
            ack: u64::MAX,
            ack_bits: u64::MAX,
            ..HEADER
        });
        pair.input(1, Input::Message(&bytes));
        pair.run(10);
    }
    assert_eq!(pair.views()[1].sent.impossible, 3);
}
