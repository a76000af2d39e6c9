//! Every bound of the datapath: its unit, and why it is what it is.

use core::time::Duration;

/// Frames taken from one ring at a time. Enough to hide a cache miss behind the next packet's, few
/// enough to stay in the first-level cache (VPP uses 256, DPDK's examples 32).
pub const BURST: usize = 64;

/// Bursts in one turn, so that words of the peer, for which first packets wait, are heard under load: 4 × 64
/// packets take about a millisecond where the kernel copies each of them.
pub const BURSTS_PER_TURN: usize = 4;

/// Frames that wait for room in the transmit ring of one port. Two rings' worth of bursts; what
/// waits longer than that is late anyway. Beyond it the newest frame is dropped (`transmit-full`).
pub const TRANSMIT_BACKLOG: usize = 512;

/// Frames that one worker lends to each other worker. A turn of the lender comes at most every few
/// hundred microseconds under load; at 1 Mpps that is this many packets.
pub const HANDOFF_FRAMES: usize = 256;

/// Reassembled datagrams on their way between two workers; each carrier has room for a whole one.
pub const HANDOFF_DATAGRAMS: usize = 8;

/// Bytes of the longest packet of the fabric that is read: a full frame of the larger size, and what goes
/// before it. A longer one is cut off, and then its tag is wrong.
pub const FABRIC_DATAGRAM: usize = 4_096 + 128;

/// Terms that a packet of the fabric may be behind: there and back again while it lay in a socket. What is
/// older comes from a node that does not know the owner, or is sent by somebody else once more.
pub const FABRIC_TERMS_BACK: u64 = 2;

/// Packets that wait at the heir of a switchover until it owns, or at an owner whose lease is late: for 40 ms
/// at 100,000 packets a second. Beyond it, or a quarter of the worker's frames, the newest is dropped
/// (`heir-full`).
pub const HEIR_FRAMES: usize = 4_096;

/// How long they wait: above a takeover, and below the 200 ms after which a TCP sends them again. Then they
/// are dropped (`heir-expired`).
pub const HEIR_LIFE: Duration = Duration::from_millis(150);

/// Session events between a worker and the telemetry actor. A worker that opens 100,000 sessions a
/// second fills it in 80 ms; the reader comes every 10 ms.
pub const EVENTS: usize = 8_192;

/// Observations between a worker and who notes them, for a policy with screens: a flood of a million packets
/// a second fills it in 8 ms; the reader comes every 2 ms then. 512 KiB, touched as far as it is used.
pub const OBSERVATIONS: usize = 8_192;

/// Poisonous frames kept for study by a worker; the oldest makes room.
pub const POISON_KEPT: usize = 16;

/// Workers of one node. One per core of a large server; a worker's number must fit the placement
/// table's byte.
pub const WORKERS_MAX: usize = 64;

/// Ports of one node: the XSK map has room for 64 queues of each.
pub const PORTS_MAX: usize = 64;

/// Longest sleep of an idle worker whose engine has timers running: session lives are kept to the
/// second, so twice that fine is enough.
pub const IDLE_TICK: Duration = Duration::from_millis(500);

/// Bytes of a huge page: on x86-64 and on ARM with pages of 4 KiB.
pub const HUGE_PAGE: usize = 2 << 20;

/// Blocks from this size on ask for huge pages: two of them, so that rounding up to whole ones wastes
/// little.
pub const HUGE_MIN: usize = 2 * HUGE_PAGE;
