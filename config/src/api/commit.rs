//! Putting a policy in force: requests, and what came of them.
//!
//! A request may name itself by a [`RequestId`]. Under one id something is done once, however often it is
//! asked for: who does not hear the answer asks again, and is told what came of it.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{Change, Diagnostic};

/// Puts a policy in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitRequest {
    /// Name of the file, for diagnostics.
    pub file: String,
    /// The policy, its lists inlined (`inline_lists`).
    pub text: String,
    /// Why, in the operator's words.
    #[serde(default)]
    pub comment: Option<String>,
    /// Epoch the text was made from: another one in force is a conflict. `None` does not ask.
    #[serde(default)]
    pub base: Option<u64>,
    /// On trial: the policy before comes back after this time, unless a [`ConfirmRequest`] comes. Between
    /// [`CONFIRM_MILLISECONDS_MIN`](crate::limits::CONFIRM_MILLISECONDS_MIN) and
    /// [`CONFIRM_MILLISECONDS_MAX`](crate::limits::CONFIRM_MILLISECONDS_MAX).
    #[serde(default)]
    pub confirm_milliseconds: Option<u64>,
    /// Only tell what would change, and who would refuse.
    #[serde(default)]
    pub check: bool,
    /// Its id.
    #[serde(default)]
    pub request: Option<RequestId>,
}

/// Puts an earlier policy in force again, as a new epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Epoch to go back to; `None` means the one before the present.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// Its id.
    #[serde(default)]
    pub request: Option<RequestId>,
}

/// Keeps the policy that is on trial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfirmRequest {
    /// Its epoch; `None` means the one on trial, whichever that is.
    #[serde(default)]
    pub epoch: Option<u64>,
    /// Its id.
    #[serde(default)]
    pub request: Option<RequestId>,
}

/// A policy is in force.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Committed {
    /// Its epoch; after a check the one that is in force all the same.
    pub epoch: u64,
    /// What is different from the policy before: the first [`CHANGES_TOLD`](crate::limits::CHANGES_TOLD).
    pub changes: Vec<Change>,
    /// How many more there are.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub more_changes: usize,
    /// What looked unintended.
    pub warnings: Vec<Diagnostic>,
    /// From the request to the last member that runs it.
    #[serde(default)]
    pub took_milliseconds: u64,
    /// It is on trial.
    #[serde(default)]
    pub reverts: Option<Reverts>,
    /// It was a check: nothing changed.
    #[serde(default)]
    pub checked_only: bool,
    /// Members that would refuse it; only a check has any.
    #[serde(default)]
    pub refused: Vec<Refused>,
    /// Firewalls that could not be asked, or did not answer; only a check has any.
    #[serde(default)]
    pub unasked: Vec<Unasked>,
    /// Members that were not waited for.
    #[serde(default)]
    pub excused: Vec<Excused>,
    /// Members that did not say in time that they run it, and may forward under the policy before.
    #[serde(default)]
    pub missing: Vec<u16>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// What becomes of a policy on trial that nobody confirms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reverts {
    /// The epoch as which the policy before comes back.
    pub epoch: u64,
    /// When.
    pub in_milliseconds: u64,
}

/// The policy that was on trial stays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confirmed {
    /// Its epoch.
    pub epoch: u64,
    /// From the request to the last member that knows it.
    #[serde(default)]
    pub took_milliseconds: u64,
    /// Members that were not waited for.
    #[serde(default)]
    pub excused: Vec<Excused>,
    /// Members that did not say in time that they know it, and may revert by themselves.
    #[serde(default)]
    pub missing: Vec<u16>,
}

/// A member that was not waited for, since it certainly does not forward.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excused {
    /// Its number.
    pub node: u16,
    /// Why, for people.
    pub why: String,
}

/// A member that would refuse a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// Its number.
    pub node: u16,
    /// What it says.
    pub why: String,
}

/// A firewall that did not say whether it would refuse a policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unasked {
    /// Its number.
    pub node: u16,
    /// Why not, for people.
    pub why: String,
    /// It is down: a commit would not wait for it.
    #[serde(default)]
    pub down: bool,
}

/// A request, by a random number of whoever makes it. A retry has the same one. In JSON it is a text of 32
/// hexadecimal digits, since not every reader has integers of 128 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RequestId(pub u128);

impl FromStr for RequestId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let digits = text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let number = (digits && (1..=32).contains(&text.len()))
            .then(|| u128::from_str_radix(text, 16).ok())
            .flatten();
        number.map(Self).ok_or_else(|| format!("`{text}` is no id of 32 hexadecimal digits"))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl TryFrom<String> for RequestId {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<RequestId> for String {
    fn from(id: RequestId) -> Self {
        id.to_string()
    }
}
