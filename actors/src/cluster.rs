//! A node's part in a cluster: drivers of the machines in `cluster_core`.
//!
//! ```text
//!   heartbeats ◄─► heart (real-time thread): membership ──► lease words, ownership word
//!                    │ facts        │ addresses     │ partner
//!                    ▼              ▼               ▼
//!                  memory        addresses        fabric ◄──► the others (QUIC)
//!                 (thread)        (task)          (task)
//!                                                   │ words, messages
//!                                                   ▼
//!                                         stream of each worker ◄─► its engine
//! ```
//!
//! A node file without `[cluster]` has none of it: its lease is renewed by the keeper. A witness has no
//! workers, no lease word and no addresses (`witness.rs`).

mod addresses;
mod announce;
mod conflicts;
mod fabric;
mod heart;
mod letting;
pub(crate) mod limits;
mod members;
mod memory;
mod ownership;
mod passing;
mod paths;
mod plan;
mod show;
pub mod stream;
mod targets;
mod tell;

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use bytes::Bytes;
use cluster_core::membership::{Kind, Member};
use cluster_core::replication::halves::Halves;
use cluster_core::replication::{Replicas, Replication, Settings};
use cluster_core::{Boot, NodeId};
use cluster_net::Counters;
use cluster_net::identity::Papers;
use cluster_net::message::Hello;
use cluster_net::store::Roster;
use cluster_net::transport::{self, Transport, VERSIONS};
use config::api;
use datapath::xdp::LeaseWord;
use datapath::{Bell, Lease};
use engine::replication::Unconfirmed;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use self::addresses::Addresses;
use self::fabric::{Fabric, InboxFull, MessageRoom, PeerWorkers, StreamEnd};
use self::heart::{Command, Heart, Line, State};
pub(crate) use self::letting::Admitted;
use self::letting::Letting;
use self::limits::{ANSWER_TIMEOUT, COMMANDS, FACTS, MESSAGE_BYTES, STREAM_INBOX, STREAM_OUTBOX};
use self::members::Members;
use self::memory::Note;
use self::ownership::Completeness;
pub(crate) use self::ownership::Ownership;
pub(crate) use self::passing::Passing;
use self::paths::Paths;
pub use self::plan::ClusterError;
pub(crate) use self::plan::Plan;
use self::stream::{SharedStream, Stream};
use self::targets::Targets;
use crate::clock;
use crate::flow::XskWorker;
use crate::policy::{InForce, Permit, Standing};
use crate::ports::Watched;
use crate::screener::FabricEnd;
use crate::shard::Shard;

/// What the streams of a node share, before its workers start.
pub(crate) struct Loom {
    own: NodeId,
    boot: Boot,
    /// With whom streams begin; membership names another, if that is to be so.
    partner: NodeId,
    seed: u64,
    unconfirmed: config::Unconfirmed,
    ownership: Ownership,
    room: MessageRoom,
    passing: Passing,
    outbox: mpsc::Sender<(NodeId, Bytes)>,
    outgoing: mpsc::Receiver<(NodeId, Bytes)>,
    ends: Vec<StreamEnd>,
    streams: Vec<SharedStream>,
    completeness: Vec<Completeness>,
}

impl Loom {
    /// `seed` is a number that nobody outside may guess.
    pub(crate) fn new(plan: &Plan, passing: Passing, seed: u64) -> Self {
        let (outbox, outgoing) = mpsc::channel(STREAM_OUTBOX);
        Self {
            own: plan.identity.node,
            boot: plan.boot,
            partner: plan.firewalls().next().map_or(NodeId(0), |other| other.node),
            seed,
            unconfirmed: plan.unconfirmed,
            ownership: Ownership::default(),
            room: MessageRoom::default(),
            passing,
            outbox,
            outgoing,
            ends: Vec::new(),
            streams: Vec::new(),
            completeness: Vec::new(),
        }
    }

    /// Connects the next worker, whose engine now keeps replicas only: its stream.
    pub(crate) fn join(&mut self, worker: &mut XskWorker) -> std::io::Result<SharedStream> {
        self.passing.join(worker)?;
        let bell = worker.bell().clone();
        Ok(self.stream(worker.engine(), bell))
    }

