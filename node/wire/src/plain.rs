//! The short descriptor of what nearly every packet is: an ACK of an open TCP connection or a UDP
//! datagram, whole, in an untagged frame behind a plain IP header.
//!
//! [`Plain::read`] says `None` to everything else and to everything that looks wrong;
//! [`Packet::parse`](crate::Packet::parse), its slow twin, then says what it is. The descriptor
//! fits two cache lines, a [`Packet`](crate::Packet) five, and most of what a router must know of a
//! packet whose session exists is in its key already.
//!
//! ```text
//! 14           26        34                          bytes of an IPv4 frame
//!  │ IP header │ addresses │ transport header, data … end
//!              └───────────┴── one sum: the addresses are part of the pseudo-header
//! ```

use core::net::Ipv6Addr;

use crate::bytes::{be16, be32};
use crate::checksum::sums_to_ones;
use crate::key::{HIGH, HIGH_PORT, LOW, LOW_PORT};
use crate::translate::{Delta, moved};
use crate::{Direction, FlowKey, Protocol, Seq, TcpFlags, Version};
use crate::{ethernet, ipv4, ipv6, tcp, udp};

/// A packet that can go the straight way: TCP with ACK and without SYN, FIN, RST and URG, and with
/// no options or just timestamps; or UDP with a checksum, as long as the IP packet says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plain {
    /// The flow's key.
    pub key: FlowKey,
    /// What TCP says; of UDP nothing but zeros.
    pub ack: Ack,
    /// Bytes of the IP packet.
    pub ip_len: u32,
    /// Hop limit, or time to live.
    pub hop_limit: u8,
    /// IP version.
    pub version: Version,
    /// Which way the packet goes within the key.
    pub direction: Direction,
}

/// A segment with nothing but an acknowledgment, and perhaps data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Ack {
    /// SEG.SEQ.
    pub sequence: Seq,
    /// SEG.ACK.
    pub acknowledgment: Seq,
    /// Bytes of data.
    pub payload_len: u32,
    /// SEG.WND, unscaled.
    pub window: u16,
}

/// Where the IP header begins: behind an untagged Ethernet header.
const NETWORK: usize = ethernet::HEADER_LEN;
const TRANSPORT_V4: usize = NETWORK + ipv4::HEADER_LEN;
const TRANSPORT_V6: usize = NETWORK + ipv6::HEADER_LEN;
/// Two NOPs, kind 8, length 10: timestamps alone (RFC 7323 appendix A).
const TIMESTAMPS_ALONE: u32 = 0x0101_080a;

impl Plain {
    /// No packet at all.
    pub const NONE: Self = Self {
        key: FlowKey::ZERO,
        ack: Ack { sequence: Seq(0), acknowledgment: Seq(0), payload_len: 0, window: 0 },
        ip_len: 0,
        hop_limit: 0,
        version: Version::V4,
        direction: Direction::Forward,
    };

    /// Reads a frame; `domain` goes into the key. `None` if it is not plain, or not right. The
    /// transport checksum is left to [`Plain::checksum_ok`].
    pub fn read(frame: &[u8], domain: u16) -> Option<Self> {
        let mut plain = Self::NONE;
        plain.read_from(frame, domain).then_some(plain)
    }

    /// [`Plain::read`] in place, so that nothing is put together elsewhere and moved. `false` leaves
    /// something meaningless behind.
    #[inline(always)]
    pub fn read_from(&mut self, frame: &[u8], domain: u16) -> bool {
        let Some(start) = frame.first_chunk::<NETWORK>() else { return false };
        let read = match be16(start, ethernet::ETHERTYPE) {
            ethernet::IPV4 => self.read_v4(frame, domain),
            ethernet::IPV6 => self.read_v6(frame, domain),
            _ => None,
        };
        read.is_some()
    }

