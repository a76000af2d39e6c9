//! Who may still forward although it is not heard.

use std::time::Duration;

use super::super::heartbeat::{Flags, Key};
use super::super::lease::Basis;
use super::super::*;
use super::world::{World, config};
use crate::policy::coordinator::Liveness;

const NOW: Time = Time::from_secs(10);
const ALIVE: Liveness = Liveness::Alive;
const NEVER: Liveness = Liveness::Down { dark_at: Time::MAX };
const DARK: Liveness = dark(0);

const fn dark(in_ms: u64) -> Liveness {
    Liveness::Down { dark_at: Time(NOW.0 + in_ms * 1_000_000) }
}

fn ago(ms: u64) -> Time {
    Time(NOW.0 - ms * 1_000_000)
}

/// This node's lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Own {
    None,
    Votes,
    Alone,
}

/// What a node knows of node 2.
#[derive(Clone, Copy, Debug)]
struct Case {
    members: usize,
    witnesses: usize,
    /// Milliseconds since it listens, and since node 2 was heard.
    listens: u64,
    heard: Option<u64>,
    own: Own,
    /// How long the last member's lease certainly lives.
    other: Option<u64>,
    /// To whom it has promised, and for how much longer.
    promise: Option<(u16, u64)>,
}

const SILENT: Case = Case {
    members: 3,
    witnesses: 0,
    listens: 1_000,
    heard: Some(51),
    own: Own::None,
    other: None,
    promise: None,
};

impl Case {
    fn member(self) -> Member {
        let config = config(0, self.members, self.witnesses, 1);
        let mut it = Member::new(config, Boot(7), Facts::default(), ago(self.listens)).unwrap();
        it.now = NOW;
        it.peers[0].heard_at = self.heard.map(ago);
        it.lease.claim(ago(100));
        match self.own {
            Own::None => None,
            Own::Votes => it.lease.renew(Basis { acknowledged: Some(ago(10)), alone: false }, NOW),
            Own::Alone => it.lease.renew(Basis { acknowledged: None, alone: true }, NOW),
        };
        let until = |ms: u64| NOW + Duration::from_millis(ms);
        it.peers.last_mut().unwrap().leased_until = self.other.map(until);
        let to = self.promise.map(|(node, _)| NodeId(node));
        let left = self.promise.map_or(0, |(_, ms)| ms);
        it.promise = Promise { to, until: NOW + Duration::from_millis(left) };
        it
    }
}

#[test]
fn what_is_known_of_a_firewall() {
    let pair = Case { members: 2, ..SILENT };
    let witnessed = Case { witnesses: 1, ..SILENT };
    let table = [
        // Heard, or not listened for yet.
        (Case { heard: Some(49), ..SILENT }, ALIVE),
        (Case { heard: Some(49), own: Own::Votes, ..SILENT }, ALIVE),
        (Case { listens: 74, heard: None, own: Own::Votes, ..SILENT }, ALIVE),
        (Case { listens: 74, other: Some(1), ..SILENT }, ALIVE),
        // Nobody's lease is known.
        (SILENT, NEVER),
        (Case { heard: None, ..SILENT }, NEVER),
        (Case { listens: 75, heard: None, ..SILENT }, NEVER),
        (Case { promise: Some((2, 5)), ..SILENT }, NEVER),
        (Case { promise: Some((3, 5)), ..SILENT }, NEVER),
        (Case { other: Some(0), ..SILENT }, NEVER),
        (Case { own: Own::Alone, ..SILENT }, NEVER),
        // Somebody's is.
        (Case { own: Own::Votes, ..SILENT }, DARK),
        (Case { own: Own::Votes, ..witnessed }, DARK),
        (Case { own: Own::Votes, heard: None, listens: 75, ..SILENT }, DARK),
        (Case { other: Some(1), ..SILENT }, DARK),
        (Case { other: Some(1), promise: Some((3, 5)), ..SILENT }, DARK),
        (Case { other: Some(1), promise: Some((2, 5)), ..SILENT }, dark(5)),
        (Case { own: Own::Votes, promise: Some((2, 0)), ..SILENT }, DARK),
        (Case { members: 5, other: Some(1), ..SILENT }, DARK),
        // One of two may go on alone, whatever this one has.
        (pair, NEVER),
        (Case { own: Own::Votes, ..pair }, NEVER),
        (Case { own: Own::Alone, ..pair }, NEVER),
        (Case { other: Some(1), ..pair }, NEVER),
        // A witness forwards nothing.
        (Case { members: 2, witnesses: 1, ..SILENT }, DARK),
        (Case { members: 2, witnesses: 1, heard: Some(49), ..SILENT }, ALIVE),
    ];
    for (case, wanted) in table {
        assert_eq!(case.member().liveness(NodeId(2)), wanted, "{case:?}");
    }
}

