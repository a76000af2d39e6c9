//! What a node remembers of its policy over a restart, beside the log: what it runs, and those texts.
//!
//! ```text
//! <folder>/12.toml    the text that revision 12 brought      written when it is proposed
//! <folder>/facts      what runs, and the trial it is on      renamed into place, synced
//! ```
//!
//! A node without quorum starts with that. The log may be behind it after a start, never ahead of what it
//! was told.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use cluster_core::policy::local::Facts;
use cluster_core::policy::{Epoch, PolicyText};

use super::limits::DISK_AGAIN;

/// The folder.
#[derive(Clone, Debug)]
pub(super) struct Disk {
    folder: PathBuf,
}

/// What was found there.
#[derive(Clone, Debug, Default)]
pub(super) struct Remembered {
    pub(super) facts: Facts,
    pub(super) texts: Vec<(Epoch, PolicyText)>,
}

/// What is to be written: facts with the texts that belong to them.
#[derive(Clone, Debug)]
pub(super) struct Note {
    pub(super) facts: Facts,
    pub(super) texts: Vec<(Epoch, PolicyText)>,
}

impl Disk {
    /// Uses this folder, made if missing.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned() })
    }

    /// What a former run noted; nothing at first.
    pub(super) fn recall(&self) -> io::Result<Remembered> {
        let bytes = match fs::read(self.facts()) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Remembered::default());
            }
            Err(error) => return Err(error),
        };
        let facts = Facts::decode(&bytes).map_err(io::Error::other)?;
        let mut texts = Vec::new();
        for source in sources(&facts) {
            let text = fs::read_to_string(self.text(source))?;
            let text = PolicyText::new(text).map_err(|_| io::Error::other("a text is too long"))?;
            texts.push((source, text));
        }
        Ok(Remembered { facts, texts })
    }

    /// Keeps a text that may be run soon, synced.
    pub(super) fn keep(&self, source: Epoch, text: &PolicyText) -> io::Result<()> {
        let path = self.text(source);
        let known = fs::read(&path).is_ok_and(|bytes| bytes == text.as_str().as_bytes());
        // It was synced before it had this name; that it has it may not have been.
        if known { self.sync() } else { self.place(&path, text.as_str().as_bytes()) }
    }

    /// Writes it, synced; what it does not need any more goes.
    fn write(&self, note: &Note) -> io::Result<()> {
        for (source, text) in &note.texts {
            self.keep(*source, text)?;
        }
        self.place(&self.facts(), &note.facts.encode())?;
        self.forget(&note.facts)
    }

    /// A file is there whole or not at all, and what did not fit takes no room. Each attempt writes all of it
    /// anew. Two threads may write two of them.
    fn place(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let scratch = path.with_extension("next");
        let placed = write(&scratch, bytes).and_then(|()| fs::rename(&scratch, path));
        if placed.is_err() {
            // The next attempt begins with an empty one.
            let _ = fs::remove_file(&scratch);
        }
        placed.and_then(|()| self.sync())
    }

    /// The names in the folder.
    fn sync(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn forget(&self, facts: &Facts) -> io::Result<()> {
        let needed: Vec<_> = sources(facts).map(|source| self.text(source)).collect();
        for entry in fs::read_dir(&self.folder)? {
            let path = entry?.path();
            let is_text = path.extension().is_some_and(|extension| extension == "toml");
            if is_text && !needed.contains(&path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn facts(&self) -> PathBuf {
        self.folder.join("facts")
    }

    fn text(&self, source: Epoch) -> PathBuf {
        self.folder.join(format!("{source}.toml"))
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// The revisions whose texts belong to these facts.
pub(super) fn sources(facts: &Facts) -> impl Iterator<Item = Epoch> + use<> {
    let [first, second] = facts.sources();
    let second = Some(second).filter(|it| *it != first);
    [Some(first), second].into_iter().flatten().filter(|it| *it != Epoch::NONE)
}

/// The thread that writes. Of notes that wait, the newest counts.
#[derive(Debug)]
pub(super) struct Writer {
    slot: Arc<Slot>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Slot {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Waiting {
    note: Option<Note>,
    over: bool,
}

impl Writer {
    /// Starts it; `written` is told of each note that is on the disk.
    pub(super) fn start(disk: Disk, written: impl Fn(Facts) + Send + 'static) -> io::Result<Self> {
        let slot = Arc::<Slot>::default();
        let seen = Arc::clone(&slot);
        let thread = std::thread::Builder::new()
            .name("policy-disk".to_owned())
            .spawn(move || seen.serve(&disk, written))?;
        Ok(Self { slot, thread: Some(thread) })
    }

    /// Has it written.
    pub(super) fn write(&self, note: Note) {
        self.slot.lock().note = Some(note);
        self.slot.changed.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.slot.lock().over = true;
        self.slot.changed.notify_one();
        if let Some(thread) = self.thread.take() {
            // It panics over nothing; and if it did, it was said.
            let _ = thread.join();
        }
    }
}

impl Slot {
    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next note, or the end.
    fn next(&self) -> Option<Note> {
        let mut waiting = self.lock();
        loop {
            if let Some(note) = waiting.note.take() {
                return Some(note);
            }
            if waiting.over {
                return None;
            }
            waiting = self.changed.wait(waiting).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether there is a newer note, or the end, within the pause.
    fn is_overtaken(&self) -> bool {
        let waiting = self.lock();
        let waited = self.changed.wait_timeout(waiting, DISK_AGAIN);
        let (waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        waiting.note.is_some() || waiting.over
    }

    fn serve(&self, disk: &Disk, written: impl Fn(Facts)) {
        let mut told = false;
        while let Some(note) = self.next() {
            loop {
                match disk.write(&note) {
                    Ok(()) => {
                        if told {
                            tracing::warn!("what runs can be noted again: the disk works");
                        }
                        told = false;
                        written(note.facts);
                        break;
                    }
                    Err(error) if !told => {
                        told = true;
                        let folder = disk.folder.display();
                        tracing::error!(
                            %error, %folder,
                            "WHAT RUNS CANNOT BE NOTED: no commit ends before it is. Make room on the \
                             disk; it is tried again"
                        );
                    }
                    Err(_) => {}
                }
                if self.is_overtaken() {
                    break;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use cluster_core::policy::Version;

    use super::*;

    fn note(epoch: u64, source: u64) -> Note {
        let runs = Version { epoch: Epoch(epoch), source: Epoch(source) };
        let facts = Facts { decided: epoch * 10, runs, trial: None };
        let text = PolicyText::new(format!("# {source}")).expect("short");
        Note { facts, texts: vec![(Epoch(source), text)] }
    }

    #[test]
    fn what_was_noted_is_recalled_and_what_is_not_needed_goes() {
        let folder = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(folder.path()).expect("it opens");
        assert_eq!(disk.recall().expect("empty").facts, Facts::default());
        for (epoch, source) in [(1, 1), (2, 2), (3, 1)] {
            disk.write(&note(epoch, source)).expect("written");
            let found = Disk::open(folder.path()).expect("again").recall().expect("readable");
            let wanted = note(epoch, source);
            assert_eq!((found.facts, found.texts), (wanted.facts, wanted.texts));
        }
        assert!(!folder.path().join("2.toml").exists() && folder.path().join("1.toml").exists());
    }

    #[test]
    fn half_of_a_note_is_none() {
        let folder = tempfile::tempdir().expect("a directory");
        let disk = Disk::open(folder.path()).expect("it opens");
        disk.write(&note(1, 1)).expect("written");
        fs::write(folder.path().join("facts.next"), b"half").expect("written");
        fs::write(folder.path().join("2.toml"), b"# 2").expect("written");
        assert_eq!(disk.recall().expect("readable").facts, note(1, 1).facts);
        fs::write(folder.path().join("facts"), b"?").expect("written");
        assert!(disk.recall().is_err(), "and what is damaged is not guessed at");
    }

    /// A disk that refuses is tried again, and the newest note is the one that is written in the end.
    #[test]
    fn a_disk_that_refuses_is_tried_again() {
        let folder = tempfile::tempdir().expect("a directory");
        let inner = folder.path().join("policy");
        let disk = Disk::open(&inner).expect("it opens");
        fs::remove_dir(&inner).expect("empty");
        let (told, heard) = mpsc::sync_channel(8);
        let writer = Writer::start(disk, move |facts| {
            let _ = told.send(facts);
        })
        .expect("a thread");
        writer.write(note(1, 1));
        writer.write(note(2, 2));
        fs::create_dir(&inner).expect("it is there again");
        let bound = Duration::from_secs(60);
        let mut last = heard.recv_timeout(bound).expect("written");
        while last != note(2, 2).facts {
            last = heard.recv_timeout(bound).expect("written");
        }
    }
}
