//! Prefixes of IPv6 for others, and clients with IPv6 alone who reach IPv4.

use config::{Mapping, Nat64, NatKind, PrefixNat, SourceTo};
use wire::build::{Builder, quotation};
use wire::{Ends, Packet, TcpFlags, Transport, Version};

use super::rig::*;
use crate::{Reason, Verdict};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const SYN_ACK: TcpFlags = TcpFlags(SYN.0 | ACK.0);

fn six_to_four() -> config::Nat {
    let prefix = "64:ff9b::".parse().expect("an address");
    let translate = SourceTo::Interface;
    let kind = NatKind::Nat64(Nat64 { prefix, translate, mapping: Mapping::default() });
    nat(Vec::new(), vec![rule("six-to-four", Some(0), kind)])
}

/// 198.18.0.1 as clients with IPv6 alone know it.
const SERVER: &str = "64:ff9b::c612:1";

#[test]
fn a_connection_from_ipv6_reaches_an_ipv4_server_and_back() {
    let mut wall = Wall::new(six_to_four());
    let (client, server) = (("fd00::5", 40_000), (SERVER, 443));
    let syn = wall.pass(LAN, &tcp(client, server, SYN).seq(100).mss(1_440));
    let Ends { source, destination } = syn.ends();
    assert_eq!(syn.packet.version, Version::V4);
    assert_eq!((source.0, destination), (ip("198.51.100.1"), (ip("198.18.0.1"), 443)));
    assert_eq!(syn.packet.hop_limit, 63, "one hop");
    let public = ("198.51.100.1", source.1);
    let answer = tcp(("198.18.0.1", 443), public, SYN_ACK).seq(500).ack(101).mss(1_460);
    let back = wall.pass(WAN, &answer);
    assert_eq!(back.packet.version, Version::V6);
    assert_eq!(
        back.ends(),
        Ends { source: (ip(SERVER), 443), destination: (ip("fd00::5"), 40_000) }
    );
    for round in 0_u32..3 {
        let sent = tcp(client, server, ACK).seq(101 + round).ack(501).payload(b"x");
        assert_eq!(wall.pass(LAN, &sent).ends().source, source);
        let back = tcp(("198.18.0.1", 443), public, ACK).seq(501).ack(102 + round);
        assert_eq!(wall.pass(WAN, &back).ends().destination, (ip("fd00::5"), 40_000));
    }
}

#[test]
fn datagrams_without_checksum_get_one_and_echoes_find_back() {
    let mut wall = Wall::new(six_to_four());
    let left = wall.pass(LAN, &udp(("fd00::5", 4_000), (SERVER, 53)));
    assert_eq!(left.packet.version, Version::V4);
    let back = wall.pass(WAN, &answer_udp(&left).without_checksum());
    assert_eq!(back.ends().destination, (ip("fd00::5"), 4_000));
    let ping = Builder::new(ip("fd00::5"), ip(SERVER)).echo_request(77, 1).payload(b"ping");
    let left = wall.pass(LAN, &ping);
    assert_eq!((left.packet.destination, left.packet.version), (ip("198.18.0.1"), Version::V4));
    let reply = Builder::new(ip("198.18.0.1"), left.packet.source).echo_reply(icmp_id(&left), 1);
    let back = wall.pass(WAN, &reply.payload(b"ping"));
    assert_eq!((back.packet.destination, icmp_id(&back)), (ip("fd00::5"), 77));
}

#[test]
fn errors_cross_the_families_with_what_they_quote() {
    let mut wall = Wall::new(six_to_four());
    let left = wall.pass(LAN, &udp(("fd00::5", 4_000), (SERVER, 33_434)));
    let quoted = quotation(&left.frame, &left.packet).to_vec();
    let error = |kind, code, rest| {
        Builder::new(ip("192.0.2.77"), left.packet.source).icmp(kind, code, rest).payload(&quoted)
    };
    let expired = wall.pass(WAN, &error(11, 0, 0));
    let Transport::Icmp(icmp) = &expired.packet.body else { panic!("{expired:?}") };
    assert_eq!((icmp.kind, icmp.code), (3, 0), "time exceeded, in ICMPv6");
    assert_eq!(expired.packet.source, ip("64:ff9b::c000:24d"), "the router, behind the prefix");
    let inner = Packet::parse_embedded(&expired.frame, &expired.packet).expect("it quotes");
    assert_eq!((inner.source, inner.source_port), (ip("fd00::5"), 4_000));
    assert_eq!((inner.destination, inner.destination_port), (ip(SERVER), 33_434));
    // RFC 7915 §4.2: the path of IPv4 has 1,400 bytes, so there are 20 more for IPv6.
    let too_big = wall.pass(WAN, &error(3, 4, 1_400));
    let Transport::Icmp(icmp) = &too_big.packet.body else { panic!("{too_big:?}") };
    let at = too_big.packet.transport as usize + 4;
    let mtu = u32::from_be_bytes(too_big.frame[at..at + 4].try_into().expect("four bytes"));
    assert_eq!((icmp.kind, mtu), (2, 1_420));
}

