//! A node: everything that `ringwall run` starts, in the order in which it is safe to start it.
//!
//! ```text
//! program loaded, lease in the past ─► links mirrored ─► rules into the program ─► workers with
//! sockets ─► program attached (from here on the interfaces are ours) ─► lease renewed: it forwards
//! ```
//!
//! Stopping goes the other way round: lease given back, shards drained, and the program left on its
//! interfaces, where it keeps transit out; or taken off, with `on-exit = "open"`.

mod alg;
mod build;
mod nat;
mod queries;
mod staff;
mod uses;
mod view;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;

use config::OnExit;
use config::api::{self, Committed, Confirmed};
use datapath::xdp;
use ractor::ActorRef;
use tokio::sync::{oneshot, watch};
use wire::Time;

use crate::cluster::{ClusterError, Part};
use crate::epochs::Epochs;
use crate::gate::Gate;
use crate::keeper::Renew;
use crate::mirror::MirrorError;
use crate::opening::OpenError;
use crate::policy::{Author, Desk, InForce, LogError, PolicyMessage};
use crate::ports::{PortsMessage, Watched};
use crate::screener::Watch;
use crate::shard::Shard;
use crate::telemetry::Drain;

pub(crate) use build::port_config;
pub use build::{Seed, engine_port, start};

/// A running node.
pub struct Node {
    config: config::Node,
    started: Time,
    shards: Vec<Shard>,
    threads: Mutex<Vec<(JoinHandle<()>, oneshot::Sender<()>)>>,
    program: Arc<Mutex<Gate>>,
    in_force: watch::Receiver<InForce>,
    epochs: Epochs,
    watched: watch::Receiver<Vec<Watched>>,
    /// Where requests about the policy come in.
    desk: Desk,
    actors: Actors,
}

/// The node's own actors.
struct Actors {
    policy: ActorRef<PolicyMessage>,
    ports: ActorRef<PortsMessage>,
    telemetry: ActorRef<Drain>,
    permission: Permission,
    /// The detector of attacks.
    watch: Watch,
}

/// Who says that this node may forward.
enum Permission {
    /// Nobody else: it is alone, and its workers move.
    Keeper(ActorRef<Renew>),
    /// Its pair.
    Cluster(Box<Part>),
}

/// Why a node does not start.
#[derive(Debug)]
pub enum StartError {
    /// The XDP program.
    Xdp(xdp::Error),
    /// An interface of the node file is not there.
    NoInterface {
        /// The port.
        port: String,
        /// Its interface.
        interface: String,
    },
    /// Its packets may be longer than a frame.
    Mtu {
        /// The port.
        port: String,
        /// Its MTU, bytes.
        mtu: u32,
        /// What fits, bytes.
        most: u32,
    },
    /// A queue, or the frames for it.
    Open(OpenError),
    /// The kernel's routing information.
    Mirror(MirrorError),
    /// The policy, or a file of it.
    Policy(api::Error),
    /// The log of the policy.
    Log(LogError),
    /// The data directory.
    Data(std::io::Error),
    /// A thread or an actor.
    System(String),
    /// The node's part in its cluster.
    Cluster(ClusterError),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xdp(error) => error.fmt(f),
            Self::NoInterface { port, interface } => write!(
                f,
                "port `{port}`: there is no interface `{interface}` in this network namespace"
            ),
            Self::Mtu { port, mtu, most } => write!(
                f,
                "port `{port}`: MTU {mtu} is more than the {most} bytes that fit a frame; set \
                 `frame-size = 4096` in the node file, or lower the MTU (`ip link set … mtu {most}`)"
            ),
            Self::Open(error) => error.fmt(f),
            Self::Mirror(error) => error.fmt(f),
            Self::Policy(error) => error.fmt(f),
            Self::Log(error) => error.fmt(f),
            Self::Data(error) => write!(f, "the data directory cannot be used: {error}"),
            Self::Cluster(error) => error.fmt(f),
            Self::System(what) => write!(f, "the system refuses {what}"),
        }
    }
}

impl std::error::Error for StartError {}

impl From<xdp::Error> for StartError {
    fn from(error: xdp::Error) -> Self {
        Self::Xdp(error)
    }
}

