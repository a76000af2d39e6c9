//! What all tasks of an endpoint share.

use core::net::SocketAddr;
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use cluster_core::NodeId;
use quinn::{ClientConfig, Endpoint};
use tokio::sync::{Semaphore, mpsc};

use super::calls::Switch;
use super::event::Outlets;
use super::protocol::Kind;
use super::switchboard::Switchboard;
use super::tuning::Timing;
use crate::Counters;
use crate::message::Hello;
use crate::tls::{Judge, Members};

/// One endpoint.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) own: NodeId,
    pub(super) hello: Mutex<Hello>,
    pub(super) timing: Timing,
    pub(super) counters: Arc<Counters>,
    pub(super) judge: Arc<Judge>,
    pub(super) members: Members,
    pub(super) switchboard: Switchboard,
    pub(super) outlets: Outlets,
    pub(super) endpoint: Endpoint,
    pub(super) live: ClientConfig,
    pub(super) bulk: ClientConfig,
    pub(super) asking: ClientConfig,
    /// Who is called, and the way to the task that calls more.
    pub(super) called: Mutex<BTreeSet<SocketAddr>>,
    pub(super) callers: mpsc::Sender<SocketAddr>,
    /// Who answers calls.
    pub(super) calls: Switch,
    /// Room for the tails of questions.
    pub(super) tails: Semaphore,
    #[cfg(test)]
    pub(super) cut: super::socket::Cut,
}

impl Shared {
    /// What this node says of itself now.
    pub(super) fn hello(&self) -> Hello {
        self.hello.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn client(&self, kind: Kind) -> ClientConfig {
        match kind {
            Kind::Live => self.live.clone(),
            Kind::Bulk => self.bulk.clone(),
            Kind::Calls => self.asking.clone(),
        }
    }
}

/// Random bits for pauses, where nothing depends on their quality.
pub(super) fn seed() -> u64 {
    let mut bytes = [0; 8];
    // Without random numbers all pauses are alike, which is no harm.
    let _ = aws_lc_rs::rand::fill(&mut bytes);
    u64::from_be_bytes(bytes)
}
