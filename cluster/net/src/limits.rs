//! Every bound of the transport, of joining and of the store: its unit, why it is what it is, and
//! what happens when it is reached.

use core::time::Duration;

use cluster_core::limits::REQUESTS_WAITING;

/// Bytes of a cluster's name: it is one label of a DNS name (63), and leaves room in log lines. A
/// longer one is refused.
pub const CLUSTER_NAME_BYTES: usize = 32;

/// Bytes of the cluster's secret: a key for SipHash and for whatever is derived from it later.
pub const SECRET_BYTES: usize = 32;

/// Bytes of an identity or authority file that are read: a few certificates of a KiB each. A longer
/// file is not ours.
pub const PAPER_BYTES: u64 = 64 << 10;

/// Members of a cluster: 16 nodes and as many that were replaced. One more cannot join.
pub const MEMBERS: usize = 64;

/// Addresses that a join token or a member names: one for each fabric, and then some.
pub const ADDRESSES: usize = 8;

/// Tokens that wait for their joiner at a time; an issuer with more refuses to make another.
pub const TOKENS: usize = 16;

/// Seconds that a token lives by default: long enough to walk to the other rack.
pub const TOKEN_SECONDS: u64 = 60 * 60;

/// Seconds that a token lives at most, a week: it opens the cluster to whoever reads it.
pub const TOKEN_SECONDS_MAX: u64 = 7 * 86_400;

/// Bytes of a join token's text: a name, eight addresses and two hashes. A longer one is no token.
pub const TOKEN_TEXT_BYTES: usize = 1024;

/// Proofs that an issuer looks at in one go before it slows down: an operator who mistypes. One more
/// is refused and counted; a secret of 256 bits needs no more protection than that.
pub const JOIN_BURST: u32 = 5;

/// Time after which one more proof is looked at. Guessing is hopeless at any rate; this bounds the
/// work and the log.
pub const JOIN_INTERVAL: Duration = Duration::from_secs(2);

/// How long a joining conversation may take: one round trip, one fsync.
pub const JOIN_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of a message of the joining conversation: certificates, members, and a placement in which
/// every slot is a run of its own. A longer
/// one ends the conversation.
pub const JOIN_MESSAGE_BYTES: usize = 128 << 10;

/// Bytes of a control message's body, and of what decoding one may claim: digests of all 4,096 slots
/// at nine bytes each are 36 KiB. A longer one is refused by the sender, and closes the connection at
/// the receiver.
pub const CONTROL_BODY_BYTES: usize = 64 << 10;

/// Bytes of a control frame behind its length: version and tag stand before the body.
pub const CONTROL_FRAME_BYTES: usize = CONTROL_BODY_BYTES + 2;

/// Bytes of a bulk block: some hundred session records. A longer one is refused by the sender, and
/// closes the bulk connection at the receiver.
pub const BULK_BLOCK_BYTES: usize = 64 << 10;

/// Digests in one control message: one for each slot. More is refused.
pub const DIGESTS: usize = 4096;

/// Features that a hello names: what a version can do, as short words. More is refused.
pub const FEATURES: usize = 32;

/// Bytes of a text in a control message: a line of a log. A longer one is refused.
pub const TEXT_BYTES: usize = 512;

/// Control messages that wait to be written to one peer: a round of all that a driver says. One more
/// is refused to the caller as full.
pub const CONTROL_QUEUE: usize = 64;

/// Bulk blocks that wait to be written to one peer: 2 MiB. One more is refused to the caller as full.
pub const BULK_QUEUE: usize = 32;

/// Events that wait for the driver. When full, control streams are not read on, so that the peer is
/// slowed down; nothing is lost.
pub const EVENTS: usize = 256;

/// Datagrams that wait for the driver: as many as a burst of the largest window. When full, the
/// newest is dropped and counted: replication sends again what is not acknowledged.
pub const DATAGRAMS: usize = 4096;

/// Bulk blocks that wait for the driver: 1 MiB. When full, the stream is not read on.
pub const BULK_BLOCKS: usize = 16;

/// Bytes of a UDP datagram that are tried on a path: what a jumbo frame of 9,000 bytes carries over IPv6.
pub const DATAGRAM_UDP_BYTES: u16 = 8_952;

/// Bytes of datagrams that wait in a connection to be sent. One that does not fit is refused to the
/// caller: quinn would throw away the oldest, which is the one that has waited longest.
pub const DATAGRAM_SEND_BYTES: usize = 1 << 20;

/// Bytes of datagrams that a connection keeps for a driver that does not read. Beyond, quinn throws
/// away the oldest.
pub const DATAGRAM_RECEIVE_BYTES: usize = 4 << 20;

