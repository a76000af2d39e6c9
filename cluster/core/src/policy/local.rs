//! One node's part: what it runs, and when it may forward.
//!
//! ```text
//!               wanted = what the log says, or the revert of a trial whose deadline has come here
//!
//!             wanted ≠ running                  compiled
//!    idle ───────────────────────► compiling ─────────────► switching: run, and save ──┐
//!     ▲                                │ cannot                                        │
//!     │                                ▼                                               │
//!     │                     unable: again in a second                                  │
//!     └────────────────────────── running, and saved: told ◄───────────────────────────┘
//! ```
//!
//! The machine looks at the log's state and not at its entries, so a node that was away takes what is in
//! force now, in one step. What is on its disk may be ahead of what its log tells after a restart: the log
//! counts again when it has come as far.
//!
//! **Who may forward.** Who has a lease goes on with it, also in the middle of a switch: a commit waits for
//! its report. To begin, a node must run the newest policy that it knows of, and know that there is no newer
//! one: the leader has *cleared* it, less than [`CLEARANCE`] ago. The leader waits for whom it cleared. In
//! place of that stands the permission to go on alone; then nobody can commit.

mod aim;
mod deadline;
mod messages;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use wire::Time;

pub use self::deadline::Deadline;
pub use self::messages::{Armed, Closed, Event, Facts, Input, Output, Purpose, Report, Verdict};

use super::{Clocks, Line, ProposalId, Version};
use crate::NodeId;
use crate::limits::{CLEARANCE, CLEARANCE_INTERVAL};
#[cfg(test)]
use crate::policy::tests::Flaw;

/// One node's part in the policy.
#[derive(Clone, Debug)]
pub struct Local {
    node: NodeId,
    /// The last entry that its log has applied.
    applied: u64,
    /// What should be on the disk, and what is.
    facts: Facts,
    saved: Facts,
    /// The facts that were last given out to be written.
    saving: Option<Facts>,
    running: Version,
    work: Work,
    /// Why what should run cannot, since the first attempt failed until one succeeds.
    unable: Option<Line>,
    tried: Option<Tried>,
    /// The newest entry for which it runs what it should.
    settled: u64,
    holding: bool,
    alone: bool,
    /// The last clearance: until when, and for which entry.
    cleared: Option<(Time, u64)>,
    /// Why the log stands still, if it does; and what was asked until when is void, since it did.
    stalled: Option<Line>,
    void: Option<Time>,
    asked: Option<Time>,
    tally: Tally,
    told: Option<Report>,
    outputs: VecDeque<Output>,
    #[cfg(test)]
    pub(super) flaw: Option<Flaw>,
}

/// What is being done about what should run.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Work {
    Idle,
    Compiling(Version),
    Switching(Version),
    /// It failed; again at this time.
    Resting(Time),
}

/// A proposal here.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Tried {
    proposal: ProposalId,
    verdict: Option<Verdict>,
}

/// Counts since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Changes of what runs.
    pub switches: u64,
    /// Trials that ended by this node's own deadline.
    pub reverted_alone: u64,
    /// How many of those had been confirmed, and were taken again.
    pub took_again: u64,
    /// Attempts to compile what is in force that failed.
    pub cannot_run: u64,
}

impl Local {
    /// A node that starts, with what its disk remembers. Nothing runs yet.
    #[must_use]
    pub fn new(node: NodeId, facts: Facts, clocks: &Clocks) -> Self {
        let mut it = Self::at_rest(node, facts);
        it.begin(clocks);
        it
    }

    fn at_rest(node: NodeId, facts: Facts) -> Self {
        Self {
            node,
            applied: 0,
            facts,
            saved: facts,
            saving: None,
            running: Version::NONE,
            work: Work::Idle,
            unable: None,
            tried: None,
            settled: 0,
            holding: false,
            alone: false,
            cleared: None,
            stalled: None,
            void: None,
            asked: None,
            tally: Tally::default(),
            told: None,
            outputs: VecDeque::new(),
            #[cfg(test)]
            flaw: None,
        }
    }

    /// The same with a planted mistake.
    #[cfg(test)]
    pub(super) fn with_flaw(
        node: NodeId,
        facts: Facts,
        flaw: Option<Flaw>,
        clocks: &Clocks,
    ) -> Self {
        let mut it = Self::at_rest(node, facts);
        it.flaw = flaw;
        it.begin(clocks);
        it
    }

    fn begin(&mut self, clocks: &Clocks) {
        self.carry_over(clocks);
        self.turn(clocks);
    }

