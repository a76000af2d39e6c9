//! Whole nodes in this process: real store files, QUIC on the loopback, a runtime for each, so that
//! one can be killed in the middle of whatever it does.

use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::sync::Arc;
use std::time::Instant;

use cluster_core::NodeId;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::{Mutex, MutexGuard, mpsc};
use tokio::time::sleep;

use super::super::{
    Applied, Change, ProposeError, Proposed, Raft, RaftStore, Settings, Timing, rank,
};
use super::ledger::{Ledger, request};
use crate::identity::{Authority, Identity};
use crate::message::Hello;
use crate::store::tests::disk::Disk;
use crate::transport::{self, Transport, VERSIONS};
use crate::{Counter, Counters};

/// Longer than anything here takes, on a machine that does much else.
pub(super) const BOUND: Duration = Duration::from_secs(60);

/// Two processors do not suffice for several clusters at a time.
static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// A cluster that may come to be.
pub(super) struct World {
    identities: Vec<Identity>,
    addresses: Vec<SocketAddr>,
    folder: TempDir,
    timing: Timing,
    /// Of nodes that have no file.
    disks: BTreeMap<u16, Disk>,
    boots: BTreeMap<u16, u32>,
    up: BTreeMap<u16, Host>,
    requests: u64,
    /// Requests that were acknowledged.
    pub(super) acknowledged: BTreeSet<u64>,
    _alone: MutexGuard<'static, ()>,
}

/// A node that runs.
struct Host {
    /// None: it was killed.
    runtime: Option<Runtime>,
    transport: Transport,
    _inbox: transport::Inbox,
    raft: Raft<Ledger>,
    applied: Option<mpsc::Receiver<Applied>>,
    counters: Arc<Counters>,
}

