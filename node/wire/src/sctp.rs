//! SCTP (RFC 9260), as far as keys need it.
use crate::Malformed;
use crate::bytes::{be16, chunk};

/// Bytes of the common header.
pub const HEADER_LEN: usize = 12;
/// Offset of the checksum, 4 bytes: a CRC32c, its lowest byte first (RFC 9260 appendix A).
pub const CHECKSUM: usize = 8;

/// The ports of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Source port.
    pub source: u16,
    /// Destination port.
    pub destination: u16,
}

impl Ports {
    /// Reads the common header at `bytes[at..]`.
    pub(crate) fn parse(bytes: &[u8], at: usize) -> Result<Self, Malformed> {
        let header: &[u8; HEADER_LEN] = chunk(bytes, at).ok_or(Malformed::TransportTruncated)?;
        Ok(Self { source: be16(header, 0), destination: be16(header, 2) })
    }
}
