//! How Raft stands, for people and drivers.

use core::time::Duration;
use std::collections::BTreeSet;

use cluster_core::NodeId;
use cluster_core::replication::Histogram;
use openraft::RaftMetrics;
use openraft::async_runtime::watch::WatchReceiver as _;

use super::answer::Core;
use super::store::RaftStore;
use super::types::Types;
use super::wire::Generation;
use super::{Replicable, nodes};

/// openraft's numbers now, without holding them up.
pub(super) fn metrics<M: Replicable>(core: &Core<M>) -> RaftMetrics<Types> {
    core.metrics().borrow_watched().clone()
}

/// Who leads, as this node sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Leadership {
    /// The leader, if it was heard lately; for a leader itself: if a majority answered it lately.
    pub leader: Option<NodeId>,
    /// Whether this node has been elected, with a majority or, by now, without.
    pub own: bool,
    /// Raft's term.
    pub term: u64,
    /// False: Raft has stopped, because it was told to, or until the disk works again.
    pub running: bool,
}

/// How Raft stands.
#[derive(Clone, Debug)]
pub struct Status {
    /// Who leads.
    pub leadership: Leadership,
    /// The history that the node has a part of.
    pub generation: Option<Generation>,
    /// Who votes; while that changes, by the old list or the new one.
    pub voters: BTreeSet<NodeId>,
    /// Who only listens.
    pub learners: BTreeSet<NodeId>,
    /// The last entry of this node's log.
    pub last: Option<u64>,
    /// The last entry that was applied here.
    pub applied: Option<u64>,
    /// The last entry of the snapshot.
    pub snapshot: Option<u64>,
    /// The last entry that is not kept any more.
    pub purged: Option<u64>,
    /// Bytes of the log, about.
    pub log_bytes: u64,
    /// Why nothing is written now: the disk failed. It is tried again.
    pub ailment: Option<String>,
    /// How often the disk has failed.
    pub failures: u64,
    /// How often Raft went on after that.
    pub recoveries: u64,
    /// How long commits to the disk took.
    pub sync_times: Histogram,
}

impl Status {
    /// What half of the commits to the disk stayed below, if there were any.
    #[must_use]
    pub fn sync_p50(&self) -> Option<Duration> {
        self.sync_times.below(500)
    }

    /// What all but one of a hundred commits to the disk stayed below, if there were any.
    #[must_use]
    pub fn sync_p99(&self) -> Option<Duration> {
        self.sync_times.below(990)
    }

    pub(super) fn new(
        metrics: &RaftMetrics<Types>,
        leadership: Leadership,
        store: &RaftStore,
        [failures, recoveries]: [u64; 2],
    ) -> Self {
        let own = metrics.state.is_leader();
        let members = metrics.membership_config.membership();
        Self {
            leadership: Leadership { own, term: metrics.current_term, ..leadership },
            generation: store.generation(),
            voters: nodes(members.voter_ids()),
            learners: nodes(members.learner_ids()),
            last: metrics.last_log_index,
            applied: metrics.last_applied.map(|id| id.index),
            snapshot: metrics.snapshot.map(|id| id.index),
            purged: metrics.purged.map(|id| id.index),
            log_bytes: store.log_bytes(),
            ailment: store.ailment(),
            failures,
            recoveries,
            sync_times: store.sync_times(),
        }
    }
}
