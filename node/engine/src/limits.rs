//! Every bound of the engine: its unit, and why it is what it is.

use std::time::Duration;

// --- routes and neighbours, held packets, answers, policy -------------------------------------

/// Next hops remembered for one route. Linux and most routing daemons install at most 8 to 64
/// equal-cost paths; 8 is FRR's and BIRD's usual build, and a flow uses one of them anyway.
pub const NEXT_HOPS_MAX: usize = 8;

/// Routes of one address family in one domain, prefixes. A full Internet table is about 1.05
/// million in IPv4 and 0.25 million in IPv6 (2026); this leaves growth for a decade.
pub const ROUTES_MAX: usize = 2_000_000;

/// Routes of different metric remembered for one prefix. One per routing protocol and uplink is
/// usual.
pub const METRICS_MAX: usize = 16;

/// Routing domains of one node; each is a pair of tables. As many as VLANs: a customer each.
pub const DOMAINS_MAX: usize = 4_096;

/// Neighbours of all ports. Four times the largest `gc_thresh3` that distributions ship (16,384).
pub const NEIGHBOURS_MAX: usize = 65_536;

/// Addresses of one port; the kernel has no limit, interfaces with more than a few dozen are rare.
pub const PORT_ADDRESSES_MAX: usize = 1_024;

/// Different own lives of rules and services: a session names its own in one byte, 0 being none.
pub const OWN_LIVES_MAX: usize = 255;

/// Frames held for one missing neighbour. A TCP connection's first flight and a few retries; Linux
/// holds 101 packets (`unres_qlen`), which at 1,024 in all would let ten dead hosts fill the store.
pub const HELD_PER_NEIGHBOUR: usize = 16;

/// Frames held for missing neighbours in all, per engine: a scan of a /22 with one frame each.
pub const HELD_FRAMES: usize = 1_024;

/// Longest frame that can be held, bytes: a full AF_XDP frame of the smaller size, so any frame of
/// an MTU up to 2,030 fits; with 1,024 frames that is 2 MiB per engine, touched only when used.
pub const HELD_FRAME_BYTES: usize = 2_048;

/// Life of a held frame: three neighbour solicitations one second apart (RFC 4861 §10
/// `MAX_UNICAST_SOLICIT` × `RETRANS_TIMER`; Linux uses the same for ARP).
pub const HELD_LIFE: Duration = Duration::from_secs(3);

/// Answers (RST and ICMP errors) of one engine a second. Linux sent 1,000 ICMP messages a second
/// for years (`icmp_msgs_per_sec`); as many legitimate senders are rarely wrong at once.
pub const ANSWERS_PER_SECOND: u32 = 1_000;

/// Answers that may leave back to back after a quiet time (Linux `icmp_msgs_burst`).
pub const ANSWERS_BURST: u32 = 50;

/// Answers to one source a second, so that one scanner cannot use up everybody's share: a tenth.
pub const ANSWERS_PER_SOURCE: u32 = 100;

/// Answers to one source back to back: a traceroute sends three probes to each of a dozen hops.
pub const ANSWERS_SOURCE_BURST: u32 = 20;

/// Buckets that sources are hashed into, a power of two: 16 KiB; two sources share one seldom.
pub const ANSWER_SOURCES: usize = 1_024;

/// Smallest MTU that IPv4 guarantees (RFC 791 §3.2); a smaller one is never announced.
pub const IPV4_MTU_MIN: u32 = 68;

/// Smallest MTU of an IPv6 link (RFC 8200 §5); a smaller one is never announced.
pub const IPV6_MTU_MIN: u32 = 1_280;

/// Time to live and hop limit of an answer: the recommended default (RFC 1700), as hosts send.
pub const ANSWER_HOP_LIMIT: u8 = 64;

/// Bytes of the longest answer: Ethernet, two VLAN tags, and an ICMPv6 error of the IPv6 minimum
/// MTU (RFC 4443 §2.4 c).
pub const ANSWER_FRAME_BYTES: usize = 14 + 2 * 4 + IPV6_MTU_MIN as usize;

/// Rules of one policy. The indexed matcher is built for 100,000; ten times that still compiles.
pub const RULES_MAX: usize = 1_000_000;

