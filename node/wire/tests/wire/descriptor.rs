//! What the descriptor says of known frames.
use std::net::{IpAddr, Ipv4Addr};

use ringwall_wire::build::Builder;
use ringwall_wire::{
    Fragment, Options, Packet, Protocol, Seq, TcpFlags, Transport, Version, ethernet, icmp,
};

use crate::samples::{CLIENT, SERVER, all, sample, v4, v6};

fn parse(name: &str) -> Packet {
    Packet::parse(&sample(name)).unwrap()
}

#[test]
fn every_sample_is_good() {
    for (name, frame) in all() {
        let packet = Packet::parse(&frame).unwrap_or_else(|error| panic!("{name}: {error}"));
        let padding = if name == "tcp4-padded" { 6 } else { 0 };
        assert_eq!(packet.end as usize + padding, frame.len(), "{name}");
        let bare = Packet::parse_ip(&frame, packet.network, packet.vlans);
        assert_eq!(bare, Ok(packet), "{name}");
    }
}

#[test]
fn a_syn_says_all_it_offers() {
    let packet = parse("tcp4-syn");
    assert_eq!((packet.network, packet.transport, packet.end), (14, 34, 14 + 20 + 44));
    assert_eq!((packet.version, packet.ethertype, packet.vlans), (Version::V4, 0x0800, 0));
    assert_eq!(packet.source, IpAddr::V4(Ipv4Addr::from(CLIENT)));
    assert_eq!(packet.destination, IpAddr::V4(Ipv4Addr::from(SERVER)));
    assert_eq!((packet.protocol, packet.hop_limit), (Protocol::TCP, 64));
    assert!(packet.options.is_empty() && packet.fragment.is_none());
    let Transport::Tcp(tcp) = packet.body else { panic!("{:?}", packet.body) };
    assert_eq!((tcp.source_port, tcp.destination_port), (40_000, 443));
    assert_eq!((tcp.sequence, tcp.acknowledgment), (Seq(1), Seq(0)));
    assert_eq!((tcp.flags, tcp.window, tcp.urgent), (TcpFlags::SYN, 65_535, 0));
    assert_eq!((tcp.header_len, tcp.payload_len, tcp.segment_len()), (44, 0, 1));
    assert_eq!((tcp.mss, tcp.window_scale, tcp.sack_permitted), (Some(1460), Some(7), true));
    assert_eq!((tcp.timestamps, tcp.fast_open), (Some((7, 0)), false));
    assert!(tcp.sack.is_empty() && tcp.sack.highest().is_none());
}

#[test]
fn tcp_options_are_read_in_any_order() {
    let tcp = |options: &[u8]| {
        let frame = v4().tcp(1, 2).tcp_option(options).frame();
        let Transport::Tcp(tcp) = Packet::parse(&frame).unwrap().body else { panic!() };
        tcp
    };
    assert_eq!(tcp(&[8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 1, 1]).timestamps, Some((1, 2)));
    assert_eq!(tcp(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2]).timestamps, Some((1, 2)));
    let longer = tcp(&[1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2, 2, 4, 1, 0]);
    assert_eq!((longer.timestamps, longer.mss), (Some((1, 2)), Some(256)));
    assert_eq!(tcp(&[3, 3, 15, 0]).window_scale, Some(14), "RFC 7323 §2.3");
    assert_eq!(tcp(&[0, 3, 3, 9]).window_scale, None, "nothing counts after the end of the list");
    assert!(tcp(&[34, 2, 0, 0]).fast_open);
    assert!(tcp(&[34, 10, 1, 2, 3, 4, 5, 6, 7, 8]).fast_open);
    assert!(tcp(&[254, 4, 0xf9, 0x89]).fast_open);
    assert!(!tcp(&[254, 4, 0xf9, 0x88]).fast_open);
    assert_eq!(tcp(&[77, 4, 0, 0, 2, 4, 5, 0xb4]).mss, Some(1460), "unknown ones are passed over");
}

#[test]
fn sack_blocks_know_their_highest_edge_across_the_wrap() {
    let Transport::Tcp(tcp) = parse("tcp4-sack").body else { panic!() };
    assert_eq!(tcp.sack.as_slice(), [(Seq(20), Seq(30)), (Seq(40), Seq(50))]);
    assert_eq!((tcp.sack.highest(), tcp.timestamps), (Some(Seq(50)), Some((1, 2))));
    let wrapped = v4().tcp(1, 2).sack(&[(5, 10), (u32::MAX - 20, u32::MAX - 10)]).frame();
    let Transport::Tcp(tcp) = Packet::parse(&wrapped).unwrap().body else { panic!() };
    assert_eq!(tcp.sack.highest(), Some(Seq(10)));
}

#[test]
fn sequence_numbers_wrap() {
    let (low, high) = (Seq(u32::MAX - 1), Seq(3));
    assert!(low.lt(high) && low.le(high) && high.gt(low) && high.ge(low));
    assert!(low.le(low) && low.ge(low) && !low.lt(low) && !low.gt(low));
    assert_eq!((low + 5, high - 5u32, high - low, low - high), (high, low, 5, -5));
    assert_eq!((low.max(high), high.max(low), low.min(high)), (high, high, low));
    let mut next = low;
    next += 2;
    assert_eq!(next, Seq(0));
}

