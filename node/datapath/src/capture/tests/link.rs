//! Every link type: where the IP packet begins, and which packets count.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{LinkType, ethernet_frame, ip_packet};

const V4: [u8; 20] = [0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];

fn v6() -> Vec<u8> {
    [&[0x60, 0, 0, 0, 0, 0, 59, 64][..], &[0; 32]].concat()
}

/// The types with the bytes that stand before the packet.
const PREFIXES: &[(LinkType, &[u8])] = &[
    (LinkType::ETHERNET, b"ddddddssssss\x08\x00"),
    (LinkType::ETHERNET, b"ddddddssssss\x86\xdd"),
    (LinkType::ETHERNET, b"ddddddssssss\x81\x00\x00\x05\x08\x00"),
    (LinkType::ETHERNET, b"ddddddssssss\x88\xa8\x00\x05\x81\x00\x00\x06\x86\xdd"),
    (LinkType::ETHERNET, b"ddddddssssss\x91\x00\x00\x05\x81\x00\x00\x06\x81\x00\x00\x07\x08\x00"),
    (LinkType::ETHERNET, b"ddddddssssss\x88\x64\x11\x00\x00\x01\x00\x16\x00\x21"),
    (LinkType::ETHERNET, b"ddddddssssss\x81\x00\x00\x07\x88\x64\x11\x00\x00\x01\x00\x2a\x00\x57"),
    (LinkType::PPPOE, b"\x11\x00\x00\x01\x00\x16\x00\x21"),
    (LinkType::RAW, b""),
    (LinkType::RAW_BSD, b""),
    (LinkType::RAW_OPENBSD, b""),
    (LinkType::IPV4, b""),
    (LinkType::IPV6, b""),
    (LinkType::NULL, b"\x02\0\0\0"),
    (LinkType::NULL, b"\0\0\0\x1e"),
    (LinkType::LOOP, b"\0\0\0\x02"),
    (LinkType::LINUX_SLL, b"\0\0\0\x01\0\x06macmac\0\0\x08\x00"),
    (LinkType::LINUX_SLL2, b"\x08\x00\0\0\0\0\0\x02\0\x01\0\x06macmac\0\0"),
    (LinkType::PPP, b"\x21"),
    (LinkType::PPP, b"\x57"),
    (LinkType::PPP, b"\x00\x21"),
    (LinkType::PPP, b"\xff\x03\x21"),
    (LinkType::PPP, b"\xff\x03\x00\x57"),
];

#[test]
fn every_link_type_carries_both_versions() {
    for &(link, prefix) in PREFIXES {
        for packet in [V4.to_vec(), v6()] {
            let bytes = [prefix, &packet].concat();
            assert_eq!(ip_packet(link, &bytes), Some(&packet[..]), "{link:?} {prefix:02x?}");
            let short = &bytes[..bytes.len() - 1];
            assert_eq!(ip_packet(link, short), None, "{link:?} with a header cut short");
        }
        for version in [0, 1, 5, 7, 15] {
            let bytes = [prefix, &[version << 4; 60]].concat();
            assert_eq!(ip_packet(link, &bytes), None, "{link:?} with version {version}");
        }
    }
}

#[test]
fn other_payloads_are_not_ip() {
    let after: [(LinkType, &[u8]); 5] = [
        (LinkType::ETHERNET, b"ddddddssssss\x08\x06"), // ARP
        (LinkType::ETHERNET, b"ddddddssssss\x88\x63\x11\0\0\x01\0\0"), // PPPoE discovery
        (LinkType::ETHERNET, b"ddddddssssss\x88\x64\x11\0\0\x01\0\0\xc0\x21"), // LCP
        (LinkType::ETHERNET, b"ddddddssssss\x88\xcc"), // LLDP
        (LinkType(147), b""),                          // a user's own
    ];
    for (link, prefix) in after {
        assert_eq!(ip_packet(link, &[prefix, &V4].concat()), None, "{link:?} {prefix:02x?}");
    }
}

#[test]
fn a_frame_is_made() {
    let mut out = [0xff; 60];
    assert_eq!(ethernet_frame(&V4, [1; 6], [2; 6], &mut out), Some(34));
    assert_eq!(out[..14], [1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2, 2, 0x08, 0x00]);
    assert_eq!(out[14..34], V4);
    assert_eq!(ethernet_frame(&v6(), [0; 6], [0; 6], &mut out), Some(54));
    assert_eq!(out[12..14], [0x86, 0xdd]);
    assert_eq!(ethernet_frame(&V4, [0; 6], [0; 6], &mut out[..33]), None);
    assert_eq!(ethernet_frame(&V4[..19], [0; 6], [0; 6], &mut out), None);
    assert_eq!(ethernet_frame(&[0x55; 30], [0; 6], [0; 6], &mut out), None);
}

proptest! {
    #[test]
    fn any_bytes_of_any_type(link in 0..300_u16, bytes in vec(any::<u8>(), 0..120)) {
        let Some(packet) = ip_packet(LinkType(link), &bytes) else { return Ok(()) };
        prop_assert!(bytes.ends_with(packet));
        let header = if packet[0] >> 4 == 4 { 20 } else { 40 };
        prop_assert!(packet.len() >= header);
        let mut out = [0; 160];
        let length = ethernet_frame(packet, [0; 6], [0; 6], &mut out).unwrap();
        prop_assert_eq!(ip_packet(LinkType::ETHERNET, &out[..length]), Some(packet));
    }
}
