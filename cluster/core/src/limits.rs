//! Every bound of the cluster's machines: its unit, why it is what it is, and what happens when it is
//! reached.

use core::time::Duration;

// --- replication: messages ---------------------------------------------------------------------

/// Bytes of the longest message: a QUIC datagram that fits the smallest packet that every path
/// carries (RFC 9000 §14). A driver whose path carries more says so in its settings.
pub const MESSAGE_BYTES: usize = 1_200;

/// Bytes that the longest message must be able to have: a message of digests has 1,094.
pub const MESSAGE_BYTES_MIN: usize = 1_100;

/// Messages that may be without an acknowledgment. At 7 records each and a round trip of 2 ms (two
/// hops through a busy runtime), 256 let 900,000 records a second pass. At the limit records wait in
/// their queues, and merge.
pub const WINDOW_MESSAGES: u64 = 256;

/// Messages after the cumulative acknowledgment that a message tells one by one: a word of bits.
/// Messages beyond it wait until the gap before them is given up, one round trip later.
pub const ACK_BITS: u64 = 64;

/// Items of one message: a datagram's worth of the shortest (an item's head alone is 4 bytes). A
/// message that has as many is full.
pub const ITEMS_PER_MESSAGE_MAX: usize = 64;

/// Messages that an acknowledgment may skip before what it skipped counts as lost (RFC 9002 §6.1.1).
pub const REORDERED_MESSAGES: u64 = 3;

// --- replication: times ------------------------------------------------------------------------

/// How long an update may wait to be merged with the next: with the note's own interval and a
/// round trip, a replica stays at most 50 ms behind.
pub const UPDATE_DELAY: Duration = Duration::from_millis(25);

/// How long a delete may wait for others to fill its message; a session that is gone hurts nobody.
pub const DELETE_DELAY: Duration = Duration::from_millis(5);

/// How long an acknowledgment may wait for a message to ride on, when nobody holds a packet for it.
pub const ACK_DELAY: Duration = Duration::from_millis(5);

/// Messages without a held packet after which an acknowledgment leaves at once: a small part of the
/// window, so that it never closes for want of one.
pub const ACK_EVERY_MESSAGES: u32 = 8;

/// Shortest time after which a message counts as lost: above [`ACK_DELAY`], and short enough for
/// one more attempt before a held packet's 20 ms are over.
pub const RTO_MIN: Duration = Duration::from_millis(9);

/// Longest such time, after doubling (RFC 6298 §2.5 wants a bound of this kind): a peer that is
/// silent longer is declared gone by its heartbeats.
pub const RTO_MAX: Duration = Duration::from_secs(1);

/// Such a time before the first measurement. RFC 6298 says a second; peers stand in one room.
pub const RTO_FIRST: Duration = Duration::from_millis(50);

// --- replication: queues -----------------------------------------------------------------------

/// Deletes waiting or without an acknowledgment: a tenth of a second at 160,000 closes a second, in
/// 1.3 MiB. A delete beyond is forgotten and counted, and the digests find what it leaves behind.
pub const DELETES_MAX: usize = 16_384;

/// Bytes of one delete on the wire with its head: key, identity and reason.
pub const DELETE_BYTES: usize = 4 + 40 + 14 + 1;

/// Deleted identities that a receiver keeps while earlier messages are missing. Messages of twice the
/// window can stand between the oldest kept and the newest; a message that would need more is not
/// taken, so it comes again.
pub const TOMBSTONES_MAX: usize =
    2 * WINDOW_MESSAGES as usize * (MESSAGE_BYTES.div_ceil(DELETE_BYTES));

/// Stale records answered with our newer one, in a second: a bound for two nodes that should
/// disagree on what is newer. Beyond it they are counted, and the digests find the difference.
pub const ANSWERS_PER_SECOND: u32 = 10_000;

// --- replication: bulk and digests -------------------------------------------------------------

/// Places looked at in one step of a walk over the table (bulk, sweep, digest): about 50 µs, so that
/// packets wait no longer than for a few bursts.
pub const PAGE_PLACES: u32 = 1_024;

/// Rest between two steps of a sweep or digest: a million places in a second, a twentieth of a core.
pub const PAGE_INTERVAL: Duration = Duration::from_millis(1);

/// Sessions of a bulk that wait in the queue before the next page is taken: a few messages' worth.
pub const BULK_QUEUE_LOW: u32 = 256;

/// Bytes of bulk without an acknowledgment: under half of the window, so that live changes
/// always find room beside it.
pub const BULK_WINDOW_BYTES: u32 = 120_000;

/// How often a request, beginning or end of a bulk is said again until it is answered.
pub const BULK_REPEAT: Duration = Duration::from_millis(100);

/// How often a request is said again although the owner has begun: it may have lost and regained the
/// ownership meanwhile, and forgotten it.
pub const BULK_RENEW: Duration = Duration::from_secs(1);

/// How long a bulk may take before the node counts as ready without it: a million sessions need
/// about 10 s on a fabric of 1 Gbit/s.
pub const BULK_DEADLINE: Duration = Duration::from_secs(120);

/// Between two rounds of digests: 33 KiB a round.
pub const DIGEST_INTERVAL: Duration = Duration::from_secs(5);

/// Between two rounds after a bulk, while the joiner waits for a proof.
pub const DIGEST_INTERVAL_VERIFYING: Duration = Duration::from_millis(250);

/// Slots in one message of digests: 1 KiB of words, 32 messages a round.
pub const DIGEST_PIECE_SLOTS: u16 = 128;

/// Rounds in which a slot may differ, each time by something else, before it is sent anew: changes
/// on their way make a busy slot differ now and then, not sixteen times in a row.
pub const DIGEST_UNEQUAL_ROUNDS: u8 = 16;

/// Rounds whose time is remembered, to say since when both tables were proven equal.
pub const DIGEST_ROUNDS_REMEMBERED: usize = 64;

/// Rounds without a proven difference after which a bulk counts as complete although busy slots
/// never stood still.
pub const VERIFY_ROUNDS: u32 = 8;

/// Buckets of the histogram of hold times, by powers of two of nanoseconds: up to 2^40 ns, 18 min.
pub const HOLD_BUCKETS: usize = 40;
