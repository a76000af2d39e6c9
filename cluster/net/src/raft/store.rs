//! What Raft keeps on disk: log, vote, snapshot, generation, all in one redb file.
//!
//! ```text
//! append ──┐            ┌ one transaction ┐
//! vote   ──┼──► queue ──┤ of what waits   ├── fsync ──► "it is on the disk"
//! purge  ──┘            └─────────────────┘
//! ```
//!
//! - **Nothing is acknowledged before its fsync.** Entries can be read at once, from memory, but their
//!   writer is told only after the commit; a vote's writer waits for it.
//! - **What queues shares a commit**, in its order. One thread writes.
//! - **A failed write or sync poisons the store**, as it does the node's ([`crate::store`]). Another one is
//!   opened from the file then, with nothing of this one's memory ([`RaftStore::reopen`]).

mod log;
mod memory;
mod snapshot;
mod writer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::{io, thread};

use cluster_core::NodeId;
use cluster_core::replication::Histogram;
use redb::{ReadTransaction, ReadableTable, StorageBackend, TableDefinition};
use tokio::sync::{mpsc, oneshot, watch};

use super::types::{Entry, LogId, SnapshotMeta, Vote};
use super::wire::{self, Generation, Tag, WireEntry, WireLogId, WireMeta, WireVote};
use crate::identity::ClusterName;
use crate::limits::RAFT_STORE_QUEUE;
use crate::store::{StoreError, Vault, storage};

use memory::Memory;
use writer::{Change, Job};

const NUMBERS: TableDefinition<'_, &str, u64> = TableDefinition::new("numbers");
const TEXTS: TableDefinition<'_, &str, &str> = TableDefinition::new("texts");
/// Vote, last purged entry, last committed entry, meta data of the snapshot.
const FACTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("facts");
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");
const SNAPSHOT: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("snapshot");

const FORMAT: &str = "format";
const NODE: &str = "node";
const CLUSTER: &str = "cluster";
const GENERATION: &str = "generation";
const FOUNDER: &str = "founder";
const VOTE: &str = "vote";
const PURGED: &str = "purged";
const COMMITTED: &str = "committed";
const META: &str = "snapshot";
/// Version of the tables.
const FORMAT_VERSION: u64 = 1;

/// Raft's memory. Clones are the same one; its thread ends with the last.
#[derive(Clone, Debug)]
pub struct RaftStore {
    shared: Arc<Shared>,
    queue: mpsc::Sender<Job>,
}

#[derive(Debug)]
struct Shared {
    node: NodeId,
    cluster: ClusterName,
    vault: Vault,
    memory: Mutex<Memory>,
    syncs: Mutex<Histogram>,
    /// How many announcements of what is committed are on the disk.
    announced: watch::Sender<u64>,
}

impl RaftStore {
    /// Opens the store of `node`, or makes it. After a crash while it is made it is there whole or
    /// not at all.
    ///
    /// # Errors
    /// If it is damaged, another node's, or cannot be made.
    pub fn open(path: &Path, cluster: &ClusterName, node: NodeId) -> Result<Self, StoreError> {
        if !path.exists() {
            Vault::create(path, |vault| {
                found(&vault, cluster, node)?;
                Ok(vault)
            })?;
        }
        Self::begin(Vault::open(path)?, cluster, node)
    }

    /// A store on something that is no file.
    ///
    /// # Errors
    /// What the backend says.
    pub fn with_backend(
        backend: impl StorageBackend,
        cluster: &ClusterName,
        node: NodeId,
    ) -> Result<Self, StoreError> {
        let (vault, empty) = Vault::with_backend(backend)?;
        if empty {
            found(&vault, cluster, node)?;
        }
        Self::begin(vault, cluster, node)
    }

    /// The same, which can be opened anew.
    #[cfg(test)]
    pub(super) fn with_backends<B: StorageBackend>(
        make: impl Fn() -> B + Send + Sync + 'static,
        cluster: &ClusterName,
        node: NodeId,
    ) -> Result<Self, StoreError> {
        let (vault, empty) = Vault::with_backend(make())?;
        if empty {
            found(&vault, cluster, node)?;
        }
        Self::begin(vault.opened_from(crate::store::Source::backend(make)), cluster, node)
    }

