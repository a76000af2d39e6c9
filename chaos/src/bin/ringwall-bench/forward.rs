//! Packets a second from one veth pair to another: the worker with the real engine and the real XDP
//! program, beside a bare AF_XDP forwarder that reads nothing.
//!
//! The same sender and frames for both, 66 bytes, of open TCP connections; every run has a fresh
//! namespace. One core sends, one forwards. veths have no zero copy, so most of a packet's time is
//! the kernel's (`af_xdp::bare` has the figures); the sender's core also does the receiving half.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use af_xdp::bare::{BareConfig, BareForwarder, Otherwise, RedirectProgram};
use af_xdp::{SocketConfig, Umem, UmemConfig, open_all};
use clap::Args;
use datapath::xdp::{BpfDir, Mode, PortConfig, Program, detach_all};
use datapath::{Bell, Lease, Parts, Turn, Worker, XskPort};
use engine::{Engine, Event, PortId, Reason, WorkerId};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rtrb::{Consumer, RingBuffer};
use std::os::fd::{AsFd, OwnedFd};
use wire::Time;

use crate::failure::Failure;
use crate::lab::Lab;
use crate::report::{Bar, Comparison};
use crate::system::{self, FORWARDER_CORE, SENDER_CORE};
use crate::workload::{self, Bench, Flows, PORT_MACS};

/// What the worker must reach of the bare forwarder's rate.
const BAR: f64 = 0.9;
/// Sleep at most, as the bare forwarder's.
const LONGEST_SLEEP: u16 = 10;
/// Time for frames under way to arrive when the sender has stopped.
const SETTLE: Duration = Duration::from_millis(50);

/// Options of `forward`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 2)]
    seconds: u64,
    /// Open connections that the packets are of.
    #[arg(long, default_value_t = 1_024, value_parser = clap::value_parser!(u32).range(1..=1 << 20))]
    flows: u32,
    /// Packets a second that are sent at most; without it as many as the core can.
    #[arg(long)]
    rate: Option<u64>,
    /// Also the worker behind the bare XDP program, which tells the program's share.
    #[arg(long)]
    split: bool,
}

pub(crate) fn run(options: &Options, rounds: u32) -> Result<Vec<Comparison>, Failure> {
    system::require_root()?;
    let bar = Some(Bar::RatioAtLeast(BAR));
    let mut rate = Comparison::new("forwarded between veths", "packets/s", bar);
    let mut cost = Comparison::new("forwarder's CPU", "ns/packet", None);
    let mut split = Comparison::new("the same without our XDP program", "packets/s", None);
    for _ in 0..rounds {
        let subject = measure(options, Subject::Worker)?;
        let baseline = measure(options, Subject::Bare)?;
        rate.push(subject.arrived, baseline.arrived);
        cost.push(subject.cpu_nanos, baseline.cpu_nanos);
        if options.split {
            split.push(measure(options, Subject::WorkerAlone)?.arrived, baseline.arrived);
        }
    }
    let mut results = vec![rate, cost];
    results.extend(options.split.then_some(split));
    Ok(results)
}

/// What forwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Subject {
    /// Ours.
    Worker,
    /// Ours behind the bare forwarder's XDP program.
    WorkerAlone,
    /// The bare forwarder.
    Bare,
}

/// What one run came to.
struct Rates {
    /// Packets a second at the far end.
    arrived: f64,
    /// CPU time of the forwarder's thread for each.
    cpu_nanos: f64,
}

fn measure(options: &Options, subject: Subject) -> Result<Rates, Failure> {
    let lab = Lab::new()?;
    lab.run(|| {
        let sink = lab.sink()?;
        let rates = match subject {
            Subject::Worker => drive(&lab, options, Ours::open(&lab, options.flows, true)?),
            Subject::WorkerAlone => drive(&lab, options, Ours::open(&lab, options.flows, false)?),
            Subject::Bare => drive(&lab, options, Bare::open(&lab)?),
        };
        drop(sink);
        rates
    })
}

