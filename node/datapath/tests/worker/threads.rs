//! Two workers in two threads: sleep and wake-up lose nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use ringwall_datapath::{MemoryPort, Turn, Worker};
use wire::Version::V4;

use crate::handoff::owner;
use crate::world::{LAN, START, Side, World, packet};

/// Packets given one by one, each to a worker that sleeps or is about to.
const ROUNDS: u64 = 3_000;
/// Sleep that only a lost wake-up makes so long, milliseconds.
const TOO_LONG: u16 = 20_000;

/// What the two threads tell each other.
#[derive(Default)]
struct Shared {
    forwarded: AtomicU64,
    stop: AtomicBool,
}

/// The owner's loop, as a flow actor runs it: work, lie down, sleep until the bell rings.
fn own(mut worker: Worker<MemoryPort>, shared: &Shared) -> Worker<MemoryPort> {
    while !shared.stop.load(Ordering::Acquire) {
        let turn = worker.turn(START);
        shared.forwarded.store(worker.engine().counters().forwarded, Ordering::Release);
        // What nobody rings for a second time is looked at between lying down and sleeping.
        if turn == Turn::Busy || !worker.lie_down() || shared.stop.load(Ordering::Acquire) {
            continue;
        }
        let mut bell = [PollFd::new(worker.bell().descriptor(), PollFlags::POLLIN)];
        let rung = poll(&mut bell, PollTimeout::from(TOO_LONG)).expect("poll");
        assert_eq!(rung, 1, "a wake-up was lost");
        worker.bell().get_up();
    }
    worker
}

/// Gives packet after packet, each once the one before has been forwarded.
fn give(worker: &mut Worker<MemoryPort>, frame: &[u8], shared: &Shared) {
    for round in 1..=ROUNDS {
        worker.port(LAN).expect("a port of the world").arrive(frame);
        let deadline = Instant::now() + Duration::from_millis(TOO_LONG.into());
        while shared.forwarded.load(Ordering::Acquire) < round {
            worker.turn(START);
            thread::yield_now();
            assert!(Instant::now() < deadline, "packet {round} did not arrive");
        }
    }
}

#[test]
fn no_wake_up_is_lost() {
    let mut world = World::new(2);
    world.settle();
    let sent = |port| packet(Side::Client, V4).udp(port, 53).frame().to_vec();
    let frame = (1_000..).map(sent).find(|frame| owner(frame) == 1).expect("half of all flows");
    let sleeper = world.workers.pop().expect("two workers");
    let bell = sleeper.bell().clone();
    let shared = Arc::new(Shared::default());
    let theirs = Arc::clone(&shared);
    let thread = thread::spawn(move || own(sleeper, &theirs));
    give(&mut world.workers[0], &frame, &shared);
    shared.stop.store(true, Ordering::Release);
    bell.ring();
    world.workers.push(thread.join().expect("the owner's thread"));
    world.settle();
    assert_eq!(world.counters(1).forwarded, ROUNDS);
    world.audit();
}