    fn stream(&mut self, engine: &mut engine::Engine, bell: Bell) -> SharedStream {
        engine.stand_down();
        engine.set_unconfirmed(match self.unconfirmed {
            config::Unconfirmed::Forward => Unconfirmed::Forward,
            config::Unconfirmed::Drop => Unconfirmed::Drop,
        });
        let number = self.streams.len() as u16;
        let places = engine.sessions().capacity() as u32;
        let mut settings =
            Settings::new(self.own, self.boot, self.partner, number, places, self.seed);
        settings.message_bytes = MESSAGE_BYTES;
        let (words, inbox) = mpsc::channel(STREAM_INBOX);
        let (completeness, refused) = (Completeness::default(), InboxFull::default());
        let stream = Arc::new(Mutex::new(Stream {
            machine: Replication::new(settings),
            ownership: self.ownership.clone(),
            completeness: completeness.clone(),
            inbox,
            room: self.room.clone(),
            outbox: self.outbox.clone(),
            latecomers: self.passing.latecomers.clone(),
            standing: self.ownership.get(),
            replicas: Replicas::new(),
            halves: Halves::new(self.own, self.partner),
            unsent: 0,
            notes_lost: 0,
            inbox_full: refused.clone(),
        }));
        self.ends.push(StreamEnd { words, bell, refused });
        self.streams.push(Arc::clone(&stream));
        self.completeness.push(completeness);
        stream
    }
}

/// What of the node the cluster's part needs. A witness has neither shards nor a lease word.
pub(crate) struct Around {
    pub(crate) shards: Vec<Shard>,
    pub(crate) lease: Lease,
    pub(crate) word: Option<LeaseWord>,
    pub(crate) watched: watch::Receiver<Vec<Watched>>,
    pub(crate) in_force: watch::Receiver<InForce>,
    /// What the policy says of a lease.
    pub(crate) permit: Permit,
    /// What the log says of the members.
    pub(crate) roster: watch::Receiver<Roster>,
    /// Takes those who were let in here.
    pub(crate) admitted: mpsc::Sender<Admitted>,
    /// Where the node's papers are.
    pub(crate) papers: Papers,
    /// Where the other nodes' digests of attacks go; a witness has nobody for them.
    pub(crate) digests: Option<mpsc::Sender<Bytes>>,
}

/// What speaks to the other members, and whether as the owner.
struct Voice {
    sender: transport::Sender,
    ownership: Ownership,
}

/// A node's running part in its cluster.
pub(crate) struct Part {
    kind: Kind,
    line: Line,
    shards: Vec<Shard>,
    streams: Vec<SharedStream>,
    shown: Shown,
    voice: Voice,
    /// What membership says to the policy.
    standing: watch::Receiver<Standing>,
    letting: Letting,
    /// Threads and tasks in the order in which they end.
    ending: Mutex<Option<Ending>>,
}

/// What is shown of it beside what the machines know.
struct Shown {
    /// Names of the paths, by number.
    names: Vec<String>,
    unconfirmed: config::Unconfirmed,
    peer_workers: PeerWorkers,
    /// What the transport counts.
    net: Arc<Counters>,
}

struct Ending {
    heart: JoinHandle<()>,
    memory: (JoinHandle<()>, SyncSender<Note>),
    members: tokio::task::JoinHandle<()>,
    targets: tokio::task::JoinHandle<()>,
    addresses: tokio::task::JoinHandle<()>,
    fabric: tokio::task::JoinHandle<()>,
}

impl Ending {
    /// Starts the thread and the task that need all others.
    fn begin(
        heart: Heart,
        fabric: Fabric,
        memory: (JoinHandle<()>, SyncSender<Note>),
        (members, targets, addresses): (Task, Task, Task),
    ) -> std::io::Result<Self> {
        let thread = std::thread::Builder::new().name("membership".to_owned());
        let heart = thread.spawn(move || heart.run())?;
        let fabric = tokio::spawn(fabric.run());
        Ok(Self { heart, memory, members, targets, addresses, fabric })
    }
}

type Task = tokio::task::JoinHandle<()>;

