//! A stream around the turns of a worker whose packets wait for the peer.

use cluster_core::replication::Settings;
use cluster_core::{Boot, NodeId, Term};
use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::limits::SYNC_LIFE;
use engine::replication::Unconfirmed;
use engine::{Checksum, Mode, Origin, Port, PortId, Verdict, WorkerId};
use wire::build::Builder;

use super::super::*;
use crate::policy;

const START: Time = Time::from_secs(1_000);
const NAMES: [&str; 2] = ["lan", "wan"];
const POLICY: &str = "[zones]\ntrust = [\"lan\"]\nuntrust = [\"wan\"]\n\
    [[rule]]\nid = \"all\"\nfrom = \"trust\"\nto = \"untrust\"\naction = \"permit\"\n";

/// An engine that forwards from the first port to the second.
fn engine() -> Engine {
    let port = |name: &str| Port {
        name: name.to_owned(),
        domain: 0,
        mode: Mode::Routed,
        mac: [2, 0, 0, 0, 0, 1],
        mtu: 1_500,
        checksum: Checksum::Verify,
        up: true,
    };
    let settings = engine::Settings {
        worker: WorkerId(0),
        node: 1,
        boot: 1,
        seed: [3, 4],
        secret: [1, 2],
        sessions: 64,
        ports: NAMES.iter().map(|name| port(name)).collect(),
    };
    let mut engine = Engine::new(settings, START);
    engine.apply(&[route("10.1.0.0/16", 0), route("10.2.0.0/16", 1), neighbour()]);
    let names = NAMES.map(str::to_owned);
    let compiled = policy::sample("policy.toml", POLICY, 1, &names);
    engine.set_policy(compiled.compiled);
    engine
}

fn route(prefix: &str, port: u16) -> FibChange {
    let kind = RouteKind::Unicast(NextHops::one(PortId(port), None));
    let route = Route { metric: 0, kind };
    FibChange::RouteSet { domain: 0, prefix: prefix.parse().expect("a prefix"), route }
}

fn neighbour() -> FibChange {
    let (port, mac, state) = (PortId(1), [2, 0, 0, 0, 1, 1], NeighbourState::Permanent);
    FibChange::NeighbourSet { port, address: [10, 2, 0, 2].into(), mac, state }
}

/// What is at the other ends of a stream.
struct Around {
    words: mpsc::Sender<Word>,
    sent: mpsc::Receiver<(NodeId, Bytes)>,
}

/// The stream of an owner's only worker.
fn owner() -> (Stream, Around) {
    let (words, inbox) = mpsc::channel(8);
    let (outbox, sent) = mpsc::channel(8);
    let settings = Settings::new(NodeId(1), Boot(1), NodeId(2), 0, 64, 5);
    let ownership = Ownership::default();
    ownership.set(true, Term(1));
    let stream = Stream {
        machine: Replication::new(settings),
        ownership,
        completeness: Completeness::default(),
        inbox,
        outbox,
        room: MessageRoom::default(),
        latecomers: Latecomers::default(),
        standing: Standing::default(),
        replicas: Replicas::new(),
        halves: Halves::new(NodeId(1), NodeId(2)),
        unsent: 0,
        notes_lost: 0,
        inbox_full: InboxFull::default(),
    };
    (stream, Around { words, sent })
}

/// A first packet comes in and is held; what the stream wishes for then.
fn hold(stream: &mut Stream, engine: &mut Engine, around: &Around) -> Wish {
    engine.stand_down();
    around.words.try_send(Word::Connected(NodeId(2))).expect("room");
    stream.before(engine, START);
    let packet = Builder::v4([10, 1, 0, 2], [10, 2, 0, 2]).udp(7, 53);
    let mut frame = packet.frame().to_vec();
    frame[..6].copy_from_slice(&engine.ports()[0].mac);
    let parsed = engine.parse(PortId(0), &frame);
    let decision = engine.decide(Origin::Port, &parsed, &mut frame, START);
    assert_eq!((decision.verdict, engine.held_for_backup()), (Verdict::Hold, 1));
    stream.after(engine, START)
}

#[test]
fn an_idle_worker_wakes_when_a_hold_ends() {
    for (unconfirmed, leaves) in [(Unconfirmed::Forward, 1), (Unconfirmed::Drop, 0)] {
        let (mut engine, (mut stream, mut around)) = (engine(), owner());
        engine.set_unconfirmed(unconfirmed);
        let mut wish = hold(&mut stream, &mut engine, &around);
        assert!(around.sent.try_recv().is_ok(), "the peer is told at once");
        // Nobody confirms. The worker sleeps as long as it may, each time.
        let end = START + SYNC_LIFE;
        let mut now = START;
        while now < end {
            assert!(!wish.at_once, "{now:?}");
            let next = wish.until.expect("it waits for something");
            assert!(next > now && next <= end, "{next:?} is after the hold's end, {end:?}");
            now = next;
            stream.before(&mut engine, now);
            engine.tick(now);
            wish = stream.after(&mut engine, now);
        }
        let left = std::iter::from_fn(|| engine.outbox().pop().map(|_| ())).count();
        assert_eq!((left, engine.held_for_backup()), (leaves, 0));
        assert_eq!(wish.at_once, leaves == 1, "what leaves is sent at once");
        let view = stream.view(&engine, now);
        assert_eq!((view.engine.holds_expired, view.engine.takeovers), (1, 1));
    }
}

#[test]
fn what_waits_for_a_partner_leaves_when_the_owner_turns_to_another() {
    let (mut engine, (mut stream, mut around)) = (engine(), owner());
    hold(&mut stream, &mut engine, &around);
    let told = around.sent.try_recv().map(|(node, _)| node);
    assert_eq!(told, Ok(NodeId(2)));
    for word in [Word::Lost, Word::Connected(NodeId(3))] {
        around.words.try_send(word).expect("room");
    }
    stream.before(&mut engine, START);
    let wish = stream.after(&mut engine, START);
    let left = std::iter::from_fn(|| engine.outbox().pop().map(|_| ())).count();
    assert_eq!((left, engine.held_for_backup(), wish.at_once), (1, 0, true));
    let told = around.sent.try_recv().map(|(node, _)| node);
    assert_eq!(told, Ok(NodeId(3)), "the new one gets the session");
}
