//! A shard: one pinned thread with a runtime of its own, in which a flow actor and its supervisor
//! live.
//!
//! | what ends | what happens |
//! |---|---|
//! | the flow actor, by a panic | the worker drops the frame in hand (`poison`), a new actor takes it over |
//! | too often within the window | the same, and the worker drops everything from then on, said loudly |
//! | the supervisor | the shard's thread ends, its pulse stops, the lease is no longer renewed |

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::ArcSwapOption;
use datapath::Poison;
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;
use ractor::{Actor, ActorId, ActorProcessingErr, ActorRef, ActorStatus, SupervisionEvent};
use tokio::sync::{mpsc, oneshot};

use crate::clock;
use crate::cluster::stream::SharedStream;
use crate::flow::{
    self, Flow, FlowMessage, FlowState, NoAnswer, SharedWorker, Wanted, XskWorker, lock,
};
use crate::lease::Pulse;
use crate::limits::{
    ASK_ATTEMPTS, ASK_PAUSE, ASK_TIMEOUT, RESTART_WINDOW, RESTARTS_MAX, SLEEPER_ORDERS,
    WORKER_NICENESS,
};
use crate::restarts::{AfterPanic, Restarts};
use crate::sleeper::{self, Order};
use crate::study;

/// A running shard, as the rest of the node sees it.
#[derive(Clone)]
pub struct Shard {
    /// The worker's number.
    pub index: usize,
    /// The core that its thread is pinned to.
    pub core: Option<usize>,
    /// The worker's sign of life.
    pub pulse: Pulse,
    /// Flow actors started after a panic.
    pub restarts: Arc<AtomicU64>,
    /// Whether the worker was told to drop everything.
    pub drop_only: Arc<AtomicBool>,
    /// Where packets are kept that made its flow actor panic.
    poison_dir: PathBuf,
    current: Current,
    orders: mpsc::Sender<Order>,
}

/// What a shard is given to run.
pub struct Crewman {
    /// The worker.
    pub worker: XskWorker,
    /// What it sleeps on.
    pub descriptors: Vec<OwnedFd>,
    /// Its replication, on a node of a pair.
    pub stream: Option<SharedStream>,
}

/// The flow actor that serves the worker now; another one after each panic.
type Current = Arc<ArcSwapOption<ActorRef<FlowMessage>>>;

impl Shard {
    /// Starts a thread for a worker, pinned to `core` where there is one.
    ///
    /// # Errors
    /// The system gives no thread or no runtime.
    pub fn start(
        index: usize,
        core: Option<usize>,
        crewman: Crewman,
        wants: mpsc::Sender<Wanted>,
        poison_dir: PathBuf,
    ) -> std::io::Result<(Self, JoinHandle<()>, oneshot::Sender<()>)> {
        let Crewman { worker, descriptors, stream } = crewman;
        let (orders, ordered) = mpsc::channel(SLEEPER_ORDERS);
        let (stop, stopped) = oneshot::channel();
        let shard = Self {
            index,
            core,
            poison_dir,
            pulse: Pulse::default(),
            restarts: Arc::default(),
            drop_only: Arc::default(),
            current: Current::default(),
            orders,
        };
        // Its thread has as long to begin as a worker has for a turn.
        shard.pulse.moved(clock::now());
        shard.watch(descriptors);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let running = shard.clone();
        let thread =
            std::thread::Builder::new().name(format!("shard-{index}")).spawn(move || {
                pin(core);
                // Without the right to it, it has what the daemon has.
                let _ = datapath::favour(WORKER_NICENESS);
                runtime.block_on(running.run((worker, stream), ordered, stopped, wants));
            })?;
        Ok((shard, thread, stop))
    }

    /// Sleeps on these descriptors from now on.
    pub fn watch(&self, descriptors: Vec<OwnedFd>) {
        if self.orders.try_send(Order::Watch(descriptors)).is_err() {
            // Its thread has ended; or it is stuck, and then the lease ends.
            tracing::error!(shard = self.index, "the shard's sleeper takes no orders");
        }
    }

