//! How a node stands to what its cluster agrees on: the policy, the log that carries it, the members.

use serde::{Deserialize, Serialize};

use super::RequestId;

/// The policy that a node runs, and the log from which it has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyStatus {
    /// Epoch of the policy in force.
    pub epoch: u64,
    /// Epoch of the revision that brought its text: an earlier one after a rollback or a revert.
    pub source: u64,
    /// It is on trial.
    pub trial: Option<Trial>,
    /// A proposal that the members try.
    pub pending: Option<Pending>,
    /// The log.
    pub raft: Raft,
    /// Whether the node may begin to forward, as far as its policy goes: it runs the newest that it knows of,
    /// and the leader has let it. A lease is needed besides.
    pub may_forward: bool,
    /// Why it cannot run the newest policy, if it cannot; it does not forward then.
    pub unable: Option<String>,
    /// The members that the log names.
    pub members: Vec<PolicyMember>,
}

/// A policy on trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    /// Its epoch.
    pub epoch: u64,
    /// Epoch whose text comes back, unless it is confirmed.
    pub fallback: u64,
    /// What is left until then, by this node's clock.
    pub left_milliseconds: u64,
}

/// A proposal that the members try.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// The epoch that it would have.
    pub epoch: u64,
    /// Who proposed it.
    pub author: Option<String>,
    /// When, by the clock of the wall, in seconds since 1970.
    pub proposed_unix_seconds: Option<u64>,
    /// For how long it would be on trial.
    pub confirm_milliseconds: Option<u64>,
}

/// The log by which a cluster agrees, as one node sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Raft {
    /// False: nothing can be agreed on here, because the log was not started, or its disk failed.
    pub running: bool,
    /// How the disk failed, while the log stands still for that: it is tried again until it works.
    #[serde(default)]
    pub disk_failed: Option<String>,
    /// How often it has failed since the daemon started.
    #[serde(default)]
    pub disk_failures: u64,
    /// How often the log went on after that.
    #[serde(default)]
    pub recoveries: u64,
    /// The leader, if it was heard lately.
    pub leader: Option<u16>,
    /// Whether this node was elected.
    pub own: bool,
    /// Raft's term, which is not that of the ownership.
    pub term: u64,
    /// Which history of the cluster the node has a part of: it counts up when a survivor goes on alone.
    pub generation: Option<u64>,
    /// Who votes.
    pub voters: Vec<u16>,
    /// Who only listens, until it has caught up.
    pub learners: Vec<u16>,
    /// The last entry that this node carried out.
    pub applied: Option<u64>,
    /// The last entry of its log.
    pub last: Option<u64>,
    /// Half of the writes to its disk took less, fsync included.
    pub sync_p50_microseconds: Option<u64>,
    /// 99 of 100 took less.
    pub sync_p99_microseconds: Option<u64>,
}

/// A member that the log names.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyMember {
    /// Its number.
    pub node: u16,
    /// What it is for.
    pub kind: MemberKind,
    /// Where it listens for the others, as `192.0.2.1:7400`.
    pub address: String,
    /// Its name.
    pub name: String,
}

/// What a member is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberKind {
    /// It forwards, or could.
    #[default]
    Firewall,
    /// It only votes.
    Witness,
}

impl MemberKind {
    /// As in JSON.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Firewall => "firewall",
            Self::Witness => "witness",
        }
    }
}

/// Changes who belongs to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberRequest {
    /// What.
    pub verb: MemberVerb,
    /// Whom.
    pub node: u16,
    /// Who takes its place; only [`MemberVerb::Replace`] has one, and needs it.
    #[serde(default)]
    pub by: Option<u16>,
    /// Its id.
    #[serde(default)]
    pub request: Option<RequestId>,
}

/// Asks for a token by which one node can join.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenRequest {
    /// How long it can be used, seconds.
    pub seconds: u64,
    /// For new papers of this member, rather than for a new one.
    #[serde(default)]
    pub replaces: Option<u16>,
}

/// A token. Its text is a secret until it is used.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TokenMade {
    /// The text that `cluster join` wants.
    pub token: String,
    /// How long it can be used, seconds.
    pub seconds: u64,
}

/// What can become of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemberVerb {
    /// It goes: it votes no more, and what it says is refused.
    Remove,
    /// One that only listens gets a vote.
    Promote,
    /// It goes, and one that joined for it gets its vote.
    Replace,
}
