//! Several nodes: one scan is one scan, nothing counts twice, and a block is everybody's.

use core::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use sketch::Kind as Seen;
use wire::Time;

use super::world::{DENIED, Node, World, from, place, tcp};
use crate::screen::{Action, DigestError, Query, Side};

/// The scan of the issue: one port a minute, by turns over three nodes and their workers.
fn slow_scan(copies: fn(u64) -> usize) -> World {
    let mut world = World::new(3, "");
    world.copies = copies;
    for port in 1..=20_u16 {
        let said: usize = world.nodes.iter().map(|node| node.said.len()).sum();
        assert_eq!(said, 0, "found before port {port}");
        let (node, worker) = (usize::from(port) % 3, usize::from(port / 3) % 2);
        world.note(node, worker, &tcp(DENIED, "192.0.2.1", "10.0.0.1", port));
        world.run_seconds(60);
    }
    world
}

#[test]
fn a_slow_scan_over_three_nodes_is_found_by_the_twentieth_port() {
    let world = slow_scan(|_| 1);
    // The twentieth came to the third node; the others have a third of it each, and wait for their next.
    let names = world.nodes[2].names();
    assert_eq!(names, ["tcp-port-scan from 192.0.2.1"]);
    let attack = world.nodes[2].started()[0];
    assert_eq!((attack.seen, attack.totals.anomalies), (20, 20));
    assert_eq!((world.nodes[0].names().len(), world.nodes[1].names().len()), (0, 0));
}

#[test]
fn digests_that_come_twice_or_not_at_all_change_nothing() {
    slow_scan(|_| 3);
    // Two of three are lost: the next with news says all of it again.
    let mut world = World::new(3, "");
    world.copies = |sent| usize::from(sent % 3 == 0);
    for port in 1..=40_u16 {
        world.note(usize::from(port) % 3, 0, &tcp(DENIED, "192.0.2.1", "10.0.0.1", port));
        world.run_seconds(60);
    }
    let found = world.nodes.iter().flat_map(Node::started).map(|it| it.seen);
    assert!(found.clone().count() > 0 && found.clone().all(|seen| seen >= 20));
    let query = Query::new(Side::Sources);
    for node in &world.nodes {
        let row = &node.detector.anomalies(&query, world.now)[0];
        assert!(row.totals.anomalies <= 40 && row.ports <= 46, "{row:?}");
    }
}

#[test]
fn a_flood_below_each_nodes_threshold_is_one_flood() {
    let mut world = World::new(3, "");
    for second in 0..5 {
        for number in 0..600_u32 {
            let source = IpAddr::V4(Ipv4Addr::from_bits(0x1000_0000 + second * 600 + number));
            let syn = from(Seen::Permitted, source, [10, 0, 0, 1].into(), 80);
            world.note(number as usize % 3, 0, &syn);
        }
        world.run_seconds(1);
    }
    for node in &world.nodes {
        assert_eq!(node.names(), ["syn-flood to 10.0.0.1"]);
        let most = node.detector.attacks().map(|it| it.most).max().unwrap();
        assert!((560..=640).contains(&most), "three times 200: {most}");
    }
    let tellers =
        world.nodes.iter().filter(|node| node.detector.attacks().all(|attack| attack.teller));
    assert_eq!(tellers.count(), 1, "one of them writes it down");
    world.run_seconds(30);
    assert!(world.nodes.iter().all(|node| node.ended().len() == 1));
}

#[test]
fn a_block_is_everywhere_within_a_second_and_ends_everywhere() {
    let lines = "port-scan = { action = \"block\", block-for = \"30s\" }\n";
    let mut world = World::new(3, lines);
    for port in 1..=20 {
        world.note(1, 0, &tcp(DENIED, "192.0.2.1", "10.0.0.1", port));
    }
    world.run_seconds(1);
    for node in &world.nodes {
        let blocked: Vec<_> = node.detector.blocks().map(|(place, _)| *place).collect();
        assert_eq!(blocked, [place("192.0.2.1")]);
    }
    // Others do not say it again all the time, nor keep it alive among themselves.
    world.run_seconds(5);
    assert_eq!(world.nodes[0].acts().len(), 1, "{:?}", world.nodes[0].acts());
    let ends: Vec<Time> = world
        .nodes
        .iter()
        .map(|node| match node.acts()[0] {
            Action::Block { until, .. } => until,
            Action::Drop(_) | Action::Proxy { .. } => panic!("a scanner is blocked"),
        })
        .collect();
    assert!(ends.iter().all(|end| end.since(ends[1]).as_millis() < 1_000), "{ends:?}");
    world.run_seconds(31);
    assert!(world.nodes.iter().all(|node| node.detector.blocks().count() == 0));
}

