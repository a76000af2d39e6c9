//! Packets whose next hop has no link-layer address yet.

use core::time::Duration;

use engine::limits::{HELD_LIFE, HELD_PER_NEIGHBOUR};
use engine::{Counters, Reason};
use wire::Version;

use crate::handoff::cut;
use crate::world::{BOTH, LAN, Side, WAN, World, neighbour, packet_to, parse, routed};

/// A host that nobody has resolved.
const NEW: u8 = 9;

#[test]
fn a_held_packet_leaves_when_its_next_hop_is_known() {
    for version in BOTH {
        let mut world = World::new(1);
        let sent = packet_to(Side::Client, version, NEW).udp(1_000, 2_000).payload(b"wait");
        assert_eq!(world.pass(Side::Client, &sent), None);
        let next = Side::Server.address(version, NEW);
        assert_eq!(world.workers[0].next_resolve(), Some((WAN, next)));
        assert_eq!(world.workers[0].next_resolve(), None);
        let held = Counters { received: 1, sessions_opened: 1, ..Counters::default() };
        assert_eq!(world.counters(0), Counters { held: 1, ..held.clone() });
        world.workers[0].engine().apply(&[neighbour(Side::Server, next)]);
        assert_eq!(world.sent(0, WAN), None, "only a turn sends");
        world.settle();
        let arrived = world.sent(0, WAN).expect("it leaves");
        assert_eq!(arrived[..], routed(Side::Client, sent).frame()[..]);
        assert_eq!(world.counters(0), Counters { forwarded: 1, ..held });
        world.passes(Side::Client, sent);
        world.audit();
    }
}

#[test]
fn a_packet_without_next_hop_is_answered_in_the_end() {
    for version in BOTH {
        let mut world = World::new(1);
        let sent = packet_to(Side::Client, version, NEW).udp(1_000, 2_000).payload(b"wait");
        assert_eq!(world.pass(Side::Client, &sent), None);
        world.wait(HELD_LIFE - Duration::from_millis(1));
        assert_eq!(world.counters(0).held, 1);
        world.wait(Duration::from_millis(1));
        assert_eq!((world.counters(0).held, world.dropped(Reason::NeighbourUnresolved)), (0, 1));
        let answer = world.sent(0, LAN).expect("host unreachable");
        // To the link-layer address that the packet came from, out of the one it came to.
        assert_eq!(
            (&answer[..6], &answer[6..12]),
            (&Side::Client.mac()[..], &Side::Client.router()[..])
        );
        let packet = parse(&answer);
        assert_eq!(packet.destination, Side::Client.address(version, 1));
        let message = &answer[packet.transport as usize..][..2];
        assert_eq!(message, if version == Version::V4 { [3, 1] } else { [1, 3] });
        let embedded =
            wire::Packet::parse_embedded(&answer, &packet).expect("the packet it is about");
        assert_eq!(embedded.destination, Side::Server.address(version, NEW));
        world.audit();
    }
}

#[test]
fn too_many_for_one_next_hop_are_dropped() {
    let mut world = World::new(1);
    for port in 0..HELD_PER_NEIGHBOUR as u16 + 3 {
        let sent = packet_to(Side::Client, Version::V4, NEW).udp(1_000 + port, 2_000);
        world.arrive(0, Side::Client, &sent.frame());
    }
    world.settle();
    assert_eq!(world.counters(0).held, HELD_PER_NEIGHBOUR as u64);
    assert_eq!(world.dropped(Reason::NeighbourQueueFull), 3);
    let next = Side::Server.address(Version::V4, NEW);
    world.workers[0].engine().apply(&[neighbour(Side::Server, next)]);
    world.settle();
    assert_eq!(world.all_sent(WAN).len(), HELD_PER_NEIGHBOUR);
    assert_eq!(world.counters(0).held, 0);
    world.audit();
}

#[test]
fn a_datagram_waits_in_its_fragments() {
    for version in BOTH {
        let mut world = World::new(1);
        let whole = packet_to(Side::Client, version, NEW).udp(1_000, 2_000).payload(&[5; 4_000]);
        for piece in cut(&whole, 77, 1_500) {
            world.arrive(0, Side::Client, &piece);
        }
        world.settle();
        assert_eq!(world.counters(0).held, 3);
        let next = Side::Server.address(version, NEW);
        world.workers[0].engine().apply(&[neighbour(Side::Server, next)]);
        world.settle();
        assert_eq!(world.all_sent(WAN), cut(&routed(Side::Client, whole), 77, 1_500));
        assert_eq!((world.counters(0).forwarded, world.counters(0).held), (3, 0));
        world.audit();
    }
}

#[test]
fn an_answer_is_not_held_by_the_sessions_other_way() {
    // The client's address is unknown too: its reply waits, and nothing else.
    let mut world = World::new(1);
    let client = Side::Client.address(Version::V4, NEW);
    let server = Side::Server.address(Version::V4, 1);
    let there = wire::build::Builder::new(client, server)
        .ethernet(Side::Client.mac(), Side::Client.router())
        .udp(1_000, 2_000);
    assert!(world.pass(Side::Client, &there).is_some());
    let back = wire::build::Builder::new(server, client)
        .ethernet(Side::Server.mac(), Side::Server.router())
        .udp(2_000, 1_000);
    assert_eq!(world.pass(Side::Server, &back), None);
    assert_eq!(world.workers[0].next_resolve(), Some((LAN, client)));
    world.workers[0].engine().apply(&[neighbour(Side::Client, client)]);
    world.settle();
    assert_eq!(world.sent(0, LAN).expect("it leaves")[..6], Side::Client.mac());
    world.passes(Side::Server, back);
    world.audit();
}
