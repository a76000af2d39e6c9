//! Metrics of a node's part in its cluster.

use config::api::{Cluster, ClusterStream};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use super::one_if;

/// Counters: name, help.
const COUNTERS: [(&str, &str); 16] = [
    ("ringwall_cluster_records_sent_total", "Session records sent"),
    ("ringwall_cluster_records_received_total", "Session records received"),
    ("ringwall_cluster_records_refused_total", "Session records that were not taken"),
    ("ringwall_cluster_conflicts_total", "Flows of which each node had a session"),
    ("ringwall_cluster_messages_lost_total", "Replication messages that were sent again"),
    ("ringwall_cluster_holds_total", "Packets that waited for the peer"),
    ("ringwall_cluster_notes_lost_total", "Changes that found no room until digests"),
    ("ringwall_cluster_inbox_full_total", "Messages that found the worker's inbox full"),
    ("ringwall_cluster_replicas_opened_total", "Sessions opened by a record"),
    ("ringwall_cluster_replicas_updated_total", "Records that told something new"),
    ("ringwall_cluster_replicas_ended_total", "Replicas ended by their owner's word"),
    ("ringwall_cluster_records_stale_total", "Session records older than what was known"),
    ("ringwall_cluster_takeovers_total", "Times that the worker became the owner"),
    ("ringwall_cluster_holds_expired_total", "Waits for the peer that took too long"),
    ("ringwall_cluster_holds_skipped_total", "Waits given up: no room, or no answer"),
    ("ringwall_cluster_net_total", "What the cluster's port refused, lost, sent and received"),
];

/// Gauges: name, help.
const GAUGES: [(&str, &str); 7] = [
    ("ringwall_cluster_active", "1 if this node owns the addresses of the group"),
    ("ringwall_cluster_term", "Version of the ownership that this node knows"),
    ("ringwall_cluster_lease_seconds", "What is left of the lease; 0 forwards nothing"),
    ("ringwall_cluster_path_up", "1 if heartbeats come and go by the path"),
    ("ringwall_cluster_connected", "1 if there is a peer to replicate to"),
    ("ringwall_cluster_behind", "Changes that the peer does not have yet"),
    ("ringwall_cluster_behind_seconds", "Age of the oldest of them"),
];

pub(super) fn describe() {
    COUNTERS.iter().for_each(|(name, help)| describe_counter!(*name, Unit::Count, *help));
    GAUGES.iter().for_each(|(name, help)| describe_gauge!(*name, Unit::Count, *help));
}

pub(super) fn cluster(cluster: &Cluster) {
    let owns = cluster.owner == Some(cluster.node);
    gauge!("ringwall_cluster_active").set(one_if(owns));
    gauge!("ringwall_cluster_term").set(cluster.term as f64);
    gauge!("ringwall_cluster_lease_seconds").set(seconds(cluster.lease_milliseconds.unwrap_or(0)));
    for member in &cluster.members {
        for path in &member.paths {
            let labels = [("member", member.node.to_string()), ("path", path.name.clone())];
            gauge!("ringwall_cluster_path_up", &labels).set(one_if(path.state == "up"));
        }
    }
    for (what, &count) in &cluster.net {
        counter!("ringwall_cluster_net_total", "what" => what.clone()).absolute(count);
    }
    cluster.streams.iter().for_each(stream);
}

fn stream(stream: &ClusterStream) {
    let label = [("worker", stream.worker.to_string())];
    gauge!("ringwall_cluster_connected", &label).set(one_if(stream.connected));
    gauge!("ringwall_cluster_behind", &label).set(stream.behind as f64);
    gauge!("ringwall_cluster_behind_seconds", &label).set(seconds(stream.behind_milliseconds));
    let values = [
        ("ringwall_cluster_records_sent_total", stream.records_sent),
        ("ringwall_cluster_records_received_total", stream.records_received),
        ("ringwall_cluster_records_refused_total", stream.records_refused),
        ("ringwall_cluster_conflicts_total", stream.conflicts),
        ("ringwall_cluster_messages_lost_total", stream.messages_lost),
        ("ringwall_cluster_holds_total", stream.holds),
        ("ringwall_cluster_notes_lost_total", stream.notes_lost),
        ("ringwall_cluster_inbox_full_total", stream.inbox_full),
        ("ringwall_cluster_replicas_opened_total", stream.replicas_opened),
        ("ringwall_cluster_replicas_updated_total", stream.replicas_updated),
        ("ringwall_cluster_replicas_ended_total", stream.replicas_ended),
        ("ringwall_cluster_records_stale_total", stream.records_stale),
        ("ringwall_cluster_takeovers_total", stream.takeovers),
        ("ringwall_cluster_holds_expired_total", stream.holds_expired),
        ("ringwall_cluster_holds_skipped_total", stream.holds_skipped),
    ];
    for (name, value) in values {
        counter!(name, &label).absolute(value);
    }
}

fn seconds(milliseconds: u64) -> f64 {
    milliseconds as f64 / 1_000.0
}
