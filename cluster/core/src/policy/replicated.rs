//! The joint between what is agreed on and what agrees on it.

use std::fmt;

/// What Raft agrees on. Deterministic: no clock, no randomness, the same entries give the same bytes
/// everywhere.
pub trait Replicated: Default {
    /// What an entry says.
    type Command;
    /// What came of it.
    type Outcome;

    /// Applies an encoded command, and gives the encoded outcome. What is no command is refused, and
    /// never panics: it stands in the log of every node.
    fn apply(&mut self, index: u64, command: &[u8]) -> Vec<u8>;

    /// All of it as bytes; equal states have equal ones.
    fn snapshot(&self) -> Vec<u8>;

    /// The state whose [`Self::snapshot`] these bytes are.
    ///
    /// # Errors
    /// They are not.
    fn restore(bytes: &[u8]) -> Result<Self, Malformed>;
}

/// Why bytes are not what they should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Malformed {
    /// They end too early.
    Truncated,
    /// There are some left.
    Trailing,
    /// A version that this node does not know.
    Version(u8),
    /// A kind of thing that this version does not know.
    Tag,
    /// Text that is not UTF-8, or a number that cannot be.
    Value,
    /// Something is longer, or there are more of it, than allowed.
    Limit,
    /// Each part can be, but not all of them together.
    Incoherent,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("ends too early"),
            Self::Trailing => f.write_str("bytes are left over"),
            Self::Version(version) => write!(f, "version {version} is not known"),
            Self::Tag => f.write_str("a kind that is not known"),
            Self::Value => f.write_str("a value that cannot be"),
            Self::Limit => f.write_str("larger than allowed"),
            Self::Incoherent => f.write_str("parts that do not fit together"),
        }
    }
}

impl std::error::Error for Malformed {}