    /// Takes an input; then take all outputs.
    pub fn handle(&mut self, input: Input, clocks: &Clocks) {
        match input {
            Input::Log(summary) => self.see(&summary, clocks),
            Input::Compiled { purpose: Purpose::Proposal(proposal), result, .. } => {
                self.tried(proposal, result);
            }
            Input::Compiled { purpose: Purpose::Force, version, result } => {
                self.compiled(version, result, clocks);
            }
            Input::Running(version) => self.runs(version),
            Input::Saved(facts) => {
                self.saved = facts;
                self.saving.take_if(|saving| *saving == facts);
            }
            Input::Lease(held) => {
                self.holding = held && (self.holding || self.may_forward(clocks));
            }
            Input::Stalled(why) => self.stall(why, clocks),
            Input::Alone(alone) => self.alone = alone,
            Input::Asked => self.told = None,
            Input::Cleared { asked, index } => self.clear(asked, index, clocks),
            Input::Tick => {}
        }
        self.turn(clocks);
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due, by CLOCK_BOOTTIME.
    #[must_use]
    pub fn next_deadline(&self) -> Time {
        let trial = self.facts.trial.filter(|it| !it.alone).map(|it| it.deadline.at);
        let rest = match self.work {
            Work::Resting(until) => Some(until),
            Work::Idle | Work::Compiling(_) | Work::Switching(_) => None,
        };
        let ask = self.asked.map_or(Time::ZERO, |asked| asked + CLEARANCE_INTERVAL);
        [trial, rest].into_iter().flatten().fold(ask, Time::min)
    }

    /// Whether this node may take a lease, or go on with the one that it has.
    #[must_use]
    pub fn may_forward(&self, clocks: &Clocks) -> bool {
        self.may_go_on() && self.holding || self.may_begin_until(clocks).is_some()
    }

    /// Until when (CLOCK_BOOTTIME) a lease may begin without another word of the log or the leader; nothing
    /// if it may not begin now.
    #[must_use]
    pub fn may_begin_until(&self, clocks: &Clocks) -> Option<Time> {
        let current = self.running == self.wanted() && self.work == Work::Idle;
        if !current || !self.may_go_on() {
            return None;
        }
        match self.alone {
            true => Some(Time(u64::MAX)),
            false => self.cleared.filter(|_| self.is_cleared(clocks)).map(|(until, _)| until),
        }
    }

    /// Whether a lease that there is may go on.
    #[must_use]
    pub fn may_go_on(&self) -> bool {
        self.running != Version::NONE && self.unable.is_none()
    }

    /// Why this node takes part in no commit and certainly does not forward, if that is so: its log stands
    /// still, and it has no lease. It begins none before it is cleared anew, for a question that it asks once
    /// the log goes on. So it need not be waited for until its leader clears it.
    #[must_use]
    pub fn stands_still(&self) -> Option<&Line> {
        self.stalled.as_ref().filter(|_| !self.holding && !self.alone)
    }

    /// What the workers run.
    #[must_use]
    pub const fn running(&self) -> Version {
        self.running
    }

    /// The trial that this node is on, with its deadline here.
    #[must_use]
    pub const fn trial(&self) -> Option<Armed> {
        self.facts.trial
    }

    /// Why what is in force cannot run here.
    #[must_use]
    pub const fn unable(&self) -> Option<&Line> {
        self.unable.as_ref()
    }

    /// What happened so far.
    #[must_use]
    pub const fn tally(&self) -> &Tally {
        &self.tally
    }

    /// What the leader would be told now.
    #[must_use]
    pub fn report(&self) -> Report {
        let closed = self.unable.as_ref().filter(|_| !self.holding);
        Report {
            node: self.node,
            settled: self.settled,
            runs: self.running.epoch,
            proposal: self.tried.as_ref().map(|it| it.proposal),
            verdict: self.tried.as_ref().and_then(|it| it.verdict.clone()),
            closed: closed.map(|why| Closed { decided: self.facts.decided, why: why.clone() }),
        }
    }

    fn is_cleared(&self, clocks: &Clocks) -> bool {
        #[cfg(test)]
        if self.flaw == Some(Flaw::ForwardsUncleared) {
            return true;
        }
        self.cleared.is_some_and(|(until, index)| clocks.boottime < until && self.applied >= index)
    }

    /// What was cleared before is void: others may count on it that no lease begins.
    fn stall(&mut self, why: Option<Line>, clocks: &Clocks) {
        if why.is_some() || self.stalled.is_some() {
            #[cfg(test)]
            if self.flaw == Some(Flaw::ClearedWhileStalled) {
                self.stalled = why;
                return;
            }
            self.cleared = None;
            self.void = Some(clocks.boottime);
        }
        self.stalled = why;
    }

    /// The answer counts from its question, which was asked in this run of the kernel, for the kernel's
    /// other runs have other times.
    fn clear(&mut self, asked: Time, index: u64, clocks: &Clocks) {
        #[cfg(test)]
        let void = self.void.filter(|_| self.flaw != Some(Flaw::ClearedWhileStalled));
        #[cfg(not(test))]
        let void = self.void;
        if void.is_some_and(|void| asked <= void) {
            return;
        }
        let until = asked + CLEARANCE;
        let newer = self.cleared.is_none_or(|(before, _)| before < until);
        if asked <= clocks.boottime && newer {
            self.cleared = Some((until, index));
        }
    }

    /// Asks for clearance while there is no lease.
    fn ask(&mut self, clocks: &Clocks) {
        let due = self.asked.is_none_or(|at| at + CLEARANCE_INTERVAL <= clocks.boottime);
        if due && !self.holding && self.stalled.is_none() {
            self.outputs.push_back(Output::AskClearance { asked: clocks.boottime });
        }
        if due {
            self.asked = Some(clocks.boottime);
        }
    }

    /// Tells the leader what is new.
    fn tell(&mut self) {
        let report = self.report();
        if self.told.as_ref() != Some(&report) {
            self.told = Some(report.clone());
            self.outputs.push_back(Output::Tell(report));
        }
    }
}
