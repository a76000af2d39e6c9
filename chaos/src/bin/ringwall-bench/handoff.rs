//! What it costs that a packet arrives at a worker that does not own its flow.
//!
//! Two workers with twin ports in memory. Local: one worker receives, judges and sends. Handed over:
//! worker 0 receives and gives each packet to worker 1, who judges and sends; both on one core (the
//! work as such), and each on its own (with the cache lines that travel between them; the pair is then
//! as fast as the slower of the two; needs two cores with nothing else to do, the rest is CPU time).
//! At most [`WINDOW`] packets are under way, so none is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use af_xdp::{Frame, Umem, UmemConfig};
use clap::Args;
use datapath::{Bell, Lease, Parts, Peer, Port, Worker};
use engine::{Engine, Event, WorkerId};
use rtrb::{Consumer, RingBuffer};
use wire::Time;

use crate::failure::Failure;
use crate::report::Comparison;
use crate::system::{self, FORWARDER_CORE, SENDER_CORE};
use crate::workload::{self, Bench, FRAME_BYTES, Flows, LAN, WAN};

/// Packets under way at most: fewer than a worker lends frames (`datapath::limits::HANDOFF_FRAMES`).
const WINDOW: u64 = 192;
/// Connections, few enough that the table stays in the second-level cache.
const FLOWS: u32 = 1_024;

/// Options of `handoff`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Milliseconds of each measurement.
    #[arg(long, default_value_t = 500)]
    millis: u64,
}

pub(crate) fn run(options: &Options, rounds: u32) -> Result<Vec<Comparison>, Failure> {
    let length = Duration::from_millis(options.millis);
    let mut one_core = Comparison::new("handed over, both on one core", "ns", None);
    let mut two_cores = Comparison::new("handed over, a core each", "ns", None);
    for _ in 0..rounds {
        let local = alone(length, By::Thread)?;
        one_core.push(together(length)?, local);
        two_cores.push(apart(length)?, alone(length, By::Wall)?);
    }
    Ok(vec![one_core, two_cores])
}

/// Nanoseconds a packet of a worker that owns all flows.
fn alone(length: Duration, by: By) -> Result<f64, Failure> {
    system::pin(FORWARDER_CORE)?;
    let done = Arc::default();
    let mut seat = Seat::new(WorkerId(0), WorkerId(0), Vec::new(), bell()?, &done)?;
    Ok(nanos_a_packet(length, by, &done, || seat.turn()))
}

/// The same with two workers that take turns on one core.
fn together(length: Duration) -> Result<f64, Failure> {
    system::pin(FORWARDER_CORE)?;
    let done = Arc::default();
    let [mut receiver, mut owner] = pair(&done)?;
    Ok(nanos_a_packet(length, By::Thread, &done, || {
        receiver.turn();
        owner.turn();
    }))
}

/// The same with two workers that run at the same time.
fn apart(length: Duration) -> Result<f64, Failure> {
    let done = Arc::default();
    let [mut receiver, mut owner] = pair(&done)?;
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let owning = scope.spawn(|| {
            system::pin(FORWARDER_CORE)?;
            while !stop.load(Ordering::Relaxed) {
                owner.turn();
            }
            Ok::<(), Failure>(())
        });
        let pinned = system::pin(SENDER_CORE);
        let nanos = nanos_a_packet(length, By::Wall, &done, || receiver.turn());
        stop.store(true, Ordering::Relaxed);
        let owned = owning.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        pinned.and(owned).map(|()| nanos)
    })
}

/// By the wall clock, or by this thread's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Wall,
    Thread,
}

fn nanos_a_packet(length: Duration, by: By, done: &AtomicU64, mut turn: impl FnMut()) -> f64 {
    let (start, cpu) = (Instant::now(), system::thread_time());
    let before = done.load(Ordering::Acquire);
    while start.elapsed() < length {
        turn();
    }
    let packets = done.load(Ordering::Acquire) - before;
    let taken = match by {
        By::Wall => start.elapsed(),
        By::Thread => system::thread_time() - cpu,
    };
    taken.as_nanos() as f64 / packets as f64
}