#[test]
fn a_node_and_a_stranger_are_alive() {
    let it = Case { own: Own::Votes, ..SILENT }.member();
    assert_eq!([1, 9].map(|node| it.liveness(NodeId(node))), [ALIVE, ALIVE]);
}

/// Node 3 of three, an owner with 50 ms left, which echoes what this node sent 10 ms ago.
fn owner() -> Heartbeat {
    Heartbeat {
        from: NodeId(3),
        to: NodeId(1),
        boot: Boot(3),
        heard_boot: Some(Boot(7)),
        sequence: 1,
        role: Role::Active,
        lease_left: Duration::from_millis(50),
        echo_ns: ago(10).as_nanos(),
        ..Heartbeat::default()
    }
}

fn hear(it: &mut Member, said: &Heartbeat) {
    let heard = it.tally().heard;
    let bytes = said.encode(&Key::new(&[7; 32]));
    it.handle(Input::Heartbeat { path: PathId(0), bytes: &bytes }, NOW);
    assert_eq!(it.tally().heard, heard + 1);
}

#[test]
fn anothers_lease_lives_from_the_echo_by_the_slower_clock() {
    // 0.1 ms is for two clocks that drift.
    let (alone, left) = (Flags(Flags::ALONE), Duration::from_micros(39_900));
    let until = Some(NOW + left);
    let table = [
        ("an owner", owner(), until),
        ("of another boot of ours", Heartbeat { heard_boot: Some(Boot(6)), ..owner() }, None),
        ("nothing echoed", Heartbeat { echo_ns: 0, ..owner() }, None),
        ("not sent yet", Heartbeat { echo_ns: NOW.as_nanos() + 1, ..owner() }, None),
        ("no lease", Heartbeat { lease_left: Duration::ZERO, ..owner() }, None),
        ("alone", Heartbeat { flags: alone, ..owner() }, None),
    ];
    for (what, said, wanted) in &table {
        let mut it = SILENT.member();
        hear(&mut it, said);
        assert_eq!(it.peers[1].leased_until, *wanted, "{what}");
    }
    // What was proven stays, unless the owner says that it is over.
    let stays = [until, until, until, until, None, None];
    for ((what, said, _), wanted) in table.iter().zip(stays) {
        let mut it = SILENT.member();
        hear(&mut it, &owner());
        hear(&mut it, &Heartbeat { sequence: 2, ..said.clone() });
        assert_eq!(it.peers[1].leased_until, wanted, "{what}");
    }
    let mut it = SILENT.member();
    hear(&mut it, &owner());
    hear(&mut it, &Heartbeat { boot: Boot(4), echo_ns: 0, ..owner() });
    assert_eq!(it.peers[1].leased_until, None, "another boot");
}

#[test]
fn what_lets_a_node_go_on_alone() {
    let told = |members, heard, listens, speaks: Option<u64>| {
        let mut it = Case { members, heard, listens, ..SILENT }.member();
        it.speaking = speaks.map(ago);
        it.is_alone_for_policy(NOW)
    };
    let long = Some(1_000);
    assert!(told(2, Some(75), 1_000, long));
    assert!(!told(2, Some(74), 1_000, long), "its lease may live");
    assert!(told(2, None, 75, long));
    assert!(!told(2, None, 74, long), "this node has not listened for so long");
    assert!(!told(2, None, 1_000, Some(74)), "it may not have heard us yet");
    assert!(!told(2, None, 1_000, None));
    assert!(!told(3, None, 1_000, long), "a majority decides");
    let mut closed = Case { members: 2, heard: None, ..SILENT }.member();
    closed.speaking = long.map(ago);
    closed.config.alone = Alone::None;
    assert!(!closed.is_alone_for_policy(NOW));
}

#[test]
fn a_dead_owner_is_dark_once_another_has_the_lease() {
    for (nodes, witnesses) in [(3, 1), (3, 0), (5, 0)] {
        let mut world = World::settled(nodes, witnesses, 1);
        world.power_loss(0);
        world.run_ms(60);
        let dead = |world: &World, node: usize| {
            world.hosts[node].member.as_ref().unwrap().liveness(NodeId(1))
        };
        assert_eq!(dead(&world, 1), NEVER, "nobody owns yet");
        world.run_ms(100);
        assert_eq!(world.actives(), [1]);
        for node in 1..nodes {
            let now = world.hosts[node].member.as_ref().unwrap().now;
            let Liveness::Down { dark_at } = dead(&world, node) else { panic!("node {node}") };
            assert!(dark_at <= now, "node {node} of {nodes}");
        }
        world.assert_safe();
    }
}
