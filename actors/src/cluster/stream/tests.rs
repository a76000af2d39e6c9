mod holds;

use std::time::Duration;

use cluster_core::membership::Readiness;
use cluster_core::replication::Settings;
use cluster_core::{Boot, NodeId, Term};
use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::policy::Policy;
use engine::{Checksum, Mode, Origin, Port, PortId, WorkerId};
use wire::build::Builder;

use super::super::ownership::readiness;
use super::*;

const RULES: &str = r#"
[zones]
in = ["a"]
out = ["b"]
[[rule]]
id = "all"
from = "in"
to = "out"
action = "permit"
"#;

/// One node: a stream beside its engine, and what membership would say.
struct Node {
    engine: Engine,
    stream: Stream,
    ownership: Ownership,
    completeness: Completeness,
    words: mpsc::Sender<Word>,
    sent: mpsc::Receiver<(NodeId, Bytes)>,
}

/// Two nodes whose messages arrive at once.
struct Pair {
    nodes: [Node; 2],
    now: Time,
}

impl Node {
    fn new(number: u16, now: Time) -> Self {
        let mut engine = engine(number, now);
        engine.stand_down();
        let (ownership, completeness) = (Ownership::default(), Completeness::default());
        let (words, inbox) = mpsc::channel(1_024);
        let (outbox, sent) = mpsc::channel(1_024);
        let peer = NodeId(3 - number);
        let stream = Stream {
            machine: Replication::new(Settings::new(NodeId(number), Boot(1), peer, 0, 64, 9)),
            ownership: ownership.clone(),
            completeness: completeness.clone(),
            inbox,
            outbox,
            room: MessageRoom::default(),
            latecomers: Latecomers::default(),
            standing: ownership.get(),
            replicas: Replicas::new(),
            halves: Halves::new(NodeId(1), NodeId(2)),
            unsent: 0,
            notes_lost: 0,
            inbox_full: InboxFull::default(),
        };
        Self { engine, stream, ownership, completeness, words, sent }
    }

    /// The first datagram of flow `n`.
    fn open(&mut self, n: u16, now: Time) {
        let packet = Builder::v4([10, 0, 0, 1], [198, 18, 0, 1]).udp(n, 53);
        let mut frame = packet.frame().to_vec();
        frame[..6].copy_from_slice(&self.engine.ports()[0].mac);
        let parsed = self.engine.parse(PortId(0), &frame);
        self.engine.decide(Origin::Port, &parsed, &mut frame, now);
    }

    fn word(&self, word: Word) {
        assert!(self.words.try_send(word).is_ok());
    }

    fn sessions(&self) -> usize {
        self.engine.sessions().len()
    }

    fn readiness(&self) -> Readiness {
        readiness(std::slice::from_ref(&self.completeness))
    }
}

impl Pair {
    /// The first one owns, the second follows it; they are connected and agree.
    fn new() -> Self {
        let now = Time::from_secs(10);
        let mut pair = Self { nodes: [1, 2].map(|number| Node::new(number, now)), now };
        pair.nodes[0].ownership.set(true, Term(1));
        pair.nodes[1].ownership.set(false, Term(1));
        pair.nodes[1].ownership.follow();
        pair.connect();
        pair.run(500);
        assert_eq!(pair.nodes[1].readiness(), Readiness::Ready);
        pair
    }

    fn connect(&self) {
        for (node, other) in self.nodes.iter().zip([2, 1]) {
            node.word(Word::Connected(NodeId(other)));
        }
    }

    fn tell(&self, word: impl Fn() -> Word) {
        self.nodes.iter().for_each(|node| node.word(word()));
    }

    /// So many turns of a millisecond.
    fn run(&mut self, turns: u32) {
        for _ in 0..turns {
            self.now = self.now + Duration::from_millis(1);
            for index in 0..2 {
                let node = &mut self.nodes[index];
                node.stream.before(&mut node.engine, self.now);
                node.engine.tick(self.now);
                node.stream.after(&mut node.engine, self.now);
                while let Ok((_, message)) = self.nodes[index].sent.try_recv() {
                    self.nodes[1 - index].word(Word::Message(message));
                }
            }
        }
    }

    /// Nothing reaches the other; the second one takes over, too, and each has a flow of its own.
    fn split(&mut self) {
        self.tell(|| Word::Lost);
        self.nodes[1].ownership.set(true, Term(2));
        self.run(10);
        let now = self.now;
        self.nodes[0].open(5_000, now);
        self.nodes[1].open(6_000, now);
        self.run(10);
    }

    fn conflicts(&self) -> [u64; 2] {
        self.nodes.each_ref().map(|node| node.stream.view(&node.engine, self.now).engine.conflicts)
    }

