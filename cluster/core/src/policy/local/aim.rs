//! From what should run to what does.

use super::{Armed, Deadline, Event, Local, Output, Purpose, Tried, Verdict, Work};
use crate::limits::COMPILE_AGAIN;
use crate::policy::log::Trial;
#[cfg(test)]
use crate::policy::tests::Flaw;
use crate::policy::{Clocks, Line, ProposalId, Summary, Version};

impl Local {
    /// What should run: what the log says, or the revert of a trial that has ended here.
    pub(super) fn wanted(&self) -> Version {
        self.facts.trial.filter(|it| it.alone).map_or(self.facts.runs, |it| it.trial.revert)
    }

    /// After a start: deadlines are told anew if the machine was restarted.
    pub(super) fn carry_over(&mut self, clocks: &Clocks) {
        #[cfg(test)]
        if self.flaw == Some(Flaw::DeadlineForgotten) {
            self.facts.trial = None;
        }
        if let Some(armed) = &mut self.facts.trial {
            armed.deadline = armed.deadline.carried_over(clocks);
        }
    }

    /// The log as it is now. What is on this node's disk may be ahead of it after a restart.
    pub(super) fn see(&mut self, summary: &Summary, clocks: &Clocks) {
        let behind = summary.decided < self.facts.decided;
        #[cfg(test)]
        let behind = behind && self.flaw != Some(Flaw::TakesOldEntries);
        if behind {
            return;
        }
        self.applied = summary.applied;
        if summary.decided != self.facts.decided {
            self.facts.decided = summary.decided;
            self.facts.runs = summary.running;
            self.see_trial(summary.trial, clocks);
        }
        self.try_proposal(summary.pending);
    }

    fn see_trial(&mut self, trial: Option<Trial>, clocks: &Clocks) {
        let before = self.facts.trial.take();
        self.facts.trial = match (before, trial) {
            (Some(before), Some(trial)) if before.trial == trial => Some(before),
            (_, Some(trial)) => {
                let deadline = Deadline::new(trial.confirm, clocks);
                Some(Armed { trial, deadline, alone: false })
            }
            (_, None) => None,
        };
        let Some(before) = before.filter(|it| it.alone && self.facts.trial.is_none()) else {
            return;
        };
        #[cfg(test)]
        if self.flaw == Some(Flaw::StaysRevertedAlone) {
            self.facts.runs = before.trial.revert;
        }
        if self.facts.runs.epoch == before.trial.epoch {
            self.tally.took_again += 1;
            self.event(Event::TookAgain { epoch: before.trial.epoch });
        }
    }

    fn try_proposal(&mut self, pending: Option<(ProposalId, Version)>) {
        let Some((proposal, version)) = pending else {
            self.tried = None;
            return;
        };
        if self.tried.as_ref().is_some_and(|it| it.proposal == proposal) {
            return;
        }
        self.tried = Some(Tried { proposal, verdict: None });
        let purpose = Purpose::Proposal(proposal);
        self.outputs.push_back(Output::Compile { purpose, version });
    }

    pub(super) fn tried(&mut self, proposal: ProposalId, result: Result<(), Line>) {
        if let Some(tried) = self.tried.as_mut().filter(|it| it.proposal == proposal) {
            tried.verdict = Some(match result {
                Ok(()) => Verdict::Ready {},
                Err(why) => Verdict::Refused { why },
            });
        }
    }

    /// What should run is compiled, or cannot be. Of what should not run any more, nothing follows.
    pub(super) fn compiled(&mut self, of: Version, result: Result<(), Line>, clocks: &Clocks) {
        if self.work != Work::Compiling(of) {
            return;
        }
        self.work = match result {
            _ if of != self.wanted() => Work::Idle,
            Ok(()) => {
                self.outputs.push_back(Output::Run(of));
                Work::Switching(of)
            }
            Err(why) => {
                self.tally.cannot_run += 1;
                self.event(Event::CannotRun { version: of, why: why.clone() });
                self.unable = Some(why);
                Work::Resting(clocks.boottime + COMPILE_AGAIN)
            }
        };
    }

    pub(super) fn runs(&mut self, version: Version) {
        if self.work == Work::Switching(version) {
            self.work = Work::Idle;
            self.running = version;
            self.tally.switches += 1;
        }
    }

    /// What follows from all that is known now.
    pub(super) fn turn(&mut self, clocks: &Clocks) {
        self.end_trial(clocks);
        self.aim(clocks);
        self.save();
        self.settle();
        self.tell();
        self.ask(clocks);
    }

    fn end_trial(&mut self, clocks: &Clocks) {
        let Some(armed) = self.facts.trial.filter(|it| !it.alone) else { return };
        let come = armed.deadline.has_come(clocks);
        #[cfg(test)]
        let by_wall = self.flaw == Some(Flaw::DeadlineByWallClock);
        #[cfg(test)]
        let come = if by_wall { armed.deadline.wall <= clocks.wall } else { come };
        if come {
            self.facts.trial = Some(Armed { alone: true, ..armed });
            self.tally.reverted_alone += 1;
            self.event(Event::RevertedAlone { epoch: armed.trial.epoch });
        }
    }

    fn aim(&mut self, clocks: &Clocks) {
        let wanted = self.wanted();
        let busy = match self.work {
            Work::Idle => false,
            Work::Resting(until) => self.running != wanted && clocks.boottime < until,
            Work::Compiling(_) | Work::Switching(_) => true,
        };
        if busy {
            return;
        }
        if self.running == wanted {
            self.work = Work::Idle;
            self.unable = None;
            return;
        }
        self.work = Work::Compiling(wanted);
        let purpose = Purpose::Force;
        self.outputs.push_back(Output::Compile { purpose, version: wanted });
    }

    /// Writes down what is new, once it can run here: a node that cannot run the newest starts again
    /// with what it could.
    fn save(&mut self) {
        let wanted = self.wanted();
        let able = self.running == wanted || self.work == Work::Switching(wanted);
        let newest = self.saving.unwrap_or(self.saved);
        if able && newest != self.facts {
            self.saving = Some(self.facts);
            self.outputs.push_back(Output::Save(self.facts));
        }
    }

    fn settle(&mut self) {
        let runs = self.running == self.wanted() && self.work == Work::Idle;
        let on_disk = self.saved == self.facts;
        #[cfg(test)]
        let on_disk = on_disk || self.flaw == Some(Flaw::ToldBeforeSaved);
        if runs && on_disk {
            self.settled = self.facts.decided;
        }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }
}
