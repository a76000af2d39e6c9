//! Every bound of the program's own: its unit, and why it is what it is.

use core::time::Duration;

/// Bytes of a file that the operator names (policy, list, node file): more than the longest policy.
pub(crate) const FILE_BYTES: u64 = 2 * config::limits::POLICY_BYTES_MAX as u64;

/// Bytes of a request to the API: a policy text, in which JSON may double every quote and line end.
pub(crate) const REQUEST_BYTES: usize = 2 * config::limits::POLICY_BYTES_MAX + (1 << 20);

/// Bytes of an answer that the client reads: a page of the largest size, and then some.
pub(crate) const ANSWER_BYTES: usize = 64 << 20;

/// How long a client waits for the daemon: longer than the daemon itself waits for its workers, and
/// long enough to compile the longest policy.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a client asks again what came of its request, after the first time that nobody could tell: two
/// elections and a daemon's restart. Afterwards the operator has to.
pub(crate) const INSIST_FOR: Duration = Duration::from_secs(60);

/// Pause before a client asks again for the first time; each one is twice as long as the one before.
pub(crate) const INSIST_PAUSE: Duration = Duration::from_millis(100);

/// The longest such pause: what has been decided is known to the operator so much later at most.
pub(crate) const INSIST_PAUSE_MOST: Duration = Duration::from_secs(2);

/// Bytes of an operator's answer to a question: `yes`, and whatever else he may type.
pub(crate) const REPLY_BYTES: u64 = 256;

/// Sessions in the table of a replayed capture: four times what a million packets of a scan need.
pub(crate) const REPLAY_SESSIONS: u32 = 1 << 18;

/// Looks of a replayed capture's detector, a tenth of a second apart, into a gap of the capture: four hours,
/// after which no detector remembers anything.
pub(crate) const REPLAY_BEATS: u32 = 144_000;

/// How long time goes on after a capture's last packet if there are screens: a first packet without an answer
/// is known as such only when its session ends.
pub(crate) const REPLAY_AFTERMATH: Duration = Duration::from_secs(60);

/// Sessions in the table of an engine that is asked about one packet: it opens none.
pub(crate) const EXPLAIN_SESSIONS: u32 = 1;

/// Threads of the daemon's own runtime: API, netlink, policy. Packets have threads of their own.
pub(crate) const RUNTIME_THREADS: usize = 2;

/// Niceness of the daemon's threads: nine times the share of a busy processor that ordinary work has, less
/// than what a system keeps for itself. Packets must not wait for a backup job.
pub(crate) const NICENESS: i8 = -10;

/// Slice of the runtime's threads, a tenth of what Linux gives otherwise: a message of the peer is passed on
/// to a worker, and its answer back, while that worker has the processor.
pub(crate) const RUNTIME_SLICE: Duration = Duration::from_micros(200);

/// Connections that the API serves at a time: operators and their scripts. One more waits.
pub(crate) const API_CONNECTIONS: usize = 64;

/// Connections that the listener for metrics serves at a time: a few scrapers. One more waits, so that
/// whoever reaches that address cannot take the daemon's descriptors away from it.
pub(crate) const METRICS_CONNECTIONS: usize = 16;

/// How long nothing may move on a connection before it is closed: longer than the slowest request
/// takes ([`ANSWER_TIMEOUT`]) and than the pause between two scrapes.
pub(crate) const CONNECTION_IDLE: Duration = Duration::from_secs(90);

/// Handshakes that the API's TLS listener has at a time: what strangers may cost. One more is closed.
pub(crate) const TLS_HANDSHAKES: usize = 32;

/// Connections that the API's TLS listener serves at a time, as many as the Unix socket. One more is closed.
pub(crate) const TLS_CONNECTIONS: usize = 64;

/// How long a TLS handshake may take: three round trips to the other side of the world, and a loss.
pub(crate) const TLS_TIMEOUT: Duration = Duration::from_secs(5);

/// How long it may take until the head of a request of another machine is there, counted from the handshake
/// or the answer before it: a client sends it at once.
pub(crate) const HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the daemon reads from a client that it has turned away, so that the client may learn why.
pub(crate) const LINGER: Duration = Duration::from_secs(1);

/// Bytes that it reads then: most policies.
pub(crate) const LINGER_BYTES: u64 = 64 << 10;

/// Bytes of the head of such a request, and of its body that wait in memory: ours has 300.
pub(crate) const HEAD_BYTES: usize = 16 << 10;

/// Headers of such a request: ours has five.
pub(crate) const HEAD_HEADERS: usize = 32;

/// Bytes of a PEM file: a chain of certificates of a few KiB each, or a dozen authorities.
pub(crate) const PEM_BYTES: u64 = 256 << 10;

/// Bytes of a token that a client sends: ours has 73, and others may make theirs.
pub(crate) const TOKEN_BYTES: usize = 512;

/// Tokens of a node, as many as names that a role has (64) in all roles, and some that wait for one. A file
/// with more is refused.
pub(crate) const TOKENS: usize = 256;

/// Bytes of the file of tokens: 256 lines of 130 bytes, and as much again for comments.
pub(crate) const TOKENS_FILE_BYTES: u64 = 64 << 10;

/// How long a request that is under way may take after the daemon was told to stop.
pub(crate) const STOP_TIMEOUT: Duration = Duration::from_secs(3);

/// Messages that wait for a syslog receiver, 4 MiB of the longest ones: half a minute of 64 a second. Of more
/// the newest are dropped, and counted.
pub(crate) const SYSLOG_QUEUE: usize = 2_048;

/// Bytes of a syslog message: what every receiver should take (RFC 5424 §6.1). What has no room is left out.
pub(crate) const SYSLOG_MESSAGE_BYTES: usize = 2_048;

/// Bytes of one value in it: more than an address or a name; the rest of a longer one is left out.
pub(crate) const SYSLOG_VALUE_BYTES: usize = 512;

/// How long a receiver may take to accept a connection or a message: a round trip, and two losses.
pub(crate) const SYSLOG_TIMEOUT: Duration = Duration::from_secs(5);

/// Pause before a receiver that failed is tried again; each one is twice as long as the one before.
pub(crate) const SYSLOG_PAUSE: Duration = Duration::from_millis(250);

/// The longest such pause: so much later at most is a receiver that came back told.
pub(crate) const SYSLOG_PAUSE_MOST: Duration = Duration::from_secs(30);

/// Messages in a row after which a UDP receiver that refused one is there again: a refusal is told with the
/// message after, or the one behind that.
pub(crate) const SYSLOG_UDP_STEADY: u32 = 16;

/// How long a daemon that ends waits until its last messages are sent.
pub(crate) const SYSLOG_FLUSH: Duration = Duration::from_secs(1);

/// Rows that a screen of talkers asks for, from the least to the most: a small window, and the highest
/// terminal.
pub(crate) const TOP_ROWS: [u32; 6] = [8, 16, 32, 64, 128, 256];

/// How often a screen asks the daemon, from the most often to the least: talkers change no faster, and an
/// operator on a slow line has the last ones.
pub(crate) const TOP_INTERVALS: [Duration; 5] = [
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(30),
];

/// How long a screen waits for an answer before it says that there is none: it asks again anyway.
pub(crate) const TOP_ANSWER_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a screen waits for a key before it looks for an answer: nobody sees that it is late.
pub(crate) const TOP_TICK: Duration = Duration::from_millis(50);

/// How long a screen has to end after a signal: forty looks. One whose terminal is gone may never look again.
pub(crate) const TOP_END: Duration = Duration::from_secs(2);
