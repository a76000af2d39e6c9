//! The straight way through the parser for what nearly every packet is: TCP or UDP, whole, behind a
//! plain IP header, with no TCP options or just timestamps.
//!
//! Everything else, and everything that looks wrong, goes to [`Packet::parse_slowly`], which gives
//! the same answer for these packets too. The descriptor is made in one place from values in
//! registers: a helper that takes it by reference, or that returns part of it, would make the
//! compiler build it in pieces and copy them.
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bytes::{be16, be32, chunk};
use crate::{Malformed, Options, Packet, Protocol, Tcp, Transport, Udp, Version, ipv4, ipv6};

/// Reads the IPv4 packet at `at`.
#[inline(always)]
pub(crate) fn v4(frame: &[u8], at: usize, vlans: u8) -> Result<Packet, Malformed> {
    let Some(header) = chunk::<{ ipv4::HEADER_LEN }>(frame, at) else {
        return Packet::parse_slowly(frame, at, vlans);
    };
    let total = usize::from(be16(header, ipv4::TOTAL_LENGTH));
    let flags = be16(header, ipv4::FLAGS);
    let plain = header[0] == 0x45 && flags & !ipv4::DONT_FRAGMENT == 0;
    if !plain || total < ipv4::HEADER_LEN || total > frame.len() - at {
        return Packet::parse_slowly(frame, at, vlans);
    }
    let transport = at + ipv4::HEADER_LEN;
    let end = at + total;
    let options = if flags == 0 { Options::NONE } else { Options::DONT_FRAGMENT };
    let packet = |protocol, body| Packet {
        ethertype: Version::V4.ethertype(),
        vlans,
        network: at as u32,
        transport: transport as u32,
        end: end as u32,
        version: Version::V4,
        protocol,
        source: IpAddr::V4(Ipv4Addr::from_bits(be32(header, ipv4::SOURCE))),
        destination: IpAddr::V4(Ipv4Addr::from_bits(be32(header, ipv4::DESTINATION))),
        hop_limit: header[ipv4::TTL],
        options,
        fragment: None,
        body,
    };
    finish(frame, Place { at, vlans, transport, end }, Protocol(header[ipv4::PROTOCOL]), packet)
}

/// Reads the IPv6 packet at `at`.
#[inline(always)]
pub(crate) fn v6(frame: &[u8], at: usize, vlans: u8) -> Result<Packet, Malformed> {
    let Some(header) = chunk::<{ ipv6::HEADER_LEN }>(frame, at) else {
        return Packet::parse_slowly(frame, at, vlans);
    };
    let transport = at + ipv6::HEADER_LEN;
    let end = transport + usize::from(be16(header, ipv6::PAYLOAD_LENGTH));
    if header[0] >> 4 != 6 || end > frame.len() {
        return Packet::parse_slowly(frame, at, vlans);
    }
    let packet = |protocol, body| Packet {
        ethertype: Version::V6.ethertype(),
        vlans,
        network: at as u32,
        transport: transport as u32,
        end: end as u32,
        version: Version::V6,
        protocol,
        source: address(header, ipv6::SOURCE),
        destination: address(header, ipv6::DESTINATION),
        hop_limit: header[ipv6::HOP_LIMIT],
        options: Options::NONE,
        fragment: None,
        body,
    };
    finish(frame, Place { at, vlans, transport, end }, Protocol(header[ipv6::NEXT_HEADER]), packet)
}

/// Where the parts of a packet are.
struct Place {
    at: usize,
    vlans: u8,
    transport: usize,
    end: usize,
}

/// Reads TCP or UDP and makes the descriptor.
#[inline(always)]
fn finish(
    frame: &[u8],
    Place { at, vlans, transport, end }: Place,
    protocol: Protocol,
    packet: impl Fn(Protocol, Transport) -> Packet,
) -> Result<Packet, Malformed> {
    match protocol {
        Protocol::TCP => {
            if let Some(tcp) = Tcp::parse_plain(&frame[..end], transport) {
                return Ok(packet(Protocol::TCP, Transport::Tcp(tcp)));
            }
        }
        Protocol::UDP => {
            if let Ok(udp) = Udp::parse(&frame[..end], transport, true) {
                return Ok(packet(Protocol::UDP, Transport::Udp(udp)));
            }
        }
        _ => {}
    }
    Packet::parse_slowly(frame, at, vlans)
}

#[inline(always)]
fn address(header: &[u8; ipv6::HEADER_LEN], at: usize) -> IpAddr {
    let mut octets = [0; 16];
    octets.copy_from_slice(&header[at..at + 16]);
    IpAddr::V6(Ipv6Addr::from(octets))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::vec::Vec;

    use proptest::prelude::*;

    use crate::build::Builder;
    use crate::{Packet, Protocol, Transport};

    /// What the straight way takes, and what just misses it.
    fn frames() -> Vec<Vec<u8>> {
        let v4 = Builder::v4([10, 0, 0, 1], [10, 0, 0, 2]);
        let v6 = Builder::v6([1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 4, 5, 6, 7, 9]);
        let starts = [
            v4,
            v4.dont_fragment().vlan(7),
            v6,
            v4.ip_options(&[1, 1, 1, 0]),
            v4.fragment(1, 0, true),
            v6.extension(Protocol::DESTINATION_OPTIONS, &[1, 4, 0, 0, 0, 0]),
        ];
        let with = |start: Builder<'static>| {
            let tcp = start.tcp(1, 2).seq(3).ack(4).payload(b"data");
            [tcp, tcp.timestamps(5, 6), tcp.mss(7), start.udp(8, 9).payload(b"data")]
                .map(|builder| builder.frame().to_vec())
        };
        starts.into_iter().flat_map(with).collect()
    }

    #[test]
    fn both_ways_read_whole_frames_alike() {
        for frame in frames() {
            let packet = Packet::parse(&frame).unwrap();
            assert_ne!(packet.body, Transport::None);
            let slow = Packet::parse_slowly(&frame, packet.network as usize, packet.vlans);
            assert_eq!(slow, Ok(packet));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn both_ways_give_one_answer(
            frame in prop::sample::select(frames()),
            changes in prop::collection::vec((14usize..90, any::<u8>()), 0..4),
            len in 14usize..100,
        ) {
            let mut frame = frame;
            for (at, value) in changes {
                let at = at % frame.len();
                frame[at] = value;
            }
            frame.resize(len.max(15), 0);
            for at in [14, 18] {
                let fast = Packet::parse_ip(&frame, at, 0);
                prop_assert_eq!(fast, Packet::parse_slowly(&frame, at as usize, 0));
            }
        }
    }
}
