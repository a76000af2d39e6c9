//! The Unix socket: one daemon has it, nobody but its owner and the group of the node file may write to
//! it, and one that a killed daemon left behind is in nobody's way.

use std::fmt;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{DirBuilderExt as _, FileTypeExt as _, OpenOptionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use nix::fcntl::AT_FDCWD;
use nix::sys::socket::{self, AddressFamily, Backlog, SockFlag, SockType, UnixAddr};
use nix::sys::stat::{FchmodatFlags, Mode, fchmod, fchmodat};
use nix::unistd::{Gid, Group, chown, getegid, getgroups, setgroups};

/// The right to a socket, and nothing that others could connect to yet.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    lock: File,
    /// Whose members may connect.
    group: Option<Gid>,
}

/// A listening socket; its file is gone when this is dropped.
#[derive(Debug)]
pub(crate) struct Socket {
    path: PathBuf,
    listener: UnixListener,
    /// Held as long as the socket is ours.
    _lock: File,
}

/// Why there is no socket.
#[derive(Debug)]
pub(crate) enum SocketError {
    /// Another daemon has it.
    Taken { path: PathBuf },
    /// Something else is there.
    NotASocket { path: PathBuf },
    /// The group that may connect does not exist.
    NoGroup { group: String },
    /// The system says no.
    Io { path: PathBuf, error: io::Error },
}

impl Claim {
    /// Claims `path`, and takes away what a killed daemon left there. Makes the folder if it is
    /// missing. Members of `group` may connect.
    ///
    /// While the process has one thread, and all its rights: it joins the group, so that it may give the
    /// socket to it later.
    pub(crate) fn stake(path: &Path, group: Option<&str>) -> Result<Self, SocketError> {
        let failed = |error| SocketError::Io { path: path.to_owned(), error };
        let group = group.map(|name| join(path, name)).transpose()?;
        if let Some(folder) = path.parent() {
            fs::DirBuilder::new().recursive(true).mode(0o755).create(folder).map_err(failed)?;
        }
        let lock = lock(path)?;
        remove_stale(path)?;
        Ok(Self { path: path.to_owned(), lock, group })
    }

    /// Listens: from here on the daemon can be asked.
    pub(crate) fn listen(self) -> Result<Socket, SocketError> {
        let Self { path, lock, group } = self;
        match listen(&path, group) {
            Ok(listener) => Ok(Socket { path, listener, _lock: lock }),
            Err(errno) => Err(SocketError::Io { path, error: errno.into() }),
        }
    }
}

impl Socket {
    /// The socket for a runtime to accept at.
    pub(crate) fn listener(&self) -> io::Result<tokio::net::UnixListener> {
        tokio::net::UnixListener::from_std(self.listener.try_clone()?)
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // The lock file stays: removing it would let two daemons lock two files of one name.
        let _ = fs::remove_file(&self.path);
    }
}

/// Listens with a file of mode 0600: Linux takes the mode of the socket itself, less the umask, so
/// that there is no moment in which the file has more rights.
fn listen(path: &Path, group: Option<Gid>) -> nix::Result<UnixListener> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket::socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    fchmod(&socket, Mode::S_IRUSR | Mode::S_IWUSR)?;
    socket::bind(socket.as_raw_fd(), &UnixAddr::new(path)?)?;
    if group.is_some() {
        // First the group, then its rights.
        chown(path, None, group)?;
        let mode = Mode::S_IRUSR | Mode::S_IWUSR | Mode::S_IRGRP | Mode::S_IWGRP;
        fchmodat(AT_FDCWD, path, mode, FchmodatFlags::FollowSymlink)?;
    }
    socket::listen(&socket, Backlog::MAXCONN)?;
    Ok(socket.into())
}

/// Finds a group, and makes the process a member: the owner of a file may give it to any group that he is
/// in, without a capability.
fn join(path: &Path, name: &str) -> Result<Gid, SocketError> {
    let failed = |errno: nix::Error| SocketError::Io { path: path.to_owned(), error: errno.into() };
    let found = Group::from_name(name).map_err(failed)?;
    let Some(group) = found else { return Err(SocketError::NoGroup { group: name.to_owned() }) };
    let mut groups = getgroups().map_err(failed)?;
    if group.gid != getegid() && !groups.contains(&group.gid) {
        groups.push(group.gid);
        setgroups(&groups).map_err(failed)?;
    }
    Ok(group.gid)
}

