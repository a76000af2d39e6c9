//! What must hold, seen from outside.

use std::collections::BTreeMap;

use super::node::Node;
use super::world::{TICK, World};
use crate::NodeId;
use crate::policy::coordinator::Answer;
use crate::policy::local::{Event, Report};
use crate::policy::log::{Action, Content};
use crate::policy::{Command, Epoch, Log, Outcome, RequestId, Version};

/// How long a node may take to compile and run what is due: twice 150 ms, and 60 ms for its workers.
const SLACK: u64 = 600;

/// Keeps count of what must never happen.
#[derive(Default)]
pub(super) struct Judge {
    /// The text that somebody ran under an epoch.
    texts: BTreeMap<Epoch, String>,
    /// The newest entry by which an epoch was what should run.
    ranks: BTreeMap<Epoch, u64>,
    /// The newest entry of which it was said that everybody runs it.
    acked: u64,
    /// Up to which entry each node has said that it runs what it should.
    settled: BTreeMap<NodeId, u64>,
    finals: BTreeMap<RequestId, Outcome>,
    /// Who proposed each text, and under which epoch it was in force.
    proposed: BTreeMap<String, RequestId>,
    in_force: BTreeMap<String, Epoch>,
    confirmed: Vec<Epoch>,
    reverted: Vec<Epoch>,
    /// When the last proposal came into the log.
    tried_since: u64,
    /// How often what was seen, so that nothing is tested in vain.
    pub(super) seen: BTreeMap<&'static str, u32>,
    pub(super) violation: Option<String>,
}

impl Judge {
    pub(super) fn accuse(&mut self, what: String) {
        self.violation.get_or_insert(what);
    }

    /// An entry has come into the log.
    pub(super) fn entry(&mut self, command: &Command, outcome: &Outcome, log: &Log, now: u64) {
        let index = log.summary().applied;
        self.request(command, outcome);
        match outcome {
            Outcome::Committed { epoch, reverts_as } => {
                self.ranks.insert(*epoch, index);
                self.ranks.extend(reverts_as.map(|epoch| (epoch, index)));
                self.in_force(*epoch, log);
            }
            Outcome::Confirmed { epoch } => {
                self.ranks.insert(*epoch, index);
                self.confirmed.push(*epoch);
            }
            Outcome::Reverted { epoch, now, .. } => {
                self.ranks.insert(*now, index);
                self.reverted.push(*epoch);
            }
            Outcome::Proposed { proposal, .. } if proposal.0 == index => self.tried_since = now,
            Outcome::Proposed { .. } => {}
            Outcome::Withdrawn { .. } | Outcome::Changed { .. } | Outcome::Refused { .. } => {}
        }
        *self.seen.entry(name(outcome)).or_default() += 1;
    }

    /// A request has one outcome, for ever.
    fn request(&mut self, command: &Command, outcome: &Outcome) {
        if let (Some(request), Action::Propose { content: Content::Text { text }, .. }) =
            (command.request, &command.action)
        {
            self.proposed.insert(text.as_str().to_owned(), request);
        }
        let Some(request) = command.request else { return };
        let again = matches!(outcome, Outcome::Proposed { .. });
        match self.finals.get(&request) {
            Some(before) if before != outcome => {
                let before = before.clone();
                self.accuse(format!("{request:?} ended as {before:?} and as {outcome:?}"));
            }
            None if !again => {
                self.finals.insert(request, outcome.clone());
            }
            Some(_) | None => {}
        }
    }

    /// A text comes into force once.
    fn in_force(&mut self, epoch: Epoch, log: &Log) {
        let source = log.summary().running.source;
        let text = log.text(source).expect("the running text").as_str().to_owned();
        if source != epoch {
            return;
        }
        if let Some(request) = self.proposed.get(&text).copied() {
            let outcome = log.progress(request);
            if let Some(crate::policy::log::Progress::Finished(it)) = outcome {
                self.finals.insert(request, it.outcome.clone());
            }
        }
        // A request that is repeated has the outcome that it had.
        let before = self.in_force.insert(text.clone(), epoch);
        if let Some(before) = before.filter(|before| *before != epoch) {
            self.accuse(format!("{text:?} came into force as {before} and as {epoch}"));
        }
    }

    /// Nobody switches to what a live node has refused, if the leader could know that it lives.
    pub(super) fn switched(&mut self, text: &str, leader: usize, nodes: &[Node]) {
        let there = |node: &Node| node.up && !node.cut && !node.stalled;
        let steady = |node: &Node| there(node) && node.disturbed + 500 < self.tried_since;
        if !steady(&nodes[leader]) {
            return;
        }
        for node in nodes.iter().filter(|it| steady(it)).collect::<Vec<_>>() {
            let refuses = text.split(' ').any(|it| it == format!("bad{}", node.id));
            if refuses && !node.is_witness {
                self.accuse(format!("node {} was there and refused {text:?}", node.id));
            }
        }
    }

