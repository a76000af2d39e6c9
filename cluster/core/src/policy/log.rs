//! The replicated state: what the cluster has agreed on.
//!
//! | entry | nothing pending | a proposal pending | a revision on trial |
//! |---|---|---|---|
//! | `Propose` | pending, if its base runs | `Busy`; the same request again: the same | `OnTrial` |
//! | `Switch` | `NotPending` | in force, perhaps on trial | `NotPending` |
//! | `Withdraw` | `NotPending` | gone | `NotPending` |
//! | `Confirm` | `NotOnTrial` | `NotOnTrial` | it stays |
//! | `Revert` | `NotOnTrial` | `NotOnTrial` | its predecessor's text, as the next epoch |
//!
//! A proposal and a trial exclude each other. No two texts ever have one number: a proposal's is used up if
//! it is withdrawn, for somebody may have its text under that number; and the number after one on trial is
//! its revert's, whether it comes to that or not, for nodes revert alone.

mod apply;
mod cluster;
pub mod command;
pub mod outcome;
mod shares;
mod shelf;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::Duration;

pub use self::cluster::{Cluster, Invitation, leave};
pub use self::command::{Action, Cause, Command, Content, Member, Placement, Stamp, Withdrawal};
pub use self::outcome::{Changed, Outcome, Refusal};
pub use self::shares::PLACEMENT_KEY;
pub use self::shelf::Revision;

pub(in crate::policy) use self::shelf::Shelf;
use super::{Epoch, Malformed, PolicyText, ProposalId, Replicated, RequestId, Version, layout};

/// The replicated state.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    /// The last entry applied.
    pub(super) applied: u64,
    /// The last entry that moved the policy in force or its trial.
    pub(super) decided: u64,
    /// The last epoch that was given away or reserved.
    pub(super) last: Epoch,
    pub(super) running: Version,
    pub(super) trial: Option<Trial>,
    pub(super) pending: Option<Pending>,
    pub(super) shelf: Shelf,
    pub(super) requests: VecDeque<Finished>,
    pub(super) changes: VecDeque<Change>,
    pub(super) cluster: Cluster,
    #[cfg(test)]
    pub(super) flaw: Option<super::tests::Flaw>,
}

/// A revision in force that reverts unless it is confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// It.
    pub epoch: Epoch,
    /// The revision before it.
    pub fallback: Epoch,
    /// As what that one's text comes back.
    pub revert: Version,
    /// After which time, counted by each node from when it applied the switch.
    pub confirm: Duration,
}

/// A proposal that is being tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Its number.
    pub proposal: ProposalId,
    /// Whose it is.
    pub request: Option<RequestId>,
    /// What it would be.
    pub revision: Revision,
    /// Whether, and how long, it would be on trial.
    pub confirm: Option<Duration>,
}

/// The outcome of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// Which one.
    pub request: RequestId,
    /// The entry that ended it.
    pub index: u64,
    /// What came of it.
    pub outcome: Outcome,
}

/// Something that changed, for `history`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The entry.
    pub index: u64,
    /// Who wanted it, and when.
    pub stamp: Stamp,
    /// What it was; never a refusal.
    pub outcome: Outcome,
}

/// How far a request is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress<'a> {
    /// Its proposal is being tried.
    Pending(ProposalId),
    /// It is over.
    Finished(&'a Finished),
}

/// What a node's own machine must know of the state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// The last entry applied.
    pub applied: u64,
    /// The last entry that moved the policy in force or its trial.
    pub decided: u64,
    /// What is in force.
    pub running: Version,
    /// Whether it is on trial.
    pub trial: Option<Trial>,
    /// What is being tried, and as what it would be in force.
    pub pending: Option<(ProposalId, Version)>,
}

impl Log {
    /// What a node's own machine must know.
    #[must_use]
    pub fn summary(&self) -> Summary {
        Summary {
            applied: self.applied,
            decided: self.decided,
            running: self.running,
            trial: self.trial,
            pending: self.pending.as_ref().map(|it| (it.proposal, it.revision.version)),
        }
    }

    /// The revisions kept, oldest first.
    pub fn revisions(&self) -> impl DoubleEndedIterator<Item = &Revision> {
        self.shelf.revisions.iter()
    }

    /// A revision that is kept.
    #[must_use]
    pub fn revision(&self, epoch: Epoch) -> Option<&Revision> {
        self.shelf.get(epoch)
    }

    /// The text that a revision or the proposal brought: look it up by [`Version::source`].
    #[must_use]
    pub fn text(&self, source: Epoch) -> Option<&PolicyText> {
        self.shelf.texts.get(&source)
    }

    /// The proposal that is being tried.
    #[must_use]
    pub const fn pending(&self) -> Option<&Pending> {
        self.pending.as_ref()
    }

    /// How far a request is; nothing if it is unknown, or over and forgotten.
    #[must_use]
    pub fn progress(&self, request: RequestId) -> Option<Progress<'_>> {
        let pending = self.pending.as_ref().filter(|it| it.request == Some(request));
        let finished = || self.requests.iter().rev().find(|it| it.request == request);
        match pending {
            Some(it) => Some(Progress::Pending(it.proposal)),
            None => finished().map(Progress::Finished),
        }
    }

    /// What changed, oldest first.
    pub fn changes(&self) -> impl DoubleEndedIterator<Item = &Change> {
        self.changes.iter()
    }

    /// Members, zones, placement, settings, secrets.
    #[must_use]
    pub const fn cluster(&self) -> &Cluster {
        &self.cluster
    }
}

impl Replicated for Log {
    type Command = Command;
    type Outcome = Outcome;

    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<u8> {
        let outcome = match layout::command(command) {
            Ok(command) => self.take(index, &command),
            Err(_) => self.pass(index),
        };
        layout::encode_outcome(&outcome)
    }

    fn snapshot(&self) -> Vec<u8> {
        layout::encode_log(self)
    }

    fn restore(bytes: &[u8]) -> Result<Self, Malformed> {
        layout::log(bytes)
    }
}