// --- matcher ----------------------------------------------------------------------------------

/// Labels in all classes of one side together, and one for each class: at 4 bytes each, held twice
/// while compiling, 128 MiB. 100,000 rules of ClassBench shape need a million. Beyond it the labels
/// that lie over most others are compared in full, rule by rule.
pub const MATCHER_CLASS_LABELS_MAX: usize = 1 << 24;

/// Sets looked at while the address space of one side is cut into classes, about a second. Beyond it
/// as above.
pub const MATCHER_SWEEP_STEPS_MAX: usize = 1 << 28;

/// Labels of one class that are tried one by one. An address lies in at most 33 nested prefixes, and
/// in real rule sets seldom in more than eight (Taylor and Turner 2005); the others are told apart
/// in the leaf of their pair.
pub const MATCHER_CHAIN_MAX: usize = 24;

/// Entries that are compared one by one: four cache lines and a half, less than a look into columns.
pub const MATCHER_SCAN_ENTRIES: usize = 12;

/// Entries of one chunk of a leaf: a column of so many bits is one cache line.
pub const MATCHER_CHUNK_ENTRIES: usize = 512;

/// Rules of one leaf under a wider label than their own from which rows tell them apart. Fewer are
/// compared in full as quickly.
pub const MATCHER_ROWS_MIN: usize = 16;

/// Memory for all rows, bytes: 10,000 rules over 100,000 classes need 240 MB. Beyond it the rules
/// are compared in full.
pub const MATCHER_ROW_BYTES_MAX: usize = 256 << 20;

// --- sessions ---------------------------------------------------------------------------------

/// Time between two slots of the timer wheel, nanoseconds: 2^27, about 134 ms. The shortest default
/// life is ten seconds, so a session lives at most 1.4 % too long.
pub const TIMER_GRANULARITY_NANOS: u64 = 1 << 27;

/// Slots of the timer wheel, a power of two: a span of 550 s, beyond all default lives but that of an
/// established TCP session, which is looked at once per revolution. 16 KiB of heads.
pub const TIMER_SLOTS: usize = 4_096;

/// Timer visits in one turn of the worker: at 100 ns each well under the 1 ms a turn may take,
/// and at 1,000 turns a second more than any table can open sessions.
pub const TIMER_VISITS_PER_TURN: usize = 4_096;

/// Places of the session table that one sweep looks at in one turn at least: at 200 ns for a session that
/// is judged again, less than half a millisecond. An idle worker sweeps a million of them in 500 turns.
pub const SWEEP_PER_TURN: u32 = 2_048;

/// Time that a sweep should take: half of the second within which a commit reaches every session. Where
/// packets make turns long, each looks at as much of the table as is due by then.
pub const SWEEP_TIME: Duration = Duration::from_millis(500);

/// Places that one sweep looks at in one turn at most: under 2 ms. With turns of that length a table of two
/// million is swept in a second; a larger one takes longer.
pub const SWEEP_PER_TURN_MAX: u32 = 8_192;

/// Time between two sweeps for sessions that could not be judged for want of a route, of which there are
/// other ones since. Each costs a few milliseconds a million sessions.
pub const SWEEP_AGAIN: Duration = Duration::from_secs(1);

/// How full the session table is when lives begin to shrink, tenths (pf's `adaptive.start`: 60 %).
pub const PRESSURE_START_TENTHS: u64 = 6;

/// How full it would have to be for them to shrink to nothing, tenths (pf's `adaptive.end`: 120 %).
pub const PRESSURE_END_TENTHS: u64 = 12;

/// Steps between those two. Each step sweeps the table, so there are few.
pub const PRESSURE_STEPS: u32 = 16;

/// Sessions that are looked at to find one that gives way in a full table. If half of them are past
/// their beginnings, all eight are in one of 256 attempts.
pub const VICTIMS_TRIED: u32 = 8;

/// Most sessions of one table: indices and their two reserved values are 32 bits wide, and 256
/// bytes a session make this 64 GiB, beyond any machine that runs one worker.
pub const SESSIONS_MAX: u32 = 1 << 28;

/// Entries of one bucket: the tags and indices of eight fill a cache line.
pub const BUCKET_ENTRIES: usize = 8;

