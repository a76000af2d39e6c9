//! A port whose packets come from a capture and go into another.

use std::fmt;
use std::io::{self, Read, Write};

use af_xdp::{Frame, Umem};

use super::{CaptureError, LinkType, Reader, Writer, ethernet_frame, ip_packet};
use crate::port::Port;

/// Twin of an interface: the packets of a capture arrive, as fast as they are taken, and what is sent is
/// written to another capture with the time of the latest arrival (or [`CapturePort::set_time`]).
///
/// Packets of other link types arrive with an Ethernet header in front. After an error, of reading or of
/// writing, that direction is over; [`CapturePort::error`] and [`CapturePort::write_error`] have the cause.
pub struct CapturePort<R, W> {
    reader: Option<Reader<R>>,
    writer: Option<Writer<W>>,
    /// Destination and source of the Ethernet headers that are put in front.
    addresses: [[u8; 6]; 2],
    /// Where such a frame is put together.
    frame: Vec<u8>,
    time: u64,
    counts: Counts,
    error: Option<CaptureError>,
    write_error: Option<io::Error>,
}

/// What did not become a frame.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Packets that arrived.
    pub received: u64,
    /// Packets of another link type than Ethernet that are not IP.
    pub not_ip: u64,
    /// Packets longer than a frame of the UMEM, which a device would not have received either.
    pub too_long: u64,
    /// Frames written.
    pub sent: u64,
    /// Frames sent after writing had failed, or to a port without a writer.
    pub lost: u64,
}

const ETHERNET_HEADER: usize = 14;

impl<R: Read, W: Write> CapturePort<R, W> {
    /// Without a reader nothing arrives; without a writer what is sent is only counted.
    pub fn new(reader: Option<Reader<R>>, writer: Option<Writer<W>>) -> Self {
        Self {
            reader,
            writer,
            addresses: [[0; 6]; 2],
            frame: Vec::new(),
            time: 0,
            counts: Counts::default(),
            error: None,
            write_error: None,
        }
    }

    /// Sets the MAC addresses for packets that come without any.
    #[must_use]
    pub fn with_addresses(self, destination: [u8; 6], source: [u8; 6]) -> Self {
        Self { addresses: [destination, source], ..self }
    }

    /// Nanoseconds since the Unix epoch for frames that are sent from now on.
    pub fn set_time(&mut self, time: u64) {
        self.time = time;
    }

    /// Whether the capture has been read to its end.
    pub fn is_finished(&self) -> bool {
        self.reader.is_none()
    }

    /// What was counted so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Why reading ended early.
    pub fn error(&self) -> Option<&CaptureError> {
        self.error.as_ref()
    }

    /// Why writing ended.
    pub fn write_error(&self) -> Option<&io::Error> {
        self.write_error.as_ref()
    }

    /// Flushes the capture of sent frames and gives back what it was written to.
    pub fn into_written(self) -> io::Result<Option<W>> {
        self.writer.map(Writer::into_inner).transpose()
    }

    /// Puts the next packet into `self.frame`; false at the end.
    fn read(&mut self) -> bool {
        let Some(reader) = &mut self.reader else { return false };
        let packet = match reader.next_packet() {
            Ok(Some(packet)) => packet,
            Ok(None) => {
                self.reader = None;
                return false;
            }
            Err(error) => {
                self.error = Some(error);
                self.reader = None;
                return false;
            }
        };
        self.time = self.time.max(packet.timestamp);
        self.frame.clear();
        if packet.link == LinkType::ETHERNET {
            self.frame.extend_from_slice(packet.bytes);
        } else if let Some(ip) = ip_packet(packet.link, packet.bytes) {
            self.frame.resize(ETHERNET_HEADER + ip.len(), 0);
            let [destination, source] = self.addresses;
            ethernet_frame(ip, destination, source, &mut self.frame);
        }
        true
    }

    fn write(&mut self, bytes: &[u8]) {
        let Some(writer) = &mut self.writer else {
            self.counts.lost += 1;
            return;
        };
        match writer.write(self.time, bytes) {
            Ok(()) => self.counts.sent += 1,
            Err(error) => {
                self.counts.lost += 1;
                self.write_error = Some(error);
                self.writer = None;
            }
        }
    }
}

impl<R: Read, W: Write> Port for CapturePort<R, W> {
    fn receive(&mut self, umem: &mut Umem, into: &mut Vec<Frame>, room: usize) -> usize {
        let mut received = 0;
        while received < room {
            let Some(mut frame) = umem.alloc() else { break };
            if !self.read() {
                umem.free(frame);
                break;
            }
            if self.frame.is_empty() {
                self.counts.not_ip += 1;
                umem.free(frame);
            } else if umem.write(&mut frame, &self.frame).is_err() {
                self.counts.too_long += 1;
                umem.free(frame);
            } else {
                into.push(frame);
                received += 1;
            }
        }
        self.counts.received += received as u64;
        received
    }

    fn transmit(&mut self, umem: &mut Umem, backlog: &mut Vec<Frame>) {
        for frame in backlog.drain(..) {
            self.write(umem.data(&frame));
            umem.free(frame);
        }
    }

    fn service(&mut self, _: &mut Umem) {}

    fn sending(&self) -> bool {
        false
    }
}

impl<R, W> fmt::Debug for CapturePort<R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CapturePort");
        shown.field("counts", &self.counts).field("error", &self.error);
        shown.finish_non_exhaustive()
    }
}
