//! ARP for IPv4 over Ethernet (RFC 826, RFC 5227).
use core::net::Ipv4Addr;

use crate::bytes::{be16, be32, chunk, chunk_mut};
use crate::ethernet::{self, BROADCAST, Ethernet, Mac};

/// Bytes of a message.
pub const LEN: usize = 28;
/// Operation: request.
pub const REQUEST: u16 = 1;
/// Operation: reply.
pub const REPLY: u16 = 2;

/// Hardware type Ethernet, protocol type IPv4, address lengths 6 and 4.
const START: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arp {
    /// [`REQUEST`], [`REPLY`], or another operation.
    pub operation: u16,
    /// Sender's Ethernet address.
    pub sender_mac: Mac,
    /// Sender's IPv4 address; unspecified in a probe.
    pub sender: Ipv4Addr,
    /// Target's Ethernet address; zero in a request.
    pub target_mac: Mac,
    /// Target's IPv4 address.
    pub target: Ipv4Addr,
}

impl Arp {
    /// Reads a frame; `None` if it holds no ARP message for IPv4 over Ethernet.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let ethernet = Ethernet::parse(frame).ok()?;
        let message: &[u8; LEN] = chunk(frame, ethernet.payload)?;
        if ethernet.ethertype != ethernet::ARP || !message.starts_with(&START) {
            return None;
        }
        Some(Self {
            operation: be16(message, 6),
            sender_mac: *chunk(message, 8)?,
            sender: Ipv4Addr::from_bits(be32(message, 14)),
            target_mac: *chunk(message, 18)?,
            target: Ipv4Addr::from_bits(be32(message, 24)),
        })
    }

    /// The question who has `target`.
    pub const fn request(sender_mac: Mac, sender: Ipv4Addr, target: Ipv4Addr) -> Self {
        Self { operation: REQUEST, sender_mac, sender, target_mac: [0; 6], target }
    }

    /// The announcement of one's own address (RFC 5227 §2.3).
    pub const fn announcement(mac: Mac, address: Ipv4Addr) -> Self {
        Self::request(mac, address, address)
    }

    /// The answer that `mac` has the target of this request.
    #[must_use]
    pub const fn reply(&self, mac: Mac) -> Self {
        Self {
            operation: REPLY,
            sender_mac: mac,
            sender: self.target,
            target_mac: self.sender_mac,
            target: self.sender,
        }
    }

    /// Writes a frame from the sender to the target, or to everyone if the target's Ethernet
    /// address is zero; how many bytes it took, `None` if `out` is too short.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let frame: &mut [u8; ethernet::HEADER_LEN + LEN] = chunk_mut(out, 0)?;
        let known = self.target_mac != [0; 6];
        frame[..6].copy_from_slice(if known { &self.target_mac } else { &BROADCAST });
        frame[6..12].copy_from_slice(&self.sender_mac);
        frame[12..14].copy_from_slice(&ethernet::ARP.to_be_bytes());
        let message = &mut frame[ethernet::HEADER_LEN..];
        message[..6].copy_from_slice(&START);
        message[6..8].copy_from_slice(&self.operation.to_be_bytes());
        message[8..14].copy_from_slice(&self.sender_mac);
        message[14..18].copy_from_slice(&self.sender.octets());
        message[18..24].copy_from_slice(&self.target_mac);
        message[24..].copy_from_slice(&self.target.octets());
        Some(frame.len())
    }
}
