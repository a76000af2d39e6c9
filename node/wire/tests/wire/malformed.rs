//! The table of malformations: every variant, made by at least one frame.
use std::collections::BTreeSet;

use ringwall_wire::{Malformed, Packet, Protocol, TcpFlags};

use crate::samples::{sample, v4, v6};

/// Offsets in an untagged frame.
const IP: usize = 14;
const TRANSPORT4: usize = 34;
const TRANSPORT6: usize = 54;

#[test]
fn every_malformation_is_named_by_its_variant() {
    let mut seen = BTreeSet::new();
    for (what, frame, expected) in table() {
        let found = Packet::parse(&frame).expect_err(what);
        assert_eq!(found, expected, "{what}");
        seen.insert(found.name());
    }
    for (what, frame, expected) in embedded_table() {
        let error = Packet::parse(&frame).expect(what);
        let found = Packet::parse_embedded(&frame, &error).expect_err(what);
        assert_eq!(found, expected, "{what}");
        seen.insert(found.name());
    }
    let all: BTreeSet<_> = Malformed::ALL.iter().map(Malformed::name).collect();
    assert_eq!(all.len(), Malformed::ALL.len(), "two variants of one name");
    assert_eq!(seen, all, "variants without a frame");
}

#[test]
fn display_shows_the_ethertype() {
    assert_eq!(Malformed::NotIp(0x0806).to_string(), "not-ip (EtherType 0x0806)");
    assert_eq!(Malformed::UdpLength.to_string(), "udp-length");
}

