//! The layout of the whole state, and whether one read can be.

use super::cursor::{Layout, Reader, write_deque, write_map};
use crate::limits::{
    CHANGES_KEPT, MEMBERS_MAX, REQUESTS_REMEMBERED, REVISIONS_KEPT, SECRETS_MAX, SETTINGS_MAX,
    ZONES_NUMBERED,
};
use crate::policy::log::{Cluster, Shelf};
use crate::policy::{Epoch, Log, Malformed, Version};

impl Layout for Log {
    fn write(&self, out: &mut Vec<u8>) {
        self.applied.write(out);
        self.decided.write(out);
        self.last.write(out);
        self.running.write(out);
        self.trial.write(out);
        self.pending.write(out);
        self.shelf.write(out);
        write_deque(&self.requests, out);
        write_deque(&self.changes, out);
        self.cluster.write(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            applied: Layout::read(r)?,
            decided: Layout::read(r)?,
            last: Layout::read(r)?,
            running: Layout::read(r)?,
            trial: Layout::read(r)?,
            pending: Layout::read(r)?,
            shelf: Layout::read(r)?,
            requests: r.deque(REQUESTS_REMEMBERED)?,
            changes: r.deque(CHANGES_KEPT)?,
            cluster: Layout::read(r)?,
            #[cfg(test)]
            flaw: None,
        })
    }
}

impl Layout for Shelf {
    fn write(&self, out: &mut Vec<u8>) {
        write_deque(&self.revisions, out);
        write_map(&self.texts, out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self { revisions: r.deque(REVISIONS_KEPT)?, texts: r.map(REVISIONS_KEPT + 1)? })
    }
}

impl Layout for Cluster {
    fn write(&self, out: &mut Vec<u8>) {
        self.generation.write(out);
        write_map(&self.members, out);
        write_map(&self.zones, out);
        self.placement.write(out);
        write_map(&self.settings, out);
        write_map(&self.secrets, out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Self {
            generation: Layout::read(r)?,
            members: r.map(MEMBERS_MAX)?,
            zones: r.map(ZONES_NUMBERED)?,
            placement: Layout::read(r)?,
            settings: r.map(SETTINGS_MAX)?,
            secrets: r.map(SECRETS_MAX)?,
        })
    }
}

/// Whether all parts fit together: what applying entries relies on.
pub(super) fn is_coherent(log: &Log) -> bool {
    let numbers = log.decided <= log.applied && log.running.epoch <= log.last;
    numbers && shelf_fits(log) && trial_fits(log) && pending_fits(log)
}

/// Revisions ascend, the running one is the last, and each has its text; no text is there for nothing.
fn shelf_fits(log: &Log) -> bool {
    let revisions = &log.shelf.revisions;
    let epochs = || revisions.iter().map(|it| it.version.epoch);
    let ascend = epochs().zip(epochs().skip(1)).all(|(a, b)| a < b);
    let positive = epochs().next().is_none_or(|first| first > Epoch::NONE);
    let running = revisions.back().map_or(Version::NONE, |it| it.version);
    let texts = &log.shelf.texts;
    let pending = log.pending.as_ref().map(|it| &it.revision);
    let has_text = |it: &crate::policy::log::Revision| {
        it.version.source <= it.version.epoch && texts.contains_key(&it.version.source)
    };
    let used =
        |source: &Epoch| revisions.iter().chain(pending).any(|it| it.version.source == *source);
    let told = revisions.iter().chain(pending).all(has_text) && texts.keys().all(used);
    ascend && positive && told && running == log.running
}

fn trial_fits(log: &Log) -> bool {
    let Some(trial) = &log.trial else { return true };
    let fallback = log.shelf.get(trial.fallback);
    let revert = fallback.map(|it| Version { epoch: trial.epoch.next(), ..it.version });
    let numbered = trial.epoch == log.running.epoch && trial.revert.epoch == log.last;
    numbered && revert == Some(trial.revert) && trial.fallback < trial.epoch
}

fn pending_fits(log: &Log) -> bool {
    let Some(pending) = &log.pending else { return true };
    let version = pending.revision.version;
    let next = version.epoch == log.last && version.epoch > log.running.epoch;
    let trial = pending.confirm.is_none() || log.running != Version::NONE;
    let based = pending.revision.base == log.running.epoch && pending.proposal.0 <= log.applied;
    next && trial && based && log.trial.is_none()
}