#[test]
fn what_is_too_long_for_the_other_family_is_told_in_the_senders_measure() {
    let mut wall = Wall::new(six_to_four());
    let large = vec![0; 1_460];
    let open = wall.pass(LAN, &udp(("fd00::5", 4_000), (SERVER, 53)));
    // 1,500 bytes of IPv6 are 1,480 of IPv4.
    let fits = Builder::new(ip("fd00::5"), ip(SERVER)).udp(4_000, 53).payload(&large[..1_452]);
    assert!(wall.pass(LAN, &fits).packet.ip_len() == 1_480);
    let back = answer_udp(&open).dont_fragment();
    let longest = back.payload(&large[..1_440]);
    let (decision, left) = wall.arrive(WAN, &longest);
    // 20 + 8 + 1,440 + 20 = 1,488: fits.
    assert!(matches!(decision.verdict, Verdict::Forward(_)), "{decision:?}");
    assert_eq!(left[0].packet.ip_len(), 1_488);
    wall.engine.set_port(LAN, |port| port.mtu = 1_400);
    let (decision, left) =
        wall.arrive(WAN, &answer_udp(&open).dont_fragment().payload(&large[..1_400]));
    assert_eq!(decision.verdict, Verdict::Answer);
    let at = left[0].packet.transport as usize + 6;
    let mtu = u16::from_be_bytes(left[0].frame[at..at + 2].try_into().expect("two bytes"));
    assert_eq!(mtu, 1_380, "20 bytes less than the link behind has");
}

#[test]
fn addresses_outside_the_prefix_are_not_translated() {
    let mut wall = Wall::new(six_to_four());
    let plain = wall.pass(LAN, &udp(("fd00::5", 4_000), ("2001:db8:99::1", 53)));
    assert_eq!(plain.packet.version, Version::V6);
    let esp = Builder::new(ip("fd00::5"), ip(SERVER)).esp(7, 1).payload(&[0; 32]);
    assert_eq!(wall.drop(LAN, &esp), Reason::NatProtocol);
}

/// RFC 6296: without a port, without state that matters, and no checksum changes.
#[test]
fn a_prefix_of_ipv6_stands_for_another_and_checksums_stay() {
    let kind = NatKind::Prefix(PrefixNat {
        inside: "fd00:1::".parse().expect("a prefix"),
        outside: "2001:db8:1::".parse().expect("a prefix"),
        length: 48,
        zone: Some(1),
    });
    let mut wall = Wall::new(nat(Vec::new(), vec![rule("v6", None, kind)]));
    let sent = udp(("fd00:1:0:7::5", 4_000), ("2001:db8:99::1", 53));
    let sum = |frame: &[u8], packet: &Packet| {
        let at = packet.transport as usize + 6;
        [frame[at], frame[at + 1]]
    };
    let before = sent.frame().to_vec();
    let before = sum(&before, &Packet::parse(&before).expect("a packet"));
    let left = wall.pass(LAN, &sent);
    assert!(left.packet.source.to_string().starts_with("2001:db8:1:"), "{left:?}");
    assert_eq!(sum(&left.frame, &left.packet), before);
    assert_eq!(left.ends().source.1, 4_000);
    assert_eq!(wall.pass(WAN, &answer_udp(&left)).ends().destination, (ip("fd00:1:0:7::5"), 4_000));
    // And opened from outside.
    let knock = Builder::new(ip("2001:db8:98::1"), left.packet.source).udp(9, 9);
    assert_eq!(wall.pass(WAN, &knock).packet.destination, ip("fd00:1:0:7::5"));
    let nobody = udp(("fd00:1:0:ffff::5", 4_000), ("2001:db8:99::1", 53));
    assert_eq!(wall.drop(LAN, &nobody), Reason::NatImpossible, "all ones have no counterpart");
}
