//! Fencing: who has certainly ceased to forward, where many nodes forward at once (`placement = hash`).
//!
//! Every node has a lease of its own, which a majority renews by acknowledging its heartbeats
//! ([`lease`](crate::membership::lease)). Its slots pass to their backups when its *incarnation* is over:
//!
//! ```text
//!                silent for the detection time            a majority suspects it
//!   Heard ────────────────────────────────► Suspected ──────────────────────────► Fenced
//!     ▲                  heard again            │        and we have not acknowledged
//!     └─────────────────────────────────────────┘        it for the takeover time
//!
//!   over ◄── a majority has fenced it, or it has begun a later incarnation
//! ```
//!
//! A voter that has fenced an incarnation never acknowledges it again, and has it on its disk before it says
//! so. Why no two nodes then forward for one slot: a majority that fences and a majority that renews share a
//! voter other than the node itself. That voter acknowledged for the last time a takeover time before it
//! fenced; what rests on that acknowledgment ended before ([`Timing::outlasts`]). A suspicion promises
//! nothing: it keeps a broken path between two nodes from ending an incarnation that all others hear.
//!
//! A node whose incarnation was fenced by anybody ends its lease, and begins the next one: it owns nothing
//! then, until the log gives it slots. It begins one with each start, too; so others need not wait for what a
//! crashed one might still do when it is back before they noticed.
//!
//! [`Timing::outlasts`]: crate::membership::Timing::outlasts

#[cfg(test)]
mod tests;

use std::time::Duration;

use wire::Time;

use crate::NodeId;

/// A life of a node as one that forwards. Counted on its disk, so that none is used twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// The one after this.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// Times that fencing goes by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Times {
    /// Silence by which a node is suspected.
    pub detection: Duration,
    /// How long a voter has not acknowledged what it fences: longer than any lease that rests on it.
    pub takeover: Duration,
}

/// What a node says of the others in its heartbeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Its own incarnation.
    pub incarnation: Incarnation,
    /// Whom it does not hear.
    pub suspects: Vec<NodeId>,
    /// Incarnations up to these it has fenced, for ever.
    pub fenced: Vec<(NodeId, Incarnation)>,
}

/// What must be on disk before the next report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// This node's incarnation.
    pub incarnation: Incarnation,
    /// What it has fenced.
    pub fenced: Vec<(NodeId, Incarnation)>,
}

/// One node's part.
#[derive(Clone, Debug)]
pub struct Fencing {
    node: NodeId,
    times: Times,
    incarnation: Incarnation,
    others: Vec<Other>,
    /// The lists of voters that count, this node among them where it is one: while the list changes there
    /// are two.
    lists: Vec<Vec<NodeId>>,
    /// What was fenced by then is on disk.
    saved: Memory,
    #[cfg(test)]
    flaw: Option<tests::Flaw>,
}

/// Another node, voter or not.
#[derive(Clone, Debug)]
struct Other {
    node: NodeId,
    /// When it was heard last, or this node began to listen.
    heard_at: Time,
    /// When this node acknowledged it last, or may have before its start.
    acknowledged_at: Time,
    /// What it said last.
    said: Report,
    /// Incarnations that it has fenced, of everybody: what was said once holds for ever.
    fenced: Vec<(NodeId, Incarnation)>,
    /// Incarnations of it that this node has fenced.
    is_fenced: Incarnation,
}

impl Fencing {
    /// A node that starts now and remembers what was on its disk. It has not forwarded yet in the incarnation
    /// that it begins, and nothing is forwarded any more in an earlier one.
    #[must_use]
    pub fn new(
        (node, others): (NodeId, &[NodeId]),
        lists: Vec<Vec<NodeId>>,
        times: Times,
        memory: Memory,
        now: Time,
    ) -> Self {
        let other = |node: &NodeId| Other {
            node: *node,
            heard_at: now,
            acknowledged_at: now,
            said: Report::default(),
            fenced: Vec::new(),
            is_fenced: up_to(&memory.fenced, *node),
        };
        Self {
            node,
            times,
            incarnation: memory.incarnation.next(),
            others: others.iter().filter(|it| **it != node).map(other).collect(),
            lists,
            saved: memory,
            #[cfg(test)]
            flaw: None,
        }
    }

    /// This node's incarnation. It may be spoken of when it is [on disk](Self::is_saved).
    #[must_use]
    pub const fn incarnation(&self) -> Incarnation {
        self.incarnation
    }

    /// What is to be on disk.
    #[must_use]
    pub fn memory(&self) -> Memory {
        let fenced = self.others.iter().filter(|it| it.is_fenced > Incarnation::default());
        let fenced = fenced.map(|it| (it.node, it.is_fenced)).collect();
        Memory { incarnation: self.incarnation, fenced }
    }

    /// Whether it is.
    #[must_use]
    pub fn is_saved(&self) -> bool {
        self.saved == self.memory()
    }

    /// It is.
    pub fn saved(&mut self, memory: Memory) {
        self.saved = memory;
    }

    /// What to say now; nothing before this node's incarnation is on its disk. Only what is there is said to
    /// be fenced.
    #[must_use]
    pub fn report(&self, now: Time) -> Option<Report> {
        let told = self.told();
        let suspects = self.others.iter().filter(|it| self.suspects(it, now));
        let suspects = suspects.map(|it| it.node).collect();
        let Memory { incarnation, fenced } = told;
        let begun = incarnation == self.incarnation;
        begun.then_some(Report { incarnation, suspects, fenced })
    }

