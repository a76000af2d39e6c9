//! A bump in the wire: what passes is not changed by a single byte.

use engine::{Counters, Mode, Port, Reason};
use ringwall_datapath::MemoryPort;
use wire::TcpFlags;
use wire::Version::{V4, V6};
use wire::build::Builder;

use crate::handoff::cut;
use crate::world::{BOTH, LAN, POLICY, Side, WAN, World, packet, ports};

fn wire_ports() -> Vec<Port> {
    let ends = [WAN, LAN].map(Mode::Wire);
    ports().into_iter().zip(ends).map(|(port, mode)| Port { mode, ..port }).collect()
}

fn world() -> World {
    World::with(1, &wire_ports(), POLICY, MemoryPort::default)
}

/// The frame passes as it is.
fn passes(world: &mut World, from: Side, frame: &[u8]) {
    world.arrive(0, from, frame);
    world.settle();
    assert_eq!(world.sent(0, from.other().port()).as_deref(), Some(frame));
}

fn refused(world: &mut World, from: Side, frame: &[u8], reason: Reason) {
    let before = world.dropped(reason);
    world.arrive(0, from, frame);
    world.settle();
    assert_eq!(world.sent(0, from.other().port()), None);
    assert_eq!(world.dropped(reason), before + 1, "{reason}");
}

/// As it goes between two hosts: no router's addresses in it.
fn between<'a>(from: Side, sent: Builder<'a>) -> Builder<'a> {
    sent.ethernet(from.mac(), from.other().mac())
}

#[test]
fn sessions_pass_unchanged_both_ways() {
    for version in BOTH {
        let mut world = world();
        let there = between(Side::Client, packet(Side::Client, version)).hop_limit(1);
        let back = between(Side::Server, packet(Side::Server, version));
        passes(
            &mut world,
            Side::Client,
            &there.udp(1_000, 53).payload(b"odd").padded_to(60).frame(),
        );
        passes(&mut world, Side::Server, &back.udp(53, 1_000).payload(&[9; 1_400]).frame());
        let syn = TcpFlags::SYN;
        passes(&mut world, Side::Client, &there.tcp(1, 2).seq(7).flags(syn).mss(1_460).frame());
        let reply = back.tcp(2, 1).seq(1).ack(8).flags(syn | TcpFlags::ACK).frame();
        passes(&mut world, Side::Server, &reply);
        passes(
            &mut world,
            Side::Client,
            &there.tcp(1, 2).seq(8).ack(2).flags(TcpFlags::ACK).frame(),
        );
        let passed = Counters { received: 5, forwarded: 5, ..Counters::default() };
        assert_eq!(world.counters(0), Counters { sessions_opened: 2, ..passed });
        world.audit();
    }
}

#[test]
fn the_policy_holds_on_a_wire_too() {
    let mut world = world();
    let back = between(Side::Server, packet(Side::Server, V6)).udp(53, 1_000);
    refused(&mut world, Side::Server, &back.frame(), Reason::NoRule);
}

#[test]
fn tagged_packets_pass_with_their_tags() {
    for version in BOTH {
        let mut world = world();
        let there = between(Side::Client, packet(Side::Client, version)).vlan(100).vlan(7);
        passes(&mut world, Side::Client, &there.udp(1_000, 53).frame());
        let back = between(Side::Server, packet(Side::Server, version)).vlan(100).vlan(7);
        passes(&mut world, Side::Server, &back.udp(53, 1_000).frame());
    }
}

fn ethernet(ethertype: u16) -> Vec<u8> {
    let mut frame = [0xff; 6].to_vec();
    frame.extend(Side::Client.mac());
    frame.extend(ethertype.to_be_bytes());
    frame.extend([0x5a; 46]);
    frame
}

#[test]
fn address_resolution_passes_and_other_protocols_do_not() {
    let mut world = world();
    passes(&mut world, Side::Client, &ethernet(0x0806));
    passes(&mut world, Side::Server, &ethernet(0x0806));
    for ethertype in [0x88cc, 0x8100, 0x8863, 0x22f0, 0x0026] {
        let before = world.counters(0).dropped_total();
        world.arrive(0, Side::Client, &ethernet(ethertype));
        world.settle();
        assert_eq!(world.sent(0, WAN), None, "{ethertype:#x}");
        assert_eq!(world.counters(0).dropped_total(), before + 1);
    }
    refused(&mut world, Side::Client, &ethernet(0x88cc), Reason::NotIp);
    world.audit();
}

#[test]
fn neighbour_discovery_passes_where_a_rule_lets_it() {
    let permit = POLICY.replace("to = \"untrust\"", "to = \"untrust\"\nservice = [\"icmp6/135\"]");
    let mut world = World::with(1, &wire_ports(), &permit, MemoryPort::default);
    let solicit = between(Side::Client, packet(Side::Client, V6)).hop_limit(255).icmp(135, 0, 0);
    let target = [0x20, 1, 0xd, 0xb8, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    world.arrive(0, Side::Client, &solicit.payload(&target).frame());
    world.settle();
    let counters = world.counters(0);
    assert_eq!(counters.received, counters.forwarded + counters.dropped_total());
    world.audit();
}

#[test]
fn fragments_pass_as_they_came_once_all_are_there() {
    for version in BOTH {
        let mut world = world();
        let whole = between(Side::Client, packet(Side::Client, version)).vlan(3).udp(1_000, 53);
        let pieces = cut(&whole.payload(&[5; 4_000]), 99, 1_300);
        for piece in &pieces {
            assert_eq!(world.sent(0, WAN), None);
            world.arrive(0, Side::Client, piece);
            world.settle();
        }
        assert_eq!(world.all_sent(WAN), pieces);
        assert_eq!(world.counters(0).forwarded, pieces.len() as u64);
        world.audit();
    }
}

#[test]
fn a_wire_whose_other_end_is_down_drops() {
    let mut world = world();
    world.workers[0].engine().set_port(WAN, |port| port.up = false);
    let there = between(Side::Client, packet(Side::Client, V4)).udp(1_000, 53);
    refused(&mut world, Side::Client, &there.frame(), Reason::PortDown);
}
