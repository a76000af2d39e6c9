//! [`Namespace`]: one network namespace, held by a file descriptor.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output};
use std::sync::atomic::{AtomicU32, Ordering};

use nix::errno::Errno;
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};

use crate::Error;

/// Where `ip netns` looks for names.
const NAMES: &str = "/run/netns";

/// A network namespace of our own; gone when this value, the processes and the sockets in it are.
///
/// IPv6 duplicate address detection is off in it, and loopback is up.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    file: File,
    mount: Option<PathBuf>,
}

impl Namespace {
    /// A new namespace named `PREFIX-PID-COUNTER`, known to this process only.
    ///
    /// # Errors
    /// [`Error::Namespace`] without the right to make one.
    pub fn new(prefix: &str) -> Result<Self, Error> {
        let file = create()?;
        let this = Self { name: unique_name(prefix), file, mount: None };
        this.prepare()?;
        Ok(this)
    }

    /// Like [`Namespace::new`], and `ip netns exec NAME …` finds it as long as the value lives.
    ///
    /// # Errors
    /// [`Error::Namespace`] without the right to make one or to mount in `/run/netns`.
    pub fn visible(prefix: &str) -> Result<Self, Error> {
        let mut this = Self::new(prefix)?;
        this.mount = Some(this.publish()?);
        Ok(this)
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The inode that identifies the namespace, as in `net:[4026531840]`.
    pub fn inode(&self) -> u64 {
        self.file.metadata().map_or(0, |metadata| metadata.ino())
    }

    /// A path by which another process of this user can open the namespace while this one lives,
    /// as `nsenter --net=PATH` wants it.
    pub fn path(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }

    /// Runs `work` on a thread of its own inside the namespace and returns what it returns.
    ///
    /// Sockets opened there stay in the namespace and may be used anywhere afterwards. Threads
    /// and processes started there are in the namespace too. A panic in `work` goes on here.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let inside = || {
            setns(&self.file, CloneFlags::CLONE_NEWNET)
                .expect("a held namespace can be entered by who made it");
            work()
        };
        let joined = std::thread::scope(|scope| scope.spawn(inside).join());
        joined.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Starts `command` inside the namespace. Only the network namespace changes: the child sees
    /// the same mounts, so a bpffs stays where it is.
    ///
    /// # Errors
    /// As `Command::spawn`.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        self.run(|| command.spawn())
    }

    /// Runs `command` inside the namespace to its end.
    ///
    /// # Errors
    /// As `Command::status`.
    pub fn status(&self, command: &mut Command) -> io::Result<ExitStatus> {
        self.run(|| command.status())
    }

    /// Runs `command` inside the namespace to its end and collects its output.
    ///
    /// # Errors
    /// As `Command::output`.
    pub fn output(&self, command: &mut Command) -> io::Result<Output> {
        self.run(|| command.output())
    }

    /// Writes a network sysctl of this namespace, for instance `net/ipv4/ip_forward`.
    ///
    /// # Errors
    /// [`Error::Sysctl`], also for a key outside `net/`: others are not per namespace.
    pub fn set_sysctl(&self, key: &str, value: &str) -> Result<(), Error> {
        let path = sysctl_path(key)?;
        self.run(|| fs::write(path, value)).map_err(|error| sysctl_error(key, &error))
    }

    /// Reads a network sysctl of this namespace, without the line end.
    ///
    /// # Errors
    /// [`Error::Sysctl`], also for a key outside `net/`.
    pub fn sysctl(&self, key: &str) -> Result<String, Error> {
        let path = sysctl_path(key)?;
        let text = self.run(|| fs::read_to_string(path));
        Ok(text.map_err(|error| sysctl_error(key, &error))?.trim_end().to_owned())
    }

    fn prepare(&self) -> Result<(), Error> {
        // A fresh link would otherwise wait a second or two before its addresses work.
        for link in ["all", "default"] {
            self.set_sysctl(&format!("net/ipv6/conf/{link}/accept_dad"), "0")?;
        }
        self.up("lo")
    }

    /// Binds the namespace to a name, as `ip netns add` does.
    fn publish(&self) -> Result<PathBuf, Error> {
        let failed = |call| move |error: io::Error| Error::Namespace { call, errno: errno(&error) };
        fs::create_dir_all(NAMES).map_err(failed("mkdir /run/netns"))?;
        let path = Path::new(NAMES).join(&self.name);
        File::create_new(&path).map_err(failed("create a name in /run/netns"))?;
        let bound = self.run(|| {
            let from = Some("/proc/thread-self/ns/net");
            mount(from, &path, None::<&str>, MsFlags::MS_BIND, None::<&str>)
        });
        if let Err(errno) = bound {
            fs::remove_file(&path).map_err(failed("remove a name in /run/netns"))?;
            return Err(Error::Namespace { call: "bind mount in /run/netns", errno });
        }
        Ok(path)
    }
}

impl AsFd for Namespace {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if let Some(path) = &self.mount {
            unpublish(path);
        }
    }
}

/// Whether namespaces can be made here: `Err` says why not, in words for a test's "skipped" line.
///
/// # Errors
/// The reason, usually a missing right.
pub fn available() -> Result<(), String> {
    Namespace::new("probe").map(drop).map_err(|error| {
        format!("network namespaces cannot be made here ({error}); root is needed")
    })
}

/// Removes names `PREFIX-PID-COUNTER` whose process is gone; the count of those removed.
pub fn cleanup_stale(prefix: &str) -> usize {
    let Ok(entries) = fs::read_dir(NAMES) else { return 0 };
    let stale = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        owner(prefix, &name.to_string_lossy())
            .is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
    });
    stale.map(|entry| unpublish(&entry.path())).count()
}

/// The process id in the name of a visible namespace.
fn owner(prefix: &str, name: &str) -> Option<u32> {
    let (pid, counter) = name.strip_prefix(prefix)?.strip_prefix('-')?.split_once('-')?;
    counter.parse::<u32>().ok()?;
    pid.parse().ok()
}

/// Unbinds and removes a name. Nothing can be done about a failure, and nothing breaks by it.
fn unpublish(path: &Path) {
    let _ = umount2(path, MntFlags::MNT_DETACH);
    let _ = fs::remove_file(path);
}

fn create() -> Result<File, Error> {
    let made = std::thread::spawn(|| {
        unshare(CloneFlags::CLONE_NEWNET).map_err(Error::namespace("unshare"))?;
        File::open("/proc/thread-self/ns/net")
            .map_err(|error| Error::Namespace { call: "open ns/net", errno: errno(&error) })
    });
    made.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn unique_name(prefix: &str) -> String {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let counter = COUNTER.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{counter}", std::process::id())
}

/// `/proc/sys/net` shows the namespace of the thread that looks, so these work inside `run`.
fn sysctl_path(key: &str) -> Result<PathBuf, Error> {
    if !key.starts_with("net/") || key.contains("..") {
        let reason = "not a key under net/".to_owned();
        return Err(Error::Sysctl { key: key.to_owned(), reason });
    }
    Ok(Path::new("/proc/sys").join(key))
}

fn sysctl_error(key: &str, error: &io::Error) -> Error {
    Error::Sysctl { key: key.to_owned(), reason: error.to_string() }
}

fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::UnknownErrno, Errno::from_raw)
}
