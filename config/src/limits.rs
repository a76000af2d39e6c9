//! Every bound the operator's language sets, with its unit and its reason.

/// Bytes of one policy text, lists inlined: 300,000 IPv6 prefixes and room for the rules.
pub const POLICY_BYTES_MAX: usize = 64 << 20;
/// Bytes of one node file. Real ones are below 10 KiB.
pub const NODE_BYTES_MAX: usize = 1 << 20;
/// Zones in a policy: more than anyone oversees, and few enough for an 8-bit number.
pub const ZONES_MAX: usize = 255;
/// Ports of a node: with as many workers that is 4,096 AF_XDP sockets, one per port and worker.
pub const PORTS_MAX: usize = 64;
/// Peers that a node calls: a cluster has 16 nodes, each with a few addresses.
pub const PEERS_MAX: usize = 63;
/// Addresses that move from node to node: one for each network of 64 ports, in both families.
pub const VIPS_MAX: usize = 256;
/// Highest rank of a node in a group: it fits one byte of a heartbeat.
pub const RANK_MAX: u8 = 255;
/// Rules in a policy: the engine's compile target (100,000 rules indexed) with room to grow.
pub const RULES_MAX: usize = 200_000;
/// Named address sets plus the anonymous ones of rules.
pub const SETS_MAX: usize = 400_000;
/// Address ranges in all sets together: 2^22 ranges of IPv6 are 128 MiB.
pub const RANGES_MAX: usize = 1 << 22;
/// Services of one rule after groups are flattened: each is one entry of the matcher.
pub const RULE_SERVICES_MAX: usize = 4096;
/// Services of all rules together after groups are flattened.
pub const SERVICES_MAX: usize = 1 << 20;
/// Different timeouts of rules and services: a session remembers which is its own in one byte.
pub const OWN_TIMEOUTS_MAX: usize = 255;
/// Depth of groups within groups. Deeper than this is a mistake nobody can read.
pub const GROUP_DEPTH_MAX: usize = 16;
/// Bytes of a zone, port, rule, address or service name: it is a label in logs and metrics.
pub const NAME_BYTES_MAX: usize = 63;
/// Bytes of a rule's description.
pub const DESCRIPTION_BYTES_MAX: usize = 1024;
/// Bytes of a path in the node file: PATH_MAX of Linux, with its final NUL.
pub const PATH_BYTES_MAX: usize = 4095;
/// Bytes of a Unix socket's path: `sun_path` of Linux, without its final NUL.
pub const SOCKET_PATH_BYTES_MAX: usize = 107;
/// Users and groups that one role of the API is given to: more belong in a group.
pub const PRINCIPALS_MAX: usize = 64;
/// Bytes of an interface name: IFNAMSIZ of Linux, without its final NUL.
pub const INTERFACE_BYTES_MAX: usize = 15;
/// Diagnostics of one run; the rest is counted in a last one, so that a broken list of a million
/// lines does not answer with a million messages.
pub const DIAGNOSTICS_MAX: usize = 200;
/// Bytes of a source line shown in a diagnostic: an inlined list is one very long line.
pub const SOURCE_LINE_BYTES_MAX: usize = 160;
/// Pairs of rules compared when shadowed rules are looked for: all of 2,000 rules, a window of
/// each of the others. About 0.05 s.
pub const SHADOW_COMPARISONS_MAX: usize = 1 << 21;
/// Services compared and address ranges looked up in one search for shadowed rules, about 0.1 s;
/// beyond it the search ends quietly.
pub const SHADOW_STEPS_MAX: usize = 1 << 23;
/// Members of a list that a difference names, the first ones; the others are counted. So many fit a line
/// or two.
pub const MEMBERS_TOLD: usize = 8;
/// Changes in the answer to a comparison, the first ones; the others are counted. So many are looked at by
/// nobody, and are below 2 MB.
pub const CHANGES_TOLD: usize = 2_000;
/// Known words an unknown one is compared with for "did you mean", in one run: about 0.1 s.
pub const SUGGESTION_WORDS_MAX: usize = 1 << 17;

/// Receivers of events: each has a queue and a label in the metrics. More are served by one of them.
pub const SYSLOG_MAX: usize = 8;
/// Private enterprise number of structured data unless the file has another: that of documentation
/// (RFC 5612), since this program has none of its own.
pub const ENTERPRISE_DEFAULT: u32 = 32_473;

/// Highest threshold of a screen, a second: as Junos has it, and above what a node can see.
pub const SCREEN_THRESHOLD_MAX: u32 = 4_000_000;

/// Addresses in all pools together: each has 32 KiB of port state in every worker, so 32 MiB.
pub const NAT_POOL_ADDRESSES_MAX: usize = 1024;
/// Rules of translation: they are searched one after the other, for first packets alone.
pub const NAT_RULES_MAX: usize = 1024;
/// Services of all rules of translation together: 64 a rule, for the same reason.
pub const NAT_SERVICES_MAX: usize = 1 << 16;

/// Workers of a node: one pinned thread each.
pub const WORKERS_MAX: u16 = 64;

/// Targets that a node tracks: each is asked five times a second.
pub const TARGETS_MAX: usize = 16;

/// The highest number of a core, as `CPU_SETSIZE` of `sched_setaffinity(2)` allows it.
pub const CORE_MAX: u32 = 1023;
/// Sessions of a node by default: 64 MiB of table at 256 bytes each.
pub const SESSIONS_DEFAULT: u32 = 262_144;
/// Fewest sessions of a node: below this the per-worker tables are not worth their index.
pub const SESSIONS_MIN: u32 = 1024;
/// Most sessions of a node: 16 GiB of table at 256 bytes each.
pub const SESSIONS_MAX: u32 = 1 << 26;
/// UMEM frames of one worker by default: 16 MiB at 2048 bytes.
pub const FRAMES_DEFAULT: u32 = 8192;
/// Fewest UMEM frames of one worker: a burst of 64 for each ring of two ports, twice over.
pub const FRAMES_MIN: u32 = 512;
/// Most UMEM frames of one worker: 4 GiB at 4096 bytes.
pub const FRAMES_MAX: u32 = 1 << 20;
/// Queues of one port: more than any NIC offers.
pub const QUEUES_MAX: u16 = 256;
/// Longest busy poll in microseconds: beyond this the kernel starves other work.
pub const BUSY_POLL_MICROSECONDS_MAX: u32 = 10_000;

/// Longest timeout in seconds: a year. Longer is "never", which no table can afford.
pub const TIMEOUT_SECONDS_MAX: u64 = 365 * 86_400;

/// Shortest time until a policy on trial reverts, in milliseconds: somebody must have the time to confirm.
pub const CONFIRM_MILLISECONDS_MIN: u64 = 5_000;
/// Longest such time, in milliseconds: a day's maintenance, for nothing else can be committed meanwhile.
pub const CONFIRM_MILLISECONDS_MAX: u64 = 24 * 3_600_000;
