//! What the store knows without asking the disk.

use std::collections::BTreeMap;

use openraft::EntryPayload;

use super::super::types::{Entry, LogId, SnapshotMeta, Vote};
use super::super::wire::Generation;
use crate::limits::RAFT_RECENT_BYTES;
use crate::store::StoreError;

/// Bytes of an entry beside its command, about.
const ENVELOPE_BYTES: u64 = 64;

#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Entries that are not on the disk yet, and recent ones that are.
    pub(super) recent: BTreeMap<u64, Recent>,
    /// Bytes of those of them that are on the disk.
    pub(super) spare: u64,
    /// Bytes of each entry of the log.
    pub(super) sizes: BTreeMap<u64, u64>,
    /// The vote on the disk.
    pub(super) vote: Option<Vote>,
    pub(super) purged: Option<LogId>,
    /// The last committed entry that is known, on the disk or on its way there.
    pub(super) committed: Option<LogId>,
    pub(super) last: Option<LogId>,
    /// The snapshot on the disk.
    pub(super) snapshot: Option<SnapshotMeta>,
    pub(super) generation: Option<Generation>,
    /// Announcements of what is committed, so far.
    pub(super) announcements: u64,
}

#[derive(Debug)]
pub(super) struct Recent {
    entry: Entry,
    synced: bool,
}

impl Memory {
    /// Whether the log has no hole.
    pub(super) fn check(&self) -> Result<(), StoreError> {
        let first = self.purged.map_or(0, |purged| purged.index + 1);
        let whole = self.sizes.keys().copied().eq(first..first + self.sizes.len() as u64);
        if whole { Ok(()) } else { Err(StoreError::Damaged("Raft's log has a hole")) }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.sizes.values().sum()
    }

    pub(super) fn append(&mut self, entry: Entry) {
        let (index, size) = (entry.log_id.index, size(&entry));
        self.sizes.insert(index, size);
        self.last = Some(entry.log_id);
        self.recent.insert(index, Recent { entry, synced: false });
    }

    /// An entry is on the disk now; another one may have come in its place meanwhile.
    pub(super) fn synced(&mut self, id: LogId) {
        if let Some(recent) = self.recent.get_mut(&id.index)
            && recent.entry.log_id == id
            && !recent.synced
        {
            recent.synced = true;
            self.spare += size(&recent.entry);
        }
        self.forget_old();
    }

    /// Lets the oldest go that are on the disk, beyond the room for them.
    fn forget_old(&mut self) {
        while self.spare > RAFT_RECENT_BYTES as u64 {
            let Some((index, Recent { entry, synced: true })) = self.recent.pop_first_synced()
            else {
                return;
            };
            debug_assert_eq!(index, entry.log_id.index);
            self.spare -= size(&entry);
        }
    }

    pub(super) fn truncate(&mut self, after: Option<LogId>) {
        if after >= self.last {
            return;
        }
        let from = after.map_or(0, |after| after.index + 1);
        let gone = self.recent.split_off(&from);
        self.spare -= spare(&gone);
        self.sizes.split_off(&from);
        self.last = after.max(self.purged);
    }

    pub(super) fn purge(&mut self, upto: LogId) {
        let kept = self.recent.split_off(&(upto.index + 1));
        let gone = core::mem::replace(&mut self.recent, kept);
        self.spare -= spare(&gone);
        self.sizes = self.sizes.split_off(&(upto.index + 1));
        self.purged = self.purged.max(Some(upto));
        self.last = self.last.max(Some(upto));
    }

    pub(super) fn recent(&self, index: u64) -> Option<&Entry> {
        self.recent.get(&index).map(|recent| &recent.entry)
    }

    /// Up to where entries from `start` on are no more than so many bytes; at least one entry.
    pub(super) fn reach(&self, start: u64, end: u64, most: u64) -> u64 {
        let mut bytes = 0;
        for (index, size) in self.sizes.range(start..end) {
            bytes += size;
            if bytes > most && *index > start {
                return *index;
            }
        }
        end
    }
}

/// Taking the oldest entry out only if it is on the disk.
trait PopSynced {
    fn pop_first_synced(&mut self) -> Option<(u64, Recent)>;
}

impl PopSynced for BTreeMap<u64, Recent> {
    fn pop_first_synced(&mut self) -> Option<(u64, Recent)> {
        self.first_entry().filter(|first| first.get().synced).map(|first| first.remove_entry())
    }
}

fn spare(entries: &BTreeMap<u64, Recent>) -> u64 {
    entries.values().filter(|recent| recent.synced).map(|recent| size(&recent.entry)).sum()
}

fn size(entry: &Entry) -> u64 {
    let command = match &entry.payload {
        EntryPayload::Normal(command) => command.0.len() as u64,
        EntryPayload::Blank | EntryPayload::Membership(_) => 0,
    };
    command + ENVELOPE_BYTES
}
