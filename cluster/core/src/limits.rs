//! Every bound of the cluster's machines: its unit, why it is what it is, and what happens when it is
//! reached.

use std::time::Duration;

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
/// was busy with the first has time, and at 1 s and 2 s as VRRP and Linux' bonding repeat theirs.
pub const ANNOUNCE_AT: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(50), Duration::from_secs(1), Duration::from_secs(2)];

/// Announcements after those: well below the 5 minutes after which switches forget a port, at the
/// cost of two packets a minute for each address.
pub const ANNOUNCE_EVERY: Duration = Duration::from_secs(30);

/// Shortest time between two announcements that answer a conflict (RFC 5227 §1.1 `DEFEND_INTERVAL`):
/// two holders must not shout each other down.
pub const DEFEND_INTERVAL: Duration = Duration::from_secs(10);
