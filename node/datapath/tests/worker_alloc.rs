//! A worker allocates nothing per packet, whatever way the packet goes.
#![allow(unsafe_code, clippy::unwrap_used)]

#[path = "worker/world.rs"]
#[allow(dead_code, reason = "other tests look at more of it")]
mod world;

use core::time::Duration;
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use af_xdp::{Frame, Umem};
use engine::Reason;
use ringwall_datapath::Port;
use wire::build::{Builder, Fragments};
use wire::{Packet, TcpFlags, Version};
use world::{BOTH, LAN, POLICY, Side, WAN, World, packet, packet_to, ports};

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

/// The system's allocator, counting for each thread.
struct Counting;

fn count() {
    // A thread that ends has nothing to count any more.
    let _ = ALLOCATIONS.try_with(|count| count.set(count.get() + 1));
}

// SAFETY: every call goes to the system's allocator unchanged; counting touches a thread-local
// integer that needs neither allocation nor a destructor.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc`'s contract.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `alloc_zeroed`'s contract.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        count();
        // SAFETY: the caller keeps `realloc`'s contract.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller keeps `dealloc`'s contract.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

/// A port at which the same frames arrive over and over; what is sent is counted.
#[derive(Debug, Default)]
struct Fountain {
    frames: Vec<Vec<u8>>,
    next: usize,
    /// Frames until the fountain dries up.
    left: usize,
    /// Gives each frame UDP ports of its own (IPv4 without options, no checksum).
    fresh: Option<u32>,
    sent: u64,
}

/// Offset of the UDP ports in an IPv4 frame.
const PORTS: usize = 34;

impl Port for Fountain {
    fn receive(&mut self, umem: &mut Umem, into: &mut Vec<Frame>, room: usize) -> usize {
        let count = room.min(self.left);
        for _ in 0..count {
            let next = self.next;
            self.next = (next + 1) % self.frames.len();
            if let Some(fresh) = &mut self.fresh {
                *fresh += 1;
                self.frames[next][PORTS..PORTS + 4].copy_from_slice(&fresh.to_be_bytes());
            }
            let mut frame = umem.alloc().expect("a frame");
            umem.write(&mut frame, &self.frames[next]).expect("it fits");
            into.push(frame);
        }
        self.left -= count;
        count
    }

    fn transmit(&mut self, umem: &mut Umem, backlog: &mut Vec<Frame>) {
        self.sent += backlog.len() as u64;
        backlog.drain(..).for_each(|frame| umem.free(frame));
    }

    fn service(&mut self, _: &mut Umem) {}

    fn sending(&self) -> bool {
        false
    }
}

fn world(workers: usize, policy: &str) -> World<Fountain> {
    let mut world = World::with(workers, &ports(), policy, Fountain::default);
    for worker in 0..workers {
        world.turn(worker);
    }
    world
}

fn pour(world: &mut World<Fountain>, side: Side, frames: &[Vec<u8>]) {
    fountain(world, 0, side).frames = frames.to_vec();
}

fn fountain(world: &mut World<Fountain>, worker: usize, side: Side) -> &mut Fountain {
    world.workers[worker].port(side.port()).expect("a port of the world")
}

/// Turns all workers `rounds` times, `step` apart, with `burst` frames at worker 0 each time, and
/// returns the number of allocations.
fn allocations(world: &mut World<Fountain>, rounds: usize, burst: usize, step: Duration) -> u64 {
    let before = ALLOCATIONS.get();
    for _ in 0..rounds {
        world.now = world.now + step;
        world.renew();
        for side in [Side::Client, Side::Server] {
            let fountain = fountain(world, 0, side);
            fountain.left = if fountain.frames.is_empty() { 0 } else { burst };
        }
        for worker in 0..world.workers.len() {
            world.turn(worker);
            while world.events[worker].pop().is_ok() {}
            while world.workers[worker].next_resolve().is_some() {}
        }
    }
    ALLOCATIONS.get() - before
}