const PROXY: &str = "syn-flood = { destination = 1200, action = \"proxy\" }\n";

/// A second of SYNs from everywhere, as one node sees it.
fn flood(world: &mut World, node: usize, syns: u32) {
    for part in 0..10 {
        for number in 0..syns / 10 {
            let source = IpAddr::V4(Ipv4Addr::from_bits(0x1000_0000 + part * 9_000 + number));
            let syn = from(Seen::Permitted, source, [10, 0, 0, 1].into(), 80);
            world.note(node, 0, &syn);
        }
        world.run(100);
    }
}

fn guarded(world: &World) -> Vec<usize> {
    world.nodes.iter().map(|node| node.detector.guarded()).collect()
}

#[test]
fn who_is_guarded_by_one_node_is_guarded_by_all_until_the_flood_is_over() {
    let mut world = World::new(3, PROXY);
    (0..4).for_each(|_| flood(&mut world, 1, 1_500));
    let proxy = Action::Proxy { destination: place("10.0.0.1") };
    assert_eq!(guarded(&world), [1, 1, 1]);
    // Those who see nothing of the flood say so as often as who sees it, and tell of no attack.
    for (at, node) in world.nodes.iter().enumerate() {
        let acts = node.acts();
        assert!((2..=5).contains(&acts.len()) && acts.iter().all(|it| *it == proxy), "{acts:?}");
        assert_eq!(node.names().len(), usize::from(at == 1));
    }
    // Found on one node alone, and told by that one: after its end nobody keeps it alive.
    world.run_seconds(11);
    assert_eq!(guarded(&world)[1], 0);
    world.run_seconds(6);
    assert_eq!(guarded(&world), [0; 3]);
    assert!(world.nodes.iter().all(|node| node.undone() == [proxy]));
}

#[test]
fn who_takes_over_amid_a_flood_guards_without_a_pause() {
    let mut world = World::new(2, PROXY);
    (0..4).for_each(|_| flood(&mut world, 0, 1_500));
    // The first one is gone, and a second passes before anything comes to the other one.
    world.copies = |_| 0;
    world.run_seconds(1);
    (0..10).for_each(|_| flood(&mut world, 1, 1_500));
    assert_eq!(world.nodes[1].undone(), []);
    assert_eq!(guarded(&world)[1], 1);
    assert_eq!(world.nodes[1].names(), ["syn-flood to 10.0.0.1"]);
    // Half of what is told is enough for who has guarded already, as it would be for the first one.
    let mut other = World::new(2, PROXY);
    (0..4).for_each(|_| flood(&mut other, 0, 1_500));
    other.copies = |_| 0;
    (0..10).for_each(|_| flood(&mut other, 1, 1_100));
    assert_eq!((other.nodes[1].undone(), guarded(&other)[1]), (vec![], 1));
}

#[test]
fn who_is_told_of_a_guard_has_a_policy_of_its_own() {
    let mut world = World::new(2, PROXY);
    let drop = "syn-flood = { destination = 1200, action = \"drop\" }\n";
    let screens = super::world::screens(drop);
    world.nodes[1].detector.screen(screens, world.now);
    (0..4).for_each(|_| flood(&mut world, 0, 1_500));
    assert_eq!(guarded(&world), [1, 0]);
    world.nodes[1].detector.screen(super::world::screens(PROXY), world.now);
    world.run_seconds(1);
    assert_eq!(guarded(&world), [1, 1]);
    world.nodes[1].detector.screen(super::world::screens(drop), world.now);
    world.run(100);
    assert_eq!((guarded(&world)[1], world.nodes[1].undone().len()), (0, 1));
}

/// A flood on many destinations: what is guarded is bounded on every node.
#[test]
fn no_more_are_guarded_than_there_is_room_for() {
    let mut world =
        World::new(2, "syn-flood = { alarm = 5, destination = 10, action = \"proxy\" }\n");
    let most = crate::limits::PROXIED_MAX;
    for _ in 0..2 {
        for host in 0..most as u32 + 20 {
            let to = IpAddr::V4(Ipv4Addr::from_bits(0x0a00_0000 + host));
            (0..20).for_each(|it| {
                let source = IpAddr::V4(Ipv4Addr::from_bits(0x1000_0000 + it));
                world.note(0, 0, &from(Seen::Permitted, source, to, 80));
            });
        }
        world.run_seconds(1);
    }
    world.run_seconds(1);
    assert_eq!(guarded(&world), [most; 2]);
}

