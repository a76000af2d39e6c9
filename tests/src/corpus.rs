//! Captures that are not part of this repository.

use std::path::{Path, PathBuf};

use crate::requirement::announce;

/// A folder of captures, where the environment names one in `RINGWALL_CORPUS`.
///
/// Its licences do not allow it in here, so it is never required, not even with
/// `RINGWALL_REQUIRE_ALL=1`: a test that reads it has a twin that writes its own input.
#[derive(Clone, Debug)]
pub struct Corpus {
    root: PathBuf,
}

impl Corpus {
    /// The variable that names the folder.
    pub const VARIABLE: &str = "RINGWALL_CORPUS";

    /// The corpus, or a `SKIPPED` line.
    ///
    /// # Panics
    /// When the variable is set but names no folder: that is a mistake, not an absence.
    #[track_caller]
    pub fn from_env() -> Option<Self> {
        let Some(root) = std::env::var_os(Self::VARIABLE).map(PathBuf::from) else {
            let thread = std::thread::current();
            announce(thread.name().unwrap_or("a test"), "RINGWALL_CORPUS is not set");
            return None;
        };
        assert!(root.is_dir(), "RINGWALL_CORPUS={} is no folder", root.display());
        Some(Self { root })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A file of it, by its path below the root.
    pub fn file(&self, path: &str) -> PathBuf {
        self.root.join(path)
    }

    /// All captures (pcap, pcapng) below `folder`, sorted by path.
    ///
    /// # Panics
    /// When a folder cannot be read.
    pub fn captures(&self, folder: &str) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut folders = vec![self.root.join(folder)];
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(&folder).expect("a readable folder of the corpus") {
                let path = entry.expect("a readable entry of the corpus").path();
                if path.is_dir() {
                    folders.push(path);
                } else if is_capture(&path) {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }
}

fn is_capture(path: &Path) -> bool {
    path.extension().is_some_and(|kind| ["pcap", "pcapng", "cap"].iter().any(|it| kind == *it))
}
