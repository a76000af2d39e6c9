//! What is built is what was asked for; a datagram's fragments are the datagram.
use proptest::prelude::*;
use ringwall_wire::build::{Builder, Fragments, Frame, quotation};
use ringwall_wire::{Options, Packet, Protocol, TcpFlags, Transport, checksum};

use crate::samples::{ROUTING_0, sample, v4, v6};

#[test]
fn nonsense_is_refused() {
    let mut out = [0; 2048];
    let long = [0; 41];
    let wide = [0; 2040];
    let mut refuse = |what: &str, builder: Builder<'_>| {
        assert_eq!(builder.write(&mut out), None, "{what}");
    };
    refuse("mixed versions", Builder::new([1, 2, 3, 4].into(), [0u8; 16].into()).udp(1, 2));
    refuse("an extension in IPv4", v4().extension(Protocol::ROUTING, &[]).udp(1, 2));
    refuse("IPv4 options in IPv6", v6().ip_options(&[1]).udp(1, 2));
    refuse("41 bytes of IPv4 options", v4().ip_options(&long).udp(1, 2));
    refuse("41 bytes of TCP options", v4().tcp(1, 2).tcp_option(&long));
    refuse("flags of UDP", v4().udp(1, 2).flags(TcpFlags::SYN));
    refuse("no checksum in TCP", v4().tcp(1, 2).without_checksum());
    refuse("four tags", v4().vlan(1).vlan(2).vlan(3).vlan(4).udp(1, 2));
    refuse("too long for the buffer", v4().udp(1, 2).payload(&wide));
    let pad: &[u8] = &[1, 4, 0, 0, 0, 0];
    let many = (0..11).fold(v6(), |chain, _| chain.extension(Protocol::DESTINATION_OPTIONS, pad));
    refuse("11 extensions", many.udp(1, 2));
    let mut big = vec![0; 70_000];
    let data = vec![0; 65_536];
    assert_eq!(v4().udp(1, 2).payload(&data[..65_508]).write(&mut big), None);
    assert_eq!(v4().udp(1, 2).payload(&data[..65_507]).write(&mut big), Some(65_549));
    assert_eq!(v6().udp(1, 2).payload(&data[..65_528]).write(&mut big), None);
    assert_eq!(v6().udp(1, 2).payload(&data[..65_527]).write(&mut big), Some(65_589));
}

#[test]
fn a_short_buffer_is_refused_at_every_length() {
    let builders = [
        v4().vlan(3).ip_options(&[148, 4, 0, 0]).tcp(1, 2).mss(1).payload(b"abc").padded_to(90),
        v6().extension(Protocol::HOP_BY_HOP, &[1, 4, 0, 0, 0, 0]).echo_request(1, 2),
        v4().gre_call(1, 2).payload(b"abc"),
        v6().fragment(1, 8, true).raw(Protocol::UDP).payload(b"abcdefgh"),
    ];
    for builder in builders {
        let len = builder.frame().len();
        let mut out = [0; Frame::MAX];
        assert_eq!(builder.write(&mut out[..len]), Some(len));
        for short in 0..len {
            assert_eq!(builder.write(&mut out[..short]), None);
        }
    }
}

#[test]
fn a_routed_packet_is_summed_with_its_last_address() {
    let frame = sample("udp6-routing-0");
    let packet = Packet::parse(&frame).unwrap();
    assert!(packet.options.contains(Options::SEGMENTS_LEFT));
    assert!(checksum::transport_checksum_ok(&frame, &packet));
    let mut spent = ROUTING_0;
    spent[1] = 0;
    let spent = v6().extension(Protocol::ROUTING, &spent).udp(5000, 53).payload(b"detour").frame();
    assert_ne!(frame[frame.len() - 8..], spent[spent.len() - 8..], "another pseudo-header");
}

#[test]
fn a_quotation_is_as_long_as_it_may_be() {
    let data = [7; 1400];
    let v4 = v4().vlan(1).udp(1, 2).payload(&data).padded_to(1500).frame();
    let v6 = v6().udp(1, 2).payload(&data).frame();
    assert_eq!(quotation(&v4, &Packet::parse(&v4).unwrap()), &v4[18..18 + 548]);
    assert_eq!(quotation(&v6, &Packet::parse(&v6).unwrap()), &v6[14..14 + 1232]);
    let short = sample("tcp4-padded");
    assert_eq!(quotation(&short, &Packet::parse(&short).unwrap()), &short[14..54]);
}

