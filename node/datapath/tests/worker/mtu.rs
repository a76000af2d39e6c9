//! Packets longer than the link that they are to leave by.

use engine::{Counters, Reason};
use wire::Version::{V4, V6};
use wire::build::Builder;
use wire::{Packet, TcpFlags};

use crate::handoff::cut;
use crate::world::{LAN, Side, WAN, World, packet, parse, routed};

fn narrow(mtu: u32) -> World {
    let mut world = World::new(1);
    world.workers[0].engine().set_port(WAN, |port| port.mtu = mtu);
    world
}

/// Type, code and MTU of the ICMP error that went back to the client.
fn complaint(world: &mut World) -> (u8, u8, u32) {
    let answer = world.sent(0, LAN).expect("an ICMP error");
    assert_eq!(answer[..6], Side::Client.mac());
    let packet = parse(&answer);
    assert!(wire::checksum::transport_checksum_ok(&answer, &packet));
    let at = packet.transport as usize;
    let rest = answer[at + 4..at + 8].try_into().expect("four bytes");
    (answer[at], answer[at + 1], u32::from_be_bytes(rest))
}

/// Sends a packet that must be answered with this message.
fn refuses(world: &mut World, sent: &Builder<'_>, message: (u8, u8, u32)) {
    assert_eq!(world.pass(Side::Client, sent), None);
    assert_eq!(complaint(world), message);
}

#[test]
fn dont_fragment_is_told_the_mtu() {
    let mut world = narrow(1_400);
    let sent = packet(Side::Client, V4).udp(1_000, 53).dont_fragment();
    refuses(&mut world, &sent.payload(&[1; 1_373]), (3, 4, 1_400));
    world.passes(Side::Client, sent.payload(&[1; 1_372]));
    let counters = Counters { received: 2, forwarded: 1, answered: 1, ..Counters::default() };
    // The first packet was permitted, but never seen by the other side.
    let sessions = world.counters(0).sessions_opened;
    assert_eq!(world.counters(0), Counters { answers: 1, sessions_opened: sessions, ..counters });
    world.audit();
}

#[test]
fn ipv6_is_told_packet_too_big() {
    let mut world = narrow(1_280);
    let sent = packet(Side::Client, V6).udp(1_000, 53);
    refuses(&mut world, &sent.payload(&[1; 1_233]), (2, 0, 1_280));
    world.passes(Side::Client, sent.payload(&[1; 1_232]));
    world.audit();
}

#[test]
fn a_packet_that_may_be_fragmented_leaves_in_pieces() {
    let mut world = narrow(1_000);
    let payload: Vec<u8> = (0..1_400_u32).map(|byte| byte as u8).collect();
    let sent = packet(Side::Client, V4).id(4_711).udp(1_000, 53).payload(&payload);
    world.arrive(0, Side::Client, &sent.frame());
    world.settle();
    assert_eq!(world.all_sent(WAN), cut(&routed(Side::Client, sent), 4_711, 1_000));
    let passed = Counters { received: 1, forwarded: 1, ..Counters::default() };
    assert_eq!(world.counters(0), Counters { sessions_opened: 1, ..passed });
    world.audit();
}

#[test]
fn fragments_are_made_smaller_where_that_is_allowed() {
    let mut world = narrow(1_000);
    let whole = packet(Side::Client, V4).udp(1_000, 53).payload(&[5; 4_000]);
    for piece in cut(&whole, 7, 1_500) {
        world.arrive(0, Side::Client, &piece);
    }
    world.settle();
    let mut bytes = 0;
    for frame in world.all_sent(WAN) {
        let packet = Packet::parse(&frame).expect("a fragment");
        assert!(packet.ip_len() <= 1_000 && packet.fragment.is_some());
        bytes += packet.ip_len() - 20;
    }
    assert_eq!(bytes, 4_008, "UDP header and payload, each byte once");
    assert_eq!(world.counters(0).forwarded, 3);
    world.audit();
}

#[test]
fn ipv6_fragments_are_told_packet_too_big() {
    let mut world = narrow(1_280);
    let whole = packet(Side::Client, V6).udp(1_000, 53).payload(&[5; 4_000]);
    for piece in cut(&whole, 7, 1_400) {
        world.arrive(0, Side::Client, &piece);
    }
    world.settle();
    assert_eq!(complaint(&mut world), (2, 0, 1_280));
    assert_eq!((world.counters(0).answered, world.counters(0).forwarded), (3, 0));
    world.audit();
}

#[test]
fn an_established_connection_learns_a_smaller_mtu_without_a_rule_being_hit() {
    let mut world = World::new(1);
    let client = |seq| packet(Side::Client, V4).dont_fragment().tcp(1, 2).seq(seq);
    let ack = TcpFlags::ACK;
    world.passes(Side::Client, client(0).flags(TcpFlags::SYN));
    let reply = packet(Side::Server, V4).tcp(2, 1).ack(1).flags(TcpFlags::SYN | ack);
    world.passes(Side::Server, reply);
    world.passes(Side::Client, client(1).ack(1).flags(ack));
    world.workers[0].engine().set_port(WAN, |port| port.mtu = 1_200);
    let long = client(1).ack(1).flags(ack);
    for _ in 0..3 {
        refuses(&mut world, &long.payload(&[0; 1_400]), (3, 4, 1_200));
    }
    world.passes(Side::Client, long.payload(&[0; 1_160]));
    assert_eq!(world.workers[0].engine().rules().hits()[0].count, 1);
}

#[test]
fn answers_to_one_source_are_limited_and_the_rest_counted() {
    let mut world = narrow(1_280);
    let sent = packet(Side::Client, V6).udp(1_000, 53).payload(&[1; 1_400]);
    for _ in 0..100 {
        world.arrive(0, Side::Client, &sent.frame());
    }
    world.settle();
    let counters = world.counters(0);
    assert!(counters.answered > 0 && counters.dropped(Reason::TooBig) > 0);
    assert_eq!(counters.answered + counters.dropped(Reason::TooBig), 100);
    assert_eq!(world.all_sent(LAN).len() as u64, counters.answers);
    world.audit();
}