type Row = (&'static str, Vec<u8>, Malformed);

fn table() -> Vec<Row> {
    [link(), ipv4(), ipv6(), extensions(), transports(), tcp_options()].concat()
}

fn link() -> Vec<Row> {
    let mut three_tags = v4().vlan(1).vlan(2).udp(1, 2).frame().to_vec();
    three_tags.splice(12..12, [0x81, 0, 0, 3]);
    vec![
        ("nothing", vec![], Malformed::FrameTooShort),
        ("13 bytes", patched("udp4", 0, &[], 13), Malformed::FrameTooShort),
        ("a tag cut short", patched("tcp4-vlan", 0, &[], 17), Malformed::FrameTooShort),
        ("ARP", patched("udp4", 12, &[0x08, 0x06], 0), Malformed::NotIp(0x0806)),
        ("802.3 length", patched("udp4", 12, &[0, 50], 0), Malformed::NotIp(50)),
        ("three VLAN tags", three_tags, Malformed::VlanTagsTooMany),
    ]
}

fn ipv4() -> Vec<Row> {
    let options = |bytes| v4().ip_options(bytes).udp(1, 2).frame().to_vec();
    vec![
        ("no IP header", patched("udp4", 0, &[], 14), Malformed::HeaderTruncated),
        ("IP header cut", patched("udp4", 0, &[], 33), Malformed::HeaderTruncated),
        ("IP options cut", patched("udp4-options", 0, &[], 36), Malformed::HeaderTruncated),
        ("version 5", patched("udp4", IP, &[0x55], 0), Malformed::BadVersion),
        ("version 6 in IPv4", patched("udp4", IP, &[0x65], 0), Malformed::BadVersion),
        ("IHL 4", patched("udp4", IP, &[0x44], 0), Malformed::HeaderTooShort),
        ("total length 0", patched("udp4", IP + 2, &[0, 0], 0), Malformed::TotalLengthTooShort),
        ("total length 19", patched("udp4", IP + 2, &[0, 19], 0), Malformed::TotalLengthTooShort),
        ("below IHL", patched("udp4-options", IP + 2, &[0, 20], 0), Malformed::TotalLengthTooShort),
        ("truncated", patched("udp4", 0, &[], 49), Malformed::TotalLengthTooLong),
        ("option of length 0", options(&[7, 0, 0, 0]), Malformed::OptionsBad),
        ("option of length 1", options(&[7, 1, 0, 0]), Malformed::OptionsBad),
        ("option past the header", options(&[7, 5, 4, 0]), Malformed::OptionsBad),
        ("option without a length", options(&[1, 1, 1, 7]), Malformed::OptionsBad),
    ]
}

fn ipv6() -> Vec<Row> {
    let jumbo: &[u8] = &[0xc2, 4, 0, 1, 0, 0];
    let mut zero = v6().extension(Protocol::HOP_BY_HOP, jumbo).udp(1, 2).frame().to_vec();
    let with_length = zero.clone();
    zero[IP + 4..IP + 6].fill(0);
    let mut cut = zero.clone();
    cut.truncate(TRANSPORT6 + 4);
    let mut plain = sample("udp6-router-alert").to_vec();
    plain[IP + 4..IP + 6].fill(0);
    vec![
        ("IPv6 header cut", patched("udp6", 0, &[], 53), Malformed::HeaderTruncated),
        ("version 4 in IPv6", patched("udp6", IP, &[0x45], 0), Malformed::BadVersion),
        ("payload cut", patched("udp6", 0, &[], 69), Malformed::TotalLengthTooLong),
        ("jumbogram", zero, Malformed::JumboPayload),
        ("jumbo option beside a length", with_length, Malformed::JumboPayload),
        ("jumbogram cut in its option", cut, Malformed::ExtensionTruncated),
        ("hop-by-hop in a payload of 0", plain, Malformed::ExtensionTruncated),
    ]
}

fn extensions() -> Vec<Row> {
    let pad: &[u8] = &[1, 4, 0, 0, 0, 0];
    let chain = |count| {
        let start = v6().extension(Protocol::HOP_BY_HOP, pad);
        let grow = |chain: ringwall_wire::build::Builder<'static>, _| {
            chain.extension(Protocol::DESTINATION_OPTIONS, pad)
        };
        (1..count).fold(start, grow).udp(1, 2).frame().to_vec()
    };
    assert!(Packet::parse(&chain(8)).is_ok(), "a chain of 8 is allowed");
    let raw = |protocol, bytes: &'static [u8]| v6().raw(protocol).payload(bytes).frame().to_vec();
    let option = |body| v6().extension(Protocol::HOP_BY_HOP, body).frame().to_vec();
    let late = v6().extension(Protocol::DESTINATION_OPTIONS, pad);
    let late = late.extension(Protocol::HOP_BY_HOP, pad).udp(1, 2);
    let twice = v6().fragment(1, 0, true).fragment(1, 0, true).udp(1, 2);
    let mixed = v6().fragment(1, 0, false).fragment(1, 8, false).udp(1, 2);
    let after_first = v6().fragment(1, 0, true).extension(Protocol::HOP_BY_HOP, pad).udp(1, 2);
    vec![
        ("9 headers", chain(9), Malformed::ExtensionChainTooLong),
        ("header of 1 byte", raw(Protocol::ROUTING, &[17]), Malformed::ExtensionTruncated),
        (
            "past the end",
            raw(Protocol::ROUTING, &[17, 1, 0, 0, 0, 0, 0, 0]),
            Malformed::ExtensionTruncated,
        ),
        (
            "AH of 8 bytes",
            raw(Protocol::AH, &[17, 0, 0, 0, 0, 0, 0, 0]),
            Malformed::ExtensionTruncated,
        ),
        ("hop-by-hop second", late.frame().to_vec(), Malformed::HopByHopNotFirst),
        (
            "hop-by-hop after a fragment header",
            after_first.frame().to_vec(),
            Malformed::HopByHopNotFirst,
        ),
        (
            "fragment header cut",
            raw(Protocol::FRAGMENT, &[17, 0, 0, 1, 0, 0, 0]),
            Malformed::FragmentHeaderTruncated,
        ),
        ("two fragment headers", twice.frame().to_vec(), Malformed::FragmentHeaderRepeated),
        ("atomic, then real", mixed.frame().to_vec(), Malformed::FragmentHeaderRepeated),
        ("option past its header", option(&[1, 5, 0, 0, 0, 0]), Malformed::OptionsBad),
        ("option without a length", option(&[1, 3, 0, 0, 0, 7]), Malformed::OptionsBad),
    ]
}

