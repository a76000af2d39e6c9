//! Bounds of the field harness' traffic: unit, and why each is what it is.

use std::time::Duration;

// --- the spine --------------------------------------------------------------------------------

/// Bytes of a frame on the fabric: jumbo frames, as between two machines side by side. Room for what a
/// node puts around a packet that it passes on, and for more records in a message.
pub(crate) const FABRIC_MTU: u32 = 9_000;

/// Part of the measured capacity that a run's traffic takes: the bars are for half of it.
pub(crate) const LOAD_SHARE: f64 = 0.5;

/// Bytes of data in a full TCP segment: 1,500 less IPv4, TCP, and its timestamps.
pub(crate) const SEGMENT_BYTES: f64 = 1_448.0;

/// Packets that a transfer's segment makes: itself, and an acknowledgment for every second one.
pub(crate) const BULK_PACKETS_PER_SEGMENT: f64 = 1.5;

/// Least bytes a second of all transfers together, however slow the machine: below it, a transfer
/// would hardly be told from a slow connection.
pub(crate) const BULK_BYTES_MIN: u64 = 1_000_000;

/// How long a standby may take to be complete, its start with a large table included: many times the
/// bar, so that a miss is measured and not only seen.
pub(crate) const RESYNC: Duration = Duration::from_secs(180);

/// How long two tables may take to be proven equal: some rounds of digests, under load.
pub(crate) const AGREEMENT: Duration = Duration::from_secs(20);

/// How long a healed pair may take to settle; three times the bar, so that a miss is measured.
pub(crate) const HEALING: Duration = Duration::from_secs(30);

/// First packets a second when a table is filled: what a node with a standby opens without loss.
pub(crate) const FILL_PER_SECOND: f64 = 40_000.0;

/// Of them in one go, between two looks at the clock: a millisecond's worth.
pub(crate) const FILL_BURST: u32 = 40;

/// How long a switchover may be refused, because the standby is not ready for instance, until the run
/// is none.
pub(crate) const SWITCHOVER_PATIENCE: Duration = Duration::from_secs(10);

/// How long VRRP with advertisements each second takes to notice a death: three of them and the skew.
pub(crate) const PEER_OUTAGE: Duration = Duration::from_secs(4);

/// How long filling may take in all: a million at that rate, four times over.
pub(crate) const FILL_PATIENCE: Duration = Duration::from_secs(120);

/// How long an operator's program waits for an answer, and then asks what came of its change, as `ringwall`
/// does.
pub(crate) const OPERATOR_PATIENCE: Duration = Duration::from_secs(60);

/// Before the second such question; each pause is twice as long as the one before, as between `ringwall`'s.
pub(crate) const INSIST_PAUSE: Duration = Duration::from_millis(100);

/// The longest such pause: a cluster that agrees again is heard of a moment later.
pub(crate) const INSIST_PAUSE_MOST: Duration = Duration::from_secs(2);

/// How long all nodes may take to vote, and to know of a leader, after they have settled.
pub(crate) const AGREEING: Duration = Duration::from_secs(30);

/// How long a probe may be under way, for what is said about those that did not arrive: many times the
/// latency under load, and a hold.
pub(crate) const DOOR_LATE: Duration = Duration::from_millis(100);

/// How long before an outage datagrams may be sent that it catches: what rings and queues hold.
pub(crate) const OUTAGE_MARGIN: Duration = Duration::from_millis(20);

// --- the traffic ------------------------------------------------------------------------------

/// What is owed to a connection after which it is called dead. A kernel that lost a few segments in
/// a row retransmits after 0.2, 0.4, 0.8, … s, so an outage of 5 s is over after 13 s at most.
pub const PATIENCE: Duration = Duration::from_secs(15);

/// How long all connections and streams may take to be open at the start: a lost SYN costs 1, 3, 7 s.
pub(crate) const START_WAIT: Duration = Duration::from_secs(20);

/// Between two looks at something that has no event.
pub(crate) const LOOK: Duration = Duration::from_millis(5);

/// Longest sleep of a thread that waits for sockets: bounds how late it sees that it is to end.
pub(crate) const LONGEST_SLEEP: Duration = Duration::from_millis(50);

/// How long a datagram may still be under way when its sender has stopped; rings and queues on the
/// way hold some thousand packets, milliseconds at the rates used.
pub(crate) const SETTLE: Duration = Duration::from_millis(300);

/// Priority of threads that time things: the lowest, so below the daemons' heartbeats.
pub(crate) const PRIORITY: u8 = 1;

/// Receive buffer of a stream, bytes: the kernel counts about 1 KiB for a small datagram, so this is
/// several seconds of 5,000 a second with the receiver not running at all.
pub(crate) const STREAM_BUFFER: usize = 32 << 20;

/// Streams of a run at most: each has a port of the sixteen.
pub const STREAMS: usize = 11;

/// Time between two datagrams that open a stream's flow until one has come through.
pub(crate) const HELLO: Duration = Duration::from_millis(50);

/// Open files wanted: two ends of 1,000 slow connections, and of young ones 200 a second that all
/// wait for [`PATIENCE`]; with some room. Fewer, if the system's limit is lower.
pub(crate) const FILES: u64 = 65_536;

/// Connections that wait to be accepted: a tenth of a second of young ones and a burst of slow ones.
pub(crate) const BACKLOG: i32 = 4_096;

/// Slow connections that are opened a second at the start, so that it is no flood.
pub(crate) const OPENED_PER_SECOND: u32 = 2_000;

/// Young connections that are opened in one turn of their thread: 4,000 a second at one turn a
/// millisecond.
pub(crate) const OPENED_AT_ONCE: usize = 4;