#[test]
fn tags_and_padding_are_passed_over() {
    let padded = parse("tcp4-padded");
    assert_eq!((padded.end, padded.ip_len(), padded.payload_len()), (54, 40, 0));
    let qinq = parse("tcp4-qinq");
    assert_eq!((qinq.vlans, qinq.network, qinq.transport), (2, 22, 42));
    let frame = sample("tcp4-vlan");
    assert_eq!(ethernet::vlan_id(&frame), Some(10));
    assert_eq!(ethernet::vlan_id(&sample("udp4")), None);
    assert_eq!(ethernet::addresses(&frame), Some(([2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 1])));
}

#[test]
fn ipv4_flags_and_options_are_found() {
    assert_eq!(parse("tcp4-data").options, Options::DONT_FRAGMENT);
    let found = Options::IPV4_OPTIONS | Options::ROUTER_ALERT;
    assert_eq!(parse("udp4-options").options, found);
    assert_eq!(format!("{found:?}"), r#"{"ipv4-options", "router-alert"}"#);
    let with =
        |options| Packet::parse(&v4().ip_options(options).udp(1, 2).frame()).unwrap().options;
    assert!(with(&[131, 7, 4, 1, 2, 3, 4]).contains(Options::SOURCE_ROUTE));
    assert!(with(&[1, 137, 7, 4, 1, 2, 3, 4]).contains(Options::SOURCE_ROUTE));
    assert!(with(&[7, 7, 4, 1, 2, 3, 4]).contains(Options::RECORD_ROUTE));
    assert!(with(&[68, 8, 5, 0, 1, 2, 3, 4]).contains(Options::TIMESTAMP));
    assert!(with(&[130, 3, 0, 136, 4, 0, 1]).contains(Options::SECURITY | Options::STREAM));
    assert_eq!(with(&[0, 131, 7, 4]), Options::IPV4_OPTIONS, "nothing counts after the end");
    let mut reserved = sample("udp4").to_vec();
    reserved[20] |= 0x80;
    assert_eq!(Packet::parse(&reserved).unwrap().options, Options::RESERVED_FLAG);
    assert_eq!(parse("ah4").options, Options::AH);
    assert_eq!((parse("ah4").protocol, parse("ah4").body), (Protocol::AH, Transport::Other));
}

#[test]
fn the_chain_of_extension_headers_is_followed() {
    let packet = parse("tcp6-chain");
    let found = Options::HOP_BY_HOP
        | Options::ROUTER_ALERT
        | Options::ROUTING
        | Options::ATOMIC_FRAGMENT
        | Options::AH
        | Options::DESTINATION_OPTIONS;
    assert_eq!((packet.options, packet.protocol), (found, Protocol::TCP));
    assert_eq!(packet.transport, 14 + 40 + 8 + 8 + 8 + 24 + 8);
    assert_eq!((packet.fragment, packet.ports()), (None, Some((40_000, 443))));
    let routed = parse("udp6-routing-0").options;
    assert_eq!(routed, Options::ROUTING | Options::ROUTING_0 | Options::SEGMENTS_LEFT);
    assert_eq!(parse("udp6-atomic-fragment").options, Options::ATOMIC_FRAGMENT);
    let none = parse("no-next-header6");
    assert_eq!((none.protocol, none.body), (Protocol::NO_NEXT_HEADER, Transport::None));
}

#[test]
fn two_atomic_fragment_headers_are_passed_over() {
    let frame = v6().fragment(1, 0, false).fragment(2, 0, false).udp(7, 8).frame();
    let packet = Packet::parse(&frame).unwrap();
    assert_eq!((packet.fragment, packet.ports()), (None, Some((7, 8))));
}

#[test]
fn a_fragment_knows_its_place() {
    let fragment = |name| parse(name).fragment.unwrap();
    let v4 = |offset, more| Fragment { id: 0x77, offset, more, header: 14 };
    assert_eq!(fragment("fragment4-first"), v4(0, true));
    assert_eq!(fragment("fragment4-middle"), v4(16, true));
    assert_eq!(fragment("fragment4-last"), v4(24, false));
    let last = Fragment { id: 0x0001_0077, offset: 16, more: false, header: 54 };
    assert_eq!(fragment("fragment6-last"), last);
    let first = parse("fragment6-first");
    assert_eq!((first.protocol, first.ports()), (Protocol::UDP, Some((5000, 53))));
    assert_eq!((first.transport, first.payload_len()), (62, 8));
    let later = parse("fragment6-last");
    assert_eq!((later.protocol, later.body), (Protocol::UDP, Transport::None));
    assert!(later.is_later_fragment() && !first.is_later_fragment());
    assert_eq!((later.transport, later.transport_len()), (62, 5));
}

#[test]
fn a_first_fragment_that_is_cut_has_no_body() {
    for name in ["fragment4-first-cut", "fragment6-first-cut"] {
        let packet = parse(name);
        assert_eq!((packet.body, packet.protocol), (Transport::None, Protocol::UDP), "{name}");
        assert!(packet.fragment.is_some());
    }
    // The TCP header says 60 bytes, and only 32 of them are in this fragment.
    let tcp = [0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0xf0, 2, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1];
    let cut = v4().fragment(1, 0, true).raw(Protocol::TCP).payload(&tcp).frame();
    assert_eq!(Packet::parse(&cut).unwrap().body, Transport::None);
    // The chain itself goes on in the next fragment, inside a header or right before it.
    for data in [&[17u8, 2, 0, 0, 0, 0, 0, 0][..], &[]] {
        let cut = v6().fragment(1, 0, true).raw(Protocol::DESTINATION_OPTIONS).payload(data);
        let packet = Packet::parse(&cut.frame()).unwrap();
        assert_eq!(packet.body, Transport::None);
        assert_eq!((packet.protocol, packet.transport), (Protocol::DESTINATION_OPTIONS, 62));
    }
}

#[test]
fn nothing_is_read_of_a_later_fragment() {
    // Its data look like a chain of extension headers: they are the middle of something else.
    let data = [0u8; 8];
    let later = v6().fragment(1, 8, false).raw(Protocol::HOP_BY_HOP).payload(&data).frame();
    let packet = Packet::parse(&later).unwrap();
    assert_eq!((packet.body, packet.protocol), (Transport::None, Protocol::HOP_BY_HOP));
}

#[test]
fn a_udp_length_may_be_shorter_than_the_datagram() {
    let mut frame = sample("udp4").to_vec();
    frame[38..40].copy_from_slice(&12u16.to_be_bytes());
    let packet = Packet::parse(&frame).unwrap();
    assert_eq!((packet.payload_len(), packet.transport_len()), (4, 16));
}

#[test]
fn icmp_queries_have_an_id_and_errors_an_embedded_packet() {
    let Transport::Icmp(echo) = parse("icmp6-echo-request").body else { panic!() };
    assert_eq!((echo.id, echo.sequence, echo.query, echo.embedded), (0x1234, 1, true, false));
    assert!(echo.is_echo(Version::V6) && !echo.is_echo(Version::V4));
    let packet = parse("error4-mtu-tcp4-data");
    let Transport::Icmp(error) = packet.body else { panic!() };
    assert_eq!((error.kind, error.code, error.rest), (3, 4, 1400));
    assert_eq!((error.id, error.embedded, packet.is_icmp_error()), (0, true, true));
    let Transport::Icmp(stamp) = parse("icmp4-timestamp").body else { panic!() };
    assert!(stamp.query && !stamp.is_echo(Version::V4) && stamp.id == 0x1234);
    assert!(icmp::is_error(Version::V6, 127) && !icmp::is_error(Version::V6, 128));
}

#[test]
fn a_protocol_of_the_other_ip_version_is_not_read() {
    let v4 = v4().raw(Protocol::ICMPV6).payload(&[128; 8]).frame();
    let v6 = v6().raw(Protocol::ICMP).payload(&[8; 8]).frame();
    assert_eq!(Packet::parse(&v4).unwrap().body, Transport::Other);
    assert_eq!(Packet::parse(&v6).unwrap().body, Transport::Other);
}

#[test]
fn gre_keys_are_found_behind_a_checksum() {
    let data = [0xb0, 0, 0x08, 0, 1, 2, 0, 0, 0xde, 0xad, 0xbe, 0xef, 0, 0, 0, 1];
    let frame = v4().raw(Protocol::GRE).payload(&data).frame();
    let Transport::Gre(gre) = Packet::parse(&frame).unwrap().body else { panic!() };
    assert_eq!((gre.version, gre.key, gre.call_id()), (0, Some(0xdead_beef), None));
    let Transport::Gre(call) = parse("gre4-version-1").body else { panic!() };
    assert_eq!((call.version, call.call_id(), call.protocol), (1, Some(0x4321), 0x880b));
    let unknown = v4().raw(Protocol::GRE).payload(&[0x20, 5, 0, 0]).frame();
    let Transport::Gre(gre) = Packet::parse(&unknown).unwrap().body else { panic!() };
    assert_eq!((gre.version, gre.key), (5, None));
}

#[test]
fn names_are_for_people() {
    assert_eq!(Protocol::TCP.to_string(), "tcp");
    assert_eq!(Protocol(253).to_string(), "253");
    assert_eq!((TcpFlags::SYN | TcpFlags::ACK).to_string(), "SYN|ACK");
    assert_eq!(TcpFlags::NONE.to_string(), "none");
    assert_eq!(Version::V6.to_string(), "IPv6");
}

#[test]
fn a_bare_packet_is_parsed_where_it_starts() {
    let frame =
        Builder::v6([1, 0, 0, 0, 0, 0, 0, 2], [1, 0, 0, 0, 0, 0, 0, 3]).bare().udp(1, 2).frame();
    let packet = Packet::parse_ip(&frame, 0, 1).unwrap();
    assert_eq!((packet.network, packet.transport, packet.vlans), (0, 40, 1));
    assert_eq!(packet.ethertype, 0x86dd);
}
