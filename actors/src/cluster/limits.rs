//! Bounds of the cluster's drivers.

use core::time::Duration;

/// Real-time priority of the membership thread: above ordinary work, below the kernel's own threads
/// (interrupt threads have 50).
pub(super) const PRIORITY: u8 = 40;

/// Commands to the membership thread that it has not read yet. It reads them within a heartbeat
/// interval; there are a few for each takeover.
pub(super) const COMMANDS: usize = 256;

/// Facts, lists and tokens on their way to the disk. Who finds no room tries again, or tells its caller.
pub(super) const FACTS: usize = 16;

/// Pause before facts that the disk refused are noted again: a full disk is emptied by people.
pub(super) const DISK_AGAIN: Duration = Duration::from_secs(1);

/// Orders about addresses that are not carried out yet: all of a group, a few times over.
pub(super) const ADDRESS_ORDERS: usize = 1_024;

/// How long the kernel may take to add or remove an address.
pub(super) const NETLINK_TIMEOUT: Duration = Duration::from_secs(1);

/// How long the kernel keeps an address that is not renewed: a node whose daemon is gone must not go on
/// answering for it. Seconds, as the kernel counts; above what a busy machine keeps a task waiting.
pub(super) const ADDRESS_LIFE_SECONDS: u32 = 4;

/// How often it is renewed: four times in its life.
pub(super) const ADDRESS_RENEWAL: Duration = Duration::from_secs(1);

/// ARP packets and IPv6 packets read in one look for who uses our addresses. A segment that floods us
/// with them costs no more; a conflict is still seen, since whoever uses an address goes on saying so.
pub(super) const CLAIMS_PER_LOOK: usize = 256;

/// How often a tracked target is asked.
pub(super) const TARGET_INTERVAL: Duration = Duration::from_millis(200);

/// Questions in a row without an answer, after which the next makes a target unreachable: a second, in
/// which a busy router answers something.
pub(super) const TARGET_MISSES: u32 = 5;

/// Messages of the peer that one worker has not read yet: four windows of the sender.
pub(super) const STREAM_INBOX: usize = 2_048;

/// Messages of all workers that the transport has not taken yet.
pub(super) const STREAM_OUTBOX: usize = 4_096;

/// Messages that a worker reads before one turn, so that a bulk does not keep packets waiting.
pub(super) const MESSAGES_PER_TURN: usize = 64;

/// Notes that a worker hands on after one turn; a turn makes at most a few of each of its packets.
pub(super) const NOTES_PER_TURN: usize = 4_096;

/// Bytes of a replication message: they fit into a QUIC datagram before its path's MTU is known (1,200
/// bytes of UDP, less what QUIC adds).
pub(super) const MESSAGE_BYTES: usize = 1_100;

/// How often the drivers ask the transport how long a datagram may be. It finds the path's MTU within a
/// second of a connection's start, and looks for another one every ten minutes.
pub(super) const PATH_LOOK: Duration = Duration::from_millis(500);

/// Heartbeats read from one path in one go: a second's worth, after a pause.
pub(super) const HEARTBEATS_PER_READ: usize = 128;

/// A turn of the membership thread in which its heartbeats are true: half of the detection time, as for a
/// pause between two turns. What was to be said before is not said: the peer may own by now, and would
/// take an old claim for a rival's.
pub(super) const TURN_MAX: Duration = Duration::from_millis(25);
/// Bytes of each direction of a worker's socket on the fabric: some 4,000 full frames, which is what comes
/// while the other worker's thread is kept waiting for a few milliseconds under full load.
pub(super) const FABRIC_SOCKET_BYTES: usize = 8 << 20;

/// How far ahead packets may be held: above the time between two turns of the membership thread, which
/// renews it for as long as this node waits for its lease.
pub(super) const HOLD_AHEAD: Duration = Duration::from_millis(100);

/// How long the old owner of a switchover waits for its last records to be acknowledged before it says that
/// it has stopped. Packets are held at the heir meanwhile. A round trip takes less than one; beyond it
/// the heir works out what it may have missed.
pub(super) const SETTLE_PATIENCE: Duration = Duration::from_millis(20);

/// The pause before a heartbeat socket whose interface failed is opened anew.
pub(super) const SOCKET_PAUSE: Duration = Duration::from_millis(500);

/// A worker that neither moved nor slept for this long makes its node unable to own. Above what a busy
/// machine's scheduler keeps a thread waiting: a takeover for that would cost more than it gains.
pub(super) const WORKER_STUCK_AFTER: Duration = Duration::from_millis(200);

/// How long a node that stops goes on telling so, and passing packets on, after it owns no more: the hosts
/// have heard the second announcement of the new owner (50 ms after the first) and taken it in.
pub(super) const FAREWELL: Duration = Duration::from_millis(500);

/// How long it tries to hand over before it stops all the same: an offer's life, and some for a standby
/// that is about to be complete. With one that is, or none, it takes some ten milliseconds.
pub(super) const HANDOVER_PATIENCE: Duration = Duration::from_millis(700);

/// How long a stop may take altogether, whatever becomes of it.
pub(super) const STOP_PATIENCE: Duration = Duration::from_secs(2);

/// How long a request of the operator waits for the machine's answer.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(2);

/// How long after its end a lease may be felt at most: a worker's burst, and the XDP program's look at the
/// clock once a tick, of a kernel with 100 Hz.
pub(super) const LEASE_LAG_MAX: Duration = Duration::from_millis(11);

/// Requests of operators that wait for an answer.
pub(super) const REQUESTS: usize = 16;

/// The pause before a list of members that was not taken is given again.
pub(super) const MEMBERS_AGAIN: Duration = Duration::from_millis(200);

/// Tokens of a running daemon that wait for their bearer at once, each at a port of its own.
pub(super) const TOKENS_AT_ONCE: usize = 4;

/// Nodes that were let in, and of whom the log's actor does not know yet: as many as there are issuers.
pub(crate) const ADMITTED: usize = TOKENS_AT_ONCE;

/// How long a token's bearer waits for the disk: many times what a flush takes.
pub(super) const STORE_PATIENCE: Duration = Duration::from_secs(5);
