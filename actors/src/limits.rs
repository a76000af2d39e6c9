//! Every bound of the actors: its unit, and why it is what it is.

use core::time::Duration;

/// Panics of one flow actor within [`RESTART_WINDOW`] after which its shard drops everything. One
/// poisonous packet costs one; an attacker who found one sends it more often than this.
pub const RESTARTS_MAX: usize = 5;

/// The time that [`RESTARTS_MAX`] is counted over.
pub const RESTART_WINDOW: Duration = Duration::from_secs(10);

/// How often the lease is renewed: five times in its length, so that four may be missed.
pub const LEASE_RENEWAL: Duration = Duration::from_millis(200);

/// A worker that has neither moved nor slept for this long counts as stuck, and the lease is not
/// renewed. Below the lease's length, above a turn under full load (about 1 ms) by far.
pub const STUCK_AFTER: Duration = Duration::from_millis(800);

/// How long a question to an actor waits for its answer. Turns take a millisecond; a restart after
/// a panic some tens.
pub const ASK_TIMEOUT: Duration = Duration::from_secs(5);

/// Niceness of a worker's thread: of a processor that it shares with a thread of the runtime it gets three
/// times as much. A revision of some megabytes on its way to the other nodes must not halve the forwarding.
pub const WORKER_NICENESS: i8 = -15;

/// How often session events are drained and logged.
pub const TELEMETRY_INTERVAL: Duration = Duration::from_millis(10);

/// How often workers hand out what they noted: ten times in the second that rates are counted by.
pub const SCREEN_INTERVAL: Duration = Duration::from_millis(100);

/// How long the noting thread rests while observations come: in that time a worker that makes four million a
/// second fills its ring.
pub const NOTER_REST: Duration = Duration::from_millis(2);

/// The same when none came: a worker that begins to make 400,000 a second has room for them until then.
pub const NOTER_REST_IDLE: Duration = Duration::from_millis(20);

/// How long workers keep a limit that the detector has lowered: three of the seconds in which it says so
/// again, so that a busy machine does not let it lapse, and one that is gone limits nobody for long.
pub const CURB_LIFE: Duration = Duration::from_secs(3);

/// How long SYNs to a destination are answered in its place after the detector has last said so: as above,
/// and long enough for a quiet second or ten in which the flood is not over.
pub const GUARD_LIFE: Duration = Duration::from_secs(12);

/// The MSS that is announced in a destination's place, bytes, in IPv4 and in IPv6: of an Ethernet of 1,500
/// bytes. A path that carries less says so by ICMP.
pub const GUARD_MSS: [u16; 2] = [1_460, 1_440];

/// Digests of other nodes that the screener has not read yet: two of each of 15 nodes with eight messages
/// each. One that finds no room is told again.
pub const DIGESTS_QUEUE: usize = 256;

/// The pause before a shard without a flow actor is looked at again: a restart takes about as long.
pub const ASK_PAUSE: Duration = Duration::from_millis(1);

/// Times a question is put to a shard whose actor ends before it answers.
pub const ASK_ATTEMPTS: usize = 3;

/// How long opening a queue is tried again while the kernel is still closing an earlier socket on it.
pub const QUEUE_BUSY_TIMEOUT: Duration = Duration::from_secs(2);

/// The pause between two such tries.
pub const QUEUE_BUSY_PAUSE: Duration = Duration::from_millis(10);

/// Policy revisions kept on disk, as Junos keeps.
pub const REVISIONS_KEPT: usize = 50;

/// Policies whose rule names are remembered for sessions that outlive them.
pub const POLICIES_REMEMBERED: usize = 50;

/// Session events taken from one worker in one go.
pub const EVENTS_PER_DRAIN: usize = 1_024;

/// Most sessions in one page of an answer.
pub const PAGE_MAX: u32 = 10_000;

/// Next hops that workers ask for and nobody has passed to the kernel yet. Each stands for a neighbour
/// that packets are held for; one that finds no room is asked for again by its next packet.
pub const WANTED_QUEUE: usize = 256;

/// Orders to a shard's sleeper that it has not read yet: one sleep, and a few changes of what it sleeps
/// on. A sleeper that leaves more unread does not run.
pub const SLEEPER_ORDERS: usize = 16;

/// Poisonous packets kept on disk; the oldest make room. A bug shows in the first few.
pub const POISON_FILES: usize = 64;
