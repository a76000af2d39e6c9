//! Frames for the XDP program. Checksums are zero: the program does not look at them.
#![allow(clippy::unwrap_used, dead_code)]

use std::net::IpAddr;

use super::{MAC, PEER_MAC};

/// An Ethernet frame to the host's port.
pub(crate) fn with_type(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&MAC[..], &PEER_MAC, &ethertype.to_be_bytes(), payload].concat()
}

pub(crate) fn arp() -> Vec<u8> {
    with_type(0x0806, &[0; 46])
}

/// A request (1) or a reply (2), about the address `target`.
pub(crate) fn arp_for(operation: u16, target: &str) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4];
    let sender = [&PEER_MAC[..], &octets("10.8.0.2")].concat();
    let asked = [&[0; 6][..], &octets(target), &[0; 18]].concat();
    with_type(0x0806, &[&head[..], &operation.to_be_bytes(), &sender, &asked].concat())
}

/// A neighbour solicitation for `target`, sent to `to`.
pub(crate) fn solicitation(to: &str, target: &str) -> Vec<u8> {
    let mac = [&[1, 1][..], &PEER_MAC].concat();
    ip6("fe80::2", to, 255, 58, &[&[135, 0, 0, 0, 0, 0, 0, 0][..], &octets(target), &mac].concat())
}

pub(crate) fn ip4(from: &str, to: &str, ttl: u8, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + payload.len()).unwrap().to_be_bytes();
    let header = [0x45, 0, length[0], length[1], 0, 1, 0, 0, ttl, protocol, 0, 0];
    with_type(0x0800, &[&header[..], &octets(from), &octets(to), payload].concat())
}

pub(crate) fn ip6(from: &str, to: &str, hop_limit: u8, next: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let header = [0x60, 0, 0, 0, length[0], length[1], next, hop_limit];
    with_type(0x86dd, &[&header[..], &octets(from), &octets(to), payload].concat())
}

pub(crate) fn udp4(from: &str, to: &str, source: u16, destination: u16) -> Vec<u8> {
    ip4(from, to, 64, 17, &udp_header(source, destination))
}

pub(crate) fn udp6(from: &str, to: &str, source: u16, destination: u16) -> Vec<u8> {
    ip6(from, to, 64, 17, &udp_header(source, destination))
}

/// By the addresses' family.
pub(crate) fn udp(from: &str, to: &str, source: u16, destination: u16) -> Vec<u8> {
    let make = if from.contains(':') { udp6 } else { udp4 };
    make(from, to, source, destination)
}

pub(crate) fn tcp4(from: &str, to: &str, source: u16, destination: u16, flags: u8) -> Vec<u8> {
    ip4(from, to, 64, 6, &tcp_header(source, destination, flags))
}

pub(crate) fn tcp6(from: &str, to: &str, source: u16, destination: u16, flags: u8) -> Vec<u8> {
    ip6(from, to, 64, 6, &tcp_header(source, destination, flags))
}

/// By the addresses' family.
pub(crate) fn tcp(from: &str, to: &str, source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let make = if from.contains(':') { tcp6 } else { tcp4 };
    make(from, to, source, destination, flags)
}

pub(crate) fn icmp4(from: &str, to: &str, kind: u8, code: u8) -> Vec<u8> {
    ip4(from, to, 64, 1, &[kind, code, 0, 0, 0, 0, 0, 0])
}

pub(crate) fn icmp6(from: &str, to: &str, hop_limit: u8, kind: u8) -> Vec<u8> {
    ip6(from, to, hop_limit, 58, &[&[kind, 0, 0, 0][..], &[0; 20]].concat())
}

/// Puts extension headers, each with its own number, between an IPv6 header and its payload. The
/// bytes of each name the next one.
pub(crate) fn with_extensions(frame: &[u8], headers: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let (fixed, payload) = frame.split_at(54);
    let mut frame = fixed.to_vec();
    let last = frame[20];
    frame[20] = headers[0].0;
    for (index, (_, bytes)) in headers.iter().enumerate() {
        let start = frame.len();
        frame.extend_from_slice(bytes);
        frame[start] = headers.get(index + 1).map_or(last, |(number, _)| *number);
    }
    frame.extend_from_slice(payload);
    let length = u16::try_from(frame.len() - 54).unwrap();
    frame[18..20].copy_from_slice(&length.to_be_bytes());
    frame
}

/// Puts options into an IPv4 header; their length must be a multiple of 4.
pub(crate) fn with_options(frame: &[u8], options: &[u8]) -> Vec<u8> {
    let (fixed, payload) = frame.split_at(34);
    let mut frame = [fixed, options, payload].concat();
    frame[14] = 0x45 + u8::try_from(options.len() / 4).unwrap();
    let length = u16::try_from(frame.len() - 14).unwrap();
    frame[16..18].copy_from_slice(&length.to_be_bytes());
    frame
}

fn udp_header(source: u16, destination: u16) -> Vec<u8> {
    [source, destination, 8, 0].iter().flat_map(|word| word.to_be_bytes()).collect()
}

fn tcp_header(source: u16, destination: u16, flags: u8) -> Vec<u8> {
    let ports = [source, destination].map(u16::to_be_bytes).concat();
    [&ports[..], &[0, 0, 0, 1, 0, 0, 0, 1, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]].concat()
}

fn octets(text: &str) -> Vec<u8> {
    match text.parse().unwrap() {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}
