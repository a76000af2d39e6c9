//! Every bound of the demo, so that it ends within 30 seconds whatever happens.

use std::time::Duration;

/// How long all steps together may take. What is left of the 30 seconds is for cleaning up.
pub(super) const DEADLINE: Duration = Duration::from_secs(26);

/// How long a daemon may take to answer after its start. It takes two seconds in a development build,
/// more where other programs want the processors too.
pub(super) const START: Duration = Duration::from_secs(10);

/// How long a daemon may take to stop in order. What it drains is a few packets.
pub(super) const STOP: Duration = Duration::from_secs(5);

/// How long a daemon may take to stop when the demo ends early.
pub(super) const STOP_EARLY: Duration = Duration::from_millis(1500);

/// How long an operator's command may take.
pub(super) const COMMAND: Duration = Duration::from_secs(4);

/// How long `detach` may take when the demo ends early.
pub(super) const DETACH_EARLY: Duration = Duration::from_millis(1500);

/// Pause between two looks at a process that has not ended, or a socket that is not there yet.
pub(super) const POLL: Duration = Duration::from_millis(5);

/// How long permitted traffic may take to get anywhere.
pub(super) const ALLOWED: Duration = Duration::from_secs(4);

/// How long silence must last to be believed. The answer to permitted traffic comes within a
/// millisecond; TCP sends its second SYN after one second.
pub(super) const SILENCE: Duration = Duration::from_millis(1200);

/// Within this a refusal counts as "at once": far below TCP's second SYN.
pub(super) const AT_ONCE: Duration = Duration::from_millis(500);

/// Bytes of a transfer, each way.
pub(super) const TRANSFER_BYTES: usize = 8 << 20;

/// Bytes read or written at once.
pub(super) const CHUNK_BYTES: usize = 64 << 10;

/// Datagrams of a UDP exchange, one after the other.
pub(super) const DATAGRAMS: u16 = 100;

/// Bytes of a datagram that fits a frame.
pub(super) const DATAGRAM_BYTES: usize = 1200;

/// Bytes of a datagram that needs three frames of MTU 1500.
pub(super) const FRAGMENTED_BYTES: usize = 4000;

/// Echo requests sent, one after the other.
pub(super) const PINGS: u16 = 5;

/// Bytes that the long-lived connection exchanges each time.
pub(super) const PULSE_BYTES: usize = 1024;

/// Pause between its exchanges: about two hundred a second.
pub(super) const PULSE_PAUSE: Duration = Duration::from_millis(5);

/// The longest exchange that still counts as uninterrupted: what a busy machine's scheduler and one
/// retransmission may take. A connection that is cut off for good gets no answer at all.
pub(super) const PULSE_GAP: Duration = Duration::from_secs(1);

/// Lines of a command's output, or of the daemon's log, that are shown.
pub(super) const EXCERPT_LINES: usize = 12;

/// Characters of what a step saw that are shown: two lines of a wide terminal.
pub(super) const SEEN_CHARACTERS: usize = 240;

/// How long all steps of a pair's demo together may take. What is left of the 60 seconds is for cleaning
/// up.
pub(super) const PAIR_DEADLINE: Duration = Duration::from_secs(54);

/// The same of a cluster's demo, of whose 90 seconds the rest is for cleaning up.
pub(super) const CLUSTER_DEADLINE: Duration = Duration::from_secs(80);

/// How long the second node may take to join: keys, a handshake, one flush of a disk.
pub(super) const JOIN: Duration = Duration::from_secs(10);

/// How long two daemons may take until one is active and the other complete: they listen first.
pub(super) const SETTLE: Duration = Duration::from_secs(10);

/// How long a takeover may take until an operator sees it. It takes a tenth of a second.
pub(super) const TAKEOVER: Duration = Duration::from_secs(4);

/// How long a session may take to the standby. It takes a millisecond.
pub(super) const REPLICATED: Duration = Duration::from_secs(4);

/// Pause between two looks at `show cluster`.
pub(super) const PAIR_POLL: Duration = Duration::from_millis(50);