#[test]
fn copied_options_are_in_every_fragment_and_others_in_the_first() {
    let options = [7, 3, 4, 131, 7, 4, 1, 2, 3, 4, 1, 0];
    let frame = v4().ip_options(&options).udp(1, 2).payload(&[9; 100]).frame();
    let fragments = cut(&frame, 96).unwrap();
    assert_eq!(fragments.len(), 2);
    let found = |frame: &[u8]| Packet::parse(frame).unwrap();
    assert!(found(&fragments[0]).options.contains(Options::RECORD_ROUTE | Options::SOURCE_ROUTE));
    assert!(!found(&fragments[1]).options.contains(Options::RECORD_ROUTE));
    assert!(found(&fragments[1]).options.contains(Options::SOURCE_ROUTE));
    assert_eq!(found(&fragments[1]).transport - 14, 28);
}

#[test]
fn what_cannot_be_cut_is_refused() {
    assert!(cut(&sample("fragment4-first"), 1500).is_none());
    assert!(cut(&sample("udp6-atomic-fragment"), 1500).is_none());
    assert!(cut(&sample("udp4"), 27).is_none(), "no room for 8 bytes");
    assert!(cut(&sample("udp6"), 55).is_none(), "no room for 8 bytes");
    assert_eq!(cut(&sample("udp6"), 56).unwrap().len(), 2);
}

fn cut(frame: &[u8], mtu: usize) -> Option<Vec<Vec<u8>>> {
    let packet = Packet::parse(frame).unwrap();
    let fragments = Fragments::new(frame, &packet, 0xbeef, mtu)?;
    assert_eq!(fragments.write(fragments.count(), &mut [0; 2048]), None);
    let write = |index| {
        let mut out = vec![0; 2048];
        let len = fragments.write(index, &mut out).unwrap();
        assert_eq!(fragments.write(index, &mut out[..len - 1]), None);
        out.truncate(len);
        out
    };
    Some((0..fragments.count()).map(write).collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn fragments_are_the_datagram(
        len in 0usize..1400,
        mtu in 100usize..1500,
        kind in 0usize..4,
    ) {
        let data: Vec<u8> = (0..len).map(|at| (at * 7) as u8).collect();
        let routed = v6().extension(Protocol::HOP_BY_HOP, &[5, 2, 0, 0, 1, 0])
            .extension(Protocol::ROUTING, &ROUTING_0)
            .extension(Protocol::DESTINATION_OPTIONS, &[1, 4, 0, 0, 0, 0]);
        let builder = [v4(), v4().vlan(9).ip_options(&[131, 7, 4, 1, 2, 3, 4]), v6(), routed][kind];
        let frame = builder.udp(5, 6).payload(&data).frame();
        let whole = Packet::parse(&frame).unwrap();
        let mut joined: Vec<u8> = Vec::new();
        let fragments = cut(&frame, mtu).unwrap();
        for (index, fragment) in fragments.iter().enumerate() {
            let packet = Packet::parse(fragment).unwrap();
            prop_assert!(packet.ip_len() as usize <= mtu);
            prop_assert!(checksum::ipv4_header_checksum_ok(fragment, &packet));
            if let Some(place) = packet.fragment {
                prop_assert_eq!(place.id, 0xbeef);
                prop_assert_eq!(usize::from(place.offset), joined.len());
                prop_assert_eq!(place.more, index + 1 < fragments.len());
            } else {
                prop_assert_eq!(fragments.len(), 1);
            }
            prop_assert_eq!(packet.source, whole.source);
            let start = match packet.fragment {
                Some(place) if place.header != packet.network => place.header as usize + 8,
                _ => packet.transport as usize,
            };
            joined.extend(&fragment[start..packet.end as usize]);
        }
        // In IPv6 the destination options after the routing header are data of the fragments.
        let tail = &frame[frame.len() - joined.len()..];
        prop_assert_eq!(&joined, tail);
        prop_assert!(joined.len() >= len + 8);
    }

    #[test]
    fn tcp_is_built_as_asked(
        ports: (u16, u16),
        numbers: (u32, u32),
        bits: u8,
        window: u16,
        v6_too: bool,
        data in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let start = if v6_too { v6() } else { v4() };
        let frame = start.tcp(ports.0, ports.1).seq(numbers.0).ack(numbers.1)
            .flags(TcpFlags(bits)).window(window).urgent(3).payload(&data).frame();
        let packet = Packet::parse(&frame).unwrap();
        let Transport::Tcp(tcp) = packet.body else { panic!("{packet:?}") };
        prop_assert_eq!((tcp.source_port, tcp.destination_port), ports);
        prop_assert_eq!((tcp.sequence.0, tcp.acknowledgment.0), numbers);
        prop_assert_eq!((tcp.flags, tcp.window, tcp.urgent), (TcpFlags(bits), window, 3));
        prop_assert_eq!(tcp.payload_len as usize, data.len());
        prop_assert!(checksum::transport_checksum_ok(&frame, &packet));
    }
}
