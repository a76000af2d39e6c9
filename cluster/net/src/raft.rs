//! What the cluster agrees on: openraft behind one adapter, for any [`Replicated`] machine.
//!
//! ```text
//!            propose, read, change ──► leader, wherever it is
//!                                          │ log
//!   transport's calls ◄──► openraft ◄──► store: fsync, then "yes"
//!                             │ committed, in order
//!                          machine ──► Applied, for the driver
//! ```
//!
//! - **No decision about a policy is made here.** Commands and outcomes are bytes.
//! - **A vote and an entry are on the disk before they are acknowledged** ([`RaftStore`]).
//! - **Who asks is who its certificate names**, and must have this node's [`Generation`].
//! - **Elections.** Pre-vote, so that a node that is cut off disturbs nobody when it returns; a window
//!   of election timeouts for each rank, so that two do not campaign at once; a watchdog, should
//!   nobody lead all the same.
//! - **A disk that fails stops it** until it works again; then it goes on with what the disk holds.
//! - **What may have been done is not done again.** A proposal whose fate is unknown is an error of its
//!   own ([`ProposeError::Unknown`]); whoever repeats it must be able to tell.

mod alone;
mod answer;
mod instance;
mod keeper;
mod machine;
mod network;
mod status;
mod store;
mod survivor;
mod timing;
mod types;
mod watchdog;
mod wire;

#[cfg(test)]
mod tests;

use core::fmt;
use core::time::Duration;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use cluster_core::NodeId;
use cluster_core::policy::Replicated;
use openraft::EmptyNode;
use openraft::async_runtime::watch::WatchReceiver as _;
use openraft::errors::InitializeError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout, timeout_at};

pub use machine::Applied;
pub use status::{Leadership, Status};
pub use store::RaftStore;
pub use timing::{Timing, rank};
pub use wire::{Change, Generation};

use crate::limits::{RAFT_APPLIED, RAFT_COMMAND_BYTES, RAFT_HEARTBEAT};
use crate::store::StoreError;
use crate::transport::{CallError, Sender, Urgency};

use instance::{Instance, Outfit};
use keeper::Keeper;
use network::Failure;
use types::number;
use wire::{Answer, Ask, Refusal};

/// What Raft needs beyond a store and a transport.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// Which window of election timeouts the node has: [`rank`]. Lower ones lead first.
    pub rank: u64,
    /// For random pauses.
    pub seed: u64,
    /// Times.
    pub timing: Timing,
}

/// A machine that can be replicated here: any that may move between threads.
pub trait Replicable: Replicated + Send + 'static {}

impl<M: Replicated + Send + 'static> Replicable for M {}

/// A node's Raft. Clones are the same one.
#[derive(Debug)]
pub struct Raft<M: Replicable> {
    shared: Arc<Shared<M>>,
}

struct Shared<M: Replicable> {
    keeper: Arc<Keeper<M>>,
    own: NodeId,
    sender: Option<Sender>,
    leadership: watch::Receiver<Leadership>,
    tasks: std::sync::Mutex<JoinSet<()>>,
}

/// Why Raft does not run.
#[derive(Debug)]
pub enum RaftError {
    /// The store.
    Store(StoreError),
    /// openraft, for the log.
    Engine(String),
    /// It has members already, or a history.
    NotEmpty,
    /// These take part, and not this node alone.
    NotAlone(BTreeSet<NodeId>),
    /// It has stopped.
    Stopped,
}

/// Why something was not agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProposeError {
    /// The command is longer than [`RAFT_COMMAND_BYTES`].
    TooLarge,
    /// Nobody leads, or the leader cannot be reached; nothing was done.
    NoLeader,
    /// It may have been done, or may be done yet: ask the machine before it is done again.
    Unknown,
    /// The leader has another history than this node.
    OtherGeneration,
    /// It cannot be done, and why.
    Impossible(String),
    /// This node's disk failed, and how: its Raft stands still until that works again. Nothing was done.
    Disk(String),
    /// This node's Raft has stopped.
    Stopped,
}

/// A command that was agreed on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proposed {
    /// Its place in the log.
    pub index: u64,
    /// What came of it.
    pub outcome: Bytes,
}

