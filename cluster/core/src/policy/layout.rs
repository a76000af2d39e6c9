//! Commands, outcomes, snapshots, reports, answers and facts as bytes.
//!
//! ```text
//! version u8 │ fields, one after the other
//!
//! number       big-endian               text, bytes   length u32 │ them
//! optional     0, or 1 │ it             collection    count u32 │ items
//! enum         tag u8 │ its fields      time span     milliseconds u64
//! ```
//!
//! Written by hand, because it must be the same on every node and for ever: entries and snapshots outlive
//! the daemon that wrote them. Golden vectors keep it so. A length never makes room for more than is there.
//! A snapshot is checked as a whole as well, so that what was restored can be relied on.

mod cursor;
mod shapes;
mod state;
#[cfg(test)]
mod tests;

use self::cursor::{Layout, Reader};
use super::coordinator::Answer;
use super::local::{Facts, Report, Verdict};
use super::{Command, Line, Log, Malformed, Outcome};
use crate::limits::{ANSWER_BYTES, COMMAND_BYTES, SNAPSHOT_BYTES};

/// Version of the layout, in the first byte.
const VERSION: u8 = 1;

/// Version of a snapshot that ends with shares and a table of slots. One without is as it always was, so that
/// older nodes read it: they cannot be in a cluster that has a table.
const VERSION_PLACED: u8 = 2;

/// A command as bytes.
#[must_use]
pub fn encode_command(command: &Command) -> Vec<u8> {
    encode(command)
}

/// The command in `bytes`.
///
/// # Errors
/// They are none.
pub fn command(bytes: &[u8]) -> Result<Command, Malformed> {
    decode(bytes, COMMAND_BYTES)
}

/// An outcome as bytes.
#[must_use]
pub fn encode_outcome(outcome: &Outcome) -> Vec<u8> {
    encode(outcome)
}

/// The outcome in `bytes`.
///
/// # Errors
/// They are none.
pub fn outcome(bytes: &[u8]) -> Result<Outcome, Malformed> {
    decode(bytes, COMMAND_BYTES)
}

/// The whole state as bytes.
pub(super) fn encode_log(log: &Log) -> Vec<u8> {
    let Some(table) = log.cluster.table() else { return encode(log) };
    let mut out = vec![VERSION_PLACED];
    log.write(&mut out);
    state::write_placement(&log.cluster, table, &mut out);
    out
}

/// The whole state in `bytes`.
pub(super) fn log(bytes: &[u8]) -> Result<Log, Malformed> {
    let log = match bytes.split_first() {
        Some((&VERSION_PLACED, rest)) => placed_log(rest)?,
        Some(_) | None => decode(bytes, SNAPSHOT_BYTES)?,
    };
    if state::is_coherent(&log) { Ok(log) } else { Err(Malformed::Incoherent) }
}

/// The state with a table in what follows its version.
fn placed_log(rest: &[u8]) -> Result<Log, Malformed> {
    if rest.len() >= SNAPSHOT_BYTES {
        return Err(Malformed::Limit);
    }
    let mut r = Reader::new(rest);
    let mut log = Log::read(&mut r)?;
    state::read_placement(&mut log.cluster, &mut r)?;
    if r.is_empty() { Ok(log) } else { Err(Malformed::Trailing) }
}

impl Report {
    /// The report as bytes, for the control stream.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The report in `bytes`.
    ///
    /// # Errors
    /// They are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes, COMMAND_BYTES)
    }
}

impl Line {
    /// The line as bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The line in `bytes`.
    ///
    /// # Errors
    /// They are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes, ANSWER_BYTES)
    }
}

impl Verdict {
    /// The verdict as bytes, for whoever asked for it alone.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The verdict in `bytes`.
    ///
    /// # Errors
    /// They are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes, ANSWER_BYTES)
    }
}

impl Answer {
    /// The answer as bytes, for whoever asked by way of another node; times in whole milliseconds.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The answer in `bytes`.
    ///
    /// # Errors
    /// They are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes, ANSWER_BYTES)
    }
}

impl Facts {
    /// The facts as bytes, for the disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode(self)
    }

    /// The facts in `bytes`.
    ///
    /// # Errors
    /// They are none.
    pub fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        decode(bytes, COMMAND_BYTES)
    }
}

fn encode(it: &impl Layout) -> Vec<u8> {
    let mut out = vec![VERSION];
    it.write(&mut out);
    out
}

fn decode<T: Layout>(bytes: &[u8], max: usize) -> Result<T, Malformed> {
    if bytes.len() > max {
        return Err(Malformed::Limit);
    }
    let mut r = Reader::new(bytes);
    let version = u8::read(&mut r)?;
    if version != VERSION {
        return Err(Malformed::Version(version));
    }
    let it = T::read(&mut r)?;
    if r.is_empty() { Ok(it) } else { Err(Malformed::Trailing) }
}
