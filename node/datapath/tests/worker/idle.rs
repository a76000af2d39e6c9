//! Falling asleep, and being woken by another worker.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::os::fd::AsFd;

use ringwall_datapath::limits::{BURST, BURSTS_PER_TURN, HANDOFF_FRAMES, IDLE_TICK};
use ringwall_datapath::{Bell, Turn};
use wire::Version::V4;

use crate::handoff::owner;
use crate::world::{START, Side, World, packet};

/// Whether the bell rings; silences it.
fn rings(bell: &Bell) -> bool {
    let mut event =
        File::from(bell.descriptor().as_fd().try_clone_to_owned().expect("a descriptor"));
    match event.read(&mut [0; 8]) {
        Ok(bytes) => bytes == 8,
        Err(error) if error.kind() == ErrorKind::WouldBlock => false,
        Err(error) => panic!("{error}"),
    }
}

/// A frame of a flow that worker 1 of two owns.
fn for_the_other() -> Vec<u8> {
    let sent = |port| packet(Side::Client, V4).udp(port, 53).frame().to_vec();
    (1_000..).map(sent).find(|frame| owner(frame) == 1).expect("half of all flows")
}

#[test]
fn a_turn_without_work_says_until_when() {
    let mut world = World::new(1);
    assert_eq!(world.turn(0), Turn::Idle { until: START + IDLE_TICK });
    world.arrive(0, Side::Client, &for_the_other());
    assert_eq!(world.turn(0), Turn::Busy);
    assert_eq!(world.turn(0), Turn::Idle { until: START + IDLE_TICK });
}

#[test]
fn a_turn_is_bounded_and_asks_for_another() {
    let mut world = World::new(1);
    for _ in 0..BURST * BURSTS_PER_TURN + 1 {
        world.arrive(0, Side::Client, &for_the_other());
    }
    assert_eq!(world.turn(0), Turn::Busy);
    assert_eq!(world.port(0, crate::world::LAN).waiting(), 1);
    assert_eq!(world.turn(0), Turn::Busy);
    assert!(matches!(world.turn(0), Turn::Idle { .. }));
}

#[test]
fn a_port_that_is_behind_keeps_the_worker_awake() {
    let mut world = World::new(1);
    world.port(0, crate::world::WAN).room = Some(0);
    world.arrive(0, Side::Client, &for_the_other());
    for _ in 0..3 {
        assert_eq!(world.turn(0), Turn::Busy);
    }
}

#[test]
fn a_packet_given_wakes_the_sleeper() {
    let mut world = World::new(2);
    world.settle();
    assert!(world.workers[1].lie_down());
    assert!(!rings(world.workers[1].bell()));
    world.arrive(0, Side::Client, &for_the_other());
    world.turn(0);
    assert!(rings(world.workers[1].bell()));
    world.workers[1].bell().get_up();
    assert_eq!(world.turn(1), Turn::Busy);
    assert!(world.workers[1].lie_down(), "all taken");
}

#[test]
fn nobody_rings_for_one_who_is_awake() {
    let mut world = World::new(2);
    world.settle();
    world.arrive(0, Side::Client, &for_the_other());
    world.turn(0);
    assert!(!rings(world.workers[1].bell()));
    // The work is seen at the last look before sleep instead.
    assert!(!world.workers[1].lie_down());
    world.arrive(0, Side::Client, &for_the_other());
    world.turn(0);
    assert!(!rings(world.workers[1].bell()), "it got up again by itself");
}

#[test]
fn one_ring_for_many_packets() {
    let mut world = World::new(2);
    world.settle();
    assert!(world.workers[1].lie_down());
    for _ in 0..HANDOFF_FRAMES {
        world.arrive(0, Side::Client, &for_the_other());
    }
    world.turn(0);
    assert!(rings(world.workers[1].bell()));
    assert!(!rings(world.workers[1].bell()));
    world.settle();
    world.audit();
}

#[test]
fn getting_up_silences_the_bell() {
    let mut world = World::new(2);
    world.settle();
    assert!(world.workers[1].lie_down());
    world.arrive(0, Side::Client, &for_the_other());
    world.turn(0);
    world.workers[1].bell().get_up();
    assert!(!rings(world.workers[1].bell()));
}
