//! The adapter, from its store to whole clusters.

mod alone;
mod cluster;
mod crashes;
mod disks;
mod hosts;
mod kills;
mod ledger;
mod members;
mod mending;
mod partitions;
mod suite;

use cluster_core::NodeId;

use crate::identity::ClusterName;

/// The cluster of all tests.
fn cluster() -> ClusterName {
    "alpha".parse().unwrap()
}

const OWN: NodeId = NodeId(1);

/// Held by tests that take a processor to themselves for long, and by those that a leader must live through.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());
