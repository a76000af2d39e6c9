//! The directory on a BPF file system where links are pinned, so that they outlive the process.
//!
//! `<bpf-dir>/net-<inode of the network namespace>/if-<ifindex>/link`: interface names and numbers
//! repeat between network namespaces, and names may hold dots, which a BPF file system refuses. A
//! namespace's inode number may come again after the namespace is gone; a link left from then is
//! attached to nothing and is replaced. The directory of a port is also its lock (`flock`): only
//! root reaches it, and the kernel lets go of it when the holder dies.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sys::statfs::{FsType, statfs};

use super::error::Error;
use super::limits::{MOUNT_LOCK_POLL, MOUNT_LOCK_TIMEOUT};

/// `BPF_FS_MAGIC` of linux/magic.h.
const BPF_FS: i64 = 0xcafe_4a11;

/// Where every distribution mounts the BPF file system.
const DEFAULT_MOUNT: &str = "/sys/fs/bpf";

/// Two daemons that start at once must not mount it twice: the second mount would hide the first.
const MOUNT_LOCK: &str = "/run/ringwall-bpffs.lock";

/// A `bpf-dir` that was found good: on a BPF file system that outlives this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BpfDir {
    path: PathBuf,
}

impl BpfDir {
    /// Makes the directory, and mounts the BPF file system if it is missing at `/sys/fs/bpf`.
    ///
    /// # Errors
    /// [`Error::NotBpffs`], [`Error::BpfDir`], and [`Error::MountDies`] for a mount that process 1
    /// does not see, as inside `ip netns exec`.
    pub fn prepare(path: &Path) -> Result<Self, Error> {
        let failed = Error::bpf_dir(path);
        if !on_bpffs(path).map_err(&failed)? {
            if !path.starts_with(DEFAULT_MOUNT) {
                return Err(Error::NotBpffs { path: path.to_owned() });
            }
            mount_default(path)?;
        }
        let existing = nearest(path).map_err(&failed)?;
        if !outlives_us(&existing).map_err(&failed)? {
            return Err(Error::MountDies { path: path.to_owned() });
        }
        make(path).map_err(&failed)?;
        Ok(Self { path: path.to_owned() })
    }

    /// Refuses a port, in the calling thread's network namespace, that another live process holds.
    /// Attaching decides that anyway; asked before sockets are opened, it names the holder.
    ///
    /// # Errors
    /// [`Error::Locked`], [`Error::BpfDir`].
    pub fn refuse_held(&self, ifindex: u32) -> Result<(), Error> {
        match self.port_dir(ifindex)?.exists() {
            true => self.lock(ifindex).map(drop),
            false => Ok(()),
        }
    }

    fn port_dir(&self, ifindex: u32) -> Result<PathBuf, Error> {
        Ok(self.namespace_dir()?.join(format!("if-{ifindex}")))
    }

    /// Where the links of the calling thread's network namespace are.
    pub(super) fn namespace_dir(&self) -> Result<PathBuf, Error> {
        let own = Path::new("/proc/thread-self/ns/net");
        let inode = fs::metadata(own).map_err(Error::bpf_dir(own))?.ino();
        Ok(self.path.join(format!("net-{inode}")))
    }

    /// Takes the lock of a port of the calling thread's network namespace.
    pub(super) fn lock(&self, ifindex: u32) -> Result<PortDir, Error> {
        let path = self.port_dir(ifindex)?;
        let failed = Error::bpf_dir(&path);
        loop {
            make(&path).map_err(&failed)?;
            let Some(directory) = open(&path).map_err(&failed)? else { continue };
            let inode = directory.metadata().map_err(&failed)?.ino();
            let Ok(lock) = Flock::lock(directory, FlockArg::LockExclusiveNonblock) else {
                return Err(Error::Locked { ifindex, holder: holder(inode) });
            };
            // Whoever held it before may have removed the directory: then it locks nothing.
            if fs::metadata(&path).is_ok_and(|metadata| metadata.ino() == inode) {
                return Ok(PortDir { path: path.clone(), _lock: lock });
            }
        }
    }
}

/// The directory of one port, locked as long as this value lives.
#[derive(Debug)]
pub(super) struct PortDir {
    path: PathBuf,
    _lock: Flock<File>,
}

