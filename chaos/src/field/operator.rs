//! An operator's program: it asks for a change under one id until it is known what came of it, as
//! `ringwall`'s own verbs do.
//!
//! | what came | then |
//! |---|---|
//! | an answer, or a refusal | that is the outcome |
//! | at the first try, nobody at the socket, or nobody who could decide | nothing was done, for certain |
//! | a broken connection, nothing in time, or "unknown" | asked again: the id is known by then, or not done |
//! | later, nobody at the socket, or nobody who could decide | asked again: the first may have counted |

use std::time::{Duration, Instant};

use config::api::{COMMIT, CommitRequest, Committed, ROLLBACK, RequestId, RollbackRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{Api, Undone};
use super::failure::Failure;
use super::limits::{INSIST_PAUSE, INSIST_PAUSE_MOST, OPERATOR_PATIENCE};
use super::wait::pause;
use crate::sim::dice::Dice;

/// One that always asks the same node.
#[derive(Debug)]
pub(crate) struct Operator {
    api: Api,
    patience: Duration,
    dice: Dice,
}

impl Operator {
    pub(crate) fn new(api: Api, dice: Dice) -> Self {
        Self { api: api.patient(OPERATOR_PATIENCE), patience: OPERATOR_PATIENCE, dice }
    }

    /// The same, with less patience.
    pub(crate) fn hasty(self, patience: Duration) -> Self {
        Self { api: self.api.patient(patience), patience, ..self }
    }

    /// Puts `text` in force.
    pub(crate) fn commit(&mut self, request: CommitRequest) -> Result<Committed, Undone> {
        let request = CommitRequest { request: Some(self.id()), ..request };
        self.insist(COMMIT, &request)
    }

    /// Puts an earlier text in force.
    pub(crate) fn rollback(&mut self, epoch: Option<u64>) -> Result<Committed, Undone> {
        let request = RollbackRequest { epoch, request: Some(self.id()) };
        self.insist(ROLLBACK, &request)
    }

    /// What is in force, as all know it, and how `request`'s text differs from that: asked once.
    pub(crate) fn check(&self, request: CommitRequest) -> Result<Committed, Undone> {
        self.api.change(COMMIT, &CommitRequest { check: true, ..request })
    }

    fn id(&mut self) -> RequestId {
        RequestId(u128::from(self.dice.next()) << 64 | u128::from(self.dice.next()))
    }

    fn insist<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<T, Undone> {
        let ask = |within| self.api.clone().patient(within).change(path, request);
        insist(self.patience, ask, pause)
    }
}

/// Asks until there is an outcome, for `patience` after the first time that there is none. `rest` passes the
/// time between, and fails if all is to end.
fn insist<T>(
    patience: Duration,
    mut ask: impl FnMut(Duration) -> Result<T, Undone>,
    mut rest: impl FnMut(Duration) -> Result<(), Failure>,
) -> Result<T, Undone> {
    let mut unknown = match ask(patience) {
        Err(Undone::Unknown(why)) => why,
        settled => return settled,
    };
    let (end, mut pause) = (Instant::now() + patience, INSIST_PAUSE);
    loop {
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() || rest(pause.min(left)).is_err() {
            return Err(Undone::Unknown(unknown));
        }
        pause = (pause * 2).min(INSIST_PAUSE_MOST);
        match ask(left) {
            Err(Undone::Unknown(why) | Undone::NotSent(why)) => unknown = why,
            Err(Undone::Refused(error)) if error.undecided => unknown = error.error,
            settled => return settled,
        }
    }
}

#[cfg(test)]
mod tests {
    use config::api::Error;

    use super::*;

    /// What comes of one attempt.
    #[derive(Clone, Copy, Debug)]
    enum Step {
        Done,
        Refused,
        Undecided,
        NotSent,
        Unknown,
    }

    impl Step {
        fn outcome(self) -> Result<(), Undone> {
            match self {
                Self::Done => Ok(()),
                Self::Refused => Err(Undone::Refused(Error::new("no"))),
                Self::Undecided => Err(Undone::Refused(Error::undecided("nobody leads"))),
                Self::NotSent => Err(Undone::NotSent("nobody at the socket".to_owned())),
                Self::Unknown => Err(Undone::Unknown("it broke".to_owned())),
            }
        }
    }

    /// What came of all attempts, and how many there were.
    fn of(steps: &[Step], patience: Duration) -> (Result<(), Undone>, usize) {
        let mut asked = 0;
        let ask = |_| {
            asked += 1;
            steps.get(asked - 1).copied().unwrap_or(Step::Unknown).outcome()
        };
        (insist(patience, ask, |_| Ok(())), asked)
    }

    #[test]
    fn what_is_an_outcome_at_first_may_be_none_later() {
        use Step::{Done, NotSent, Refused, Undecided, Unknown};
        for steps in [
            &[Done][..],
            &[Refused],
            &[Undecided],
            &[NotSent],
            &[Unknown, Done],
            &[Unknown, Refused],
            // The first attempt may have counted, of which who refuses the second knows nothing.
            &[Unknown, Undecided, Done],
            &[Unknown, NotSent, Refused],
            &[Unknown, Undecided, NotSent, Unknown, Undecided, Done],
        ] {
            let (answer, asked) = of(steps, OPERATOR_PATIENCE);
            let last = steps.last().map(|step| step.outcome());
            assert_eq!(format!("{:?}", Some(answer)), format!("{last:?}"), "{steps:?}");
            assert_eq!(asked, steps.len(), "{steps:?}");
        }
    }

    #[test]
    fn patience_ends_and_nothing_is_known() {
        let (answer, asked) = of(&[Step::Unknown], Duration::ZERO);
        assert!(matches!(answer, Err(Undone::Unknown(_))) && asked == 1, "{answer:?}");
        let ended = insist::<()>(
            OPERATOR_PATIENCE,
            |_| Step::Unknown.outcome(),
            |_| Err(Failure::Interrupted),
        );
        assert!(matches!(ended, Err(Undone::Unknown(why)) if why == "it broke"));
    }
}