impl<M: Replicable> Raft<M> {
    /// Begins to take part, and gives what is applied from now on. Begins with what the store holds;
    /// a new store waits for [`Self::initialize`], or for a leader who adds this node.
    ///
    /// # Errors
    /// If the store cannot be read.
    pub async fn start(
        settings: Settings,
        store: RaftStore,
        sender: Sender,
    ) -> Result<(Self, mpsc::Receiver<Applied>), RaftError> {
        Self::begin(settings, Some(sender), store).await
    }

    async fn begin(
        settings: Settings,
        sender: Option<Sender>,
        store: RaftStore,
    ) -> Result<(Self, mpsc::Receiver<Applied>), RaftError> {
        let own = store.node();
        let (told, applied) = mpsc::channel(RAFT_APPLIED);
        let (seen, leadership) = watch::channel(Leadership::default());
        let outfit = Outfit { settings, sender: sender.clone(), told, seen: Arc::new(seen) };
        let first = Instance::begin(&outfit, store).await?;
        let keeper = Arc::new(Keeper::new(outfit, first));
        let mut tasks = JoinSet::new();
        tasks.spawn(keeper::keep(Arc::downgrade(&keeper)));
        let tasks = std::sync::Mutex::new(tasks);
        let shared = Arc::new(Shared { keeper, own, sender, leadership, tasks });
        Ok((Self { shared }, applied))
    }

    /// The run of openraft that there is.
    fn now(&self) -> Arc<Instance<M>> {
        self.shared.keeper.now()
    }

    /// Makes this node the first and only voter of a new cluster; once in its life.
    ///
    /// # Errors
    /// If it is one's already.
    pub async fn initialize(&self) -> Result<(), RaftError> {
        let run = self.now();
        let context = &run.context;
        let generation = Generation { number: 1, founder: context.store.node().0 };
        // One that crashed here begins once more.
        if context.store.generation().is_some_and(|known| known != generation) {
            return Err(RaftError::NotEmpty);
        }
        context.store.set_generation(generation).await.map_err(RaftError::Store)?;
        let members = BTreeMap::from([(context.own, EmptyNode::new())]);
        let done = run.core.initialize(members).await;
        done.map_err(|error| match error {
            openraft::errors::RaftError::APIError(InitializeError::NotAllowed(_)) => {
                RaftError::NotEmpty
            }
            openraft::errors::RaftError::APIError(InitializeError::NotInMembers(_))
            | openraft::errors::RaftError::Fatal(_) => RaftError::Engine(error.to_string()),
        })
    }

    /// Has a command agreed on, from any node, and waits until it is applied where it leads.
    ///
    /// # Errors
    /// Why not; [`ProposeError::Unknown`] is neither yes nor no.
    pub async fn propose(
        &self,
        command: Bytes,
        within: Duration,
    ) -> Result<Proposed, ProposeError> {
        if command.len() > RAFT_COMMAND_BYTES {
            return Err(ProposeError::TooLarge);
        }
        let answer = self.lead(Ask::Propose(command.to_vec()), within).await?;
        let Answer::Proposed { index, outcome } = answer else { return Err(unexpected()) };
        Ok(Proposed { index, outcome: Bytes::from(outcome) })
    }

    /// Waits until this node has applied all that was agreed on before the call, wherever; what
    /// [`Self::look`] shows then is not older. By asking a majority, so without trust in clocks.
    ///
    /// # Errors
    /// If there is no majority, or not in time.
    pub async fn ensure_linearizable(&self, within: Duration) -> Result<u64, ProposeError> {
        let deadline = Instant::now() + within;
        let answer = self.lead(Ask::ReadIndex, within).await?;
        let Answer::ReadIndex(index) = answer else { return Err(unexpected()) };
        let applied = timeout_at(deadline, self.now().holder.until(index)).await;
        applied.map(|()| index).map_err(|_| ProposeError::NoLeader)
    }

    /// Looks at the machine as this node knows it, and at the last index in it.
    pub fn look<T>(&self, look: impl FnOnce(&M, Option<u64>) -> T) -> T {
        self.now().holder.look(look)
    }