impl Part {
    /// Starts. The node forwards from now on when membership says so.
    pub(crate) async fn start(
        plan: Plan,
        loom: Loom,
        around: Around,
    ) -> Result<Self, ClusterError> {
        let system = ClusterError::System;
        let now = clock::now();
        let member = Member::new(plan.membership(), plan.boot, plan.facts, now);
        let member = member.map_err(ClusterError::Config)?;
        loom.ownership.set(false, plan.facts.term);
        let net = Arc::<Counters>::default();
        let (transport, inbox) =
            connect(&plan, loom.ends.len(), &around.in_force, Arc::clone(&net))?;
        let (sender, kind) = (transport.sender().clone(), plan.kind);
        let (stand, standing) = watch::channel(Standing::default());
        let (commands, commanded) = sync_channel(COMMANDS);
        let line = Line { commands, bell: Bell::new().map_err(system)? };
        let targets = Targets::start(&plan, around.watched.clone(), line.clone());
        let (notes, noted) = sync_channel(FACTS);
        let told = (around.roster, around.shards.clone());
        let members = Members::new(&plan, told, (notes.clone(), line.clone()), sender.clone());
        let tell = (notes.clone(), around.admitted);
        let letting = Letting::new(around.papers, plan.listen, tell, Arc::clone(&net));
        let own = plan.identity.node;
        let memory = memory::start(plan.store, own, noted, line.clone()).map_err(system)?;
        let (orders, addresses) =
            Addresses::start(plan.vips, around.watched.clone(), around.lease.clone(), line.clone())
                .await
                .map_err(system)?;
        let names = plan.paths.iter().map(|path| path.name.clone()).collect();
        let (heard, hearing) = watch::channel(None);
        let peer_workers = PeerWorkers::default();
        let streams = (loom.ends, loom.outgoing, loom.room);
        let told = (hearing, line.clone(), around.digests);
        let fabric = Fabric::new((transport, inbox), streams, told, peer_workers.clone());
        let voice = Voice { sender, ownership: loom.ownership.clone() };
        let heart = Heart {
            member,
            paths: Paths::new(plan.paths),
            commands: commanded,
            line: line.clone(),
            lease: around.lease,
            word: around.word,
            ownership: loom.ownership,
            latecomers: loom.passing.latecomers,
            firewalls: members.firewalls.iter().map(|it| it.node).collect(),
            streams: loom.streams.clone(),
            completeness: loom.completeness,
            worker_bells: fabric.ends.iter().map(|end| end.bell.clone()).collect(),
            pulses: around.shards.iter().map(|shard| shard.pulse.clone()).collect(),
            shards: around.shards.clone(),
            watched: around.watched,
            tracked: plan.tracked,
            addresses: orders,
            notes: notes.clone(),
            heard,
            permit: around.permit,
            standing: stand,
            runtime: tokio::runtime::Handle::current(),
            state: State::begin(plan.is_out),
        };
        tokio::spawn(follow_policy(around.in_force, line.clone()));
        let members = tokio::spawn(members.run());
        let ending = Ending::begin(heart, fabric, (memory, notes), (members, targets, addresses));
        let ending = ending.map_err(system)?;
        let (shards, streams) = (around.shards, loom.streams);
        let shown = Shown { names, unconfirmed: loom.unconfirmed, peer_workers, net };
        let ending = Mutex::new(Some(ending));
        Ok(Self { kind, line, shards, streams, shown, voice, standing, letting, ending })
    }

    /// Lets one node join, by a token.
    pub(crate) async fn make_token(
        &self,
        request: api::TokenRequest,
    ) -> Result<api::TokenMade, api::Error> {
        self.letting.make(request).await
    }

    /// The way to the other nodes' detectors of attacks; `heard` is what they say.
    pub(crate) fn screens(&self, heard: mpsc::Receiver<Bytes>) -> FabricEnd {
        let Voice { sender, ownership } = &self.voice;
        FabricEnd { sender: sender.clone(), heard, ownership: ownership.clone() }
    }

    /// What sends to the other members.
    pub(crate) fn sender(&self) -> &transport::Sender {
        &self.voice.sender
    }

