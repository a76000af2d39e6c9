//! What came of an entry.

use super::command::{Cause, Withdrawal};
use crate::policy::{Epoch, Line, ProposalId};
use crate::{NodeId, Term};

/// What came of an entry. That of a request is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Live members try it; the request's outcome comes later.
    Proposed {
        /// Its number.
        proposal: ProposalId,
        /// The epoch that it would have.
        epoch: Epoch,
    },
    /// It is in force.
    Committed {
        /// As this epoch.
        epoch: Epoch,
        /// The epoch to which it reverts unless confirmed, if it is on trial.
        reverts_as: Option<Epoch>,
    },
    /// It came to nothing.
    Withdrawn {
        /// Which one.
        proposal: ProposalId,
        /// For the sake of which member.
        who: Option<NodeId>,
        /// Why.
        why: Withdrawal,
    },
    /// The revision on trial stays.
    Confirmed {
        /// Which one.
        epoch: Epoch,
    },
    /// The revision on trial went.
    Reverted {
        /// Which one.
        epoch: Epoch,
        /// As what its predecessor's text is in force again.
        now: Epoch,
        /// Why.
        cause: Cause,
    },
    /// Something beside the policy changed.
    Changed {
        /// What.
        what: Changed,
    },
    /// Nothing happened.
    Refused {
        /// Why.
        why: Refusal,
    },
}

/// What changed beside the policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Changed {
    /// A member came or changed.
    Member {
        /// Which one.
        node: NodeId,
    },
    /// A member went.
    Left {
        /// Which one.
        node: NodeId,
    },
    /// Zones have numbers.
    Zones {
        /// How many have one now.
        numbered: u16,
    },
    /// The owner.
    Placement {
        /// Its term.
        term: Term,
    },
    /// A setting.
    Setting {
        /// Its name.
        key: Line,
    },
    /// A secret, which is not told.
    Secret {
        /// Its name.
        name: Line,
    },
    /// The shares of members, and so perhaps who has which slot.
    Shares {
        /// The version of the table.
        placement: u64,
    },
    /// One node goes on alone.
    Recovered {
        /// The new generation.
        generation: u64,
    },
}

/// Why nothing happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Another revision is running than its author saw.
    Conflict {
        /// This one.
        running: Epoch,
    },
    /// Another proposal is being tried.
    Busy {
        /// This one.
        proposal: ProposalId,
    },
    /// A revision is on trial: confirm it or roll it back first.
    OnTrial {
        /// This one.
        epoch: Epoch,
    },
    /// There is no such revision, or it is forgotten.
    NoSuchRevision {
        /// Which one.
        epoch: Epoch,
    },
    /// The first revision cannot be on trial: there is none to go back to.
    NoFallback {},
    /// The time to confirm is too short, too long, or no whole milliseconds.
    ConfirmTime {},
    /// This proposal is not being tried any more.
    NotPending {
        /// What is running.
        running: Epoch,
    },
    /// This revision is not on trial.
    NotOnTrial {
        /// Which one.
        epoch: Epoch,
        /// What is running.
        running: Epoch,
    },
    /// There is no such member.
    NoSuchMember {
        /// Which one.
        node: NodeId,
    },
    /// There are as many as there may be.
    Full {},
    /// A higher term is recorded.
    StaleTerm {
        /// This one.
        term: Term,
    },
    /// A generation as high is recorded.
    StaleGeneration {
        /// This one.
        generation: u64,
    },
    /// The entry cannot be read.
    Malformed {},
    /// It only votes, so it has no slots.
    Witness {
        /// Which one.
        node: NodeId,
    },
    /// Its weight is above the highest.
    Weight {
        /// Whose.
        node: NodeId,
    },
    /// There is no key for the placement yet, or it would be none.
    NoPlacementKey {},
}

impl Outcome {
    /// Whether the policy in force, or its trial, changed.
    #[must_use]
    pub const fn moves_policy(&self) -> bool {
        match self {
            Self::Committed { .. } | Self::Confirmed { .. } | Self::Reverted { .. } => true,
            Self::Proposed { .. }
            | Self::Withdrawn { .. }
            | Self::Changed { .. }
            | Self::Refused { .. } => false,
        }
    }
}
