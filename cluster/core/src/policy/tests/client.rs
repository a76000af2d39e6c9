//! Operators: they make requests, and repeat them until they are answered.

use std::collections::BTreeMap;
use std::time::Duration;

use super::messages::Message;
use super::world::World;
use crate::policy::coordinator::{Answer, Ticket};
use crate::policy::log::{Cause, Content, Stamp};
use crate::policy::{Action, Command, Epoch, Line, Outcome, PolicyText, RequestId, WallTime};

/// A request, as its author sees it.
pub(super) struct Request {
    command: Command,
    /// The last attempt: when, and whether it was answered.
    tried: u64,
    pub(super) over: bool,
}

/// All requests, and who waits under which ticket.
#[derive(Default)]
pub(super) struct Clients {
    pub(super) requests: Vec<Request>,
    tickets: BTreeMap<Ticket, usize>,
    /// Confirmations that are planned: when, and of what.
    plans: Vec<(u64, Action)>,
}

/// Silence after which an author asks again, perhaps another node.
const AGAIN: u64 = 1_500;

impl World {
    /// Makes and repeats requests.
    pub(super) fn clients_act(&mut self, quiet: bool) {
        if !quiet && self.clients.requests.len() < 14 && self.dice.below(80) == 0 {
            let action = self.wish();
            self.new_request(action);
        }
        let now = self.now;
        let plans = core::mem::take(&mut self.clients.plans);
        for (at, action) in plans {
            match at <= now {
                true => self.new_request(action),
                false => self.clients.plans.push((at, action)),
            }
        }
        for at in 0..self.clients.requests.len() {
            let it = &self.clients.requests[at];
            if !it.over && it.tried + AGAIN <= now {
                self.attempt(at);
            }
        }
    }

    fn new_request(&mut self, action: Action) {
        let request = Some(RequestId(self.clients.requests.len() as u128 + 1));
        let stamp = Stamp { author: Line::cut("alice"), wall: WallTime(self.now) };
        let command = Command { request, stamp, action };
        self.clients.requests.push(Request { command, tried: 0, over: false });
        self.attempt(self.clients.requests.len() - 1);
    }

    /// Something that an operator may want, by what some node tells of the log.
    fn wish(&mut self) -> Action {
        let node = self.some_node();
        let summary = self.nodes[node].log.summary();
        if let Some(trial) = summary.trial.filter(|_| self.dice.percent(50)) {
            let cause = Cause::Rollback {};
            return match self.dice.percent(70) {
                true => Action::Confirm { epoch: trial.epoch },
                false => Action::Revert { epoch: trial.epoch, cause },
            };
        }
        if self.dice.percent(10) {
            let (key, value) = (Line::cut("a"), Some(Line::cut("b")));
            return Action::SetSetting { key, value };
        }
        let base = summary.running.epoch;
        let confirm = (base != Epoch::NONE && self.dice.percent(40)).then_some(self.confirm_time);
        let content = match base != Epoch::NONE && self.dice.percent(15) {
            true => Content::Again { of: Epoch(1 + self.dice.below(base.0)) },
            false => Content::Text { text: PolicyText::new(self.new_text()).unwrap() },
        };
        let (file, comment) = (Line::cut("p.toml"), Line::default());
        Action::Propose { base, content, file, comment, confirm }
    }

    /// A text that nobody else has; some nodes may not be able to run it.
    fn new_text(&mut self) -> String {
        let (number, node) = (self.clients.requests.len(), 1 + self.dice.below(3));
        match self.dice.below(10) {
            0 => format!("text {number} bad{node}"),
            1..4 => format!("text {number} port{node}"),
            _ => format!("text {number}"),
        }
    }

    fn attempt(&mut self, at: usize) {
        let to = match self.leader.filter(|_| self.dice.percent(80)) {
            Some(leader) => leader,
            None => self.some_node(),
        };
        self.ticket += 1;
        let ticket = Ticket(self.ticket);
        self.clients.tickets.insert(ticket, at);
        self.clients.requests[at].tried = self.now;
        let command = self.clients.requests[at].command.clone();
        self.post(Message::Request { to, ticket, command });
    }

    /// What nobody has answered, and what is known of it.
    pub(super) fn unanswered(&self) -> String {
        let left = self.clients.requests.iter().filter(|it| !it.over);
        let told = left.map(|it| {
            let progress = it.command.request.and_then(|id| self.reference.progress(id));
            format!("{:?} tried {} now {}: {progress:?}\n", it.command, it.tried, self.now)
        });
        let leads = self.leader.map(|it| &self.nodes[it].coordinator);
        let told: String = told.collect();
        if told.is_empty() { told } else { format!("{told}{leads:?}") }
    }

    /// An answer has come.
    pub(super) fn take_answer(&mut self, ticket: Ticket, answer: &Answer) {
        let at = self.clients.tickets[&ticket];
        let command = self.clients.requests[at].command.clone();
        let request = command.request.unwrap();
        self.judge.answered(request, answer, &self.reference);
        match answer {
            Answer::Done { outcome, .. } => {
                self.clients.requests[at].over = true;
                self.plan(&command, outcome);
            }
            Answer::TooLate { .. } | Answer::Unsettled { .. } => {
                self.clients.requests[at].over = true;
            }
            Answer::Unnumbered | Answer::NotLeading | Answer::Full | Answer::Unknown { .. } => {}
        }
    }

    /// Whoever commits on trial may confirm, early, late or too late.
    fn plan(&mut self, command: &Command, outcome: &Outcome) {
        let Outcome::Committed { epoch, reverts_as: Some(_) } = outcome else { return };
        let proposes = matches!(command.action, Action::Propose { .. });
        if proposes && self.dice.percent(60) {
            let span = self.confirm_time + Duration::from_millis(500);
            let early = self.dice.below(span.as_millis() as u64);
            let late = span.as_millis() as u64 - self.dice.below(700);
            let after = if self.dice.percent(50) { late } else { early };
            self.clients.plans.push((self.now + after, Action::Confirm { epoch: *epoch }));
        }
    }
}
