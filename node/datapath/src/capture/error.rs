//! What can be wrong with a capture file.

use std::{fmt, io};

/// Why reading stopped. Every packet before `offset` (bytes from the start of the file) was delivered.
#[derive(Debug)]
pub enum CaptureError {
    /// The file could not be read on.
    Io { offset: u64, error: io::Error },
    /// The first four bytes belong to no format that is read here.
    NotACapture { magic: [u8; 4] },
    /// The file ends inside a header, a block or a packet.
    Truncated { offset: u64 },
    /// A pcap or pcapng version that nobody has defined.
    Version { offset: u64, major: u16, minor: u16 },
    /// A packet longer than [`PACKET_BYTES`](super::limits::PACKET_BYTES).
    PacketTooLong { offset: u64, length: u32 },
    /// A block length that is no multiple of four, too short for its type, or beyond
    /// [`BLOCK_BYTES`](super::limits::BLOCK_BYTES).
    BlockLength { offset: u64, length: u32 },
    /// The two lengths of a block, before and behind it, differ.
    BlockTrailer { offset: u64, length: u32, trailer: u32 },
    /// A section header whose byte-order magic is neither way round.
    ByteOrder { offset: u64, magic: [u8; 4] },
    /// A packet of an interface that no block described.
    UnknownInterface { offset: u64, interface: u32 },
    /// More interfaces than [`INTERFACES`](super::limits::INTERFACES) in one section.
    TooManyInterfaces { offset: u64 },
    /// An option or a packet that runs over the end of its block.
    Overrun { offset: u64, length: u32 },
}

impl CaptureError {
    /// Where in the file, in bytes from its start.
    pub fn offset(&self) -> u64 {
        match *self {
            Self::NotACapture { .. } => 0,
            Self::Io { offset, .. }
            | Self::Truncated { offset }
            | Self::Version { offset, .. }
            | Self::PacketTooLong { offset, .. }
            | Self::BlockLength { offset, .. }
            | Self::BlockTrailer { offset, .. }
            | Self::ByteOrder { offset, .. }
            | Self::UnknownInterface { offset, .. }
            | Self::TooManyInterfaces { offset }
            | Self::Overrun { offset, .. } => offset,
        }
    }
}

impl fmt::Display for CaptureError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotACapture { magic: [a, b, c, d] } => {
                return write!(
                    f,
                    "not a pcap or pcapng file: it begins {a:02x}{b:02x}{c:02x}{d:02x}"
                );
            }
            Self::Io { error, .. } => write!(f, "cannot read: {error}")?,
            Self::Truncated { .. } => write!(f, "the file ends in the middle of a record")?,
            Self::Version { major, minor, .. } => write!(f, "unknown version {major}.{minor}")?,
            Self::PacketTooLong { length, .. } => {
                write!(f, "a packet of {length} bytes, more than {}", super::limits::PACKET_BYTES)?;
            }
            Self::BlockLength { length, .. } => {
                write!(f, "an impossible block length of {length}")?
            }
            Self::BlockTrailer { length, trailer, .. } => {
                write!(f, "a block begins with length {length} and ends with {trailer}")?;
            }
            Self::ByteOrder { magic: [a, b, c, d], .. } => {
                write!(f, "unknown byte order {a:02x}{b:02x}{c:02x}{d:02x}")?;
            }
            Self::UnknownInterface { interface, .. } => {
                write!(f, "a packet of interface {interface}, which was never described")?;
            }
            Self::TooManyInterfaces { .. } => {
                write!(f, "more than {} interfaces in one section", super::limits::INTERFACES)?;
            }
            Self::Overrun { length, .. } => {
                write!(f, "a part of {length} bytes runs over the end of its block")?;
            }
        }
        write!(f, " (at byte {})", self.offset())
    }
}

impl std::error::Error for CaptureError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        #[allow(clippy::wildcard_enum_match_arm)] // one variant has a cause, whatever joins them
        match self {
            Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