/// Something that forwards until it is told to stop.
trait Forwarder: Send {
    fn run(&mut self, stop: &AtomicBool) -> Result<(), Failure>;

    /// Checks that it did what it should.
    fn settle(self) -> Result<(), Failure>;
}

fn drive(lab: &Lab, options: &Options, mut subject: impl Forwarder) -> Result<Rates, Failure> {
    let mut sender = lab.sender(options.flows)?;
    let before = Lab::arrived()?;
    let stop = AtomicBool::new(false);
    let length = Duration::from_secs(options.seconds);
    let cpu = std::thread::scope(|scope| {
        let forwarding = scope.spawn(|| {
            system::pin(FORWARDER_CORE)?;
            let before = system::thread_time();
            subject.run(&stop)?;
            Ok::<Duration, Failure>(system::thread_time() - before)
        });
        let sent = system::pin(SENDER_CORE).and_then(|()| sender.run(length, options.rate));
        std::thread::sleep(SETTLE);
        stop.store(true, Ordering::Relaxed);
        let cpu = forwarding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        sent.and(cpu)
    })?;
    let arrived = (Lab::arrived()? - before) as f64;
    subject.settle()?;
    let cpu_nanos = cpu.as_nanos() as f64 / arrived;
    Ok(Rates { arrived: arrived / length.as_secs_f64(), cpu_nanos })
}

/// The bare forwarder with its programs.
struct Bare {
    forwarder: BareForwarder,
    _programs: [RedirectProgram; 2],
}

impl Bare {
    fn open(lab: &Lab) -> Result<Self, Failure> {
        let programs = redirect(lab)?;
        let config = BareConfig::new(lab.ports, 0);
        let forwarder = BareForwarder::open(&config, programs.each_ref())?;
        Ok(Self { forwarder, _programs: programs })
    }
}

fn redirect(lab: &Lab) -> Result<[RedirectProgram; 2], Failure> {
    let [lan, wan] = lab.ports;
    let attach = |port| RedirectProgram::attach(port, 1, Otherwise::Drop);
    Ok([attach(lan)?, attach(wan)?])
}

impl Forwarder for Bare {
    fn run(&mut self, stop: &AtomicBool) -> Result<(), Failure> {
        Ok(self.forwarder.run(stop, false)?)
    }

    fn settle(self) -> Result<(), Failure> {
        let totals = self.forwarder.totals();
        if totals.forwarded == 0 {
            return Err(Failure::Wrong(format!(
                "the bare forwarder forwarded nothing: {totals:?}"
            )));
        }
        Ok(())
    }
}

/// The worker with what must live as long.
struct Ours {
    worker: Worker<XskPort>,
    descriptors: Vec<OwnedFd>,
    _events: Consumer<Event>,
    _guard: Guard,
}

/// What feeds the worker's sockets.
enum Guard {
    Real { _program: Box<Program>, _pins: Pins },
    Bare { _programs: [RedirectProgram; 2] },
}

impl Ours {
    fn open(lab: &Lab, flows: u32, real: bool) -> Result<Self, Failure> {
        let mut umem = Umem::new(&UmemConfig::default())?;
        let configs = lab.ports.map(|port| SocketConfig::new(port, 0, &umem, 2));
        let sockets = open_all(&mut umem, &configs).map_err(|(_, error)| error)?;
        let guard = if real { real_program(lab, &sockets)? } else { bare_programs(lab, &sockets)? };
        let bell = Bell::new().map_err(Failure::io("make an eventfd"))?;
        let watched = sockets.iter().map(AsFd::as_fd).chain([bell.descriptor()]);
        let descriptors: Result<_, _> = watched.map(|fd| fd.try_clone_to_owned()).collect();
        let descriptors = descriptors.map_err(Failure::io("duplicate a descriptor"))?;
        let (events, event_reader) = RingBuffer::new(datapath::limits::EVENTS);
        let (observed, _) = RingBuffer::new(1);
        let lease = Lease::default();
        lease.renew(Time(u64::MAX));
        let ports = sockets.into_iter().map(|socket| XskPort::new(vec![socket])).collect();
        let (engine, peers) = (engine(flows), Vec::new());
        let parts = Parts { umem, ports, engine, peers, bell, events, observed, lease };
        let worker = Worker::new(parts);
        Ok(Self { worker, descriptors, _events: event_reader, _guard: guard })
    }
}

