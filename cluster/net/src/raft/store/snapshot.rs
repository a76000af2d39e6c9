//! The snapshot in the store.

use std::io;

use bytes::Bytes;
use redb::{ReadTransaction, ReadableTable as _};
use tokio::task::spawn_blocking;

use super::super::types::{Snapshot, SnapshotMeta};
use super::super::wire::{Tag, WireMeta};
use super::writer::{Change, Job};
use super::{FACTS, META, RaftStore, SNAPSHOT, fact, io_error, unreadable};
use crate::store::{StoreError, storage};

impl RaftStore {
    /// Keeps a snapshot in the place of the last one.
    pub(crate) async fn save_snapshot(&self, meta: &SnapshotMeta, data: Bytes) -> io::Result<()> {
        let change = Change::Snapshot(Box::new(meta.clone()), data);
        self.ask(|done| Job::wait(change, done)).await.map_err(io_error)
    }

    /// The snapshot that is kept.
    pub(crate) async fn snapshot(&self) -> io::Result<Option<Snapshot>> {
        if self.snapshot_meta().is_none() {
            return Ok(None);
        }
        let view = self.shared.vault.view().map_err(io_error)?;
        let read = spawn_blocking(move || stored(&view)).await;
        read.map_err(io::Error::other)?.map_err(io_error)
    }

    pub(crate) fn snapshot_meta(&self) -> Option<SnapshotMeta> {
        self.memory().snapshot.clone()
    }
}

fn stored(view: &ReadTransaction) -> Result<Option<Snapshot>, StoreError> {
    let facts = view.open_table(FACTS).map_err(storage)?;
    let Some(meta) = fact::<WireMeta>(&facts, META, Tag::SnapshotMeta)? else { return Ok(None) };
    let meta = SnapshotMeta::try_from(meta).map_err(|_| unreadable())?;
    let rows = view.open_table(SNAPSHOT).map_err(storage)?;
    let mut data = Vec::new();
    for row in rows.iter().map_err(storage)? {
        data.extend_from_slice(row.map_err(storage)?.1.value());
    }
    Ok(Some(Snapshot { meta, snapshot: Bytes::from(data) }))
}
