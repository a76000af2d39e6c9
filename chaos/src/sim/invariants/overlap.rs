//! Two nodes never may forward at the same time, but for a pair whose every way is cut; and then the
//! time is marked. Nothing leaves a node without a lease.
//!
//! What counts is not what was forwarded but what could have been: a lease word lives until its
//! deadline by its node's clock, and is felt for a lag after that.

use core::time::Duration;

use cluster_core::limits::LEASE_LAG;
use wire::Time;

use crate::limits::HEALING;

pub(crate) const NAME: &str = "one-forwards";

/// How long after a heal both nodes must have told that they were apart.
const MARKED_WITHIN: Duration = Duration::from_secs(2);

/// Until when each node may forward.
#[derive(Debug, Default)]
pub(crate) struct Overlap {
    until: [Time; 2],
    /// When both last could while they were apart.
    overlapped: Option<Time>,
    marked: Option<Time>,
    /// When one of them was last seen not to run.
    silent: Option<Time>,
    /// How often two nodes that were apart could both forward.
    pub(crate) splits: u64,
}

impl Overlap {
    /// A node's lease word was set, in the world's time. `apart`: how long ago they last were.
    pub(crate) fn lease(
        &mut self,
        node: usize,
        until: Time,
        apart: Option<Duration>,
        now: Time,
    ) -> Option<String> {
        self.until[node] = until + LEASE_LAG;
        self.check(apart, now)
    }

    /// A node will not forward any more after `at`.
    pub(crate) fn ends(&mut self, node: usize, at: Time) {
        self.until[node] = self.until[node].min(at);
    }

    /// A node has lost its memory: of a split that it took part in, nobody may ever hear. Its lease
    /// word may live on for a moment. The other one cannot tell it from a node that was dead all the
    /// time: an owner that went on alone had nothing to note on its disk, so whoever marked what it does
    /// not know would do so after every crash.
    pub(crate) const fn forget(&mut self, now: Time) {
        self.marked = Some(now);
    }

    /// A split was told to people.
    pub(crate) const fn mark(&mut self, now: Time) {
        self.marked = Some(now);
    }

    /// A transit frame leaves.
    pub(crate) fn forwards(&self, node: usize, now: Time) -> Option<String> {
        (self.until[node] < now).then(|| format!("node {} forwards without a lease", node + 1))
    }

    fn check(&mut self, apart: Option<Duration>, now: Time) -> Option<String> {
        if self.until.iter().any(|until| *until <= now) {
            return None;
        }
        if apart.is_some_and(|ago| ago <= HEALING) {
            if self.overlapped.is_none_or(|at| now.since(at) > HEALING) {
                self.splits += 1;
            }
            self.overlapped = Some(now);
            return None;
        }
        let left = self.until.map(|until| until.since(now).as_micros());
        Some(format!("both nodes may forward, for {} and {} more microseconds", left[0], left[1]))
    }

    /// Whether the last split was marked in time; asked from time to time.
    /// `both_run`: a node that does not run tells nobody, and is not heard.
    pub(crate) fn look(
        &mut self,
        apart: Option<Duration>,
        both_run: bool,
        now: Time,
    ) -> Option<String> {
        let overlapped = self.overlapped?;
        if !both_run {
            self.silent = Some(now);
        }
        let silent = self.silent.is_some_and(|at| now.since(at) <= MARKED_WITHIN);
        let healed = apart.is_some_and(|ago| ago > MARKED_WITHIN) && !silent;
        let marked = self.marked.is_some_and(|at| at + HEALING >= overlapped);
        (healed && now.since(overlapped) > MARKED_WITHIN && !marked)
            .then(|| "both forwarded while they were apart, and nobody was told".to_owned())
    }
}