    /// Opens the file anew after a failure, from what is certainly on the disk; nothing is taken over from
    /// memory. This store is given up with that, whatever comes of it. Blocks.
    ///
    /// # Errors
    /// The disk refuses still.
    pub(super) fn reopen(&self) -> Result<Self, StoreError> {
        let Shared { vault, cluster, node, .. } = &*self.shared;
        let again = Self::begin(vault.reopen()?, cluster, *node)?;
        *again.shared.syncs() = *self.shared.syncs();
        Ok(again)
    }

    /// Gives the file up, so that another store may be opened from it.
    pub(super) fn close(&self) {
        // What was half done is left to the next run.
        let _ = self.shared.vault.close();
    }

    /// From now on nothing is promised any more.
    pub(super) fn fail(&self, why: &str) {
        self.shared.vault.fail(why, 0);
    }

    /// Why nothing can be promised any more, if that is so.
    #[must_use]
    pub fn ailment(&self) -> Option<String> {
        self.shared.vault.ailment()
    }

    fn begin(vault: Vault, cluster: &ClusterName, node: NodeId) -> Result<Self, StoreError> {
        vault.read(|transaction| check(transaction, cluster, node))?;
        let memory = Mutex::new(vault.read(remembered)?);
        let announced = watch::Sender::new(0);
        let (cluster, syncs) = (cluster.clone(), Mutex::default());
        let shared = Arc::new(Shared { node, cluster, vault, memory, syncs, announced });
        let (queue, jobs) = mpsc::channel(RAFT_STORE_QUEUE);
        let writer = Arc::clone(&shared);
        thread::Builder::new()
            .name("raft-store".to_owned())
            .spawn(move || writer::run(&writer, jobs))
            .map_err(StoreError::File)?;
        Ok(Self { shared, queue })
    }

    /// Whether nothing can be promised any more.
    #[must_use]
    pub fn is_poisoned(&self) -> bool {
        self.shared.vault.is_poisoned()
    }

    /// How long commits took, their fsyncs included.
    #[must_use]
    pub fn sync_times(&self) -> Histogram {
        *self.shared.syncs()
    }

    /// Bytes of the log, about.
    #[must_use]
    pub fn log_bytes(&self) -> u64 {
        self.memory().bytes()
    }

    /// The history that this node has a part of; none before it has one.
    #[must_use]
    pub fn generation(&self) -> Option<Generation> {
        self.memory().generation
    }

    /// The node whose store it is.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.shared.node
    }

    /// Lets this node go on alone, with all that its log holds, as the only voter of a new generation.
    /// Others of the old one are refused from then on. For a store that no Raft uses.
    ///
    /// # Errors
    /// If it has no history, or the disk refuses.
    pub async fn survive_alone(&self) -> Result<Generation, StoreError> {
        let (generation, vote, entry) = {
            let memory = self.memory();
            let old = memory.generation.ok_or(StoreError::Damaged("it has no history"))?;
            let last = memory.last.ok_or(StoreError::Damaged("its log is empty"))?;
            let founder = self.shared.node.0;
            let generation = Generation { number: old.number + 1, founder };
            let (vote, entry) = super::survivor::entry(self.shared.node, memory.vote, last)?;
            (generation, vote, entry)
        };
        self.ask(|done| Job::wait(Change::Survive(generation, vote, Box::new(entry)), done))
            .await?;
        Ok(generation)
    }

    pub(super) async fn set_generation(&self, generation: Generation) -> Result<(), StoreError> {
        self.ask(|done| Job::wait(Change::Generation(generation), done)).await
    }

    /// Queues a write and waits until it is on the disk.
    async fn ask(
        &self,
        job: impl FnOnce(oneshot::Sender<Result<(), StoreError>>) -> Job,
    ) -> Result<(), StoreError> {
        let (done, written) = oneshot::channel();
        self.queue.send(job(done)).await.map_err(|_| StoreError::Poisoned)?;
        written.await.map_err(|_| StoreError::Poisoned)?
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.shared.memory()
    }
}

