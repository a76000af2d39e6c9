//! One reader for both formats.

use std::io::Read;

use super::pcap::Pcap;
use super::pcapng::PcapNg;
use super::source::Source;
use super::{CaptureError, Format, LinkType, limits};

/// Reads the packets of a capture in order. After an error or the end it gives no more.
///
/// ```
/// # use ringwall_datapath::capture::{Format, LinkType, Reader, Writer};
/// let mut file = Vec::new();
/// Writer::new(&mut file, Format::Pcap, LinkType::RAW)?.write(1_000, &[0x45; 20])?;
/// let mut reader = Reader::new(file.as_slice()).unwrap();
/// let packet = reader.next_packet().unwrap().expect("one packet");
/// assert_eq!((packet.timestamp, packet.bytes.len()), (1_000, 20));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Reader<R> {
    source: Source<R>,
    format: State,
    /// The packet in hand; grows to the longest packet of the file, at most [`limits::PACKET_BYTES`].
    buffer: Vec<u8>,
    finished: bool,
}

/// One packet as the file has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Captured<'a> {
    /// Nanoseconds since the Unix epoch. A simple packet block has none: that of the packet before.
    pub timestamp: u64,
    /// What `bytes` begin with.
    pub link: LinkType,
    /// Index of the interface in its section; 0 in a pcap file.
    pub interface: u32,
    /// Bytes the packet had on the wire.
    pub length: u32,
    /// The bytes that were captured.
    pub bytes: &'a [u8],
}

impl Captured<'_> {
    /// True if the capture program cut the packet off.
    pub fn is_truncated(&self) -> bool {
        (self.bytes.len() as u64) < u64::from(self.length)
    }
}

/// What the format parsers say about the packet whose bytes they left in the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Record {
    pub(super) timestamp: u64,
    pub(super) link: LinkType,
    pub(super) interface: u32,
    pub(super) length: u32,
}

enum State {
    Pcap(Pcap),
    PcapNg(PcapNg),
}

impl<R: Read> Reader<R> {
    /// Reads the header and finds out which format it is. Buffers by itself.
    pub fn new(inner: R) -> Result<Self, CaptureError> {
        let mut source = Source::new(inner);
        let magic = source.array()?;
        let format = if magic == super::block::SECTION_HEADER.to_be_bytes() {
            State::PcapNg(PcapNg::start(&mut source)?)
        } else {
            State::Pcap(Pcap::start(magic, &mut source)?)
        };
        Ok(Self { source, format, buffer: Vec::new(), finished: false })
    }

    /// The format of the file.
    pub fn format(&self) -> Format {
        match self.format {
            State::Pcap(_) => Format::Pcap,
            State::PcapNg(_) => Format::PcapNg,
        }
    }

    /// The next packet, or `None` at the end. (Not an `Iterator`: the bytes are lent.)
    pub fn next_packet(&mut self) -> Result<Option<Captured<'_>>, CaptureError> {
        if self.finished {
            return Ok(None);
        }
        self.finished = true;
        let Some(record) = self.advance()? else { return Ok(None) };
        self.finished = false;
        let Record { timestamp, link, interface, length } = record;
        Ok(Some(Captured { timestamp, link, interface, length, bytes: &self.buffer }))
    }

    fn advance(&mut self) -> Result<Option<Record>, CaptureError> {
        match &mut self.format {
            State::Pcap(pcap) => pcap.next(&mut self.source, &mut self.buffer),
            State::PcapNg(pcapng) => pcapng.next(&mut self.source, &mut self.buffer),
        }
    }
}

/// Reads `length` bytes of packet into `buffer`, within the bound.
pub(super) fn read_packet<R: Read>(
    source: &mut Source<R>,
    buffer: &mut Vec<u8>,
    length: u32,
) -> Result<(), CaptureError> {
    if length as usize > limits::PACKET_BYTES {
        return Err(CaptureError::PacketTooLong { offset: source.offset(), length });
    }
    buffer.resize(length as usize, 0);
    source.read(buffer)
}
