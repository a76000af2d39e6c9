//! What a stream's machine is made with.

use core::time::Duration;

use crate::limits::{DELETES_MAX, DIGEST_INTERVAL, DIGEST_INTERVAL_VERIFYING, MESSAGE_BYTES};
use crate::{Boot, NodeId, Term};

/// One stream between two nodes. Both have as many workers, and worker n of one talks to worker n of
/// the other, so that one number names both directions.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// This node.
    pub node: NodeId,
    /// This run of its daemon; never 0, which says in a header that none is known.
    pub boot: Boot,
    /// The other node, at first.
    pub peer: NodeId,
    /// The worker.
    pub stream: u16,
    /// The ownership at the beginning.
    pub term: Term,
    /// Places of the session table.
    pub places: u32,
    /// Bytes of the longest message.
    pub message_bytes: usize,
    /// Bytes of updates in a second, if they are to be bounded. Above it they wait longer, and merge.
    pub update_bytes_per_second: Option<u64>,
    /// Room for deletes.
    pub deletes_max: usize,
    /// Between two comparisons of digests.
    pub digest_interval: Duration,
    /// The same, after a bulk.
    pub digest_interval_verifying: Duration,
    /// Key of the maps by identity: an unforeseeable number of the driver's.
    pub seed: u64,
}

impl Settings {
    /// The usual ones.
    pub fn new(
        node: NodeId,
        boot: Boot,
        peer: NodeId,
        stream: u16,
        places: u32,
        seed: u64,
    ) -> Self {
        Self {
            node,
            boot,
            peer,
            stream,
            term: Term::default(),
            places,
            message_bytes: MESSAGE_BYTES,
            update_bytes_per_second: None,
            deletes_max: DELETES_MAX,
            digest_interval: DIGEST_INTERVAL,
            digest_interval_verifying: DIGEST_INTERVAL_VERIFYING,
            seed,
        }
    }
}
