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
    encode(log)
}

/// The whole state in `bytes`.
pub(super) fn log(bytes: &[u8]) -> Result<Log, Malformed> {
    let log: Log = decode(bytes, SNAPSHOT_BYTES)?;
    if state::is_coherent(&log) { Ok(log) } else { Err(Malformed::Incoherent) }
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
