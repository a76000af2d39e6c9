//! What a driver hears from the transport.

use bytes::Bytes;
use cluster_core::{Boot, NodeId};
use tokio::sync::mpsc;

use crate::message::{ControlMessage, Hello};

/// Something about a peer, in order for each peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A peer is connected: its certificate was verified and its hello read.
    PeerUp {
        /// The peer, by its certificate.
        node: NodeId,
        /// Its run.
        boot: Boot,
        /// Version of the protocol that both speak.
        version: u16,
        /// Its hello.
        hello: Hello,
    },
    /// A peer is not connected any more; what was on its way to it may be lost. This is no failure
    /// detector.
    PeerDown {
        /// The peer.
        node: NodeId,
        /// Its run.
        boot: Boot,
        /// Why, for the log.
        why: Down,
    },
    /// A control message.
    Control {
        /// From whom.
        node: NodeId,
        /// What it says.
        message: ControlMessage,
    },
    /// A member that was called does not know this node as one; told each time.
    Disowned {
        /// The member, by its certificate.
        node: NodeId,
    },
    /// The bulk connection to a peer broke: blocks may be lost, transfers have to begin anew.
    BulkLost {
        /// The peer.
        node: NodeId,
    },
}

/// Why a peer is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// It said goodbye.
    Closed,
    /// It has started anew, and knows nothing of the connection.
    Restarted,
    /// Nothing came from it for the idle timeout.
    Silent,
    /// Another connection to it took the place of this one.
    Replaced,
    /// It is no member any more.
    Removed,
    /// It broke the protocol; a counter says how.
    Broke,
    /// This node closed.
    Left,
}

/// A datagram, as it came: perhaps in another order than sent, never twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// From whom.
    pub node: NodeId,
    /// From which run of it.
    pub boot: Boot,
    /// What it holds.
    pub bytes: Bytes,
}

/// A bulk block, in order for each peer as long as no [`Event::BulkLost`] comes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BulkBlock {
    /// From whom.
    pub node: NodeId,
    /// From which run of it.
    pub boot: Boot,
    /// What it holds.
    pub bytes: Vec<u8>,
}

/// Where a driver listens. Three channels, so that none waits behind another: a peer's `PeerUp` is in
/// `events` before its first datagram or block is in the others.
#[derive(Debug)]
pub struct Inbox {
    /// Peers and control messages.
    pub events: mpsc::Receiver<Event>,
    /// Datagrams.
    pub datagrams: mpsc::Receiver<Datagram>,
    /// Bulk blocks.
    pub bulk: mpsc::Receiver<BulkBlock>,
}

/// The other ends of the inbox.
#[derive(Clone, Debug)]
pub(super) struct Outlets {
    pub(super) events: mpsc::Sender<Event>,
    pub(super) datagrams: mpsc::Sender<Datagram>,
    pub(super) bulk: mpsc::Sender<BulkBlock>,
}
