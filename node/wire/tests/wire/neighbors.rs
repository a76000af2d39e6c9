//! ARP and neighbour discovery: what is written is read again, and what breaks a rule is not.
use std::net::Ipv6Addr;

use ringwall_wire::arp::{self, Arp};
use ringwall_wire::ndp::{Kind, Neighbor, multicast_mac, solicited_node};
use ringwall_wire::{Malformed, Packet, checksum};

use crate::samples::sample;

const MAC: [u8; 6] = [2, 0, 0, 0, 0, 0xaa];
const PEER: [u8; 6] = [2, 0, 0, 0, 0, 0xbb];
const TARGET: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 1, 0x1122, 0x3344);
const SOURCE: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

#[test]
fn arp_goes_there_and_back() {
    let mut out = [0; 64];
    let request = Arp::request(MAC, [10, 0, 0, 1].into(), [10, 0, 0, 2].into());
    let len = request.write(&mut out).unwrap();
    assert_eq!((len, &out[..6]), (42, &[0xff; 6][..]));
    assert_eq!(Arp::parse(&out[..len]), Some(request));
    assert_eq!(Packet::parse(&out[..len]), Err(Malformed::NotIp(0x0806)));

    let reply = request.reply(PEER);
    let len = reply.write(&mut out).unwrap();
    assert_eq!((&out[..6], &out[6..12]), (&MAC[..], &PEER[..]));
    let read = Arp::parse(&out[..len]).unwrap();
    assert_eq!(
        (read.operation, read.sender, read.target),
        (arp::REPLY, request.target, request.sender)
    );
    assert_eq!((read.sender_mac, read.target_mac), (PEER, MAC));

    let announcement = Arp::announcement(MAC, [10, 0, 0, 1].into());
    assert_eq!(announcement.sender, announcement.target);
    assert_eq!(request.write(&mut [0; 41]), None);
}

#[test]
fn what_is_not_arp_for_ipv4_over_ethernet_is_not_read() {
    let mut frame = [0; 42];
    Arp::request(MAC, [10, 0, 0, 1].into(), [10, 0, 0, 2].into()).write(&mut frame).unwrap();
    for len in 0..frame.len() {
        assert_eq!(Arp::parse(&frame[..len]), None);
    }
    for at in 12..20 {
        let mut copy = frame;
        copy[at] ^= 1;
        assert_eq!(Arp::parse(&copy), None, "byte {at}");
    }
    assert_eq!(Arp::parse(&sample("udp4")), None);
}

#[test]
fn a_solicitation_goes_to_the_group_of_its_target() {
    let group = solicited_node(TARGET);
    assert_eq!(group, "ff02::1:ff22:3344".parse::<Ipv6Addr>().unwrap());
    assert_eq!(multicast_mac(group), [0x33, 0x33, 0xff, 0x22, 0x33, 0x44]);
    let question = Neighbor::solicitation(MAC, TARGET);
    let mut out = [0; 128];
    let len = question.write(&mut out, (MAC, multicast_mac(group)), SOURCE, group).unwrap();
    let packet = Packet::parse(&out[..len]).unwrap();
    assert_eq!((len, packet.hop_limit), (14 + 40 + 8 + 24, 255));
    assert!(checksum::transport_checksum_ok(&out[..len], &packet));
    assert_eq!(Neighbor::parse(&out[..len], &packet), Some(question));
}

#[test]
fn an_advertisement_keeps_its_flags() {
    for bits in 0..8 {
        let kind = Kind::Advertisement {
            router: bits & 1 != 0,
            solicited: bits & 2 != 0,
            overrides: bits & 4 != 0,
        };
        for link in [None, Some(MAC)] {
            let answer = Neighbor { kind, target: TARGET, link };
            assert_eq!(round_trip(answer, TARGET, SOURCE), Some(answer));
        }
    }
}

#[test]
fn what_breaks_a_rule_is_not_read() {
    let any: Ipv6Addr = Ipv6Addr::UNSPECIFIED;
    let group = solicited_node(TARGET);
    let probe = Neighbor { kind: Kind::Solicitation, target: TARGET, link: None };
    let with_link = Neighbor { link: Some(MAC), ..probe };
    assert_eq!(round_trip(probe, any, group), Some(probe));
    assert_eq!(round_trip(with_link, any, group), None, "a probe has no source address option");
    assert_eq!(round_trip(probe, any, SOURCE), None, "a probe goes to the group");
    let about_group = Neighbor { target: group, ..probe };
    assert_eq!(round_trip(about_group, SOURCE, TARGET), None, "the target is a group");
    let kind = Kind::Advertisement { router: false, solicited: true, overrides: true };
    let answer = Neighbor { kind, ..with_link };
    assert_eq!(round_trip(answer, TARGET, group), None, "solicited, to a group");

    let mut out = [0; 128];
    let len = with_link.write(&mut out, (MAC, PEER), SOURCE, TARGET).unwrap();
    for (at, value) in [(21, 254), (55, 1), (79, 0), (79, 2), (54, 128)] {
        let mut copy = out;
        copy[at] = value;
        let packet = Packet::parse(&copy[..len]).unwrap();
        assert_eq!(Neighbor::parse(&copy[..len], &packet), None, "byte {at}");
    }
    assert_eq!(with_link.write(&mut [0; 85], (MAC, PEER), SOURCE, TARGET), None);
}

fn round_trip(message: Neighbor, source: Ipv6Addr, destination: Ipv6Addr) -> Option<Neighbor> {
    let mut out = [0; 128];
    let Some(len) = message.write(&mut out, (MAC, PEER), source, destination) else { panic!() };
    let Ok(packet) = Packet::parse(&out[..len]) else { panic!() };
    Neighbor::parse(&out[..len], &packet)
}
