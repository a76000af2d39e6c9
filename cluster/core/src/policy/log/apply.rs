//! What each entry does.

use super::command::{Action, Cause, Command, Content, Stamp, Withdrawal};
use super::outcome::{Outcome, Refusal};
use super::{Change, Finished, Log, Pending, Revision, Trial};
use crate::NodeId;
use crate::limits::{CHANGES_KEPT, CONFIRM_MAX, CONFIRM_MIN, REQUESTS_REMEMBERED};
#[cfg(test)]
use crate::policy::tests::Flaw;
use crate::policy::{Epoch, ProposalId, RequestId, Version};

impl Log {
    /// Applies an entry. A request that is over has the outcome that it had.
    pub fn take(&mut self, index: u64, command: &Command) -> Outcome {
        self.applied = index;
        if let Some(before) = self.before(command.request) {
            return before;
        }
        let outcome = self.carry_out(index, command).unwrap_or_else(|why| Outcome::Refused { why });
        if outcome.moves_policy() {
            self.decided = index;
        }
        self.remember(index, command.request, &outcome);
        self.note(index, &command.stamp, &outcome);
        outcome
    }

    /// Passes over an entry that cannot be read.
    pub fn pass(&mut self, index: u64) -> Outcome {
        self.applied = index;
        Outcome::Refused { why: Refusal::Malformed {} }
    }

    fn carry_out(&mut self, index: u64, command: &Command) -> Result<Outcome, Refusal> {
        let changed = match &command.action {
            Action::Propose { .. } => return self.propose(index, command),
            Action::Switch { proposal } => return self.switch(index, *proposal),
            Action::Withdraw { proposal, who, why } => {
                return self.withdraw(index, *proposal, *who, why);
            }
            Action::Confirm { epoch } => return self.confirm(*epoch),
            Action::Revert { epoch, cause } => return self.revert(*epoch, *cause, &command.stamp),
            Action::SetMember { node, member } => self.cluster.set_member(*node, member),
            Action::RemoveMember { node } => self.cluster.remove_member(*node),
            Action::NumberZones { zones } => self.cluster.number_zones(zones),
            Action::SetPlacement { placement } => self.cluster.set_placement(*placement),
            Action::SetSetting { key, value } => self.cluster.set_setting(key, value.as_ref()),
            Action::SetSecret { name, secret } => self.cluster.set_secret(name, secret.as_ref()),
            Action::SetShares { shares } => self.cluster.set_shares(shares),
            Action::Recover { generation, survivor } => {
                self.cluster.recover(*generation, *survivor)
            }
        };
        changed.map(|what| Outcome::Changed { what })
    }

    fn propose(&mut self, index: u64, command: &Command) -> Result<Outcome, Refusal> {
        let Action::Propose { base, content, file, comment, confirm } = &command.action else {
            return Err(Refusal::Malformed {});
        };
        self.admit(*base, *confirm)?;
        let epoch = self.last.next();
        let source = match content {
            Content::Text { text } => {
                self.shelf.texts.insert(epoch, text.clone());
                epoch
            }
            Content::Again { of } => {
                let missing = Refusal::NoSuchRevision { epoch: *of };
                self.shelf.get(*of).ok_or(missing)?.version.source
            }
        };
        let revision = Revision {
            version: Version { epoch, source },
            base: *base,
            file: file.clone(),
            comment: comment.clone(),
            stamp: command.stamp.clone(),
        };
        let proposal = ProposalId(index);
        self.last = epoch;
        let request = command.request;
        self.pending = Some(Pending { proposal, request, revision, confirm: *confirm });
        Ok(Outcome::Proposed { proposal, epoch })
    }

    /// Whether a proposal may be made now.
    fn admit(&self, base: Epoch, confirm: Option<core::time::Duration>) -> Result<(), Refusal> {
        if let Some(pending) = &self.pending {
            return Err(Refusal::Busy { proposal: pending.proposal });
        }
        if let Some(trial) = &self.trial {
            return Err(Refusal::OnTrial { epoch: trial.epoch });
        }
        if base != self.running.epoch {
            return Err(Refusal::Conflict { running: self.running.epoch });
        }
        let Some(confirm) = confirm else { return Ok(()) };
        if base == Epoch::NONE {
            return Err(Refusal::NoFallback {});
        }
        let whole = confirm.subsec_nanos().is_multiple_of(1_000_000);
        let fits = (CONFIRM_MIN..=CONFIRM_MAX).contains(&confirm) && whole;
        if fits { Ok(()) } else { Err(Refusal::ConfirmTime {}) }
    }

