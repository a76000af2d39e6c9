//! How a node's policy begins: with what it ran last, with what it was given at its first start, or with
//! what the others have.

use std::io;
use std::path::{Path, PathBuf};

use cluster_core::NodeId;
use cluster_core::membership::Kind;
use cluster_core::policy::log::Member;
use cluster_core::policy::{Log, PolicyText, Version};
use cluster_net::identity::ClusterName;
use cluster_net::raft::{Applied, Raft, RaftError, RaftStore, Settings, Timing, rank};
use cluster_net::store::StoreError;
use cluster_net::transport::Sender;
use tokio::sync::mpsc;

use super::disk::{Disk, Remembered};
use super::room;
use super::{InForce, compile};
use crate::node::Seed;

/// What is known before anything is agreed on.
#[derive(Debug)]
pub(crate) struct Founding {
    pub(super) disk: Disk,
    pub(super) remembered: Remembered,
    pub(super) folder: PathBuf,
}

/// Where a node's log comes from.
#[derive(Clone, Debug)]
pub(crate) enum Origin {
    /// This node begins it, with this policy if there is none.
    Founder(Option<Seed>),
    /// Another node brings it.
    Joined,
}

/// Whom the log should name.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) origin: Origin,
    pub(super) roster: Vec<(NodeId, Member)>,
}

/// A log that runs.
pub(crate) struct Grounds {
    pub(super) raft: Raft<Log>,
    pub(super) applied: mpsc::Receiver<Applied>,
    pub(super) plan: Plan,
}

/// Why there is no log.
#[derive(Debug)]
pub enum LogError {
    /// Its file.
    Store(StoreError),
    /// Raft.
    Raft(RaftError),
}

/// The name of the cluster that a node without any is alone in.
const ALONE: &str = "alone";

/// See [`super::first`].
pub(super) fn first(
    folder: &Path,
    node: NodeId,
    ports: &[String],
) -> io::Result<(InForce, Founding)> {
    let disk = Disk::open(folder)?;
    let remembered = disk.recall()?;
    let in_force = recall(&remembered, ports).unwrap_or_else(|why| {
        tracing::error!(%node, %why, "what this node ran last cannot be run now: nothing passes");
        None
    });
    let in_force = match in_force {
        Some(in_force) => in_force,
        None => compile::deny_all(ports).map_err(io::Error::other)?,
    };
    Ok((in_force, Founding { disk, remembered, folder: folder.to_owned() }))
}

fn recall(
    remembered: &Remembered,
    ports: &[String],
) -> Result<Option<InForce>, config::api::Error> {
    let facts = &remembered.facts;
    let wanted = facts.trial.filter(|it| it.alone).map_or(facts.runs, |it| it.trial.revert);
    if wanted == Version::NONE {
        return Ok(None);
    }
    let text = remembered.texts.iter().find(|(source, _)| *source == wanted.source);
    let Some((_, text)) = text else {
        return Err(config::api::Error::new("its text is not on the disk"));
    };
    compile::compile("policy", text.as_str(), wanted, ports, room::ALONE).map(Some)
}

impl Grounds {
    pub(super) fn raft(&self) -> Raft<Log> {
        self.raft.clone()
    }
}

impl Founding {
    /// What this node would begin a log with: what it ran before it had one, in another folder or as an
    /// earlier version kept it.
    pub(crate) fn inherited(data_dir: &Path) -> io::Result<Option<Seed>> {
        let alone = data_dir.join("policy");
        if alone.is_dir() {
            let Remembered { facts, texts } = Disk::open(&alone)?.recall()?;
            let own = texts.into_iter().find(|(source, _)| *source == facts.runs.source);
            if let Some((_, text)) = own {
                return Ok(Some(inherited("policy of this node", text.as_str())));
            }
        }
        let earlier = crate::revisions::newest(data_dir)?;
        Ok(earlier.map(|it| inherited(&it.file, &it.text)))
    }

    /// Opens the log of a node that is alone.
    pub(crate) async fn alone(&self, node: NodeId, plan: Origin) -> Result<Grounds, LogError> {
        let name: ClusterName = ALONE.parse().map_err(|_| {
            LogError::Store(StoreError::Damaged("the name of a node's own cluster"))
        })?;
        let store = self.store(&name, node)?;
        let settings = settings(0);
        let started = Raft::start_alone(settings, store).await;
        let (raft, applied) = started.map_err(LogError::Raft)?;
        let address = ([127, 0, 0, 1], 0).into();
        let own = Member { kind: Kind::Firewall, address, name: Default::default() };
        let plan = Plan { origin: plan, roster: vec![(node, own)] };
        Ok(Grounds { raft, applied, plan })
    }

    /// Opens a cluster's log; the roster has this node, too.
    pub(crate) async fn clustered(
        &self,
        name: &ClusterName,
        node: NodeId,
        sender: Sender,
        origin: Origin,
        roster: Vec<(NodeId, Member)>,
    ) -> Result<Grounds, LogError> {
        let store = self.store(name, node)?;
        let members = roster.iter().map(|(node, _)| *node).collect();
        let fresh = store.generation().is_none();
        let started = Raft::start(settings(rank(node, &members)), store, sender).await;
        let (raft, applied) = started.map_err(LogError::Raft)?;
        if fresh && matches!(origin, Origin::Founder(_)) {
            raft.initialize().await.map_err(LogError::Raft)?;
        }
        Ok(Grounds { raft, applied, plan: Plan { origin, roster } })
    }

    fn store(&self, name: &ClusterName, node: NodeId) -> Result<RaftStore, LogError> {
        RaftStore::open(&self.folder.join("raft.redb"), name, node).map_err(LogError::Store)
    }

    /// The text that this node ran last.
    pub(crate) fn text(&self) -> Option<&str> {
        let Remembered { facts, texts } = &self.remembered;
        let own = texts.iter().find(|(source, _)| *source == facts.runs.source);
        own.map(|(_, text)| text.as_str())
    }

    /// Whether a policy was ever run from this folder.
    pub(crate) fn is_new(&self) -> bool {
        self.remembered.facts.runs == Version::NONE
    }
}

fn inherited(file: &str, text: &str) -> Seed {
    Seed { file: file.to_owned(), text: text.to_owned() }
}

fn settings(rank: u64) -> Settings {
    let seed = crate::clock::now().0 ^ u64::from(std::process::id()).rotate_left(32);
    Settings { rank, seed, timing: Timing::default() }
}

impl std::fmt::Display for LogError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Store(error) => write!(f, "the log of the policy: {error}"),
            Self::Raft(error) => write!(f, "the log of the policy: {error}"),
        }
    }
}

impl std::error::Error for LogError {}

/// A text as the log takes it.
pub(super) fn text(text: &str) -> Result<PolicyText, config::api::Error> {
    PolicyText::new(text).map_err(|_| {
        let most = cluster_core::limits::POLICY_TEXT_BYTES >> 20;
        config::api::Error::new(format!("the policy is longer than {most} MiB with its lists"))
    })
}
