//! Every bound of the simulator and of what it models: its unit, and why it is what it is.

use std::time::Duration;

// --- nodes ------------------------------------------------------------------------------------

/// Places of a node's session table: several times the flows of a run, so that a full table is no
/// part of it; the engine's own tests fill tables.
pub const SESSIONS: u32 = 2_048;

/// Frames that wait in a node's receive rings while nothing runs. Beyond it the card drops; counted.
pub const RING_FRAMES: usize = 512;

/// Messages that wait in a node's sockets meanwhile: three paths at 100 a second, for a few seconds.
/// Beyond it the kernel drops; counted.
pub const SOCKET_MESSAGES: usize = 1_024;

/// How often the engine's timers are looked at. A worker that is idle sleeps for half a second.
pub const ENGINE_TICK: Duration = Duration::from_millis(100);

/// How long a stop waits for what is left to replicate: a few round trips of the fabric. It is a part
/// of a switchover's gap.
pub const FLUSH_WAIT: Duration = Duration::from_millis(20);

/// How long a bulk may take: a run's few hundred sessions need milliseconds, and a run lasts a minute.
pub const BULK_WAIT: Duration = Duration::from_secs(8);

/// How long a node may need to stop, after its lease has ended: the burst in hand.
pub const BURST: Duration = Duration::from_millis(1);

// --- hosts ------------------------------------------------------------------------------------

/// Hosts of a segment: each of them learns of a takeover by itself.
pub const HOSTS: usize = 3;

/// First retransmission timeout, and the shortest (Linux' `TCP_RTO_MIN`).
pub const RTO_FIRST: Duration = Duration::from_millis(200);

/// Longest retransmission timeout. RFC 6298 §2.5 lets it be 60 s; here whoever waits must find out
/// within the quiet time at the end that the way is open again.
pub const RTO_LONGEST: Duration = Duration::from_millis(1_600);

/// Retransmissions in a row after which a peer gives a connection up. No outage of a run lasts so
/// long, so it tells of a session that the firewall has lost.
pub const RETRANSMISSIONS: u32 = 12;

/// Retransmissions after which a host asks anew who has the gateway's address (RFC 4861 §7.3.3).
pub const UNREACHABLE_AFTER: u32 = 2;

// --- a run ------------------------------------------------------------------------------------

/// Flows of a run: honest ones, denied ones and forged ones.
pub const FLOWS: u32 = 560;

/// Flows of a run that counts, at least: fewer do not meet most of its faults in each of their states.
pub const BAR_FLOWS: u64 = 500;

/// Faults of a run that counts, at least: with fewer hardly any two fall together.
pub const BAR_FAULTS: u64 = 5;

/// Virtual seconds of a run that counts, at least: the faults, the time to recover, the quiet time.
pub const BAR_SECONDS: u64 = 60;

/// Faults of a run, at least and at most.
pub const FAULTS: (u64, u64) = (6, 11);

/// Quiet time at the end of a run, without faults: hosts' last retransmission, two rounds of
/// digests, and a bulk that had to begin anew.
pub const QUIET: Duration = Duration::from_secs(14);

/// Shortest run: a start, a fault, and the quiet time.
pub const SECONDS_MIN: u64 = 30;

/// Between two looks at what is looked at as a whole (tables, books).
pub const LOOK: Duration = Duration::from_millis(250);

/// How long after the last cut of every path is mended both nodes may still not have heard of each
/// other: two heartbeats and a slow driver.
pub const HEALING: Duration = Duration::from_millis(150);

/// Events kept for a report, lines: three screens of what came before. The oldest give way.
pub const LOG_LINES: usize = 60;

/// Most turns of a node at one time of the world: more is a loop that does not end.
pub const TURNS_AT_ONCE: u32 = 10_000;

// --- the checker of histories -----------------------------------------------------------------

/// Configurations of one search (what was done, and the state after it) at most: 1 GiB of memory or so,
/// and a minute. Histories with known verdicts need less than a hundredth; beyond it, it is said that
/// the history is undecided.
pub const LINEAR_CONFIGURATIONS: usize = 10_000_000;

/// Configurations of a search in the first round, when all keys are looked at: a second or so. Each round
/// has ten times as many, up to [`LINEAR_CONFIGURATIONS`].
pub const LINEAR_FIRST_ROUND: usize = 100_000;

/// States that are told of a violation: more than a screen helps nobody.
pub const LINEAR_STATES_TOLD: usize = 8;

/// Operations before a violation that are told, the last ones: half a screen.
pub const LINEAR_ORDER_TOLD: usize = 12;

/// Bytes of a file of history: a million operations. A larger one is refused before it is read.
pub const HISTORY_BYTES: u64 = 256 << 20;
