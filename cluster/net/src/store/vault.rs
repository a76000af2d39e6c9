//! A redb database that promises nothing more once a write or sync has failed, until it is opened anew.
//!
//! **Why opening anew is safe.** A sync that failed leaves pages that the system shows and the disk does
//! not have; no later sync writes them. But a commit has two phases: its pages are synced before the first
//! page of the file names them, and that page is synced then. If the first sync failed, nothing names those
//! pages, and they are written again before anything does. If the second failed, all but the first page is
//! on the disk, and the next commit writes that. So a new run commits something before it believes what it
//! reads ([`Vault::prove`]): after that, all of it is on the disk.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use redb::backends::FileBackend;
use redb::{
    Builder, Database, ReadTransaction, ReadableDatabase as _, ReadableTable as _, StorageBackend,
    TableDefinition, WriteTransaction,
};

use super::StoreError;
use crate::files;
use crate::limits::{STORE_CACHE_BYTES, STORE_ROOM_BYTES};

/// What only shows that the disk takes commits: how often the file was opened after a failure.
const PROOF: TableDefinition<'_, &str, u64> = TableDefinition::new("opened anew");
const COUNT: &str = "count";

/// The database. One writes, many read.
#[derive(Debug)]
pub(crate) struct Vault {
    /// None: it was given up.
    database: RwLock<Option<Database>>,
    failure: Mutex<Option<Failure>>,
    source: Source,
}

/// Why nothing can be promised any more.
#[derive(Clone, Debug)]
struct Failure {
    why: String,
    /// Bytes that were to be written then.
    bytes: u64,
}

/// From what it can be opened anew.
#[derive(Clone)]
pub(crate) enum Source {
    File(PathBuf),
    /// A backend, by what opens it again.
    #[cfg(test)]
    Backend(std::sync::Arc<dyn Fn() -> Result<Database, StoreError> + Send + Sync>),
    /// It is not opened again.
    Nothing,
}

impl Source {
    /// A backend that may be made once more.
    #[cfg(test)]
    pub(crate) fn backend<B: StorageBackend>(make: impl Fn() -> B + Send + Sync + 'static) -> Self {
        Self::Backend(std::sync::Arc::new(move || {
            builder().create_with_backend(make()).map_err(storage)
        }))
    }
}

impl core::fmt::Debug for Source {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            #[cfg(test)]
            Self::Backend(_) => f.write_str("a backend"),
            Self::Nothing => f.write_str("nothing"),
        }
    }
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
        let database = builder().create_with_backend(backend).map_err(storage)?;
        let vault = fill(Self::around(database, Source::Nothing))?;
        vault.close().map_err(storage)?;
        files::rename(&beside, path).map_err(StoreError::File)
    }

    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let database = builder().open(path).map_err(storage)?;
        Ok(Self::around(database, Source::File(path.to_owned())))
    }

    /// On something that is no file; true: there is nothing yet.
    pub(crate) fn with_backend(backend: impl StorageBackend) -> Result<(Self, bool), StoreError> {
        let empty = backend.len().map_err(StoreError::File)? == 0;
        let database = builder().create_with_backend(backend).map_err(storage)?;
        Ok((Self::around(database, Source::Nothing), empty))
    }

    fn around(database: Database, source: Source) -> Self {
        Self { database: RwLock::new(Some(database)), failure: Mutex::default(), source }
    }

    /// The same, which can be opened anew from `source`.
    #[cfg(test)]
    pub(crate) fn opened_from(self, source: Source) -> Self {
        Self { source, ..self }
    }

    /// Opens what this one was opened from, which gives it up for good: whoever has it still is refused. What
    /// is read then is on the disk.
    ///
    /// # Errors
    /// The disk refuses still, or it never was a file.
    pub(crate) fn reopen(&self) -> Result<Self, StoreError> {
        let bytes = self.failure().as_ref().map_or(0, |it| it.bytes);
        // What was half done is left to the next run.
        let _ = self.close();
        let database = match &self.source {
            Source::File(path) => {
                let folder = path.parent().unwrap_or(Path::new("/"));
                let room = STORE_ROOM_BYTES + 2 * bytes;
                files::find_room(folder, room).map_err(StoreError::File)?;
                builder().open(path).map_err(storage)?
            }
            #[cfg(test)]
            Source::Backend(open) => open()?,
            Source::Nothing => return Err(StoreError::Poisoned),
        };
        let again = Self::around(database, self.source.clone());
        again.prove()?;
        Ok(again)
    }

    /// A commit, so that all that can be read is on the disk.
    fn prove(&self) -> Result<(), StoreError> {
        self.write(0, |transaction| {
            let mut table = transaction.open_table(PROOF).map_err(storage)?;
            let count = table.get(COUNT).map_err(storage)?.map_or(0, |count| count.value());
            table.insert(COUNT, count + 1).map_err(storage)?;
            Ok(())
        })
    }

    /// Gives the file up.
    pub(crate) fn close(&self) -> Result<(), redb::DatabaseError> {
        self.fail("it is closed", 0);
        let database = self.database.write().unwrap_or_else(PoisonError::into_inner).take();
        database.map_or(Ok(()), Database::close)
    }

    /// From now on nothing is promised; the first reason counts.
    pub(crate) fn fail(&self, why: &str, bytes: u64) {
        self.failure().get_or_insert_with(|| Failure { why: why.to_owned(), bytes });
    }

    /// Whether nothing can be promised any more.
    pub(crate) fn is_poisoned(&self) -> bool {
        self.failure().is_some()
    }

    /// Why not.
    pub(crate) fn ailment(&self) -> Option<String> {
        self.failure().as_ref().map(|it| it.why.clone())
    }

    fn failure(&self) -> MutexGuard<'_, Option<Failure>> {
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn database(&self) -> RwLockReadGuard<'_, Option<Database>> {
        self.database.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A view of what is committed now.
    pub(crate) fn view(&self) -> Result<ReadTransaction, StoreError> {
        if self.is_poisoned() {
            return Err(StoreError::Poisoned);
        }
        let database = self.database();
        database.as_ref().ok_or(StoreError::Poisoned)?.begin_read().map_err(storage)
    }

    pub(crate) fn read<T>(
        &self,
        look: impl FnOnce(&ReadTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        look(&self.view()?)
    }

    /// Carries out a change of about so many bytes and syncs it. What it refuses has changed nothing; what
    /// the disk refuses poisons the store.
    pub(crate) fn write<T>(
        &self,
        bytes: u64,
        change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if self.is_poisoned() {
            return Err(StoreError::Poisoned);
        }
        let database = self.database();
        let done = commit(database.as_ref().ok_or(StoreError::Poisoned)?, change);
        if let Err(StoreError::Storage(error)) = &done {
            self.fail(&error.to_string(), bytes);
        }
        done
    }
}

fn commit<T>(
    database: &Database,
    change: impl FnOnce(&WriteTransaction) -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    let mut transaction = database.begin_write().map_err(storage)?;
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

fn builder() -> Builder {
    let mut builder = Builder::new();
    builder.set_cache_size(STORE_CACHE_BYTES);
    builder
}

pub(crate) fn storage(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Storage(error.into())
}
