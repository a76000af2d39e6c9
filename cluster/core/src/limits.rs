//! Every bound of the cluster's machines: its unit, why it is what it is, and what happens when it is
//! reached.

use core::time::Duration;

// --- replication: messages ---------------------------------------------------------------------

/// Bytes of the longest message: a QUIC datagram that fits the smallest packet that every path
/// carries (RFC 9000 §14). A driver whose path carries more says so in its settings.
pub const MESSAGE_BYTES: usize = 1_200;

/// Bytes that the longest message must be able to have: a message of digests has 1,094.
pub const MESSAGE_BYTES_MIN: usize = 1_100;

/// Bytes of the longest message on a path that carries jumbo frames: [`ITEMS_PER_MESSAGE_MAX`] records fill
/// no more than twice as much.
pub const MESSAGE_BYTES_MAX: usize = 8_800;

/// Messages that may be without an acknowledgment. At 7 records each and a round trip of 5 ms (two
/// hops through busy runtimes), 512 let 700,000 records a second pass. At the limit records wait in
/// their queues, and merge.
pub const WINDOW_MESSAGES: u64 = 512;

/// Messages after the cumulative acknowledgment that a message tells one by one: a word of bits.
/// Messages beyond it wait until the gap before them is given up, one round trip later.
pub const ACK_BITS: u64 = 64;

/// Items of one message: a datagram's worth of the shortest (an item's head alone is 4 bytes). A
/// message that has as many is full; one that says it has more is no message.
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

/// Deleted identities that a receiver keeps while earlier messages are missing: a window of messages full of
/// deletes, whatever their length, so that none is refused for them. Our own sender has [`DELETES_MAX`]
/// without an acknowledgment, and [`ACK_BITS`] messages' worth that were acknowledged behind a gap; another
/// may have more. 2.1 MiB for each worker, of memory that is touched only when it is used.
pub const TOMBSTONES_MAX: usize = WINDOW_MESSAGES as usize * ITEMS_PER_MESSAGE_MAX;

/// Stale records answered with our newer one, in a second: a bound for two nodes that should
/// disagree on what is newer. Beyond it they are counted, and the digests find the difference.
pub const ANSWERS_PER_SECOND: u32 = 10_000;

// --- replication: bulk and digests -------------------------------------------------------------

/// Places looked at in one step of a walk over the table (bulk, sweep, digest): 100 to 200 µs where half of
/// them have a session, so that packets wait no longer than for a burst. A turn under load takes a
/// millisecond and has one step, so two million places are walked over within a second.
pub const PAGE_PLACES: u32 = 4_096;

/// Pages without a session that one step of a walk passes over: an empty place costs 2 to 5 ns, so this
/// is about as long as a page of sessions.
pub const EMPTY_PAGES_PER_STEP: usize = 8;

/// Rest between two steps of a sweep or digest: four million sessions in a second, a quarter of a core while
/// it lasts.
pub const PAGE_INTERVAL: Duration = Duration::from_micros(500);

/// Sessions of a bulk that wait in the queue before the next page is taken: a few messages' worth.
pub const BULK_QUEUE_LOW: u32 = 256;

/// Bytes of bulk without an acknowledgment: under half of the window in messages of the shortest kind, so
/// that live changes always find room beside it.
pub const BULK_WINDOW_BYTES: u32 = 250_000;

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

/// Buckets of the histogram of hold times, four for each power of two of nanoseconds: up to 2^40 ns, 18 min.
pub const HOLD_BUCKETS: usize = 160;
// --- membership: heartbeats and leases ---------------------------------------------------------

/// Time between two heartbeats of a path. At 10 ms a peer's death is seen in well below 100 ms, and
/// a path carries 100 packets of 190 bytes a second each way: 0.02 % of a gigabit.
pub const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(10);

/// Heartbeats missed in a row until a path is down, and until a pair's owner may think itself
/// alone: five. Four packets lost in a row on every path at once are no coincidence any more.
pub const DETECT_MULTIPLIER: u8 = 5;

/// Life of a lease, counted from the sending of the heartbeat that was acknowledged. Detection (50
/// ms), one interval by which the last acknowledgment may be old (10 ms), and 5 ms for its round
/// trip: so an owner whose standby dies goes from acknowledged to alone without a gap.
pub const LEASE: Duration = Duration::from_millis(65);

