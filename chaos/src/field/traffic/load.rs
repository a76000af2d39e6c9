//! Small datagrams in number: the load beside what is measured, and the search for the capacity.
//!
//! The far end only counts, in the kernel: a filter refuses every datagram before it is queued, and
//! the socket's counter of drops tells how many there were. So no time goes into receiving.

use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, MultiHeaders, sendmmsg};
use socket2::{SockFilter, Socket};

use super::clock::{Pace, monotonic, sleep_until};
use super::sockets::{at, dropped_at, udp};
use super::task::{Class, Signals, Task, Usage};
use super::{Capacity, Ends, Error, Port};
use crate::field::limits::{
    BULK_LINE, DATAGRAM, FLAT_OUT, HELLO, LOAD_ARREARS, LOAD_BATCH, LOAD_FLOWS, LOAD_TURN, LOOK,
    START_WAIT, TRIAL, TRIAL_CLOSE, TRIAL_LOSS, TRIAL_SETTLE, TRIALS,
};
use crate::field::log::{self, Sample, now};

/// `BPF_RET | BPF_K` with 0: take nothing of the packet.
const REFUSE: SockFilter = SockFilter::new(0x06, 0, 0, 0);

/// Sockets of the load's flows, and the one at the far end.
#[derive(Debug)]
struct LoadFlows {
    sources: Vec<Socket>,
    sink: Sink,
}

/// The far end.
#[derive(Debug)]
struct Sink {
    _socket: Socket,
    address: SocketAddr,
}

impl LoadFlows {
    /// Opens the flows: one datagram of each has come through.
    fn open(ends: &Ends<'_>) -> Result<Self, Error> {
        let address = at(ends.server_address, Port::LOAD);
        let socket = ends.server.run(|| udp(address)).map_err(Error::io("bind the load's sink"))?;
        socket.attach_filter(&[REFUSE]).map_err(Error::io("filter the load's sink"))?;
        let source = || {
            let socket = udp(at(ends.client_address, 0))?;
            socket.connect(&address.into()).map(|()| socket)
        };
        let sources: std::io::Result<_> =
            ends.client.run(|| (0..LOAD_FLOWS).map(|_| source()).collect());
        let sources = sources.map_err(Error::io("make the load's sockets"))?;
        let this = Self { sources, sink: Sink { _socket: socket, address } };
        this.open_each(ends)?;
        Ok(this)
    }

    fn open_each(&self, ends: &Ends<'_>) -> Result<(), Error> {
        let until = monotonic() + START_WAIT;
        for source in &self.sources {
            let before = self.arrived(ends)?;
            while self.arrived(ends)? == before {
                if monotonic() > until {
                    return Err(Error::NotReady { kind: "the load", ready: 0, wanted: LOAD_FLOWS });
                }
                // Refused or lost: the next one.
                let _ = source.send(&[0; DATAGRAM]);
                let look = monotonic() + HELLO;
                while monotonic() < look && self.arrived(ends)? == before {
                    sleep_until(monotonic() + LOOK);
                }
            }
        }
        Ok(())
    }

    fn arrived(&self, ends: &Ends<'_>) -> Result<u64, Error> {
        ends.server.run(|| dropped_at(self.sink.address))
    }
}

/// Sends batches, a flow after the other.
struct Batches {
    headers: MultiHeaders<()>,
    sources: Vec<Socket>,
    next: usize,
}

impl Batches {
    fn new(sources: Vec<Socket>) -> Self {
        Self { headers: MultiHeaders::preallocate(LOAD_BATCH, None), sources, next: 0 }
    }

    /// Sends up to `count`; how many the kernel took.
    fn send(&mut self, count: u64) -> Result<u64, Error> {
        let payload = [0; DATAGRAM];
        let slices = [[IoSlice::new(&payload)]; LOAD_BATCH];
        let mut taken = 0;
        while taken < count {
            let batch = LOAD_BATCH.min((count - taken) as usize);
            let source = &self.sources[self.next];
            self.next = (self.next + 1) % self.sources.len();
            let none = [None; LOAD_BATCH];
            let flags = MsgFlags::MSG_DONTWAIT;
            let fd = source.as_raw_fd();
            match sendmmsg(fd, &mut self.headers, &slices[..batch], &none[..batch], [], flags) {
                Ok(sent) => taken += sent.count() as u64,
                // No room, no neighbour, or what ICMP told: the next turn.
                Err(
                    Errno::EAGAIN
                    | Errno::EINTR
                    | Errno::ENOBUFS
                    | Errno::ECONNREFUSED
                    | Errno::EHOSTUNREACH
                    | Errno::ENETUNREACH,
                ) => break,
                Err(errno) => return Err(Error::io("send the load")(errno.into())),
            }
        }
        Ok(taken)
    }

    /// Sends at a rate until `done`, counting in `total`.
    fn run(&mut self, rate: u64, total: &AtomicU64, done: impl Fn() -> bool) -> Result<(), Error> {
        let mut pace = Pace::new(LOAD_TURN);
        let a_turn = LOAD_TURN.as_nanos() as u64 * rate;
        let mut owed = 0;
        while !done() {
            owed += a_turn * pace.wait().min(LOAD_ARREARS);
            let sent = self.send(owed / NANOS_A_SECOND)?;
            owed %= NANOS_A_SECOND;
            total.fetch_add(sent, Ordering::Relaxed);
        }
        Ok(())
    }
}

