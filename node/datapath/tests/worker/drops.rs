//! What the worker itself drops, reason by reason, and that nothing else is lost with it.

use core::time::Duration;
use std::panic::{AssertUnwindSafe, catch_unwind};

use engine::{Counters, PortId, Reason};
use ringwall_datapath::limits::{
    BURST, BURSTS_PER_TURN, HANDOFF_DATAGRAMS, HANDOFF_FRAMES, POISON_KEPT, TRANSMIT_BACKLOG,
};
use ringwall_datapath::{Failpoint, Lease, Poison};
use wire::Version::V4;
use wire::{Time, build::Builder};

use crate::handoff::{cut, owner};
use crate::world::{LAN, START, Side, WAN, World, neighbour, packet, packet_to, routed};

/// UDP packets of flows that `worker` of two owns.
fn flows(worker: usize) -> impl Iterator<Item = Builder<'static>> {
    let sent = |port| packet(Side::Client, V4).udp(port, 53);
    (1_000..).map(sent).filter(move |sent| owner(&sent.frame()) == worker)
}

fn udp(payload: &[u8]) -> Builder<'_> {
    packet(Side::Client, V4).udp(1_000, 53).payload(payload)
}

/// Turns that take so many packets, but for a rest.
const fn turns(packets: usize) -> usize {
    packets / (BURST * BURSTS_PER_TURN)
}

#[test]
fn handoff_full_when_the_owner_never_turns() {
    let mut world = World::new(2);
    for sent in flows(1).take(HANDOFF_FRAMES + 10) {
        world.arrive(0, Side::Client, &sent.frame());
    }
    (0..=turns(HANDOFF_FRAMES)).for_each(|_| _ = world.turn(0));
    let given = HANDOFF_FRAMES as u64;
    let mut expected = Counters { received: given + 10, handed_out: given, ..Counters::default() };
    expected.dropped[Reason::HandoffFull as usize] = 10;
    assert_eq!(world.counters(0), expected);
    world.settle();
    assert_eq!(world.all_sent(WAN).len(), HANDOFF_FRAMES);
    world.audit();
}

#[test]
fn handoff_full_takes_all_fragments_of_a_datagram() {
    let mut world = World::new(2);
    let flow = flows(1).next().expect("half of all flows").payload(&[1; 4_000]);
    let here = |id: &u32| owner(&cut(&flow, *id, 1_500)[0]) == 0;
    for id in (1..).filter(here).take(HANDOFF_DATAGRAMS + 2) {
        for piece in cut(&flow, id, 1_500) {
            world.arrive(0, Side::Client, &piece);
        }
    }
    world.turn(0);
    assert_eq!(world.dropped(Reason::HandoffFull), 6);
    assert_eq!(world.counters(0).handed_out, 3 * HANDOFF_DATAGRAMS as u64);
    world.settle();
    assert_eq!(world.all_sent(WAN).len(), 3 * HANDOFF_DATAGRAMS);
    world.audit();
}

#[test]
fn transmit_full_when_a_port_sends_nothing() {
    let mut world = World::new(1);
    world.port(0, WAN).room = Some(0);
    let more = 10;
    for number in 0..(TRANSMIT_BACKLOG + more) as u32 {
        world.arrive(0, Side::Client, &udp(&number.to_be_bytes()).frame());
    }
    (0..=turns(TRANSMIT_BACKLOG)).for_each(|_| _ = world.turn(0));
    let (backlog, more) = (TRANSMIT_BACKLOG as u64, more as u64);
    let open = Counters { sessions_opened: 1, ..Counters::default() };
    let mut expected = Counters { received: backlog + more, forwarded: backlog, ..open };
    expected.dropped[Reason::TransmitFull as usize] = more;
    assert_eq!(world.counters(0), expected);
    world.port(0, WAN).room = None;
    world.settle();
    // The newest gave way.
    let last = world.all_sent(WAN).pop().expect("the backlog");
    assert_eq!(last[42..46], (backlog as u32 - 1).to_be_bytes());
    world.audit();
}

#[test]
fn answers_that_find_no_room_are_counted_and_freed() {
    let mut world = World::new(1);
    world.port(0, LAN).room = Some(0);
    let back = packet(Side::Server, V4).udp(53, 1_000);
    world.passes(Side::Client, udp(b"open"));
    for _ in 0..TRANSMIT_BACKLOG {
        world.arrive(0, Side::Server, &back.frame());
    }
    world.arrive(0, Side::Client, &udp(b"last hop").hop_limit(1).frame());
    world.turn(0);
    world.turn(0);
    let counters = world.counters(0);
    assert_eq!(counters.answered, 1);
    assert_eq!(counters.outputs_lost + counters.dropped(Reason::TransmitFull), 1);
    world.port(0, LAN).room = None;
    world.settle();
    assert_eq!(world.all_sent(LAN).len(), TRANSMIT_BACKLOG);
    world.audit();
}

