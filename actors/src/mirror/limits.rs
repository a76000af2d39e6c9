//! Every bound of the mirror: its unit, and why it is what it is.

use core::time::Duration;

/// Updates that may wait for the receiver. Behind them the notifications wait in the kernel, whose
/// own overrun is answered by a full resynchronisation: nothing is lost, and memory is bounded.
pub(super) const UPDATES_MAX: usize = 64;

/// Notifications turned into one list of changes. A larger list makes fewer pauses between bursts,
/// a smaller one shorter ones: a thousand changes take an engine well under a millisecond.
pub(super) const BATCH_MAX: usize = 1_024;

/// Bytes of notifications the kernel keeps for us (it grants at most net.core.rmem_max): room for
/// some thousand routes that arrive while a dump is read.
pub(super) const RECEIVE_BUFFER: i32 = 4 << 20;

/// Bytes of the largest datagram. An attribute is at most 64 KiB, a dump's datagram 32 KiB, and
/// no route or link has two attributes of that size.
pub(super) const DATAGRAM_MAX: usize = 128 << 10;

/// Datagrams that are thrown away before a dump. Enough for the whole receive buffer at 512 bytes
/// apiece; more can only be newer than the call and are then applied after the dump.
pub(super) const DRAIN_MAX: usize = 16 << 10;

/// Times a dump is read again because the kernel says that its tables changed meanwhile
/// (`NLM_F_DUMP_INTR`). After these it is taken as it is, and another follows.
pub(super) const DUMP_ATTEMPTS: usize = 4;

/// The pause between two full resynchronisations: a flapping link must not keep two sides busy with
/// dumps of a million routes.
pub(super) const RESYNC_PAUSE: Duration = Duration::from_millis(500);

/// How long the answer to a request may take. The kernel answers within the call; a lock that is
/// held by a slow driver can delay it by seconds.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(10);

/// Requests to resolve a neighbour that may wait for the task. More are dropped: whoever misses the
/// neighbour asks again with the next packet.
pub(super) const ASKS_MAX: usize = 1_024;

/// The pause between two requests for the same neighbour: the kernel itself probes once a second.
pub(super) const ASK_PAUSE: Duration = Duration::from_secs(1);

/// Neighbours asked for within [`ASK_PAUSE`] and not known yet: what a scan of an empty network may
/// cost. The kernel's own table of neighbours ends at 1024 by default (gc_thresh3).
pub(super) const UNRESOLVED_MAX: usize = 1_024;

/// How often a stale neighbour that was asked for is used again, so that the kernel verifies it
/// (its own base reachable time is 30 s).
pub(super) const REUSE_INTERVAL: Duration = Duration::from_secs(30);

/// How often that is looked after.
pub(super) const REUSE_TICK: Duration = Duration::from_secs(5);
