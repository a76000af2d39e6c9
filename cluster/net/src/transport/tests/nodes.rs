//! Nodes of a made-up cluster, all in this process.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::Arc;

use cluster_core::{Boot, NodeId};
use tokio::time::timeout;

use super::stranger::Stranger;
use crate::identity::{Authority, Identity};
use crate::message::{ControlMessage, Hello, PolicyDigest};
use crate::transport::{
    BulkBlock, Datagram, Down, Event, Inbox, Sender, Settings, Timing, Transport, TransportError,
    VERSIONS,
};
use crate::{Counter, Counters};

pub(super) const ANY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// Longer than anything here takes, and shorter than anybody's patience.
const BOUND: Duration = Duration::from_secs(20);

/// The value, within the bound.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(BOUND, future).await.expect("it happens within the bound")
}

/// Times for tests in which something is to run out.
pub(super) fn quick() -> Timing {
    Timing {
        handshake: Duration::from_secs(2),
        frame: Duration::from_millis(500),
        idle: Duration::from_secs(2),
        keep_alive: Duration::from_millis(200),
        reconnect: (Duration::from_millis(5), Duration::from_millis(50)),
    }
}

/// A control message with a number in it.
pub(super) fn control(number: u32) -> ControlMessage {
    ControlMessage::Policy(PolicyDigest { epoch: number.into(), digest: [7; 32] })
}

/// Two addresses that nobody has just now.
pub(super) fn free_addresses() -> [SocketAddr; 2] {
    let sockets = [(); 2].map(|()| std::net::UdpSocket::bind(ANY).unwrap());
    sockets.map(|socket| socket.local_addr().unwrap())
}

/// A cluster of so many members.
pub(crate) struct Cluster {
    pub(super) authority: Authority,
    identities: Vec<Identity>,
}

impl Cluster {
    pub(crate) fn new(count: u16) -> Self {
        let (authority, first) = Authority::found("alpha".parse().unwrap(), NodeId(1)).unwrap();
        let identity = |node| authority.identity(NodeId(node), &first.secret).unwrap();
        let identities = (1..=count).map(identity).collect();
        Self { authority, identities }
    }

    pub(super) fn identity(&self, node: u16) -> &Identity {
        &self.identities[usize::from(node) - 1]
    }

    pub(crate) fn node(&self, node: u16) -> Builder<'_> {
        let members = self.identities.iter().map(|identity| identity.node).collect();
        let settings = Settings {
            listen: ANY,
            peers: Vec::new(),
            members,
            hello: Hello { boot: 1, workers: 2, policy: [3; 32], features: vec!["x".to_owned()] },
            versions: VERSIONS.to_vec(),
            timing: Timing::default(),
        };
        Builder { identity: self.identity(node), settings }
    }

    pub(super) fn stranger(&self, node: u16) -> Stranger {
        Stranger::with(self.identity(node))
    }
}

/// A node that is about to start.
pub(crate) struct Builder<'a> {
    identity: &'a Identity,
    settings: Settings,
}

impl Builder<'_> {
    pub(crate) fn calling(self, peer: &Node) -> Self {
        self.calling_at(peer.address())
    }

    pub(super) fn calling_at(mut self, address: SocketAddr) -> Self {
        self.settings.peers.push(address);
        self
    }

    pub(super) fn at(mut self, address: SocketAddr) -> Self {
        self.settings.listen = address;
        self
    }

    pub(super) fn boot(mut self, boot: u32) -> Self {
        self.settings.hello.boot = boot;
        self
    }

    pub(super) fn versions(mut self, versions: &[u16]) -> Self {
        self.settings.versions = versions.to_vec();
        self
    }

    pub(super) fn timing(mut self, timing: Timing) -> Self {
        self.settings.timing = timing;
        self
    }

    /// Calls once, and not again while the test lasts.
    pub(super) fn once(mut self) -> Self {
        let never = Duration::from_secs(3600);
        self.settings.timing.reconnect = (never, never);
        self
    }

    pub(crate) fn start(self) -> Node {
        self.try_start().unwrap()
    }

    pub(super) fn try_start(self) -> Result<Node, TransportError> {
        let counters = Arc::<Counters>::default();
        let id = self.identity.node;
        let (transport, inbox) =
            Transport::start(self.identity, self.settings, Arc::clone(&counters))?;
        Ok(Node { id, transport, inbox, counters })
    }

    /// Starts at an address that the last run may not have given back yet.
    pub(super) async fn start_again(self) -> Node {
        let started = async {
            loop {
                let again = Builder { identity: self.identity, settings: self.settings.clone() };
                match again.try_start() {
                    Ok(node) => return node,
                    Err(_) => tokio::time::sleep(Duration::from_millis(1)).await,
                }
            }
        };
        within(started).await
    }
}

/// A running node.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: NodeId,
    pub(super) transport: Transport,
    pub(super) inbox: Inbox,
    pub(crate) counters: Arc<Counters>,
}

impl Node {
    pub(super) fn address(&self) -> SocketAddr {
        self.transport.address().unwrap()
    }

    pub(crate) fn sender(&self) -> &Sender {
        self.transport.sender()
    }

    pub(super) async fn event(&mut self) -> Event {
        within(self.inbox.events.recv()).await.unwrap()
    }

    /// The next event about who is there; lost bulk connections are passed over.
    async fn news(&mut self) -> Event {
        loop {
            match self.event().await {
                Event::BulkLost { .. } | Event::Disowned { .. } => {}
                event @ (Event::PeerUp { .. } | Event::PeerDown { .. } | Event::Control { .. }) => {
                    return event;
                }
            }
        }
    }

    pub(crate) async fn up(&mut self) -> (NodeId, Boot) {
        let event = self.news().await;
        let Event::PeerUp { node, boot, .. } = event else { panic!("{event:?}") };
        (node, boot)
    }

    pub(super) async fn down(&mut self) -> (NodeId, Down) {
        let event = self.news().await;
        let Event::PeerDown { node, why, .. } = event else { panic!("{event:?}") };
        (node, why)
    }

    pub(super) async fn datagram(&mut self) -> Datagram {
        within(self.inbox.datagrams.recv()).await.unwrap()
    }

    pub(super) async fn block(&mut self) -> BulkBlock {
        within(self.inbox.bulk.recv()).await.unwrap()
    }

    /// Exactly these counters have moved since the start; waits for the last of them.
    pub(crate) async fn counted(&self, expected: &[(Counter, u64)]) {
        let mut expected = expected.to_vec();
        expected.sort();
        let reached = async {
            while self.counters.nonzero() != expected {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let reached = timeout(BOUND, reached).await;
        assert!(reached.is_ok(), "{:?} instead of {expected:?}", self.counters.nonzero());
    }
}
