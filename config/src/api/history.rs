//! Earlier policies: which there are, how they differ, and what else was decided.

use serde::{Deserialize, Serialize};

use crate::Change;

/// All revisions that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The newest first.
    pub revisions: Vec<Revision>,
    /// What was decided lately, about the policy and beside it; the newest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<Event>,
}

/// A revision, but for its text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// Its epoch.
    pub epoch: u64,
    /// Whether it is in force.
    pub in_force: bool,
    /// Who committed it; `None`: it is older than the keeping of names, or nobody did.
    pub author: Option<String>,
    /// When, by the clock of the wall, in seconds since 1970.
    pub committed_unix_seconds: Option<u64>,
    /// The operator's remark.
    pub comment: Option<String>,
    /// Name of the file it came from.
    pub file: String,
    /// How many changes it brought; `None`: it was not counted then.
    pub changes: Option<usize>,
    /// How it came to be in force.
    #[serde(default)]
    pub kind: RevisionKind,
    /// Epoch of the revision whose text it has again; `None`: it brought its own.
    #[serde(default)]
    pub source: Option<u64>,
}

/// How a revision came to be in force.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RevisionKind {
    /// Somebody committed its text.
    #[default]
    Commit,
    /// Somebody went back to an earlier one.
    Rollback,
    /// The one before it was on trial, and was not confirmed.
    Revert,
}

/// Something that was decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Its entry in the log.
    pub index: u64,
    /// What it was about.
    pub kind: EventKind,
    /// Who wanted it: a user, or a node.
    pub author: String,
    /// When, by the clock of the wall, in seconds since 1970.
    pub unix_seconds: u64,
    /// Which revision.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// Which member.
    #[serde(default)]
    pub node: Option<u16>,
    /// What there is to say, for people.
    #[serde(default)]
    pub text: String,
}

/// What was decided.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventKind {
    /// A revision came in force.
    #[default]
    Commit,
    /// A proposal came to nothing.
    Withdraw,
    /// A revision on trial stays.
    Confirm,
    /// A revision on trial went.
    Revert,
    /// A member came or changed.
    Member,
    /// A member went.
    Leave,
    /// Zones got numbers.
    Zones,
    /// Who owns was recorded.
    Owner,
    /// A setting changed.
    Setting,
    /// A secret was set or forgotten; it is not told.
    Secret,
    /// One node went on alone, for good.
    Recover,
}

/// Asks how two revisions differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CompareRequest {
    /// Epoch of the one; `None` means the one before the present. 0 is what was before the first: nothing
    /// passes.
    #[serde(default)]
    pub from: Option<u64>,
    /// Epoch of the other; `None` means the present.
    #[serde(default)]
    pub to: Option<u64>,
}

/// How two revisions differ.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The one.
    pub from: Revision,
    /// The other.
    pub to: Revision,
    /// How many changes lead from the one to the other.
    pub count: usize,
    /// The first of them: see [`CHANGES_TOLD`](crate::limits::CHANGES_TOLD).
    pub changes: Vec<Change>,
}