fn frames(sent: &[Builder<'_>]) -> Vec<Vec<u8>> {
    sent.iter().map(|sent| sent.frame().to_vec()).collect()
}

fn cut(whole: &Builder<'_>, id: u32, mtu: usize) -> Vec<Vec<u8>> {
    let mut frame = vec![0; 9_000];
    let length = whole.write(&mut frame).unwrap();
    let parsed = Packet::parse(&frame[..length]).unwrap();
    let pieces = Fragments::new(&frame[..length], &parsed, id, mtu).unwrap();
    let write = |index| {
        let mut out = vec![0; 2_048];
        let length = pieces.write(index, &mut out).unwrap();
        out.truncate(length);
        out
    };
    (0..pieces.count()).map(write).collect()
}

const MILLI: Duration = Duration::from_millis(1);

#[test]
fn the_counter_counts() {
    let before = ALLOCATIONS.get();
    drop(core::hint::black_box(Box::new(1)));
    assert_eq!(ALLOCATIONS.get(), before + 1);
}

#[test]
fn established_sessions_allocate_nothing() {
    let mut world = world(1, POLICY);
    let ack = TcpFlags::ACK;
    for version in BOTH {
        let client = |seq| packet(Side::Client, version).tcp(1, 2).seq(seq);
        let server = |seq| packet(Side::Server, version).tcp(2, 1).seq(seq).ack(1);
        for (side, segment) in [
            (Side::Client, client(0).flags(TcpFlags::SYN)),
            (Side::Server, server(0).flags(TcpFlags::SYN | ack)),
            (Side::Client, client(1).ack(1).flags(ack)),
        ] {
            pour(&mut world, side, &frames(&[segment]));
            allocations(&mut world, 1, 1, MILLI);
            pour(&mut world, side, &[]);
        }
    }
    let both = |side: Side, seq: u32| {
        let ports = if side == Side::Client { (1, 2) } else { (2, 1) };
        let segment = |version| {
            let data = packet(side, version).tcp(ports.0, ports.1).seq(seq).ack(1).flags(ack);
            data.payload(b"data").frame().to_vec()
        };
        BOTH.map(segment)
    };
    pour(&mut world, Side::Client, &both(Side::Client, 1));
    pour(&mut world, Side::Server, &both(Side::Server, 1));
    let before = world.counters(0).forwarded;
    assert_eq!(allocations(&mut world, 100, 200, MILLI), 0);
    assert_eq!(world.counters(0).forwarded - before, 40_000);
    assert_eq!(world.counters(0).sessions_opened, 2);
}

#[test]
fn new_sessions_their_events_and_their_end_allocate_nothing() {
    let log = POLICY.to_owned() + "log = [\"open\", \"close\"]\n";
    let mut world = world(1, &log);
    pour(
        &mut world,
        Side::Client,
        &frames(&[packet(Side::Client, Version::V4).udp(1, 2).without_checksum()]),
    );
    fountain(&mut world, 0, Side::Client).fresh = Some(0);
    assert_eq!(allocations(&mut world, 300, 240, Duration::from_millis(500)), 0);
    let counters = world.counters(0);
    assert_eq!(counters.received, 72_000);
    assert!(counters.sessions_opened > 2 * 8_192, "{counters:?}");
    assert!(counters.sessions_closed > 8_192, "{counters:?}");
    assert!(counters.dropped(Reason::TableFull) > 0, "{counters:?}");
    assert_eq!(counters.events_lost, 0);
}

#[test]
fn handing_off_allocates_nothing() {
    let mut world = world(2, POLICY);
    pour(
        &mut world,
        Side::Client,
        &frames(&[packet(Side::Client, Version::V4).udp(1, 2).without_checksum()]),
    );
    fountain(&mut world, 0, Side::Client).fresh = Some(0);
    assert_eq!(allocations(&mut world, 50, 100, MILLI), 0);
    assert!(world.counters(1).forwarded > 2_000);
    assert_eq!(world.total(|counters| counters.forwarded), 5_000);
}

#[test]
fn fragments_and_datagrams_given_away_allocate_nothing() {
    for version in BOTH {
        let mut world = world(2, POLICY);
        let flow = |port| packet(Side::Client, version).udp(port, 53).payload(&[3; 3_000]);
        let pieces: Vec<_> = (0..32).flat_map(|id: u16| cut(&flow(id), id.into(), 1_280)).collect();
        assert_eq!(pieces.len() % 3, 0);
        pour(&mut world, Side::Client, &pieces);
        // The index of incomplete datagrams has its final size after the first of them.
        let burst = 12;
        assert_eq!(allocations(&mut world, 200, burst, MILLI), 0);
        let (here, there) = (world.counters(0), world.counters(1));
        assert!(here.forwarded > 0 && there.forwarded > 0 && there.handed_out > 0, "{there:?}");
        let passed = here.forwarded + there.forwarded;
        assert!(passed + 24 >= 200 * burst as u64, "{here:?} {there:?}");
    }
}

#[test]
fn incomplete_datagrams_that_are_given_up_allocate_nothing() {
    let mut world = world(1, POLICY);
    let flow = packet(Side::Client, Version::V4).udp(1_000, 53).payload(&[3; 3_000]);
    let firsts: Vec<_> = (0..400).map(|id| cut(&flow, id, 1_280).remove(0)).collect();
    pour(&mut world, Side::Client, &firsts);
    assert_eq!(allocations(&mut world, 200, 1, Duration::from_millis(500)), 0);
    assert_eq!(allocations(&mut world, 100, 10, Duration::from_millis(500)), 0);
    let counters = world.counters(0);
    assert!(counters.dropped(Reason::FragmentTimeout) > 0 && counters.answers > 0, "{counters:?}");
    assert!(counters.dropped(Reason::FragmentPerSource) > 0, "{counters:?}");
}

#[test]
fn answers_and_drops_allocate_nothing() {
    let mut world = world(1, POLICY);
    world.workers[0].engine().set_port(WAN, |port| port.mtu = 1_280);
    let long = packet(Side::Client, Version::V6).udp(1, 2).payload(&[0; 1_300]);
    let pieces = packet(Side::Client, Version::V4).udp(1, 2).payload(&[0; 1_300]);
    let last = packet(Side::Client, Version::V4).udp(1, 2).hop_limit(1);
    pour(&mut world, Side::Client, &frames(&[long, pieces, last]));
    pour(&mut world, Side::Server, &frames(&[packet(Side::Server, Version::V4).udp(7, 7)]));
    assert_eq!(allocations(&mut world, 200, 9, Duration::from_millis(10)), 0);
    let counters = world.counters(0);
    assert!(counters.answers > 0 && counters.dropped(Reason::TooBig) > 0, "{counters:?}");
    assert!(counters.dropped(Reason::NoRule) > 0 && counters.forwarded > 0, "{counters:?}");
    assert_eq!(fountain(&mut world, 0, Side::Server).sent, 2 * counters.forwarded);
}

#[test]
fn packets_held_for_neighbours_allocate_nothing() {
    let mut world = world(1, POLICY);
    let waiting: Vec<_> =
        (100..250).map(|host| packet_to(Side::Client, Version::V4, host).udp(1, 2)).collect();
    pour(&mut world, Side::Client, &frames(&waiting));
    assert_eq!(allocations(&mut world, 100, 50, Duration::from_millis(300)), 0);
    let counters = world.counters(0);
    assert!(counters.dropped(Reason::NeighbourUnresolved) > 0 && counters.answers > 0);
    assert!(counters.held > 0);
    let known: Vec<_> = (100..250)
        .map(|host| world::neighbour(Side::Server, Side::Server.address(Version::V4, host)))
        .collect();
    world.workers[0].engine().apply(&known);
    pour(&mut world, Side::Client, &[]);
    assert_eq!(allocations(&mut world, 1, 0, MILLI), 0);
    assert_eq!(world.counters(0).held, 0);
    assert!(fountain(&mut world, 0, Side::Server).sent >= counters.held);
    assert!(world.workers[0].port(LAN).is_some_and(|port| port.sent == counters.answers));
}