    /// Runs `question` on the worker's thread. Asked again when the actor panics before it answers,
    /// so it must be harmless to run twice.
    ///
    /// # Errors
    /// The shard is gone or does not answer in time.
    pub async fn ask<T: Send + 'static>(
        &self,
        question: impl Fn(&mut XskWorker) -> T + Send + Clone + 'static,
    ) -> Result<T, NoAnswer> {
        let mut ended = None;
        for _ in 0..ASK_ATTEMPTS {
            let flow = self.serving(ended).await?;
            match flow::ask(&flow, question.clone()).await {
                Err(NoAnswer::Ended) => ended = Some(flow.get_id()),
                answer => return answer,
            }
        }
        Err(NoAnswer::Ended)
    }

    /// The flow actor in charge. Waits for the first one, and after a panic for the next: what a
    /// worker is told between two actors must not be lost. One that has `ended` may look alive for
    /// a while after its mailbox is gone: it is not asked again.
    async fn serving(
        &self,
        ended: Option<ActorId>,
    ) -> Result<Arc<ActorRef<FlowMessage>>, NoAnswer> {
        let deadline = Instant::now() + ASK_TIMEOUT;
        let serves = |flow: &Arc<ActorRef<FlowMessage>>| {
            flow.get_status() < ActorStatus::Stopping && Some(flow.get_id()) != ended
        };
        loop {
            if let Some(flow) = self.current.load_full().filter(serves) {
                return Ok(flow);
            }
            if self.orders.is_closed() || Instant::now() >= deadline {
                return Err(NoAnswer::Ended);
            }
            tokio::time::sleep(ASK_PAUSE).await;
        }
    }

    async fn run(
        self,
        (worker, stream): (XskWorker, Option<SharedStream>),
        ordered: mpsc::Receiver<Order>,
        stopped: oneshot::Receiver<()>,
        wants: mpsc::Sender<Wanted>,
    ) {
        let (sleeper, sleeps) = mpsc::channel(SLEEPER_ORDERS);
        tokio::spawn(sleeper::run(ordered, sleeps));
        let worker = Arc::new(std::sync::Mutex::new(worker));
        let flow = FlowState::new(Arc::clone(&worker), sleeper, self.pulse.clone(), wants, stream);
        let state = Supervising {
            worker,
            flow,
            restarts: Restarts::new(RESTARTS_MAX, RESTART_WINDOW),
            shard: self.clone(),
        };
        match Actor::spawn(None, Supervisor, state).await {
            Ok((supervisor, mut ended)) => {
                tokio::select! {
                    _ = stopped => {
                        supervisor.stop(None);
                        let _ = ended.await;
                    }
                    _ = &mut ended => {
                        tracing::error!(shard = self.index, "the shard's supervisor ended");
                    }
                }
            }
            Err(error) => tracing::error!(shard = self.index, %error, "the shard did not start"),
        }
        self.current.store(None);
    }
}

/// The cores that this process may use; a service manager or a container may have set some apart.
pub(crate) fn cores() -> Vec<usize> {
    let Ok(set) = sched_getaffinity(Pid::from_raw(0)) else { return Vec::new() };
    (0..CpuSet::count()).filter(|core| set.is_set(*core).unwrap_or(false)).collect()
}

fn pin(core: Option<usize>) {
    let Some(core) = core else { return };
    let mut set = CpuSet::new();
    let pinned = set.set(core).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set));
    if let Err(error) = pinned {
        // Slower, not wrong: a container may forbid it.
        tracing::warn!(core, %error, "cannot pin the shard's thread to its core");
    }
}

/// One-for-one supervision of the shard's flow actor.
struct Supervisor;

struct Supervising {
    worker: SharedWorker,
    flow: FlowState,
    restarts: Restarts,
    shard: Shard,
}

impl Supervising {
    async fn start_flow(&self, myself: &ActorRef<()>) -> Result<(), ActorProcessingErr> {
        let linked = Actor::spawn_linked(None, Flow, self.flow.clone(), myself.get_cell());
        let (flow, _) = linked.await?;
        let order = Order::Serve(flow.clone());
        self.shard.orders.try_send(order).map_err(|_| "the sleeper takes no orders")?;
        self.shard.current.store(Some(Arc::new(flow)));
        Ok(())
    }

