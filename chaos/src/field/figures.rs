//! What a run came to: every figure is a function of the run's folder, and of nothing else.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use super::log::Error;

/// The figures of one run. What the run had no part of (no stream, no wire log, …) is `None`.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Figures {
    /// `scenario` of `run.json`.
    pub scenario: String,
    /// Longest time between two successive receipts of a stream from the first fault on (of the whole
    /// run, without a fault); the worst of all streams. A stream that never came back has a gap until
    /// the last datagram that was sent.
    pub gap_ms: Option<f64>,
    /// The same before the first fault: what the harness and the machine do to a stream by themselves.
    pub gap_before_ms: Option<f64>,
    /// Longest pause of a stream's sender in the time of `gap_ms`: a gap that is not longer is its own.
    pub send_pause_ms: Option<f64>,
    /// Datagrams of the streams sent / never received / received more than once.
    pub sent: u64,
    pub lost: u64,
    pub repeated: u64,
    /// Slow connections and transfers: opened / broken (reset, other bytes, or silent for 15 s).
    pub tcp_opened: u64,
    pub tcp_broken: u64,
    /// Resets among them.
    pub tcp_reset: u64,
    /// Longest time that a transfer did not move, and a slow connection waited for its echo.
    pub bulk_pause_ms: Option<f64>,
    pub slow_echo_ms: Option<f64>,
    /// Young connections: SYN sent / SYN-ACK seen / seen and yet never an echo.
    pub young_tried: u64,
    pub young_opened: u64,
    pub young_dead: u64,
    /// SYN sent and no SYN-ACK until the end of the run.
    pub young_unanswered: u64,
    /// Half-way (SYN-ACK seen, no echo yet) at the first fault.
    pub young_halfway: Option<u64>,
    /// From SYN to SYN-ACK before the first fault, µs.
    pub young_open_p50_us: Option<f64>,
    pub young_open_p99_us: Option<f64>,
    /// Roles that became active after the first.
    pub takeovers: u64,
    /// From the last fault that was followed by it to the first frame forwarded by the other node.
    pub detection_ms: Option<f64>,
    /// From that fault to the first word of another active node.
    pub role_change_ms: Option<f64>,
    /// Time in which two nodes both forwarded transit or answered ARP or ND, and frames in it.
    pub overlap_ms: Option<f64>,
    pub overlap_frames: Option<u64>,
    /// Out-of-window resets / segments of flows never seen that arrived, of those sent.
    pub rst_passed: Option<u64>,
    pub forged_passed: Option<u64>,
    /// Control segments that arrived of those sent: without them the two above say nothing.
    pub control_passed: Option<u64>,
    pub control_sent: Option<u64>,
    /// From the last `fault restart …` to the last `resync done …`.
    pub resync_s: Option<f64>,
    /// The load beside the streams: packets sent, lost.
    pub load_sent: u64,
    pub load_lost: u64,
    /// CPU time of the traffic's threads over the run's time (1.0 is a whole core).
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
    let _ = folder;
    Ok(Figures::default())
}
