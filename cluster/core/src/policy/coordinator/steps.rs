//! What the leader appends by itself.

use wire::Time;

use super::Coordinator;
use crate::NodeId;
use crate::limits::{APPEND_AGAIN, READY_WAIT};
use crate::policy::local::{Armed, Verdict};
use crate::policy::log::{Action, Cause, Withdrawal};
#[cfg(test)]
use crate::policy::tests::Flaw;
use crate::policy::{Clocks, ProposalId};

/// Where the first step stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum FirstStep {
    /// Every live firewall is ready.
    Ready,
    /// It comes to nothing, for the sake of a member.
    Failed(Option<NodeId>, Withdrawal),
    /// Somebody has not answered, who may yet.
    Open,
}

impl Coordinator {
    /// Appends what is due, once until it must be taken for lost.
    pub(super) fn step(&mut self, since: Time, clocks: &Clocks) {
        self.follow_proposal(since, clocks);
        let Some(action) = self.due(clocks) else {
            self.appended = None;
            return;
        };
        let pending = self
            .appended
            .as_ref()
            .is_some_and(|(before, at)| *before == action && clocks.now < *at + APPEND_AGAIN);
        if !pending {
            self.appended = Some((action.clone(), clocks.now));
            self.append(action, clocks);
        }
    }

    /// Counts the wait for a proposal from when it was first seen by this leader.
    fn follow_proposal(&mut self, since: Time, clocks: &Clocks) {
        let pending = self.summary.pending.map(|(proposal, _)| proposal);
        let same = self.trying.filter(|(proposal, _)| Some(*proposal) == pending);
        self.trying = pending.map(|it| same.unwrap_or((it, clocks.now.max(since))));
    }

    fn due(&self, clocks: &Clocks) -> Option<Action> {
        if let Some((proposal, since)) = self.trying {
            return match self.first_step(proposal, since, clocks.now) {
                FirstStep::Ready => Some(Action::Switch { proposal }),
                FirstStep::Failed(who, why) => Some(Action::Withdraw { proposal, who, why }),
                FirstStep::Open => None,
            };
        }
        let trial = self.trial.filter(|it| self.is_open(it) && it.deadline.has_come(clocks))?;
        Some(Action::Revert { epoch: trial.trial.epoch, cause: Cause::Deadline {} })
    }

    /// Whether the log still has this trial.
    pub(super) fn is_open(&self, armed: &Armed) -> bool {
        self.summary.trial == Some(armed.trial)
    }

    pub(super) fn first_step(&self, proposal: ProposalId, since: Time, now: Time) -> FirstStep {
        let live = |node: &&NodeId| self.members.get(node).is_none_or(|known| known.takes_part());
        let live: Vec<_> = self.firewalls.iter().filter(live).copied().collect();
        let verdict =
            |node: &NodeId| self.members.get(node).and_then(|known| known.verdict(proposal));
        let refusal = live.iter().find_map(|node| match verdict(node)? {
            Verdict::Refused { why } => Some((*node, why.clone())),
            Verdict::Ready {} => None,
        });
        #[cfg(test)]
        let refusal = refusal.filter(|_| self.flaw != Some(Flaw::RefusalIgnored));
        if let Some((node, why)) = refusal {
            return FirstStep::Failed(Some(node), Withdrawal::Refused { why });
        }
        let late = since + READY_WAIT <= now;
        match live.iter().find(|node| verdict(node).is_none()) {
            Some(missing) if late => FirstStep::Failed(Some(*missing), Withdrawal::Unanswered {}),
            None if live.is_empty() && late => FirstStep::Failed(None, Withdrawal::NobodyTried {}),
            None if !live.is_empty() => FirstStep::Ready,
            Some(_) | None => FirstStep::Open,
        }
    }
}
