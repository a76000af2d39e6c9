//! The flow actor: calls its worker's turns, and carries out control between them.
//!
//! ```text
//!           ┌────────── Turn (to itself) ─────────┐
//!           ▼                                     │ busy
//!        awake ── turn ── idle ──► asleep ── Wake (sleeper: socket, bell, time) ──► awake
//!           ▲                        │
//!           └────── Control ─────────┘
//! ```
//!
//! At most one `Turn` is in the mailbox: it is sent when the actor wakes and by each busy turn, and
//! never otherwise. The worker outlives the actor; a panic in a turn ends the actor only, and its
//! supervisor starts another on the same worker.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use datapath::{Turn, Worker, XskPort};
use engine::PortId;
use ractor::{Actor, ActorProcessingErr, ActorRef};
use tokio::sync::{mpsc, oneshot};
use wire::Time;

use crate::clock;
use crate::cluster::stream::{self, SharedStream, Wish};
use crate::lease::Pulse;
use crate::limits::ASK_TIMEOUT;

/// The worker of a real node.
pub type XskWorker = Worker<XskPort>;

/// The worker, which the actor is handed and hands on. The lock is taken once a turn, and nobody
/// else takes it while the actor lives.
pub type SharedWorker = Arc<Mutex<XskWorker>>;

/// A next hop that the kernel should resolve.
pub type Wanted = (PortId, IpAddr);

/// A piece of control: runs on the worker's thread between two turns.
pub type Control = Box<dyn FnOnce(&mut XskWorker) + Send>;

/// What a flow actor is told.
pub enum FlowMessage {
    /// Do a turn.
    Turn,
    /// The sleeper woke: a packet came, a bell rang, or it is time.
    Wake,
    /// Do this with the worker.
    Control(Control),
}

/// The behaviour; its state is [`FlowState`].
pub struct Flow;

/// What a flow actor works with.
#[derive(Clone)]
pub struct FlowState {
    /// The worker it runs.
    pub worker: SharedWorker,
    /// Where it says until when it sleeps.
    pub sleeper: mpsc::Sender<Time>,
    /// Where it shows that it lives.
    pub pulse: Pulse,
    /// Where it asks for next hops' link-layer addresses.
    pub wants: mpsc::Sender<Wanted>,
    /// The worker's replication, on a node of a pair.
    pub stream: Option<SharedStream>,
    awake: bool,
}

impl FlowState {
    /// The state of an actor that has not started.
    #[must_use]
    pub fn new(
        worker: SharedWorker,
        sleeper: mpsc::Sender<Time>,
        pulse: Pulse,
        wants: mpsc::Sender<Wanted>,
        stream: Option<SharedStream>,
    ) -> Self {
        Self { worker, sleeper, pulse, wants, stream, awake: false }
    }

    fn wake(&mut self, myself: &ActorRef<FlowMessage>) -> Result<(), ActorProcessingErr> {
        if !self.awake {
            self.awake = true;
            lock(&self.worker).bell().get_up();
            myself.cast(FlowMessage::Turn)?;
        }
        Ok(())
    }

    fn turn(&mut self, myself: &ActorRef<FlowMessage>) -> Result<(), ActorProcessingErr> {
        let now = clock::now();
        self.pulse.moved(now);
        let mut worker = lock(&self.worker);
        let mut stream = self.stream.as_ref().map(stream::lock);
        if let Some(stream) = &mut stream {
            stream.before(worker.engine(), now);
        }
        let turn = worker.turn(now);
        let wish = stream.as_mut().map(|stream| stream.after(worker.engine(), now));
        while let Some(wanted) = worker.next_resolve() {
            // Full: the next packet to this neighbour asks again.
            let _ = self.wants.try_send(wanted);
        }
        let until = match turn {
            Turn::Busy => None,
            Turn::Idle { until } => rest(until, wish, now),
        };
        if let Some(until) = until
            && worker.lie_down()
        {
            if stream.as_ref().is_none_or(|stream| !stream.is_due()) {
                drop((stream, worker));
                self.awake = false;
                self.pulse.idle();
                return Ok(self.sleeper.try_send(until)?);
            }
            worker.bell().get_up();
        }
        drop((stream, worker));
        Ok(myself.cast(FlowMessage::Turn)?)
    }
}

