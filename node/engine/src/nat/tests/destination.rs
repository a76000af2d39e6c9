//! Destinations: servers behind names, prefixes for prefixes, both ends at once.

use config::{DestinationNat, DestinationTo, Mapping, NatKind, Service, SourceTo, StaticNat};
use wire::build::Builder;
use wire::{Ends, Protocol, TcpFlags};

use super::rig::*;
use crate::{Reason, Stage};

fn tcp_ports(first: u16, last: u16) -> Service {
    Service { destination_ports: Some((first, last)), ..Service::of_protocol(6) }
}

/// 198.51.100.80 ports 80 to 89 are 10.0.0.80 ports 8080 on.
pub(super) fn web(name: usize) -> config::NatRule {
    let server = std::net::Ipv4Addr::new(10, 0, 0, 80).to_bits();
    let kind = NatKind::Destination(DestinationNat {
        destination: set(name),
        services: Some(vec![tcp_ports(80, 89)]),
        to: DestinationTo::V4(server, server),
        to_port: Some(8_080),
    });
    rule("web", None, kind)
}

fn static_rule() -> config::NatRule {
    let kind = NatKind::Static(StaticNat::V4 {
        outside: std::net::Ipv4Addr::new(198, 51, 100, 64),
        inside: std::net::Ipv4Addr::new(10, 1, 0, 64),
        length: 28,
        zone: Some(1),
    });
    rule("dmz", None, kind)
}

const SYN: TcpFlags = TcpFlags::SYN;
const SYN_ACK: TcpFlags = TcpFlags(SYN.0 | TcpFlags::ACK.0);

#[test]
fn ports_are_forwarded_in_their_order_and_the_answer_has_the_name() {
    let mut wall = Wall::new(nat(Vec::new(), vec![web(NAME)]));
    let client = ("198.18.0.9", 50_000);
    let inside = wall.pass(WAN, &tcp(client, ("198.51.100.80", 83), SYN));
    assert_eq!((inside.port, inside.ends().destination), (LAN, (ip("10.0.0.80"), 8_083)));
    assert_eq!(inside.ends().source, (ip(client.0), client.1), "who asks is seen");
    let back = tcp(("10.0.0.80", 8_083), client, SYN_ACK).ack(1);
    assert_eq!(wall.pass(LAN, &back).ends().source, (ip("198.51.100.80"), 83));
    // What the rule does not name is not forwarded.
    assert_eq!(wall.drop(WAN, &tcp(client, ("198.51.100.80", 22), SYN)), Reason::NoRule);
}

#[test]
fn a_port_of_the_firewalls_own_address_is_forwarded() {
    let mut wall = Wall::new(nat(Vec::new(), vec![web(OWN)]));
    let client = ("198.18.0.9", 50_000);
    let inside = wall.pass(WAN, &tcp(client, ("198.51.100.1", 80), SYN));
    assert_eq!(inside.ends().destination, (ip("10.0.0.80"), 8_080));
    let other = tcp(client, ("198.51.100.1", 22), SYN);
    assert_eq!(wall.drop(WAN, &other), Reason::LocalDestination);
}

#[test]
fn who_is_beside_the_server_reaches_it_by_its_name() {
    let mut wall = Wall::new(nat(Vec::new(), vec![web(NAME)]));
    let client = ("10.0.0.7", 50_000);
    let turned = wall.pass(LAN, &tcp(client, ("198.51.100.80", 80), SYN));
    let Ends { source, destination } = turned.ends();
    assert_eq!((turned.port, destination), (LAN, (ip("10.0.0.80"), 8_080)));
    assert_eq!(source.0, ip("10.0.0.1"), "so that the server answers by way of here");
    let back = Builder::new(destination.0, source.0).tcp(8_080, source.1).flags(SYN_ACK).ack(1);
    let answer = wall.pass(LAN, &back.window(1_000));
    assert_eq!(answer.ends().source, (ip("198.51.100.80"), 80));
    assert_eq!(answer.ends().destination, (ip(client.0), client.1));
}

