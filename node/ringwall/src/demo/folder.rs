//! Where a demo keeps its files, and what is left of one that was killed.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, geteuid};

const PREFIX: &str = "ringwall-demo-";
const BPF: &str = "/sys/fs/bpf";

/// A directory of this process, for nobody else's eyes.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn make() -> io::Result<Self> {
        let path = std::env::temp_dir().join(format!("{PREFIX}{}", std::process::id()));
        // Not recursive: it must not exist yet, whoever made it.
        DirBuilder::new().mode(0o700).create(&path)?;
        Ok(Self(path))
    }

    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Where links are pinned: on a BPF file system, so not in the folder itself.
    pub(super) fn bpf_dir(&self) -> PathBuf {
        Path::new(BPF).join(format!("{PREFIX}{}", std::process::id()))
    }

    /// A daemon's process id, for whoever finds this folder without its demo.
    pub(super) fn note_daemon(&self, pid: u32) -> io::Result<()> {
        let mut file = OpenOptions::new().create(true).append(true).open(self.file(DAEMONS))?;
        writeln!(file, "{pid}")
    }

    /// Removes everything. What fails to go is tried again by the next demo.
    pub(super) fn remove(&self) {
        let _ = fs::remove_dir_all(self.bpf_dir());
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// File that holds the daemons' process ids, a line each.
const DAEMONS: &str = "daemons.pid";

/// Removes what demos have left that were killed, their daemons included.
pub(super) fn clear_stale() {
    for path in stale(&std::env::temp_dir()) {
        end_daemons(&path);
        let _ = fs::remove_dir_all(&path);
    }
    for path in stale(Path::new(BPF)) {
        let _ = fs::remove_dir_all(&path);
    }
}

/// Directories of this user's demos whose process is gone.
fn stale(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(parent) else { return Vec::new() };
    let gone = entries.flatten().filter(|entry| {
        let name = entry.file_name();
        let pid = name.to_str().and_then(|name| name.strip_prefix(PREFIX));
        let pid = pid.and_then(|pid| pid.parse::<u32>().ok());
        // Anybody may make a directory of this name in a shared place.
        let ours = entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == geteuid().as_raw());
        ours && pid.is_some_and(|pid| !Path::new("/proc").join(pid.to_string()).exists())
    });
    gone.map(|entry| entry.path()).collect()
}

/// Asks the daemons of a demo that is gone to stop, if those processes still are the daemons.
fn end_daemons(path: &Path) {
    let pids = fs::read_to_string(path.join(DAEMONS)).unwrap_or_default();
    let folder = path.to_string_lossy();
    for pid in pids.lines().filter_map(|line| line.parse::<i32>().ok()) {
        let command = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        if String::from_utf8_lossy(&command).contains(folder.as_ref()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}
