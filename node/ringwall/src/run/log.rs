//! The daemon's log: lines for people or for machines, to stderr or a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use config::{Log, LogFormat};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;
use tracing_subscriber::{EnvFilter, Layer as _, fmt};

use super::RunError;
use super::syslog::SyslogLayer;

/// What is logged unless `RUST_LOG` says otherwise. The actor library would put an actor's number
/// before every line.
const LEVEL: &str = "info,ractor=warn,openraft=warn";

/// Starts the log, and with it what else hears its lines. `json` overrules the node file. Returns the file
/// that it goes to, if it does.
pub(super) fn start(
    log: &Log,
    syslog: Option<SyslogLayer>,
    json: bool,
) -> Result<Option<Arc<LogFile>>, RunError> {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(LEVEL));
    let file = log.file.as_ref().map(|path| LogFile::open(Path::new(path)).map(Arc::new));
    let file = file
        .transpose()
        .map_err(|error| RunError::Log { path: log.file.clone().unwrap_or_default(), error })?;
    let (writer, colours) = match &file {
        Some(file) => (BoxMakeWriter::new(Arc::clone(file)), false),
        None => (BoxMakeWriter::new(io::stderr), io::IsTerminal::is_terminal(&io::stderr())),
    };
    let lines = fmt::layer().with_writer(writer);
    let lines = match json || log.format == LogFormat::Json {
        true => lines.json().flatten_event(true).boxed(),
        false => lines.with_ansi(colours).boxed(),
    };
    tracing_subscriber::registry().with(filter).with(lines).with(syslog).init();
    Ok(file)
}

/// A log file that can be moved away and begun anew, as `logrotate` does.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    file: Mutex<File>,
}

impl LogFile {
    fn open(path: &Path) -> io::Result<Self> {
        Ok(Self { path: path.to_owned(), file: Mutex::new(append_to(path)?) })
    }

    /// Goes on in the file that has the name now. Fails without harm: lines then still go to the
    /// earlier one.
    pub(super) fn reopen(&self) -> io::Result<()> {
        let file = append_to(&self.path)?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = file;
        Ok(())
    }
}

fn append_to(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}

impl Write for &LogFile {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner).write(line)
    }

    /// A file has no buffer of ours.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::LogFile;
    use std::io::Write as _;

    #[test]
    fn a_file_that_was_moved_away_is_begun_anew() {
        let folder = tempfile::tempdir().unwrap();
        let [path, moved] = ["log", "log.1"].map(|name| folder.path().join(name));
        let read = |path| std::fs::read_to_string(path).unwrap();
        let log = LogFile::open(&path).unwrap();
        (&log).write_all(b"one\n").unwrap();
        std::fs::rename(&path, &moved).unwrap();
        (&log).write_all(b"two\n").unwrap();
        log.reopen().unwrap();
        (&log).write_all(b"three\n").unwrap();
        assert_eq!((read(&moved), read(&path)), ("one\ntwo\n".into(), "three\n".into()));
        // What cannot be reopened goes on where it was.
        std::fs::remove_dir_all(folder.path()).unwrap();
        assert!(log.reopen().is_err());
        (&log).write_all(b"four\n").unwrap();
    }
}
