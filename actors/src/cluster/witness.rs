//! A witness: a member that votes, and has no ports, no workers and no sessions.

use std::fmt;

use cluster_core::membership::Kind;
use config::api;
use datapath::Lease;
use tokio::sync::watch;
use wire::Time;

use super::{Around, ClusterError, Loom, Part, Plan};
use crate::clock;

/// A running witness.
pub struct Witness {
    name: String,
    id: u16,
    started: Time,
    part: Part,
}

impl Witness {
    /// Starts it.
    ///
    /// # Errors
    /// [`ClusterError`].
    pub async fn start(config: config::Node) -> Result<Self, ClusterError> {
        let plan = Plan::read(&config, Kind::Witness)?.ok_or(ClusterError::NoFabric)?;
        let passing = plan.passing(&config, &[]).await;
        let loom = Loom::new(&plan, passing, 0);
        // Nothing of a port will ever change.
        let (_, watched) = watch::channel(Vec::new());
        let lease = Lease::default();
        let around = Around { shards: Vec::new(), lease, word: None, watched, in_force: None };
        let part = Part::start(plan, loom, around).await?;
        if !clock::offset().is_zero() {
            tracing::warn!(ahead = ?clock::offset(), "a test has set this node's clock");
        }
        Ok(Self { name: config.name, id: config.id, started: clock::now(), part })
    }

    /// What the machines know.
    ///
    /// # Errors
    /// They do not answer.
    pub async fn cluster(&self) -> Result<api::Cluster, api::Error> {
        self.part.view().await
    }

    /// What it is and how it does.
    #[must_use]
    pub fn status(&self) -> api::Status {
        let up = clock::now().since(self.started);
        api::Status {
            name: self.name.clone(),
            id: self.id,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            uptime_milliseconds: u64::try_from(up.as_millis()).unwrap_or(u64::MAX),
            epoch: 0,
            digest: String::new(),
            sessions: 0,
            sessions_max: 0,
            workers: Vec::new(),
            capabilities: Vec::new(),
        }
    }

    /// Says that it goes, and stops.
    pub async fn shutdown(&self) {
        self.part.shutdown().await;
    }
}

impl fmt::Debug for Witness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Witness").field("name", &self.name).finish_non_exhaustive()
    }
}
