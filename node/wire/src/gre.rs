//! GRE (RFC 2784, RFC 2890) and PPTP's enhanced GRE (RFC 2637 §4.1), as far as keys need them.
use crate::Malformed;
use crate::bytes::{be16, be32, chunk};

/// Bytes of the part that every header has.
pub const HEADER_LEN: usize = 4;
/// Bit of the first 16: a checksum is present.
pub const CHECKSUM: u16 = 0x8000;
/// Bit of the first 16: routing is present (RFC 1701).
pub const ROUTING: u16 = 0x4000;
/// Bit of the first 16: a key is present.
pub const KEY: u16 = 0x2000;
/// Bit of the first 16: a sequence number is present.
pub const SEQUENCE: u16 = 0x1000;
/// The version in the first 16 bits.
pub const VERSION_MASK: u16 = 0x0007;
/// Offset of the call id in the header of enhanced GRE.
pub const CALL_ID: usize = 6;
/// EtherType of the payload of enhanced GRE.
pub const PPP: u16 = 0x880b;

/// A GRE header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gre {
    /// 0, or 1 for enhanced GRE; others are not known and not read further.
    pub version: u8,
    /// EtherType of the payload.
    pub protocol: u16,
    /// The key field; in version 1 payload length and call id.
    pub key: Option<u32>,
}

impl Gre {
    /// Reads the header at `bytes[at..]`.
    pub(crate) fn parse(bytes: &[u8], at: usize) -> Result<Self, Malformed> {
        let start: &[u8; HEADER_LEN] = chunk(bytes, at).ok_or(Malformed::TransportTruncated)?;
        let (flags, protocol) = (be16(start, 0), be16(start, 2));
        let version = (flags & VERSION_MASK) as u8;
        let key_at = match version {
            0 if flags & (CHECKSUM | ROUTING) != 0 => at + HEADER_LEN + 4,
            0 => at + HEADER_LEN,
            1 if flags & (CHECKSUM | ROUTING | KEY) == KEY && protocol == PPP => at + HEADER_LEN,
            1 => return Err(Malformed::GreHeaderBad),
            _ => return Ok(Self { version, protocol, key: None }),
        };
        let key = match flags & KEY {
            0 => None,
            _ => {
                let key: &[u8; 4] = chunk(bytes, key_at).ok_or(Malformed::TransportTruncated)?;
                Some(be32(key, 0))
            }
        };
        Ok(Self { version, protocol, key })
    }

    /// The call id of enhanced GRE: the one that the receiver gave the call.
    #[inline]
    pub const fn call_id(&self) -> Option<u16> {
        match (self.version, self.key) {
            (1, Some(key)) => Some(key as u16),
            _ => None,
        }
    }

    /// The same header of another call; of other GRE, itself.
    #[must_use]
    pub fn of_call(self, number: u16) -> Self {
        let key = match self.call_id() {
            Some(_) => self.key.map(|key| key & 0xffff_0000 | u32::from(number)),
            None => self.key,
        };
        Self { key, ..self }
    }
}
