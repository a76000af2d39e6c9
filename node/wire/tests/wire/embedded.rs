//! The packet inside an ICMP error has the key of the flow that it is about.
use ringwall_wire::build::Builder;
use ringwall_wire::{Direction, Embedded, FlowKey, Packet, Protocol, Seq, embedded_key, flow_key};

use crate::samples::{CLIENT6, ROUTER6, errors, sample, v4, v6};

fn embedded(frame: &[u8]) -> Embedded {
    Packet::parse_embedded(frame, &Packet::parse(frame).unwrap()).unwrap()
}

#[test]
fn an_error_has_the_key_of_what_it_is_about() {
    for (name, frame) in errors() {
        // error4-<kind>-<name of the sample>
        let about = name.splitn(3, '-').nth(2).unwrap();
        let expected = flow_key(&Packet::parse(&sample(about)).unwrap(), 3);
        let packet = Packet::parse(&frame).unwrap();
        assert_eq!(flow_key(&packet, 3), None, "{name} has no key of its own");
        assert_eq!(embedded_key(&embedded(&frame), 3), expected, "{name}");
        assert!(expected.is_some());
    }
}

#[test]
fn eight_bytes_of_transport_are_enough() {
    let found = embedded(&sample("error4-exceeded-tcp4-data"));
    assert_eq!((found.source_port, found.destination_port), (40_000, 443));
    assert_eq!((found.tcp_sequence, found.protocol), (Some(Seq(2)), Protocol::TCP));
    assert_eq!((found.network, found.transport, found.end), (42, 62, 70));
}

#[test]
fn a_chain_is_followed_in_embedded_packets_too() {
    let found = embedded(&sample("error6-exceeded-tcp6-chain"));
    let start = 14 + 40 + 8;
    assert_eq!((found.network, found.transport), (start, start + 40 + 56));
    assert_eq!((found.source_port, found.destination_port), (40_000, 443));
}

#[test]
fn fragments_are_known_by_their_first_one_only() {
    let about = |name: &str| {
        let inner = sample(name);
        embedded(&v4().icmp(11, 1, 0).payload(&inner[14..]).frame())
    };
    let first = about("fragment4-first");
    assert_eq!((first.source_port, first.destination_port), (5000, 53));
    assert!(embedded_key(&first, 0).is_some());
    let later = about("fragment4-last");
    assert!(later.is_later_fragment() && later.fragment.unwrap().offset == 24);
    assert_eq!(embedded_key(&later, 0), None);
    let data = [17, 9, 0, 0, 0, 0, 0, 0];
    let cut = v6().fragment(1, 0, true).raw(Protocol::DESTINATION_OPTIONS).payload(&data).frame();
    let cut = embedded(&v6().icmp(3, 1, 0).payload(&cut[14..]).frame());
    assert!(cut.chain_cut);
    assert_eq!(embedded_key(&cut, 0), None);
}

#[test]
fn an_error_about_an_error_has_no_key() {
    let inner = sample("error4-unreachable-udp4");
    let frame = v4().icmp(3, 1, 0).payload(&inner[14..]).frame();
    let found = embedded(&frame);
    assert!(found.icmp.unwrap().embedded);
    assert_eq!(embedded_key(&found, 0), None);
}

#[test]
fn other_protocols_are_known_by_their_addresses() {
    let esp = sample("esp6");
    let frame = Builder::v6(ROUTER6, CLIENT6).icmp(1, 0, 0).payload(&esp[14..58]).frame();
    let found = embedded(&frame);
    let ends = ((found.source, 0), (found.destination, 0));
    let (key, direction) = FlowKey::new(0, Protocol::ESP, ends.0, ends.1);
    assert_eq!(embedded_key(&found, 0), Some((key, direction)));
    assert_eq!(direction, Direction::Forward);
    assert_eq!(flow_key(&Packet::parse(&esp).unwrap(), 0), Some((key, direction)));
}

#[test]
fn the_embedded_total_length_is_not_believed() {
    let mut inner = sample("udp4").to_vec();
    inner[16..18].copy_from_slice(&[0xff, 0xff]);
    let frame = v4().icmp(3, 3, 0).payload(&inner[14..]).frame();
    assert_eq!(embedded(&frame).destination_port, 53);
}
