//! Two workers: packets, fragments and datagrams reach the worker that owns their flow.

use engine::Counters;
use wire::build::{Builder, Fragments};
use wire::{FragmentKey, PlacementKey, Slot, TcpFlags, Version, flow_key, slot};

use crate::world::{BOTH, SECRET, Side, WAN, World, packet, parse, routed};

/// The worker that owns the packet's flow while slots are spread evenly over two.
pub(crate) fn owner(frame: &[u8]) -> usize {
    usize::from(slot_of(frame).0) % 2
}

/// The slot of a packet.
pub(crate) fn slot_of(frame: &[u8]) -> Slot {
    let packet = parse(frame);
    let key = match FragmentKey::of(&packet, 0) {
        Some(key) => PlacementKey::of_fragment(&key),
        None => PlacementKey::of_flow(&flow_key(&packet, 0).expect("a flow").0),
    };
    slot(SECRET, &key)
}

/// The first source port from `from` on whose UDP flow to port 53 the worker owns.
fn port_of(version: Version, worker: usize, from: u16) -> u16 {
    let owned = |port: &u16| owner(&packet(Side::Client, version).udp(*port, 53).frame()) == worker;
    (from..).find(owned).expect("half of all flows")
}

/// The datagram cut for an MTU.
pub(crate) fn cut(whole: &Builder<'_>, id: u32, mtu: usize) -> Vec<Vec<u8>> {
    let mut frame = vec![0; 9_000];
    let length = whole.write(&mut frame).expect("it fits");
    let fragments = Fragments::new(&frame[..length], &parse(&frame[..length]), id, mtu).unwrap();
    let write = |index| {
        let mut out = vec![0; 2_048];
        let length = fragments.write(index, &mut out).expect("it fits");
        out.truncate(length);
        out
    };
    (0..fragments.count()).map(write).collect()
}

#[test]
fn request_and_reply_at_different_workers_meet_at_the_owner() {
    for (version, owner) in BOTH.into_iter().flat_map(|version| [(version, 0), (version, 1)]) {
        let mut world = World::new(2);
        let port = port_of(version, owner, 10_000);
        let request = packet(Side::Client, version).udp(port, 53).payload(b"?");
        let reply = packet(Side::Server, version).udp(53, port).payload(b"!");
        world.arrive(0, Side::Client, &request.frame());
        world.settle();
        world.arrive(1, Side::Server, &reply.frame());
        world.settle();
        // Both leave by the owner's own queues.
        let [there, back] =
            [Side::Client, Side::Server].map(|from| (from, world.sent(owner, from.other().port())));
        assert_eq!(there.1.expect("passes")[..], routed(there.0, request).frame()[..]);
        assert_eq!(back.1.expect("passes")[..], routed(back.0, reply).frame()[..]);
        let other = 1 - owner;
        let open =
            Counters { sessions_opened: 1, handed_in: 1, received: 1, ..Counters::default() };
        assert_eq!(world.counters(owner), Counters { forwarded: 2, ..open });
        let given = Counters { received: 1, handed_out: 1, ..Counters::default() };
        assert_eq!(world.counters(other), given);
        assert_eq!((world.sessions(owner), world.sessions(other)), (1, 0));
        world.audit();
    }
}

#[test]
fn a_handshake_over_two_workers_is_one_session() {
    let mut world = World::new(2);
    let client = |seq, ack, flags| {
        packet(Side::Client, Version::V4).tcp(41_000, 80).seq(seq).ack(ack).flags(flags)
    };
    let server = |seq, ack, flags| {
        packet(Side::Server, Version::V4).tcp(80, 41_000).seq(seq).ack(ack).flags(flags)
    };
    let ack = TcpFlags::ACK;
    world.arrive(0, Side::Client, &client(1, 0, TcpFlags::SYN).frame());
    world.settle();
    world.arrive(1, Side::Server, &server(9, 2, TcpFlags::SYN | ack).frame());
    world.settle();
    for worker in [0, 1, 0, 1] {
        world.arrive(worker, Side::Client, &client(2, 10, ack).frame());
        world.arrive(1 - worker, Side::Server, &server(10, 2, ack).frame());
        world.settle();
    }
    assert_eq!(world.total(|counters| counters.forwarded), 10);
    assert_eq!(world.total(|counters| counters.sessions_opened), 1);
    world.audit();
}

