//! Keys are the same for both directions, differ for different flows, and have the documented
//! bytes.
use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use ringwall_wire::placement::slot_of_flow;
use ringwall_wire::{
    Direction, FlowKey, FragmentKey, Packet, PlacementKey, Protocol, SLOTS, Slot, Version,
    flow_key, slot,
};

use crate::samples::{flows, fragments, sample};

fn address() -> impl Strategy<Value = IpAddr> {
    let byte = || 0u8..3;
    prop_oneof![
        any::<[u8; 4]>().prop_map(|octets| Ipv4Addr::from(octets).into()),
        any::<[u8; 16]>().prop_map(|octets| Ipv6Addr::from(octets).into()),
        [byte(), byte(), byte(), byte()].prop_map(|octets| Ipv4Addr::from(octets).into()),
        [byte(), byte()].prop_map(|[a, b]| {
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, u16::from(a), u16::from(b)).into()
        }),
    ]
}

fn key_of(name: &str, domain: u16) -> (FlowKey, Direction) {
    flow_key(&Packet::parse(&sample(name)).unwrap(), domain).unwrap()
}

#[test]
fn the_layout_is_as_documented() {
    let (key, direction) = key_of("tcp4-data", 0x0102);
    let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    let expected = [
        &mapped[..],
        &[192, 0, 2, 10],
        &mapped,
        &[198, 51, 100, 20],
        &[0x9c, 0x40, 0x01, 0xbb], // 40,000 and 443
        &[0x01, 0x02, 6, 4],
    ];
    assert_eq!(key.as_bytes()[..], expected.concat());
    assert_eq!(direction, Direction::Forward);
    assert_eq!((key.domain(), key.protocol(), key.version()), (0x0102, Protocol::TCP, Version::V4));
    assert_eq!(size_of::<FlowKey>(), 40);
    assert_eq!(size_of::<FragmentKey>(), 40);

    let fragment = Packet::parse(&sample("fragment4-last")).unwrap();
    let key = FragmentKey::of(&fragment, 0x0102).unwrap();
    let expected = [
        &mapped[..],
        &[192, 0, 2, 10],
        &mapped,
        &[198, 51, 100, 20],
        &[0, 0, 0, 0x77, 1, 2, 17, 0x14],
    ];
    assert_eq!(key.as_bytes()[..], expected.concat());

    let endpoint = PlacementKey::of_endpoint(
        0x0102,
        Protocol::UDP,
        (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 5060),
    );
    let expected = [&mapped[..], &[10, 0, 0, 1, 0x13, 0xc4, 0, 0, 1, 2, 17, 0x24]];
    assert_eq!(endpoint.as_bytes(), expected.concat());
}

#[test]
fn both_directions_have_one_key() {
    let pairs = [
        ("tcp4-syn", "tcp4-syn-ack"),
        ("tcp6-data", "tcp6-answer"),
        ("udp4", "udp4-answer"),
        ("udp6", "udp6-answer"),
        ("icmp4-echo-request", "icmp4-echo-reply"),
        ("icmp6-echo-request", "icmp6-echo-reply"),
        ("tcp4-data", "tcp4-qinq"),
    ];
    for (there, back) in pairs {
        let (there, back) = (key_of(there, 1), key_of(back, 1));
        assert_eq!(there.0, back.0);
    }
    assert_eq!(key_of("tcp4-syn", 1).1, key_of("tcp4-syn-ack", 1).1.reversed());
    assert_ne!(key_of("tcp4-syn", 1).0, key_of("tcp4-syn", 2).0, "domains never mix");
    assert_ne!(key_of("udp4", 1).0, key_of("tcp4-syn", 1).0);
}

#[test]
fn ports_are_those_of_the_protocol() {
    let ports = |name| {
        let (key, direction) = key_of(name, 0);
        (key.source(direction).1, key.destination(direction).1)
    };
    assert_eq!(ports("sctp4"), (3868, 3869));
    assert_eq!(ports("icmp4-echo-reply"), (0x1234, 0x1234));
    assert_eq!(ports("icmp6-solicitation"), (0, 0));
    assert_eq!(ports("gre4-version-0"), (0, 0));
    assert_eq!(ports("gre4-version-1"), (0, 0x4321));
    assert_eq!(ports("esp4"), (0, 0));
    assert_eq!(ports("ah4"), (0, 0));
}

