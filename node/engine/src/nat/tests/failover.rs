//! What another node makes of a translated session.

use config::{Filtering, Mapping};
use wire::build::Builder;

use super::rig::*;
use crate::nat::Half;
use crate::record::Record;
use crate::replication::{Contest, Imported, Refused};
use crate::table::Cursor;
use crate::{Reason, WorkerId};

fn backup(nat: config::Nat) -> Wall {
    let mut wall = Wall::with(2, 256, WorkerId(0), nat);
    wall.engine.stand_down();
    wall
}

/// All sessions of one as records, through their bytes.
fn records(wall: &mut Wall) -> Vec<Record> {
    let mut places = Vec::new();
    wall.engine.sessions().page(Cursor::default(), |handle, session| {
        places.push((handle.place(), wall.engine.session_id(session.id)));
    });
    let bytes = places.into_iter().map(|(place, id)| wall.engine.export(place, id, wall.now));
    bytes.map(|it| Record::parse(&it.expect("it lives")).expect("a record").0).collect()
}

#[test]
fn a_mapping_its_port_and_its_sessions_go_on_elsewhere() {
    let nat = || pooled(independent(Filtering::EndpointIndependent));
    let (mut first, mut second) = (Wall::new(nat()), backup(nat()));
    let client = ("10.0.0.5", 4_000);
    let left = first.pass(LAN, &udp(client, ("198.18.0.1", 53)));
    let public = left.ends().source;
    for record in records(&mut first) {
        let imported = second.engine.import(&record, Contest::Owners, second.now);
        assert!(matches!(imported, Imported::Opened(_)), "{imported:?}");
    }
    assert_eq!((second.taken("203.0.113.1"), second.engine.nat_usage().mappings), (1, 1));
    assert_eq!(records(&mut first)[0].translated, records(&mut second)[0].translated);
    second.engine.take_over(second.now);
    assert_eq!(second.pass(WAN, &answer_udp(&left)).ends().destination, (ip(client.0), client.1));
    assert_eq!(second.pass(LAN, &udp(client, ("198.18.0.1", 53))).ends().source, public);
    assert_eq!(second.pass(LAN, &udp(client, ("198.18.0.2", 53))).ends().source, public);
    let knock = Builder::new(ip("198.18.9.9"), public.0).udp(9, public.1);
    assert_eq!(second.pass(WAN, &knock).ends().destination, (ip(client.0), client.1));
    let usage = second.engine.nat_usage();
    assert_eq!(usage.rules.iter().map(|it| it.sessions).sum::<u32>(), 2, "the rule is known");
}

#[test]
fn a_port_that_came_by_a_record_is_not_given_again() {
    let nat = || pooled(Mapping::default());
    let (mut first, mut second) = (Wall::new(nat()), backup(nat()));
    let mut given = std::collections::BTreeSet::new();
    for port in 0_u16..200 {
        given.insert(
            first.pass(LAN, &udp(("10.0.0.5", 2_000 + port), ("198.18.0.1", 53))).ends().source,
        );
    }
    for record in records(&mut first) {
        second.engine.import(&record, Contest::Owners, second.now);
    }
    second.engine.take_over(second.now);
    let beside = |port: u16| udp(("10.0.0.6", 2_000 + port), ("198.18.0.1", 53));
    for port in 0_u16..50 {
        let source = second.pass(LAN, &beside(port)).ends().source;
        assert!(given.insert(source), "{source:?} twice");
    }
}

#[test]
fn both_sides_of_a_split_give_other_ports_and_no_record_is_taken_twice() {
    let nat = || pooled(Mapping::default());
    let (mut first, mut second) = (Wall::new(nat()), Wall::with(2, 256, WorkerId(0), nat()));
    first.engine.set_nat_half(Half::Low, Half::Low);
    second.engine.set_nat_half(Half::High, Half::High);
    for port in 0_u16..100 {
        let sent = udp(("10.0.0.5", 2_000 + port), ("198.18.0.1", 53));
        let sources = [&mut first, &mut second].map(|it| it.pass(LAN, &sent).ends().source);
        assert_ne!(sources[0], sources[1]);
    }
}

