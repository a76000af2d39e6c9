//! The logs of a run: one folder, plain text, one line an event, all times in nanoseconds of
//! CLOCK_REALTIME.
//!
//! | file | line | by |
//! |---|---|---|
//! | `run.json` | the run as a whole | spine |
//! | `faults.log` | `ns what...` | spine |
//! | `wire.log` | `ns node port kind` | spine |
//! | `stream-N.sent` | `seq ns` | traffic |
//! | `stream-N.received` | `seq ns`, by the kernel's clock of receipt | traffic |
//! | `slow.log`, `young.log`, `probes.log` | `id event ns` | traffic |
//! | `bulk.log` | `id event ns bytes` | traffic |
//! | `load.log` | `ns sent received`, totals so far | traffic |
//! | `threads.log` | `name cpu_ns wall_ns fifo\|other`, one line a thread of the traffic | traffic |

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// Nanoseconds of CLOCK_REALTIME.
pub type Nanos = u64;

/// Why a log could not be written or read.
#[derive(Debug)]
pub enum Error {
    /// The file system's.
    File { path: PathBuf, error: io::Error },
    /// A line that is no line of this log.
    Line { path: PathBuf, number: usize, text: String },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Line { path, number, text } => {
                write!(f, "{}:{number}: `{text}` is no line of this log", path.display())
            }
        }
    }
}

impl std::error::Error for Error {}

/// The present time, as all logs tell it.
pub fn now() -> Nanos {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME);
    let time: std::time::Duration = time.expect("a clock that every Linux has").into();
    time.as_nanos() as Nanos
}

/// Writes one log: `lines` as they are, each with a line end.
///
/// # Errors
/// [`Error::File`].
pub fn write<L: fmt::Display>(
    folder: &Path,
    name: &str,
    lines: impl IntoIterator<Item = L>,
) -> Result<(), Error> {
    use std::io::Write as _;
    let path = folder.join(name);
    let failed = |error| Error::File { path: path.clone(), error };
    let mut file = io::BufWriter::new(std::fs::File::create(&path).map_err(failed)?);
    for line in lines {
        writeln!(file, "{line}").map_err(failed)?;
    }
    file.flush().map_err(failed)
}