    /// What membership says, as far as it concerns the policy.
    pub(crate) fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.clone()
    }

    /// Hands over, stops owning, takes addresses off.
    pub(crate) async fn shutdown(&self) {
        let ending = self.ending.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(ending) = ending else { return };
        ending.targets.abort();
        ending.members.abort();
        let line = self.line.clone();
        let threads = tokio::task::spawn_blocking(move || {
            line.insist(Command::Stop);
            let ended = ending.heart.join();
            if ended.is_err() {
                tracing::error!("the membership thread panicked");
            }
            // What the membership thread gave it comes first.
            let (memory, notes) = ending.memory;
            let _ = notes.send(Note::End);
            let _ = memory.join();
        });
        let _ = threads.await;
        let _ = ending.addresses.await;
        let _ = ending.fabric.await;
    }

    /// Asks the machine for something.
    pub(crate) async fn request(&self, verb: api::ClusterVerb) -> Result<api::Done, api::Error> {
        let (answer, answered) = oneshot::channel();
        let request = show::request(verb);
        let agreed = self.asked(Command::Request(request, answer), answered).await?;
        agreed.map(|()| api::Done {}).map_err(|refused| api::Error::new(show::refusal(refused)))
    }

    /// What the machines know.
    pub(crate) async fn view(&self) -> Result<api::Cluster, api::Error> {
        let (seen, view) = oneshot::channel();
        let membership = self.asked(Command::View(seen), view).await?;
        let mut streams = Vec::new();
        let (mut passed_on, mut passed_in) = (0, 0);
        for (shard, stream) in self.shards.iter().zip(&self.streams) {
            let stream = Arc::clone(stream);
            // On the worker's own thread, which is the only one that takes the lock.
            let view = shard.ask(move |worker| {
                let counters = worker.engine().counters();
                let passed = (counters.passed_on, counters.passed_in);
                (stream::lock(&stream).view(worker.engine(), clock::now()), passed)
            });
            let view = view.await.ok();
            let (on, into) = view.as_ref().map_or((0, 0), |(_, passed)| *passed);
            (passed_on, passed_in) = (passed_on + on, passed_in + into);
            streams.push(view.map(|(view, _)| view));
        }
        let Shown { names, unconfirmed, peer_workers, net } = &self.shown;
        let mismatch = |partner| peer_workers.mismatch(partner, self.shards.len());
        let not_replicating = membership.partner.and_then(mismatch);
        let cluster = show::cluster(&membership, &streams, names, clock::now());
        Ok(api::Cluster {
            kind: show::kind(self.kind),
            passed_on,
            passed_in,
            unconfirmed: unconfirmed.name().to_owned(),
            net: show::net(net),
            not_replicating,
            ..cluster
        })
    }

    async fn asked<T>(
        &self,
        command: Command,
        answer: oneshot::Receiver<T>,
    ) -> Result<T, api::Error> {
        let silent = || api::Error::new("the membership thread does not answer");
        if !self.line.tell(command) {
            return Err(silent());
        }
        timeout(ANSWER_TIMEOUT, answer).await.map_err(|_| silent())?.map_err(|_| silent())
    }
}

fn connect(
    plan: &Plan,
    workers: usize,
    in_force: &watch::Receiver<InForce>,
    counters: Arc<Counters>,
) -> Result<(Transport, transport::Inbox), ClusterError> {
    let mut policy = [0; 32];
    policy[..16].copy_from_slice(&in_force.borrow().digest);
    let hello = Hello { boot: plan.boot.0, workers: workers as u16, policy, features: Vec::new() };
    let settings = transport::Settings {
        listen: plan.listen,
        peers: plan.calls.clone(),
        members: plan.members(),
        hello,
        versions: VERSIONS.to_vec(),
        timing: transport::Timing::default(),
    };
    Transport::start(&plan.identity, settings, counters).map_err(ClusterError::Transport)
}

/// Tells the machine which policy is in force, whenever it changes.
async fn follow_policy(mut in_force: watch::Receiver<InForce>, line: Line) {
    loop {
        let digest = in_force.borrow_and_update().digest;
        if !line.tell(Command::Policy(digest)) {
            tracing::error!("the membership thread does not learn of the policy");
        }
        if in_force.changed().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests;
