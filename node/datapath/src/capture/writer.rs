//! Writes captures that tcpdump, Wireshark and [`Reader`](super::Reader) read: nanoseconds, in little
//! endian on every machine, so that the same packets make the same file.

use std::io::{self, Write};

use super::block::{self, padding};
use super::{LinkType, limits, pcap};

/// The two file formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Classic, one link type; timestamps end in the year 2106.
    Pcap,
    /// Several interfaces.
    PcapNg,
}

/// A capture file being written. It writes in small pieces, so give it a buffered writer; it keeps
/// nothing back itself.
pub struct Writer<W> {
    out: W,
    format: Format,
    interfaces: u32,
}

/// Bytes of an interface description without its name: body, time resolution, end of options.
const INTERFACE_BYTES: u32 = block::FRAME_BYTES + 8 + 8 + 4;
/// Bytes of an enhanced packet block without its packet.
const PACKET_BLOCK_BYTES: u32 = block::FRAME_BYTES + 20;
/// `if_tsresol` for nanoseconds.
const NANOSECONDS: u8 = 9;

impl<W: Write> Writer<W> {
    /// Starts a file whose interface 0 has link type `link`.
    pub fn new(out: W, format: Format, link: LinkType) -> io::Result<Self> {
        let mut writer = Self { out, format, interfaces: 1 };
        match format {
            Format::Pcap => writer.pcap_header(link)?,
            Format::PcapNg => {
                writer.section_header()?;
                writer.interface_block(link, "")?;
            }
        }
        Ok(writer)
    }

    /// Adds an interface to a pcapng file and returns its index. A name longer than 255 bytes, and any
    /// second interface of a pcap file, is an error.
    pub fn interface(&mut self, link: LinkType, name: &str) -> io::Result<u32> {
        if self.format == Format::Pcap {
            return Err(invalid("a pcap file has one interface"));
        }
        if self.interfaces as usize >= limits::INTERFACES || name.len() > usize::from(u8::MAX) {
            return Err(invalid("too many interfaces, or too long a name"));
        }
        self.interface_block(link, name)?;
        self.interfaces += 1;
        Ok(self.interfaces - 1)
    }

    /// Appends a whole packet of interface 0. `timestamp` in nanoseconds since the Unix epoch.
    pub fn write(&mut self, timestamp: u64, bytes: &[u8]) -> io::Result<()> {
        let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        self.write_captured(0, timestamp, bytes, length)
    }

    /// Appends a packet of `interface` that had `length` bytes on the wire, of which `bytes` are kept.
    pub fn write_captured(
        &mut self,
        interface: u32,
        timestamp: u64,
        bytes: &[u8],
        length: u32,
    ) -> io::Result<()> {
        if bytes.len() > limits::PACKET_BYTES || interface >= self.interfaces {
            return Err(invalid("a packet too long for a capture, or of no interface"));
        }
        let captured = bytes.len() as u32;
        match self.format {
            Format::Pcap => self.pcap_packet(timestamp, bytes, captured, length),
            Format::PcapNg => self.packet_block(interface, timestamp, bytes, captured, length),
        }
    }

    /// Flushes and gives back what was written to.
    pub fn into_inner(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    fn pcap_header(&mut self, link: LinkType) -> io::Result<()> {
        let (major, minor) = pcap::VERSION;
        self.u32(pcap::NANOSECONDS)?;
        self.u32(u32::from(minor) << 16 | u32::from(major))?;
        self.u32(0)?; // time zone
        self.u32(0)?; // accuracy
        self.u32(limits::PACKET_BYTES as u32)?;
        self.u32(u32::from(link.0))
    }

    fn pcap_packet(
        &mut self,
        timestamp: u64,
        bytes: &[u8],
        captured: u32,
        length: u32,
    ) -> io::Result<()> {
        let seconds = u32::try_from(timestamp / 1_000_000_000)
            .map_err(|_| invalid("a time after the year 2106 needs pcapng"))?;
        let nanoseconds = (timestamp % 1_000_000_000) as u32;
        self.words(&[seconds, nanoseconds, captured, length])?;
        self.out.write_all(bytes)
    }

    fn section_header(&mut self) -> io::Result<()> {
        let length = block::FRAME_BYTES + 16;
        self.words(&[block::SECTION_HEADER, length, block::BYTE_ORDER])?;
        self.u32(1)?; // version 1.0
        self.words(&[u32::MAX, u32::MAX])?; // section length: not known
        self.u32(length)
    }

    fn interface_block(&mut self, link: LinkType, name: &str) -> io::Result<()> {
        let name_length = name.len() as u32;
        let name_option = if name.is_empty() { 0 } else { 4 + name_length + padding(name_length) };
        let length = INTERFACE_BYTES + name_option;
        self.words(&[block::INTERFACE, length, u32::from(link.0)])?;
        self.u32(limits::PACKET_BYTES as u32)?;
        if !name.is_empty() {
            self.u32(name_length << 16 | u32::from(block::IF_NAME))?;
            self.padded(name.as_bytes())?;
        }
        self.u32(1 << 16 | u32::from(block::IF_TSRESOL))?;
        self.padded(&[NANOSECONDS])?;
        self.words(&[u32::from(block::OPTION_END), length])
    }

    fn packet_block(
        &mut self,
        interface: u32,
        timestamp: u64,
        bytes: &[u8],
        captured: u32,
        length: u32,
    ) -> io::Result<()> {
        let block_length = PACKET_BLOCK_BYTES + captured + padding(captured);
        let (high, low) = ((timestamp >> 32) as u32, timestamp as u32);
        self.words(&[block::ENHANCED_PACKET, block_length, interface, high, low, captured])?;
        self.u32(length)?;
        self.padded(bytes)?;
        self.u32(block_length)
    }

    fn padded(&mut self, bytes: &[u8]) -> io::Result<()> {
        let fill = padding(bytes.len() as u32) as usize;
        self.out.write_all(bytes)?;
        self.out.write_all(&[0; 3][..fill])
    }

    fn words(&mut self, values: &[u32]) -> io::Result<()> {
        values.iter().try_for_each(|&value| self.u32(value))
    }

    fn u32(&mut self, value: u32) -> io::Result<()> {
        self.out.write_all(&value.to_le_bytes())
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
