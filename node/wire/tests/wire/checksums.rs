//! RFC 1071 and RFC 1624, against plain arithmetic.
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use ringwall_wire::checksum::{self, finish, fold, sum};
use ringwall_wire::{Packet, Protocol, ipv4};

use crate::samples::{all, sample, v4, v6};

/// RFC 1071 word by word, with no trick.
fn slow_sum(bytes: &[u8]) -> u16 {
    let mut total = 0u32;
    for pair in bytes.chunks(2) {
        total += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// One's complement has two zeros.
fn same(a: u16, b: u16) -> bool {
    a == b || (a | b) == 0xffff && (a & b) == 0
}

#[test]
fn the_example_of_rfc_1071() {
    // RFC 1071 §3: the words sum to ddf2.
    assert_eq!(fold(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7])), 0xddf2);
    assert_eq!(sum(&[]), 0);
    assert_eq!(sum(&[0xab]), 0xab00);
    assert_eq!(sum(&[0xff; 4]), 0xffff);
}

#[test]
fn the_example_of_rfc_1624() {
    // RFC 1624 §4: where RFC 1141's equation gives ffff, this one gives 0000.
    assert_eq!(checksum::update16(0xdd2f, 0x5555, 0x3285), 0x0000);
}

#[test]
fn a_real_ipv4_header() {
    // RFC 1071's use in a header known from elsewhere: 192.168.0.1 to 192.168.0.199, checksum b861.
    let header =
        [0x45, 0, 0, 0x73, 0, 0, 0x40, 0, 0x40, 0x11, 0, 0, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0, 0xc7];
    assert_eq!(finish(sum(&header)), 0xb861);
}

#[test]
fn every_sample_is_right_and_notices_every_flipped_bit() {
    for (name, frame) in all() {
        let packet = Packet::parse(&frame).unwrap();
        assert!(checksum::ipv4_header_checksum_ok(&frame, &packet), "{name}");
        assert!(checksum::transport_checksum_ok(&frame, &packet), "{name}");
    }
    for name in ["tcp4-data", "udp4", "icmp4-echo-request", "tcp6-data", "udp6", "icmp6-echo-reply"]
    {
        let frame = sample(name);
        let packet = Packet::parse(&frame).unwrap();
        for bit in packet.transport * 8..packet.end * 8 {
            let mut copy = frame.to_vec();
            copy[bit as usize / 8] ^= 1 << (bit % 8);
            // The descriptor is that of the good frame: only the sum may notice.
            assert!(!checksum::transport_checksum_ok(&copy, &packet), "{name} bit {bit}");
        }
    }
}

#[test]
fn a_udp_checksum_of_zero_means_none_in_ipv4_only() {
    let none4 = v4().udp(1, 2).without_checksum().payload(b"x").frame();
    let none6 = v6().udp(1, 2).without_checksum().payload(b"x").frame();
    assert!(checksum::transport_checksum_ok(&none4, &Packet::parse(&none4).unwrap()));
    assert!(!checksum::transport_checksum_ok(&none6, &Packet::parse(&none6).unwrap()));
}

#[test]
fn a_udp_checksum_that_comes_out_zero_is_sent_as_ones() {
    // Find data whose checksum would be zero.
    let zero = (0..=u16::MAX).find_map(|word| {
        let data = word.to_be_bytes();
        let frame = v4().udp(1, 2).payload(&data).frame();
        let field = [frame[40], frame[41]];
        (field == [0xff, 0xff]).then_some(frame)
    });
    let mut frame = zero.expect("one of 65,536 words does it").to_vec();
    let packet = Packet::parse(&frame).unwrap();
    assert!(checksum::transport_checksum_ok(&frame, &packet));
    frame[40..42].fill(7);
    checksum::fill_transport_checksum(&mut frame, &packet);
    assert_eq!(frame[40..42], [0xff, 0xff]);
}

