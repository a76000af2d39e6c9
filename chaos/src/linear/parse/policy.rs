//! Histories of a cluster's policy, one JSON object a line: `call`, `answer`, or `gave-up`.

use serde::{Deserialize, Serialize};

use super::{History, Wrong};
use crate::linear::policy::{PolicyAnswer, PolicyCall};

/// A line of the file.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    process: u32,
    #[serde(flatten)]
    what: What,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum What {
    Call(PolicyCall),
    Answer(PolicyAnswer),
    /// The client's connection ended, or its time did.
    GaveUp(bool),
}

pub(super) fn event(
    history: &mut History<PolicyCall, PolicyAnswer>,
    line: &str,
) -> Result<(), Wrong> {
    let wrong = |error: serde_json::Error| Wrong::unknown(error.to_string());
    let Line { process, what } = serde_json::from_str(line).map_err(wrong)?;
    match what {
        What::Call(call) => history.call(process, call)?,
        What::Answer(answer) => history.answer(process, answer)?,
        What::GaveUp(true) => history.give_up(process)?,
        What::GaveUp(false) => return Err(Wrong::unknown("`gave-up` is true, or not there")),
    }
    Ok(())
}
