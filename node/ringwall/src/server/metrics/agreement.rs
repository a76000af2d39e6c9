//! Metrics of what the node's cluster agrees on: the policy's trial, and the log.

use config::api::PolicyStatus;
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::one_if;

/// Gauges: name, help.
const GAUGES: [(&str, &str); 12] = [
    ("ringwall_policy_on_trial", "1 if the policy in force reverts unless it is confirmed"),
    ("ringwall_policy_trial_seconds", "What is left until it reverts; 0 if it is not on trial"),
    ("ringwall_policy_pending", "1 while the nodes try a proposal"),
    ("ringwall_policy_may_forward", "1 if the node may begin to forward, by its policy"),
    ("ringwall_policy_unable", "1 if the node cannot run the newest policy, and forwards nothing"),
    ("ringwall_raft_running", "1 while the log works, 0 if it has not started or its disk fails"),
    ("ringwall_raft_leads", "1 if this node was elected"),
    ("ringwall_raft_leader", "Number of the node that leads; 0 if none is known"),
    ("ringwall_raft_term", "Term of the log's leader"),
    ("ringwall_raft_applied", "The last entry of the log that this node carried out"),
    ("ringwall_raft_last", "The last entry of this node's log"),
    ("ringwall_raft_sync_p99_seconds", "99 of 100 writes of the log to the disk took less"),
];

/// Counters: name, help.
const COUNTERS: [(&str, &str); 2] = [
    ("ringwall_raft_disk_failures_total", "How often the disk under the log has failed"),
    ("ringwall_raft_recoveries_total", "How often the log went on after its disk had failed"),
];

pub(super) fn describe() {
    COUNTERS.iter().for_each(|(name, help)| describe_counter!(*name, Unit::Count, *help));
    GAUGES.iter().for_each(|(name, help)| describe_gauge!(*name, Unit::Count, *help));
}

pub(super) fn status(status: &PolicyStatus) {
    let left = status.trial.map_or(0, |trial| trial.left_milliseconds);
    let raft = &status.raft;
    let sync = raft.sync_p99_microseconds.unwrap_or(0);
    let values = [
        ("ringwall_policy_on_trial", one_if(status.trial.is_some())),
        ("ringwall_policy_trial_seconds", left as f64 / 1_000.0),
        ("ringwall_policy_pending", one_if(status.pending.is_some())),
        ("ringwall_policy_may_forward", one_if(status.may_forward)),
        ("ringwall_policy_unable", one_if(status.unable.is_some())),
        ("ringwall_raft_running", one_if(raft.running)),
        ("ringwall_raft_leads", one_if(raft.own)),
        ("ringwall_raft_leader", f64::from(raft.leader.unwrap_or(0))),
        ("ringwall_raft_term", raft.term as f64),
        ("ringwall_raft_applied", raft.applied.unwrap_or(0) as f64),
        ("ringwall_raft_last", raft.last.unwrap_or(0) as f64),
        ("ringwall_raft_sync_p99_seconds", sync as f64 / 1_000_000.0),
    ];
    for (name, value) in values {
        gauge!(name).set(value);
    }
    let counts = [raft.disk_failures, raft.recoveries];
    for ((name, _), count) in COUNTERS.iter().zip(counts) {
        counter!(*name).absolute(count);
    }
}
