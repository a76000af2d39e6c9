//! What a packet is besides its ends, and the slow way to write it with any.
use std::net::IpAddr;

use proptest::prelude::*;
use ringwall_wire::build::Builder;
use ringwall_wire::{Ends, Packet, Protocol, TcpFlags, Version, checksum, icmp, sctp};

use super::address;
use crate::samples::ROUTING_0;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tcp,
    Udp,
    UdpNoChecksum,
    Echo,
    EchoReply,
    OtherIcmp,
    Sctp,
    SctpNoChecksum,
    Gre,
    GreCall,
    Esp,
    /// A protocol that sums like UDP: DCCP, UDP-Lite.
    Summed(u8),
    Other,
}

#[derive(Clone, Debug)]
pub(super) struct Recipe {
    pub(super) version: Version,
    pub(super) kind: Kind,
    pub(super) data: Vec<u8>,
    pub(super) vlans: Vec<u16>,
    pub(super) hop_limit: u8,
    pub(super) traffic_class: u8,
    pub(super) id: u16,
    pub(super) dont_fragment: bool,
    /// IPv4: bytes of NOP options. IPv6: bits that choose extension headers.
    pub(super) options: u8,
    pub(super) numbers: (u32, u32),
    pub(super) padding: usize,
}

const KINDS: [Kind; 17] = [
    Kind::Tcp,
    Kind::Tcp,
    Kind::Tcp,
    Kind::Udp,
    Kind::Udp,
    Kind::UdpNoChecksum,
    Kind::Echo,
    Kind::EchoReply,
    Kind::OtherIcmp,
    Kind::Sctp,
    Kind::SctpNoChecksum,
    Kind::Gre,
    Kind::GreCall,
    Kind::Esp,
    Kind::Summed(33),
    Kind::Summed(136),
    Kind::Other,
];

pub(super) fn recipe() -> impl Strategy<Value = Recipe> {
    let link = (prop::collection::vec(1u16..4095, 0..3), 0usize..120);
    let ip = (any::<bool>(), 1u8.., any::<u8>(), any::<u16>(), any::<bool>());
    let options = prop_oneof![Just(0), any::<u8>()];
    let body = (
        prop::sample::select(KINDS.to_vec()),
        prop_oneof![
            4 => prop::collection::vec(any::<u8>(), 0..90),
            1 => prop::collection::vec(any::<u8>(), 1_180..1_500),
        ],
        any::<(u32, u32)>(),
    );
    (link, ip, options, body).prop_map(|(link, ip, options, body)| Recipe {
        version: if ip.0 { Version::V4 } else { Version::V6 },
        kind: body.0,
        data: body.1,
        vlans: if link.1 % 2 == 0 { Vec::new() } else { link.0 },
        hop_limit: ip.1,
        traffic_class: ip.2,
        id: ip.3,
        dont_fragment: ip.4,
        options,
        numbers: body.2,
        padding: link.1,
    })
}

/// Any ends of the version, as packets of the kind can have them.
pub(super) fn ends(version: Version, kind: Kind) -> impl Strategy<Value = Ends> {
    let v4 = version == Version::V4;
    (address(v4), address(v4), any::<(u16, u16)>()).prop_map(move |(from, to, ports)| {
        let ports = match kind {
            Kind::Tcp | Kind::Udp | Kind::UdpNoChecksum | Kind::Sctp | Kind::SctpNoChecksum => {
                ports
            }
            Kind::Echo | Kind::EchoReply => (ports.0, ports.0),
            Kind::GreCall => (0, ports.1),
            Kind::OtherIcmp | Kind::Gre | Kind::Esp | Kind::Summed(_) | Kind::Other => (0, 0),
        };
        Ends { source: (from, ports.0), destination: (to, ports.1) }
    })
}

impl Recipe {
    /// The frame, with all lengths and checksums from nothing.
    pub(super) fn build(&self, ends: &Ends) -> Vec<u8> {
        let nops = [1; 40];
        let start = Builder::new(ends.source.0, ends.destination.0);
        let start = self.vlans.iter().fold(start, |builder, vlan| builder.vlan(*vlan));
        let start = start.hop_limit(self.hop_limit).traffic_class(self.traffic_class);
        let start = match self.version {
            Version::V4 => {
                let start = start.id(self.id).ip_options(&nops[..usize::from(self.options) % 41]);
                if self.dont_fragment { start.dont_fragment() } else { start }
            }
            Version::V6 => self.extensions(start),
        };
        let builder = self.body(start, ends).payload(&self.data);
        let mut frame = builder.padded_to(self.padding).frame().to_vec();
        self.fill(&mut frame, ends);
        frame
    }

