//! Three voters, of which one can be killed in the middle of whatever it does.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cluster_core::NodeId;
use cluster_core::policy::log::Stamp;
use cluster_core::policy::{Action, Command, Line, Log, RequestId, WallTime, encode_command};
use cluster_core::replication::Histogram;
use cluster_net::Counters;
use cluster_net::identity::{Authority, ClusterName, Identity};
use cluster_net::message::Hello;
use cluster_net::raft::{Applied, Change, ProposeError, Raft, RaftStore, Settings, Timing, rank};
use cluster_net::transport::{self, Inbox, Transport, VERSIONS};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio::time::sleep;

use crate::failure::Failure;

/// How many there are.
pub(super) const VOTERS: u16 = 3;
/// For whatever is waited for: an election on a busy machine takes a few seconds.
const BOUND: Duration = Duration::from_secs(60);
/// Between two looks at it.
const POLL: Duration = Duration::from_millis(1);
/// One attempt of a proposal: longer than an election.
const ATTEMPT: Duration = Duration::from_secs(2);
/// For a killed voter's threads to end.
const KILL_TIMEOUT: Duration = Duration::from_secs(5);

/// The voters, and where their files are; gone with the value.
pub(super) struct Voters {
    cluster: ClusterName,
    identities: Vec<Identity>,
    addresses: Vec<SocketAddr>,
    folder: TempDir,
    boots: BTreeMap<u16, u32>,
    up: BTreeMap<u16, Voter>,
    requests: u128,
}

/// A voter that runs.
struct Voter {
    /// None: it was killed.
    runtime: Option<Runtime>,
    raft: Raft<Log>,
    _transport: Transport,
}

impl Drop for Voter {
    /// At the end, where nothing can wait.
    fn drop(&mut self) {
        self.runtime.take().into_iter().for_each(Runtime::shutdown_background);
    }
}

impl Voters {
    /// Makes a cluster of them.
    pub(super) async fn start(directory: &Path) -> Result<Self, Failure> {
        let cluster: ClusterName = "bench".parse().map_err(|_| wrong("the cluster's name"))?;
        let (authority, first) = Authority::found(cluster.clone(), NodeId(1)).map_err(wrong)?;
        let identity = |node| authority.identity(NodeId(node), &first.secret).map_err(wrong);
        let identities = (1..=VOTERS).map(identity).collect::<Result<Vec<_>, _>>()?;
        let folder = TempDir::with_prefix_in("ringwall-bench-raft-", directory);
        let mut voters = Self {
            cluster,
            identities,
            addresses: free_addresses().map_err(Failure::io("find free ports"))?,
            folder: folder.map_err(Failure::io("make a directory for the voters' files"))?,
            boots: BTreeMap::new(),
            up: BTreeMap::new(),
            requests: 0,
        };
        voters.boot(1).await?;
        voters.raft(1)?.initialize().await.map_err(wrong)?;
        for node in 2..=VOTERS {
            voters.boot(node).await?;
            for change in [Change::AddLearner(node), Change::Promote(node)] {
                voters.raft(1)?.change(change, BOUND).await.map_err(wrong)?;
            }
        }
        voters.settle().await?;
        Ok(voters)
    }

    /// A path among the voters' files.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Those that run.
    pub(super) fn up(&self) -> impl Iterator<Item = u16> {
        self.up.keys().copied()
    }

    /// How long commits to the disk took at each of them, since its start.
    pub(super) fn sync_times(&self) -> Vec<(u16, Histogram)> {
        self.up.iter().map(|(node, voter)| (*node, voter.raft.status().sync_times)).collect()
    }

    /// Starts a voter, as soon as its last run has let go of file and address.
    pub(super) async fn boot(&mut self, node: u16) -> Result<(), Failure> {
        let runtime = super::runtime()?;
        let path = self.path(&format!("{node}.redb"));
        let open = || RaftStore::open(&path, &self.cluster, NodeId(node)).map_err(wrong);
        let store = insist(open).await?;
        let boot = self.boots.entry(node).or_default();
        *boot += 1;
        let (endpoint, identity) = (self.endpoint(node), &self.identities[usize::from(node) - 1]);
        let listen = || {
            let _inside = runtime.enter();
            Transport::start(identity, endpoint.clone(), Arc::<Counters>::default()).map_err(wrong)
        };
        let (transport, inbox) = insist(listen).await?;
        let settings = Settings {
            rank: rank(NodeId(node), &endpoint.members),
            seed: node.into(),
            timing: Timing::default(),
        };
        let sender = transport.sender().clone();
        let started = runtime.spawn(async move { Raft::start(settings, store, sender).await });
        let (raft, applied) = started.await.map_err(wrong)?.map_err(wrong)?;
        runtime.spawn(listen_to(inbox, applied));
        let voter = Voter { runtime: Some(runtime), raft, _transport: transport };
        self.up.insert(node, voter);
        Ok(())
    }