/// Turns a worker that must panic, and puts it right.
fn panics(world: &mut World, worker: usize) {
    let now = world.now;
    let turned = catch_unwind(AssertUnwindSafe(|| world.workers[worker].turn(now)));
    assert!(turned.is_err(), "the planted panic");
    world.workers[worker].recover(now);
    world.counters(worker).balance().expect("conservation after a panic");
}

fn plant(world: &mut World, worker: usize, times: u32) {
    let failpoint = Failpoint { pattern: b"POISON".to_vec(), times };
    world.workers[worker].set_failpoint(Some(failpoint));
}

#[test]
fn poison_takes_the_one_frame_and_spares_the_rest_of_the_burst() {
    for at in [0, 1, 31, BURST - 1] {
        let mut world = World::new(1);
        world.passes(Side::Client, udp(b"before"));
        plant(&mut world, 0, 1);
        let payload =
            |index| if index == at { "a POISON pill".to_owned() } else { format!("{index}") };
        for index in 0..BURST {
            world.arrive(0, Side::Client, &udp(payload(index).as_bytes()).frame());
        }
        panics(&mut world, 0);
        assert_eq!(world.sessions(0), 1, "sessions survive");
        world.settle();
        let frames: Vec<_> = (0..BURST)
            .filter(|index| *index != at)
            .map(|index| routed(Side::Client, udp(payload(index).as_bytes())).frame().to_vec())
            .collect();
        assert_eq!(world.all_sent(WAN), frames);
        let bad = udp(b"a POISON pill").frame().to_vec();
        let kept = Poison { time: START, ingress: LAN, frame: bad };
        assert_eq!(world.workers[0].take_poison(), Some(kept));
        assert_eq!(world.workers[0].take_poison(), None);
        let count = BURST as u64;
        let open = Counters { sessions_opened: 1, ..Counters::default() };
        let mut expected = Counters { received: count + 1, forwarded: count, ..open };
        expected.dropped[Reason::Poison as usize] = 1;
        assert_eq!(world.counters(0), expected);
        world.passes(Side::Server, packet(Side::Server, V4).udp(53, 1_000));
        world.audit();
    }
}

#[test]
fn poison_again_and_again_keeps_the_newest() {
    let mut world = World::new(1);
    plant(&mut world, 0, u32::MAX);
    let times = POISON_KEPT + 3;
    for index in 0..times {
        world.arrive(0, Side::Client, &udp(format!("POISON {index}").as_bytes()).frame());
    }
    for _ in 0..times {
        panics(&mut world, 0);
    }
    world.settle();
    assert_eq!(world.dropped(Reason::Poison), times as u64);
    let oldest = world.workers[0].take_poison().expect("kept");
    assert_eq!(oldest.frame, udp(b"POISON 3").frame().to_vec());
    world.audit();
}

#[test]
fn poison_from_another_worker_spares_what_came_with_it() {
    let mut world = World::new(2);
    let flow = flows(1).next().expect("half of all flows");
    let port = crate::world::parse(&flow.frame()).ports().expect("UDP").0;
    let reply = packet(Side::Server, V4).udp(53, port);
    world.arrive(1, Side::Client, &flow.frame());
    world.settle();
    plant(&mut world, 1, 1);
    // Alternating ingress ports: each change ends a batch of the receiver.
    for round in 0..10 {
        let payload: &[u8] = if round == 4 { b"POISON" } else { b"fine" };
        world.arrive(0, Side::Client, &flow.payload(payload).frame());
        world.turn(0);
        world.arrive(0, Side::Server, &reply.frame());
        world.turn(0);
    }
    panics(&mut world, 1);
    world.settle();
    assert_eq!(world.dropped(Reason::Poison), 1);
    assert_eq!((world.all_sent(WAN).len(), world.all_sent(LAN).len()), (10, 10));
    assert_eq!(world.workers[1].take_poison().expect("kept").ingress, LAN);
    world.audit();
}

#[test]
fn poison_in_a_datagram_takes_it_whole_and_its_carrier_comes_back() {
    let mut world = World::new(2);
    let mut payload = [1; 4_000];
    payload[3_000..3_006].copy_from_slice(b"POISON");
    let flow = flows(1).next().expect("half of all flows").payload(&payload);
    let here = |id: &u32| owner(&cut(&flow, *id, 1_500)[0]) == 0;
    let ids = (1..).filter(here).take(2 * HANDOFF_DATAGRAMS);
    plant(&mut world, 1, 2 * HANDOFF_DATAGRAMS as u32 - 1);
    for (index, id) in ids.enumerate() {
        for piece in cut(&flow, id, 1_500) {
            world.arrive(0, Side::Client, &piece);
        }
        world.turn(0);
        if index + 1 < 2 * HANDOFF_DATAGRAMS {
            panics(&mut world, 1);
        }
    }
    world.settle();
    assert_eq!(world.dropped(Reason::Poison), 3 * (2 * HANDOFF_DATAGRAMS as u64 - 1));
    assert_eq!(world.all_sent(WAN).len(), 3, "the last one passes");
    let kept = world.workers[1].take_poison().expect("kept");
    assert_eq!((kept.ingress, kept.frame.len()), (PortId(0), 14 + 20 + 8 + 4_000));
    world.audit();
}

