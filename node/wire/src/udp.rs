//! UDP (RFC 768).
use crate::Malformed;
use crate::bytes::{be16, chunk};

/// Bytes of the header.
pub const HEADER_LEN: usize = 8;
/// Offset of the length, 2 bytes.
pub const LENGTH: usize = 4;
/// Offset of the checksum, 2 bytes.
pub const CHECKSUM: usize = 6;

/// A datagram's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Udp {
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub destination_port: u16,
    /// Bytes of header and data.
    pub length: u16,
    /// Checksum; 0 in IPv4: none.
    pub checksum: u16,
}

impl Udp {
    /// Reads the datagram `bytes[at..]`. With `whole` false (a first fragment) the length may go
    /// past the end.
    #[inline]
    pub(crate) fn parse(bytes: &[u8], at: usize, whole: bool) -> Result<Self, Malformed> {
        let header: &[u8; HEADER_LEN] = chunk(bytes, at).ok_or(Malformed::TransportTruncated)?;
        let udp = Self::fixed(header);
        let length = usize::from(udp.length);
        if length < HEADER_LEN || (whole && length > bytes.len() - at) {
            return Err(Malformed::UdpLength);
        }
        Ok(udp)
    }

    #[inline(always)]
    fn fixed(header: &[u8; HEADER_LEN]) -> Self {
        Self {
            source_port: be16(header, 0),
            destination_port: be16(header, 2),
            length: be16(header, LENGTH),
            checksum: be16(header, CHECKSUM),
        }
    }
}