impl PortDir {
    /// Where the link is pinned.
    pub(super) fn link(&self) -> PathBuf {
        self.path.join("link")
    }

    /// Removes the link and the directory; true if there was a link.
    pub(super) fn clear(self) -> Result<bool, Error> {
        let link = self.link();
        let removed = match fs::remove_file(&link) {
            Ok(()) => true,
            Err(error) if error.kind() == io::ErrorKind::NotFound => false,
            Err(error) => return Err(Error::bpf_dir(&link)(error)),
        };
        fs::remove_dir(&self.path).map_err(Error::bpf_dir(&self.path))?;
        // Gone as well once the last port is; until then it is not empty.
        let _ = self.path.parent().map(fs::remove_dir);
        Ok(removed)
    }
}

fn make(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// The directory, or nothing if somebody removed it meanwhile.
fn open(path: &Path) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The process that holds the lock on this inode, from `/proc/locks`:
/// `1: FLOCK ADVISORY WRITE 1234 00:2e:5678 0 EOF`.
fn holder(inode: u64) -> Option<u32> {
    let locks = fs::read_to_string("/proc/locks").ok()?;
    locks.lines().find_map(|line| {
        let mut fields = line.split_whitespace().skip_while(|field| *field != "FLOCK").skip(3);
        let pid = fields.next()?.parse().ok()?;
        let number = fields.next()?.rsplit(':').next()?;
        (number.parse() == Ok(inode)).then_some(pid)
    })
}

/// The path itself, or the first directory above it that exists.
fn nearest(path: &Path) -> io::Result<PathBuf> {
    let existing = path.ancestors().find(|ancestor| ancestor.is_dir());
    existing.map(Path::to_owned).ok_or_else(|| io::ErrorKind::NotFound.into())
}

fn on_bpffs(path: &Path) -> io::Result<bool> {
    Ok(statfs(&nearest(path)?)?.filesystem_type() == FsType(BPF_FS))
}

/// Whether process 1 sees the same file system mounted, wherever: then a pin stays when we go.
fn outlives_us(path: &Path) -> io::Result<bool> {
    let device = fs::metadata(path)?.dev();
    let number = format!("{}:{}", libc::major(device), libc::minor(device));
    let mounts = fs::read_to_string("/proc/1/mountinfo")?;
    Ok(mounts.lines().any(|line| line.split(' ').nth(2) == Some(&number)))
}

/// Mounts the BPF file system, unless somebody else just did; takes it down again if it is ours
/// alone.
fn mount_default(wanted: &Path) -> Result<(), Error> {
    let target = Path::new(DEFAULT_MOUNT);
    let failed = Error::bpf_dir(target);
    let _lock = mount_lock();
    if on_bpffs(target).map_err(&failed)? {
        return Ok(());
    }
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some("bpf"), target, Some("bpf"), flags, Some("mode=0700"))
        .map_err(|errno| failed(errno.into()))?;
    if !outlives_us(target).map_err(&failed)? {
        umount2(target, MntFlags::MNT_DETACH).map_err(|errno| failed(errno.into()))?;
        return Err(Error::MountDies { path: wanted.to_owned() });
    }
    Ok(())
}

/// The lock for mounting; none if it cannot be had, which only matters if two start at once.
fn mount_lock() -> Option<Flock<File>> {
    let deadline = Instant::now() + MOUNT_LOCK_TIMEOUT;
    let open = || OpenOptions::new().create(true).append(true).mode(0o600).open(MOUNT_LOCK);
    let mut file = open().ok()?;
    loop {
        match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => return Some(lock),
            Err((_, _)) if Instant::now() > deadline => return None,
            Err((back, _)) => file = back,
        }
        std::thread::sleep(MOUNT_LOCK_POLL);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_directory_elsewhere_is_refused_with_a_hint() {
        let refused = BpfDir::prepare(Path::new("/proc/ringwall")).unwrap_err();
        assert!(matches!(refused, Error::NotBpffs { .. }));
        assert!(refused.to_string().contains("mount -t bpf"));
    }

    #[test]
    fn the_nearest_directory_is_found_from_below() {
        assert_eq!(nearest(Path::new("/proc/no/such")).unwrap(), Path::new("/proc"));
        assert!(outlives_us(Path::new("/proc")).unwrap());
    }
}