/// Bytes in flight on each connection: what 10 Gbit/s carry in 0.8 ms, and three times what one worker's
/// replication has under way. It does not shrink (`transport/window.rs` tells why); beyond it, packets
/// wait in the sender.
pub const FABRIC_WINDOW_BYTES: u64 = 1 << 20;

/// Bytes that are asked for as the socket's own buffers: several windows. The kernel may give less to
/// who is not root.
pub const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Bytes of one stream that are on their way, and of all streams of a connection: 10 Gbit/s times
/// 1 ms, several times over. Beyond, the sender waits.
pub const STREAM_WINDOW_BYTES: u32 = 4 << 20;

/// Handshakes under way at a time. A cluster has 16 nodes with two connections each; one more is
/// refused and counted, and tries again.
pub const HANDSHAKES: usize = 32;

/// How long a handshake, or the hello after it, may take.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);

/// How long the rest of a frame may take once its length was read, and how long a frame may wait to be
/// taken by the peer. Then the peer stalls, and the connection is closed.
pub const FRAME_TIMEOUT: Duration = Duration::from_secs(5);

/// How long a transport that stops waits until its goodbyes have left, which takes a millisecond. What
/// remains of the closing period (RFC 9000 §10.2: three probe timeouts, up to 3 s when nothing was
/// measured yet) is for packets under way; these are answered by a stateless reset or not at all.
pub const GOODBYE_TIMEOUT: Duration = Duration::from_millis(30);

/// How long nothing at all may come from a peer before its connection is thrown away. This cleans up;
/// it detects no failure: heartbeats do that in milliseconds, elsewhere.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// How often a connection without traffic shows that it is there: three times in the idle timeout.
pub const KEEP_ALIVE: Duration = Duration::from_secs(3);

/// Shortest pause before a peer is called again: a daemon that restarts needs about as long.
pub const RECONNECT_MIN: Duration = Duration::from_millis(50);

/// Longest pause before a peer is called again. A peer that returns calls too, so this is no delay.
pub const RECONNECT_MAX: Duration = Duration::from_secs(2);

/// Peers that a node calls: those of its node file. More are refused at the start.
pub const PEERS: usize = MEMBERS;

/// Slots of the key space; the store keeps an owner for each.
pub const SLOTS: u16 = 4096;

/// Zone numbers that the store allots: more than the zones of all policies that a cluster ever had.
/// One more zone is refused.
pub const ZONES: u32 = 1 << 16;

/// Bytes of a zone's name in the store: the longest name that a policy can have.
pub const ZONE_NAME_BYTES: usize = 63;

/// Bytes of memory that the store keeps of its file: the whole file, as long as it is used as meant.
pub const STORE_CACHE_BYTES: usize = 4 << 20;

/// Bytes that must be free before a store whose disk failed is opened anew, beside twice of what did not fit:
/// some commits. With less it would fail again at once.
pub const STORE_ROOM_BYTES: u64 = 1 << 20;

/// How often a store whose disk failed is opened anew, until that works: a full disk is emptied by people.
pub const STORE_AGAIN: Duration = Duration::from_secs(1);

/// Bytes of a question to a peer, and of what decoding one may claim: a Raft entry with the largest
/// revision, its list files in it (32 MiB), and its envelope. A longer one is refused by the asker,
/// and closes the connection at the answerer.
pub const CALL_BYTES: usize = 40 << 20;

/// Bytes of what follows a question: a snapshot of 50 revisions, each as large as can be. More is
/// refused likewise.
pub const CALL_TAIL_BYTES: usize = 2 << 30;

/// Bytes of a block of it: what a peer that is alive takes in a moment.
pub const CALL_BLOCK_BYTES: usize = 256 << 10;

/// Bytes of an answer: the outcome of a command. A longer one is not given.
pub const ANSWER_BYTES: usize = 1 << 20;

/// Raft's questions of one peer that are answered at a time; more wait at the asker.
pub const RAFT_CALLS: u32 = 16;

/// The policy's questions of one peer that are answered at a time: all requests that a leader lets wait,
/// and room for reports and clearances beside them. More wait at the asker.
pub const POLICY_CALLS: u32 = REQUESTS_WAITING as u32 + 16;

/// Questions of one peer on all channels that are answered at a time.
pub const CALLS: u32 = RAFT_CALLS + POLICY_CALLS;

/// Questions of a channel that wait for whoever answers them. One more is refused and counted.
pub const CALLS_QUEUE: usize = 256;

/// How long a question may take to come in, apart from its tail: 40 MiB over a path of 20 Mbit/s.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(20);

/// Bytes in flight on a connection for questions: a quarter of what replication has, so that a large
/// revision leaves room for it on the cable.
pub const CALL_WINDOW_BYTES: u64 = 256 << 10;

/// How long a peer may answer nothing before questions to it get a new connection: some heartbeats
/// and an election.
pub const CALL_SILENCE: Duration = Duration::from_secs(1);