#[test]
fn digests_that_do_not_arrive_are_counted() {
    let lost = |copies: fn(u64) -> usize| {
        let mut world = World::new(2, "");
        for second in 0..60_u16 {
            // The first and the last minutes of a link are good.
            world.copies = if (10..40).contains(&second) { copies } else { |_| 1 };
            for node in 0..2 {
                world.note(node, 0, &tcp(DENIED, "192.0.2.1", "10.0.0.1", 1 + second % 7));
            }
            world.run_seconds(1);
        }
        let counts = world.nodes.iter().map(|node| node.detector.counts());
        let [one, other] = counts.collect::<Vec<_>>().try_into().unwrap();
        assert_eq!(other.digests_taken + other.digests_lost, one.digests_made, "copies aside");
        other.digests_lost
    };
    assert_eq!(lost(|_| 1), 0);
    assert_eq!(lost(|_| 0), 60);
    assert_eq!(lost(|sent| usize::from(sent % 6 < 2)), 40);
}

#[test]
fn a_node_that_was_restarted_begins_anew_and_an_older_run_of_it_is_refused() {
    let mut world = World::new(2, "");
    for port in 1..=5 {
        world.note(0, 0, &tcp(DENIED, "192.0.2.1", "10.0.0.1", port));
    }
    world.run(500);
    let query = Query::new(Side::Sources);
    let seen =
        |world: &World| world.nodes[1].detector.anomalies(&query, world.now)[0].totals.anomalies;
    assert_eq!(seen(&world), 5);
    let mut old = core::mem::replace(&mut world.nodes[0], Node::new(1, 2, "", world.now));
    for port in 6..=7 {
        world.note(0, 0, &tcp(DENIED, "192.0.2.1", "10.0.0.1", port));
    }
    world.run(600);
    assert_eq!(seen(&world), 2);
    let later = world.now + core::time::Duration::from_secs(1);
    let mut book = sketch::Book::new(super::world::SEED, &[sketch::Aggregation::default(); 2]);
    book.note(&tcp(DENIED, "192.0.2.1", "10.0.0.1", 8));
    old.detector.take(&mut book, later);
    let messages = old.detector.digests(later);
    let heard = world.nodes[1].detector.hear(&messages[0], later);
    assert_eq!(heard, Err(DigestError::Old));
    let own = old.detector.hear(&messages[0], later);
    assert_eq!(own, Err(DigestError::Own));
}

/// Messages of two nodes about one scanner.
fn messages() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for (node, ports) in [(1, 1..8_u16), (2, 5..12)] {
        let mut world = World::new(1, "");
        world.nodes[0] = Node::new(node, 1, "", world.now);
        for port in ports {
            world.nodes[0].detector.take(&mut book_of(port), world.now);
            world.now = world.now + core::time::Duration::from_millis(500);
            all.extend(world.nodes[0].detector.digests(world.now));
        }
    }
    all
}

fn book_of(port: u16) -> sketch::Book {
    let mut book = sketch::Book::new(super::world::SEED, &[sketch::Aggregation::default(); 2]);
    book.note(&tcp(DENIED, "192.0.2.1", "10.0.0.1", port));
    book
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Any order, any repetition: what is known at the end is the newest of each node, once.
    #[test]
    fn the_order_and_number_of_digests_do_not_matter(
        order in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
    ) {
        let messages = messages();
        let mut node = Node::new(3, 1, "", Time::from_secs(100_000));
        let now = Time::from_secs(100_001);
        for index in &order {
            node.detector.hear(&messages[index.index(messages.len())], now).unwrap();
        }
        // At last all of them, backwards: whatever came before.
        messages.iter().rev().for_each(|it| node.detector.hear(it, now).unwrap());
        let row = &node.detector.anomalies(&Query::new(Side::Sources), now)[0];
        prop_assert_eq!((row.totals.anomalies, row.ports), (14, 11));
    }

    #[test]
    fn no_bytes_make_it_panic(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut message = messages().swap_remove(6);
        for (at, to) in flips {
            let at = at.index(message.len());
            message[at] = to;
        }
        let mut node = Node::new(3, 1, "", Time::from_secs(1));
        let _ = node.detector.hear(&message, Time::from_secs(2));
        let _ = node.detector.hear(&message[..cut.index(message.len())], Time::from_secs(2));
        node.detector.tick(Time::from_secs(3), 0, true);
    }
}
