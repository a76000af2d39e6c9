//! Events as syslog messages (RFC 5424): the same that the log has, to the receivers of the node file.
//!
//! ```text
//! event ─► Line ─┬─► message for a receiver ─► its queue ─► its task ─► socket
//!   (a layer of  └─► …                          │
//!    the log)              full: dropped, counted
//! ```
//!
//! Whoever logs writes into queues and never waits. A task for each receiver connects, sends, and waits
//! longer each time that it cannot.

mod deliver;
mod layer;
mod line;
mod message;
#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use config::api;
use tokio::sync::{mpsc, oneshot};

use crate::limits::SYSLOG_QUEUE;

use deliver::Delivery;
use layer::Outlet;
pub(super) use layer::SyslogLayer;
use message::Sender;

/// All receivers of the node file.
#[derive(Clone, Debug, Default)]
pub(super) struct Syslog {
    receivers: Vec<Receiver>,
}

#[derive(Clone, Debug)]
struct Receiver {
    to: config::Receiver,
    queue: mpsc::Sender<Item>,
    counts: Arc<Counts>,
}

/// What waits in a queue.
#[derive(Debug)]
enum Item {
    Message(String),
    /// Somebody wants to know when all before it is done.
    Flush(oneshot::Sender<()>),
}

/// What became of the messages for a receiver.
#[derive(Debug, Default)]
struct Counts {
    /// Given to the network.
    sent: AtomicU64,
    /// Found no room in the queue.
    dropped: AtomicU64,
    /// Of UDP: the receiver's machine, or our own, refused it.
    refused: AtomicU64,
    /// It takes messages.
    delivers: AtomicBool,
}

/// What is to be started once there is a runtime.
pub(super) struct Deliveries(Vec<Delivery>);

impl Syslog {
    /// Queues for the receivers; nothing is sent yet. The layer is for the log.
    pub(super) fn new(
        receivers: &[config::Syslog],
        node: &str,
    ) -> (Self, Option<SyslogLayer>, Deliveries) {
        let (mut all, mut outlets, mut deliveries) = (Vec::new(), Vec::new(), Vec::new());
        for settings in receivers {
            let (queue, waiting) = mpsc::channel(SYSLOG_QUEUE);
            let counts = Arc::<Counts>::default();
            let to = settings.to.clone();
            deliveries.push(Delivery::new(to.clone(), waiting, Arc::clone(&counts)));
            outlets.push(Outlet::new(settings.clone(), queue.clone(), Arc::clone(&counts)));
            all.push(Receiver { to, queue, counts });
        }
        let layer = (!outlets.is_empty()).then(|| SyslogLayer::new(Sender::here(node), outlets));
        (Self { receivers: all }, layer, Deliveries(deliveries))
    }

    /// Nobody but the log hears of events.
    pub(super) const fn is_empty(&self) -> bool {
        self.receivers.is_empty()
    }

    /// What became of the messages so far.
    pub(super) fn status(&self) -> Vec<api::SyslogReceiver> {
        let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let one = |receiver: &Receiver| api::SyslogReceiver {
            to: receiver.to.to_string(),
            delivers: receiver.counts.delivers.load(Ordering::Relaxed),
            sent: load(&receiver.counts.sent),
            dropped: load(&receiver.counts.dropped),
            refused: load(&receiver.counts.refused),
        };
        self.receivers.iter().map(one).collect()
    }

    /// Waits until everything so far is sent, so long at most.
    pub(super) async fn flush(&self, within: Duration) {
        let all = self.receivers.iter().map(|receiver| async {
            let (done, wait) = oneshot::channel();
            if receiver.queue.send(Item::Flush(done)).await.is_ok() {
                let _ = wait.await;
            }
        });
        let _ = tokio::time::timeout(within, futures_util::future::join_all(all)).await;
    }
}

impl Deliveries {
    /// Starts them; they end with the runtime.
    pub(super) fn start(self) {
        self.0.into_iter().for_each(|delivery| drop(tokio::spawn(delivery.run())));
    }
}
