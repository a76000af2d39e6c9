//! Policy revisions on disk: each epoch's text in a file of its own, and which one is in force.
//!
//! A revision is written whole and fsynced before it is in force, so a crash leaves the old one or the
//! new one, never half of one.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use config::api;
use serde::{Deserialize, Serialize};

use crate::limits::REVISIONS_KEPT;

/// One committed policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The epoch it was committed as.
    pub epoch: u64,
    /// The operator's remark.
    pub comment: Option<String>,
    /// Name of the file it came from.
    pub file: String,
    /// The policy, lists inlined.
    pub text: String,
    /// Who committed it.
    #[serde(default)]
    pub author: Option<String>,
    /// When, by the clock of the wall, in seconds since 1970. For people only.
    #[serde(default)]
    pub committed_unix_seconds: Option<u64>,
    /// How many changes it brought.
    #[serde(default)]
    pub changes: Option<usize>,
}

/// What a history says of a revision: its text is passed over.
#[derive(Deserialize)]
struct Label {
    epoch: u64,
    comment: Option<String>,
    file: String,
    #[serde(default)]
    author: Option<String>,
    #[serde(default)]
    committed_unix_seconds: Option<u64>,
    #[serde(default)]
    changes: Option<usize>,
}

/// The directory of revisions.
#[derive(Clone, Debug)]
pub struct Revisions {
    directory: PathBuf,
}

impl Revisions {
    /// Uses `data_dir`/revisions, made if missing.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn open(data_dir: &Path) -> io::Result<Self> {
        let directory = data_dir.join("revisions");
        fs::create_dir_all(&directory)?;
        Ok(Self { directory })
    }

    /// The revision in force, if any was ever committed.
    ///
    /// # Errors
    /// A file cannot be read.
    pub fn newest(&self) -> io::Result<Option<Revision>> {
        let newest = self.epochs()?.pop();
        newest.map(|epoch| self.read(epoch)).transpose()
    }

    /// A revision that is kept.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub fn read(&self, epoch: u64) -> io::Result<Revision> {
        let bytes = fs::read(self.path(epoch))?;
        serde_json::from_slice(&bytes).map_err(io::Error::other)
    }

    /// What a history says of a revision that is kept.
    ///
    /// # Errors
    /// It is not, or cannot be read.
    pub fn label(&self, epoch: u64) -> io::Result<api::Revision> {
        let bytes = fs::read(self.path(epoch))?;
        let Label { epoch, comment, file, author, committed_unix_seconds, changes } =
            serde_json::from_slice(&bytes).map_err(io::Error::other)?;
        Ok(api::Revision {
            epoch,
            author,
            committed_unix_seconds,
            comment,
            file,
            changes,
            ..api::Revision::default()
        })
    }

    /// Keeps a revision and makes it the newest; old ones beyond the bound are forgotten.
    ///
    /// # Errors
    /// It is not safely on disk; the newest is what it was.
    pub fn write(&self, revision: &Revision) -> io::Result<()> {
        let bytes = serde_json::to_vec(revision).map_err(io::Error::other)?;
        let scratch = self.directory.join("next");
        let mut file = File::create(&scratch)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&scratch, self.path(revision.epoch))?;
        File::open(&self.directory)?.sync_all()?;
        self.forget_old()
    }

    /// The epochs that are kept, oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn epochs(&self) -> io::Result<Vec<u64>> {
        let mut epochs = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let name = entry?.file_name();
            let epoch: Option<u64> =
                name.to_str().and_then(|name| name.strip_suffix(".json")?.parse().ok());
            epochs.extend(epoch);
        }
        epochs.sort_unstable();
        Ok(epochs)
    }

    fn forget_old(&self) -> io::Result<()> {
        let epochs = self.epochs()?;
        let surplus = epochs.len().saturating_sub(REVISIONS_KEPT);
        epochs[..surplus].iter().try_for_each(|epoch| fs::remove_file(self.path(*epoch)))
    }

    fn path(&self, epoch: u64) -> PathBuf {
        self.directory.join(format!("{epoch}.json"))
    }
}

#[cfg(test)]
mod tests {
    use super::{Revision, Revisions};
    use crate::limits::REVISIONS_KEPT;

    fn revision(epoch: u64) -> Revision {
        Revision {
            epoch,
            comment: None,
            file: "p.toml".to_owned(),
            text: format!("# {epoch}"),
            author: Some("ada".to_owned()),
            committed_unix_seconds: Some(1_700_000_000),
            changes: Some(3),
        }
    }

    #[test]
    fn a_revision_of_an_earlier_version_is_read() {
        let directory = tempfile::tempdir().expect("a directory");
        let revisions = Revisions::open(directory.path()).expect("it opens");
        let old = r##"{"epoch":7,"comment":"why","file":"p.toml","text":"# 7"}"##;
        std::fs::write(directory.path().join("revisions/7.json"), old).expect("written");
        let found = revisions.newest().expect("readable").expect("it is there");
        assert_eq!((found.epoch, found.text.as_str(), found.author), (7, "# 7", None));
        let label = revisions.label(7).expect("readable");
        assert_eq!((label.comment.as_deref(), label.committed_unix_seconds), (Some("why"), None));
        revisions.write(&revision(8)).expect("written");
        let label = revisions.label(8).expect("readable");
        assert_eq!((label.author.as_deref(), label.changes), (Some("ada"), Some(3)));
    }

    #[test]
    fn the_newest_survives_reopening_and_old_ones_go() {
        let directory = tempfile::tempdir().expect("a directory");
        let revisions = Revisions::open(directory.path()).expect("it opens");
        assert_eq!(revisions.newest().expect("readable"), None);
        for epoch in 1..=REVISIONS_KEPT as u64 + 3 {
            revisions.write(&revision(epoch)).expect("written");
        }
        let again = Revisions::open(directory.path()).expect("it opens again");
        let last = REVISIONS_KEPT as u64 + 3;
        assert_eq!(again.newest().expect("readable"), Some(revision(last)));
        assert_eq!(again.epochs().expect("readable").len(), REVISIONS_KEPT);
        assert!(again.read(3).is_err());
        assert_eq!(again.read(4).expect("kept"), revision(4));
    }

    #[test]
    fn a_half_written_revision_is_not_the_newest() {
        let directory = tempfile::tempdir().expect("a directory");
        let revisions = Revisions::open(directory.path()).expect("it opens");
        revisions.write(&revision(1)).expect("written");
        std::fs::write(directory.path().join("revisions/next"), b"{\"epoch\":2").expect("written");
        assert_eq!(revisions.newest().expect("readable"), Some(revision(1)));
    }
}