#[test]
fn a_fragment_has_a_key_for_itself_only() {
    for (name, frame) in fragments() {
        let packet = Packet::parse(&frame).unwrap();
        assert_eq!(flow_key(&packet, 0), None, "{name}");
        assert!(FragmentKey::of(&packet, 0).is_some(), "{name}");
    }
    for (name, frame) in flows() {
        let packet = Packet::parse(&frame).unwrap();
        assert!(flow_key(&packet, 0).is_some(), "{name}");
        assert_eq!(FragmentKey::of(&packet, 0), None, "{name}");
    }
    let key = |name: &str| FragmentKey::of(&Packet::parse(&sample(name)).unwrap(), 5).unwrap();
    assert_eq!(key("fragment4-first"), key("fragment4-last"));
    assert_eq!(key("fragment6-first"), key("fragment6-last"));
    assert_eq!(key("fragment4-first").domain(), 5);
    let v6: IpAddr = Ipv6Addr::LOCALHOST.into();
    let protocol = |protocol| FragmentKey::new(0, v6, v6, 1, protocol);
    assert_eq!(protocol(Protocol::TCP), protocol(Protocol::UDP), "IPv6 leaves it out");
}

#[test]
fn slots_are_spread_evenly() {
    let mut counts = vec![0u32; usize::from(SLOTS)];
    let peer = (IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1)), 443);
    for number in 0..SLOTS as u32 * 16 {
        let source =
            (IpAddr::V4(Ipv4Addr::from(0x0a01_0000 + number / 1000)), number as u16 % 1000);
        let (key, _) = FlowKey::new(0, Protocol::TCP, source, peer);
        let Slot(index) = slot([1, 2], &PlacementKey::of_flow(&key));
        assert_eq!(slot_of_flow([1, 2], &key), Slot(index));
        counts[usize::from(index)] += 1;
    }
    // 16 a slot on average; for a Poisson distribution 50 has a chance below one in 10^9.
    assert!(counts.iter().all(|count| *count < 50), "{:?}", counts.iter().max());
    assert!(counts.iter().filter(|count| **count == 0).count() < 10);
}

#[test]
fn keys_are_hashed_by_their_bytes() {
    let hash = |name| {
        let mut hasher = DefaultHasher::new();
        key_of(name, 1).0.hash(&mut hasher);
        hasher.finish()
    };
    let hashes: HashSet<_> = ["udp4", "udp6", "sctp4", "esp4"].map(hash).into();
    assert_eq!(hashes.len(), 4);
    assert_eq!(hash("udp4"), hash("udp4-answer"));
}

/// One of four ends: IPv4 ones and the IPv6 ones that carry the same addresses.
fn end(v6: bool, (address, port): (bool, bool)) -> (IpAddr, u16) {
    let v4 = Ipv4Addr::new(10, 0, 0, u8::from(address));
    (if v6 { v4.to_ipv6_mapped().into() } else { v4.into() }, u16::from(port))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn a_key_is_symmetric_and_gives_back_its_ends(
        a in address(),
        b in address(),
        ports: (u16, u16),
        domain: u16,
        protocol: u8,
    ) {
        let (source, destination) = ((a, ports.0), (b, ports.1));
        let (key, direction) = FlowKey::new(domain, Protocol(protocol), source, destination);
        let (back, other) = FlowKey::new(domain, Protocol(protocol), destination, source);
        prop_assert_eq!(key, back);
        prop_assert_eq!(direction == other, source == destination);
        prop_assert!(key.low() <= key.high() || a.is_ipv4() != b.is_ipv4());
        prop_assert_eq!((key.domain(), key.protocol()), (domain, Protocol(protocol)));
        prop_assert_eq!(FlowKey::from_bytes(key.as_bytes()), Some(key));
        if a.is_ipv4() == b.is_ipv4() {
            prop_assert_eq!(key.source(direction), source);
            prop_assert_eq!(key.destination(direction), destination);
        }
    }

    #[test]
    fn keys_are_equal_only_for_the_same_flow(
        versions: (bool, bool),
        ends: [(bool, bool); 4],
    ) {
        let [a, b] = [ends[0], ends[1]].map(|bits| end(versions.0, bits));
        let [c, d] = [ends[2], ends[3]].map(|bits| end(versions.1, bits));
        let first = FlowKey::new(0, Protocol::TCP, a, b).0;
        let second = FlowKey::new(0, Protocol::TCP, c, d).0;
        let same = (a, b) == (c, d) || (a, b) == (d, c);
        prop_assert_eq!(first == second, same);
    }

    #[test]
    fn bytes_that_are_no_key_are_refused(bytes: [u8; 40]) {
        if let Some(key) = FlowKey::from_bytes(&bytes) {
            prop_assert_eq!(key.as_bytes(), &bytes);
            prop_assert!(bytes[39] == 4 || bytes[39] == 6);
        }
    }
}