/// Ringwall's XDP program on both ports, pinned in a directory of its own.
fn real_program(lab: &Lab, sockets: &[af_xdp::Socket]) -> Result<Guard, Failure> {
    let pins = Pins::new()?;
    let mut program = Box::new(Program::load()?);
    for (number, (&interface, socket)) in lab.ports.iter().zip(sockets).enumerate() {
        let index = number as u16;
        let mac = Some(PORT_MACS[number]);
        let config = PortConfig { index, mode: Mode::Routed, domain: 0, mac };
        program.set_port(interface, &config)?;
        program.set_socket(index, 0, socket)?;
    }
    program.renew_lease(Time(u64::MAX))?;
    for interface in lab.ports {
        program.attach(&pins.dir, interface)?;
    }
    Ok(Guard::Real { _program: program, _pins: pins })
}

fn bare_programs(lab: &Lab, sockets: &[af_xdp::Socket]) -> Result<Guard, Failure> {
    let programs = redirect(lab)?;
    for (program, socket) in programs.iter().zip(sockets) {
        program.insert(socket)?;
    }
    Ok(Guard::Bare { _programs: programs })
}

fn engine(flows: u32) -> Engine {
    let now = system::now();
    let mut bench = Bench::new(workload::engine(2 * flows + 128, 1, WorkerId(0), now), now);
    Flows::new(flows).open(&mut bench);
    bench.engine
}

impl Forwarder for Ours {
    fn run(&mut self, stop: &AtomicBool) -> Result<(), Failure> {
        while !stop.load(Ordering::Relaxed) {
            let turn = self.worker.turn(system::now());
            if matches!(turn, Turn::Idle { .. }) && self.worker.lie_down() {
                let watch = |fd| PollFd::new(fd, PollFlags::POLLIN);
                let mut fds: Vec<PollFd<'_>> =
                    self.descriptors.iter().map(|fd| watch(fd.as_fd())).collect();
                // Interrupted or not: the next turn looks for itself.
                let _ = poll(&mut fds, PollTimeout::from(LONGEST_SLEEP));
                self.worker.bell().get_up();
            }
        }
        Ok(())
    }

    fn settle(mut self) -> Result<(), Failure> {
        let counters = self.worker.engine().counters().clone();
        let full = counters.dropped(Reason::TransmitFull);
        let refused = counters.dropped_total() - full;
        // Link-local chatter of the kernel's own stack may be among them, a few packets.
        if counters.forwarded == 0 || refused > counters.forwarded / 1_000 + 100 {
            return Err(Failure::Wrong(format!("the worker refused packets: {counters:?}")));
        }
        for port in 0..2 {
            self.worker.replace_port(PortId(port), XskPort::close);
        }
        Ok(())
    }
}

/// A directory of the BPF file system for one run.
struct Pins {
    dir: BpfDir,
    path: PathBuf,
}

impl Pins {
    fn new() -> Result<Self, Failure> {
        let path = PathBuf::from(format!("/sys/fs/bpf/ringwall-bench-{}", std::process::id()));
        Ok(Self { dir: BpfDir::prepare(&path)?, path })
    }
}

impl Drop for Pins {
    /// Nothing can be done about a failure, and the interfaces go away with their namespace.
    fn drop(&mut self) {
        let _ = detach_all(&self.dir);
        let _ = std::fs::remove_dir_all(&self.path);
    }
}
