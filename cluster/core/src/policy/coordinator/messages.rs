//! What the coordinator is told, and what it says.

use std::time::Duration;

use wire::Time;

use crate::NodeId;
use crate::policy::local::{Armed, Report};
use crate::policy::{Command, Epoch, Line, Log, Outcome};

/// A request's way back to whoever waits; the driver numbers them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// What the coordinator is told.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// This node leads; or leads no more.
    Leads(bool),
    /// The log as it is now, and the trial as this node's own machine counts it
    /// ([`crate::policy::Local::trial`]). After a start, and each time that entries were applied.
    Log(&'a Log, Option<Armed>),
    /// What membership says of a member; also while this node does not lead.
    Liveness(NodeId, Liveness),
    /// A member's report.
    Report(&'a Report),
    /// A member's log stands still, and it does not forward ([`crate::policy::Local::stands_still`]). What it
    /// answers in place of a report.
    StandsStill {
        /// Which one.
        node: NodeId,
        /// When it was asked ([`Output::Ask`]), by this node's CLOCK_MONOTONIC.
        asked: Time,
        /// Why, for people.
        why: &'a Line,
    },
    /// Somebody wants something, with a request id. The log as it is now tells whether it was done before.
    Request(Ticket, &'a Command, &'a Log),
    /// A member asks to be cleared. First the driver makes sure by a round to a majority that this node
    /// still leads, *after* the question has come.
    Clearance {
        /// Who asks.
        node: NodeId,
        /// When, by its clock; the answer repeats it.
        asked: Time,
        /// The last entry that was committed then.
        index: u64,
    },
    /// Time has passed.
    Tick,
}

/// What membership says of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Liveness {
    /// It is heard, or it is not known whether it forwards.
    Alive,
    /// It is not heard, and what lease it had has certainly ended by then: no majority renews it.
    Down {
        /// By CLOCK_MONOTONIC of this node.
        dark_at: Time,
    },
}

/// What the coordinator wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Append this to the log.
    Append(Command),
    /// Ask a member for its report.
    Ask(NodeId),
    /// Tell a member that it is cleared.
    Clear {
        /// Whom.
        node: NodeId,
        /// Its question.
        asked: Time,
        /// The entry that it must have applied.
        index: u64,
    },
    /// Answer a request. Each ticket gets one answer.
    Answer(Ticket, Answer),
}

/// How a request ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It is over. If it moved the policy, no member that may forward runs an older one.
    Done {
        /// What came of it.
        outcome: Outcome,
        /// Since the request came here.
        took: Duration,
        /// Firewalls that were not waited for.
        excused: Vec<Excused>,
    },
    /// It is in force, but these members did not say in time that they run it, and may forward.
    Unsettled {
        /// What came of it.
        outcome: Outcome,
        /// Since the request came here.
        took: Duration,
        /// Who has not said so.
        missing: Vec<NodeId>,
    },
    /// The time to confirm is over, as the leader counts it: nothing was done. What an earlier attempt under
    /// the same request id did, if its answer was
    /// [`Self::Unknown`], this does not tell.
    TooLate {
        /// The revision on trial.
        epoch: Epoch,
    },
    /// The command has no request id.
    Unnumbered,
    /// This node does not lead; nothing was done.
    NotLeading,
    /// Too many requests wait; nothing was done.
    Full,
    /// It cannot be told what came of it: this node leads no more, or it took too long. Ask again with the
    /// same request id.
    Unknown {
        /// Who is down, witnesses too: without a majority nothing is agreed on.
        down: Vec<NodeId>,
    },
}

/// A member that was not waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Excused {
    /// Which one.
    pub node: NodeId,
    /// Why.
    pub why: Excuse,
}

/// Why a member was not waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// It is down, and its lease has certainly ended.
    Down,
    /// It cannot run the newest policy and does not forward.
    Closed(Line),
}
