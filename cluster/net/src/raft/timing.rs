//! When a node campaigns.
//!
//! ```text
//! rank 0      ├─┤                               election timeouts: begin + rank × step, spread wide
//! rank 1            ├─┤
//! rank 2                  ├─┤
//! ```
//!
//! A follower campaigns when its leader's lease has ended, which is its own longest timeout, and then a
//! timeout drawn from its window has passed. The windows of two ranks do not meet, so no two campaign
//! at once, however the draws fall.

use core::time::Duration;
use std::collections::BTreeSet;

use cluster_core::NodeId;
use openraft::{Config, SnapshotPolicy};

use super::RaftError;
use crate::limits::{
    RAFT_CAUGHT_UP, RAFT_ELECTION, RAFT_ELECTION_SPREAD, RAFT_HEARTBEAT, RAFT_KEPT_ENTRIES,
    RAFT_RANK_STEP, RAFT_RANKS, RAFT_SNAPSHOT_ENTRIES,
};

/// The times of a Raft, and how much log it keeps. Tests have others.
#[derive(Clone, Copy, Debug)]
pub struct Timing {
    /// [`RAFT_HEARTBEAT`]
    pub heartbeat: Duration,
    /// [`RAFT_ELECTION`]
    pub election: Duration,
    /// [`RAFT_RANK_STEP`]
    pub rank_step: Duration,
    /// [`RAFT_ELECTION_SPREAD`]
    pub spread: Duration,
    /// [`RAFT_SNAPSHOT_ENTRIES`]
    pub snapshot_entries: u64,
    /// [`RAFT_KEPT_ENTRIES`]
    pub kept_entries: u64,
    /// Whether openraft's own timer campaigns; the watchdog does in any case.
    pub campaigns: bool,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat: RAFT_HEARTBEAT,
            election: RAFT_ELECTION,
            rank_step: RAFT_RANK_STEP,
            spread: RAFT_ELECTION_SPREAD,
            snapshot_entries: RAFT_SNAPSHOT_ENTRIES,
            kept_entries: RAFT_KEPT_ENTRIES,
            campaigns: true,
        }
    }
}

/// The rank of a node: its place among the numbers of all. Two voters of one rank, as after a
/// replacement and without a restart, draw different timeouts soon, too.
#[must_use]
pub fn rank(own: NodeId, members: &BTreeSet<NodeId>) -> u64 {
    members.range(..own).count() as u64 % RAFT_RANKS
}

impl Timing {
    /// The election timeouts of a rank: from the first to before the second.
    fn window(&self, rank: u64) -> (u64, u64) {
        let begin = millis(self.election) + rank.min(RAFT_RANKS - 1) * millis(self.rank_step);
        (begin, begin + millis(self.spread))
    }

    /// One that votes alone leads again at once. Among others a leader that restarts must not: what it had
    /// sent before its own disk had it may be agreed on, and it would give that place in that term again.
    pub(super) fn config(&self, rank: u64, alone: bool) -> Result<Config, RaftError> {
        let (min, max) = self.window(rank);
        let config = Config {
            cluster_name: "ringwall".to_owned(),
            election_timeout_min: min,
            election_timeout_max: max,
            heartbeat_interval: millis(self.heartbeat),
            snapshot_policy: SnapshotPolicy::LogsSinceLast(self.snapshot_entries),
            max_in_snapshot_log_to_keep: self.kept_entries,
            replication_lag_threshold: RAFT_CAUGHT_UP,
            enable_pre_vote: Some(true),
            enable_elect: self.campaigns,
            allow_log_reversion: Some(false),
            enable_leader_restore: Some(alone),
            ..Config::default()
        };
        config.validate().map_err(|error| RaftError::Engine(error.to_string()))
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// openraft looks at its clock so often, as a share of the heartbeat.
    const TICK: Duration = Duration::from_millis(50 * 13 / 64);

    #[test]
    fn no_two_ranks_campaign_at_once() {
        let timing = Timing::default();
        for rank in 1..RAFT_RANKS {
            let ((_, before), (begin, end)) = (timing.window(rank - 1), timing.window(rank));
            assert!(begin >= before + millis(TICK) + 10, "rank {rank}: {begin} after {before}");
            assert_eq!(end - begin, millis(timing.spread));
        }
    }

    /// Whoever campaigns first finds that every other's lease has ended: a node's lease is its longest
    /// timeout, and the first campaign begins after two of the shortest.
    #[test]
    fn the_first_campaign_finds_no_lease() {
        let timing = Timing::default();
        let first = 2 * timing.window(0).0;
        let longest = timing.window(RAFT_RANKS - 1).1;
        assert!(longest + millis(TICK) < first, "{longest} and {first}");
    }

    #[test]
    fn pre_vote_is_on_and_the_log_is_not_reverted() {
        for rank in 0..2 * RAFT_RANKS {
            let config = Timing::default().config(rank, false).unwrap();
            assert_eq!(config.enable_pre_vote, Some(true));
            assert_eq!(config.allow_log_reversion, Some(false));
            assert_eq!(config.enable_leader_restore, Some(false));
        }
    }

    #[test]
    fn ranks_follow_numbers() {
        let members = [3, 7, 20].map(NodeId).into();
        assert_eq!([3, 7, 20].map(|node| rank(NodeId(node), &members)), [0, 1, 2]);
    }
}
