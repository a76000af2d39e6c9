//! A window that does not shrink.
//!
//! Replication keeps a bounded number of messages under way and waits for its own acknowledgments, so
//! it cannot flood a fabric. What QUIC takes for congestion there is mostly a node that the scheduler
//! kept waiting for longer than a few round trips of 0.1 ms: a window that collapses over that makes
//! messages queue for seconds, and a takeover in that time loses connections.

use core::any::Any;
use std::sync::Arc;
use std::time::Instant;

use quinn::congestion::{Controller, ControllerFactory};

/// Bytes under way, whatever is lost.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    pub(super) bytes: u64,
}

impl ControllerFactory for Fixed {
    fn build(self: Arc<Self>, _: Instant, _: u16) -> Box<dyn Controller> {
        Box::new(*self)
    }
}

impl Controller for Fixed {
    fn on_congestion_event(&mut self, _: Instant, _: Instant, _: bool, _: u64) {}

    fn on_mtu_update(&mut self, _: u16) {}

    fn window(&self) -> u64 {
        self.bytes
    }

    fn clone_box(&self) -> Box<dyn Controller> {
        Box::new(*self)
    }

    fn initial_window(&self) -> u64 {
        self.bytes
    }

    fn into_any(self: Box<Self>) -> Box<dyn Any> {
        self
    }
}