/// Bytes of entries that a question of replication holds, or one entry: what the window carries in a
/// few round trips.
pub const RAFT_BATCH_BYTES: usize = 1 << 20;

/// Bytes of a proposed command: the largest revision with its envelope. A longer one is refused.
pub const RAFT_COMMAND_BYTES: usize = CALL_BYTES - (64 << 10);

/// Nodes that take part in Raft, voters and learners: a cluster's members. One more is refused.
pub const RAFT_NODES: usize = MEMBERS;

/// Writes that wait for the Raft store's thread. When full, who writes waits.
pub const RAFT_STORE_QUEUE: usize = 256;

/// Writes that share one commit, and so one fsync: what queues up while the last one lasts.
pub const RAFT_GROUP_WRITES: usize = 64;

/// Bytes of entries that share one commit: two of the largest, or many small ones.
pub const RAFT_GROUP_BYTES: usize = 64 << 20;

/// Bytes of entries that the Raft store keeps in memory beside those that are not yet on the disk:
/// followers that keep up, and the state machine, are served from there.
pub const RAFT_RECENT_BYTES: usize = 4 << 20;

/// Bytes of one row of a snapshot in the store: what redb writes without a large extent.
pub const RAFT_SNAPSHOT_ROW_BYTES: usize = 256 << 10;

/// Entries after which a snapshot is made. Restarts apply at most so many anew.
pub const RAFT_SNAPSHOT_ENTRIES: u64 = 256;

/// Bytes of the log beyond which a snapshot is made sooner, and all before it is dropped: four of the
/// largest revisions.
pub const RAFT_LOG_BYTES: u64 = 128 << 20;

/// Entries behind a snapshot that are kept, for followers that lag a little.
pub const RAFT_KEPT_ENTRIES: u64 = 64;

/// Entries that a learner may be behind when it counts as caught up, of a log that grows slowly: so it
/// has the cluster's history, and may vote without taking the majority away.
pub const RAFT_CAUGHT_UP: u64 = 1;

/// How often a leader speaks: six times in the shortest election timeout, so that a few late or lost
/// words are no campaign.
pub const RAFT_HEARTBEAT: Duration = Duration::from_millis(50);

/// The shortest election timeout. A campaign begins after a leader's lease, which is the longest
/// timeout of the node, and another timeout: so after 0.6 s without a word, twelve heartbeats, at
/// the first node in rank.
pub const RAFT_ELECTION: Duration = Duration::from_millis(300);

/// How much later each rank's election timeout begins: more than a tick of 10 ms, a round trip and
/// [`RAFT_ELECTION_SPREAD`], so that no two ranks campaign at once.
pub const RAFT_RANK_STEP: Duration = Duration::from_millis(40);

/// Width of a rank's window of election timeouts: enough for two of one rank to draw apart.
pub const RAFT_ELECTION_SPREAD: Duration = Duration::from_millis(20);

/// Ranks: more than the five voters of the largest cluster. The last timeout stays below twice the
/// first, so that who has the first rank finds all leases ended.
pub const RAFT_RANKS: u64 = 7;

/// How long nobody leads before the watchdog begins a campaign: three of the longest timeouts.
pub const RAFT_LEADERLESS: Duration = Duration::from_millis(1_800);

/// How long nobody led before a voter that meets another one campaigns at once, instead of at its watchdog's
/// next look: above the longest election timeout, so that an election that is under way ends first.
pub const RAFT_WELCOME: Duration = Duration::from_millis(950);

/// Longest pause before that campaign, drawn at random, so that two watchdogs do not bark at once.
pub const RAFT_LEADERLESS_JITTER: Duration = Duration::from_millis(300);

/// How often the watchdog looks at numbers in memory: often enough for a driver that shows the leader.
pub const RAFT_WATCH: Duration = Duration::from_millis(100);

/// How long one Raft question may take, apart from its bytes. Votes and heartbeats have less.
pub const RAFT_CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// Bytes that a path carries in a second at least; what a long question may take longer.
pub const RAFT_BYTES_A_SECOND: usize = 4 << 20;

/// Raft questions that are answered at a time, those included whose askers have given up: a round of all
/// that 64 members may ask. One more is refused and counted.
pub const RAFT_ANSWERS: usize = RAFT_CALLS as usize * MEMBERS;

/// How long a change of members may take, a learner's catching up included.
pub const RAFT_CHANGE_TIMEOUT: Duration = Duration::from_secs(60);

/// Applied commands that wait for the driver. When full, no more are applied: nothing is lost.
pub const RAFT_APPLIED: usize = 256;

/// How long it takes at most until a Raft that stops has stopped.
pub const RAFT_STOP_TIMEOUT: Duration = Duration::from_secs(5);