fn transports() -> Vec<Row> {
    let v4_raw =
        |protocol, bytes: &'static [u8]| v4().raw(protocol).payload(bytes).frame().to_vec();
    let call = sample("gre4-version-1");
    let gre = |flags: [u8; 2]| [&call[..TRANSPORT4], &flags, &call[TRANSPORT4 + 2..]].concat();
    let udp = |len: [u8; 2]| patched("udp4", TRANSPORT4 + 4, &len, 0);
    vec![
        ("TCP of 19 bytes", v4_raw(Protocol::TCP, &[0; 19]), Malformed::TransportTruncated),
        ("UDP of 7 bytes", v4_raw(Protocol::UDP, &[0; 7]), Malformed::TransportTruncated),
        ("ICMP of 7 bytes", v4_raw(Protocol::ICMP, &[0; 7]), Malformed::TransportTruncated),
        ("SCTP of 11 bytes", v4_raw(Protocol::SCTP, &[0; 11]), Malformed::TransportTruncated),
        ("GRE of 3 bytes", v4_raw(Protocol::GRE, &[0; 3]), Malformed::TransportTruncated),
        (
            "GRE without its key",
            v4_raw(Protocol::GRE, &[0x20, 0, 8, 0]),
            Malformed::TransportTruncated,
        ),
        (
            "GRE key behind a checksum",
            v4_raw(Protocol::GRE, &[0xa0, 0, 8, 0, 0, 0, 0, 0]),
            Malformed::TransportTruncated,
        ),
        ("ESP of 7 bytes", v4_raw(Protocol::ESP, &[0; 7]), Malformed::TransportTruncated),
        (
            "TCP offset 4",
            patched("tcp4-data", TRANSPORT4 + 12, &[0x40], 0),
            Malformed::TcpDataOffset,
        ),
        (
            "TCP offset past the end",
            patched("tcp4-padded", TRANSPORT4 + 12, &[0x60], 0),
            Malformed::TcpDataOffset,
        ),
        ("UDP length 7", udp([0, 7]), Malformed::UdpLength),
        ("UDP length 0", udp([0, 0]), Malformed::UdpLength),
        ("UDP length past the end", udp([0, 17]), Malformed::UdpLength),
        (
            "first fragment, UDP length 7",
            patched("fragment4-first", TRANSPORT4 + 4, &[0, 7], 0),
            Malformed::UdpLength,
        ),
        ("enhanced GRE without key", gre([0x10, 0x01]), Malformed::GreHeaderBad),
        ("enhanced GRE with checksum", gre([0xb0, 0x01]), Malformed::GreHeaderBad),
    ]
}

fn tcp_options() -> Vec<Row> {
    let bad: [(&'static str, &[u8]); 9] = [
        ("length 0", &[8, 0, 0, 0]),
        ("length 1", &[254, 1, 0, 0]),
        ("no length", &[1, 1, 1, 3]),
        ("past the header", &[2, 5, 0, 0]),
        ("MSS of 3 bytes", &[2, 3, 5, 0]),
        ("window scale of 4 bytes", &[3, 4, 7, 7]),
        ("SACK permitted of 3 bytes", &[4, 3, 0, 0]),
        ("timestamps of 9 bytes", &[8, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ("SACK of 9 bytes", &[5, 9, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
    ];
    let frame = |options| v4().tcp(1, 2).flags(TcpFlags::SYN).tcp_option(options).frame().to_vec();
    bad.into_iter().map(|(what, bytes)| (what, frame(bytes), Malformed::TcpOptionBad)).collect()
}

fn embedded_table() -> Vec<Row> {
    let about = |embedded: &[u8]| v4().icmp(3, 3, 0).payload(embedded).frame().to_vec();
    let about6 = |embedded: &[u8]| v6().icmp(1, 4, 0).payload(embedded).frame().to_vec();
    let udp4 = sample("udp4");
    let udp6 = sample("udp6");
    let mut rows = vec![
        ("echo request", sample("icmp4-echo-request").to_vec(), Malformed::NoEmbeddedPacket),
        ("nothing embedded", about(&[]), Malformed::HeaderTruncated),
        ("IP header cut", about(&udp4[IP..IP + 19]), Malformed::HeaderTruncated),
        ("7 bytes of UDP", about(&udp4[IP..IP + 27]), Malformed::EmbeddedTruncated),
        (
            "7 bytes of ICMP",
            about(&sample("icmp4-echo-reply")[IP..IP + 27]),
            Malformed::EmbeddedTruncated,
        ),
        ("IPv6 in ICMPv4", about(&udp6[IP..]), Malformed::BadVersion),
        ("IPv4 in ICMPv6", about6(&[&udp4[IP..], &[0; 40]].concat()), Malformed::BadVersion),
        ("IPv6 header cut", about6(&udp6[IP..IP + 39]), Malformed::HeaderTruncated),
        ("chain cut", about6(&sample("tcp6-chain")[IP..IP + 44]), Malformed::ExtensionTruncated),
    ];
    let mut short = about(&udp4[IP..]);
    short[IP + 28] = 0x44;
    rows.push(("embedded IHL 4", short, Malformed::HeaderTooShort));
    rows
}

/// The sample with bytes replaced at an offset, cut to `len` unless that is 0.
fn patched(name: &str, at: usize, bytes: &[u8], len: usize) -> Vec<u8> {
    let mut frame = sample(name).to_vec();
    frame[at..at + bytes.len()].copy_from_slice(bytes);
    if len > 0 {
        frame.truncate(len);
    }
    frame
}
