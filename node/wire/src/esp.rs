//! ESP (RFC 4303), as far as keys need it.
use crate::Malformed;
use crate::bytes::{be32, chunk};

/// Bytes before the payload: SPI and sequence number.
pub const HEADER_LEN: usize = 8;

/// The security parameters index of the packet `bytes[at..]`.
pub(crate) fn spi(bytes: &[u8], at: usize) -> Result<u32, Malformed> {
    let header: &[u8; HEADER_LEN] = chunk(bytes, at).ok_or(Malformed::TransportTruncated)?;
    Ok(be32(header, 0))
}
