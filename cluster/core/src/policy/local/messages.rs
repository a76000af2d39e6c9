//! What a node's machine is told, and what it says.

use wire::Time;

use super::deadline::Deadline;
use crate::NodeId;
use crate::policy::log::Trial;
use crate::policy::{Epoch, Line, ProposalId, Summary, Version};

/// What this node's machine is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The log as it is now: after entries were applied, after a snapshot, after a start.
    Log(Summary),
    /// A compilation is over.
    Compiled {
        /// What for.
        purpose: Purpose,
        /// Of what.
        version: Version,
        /// Whether this node can run it, or why not.
        result: Result<(), Line>,
    },
    /// Every worker has passed a burst boundary under this version, and the XDP program has its epoch.
    Running(Version),
    /// These facts are on the disk, synced.
    Saved(Facts),
    /// Whether the node has a forwarding lease: told when it begins, at each renewal, and when it has
    /// certainly ended. Before each of them the driver asks [`super::Local::may_forward`], and ends the
    /// lease if it must not.
    Lease(bool),
    /// The log of this node stands still, as its disk failed, and why; none: it goes on. While it stands
    /// still no lease begins but [`Self::Alone`].
    Stalled(Option<Line>),
    /// Whether the node may forward without any leader: a pair without witness whose other node is dead.
    Alone(bool),
    /// The leader wants a report.
    Asked,
    /// The leader's answer to [`Output::AskClearance`].
    Cleared {
        /// The question's.
        asked: Time,
        /// The last entry that was committed when the leader had made sure that it leads.
        index: u64,
    },
    /// Time has passed.
    Tick,
}

/// What this node's machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Compile the text of `version.source` as `version.epoch`; answer with [`Input::Compiled`]. What was
    /// compiled as a proposal is kept for the switch, what was in force for a way back. A witness answers
    /// at once, here and to [`Self::Run`]: it has no workers, but deadlines to count when it leads.
    Compile {
        /// What for.
        purpose: Purpose,
        /// Of what.
        version: Version,
    },
    /// Let all workers run what was compiled; answer with [`Input::Running`].
    Run(Version),
    /// Write these facts, with the texts of [`Facts::sources`], and sync; answer with [`Input::Saved`].
    /// They are written in their order; later ones may replace earlier ones that still wait.
    Save(Facts),
    /// Tell the leader, if there is one.
    Tell(Report),
    /// Ask the leader to be cleared; it first makes sure that it still leads. Answer with
    /// [`Input::Cleared`].
    AskClearance {
        /// When (CLOCK_BOOTTIME); the answer repeats it.
        asked: Time,
    },
    /// For the log and for people.
    Event(Event),
}

/// What a compilation is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To try a proposal.
    Proposal(ProposalId),
    /// To run it.
    Force,
}

/// For the log and for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// Nobody confirmed a revision in time, as far as this node knows: it went back alone.
    RevertedAlone {
        /// The revision on trial.
        epoch: Epoch,
    },
    /// It had been confirmed in time: this node takes it again.
    TookAgain {
        /// The revision.
        epoch: Epoch,
    },
    /// What is in force cannot run here; this node must not forward.
    CannotRun {
        /// What.
        version: Version,
        /// Why.
        why: Line,
    },
}

/// What a node remembers over a restart. Written before it is told to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// The entry that decided on what runs; what the log says of earlier ones is history.
    pub decided: u64,
    /// What runs.
    pub runs: Version,
    /// The trial that it is on.
    pub trial: Option<Armed>,
}

/// A trial with its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Armed {
    /// As the log tells it.
    pub trial: Trial,
    /// When it ends here.
    pub deadline: Deadline,
    /// Whether it has ended here, without a word of the log.
    pub alone: bool,
}

/// What a member tells the leader. Each is true for ever once it is: they may be repeated and lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Who tells it.
    pub node: NodeId,
    /// It runs what the log said by this entry, or what its own deadline made of that; on its disk, too.
    pub settled: u64,
    /// What that is.
    pub runs: Epoch,
    /// The proposal that it has tried or is trying.
    pub proposal: Option<ProposalId>,
    /// What came of it, if it is over.
    pub verdict: Option<Verdict>,
    /// It does not forward, and will not before it runs what the log said by this entry.
    pub closed: Option<Closed>,
}

/// What became of a proposal at a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can run here.
    Ready {},
    /// It cannot.
    Refused {
        /// Why.
        why: Line,
    },
}

/// That a member does not forward.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Closed {
    /// Until it runs what the log said by this entry.
    pub decided: u64,
    /// Why.
    pub why: Line,
}

impl Facts {
    /// The revisions whose texts must be on the disk with these facts.
    #[must_use]
    pub fn sources(&self) -> [Epoch; 2] {
        [self.runs.source, self.trial.map_or(self.runs, |it| it.trial.revert).source]
    }
}
