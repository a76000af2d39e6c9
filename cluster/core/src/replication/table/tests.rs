use std::sync::Arc;

use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::policy::Policy;
use engine::{Checksum, Engine, Mode, Origin, Port, PortId, Settings, Verdict, WorkerId};
use wire::build::Builder;
use wire::{FlowKey, PlacementKey, Time, slot};

use super::*;

const SECRET: [u64; 2] = [5, 6];
const NOW: Time = Time::from_secs(100);
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

/// The engine of a node with two ports in `domain`. It owns.
fn engine(node: u16, domain: u16) -> Engine {
    let port = |name: &str, mac: u8| Port {
        name: name.to_owned(),
        domain,
        mode: Mode::Routed,
        mac: [2, 0, 0, 0, 0, mac],
        mtu: 1_500,
        checksum: Checksum::Verify,
        up: true,
    };
    let ports = vec![port("a", 1), port("b", 2)];
    let (worker, seed) = (WorkerId(0), [1, u64::from(node)]);
    let settings = Settings { worker, node, boot: 1, seed, secret: SECRET, sessions: 64, ports };
    let mut engine = Engine::new(settings, NOW);
    let kind = RouteKind::Unicast(NextHops::one(PortId(1), None));
    let prefix = "198.18.0.0/15".parse().unwrap();
    let address = "198.18.0.1".parse().unwrap();
    let (mac, state) = ([2, 0, 0, 0, 1, 1], NeighbourState::Permanent);
    engine.apply(&[
        FibChange::RouteSet { domain, prefix, route: Route { metric: 0, kind } },
        FibChange::NeighbourSet { port: PortId(1), address, mac, state },
    ]);
    engine.set_policy(Arc::new(Policy::from_text(RULES, 1, &["a", "b"]).unwrap()));
    engine
}

/// The first datagram of flow `n`, and what becomes of it.
fn open(engine: &mut Engine, n: u16) -> Verdict {
    let packet = Builder::v4([10, 0, 0, 1], [198, 18, 0, 1]).udp(n, 53);
    let mut frame = packet.frame().to_vec();
    frame[..6].copy_from_slice(&engine.ports()[0].mac);
    let parsed = engine.parse(PortId(0), &frame);
    engine.decide(Origin::Port, &parsed, &mut frame, NOW).verdict
}

fn record(engine: &mut Engine) -> Vec<u8> {
    let mut bytes = Vec::new();
    let place = places(engine)[0].0;
    assert!(Table { engine }.export(place, NOW, &mut bytes).is_some());
    bytes
}

fn places(engine: &mut Engine) -> Vec<(u32, SessionId)> {
    let mut places = Vec::new();
    let end = Table { engine }.page(0, 64, |row| places.push((row.place, row.id)));
    assert_eq!(end, None);
    places
}

#[test]
fn a_record_names_the_held_packets_that_it_tells_of_and_lets_them_go() {
    let mut engine = engine(1, 0);
    engine.set_peer(true, NOW);
    assert_eq!(open(&mut engine, 5_000), Verdict::Hold);
    let place = places(&mut engine)[0].0;
    let mut table = Table { engine: &mut engine };
    let Exported { id, held_up_to } = table.export(place, NOW, &mut Vec::new()).unwrap();
    assert_eq!(held_up_to, table.engine.mark());
    table.release(&Release { place, id, up_to: held_up_to - 1 }, NOW);
    assert!(table.engine.outbox().pop().is_none(), "not that one");
    table.release(&Release { place, id, up_to: held_up_to }, NOW);
    assert!(table.engine.outbox().pop().is_some());
    let after = table.export(place, NOW, &mut Vec::new());
    assert_eq!(after, Some(Exported { id, held_up_to: 0 }), "nobody waits for it any more");
}

#[test]
fn of_two_sessions_of_one_key_the_owners_stays() {
    let (mut a, mut b) = (engine(1, 0), engine(2, 0));
    open(&mut a, 5_000);
    open(&mut b, 5_000);
    let (bytes, (place, own)) = (record(&mut a), places(&mut b)[0]);
    let stale = Imported::Stale { place, id: own };
    assert_eq!(Table { engine: &mut b }.import(&bytes, Contest::Owners, NOW), stale);
    b.stand_down();
    let mut table = Table { engine: &mut b };
    let Imported::Applied { place, replaced: true } = table.import(&bytes, Contest::Owners, NOW)
    else {
        panic!("a backup takes its owner's");
    };
    assert_eq!(places(&mut b), [(place, places(&mut a)[0].1)]);
}

#[test]
fn what_is_not_taken_is_refused_for_a_reason() {
    let (mut a, mut b) = (engine(1, 0), engine(2, 7));
    open(&mut a, 5_000);
    let bytes = record(&mut a);
    let mut table = Table { engine: &mut b };
    assert_eq!(
        table.import(&bytes[1..], Contest::Owners, NOW),
        Imported::Refused(Refusal::Malformed)
    );
    assert_eq!(table.identity(&bytes[1..]), None);
    assert_eq!(
        table.import(&bytes, Contest::Owners, NOW),
        Imported::Refused(Refusal::Unknown),
        "no such domain"
    );
    let reasons = [
        (Refused::TableFull, Refusal::Full),
        (Refused::OriginsFull, Refusal::Full),
        (Refused::NoDomain, Refusal::Unknown),
        (Refused::OtherWorker(WorkerId(1)), Refusal::Unknown),
        (Refused::Denied, Refusal::Unknown),
        (Refused::OtherInitiator, Refusal::Malformed),
    ];
    for (refused, expected) in reasons {
        assert_eq!(refusal(refused), expected, "{refused:?}");
    }
}

#[test]
fn a_walk_shows_every_session_in_its_slot_and_says_where_to_go_on() {
    let mut engine = engine(1, 0);
    (5_000..5_010).for_each(|n| _ = open(&mut engine, n));
    let table = Table { engine: &mut engine };
    let (mut from, mut seen) = (Some(0), 0);
    while let Some(place) = from {
        from = table.page(place, 7, |row| {
            assert_eq!(row.slot, slot(SECRET, &PlacementKey::of_flow(row.key)));
            seen += 1;
        });
    }
    assert_eq!((seen, table.count()), (10, 10));
}

#[test]
fn a_delete_ends_the_session_of_its_name_alone() {
    let (mut a, mut b) = (engine(1, 0), engine(2, 0));
    open(&mut a, 5_000);
    let bytes = record(&mut a);
    b.stand_down();
    let mut table = Table { engine: &mut b };
    table.import(&bytes, Contest::Owners, NOW);
    let record = Record::parse(&bytes).unwrap().0;
    let other = SessionId { counter: record.id.counter + 1, ..record.id };
    let key: FlowKey = record.key;
    assert!(!table.delete(&key, other, None, NOW));
    assert!(table.delete(&key, record.id, None, NOW) && table.count() == 0);
}
