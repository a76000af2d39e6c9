//! The logs of a run: one folder, plain text, one line an event, all times in nanoseconds of
//! CLOCK_REALTIME.
//!
//! | file | line | by |
//! |---|---|---|
//! | `run.json` | the run as a whole | spine |
//! | `faults.log` | `ns what...`, as told below | spine |
//! | `counters-before.log`, `counters.log` | `node counter count`, and `node port.PORT.CAUSE count` | spine |
//! | `commits.log` | `called returned node epoch door took`, see [`Commit`] | spine |
//! | `history.log` | calls and answers, as the checker of histories reads them | spine |
//! | `wire.log` | `ns node port kind` | spine |
//! | `wire-lost.log` | `node port lost`: what the watcher of that port had no room for | spine |
//! | `stream-N.sent`, `door-N.sent` | `seq ns` | traffic |
//! | `stream-N.refused` | `seq errno`: of those sent, what the sender's own kernel refused | traffic |
//! | `stream-N.received`, `door-N.received` | `seq ns`, by the kernel's clock of receipt | traffic |
//! | `sockets.log` | `stream-N dropped`: what the receiving socket had no room for | traffic |
//! | `slow.log`, `young.log`, `probes.log` | `id event ns` | traffic |
//! | `bulk.log` | `id event ns bytes` | traffic |
//! | `transfers.log`, `announced.log`, `cycles.log`, `controls.log` | the same, of dialogs through |
//! | `uninvited.log`, `calls.log` | gateways (`traffic/gateways.rs`) | traffic |
//! | `media-N-SIDE.sent`, `media-N-SIDE.received` | as of a stream: what that side of call N says | traffic |
//! | `load.log` | `ns sent received`, totals so far | traffic |
//! | `threads.log` | `name cpu_ns wall_ns fifo\|refused\|ordinary`, a line a thread | traffic |
//!
//! Of `faults.log` the figures read `fault WHAT…` (`fault restart …` is one), `role NODE active term N`
//! and `resync done NODE`; a line `role …` of who is active comes before the first fault. From `outage
//! begins` to `outage ends` packets may be lost, and the ownership may move; from `span NAME begins` to `span
//! NAME ends` the latency of streams has figures of its own.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

/// Nanoseconds of CLOCK_REALTIME.
pub type Nanos = u64;

/// The present time, as all logs tell it.
pub fn now() -> Nanos {
    let time = clock_gettime(ClockId::CLOCK_REALTIME).expect("a clock that every Linux has");
    Duration::from(time).as_nanos() as Nanos
}

/// One datagram of a stream, sent or received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub number: u64,
    pub at: Nanos,
}

/// What happened to a connection, a transfer or a forged segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Event {
    /// A young connection's SYN is sent.
    Connect,
    /// Its SYN-ACK has been seen.
    Established,
    /// A slow connection or a transfer is open.
    Open,
    /// A message is sent.
    Sent,
    /// The same bytes came back.
    Echoed,
    /// A transfer has come so far.
    Progress,
    /// It did not move from here on for longer than usual; the next entry tells until when.
    Paused,
    /// The sender of a transfer has sent its last byte.
    Ended,
    /// Its receiver has seen the end.
    Done,
    /// A reset, an end that nobody wanted, or another error of the socket.
    Reset,
    /// Nothing for longer than a connection may take.
    Timeout,
    /// The same of a transfer.
    Stalled,
    /// Other bytes than were sent.
    Wrong,
    /// Closed by us, all being well.
    Closed,
    /// A gateway was told to expect it.
    Announced,
    /// A segment of a flow never seen is sent / has arrived.
    ForgedSent,
    ForgedArrived,
    /// The same of an out-of-window reset.
    RstSent,
    RstArrived,
    /// The same of a segment that must arrive.
    ControlSent,
    ControlArrived,
}