impl From<OpenError> for StartError {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

impl From<ClusterError> for StartError {
    fn from(error: ClusterError) -> Self {
        Self::Cluster(error)
    }
}

impl From<LogError> for StartError {
    fn from(error: LogError) -> Self {
        Self::Log(error)
    }
}

impl From<api::Error> for StartError {
    fn from(error: api::Error) -> Self {
        Self::Policy(error)
    }
}

impl Node {
    /// Puts a policy in force on every node, or none.
    ///
    /// # Errors
    /// The policy is not valid here or on a live node, somebody committed in between, or nothing can be
    /// agreed on.
    pub async fn commit(
        &self,
        request: api::CommitRequest,
        author: Author,
    ) -> Result<Committed, api::Error> {
        self.desk.commit(request, author).await
    }

    /// Puts an earlier revision in force again, as a new epoch; ends a trial.
    ///
    /// # Errors
    /// There is no such revision, or nothing can be agreed on.
    pub async fn rollback(
        &self,
        request: api::RollbackRequest,
        author: Author,
    ) -> Result<Committed, api::Error> {
        self.desk.rollback(request, author).await
    }

    /// Keeps the policy that is on trial.
    ///
    /// # Errors
    /// None is, or its time is over.
    pub async fn confirm(
        &self,
        request: api::ConfirmRequest,
        author: Author,
    ) -> Result<Confirmed, api::Error> {
        self.desk.confirm(request, author).await
    }

    /// All revisions that are kept, and what else was decided; the newest first.
    ///
    /// # Errors
    /// None that is known.
    pub async fn history(&self) -> Result<api::History, api::Error> {
        self.desk.history().await
    }

    /// How two revisions differ.
    ///
    /// # Errors
    /// One of them is not kept, or cannot be read.
    pub async fn compare(
        &self,
        request: api::CompareRequest,
    ) -> Result<api::Comparison, api::Error> {
        self.desk.compare(request).await
    }

    /// The policy that the node runs, and the log from which it has it.
    ///
    /// # Errors
    /// None that is known.
    #[expect(clippy::unused_async, reason = "as the other questions to a node")]
    pub async fn policy_status(&self) -> Result<api::PolicyStatus, api::Error> {
        Ok(self.desk.status())
    }

    /// Changes who belongs to the cluster.
    ///
    /// # Errors
    /// The cluster does not agree.
    pub async fn change_member(
        &self,
        request: api::MemberRequest,
        author: Author,
    ) -> Result<api::Done, api::Error> {
        self.desk.change_member(request, author).await
    }

    /// Lets one node join, by a token.
    ///
    /// # Errors
    /// The node is in no cluster, or has no authority.
    pub async fn make_token(
        &self,
        request: api::TokenRequest,
    ) -> Result<api::TokenMade, api::Error> {
        match &self.actors.permission {
            Permission::Cluster(part) => part.make_token(request).await,
            Permission::Keeper(_) => Err(api::Error::new(
                "the node is in no cluster: give it one in its node file first",
            )),
        }
    }

    /// Stops: no lease, no workers, and the program left on its interfaces unless told otherwise.
    ///
    /// # Errors
    /// The program cannot be taken off an interface.
    pub async fn shutdown(&self) -> Result<(), StartError> {
        match &self.actors.permission {
            Permission::Keeper(keeper) => drop(keeper.stop_and_wait(None, None).await),
            Permission::Cluster(part) => part.shutdown().await,
        }
        let _ = self.actors.ports.stop_and_wait(None, None).await;
        for shard in &self.shards {
            // One more turn for what is in the rings; a shard that does not answer has nothing to say.
            let _ = shard.ask(|_| ()).await;
        }
        let threads = std::mem::take(&mut *lock(&self.threads));
        let mut ending = Vec::new();
        for (thread, stop) in threads {
            let _ = stop.send(());
            ending.push(thread);
        }
        for thread in ending {
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
        for cell in [self.actors.policy.get_cell(), self.actors.telemetry.get_cell()] {
            let _ = cell.stop_and_wait(None, None).await;
        }
        self.leave_interfaces()
    }

    fn leave_interfaces(&self) -> Result<(), StartError> {
        let mut program = lock(&self.program);
        match self.config.on_exit {
            OnExit::Closed => tracing::info!(
                bpf_dir = %self.config.bpf_dir,
                "stopped; the XDP program stays on the ports and drops transit (`ringwall detach`)"
            ),
            OnExit::Open => {
                let on: Vec<u32> = program.attached().map(|(ifindex, _)| ifindex).collect();
                for ifindex in on {
                    program.detach(ifindex)?;
                }
                tracing::warn!("stopped; the ports are OPEN, the kernel alone decides about them");
            }
        }
        Ok(())
    }
}

/// Takes a lock. Its holders do nothing that can panic half-way.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node").field("name", &self.config.name).finish_non_exhaustive()
    }
}