/// What was opened just before a cut may be of the other half: it was not acknowledged, and must not leave.
#[test]
fn who_is_not_heard_any_more_keeps_only_what_is_of_its_own_half() {
    for lost in [false, true] {
        let mut wall = Wall::new(pooled(Mapping::default()));
        wall.engine.set_nat_half(Half::Both, Half::Low);
        wall.engine.set_peer(true, wall.now);
        for port in 0_u16..60 {
            let (decision, _) =
                wall.arrive(LAN, &udp(("10.0.0.5", 2_000 + port), ("198.18.0.1", 53)));
            assert_eq!(decision.verdict, crate::Verdict::Hold);
        }
        assert_eq!(wall.engine.sessions().len(), 60);
        if lost {
            wall.engine.set_peer(false, wall.now);
        } else {
            wall.wait(crate::limits::SYNC_LIFE * 2);
        }
        let mut left = 0;
        while let Some((_, frame)) = wall.engine.outbox().pop() {
            let packet = wire::Packet::parse(frame).expect("a packet");
            assert!(Half::Low.has(packet.ports().expect("of UDP").0), "{packet:?}");
            left += 1;
        }
        assert!((10..50).contains(&left), "about half of them: {left}");
        assert_eq!((wall.engine.sessions().len(), wall.taken("203.0.113.1")), (left, left as u32));
        if !lost {
            // As long as the backup is silent nothing else is given.
            wall.engine.set_nat_half(Half::Both, Half::Low);
            for port in 0_u16..60 {
                wall.arrive(LAN, &udp(("10.0.0.5", 3_000 + port), ("198.18.0.1", 53)));
            }
            let mut low = true;
            wall.engine.sessions().page(Cursor::default(), |handle, _| {
                let twin = wall.engine.twin_of(handle.place()).expect("translated");
                low &= Half::Low.has(twin.ends().source.1);
            });
            assert!(low);
        }
    }
}

#[test]
fn who_hears_of_a_port_that_another_session_has_keeps_its_own_and_says_so() {
    let mut second = Wall::new(pooled(Mapping::default()));
    second.pass(LAN, &udp(("10.0.0.5", 2_000), ("198.18.0.1", 53)));
    let record = &mut records(&mut second)[0];
    let ends = ((ip("10.0.0.9"), 9), (ip("198.18.0.1"), 53));
    record.key = wire::FlowKey::new(0, wire::Protocol::UDP, ends.0, ends.1).0;
    let imported = second.engine.import(record, Contest::Owners, second.now);
    assert_eq!(imported, Imported::Refused(Refused::PortTaken));
    assert_eq!(second.engine.nat_usage().counted.twice, 1);
}

/// What a panic may leave behind: a port that is taken by nobody, and a mapping without a session.
#[test]
fn after_a_panic_ports_are_those_of_the_sessions_that_live() {
    let mut wall = Wall::new(pooled(independent(Filtering::EndpointIndependent)));
    let client = ("10.0.0.5", 4_000);
    let public = wall.pass(LAN, &udp(client, ("198.18.0.1", 53))).ends().source;
    wall.pass(LAN, &udp(("10.0.0.6", 4_000), ("198.18.0.1", 53)));
    let taken = wall.taken("203.0.113.1");
    let mut other = None;
    wall.engine.sessions().page(Cursor::default(), |handle, session| {
        let (low, high) = session.key.ends();
        let is_its = low.0 == ip("10.0.0.6") || high.0 == ip("10.0.0.6");
        other = other.or(is_its.then_some(handle));
    });
    // Taken out without a word, as half of an end is.
    wall.engine.table.remove(other.expect("it is there"));
    wall.engine.recover();
    assert_eq!((taken, wall.taken("203.0.113.1")), (2, 1));
    assert_eq!(wall.engine.nat_usage().mappings, 1);
    assert_eq!(wall.pass(LAN, &udp(client, ("198.18.0.1", 53))).ends().source, public);
}

#[test]
fn a_commit_changes_no_translation_and_a_pool_that_is_gone_gives_no_ports() {
    let mut wall = Wall::new(pooled(Mapping::default()));
    let client = ("10.0.0.5", 4_000);
    let public = wall.pass(LAN, &udp(client, ("198.18.0.1", 53))).ends().source;
    wall.commit(masquerade(), 2);
    assert_eq!(wall.pass(LAN, &udp(client, ("198.18.0.1", 53))).ends().source, public);
    let new = wall.pass(LAN, &udp(client, ("198.18.0.2", 53))).ends().source;
    assert_eq!(new.0, ip("198.51.100.1"));
    let answer = Builder::new(ip("198.18.0.1"), public.0).udp(53, public.1);
    assert_eq!(wall.pass(WAN, &answer).ends().destination, (ip(client.0), client.1));
    let stranger = Builder::new(ip("198.18.0.3"), public.0).udp(53, public.1);
    assert_eq!(wall.drop(WAN, &stranger), Reason::NatUnmapped);
}