    #[inline(always)]
    fn read_v4(&mut self, frame: &[u8], domain: u16) -> Option<()> {
        // As much as the shortest TCP segment has, so that one look at the length does. A shorter
        // UDP datagram takes the long way.
        let head: &[u8; TRANSPORT_V4 + tcp::HEADER_LEN] = frame.first_chunk()?;
        let ip = head[NETWORK..].first_chunk::<{ ipv4::HEADER_LEN }>()?;
        let total = usize::from(be16(ip, ipv4::TOTAL_LENGTH));
        let whole = be16(ip, ipv4::FLAGS) & !ipv4::DONT_FRAGMENT == 0;
        if ip[0] != 0x45 || !whole || NETWORK + total > frame.len() || !sums_to_ones(ip, 0) {
            return None;
        }
        let transport = head[TRANSPORT_V4..].first_chunk::<{ tcp::HEADER_LEN }>()?;
        let protocol = Protocol(ip[ipv4::PROTOCOL]);
        let len = total.checked_sub(ipv4::HEADER_LEN)?;
        self.read_transport(protocol, transport, frame.get(TRANSPORT_V4..)?, len)?;
        let from = (be32(ip, ipv4::SOURCE), be16(transport, 0));
        let to = (be32(ip, ipv4::DESTINATION), be16(transport, 2));
        (self.key, self.direction) = FlowKey::v4(domain, protocol, from, to);
        (self.version, self.hop_limit, self.ip_len) = (Version::V4, ip[ipv4::TTL], total as u32);
        Some(())
    }

    #[inline(never)]
    fn read_v6(&mut self, frame: &[u8], domain: u16) -> Option<()> {
        let head: &[u8; TRANSPORT_V6 + tcp::HEADER_LEN] = frame.first_chunk()?;
        let ip = head[NETWORK..].first_chunk::<{ ipv6::HEADER_LEN }>()?;
        let len = usize::from(be16(ip, ipv6::PAYLOAD_LENGTH));
        if ip[0] >> 4 != 6 || TRANSPORT_V6 + len > frame.len() {
            return None;
        }
        let transport = head[TRANSPORT_V6..].first_chunk::<{ tcp::HEADER_LEN }>()?;
        let protocol = Protocol(ip[ipv6::NEXT_HEADER]);
        self.read_transport(protocol, transport, frame.get(TRANSPORT_V6..)?, len)?;
        let from = (v6(ip, ipv6::SOURCE).into(), be16(transport, 0));
        let to = (v6(ip, ipv6::DESTINATION).into(), be16(transport, 2));
        (self.key, self.direction) = FlowKey::new(domain, protocol, from, to);
        (self.version, self.hop_limit) = (Version::V6, ip[ipv6::HOP_LIMIT]);
        self.ip_len = (ipv6::HEADER_LEN + len) as u32;
        Some(())
    }

    /// Reads the transport header of a packet with `len` bytes behind its IP header.
    #[inline(always)]
    fn read_transport(
        &mut self,
        protocol: Protocol,
        header: &[u8; tcp::HEADER_LEN],
        bytes: &[u8],
        len: usize,
    ) -> Option<()> {
        match protocol {
            Protocol::TCP => self.ack.read(header, bytes, len),
            Protocol::UDP => {
                let whole = usize::from(be16(header, udp::LENGTH)) == len;
                let summed = be16(header, udp::CHECKSUM) != 0;
                self.ack = Ack::default();
                (whole && summed && len >= udp::HEADER_LEN).then_some(())
            }
            _ => None,
        }
    }

    /// Whether the transport checksum of the frame that this was read from is right.
    #[inline(always)]
    pub fn checksum_ok(&self, frame: &[u8]) -> bool {
        let (addresses, header) = match self.version {
            Version::V4 => (NETWORK + ipv4::SOURCE, ipv4::HEADER_LEN),
            Version::V6 => (NETWORK + ipv6::SOURCE, ipv6::HEADER_LEN),
        };
        let Some(covered) = frame.get(addresses..NETWORK + self.ip_len as usize) else {
            return false;
        };
        let len = self.ip_len - header as u32;
        sums_to_ones(covered, u32::from(self.key.protocol().0) + len)
    }

    /// What a router changes: the link-layer addresses, and one hop less. Does nothing to a frame
    /// without an IP header.
    #[inline]
    pub fn route(&self, frame: &mut [u8], to: [u8; 6], from: [u8; 6]) {
        let Some(head) = frame.first_chunk_mut::<{ NETWORK + ipv4::HEADER_LEN }>() else { return };
        head[..6].copy_from_slice(&to);
        head[6..12].copy_from_slice(&from);
        match self.version {
            Version::V4 => {
                head[NETWORK + ipv4::TTL] = self.hop_limit.saturating_sub(1);
                // The difference of a word whose high byte is one less.
                change_sum(head, NETWORK + ipv4::CHECKSUM, 0xfeff);
            }
            Version::V6 => head[NETWORK + ipv6::HOP_LIMIT] = self.hop_limit.saturating_sub(1),
        }
    }

