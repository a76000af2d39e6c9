//! The transport: one QUIC endpoint for each node, mutual TLS, one peer one link.
//!
//! ```text
//!            ┌ live connection ── control stream ──► events      (in order, nothing lost)
//! peer ──────┤                └── datagrams ───────► datagrams   (replication; may be lost)
//!            ├ bulk connection ─ one stream each way ► bulk      (in order, slowed by the receiver)
//!            └ calls ─────────── one stream each ────► calls     (a question and its answer)
//! ```
//!
//! - **Who.** A peer is the node that its certificate names. Addresses are only called.
//! - **When.** Both ends call; of two connections one is kept, the same at both ends. A peer that is
//!   gone is called again, with growing pauses. Nothing here detects a failure in time for a firewall:
//!   heartbeats do that elsewhere.
//! - **How much.** Every queue has a bound. A call that finds one full says so at once, and is counted.
//! - **What else** comes to the port is refused and counted ([`crate::Counter`]), and has no other effect.

mod answers;
mod arrival;
mod backoff;
mod bulk;
mod caller;
mod calls;
mod event;
pub(crate) mod frames;
mod link;
mod protocol;
mod shared;
mod socket;
mod switchboard;
#[cfg(test)]
pub(crate) mod tests;
pub(crate) mod tuning;
mod window;

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;
use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac::{self, HMAC_SHA256};
use bytes::Bytes;
use cluster_core::{Boot, NodeId};
use quinn::{Endpoint, EndpointConfig, TokioRuntime};
use quinn_proto::RandomConnectionIdGenerator;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;
use tokio::time::timeout;

pub use calls::{Call, CallError, Channel, Question, Urgency};
pub use event::{BulkBlock, Datagram, Down, Event, Inbox};
pub use protocol::VERSIONS;
pub use tuning::Timing;

use crate::identity::Identity;
use crate::limits::{
    BULK_BLOCK_BYTES, BULK_BLOCKS, CALLS_QUEUE, DATAGRAMS, EVENTS, GOODBYE_TIMEOUT, PEERS,
};
use crate::message::{ControlMessage, Hello};
use crate::tls::{self, Judge, Members};
use crate::{Counter, Counters};

use event::Outlets;
use protocol::{Close, Kind};
use shared::Shared;
use socket::Watched;
use switchboard::Switchboard;

/// Bytes of a connection's id: enough that nobody guesses one.
const CONNECTION_ID_BYTES: usize = 8;

/// What an endpoint needs beyond an identity.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen.
    pub listen: SocketAddr,
    /// Whom to call.
    pub peers: Vec<SocketAddr>,
    /// Whose certificates are good.
    pub members: BTreeSet<NodeId>,
    /// What to say first; its boot is at least 1.
    pub hello: Hello,
    /// Versions of the protocol to speak, best first: [`VERSIONS`].
    pub versions: Vec<u16>,
    /// Times.
    pub timing: Timing,
}

/// Why there is no endpoint.
#[derive(Debug)]
pub enum TransportError {
    /// The socket.
    Socket(io::Error),
    /// Keys or certificates.
    Tls(rustls::Error),
    /// More peers than [`PEERS`].
    Peers(usize),
    /// A hello without a boot.
    Boot,
}

/// Why something is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SendError {
    /// The peer is not connected.
    Down,
    /// There is no room now.
    Full,
    /// It is longer than the path or the peer takes.
    TooLarge {
        /// Bytes that it may have now.
        most: usize,
    },
    /// A part of the message is beyond its limit.
    Unsayable,
}

/// An endpoint. Its tasks end when it is dropped.
#[derive(Debug)]
pub struct Transport {
    sender: Sender,
    tasks: JoinSet<()>,
}

/// Sends to peers, from any thread.
#[derive(Clone, Debug)]
pub struct Sender {
    shared: Arc<Shared>,
}

