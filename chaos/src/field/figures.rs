//! What a run came to: every figure is a function of the run's folder, and of nothing else.

mod agreed;
mod connections;
mod doors;
mod gateways;
mod nodes;
mod spans;
mod streams;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

pub use gateways::Gateways;
use gateways::When;
use serde::Serialize;
use serde_json::Value;

use super::log::{self, Entry, Error, Event, Nanos, NotALine, Sample, Told};

/// The figures of one run. What the run had no part of (no stream, no wire log, …) is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// `scenario` of `run.json`.
    pub scenario: String,
    /// The first line `fault …` of `faults.log`; without one the whole run counts as after it.
    pub fault: Option<Nanos>,

    /// Longest time between two successive receipts of a stream from the first fault on; the worst of
    /// all streams. A stream that never came back has a gap until the last datagram that was sent.
    pub gap_ms: Option<f64>,
    /// When it began.
    pub gap_from: Option<Nanos>,
    /// The same before the first fault: what the harness and the machine do to a stream by themselves.
    pub gap_before_ms: Option<f64>,
    /// Longest pause of a stream's sender from the first fault on: a gap that is not longer may be its.
    pub send_pause_ms: Option<f64>,
    /// Datagrams of the streams: sent, never received, received more than once.
    pub sent: u64,
    pub lost: u64,
    pub repeated: u64,
    /// Of those lost: refused by the sender's own kernel; no room in the receiving socket. The rest
    /// was lost on the way.
    pub lost_unsent: u64,
    pub lost_at_socket: u64,

    /// Slow connections and transfers: opened, and broken (a reset, other bytes, bytes missing, or
    /// nothing for 15 s).
    pub tcp_opened: u64,
    pub tcp_broken: u64,
    /// Those of them that a reset or another error of the socket ended.
    pub tcp_reset: u64,
    /// Longest time that a slow connection waited for its echo, and that a transfer did not move.
    pub slow_echo_ms: Option<f64>,
    pub bulk_pause_ms: Option<f64>,
    /// Bytes that the transfers moved.
    pub bulk_bytes: u64,

    /// Young connections: SYN sent; SYN-ACK seen; seen, and yet never an echo.
    pub young_tried: u64,
    pub young_opened: u64,
    /// Those of them whose SYN was sent after the first fault: a firewall that only keeps what it has, has
    /// none.
    pub young_opened_after: u64,
    pub young_dead: u64,
    /// No SYN-ACK until the end; one only after a SYN had been sent again.
    pub young_unanswered: u64,
    pub young_retried: u64,
    /// Ended by a reset or another error of the socket.
    pub young_reset: u64,
    /// Half-way (SYN-ACK seen, no echo yet) at the first fault.
    pub young_halfway: Option<u64>,
    /// From SYN to SYN-ACK before the first fault.
    pub young_open_p50_us: Option<f64>,
    pub young_open_p99_us: Option<f64>,
    /// Longest of the whole run: a SYN that was lost is sent again after a second.
    pub young_open_max_ms: Option<f64>,

    /// Times that a node became active after the first one was.
    pub takeovers: u64,
    /// From a fault to the first frame forwarded by a node other than before.
    pub detection_ms: Option<f64>,
    /// From a fault to the first word of another active node.
    pub role_change_ms: Option<f64>,
    /// Time in which two nodes both forwarded transit or answered ARP or ND, and the frames of the one
    /// with fewer in it; where three did, of each two of them. A single frame of it lasts no time, and counts
    /// as one. Nothing is known if the watcher lost frames.
    pub overlap_ms: Option<f64>,
    pub overlap_frames: Option<u64>,
    /// Frames that the watcher of the wire had no room for.
    pub wire_lost: Option<u64>,
    /// From the last `fault restart …` to the last `resync done …`.
    pub resync_s: Option<f64>,

    /// Out-of-window resets, and segments of flows never seen, that arrived; none may.
    pub rst_passed: Option<u64>,
    pub forged_passed: Option<u64>,
    /// Control segments sent, and arrived: without these the two above say nothing.
    pub control_sent: Option<u64>,
    pub control_passed: Option<u64>,

    /// Takeovers, and datagrams of streams lost, outside of what `faults.log` calls an outage.
    pub takeovers_outside: u64,
    pub lost_outside: u64,
    /// The 99th percentile of the streams' latency in the span `during`, over that in the span `before`.
    pub latency_ratio: Option<f64>,

    /// Commits that came in force; from request to answer, and how long they took as the answers say.
    pub commits: Option<u64>,
    pub commit_p50_ms: Option<f64>,
    pub commit_p99_ms: Option<f64>,
    pub commit_max_ms: Option<f64>,
    pub took_p50_ms: Option<f64>,
    pub took_p99_ms: Option<f64>,
    /// Probes sent while their door was certainly shut.
    pub probes_shut: Option<u64>,
    /// Probes that were sent after a commit had returned, that its revision forbids, and each later one that
    /// was asked for before they arrived; and that arrived all the same.
    pub violations: Option<u64>,
    /// Probes sent while their door was certainly open, outside of outages; and those that did not arrive.
    pub probes_open: Option<u64>,
    pub probes_lost: Option<u64>,
    /// From the answer to a commit that shuts all doors, until a flow opens again.
    pub opened_again_s: Option<f64>,

    /// A history of the policy: answered but for refusals, reads among them, refused, and never answered but
    /// for reads.
    pub operations: Option<u64>,
    pub reads: Option<u64>,
    pub refused: Option<u64>,
    pub unanswered: Option<u64>,
    /// Whether an order explains it.
    pub linearizable: Option<bool>,

    /// Dialogs through gateways.
    #[serde(flatten)]
    pub gateways: Gateways,

    /// The load beside the streams: packets sent, lost, and sent a second.
    pub load_sent: u64,
    pub load_lost: u64,
    pub load_per_second: Option<f64>,
    /// CPU time of the traffic's threads over the run's time (1.0 is a whole core). What the kernel does
    /// with their packets in their time, up to the nodes' sockets, is in it.
    pub harness_cpu: Option<f64>,
    /// Whether every thread that times things ran SCHED_FIFO.
    pub harness_fifo: Option<bool>,
    /// The numbers under `measured` of `run.json`, as the spine wrote them.
    pub measured: BTreeMap<String, f64>,
}

