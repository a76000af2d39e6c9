//! pcapng (draft-ietf-opsawg-pcapng): sections of blocks, each section in its own byte order.

use std::io::Read;

use super::block::{self, padding};
use super::reader::{Record, read_packet};
use super::source::{Order, Source};
use super::{CaptureError, LinkType, limits};

/// The section being read.
pub(super) struct PcapNg {
    order: Order,
    interfaces: Vec<Interface>,
    /// Time of the last packet that had one, for simple packet blocks.
    last_timestamp: u64,
}

/// What an interface description block said.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: LinkType,
    /// Longest capture in bytes; 0 = no limit.
    snap_length: u32,
    resolution: Resolution,
    offset_seconds: i64,
}

/// One tick of a timestamp.
#[derive(Clone, Copy, Debug)]
enum Resolution {
    /// 10⁻ⁿ seconds.
    Decimal(u8),
    /// 2⁻ⁿ seconds.
    Binary(u8),
}

/// The part of a block that is not read yet.
struct Body {
    /// Offset of the block.
    offset: u64,
    /// Total length, as it must stand behind the block too.
    length: u32,
    /// Bytes left of the body.
    left: u32,
}

/// The parts of a packet block that its three kinds share.
struct Packet {
    interface: u32,
    ticks: Option<u64>,
    captured: u32,
    length: u32,
}

impl PcapNg {
    /// Reads the first section header, whose type has been read.
    pub(super) fn start<R: Read>(source: &mut Source<R>) -> Result<Self, CaptureError> {
        let mut section = Self { order: Order::Little, interfaces: Vec::new(), last_timestamp: 0 };
        section.section(source)?;
        Ok(section)
    }

    /// The next packet of any section, its bytes into `buffer`.
    pub(super) fn next<R: Read>(
        &mut self,
        source: &mut Source<R>,
        buffer: &mut Vec<u8>,
    ) -> Result<Option<Record>, CaptureError> {
        while !source.at_end()? {
            let kind = source.u32(self.order)?;
            if kind == block::SECTION_HEADER {
                self.section(source)?;
                continue;
            }
            let offset = source.offset() - 4;
            let length = source.u32(self.order)?;
            let mut body = Body::new(offset, length)?;
            match kind {
                block::INTERFACE => self.interface(source, &mut body)?,
                block::ENHANCED_PACKET | block::OBSOLETE_PACKET | block::SIMPLE_PACKET => {
                    let packet = self.packet_header(kind, source, &mut body)?;
                    return self.packet(packet, source, body, buffer).map(Some);
                }
                _ => {}
            }
            body.finish(source, self.order)?;
        }
        Ok(None)
    }

    /// A section header behind its type: a new byte order, and no interfaces.
    fn section<R: Read>(&mut self, source: &mut Source<R>) -> Result<(), CaptureError> {
        let offset = source.offset() - 4;
        let length: [u8; 4] = source.array()?;
        let magic: [u8; 4] = source.array()?;
        self.order = match (u32::from_le_bytes(magic), u32::from_be_bytes(magic)) {
            (block::BYTE_ORDER, _) => Order::Little,
            (_, block::BYTE_ORDER) => Order::Big,
            _ => return Err(CaptureError::ByteOrder { offset, magic }),
        };
        self.interfaces.clear();
        let mut body = Body::new(offset, self.order.u32(length))?;
        body.take(4)?; // the magic
        body.take(12)?;
        let (major, minor) = (source.u16(self.order)?, source.u16(self.order)?);
        if major != 1 {
            return Err(CaptureError::Version { offset, major, minor });
        }
        source.skip(8)?; // section length: only a hint for jumping over it
        body.finish(source, self.order)
    }

    fn interface<R: Read>(
        &mut self,
        source: &mut Source<R>,
        body: &mut Body,
    ) -> Result<(), CaptureError> {
        if self.interfaces.len() == limits::INTERFACES {
            return Err(CaptureError::TooManyInterfaces { offset: body.offset });
        }
        body.take(8)?;
        let link = LinkType(source.u16(self.order)?);
        source.skip(2)?;
        let snap_length = source.u32(self.order)?;
        let mut interface = Interface::new(link, snap_length);
        while body.left >= 4 {
            let (code, length) = (source.u16(self.order)?, u32::from(source.u16(self.order)?));
            body.take(4)?;
            if code == block::OPTION_END {
                break;
            }
            body.take(length + padding(length))?;
            interface.option(code, length, source, self.order)?;
            source.skip(padding(length))?;
        }
        self.interfaces.push(interface);
        Ok(())
    }

