//! Files that nobody else reads and that are there whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

/// Mode of a private file.
pub(crate) const PRIVATE: u32 = 0o600;
const PRIVATE_FOLDER: u32 = 0o700;
/// What any others may do with a file; nothing of it is wanted.
const OTHERS: u32 = 0o077;

/// Makes a folder that only its owner enters, and those above it.
pub(crate) fn make_folder(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(PRIVATE_FOLDER).create(folder)
}

/// Writes `text` so that after a crash at any time the file is the old one or the new one: into a
/// file beside it, synced, renamed, and the folder synced.
pub(crate) fn write(path: &Path, text: &str) -> io::Result<()> {
    let beside = path.with_extension("new");
    // One that a crash left behind may have another mode.
    remove(&beside)?;
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    rename(&beside, path)
}

/// Renames a synced file to its final name, for good.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    fs::rename(from, to)?;
    File::open(to.parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// Whether a folder's file system has room for so many bytes more. One that cannot be asked counts as having
/// it.
///
/// # Errors
/// It has not.
pub(crate) fn find_room(folder: &Path, bytes: u64) -> io::Result<()> {
    let path = folder.join("room.new");
    remove(&path)?;
    let file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(&path)?;
    let found = fallocate(&file, FallocateFlags::empty(), 0, bytes.try_into().unwrap_or(i64::MAX));
    remove(&path)?;
    match found {
        Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Removes a file that may not be there.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Reads a private file of at most `limit` bytes. One that others can read is refused: its secrets
/// are none any more.
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<String> {
    let file = File::open(path)?;
    if file.metadata()?.permissions().mode() & OTHERS != 0 {
        let why = "others may read it: its keys are no secret any more (see `chmod 600`)";
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, why));
    }
    let mut text = String::new();
    let read = file.take(limit + 1).read_to_string(&mut text)?;
    if read as u64 > limit {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the file is too large"));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_private_and_whole() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        make_folder(&inner).unwrap();
        let path = inner.join("file.toml");
        fs::write(path.with_extension("new"), "left behind").unwrap();
        for text in ["one", "two"] {
            write(&path, text).unwrap();
            assert_eq!(read(&path, 3).unwrap(), text);
        }
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(&inner)), (0o600, 0o700));
        assert!(!path.with_extension("new").exists());
        assert_eq!(read(&path, 2).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
    }

    #[test]
    fn room_is_asked_for_and_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        find_room(folder.path(), 1 << 20).unwrap();
        let full = find_room(folder.path(), 1 << 60).unwrap_err();
        let none = [Errno::ENOSPC, Errno::EFBIG].map(|it| Some(it as i32));
        assert!(none.contains(&full.raw_os_error()), "{full}");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_file_that_others_read_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.toml");
        write(&path, "x").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert_eq!(read(&path, 9).unwrap_err().kind(), io::ErrorKind::PermissionDenied);
    }
}
