//! One run of openraft over one opened store. When the disk fails it ends, and another one begins.

use std::sync::{Arc, Mutex, PoisonError};

use openraft::errors::Fatal;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::answer::{self, Core};
use super::machine::{Applied, Holder, Machine};
use super::network::{Context, Network};
use super::store::RaftStore;
use super::{Leadership, RaftError, Replicable, Settings, status, watchdog};
use crate::limits::RAFT_STOP_TIMEOUT;
use crate::transport::{Channel, Sender};

/// What each run is begun with.
pub(super) struct Outfit {
    pub(super) settings: Settings,
    /// The way to the others; none for a node that is in no cluster.
    pub(super) sender: Option<Sender>,
    /// Where the driver hears of what is applied.
    pub(super) told: mpsc::Sender<Applied>,
    /// Where it hears of who leads.
    pub(super) seen: Arc<watch::Sender<Leadership>>,
}

/// A run.
pub(super) struct Instance<M: Replicable> {
    pub(super) core: Core<M>,
    pub(super) context: Arc<Context>,
    pub(super) holder: Arc<Holder<M>>,
    /// Answers peers, until another run does.
    _answers: JoinSet<()>,
    watchdog: Mutex<JoinSet<()>>,
}

/// How a run does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    Well,
    /// The disk failed, and how.
    Ailing(String),
    /// It was told to stop, or has panicked.
    Over,
}

impl<M: Replicable> Instance<M> {
    /// Begins with what the store holds. The driver hears nothing yet: [`Holder::begin_telling`].
    pub(super) async fn begin(outfit: &Outfit, store: RaftStore) -> Result<Self, RaftError> {
        let Outfit { settings, sender, told, seen } = outfit;
        let calls = sender.as_ref().map(|sender| sender.answer_calls(Channel::Raft));
        let context = Arc::new(Context::new(sender.clone(), store.clone()));
        let holder = Arc::new(Holder::new());
        let config = Arc::new(settings.timing.config(settings.rank, sender.is_none())?);
        let machine =
            Machine { holder: Arc::clone(&holder), store: store.clone(), told: told.clone() };
        let network = Network(Arc::clone(&context));
        let core = openraft::Raft::new(context.own, config, network, store, machine).await;
        let core = core.map_err(|error| RaftError::Engine(error.to_string()))?;
        // From here on nothing waits, so that no half of a run is left behind.
        let mut answers = JoinSet::new();
        if let Some(calls) = calls {
            answers.spawn(answer::serve(core.clone(), Arc::clone(&context), calls));
        }
        let mut dog = JoinSet::new();
        let (watched, seen) = ((core.clone(), Arc::clone(&context)), Arc::clone(seen));
        dog.spawn(watchdog::watch(watched.0, watched.1, seen, settings.seed));
        Ok(Self { core, context, holder, _answers: answers, watchdog: Mutex::new(dog) })
    }

    pub(super) fn health(&self) -> Health {
        if let Some(why) = self.context.store.ailment() {
            return Health::Ailing(why);
        }
        match &status::metrics(&self.core).running_state {
            Ok(()) => Health::Well,
            Err(Fatal::StorageError(error)) => Health::Ailing(error.to_string()),
            Err(Fatal::Panicked | Fatal::Stopped) => Health::Over,
        }
    }

    /// Ends it, so that nothing of it reads, writes or speaks of leaders any more. It goes on telling peers
    /// that it has stopped.
    ///
    /// # Errors
    /// Not in time; it may be told again.
    pub(super) async fn end(&self) -> Result<(), RaftError> {
        let mut dog = core::mem::take(&mut *self.dog());
        dog.shutdown().await;
        let ended = timeout(RAFT_STOP_TIMEOUT, self.core.shutdown()).await;
        ended.map(drop).map_err(|_| RaftError::Stopped)
    }

    fn dog(&self) -> std::sync::MutexGuard<'_, JoinSet<()>> {
        self.watchdog.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