/// The figures of the run in `folder`.
///
/// # Errors
/// A log that is not as [`super::log`] says.
pub fn figures(folder: &Path) -> Result<Figures, Error> {
    let mut figures = Figures::default();
    figures.run(folder)?;
    let mut faults: Vec<Told> = log::read(folder, "faults.log")?.unwrap_or_default();
    // What a node said by itself was noted at the end.
    faults.sort_by_key(|line| line.at);
    figures.fault = faults.iter().find(|line| line.what.starts_with("fault ")).map(|it| it.at);
    figures.streams(folder)?;
    figures.slow(&log::read(folder, "slow.log")?.unwrap_or_default());
    figures.bulk(&log::read(folder, "bulk.log")?.unwrap_or_default());
    figures.young(&log::read(folder, "young.log")?.unwrap_or_default());
    figures.roles(&faults);
    figures.resync(&faults);
    let outages = spans::Outages::new(&faults);
    figures.outside(folder, &faults, &outages)?;
    figures.latencies(folder, &faults)?;
    if let Some(commits) = log::read(folder, "commits.log")? {
        figures.commits(&commits);
        figures.doors(folder, &commits, &outages)?;
    }
    figures.history(folder)?;
    figures.gateways(folder, &faults)?;
    if let Some(frames) = log::read(folder, "wire.log")? {
        figures.wire(&faults, frames);
        figures.wire_lost(&log::read(folder, "wire-lost.log")?.unwrap_or_default());
    }
    if let Some(probes) = log::read(folder, "probes.log")? {
        figures.probes(&probes);
    }
    figures.load(&log::read(folder, "load.log")?.unwrap_or_default());
    if let Some(threads) = log::read(folder, "threads.log")? {
        figures.threads(&threads);
    }
    Ok(figures)
}

impl Figures {
    fn run(&mut self, folder: &Path) -> Result<(), Error> {
        let path = folder.join("run.json");
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(Error::File { path, error }),
        };
        let run: Value =
            serde_json::from_str(&text).map_err(|error| Error::Json { path, error })?;
        self.scenario = run["scenario"].as_str().unwrap_or_default().to_owned();
        let measured = run["measured"].as_object().into_iter().flatten();
        self.measured =
            measured.filter_map(|(name, it)| Some((name.clone(), it.as_f64()?))).collect();
        Ok(())
    }

    fn gateways(&mut self, folder: &Path, faults: &[Told]) -> Result<(), Error> {
        let fault = self.fault.unwrap_or(0);
        let another = nodes::actives(faults).into_iter().skip(1).find(|(at, ..)| *at >= fault);
        let taken_over = another.map_or(Nanos::MAX, |(at, ..)| at);
        self.gateways = Gateways::of(folder, When { fault, taken_over })?;
        Ok(())
    }

    fn probes(&mut self, entries: &[Entry]) {
        let distinct = |event| {
            let ids = entries.iter().filter(|entry| entry.event == event).map(|entry| entry.id);
            Some(ids.collect::<std::collections::BTreeSet<_>>().len() as u64)
        };
        self.rst_passed = distinct(Event::RstArrived);
        self.forged_passed = distinct(Event::ForgedArrived);
        self.control_sent = distinct(Event::ControlSent);
        self.control_passed = distinct(Event::ControlArrived);
    }

    fn load(&mut self, samples: &[Sample]) {
        let [first, .., last] = samples else { return };
        self.load_sent = last.sent;
        self.load_lost = last.sent.saturating_sub(last.received);
        // The last sample is taken when the sender has long stopped.
        let sending = samples.iter().find(|sample| sample.sent == last.sent).unwrap_or(last);
        let seconds = millis(first.at, sending.at) / 1e3;
        self.load_per_second = (seconds > 0.0).then(|| (last.sent - first.sent) as f64 / seconds);
    }

    fn threads(&mut self, threads: &[Thread]) {
        let cpu: u64 = threads.iter().map(|thread| thread.cpu).sum();
        let wall = threads.iter().map(|thread| thread.wall).max().unwrap_or(0);
        self.harness_cpu = (wall > 0).then(|| cpu as f64 / wall as f64);
        self.harness_fifo = Some(threads.iter().all(|thread| !thread.refused));
    }
}

/// A line of `threads.log`, nanoseconds.
struct Thread {
    cpu: u64,
    wall: u64,
    /// Whether it timed things and was not let run first.
    refused: bool,
}

impl std::str::FromStr for Thread {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let [_, cpu, wall, scheduling] = log::words(line)?;
        let refused = match scheduling {
            "refused" => true,
            "fifo" | "ordinary" => false,
            _ => return Err(NotALine),
        };
        Ok(Self { cpu: log::parsed(cpu)?, wall: log::parsed(wall)?, refused })
    }
}

/// Milliseconds from `from` to `to`; 0 if that is before it.
fn millis(from: Nanos, to: Nanos) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}

/// The greatest, if there is any.
fn greatest(values: impl IntoIterator<Item = f64>) -> Option<f64> {
    values.into_iter().reduce(f64::max)
}

/// The value below which a share of `values` lies (nearest rank); none of none.
fn percentile(values: &mut [f64], share: f64) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.max(1) - 1).copied()
}