    /// Changes who takes part, from any node; one change at a time.
    ///
    /// # Errors
    /// Why not; [`ProposeError::Unknown`] is neither yes nor no.
    pub async fn change(&self, change: Change, within: Duration) -> Result<(), ProposeError> {
        if self.shared.sender.is_none() {
            let why = "the node is in no cluster: give it one in its node file first";
            return Err(ProposeError::Impossible(why.to_owned()));
        }
        let answer = self.lead(Ask::Change(change), within).await?;
        if answer == Answer::Changed { Ok(()) } else { Err(unexpected()) }
    }

    /// As the leader, lets another voter lead, which is heard of by [`Self::leadership`].
    ///
    /// # Errors
    /// If this node does not lead, or the other does not vote.
    pub async fn transfer_to(&self, heir: NodeId) -> Result<(), ProposeError> {
        let status = self.status();
        if !status.leadership.own {
            return Err(ProposeError::NoLeader);
        }
        if !status.voters.contains(&heir) {
            return Err(ProposeError::Impossible(format!("node {heir} does not vote")));
        }
        let done = self.now().core.trigger().transfer_leader(number(heir)).await;
        done.map_err(|_| ProposeError::Stopped)
    }

    /// Who leads, now and later.
    #[must_use]
    pub fn leadership(&self) -> watch::Receiver<Leadership> {
        self.shared.leadership.clone()
    }

    /// How it stands.
    #[must_use]
    pub fn status(&self) -> Status {
        let run = self.now();
        let metrics = status::metrics(&run.core);
        let counts = self.shared.keeper.counts();
        Status::new(&metrics, *self.shared.leadership.borrow(), &run.context.store, counts)
    }