/// Sessions per bucket in a full table, in tenths: 3.2 of 8, a load of 0.4. Then 0.9 % of the
/// buckets spill, and about one insertion in 20,000 into a full table finds both of its buckets full.
pub const SESSIONS_PER_BUCKET_TENTHS: u64 = 32;

/// Sessions shown in one page at most: a control message must not stop the worker for long.
pub const SESSIONS_PER_PAGE: usize = 1_024;

/// How far below the highest sequence an acknowledgment may lie at least, bytes, whatever the window
/// was: bound IV of the window check. Guido van Rooij, "Real Stateful TCP Packet Filtering in IP
/// Filter" (2000): a little over the largest unscaled window.
pub const ACK_WINDOW_MIN: u32 = 66_000;

/// Identical segments in a row after which a TCP session lives for `tcp_unacknowledged` only
/// (Linux `nf_conntrack_tcp_max_retrans`).
pub const RETRANSMISSIONS_MAX: u8 = 3;

/// Largest window scale (RFC 7323 §2.3).
pub const WINDOW_SCALE_MAX: u8 = 14;

// --- fragments --------------------------------------------------------------------------------

/// Memory for fragments of one engine, bytes. Linux gives 4 MiB to a whole network namespace
/// (`ipfrag_high_thresh`); an engine serves one core.
pub const FRAGMENT_MEMORY_BYTES: usize = 4 << 20;

/// Unit of that memory, bytes: a fragment of a 1,500-byte link wastes 4 % of six of them, and the
/// smallest possible fragment takes one, so that 16,384 fragments fit at most.
pub const FRAGMENT_BLOCK_BYTES: usize = 256;

/// Incomplete datagrams of one engine: with the memory above 4 KiB each, the size of a large DNS answer.
pub const FRAGMENT_DATAGRAMS: usize = 1_024;

/// Incomplete datagrams of one source: an eighth of all, so that one sender cannot displace the others,
/// and enough for a resolver or file server at 100,000 datagrams a second reordered by a millisecond.
pub const FRAGMENT_DATAGRAMS_PER_SOURCE: usize = 128;

/// Fragments of one datagram: 65,535 bytes over the smallest link that every host must accept whole
/// (576 bytes, RFC 791 §3.2) make 119.
pub const FRAGMENTS_PER_DATAGRAM: usize = 128;

/// Time for a datagram to become complete (Linux `ipfrag_time`; RFC 8200 §4.5 allows hosts 60 s).
pub const FRAGMENT_LIFETIME: Duration = Duration::from_secs(30);

/// Headers of a fragment, link header included, bytes: two VLAN tags, IPv6 and 450 bytes of extension
/// headers, which is more than any network is known to pass (RFC 9288 §1).
pub const FRAGMENT_HEADER_BYTES: usize = 512;

/// Longest frame of a reassembled datagram, bytes: IPv6 header and payload of 65,535, and link header.
pub const DATAGRAM_FRAME_BYTES: usize = 65_535 + FRAGMENT_HEADER_BYTES;

/// Age from which a UDP session with traffic both ways counts as a stream (Linux
/// `nf_conntrack_proto_udp.c`): older than nearly every question and answer.
pub const UDP_STREAM_AGE: Duration = Duration::from_secs(2);

// --- pipeline ---------------------------------------------------------------------------------

/// Frames that one packet, or one control message, can make the engine send besides the one in hand:
/// a datagram's fragments, or all packets held for missing neighbours at once.
pub const OUTBOX_FRAMES: usize = 1_280;

/// Bytes of those frames: that many of full size.
pub const OUTBOX_BYTES: usize = OUTBOX_FRAMES * HELD_FRAME_BYTES;

/// Session events between two drains, which come after every packet that makes one and after every
/// tick: a tick closes at most [`TIMER_VISITS_PER_TURN`] sessions, and the sweep
/// [`SWEEP_PER_TURN_MAX`].
pub const EVENTS: usize = TIMER_VISITS_PER_TURN + SWEEP_PER_TURN_MAX as usize + 64;

/// Rules whose hit counts are remembered when a commit has taken them out, so that a rollback finds them.
/// Beyond it those that were taken out first are forgotten. 32 bytes and the id each.
pub const RULES_REMEMBERED: usize = 4_096;

