//! How fast the bare forwarder is between two veth pairs, by ways of waking the kernel.
//!
//! `cargo run --release -p ringwall-af-xdp --features bare --example rates [SECONDS [ROUNDS]]`,
//! as root, with `ip`; the median of the rounds. One core sends frames of 64 bytes, and one
//! forwards them; the far end drops them in XDP, whose work is done on the forwarder's core,
//! inside its `sendto`. The CPU time is that of the forwarder's thread.
#![allow(clippy::unwrap_used, clippy::print_stdout, unsafe_code)]

#[path = "../tests/veth/mod.rs"]
mod veth;

use af_xdp::bare::{BareConfig, BareForwarder, Otherwise, RedirectProgram, Totals};
use af_xdp::{BusyPoll, Frame, Socket, SocketConfig, Umem, UmemConfig};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};
use veth::{in_namespace, numbered, veth};

const FRAME: usize = 64;

/// One way of driving the forwarder.
#[derive(Clone, Copy)]
struct Way {
    name: &'static str,
    need_wakeup: bool,
    busy_poll: Option<BusyPoll>,
    spin: bool,
    burst: usize,
}

/// What one run came to, in frames or calls a second and nanoseconds.
#[derive(Clone, Copy, Default)]
struct Rates {
    sent: f64,
    out: f64,
    cpu_percent: f64,
    cpu_ns_a_frame: f64,
    frames_a_call: f64,
}

fn main() {
    let number = |place| std::env::args().nth(place).map(|text| text.parse::<u64>().unwrap());
    let (seconds, rounds) = (number(1).unwrap_or(1), number(2).unwrap_or(3));
    let ways = ways();
    let mut runs = vec![Vec::new(); ways.len()];
    for _ in 0..rounds {
        for (way, runs) in ways.iter().zip(&mut runs) {
            runs.push(run(*way, Duration::from_secs(seconds)));
        }
    }
    println!("{:<24}{:>10}{:>10}{:>7}{:>9}{:>7}", "", "sent/s", "out/s", "CPU", "ns", "/call");
    for (way, mut runs) in ways.iter().zip(runs) {
        runs.sort_by(|a, b| a.cpu_ns_a_frame.total_cmp(&b.cpu_ns_a_frame));
        let Rates { sent, out, cpu_percent, cpu_ns_a_frame, frames_a_call } = runs[runs.len() / 2];
        println!(
            "{:<24}{sent:>10.0}{out:>10.0}{cpu_percent:>6.0}%{cpu_ns_a_frame:>9.0}\
             {frames_a_call:>7.1}",
            way.name
        );
    }
}

fn ways() -> Vec<Way> {
    let poll = Some(BusyPoll { micros: 20, budget: 64 });
    let plain = Way { name: "", need_wakeup: true, busy_poll: None, spin: false, burst: 64 };
    vec![
        Way { name: "need-wakeup, sleeps", ..plain },
        Way { name: "need-wakeup, spins", spin: true, ..plain },
        Way { name: "no need-wakeup, sleeps", need_wakeup: false, ..plain },
        Way { name: "no need-wakeup, spins", need_wakeup: false, spin: true, ..plain },
        Way { name: "busy poll, sleeps", busy_poll: poll, ..plain },
        Way { name: "busy poll, spins", busy_poll: poll, spin: true, ..plain },
        Way { name: "bursts of 32, sleeps", burst: 32, ..plain },
        Way { name: "bursts of 256, sleeps", burst: 256, ..plain },
    ]
}

fn run(way: Way, length: Duration) -> Rates {
    let (result, results) = std::sync::mpsc::sync_channel(1);
    in_namespace(move || result.send(measure(way, length)).unwrap());
    results.recv().unwrap_or_default()
}

fn measure(way: Way, length: Duration) -> Rates {
    let [near, source] = veth("in", "in-end", 1);
    let [away, sink] = veth("out", "out-end", 1);
    let attach = |port| RedirectProgram::attach(port, 1, Otherwise::Drop).unwrap();
    let programs = [attach(near), attach(away)];
    let _sink = attach(sink);
    let config = BareConfig {
        need_wakeup: way.need_wakeup,
        busy_poll: way.busy_poll,
        burst: way.burst,
        ..BareConfig::new([near, away], 0)
    };
    let mut forwarder = BareForwarder::open(&config, programs.each_ref()).unwrap();
    let mut generator = Generator::open(source);
    let stop = AtomicBool::new(false);
    let (sent, cpu) = thread::scope(|scope| {
        let forwarding = scope.spawn(|| {
            pin(1);
            let before = thread_time();
            forwarder.run(&stop, way.spin).unwrap();
            thread_time() - before
        });
        pin(0);
        let sent = generator.run(length);
        stop.store(true, Ordering::Relaxed);
        (sent, forwarding.join().unwrap())
    });
    rates(sent, &forwarder, cpu, length)
}

fn rates(sent: u64, forwarder: &BareForwarder, cpu: Duration, length: Duration) -> Rates {
    let Totals { forwarded, .. } = forwarder.totals();
    let calls: u64 = forwarder.sockets().iter().map(|socket| socket.counters().wakeups).sum();
    let seconds = length.as_secs_f64();
    Rates {
        sent: sent as f64 / seconds,
        out: forwarded as f64 / seconds,
        cpu_percent: 100.0 * cpu.as_secs_f64() / seconds,
        cpu_ns_a_frame: cpu.as_nanos() as f64 / forwarded.max(1) as f64,
        frames_a_call: forwarded as f64 / calls.max(1) as f64,
    }
}

/// Sends as fast as it can.
struct Generator {
    umem: Umem,
    socket: Socket,
}

impl Generator {
    fn open(interface: u32) -> Self {
        let mut umem = Umem::new(&UmemConfig::default()).unwrap();
        let config = SocketConfig::new(interface, 0, &umem, 1);
        let socket = Socket::open(&mut umem, &config).unwrap();
        Self { umem, socket }
    }

    fn run(&mut self, length: Duration) -> u64 {
        let payload = numbered(1, FRAME);
        let start = Instant::now();
        let mut burst: Vec<Frame> = Vec::new();
        while start.elapsed() < length {
            self.socket.complete(&mut self.umem);
            while burst.len() < 64 {
                let Some(mut frame) = self.umem.alloc() else { break };
                self.umem.write(&mut frame, &payload).unwrap();
                burst.push(frame);
            }
            self.socket.transmit(&mut self.umem, &mut burst);
            self.socket.kick().unwrap();
        }
        burst.drain(..).for_each(|frame| self.umem.free(frame));
        self.socket.counters().transmitted
    }
}

fn pin(core: usize) {
    // SAFETY: a set on the stack, valid for its size; only this thread is moved.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(core, &mut set);
        libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &set);
    }
}

fn thread_time() -> Duration {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a valid place for the result.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}
