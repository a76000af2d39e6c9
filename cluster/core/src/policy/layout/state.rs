//! The layout of the whole state, and whether one read can be.

use std::collections::BTreeMap;

use super::cursor::{Layout, Reader, write_bytes, write_deque, write_map};
use crate::limits::{
    CHANGES_KEPT, MEMBERS_MAX, REQUESTS_REMEMBERED, REVISIONS_KEPT, SECRETS_MAX, SETTINGS_MAX,
    TABLE_BYTES, ZONES_NUMBERED,
};
use crate::membership::Kind;
use crate::placement::{self, Table, TableError};
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
            shares: BTreeMap::new(),
            table: None,
        })
    }
}

/// What stands behind all else in a snapshot with a table: the shares, and it.
pub(super) fn write_placement(cluster: &Cluster, table: &Table, out: &mut Vec<u8>) {
    let shares: Vec<placement::Member> = cluster.shares.values().copied().collect();
    shares.write(out);
    write_bytes(&table.encode(), out);
}

pub(super) fn read_placement(cluster: &mut Cluster, r: &mut Reader<'_>) -> Result<(), Malformed> {
    let shares: Vec<placement::Member> = Layout::read(r)?;
    if !shares.is_sorted_by(|a, b| a.node < b.node) {
        return Err(Malformed::Value);
    }
    cluster.shares = shares.into_iter().map(|it| (it.node, it)).collect();
    let table = Table::decode(r.bytes(TABLE_BYTES)?);
    cluster.table = Some(table.map_err(|why| match why {
        TableError::Truncated => Malformed::Truncated,
        TableError::TooLong => Malformed::Trailing,
        TableError::Nodes | TableError::Place | TableError::Term => Malformed::Value,
    })?);
    Ok(())
}

/// Whether all parts fit together: what applying entries relies on.
pub(super) fn is_coherent(log: &Log) -> bool {
    let numbers = log.decided <= log.applied && log.running.epoch <= log.last;
    numbers
        && shelf_fits(log)
        && trial_fits(log)
        && pending_fits(log)
        && placement_fits(&log.cluster)
}

/// The table is one of those that have a share, who are firewalls of the cluster; and it has a key.
fn placement_fits(cluster: &Cluster) -> bool {
    let firewall = |node| cluster.members.get(node).is_some_and(|it| it.kind == Kind::Firewall);
    let Some(table) = cluster.table() else { return cluster.shares.is_empty() };
    let fits = |members| table.is_of(&members);
    cluster.shares.keys().all(firewall) && cluster.placed().is_some_and(fits)
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