    fn after_panic(&mut self, cause: &str) {
        let now = clock::now();
        let after = self.restarts.panicked(now);
        let mut worker = lock(&self.worker);
        worker.recover(now);
        self.worker.clear_poison();
        while let Some(poison) = worker.take_poison() {
            self.keep_for_study(poison);
        }
        self.shard.restarts.fetch_add(1, Ordering::Relaxed);
        let shard = self.shard.index;
        match after {
            AfterPanic::Restart => {
                tracing::error!(
                    shard,
                    cause,
                    "flow actor panicked; its packet is dropped, sessions stay"
                );
            }
            AfterPanic::DropOnly => {
                worker.set_drop_only(true);
                self.shard.drop_only.store(true, Ordering::Relaxed);
                tracing::error!(
                    shard,
                    cause,
                    "flow actor panicked too often: THE SHARD NOW DROPS EVERYTHING; \
                     look at `show ports` and the poison files, then restart the daemon"
                );
            }
        }
    }
}

impl Supervising {
    /// Not on the shard's own thread, which has packets to forward.
    fn keep_for_study(&self, poison: Poison) {
        let (directory, shard) = (self.shard.poison_dir.clone(), self.shard.index);
        tokio::task::spawn_blocking(move || match study::keep(&directory, shard, &poison) {
            Ok(path) => tracing::error!(shard, path = %path.display(), "poisonous packet kept"),
            Err(error) => tracing::error!(shard, %error, "a poisonous packet could not be kept"),
        });
    }
}

impl Actor for Supervisor {
    type Msg = ();
    type State = Supervising;
    type Arguments = Supervising;

    async fn pre_start(
        &self,
        myself: ActorRef<()>,
        state: Supervising,
    ) -> Result<Supervising, ActorProcessingErr> {
        state.start_flow(&myself).await?;
        Ok(state)
    }

    async fn handle_supervisor_evt(
        &self,
        myself: ActorRef<()>,
        event: SupervisionEvent,
        state: &mut Supervising,
    ) -> Result<(), ActorProcessingErr> {
        match event {
            SupervisionEvent::ActorFailed(_, cause) => {
                state.after_panic(&cause.to_string());
                state.start_flow(&myself).await
            }
            SupervisionEvent::ActorTerminated(..)
            | SupervisionEvent::ActorStarted(_)
            | SupervisionEvent::ProcessGroupChanged(_) => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Idle;

    impl Actor for Idle {
        type Msg = FlowMessage;
        type State = ();
        type Arguments = ();

        async fn pre_start(
            &self,
            _: ActorRef<FlowMessage>,
            (): (),
        ) -> Result<(), ActorProcessingErr> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn who_ended_is_not_asked_again_however_alive_it_looks() {
        let (orders, _ordered) = mpsc::channel(1);
        let shard = Shard {
            index: 0,
            core: None,
            poison_dir: PathBuf::new(),
            pulse: Pulse::default(),
            restarts: Arc::default(),
            drop_only: Arc::default(),
            current: Current::default(),
            orders,
        };
        let (old, _) = Actor::spawn(None, Idle, ()).await.expect("an actor without state");
        let (new, _) = Actor::spawn(None, Idle, ()).await.expect("an actor without state");
        shard.current.store(Some(Arc::new(old.clone())));
        assert_eq!(shard.serving(None).await.map(|flow| flow.get_id()), Ok(old.get_id()));
        let (asked, next) = (shard.clone(), new.clone());
        let waiting = tokio::spawn(async move { asked.serving(Some(old.get_id())).await });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished(), "the old one is still the current one");
        shard.current.store(Some(Arc::new(next)));
        let serving = waiting.await.expect("no panic");
        assert_eq!(serving.map(|flow| flow.get_id()), Ok(new.get_id()));
    }

    #[test]
    fn a_thread_that_is_bound_has_one_core() {
        let all = cores();
        assert!(!all.is_empty());
        let last = all.last().copied();
        let bound = std::thread::spawn(move || {
            pin(last);
            cores()
        });
        assert_eq!(bound.join().expect("no panic"), Vec::from_iter(last));
    }
}
