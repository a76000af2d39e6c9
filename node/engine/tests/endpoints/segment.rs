//! A TCP segment's numbers, read from and written into the bytes of an IP packet. It shares no code
//! with the firewall, nor with the endpoints.

use std::net::IpAddr;

pub(crate) const FIN: u8 = 1;
pub(crate) const SYN: u8 = 2;
pub(crate) const RST: u8 = 4;
pub(crate) const PSH: u8 = 8;
pub(crate) const ACK: u8 = 16;

/// What a segment says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) ports: [u16; 2],
    pub(crate) sequence: u32,
    pub(crate) ack: u32,
    pub(crate) flags: u8,
    pub(crate) window: u16,
    pub(crate) payload: u32,
    pub(crate) scale: Option<u8>,
}

impl Segment {
    /// Reads an IP packet without IP options or extension headers, as the endpoints send them.
    pub(crate) fn read(packet: &[u8]) -> Self {
        let tcp = &packet[header(packet)..];
        let data = usize::from(tcp[12] >> 4) * 4;
        let mut scale = None;
        options(tcp, |kind, at, _| {
            if kind == 3 {
                scale = Some(tcp[at]);
            }
        });
        Self {
            ports: [short(tcp, 0), short(tcp, 2)],
            sequence: long(tcp, 4),
            ack: long(tcp, 8),
            flags: tcp[13],
            window: short(tcp, 14),
            payload: (tcp.len() - data) as u32,
            scale,
        }
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The sequence number after the segment.
    pub(crate) fn end(&self) -> u32 {
        let controls = u32::from(self.has(SYN)) + u32::from(self.has(FIN));
        self.sequence.wrapping_add(self.payload).wrapping_add(controls)
    }
}

/// Moves the sender's numbers by `shift`: what it calls its own.
pub(crate) fn shift_own(packet: &mut [u8], shift: u32) {
    let start = header(packet);
    add(&mut packet[start + 4..], shift);
    fill_checksum(packet);
}

/// Moves the numbers that are the other peer's: acknowledgment and SACK.
pub(crate) fn shift_other(packet: &mut [u8], shift: u32) {
    let start = header(packet);
    if packet[start + 13] & ACK != 0 {
        add(&mut packet[start + 8..], shift);
    }
    let mut edges = Vec::new();
    options(&packet[start..], |kind, at, len| {
        if kind == 5 {
            edges.extend((at..at + len).step_by(4));
        }
    });
    for at in edges {
        add(&mut packet[start + at..], shift);
    }
    fill_checksum(packet);
}

/// Bytes of the IP header.
pub(crate) fn header(packet: &[u8]) -> usize {
    if packet[0] >> 4 == 4 { 20 } else { 40 }
}

/// An IP packet with this segment, its payload made of zeros.
pub(crate) fn write(from: IpAddr, to: IpAddr, segment: &Segment) -> Vec<u8> {
    let mut tcp = Vec::new();
    tcp.extend(segment.ports[0].to_be_bytes());
    tcp.extend(segment.ports[1].to_be_bytes());
    tcp.extend(segment.sequence.to_be_bytes());
    tcp.extend(segment.ack.to_be_bytes());
    tcp.extend([5 << 4, segment.flags]);
    tcp.extend(segment.window.to_be_bytes());
    tcp.extend([0; 4]);
    tcp.resize(tcp.len() + segment.payload as usize, 0);
    let mut packet = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let len = (20 + tcp.len() as u16).to_be_bytes();
            let mut header = vec![0x45, 0, len[0], len[1], 0, 0, 0, 0, 64, 6, 0, 0];
            header.extend(from.octets());
            header.extend(to.octets());
            let sum = !fold(sum(&header));
            header[10..12].copy_from_slice(&sum.to_be_bytes());
            header
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            let len = (tcp.len() as u16).to_be_bytes();
            let mut header = vec![0x60, 0, 0, 0, len[0], len[1], 6, 64];
            header.extend(from.octets());
            header.extend(to.octets());
            header
        }
        _ => panic!("two families in one packet"),
    };
    packet.extend(tcp);
    fill_checksum(&mut packet);
    packet
}

fn fill_checksum(packet: &mut [u8]) {
    let start = header(packet);
    packet[start + 16..start + 18].fill(0);
    let addresses = if start == 20 { 12..20 } else { 8..40 };
    let total = sum(&packet[addresses]) + sum(&packet[start..]) + 6 + (packet.len() - start) as u64;
    let checksum = !fold(total);
    packet[start + 16..start + 18].copy_from_slice(&checksum.to_be_bytes());
}

fn sum(bytes: &[u8]) -> u64 {
    let pairs = bytes.chunks(2);
    pairs.map(|pair| u64::from(pair[0]) << 8 | pair.get(1).map_or(0, |&low| u64::from(low))).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

/// Visits the options with a value: kind, where the value is, and its length.
fn options(tcp: &[u8], mut visit: impl FnMut(u8, usize, usize)) {
    let end = usize::from(tcp[12] >> 4) * 4;
    let mut at = 20;
    while at < end {
        match tcp[at] {
            0 => return,
            1 => at += 1,
            kind => {
                let len = usize::from(tcp[at + 1]);
                visit(kind, at + 2, len - 2);
                at += len;
            }
        }
    }
}

fn add(bytes: &mut [u8], number: u32) {
    let sum = long(bytes, 0).wrapping_add(number);
    bytes[..4].copy_from_slice(&sum.to_be_bytes());
}

fn short(bytes: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([bytes[at], bytes[at + 1]])
}

fn long(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