/// Time between two messages of a slow connection.
pub(crate) const SLOW_PERIOD: Duration = Duration::from_secs(1);

/// Bytes of a message of a slow or young connection.
pub(crate) const MESSAGE: usize = 64;

/// How long a young connection waits between SYN-ACK and its message. At 200 a second 60 are so
/// half-way at any moment.
pub(crate) const YOUNG_REST: Duration = Duration::from_millis(300);

/// Time between two turns of the threads that move transfers: 17 KiB at 3.5 MB/s.
pub(crate) const BULK_TURN: Duration = Duration::from_millis(5);

/// Time between two lines about a transfer.
pub(crate) const BULK_LINE: Duration = Duration::from_millis(100);

/// Send buffer of a transfer, bytes: what is in it when the senders stop must still get through.
pub(crate) const BULK_BUFFER: usize = 256 << 10;

/// Turns whose bytes a transfer may make up for when it could not send: more would be a burst.
pub(crate) const BULK_ARREARS: u64 = 4;

/// From how many sessions on a pair's workers have how many packet buffers: at half of the capacity these
/// outlast 0.1 s in which the kernel keeps the worker's core, as it does to clear a large table. The default
/// lasts for 25 ms.
pub(crate) const LARGE: (u32, u32) = (250_000, 32_768);

/// Probes a second at each door: a revision that lets one through too many is seen within a millisecond.
pub(crate) const DOOR_PER_SECOND: u32 = 1_000;

/// One of so many probes is of a flow of its own.
pub(crate) const DOOR_FRESH: u64 = 10;

/// Dialogs about files to each server, of each way to announce a transfer: with a transfer under way, and
/// with one that is only announced; each is played by a thread of its own.
pub(crate) const DIALOGS_EACH: usize = 2;

/// Calls to each server whose media flow, and whose media begin after the cue.
pub(crate) const CALLS_EACH: usize = 3;

/// Bytes that a transfer says at one end and hears at the other before it goes on: three full segments.
pub(crate) const CHUNK: usize = 4_096;

/// Time between two of them: 0.2 MB/s.
pub(crate) const CHUNK_TURN: Duration = Duration::from_millis(20);

/// Of a transfer as a whole, from beginning to end.
pub(crate) const CHUNKS_BRIEF: usize = 3;

/// Time between two announcements of one control channel, if nothing is in the way.
pub(crate) const CYCLE_TURN: Duration = Duration::from_millis(25);

/// How long a session that nobody announced is given to be let in: a SYN is not sent again by then.
pub(crate) const UNINVITED_PATIENCE: Duration = Duration::from_millis(600);

/// Packets of sound a second each way, as telephones have it (RFC 3551 §4.2).
pub(crate) const MEDIA_PER_SECOND: u32 = 50;

/// Bytes of such a packet: 20 ms of G.711 behind the header.
pub(crate) const SOUND: usize = 172;

/// Ports for media: below those that the client's kernel gives, above those of services.
pub(crate) const MEDIA_PORTS: std::ops::Range<u16> = 9_000..9_900;

/// After what time a message about a call is said again (RFC 3261 §17.1.1.1, T1).
pub(crate) const SIP_RETRY: Duration = Duration::from_millis(500);

/// Longest wait for a message in one go.
pub(crate) const SIP_TURN: Duration = Duration::from_millis(50);

/// How long after a fault media may be lost: the bar for a gap, and a packet's time.
pub(crate) const MEDIA_BACK: Duration = Duration::from_millis(220);

/// From a fault until what was announced before is used: the other node has taken over by then.
pub(crate) const TAKEN_OVER: Duration = Duration::from_millis(400);

/// Flows of the load: enough to be spread over workers.
pub(crate) const LOAD_FLOWS: usize = 16;

/// Datagrams of the load that are handed to the kernel at once.
pub(crate) const LOAD_BATCH: usize = 64;

/// Time between two turns of the load's sender; at 200,000 a second each is 100 packets.
pub(crate) const LOAD_TURN: Duration = Duration::from_micros(500);

/// Turns whose packets the load makes up for when its thread did not run: more would be a burst.
pub(crate) const LOAD_ARREARS: u64 = 8;

/// Bytes of a datagram of the load and of a stream.
pub(crate) const DATAGRAM: usize = 18;

/// Length of one trial of the search for the capacity.
pub(crate) const TRIAL: Duration = Duration::from_millis(150);

/// Trials of it, so that it ends within 3 s.
pub(crate) const TRIALS: usize = 14;

/// Time after a trial in which what is under way arrives: some thousand packets at its rate.
pub(crate) const TRIAL_SETTLE: Duration = Duration::from_millis(20);

/// Rate of the first trial, packets a second: more than one core can send.
pub(crate) const FLAT_OUT: u64 = 2_000_000;

/// The search ends within one part of so many of the capacity: it is no more exact than that.
pub(crate) const TRIAL_CLOSE: u64 = 16;

/// One lost of so many is still no loss: the machine has other work, too.
pub(crate) const TRIAL_LOSS: u64 = 1_000;

/// Slow connections that segments are forged of; they have a port of their own, by which the capture
/// finds them.
pub(crate) const PROBED: usize = 4;

/// Forged segments of a run at most: each is known by a window of its own.
pub(crate) const PROBES: u32 = 2_700;

/// A node that emitted nothing for so long was not at work meanwhile: transit flows all the time, and a
/// node that goes on where it was stopped is not counted for the time of its stop.
pub(crate) const SILENCE: Duration = Duration::from_millis(500);