    fn endpoint(&self, node: u16) -> transport::Settings {
        let own = self.addresses[usize::from(node) - 1];
        let boot = self.boots.get(&node).copied().unwrap_or(1);
        transport::Settings {
            listen: own,
            peers: self.addresses.iter().copied().filter(|address| *address != own).collect(),
            members: self.identities.iter().map(|identity| identity.node).collect(),
            hello: Hello { boot, workers: 1, ..Hello::default() },
            versions: VERSIONS.to_vec(),
            timing: transport::Timing::default(),
        }
    }

    /// Ends a voter without a word and without a flush, as SIGKILL does.
    pub(super) async fn kill(&mut self, node: u16) -> Result<(), Failure> {
        let mut voter = self.up.remove(&node).ok_or_else(|| wrong("it does not run"))?;
        // The runtime first: afterwards the endpoint has nobody to say goodbye with.
        let killed = tokio::task::spawn_blocking(move || {
            let runtime = voter.runtime.take();
            runtime.into_iter().for_each(|runtime| runtime.shutdown_timeout(KILL_TIMEOUT));
        });
        killed.await.map_err(wrong)
    }

    /// The voter that leads with a majority.
    pub(super) async fn leader(&self) -> Result<u16, Failure> {
        let leads = |(node, voter): (&u16, &Voter)| {
            let seen = *voter.raft.leadership().borrow();
            (seen.own && seen.leader == Some(NodeId(*node))).then_some(*node)
        };
        until("somebody leads", || self.up.iter().find_map(leads)).await
    }

    /// Waits until all of them have applied the same.
    pub(super) async fn settle(&self) -> Result<(), Failure> {
        let agree = || {
            let applied = |voter: &Voter| voter.raft.look(|_, applied| applied);
            let applied: BTreeSet<_> = self.up.values().map(applied).collect();
            (applied.len() == 1).then_some(())
        };
        until("all have applied the same", agree).await
    }

    /// Has a new setting agreed on, proposed to these in turn until one of them gets it through; how long
    /// that took.
    pub(super) async fn propose(&mut self, at: &[u16]) -> Result<Duration, Failure> {
        self.requests += 1;
        let command = setting(self.requests)?;
        let begun = Instant::now();
        for node in at.iter().cycle() {
            match self.raft(*node)?.propose(command.clone(), ATTEMPT).await {
                Ok(_) => break,
                // It has a number: if it was done already, it is not done again.
                Err(error @ (ProposeError::NoLeader | ProposeError::Unknown)) => {
                    if begun.elapsed() > BOUND {
                        return Err(wrong(error));
                    }
                }
                Err(error) => return Err(wrong(error)),
            }
        }
        Ok(begun.elapsed())
    }

    fn raft(&self, node: u16) -> Result<&Raft<Log>, Failure> {
        let voter = self.up.get(&node).ok_or_else(|| wrong(format!("node {node} does not run")))?;
        Ok(&voter.raft)
    }
}

/// A small command with this number.
fn setting(number: u128) -> Result<Bytes, Failure> {
    let line = |text: &str| Line::new(text).map_err(|_| wrong("a long line"));
    let action =
        Action::SetSetting { key: line("bench")?, value: Some(line(&number.to_string())?) };
    let stamp = Stamp { author: line("bench")?, wall: WallTime(0) };
    let command = Command { request: Some(RequestId(number)), stamp, action };
    Ok(Bytes::from(encode_command(&command)))
}

/// Hears what a driver hears, so that nothing waits for it.
async fn listen_to(mut inbox: Inbox, mut applied: mpsc::Receiver<Applied>) {
    loop {
        tokio::select! {
            event = inbox.events.recv() => if event.is_none() { return },
            told = applied.recv() => if told.is_none() { return },
        }
    }
}

/// Different ports of the loopback that are free now.
fn free_addresses() -> std::io::Result<Vec<SocketAddr>> {
    let sockets = (0..VOTERS).map(|_| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)));
    let sockets = sockets.collect::<Result<Vec<_>, _>>()?;
    sockets.iter().map(UdpSocket::local_addr).collect()
}

/// Tries until it succeeds, within the bound.
async fn insist<T>(mut attempt: impl FnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let begun = Instant::now();
    loop {
        match attempt() {
            Err(failure) if begun.elapsed() > BOUND => return Err(failure),
            Err(_) => sleep(POLL).await,
            Ok(done) => return Ok(done),
        }
    }
}

/// Waits until there is something, within the bound.
async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> Result<T, Failure> {
    insist(|| look().ok_or_else(|| wrong(format!("waited in vain until {what}")))).await
}

fn wrong(why: impl ToString) -> Failure {
    Failure::Wrong(why.to_string())
}