    /// The log says that a node has begun this incarnation: it can be fenced though it was never heard here.
    pub fn learn(&mut self, node: NodeId, incarnation: Incarnation) {
        if let Some(other) = self.others.iter_mut().find(|it| it.node == node) {
            other.said.incarnation = other.said.incarnation.max(incarnation);
        }
    }

    /// A heartbeat has come. `true`: it may be acknowledged, and is from now on.
    pub fn hear(&mut self, from: NodeId, report: Report, now: Time) -> bool {
        let Some(other) = self.others.iter_mut().find(|it| it.node == from) else { return false };
        if report.incarnation < other.said.incarnation {
            // It was on its way when a later one began.
            return false;
        }
        other.heard_at = now;
        for (node, incarnation) in &report.fenced {
            raise(&mut other.fenced, *node, *incarnation);
        }
        let acknowledges = report.incarnation > other.is_fenced;
        #[cfg(test)]
        let acknowledges = acknowledges || self.flaw == Some(tests::Flaw::AcknowledgesFenced);
        if acknowledges {
            other.acknowledged_at = now;
        }
        other.said = report;
        acknowledges
    }

    /// Fences whom a majority does not hear. `true`: there is something new to be written to disk.
    pub fn tick(&mut self, now: Time) -> bool {
        let before = self.others.iter().map(|it| it.is_fenced.0).sum::<u64>();
        for at in 0..self.others.len() {
            let other = &self.others[at];
            let unacknowledged = now.since(other.acknowledged_at) >= self.times.takeover;
            #[cfg(test)]
            let unacknowledged = unacknowledged || self.flaw == Some(tests::Flaw::FencesAtOnce);
            let agreed = self.is_quorum(|voter| self.is_suspected_by(voter, other, now));
            if self.suspects(other, now) && unacknowledged && agreed {
                self.others[at].is_fenced = self.others[at].said.incarnation;
            }
        }
        before != self.others.iter().map(|it| it.is_fenced.0).sum::<u64>()
    }

    /// Whether a node has certainly ceased to forward in an incarnation.
    #[must_use]
    pub fn is_over(&self, node: NodeId, incarnation: Incarnation) -> bool {
        if node == self.node {
            return incarnation < self.incarnation;
        }
        let Some(other) = self.others.iter().find(|it| it.node == node) else { return false };
        let ours = up_to(&self.told().fenced, node);
        let fenced_by = |voter: NodeId| match self.others.iter().find(|it| it.node == voter) {
            Some(voter) => up_to(&voter.fenced, node),
            None if voter == self.node => ours,
            None => Incarnation::default(),
        };
        let fenced = self.is_quorum(|voter| voter != node && fenced_by(voter) >= incarnation);
        #[cfg(test)]
        let fenced = fenced
            || self.flaw == Some(tests::Flaw::SuspicionIsEnough)
                && self.is_quorum(|voter| self.is_suspected_by(voter, other, self.last_heard()));
        fenced || other.said.incarnation > incarnation
    }

    /// Whether another node says that this one's incarnation is fenced: its lease must end at once, and when
    /// nothing is forwarded any more, [the next one](Self::begin_next) may begin.
    #[must_use]
    pub fn is_fenced(&self) -> bool {
        self.others.iter().any(|it| up_to(&it.fenced, self.node) >= self.incarnation)
    }

    /// Nothing is forwarded in this incarnation any more.
    pub fn begin_next(&mut self) {
        let known = self.others.iter().map(|it| up_to(&it.fenced, self.node)).max();
        self.incarnation = self.incarnation.max(known.unwrap_or_default()).next();
    }

    /// When [`Self::tick`] has something to do, if nothing is heard until then.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Time> {
        let waiting = self.others.iter().filter(|it| it.is_fenced < it.said.incarnation);
        let due = waiting.map(|it| {
            (it.heard_at + self.times.detection).max(it.acknowledged_at + self.times.takeover)
        });
        due.min()
    }

    fn told(&self) -> Memory {
        #[cfg(test)]
        if self.flaw == Some(tests::Flaw::SaysBeforeItIsSaved) {
            return self.memory();
        }
        self.saved.clone()
    }

    fn suspects(&self, other: &Other, now: Time) -> bool {
        now.since(other.heard_at) >= self.times.detection
    }

    /// Whether a voter does not hear a node, as far as it said lately.
    fn is_suspected_by(&self, voter: NodeId, node: &Other, now: Time) -> bool {
        if voter == self.node {
            return self.suspects(node, now);
        }
        let voter = self.others.iter().find(|it| it.node == voter && !self.suspects(it, now));
        voter.is_some_and(|it| it.node != node.node && it.said.suspects.contains(&node.node))
    }

    /// Whether a majority of every list is like this.
    fn is_quorum(&self, like: impl Fn(NodeId) -> bool) -> bool {
        self.lists.iter().all(|list| {
            let count = list.iter().filter(|voter| like(**voter)).count();
            count > list.len() / 2
        })
    }

    #[cfg(test)]
    fn last_heard(&self) -> Time {
        self.others.iter().map(|it| it.heard_at).max().unwrap_or(Time::ZERO)
    }
}

/// The last incarnation of a node that a list has.
fn up_to(list: &[(NodeId, Incarnation)], node: NodeId) -> Incarnation {
    list.iter().find(|(of, _)| *of == node).map_or(Incarnation::default(), |(_, it)| *it)
}

fn raise(list: &mut Vec<(NodeId, Incarnation)>, node: NodeId, incarnation: Incarnation) {
    match list.iter_mut().find(|(of, _)| *of == node) {
        Some((_, known)) => *known = incarnation.max(*known),
        None => list.push((node, incarnation)),
    }
}
