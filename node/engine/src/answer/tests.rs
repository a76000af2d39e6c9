#![allow(clippy::unwrap_used, clippy::unwrap_in_result)]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::icmpv4::{DestUnreachableHeader, TimeExceededCode as TimeV4};
use etherparse::icmpv6::{DestUnreachableCode, TimeExceededCode as TimeV6};
use etherparse::{
    Icmpv4Type, Icmpv6Type, NetSlice, PacketBuilder, PacketBuilderStep, SlicedPacket, TcpHeader,
    TransportSlice,
};
use proptest::prelude::*;
use wire::TcpFlags;

use super::*;
use crate::limits::ANSWER_FRAME_BYTES;

const HOST: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PORT: [u8; 6] = [2, 0, 0, 0, 0, 2];
const A4: [u8; 4] = [10, 0, 0, 7];
const B4: [u8; 4] = [203, 0, 113, 9];
const OWN4: [u8; 4] = [10, 0, 0, 1];
const A6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 7];
const B6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9];
const OWN6: [u8; 16] = [0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/// Segment in, segment out: flags, sequence and acknowledgment of RFC 9293 §3.10.7.1.
#[test]
fn a_reset_fits_its_segment() {
    // (flags, sequence, acknowledgment, data) of the segment; (sequence, acknowledgment) of the
    // reset.
    let rows = [
        (TcpFlags::SYN, 1_000, 0, 0, (0, Some(1_001))),
        (TcpFlags::SYN, u32::MAX, 0, 0, (0, Some(0))),
        (TcpFlags::SYN, 1_000, 0, 10, (0, Some(1_011))),
        (TcpFlags::SYN | TcpFlags::FIN, 1_000, 0, 3, (0, Some(1_005))),
        (TcpFlags::NONE, 1_000, 77, 4, (0, Some(1_004))),
        (TcpFlags::ACK, 1_000, 5_000, 4, (5_000, None)),
        (TcpFlags::SYN | TcpFlags::ACK, 1_000, 5_000, 0, (5_000, None)),
        (TcpFlags::FIN | TcpFlags::ACK, 1_000, 5_000, 0, (5_000, None)),
    ];
    for version in [Version::V4, Version::V6] {
        for (flags, sequence, acknowledgment, data, want) in rows {
            let frame = segment(version, flags, sequence, acknowledgment, data);
            let answer = written(Answer::Reset, &frame);
            let sliced = SlicedPacket::from_ethernet(&answer).unwrap();
            let tcp = tcp_of(&sliced);
            let acked = tcp.ack.then_some(tcp.acknowledgment_number);
            assert_eq!((tcp.sequence_number, acked), want, "{version} {flags:?}");
            assert!(tcp.rst && !tcp.syn && !tcp.fin && !tcp.psh);
            assert_eq!((tcp.source_port, tcp.destination_port), (443, 50_000));
            assert_eq!((tcp.window_size, tcp.options.len()), (0, 0));
            check_ip(&sliced, destination_of(version), 0);
            check_link(&sliced);
        }
    }
}

#[test]
fn errors_have_their_type_and_code_in_ipv4() {
    let rows = [
        (unreachable(Unreachable::Route), DestUnreachableHeader::Network),
        (unreachable(Unreachable::Host), DestUnreachableHeader::Host),
        (unreachable(Unreachable::Port), DestUnreachableHeader::Port),
        (unreachable(Unreachable::Prohibited), DestUnreachableHeader::FilterProhibited),
        (Answer::TooBig { mtu: 1_400 }, needed(1_400)),
        (Answer::TooBig { mtu: 20 }, needed(68)),
        (Answer::TooBig { mtu: 100_000 }, needed(65_535)),
    ];
    for (answer, want) in rows {
        check_v4(answer, Icmpv4Type::DestinationUnreachable(want));
    }
    check_v4(Answer::HopLimit, Icmpv4Type::TimeExceeded(TimeV4::TtlExceededInTransit));
    let reassembly = TimeV4::FragmentReassemblyTimeExceeded;
    check_v4(Answer::Reassembly, Icmpv4Type::TimeExceeded(reassembly));
}

#[test]
fn errors_have_their_type_and_code_in_ipv6() {
    let rows = [
        (unreachable(Unreachable::Route), DestUnreachableCode::NoRoute),
        (unreachable(Unreachable::Host), DestUnreachableCode::Address),
        (unreachable(Unreachable::Port), DestUnreachableCode::Port),
        (unreachable(Unreachable::Prohibited), DestUnreachableCode::Prohibited),
    ];
    for (answer, want) in rows {
        check_v6(answer, Icmpv6Type::DestinationUnreachable(want));
    }
    check_v6(Answer::TooBig { mtu: 1_400 }, Icmpv6Type::PacketTooBig { mtu: 1_400 });
    check_v6(Answer::TooBig { mtu: 20 }, Icmpv6Type::PacketTooBig { mtu: 1_280 });
    check_v6(Answer::TooBig { mtu: 100_000 }, Icmpv6Type::PacketTooBig { mtu: 100_000 });
    check_v6(Answer::HopLimit, Icmpv6Type::TimeExceeded(TimeV6::HopLimitExceeded));
    let reassembly = TimeV6::FragmentReassemblyTimeExceeded;
    check_v6(Answer::Reassembly, Icmpv6Type::TimeExceeded(reassembly));
}

#[test]
fn a_long_packet_is_quoted_up_to_the_limit() {
    for (version, most) in [(Version::V4, 576), (Version::V6, 1_280)] {
        for data in [0, 1, 500, 520, 521, 1_191, 1_192, 1_193, 1_400] {
            let frame = datagram(version, data);
            let answer = written(Answer::HopLimit, &frame);
            let header = match version {
                Version::V4 => 28,
                Version::V6 => 48,
            };
            let datagram = &frame[14..];
            let quoted = datagram.len().min(most - header);
            assert_eq!(answer.len() - 14, header + quoted, "{version} {data}");
            assert_eq!(answer[14 + header..], datagram[..quoted], "{version} {data}");
            check_error(version, &answer);
        }
    }
}

#[test]
fn ethernet_padding_is_not_quoted() {
    let mut frame = datagram(Version::V4, 1);
    let length = frame.len();
    frame.resize(60, 0xaa);
    assert_eq!(written(Answer::HopLimit, &frame).len(), 14 + 28 + (length - 14));
}

#[test]
fn vlan_tags_lead_the_answer_back() {
    let plain = datagram(Version::V6, 5);
    let mut frame = plain[..12].to_vec();
    frame.extend([0x88, 0xa8, 0, 100, 0x81, 0, 0, 200]);
    frame.extend(&plain[12..]);
    let answer = written(Answer::HopLimit, &frame);
    assert_eq!(answer[..6], HOST);
    assert_eq!(answer[6..12], PORT);
    assert_eq!(answer[12..22], frame[12..22]);
    let packet = Packet::parse(&answer).unwrap();
    assert_eq!((packet.vlans, packet.is_icmp_error()), (2, true));
    assert!(wire::checksum::transport_checksum_ok(&answer, &packet));
}

#[test]
fn a_capture_without_ethernet_is_answered_too() {
    let frame = &segment(Version::V4, TcpFlags::SYN, 1, 0, 0)[14..];
    let packet = Packet::parse_ip(frame, 0, 0).unwrap();
    let mut out = [0; ANSWER_FRAME_BYTES];
    let length = Answer::Reset.write(frame, &packet, OWN4.into(), &mut out).unwrap();
    assert_eq!(length, 40);
    let answer = Packet::parse_ip(&out[..length], 0, 0).unwrap();
    assert_eq!((answer.source, answer.destination), (B4.into(), A4.into()));
}

#[test]
fn the_longest_answer_fits_the_named_buffer() {
    let plain = datagram(Version::V6, 1_400);
    let mut frame = plain[..12].to_vec();
    frame.extend([0x81, 0, 0, 100, 0x81, 0, 0, 200]);
    frame.extend(&plain[12..]);
    assert_eq!(written(Answer::HopLimit, &frame).len(), ANSWER_FRAME_BYTES);
    let packet = Packet::parse(&frame).unwrap();
    let mut short = [0; ANSWER_FRAME_BYTES - 1];
    let refused = Answer::HopLimit.write(&frame, &packet, OWN6.into(), &mut short);
    assert_eq!(refused, Err(Mute::NoRoom));
}

#[test]
fn a_source_of_the_other_version_is_refused() {
    let mut out = [0; ANSWER_FRAME_BYTES];
    for (version, source) in [(Version::V4, OWN6.into()), (Version::V6, IpAddr::from(OWN4))] {
        let frame = datagram(version, 5);
        let packet = Packet::parse(&frame).unwrap();
        let refused = Answer::HopLimit.write(&frame, &packet, source, &mut out);
        assert_eq!(refused, Err(Mute::NoSource));
    }
}

#[test]
fn reject_is_a_reset_for_tcp_and_prohibited_for_the_rest() {
    let rejected = |frame: &[u8]| Answer::reject(&Packet::parse(frame).unwrap());
    assert_eq!(rejected(&segment(Version::V4, TcpFlags::SYN, 1, 0, 0)), Answer::Reset);
    assert_eq!(rejected(&datagram(Version::V6, 5)), unreachable(Unreachable::Prohibited));
}

#[test]
fn nothing_is_said_about_icmp_errors_and_redirects() {
    for kind in [3, 4, 5, 11, 12] {
        assert_eq!(refusal(Answer::HopLimit, &icmp4(kind)), Err(Mute::IcmpError), "v4 {kind}");
    }
    for kind in [1, 2, 3, 4, 100, 127, 137] {
        assert_eq!(refusal(Answer::HopLimit, &icmp6(kind)), Err(Mute::IcmpError), "v6 {kind}");
    }
    assert_eq!(refusal(Answer::HopLimit, &icmp4(8)), Ok(()));
    assert_eq!(refusal(Answer::HopLimit, &icmp6(128)), Ok(()));
}

#[test]
fn nothing_is_said_about_later_fragments() {
    let mut frame = datagram(Version::V4, 64);
    frame[20..22].copy_from_slice(&[0x20, 0]);
    assert_eq!(refusal(Answer::Reassembly, &frame), Ok(()), "the first one");
    frame[20..22].copy_from_slice(&[0, 8]);
    assert_eq!(refusal(Answer::HopLimit, &frame), Err(Mute::Fragment));
    let mut frame = segment(Version::V4, TcpFlags::SYN, 1, 0, 64);
    frame[20..22].copy_from_slice(&[0x20, 0]);
    assert_eq!(refusal(Answer::Reset, &frame), Err(Mute::Fragment), "its length is not known");
}

#[test]
fn nothing_is_said_to_groups() {
    let multicast: Ipv6Addr = "ff0e::1".parse().unwrap();
    for (destination, version) in [
        (&[224, 0, 0, 5][..], Version::V4),
        (&[255, 255, 255, 255], Version::V4),
        (&multicast.octets(), Version::V6),
    ] {
        let frame = with_destination(datagram(version, 5), destination);
        assert_eq!(refusal(Answer::HopLimit, &frame), Err(Mute::GroupDestination));
    }
    for first in [1, 0xff] {
        let mut frame = datagram(Version::V4, 5);
        frame[0] = first;
        assert_eq!(refusal(Answer::HopLimit, &frame), Err(Mute::GroupFrame));
        frame[0] = HOST[0];
        frame[6] = first;
        assert_eq!(refusal(Answer::HopLimit, &frame), Err(Mute::GroupFrame));
    }
}

#[test]
fn only_packet_too_big_is_said_about_multicast() {
    let multicast: Ipv6Addr = "ff0e::1".parse().unwrap();
    let mut frame = with_destination(datagram(Version::V6, 5), &multicast.octets());
    frame[..6].copy_from_slice(&[0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!(refusal(Answer::TooBig { mtu: 1_280 }, &frame), Ok(()));
    assert_eq!(refusal(unreachable(Unreachable::Route), &frame), Err(Mute::GroupFrame));
    let frame = with_destination(datagram(Version::V4, 5), &[224, 0, 0, 5]);
    assert_eq!(refusal(Answer::TooBig { mtu: 1_280 }, &frame), Err(Mute::GroupDestination));
}

#[test]
fn nothing_is_said_to_sources_that_name_no_host() {
    for source in ["0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"] {
        let source: Ipv4Addr = source.parse().unwrap();
        let frame = with_source(datagram(Version::V4, 5), &source.octets());
        assert_eq!(refusal(Answer::HopLimit, &frame), Err(Mute::SourceInvalid), "{source}");
    }
    for source in ["::", "::1", "ff02::1"] {
        let source: Ipv6Addr = source.parse().unwrap();
        let frame = with_source(datagram(Version::V6, 5), &source.octets());
        assert_eq!(refusal(Answer::HopLimit, &frame), Err(Mute::SourceInvalid), "{source}");
    }
}

#[test]
fn a_reset_is_never_answered_and_never_said_about_other_protocols() {
    let reset = segment(Version::V4, TcpFlags::RST, 1, 0, 0);
    assert_eq!(refusal(Answer::Reset, &reset), Err(Mute::ResetToReset));
    let reset = segment(Version::V6, TcpFlags::RST | TcpFlags::ACK, 1, 5, 0);
    assert_eq!(refusal(Answer::Reset, &reset), Err(Mute::ResetToReset));
    assert_eq!(refusal(Answer::Reset, &datagram(Version::V4, 5)), Err(Mute::NotTcp));
    assert_eq!(refusal(Answer::HopLimit, &reset), Ok(()));
}

#[test]
fn a_source_routed_segment_gets_no_reset() {
    let frame = segment(Version::V4, TcpFlags::SYN, 1, 0, 0);
    let mut routed = frame[..34].to_vec();
    routed.extend([131, 7, 4, 10, 0, 0, 9, 0]); // loose source route, end of list
    routed.extend(&frame[34..]);
    routed[14] = 0x47;
    routed[17] += 8;
    assert_eq!(refusal(Answer::Reset, &routed), Err(Mute::SourceRouted));
    assert_eq!(refusal(Answer::HopLimit, &routed), Ok(()));
}

proptest! {
    /// Whatever parses is answered with a sound packet to its source, or not at all; and no answer
    /// is itself answered.
    #[test]
    fn answers_are_sound_and_end_the_talk(
        version in prop_oneof![Just(Version::V4), Just(Version::V6)],
        flags in any::<u8>(),
        data in 0usize..1_500,
        change in proptest::collection::vec((0usize..70, any::<u8>()), 0..4),
        of in 0usize..5,
    ) {
        let mut frame = match flags % 2 {
            0 => segment(version, TcpFlags(flags), 7, 9, data),
            _ => datagram(version, data),
        };
        for (at, byte) in change {
            let at = at % frame.len().min(54);
            frame[at] = byte;
        }
        let Ok(packet) = Packet::parse(&frame) else { return Ok(()) };
        let host = unreachable(Unreachable::Host);
        let too_big = Answer::TooBig { mtu: 1_300 };
        let answer = [Answer::Reset, host, Answer::HopLimit, Answer::Reassembly, too_big][of];
        let mut out = [0; ANSWER_FRAME_BYTES];
        let Ok(length) = answer.write(&frame, &packet, own(packet.version), &mut out) else {
            return Ok(());
        };
        let back = Packet::parse(&out[..length]).unwrap();
        prop_assert_eq!(back.destination, packet.source);
        prop_assert!(wire::checksum::ipv4_header_checksum_ok(&out[..length], &back));
        prop_assert!(wire::checksum::transport_checksum_ok(&out[..length], &back));
        let again = Answer::reject(&back).may(&out[..length], &back);
        prop_assert!(again.is_err(), "{:?}", again);
    }
}

fn unreachable(why: Unreachable) -> Answer {
    Answer::Unreachable(why)
}

fn needed(next_hop_mtu: u16) -> DestUnreachableHeader {
    DestUnreachableHeader::FragmentationNeeded { next_hop_mtu }
}

fn own(version: Version) -> IpAddr {
    match version {
        Version::V4 => OWN4.into(),
        Version::V6 => OWN6.into(),
    }
}

fn destination_of(version: Version) -> IpAddr {
    match version {
        Version::V4 => B4.into(),
        Version::V6 => B6.into(),
    }
}

fn source_of(version: Version) -> IpAddr {
    match version {
        Version::V4 => A4.into(),
        Version::V6 => A6.into(),
    }
}

fn ip(version: Version) -> PacketBuilderStep<etherparse::IpHeaders> {
    match version {
        Version::V4 => PacketBuilder::ethernet2(HOST, PORT).ipv4(A4, B4, 17),
        Version::V6 => PacketBuilder::ethernet2(HOST, PORT).ipv6(A6, B6, 17),
    }
}

fn datagram(version: Version, data: usize) -> Vec<u8> {
    let payload: Vec<u8> = (0..data).map(|n| n as u8).collect();
    let mut frame = Vec::new();
    ip(version).udp(50_000, 53).write(&mut frame, &payload).unwrap();
    frame
}

fn segment(version: Version, flags: TcpFlags, sequence: u32, ack: u32, data: usize) -> Vec<u8> {
    let mut header = TcpHeader::new(50_000, 443, sequence, 1_000);
    header.acknowledgment_number = ack;
    header.fin = flags.contains(TcpFlags::FIN);
    header.syn = flags.contains(TcpFlags::SYN);
    header.rst = flags.contains(TcpFlags::RST);
    header.ack = flags.contains(TcpFlags::ACK);
    let mut frame = Vec::new();
    ip(version).tcp_header(header).write(&mut frame, &vec![7; data]).unwrap();
    frame
}

fn icmp4(kind: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    let quoted = datagram(Version::V4, 20);
    ip(Version::V4).icmpv4_raw(kind, 0, [0; 4]).write(&mut frame, &quoted[14..]).unwrap();
    frame
}

fn icmp6(kind: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    let quoted = datagram(Version::V6, 20);
    ip(Version::V6).icmpv6_raw(kind, 0, [0; 4]).write(&mut frame, &quoted[14..]).unwrap();
    frame
}

fn with_source(mut frame: Vec<u8>, address: &[u8]) -> Vec<u8> {
    let at = if address.len() == 4 { 14 + 12 } else { 14 + 8 };
    frame[at..at + address.len()].copy_from_slice(address);
    frame
}

fn with_destination(mut frame: Vec<u8>, address: &[u8]) -> Vec<u8> {
    let at = if address.len() == 4 { 14 + 16 } else { 14 + 24 };
    frame[at..at + address.len()].copy_from_slice(address);
    frame
}

fn refusal(answer: Answer, frame: &[u8]) -> Result<(), Mute> {
    answer.may(frame, &Packet::parse(frame).unwrap())
}

fn written(answer: Answer, frame: &[u8]) -> Vec<u8> {
    let packet = Packet::parse(frame).unwrap();
    let mut out = vec![0xee; ANSWER_FRAME_BYTES];
    let length = answer.write(frame, &packet, own(packet.version), &mut out).unwrap();
    out.truncate(length);
    out
}

fn check_v4(answer: Answer, want: Icmpv4Type) {
    let answer = written(answer, &datagram(Version::V4, 30));
    let sliced = SlicedPacket::from_ethernet(&answer).unwrap();
    let Some(TransportSlice::Icmpv4(icmp)) = &sliced.transport else { panic!("{sliced:?}") };
    assert_eq!(icmp.icmp_type(), want);
    assert_eq!(icmp.header().checksum, want.calc_checksum(icmp.payload()));
    check_error(Version::V4, &answer);
}

fn check_v6(answer: Answer, want: Icmpv6Type) {
    let answer = written(answer, &datagram(Version::V6, 30));
    let sliced = SlicedPacket::from_ethernet(&answer).unwrap();
    let Some(TransportSlice::Icmpv6(icmp)) = &sliced.transport else { panic!("{sliced:?}") };
    assert_eq!(icmp.icmp_type(), want);
    let checksum = want.calc_checksum(OWN6, A6, icmp.payload()).unwrap();
    assert_eq!(icmp.header().checksum, checksum);
    check_error(Version::V6, &answer);
}

fn check_error(version: Version, answer: &[u8]) {
    let sliced = SlicedPacket::from_ethernet(answer).unwrap();
    let class = if version == Version::V4 { 0xc0 } else { 0 };
    check_ip(&sliced, own(version), class);
    check_link(&sliced);
    let packet = Packet::parse(answer).unwrap();
    assert!(wire::checksum::transport_checksum_ok(answer, &packet));
    let quoted = Packet::parse_embedded(answer, &packet).unwrap();
    let want = (source_of(version), destination_of(version));
    assert_eq!((quoted.source, quoted.destination), want);
}

fn check_link(sliced: &SlicedPacket<'_>) {
    let Some(etherparse::LinkSlice::Ethernet2(link)) = &sliced.link else { panic!("{sliced:?}") };
    assert_eq!((link.destination(), link.source()), (HOST, PORT));
}

fn check_ip(sliced: &SlicedPacket<'_>, source: IpAddr, class: u8) {
    match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!((IpAddr::from(header.source), header.destination), (source, A4));
            assert_eq!((header.time_to_live, header.identification), (64, 0));
            assert!(header.dont_fragment && !header.more_fragments);
            assert_eq!((header.dscp.value() << 2) | header.ecn.value(), class);
        }
        NetSlice::Ipv6(ip) => {
            let header = ip.header().to_header();
            assert_eq!((IpAddr::from(header.source), header.destination), (source, A6));
            assert_eq!((header.hop_limit, header.traffic_class), (64, class));
        }
        NetSlice::Arp(_) => panic!("{sliced:?}"),
    }
}

fn tcp_of(sliced: &SlicedPacket<'_>) -> TcpHeader {
    let Some(TransportSlice::Tcp(tcp)) = &sliced.transport else { panic!("{sliced:?}") };
    let header = tcp.to_header();
    let checksum = match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => header.calc_checksum_ipv4(&ip.header().to_header(), tcp.payload()),
        NetSlice::Ipv6(ip) => header.calc_checksum_ipv6(&ip.header().to_header(), tcp.payload()),
        NetSlice::Arp(_) => panic!("{sliced:?}"),
    };
    assert_eq!(header.checksum, checksum.unwrap());
    header
}
