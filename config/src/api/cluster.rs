//! What the daemon says about its cluster, and what it can be asked to do.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::MemberKind;

/// The cluster as this node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Number of this node.
    pub node: u16,
    /// What it is for.
    #[serde(default)]
    pub kind: MemberKind,
    /// Which run of its daemon this is.
    pub boot: u32,
    /// What it is to the addresses: `active` forwards, `standby` holds replicas.
    pub role: String,
    /// Version of the ownership.
    pub term: u64,
    /// The node that owns, as far as is known.
    pub owner: Option<u16>,
    /// The node that it replicates sessions with.
    #[serde(default)]
    pub replicates_with: Option<u16>,
    /// What is left of the lease; `None` forwards nothing.
    pub lease_milliseconds: Option<u64>,
    /// What the lease rests on: `votes` of the others, or `alone`.
    pub lease_ground: Option<String>,
    /// What speaks against this node as an owner; `fit` if nothing does.
    pub fitness: String,
    /// Whether its replicas are complete.
    pub readiness: String,
    /// The dead owner ran another policy, which keeps this node from taking over.
    pub policy_differs: bool,
    /// It waits for its disk.
    pub saving: bool,
    /// Why no session is replicated, if that does not change by itself.
    #[serde(default)]
    pub not_replicating: Option<String>,
    /// What becomes of a packet that waits for the peer, and is not confirmed in time: `forward` or
    /// `drop`, as the node file says.
    #[serde(default)]
    pub unconfirmed: String,
    /// The other members.
    pub members: Vec<ClusterMember>,
    /// Whether no earlier list of them counts any more, as far as the node knows.
    #[serde(default)]
    pub members_settled: bool,
    /// Packets passed on to the node that owned then, after this one.
    pub passed_on: u64,
    /// Packets that the other node passed on to this one.
    pub passed_in: u64,
    /// What happened at the cluster's port and on its connections, by name.
    #[serde(default)]
    pub net: BTreeMap<String, u64>,
    /// Replication, for each worker.
    pub streams: Vec<ClusterStream>,
    /// The last time that this node became the owner.
    pub last_failover: Option<Failover>,
}

/// Another member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterMember {
    /// Its number.
    pub node: u16,
    /// What it is for.
    #[serde(default)]
    pub kind: MemberKind,
    /// Which run of its daemon, once it was heard.
    pub boot: Option<u32>,
    /// How long ago it was heard.
    pub heard_milliseconds: Option<u64>,
    /// Its role, as it said last.
    pub role: Option<String>,
    /// Its term.
    pub term: Option<u64>,
    /// What speaks against it.
    pub fitness: Option<String>,
    /// Whether its replicas are complete.
    pub readiness: Option<String>,
    /// Whether it runs the same policy.
    pub same_policy: Option<bool>,
    /// The paths to it.
    pub paths: Vec<ClusterPath>,
}

/// A path to a member.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterPath {
    /// The fabric, or the port whose segment it is.
    pub name: String,
    /// `up`, `init`, `down` or `admin-down`.
    pub state: String,
    /// The last round trip.
    pub round_trip_microseconds: Option<u64>,
}

/// Replication between one worker and the same worker of the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterStream {
    /// The worker.
    pub worker: u16,
    /// Whether there is a peer to replicate to.
    pub connected: bool,
    /// Records that wait to be sent, or are not acknowledged.
    pub behind: u64,
    /// Age of the oldest change that the peer does not have.
    pub behind_milliseconds: u64,
    /// The smoothed round trip.
    pub round_trip_microseconds: Option<u64>,
    /// Packets that waited for the peer.
    pub holds: u64,
    /// Half of them waited for less.
    pub hold_p50_microseconds: Option<u64>,
    /// 99 of 100 waited for less.
    pub hold_p99_microseconds: Option<u64>,
    /// The sessions that this node is fetching.
    pub bulk: Option<Bulk>,
    /// How long ago both tables were the same, as digests prove.
    pub in_sync_milliseconds: Option<u64>,
    /// Slots that differed in the last comparison.
    pub unequal_slots: Option<u16>,
    /// Records sent.
    pub records_sent: u64,
    /// Records received.
    pub records_received: u64,
    /// Records that were not taken.
    pub records_refused: u64,
    /// Messages given up, and sent again.
    pub messages_lost: u64,
    /// Changes that found no room; digests find what they leave behind.
    pub notes_lost: u64,
    /// Messages of the peer that found the worker's inbox full; they come again.
    #[serde(default)]
    pub inbox_full: u64,
    /// Sessions opened by a record.
    #[serde(default)]
    pub replicas_opened: u64,
    /// Records that told something new of a known session.
    #[serde(default)]
    pub replicas_updated: u64,
    /// Replicas ended by their owner's word.
    #[serde(default)]
    pub replicas_ended: u64,
    /// Records older than what was known.
    #[serde(default)]
    pub records_stale: u64,
    /// Flows of which each node had a session of its own, as after a split; one of the two was closed.
    #[serde(default)]
    pub conflicts: u64,
    /// Times that the worker became the owner.
    #[serde(default)]
    pub takeovers: u64,
    /// Waits for the peer that took too long.
    #[serde(default)]
    pub holds_expired: u64,
    /// Waits that were ended, or not begun, for want of room or because the peer is silent.
    #[serde(default)]
    pub holds_skipped: u64,
}

/// A transfer of all sessions to this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bulk {
    /// `join`, `merge` or `repair`.
    pub purpose: String,
    /// Sessions that have come.
    pub done: u32,
    /// About how many there are; 0 while unknown.
    pub total: u32,
    /// How long the rest takes, if that can be told.
    pub eta_milliseconds: Option<u64>,
}

/// A change of the ownership to this node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failover {
    /// How long ago.
    pub ago_milliseconds: u64,
    /// The owner before.
    pub from: Option<u16>,
    /// The term since.
    pub term: u64,
    /// Why.
    pub why: String,
    /// From the last sign of the old owner to the claim.
    pub detection_microseconds: u64,
    /// From the claim to the lease: disk and votes.
    pub claiming_microseconds: u64,
}

/// Asks the cluster's part of a node for something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClusterRequest {
    /// What.
    pub verb: ClusterVerb,
}

/// What a node can be asked to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClusterVerb {
    /// Hand the ownership over.
    Failover,
    /// Go out of service, until `Resume`.
    Drain,
    /// Go back into service.
    Resume,
    /// Take over although the dead owner ran another policy.
    Claim,
}