/// Silence of the owner, counted from the receipt of its last heartbeat, after which another may take
/// over: lease, [`LEASE_LAG`] and drift come to less than 70.2 ms. A power loss is over after 75 ms,
/// of which half an interval has passed on average before it begins.
pub const TAKEOVER: Duration = Duration::from_millis(75);

/// How long after its deadline a lease is still felt: the XDP program asks the clock once per kernel
/// tick (4 ms at 250 Hz), and a worker finishes the burst in hand (below 1 ms). A kernel of 100 Hz
/// needs 11 ms here, and a takeover 6 ms later.
pub const LEASE_LAG: Duration = Duration::from_millis(5);

/// By how much two monotonic clocks may differ in speed, parts per million. The kernel slews by
/// at most 500 (`adjtimex(2)`), crystals are off by 100; both nodes may err in opposite directions.
pub const DRIFT_PPM: u32 = 1_000;

/// How long a claim may go without a lease before it is given up, for others to try: ten takeover
/// times, so that a slow disk is waited for but a lost majority does not raise terms for ever.
pub const CLAIM_LIFE: Duration = Duration::from_millis(750);

/// How long an offer of the ownership waits for the peer to claim it: its disk must note the term
/// first, and disks stall for tens of milliseconds. Then the owner stays owner, and says so.
pub const OFFER_LIFE: Duration = Duration::from_millis(500);

/// How long the old owner passes latecomers on after a switchover: neighbours have heard the third
/// announcement (2 s), and switches have learned the port.
pub const PASS_ON: Duration = Duration::from_secs(3);

/// How long a standby must be the better one before an unfit owner yields: ten heartbeats, so that
/// a link that bounces once moves nothing.
pub const UNFIT_HOLD: Duration = Duration::from_millis(100);

/// How long another follower must be of a better class than the backup before the owner replicates with it
/// instead. The price is a bulk of all sessions, which takes seconds; a link that bounces is not worth it.
pub const BACKUP_HOLD: Duration = Duration::from_secs(1);

/// Rest after a switchover that nobody asked for, before the next such one. A link that flaps then
/// moves the ownership at most every 10 s; a dead owner is taken over from at any time.
pub const SWITCHOVER_REST: Duration = Duration::from_secs(10);

/// How long after it heard its peer again a node tells that it forwarded alone: long enough for
/// some heartbeat to arrive over a path that has only just come back.
pub const ALONE_TOLD: Duration = Duration::from_secs(1);

/// Silence after which a lower boot number of a peer is believed: its disk was lost. Twenty
/// detection times; until then it could be a recording.
pub const BOOT_FORGET: Duration = Duration::from_secs(1);

/// Earlier boots of a peer that are remembered so that a recording of them is refused. The oldest
/// is forgotten; a replay of it moves no lease, because acknowledgments name the boot they are for.
pub const BOOTS_REMEMBERED: usize = 8;

/// Members of a cluster, this node included: 16 nodes are the largest scale-out cluster planned.
/// A configuration with more is refused.
pub const MEMBERS_MAX: usize = 16;

/// Lists of members that the log keeps, the present one among them: a node counts every list that others may
/// go by, so one that has missed more changes than this must join anew. Members change a few times a year.
pub const LISTS_KEPT: u32 = 16;

/// Paths to one peer: the fabric and seven data segments. More do not make a cut less likely, and
/// sessions are numbered in one byte. A configuration with more is refused.
pub const PATHS_MAX: usize = 8;

/// Bytes of the longest heartbeat that is read: with room for fields of later versions. Longer ones
/// are refused unread.
pub const HEARTBEAT_BYTES_MAX: usize = 200;

/// Outputs waiting for the driver: one turn makes a heartbeat for each path of each peer (128), two
/// orders for each address (512) and a dozen more. When full, heartbeats give way first; counted.
pub const MEMBER_OUTPUTS_MAX: usize = 1_024;

/// Steps of the ownership machine in one turn. The longest chain today is four; at the bound the rest
/// waits for the next turn, which is due at once.
pub const STEPS_PER_TURN: usize = 8;

// --- membership: addresses ---------------------------------------------------------------------

/// Addresses of the VIP group: two families on every port of a large node, several times over. A
/// configuration with more is refused.
pub const VIPS_MAX: usize = 256;