    /// The pending proposal, if it is this one.
    fn take_pending(&mut self, proposal: ProposalId) -> Result<Pending, Refusal> {
        let this = self.pending.take_if(|it| it.proposal == proposal);
        this.ok_or(Refusal::NotPending { running: self.running.epoch })
    }

    fn switch(&mut self, index: u64, proposal: ProposalId) -> Result<Outcome, Refusal> {
        let Pending { request, revision, confirm, .. } = self.take_pending(proposal)?;
        let (version, before) = (revision.version, self.running);
        self.trial = confirm.map(|confirm| {
            let revert = Version { epoch: version.epoch.next(), source: before.source };
            Trial { epoch: version.epoch, fallback: before.epoch, revert, confirm }
        });
        if let Some(trial) = &self.trial {
            self.last = trial.revert.epoch;
        }
        #[cfg(test)]
        if self.flaw == Some(Flaw::RevertNumberNotReserved) {
            self.last = version.epoch;
        }
        self.running = version;
        self.shelf.push(revision, &[version.epoch, before.epoch]);
        let reverts_as = self.trial.map(|it| it.revert.epoch);
        let outcome = Outcome::Committed { epoch: version.epoch, reverts_as };
        self.remember(index, request, &outcome);
        Ok(outcome)
    }

    fn withdraw(
        &mut self,
        index: u64,
        proposal: ProposalId,
        who: Option<NodeId>,
        why: &Withdrawal,
    ) -> Result<Outcome, Refusal> {
        let gone = self.take_pending(proposal)?;
        self.shelf.sweep();
        let outcome = Outcome::Withdrawn { proposal, who, why: why.clone() };
        self.remember(index, gone.request, &outcome);
        Ok(outcome)
    }

    /// The trial, if it is of this epoch.
    fn take_trial(&mut self, epoch: Epoch) -> Result<Trial, Refusal> {
        let this = self.trial.take_if(|it| it.epoch == epoch);
        this.ok_or(Refusal::NotOnTrial { epoch, running: self.running.epoch })
    }

    fn confirm(&mut self, epoch: Epoch) -> Result<Outcome, Refusal> {
        self.take_trial(epoch).map(|_| Outcome::Confirmed { epoch })
    }

    fn revert(&mut self, epoch: Epoch, cause: Cause, stamp: &Stamp) -> Result<Outcome, Refusal> {
        let trial = self.take_trial(epoch)?;
        let fallback = self.shelf.get(trial.fallback);
        let fallback = fallback.expect("the fallback of a trial is kept").clone();
        self.running = trial.revert;
        let (version, stamp) = (trial.revert, stamp.clone());
        let revision = Revision { version, base: epoch, stamp, ..fallback };
        self.shelf.push(revision, &[version.epoch, epoch]);
        Ok(Outcome::Reverted { epoch, now: version.epoch, cause })
    }

    /// The outcome of a request that is over, or that is being tried.
    fn before(&self, request: Option<RequestId>) -> Option<Outcome> {
        let request = request?;
        let pending = self.pending.as_ref().filter(|it| it.request == Some(request));
        let again = pending.map(|it| {
            let epoch = it.revision.version.epoch;
            Outcome::Proposed { proposal: it.proposal, epoch }
        });
        let finished = || self.requests.iter().rev().find(|it| it.request == request);
        again.or_else(|| finished().map(|it| it.outcome.clone()))
    }

    fn remember(&mut self, index: u64, request: Option<RequestId>, outcome: &Outcome) {
        let Some(request) = request else { return };
        #[cfg(test)]
        if self.flaw == Some(Flaw::RequestsForgotten) {
            self.requests.clear();
        }
        if matches!(outcome, Outcome::Proposed { .. }) {
            return;
        }
        if self.requests.len() >= REQUESTS_REMEMBERED {
            self.requests.pop_front();
        }
        self.requests.push_back(Finished { request, index, outcome: outcome.clone() });
    }

    fn note(&mut self, index: u64, stamp: &Stamp, outcome: &Outcome) {
        if matches!(outcome, Outcome::Proposed { .. } | Outcome::Refused { .. }) {
            return;
        }
        if self.changes.len() >= CHANGES_KEPT {
            self.changes.pop_front();
        }
        let (stamp, outcome) = (stamp.clone(), outcome.clone());
        self.changes.push_back(Change { index, stamp, outcome });
    }
}
