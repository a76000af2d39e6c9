//! The run of Raft that there is, and another one after the disk has failed.
//!
//! ```text
//!          a write, sync or read fails
//!  runs ──────────────────────────────► stands still: peers and proposers are refused
//!   ▲                                       │ the run ends, its store is given up
//!   │  vote and log as on the disk          ▼
//!   └────────────────────────────── opened anew, once a second until that works
//! ```
//!
//! Nothing of the run that failed is taken over. What it acknowledged is on the disk, and read from there;
//! what it did not is there or not, as after a loss of power. What others see of the machine meanwhile is
//! what it was, and never less than that afterwards: nothing is applied before the disk knows that it may be.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};

use openraft::async_runtime::watch::WatchReceiver as _;
use tokio::task::spawn_blocking;
use tokio::time::sleep;

use super::instance::{Health, Instance, Outfit};
use super::store::RaftStore;
use super::{Leadership, RaftError, Replicable};
use crate::limits::{RAFT_WATCH, STORE_AGAIN};
use crate::store::StoreError;

/// What keeps a Raft running.
pub(super) struct Keeper<M: Replicable> {
    outfit: Outfit,
    now: RwLock<Arc<Instance<M>>>,
    failures: AtomicU64,
    reopened: AtomicU64,
}

impl<M: Replicable> Keeper<M> {
    pub(super) fn new(outfit: Outfit, first: Instance<M>) -> Self {
        let now = RwLock::new(Arc::new(first));
        let keeper = Self { outfit, now, failures: AtomicU64::new(0), reopened: AtomicU64::new(0) };
        keeper.tell_where_it_begins();
        keeper
    }

    /// The run that there is.
    pub(super) fn now(&self) -> Arc<Instance<M>> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// How often the disk has failed, and how often the store was opened anew since then.
    pub(super) fn counts(&self) -> [u64; 2] {
        [&self.failures, &self.reopened].map(|it| it.load(Ordering::Relaxed))
    }

    fn tell_where_it_begins(&self) {
        self.now().holder.begin_telling(&self.outfit.told);
    }

    /// Ends the run that failed, and begins another one.
    async fn begin_anew(&self, failed: &Instance<M>) -> Result<(), RaftError> {
        failed.end().await?;
        let store = reopened(failed.context.store.clone()).await.map_err(RaftError::Store)?;
        match Instance::begin(&self.outfit, store.clone()).await {
            Ok(next) => {
                let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
                *now = Arc::new(next);
                drop(now);
                self.tell_where_it_begins();
                Ok(())
            }
            Err(error) => {
                // Or the next attempt would find it in use.
                let _ = spawn_blocking(move || store.close()).await;
                Err(error)
            }
        }
    }

    /// Notes that the disk has failed.
    fn fall(&self, failed: &Instance<M>, why: &str) {
        self.failures.fetch_add(1, Ordering::Relaxed);
        failed.context.store.fail(why);
        self.outfit.seen.send_replace(Leadership::default());
        tracing::error!(
            why,
            "THE LOG OF THE POLICY STANDS STILL, as the disk of this node failed: it forwards as before, and \
             takes part in no commit. Make room on the disk; it goes on by itself then"
        );
    }

    /// It has been stopped.
    pub(super) fn over(&self) {
        self.outfit.seen.send_replace(Leadership::default());
    }

    fn rise(&self) {
        self.reopened.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(
            "the log of the policy goes on: the disk works again, and it was opened anew"
        );
    }
}

/// Looks after it, until Raft is stopped or nobody wants it any more.
pub(super) async fn keep<M: Replicable>(keeper: Weak<Keeper<M>>) {
    while let Some(held) = keeper.upgrade() {
        let run = held.now();
        drop(held);
        match ails(&keeper, &run).await {
            Some(why) => {
                drop(run);
                heal(&keeper, &why).await;
            }
            None => return,
        }
    }
}

/// Waits until a run's disk fails, and says how; `None` if there is nobody to heal it, or nothing to heal.
async fn ails<M: Replicable>(keeper: &Weak<Keeper<M>>, run: &Instance<M>) -> Option<String> {
    // One receiver: a new one takes what it finds for a change.
    let mut changes = run.core.metrics();
    while keeper.strong_count() > 0 {
        match run.health() {
            Health::Well => tokio::select! {
                () = sleep(RAFT_WATCH) => {}
                changed = changes.changed() => if changed.is_err() { sleep(RAFT_WATCH).await },
            },
            Health::Ailing(why) => return Some(why),
            Health::Over => {
                tracing::error!(
                    "RAFT HAS PANICKED: nothing is committed by this node until the daemon is restarted; \
                     please report what stands above"
                );
                return None;
            }
        }
    }
    None
}

/// Tries until it runs again.
async fn heal<M: Replicable>(keeper: &Weak<Keeper<M>>, why: &str) {
    let Some(held) = keeper.upgrade() else { return };
    held.fall(&held.now(), why);
    drop(held);
    let mut told = String::new();
    while let Some(held) = keeper.upgrade() {
        let failed = held.now();
        match held.begin_anew(&failed).await {
            Ok(()) => return held.rise(),
            Err(error) => {
                let error = error.to_string();
                // It may not be room that is wanted.
                if error != told {
                    tracing::info!(why = error, "the log of the policy was not opened anew yet");
                    told = error;
                }
            }
        }
        drop((failed, held));
        sleep(STORE_AGAIN).await;
    }
}

async fn reopened(store: RaftStore) -> Result<RaftStore, StoreError> {
    let opened = spawn_blocking(move || store.reopen()).await;
    opened.unwrap_or(Err(StoreError::Poisoned))
}