    /// A node's workers run something.
    pub(super) fn runs(&mut self, node: NodeId, version: Version, text: &str) {
        let before = self.texts.entry(version.epoch).or_insert_with(|| text.to_owned());
        if before != text {
            let what = format!("node {node} runs {text:?} as {version:?}, another {before:?}");
            self.accuse(what);
        }
    }

    /// A node says what it runs.
    pub(super) fn told(&mut self, report: &Report) {
        let settled = self.settled.entry(report.node).or_default();
        *settled = (*settled).max(report.settled);
    }

    /// A node says what happened.
    pub(super) fn event(&mut self, event: &Event) {
        let name = match event {
            Event::RevertedAlone { .. } => "reverted alone",
            Event::TookAgain { .. } => "took again",
            Event::CannotRun { .. } => "cannot run",
        };
        *self.seen.entry(name).or_default() += 1;
    }

    /// A node says that it takes part in no commit.
    pub(super) fn stands_still(&mut self) {
        *self.seen.entry("stands still").or_default() += 1;
    }

    /// A node starts.
    pub(super) fn started(&mut self, node: &Node) {
        let told = self.settled.get(&node.id).copied().unwrap_or_default();
        let knows = node.disk.facts.decided;
        if knows < told {
            self.accuse(format!("node {} told of entry {told}, and remembers {knows}", node.id));
        }
    }

    /// A request was answered.
    pub(super) fn answered(&mut self, request: RequestId, answer: &Answer, log: &Log) {
        let kind = match answer {
            Answer::Done { excused, .. } if !excused.is_empty() => "done, some excused",
            Answer::Done { .. } => "done",
            Answer::Unsettled { .. } => "unsettled",
            Answer::TooLate { .. } => "too late",
            Answer::Unnumbered | Answer::NotLeading | Answer::Full => "not taken",
            Answer::Unknown { .. } => "unknown",
        };
        *self.seen.entry(kind).or_default() += 1;
        let Answer::Done { outcome, .. } = answer else { return };
        let Some(crate::policy::log::Progress::Finished(it)) = log.progress(request) else {
            self.accuse(format!("{request:?} was answered {outcome:?}, the log knows nothing"));
            return;
        };
        if it.outcome != *outcome {
            let is = it.outcome.clone();
            self.accuse(format!("{request:?} was answered {outcome:?}, and is {is:?}"));
        }
        if outcome.moves_policy() {
            self.acked = self.acked.max(it.index);
        }
    }

    fn rank(&self, version: Version) -> u64 {
        self.ranks.get(&version.epoch).copied().unwrap_or_default()
    }

    /// Looks at a node as it is.
    pub(super) fn look(&mut self, node: &Node, now: u64) {
        if node.is_witness || !node.forwards(now) {
            return;
        }
        let rank = self.rank(node.workers);
        if rank < self.acked {
            let (acked, runs) = (self.acked, node.workers.epoch);
            self.accuse(format!("node {} forwards under {runs} after entry {acked}", node.id));
        }
        self.look_at_trial(node, now);
    }

    fn look_at_trial(&mut self, node: &Node, now: u64) {
        let Some((epoch, due)) = node.trial_due else { return };
        let runs = node.workers.epoch;
        let unconfirmed = !self.confirmed.contains(&epoch);
        let ready = due.max(node.up_since).max(node.paused_until) + SLACK < now;
        if runs == epoch && unconfirmed && ready {
            self.accuse(format!("node {} runs {epoch} unconfirmed, due at {due}", node.id));
        }
        let early = now + 2 * TICK < due && !node.due_is_bound;
        if runs == epoch.next() && early && !self.reverted.contains(&epoch) {
            self.accuse(format!("node {} went back from {epoch} before {due}", node.id));
        }
    }

    /// After a quiet time all is over, and everybody agrees.
    pub(super) fn end(&mut self, world: &World) {
        let summary = world.reference.summary();
        if summary.pending.is_some() || summary.trial.is_some() {
            self.accuse(format!("left over: {summary:?}"));
        }
        for node in &world.nodes {
            if node.log != world.reference {
                self.accuse(format!("node {}: another state after the same entries", node.id));
            }
            let serves = node.is_witness || node.forwards(world.now);
            if node.workers != summary.running || summary.running != Version::NONE && !serves {
                let runs = node.workers;
                self.accuse(format!("node {} runs {runs:?}, lease: {serves}", node.id));
            }
        }
        if let Some(epoch) = self.confirmed.iter().find(|it| self.reverted.contains(it)) {
            let what = format!("{epoch} was confirmed and reverted");
            self.accuse(what);
        }
    }
}

fn name(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Proposed { .. } => "log: proposed",
        Outcome::Committed { .. } => "log: committed",
        Outcome::Withdrawn { .. } => "log: withdrawn",
        Outcome::Confirmed { .. } => "log: confirmed",
        Outcome::Reverted { .. } => "log: reverted",
        Outcome::Changed { .. } => "log: changed",
        Outcome::Refused { .. } => "log: refused",
    }
}
