//! What the leader knows of each member.

use wire::Time;

use super::messages::{Excuse, Liveness};
use crate::limits::{CLEARANCE, CLEARANCE_LAG};
use crate::policy::local::{Closed, Report, Verdict};
use crate::policy::{Line, ProposalId};

/// What is known of a member. At first it counts as alive: it may forward.
#[derive(Clone, Debug)]
pub(super) struct Known {
    liveness: Liveness,
    settled: u64,
    proposal: Option<ProposalId>,
    verdict: Option<Verdict>,
    closed: Option<Closed>,
    /// Until when it may begin to forward by our word, and when we gave that.
    cleared_until: Time,
    cleared_at: Option<Time>,
    /// Why its log stands still; it does not forward.
    still: Option<Line>,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            liveness: Liveness::Alive,
            settled: 0,
            proposal: None,
            verdict: None,
            closed: None,
            cleared_until: Time::ZERO,
            cleared_at: None,
            still: None,
        }
    }
}

impl Known {
    pub(super) fn hear(&mut self, liveness: Liveness) {
        self.liveness = liveness;
    }

    pub(super) fn is_alive(&self) -> bool {
        self.liveness == Liveness::Alive
    }

    /// Reports overtake one another and come twice; what they say stays true.
    pub(super) fn report(&mut self, report: &Report) {
        self.settled = self.settled.max(report.settled);
        let newer = report.proposal > self.proposal;
        if newer || report.proposal == self.proposal && self.verdict.is_none() {
            self.proposal = report.proposal;
            self.verdict.clone_from(&report.verdict);
        }
        let promised = |it: &Option<Closed>| it.as_ref().map(|it| it.decided);
        if promised(&report.closed) > promised(&self.closed) {
            self.closed.clone_from(&report.closed);
        }
    }

    /// It is no member: who comes under its number has a disk of its own.
    pub(super) fn forget(&mut self) {
        let (liveness, cleared_until, cleared_at) =
            (self.liveness, self.cleared_until, self.cleared_at);
        *self = Self { liveness, cleared_until, cleared_at, ..Self::default() };
    }

    /// What became of a proposal there.
    pub(super) fn verdict(&self, proposal: ProposalId) -> Option<&Verdict> {
        self.verdict.as_ref().filter(|_| self.proposal == Some(proposal))
    }

    pub(super) fn clear(&mut self, now: Time) {
        self.cleared_until = now + CLEARANCE + CLEARANCE_LAG;
        self.cleared_at = Some(now);
        self.still = None;
    }

    /// Its log stands still, as it said when it was asked: for so long it begins no lease. What it said
    /// before it was cleared counts no more.
    pub(super) fn stand_still(&mut self, asked: Time, why: &Line) {
        if self.cleared_at.is_none_or(|at| at < asked) {
            self.still = Some(why.clone());
        }
    }

    /// Another leader may have cleared it meanwhile.
    pub(super) fn forget_stillness(&mut self) {
        self.still = None;
    }

    /// Whether it takes part in commits.
    pub(super) fn takes_part(&self) -> bool {
        self.is_alive() && self.still.is_none()
    }

    #[cfg(test)]
    pub(super) fn keep_stillness(&mut self, before: &Self) {
        self.still.clone_from(&before.still);
    }

    #[cfg(test)]
    pub(super) fn forget_clearance(&mut self) {
        self.cleared_until = Time::ZERO;
    }

    /// Whether it runs what the log said by this entry.
    pub(super) const fn is_settled(&self, index: u64) -> bool {
        self.settled >= index
    }

    /// Why it need not be waited for, if so. Whom we or, since we do not lead for long, another leader
    /// has cleared may forward although we do not hear it.
    pub(super) fn excuse(&self, index: u64, now: Time, leads_since: Time) -> Option<Excuse> {
        if let Some(closed) = self.closed.as_ref().filter(|it| it.decided >= index) {
            return Some(Excuse::Closed(closed.why.clone()));
        }
        if let Some(why) = &self.still {
            return Some(Excuse::Closed(why.clone()));
        }
        self.dark_at(leads_since).is_some_and(|dark| dark <= now).then_some(Excuse::Down)
    }

    /// From when on it certainly does not forward, if it is down.
    pub(super) fn dark_at(&self, leads_since: Time) -> Option<Time> {
        let Liveness::Down { dark_at } = self.liveness else { return None };
        let others = leads_since + CLEARANCE + CLEARANCE_LAG;
        Some(dark_at.max(self.cleared_until).max(others))
    }
}
