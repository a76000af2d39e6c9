//! Builds frames from their description. Shares no code with the firewall, so that a mistake in its
//! parser or its checksums does not hide itself.

use std::net::IpAddr;

use crate::packet::{Base, Body, Checksum, Fragment, Frame, Icmp, Line, Packet, Tcp};

const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const VLAN: u16 = 0x8100;

/// The protocol number of the IPv6 fragment header.
const FRAGMENT: u8 = 44;

impl Line {
    /// The frame, from a station with MAC `from` to one with MAC `to`.
    pub(crate) fn bytes(&self, from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
        match self {
            Self::Raw(bytes) => bytes.clone(),
            Self::Packet(packet) => packet.frame(from, to),
        }
    }
}

impl Packet {
    fn frame(&self, from: [u8; 6], to: [u8; 6]) -> Vec<u8> {
        let shape = &self.frame;
        let ethertype = if self.is_v4() { IPV4 } else { IPV6 };
        let mut frame = shape.ethernet(from, to, ethertype);
        let network = frame.len();
        let transport = network + self.header_len();
        frame.extend(self.datagram());
        for patch in &shape.patches {
            let base = [0, network, transport][patch.base as usize];
            frame[base + patch.offset..][..patch.bytes.len()].copy_from_slice(&patch.bytes);
        }
        // Patched fields count in the IP header's checksum, so that only the patch is wrong.
        if self.is_v4() {
            self.fill_header_checksum(&mut frame[network..transport]);
        }
        frame.resize(frame.len() + shape.pad, 0);
        frame.truncate(shape.cut.unwrap_or(usize::MAX));
        frame
    }

    fn is_v4(&self) -> bool {
        self.source.0.is_ipv4()
    }

    /// The datagram, or the piece of it that this packet is.
    fn datagram(&self) -> Vec<u8> {
        let (protocol, body) = self.transport();
        match self.ip.fragment {
            None => self.network(protocol, &body),
            Some(fragment) => self.network(protocol, &fragment.piece(&body)),
        }
    }

    fn header_len(&self) -> usize {
        self.network(0, &[]).len()
    }

    /// Protocol number, and the whole datagram's transport header and payload.
    fn transport(&self) -> (u8, Vec<u8>) {
        let ports = [self.source.1.to_be_bytes(), self.destination.1.to_be_bytes()].concat();
        let (protocol, mut bytes, at) = match &self.body {
            Body::Tcp(tcp) => (6, tcp.bytes(ports), Some(16)),
            Body::Udp { len } => {
                let length = (8 + *len as u16).to_be_bytes();
                (17, [&ports[..], &length, &[0, 0], &payload(*len)].concat(), Some(6))
            }
            Body::Icmp(icmp) if self.is_v4() => (1, icmp.bytes(), Some(2)),
            Body::Icmp(icmp) => (58, icmp.bytes(), Some(2)),
            Body::Other { protocol, len } => (*protocol, payload(*len), None),
        };
        for patch in self.frame.patches.iter().filter(|patch| patch.base == Base::Transport) {
            if let Some(field) = bytes.get_mut(patch.offset..patch.offset + patch.bytes.len()) {
                field.copy_from_slice(&patch.bytes);
            }
        }
        if let Some(at) = at {
            self.fill_checksum(&mut bytes, protocol, at);
        }
        (protocol, bytes)
    }