    /// They hear each other again, and the first one follows the second.
    fn heal(&mut self, told: bool) {
        if told {
            self.nodes.iter().for_each(|node| node.ownership.heal());
        }
        self.nodes[0].ownership.set(false, Term(2));
        self.nodes[0].ownership.follow();
        self.run(2);
        assert_eq!(self.nodes[0].readiness(), Readiness::BulkWaiting);
        self.connect();
        self.run(1_000);
    }
}

fn engine(node: u16, now: Time) -> Engine {
    let port = |name: &str, mac: u8| Port {
        name: name.to_owned(),
        domain: 0,
        mode: Mode::Routed,
        mac: [2, 0, 0, 0, 0, mac],
        mtu: 1_500,
        checksum: Checksum::Verify,
        up: true,
    };
    let settings = engine::Settings {
        worker: WorkerId(0),
        node,
        boot: 1,
        seed: [1, u64::from(node)],
        secret: [5, 6],
        sessions: 64,
        ports: vec![port("a", 1), port("b", 2)],
    };
    let mut engine = Engine::new(settings, now);
    let kind = RouteKind::Unicast(NextHops::one(PortId(1), None));
    let prefix = "198.18.0.0/15".parse().unwrap();
    let address = "198.18.0.1".parse().unwrap();
    let (mac, state) = ([2, 0, 0, 0, 1, 1], NeighbourState::Permanent);
    engine.apply(&[
        FibChange::RouteSet { domain: 0, prefix, route: Route { metric: 0, kind } },
        FibChange::NeighbourSet { port: PortId(1), address, mac, state },
    ]);
    engine.set_policy(Arc::new(Policy::from_text(RULES, 1, &["a", "b"]).unwrap()));
    engine
}

#[test]
fn after_a_split_both_nodes_have_what_each_of_them_opened() {
    let mut pair = Pair::new();
    pair.split();
    pair.heal(true);
    assert_eq!(pair.nodes.each_ref().map(Node::sessions), [2, 2]);
    assert_eq!(pair.conflicts(), [0, 0]);
    assert_eq!(pair.nodes.each_ref().map(Node::readiness), [Readiness::Ready; 2]);
}

#[test]
fn a_flow_that_both_have_opened_is_one_session_afterwards_and_is_counted() {
    let mut pair = Pair::new();
    pair.split();
    let now = pair.now;
    pair.nodes.iter_mut().for_each(|node| node.open(7_000, now));
    pair.heal(true);
    assert_eq!(pair.nodes.each_ref().map(Node::sessions), [3, 3]);
    assert_eq!(pair.conflicts(), [1, 0], "whoever gave its own up counts it");
}

#[test]
fn who_was_just_absent_takes_what_the_owner_has() {
    let mut pair = Pair::new();
    pair.split();
    pair.heal(false);
    assert_eq!(pair.nodes.each_ref().map(Node::sessions), [1, 1]);
    assert_eq!(pair.nodes.each_ref().map(Node::readiness), [Readiness::Ready; 2]);
}

#[test]
fn an_owner_that_steps_down_is_ready_until_it_follows_another() {
    let mut pair = Pair::new();
    pair.nodes[0].ownership.set(false, Term(1));
    pair.run(1);
    assert_eq!(pair.nodes[0].readiness(), Readiness::Ready);
    pair.nodes[1].ownership.set(true, Term(2));
    pair.nodes[0].ownership.set(false, Term(2));
    pair.nodes[0].ownership.follow();
    pair.run(1);
    assert_eq!(pair.nodes[0].readiness(), Readiness::BulkRunning);
    pair.run(1_000);
    assert_eq!(pair.nodes[0].readiness(), Readiness::Ready);
}

/// It stopped, followed and owned again between two turns of a worker that was kept waiting.
#[test]
fn what_the_worker_did_not_see_of_a_role_is_made_up_for() {
    let mut pair = Pair::new();
    let takeovers = pair.nodes[0].engine.replicated().takeovers;
    pair.nodes[0].ownership.set(false, Term(1));
    pair.nodes[0].ownership.follow();
    pair.nodes[0].ownership.set(true, Term(3));
    pair.run(1);
    assert_eq!(pair.nodes[0].engine.replicated().takeovers, takeovers + 1);
    assert_eq!(pair.nodes[0].readiness(), Readiness::Ready);
}

/// One of two connections gave way to the other: both words are there before the worker's next turn.
#[test]
fn a_connection_that_is_replaced_between_two_turns_is_replicated_over() {
    let mut pair = Pair::new();
    pair.tell(|| Word::Lost);
    pair.connect();
    pair.run(500);
    let now = pair.now;
    pair.nodes[0].open(5_000, now);
    pair.run(10);
    assert_eq!(pair.nodes.each_ref().map(Node::sessions), [1, 1]);
    assert_eq!(
        pair.nodes[0].stream.view(&pair.nodes[0].engine, now).machine.holds.count(),
        1,
        "its packet waited"
    );
}