/// The lock says who has the socket; the socket itself cannot, between two starts at once.
fn lock(path: &Path) -> Result<File, SocketError> {
    let failed = |error| SocketError::Io { path: path.to_owned(), error };
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let file = OpenOptions::new().create(true).append(true).mode(0o600).open(name);
    let file = file.map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SocketError::Taken { path: path.to_owned() }),
        Err(TryLockError::Error(error)) => Err(failed(error)),
    }
}

/// Removes the file of a daemon that was killed. Whoever listens without our lock keeps it.
fn remove_stale(path: &Path) -> Result<(), SocketError> {
    let failed = |error| SocketError::Io { path: path.to_owned(), error };
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(found) if !found.file_type().is_socket() => {
            return Err(SocketError::NotASocket { path: path.to_owned() });
        }
        Ok(_) => {}
    }
    match UnixStream::connect(path) {
        Ok(_) => Err(SocketError::Taken { path: path.to_owned() }),
        Err(_) => fs::remove_file(path).map_err(failed),
    }
}

impl fmt::Display for SocketError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Taken { path } => write!(
                f,
                "another daemon listens at {}: stop it, or give this node another `socket` in [api]",
                path.display()
            ),
            Self::NotASocket { path } => {
                write!(f, "{} is there already and is no socket", path.display())
            }
            Self::NoGroup { group } => write!(
                f,
                "there is no group `{group}`, which [api] of the node file names: add it (`groupadd \
                 {group}`), or name another one as `group`"
            ),
            Self::Io { path, error } => write!(f, "cannot listen at {}: {error}", path.display()),
        }
    }
}

impl std::error::Error for SocketError {}

#[cfg(test)]
mod tests {
    use super::{Claim, Socket, SocketError};
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
    use std::os::unix::net::UnixListener;
    use std::path::Path;

    fn bind(path: &Path) -> Result<Socket, SocketError> {
        Claim::stake(path, None)?.listen()
    }

    #[test]
    fn nobody_can_connect_before_it_listens_nor_claim_it_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fw1.sock");
        let claim = Claim::stake(&path, None).unwrap();
        assert!(!path.exists());
        assert!(matches!(Claim::stake(&path, None), Err(SocketError::Taken { .. })));
        let _socket = claim.listen().unwrap();
        assert!(path.exists());
    }

    #[test]
    fn belongs_to_its_owner_and_to_one_daemon() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("deeper/fw1.sock");
        let socket = bind(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(matches!(bind(&path), Err(SocketError::Taken { .. })));
        drop(socket);
        assert!(!path.exists());
        bind(&path).unwrap();
    }

    #[test]
    fn a_group_that_is_named_may_connect() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fw1.sock");
        let own = nix::unistd::Group::from_gid(nix::unistd::getegid()).unwrap().unwrap();
        let _socket = Claim::stake(&path, Some(&own.name)).unwrap().listen().unwrap();
        let found = std::fs::metadata(&path).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o660);
        assert_eq!(found.gid(), own.gid.as_raw());
        let other = folder.path().join("fw2.sock");
        let missing = Claim::stake(&other, Some("no-such-group")).unwrap_err().to_string();
        assert!(missing.contains("`no-such-group`") && missing.contains("groupadd"), "{missing}");
    }

    #[test]
    fn what_a_killed_daemon_left_is_in_nobodys_way() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fw1.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "the file outlives its listener");
        bind(&path).unwrap();
    }

    #[test]
    fn what_is_not_ours_stays() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fw1.sock");
        let other = UnixListener::bind(&path).unwrap();
        assert!(matches!(bind(&path), Err(SocketError::Taken { .. })));
        drop(other);
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "precious").unwrap();
        assert!(matches!(bind(&path), Err(SocketError::NotASocket { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), b"precious");
    }
}