/// Next hops to be resolved that wait for the driver, who looks after every turn. One that finds no
/// room is asked for again by its next packet.
pub const RESOLVE_QUEUE: usize = 64;

/// Epochs whose rules can still be told. A session that slept through more commits than Junos and we
/// keep revisions is matched anew.
pub const EPOCHS_REMEMBERED: usize = 50;

/// Incomplete datagrams given up in one turn; each may cost an ICMP error.
pub const EXPIRIES_PER_TICK: u32 = 64;

// --- replication ------------------------------------------------------------------------------

/// Engines, in one run of their daemon each, whose sessions one table can hold. A pair of 16 workers
/// has 32; the rest is for restarts within the life of a session.
pub const ORIGINS_MAX: usize = 1_024;

/// Notes for the replication's sender between two drains, which come after every burst and every
/// tick: a tick closes at most [`TIMER_VISITS_PER_TURN`] sessions, the sweep changes at most
/// [`SWEEP_PER_TURN_MAX`], and the packets of a turn can open or close 2 × 1,024. 72 bytes each.
pub const NOTES: usize = 16_384;

/// How long a replica outlives its life when its owner says nothing. The owner says when a session
/// ends, and digests repair what was lost; this only bounds what a bug could leave behind.
pub const REPLICA_GRACE: Duration = Duration::from_hours(24);

/// How often the timer looks at a replica that is past its life. Never longer than this, since a wheel
/// that was told of a later time would not come back for an earlier one after a takeover.
pub const REPLICA_REVISIT: Duration = Duration::from_secs(60);

/// Life that every session has at least after a takeover: its last packets may have come after its
/// last record. Ten times the bound that records lag by when replication works.
pub const TAKEOVER_GRACE: Duration = Duration::from_secs(10);

/// How long a record may have been on its way, which its reader cannot tell: several repetitions
/// within a fabric.
pub const RECOVERY_DELAY: Duration = Duration::from_millis(200);

/// Longest time that a record is taken to lag by at a takeover, its way included. Records are made at
/// least every 50 ms; what is much older did not move.
pub const RECOVERY_LAG_MAX: Duration = Duration::from_secs(1);

/// Bytes a second that a direction is taken to have shown at least: a young connection had no time to
/// show any, and 10 Mbit/s for a second are 0.03 % of the sequence space.
pub const RECOVERY_RATE_MIN: u32 = 1_250_000;

/// Farthest that a segment may lie ahead of known bounds after a takeover, bytes, beside the window:
/// 10 Gbit/s for 200 ms, a sixteenth of the sequence space.
pub const RECOVERY_AHEAD_MAX: u32 = 1 << 28;

/// Shortest time between two records that tells a rate. Below it one burst would look like many.
pub const RATE_SPAN_MIN: Duration = Duration::from_millis(5);

/// Packets of one session that wait for the backup: a handshake has three, and a client that
/// does not wait sends a few more.
pub const SYNC_PER_SESSION: usize = 8;

/// Packets that wait for the backup in all: a thousand new sessions in a millisecond, which is a round
/// trip and the writing of a burst. 2 MiB, touched only when used.
pub const SYNC_FRAMES: usize = 1_024;

/// How long a packet waits for the backup. A round trip takes less than one; two lost messages and
/// their repetition fit, and no peer repeats a SYN so soon.
pub const SYNC_LIFE: Duration = Duration::from_millis(20);

// --- screens ----------------------------------------------------------------------------------

/// Sets of blocked sources, as a power of two, and places of one: a cache line of four. Four times the
/// 4,096 sources that a cluster blocks at most, so that a set overflows for one in a thousand. 256 KiB.
pub const BLOCK_SETS: usize = 4_096;
/// Places of one, 16 bytes each: a cache line.
pub const BLOCK_WAYS: usize = 4;

/// Sets of what is counted by the second, as a power of two: 20,480 sources and destinations, more than
/// anybody is flooded from without forging. 256 KiB, an eighth of a second-level cache.
pub const METER_SETS: usize = 4_096;
/// Places of one, 12 bytes each: a cache line.
pub const METER_WAYS: usize = 5;

