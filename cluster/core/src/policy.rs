//! What the cluster agrees on by Raft.

use core::fmt;

/// What Raft agrees on. Deterministic: no clock, no randomness; the same entries give the same bytes
/// everywhere.
pub trait Replicated: Default {
    /// What is proposed, as plain data.
    type Command;
    /// What came of it, as plain data.
    type Outcome;

    /// Takes an encoded command in and gives the encoded outcome. Never panics: nonsense is refused.
    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<u8>;

    /// All of it as bytes.
    fn snapshot(&self) -> Vec<u8>;

    /// What [`Self::snapshot`] gave.
    ///
    /// # Errors
    /// If the bytes are none of those.
    fn restore(bytes: &[u8]) -> Result<Self, Malformed>;
}

/// Bytes that are no snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the snapshot cannot be read")
    }
}

impl core::error::Error for Malformed {}