impl Event {
    const NAMES: [(Self, &str); 21] = [
        (Self::Connect, "connect"),
        (Self::Established, "established"),
        (Self::Open, "open"),
        (Self::Sent, "sent"),
        (Self::Echoed, "echoed"),
        (Self::Progress, "progress"),
        (Self::Paused, "paused"),
        (Self::Ended, "ended"),
        (Self::Done, "done"),
        (Self::Reset, "reset"),
        (Self::Timeout, "timeout"),
        (Self::Stalled, "stalled"),
        (Self::Wrong, "wrong"),
        (Self::Closed, "closed"),
        (Self::Announced, "announced"),
        (Self::ForgedSent, "forged-sent"),
        (Self::ForgedArrived, "forged-arrived"),
        (Self::RstSent, "rst-sent"),
        (Self::RstArrived, "rst-arrived"),
        (Self::ControlSent, "control-sent"),
        (Self::ControlArrived, "control-arrived"),
    ];

    fn name(self) -> &'static str {
        let named = Self::NAMES.iter().find(|(event, _)| *event == self);
        named.expect("every event has a name").1
    }
}

/// A line of `slow.log`, `young.log`, `probes.log`, or (with bytes) `bulk.log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub id: u32,
    pub event: Event,
    pub at: Nanos,
    pub bytes: Option<u64>,
}

impl Entry {
    /// Something that happens now.
    pub fn now(id: u32, event: Event) -> Self {
        Self { id, event, at: now(), bytes: None }
    }
}

/// A line of `load.log`: totals so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub at: Nanos,
    pub sent: u64,
    pub received: u64,
}

/// Something with a time: a line of `faults.log` or `wire.log`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    pub at: Nanos,
    pub what: String,
}

/// A line of `commits.log`: a revision that came in force, or may have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Commit {
    /// Just before it was asked for.
    pub called: Nanos,
    /// Just after it was said to be in force; `None`: that was never said (`-`).
    pub returned: Option<Nanos>,
    /// Who was asked; [`DEADLINE`]: nobody, a trial ended.
    pub node: String,
    /// Its number; 0 if that was never said.
    pub epoch: u64,
    /// The door that it opens, if any (`-`); it shuts all others.
    pub door: Option<usize>,
    /// How long it took, as the answer says, milliseconds.
    pub took: u64,
}

/// What is the same in every line that is not one of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotALine;

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.at)
    }
}

impl FromStr for Receipt {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let [number, at] = words(line)?;
        Ok(Self { number: parsed(number)?, at: parsed(at)? })
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.id, self.event.name(), self.at)?;
        self.bytes.map_or(Ok(()), |bytes| write!(f, " {bytes}"))
    }
}

impl FromStr for Entry {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let mut words = line.split_whitespace();
        let mut next = || words.next().ok_or(NotALine);
        let (id, name, at) = (parsed(next()?)?, next()?, parsed(next()?)?);
        let bytes = next().ok().map(parsed).transpose()?;
        let named = Event::NAMES.iter().find(|(_, known)| *known == name);
        Ok(Self { id, event: named.ok_or(NotALine)?.0, at, bytes })
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.at, self.sent, self.received)
    }
}

impl FromStr for Sample {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let [at, sent, received] = words(line)?;
        Ok(Self { at: parsed(at)?, sent: parsed(sent)?, received: parsed(received)? })
    }
}

impl fmt::Display for Commit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { called, node, epoch, took, .. } = self;
        let returned = self.returned.map_or_else(|| NOTHING.to_owned(), |at| at.to_string());
        let door = self.door.map_or_else(|| NOTHING.to_owned(), |door| door.to_string());
        write!(f, "{called} {returned} {node} {epoch} {door} {took}")
    }
}

impl FromStr for Commit {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let [called, returned, node, epoch, door, took] = words(line)?;
        Ok(Self {
            called: parsed(called)?,
            returned: (returned != NOTHING).then(|| parsed(returned)).transpose()?,
            node: node.to_owned(),
            epoch: parsed(epoch)?,
            door: (door != NOTHING).then(|| parsed(door)).transpose()?,
            took: parsed(took)?,
        })
    }
}

/// Stands where a word would.
const NOTHING: &str = "-";

/// Stands for who was asked when a trial ended by itself.
pub const DEADLINE: &str = "deadline";

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.at, self.what)
    }
}