/// Sets of limits that the detector has lowered, as a power of two: four times as many places as there are
/// attacks that are followed at once, each of which lowers one limit at most. 16 KiB.
pub const CURB_SETS: usize = 256;
/// Places of one, 16 bytes each: a cache line.
pub const CURB_WAYS: usize = 4;

/// Sets of sources, destinations and pairs with open sessions, as a power of two: 65,536 of them. 512 KiB.
pub const OPEN_SETS: usize = 16_384;
/// Places of one, 8 bytes each: half a cache line. Sets of eight, of the same memory, overflow a little less
/// and took a first packet 91 instructions more; a difference in time was not seen on a busy machine.
pub const OPEN_WAYS: usize = 4;

/// Packets of open sessions between two of which it is told what their sessions carried: drawn from here
/// up to three times as many, so that no pattern of traffic hides behind it. At 150 ns each they cost a
/// packet one; a flood of 1,000 packets a second is told eight times in it.
pub const CARRIED_EVERY: u32 = 64;

/// Longest ICMP query that nobody wonders about, bytes of IP packet: what fits an Ethernet link, as tests of
/// a path's MTU send it (Junos "icmp large" begins at 1,024).
pub const ICMP_USUAL_BYTES: u32 = 1_500;

/// Observations that wait to be told or noted: those of a burst of 64 packets, each of which may be denied
/// and odd. 9 KiB.
pub const NOTES_WAITING: usize = 128;

// --- SYN cookies ------------------------------------------------------------------------------

/// Sets of destinations whose SYNs are answered with cookies, as a power of two: four times as many places
/// as there are attacks that are followed at once. 8 KiB.
pub const GUARD_SETS: usize = 128;
/// Places of one, 16 bytes each: a cache line.
pub const GUARD_WAYS: usize = 4;

/// How long cookies are accepted after the last one was made: the ACK of a client far away, and a probe of
/// its closed window or two. Beyond it a wrong ACK costs no hash.
pub const COOKIE_GRACE: Duration = Duration::from_secs(10);

/// Bytes of the longest frame that is made anew in the place of another: Ethernet, two VLAN tags, IPv6 and
/// the longest TCP header are 122.
pub const REMADE_FRAME_BYTES: usize = 128;

/// Connections whose server has not answered yet, and is asked again by a timer: what opens in two seconds
/// at 8,000 a second. Beyond it a server is asked again when its client asks. 384 KiB.
pub const ASKED_MAX: usize = 16_384;

/// Time between two SYNs to a server that does not answer (RFC 6298 §2.1).
pub const ASK_INTERVAL: Duration = Duration::from_secs(1);

/// SYNs to a server by the timer. Who still waits after so many seconds asks by itself, or has left.
pub const ASK_TRIES: u8 = 9;

/// SYNs of one turn by the timer: 100 ns each, and all of [`ASKED_MAX`] in 64 turns.
pub const ASKS_PER_TICK: usize = 256;

// --- translation ------------------------------------------------------------------------------

/// Public addresses of an engine: 32 KiB of ports each, so 48 MiB at most. Configuration allows 1,024 in
/// pools; the rest is for those of ports.
pub const NAT_ADDRESSES_MAX: usize = 1_536;

/// Endpoint-independent mappings of an engine: a carrier's million of subscribers on 16 workers has as many,
/// about 200 bytes each.
pub const NAT_MAPPINGS_MAX: u32 = 1 << 20;

/// Rules of translation that are told apart over all commits since the start; configuration allows 1,024 at
/// once.
pub const NAT_NAMES_MAX: usize = 16_384;

/// Bytes of the longest frame that translation between the families writes: an IPv6 datagram, and a link
/// header with two VLAN tags.
pub const NAT_FRAME_BYTES: usize = 40 + 65_535 + 22;

/// Least life of a UDP mapping (RFC 4787 §4.3, REQ-5).
pub const NAT_UDP_LIFE: Duration = Duration::from_secs(120);

/// Least life of the mapping of an ICMP query (RFC 5508 §3.2, REQ-2).
pub const NAT_QUERY_LIFE: Duration = Duration::from_secs(60);

// --- application layer gateways ---------------------------------------------------------------