/// Until when an idle worker may sleep; `None` if its stream has something to do.
fn rest(until: Time, wish: Option<Wish>, now: Time) -> Option<Time> {
    let Some(wish) = wish else { return Some(until) };
    let until = wish.until.map_or(until, |at| at.min(until));
    (!wish.at_once && until > now).then_some(until)
}

impl Actor for Flow {
    type Msg = FlowMessage;
    type State = FlowState;
    type Arguments = FlowState;

    async fn pre_start(
        &self,
        myself: ActorRef<FlowMessage>,
        mut state: FlowState,
    ) -> Result<FlowState, ActorProcessingErr> {
        state.awake = false;
        state.wake(&myself)?;
        Ok(state)
    }

    async fn handle(
        &self,
        myself: ActorRef<FlowMessage>,
        message: FlowMessage,
        state: &mut FlowState,
    ) -> Result<(), ActorProcessingErr> {
        match message {
            FlowMessage::Turn => state.turn(&myself),
            FlowMessage::Wake => state.wake(&myself),
            FlowMessage::Control(control) => {
                control(&mut lock(&state.worker));
                state.wake(&myself)
            }
        }
    }
}

/// Takes the worker. A panic in an earlier turn poisoned the lock; the supervisor has repaired the
/// worker since, so what it protects is sound.
pub fn lock(worker: &SharedWorker) -> MutexGuard<'_, XskWorker> {
    worker.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Why a flow actor did not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoAnswer {
    /// It ended first, and took the question with it.
    Ended,
    /// It did not get round to it in time.
    Late,
}

impl core::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Self::Ended => "a flow actor ended before it answered; the log says why",
            Self::Late => "a flow actor did not answer in time",
        })
    }
}

impl core::error::Error for NoAnswer {}

/// Runs `question` on the worker's thread and waits for what it returns.
///
/// # Errors
/// The actor is gone or does not answer within [`ASK_TIMEOUT`].
pub async fn ask<T: Send + 'static>(
    flow: &ActorRef<FlowMessage>,
    question: impl FnOnce(&mut XskWorker) -> T + Send + 'static,
) -> Result<T, NoAnswer> {
    let (answer, answered) = oneshot::channel();
    let control: Control = Box::new(move |worker| {
        // The asker may have given up; then nobody wants the answer.
        let _ = answer.send(question(worker));
    });
    flow.cast(FlowMessage::Control(control)).map_err(|_| NoAnswer::Ended)?;
    let answer = tokio::time::timeout(ASK_TIMEOUT, answered).await;
    answer.map_err(|_| NoAnswer::Late)?.map_err(|_| NoAnswer::Ended)
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;

    #[test]
    fn a_worker_rests_until_the_first_thing_that_its_stream_waits_for() {
        let now = Time::from_secs(1_000);
        let after = |millis| now + Duration::from_millis(millis);
        let idle = after(500);
        let wish = |at_once, until| Some(Wish { at_once, until });
        assert_eq!(rest(idle, None, now), Some(idle));
        assert_eq!(rest(idle, wish(false, None), now), Some(idle));
        // A packet that is held for at most 20 ms.
        assert_eq!(rest(idle, wish(false, Some(after(20))), now), Some(after(20)));
        assert_eq!(rest(idle, wish(false, Some(after(900))), now), Some(idle));
        assert_eq!(rest(idle, wish(false, Some(now)), now), None, "it is time");
        assert_eq!(rest(idle, wish(true, Some(after(20))), now), None);
    }
}
