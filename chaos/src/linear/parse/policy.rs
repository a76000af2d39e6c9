//! Histories of a cluster's policy, one JSON object a line: `call`, `answer`, or `gave-up`.

use core::fmt;

use serde::{Deserialize, Serialize};

use super::{History, Wrong};
use crate::linear::policy::{PolicyAnswer, PolicyCall};

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyLine {
    /// Who.
    pub process: u32,
    /// Does what, or hears what.
    #[serde(flatten)]
    pub what: PolicyEvent,
}

/// What happens to a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PolicyEvent {
    /// It calls.
    Call(PolicyCall),
    /// It has its answer.
    Answer(PolicyAnswer),
    /// The client's connection ended, or its time did.
    GaveUp(bool),
}

pub(super) fn event(
    history: &mut History<PolicyCall, PolicyAnswer>,
    line: &str,
) -> Result<(), Wrong> {
    let wrong = |error: serde_json::Error| Wrong::unknown(error.to_string());
    let PolicyLine { process, what } = serde_json::from_str(line).map_err(wrong)?;
    match what {
        PolicyEvent::Call(call) => history.call(process, call)?,
        PolicyEvent::Answer(answer) => history.answer(process, answer)?,
        PolicyEvent::GaveUp(true) => history.give_up(process)?,
        PolicyEvent::GaveUp(false) => {
            return Err(Wrong::unknown("`gave-up` is true, or not there"));
        }
    }
    Ok(())
}

impl fmt::Display for PolicyLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&serde_json::to_string(self).map_err(|_| fmt::Error)?)
    }
}
