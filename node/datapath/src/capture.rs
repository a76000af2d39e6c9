//! Capture files: pcap and pcapng are read and written, and every link type becomes an Ethernet frame.
//!
//! ```text
//!   file ──► Reader ──► Captured { timestamp, link, bytes } ──► ip_packet ──► ethernet_frame ──► engine
//!                                                              └ None: not IP
//!   engine ──► frames ──► Writer ──► file
//! ```
//!
//! Both directions stream: memory is bounded by [`limits::PACKET_BYTES`] whatever the file says, a
//! hostile file ends in a [`CaptureError`] that names the offset, and nothing panics.

mod block;
mod error;
pub mod limits;
mod link;
mod pcap;
mod pcapng;
mod port;
mod reader;
mod source;
mod writer;

pub use error::CaptureError;
pub use link::{LinkType, ethernet_frame, ip_packet};
pub use port::{CapturePort, Counts};
pub use reader::{Captured, Reader};
pub use writer::{Format, Writer};

#[cfg(test)]
mod tests;
