//! Requests, from when they come until they are answered.

use wire::Time;

use super::Coordinator;
use super::messages::{Answer, Excused, Output, Ticket};
use crate::NodeId;
use crate::limits::{APPEND_AGAIN, REQUEST_WAIT, REQUESTS_WAITING, SETTLE_WAIT};
use crate::policy::log::{Action, Finished, Progress};
#[cfg(test)]
use crate::policy::tests::Flaw;
use crate::policy::{Clocks, Command, Epoch, Log, RequestId};

/// Somebody waits.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) ticket: Ticket,
    request: RequestId,
    since: Time,
    /// When its command was appended last.
    appended: Time,
    /// What came of it, since when that is known.
    finished: Option<(Finished, Time)>,
}

impl Coordinator {
    /// A request that is new here is appended. Its like may be on its way into the log by another leader:
    /// the log tells them apart.
    pub(super) fn request(
        &mut self,
        ticket: Ticket,
        command: &Command,
        log: &Log,
        clocks: &Clocks,
    ) {
        let Some(request) = command.request else {
            self.outputs.push_back(Output::Answer(ticket, Answer::Unnumbered));
            return;
        };
        let since = clocks.now;
        let is_known = log.progress(request).is_some();
        let before = self.waiting.iter().filter(|it| it.request == request);
        let appended = before.map(|it| it.appended).max();
        if let Some(answer) = self.refusal(command, is_known || appended.is_some(), clocks) {
            self.outputs.push_back(Output::Answer(ticket, answer));
            return;
        }
        let lost = appended.is_none_or(|at| at + APPEND_AGAIN <= since);
        let append = lost && !is_known && !self.is_late_confirm(command, clocks);
        if append {
            self.outputs.push_back(Output::Append(command.clone()));
        }
        let appended = if append { since } else { appended.unwrap_or(since) };
        self.waiting.push(Waiting { ticket, request, since, appended, finished: None });
        self.progress(log, clocks);
    }

    /// Why a request is not taken; one that is known, or on its way, is only waited for.
    fn refusal(&self, command: &Command, is_known: bool, clocks: &Clocks) -> Option<Answer> {
        if self.leads_since.is_none() {
            return Some(Answer::NotLeading);
        }
        if self.waiting.len() >= REQUESTS_WAITING {
            return Some(Answer::Full);
        }
        let late = !is_known && self.is_late_confirm(command, clocks);
        late.then_some(self.summary.running.epoch).map(|epoch| Answer::TooLate { epoch })
    }

    fn is_late_confirm(&self, command: &Command, clocks: &Clocks) -> bool {
        matches!(command.action, Action::Confirm { epoch } if self.is_too_late(epoch, clocks))
    }

    /// Whether the time to confirm is over here: then every node's own may be.
    fn is_too_late(&self, epoch: Epoch, clocks: &Clocks) -> bool {
        let trial = self.trial.filter(|it| it.trial.epoch == epoch && self.is_open(it));
        trial.is_some_and(|it| it.deadline.has_come(clocks))
    }

    /// Finds out how far the requests are.
    pub(super) fn progress(&mut self, log: &Log, clocks: &Clocks) {
        for waiting in self.waiting.iter_mut().filter(|it| it.finished.is_none()) {
            match log.progress(waiting.request) {
                Some(Progress::Finished(it)) => waiting.finished = Some((it.clone(), clocks.now)),
                Some(Progress::Pending(_)) | None => {}
            }
        }
    }

    /// The newest entry that somebody waits for to be run everywhere.
    pub(super) fn settles(&self) -> Option<u64> {
        let finished = self.waiting.iter().filter_map(|it| it.finished.as_ref());
        finished.filter(|(it, _)| it.outcome.moves_policy()).map(|(it, _)| it.index).max()
    }

    /// Answers who can be answered now.
    pub(super) fn answer(&mut self, leads_since: Time, clocks: &Clocks) {
        for waiting in core::mem::take(&mut self.waiting) {
            match self.answer_to(&waiting, leads_since, clocks.now) {
                Some(answer) => self.outputs.push_back(Output::Answer(waiting.ticket, answer)),
                None => self.waiting.push(waiting),
            }
        }
    }

    /// With who is down: too many of them, and nothing can be agreed on.
    pub(super) fn unknown(&self) -> Answer {
        let down = self.members.iter().filter(|(_, it)| !it.is_alive());
        Answer::Unknown { down: down.map(|(node, _)| *node).collect() }
    }

    fn answer_to(&self, waiting: &Waiting, leads_since: Time, now: Time) -> Option<Answer> {
        let took = now.since(waiting.since);
        let Some((Finished { index, outcome, .. }, since)) = &waiting.finished else {
            return (took >= REQUEST_WAIT).then(|| self.unknown());
        };
        let outcome = outcome.clone();
        if !outcome.moves_policy() {
            return Some(Answer::Done { outcome, took, excused: Vec::new() });
        }
        match self.settled(*index, leads_since, now) {
            Ok(excused) => Some(Answer::Done { outcome, took, excused }),
            Err(missing) if *since + SETTLE_WAIT <= now => {
                Some(Answer::Unsettled { outcome, took, missing })
            }
            Err(_) => None,
        }
    }

    /// Who was not waited for, if every firewall runs what the log said by this entry or does not
    /// forward; else who is missing.
    fn settled(
        &self,
        index: u64,
        leads_since: Time,
        now: Time,
    ) -> Result<Vec<Excused>, Vec<NodeId>> {
        let (mut excused, mut missing) = (Vec::new(), Vec::new());
        #[cfg(test)]
        let leads_since =
            if self.flaw == Some(Flaw::NewLeaderTrusts) { Time::ZERO } else { leads_since };
        for node in &self.firewalls {
            let known = self.members.get(node);
            if known.is_some_and(|it| it.is_settled(index)) {
                continue;
            }
            let why = known.and_then(|it| it.excuse(index, now, leads_since));
            #[cfg(test)]
            let why = why.or_else(|| self.excused_too_soon(*node));
            match why {
                Some(why) => excused.push(Excused { node: *node, why }),
                None => missing.push(*node),
            }
        }
        if missing.is_empty() { Ok(excused) } else { Err(missing) }
    }

    /// A planted mistake: who is down is not waited for, lease or not.
    #[cfg(test)]
    fn excused_too_soon(&self, node: NodeId) -> Option<super::Excuse> {
        let down = self.members.get(&node).is_some_and(|it| !it.is_alive());
        (down && self.flaw == Some(Flaw::LeaseNotWaitedFor)).then_some(super::Excuse::Down)
    }
}