impl Shared {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn syncs(&self) -> MutexGuard<'_, Histogram> {
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Fills a new file.
fn found(vault: &Vault, cluster: &ClusterName, node: NodeId) -> Result<(), StoreError> {
    vault.write(0, |transaction| {
        let mut numbers = transaction.open_table(NUMBERS).map_err(storage)?;
        numbers.insert(FORMAT, FORMAT_VERSION).map_err(storage)?;
        numbers.insert(NODE, u64::from(node.0)).map_err(storage)?;
        let mut texts = transaction.open_table(TEXTS).map_err(storage)?;
        texts.insert(CLUSTER, cluster.as_str()).map_err(storage)?;
        transaction.open_table(FACTS).map_err(storage)?;
        transaction.open_table(LOG).map_err(storage)?;
        transaction.open_table(SNAPSHOT).map_err(storage)?;
        Ok(())
    })
}

fn check(
    transaction: &ReadTransaction,
    cluster: &ClusterName,
    node: NodeId,
) -> Result<(), StoreError> {
    let numbers = transaction.open_table(NUMBERS).map_err(storage)?;
    if number(&numbers, FORMAT)? != Some(FORMAT_VERSION) {
        return Err(StoreError::Damaged("the version of its tables is not known"));
    }
    let owner = number(&numbers, NODE)?.ok_or(StoreError::Damaged("a number is missing"))?;
    let texts = transaction.open_table(TEXTS).map_err(storage)?;
    let name = texts.get(CLUSTER).map_err(storage)?;
    let name = name.map(|text| text.value().to_owned()).unwrap_or_default();
    if name != cluster.as_str() || owner != u64::from(node.0) {
        return Err(StoreError::Foreign(format!("node {owner} of cluster `{name}`")));
    }
    Ok(())
}

/// What the disk holds, but for the entries themselves.
fn remembered(transaction: &ReadTransaction) -> Result<Memory, StoreError> {
    let facts = transaction.open_table(FACTS).map_err(storage)?;
    let vote = fact::<WireVote>(&facts, VOTE, Tag::Vote)?.map(Vote::from);
    let purged = fact::<WireLogId>(&facts, PURGED, Tag::LogId)?.map(LogId::from);
    let committed = fact::<WireLogId>(&facts, COMMITTED, Tag::LogId)?.map(LogId::from);
    let meta = fact::<WireMeta>(&facts, META, Tag::SnapshotMeta)?;
    let snapshot = meta.map(SnapshotMeta::try_from).transpose().map_err(|_| unreadable())?;
    let log = transaction.open_table(LOG).map_err(storage)?;
    let mut sizes = BTreeMap::new();
    for row in log.iter().map_err(storage)? {
        let (index, entry) = row.map_err(storage)?;
        sizes.insert(index.value(), entry.value().len() as u64);
    }
    let last = match log.last().map_err(storage)? {
        Some((_, row)) => Some(entry(row.value())?.log_id),
        None => purged,
    };
    let numbers = transaction.open_table(NUMBERS).map_err(storage)?;
    let generation = generation(&numbers)?;
    let memory =
        Memory { sizes, vote, purged, committed, last, snapshot, generation, ..Memory::default() };
    memory.check()?;
    Ok(memory)
}

fn generation(
    numbers: &impl ReadableTable<&'static str, u64>,
) -> Result<Option<Generation>, StoreError> {
    let founder = number(numbers, FOUNDER)?.map(u16::try_from).transpose();
    let founder = founder.map_err(|_| unreadable())?;
    let number = number(numbers, GENERATION)?;
    Ok(number.zip(founder).map(|(number, founder)| Generation { number, founder }))
}

fn number(
    table: &impl ReadableTable<&'static str, u64>,
    key: &str,
) -> Result<Option<u64>, StoreError> {
    Ok(table.get(key).map_err(storage)?.map(|value| value.value()))
}

fn fact<T: crate::codec::Decode<()>>(
    table: &impl ReadableTable<&'static str, &'static [u8]>,
    key: &str,
    tag: Tag,
) -> Result<Option<T>, StoreError> {
    let row = table.get(key).map_err(storage)?;
    row.map(|row| wire::decode(tag, row.value()).map_err(|_| unreadable())).transpose()
}

fn entry(row: &[u8]) -> Result<Entry, StoreError> {
    let wire: WireEntry = wire::decode(Tag::Entry, row).map_err(|_| unreadable())?;
    wire.open().map_err(|_| unreadable())
}

fn unreadable() -> StoreError {
    StoreError::Damaged("a row of Raft's cannot be read")
}

fn io_error(error: StoreError) -> io::Error {
    io::Error::other(error)
}
