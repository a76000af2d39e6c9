//! The thread that writes: what waits goes into one transaction.

use std::time::Instant;

use bytes::Bytes;
use openraft::storage::IOFlushed;
use redb::WriteTransaction;
use tokio::sync::{mpsc, oneshot};

use super::super::types::{Entry, LogId, SnapshotMeta, Types, Vote};
use super::super::wire::{self, Generation, Tag, WireEntry, WireLogId, WireMeta, WireVote};
use super::{
    COMMITTED, FACTS, FOUNDER, GENERATION, LOG, META, NUMBERS, PURGED, SNAPSHOT, Shared, VOTE,
    io_error,
};
use crate::limits::{RAFT_GROUP_BYTES, RAFT_GROUP_WRITES, RAFT_SNAPSHOT_ROW_BYTES};
use crate::store::{StoreError, storage};

/// A change, and who is told of it.
pub(super) struct Job {
    change: Change,
    done: Done,
}

/// What is written.
#[derive(Debug)]
pub(super) enum Change {
    Append(Vec<Entry>),
    Vote(Vote),
    /// What is committed; the number of the announcement.
    Committed(Option<LogId>, u64),
    TruncateAfter(Option<LogId>),
    Purge(LogId),
    Snapshot(Box<SnapshotMeta>, Bytes),
    Generation(Generation),
    Survive(Generation, Vote, Box<Entry>),
}

enum Done {
    Flushed(IOFlushed<Types>),
    Waiting(oneshot::Sender<Result<(), StoreError>>),
    Nobody,
}

impl Job {
    pub(super) fn append(entries: Vec<Entry>, done: IOFlushed<Types>) -> Self {
        Self { change: Change::Append(entries), done: Done::Flushed(done) }
    }

    pub(super) fn wait(change: Change, done: oneshot::Sender<Result<(), StoreError>>) -> Self {
        Self { change, done: Done::Waiting(done) }
    }

    pub(super) fn tell_nobody(change: Change) -> Self {
        Self { change, done: Done::Nobody }
    }

    fn bytes(&self) -> usize {
        match &self.change {
            Change::Append(entries) => entries.iter().map(command_bytes).sum(),
            Change::Snapshot(_, data) => data.len(),
            Change::Vote(_)
            | Change::Committed(..)
            | Change::TruncateAfter(_)
            | Change::Purge(_)
            | Change::Generation(_)
            | Change::Survive(..) => 0,
        }
    }
}

fn command_bytes(entry: &Entry) -> usize {
    match &entry.payload {
        openraft::EntryPayload::Normal(command) => command.0.len(),
        openraft::EntryPayload::Blank | openraft::EntryPayload::Membership(_) => 0,
    }
}

/// Writes until nobody can want it any more.
pub(super) fn run(shared: &Shared, mut jobs: mpsc::Receiver<Job>) {
    while let Some(first) = jobs.blocking_recv() {
        let mut bytes = first.bytes();
        let mut group = vec![first];
        while group.len() < RAFT_GROUP_WRITES && bytes < RAFT_GROUP_BYTES {
            let Ok(next) = jobs.try_recv() else { break };
            bytes += next.bytes();
            group.push(next);
        }
        let written = write(shared, &group);
        if written.is_ok() {
            group.iter().for_each(|job| remember(shared, &job.change));
        }
        group.into_iter().for_each(|job| job.done.tell(written.as_ref().err()));
    }
}

fn write(shared: &Shared, group: &[Job]) -> Result<(), StoreError> {
    let begun = Instant::now();
    let bytes = group.iter().map(|job| job.bytes() as u64).sum();
    shared.vault.write(bytes, |transaction| {
        group.iter().try_for_each(|job| carry_out(transaction, &job.change))
    })?;
    let nanos = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
    shared.syncs().add(nanos);
    Ok(())
}