impl FromStr for Told {
    type Err = NotALine;

    fn from_str(line: &str) -> Result<Self, NotALine> {
        let (at, what) = line.split_once(' ').ok_or(NotALine)?;
        Ok(Self { at: parsed(at)?, what: what.to_owned() })
    }
}

/// Exactly so many words.
pub(crate) fn words<const N: usize>(line: &str) -> Result<[&str; N], NotALine> {
    let words: Vec<&str> = line.split_whitespace().collect();
    words.try_into().map_err(|_| NotALine)
}

pub(crate) fn parsed<T: FromStr>(word: &str) -> Result<T, NotALine> {
    word.parse().map_err(|_| NotALine)
}

/// Why a log could not be written or read.
#[derive(Debug)]
pub enum Error {
    /// The file system's.
    File { path: PathBuf, error: io::Error },
    /// A line that is no line of this log.
    Line { path: PathBuf, number: usize, text: String },
    /// `run.json` is no JSON.
    Json { path: PathBuf, error: serde_json::Error },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, error } => write!(f, "{}: {error}", path.display()),
            Self::Line { path, number, text } => {
                write!(f, "{}:{number}: `{text}` is no line of this log", path.display())
            }
            Self::Json { path, error } => write!(f, "{}: {error}", path.display()),
        }
    }
}

impl std::error::Error for Error {}

/// Writes one log: `lines` as they are, each with a line end.
///
/// # Errors
/// [`Error::File`].
pub fn write<L: fmt::Display>(
    folder: &Path,
    name: &str,
    lines: impl IntoIterator<Item = L>,
) -> Result<(), Error> {
    let path = folder.join(name);
    let failed = |error| Error::File { path: path.clone(), error };
    let mut file = io::BufWriter::new(fs::File::create(&path).map_err(failed)?);
    for line in lines {
        writeln!(file, "{line}").map_err(failed)?;
    }
    file.flush().map_err(failed)
}

/// Reads one log; none if the run has no such file.
///
/// # Errors
/// [`Error::File`], [`Error::Line`].
pub fn read<L: FromStr>(folder: &Path, name: &str) -> Result<Option<Vec<L>>, Error> {
    let path = folder.join(name);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::File { path, error }),
    };
    let parse = |(number, line): (usize, &str)| {
        let bad = |_| Error::Line { path: path.clone(), number, text: line.to_owned() };
        line.parse().map_err(bad)
    };
    (1..).zip(text.lines()).map(parse).collect::<Result<_, _>>().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_read_as_they_were_written() {
        for (event, name) in Event::NAMES {
            for (bytes, end) in [(None, ""), (Some(5), " 5")] {
                let entry = Entry { id: 7, event, at: 12, bytes };
                let line = format!("7 {name} 12{end}");
                assert_eq!((entry.to_string(), line.parse()), (line.clone(), Ok(entry)));
            }
        }
        assert_eq!("3 4".parse(), Ok(Receipt { number: 3, at: 4 }));
        assert_eq!("9 fault kill active".parse::<Told>().unwrap().what, "fault kill active");
        assert_eq!("1 2 3".parse(), Ok(Sample { at: 1, sent: 2, received: 3 }));
        for line in ["1 2 fw1 3 0 4", "1 - fw2 0 - 0"] {
            let commit: Commit = line.parse().unwrap();
            assert_eq!(commit.to_string(), line);
        }
    }

    #[test]
    fn other_lines_are_told_with_their_place() {
        let folder = tempfile::tempdir().unwrap();
        for (line, entry) in [("1 open", false), ("x open 2", false), ("1 opened 2", false)] {
            assert_eq!(line.parse::<Entry>().is_ok(), entry, "{line}");
        }
        write(folder.path(), "slow.log", ["1 open 2", "no"]).unwrap();
        let error = read::<Entry>(folder.path(), "slow.log").unwrap_err();
        assert!(error.to_string().ends_with("slow.log:2: `no` is no line of this log"), "{error}");
        assert_eq!(read::<Entry>(folder.path(), "young.log").unwrap(), None);
    }
}
