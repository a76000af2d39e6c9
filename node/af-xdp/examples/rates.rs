//! How fast the bare forwarder is between two veth pairs, by ways of waking the kernel.
//!
//! `cargo run --release -p ringwall-af-xdp --features bare --example rates [SECONDS]`, as root,
//! with `ip`. One core sends frames of 64 bytes, and one forwards them; the far end drops them
//! in XDP, whose work is done on the forwarder's core, inside its `sendto`. The CPU time is that
//! of the forwarder's thread.
#![allow(clippy::unwrap_used, clippy::print_stdout, unsafe_code)]

#[path = "../tests/common/mod.rs"]
mod common;

use af_xdp::bare::{BareConfig, BareForwarder, Otherwise, RedirectProgram, Totals};
use af_xdp::{BusyPoll, Frame, Socket, SocketConfig, Umem, UmemConfig};
use common::{in_namespace, numbered, veth};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

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

fn main() {
    let seconds = std::env::args().nth(1).map_or(3, |text| text.parse().unwrap());
    let poll = Some(BusyPoll { micros: 20, budget: 64 });
    let plain = Way { name: "", need_wakeup: true, busy_poll: None, spin: false, burst: 64 };
    let ways = [
        Way { name: "need-wakeup, sleeps", ..plain },
        Way { name: "need-wakeup, spins", spin: true, ..plain },
        Way { name: "no need-wakeup, sleeps", need_wakeup: false, ..plain },
        Way { name: "no need-wakeup, spins", need_wakeup: false, spin: true, ..plain },
        Way { name: "busy poll, sleeps", busy_poll: poll, ..plain },
        Way { name: "busy poll, spins", busy_poll: poll, spin: true, ..plain },
        Way { name: "bursts of 32, sleeps", burst: 32, ..plain },
        Way { name: "bursts of 256, sleeps", burst: 256, ..plain },
    ];
    println!(
        "{:<26}{:>12}{:>12}{:>10}{:>12}{:>10}",
        "", "sent/s", "out/s", "CPU", "ns/frame", "calls"
    );
    for way in ways {
        in_namespace(move || measure(way, Duration::from_secs(seconds)));
    }
}

fn measure(way: Way, length: Duration) {
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
    report(way.name, sent, &forwarder, cpu, length);
}

fn report(name: &str, sent: u64, forwarder: &BareForwarder, cpu: Duration, length: Duration) {
    let Totals { forwarded, .. } = forwarder.totals();
    let wakeups: u64 = forwarder.sockets().iter().map(|socket| socket.counters().wakeups).sum();
    let per_second = |count: u64| count as f64 / length.as_secs_f64();
    println!(
        "{name:<26}{:>12.0}{:>12.0}{:>9.0}%{:>12.0}{:>10.1}",
        per_second(sent),
        per_second(forwarded),
        100.0 * cpu.as_secs_f64() / length.as_secs_f64(),
        cpu.as_nanos() as f64 / forwarded.max(1) as f64,
        forwarded as f64 / wakeups.max(1) as f64,
    );
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