    /// Stops. The store can be used again afterwards.
    pub async fn stop(&self) {
        // First who would begin another run.
        let mut tasks = core::mem::take(&mut *self.tasks());
        tasks.shutdown().await;
        // What remains after the time for it has no more effect than a crash.
        let _ = self.now().end().await;
        self.shared.keeper.over();
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.shared.tasks.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    /// Why this node's Raft does not run.
    fn halted(&self) -> ProposeError {
        self.now().context.store.ailment().map_or(ProposeError::Stopped, ProposeError::Disk)
    }

    /// Has something done by the leader, whoever that is.
    async fn lead(&self, ask: Ask, within: Duration) -> Result<Answer, ProposeError> {
        let deadline = Instant::now() + within;
        let run = self.now();
        let mut changes = run.core.metrics();
        let (mut hint, mut attempt) = (None, 0);
        loop {
            if let Some(why) = run.context.store.ailment() {
                return Err(ProposeError::Disk(why));
            }
            let known = {
                let metrics = changes.borrow_and_update();
                metrics.running_state.as_ref().map_err(|_| self.halted())?;
                metrics.current_leader
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(ProposeError::NoLeader);
            }
            if let Some(leader) = hint.take().or(known).or_else(|| somebody(&run, attempt)) {
                match asked(&run, (leader, known), ask.clone(), left).await {
                    Ok(answer) => return Ok(answer),
                    Err(failure) => hint = verdict(&ask, failure)?,
                }
            }
            attempt += 1;
            // Until something changes, and not much longer.
            let pause = deadline.min(Instant::now() + RAFT_HEARTBEAT);
            if let Ok(Err(_)) = timeout_at(pause, changes.changed()).await {
                return Err(self.halted());
            }
            sleep(RAFT_HEARTBEAT / 10).await;
        }
    }
}

/// Whom a node asks that has no history yet, and so knows no leader: its peers in turn.
fn somebody<M: Replicable>(run: &Instance<M>, attempt: usize) -> Option<u64> {
    let context = &run.context;
    if context.store.generation().is_some() {
        return None;
    }
    let peers = context.sender.as_ref()?.peers();
    peers.get(attempt % peers.len().max(1)).map(|(peer, _)| number(*peer))
}

/// Asks the leader, as which another one was `known`.
async fn asked<M: Replicable>(
    run: &Instance<M>,
    (leader, known): (u64, Option<u64>),
    ask: Ask,
    within: Duration,
) -> Result<Answer, Failure> {
    let context = &run.context;
    if leader != context.own {
        return tokio::select! {
            answer = context.ask(leader, ask, Bytes::new(), Urgency::Usual, within) => answer,
            () = another_leads(run, leader, known) => Err(Failure::Call(CallError::Broken)),
        };
    }
    let done = timeout(within, answer::as_leader(&run.core, ask)).await;
    let answer = done.map_err(|_| Failure::Call(CallError::Late))?;
    if let Answer::Refused(refusal) = answer {
        return Err(Failure::Refused(refusal));
    }
    Ok(answer)
}

/// Resolves when another node leads than the one that is asked: who waits for that may wait for a
/// dead one.
async fn another_leads<M: Replicable>(run: &Instance<M>, asked: u64, known: Option<u64>) {
    let mut changes = run.core.metrics();
    loop {
        let leader = changes.borrow_and_update().current_leader;
        if leader.is_some() && leader != known && leader != Some(asked) {
            return;
        }
        if changes.changed().await.is_err() {
            core::future::pending::<()>().await;
        }
    }
}

/// Whether it may be asked again: only if nothing was done, or nothing is changed by it.
/// Whom to ask then, if that was said.
fn verdict(ask: &Ask, failure: Failure) -> Result<Option<u64>, ProposeError> {
    let harmless = matches!(ask, Ask::ReadIndex);
    match failure {
        Failure::Call(CallError::Down) => Ok(None),
        Failure::Refused(Refusal::NotLeader(hint)) => Ok(hint),
        Failure::Call(CallError::TooLarge) => Err(ProposeError::TooLarge),
        Failure::Call(CallError::Broken | CallError::Late)
        | Failure::Unreadable
        | Failure::Refused(Refusal::Unknown | Refusal::Stopped) => {
            if harmless {
                Ok(None)
            } else {
                Err(ProposeError::Unknown)
            }
        }
        Failure::Refused(Refusal::Generation(_)) => Err(ProposeError::OtherGeneration),
        Failure::Refused(Refusal::Impossible(why)) => Err(ProposeError::Impossible(why)),
        Failure::Refused(Refusal::Malformed) => {
            Err(ProposeError::Impossible("the leader cannot read the question".to_owned()))
        }
    }
}

fn unexpected() -> ProposeError {
    ProposeError::Impossible("the leader answered another question".to_owned())
}

impl<M: Replicable> Clone for Raft<M> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<M: Replicable> fmt::Debug for Shared<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raft").field("node", &self.own).finish_non_exhaustive()
    }
}

impl fmt::Display for RaftError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Store(error) => write!(f, "Raft: {error}"),
            Self::Engine(why) => write!(f, "Raft: {why}"),
            Self::NotEmpty => f.write_str("the node is a cluster's already"),
            Self::NotAlone(members) => {
                let members: Vec<_> = members.iter().map(ToString::to_string).collect();
                let members = members.join(", ");
                write!(
                    f,
                    "the node is in a cluster of the nodes {members}: give its node file the cluster back, \
                     or let it go on alone with `ringwall cluster recover --sole-survivor`"
                )
            }
            Self::Stopped => f.write_str("Raft has stopped"),
        }
    }
}

impl core::error::Error for RaftError {}

impl fmt::Display for ProposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLarge => write!(f, "longer than {RAFT_COMMAND_BYTES} bytes"),
            Self::NoLeader => f.write_str("no leader can be reached: is a majority of voters up?"),
            Self::Unknown => f.write_str("the leader went away meanwhile; it may have been done"),
            Self::OtherGeneration => f.write_str(
                "the cluster went on without this node, whose history is another one; join it anew",
            ),
            Self::Impossible(why) => f.write_str(why),
            Self::Disk(why) => write!(
                f,
                "the disk of this node failed ({why}), so its log stands still: make room on it, and it goes \
                 on by itself; or ask another node"
            ),
            Self::Stopped => f.write_str("Raft has stopped on this node"),
        }
    }
}

impl core::error::Error for ProposeError {}

/// All nodes that take part.
fn nodes(ids: impl Iterator<Item = u64>) -> BTreeSet<NodeId> {
    ids.map(types::node).collect()
}
