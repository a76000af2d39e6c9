//! The classic format (draft-ietf-opsawg-pcap): a 24-byte header, then 16 bytes before every packet.

use std::io::Read;

use super::reader::{Record, read_packet};
use super::source::{Order, Source};
use super::{CaptureError, LinkType};

/// Magic of a file with microseconds.
pub(super) const MICROSECONDS: u32 = 0xa1b2_c3d4;
/// Magic of a file with nanoseconds.
pub(super) const NANOSECONDS: u32 = 0xa1b2_3c4d;
/// The one version in use, since 1998.
pub(super) const VERSION: (u16, u16) = (2, 4);
/// The link type's own bits in its field; the upper half tells of a frame check sequence.
const LINK_MASK: u32 = 0xffff;

/// What the header said.
pub(super) struct Pcap {
    order: Order,
    /// Nanoseconds in one unit of the fraction field.
    unit_nanoseconds: u64,
    link: LinkType,
}

impl Pcap {
    /// Reads the rest of the header behind `magic`.
    pub(super) fn start<R: Read>(
        magic: [u8; 4],
        source: &mut Source<R>,
    ) -> Result<Self, CaptureError> {
        let (order, unit_nanoseconds) = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic))
        {
            (MICROSECONDS, _) => (Order::Little, 1_000),
            (NANOSECONDS, _) => (Order::Little, 1),
            (_, MICROSECONDS) => (Order::Big, 1_000),
            (_, NANOSECONDS) => (Order::Big, 1),
            _ => return Err(CaptureError::NotACapture { magic }),
        };
        let offset = source.offset();
        let (major, minor) = (source.u16(order)?, source.u16(order)?);
        if major != VERSION.0 {
            return Err(CaptureError::Version { offset, major, minor });
        }
        source.skip(12)?; // time zone and accuracy, never used; snap length, often wrong
        let link = LinkType((source.u32(order)? & LINK_MASK) as u16);
        Ok(Self { order, unit_nanoseconds, link })
    }

    /// The next packet, its bytes into `buffer`.
    pub(super) fn next<R: Read>(
        &self,
        source: &mut Source<R>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Record>, CaptureError> {
        if source.at_end()? {
            return Ok(None);
        }
        let [seconds, fraction, captured, length] = words(source.array()?, self.order);
        read_packet(source, buffer, captured)?;
        let timestamp =
            u64::from(seconds) * 1_000_000_000 + u64::from(fraction) * self.unit_nanoseconds;
        Ok(Some(Record { timestamp, link: self.link, interface: 0, length }))
    }
}

fn words(bytes: [u8; 16], order: Order) -> [u32; 4] {
    let (words, _) = bytes.as_chunks::<4>();
    [0, 1, 2, 3].map(|at| order.u32(words[at]))
}