const NANOS_A_SECOND: u64 = 1_000_000_000;

/// The load of a run.
#[derive(Debug)]
pub(super) struct Load {
    sender: Task<()>,
    counter: Task<Vec<Sample>>,
}

impl Load {
    pub(super) fn start(ends: &Ends<'_>, rate: u32, signals: &Signals) -> Result<Self, Error> {
        let LoadFlows { sources, sink } = LoadFlows::open(ends)?;
        let before = ends.server.run(|| dropped_at(sink.address))?;
        let total = Arc::new(AtomicU64::new(0));
        let (counted, flags) = (Arc::clone(&total), signals.clone());
        let sender = Task::start("load", ends.client, Class::Ordinary, move || {
            Batches::new(sources).run(rate.into(), &counted, || flags.stopped())
        })?;
        let flags = signals.clone();
        let counter = Task::start("load-counter", ends.server, Class::Ordinary, move || {
            count(&sink, before, &total, &flags)
        })?;
        Ok(Self { sender, counter })
    }

    /// Waits for both, who have been told to end, and writes `load.log`.
    pub(super) fn finish(self, folder: &Path, usages: &mut Vec<Usage>) -> Result<(), Error> {
        self.sender.join(usages)?;
        let samples = self.counter.join(usages)?;
        Ok(log::write(folder, "load.log", samples)?)
    }
}

fn count(
    sink: &Sink,
    before: u64,
    total: &AtomicU64,
    signals: &Signals,
) -> Result<Vec<Sample>, Error> {
    let mut samples = Vec::new();
    loop {
        let last = signals.ended();
        let received = dropped_at(sink.address)? - before;
        samples.push(Sample { at: now(), sent: total.load(Ordering::Relaxed), received });
        if last {
            return Ok(samples);
        }
        sleep_until(monotonic() + BULK_LINE);
    }
}

/// What one trial came to.
#[derive(Clone, Copy, Debug)]
struct Trial {
    sent: u64,
    received: u64,
    lasted: Duration,
}

impl Trial {
    fn lossless(self) -> bool {
        self.received + self.sent / TRIAL_LOSS >= self.sent
    }

    /// Packets a second.
    fn rate(self) -> u64 {
        (self.sent as f64 / self.lasted.as_secs_f64()) as u64
    }

    fn arrived_rate(self) -> u64 {
        (self.received as f64 / self.lasted.as_secs_f64()) as u64
    }
}

/// Trials of one load after the other.
struct Trials<'a> {
    ends: &'a Ends<'a>,
    batches: Batches,
    sink: Sink,
}

impl Trials<'_> {
    fn run(&mut self, rate: u64) -> Result<Trial, Error> {
        let before = self.arrived()?;
        let total = AtomicU64::new(0);
        let start = monotonic();
        self.batches.run(rate, &total, || monotonic() >= start + TRIAL)?;
        let lasted = monotonic() - start;
        sleep_until(monotonic() + TRIAL_SETTLE);
        Ok(Trial { sent: total.into_inner(), received: self.arrived()? - before, lasted })
    }

    fn arrived(&self) -> Result<u64, Error> {
        let address = self.sink.address;
        self.ends.server.run(|| dropped_at(address))
    }
}

/// Finds the highest rate without loss: first as fast as can be, then between what worked and what did
/// not, twice.
pub(super) fn search(ends: &Ends<'_>) -> Result<Capacity, Error> {
    let LoadFlows { sources, sink } = LoadFlows::open(ends)?;
    let mut trials = Trials { ends, batches: Batches::new(sources), sink };
    let flat_out = trials.run(FLAT_OUT)?;
    let mut best = flat_out;
    let high = flat_out.rate();
    let (mut low, mut high) = (if flat_out.lossless() { high } else { 0 }, high);
    let mut failed = None;
    for _ in 0..TRIALS {
        if best.lossless() && high - low <= high / TRIAL_CLOSE {
            break;
        }
        let rate = (low + high) / 2;
        let trial = trials.run(rate)?;
        if trial.lossless() {
            (low, best) = (trial.rate().clamp(low, high), trial);
        } else if failed.replace(rate) == Some(rate) {
            high = rate;
        }
    }
    // Without any rate that lost nothing: what arrived of too many.
    let through = if best.lossless() { best.rate() } else { flat_out.arrived_rate() };
    let received = best.received as f64 / best.sent.max(1) as f64;
    Ok(Capacity { packets_per_second: through as u32, received })
}

#[cfg(test)]
mod tests {
    use super::{TRIAL, Trial};

    #[test]
    fn one_in_a_thousand_is_no_loss() {
        for (sent, received, lossless) in
            [(0, 0, true), (999, 998, false), (1_000, 999, true), (100_000, 99_899, false)]
        {
            let trial = Trial { sent, received, lasted: TRIAL * 2 };
            assert_eq!(trial.lossless(), lossless, "{received} of {sent}");
            assert_eq!(trial.rate(), sent * 10 / 3);
        }
    }
}