    /// [`rewrite`](crate::translate::rewrite) of the frame that this was read from, routed or not: the ends
    /// of packets that go one way within another key of its protocol, of which `delta` tells the difference.
    /// With a key of the other IP version it does nothing. The descriptor's own key stays that of the old
    /// ends.
    #[inline(always)]
    pub fn translate(
        &self,
        frame: &mut [u8],
        (key, direction): (&FlowKey, Direction),
        delta: Delta,
    ) {
        if key.version() != self.version {
            return;
        }
        match self.version {
            Version::V4 => {
                let head: Option<&mut [u8; TRANSPORT_V4 + tcp::HEADER_LEN]> =
                    frame.first_chunk_mut();
                let Some(head) = head else { return };
                let (addresses, ports) = key.v4_fields(direction);
                put(head, NETWORK + ipv4::SOURCE, &addresses);
                put(head, TRANSPORT_V4, &ports);
                change_sum(head, NETWORK + ipv4::CHECKSUM, delta.header);
                self.change_checksum(head, TRANSPORT_V4, delta);
            }
            Version::V6 => self.translate_v6(frame, (key, direction), delta),
        }
    }

    #[inline(never)]
    fn translate_v6(
        &self,
        frame: &mut [u8],
        (key, direction): (&FlowKey, Direction),
        delta: Delta,
    ) {
        let head: Option<&mut [u8; TRANSPORT_V6 + tcp::HEADER_LEN]> = frame.first_chunk_mut();
        let Some(head) = head else { return };
        let ends = match direction {
            Direction::Forward => [(LOW, LOW_PORT), (HIGH, HIGH_PORT)],
            Direction::Reverse => [(HIGH, HIGH_PORT), (LOW, LOW_PORT)],
        };
        let key = key.as_bytes();
        for (nth, (address, port)) in ends.into_iter().enumerate() {
            put(head, NETWORK + ipv6::SOURCE + nth * 16, &key[address..address + 16]);
            put(head, TRANSPORT_V6 + nth * 2, &key[port..port + 2]);
        }
        self.change_checksum(head, TRANSPORT_V6, delta);
    }

    /// Adds what the ends differ to the checksum of the transport header at `transport`.
    #[inline(always)]
    fn change_checksum<const N: usize>(&self, head: &mut [u8; N], transport: usize, delta: Delta) {
        let udp = self.key.protocol() == Protocol::UDP;
        if !udp {
            change_sum(head, transport + tcp::CHECKSUM, delta.transport);
            return;
        }
        let at = transport + udp::CHECKSUM;
        change_sum(head, at, delta.transport);
        // Zero means "none" in UDP, and is the same number as all ones (RFC 768).
        if be16(head, at) == 0 {
            put(head, at, &[0xff; 2]);
        }
    }
}

/// Adds a difference to the checksum at `at`: in either byte order it is the same sum (RFC 1071 §2).
#[inline(always)]
fn change_sum<const N: usize>(head: &mut [u8; N], at: usize, difference: u16) {
    let sum = u16::from_ne_bytes([head[at], head[at + 1]]);
    put(head, at, &moved(sum, difference.to_be()).to_ne_bytes());
}

#[inline(always)]
fn put(bytes: &mut [u8], at: usize, field: &[u8]) {
    bytes[at..at + field.len()].copy_from_slice(field);
}

impl Ack {
    #[inline(always)]
    fn read(&mut self, header: &[u8; tcp::HEADER_LEN], bytes: &[u8], len: usize) -> Option<()> {
        let flags = TcpFlags(header[13]);
        if flags.0 & MEANT.0 != TcpFlags::ACK.0 {
            return None;
        }
        let header_len = match header[12] >> 4 {
            5 => tcp::HEADER_LEN,
            8 => {
                let head: &[u8; 32] = bytes.first_chunk()?;
                if be32(head, tcp::HEADER_LEN) != TIMESTAMPS_ALONE {
                    return None;
                }
                head.len()
            }
            _ => return None,
        };
        self.payload_len = len.checked_sub(header_len)? as u32;
        (self.sequence, self.acknowledgment) = (Seq(be32(header, 4)), Seq(be32(header, 8)));
        self.window = be16(header, 14);
        Some(())
    }
}

/// The control bits that make a segment more than an acknowledgment with data.
const MEANT: TcpFlags = TcpFlags(
    TcpFlags::FIN.0 | TcpFlags::SYN.0 | TcpFlags::RST.0 | TcpFlags::ACK.0 | TcpFlags::URG.0,
);

#[inline(always)]
fn v6(header: &[u8; ipv6::HEADER_LEN], at: usize) -> Ipv6Addr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&header[at..at + 16]);
    Ipv6Addr::from(octets)
}

#[cfg(test)]
mod tests;