    fn extensions<'a>(&self, start: Builder<'a>) -> Builder<'a> {
        let table: [(Protocol, &'static [u8]); 5] = [
            (Protocol::HOP_BY_HOP, &[5, 2, 0, 0, 1, 0]),
            (Protocol::ROUTING, &ROUTING_0),
            (Protocol::FRAGMENT, &[]),
            (Protocol::AH, &[0; 22]),
            (Protocol::DESTINATION_OPTIONS, &[1, 4, 0, 0, 0, 0]),
        ];
        let chosen = table.iter().enumerate().filter(|(bit, _)| self.options >> bit & 1 != 0);
        chosen.fold(start, |builder, (_, (protocol, body))| match *protocol {
            Protocol::FRAGMENT => builder.fragment(9, 0, false),
            protocol => builder.extension(protocol, body),
        })
    }

    fn body<'a>(&self, start: Builder<'a>, ends: &Ends) -> Builder<'a> {
        let (from, to, (first, second)) = (ends.source.1, ends.destination.1, self.numbers);
        match self.kind {
            Kind::Tcp => {
                let flags = TcpFlags(if first & 3 == 0 { second as u8 } else { 0x10 });
                let tcp = start.tcp(from, to).seq(first).ack(second).flags(flags);
                if second & 1 == 0 { tcp.timestamps(second, first) } else { tcp }
            }
            Kind::Udp => start.udp(from, to),
            Kind::UdpNoChecksum => start.udp(from, to).without_checksum(),
            Kind::Echo => start.echo_request(from, second as u16),
            Kind::EchoReply => start.echo_reply(from, second as u16),
            Kind::OtherIcmp if self.version == Version::V4 => start.icmp(9, 0, first),
            Kind::OtherIcmp => start.icmp(icmp::v6::ROUTER_SOLICITATION, 0, first),
            Kind::Sctp | Kind::SctpNoChecksum => start.sctp(from, to, first),
            Kind::Gre => start.gre(0x0800, Some(first)),
            Kind::GreCall => start.gre_call(to, first),
            Kind::Esp => start.esp(first, second),
            Kind::Summed(protocol) => start.raw(Protocol(protocol)),
            Kind::Other => start.raw(Protocol::OSPF),
        }
    }

    /// The checksums that the builder does not know.
    fn fill(&self, frame: &mut [u8], ends: &Ends) {
        let packet = Packet::parse(frame).unwrap();
        let (at, end) = (packet.transport as usize, packet.end as usize);
        match self.kind {
            Kind::Sctp => {
                let sum = crc32c(&frame[at..end]).to_le_bytes();
                frame[at + sctp::CHECKSUM..][..4].copy_from_slice(&sum);
            }
            Kind::Summed(protocol) if self.data.len() >= 8 => {
                frame[at + 6..at + 8].fill(0);
                let last = ringwall_wire::ipv6::final_destination(frame, packet.network as usize);
                let last = last.filter(|_| self.version == Version::V6);
                let last = last.map_or(ends.destination.0, IpAddr::V6);
                let len = packet.transport_len();
                let pseudo = checksum::pseudo(ends.source.0, last, Protocol(protocol), len);
                let sum = checksum::finish(pseudo + checksum::sum(&frame[at..end]));
                let sum = if sum == 0 { 0xffff } else { sum };
                frame[at + 6..at + 8].copy_from_slice(&sum.to_be_bytes());
            }
            Kind::Summed(_)
            | Kind::Tcp
            | Kind::Udp
            | Kind::UdpNoChecksum
            | Kind::Echo
            | Kind::EchoReply
            | Kind::OtherIcmp
            | Kind::SctpNoChecksum
            | Kind::Gre
            | Kind::GreCall
            | Kind::Esp
            | Kind::Other => {}
        }
    }
}

/// RFC 9260 appendix A, bit by bit; the field counts as zero.
fn crc32c(packet: &[u8]) -> u32 {
    assert_eq!(packet[sctp::CHECKSUM..sctp::HEADER_LEN], [0; 4]);
    !packet.iter().fold(!0, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            crc >> 1 ^ if crc & 1 != 0 { 0x82f6_3b78 } else { 0 }
        })
    })
}