/// When a new holder announces its addresses, after it got them: at once, again when a switch that
/// was busy with the first has time, at 1 s and 2 s as VRRP and Linux' bonding repeat theirs, and when
/// the kernel of a dead holder has certainly lost them: until then (4 s after its daemon's death) it may
/// ask for a neighbour in a VIP's name, which tells that neighbour the wrong place.
pub const ANNOUNCE_AT: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(50),
    Duration::from_secs(1),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// Announcements after those: well below the 5 minutes after which switches forget a port, at the
/// cost of two packets a minute for each address.
pub const ANNOUNCE_EVERY: Duration = Duration::from_secs(30);

/// Shortest time between two announcements that answer a conflict (RFC 5227 §1.1 `DEFEND_INTERVAL`):
/// two holders must not shout each other down.
pub const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
// --- policy: what the log holds -----------------------------------------------------------------

/// Bytes of one revision's text, list files inlined: 10,000 rules of 300 bytes and 100,000 prefixes of
/// 20 fill 5 MB. A longer one is refused before it is proposed.
pub const POLICY_TEXT_BYTES: usize = 32 << 20;

/// Revisions kept, the running one among them: a year of weekly changes. The oldest is forgotten.
pub const REVISIONS_KEPT: usize = 50;

/// Bytes of the texts of all revisions kept, a text that several share counted once: 25 of 5 MB, and
/// always room for the running one, its fallback and two more of the longest. The oldest are forgotten
/// until the rest fits, but never the running one or its fallback.
pub const REVISIONS_BYTES: usize = 128 << 20;

/// Bytes of a line of text: author, file name, comment, reason. Most are below 100. A reason that is longer
/// is cut; of the others the proposer is told.
pub const LINE_BYTES: usize = 1_024;

/// Requests whose outcome is remembered, so that a retry is answered and not carried out: an hour of
/// a change every 4 s, in about 1 MiB at most. After that a commit meets its stale base.
pub const REQUESTS_REMEMBERED: usize = 1_024;

/// Changes of which `history` tells author and time, beside the revisions; the oldest is forgotten.
pub const CHANGES_KEPT: usize = 256;

/// Zones that have a number, those that are gone included, for a number is never given twice: sixteen
/// times as many as a large policy has. Names beyond are refused.
pub const ZONES_NUMBERED: usize = 4_096;

/// Zones in one command: more than a policy can have. Its encoding with more is refused.
pub const ZONES_PER_COMMAND: usize = 1_024;

/// Settings of the cluster, each a key and a line: ten times what there is. More are refused.
pub const SETTINGS_MAX: usize = 256;

/// Secrets of the cluster, by name: keys of heartbeats, slots and tokens, old and new. More are refused.
pub const SECRETS_MAX: usize = 64;

/// Bytes of one secret: a private key with its certificates. A longer one is refused.
pub const SECRET_BYTES: usize = 8_192;

/// Bytes of an encoded command: the longest text and a dozen lines. Longer ones are refused unread.
pub const COMMAND_BYTES: usize = POLICY_TEXT_BYTES + (1 << 20);

/// Bytes of an encoded snapshot: the texts kept, a proposal's, and everything else filled to its limit
/// (4 MiB of zones, 1 MiB each of requests and changes, and small things). Longer ones are refused unread.
pub const SNAPSHOT_BYTES: usize = REVISIONS_BYTES + POLICY_TEXT_BYTES + (16 << 20);

// --- policy: the two steps -----------------------------------------------------------------------

/// Shortest time until an unconfirmed revision reverts: somebody must have the time to confirm. A
/// shorter one is refused.
pub const CONFIRM_MIN: Duration = Duration::from_secs(5);

/// Longest such time: a day's maintenance. Commits are refused meanwhile; a longer one is refused.
pub const CONFIRM_MAX: Duration = Duration::from_secs(24 * 3_600);

/// How long live members may take to compile a proposal: 10,000 rules and 100,000 prefixes take about a
/// second, on a busy machine three. Afterwards it is withdrawn, and says for want of whom.
pub const READY_WAIT: Duration = Duration::from_secs(10);

/// How long a commit waits for members to run it: bursts and a disk's write take milliseconds, a disk that
/// stalls a second. Afterwards the answer says who may still run the older one.
pub const SETTLE_WAIT: Duration = Duration::from_secs(10);

/// How long any request may take: both steps and an election. Afterwards the answer is that its outcome is
/// unknown, and a retry under the same number finds it out.
pub const REQUEST_WAIT: Duration = Duration::from_secs(30);