/// At the end of a test.
impl Drop for Host {
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl World {
    pub(super) async fn with(count: u16, timing: Timing) -> Self {
        let alone = ONE_AT_A_TIME.lock().await;
        let (authority, first) = Authority::found("alpha".parse().unwrap(), NodeId(1)).unwrap();
        let identity = |node| authority.identity(NodeId(node), &first.secret).unwrap();
        let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        let sockets: Vec<_> = (0..count).map(|_| UdpSocket::bind(any).unwrap()).collect();
        Self {
            identities: (1..=count).map(identity).collect(),
            addresses: sockets.iter().map(|socket| socket.local_addr().unwrap()).collect(),
            folder: TempDir::new().unwrap(),
            timing,
            disks: BTreeMap::new(),
            boots: BTreeMap::new(),
            up: BTreeMap::new(),
            requests: 0,
            acknowledged: BTreeSet::new(),
            _alone: alone,
        }
    }

    /// A cluster whose first so many nodes vote.
    pub(super) async fn voting(count: u16, voters: u16) -> Self {
        Self::voting_with(count, voters, Timing::default()).await
    }

    pub(super) async fn voting_with(count: u16, voters: u16, timing: Timing) -> Self {
        let mut world = Self::with(count, timing).await;
        world.begin(voters).await;
        world
    }

    /// A cluster on disks that can be made to fail.
    pub(super) async fn on_disks(voters: u16) -> Self {
        let mut world = Self::with(voters, Timing::default()).await;
        world.disks = (1..=voters).map(|node| (node, Disk::new())).collect();
        world.begin(voters).await;
        world
    }

    pub(super) fn disk(&self, node: u16) -> &Disk {
        &self.disks[&node]
    }

    async fn begin(&mut self, voters: u16) {
        let world = self;
        world.start(1).await;
        world.raft(1).initialize().await.unwrap();
        for node in 2..=voters {
            world.start(node).await;
            world.change(1, Change::AddLearner(node)).await;
            world.change(1, Change::Promote(node)).await;
        }
    }

    pub(super) fn all(&self) -> BTreeSet<NodeId> {
        self.identities.iter().map(|identity| identity.node).collect()
    }

    pub(super) fn store(&self, node: u16) -> Option<RaftStore> {
        if let Some(disk) = self.disks.get(&node).cloned() {
            let make = move || disk.clone();
            return RaftStore::with_backends(make, &super::cluster(), NodeId(node)).ok();
        }
        let path = self.folder.path().join(format!("{node}.redb"));
        RaftStore::open(&path, &super::cluster(), NodeId(node)).ok()
    }

    pub(super) fn wipe(&self, node: u16) {
        std::fs::remove_file(self.folder.path().join(format!("{node}.redb"))).unwrap();
    }

    /// Starts a node; after a kill, as soon as the last run has let go of file and address.
    pub(super) async fn start(&mut self, node: u16) {
        let begun = Instant::now();
        let store = loop {
            match self.store(node) {
                Some(store) => break store,
                None => sleep(Duration::from_millis(2)).await,
            }
            assert!(begun.elapsed() < BOUND, "the store of node {node} does not open");
        };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let counters = Arc::<Counters>::default();
        let (transport, mut inbox) = self.transport(node, &runtime, &counters);
        let settings = Settings {
            rank: rank(NodeId(node), &self.all()),
            seed: node.into(),
            timing: self.timing,
        };
        let sender = transport.sender().clone();
        let started = runtime.spawn(async move { Raft::start(settings, store, sender).await });
        let (raft, applied) = started.await.unwrap().unwrap();
        let mut events = core::mem::replace(&mut inbox.events, mpsc::channel(1).1);
        // Somebody reads what the transport tells, as a driver does.
        runtime.spawn(async move { while events.recv().await.is_some() {} });
        let runtime = Some(runtime);
        let host =
            Host { runtime, transport, _inbox: inbox, raft, applied: Some(applied), counters };
        self.up.insert(node, host);
        self.drain(node);
    }

    fn transport(
        &mut self,
        node: u16,
        runtime: &Runtime,
        counters: &Arc<Counters>,
    ) -> (Transport, transport::Inbox) {
        let boot = self.boots.entry(node).or_default();
        *boot += 1;
        let boot = *boot;
        let own = self.addresses[usize::from(node) - 1];
        let settings = transport::Settings {
            listen: own,
            peers: self.addresses.iter().copied().filter(|address| *address != own).collect(),
            members: self.all(),
            hello: Hello { boot, workers: 1, ..Hello::default() },
            versions: VERSIONS.to_vec(),
            timing: transport::Timing::default(),
        };
        let identity = &self.identities[usize::from(node) - 1];
        let begun = Instant::now();
        loop {
            let _inside = runtime.enter();
            match Transport::start(identity, settings.clone(), Arc::clone(counters)) {
                Ok(started) => return started,
                Err(error) => assert!(begun.elapsed() < BOUND, "{error}"),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Reads what is applied, unless a test wants it.
    fn drain(&mut self, node: u16) {
        let host = self.up.get_mut(&node).unwrap();
        let mut applied = host.applied.take().unwrap();
        let (kept, receiver) = mpsc::channel(1 << 16);
        host.applied = Some(receiver);
        host.runtime.as_ref().unwrap().spawn(async move {
            while let Some(one) = applied.recv().await {
                // An error means that the test is over.
                let _ = kept.send(one).await;
            }
        });
    }

    /// Ends a node without a word and without a flush.
    pub(super) async fn kill(&mut self, node: u16) {
        let host = self.up.remove(&node).unwrap();
        let killed = tokio::task::spawn_blocking(move || {
            let mut host = host;
            let runtime = host.runtime.take().unwrap();
            runtime.shutdown_timeout(Duration::from_secs(5));
        });
        killed.await.unwrap();
    }

    pub(super) fn raft(&self, node: u16) -> &Raft<Ledger> {
        &self.up[&node].raft
    }

    pub(super) fn sender(&self, node: u16) -> &transport::Sender {
        self.up[&node].transport.sender()
    }

    pub(super) fn count(&self, node: u16, counter: Counter) -> u64 {
        self.up[&node].counters.get(counter)
    }

    pub(super) fn up(&self) -> Vec<u16> {
        self.up.keys().copied().collect()
    }

    pub(super) fn ledger(&self, node: u16) -> Ledger {
        self.raft(node).look(|ledger, _| ledger.clone())
    }

    pub(super) fn term(&self, node: u16) -> u64 {
        self.raft(node).status().leadership.term
    }

    /// All that was applied at a node so far.
    pub(super) fn applied(&mut self, node: u16) -> Vec<Applied> {
        let receiver = self.up.get_mut(&node).unwrap().applied.as_mut().unwrap();
        core::iter::from_fn(|| receiver.try_recv().ok()).collect()
    }

    /// Cuts these nodes off from the others, in silence; none: everything is well again.
    pub(super) fn isolate(&self, apart: &[u16]) {
        for (node, host) in &self.up {
            let mine = apart.contains(node);
            let others = (1..).zip(&self.addresses);
            let cut = others.filter(|(other, _)| apart.contains(other) != mine);
            let cut = cut.map(|(_, address)| *address).collect();
            host.transport.sender().cut(cut);
        }
    }

    /// The node that leads with a majority.
    pub(super) async fn leader(&self) -> u16 {
        let mut found = None;
        self.until("somebody leads", || {
            found = self.up().into_iter().find(|node| {
                let seen = *self.raft(*node).leadership().borrow();
                seen.own && seen.leader == Some(NodeId(*node))
            });
            found.is_some()
        })
        .await;
        found.unwrap()
    }

    /// Waits for a condition, within the bound.
    pub(super) async fn until(&self, what: &str, mut holds: impl FnMut() -> bool) {
        let begun = Instant::now();
        while !holds() {
            if begun.elapsed() > BOUND {
                let up = self.up();
                let told = up.iter().map(|node| format!("{node}: {:?}", self.raft(*node).status()));
                panic!("{what}: {:#?}", told.collect::<Vec<_>>());
            }
            sleep(Duration::from_millis(2)).await;
        }
    }

    pub(super) async fn change(&self, at: u16, change: Change) {
        let changed = self.raft(at).change(change, BOUND).await;
        changed.unwrap_or_else(|error| panic!("{change:?}: {error}"));
    }

    /// One attempt of a request at a node.
    pub(super) async fn try_request(
        &self,
        at: u16,
        number: u64,
        padding: usize,
        within: Duration,
    ) -> Result<Proposed, ProposeError> {
        self.raft(at).propose(request(number, padding), within).await
    }

    /// A new request, repeated at all nodes in turn until it is acknowledged; how long that took.
    pub(super) async fn request(&mut self, padding: usize) -> Duration {
        self.requests += 1;
        let (number, begun) = (self.requests, Instant::now());
        let up = self.up();
        for at in up.iter().cycle() {
            if begun.elapsed() > BOUND {
                self.until("a request is acknowledged", || false).await;
            }
            let within = Duration::from_secs(2) + super::super::network::patience(padding);
            match self.try_request(*at, number, padding, within).await {
                Ok(_) => break,
                Err(ProposeError::NoLeader | ProposeError::Unknown | ProposeError::Disk(_)) => {}
                Err(error) => panic!("request {number}: {error}"),
            }
        }
        self.acknowledged.insert(number);
        begun.elapsed()
    }

    /// All nodes that are up come to hold the same, and all that was acknowledged.
    pub(super) async fn agree(&self) {
        let up = self.up();
        self.until("all hold the same", || {
            let ledgers: Vec<_> = up.iter().map(|node| self.ledger(*node)).collect();
            ledgers.windows(2).all(|two| two[0] == two[1])
                && self.acknowledged.iter().all(|it| ledgers[0].requests.contains_key(it))
        })
        .await;
    }
}
