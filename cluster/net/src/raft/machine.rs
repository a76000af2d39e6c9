//! The replicated machine as openraft drives it: in memory, rebuilt from snapshot and log at a start.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt as _};
use openraft::storage::{EntryResponder, RaftSnapshotBuilder, RaftStateMachine};
use openraft::{EntryPayload, OptionalSend};
use tokio::sync::{mpsc, watch};

use super::Replicable;
use super::store::RaftStore;
use super::types::{Entry, LogId, Outcome, Snapshot, SnapshotMeta, StoredMembership, Types};

/// What became of the replicated machine, in order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Applied {
    /// The machine is another one: that of the start, or one that a snapshot brought. What was
    /// applied on the way there is not told.
    Restored {
        /// The last index that is in it; none: it is empty.
        index: Option<u64>,
    },
    /// A command was applied.
    Command {
        /// Its place in the log.
        index: u64,
        /// What came of it.
        outcome: Bytes,
    },
}

/// The machine, for all who look at it.
#[derive(Debug)]
pub(super) struct Holder<M> {
    held: Mutex<Held<M>>,
    /// The next index to be applied.
    next: watch::Sender<u64>,
}

#[derive(Debug)]
struct Held<M> {
    machine: M,
    last: Option<LogId>,
    members: StoredMembership,
    /// Whether the driver hears of what is applied.
    told: bool,
}

impl<M: Replicable> Holder<M> {
    pub(super) fn new() -> Self {
        let members = StoredMembership::default();
        let held = Held { machine: M::default(), last: None, members, told: false };
        Self { held: Mutex::new(held), next: watch::Sender::new(0) }
    }

    /// Looks at the machine and at the index up to which it is applied.
    pub(super) fn look<T>(&self, look: impl FnOnce(&M, Option<u64>) -> T) -> T {
        let held = self.held();
        look(&held.machine, held.last.map(|last| last.index))
    }

    /// Resolves when `index` is applied.
    pub(super) async fn until(&self, index: u64) {
        // An error means that nothing is applied any more; whoever waits has a timeout.
        if self.next.subscribe().wait_for(|next| *next > index).await.is_err() {
            core::future::pending::<()>().await;
        }
    }

    /// From now on the driver hears of what is applied. What it hears first is where it begins.
    pub(super) fn begin_telling(&self, told: &mpsc::Sender<Applied>) {
        let mut held = self.held();
        held.told = true;
        let index = held.last.map(|last| last.index);
        // A driver with a full queue will look anyway; one that is gone needs nothing.
        let _ = told.try_send(Applied::Restored { index });
    }

    fn held(&self) -> MutexGuard<'_, Held<M>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Applies an entry; what the driver is to hear of it, and what the proposer is told.
    fn apply(&self, entry: &Entry) -> (Outcome, Option<Applied>) {
        let mut held = self.held();
        let index = entry.log_id.index;
        held.last = Some(entry.log_id);
        let done = match &entry.payload {
            EntryPayload::Blank => (Outcome::default(), None),
            EntryPayload::Membership(members) => {
                held.members = StoredMembership::new(Some(entry.log_id), members.clone());
                (Outcome::default(), None)
            }
            EntryPayload::Normal(command) => {
                let outcome = Bytes::from(held.machine.apply(index, &command.0));
                let told = Applied::Command { index, outcome: outcome.clone() };
                (Outcome(outcome), held.told.then_some(told))
            }
        };
        drop(held);
        self.next.send_replace(index + 1);
        done
    }
}

/// openraft's end of it.
pub(super) struct Machine<M> {
    pub(super) holder: Arc<Holder<M>>,
    pub(super) store: RaftStore,
    pub(super) told: mpsc::Sender<Applied>,
}

impl<M> Machine<M> {
    /// Tells the driver; waits while it has no room, and forgets a driver that is gone.
    async fn tell(&self, applied: Option<Applied>) {
        if let Some(applied) = applied {
            let _ = self.told.send(applied).await;
        }
    }
}

impl<M: Replicable> RaftStateMachine<Types> for Machine<M> {
    type SnapshotData = Bytes;
    type SnapshotBuilder = Builder;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let held = self.holder.held();
        Ok((held.last, held.members.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        self.store.announcements_synced().await.map_err(io::Error::other)?;
        while let Some((entry, responder)) = entries.try_next().await? {
            let (outcome, applied) = self.holder.apply(&entry);
            self.tell(applied).await;
            if let Some(responder) = responder {
                responder.send(outcome);
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Builder {
        let held = self.holder.held();
        let meta = SnapshotMeta { last_log_id: held.last, last_membership: held.members.clone() };
        let snapshot = Bytes::from(held.machine.snapshot());
        Builder { store: self.store.clone(), snapshot: Snapshot { meta, snapshot } }
    }

    async fn install_snapshot(&mut self, meta: &SnapshotMeta, data: Bytes) -> io::Result<()> {
        let machine =
            M::restore(&data).map_err(|why| io::Error::new(io::ErrorKind::InvalidData, why))?;
        if self.store.snapshot_meta().as_ref() != Some(meta) {
            self.store.save_snapshot(meta, data).await?;
        }
        let index = meta.last_log_id.map(|last| last.index);
        let told = {
            let mut held = self.holder.held();
            held.machine = machine;
            held.last = meta.last_log_id;
            held.members = meta.last_membership.clone();
            held.told
        };
        self.holder.next.send_replace(index.map_or(0, |index| index + 1));
        self.tell(told.then_some(Applied::Restored { index })).await;
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<Snapshot>> {
        self.store.snapshot().await
    }
}

/// A snapshot of a moment, on its way to the disk.
pub(super) struct Builder {
    store: RaftStore,
    snapshot: Snapshot,
}

impl RaftSnapshotBuilder<Types> for Builder {
    type SnapshotData = Bytes;

    async fn build_snapshot(&mut self) -> io::Result<Snapshot> {
        let Snapshot { meta, snapshot } = &self.snapshot;
        self.store.save_snapshot(meta, snapshot.clone()).await?;
        Ok(self.snapshot.clone())
    }
}
