//! The leader's part: it brings a commit through its two steps.
//!
//! | what the log says | what is known of the members | what follows |
//! |---|---|---|
//! | a proposal is pending | one refuses | `Withdraw`, with who and why |
//! | | every live firewall is ready | `Switch` |
//! | | one is not after [`READY_WAIT`](crate::limits::READY_WAIT), or none is alive | `Withdraw` |
//! | the policy moved | every firewall runs it, or does not forward | the answer |
//! | | one has not said so after [`SETTLE_WAIT`](crate::limits::SETTLE_WAIT) | the answer, with its name |
//! | a trial whose deadline has come | | `Revert` |
//!
//! It looks at the log's state, as a node's machine does: so a new leader finds what its predecessor left,
//! asks the members again, and goes on. Whatever it appends may stand in the log twice, because each entry
//! names what it is about. Requests are found by their id in the log, by whomever they were appended.

mod members;
mod messages;
mod requests;
mod steps;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};

use wire::Time;

pub use self::messages::{Answer, Excuse, Excused, Input, Liveness, Output, Ticket};

use self::members::Known;
use self::requests::Waiting;
use super::local::Armed;
use super::log::{Action, Stamp};
use super::{Clocks, Command, Line, Log, ProposalId, Summary};
use crate::NodeId;
use crate::limits::{APPEND_AGAIN, ASK_INTERVAL};
use crate::membership::Kind;
#[cfg(test)]
use crate::policy::tests::Flaw;

/// The leader's part; it rests while another node leads.
#[derive(Clone, Debug)]
pub struct Coordinator {
    node: NodeId,
    leads_since: Option<Time>,
    members: BTreeMap<NodeId, Known>,
    /// The log as it was last seen: its summary, and the firewalls among the members.
    summary: Summary,
    firewalls: Vec<NodeId>,
    trial: Option<Armed>,
    /// Since when this node waits for which proposal.
    trying: Option<(ProposalId, Time)>,
    /// What was last appended for the steps, and when.
    appended: Option<(Action, Time)>,
    asked: Time,
    waiting: Vec<Waiting>,
    outputs: VecDeque<Output>,
    #[cfg(test)]
    pub(super) flaw: Option<Flaw>,
}

