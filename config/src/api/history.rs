//! Earlier policies: which there are, and how they differ.

use serde::{Deserialize, Serialize};

use crate::Change;

/// All revisions that are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The newest first.
    pub revisions: Vec<Revision>,
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
