//! Figures of commits, and of the doors that they open and shut.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::limits::{DOOR_FRESH, DOOR_LATE, SETTLE};
use super::super::log::{self, Commit, DEADLINE, Error, Nanos, Receipt};
use super::spans::Outages;
use super::{Figures, greatest, millis, percentile};

/// Revisions in the order in which they were asked for, one after the other.
///
/// ```text
///   commit k   called ──── returned            from `returned` on only k, or a later one, may judge
///   commit k+1                     called ──── returned     from `called` on k+1 may
///   a probe               sent ─────────── arrived          forbidden by k, permitted by k+1: no violation
/// ```
struct Revisions<'a>(&'a [Commit]);

impl Revisions<'_> {
    /// The revisions that may have judged a probe sent at `sent` and seen until `until`. None: it was sent
    /// before the first one was in force.
    fn between(&self, sent: Nanos, until: Nanos) -> Option<&[Commit]> {
        let last = self.0.iter().rposition(|it| it.returned.is_some_and(|at| at <= sent))?;
        let asked = self.0[last..].iter().take_while(|it| it.called <= until).count();
        // The one that had returned was asked for even if the clock was set back.
        Some(&self.0[last..last + asked.max(1)])
    }
}

impl Figures {
    pub(super) fn commits(&mut self, commits: &[Commit]) {
        let asked = || commits.iter().filter(|it| it.node != DEADLINE);
        let returned = || asked().filter_map(|it| Some((it, it.returned?)));
        self.commits = Some(returned().count() as u64);
        let mut waits: Vec<f64> = returned().map(|(it, at)| millis(it.called, at)).collect();
        let mut takes: Vec<f64> = returned().map(|(it, _)| it.took as f64).collect();
        self.commit_max_ms = greatest(waits.iter().copied());
        self.commit_p50_ms = percentile(&mut waits, 0.5);
        self.commit_p99_ms = percentile(&mut waits, 0.99);
        self.took_p50_ms = percentile(&mut takes, 0.5);
        self.took_p99_ms = percentile(&mut takes, 0.99);
    }

    pub(super) fn doors(
        &mut self,
        folder: &Path,
        commits: &[Commit],
        outages: &Outages,
    ) -> Result<(), Error> {
        for door in 0.. {
            let Some(sent) = log::read(folder, &format!("door-{door}.sent"))? else { break };
            let received = log::read(folder, &format!("door-{door}.received"))?;
            let received: Vec<Receipt> = received.unwrap_or_default();
            let arrived: BTreeMap<u64, Nanos> =
                received.iter().map(|it| (it.number, it.at)).collect();
            self.door(door, (&sent, &arrived), &Revisions(commits), outages);
            self.opened_again(door, (&sent, &arrived), commits);
        }
        Ok(())
    }

    fn door(
        &mut self,
        door: usize,
        (sent, arrived): (&[Receipt], &BTreeMap<u64, Nanos>),
        revisions: &Revisions<'_>,
        outages: &Outages,
    ) {
        let [late, settle] = [DOOR_LATE, SETTLE].map(|it| it.as_nanos() as u64);
        let end = sent.last().map_or(0, |it| it.at.saturating_sub(settle));
        let (mut shut, mut violations, mut open, mut lost) = (0, 0, 0, 0);
        for probe in sent {
            let at = arrived.get(&probe.number).copied();
            let until = at.unwrap_or(probe.at).max(probe.at + late);
            let Some(all) = revisions.between(probe.at, until) else { continue };
            if all.iter().all(|it| it.door != Some(door)) {
                shut += 1;
            }
            let judges = at.and_then(|at| revisions.between(probe.at, at));
            if judges.is_some_and(|them| them.iter().all(|it| it.door != Some(door))) {
                violations += 1;
            }
            let open_for_sure = all.iter().all(|it| it.door == Some(door));
            if open_for_sure && probe.at <= end && !outages.hold(probe.at) {
                open += 1;
                lost += u64::from(at.is_none());
            }
        }
        let add = |to: &mut Option<u64>, count: u64| *to = Some(to.unwrap_or(0) + count);
        add(&mut self.probes_shut, shut);
        add(&mut self.violations, violations);
        add(&mut self.probes_open, open);
        add(&mut self.probes_lost, lost);
    }

    /// From the answer to a commit that shuts all doors to the first new flow.
    fn opened_again(
        &mut self,
        door: usize,
        (sent, arrived): (&[Receipt], &BTreeMap<u64, Nanos>),
        commits: &[Commit],
    ) {
        let shut = commits.iter().find(|it| it.door.is_none()).and_then(|it| it.returned);
        let opened = commits.last().is_some_and(|it| it.door == Some(door));
        let Some(shut) = shut.filter(|_| opened) else { return };
        let fresh = |it: &&Receipt| it.number.is_multiple_of(DOOR_FRESH) && it.at >= shut;
        let first = sent.iter().filter(fresh).find_map(|it| arrived.get(&it.number));
        self.opened_again_s = first.map(|at| millis(shut, *at) / 1e3);
    }
}
