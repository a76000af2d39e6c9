//! Routing between two ports: exact frames, exact counters, no frame lost.

use engine::{Counters, Reason};
use wire::build::Builder;
use wire::{TcpFlags, Version, checksum};

use crate::world::{BOTH, LAN, Side, WAN, World, packet, parse};

/// A whole TCP connection, segment by segment.
fn connection<'a>(version: Version) -> Vec<(Side, Builder<'a>)> {
    use Side::{Client, Server};
    let c = |seq: u32, ack: u32, flags| {
        (Client, packet(Client, version).tcp(40_000, 443).seq(seq).ack(ack).flags(flags))
    };
    let s = |seq: u32, ack: u32, flags| {
        (Server, packet(Server, version).tcp(443, 40_000).seq(seq).ack(ack).flags(flags))
    };
    let (syn, ack, fin) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN);
    let with = |(side, segment): (Side, Builder<'a>), payload| (side, segment.payload(payload));
    vec![
        c(100, 0, syn),
        s(500, 101, syn | ack),
        c(101, 501, ack),
        with(c(101, 501, ack), b"question"),
        with(s(501, 109, ack), b"a longer answer"),
        c(109, 516, ack | fin),
        s(516, 110, ack | fin),
        c(110, 517, ack),
    ]
}

fn exact(world: &mut World, expected: &Counters) {
    assert_eq!(world.counters(0), *expected);
    world.audit();
}

#[test]
fn a_tcp_connection_passes_segment_by_segment() {
    for version in BOTH {
        let mut world = World::new(1);
        let segments = connection(version);
        for (from, segment) in &segments {
            world.passes(*from, *segment);
        }
        let packets = segments.len() as u64;
        let opened = Counters { sessions_opened: 1, ..Counters::default() };
        exact(&mut world, &Counters { received: packets, forwarded: packets, ..opened });
        assert_eq!(world.sessions(0), 1, "it lingers in TIME-WAIT");
    }
}

#[test]
fn udp_passes_both_ways_and_ends_by_time() {
    for version in BOTH {
        let mut world = World::new(1);
        let question = packet(Side::Client, version).udp(5_353, 53).payload(b"who?");
        let answer = packet(Side::Server, version).udp(53, 5_353).payload(b"me, of odd length");
        world.passes(Side::Client, question);
        world.passes(Side::Server, answer);
        world.wait(core::time::Duration::from_secs(31));
        assert_eq!(world.sessions(0), 0);
        exact(
            &mut world,
            &Counters {
                received: 2,
                forwarded: 2,
                sessions_opened: 1,
                sessions_closed: 1,
                ..Counters::default()
            },
        );
        world.is_dropped(Side::Server, &answer, Reason::NoRule);
    }
}

#[test]
fn icmp_echo_passes_and_its_reply_alone_does_not() {
    for version in BOTH {
        let mut world = World::new(1);
        let reply = packet(Side::Server, version).echo_reply(77, 1);
        world.is_dropped(Side::Server, &reply, Reason::IcmpUnsolicited);
        world.passes(Side::Client, packet(Side::Client, version).echo_request(77, 1));
        world.passes(Side::Server, reply);
        world.audit();
    }
}

#[test]
fn a_udp_packet_without_checksum_stays_so() {
    let mut world = World::new(1);
    let bare = packet(Side::Client, Version::V4).udp(9, 9).payload(b"x").without_checksum();
    world.passes(Side::Client, bare);
}

#[test]
fn checksums_are_right_after_every_hop_limit() {
    for hop_limit in 2..=255 {
        let mut world = World::new(1);
        let sent = packet(Side::Client, Version::V4).hop_limit(hop_limit).udp(9, 9).payload(b"abc");
        let arrived = world.pass(Side::Client, &sent).unwrap();
        let packet = parse(&arrived);
        assert_eq!(packet.hop_limit, hop_limit - 1);
        assert!(checksum::ipv4_header_checksum_ok(&arrived, &packet));
        assert!(checksum::transport_checksum_ok(&arrived, &packet));
    }
}

#[test]
fn the_last_hop_is_answered_to_its_sender() {
    for version in BOTH {
        let mut world = World::new(1);
        let sent = packet(Side::Client, version).hop_limit(1).udp(33_434, 33_434);
        assert_eq!(world.pass(Side::Client, &sent), None);
        let answer = world.sent(0, LAN).expect("an ICMP error");
        assert_eq!(
            (&answer[..6], &answer[6..12]),
            (&Side::Client.mac()[..], &Side::Client.router()[..])
        );
        let packet = parse(&answer);
        assert_eq!(packet.source, Side::Client.address(version, 254));
        assert_eq!(packet.destination, Side::Client.address(version, 1));
        assert!(packet.is_icmp_error() && checksum::transport_checksum_ok(&answer, &packet));
        exact(
            &mut world,
            &Counters { received: 1, answered: 1, answers: 1, ..Counters::default() },
        );
    }
}

#[test]
fn more_than_a_turn_takes_arrives_in_order() {
    let mut world = World::new(1);
    let payloads: Vec<[u8; 4]> = (0..2_000_u32).map(u32::to_be_bytes).collect();
    let sent = |payload| packet(Side::Client, Version::V4).udp(1_000, 2_000).payload(payload);
    for payload in &payloads {
        world.arrive(0, Side::Client, &sent(payload).frame());
    }
    world.settle();
    let arrived = world.all_sent(WAN);
    assert_eq!(arrived.len(), payloads.len());
    for (frame, payload) in arrived.iter().zip(&payloads) {
        assert_eq!(frame[42..46], payload[..]);
    }
    let passed = Counters { received: 2_000, forwarded: 2_000, ..Counters::default() };
    exact(&mut world, &Counters { sessions_opened: 1, ..passed });
}

#[test]
fn what_is_for_the_firewall_or_nobody_is_counted() {
    let mut world = World::new(1);
    let own =
        Builder::new(Side::Client.address(Version::V4, 1), Side::Client.address(Version::V4, 254));
    let own = own.ethernet(Side::Client.mac(), Side::Client.router());
    world.is_dropped(Side::Client, &own.udp(1, 2), Reason::LocalDestination);
    let stranger = packet(Side::Client, Version::V4).ethernet(Side::Client.mac(), [2; 6]);
    world.is_dropped(Side::Client, &stranger.udp(1, 2), Reason::OtherHost);
    world.is_dropped(
        Side::Client,
        &packet(Side::Client, Version::V4).vlan(5).udp(1, 2),
        Reason::VlanTagged,
    );
    let refused = packet(Side::Server, Version::V4).udp(1, 2);
    world.is_dropped(Side::Server, &refused, Reason::NoRule);
    world.audit();
}

#[test]
fn a_frame_too_short_to_be_one_is_dropped() {
    let mut world = World::new(1);
    for length in 1..14 {
        world.arrive(0, Side::Client, &vec![0xff; length]);
    }
    world.settle();
    let frames = world.dropped(Reason::FrameTooShort);
    assert_eq!((frames, world.counters(0).received), (13, 13));
    world.audit();
}