/// Bytes of an FTP line that is looked at, its end included: the longest command has 62, servers write a
/// sentence around a number. A longer line announces nothing.
pub const FTP_LINE_BYTES: usize = 512;

// --- gateways ---------------------------------------------------------------------------------

/// Control channels that are read at once, per engine. Each has 2 KiB, and two times [`ALG_STREAM_BYTES`] for
/// text: 72 MiB in all, touched only where a channel is, and where text of it is kept.
pub const CONTROLS_MAX: u32 = 4_096;

/// Pinholes of one engine that stand open at once.
pub const PINHOLES_MAX: u32 = 8_192;

/// Pinholes of one control channel: a call with sound and picture has eight, and a phone holds a few.
pub const PINHOLES_PER_CONTROL: usize = 32;

/// How long a pinhole waits for its session. A data connection comes within a second, or after a few tries of
/// its SYN (RFC 6298: 1, 3, 7, 15 s), and a person may think before a call is answered.
pub const PINHOLE_LIFE: Duration = Duration::from_secs(60);

/// How long a pinhole for media waits when nothing is said of its call: as long as a proxy lets it ring (RFC
/// 3261 §16.6, timer C).
pub const CALL_LIFE: Duration = Duration::from_secs(180);

/// How long a pinhole for media stands when its call is answered and nothing more is said of it: twice what
/// a session is refreshed after (RFC 4028 §4).
pub const ANSWERED_CALL_LIFE: Duration = Duration::from_secs(3_600);

/// How long the control channel of a phone lives without a packet: a registration's usual life (RFC 3261
/// §10.2.1.1).
pub const SIP_CHANNEL_LIFE: Duration = Duration::from_secs(3_600);

/// How long an endpoint is registered with its gatekeeper that does not say it (Linux `default_rrq_ttl`).
pub const H323_REGISTRATION_LIFE: Duration = Duration::from_secs(300);

/// Texts that are replaced in one message.
pub const ALG_MESSAGE_EDITS: usize = 96;

/// Queries of DNS of one session that may wait for their responses at once: a resolver of a host asks two,
/// one for each family. Of more it is not known which response is to one of them.
pub const QUERIES_PER_SESSION: usize = 16;

/// Ports below it belong to services (RFC 6335 §6): nobody listens there for what was just announced.
pub const PINHOLE_PORT_MIN: u16 = 1_024;

/// Bytes of an unfinished line that are kept back: the longest announcement has 64, and text before it.
pub const ALG_KEPT_BYTES: usize = 128;

/// Bytes that stand for others on a control channel: a line that was kept back.
pub const ALG_EDIT_BYTES: usize = 160;

/// Segments of one direction of a control channel with other text that its far end has not acknowledged. Who
/// speaks FTP waits for the answer to each; two proxies have several calls on their way. 12 bytes each.
/// Beyond it a segment is dropped, and sent again.
pub const ALG_EDITS: usize = 16;

/// Bytes of a message's beginning that are kept back until the rest comes: three segments. A longer message
/// passes unread.
pub const ALG_MESSAGE_KEPT_BYTES: usize = 4_096;

/// Bytes of one direction of a control channel that are kept: of a message's beginning, and of what stands
/// for others until the far end has it. Room for one of each, of [`ALG_MESSAGE_KEPT_BYTES`].
pub const ALG_STREAM_BYTES: usize = 2 * ALG_MESSAGE_KEPT_BYTES;

/// Bytes by which the messages of a segment may grow while there is room for all of it: addresses of a call,
/// each by a few digits.
pub const ALG_GROWTH_BYTES: usize = 1_024;

/// Bytes of a segment that every host takes (RFC 9293 §3.7.1).
pub const ALG_SEGMENT_MIN: usize = 536;

/// Bytes of a segment that is read, with what was kept back before it: the largest datagram.
pub const ALG_TEXT_BYTES: usize = 65_536 + ALG_MESSAGE_KEPT_BYTES;

/// Bytes of a frame whose text was replaced: what a segment may have, and longer text.
pub const ALG_FRAME_BYTES: usize = 65_536 + 1_024;

/// Bytes that a record may have of a control channel: with the largest of its session they fit into a
/// message, which is a datagram of 1,200 bytes (RFC 9000 §14). Numbers are always told; of more pinholes the
/// oldest are, and of more text what is kept back.
pub const ALG_RECORD_BYTES: usize = 900;