/// The receiver and the owner of all flows.
fn pair(done: &Arc<AtomicU64>) -> Result<[Seat; 2], Failure> {
    let workers = [WorkerId(0), WorkerId(1)];
    let bells = [bell()?, bell()?];
    let [first, second] = Peer::pair(workers, bells.clone());
    let [receiver, owner] = workers;
    let [first_bell, second_bell] = bells;
    Ok([
        Seat::new(receiver, owner, vec![first], first_bell, done)?,
        Seat::new(owner, owner, vec![second], second_bell, done)?,
    ])
}

fn bell() -> Result<Bell, Failure> {
    Bell::new().map_err(Failure::io("make an eventfd"))
}

/// A worker with what must live as long.
struct Seat {
    worker: Worker<Loop>,
    _events: Consumer<Event>,
}

impl Seat {
    /// A worker of a node in which `owner` owns every flow. Who is not the owner receives.
    fn new(
        me: WorkerId,
        owner: WorkerId,
        peers: Vec<Peer>,
        bell: Bell,
        done: &Arc<AtomicU64>,
    ) -> Result<Self, Failure> {
        let (events, event_reader) = RingBuffer::new(datapath::limits::EVENTS);
        let (observed, _) = RingBuffer::new(1);
        let lease = Lease::default();
        lease.renew(Time(u64::MAX));
        let receives = me == WorkerId(0);
        let lan = if receives { Loop::source(done) } else { Loop::sink(done) };
        let parts = Parts {
            umem: Umem::new(&UmemConfig::default())?,
            ports: vec![lan, Loop::sink(done)],
            engine: engine(me, owner),
            peers,
            bell,
            events,
            observed,
            lease,
        };
        debug_assert_eq!((LAN.index(), WAN.index()), (0, 1), "the order of ports");
        Ok(Self { worker: Worker::new(parts), _events: event_reader })
    }

    fn turn(&mut self) {
        self.worker.turn(system::now());
    }
}

fn engine(me: WorkerId, owner: WorkerId) -> Engine {
    let now = system::now();
    let mut bench = Bench::new(workload::engine(2 * FLOWS, 1, me, now), now);
    if me == owner {
        Flows::new(FLOWS).open(&mut bench);
    }
    bench.engine.set_owners(Arc::new([owner; wire::SLOTS as usize]));
    bench.engine
}

/// A port in memory whose packets come from a list, again and again, and go nowhere.
#[derive(Debug)]
struct Loop {
    frames: Vec<([u8; FRAME_BYTES], usize)>,
    received: u64,
    done: Arc<AtomicU64>,
}

impl Loop {
    fn source(done: &Arc<AtomicU64>) -> Self {
        let frame = |flow| {
            let mut bytes = [0; FRAME_BYTES];
            let len = Flows::keepalive(flow, &mut bytes);
            (bytes, len)
        };
        Self { frames: (0..FLOWS).map(frame).collect(), ..Self::sink(done) }
    }

    fn sink(done: &Arc<AtomicU64>) -> Self {
        Self { frames: Vec::new(), received: 0, done: Arc::clone(done) }
    }

    /// Packets that may come in now.
    fn room(&self) -> usize {
        if self.frames.is_empty() {
            return 0;
        }
        (WINDOW + self.done.load(Ordering::Acquire)).saturating_sub(self.received) as usize
    }
}

impl Port for Loop {
    fn receive(&mut self, umem: &mut Umem, into: &mut Vec<Frame>, room: usize) -> usize {
        let room = room.min(self.room());
        for received in 0..room {
            let Some(mut frame) = umem.alloc() else { return received };
            let (bytes, len) = &self.frames[self.received as usize % self.frames.len()];
            if umem.write(&mut frame, &bytes[..*len]).is_err() {
                umem.free(frame);
                return received;
            }
            into.push(frame);
            self.received += 1;
        }
        room
    }

    fn transmit(&mut self, umem: &mut Umem, backlog: &mut Vec<Frame>) {
        let sent = backlog.len() as u64;
        backlog.drain(..).for_each(|frame| umem.free(frame));
        self.done.fetch_add(sent, Ordering::Release);
    }

    fn service(&mut self, _: &mut Umem) {}

    fn sending(&self) -> bool {
        false
    }
}