impl Transport {
    /// Begins to listen and to call, within a tokio runtime.
    ///
    /// # Errors
    /// If the address is not to be had, or the identity is no good.
    pub fn start(
        identity: &Identity,
        settings: Settings,
        counters: Arc<Counters>,
    ) -> Result<(Self, Inbox), TransportError> {
        if settings.peers.len() > PEERS {
            return Err(TransportError::Peers(settings.peers.len()));
        }
        if settings.hello.boot == 0 {
            return Err(TransportError::Boot);
        }
        let members = Members::new(settings.members.clone());
        let judge = Judge::new(identity, members.clone(), Arc::clone(&counters));
        let judge = judge.map_err(TransportError::Tls)?;
        let socket = Watched::bind(settings.listen, Arc::clone(&counters));
        let socket = socket.map_err(TransportError::Socket)?;
        #[cfg(test)]
        let cut = socket.cut();
        let endpoint = endpoint(identity, &settings, &judge, socket)?;
        let client = |kind: Kind| {
            let names = kind.names(&settings.versions);
            let tls = tls::calling(identity, Arc::clone(&judge), names)?;
            match kind {
                Kind::Live | Kind::Bulk => tuning::client(tls, &settings.timing),
                Kind::Calls => tuning::asker(tls, &settings.timing),
            }
        };
        let (outlets, inbox) = channels();
        let (callers, more) = mpsc::channel(PEERS);
        let shared = Arc::new(Shared {
            own: identity.node,
            live: client(Kind::Live).map_err(TransportError::Tls)?,
            bulk: client(Kind::Bulk).map_err(TransportError::Tls)?,
            asking: client(Kind::Calls).map_err(TransportError::Tls)?,
            called: Mutex::new(settings.peers.iter().copied().collect()),
            callers,
            calls: calls::Switch::default(),
            tails: Semaphore::new(1),
            #[cfg(test)]
            cut,
            hello: Mutex::new(settings.hello),
            timing: settings.timing,
            counters,
            judge,
            members,
            switchboard: Switchboard::new(),
            outlets,
            endpoint,
        });
        let mut tasks = JoinSet::new();
        tasks.spawn(arrival::accept(Arc::clone(&shared)));
        tasks.spawn(caller::keep_more(Arc::clone(&shared), more));
        for address in settings.peers {
            tasks.spawn(caller::keep(Arc::clone(&shared), address));
        }
        Ok((Self { sender: Sender { shared }, tasks }, inbox))
    }

    /// What sends; may be cloned and given away.
    #[must_use]
    pub fn sender(&self) -> &Sender {
        &self.sender
    }

    /// Where it listens.
    ///
    /// # Errors
    /// What the socket says.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.sender.shared.endpoint.local_addr()
    }

    /// Says goodbye to all peers and ends.
    pub async fn stop(mut self) {
        let endpoint = &self.sender.shared.endpoint;
        endpoint.close(Close::Done.code(), b"");
        self.tasks.shutdown().await;
        let _ = timeout(GOODBYE_TIMEOUT, self.sender.shared.endpoint.wait_idle()).await;
    }
}

impl Drop for Transport {
    fn drop(&mut self) {
        self.sender.shared.endpoint.close(Close::Done.code(), b"");
    }
}

impl Sender {
    /// Sends a datagram, if there is room for it at once. Never throws an older one away.
    ///
    /// # Errors
    /// Why not; each cause is counted.
    pub fn try_datagram(&self, node: NodeId, bytes: Bytes) -> Result<(), SendError> {
        let link = self.shared.switchboard.get(node).ok_or(SendError::Down);
        let sent = link.and_then(|link| link.send_datagram(bytes));
        if sent.is_ok() {
            self.shared.counters.count(Counter::DatagramsSent);
        }
        self.counted(sent, Counter::DatagramSendFull, Counter::DatagramTooLarge)
    }

    /// Queues a control message.
    ///
    /// # Errors
    /// Why not; each cause is counted.
    pub fn try_control(&self, node: NodeId, message: &ControlMessage) -> Result<(), SendError> {
        let link = self.shared.switchboard.get(node).ok_or(SendError::Down);
        let sent = link.and_then(|link| link.send_control(message));
        self.counted(sent, Counter::ControlSendFull, Counter::OversizedFrame)
    }

    /// Queues a bulk block of at most [`BULK_BLOCK_BYTES`].
    ///
    /// # Errors
    /// Why not; each cause is counted.
    pub fn try_bulk(&self, node: NodeId, block: Bytes) -> Result<(), SendError> {
        let link = self.shared.switchboard.get(node).ok_or(SendError::Down);
        let sent = match block.len() {
            0..=BULK_BLOCK_BYTES => link.and_then(|link| link.send_bulk(block)),
            _ => Err(SendError::TooLarge { most: BULK_BLOCK_BYTES }),
        };
        self.counted(sent, Counter::BulkSendFull, Counter::OversizedFrame)
    }

