//! What the leader answered, as the API tells it.

use std::time::Duration;

use cluster_core::policy::coordinator::Answer;
use cluster_core::policy::{Epoch, Outcome};
use config::api::{Committed, Confirmed, Error, Excused, Reverts};

use crate::policy::say;

/// Something is in force. `confirm`: how long it is on trial, milliseconds.
///
/// # Errors
/// Why it is not, or that nobody knows.
pub(super) fn committed(answer: Answer, confirm: Option<u64>) -> Result<Committed, Error> {
    let Told { outcome, took, excused, missing } = told(answer)?;
    let (epoch, reverts_as) = in_force(&outcome).ok_or_else(|| not(&outcome))?;
    let reverts = reverts_as.zip(confirm);
    let reverts = reverts.map(|(Epoch(epoch), left)| Reverts { epoch, in_milliseconds: left });
    Ok(Committed {
        epoch: epoch.0,
        took_milliseconds: milliseconds(took),
        reverts,
        excused,
        missing,
        ..Committed::default()
    })
}

/// What was on trial stays.
///
/// # Errors
/// Why it does not, or that nobody knows.
pub(super) fn confirmed(answer: Answer) -> Result<Confirmed, Error> {
    let Told { outcome, took, excused, missing } = told(answer)?;
    let Outcome::Confirmed { epoch } = outcome else { return Err(not(&outcome)) };
    let took_milliseconds = milliseconds(took);
    Ok(Confirmed { epoch: epoch.0, took_milliseconds, excused, missing })
}

/// Something beside the policy is so now.
///
/// # Errors
/// Why it is not, or that nobody knows.
pub(in crate::policy) fn changed(answer: Answer) -> Result<(), Error> {
    let outcome = told(answer)?.outcome;
    if matches!(outcome, Outcome::Changed { .. }) { Ok(()) } else { Err(not(&outcome)) }
}

/// What is in force now, and if it is on trial, as which number the text before comes back.
fn in_force(outcome: &Outcome) -> Option<(Epoch, Option<Epoch>)> {
    match outcome {
        Outcome::Committed { epoch, reverts_as } => Some((*epoch, *reverts_as)),
        Outcome::Reverted { now, .. } => Some((*now, None)),
        Outcome::Proposed { .. }
        | Outcome::Withdrawn { .. }
        | Outcome::Confirmed { .. }
        | Outcome::Changed { .. }
        | Outcome::Refused { .. } => None,
    }
}

struct Told {
    outcome: Outcome,
    took: Duration,
    excused: Vec<Excused>,
    missing: Vec<u16>,
}

fn told(answer: Answer) -> Result<Told, Error> {
    let (excused, missing) = (Vec::new(), Vec::new());
    match answer {
        Answer::Done { outcome, took, excused } => {
            Ok(Told { outcome, took, excused: say::excused(&excused), missing })
        }
        Answer::Unsettled { outcome, took, missing } => {
            let missing = missing.iter().map(|node| node.0).collect();
            Ok(Told { outcome, took, excused, missing })
        }
        Answer::TooLate { epoch } => {
            Err(Error::new(format!("too late: the time to confirm epoch {epoch} is over")))
        }
        Answer::Unknown { down } if down.is_empty() => Err(Error::unknown(
            "what came of it is not known: it was not agreed on in time, and may be yet",
        )),
        Answer::Unknown { down } => {
            let down: Vec<String> = down.iter().map(ToString::to_string).collect();
            Err(Error::unknown(format!(
                "what came of it is not known: node {} is not heard, and without a majority nothing is \
                 agreed on",
                down.join(", ")
            )))
        }
        Answer::Full => Err(Error::undecided("too many requests wait at the leader: try again")),
        Answer::NotLeading => Err(Error::undecided("no node leads now: try again")),
        Answer::Unnumbered => Err(Error::new("the request has no id")),
    }
}

fn not(outcome: &Outcome) -> Error {
    Error::new(match outcome {
        Outcome::Refused { why } => say::refusal(*why),
        Outcome::Withdrawn { who, why, .. } => say::withdrawal(*who, why),
        Outcome::Committed { .. }
        | Outcome::Proposed { .. }
        | Outcome::Confirmed { .. }
        | Outcome::Reverted { .. }
        | Outcome::Changed { .. } => {
            let text = say::of_outcome(outcome).text;
            format!("another thing came of it under that id: {text}")
        }
    })
}

fn milliseconds(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
