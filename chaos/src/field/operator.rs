//! An operator's program: it asks for a change under one id until it is known what came of it, as
//! `ringwall`'s own verbs do.

use std::time::{Duration, Instant};

use config::api::{COMMIT, CommitRequest, Committed, ROLLBACK, RequestId, RollbackRequest};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::api::{Api, Undone};
use super::limits::{INSIST_PAUSE, OPERATOR_PATIENCE};
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

    /// Who is not heard, or hears nothing, asks again. A refusal tells all there is to know, at any time.
    fn insist<T: DeserializeOwned>(
        &self,
        path: &str,
        request: &impl Serialize,
    ) -> Result<T, Undone> {
        let end = Instant::now() + self.patience;
        let mut unknown = match self.api.change(path, request) {
            Err(Undone::Unknown(why)) => why,
            known => return known,
        };
        loop {
            if Instant::now() >= end || pause(INSIST_PAUSE).is_err() {
                return Err(Undone::Unknown(unknown));
            }
            match self.api.change(path, request) {
                Err(Undone::Unknown(why) | Undone::NotSent(why)) => unknown = why,
                known => return known,
            }
        }
    }
}