/// Bytes of an encoded answer to a request: an outcome, and a line for each member. Longer ones are refused
/// unread.
pub const ANSWER_BYTES: usize = (MEMBERS_MAX + 4) * LINE_BYTES;

/// Requests that wait for their outcome at one node: an operator's and a few programs'. More are refused.
pub const REQUESTS_WAITING: usize = 64;

/// Between two questions to a member whose report is missing: a few round trips, and a lost report costs no
/// more.
pub const ASK_INTERVAL: Duration = Duration::from_millis(100);

/// How long the leader waits for an entry that it appended before it appends it again; twice in the log
/// does no harm. An fsync that stalls takes about as long.
pub const APPEND_AGAIN: Duration = Duration::from_secs(2);

/// Between two attempts to compile what should run but cannot (a port is missing): a second without
/// forwarding is what a human notices.
pub const COMPILE_AGAIN: Duration = Duration::from_secs(1);

/// How long a leader's word lets a node begin to forward, counted from its question. A standby whose owner
/// led, too, has 0.4 s or more left when it takes over, within 75 ms; a new leader leaves nobody out for as
/// long, which a commit after a crash has to wait for.
pub const CLEARANCE: Duration = Duration::from_millis(500);

/// Between two such questions: a fifth, so that three may be lost.
pub const CLEARANCE_INTERVAL: Duration = Duration::from_millis(100);

/// How much longer the leader counts a clearance: for clocks that differ in speed, and for the time between
/// a node's look at it and the lease that follows.
pub const CLEARANCE_LAG: Duration = Duration::from_millis(100);

// --- screen ------------------------------------------------------------------------------------

/// Source rows of a detector: suspects of hours. 1.4 KiB each, 5.6 MiB together; a flood turns over those
/// that never failed at two things.
pub const SCREEN_SOURCES: usize = 4_096;

/// Destination rows of a detector: hosts behind the firewall that are in use or under attack.
pub const SCREEN_DESTINATIONS: usize = 2_048;

/// Pair rows of a detector: as many as source rows, half as large.
pub const SCREEN_PAIRS: usize = 4_096;

/// Rows of stateless anomalies of a detector, by kind, source and destination.
pub const SCREEN_ODDITIES: usize = 1_024;

/// Rows of each kind kept of one other node: what it thought worth telling. 1.5 MiB a node.
pub const PEER_ROWS: usize = 1_024;

/// Nodes whose digests are kept: all others of a cluster (`membership` has 16 at most). Digests of more are
/// refused.
pub const PEERS_MAX: usize = 15;

/// Bytes of one digest: a datagram that every path carries, as [`MESSAGE_BYTES`] is.
pub const DIGEST_BYTES: usize = MESSAGE_BYTES;

/// How often a node tells the others: with one more for the way, a block is cluster-wide within a second.
pub const DIGEST_EVERY: Duration = Duration::from_millis(500);

/// Digests that leave at once: 19 KB each half second to each peer. What does not fit waits its turn, the
/// most suspicious first.
pub const DIGESTS_AT_ONCE: usize = 16;

/// How long a rate that another node told counts: four digests. A node that falls silent has no rate.
pub const RATE_LIFE: Duration = Duration::from_secs(2);

/// Attacks that are followed at once. Beyond it new ones are counted, not told; floods of forged sources do
/// not get there, since they are told by destination.
pub const ATTACKS_MAX: usize = 256;

/// Those of them that are odd packets: a broken sender makes one of each host that it speaks to, and must not
/// keep a scan or a flood from being told.
pub const ODD_ATTACKS_MAX: usize = ATTACKS_MAX / 2;

/// Blocked sources at once, those of other nodes included: what the XDP program's list holds. Beyond it a
/// source is told and not blocked.
pub const BLOCKS_MAX: usize = 4_096;

/// Sources that scan one destination at once, from which on the destination is told and not they: decoys
/// (`nmap -D`) are forged by the dozen.
pub const DECOYS_MIN: usize = 8;

/// Destinations whose SYNs are answered in their place at once: half of what the XDP program's list holds, so
/// that those of which it has not forgotten the end leave room. Beyond it a flood is told and not answered.
pub const PROXIED_MAX: usize = 64;

/// How long a destination that another node guards is guarded here after it last said so: ten digests. Longer
/// than a takeover takes, with the two seconds in which its new owner finds the flood itself.
pub const GUARD_TOLD_LIFE: Duration = Duration::from_secs(5);