#[test]
fn a_sender_that_leaves_the_sum_to_hardware_is_recognised() {
    for (name, field) in [("tcp4-data", 16), ("udp4", 6), ("tcp6-data", 16), ("udp6", 6)] {
        let mut frame = sample(name).to_vec();
        let packet = Packet::parse(&frame).unwrap();
        assert!(!checksum::transport_checksum_partial(&frame, &packet), "{name}");
        let len = packet.transport_len();
        let pseudo = checksum::pseudo(packet.source, packet.destination, packet.protocol, len);
        let at = packet.transport as usize + field;
        frame[at..at + 2].copy_from_slice(&fold(pseudo).to_be_bytes());
        let packet = Packet::parse(&frame).unwrap();
        assert!(checksum::transport_checksum_partial(&frame, &packet), "{name}");
        assert!(!checksum::transport_checksum_ok(&frame, &packet), "{name}");
        checksum::fill_transport_checksum(&mut frame, &packet);
        assert_eq!(frame[..], sample(name)[..], "{name}");
    }
}

fn address() -> impl Strategy<Value = IpAddr> {
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Ipv4Addr::from(octets).into()),
        any::<[u8; 16]>().prop_map(|octets| Ipv6Addr::from(octets).into()),
    ]
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn the_fast_sum_is_the_slow_sum(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert_eq!(fold(sum(&bytes)), slow_sum(&bytes));
        prop_assert!(sum(&bytes) <= 0xffff);
    }

    #[test]
    fn sums_of_parts_add_up(
        bytes in prop::collection::vec(any::<u8>(), 0..300),
        cut in 0usize..150,
    ) {
        let (first, second) = bytes.split_at((cut * 2).min(bytes.len() & !1));
        prop_assert_eq!(fold(sum(first) + sum(second)), slow_sum(&bytes));
    }

    #[test]
    fn an_update_is_a_new_sum(
        mut bytes in prop::collection::vec(any::<u8>(), 8..100),
        at in 0usize..40,
        new: [u8; 4],
        long: bool,
    ) {
        let before = finish(sum(&bytes));
        let len = if long { 4 } else { 2 };
        let at = (at * 2).min((bytes.len() - len) & !1);
        let old = bytes[at..at + len].to_vec();
        bytes[at..at + len].copy_from_slice(&new[..len]);
        let after = if long {
            let old = u32::from_be_bytes(old.try_into().unwrap());
            checksum::update32(before, old, u32::from_be_bytes(new))
        } else {
            let old = u16::from_be_bytes(old.try_into().unwrap());
            checksum::update16(before, old, u16::from_be_bytes([new[0], new[1]]))
        };
        prop_assert!(same(after, finish(sum(&bytes))));
        // What verifies it sees no difference at all.
        let checked = fold(sum(&bytes) + u32::from(after));
        prop_assert!(checked == 0xffff || bytes.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn an_updated_address_is_a_new_sum(
        old in address(),
        new in address(),
        data in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let before = finish(sum(&octets(old)) + sum(&data));
        let after = checksum::update_address(before, old, new);
        prop_assert!(same(after, finish(sum(&octets(new)) + sum(&data))));
    }

    #[test]
    fn the_pseudo_header_is_its_bytes(
        source in address(),
        destination in address(),
        protocol: u8,
        len in 0u32..100_000,
    ) {
        let mut bytes = [octets(source), octets(destination)].concat();
        bytes.extend(len.to_be_bytes());
        bytes.extend([0, 0, 0, protocol]);
        let pseudo = checksum::pseudo(source, destination, Protocol(protocol), len);
        prop_assert_eq!(fold(pseudo), slow_sum(&bytes));
    }

    #[test]
    fn a_filled_ipv4_header_is_right(ttl: u8, id: u16, options in prop::collection::vec(1u8..2, 0..40)) {
        let built = v4().hop_limit(ttl).id(id).ip_options(&options).udp(1, 2).frame();
        let mut frame = built.to_vec();
        let packet = Packet::parse(&frame).unwrap();
        prop_assert!(checksum::ipv4_header_checksum_ok(&frame, &packet));
        frame[14 + ipv4::TTL] = ttl.wrapping_sub(1);
        prop_assert!(!checksum::ipv4_header_checksum_ok(&frame, &packet));
        checksum::fill_ipv4_header_checksum(&mut frame, packet.network);
        prop_assert!(checksum::ipv4_header_checksum_ok(&frame, &packet));
    }
}