#[test]
fn packets_of_several_ports_keep_their_ingress() {
    let mut world = World::new(2);
    let port = port_of(Version::V4, 1, 20_000);
    let request = packet(Side::Client, Version::V4).udp(port, 53);
    let reply = packet(Side::Server, Version::V4).udp(53, port);
    world.arrive(0, Side::Client, &request.frame());
    world.settle();
    for _ in 0..100 {
        world.arrive(0, Side::Client, &request.frame());
        world.arrive(0, Side::Server, &reply.frame());
    }
    world.settle();
    assert_eq!(world.all_sent(WAN).len(), 101);
    assert_eq!(world.all_sent(crate::world::LAN).len(), 100);
    world.audit();
}

/// A datagram whose fragments and whose flow belong to the given workers.
fn placed(version: Version, fragments_at: usize, flow_at: usize) -> (u16, u32) {
    let port = port_of(version, flow_at, 30_000);
    let whole = packet(Side::Client, version).udp(port, 53).payload(&[7; 4_000]);
    let at = |id: &u32| owner(&cut(&whole, *id, 1_500)[0]) == fragments_at;
    (port, (1..).find(at).expect("half of all ids"))
}

#[test]
fn fragments_are_put_together_at_one_worker_and_judged_at_another() {
    let places = [(0, 0), (0, 1), (1, 0), (1, 1)];
    for (version, (fragments_at, flow_at)) in BOTH.into_iter().flat_map(|v| places.map(|p| (v, p)))
    {
        let mut world = World::new(2);
        let (port, id) = placed(version, fragments_at, flow_at);
        let payload: Vec<u8> = (0..4_000_u32).map(|byte| byte as u8).collect();
        let whole = packet(Side::Client, version).udp(port, 53).payload(&payload);
        let pieces = cut(&whole, id, 1_500);
        assert_eq!(pieces.len(), 3);
        for (index, piece) in pieces.iter().enumerate() {
            assert_eq!(world.all_sent(WAN).len(), 0, "nothing leaves before the last");
            world.arrive(index % 2, Side::Client, piece);
            world.settle();
        }
        let arrived: Vec<_> = core::iter::from_fn(|| world.sent(flow_at, WAN)).collect();
        assert_eq!(arrived, cut(&routed(Side::Client, whole), id, 1_500), "{version:?}");
        assert_eq!(world.counters(flow_at).forwarded, 3);
        assert_eq!(world.total(|counters| counters.forwarded + counters.held), 3);
        assert_eq!((world.sessions(flow_at), world.sessions(1 - flow_at)), (1, 0));
        world.audit();
    }
}

#[test]
fn incomplete_datagrams_are_held_where_they_are_put_together_and_then_given_up() {
    let mut world = World::new(2);
    let (port, id) = placed(Version::V4, 1, 0);
    let whole = packet(Side::Client, Version::V4).udp(port, 53).payload(&[7; 4_000]);
    let pieces = cut(&whole, id, 1_500);
    world.arrive(0, Side::Client, &pieces[0]);
    world.arrive(0, Side::Client, &pieces[1]);
    world.settle();
    assert_eq!((world.counters(0).handed_out, world.counters(1).held), (2, 2));
    world.wait(core::time::Duration::from_secs(31));
    assert_eq!(world.counters(1).held, 0);
    assert_eq!(world.dropped(engine::Reason::FragmentTimeout), 2);
    let answer = world.sent(1, crate::world::LAN).expect("time exceeded in reassembly");
    assert_eq!(answer[34..36], [11, 1]);
    assert_eq!(answer[..6], Side::Client.mac());
    world.audit();
}

#[test]
fn the_carriers_of_datagrams_come_back() {
    let mut world = World::new(2);
    let (port, _) = placed(Version::V6, 0, 1);
    let whole = packet(Side::Client, Version::V6).udp(port, 53).payload(&[7; 4_000]);
    let ids: Vec<u32> =
        (1..).filter(|id| owner(&cut(&whole, *id, 1_500)[0]) == 0).take(40).collect();
    for id in ids {
        for piece in cut(&whole, id, 1_500) {
            world.arrive(0, Side::Client, &piece);
        }
        world.settle();
    }
    assert_eq!(world.total(|counters| counters.forwarded), 120);
    world.audit();
}
