//! Sleeping for a worker: waits for its sockets, its bell and its timers, then wakes the actor.

use std::os::fd::OwnedFd;
use std::time::Duration;

use futures_util::future::{FutureExt, select_all};
use ractor::ActorRef;
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::mpsc;
use wire::Time;

use crate::clock;
use crate::flow::FlowMessage;

/// What a sleeper is told.
pub(crate) enum Order {
    /// Sleep on these descriptors from now on (duplicates; closed when replaced).
    Watch(Vec<OwnedFd>),
    /// Wake this actor from now on.
    Serve(ActorRef<FlowMessage>),
}

/// Runs until the order channel closes.
pub(crate) async fn run(mut orders: mpsc::Receiver<Order>, mut sleeps: mpsc::Receiver<Time>) {
    let mut watched: Vec<AsyncFd<OwnedFd>> = Vec::new();
    let mut actor: Option<ActorRef<FlowMessage>> = None;
    let mut until: Option<Time> = None;
    loop {
        let woken = tokio::select! {
            biased;
            order = orders.recv() => {
                match order {
                    None => return,
                    Some(Order::Serve(next)) => actor = Some(next),
                    Some(Order::Watch(descriptors)) => {
                        watched = descriptors.into_iter().filter_map(register).collect();
                    }
                }
                // Something may have arrived while we looked elsewhere.
                until.is_some()
            }
            sleep = sleeps.recv() => {
                let Some(sleep) = sleep else { return };
                until = Some(sleep);
                false
            }
            () = readable(&watched), if until.is_some() => true,
            () = passed(until), if until.is_some() => true,
        };
        if woken {
            until = None;
            if let Some(actor) = &actor {
                // A stopped actor is replaced soon, and then wakes by itself.
                let _ = actor.cast(FlowMessage::Wake);
            }
        }
    }
}

/// A descriptor that cannot be watched (no more memory) is polled by the idle tick all the same.
fn register(descriptor: OwnedFd) -> Option<AsyncFd<OwnedFd>> {
    #[expect(
        deprecated,
        reason = "sound for an `OwnedFd`; the successor is `unsafe` for all types"
    )]
    AsyncFd::with_interest(descriptor, Interest::READABLE).ok()
}

/// Until one of them is readable. Readiness is taken back *before* the worker drains its rings, so
/// that what arrives afterwards wakes it again.
async fn readable(watched: &[AsyncFd<OwnedFd>]) {
    if watched.is_empty() {
        return std::future::pending().await;
    }
    let ready = watched.iter().map(|descriptor| descriptor.readable().boxed());
    let (result, _, _) = select_all(ready).await;
    if let Ok(mut guard) = result {
        guard.clear_ready();
    }
}

async fn passed(until: Option<Time>) {
    let left = until.map_or(Duration::ZERO, |time| time.since(clock::now()));
    tokio::time::sleep(left).await;
}