fn carry_out(transaction: &WriteTransaction, change: &Change) -> Result<(), StoreError> {
    match change {
        Change::Append(entries) => append(transaction, entries),
        Change::Vote(vote) => keep(transaction, VOTE, &encoded(Tag::Vote, &WireVote::from(vote))?),
        Change::Committed(Some(id), _) => keep(transaction, COMMITTED, &log_id(*id)?),
        Change::Committed(None, _) => Ok(()),
        Change::TruncateAfter(last) => {
            let from = last.map_or(0, |last| last.index + 1);
            let mut log = transaction.open_table(LOG).map_err(storage)?;
            log.retain_in(from.., |_, _| false).map_err(storage)
        }
        Change::Purge(upto) => {
            let mut log = transaction.open_table(LOG).map_err(storage)?;
            log.retain_in(..=upto.index, |_, _| false).map_err(storage)?;
            keep(transaction, PURGED, &log_id(*upto)?)
        }
        Change::Snapshot(meta, data) => snapshot(transaction, meta, data),
        Change::Generation(generation) => begin(transaction, *generation),
        Change::Survive(generation, vote, entry) => {
            append(transaction, core::slice::from_ref(entry))?;
            keep(transaction, VOTE, &encoded(Tag::Vote, &WireVote::from(vote))?)?;
            begin(transaction, *generation)
        }
    }
}

fn append(transaction: &WriteTransaction, entries: &[Entry]) -> Result<(), StoreError> {
    let mut log = transaction.open_table(LOG).map_err(storage)?;
    for entry in entries {
        let row = encoded(Tag::Entry, &WireEntry::from(entry))?;
        log.insert(entry.log_id.index, &row[..]).map_err(storage)?;
    }
    Ok(())
}

fn snapshot(
    transaction: &WriteTransaction,
    meta: &SnapshotMeta,
    data: &[u8],
) -> Result<(), StoreError> {
    let mut rows = transaction.open_table(SNAPSHOT).map_err(storage)?;
    rows.retain(|_, _| false).map_err(storage)?;
    for (row, part) in (0..).zip(data.chunks(RAFT_SNAPSHOT_ROW_BYTES)) {
        rows.insert(row, part).map_err(storage)?;
    }
    keep(transaction, META, &encoded(Tag::SnapshotMeta, &WireMeta::from(meta))?)
}

fn begin(transaction: &WriteTransaction, generation: Generation) -> Result<(), StoreError> {
    let mut numbers = transaction.open_table(NUMBERS).map_err(storage)?;
    numbers.insert(GENERATION, generation.number).map_err(storage)?;
    numbers.insert(FOUNDER, u64::from(generation.founder)).map_err(storage)?;
    Ok(())
}

fn keep(transaction: &WriteTransaction, key: &str, row: &[u8]) -> Result<(), StoreError> {
    let mut facts = transaction.open_table(FACTS).map_err(storage)?;
    facts.insert(key, row).map_err(storage)?;
    Ok(())
}

fn log_id(id: LogId) -> Result<Vec<u8>, StoreError> {
    encoded(Tag::LogId, &WireLogId::from(id))
}

fn encoded<T: crate::codec::Encode>(tag: Tag, value: &T) -> Result<Vec<u8>, StoreError> {
    wire::encode(tag, value).map_err(|_| StoreError::Full("bytes of one entry"))
}

/// What is true now that a change is on the disk.
fn remember(shared: &Shared, change: &Change) {
    let mut memory = shared.memory();
    match change {
        Change::Append(entries) => entries.iter().for_each(|entry| memory.synced(entry.log_id)),
        Change::Vote(vote) => memory.vote = Some(*vote),
        Change::Committed(_, number) => {
            shared.announced.send_replace(*number);
        }
        Change::TruncateAfter(_) | Change::Purge(_) => {}
        Change::Snapshot(meta, _) => memory.snapshot = Some((**meta).clone()),
        Change::Generation(generation) => memory.generation = Some(*generation),
        Change::Survive(generation, vote, entry) => {
            memory.generation = Some(*generation);
            memory.vote = Some(*vote);
            memory.append((**entry).clone());
            memory.synced(entry.log_id);
        }
    }
}

impl Done {
    fn tell(self, failed: Option<&StoreError>) {
        let written = failed.map_or(Ok(()), |error| Err(repeated(error)));
        match self {
            Self::Flushed(flushed) => flushed.io_completed(written.map_err(io_error)),
            Self::Waiting(waiting) => {
                // Who waited may have gone.
                let _ = waiting.send(written);
            }
            Self::Nobody => {}
        }
    }
}

/// The error of a commit, for each of those who share it.
fn repeated(error: &StoreError) -> StoreError {
    StoreError::File(std::io::Error::other(error.to_string()))
}
