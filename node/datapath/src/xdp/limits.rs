//! Bounds of the XDP program's tables: the same numbers as in `bpf/ringwall.c`, which a test
//! compares.

use std::ops::RangeInclusive;
use std::time::Duration;

/// Ports a node may have: the socket table has a row for each.
pub const MAX_PORTS: u16 = 64;

/// Receive queues of one port that can have a worker. NICs have at most a queue per core.
pub const MAX_QUEUES: u16 = 64;

/// The host's own addresses over all domains. Beyond it the surplus would be treated as transit.
pub const MAX_ADDRESSES: u32 = 8192;

/// Sources that the program blocks at a time: as many as a cluster blocks. Beyond it the block that ends
/// first gives way, and the engines drop that source's packets.
pub const MAX_BLOCKED: usize = 4_096;

/// Destinations that the program answers SYNs for at a time: as many attacks as are followed at once, and
/// as many again. Beyond it the engines answer.
pub const MAX_GUARDED: usize = 128;

/// Ports, and identifiers of ICMP queries, that source NAT gives away: 15 for each slot. Below are well-known
/// ones, and above the host's own.
pub const NAT_PORTS: RangeInclusive<u16> = 1_024..=62_463;

/// (address, protocol) pairs with a service that is forwarded from an address of the host's: 8 KiB of the
/// program's memory each.
pub const MAX_FORWARDED: usize = 1_024;

/// 64-bit words of the bitmap over the host's addresses: 8 bits for each, so that also a full table
/// has 7 of 8 foreign addresses known by it. Of the one over blocked sources, 16 bits for each.
pub(super) const FILTER_WORDS: usize = 1024;

/// Places to find a port by the low bits of its ifindex. A machine's interfaces mostly have numbers
/// close to each other; those that meet in a slot are found a little later.
pub(super) const SLOTS: u32 = 256;

/// Counters of one CPU that the program has room for.
pub(super) const COUNTERS: usize = 16;

/// 64-bit words of the program's `struct cpu`: the counters, and what it knows of the lease.
pub(super) const CPU_WORDS: usize = COUNTERS + 3;

/// 64-bit words of the bitmap over one protocol's 65,536 service numbers.
pub(super) const SERVICE_WORDS: usize = 1024;

/// How long a start waits for another one that is mounting the BPF file system, which takes
/// milliseconds, before it goes on by itself.
pub(super) const MOUNT_LOCK_TIMEOUT: Duration = Duration::from_secs(2);

/// Pause between two tries for that lock.
pub(super) const MOUNT_LOCK_POLL: Duration = Duration::from_millis(5);

/// Bytes that the program makes a frame longer at most: a SYN with a timestamp and no other option becomes a
/// SYN-ACK with all of them.
pub(super) const FRAME_GROWTH: usize = 40;