#[test]
fn drop_only_until_it_is_lifted() {
    let mut world = World::new(1);
    world.passes(Side::Client, udp(b"before"));
    world.workers[0].set_drop_only(true);
    for _ in 0..3 {
        world.is_dropped(Side::Client, &udp(b"refused"), Reason::DropOnly);
    }
    world.workers[0].set_drop_only(false);
    world.passes(Side::Client, udp(b"after"));
    assert_eq!(world.counters(0).sessions_opened, 1);
    world.audit();
}

#[test]
fn lease_expired_without_a_lease_and_past_its_end() {
    let mut world = World::new(1);
    world.lease.renew(Time::ZERO);
    world.is_dropped(Side::Client, &udp(b"none yet"), Reason::LeaseExpired);
    world.lease.renew(world.now);
    world.passes(Side::Client, udp(b"to the last nanosecond"));
    world.now = world.now + Duration::from_nanos(1);
    world.is_dropped(Side::Client, &udp(b"past"), Reason::LeaseExpired);
    world.renew();
    world.passes(Side::Client, udp(b"renewed"));
    world.audit();
}

#[test]
fn lease_expired_for_packets_that_another_worker_gave() {
    let mut world = World::new(2);
    let flow = flows(1).next().expect("half of all flows");
    world.arrive(0, Side::Client, &flow.frame());
    let whole = flow.payload(&[1; 4_000]);
    let here = |id: &u32| owner(&cut(&whole, *id, 1_500)[0]) == 0;
    let id = (1..).find(here).expect("half of all ids");
    for piece in cut(&whole, id, 1_500) {
        world.arrive(0, Side::Client, &piece);
    }
    world.turn(0);
    world.lease.renew(Time::ZERO);
    world.settle();
    assert_eq!((world.counters(1).handed_in, world.dropped(Reason::LeaseExpired)), (4, 4));
    world.audit();
}

/// More frames in the rings than one turn takes.
const MANY: usize = BURST * BURSTS_PER_TURN + 500;

#[test]
fn lease_expired_for_all_that_waited_while_the_clock_jumped() {
    let mut world = World::new(1);
    world.passes(Side::Client, udp(b"before"));
    for _ in 0..MANY {
        world.arrive(0, Side::Client, &udp(b"old").frame());
    }
    world.now = world.now + Lease::LENGTH + Duration::from_nanos(1);
    world.renew();
    world.settle();
    assert_eq!(world.dropped(Reason::LeaseExpired), MANY as u64);
    world.passes(Side::Client, udp(b"after"));
    world.audit();
}

#[test]
fn a_pause_shorter_than_a_lease_drops_nothing() {
    let mut world = World::new(1);
    world.passes(Side::Client, udp(b"before"));
    world.now = world.now + Lease::LENGTH;
    world.renew();
    world.passes(Side::Client, udp(b"after"));
}

#[test]
fn nothing_that_waited_to_be_sent_leaves_without_a_lease() {
    let mut world = World::new(1);
    world.port(0, WAN).room = Some(0);
    world.arrive(0, Side::Client, &udp(b"decided in time").frame());
    world.turn(0);
    world.now = world.now + Lease::LENGTH + Duration::from_nanos(1);
    world.port(0, WAN).room = None;
    // Its burst makes the ports transmit.
    world.arrive(0, Side::Client, &udp(b"too late").frame());
    world.settle();
    world.renew();
    world.settle();
    assert_eq!(world.sent(0, WAN), None);
    assert_eq!(world.counters(0).outputs_lost, 1);
    world.audit();
}

#[test]
fn a_held_packet_does_not_leave_without_a_lease() {
    let mut world = World::new(1);
    let sent = packet_to(Side::Client, V4, 9).udp(1_000, 53);
    assert_eq!(world.pass(Side::Client, &sent), None);
    let next = Side::Server.address(V4, 9);
    world.workers[0].engine().apply(&[neighbour(Side::Server, next)]);
    world.lease.renew(Time::ZERO);
    world.arrive(0, Side::Client, &udp(b"too late").frame());
    world.settle();
    world.renew();
    world.settle();
    assert_eq!(world.sent(0, WAN), None);
    assert_eq!((world.counters(0).outputs_lost, world.counters(0).held), (1, 0));
    world.audit();
}