    /// The fixed part of a packet block.
    fn packet_header<R: Read>(
        &self,
        kind: u32,
        source: &mut Source<R>,
        body: &mut Body,
    ) -> Result<Packet, CaptureError> {
        if kind == block::SIMPLE_PACKET {
            return self.simple_packet_header(source, body);
        }
        body.take(20)?;
        let interface = if kind == block::ENHANCED_PACKET {
            source.u32(self.order)?
        } else {
            let interface = source.u16(self.order)?;
            source.skip(2)?; // the number of packets lost before this one
            u32::from(interface)
        };
        let (high, low) = (source.u32(self.order)?, source.u32(self.order)?);
        let (captured, length) = (source.u32(self.order)?, source.u32(self.order)?);
        let ticks = Some(u64::from(high) << 32 | u64::from(low));
        Ok(Packet { interface, ticks, captured, length })
    }

    /// A simple packet block does not say how much was captured: what fits, within the snap length.
    fn simple_packet_header<R: Read>(
        &self,
        source: &mut Source<R>,
        body: &mut Body,
    ) -> Result<Packet, CaptureError> {
        body.take(4)?;
        let length = source.u32(self.order)?;
        let snap_length = self.interfaces.first().map_or(0, |first| first.snap_length);
        let snap_length = if snap_length == 0 { u32::MAX } else { snap_length };
        let captured = length.min(snap_length).min(body.left);
        Ok(Packet { interface: 0, ticks: None, captured, length })
    }

    fn packet<R: Read>(
        &mut self,
        packet: Packet,
        source: &mut Source<R>,
        mut body: Body,
        buffer: &mut Vec<u8>,
    ) -> Result<Record, CaptureError> {
        let Packet { interface, ticks, captured, length } = packet;
        let known = usize::try_from(interface).ok().and_then(|at| self.interfaces.get(at));
        let &known =
            known.ok_or(CaptureError::UnknownInterface { offset: body.offset, interface })?;
        body.take(captured)?;
        read_packet(source, buffer, captured)?;
        body.finish(source, self.order)?;
        if let Some(ticks) = ticks {
            self.last_timestamp = known.nanoseconds(ticks);
        }
        Ok(Record { timestamp: self.last_timestamp, link: known.link, interface, length })
    }
}

impl Interface {
    fn new(link: LinkType, snap_length: u32) -> Self {
        Self { link, snap_length, resolution: Resolution::Decimal(6), offset_seconds: 0 }
    }

    /// Reads one option of `length` bytes.
    fn option<R: Read>(
        &mut self,
        code: u16,
        length: u32,
        source: &mut Source<R>,
        order: Order,
    ) -> Result<(), CaptureError> {
        match (code, length) {
            (block::IF_TSRESOL, 1) => {
                let [value] = source.array()?;
                self.resolution = Resolution::new(value);
            }
            (block::IF_TSOFFSET, 8) => {
                self.offset_seconds = order.u64(source.array()?).cast_signed();
            }
            _ => source.skip(length)?,
        }
        Ok(())
    }

    /// Nanoseconds since the epoch, within the range of the type.
    fn nanoseconds(&self, ticks: u64) -> u64 {
        let offset = i128::from(self.offset_seconds) * 1_000_000_000;
        let nanoseconds = self.resolution.nanoseconds(ticks) + offset;
        u64::try_from(nanoseconds.max(0)).unwrap_or(u64::MAX)
    }
}

impl Resolution {
    /// From the octet of `if_tsresol`.
    fn new(value: u8) -> Self {
        if value & 0x80 == 0 { Self::Decimal(value) } else { Self::Binary(value & 0x7f) }
    }

    /// Cannot overflow: ticks × 10⁹ has 94 bits.
    fn nanoseconds(self, ticks: u64) -> i128 {
        let scaled = i128::from(ticks) * 1_000_000_000;
        match self {
            Self::Binary(bits) => scaled >> bits,
            Self::Decimal(digits) => match 10_i128.checked_pow(u32::from(digits)) {
                Some(units) => scaled / units,
                None => 0,
            },
        }
    }
}

impl Body {
    fn new(offset: u64, length: u32) -> Result<Self, CaptureError> {
        let possible = length.is_multiple_of(4)
            && (block::FRAME_BYTES..=limits::BLOCK_BYTES).contains(&length);
        if !possible {
            return Err(CaptureError::BlockLength { offset, length });
        }
        Ok(Self { offset, length, left: length - block::FRAME_BYTES })
    }

    /// Claims `count` bytes of the body, which the caller reads.
    fn take(&mut self, count: u32) -> Result<(), CaptureError> {
        let overrun = CaptureError::Overrun { offset: self.offset, length: count };
        self.left = self.left.checked_sub(count).ok_or(overrun)?;
        Ok(())
    }

    /// Passes over what is left and checks the length behind it.
    fn finish<R: Read>(&self, source: &mut Source<R>, order: Order) -> Result<(), CaptureError> {
        source.skip(self.left)?;
        let (offset, length) = (self.offset, self.length);
        let trailer = source.u32(order)?;
        if trailer != length {
            return Err(CaptureError::BlockTrailer { offset, length, trailer });
        }
        Ok(())
    }
}
