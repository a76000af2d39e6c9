//! Packet formats: what a frame says, checked once, and the keys made from it.
//!
//! [`Packet::parse`] turns a frame into a descriptor that is passed everywhere afterwards; every
//! way a frame can be wrong is a variant of [`Malformed`]. [`FlowKey`], [`FragmentKey`] and
//! [`PlacementKey`] are byte strings with a fixed layout that an XDP program or another node
//! reproduces. Nothing here allocates, panics on input, or knows what time it is.
#![no_std]
#![forbid(unsafe_code)]

#[cfg(test)]
extern crate std;

pub mod arp;
pub mod build;
mod bytes;
pub mod checksum;
pub mod cookie;
mod crc32c;
pub mod embedded;
pub mod esp;
pub mod ethernet;
pub mod geneve;
pub mod gre;
pub mod icmp;
pub mod ipv4;
pub mod ipv6;
pub mod key;
pub mod limits;
pub mod malformed;
pub mod ndp;
pub mod options;
pub mod packet;
pub mod placement;
pub mod plain;
pub mod protocol;
pub mod sctp;
pub mod tcp;
pub mod time;
pub mod translate;
pub mod udp;

pub use embedded::Embedded;
pub use gre::Gre;
pub use icmp::Icmp;
pub use key::{Direction, FlowKey, FragmentKey, embedded_key, flow_key};
pub use malformed::Malformed;
pub use options::Options;
pub use packet::{Fragment, Packet, Transport, Version};
pub use placement::{PlacementKey, SLOTS, Slot, slot};
pub use plain::Plain;
pub use protocol::Protocol;
pub use sctp::Ports;
pub use tcp::{SackBlocks, Seq, Tcp, TcpFlags};
pub use time::Time;
pub use translate::{Delta, Ends};
pub use udp::Udp;
