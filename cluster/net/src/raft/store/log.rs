//! The store as openraft's log.

use core::fmt::Debug;
use core::ops::{Bound, RangeBounds};
use std::io;

use openraft::OptionalSend;
use openraft::storage::{IOFlushed, LogState, RaftLogReader, RaftLogStorage};
use redb::ReadTransaction;
use tokio::task::spawn_blocking;

use super::super::types::{Entry, LogId, Types, Vote};
use super::writer::{Change, Job};
use super::{LOG, RaftStore, entry, io_error};
use crate::limits::RAFT_BATCH_BYTES;
use crate::store::{StoreError, storage};

impl RaftStore {
    /// The entries from `start` to before `end` that there are.
    async fn entries(&self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let (mut entries, rest) = {
            let memory = self.memory();
            let indexes = || memory.sizes.range(start..end.max(start)).map(|(index, _)| *index);
            let recent = indexes().filter_map(|index| memory.recent(index).cloned());
            let entries: Vec<Entry> = recent.collect();
            let missing: Vec<u64> = indexes().filter(|it| memory.recent(*it).is_none()).collect();
            // Taken under the lock, so that both see the same log.
            let view = (!missing.is_empty()).then(|| self.shared.vault.view()).transpose();
            (entries, view.map_err(io_error)?.map(|view| (view, missing)))
        };
        if let Some((view, missing)) = rest {
            let read = spawn_blocking(move || stored(&view, &missing)).await;
            entries.extend(read.map_err(io::Error::other)?.map_err(io_error)?);
            entries.sort_by_key(|entry| entry.log_id.index);
        }
        Ok(entries)
    }

    /// Resolves when all that was announced as committed is on the disk: what is applied before
    /// would be unknown to the next run.
    pub(crate) async fn announcements_synced(&self) -> Result<(), StoreError> {
        let wanted = self.memory().announcements;
        let mut announced = self.shared.announced.subscribe();
        loop {
            if *announced.borrow_and_update() >= wanted {
                return Ok(());
            }
            if self.is_poisoned() {
                return Err(StoreError::Poisoned);
            }
            tokio::select! {
                changed = announced.changed() => changed.map_err(|_| StoreError::Poisoned)?,
                // A writer that fails announces nothing.
                () = tokio::time::sleep(crate::limits::RAFT_WATCH) => {}
            }
        }
    }
}

fn stored(view: &ReadTransaction, indexes: &[u64]) -> Result<Vec<Entry>, StoreError> {
    let log = view.open_table(LOG).map_err(storage)?;
    let mut entries = Vec::with_capacity(indexes.len());
    for index in indexes {
        let row = log.get(index).map_err(storage)?;
        let row = row.ok_or(StoreError::Damaged("an entry of Raft's log is missing"))?;
        entries.push(entry(row.value())?);
    }
    Ok(entries)
}

impl RaftLogReader<Types> for RaftStore {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<Entry>> {
        let start = match range.start_bound() {
            Bound::Included(start) => *start,
            Bound::Excluded(start) => start + 1,
            Bound::Unbounded => 0,
        };
        let end = match range.end_bound() {
            Bound::Included(end) => end.saturating_add(1),
            Bound::Excluded(end) => *end,
            Bound::Unbounded => u64::MAX,
        };
        self.entries(start, end).await
    }

    async fn limited_get_log_entries(&mut self, start: u64, end: u64) -> io::Result<Vec<Entry>> {
        let end = self.memory().reach(start, end, RAFT_BATCH_BYTES as u64);
        self.entries(start, end).await
    }

    async fn read_vote(&mut self) -> io::Result<Option<Vote>> {
        Ok(self.memory().vote)
    }
}

impl RaftLogStorage<Types> for RaftStore {
    type LogReader = Self;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let memory = self.memory();
        Ok(LogState { last_purged_log_id: memory.purged, last_log_id: memory.last })
    }

    async fn get_log_reader(&mut self) -> Self {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote) -> io::Result<()> {
        self.ask(|done| Job::wait(Change::Vote(*vote), done)).await.map_err(io_error)
    }

    async fn save_committed(&mut self, committed: Option<LogId>) -> io::Result<()> {
        let number = {
            let mut memory = self.memory();
            memory.committed = committed;
            memory.announcements += 1;
            memory.announcements
        };
        self.tell(Change::Committed(committed, number)).await
    }

    async fn read_committed(&mut self) -> io::Result<Option<LogId>> {
        Ok(self.memory().committed)
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = Entry> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry> = entries.into_iter().collect();
        {
            let mut memory = self.memory();
            entries.iter().for_each(|entry| memory.append(entry.clone()));
        }
        let job = Job::append(entries, callback);
        self.queue.send(job).await.map_err(|_| io_error(StoreError::Poisoned))
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        self.memory().truncate(last);
        self.ask(|done| Job::wait(Change::TruncateAfter(last), done)).await.map_err(io_error)
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        self.memory().purge(upto);
        self.ask(|done| Job::wait(Change::Purge(upto), done)).await.map_err(io_error)
    }
}

impl RaftStore {
    async fn tell(&self, change: Change) -> io::Result<()> {
        let job = Job::tell_nobody(change);
        self.queue.send(job).await.map_err(|_| io_error(StoreError::Poisoned))
    }
}
