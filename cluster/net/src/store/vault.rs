//! A redb database that promises nothing more once a write or sync has failed.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase as _, StorageBackend, WriteTransaction,
};

use super::StoreError;
use crate::files;
use crate::limits::STORE_CACHE_BYTES;

/// The database. One writes, many read.
#[derive(Debug)]
pub(crate) struct Vault {
    database: Database,
    poisoned: AtomicBool,
}

impl Vault {
    /// Makes a file that `fill` fills. After a crash at any time it is there whole or not at all.
    pub(crate) fn create(
        path: &Path,
        fill: impl FnOnce(Self) -> Result<Self, StoreError>,
    ) -> Result<(), StoreError> {
        let beside = path.with_extension("new");
        files::remove(&beside).map_err(StoreError::File)?;
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(files::PRIVATE)
            .open(&beside)
            .map_err(StoreError::File)?;
        let backend = FileBackend::new(file).map_err(storage)?;
        let vault = fill(Self::around(builder().create_with_backend(backend).map_err(storage)?))?;
        vault.database.close().map_err(storage)?;
        files::rename(&beside, path).map_err(StoreError::File)
    }

    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::around(builder().open(path).map_err(storage)?))
    }

    /// On something that is no file; true: there is nothing yet.
    pub(crate) fn with_backend(backend: impl StorageBackend) -> Result<(Self, bool), StoreError> {
        let empty = backend.len().map_err(StoreError::File)? == 0;
        let database = builder().create_with_backend(backend).map_err(storage)?;
        Ok((Self::around(database), empty))
    }

    fn around(database: Database) -> Self {
        Self { database, poisoned: AtomicBool::new(false) }
    }

    /// Whether nothing can be promised any more.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.poisoned.load(Ordering::Acquire)
    }

    /// A view of what is committed now.
    pub(crate) fn view(&self) -> Result<ReadTransaction, StoreError> {
        if self.is_poisoned() {
            return Err(StoreError::Poisoned);
        }
        self.database.begin_read().map_err(storage)
    }

    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        look(&self.view()?)
    }

    /// Carries out a change and syncs it. What it refuses has changed nothing; what the disk refuses
    /// poisons the store.
    pub(crate) fn write<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.is_poisoned() {
            return Err(StoreError::Poisoned);
        }
        let done = self.commit(change);
        if matches!(done, Err(StoreError::Storage(_))) {
            self.poisoned.store(true, Ordering::Release);
        }
        done
    }

    fn commit<T>(
        &self,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        let mut transaction = self.database.begin_write().map_err(storage)?;
        // In two phases, and opened again without a walk through the file.
        transaction.set_quick_repair(true);
        let value = match change(&transaction) {
            Ok(value) => value,
            Err(error) => {
                transaction.abort().map_err(storage)?;
                return Err(error);
            }
        };
        transaction.commit().map_err(storage)?;
        Ok(value)
    }
}

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(STORE_CACHE_BYTES);
    builder
}

pub(crate) fn storage(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Storage(error.into())
}