#[test]
fn a_prefix_outside_stands_for_one_inside_both_ways_and_for_every_protocol() {
    let mut wall = Wall::new(nat(Vec::new(), vec![static_rule()]));
    let inside = wall.pass(WAN, &udp(("198.18.0.9", 9), ("198.51.100.70", 7)));
    assert_eq!(inside.ends().destination, (ip("10.1.0.70"), 7));
    let left = wall.pass(LAN, &udp(("10.1.0.71", 4_000), ("198.18.0.9", 53)));
    assert_eq!(left.ends().source, (ip("198.51.100.71"), 4_000));
    let esp = Builder::new(ip("10.1.0.72"), ip("198.18.0.9")).esp(7, 1).payload(&[0; 32]);
    assert_eq!(wall.pass(LAN, &esp).packet.source, ip("198.51.100.72"));
    let back = Builder::new(ip("198.18.0.9"), ip("198.51.100.72")).esp(8, 1).payload(&[0; 32]);
    assert_eq!(wall.pass(WAN, &back).packet.destination, ip("10.1.0.72"));
    // Outside the prefix nothing changes.
    let beside = wall.pass(LAN, &udp(("10.1.0.81", 4_000), ("198.18.0.9", 53)));
    assert_eq!(beside.ends().source.0, ip("10.1.0.81"));
}

#[test]
fn source_and_destination_change_at_once() {
    let mut turn = source(SourceTo::Interface, Mapping::default());
    let mut both = web(NAME);
    both.from = Some(0);
    turn.id = "twice".to_owned();
    if let NatKind::Source(nat) = &mut turn.kind {
        nat.to = None;
    }
    let mut wall = Wall::new(nat(Vec::new(), vec![both, turn]));
    let left = wall.pass(LAN, &tcp(("10.0.0.7", 50_000), ("198.51.100.80", 81), SYN));
    assert_eq!(left.ends().destination, (ip("10.0.0.80"), 8_081));
    assert_eq!(left.ends().source.0, ip("10.0.0.1"));
    let rules: Vec<_> = wall.engine.nat_usage().rules;
    let hits: Vec<_> = rules.iter().map(|it| (it.id.as_str(), it.hits, it.sessions)).collect();
    assert_eq!(hits, [("web", 1, 1), ("twice", 1, 1)]);
}

#[test]
fn explain_tells_what_the_policy_sees_and_what_leaves() {
    let rules = vec![web(NAME), source(SourceTo::Interface, Mapping::default())];
    let wall = Wall::new(nat(Vec::new(), rules));
    let said = |port, packet: &Builder<'_>| {
        let mut frame = packet.frame().to_vec();
        frame[..6].copy_from_slice(&wall.engine.ports()[crate::PortId::index(port)].mac);
        let explanation = wall.engine.explain(port, &frame, wall.now);
        let told = explanation.stages.iter().filter(|(stage, _)| *stage == Stage::Translation);
        told.map(|(_, says)| says.clone()).collect::<Vec<_>>()
    };
    let in_by_name = said(WAN, &tcp(("198.18.0.9", 5), ("198.51.100.80", 80), SYN));
    assert_eq!(in_by_name[0], "its destination becomes 10.0.0.80 port 8080");
    let out = said(LAN, &udp(("10.0.0.5", 4_000), ("198.18.0.9", 53)));
    assert!(out[0].starts_with("leaves as 198.51.100.1 port "), "{out:?}");
    assert_eq!(wall.engine.sessions().len(), 0, "nothing changes");
    assert_eq!(wall.taken("198.51.100.1"), 0);
}

#[test]
fn what_ah_vouches_for_cannot_be_translated() {
    let mut wall = Wall::new(nat(Vec::new(), vec![static_rule()]));
    let ends = [ip("10.1.0.70"), ip("198.18.0.9")];
    let of = |protocol| Builder::new(ends[0], ends[1]).raw(protocol).payload(&[4; 24]);
    assert_eq!(wall.drop(LAN, &of(Protocol::AH)), Reason::NatImpossible);
    assert_eq!(wall.pass(LAN, &of(Protocol::ESP)).packet.source, ip("198.51.100.70"));
    let untouched = Builder::new(ip("10.2.0.70"), ends[1]).raw(Protocol::AH).payload(&[4; 24]);
    assert_eq!(wall.pass(LAN, &untouched).packet.source, ip("10.2.0.70"), "no rule fits it");
}
