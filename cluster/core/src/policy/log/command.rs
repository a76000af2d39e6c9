//! What an entry of the log says.

use std::net::SocketAddr;
use std::time::Duration;

use crate::membership::Kind;
use crate::placement;
use crate::policy::{Epoch, Line, PolicyText, ProposalId, RequestId, Secret, WallTime};
use crate::{NodeId, Term};

/// An entry of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// Under which its outcome is remembered; what a leader appends by itself has none.
    pub request: Option<RequestId>,
    /// Who wants it, and when.
    pub stamp: Stamp,
    /// What is to be done.
    pub action: Action,
}

/// Who wanted something, and when by the proposer's clock: for people, nothing depends on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Stamp {
    /// A user, a certificate's or token's name, or a node.
    pub author: Line,
    /// By the proposer's wall clock.
    pub wall: WallTime,
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// First step of a commit or rollback.
    Propose {
        /// The revision that its author saw running.
        base: Epoch,
        /// The text, or whose text.
        content: Content,
        /// The file that it came from.
        file: Line,
        /// The author's remark, or nothing.
        comment: Line,
        /// After which time it reverts by itself, unless confirmed; whole milliseconds.
        confirm: Option<Duration>,
    },
    /// Second step: every live member has compiled it.
    Switch {
        /// Which one.
        proposal: ProposalId,
    },
    /// It will not be.
    Withdraw {
        /// Which one.
        proposal: ProposalId,
        /// For the sake of which member.
        who: Option<NodeId>,
        /// Why.
        why: Withdrawal,
    },
    /// The revision on trial stays.
    Confirm {
        /// Which one.
        epoch: Epoch,
    },
    /// The revision on trial goes.
    Revert {
        /// Which one.
        epoch: Epoch,
        /// Why.
        cause: Cause,
    },
    /// A member comes, or changes.
    SetMember {
        /// Its number.
        node: NodeId,
        /// What is recorded of it.
        member: Member,
    },
    /// A member goes; it has ceased to forward.
    RemoveMember {
        /// Its number.
        node: NodeId,
    },
    /// Zones get a number each, unless they have one.
    NumberZones {
        /// Their names.
        zones: Vec<Line>,
    },
    /// Who owns, as it has come about.
    SetPlacement {
        /// The owner and its term.
        placement: Placement,
    },
    /// A setting gets a value, or loses it.
    SetSetting {
        /// Its name.
        key: Line,
        /// Its value.
        value: Option<Line>,
    },
    /// A secret is set, or forgotten.
    SetSecret {
        /// Its name.
        name: Line,
        /// What is secret.
        secret: Option<Secret>,
    },
    /// Members get these weights, racks and states in the placement of slots; the others keep theirs. The
    /// table follows from it on every node.
    SetShares {
        /// Of at most as many as a cluster has.
        shares: Vec<placement::Member>,
    },
    /// One node goes on alone, for good: the others are no members any more.
    Recover {
        /// The number of the new generation: higher than any before.
        generation: u64,
        /// Who goes on.
        survivor: NodeId,
    },
}

/// What a proposal would run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// A new text.
    Text {
        /// It, with its list files.
        text: PolicyText,
    },
    /// The text of an earlier revision.
    Again {
        /// Which one.
        of: Epoch,
    },
}

/// Why a proposal came to nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Withdrawal {
    /// A live member cannot run it.
    Refused {
        /// What that member says.
        why: Line,
    },
    /// A live member did not answer in time.
    Unanswered {},
    /// No firewall is alive that could have tried it.
    NobodyTried {},
    /// An operator wanted it no more.
    Unwanted {},
}

/// Why a revision on trial goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Nobody confirmed it in time.
    Deadline {},
    /// An operator rolled it back.
    Rollback {},
}

/// What is recorded of a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// What it is for.
    pub kind: Kind,
    /// Where it listens for the others.
    pub address: SocketAddr,
    /// Its name, for people.
    pub name: Line,
}

/// Who owns the VIP group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// The owner; 0 before there was one.
    pub owner: NodeId,
    /// Since which term.
    pub term: Term,
}