/// How often a guard that another node tells of is said again here: often enough for who carries it out, who
/// ends it by himself after twelve seconds (`GUARD_LIFE` of the actors).
pub const GUARD_SAID_EVERY: Duration = Duration::from_secs(1);

/// How many numbers behind the newest a digest counts as lost: those that leave together may overtake each
/// other.
pub const DIGEST_LOST_AFTER: u32 = DIGESTS_AT_ONCE as u32;

/// Bytes that a SYN is taken to have of which nobody noted the length: with the options of most (IPv4).
pub const SYN_BYTES: u64 = 60;

/// Sources of one kind of odd packet to one destination, from which on the destination is told.
pub const FORGED_MIN: usize = 4;

/// How long a flood must stay below half its threshold to be over: shorter gaps are one attack.
pub const FLOOD_QUIET: Duration = Duration::from_secs(10);

/// How long a scan or an odd sender must be quiet to be over: the time in which a fast scan counts.
pub const SCAN_QUIET: Duration = Duration::from_secs(60);

/// Rows of an answer about tables, at most, as Junos has it; 32 are the default.
pub const TABLE_ROWS_MAX: usize = 256;

/// Seconds over which rates of talkers are averaged: short enough to be live, long enough to be read.
pub const TALKER_SECONDS: u32 = 8;

/// Flows whose bytes are counted for the top talkers, by Space-Saving: a flow with a 512th of all bytes is
/// among them for certain.
pub const TALKER_FLOWS: usize = 512;

/// Flows that a node tells the others of each span, by bytes and as many by packets: what a page shows.
pub const TALKER_FLOWS_TOLD: usize = 16;

/// How long bytes of flows are gathered before they are shown: sessions are told of now and then only.
pub const TALKER_SPAN: Duration = Duration::from_secs(10);

/// Zones and destination prefixes whose traffic is modelled, the first that come; 4.1 KiB each of a node.
pub const SCOPES_MAX: usize = 128;

/// How long traffic is gathered into one sample of a baseline.
pub const SAMPLE_EVERY: Duration = Duration::from_secs(60);

/// Samples that an hour's mean stands for at most: seven days of them, so that older ones fade.
pub const SAMPLES_PER_HOUR_MAX: f64 = 420.0;

/// Samples in a row that must be unusual before it is told: three minutes are no burst.
pub const UNUSUAL_SAMPLES: u32 = 3;

/// Samples in a row that were unusual, after which they are the new normal: a day.
pub const UNUSUAL_SAMPLES_MAX: u32 = 1_440;

/// Samples over which the drift of a whole day is averaged.
pub const DRIFT_SAMPLES: f64 = 1_440.0;

/// How long a node that was alone gives ports of its own half only, after it has met its peer: for the peer's
/// lease to rest on votes, and for both to say that they were apart.
pub const HALF_KEPT: Duration = Duration::from_secs(5);

// --- placement -----------------------------------------------------------------------------------

/// Highest weight of a node. The heaviest of a cluster may do a thousand times what the lightest does; a
/// higher one is refused.
pub const WEIGHT_MAX: u16 = 1_000;

/// By how many percent of its fair share of owned slots a node may be above or below it without moving
/// anything: a death among sixteen nodes brings each survivor 17 slots, give or take a few, of then 273; less
/// would move slots for those few.
pub const OWNED_BAND_PERCENT: u64 = 2;

/// The same of backed slots. Wider, because racks tie what a node may back to what others own, and what is
/// not within it must be copied.
pub const BACKED_BAND_PERCENT: u64 = 4;

/// Percent of its fair share that no node is above, owned and backed slots each, rounded up: what the
/// literature on consistent hashing with bounded loads calls 1 + ε.
pub const LOAD_CAP_PERCENT: u64 = 105;

/// How many times their fair share the nodes of other racks may back, so that the owners of a heavy rack
/// have no backup in it: two nodes in one rack and one in another still keep them apart. Of a rack that is
/// heavier still, the rest has a backup within it.
pub const RACK_STRETCH: u64 = 2;

/// Rounds in which the goals of all pairs of owner and backup are fitted to what each owns and backs. They
/// are goals only: fewer rounds spread a dead node's load less evenly, and break no bound.
pub const PAIR_ROUNDS: usize = 24;

/// Bytes of an encoded table: two for owner and backup of each slot, and one to three for its term (up to
/// five can be read), with room for the head. A longer one is refused unread.
pub const TABLE_BYTES: usize = 32 << 10;