impl Coordinator {
    /// A node that does not lead.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        Self {
            node,
            leads_since: None,
            members: BTreeMap::new(),
            summary: Summary::default(),
            firewalls: Vec::new(),
            trial: None,
            trying: None,
            appended: None,
            asked: Time::ZERO,
            waiting: Vec::new(),
            outputs: VecDeque::new(),
            #[cfg(test)]
            flaw: None,
        }
    }

    /// Takes an input; then take all outputs.
    pub fn handle(&mut self, input: Input<'_>, clocks: &Clocks) {
        match input {
            Input::Leads(leads) => self.lead(leads, clocks),
            Input::Log(log, trial) => self.see(log, trial, clocks),
            Input::Liveness(node, liveness) => self.known(node).hear(liveness),
            Input::Report(report) => self.known(report.node).report(report),
            Input::StandsStill { node, asked, why } => self.stand_still(node, asked, why),
            Input::Request(ticket, command, log) => self.request(ticket, command, log, clocks),
            Input::Clearance { node, asked, index } => self.clear(node, asked, index, clocks),
            Input::Tick => {}
        }
        if let Some(since) = self.leads_since {
            self.step(since, clocks);
            self.answer(since, clocks);
            self.ask(clocks);
        }
    }

    /// The next thing to be done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Tick`] is due, by CLOCK_MONOTONIC: soon while something is under way, else at the end of
    /// a trial. The time may have passed.
    #[must_use]
    pub fn next_deadline(&self, clocks: &Clocks) -> Option<Time> {
        let since = self.leads_since?;
        let busy = self.trying.is_some() || !self.waiting.is_empty();
        let soon = busy.then_some(self.asked + ASK_INTERVAL);
        let left = |it: Armed| clocks.now + it.deadline.at.since(clocks.boottime);
        let trial = self.trial.filter(|it| self.is_open(it)).map(left);
        let again = self.appended.as_ref().map(|(_, at)| *at + APPEND_AGAIN);
        let dark = self.next_dark(since, clocks.now);
        [again.or(trial), soon, dark].into_iter().flatten().min()
    }

    /// When the next of those that are waited for has certainly ceased to forward.
    fn next_dark(&self, since: Time, now: Time) -> Option<Time> {
        let index = self.settles()?;
        let known = self.firewalls.iter().filter_map(|node| self.members.get(node));
        let missing = known.filter(|it| !it.is_settled(index));
        missing.filter_map(|it| it.dark_at(since)).filter(|dark| *dark > now).min()
    }

    /// Since when this node leads, if it does.
    #[must_use]
    pub const fn leads_since(&self) -> Option<Time> {
        self.leads_since
    }

    fn known(&mut self, node: NodeId) -> &mut Known {
        self.members.entry(node).or_default()
    }

    fn lead(&mut self, leads: bool, clocks: &Clocks) {
        if leads == self.leads_since.is_some() {
            return;
        }
        self.leads_since = leads.then_some(clocks.now);
        self.members.values_mut().for_each(Known::forget_stillness);
        (self.trying, self.appended, self.asked) = (None, None, Time::ZERO);
        for waiting in core::mem::take(&mut self.waiting) {
            let answer = self.unknown();
            self.outputs.push_back(Output::Answer(waiting.ticket, answer));
        }
    }

    fn see(&mut self, log: &Log, trial: Option<Armed>, clocks: &Clocks) {
        self.summary = log.summary();
        self.trial = trial;
        let members = log.cluster().members().iter();
        let firewalls = members.filter(|(_, member)| member.kind == Kind::Firewall);
        self.firewalls = firewalls.map(|(node, _)| *node).collect();
        let gone = self.members.iter_mut();
        let gone = gone.filter(|(node, _)| !log.cluster().members().contains_key(node));
        gone.for_each(|(_, known)| known.forget());
        self.progress(log, clocks);
    }

    /// A member that was asked by this leader takes part in no commit.
    fn stand_still(&mut self, node: NodeId, asked: Time, why: &Line) {
        if self.leads_since.is_some_and(|since| since <= asked) {
            self.known(node).stand_still(asked, why);
        }
    }

    /// Clears a member. From then on it is waited for, heard or not.
    fn clear(&mut self, node: NodeId, asked: Time, index: u64, clocks: &Clocks) {
        if self.leads_since.is_none() || !self.firewalls.contains(&node) {
            return;
        }
        #[cfg(test)]
        let still = self.known(node).clone();
        self.known(node).clear(clocks.now);
        #[cfg(test)]
        if self.flaw == Some(Flaw::StallOutlivesClearance) {
            self.known(node).keep_stillness(&still);
        }
        #[cfg(test)]
        if self.flaw == Some(Flaw::ClearanceForgotten) {
            let known = self.known(node);
            known.forget_clearance();
        }
        self.outputs.push_back(Output::Clear { node, asked, index });
    }

    /// Asks for the reports that are missing.
    fn ask(&mut self, clocks: &Clocks) {
        if clocks.now < self.asked + ASK_INTERVAL {
            return;
        }
        self.asked = clocks.now;
        let (trying, settles) = (self.trying.map(|(it, _)| it), self.settles());
        for node in &self.firewalls {
            let known = self.members.entry(*node).or_default();
            let untold = trying.is_some_and(|it| known.verdict(it).is_none());
            let unsettled = settles.is_some_and(|index| !known.is_settled(index));
            if known.is_alive() && (untold || unsettled) {
                self.outputs.push_back(Output::Ask(*node));
            }
        }
    }

    fn append(&mut self, action: Action, clocks: &Clocks) {
        let author = Line::cut(&format!("node {}", self.node));
        let stamp = Stamp { author, wall: clocks.wall };
        self.outputs.push_back(Output::Append(Command { request: None, stamp, action }));
    }
}