/// Bytes of a record that pinholes have before text: eight of IPv4, those of a call with sound and picture.
pub const ALG_RECORD_PINHOLE_BYTES: usize = 8 * 32;

/// Pinholes that are looked at in one tick when their time is over.
pub const ALG_EXPIRIES_PER_TICK: usize = 64;

/// Announced sessions that the workers of a node know where to find, half of the rows: pinholes of all of
/// them, and sessions that came by one.
pub const STEERED_MAX: u32 = 32_768;

/// Rows that an announced session may stand in, a cache line.
pub const STEERED_BUCKET: usize = 8;

/// Ports of public addresses that are announced at once, or used by sessions that were.
pub const NAT_RESERVED_MAX: u32 = 65_536;
/// Bytes of a SIP message that is read: what a phone sends fits a datagram, and a proxy adds a line to it
/// for each of at most 70 hops. A longer one passes unread, and opens nothing.
pub const SIP_MESSAGE_BYTES: usize = 16_384;

/// Header fields of a SIP or RTSP message, or of a part of a body: 70 hops of `Via`, and twice what else is
/// usual. Beyond it the message opens nothing.
pub const HEADER_FIELDS_MAX: usize = 128;

/// Places in a SIP message that name an endpoint: one of each header field that is read. 9 KiB while a
/// message is looked at; beyond it the message opens nothing.
pub const SIP_MENTIONS_MAX: usize = 128;

/// Bytes of the name of a SIP or RTSP method: the longest registered has 13. Whatever begins with a longer
/// word is no message.
pub const METHOD_BYTES: usize = 32;

/// Parts of a body of several parts that are looked at: a session, its picture of the caller, a location.
/// With more the message opens nothing.
pub const BODY_PARTS_MAX: usize = 8;

/// Media of a session (RFC 8866 §5.14): a conference with screens has six. With more it opens nothing.
pub const SDP_MEDIA_MAX: usize = 16;

/// Candidates of all media together (RFC 8839 §5.1): three interfaces, two families, two components and
/// two transports are 24. With more the session opens nothing. 6 KiB.
pub const SDP_CANDIDATES_MAX: usize = 64;

/// Bytes of a TFTP request: 512 before blocks are counted, by RFC 2347 §2 with all options.
pub const TFTP_REQUEST_BYTES: usize = 512;

/// Options of a TFTP request: block size, interval, size and window are all that are registered. With
/// more it is refused.
pub const TFTP_OPTIONS_MAX: usize = 16;

/// Bytes of an RTSP message that is read: a request is far below, a description of many tracks fits. A
/// longer one passes unread, and opens nothing.
pub const RTSP_MESSAGE_BYTES: usize = 16_384;

/// Transports that a client offers for one track (RFC 2326 §12.39): UDP, TCP and multicast are three.
/// With more the message opens nothing.
pub const RTSP_TRANSPORTS_MAX: usize = 4;

/// Bytes of a PPTP control message: the longest has 220 (RFC 2637 §2.9). After a longer one the
/// connection is not understood any more.
pub const PPTP_MESSAGE_BYTES: usize = 512;
// --- H.323 ------------------------------------------------------------------------------------

/// Addresses told of one H.323 message: two of each of [`H323_FAST_STARTS_MAX`] channels, and some of the
/// call. The rest of a message that has more is not read.
pub const H323_MENTIONS_MAX: usize = 2 * H323_FAST_STARTS_MAX + 16;

/// Channels proposed in one message (`fastStart`). An endpoint with eight audio and four video codecs
/// proposes each in both directions, 24; Linux has room for 30. The rest of a longer message is not read.
pub const H323_FAST_STARTS_MAX: usize = 32;

/// Messages of H.245 tunnelled in one of call signalling: what piles up until a call is answered is a
/// handful. The rest of a longer message is not read.
pub const H323_TUNNELLED_MAX: usize = 16;

/// Elements of any other list in an H.323 message: the longest that the ASN.1 allows where it bounds one. The
/// rest of a message with a longer list is not read.
pub const H323_LIST_MAX: usize = 256;