    /// Asks a peer something and waits for the answer `within` a time.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn call(
        &self,
        node: NodeId,
        question: Question,
        within: Duration,
    ) -> Result<Vec<u8>, CallError> {
        calls::call(&self.shared, node, question, within).await
    }

    /// What peers ask on a channel from now on; whoever had its questions before gets no more.
    #[must_use]
    pub fn answer_calls(&self, channel: Channel) -> mpsc::Receiver<Call> {
        let (calls, inbox) = mpsc::channel(CALLS_QUEUE);
        self.shared.calls.set(channel, calls);
        inbox
    }

    /// What this endpoint counts.
    #[must_use]
    pub fn counters(&self) -> &Arc<Counters> {
        &self.shared.counters
    }

    /// This node.
    #[must_use]
    pub fn own(&self) -> NodeId {
        self.shared.own
    }

    /// Lets nothing out to these addresses.
    #[cfg(test)]
    pub(crate) fn cut(&self, addresses: BTreeSet<SocketAddr>) {
        *self.shared.cut.lock().unwrap_or_else(PoisonError::into_inner) = addresses;
    }

    /// Bytes that a datagram to this peer may have now; changes with the path. `None`: not connected.
    #[must_use]
    pub fn datagram_bytes(&self, node: NodeId) -> Option<usize> {
        self.shared.switchboard.get(node)?.connection.max_datagram_size()
    }

    /// The peers that are connected, each with its run.
    #[must_use]
    pub fn peers(&self) -> Vec<(NodeId, Boot)> {
        let links = self.shared.switchboard.all();
        links.iter().map(|link| (link.node, link.rank.boot)).collect()
    }

    /// Calls a peer at this address, too, from now on. At most [`PEERS`] are called; whether it is.
    pub fn call_at(&self, address: SocketAddr) -> bool {
        let mut called = self.shared.called.lock().unwrap_or_else(PoisonError::into_inner);
        if called.contains(&address) {
            return true;
        }
        let room = called.len() < PEERS;
        let told = room && self.shared.callers.try_send(address).is_ok();
        if told {
            called.insert(address);
        }
        told
    }

    /// Whether a node's certificates are good.
    #[must_use]
    pub fn is_member(&self, node: NodeId) -> bool {
        self.shared.members.contains(node)
    }

    /// Changes whose certificates are good. Who is not among them any more is thrown out.
    pub fn set_members(&self, members: BTreeSet<NodeId>) {
        self.shared.members.set(members);
        for link in self.shared.switchboard.all() {
            if !self.shared.members.contains(link.node) {
                self.shared.counters.count(Counter::NotAMember);
                link.leave(Close::NotAMember, Down::Removed);
            }
        }
    }

    /// Changes the policy that the next hellos tell.
    pub fn set_policy(&self, digest: [u8; 32]) {
        self.shared.hello.lock().unwrap_or_else(PoisonError::into_inner).policy = digest;
    }

    fn counted(
        &self,
        sent: Result<(), SendError>,
        full: Counter,
        too_large: Counter,
    ) -> Result<(), SendError> {
        let counter = match sent {
            Ok(()) => return Ok(()),
            Err(SendError::Down) => Counter::PeerDown,
            Err(SendError::Full) => full,
            Err(SendError::TooLarge { .. } | SendError::Unsayable) => too_large,
        };
        self.shared.counters.count(counter);
        sent
    }
}

fn channels() -> (Outlets, Inbox) {
    let (events, events_inbox) = mpsc::channel(EVENTS);
    let (datagrams, datagrams_inbox) = mpsc::channel(DATAGRAMS);
    let (bulk, bulk_inbox) = mpsc::channel(BULK_BLOCKS);
    let inbox = Inbox { events: events_inbox, datagrams: datagrams_inbox, bulk: bulk_inbox };
    (Outlets { events, datagrams, bulk }, inbox)
}

fn endpoint(
    identity: &Identity,
    settings: &Settings,
    judge: &Arc<Judge>,
    socket: Arc<Watched>,
) -> Result<Endpoint, TransportError> {
    let names = Kind::ALL.map(|kind| kind.names(&settings.versions)).concat();
    let tls = tls::accepting(identity, Arc::clone(judge), names).map_err(TransportError::Tls)?;
    let server = tuning::server(tls, &settings.timing).map_err(TransportError::Tls)?;
    let runtime = Arc::new(TokioRuntime);
    Endpoint::new_with_abstract_socket(recognisable(identity), Some(server), socket, runtime)
        .map_err(TransportError::Socket)
}

/// An endpoint whose next run can still disown this run's connections (RFC 9000 §10.3): peers learn
/// of a restart at once, instead of waiting for silence. So the key comes from the node's own.
fn recognisable(identity: &Identity) -> EndpointConfig {
    let key = hmac::Key::new(HMAC_SHA256, identity.key_bytes());
    let reset = hmac::sign(&key, b"ringwall stateless reset");
    let mut config = EndpointConfig::new(Arc::new(hmac::Key::new(HMAC_SHA256, reset.as_ref())));
    config.cid_generator(|| Box::new(RandomConnectionIdGenerator::new(CONNECTION_ID_BYTES)));
    config.grease_quic_bit(false);
    config
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "the cluster's socket: {error}"),
            Self::Tls(error) => write!(f, "the node's identity: {error}"),
            Self::Peers(count) => write!(f, "{count} peers, the limit is {PEERS}"),
            Self::Boot => f.write_str("the number of this run is not known"),
        }
    }
}

impl core::error::Error for TransportError {}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Down => f.write_str("the peer is not connected"),
            Self::Full => f.write_str("there is no room now"),
            Self::TooLarge { most } => write!(f, "longer than {most} bytes"),
            Self::Unsayable => f.write_str("a part of the message is beyond its limit"),
        }
    }
}

impl core::error::Error for SendError {}