    fn fill_checksum(&self, bytes: &mut [u8], protocol: u8, at: usize) {
        let pseudo = match protocol {
            1 => 0, // ICMP for IPv4 has no pseudo-header.
            _ => self.pseudo(protocol, bytes.len()),
        };
        bytes[at..at + 2].fill(0);
        let checksum = match self.frame.checksum {
            Checksum::Good => !fold(pseudo + sum(bytes)),
            Checksum::Bad => !fold(pseudo + sum(bytes)) ^ 0x5555,
            Checksum::Partial => fold(pseudo),
            Checksum::Absent => 0,
        };
        bytes[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
    }

    fn pseudo(&self, protocol: u8, len: usize) -> u64 {
        let addresses = [octets(self.source.0), octets(self.destination.0)].concat();
        sum(&addresses) + u64::from(protocol) + len as u64
    }

    fn network(&self, protocol: u8, body: &[u8]) -> Vec<u8> {
        if self.is_v4() { self.ipv4(protocol, body) } else { self.ipv6(protocol, body) }
    }

    fn ipv4(&self, protocol: u8, body: &[u8]) -> Vec<u8> {
        let ip = &self.ip;
        let words = 5 + ip.options.len() / 4;
        let total = (words * 4 + body.len()) as u16;
        let (id, offset, more) = match ip.fragment {
            None => (ip.id, 0, false),
            Some(it) => (it.id, it.offset / 8, it.more),
        };
        let flags =
            u16::from(ip.dont_fragment) << 14 | u16::from(more) << 13 | offset as u16 & 0x1fff;
        let mut bytes = vec![0x40 | words as u8, ip.tos];
        bytes.extend(total.to_be_bytes());
        bytes.extend((id as u16).to_be_bytes());
        bytes.extend(flags.to_be_bytes());
        bytes.extend([ip.ttl, protocol, 0, 0]);
        bytes.extend(octets(self.source.0));
        bytes.extend(octets(self.destination.0));
        bytes.extend(&ip.options);
        self.fill_header_checksum(&mut bytes);
        bytes.extend(body);
        bytes
    }

    fn fill_header_checksum(&self, header: &mut [u8]) {
        fill_header_checksum(header);
        if self.frame.bad_ip_checksum {
            header[10] ^= 0x55;
        }
    }

    fn ipv6(&self, protocol: u8, body: &[u8]) -> Vec<u8> {
        let ip = &self.ip;
        let mut headers = ip.extensions.clone();
        if let Some(it) = ip.fragment {
            let field = (it.offset as u16 & 0xfff8) | u16::from(it.more);
            let header = [&[0][..], &field.to_be_bytes(), &it.id.to_be_bytes()].concat();
            headers.push((FRAGMENT, header));
        }
        let numbers = headers.iter().map(|(number, _)| *number).chain([protocol]);
        let mut chain = Vec::new();
        for (next, (_, header)) in numbers.clone().skip(1).zip(&headers) {
            chain.push(next);
            chain.extend(header);
        }
        let first = numbers.clone().next().expect("the transport's number is there");
        let mut bytes = vec![0x60 | ip.tos >> 4, ip.tos << 4, 0, 0];
        bytes.extend(((chain.len() + body.len()) as u16).to_be_bytes());
        bytes.extend([first, ip.ttl]);
        bytes.extend(octets(self.source.0));
        bytes.extend(octets(self.destination.0));
        bytes.extend(chain);
        bytes.extend(body);
        bytes
    }
}

impl Frame {
    fn ethernet(&self, from: [u8; 6], to: [u8; 6], ethertype: u16) -> Vec<u8> {
        let mut bytes = self.destination_mac.unwrap_or(to).to_vec();
        bytes.extend(self.source_mac.unwrap_or(from));
        for tag in &self.vlans {
            bytes.extend(VLAN.to_be_bytes());
            bytes.extend(tag.to_be_bytes());
        }
        bytes.extend(ethertype.to_be_bytes());
        bytes
    }
}

impl Fragment {
    /// A piece past the end of the datagram is zeros: no honest sender has it.
    fn piece(&self, body: &[u8]) -> Vec<u8> {
        (self.offset..self.offset + self.len).map(|at| body.get(at).copied().unwrap_or(0)).collect()
    }
}

impl Tcp {
    fn bytes(&self, ports: Vec<u8>) -> Vec<u8> {
        let mut options = self.options.clone();
        options.resize(options.len().next_multiple_of(4), 1); // no-operation
        let mut bytes = ports;
        bytes.extend(self.seq.to_be_bytes());
        bytes.extend(self.ack.to_be_bytes());
        bytes.extend([((5 + options.len() / 4) << 4) as u8, self.flags]);
        bytes.extend(self.window.to_be_bytes());
        bytes.extend([0; 4]); // checksum, urgent pointer
        bytes.extend(options);
        bytes.extend(payload(self.len));
        bytes
    }
}

impl Icmp {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![self.kind, self.code, 0, 0];
        bytes.extend(self.rest.to_be_bytes());
        bytes.extend(payload(self.len));
        if let Some((about, quoted)) = &self.about {
            let datagram = about.datagram();
            bytes.extend(&datagram[..datagram.len().min(*quoted)]);
        }
        bytes
    }
}

/// Bytes that differ from their neighbours, so that a shifted payload is seen.
fn payload(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8).collect()
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// Fills the checksum of an IPv4 header, which is all of `header`.
pub(crate) fn fill_header_checksum(header: &mut [u8]) {
    header[10..12].fill(0);
    let checksum = !fold(sum(header));
    header[10..12].copy_from_slice(&checksum.to_be_bytes());
}

/// The sum of RFC 1071 before folding.
fn sum(bytes: &[u8]) -> u64 {
    let word = |pair: &[u8]| u64::from(pair[0]) << 8 | u64::from(pair.get(1).copied().unwrap_or(0));
    bytes.chunks(2).map(word).sum()
}

fn fold(mut sum: u64) -> u16 {
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    sum as u16
}

#[test]
fn a_known_packet_has_its_known_bytes() {
    // RFC 1071 sums worked out by hand: an empty UDP datagram of 10.0.1.2.
    let line = Line::parse("10.0.1.2:4096 > 10.0.2.2:53 udp ttl=1 ipid=0").expect("a packet");
    let bytes = line.bytes([2; 6], [3; 6]);
    let header = "45 00 00 1c 00 00 00 00 01 11 a2 ce 0a 00 01 02 0a 00 02 02";
    let body = "10 00 00 35 00 08 d8 a5";
    let Ok(Line::Raw(expected)) = Line::parse(&format!("raw {header} {body}")) else {
        panic!("hex is understood")
    };
    assert_eq!(bytes[14..], expected);
    assert_eq!(fold(sum(&bytes[14..34])), 0xffff);
}

#[test]
fn a_fragment_is_a_piece_of_the_datagram() {
    let whole = Line::parse("10.0.1.2:7 > 10.0.2.2:7 udp len=24").expect("a packet");
    let piece = Line::parse("10.0.1.2:7 > 10.0.2.2:7 udp len=24 frag=9:8+16").expect("a packet");
    let (whole, piece) = (whole.bytes([2; 6], [3; 6]), piece.bytes([2; 6], [3; 6]));
    assert_eq!(piece[34..], whole[42..58]);
    assert_eq!(piece[20..22], [0, 1], "the offset counts eight bytes");
}
