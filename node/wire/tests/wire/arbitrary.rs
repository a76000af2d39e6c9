//! No input makes the crate panic, and what is parsed lies inside the frame.
use std::net::IpAddr;

use proptest::prelude::*;
use ringwall_wire::arp::Arp;
use ringwall_wire::ndp::Neighbor;
use ringwall_wire::translate::{nat64, rewrite, rewrite_quotation};
use ringwall_wire::{
    Delta, Ends, FragmentKey, Packet, PlacementKey, SLOTS, Transport, Udp, Version,
};
use ringwall_wire::{build::Fragments, checksum, embedded_key, flow_key, slot};

use crate::samples;

/// Everything that can be done with a frame.
fn exercise(frame: &[u8]) {
    let _ = Arp::parse(frame);
    for at in [0, 4, 14] {
        let _ = Packet::parse_ip(frame, at, 0);
    }
    let _ = Packet::parse_ip(frame, u32::MAX, 0);
    let Ok(packet) = Packet::parse(frame) else { return };
    inside(frame, &packet);
    let keys = [
        flow_key(&packet, 1).map(|(key, _)| PlacementKey::of_flow(&key)),
        FragmentKey::of(&packet, 1).map(|key| PlacementKey::of_fragment(&key)),
        embedded(frame, &packet),
    ];
    assert!(keys[0].is_none() || keys[1].is_none(), "a fragment or a flow");
    for key in keys.iter().flatten() {
        assert!(slot([1, 2], key).0 < SLOTS);
    }
    let _ = Neighbor::parse(frame, &packet);
    change(frame, &packet);
    translate(frame, &packet);
    translate_version(frame, &packet);
}

fn inside(frame: &[u8], packet: &Packet) {
    assert!(packet.network < packet.transport);
    assert!(packet.transport <= packet.end);
    assert!(packet.end as usize <= frame.len());
    assert!(packet.payload_len() <= packet.transport_len());
    if let Transport::Tcp(tcp) = packet.body {
        assert_eq!(packet.transport_len(), u32::from(tcp.header_len) + tcp.payload_len);
    }
    if let Some(fragment) = packet.fragment {
        assert!(fragment.offset != 0 || fragment.more);
        assert!(fragment.header < packet.transport);
    }
}

fn embedded(frame: &[u8], packet: &Packet) -> Option<PlacementKey> {
    let embedded = Packet::parse_embedded(frame, packet).ok()?;
    assert!(packet.transport < embedded.network && embedded.network < embedded.transport);
    assert!(embedded.transport <= embedded.end && embedded.end <= packet.end);
    embedded_key(&embedded, 1).map(|(key, _)| PlacementKey::of_flow(&key))
}

/// A filled checksum is right, whatever the packet.
fn change(frame: &[u8], packet: &Packet) {
    let mut copy = frame.to_vec();
    let _ = checksum::transport_checksum_partial(frame, packet);
    checksum::fill_ipv4_header_checksum(&mut copy, packet.network);
    checksum::fill_transport_checksum(&mut copy, packet);
    assert!(checksum::ipv4_header_checksum_ok(&copy, packet));
    assert!(checksum::transport_checksum_ok(&copy, packet));
    if let Some(fragments) = Fragments::new(frame, packet, 1, 576) {
        let mut out = vec![0; 1024];
        for index in 0..fragments.count() {
            let len = fragments.write(index, &mut out).unwrap();
            assert!(Packet::parse(&out[..len]).is_ok(), "a fragment of a good packet is good");
        }
    }
}

/// What is translated into the other version is a packet of that with these ends, as right as before.
fn translate_version(frame: &[u8], packet: &Packet) {
    let mut out = vec![0; frame.len() + 100];
    let port = if matches!(packet.body, Transport::Icmp(_)) { 40_001 } else { 53 };
    let (from, to): (IpAddr, IpAddr) = match packet.version {
        Version::V4 => ([0x2a; 16].into(), [0xfd; 16].into()),
        Version::V6 => ([9, 8, 7, 6].into(), [5, 4, 3, 2].into()),
    };
    let ends = Ends { source: (from, 40_001), destination: (to, port) };
    let whole = match packet.version {
        Version::V4 => nat64::to_v6(frame, packet, &ends, &mut out),
        Version::V6 => nat64::to_v4(frame, packet, &ends, 1, &mut out),
    };
    if let Ok(len) = whole {
        let new = Packet::parse(&out[..len]).unwrap();
        assert_eq!((new.source, new.destination, new.end as usize), (from, to, len));
        let none = matches!(packet.body, Transport::Udp(Udp { checksum: 0, .. }));
        let right = checksum::transport_checksum_ok(frame, packet);
        assert!(none || checksum::transport_checksum_ok(&out[..len], &new) == right);
    }
    let Ok(embedded) = Packet::parse_embedded(frame, packet) else { return };
    let error = match packet.version {
        Version::V4 => nat64::error_to_v6(frame, packet, &embedded, (from, to), &ends, &mut out),
        Version::V6 => nat64::error_to_v4(frame, packet, &embedded, (from, to), &ends, 1, &mut out),
    };
    if let Ok(len) = error {
        let new = Packet::parse(&out[..len]).unwrap();
        let right = checksum::transport_checksum_ok(frame, packet);
        assert_eq!(checksum::transport_checksum_ok(&out[..len], &new), right);
        let found = Packet::parse_embedded(&out[..len], &new).unwrap();
        assert_eq!((found.source, found.destination), (from, to));
    }
}

/// Other ends leave checksums as right or wrong as they were, and can be taken back.
fn translate(frame: &[u8], packet: &Packet) {
    let old = Ends::of(packet);
    let to = match packet.version {
        Version::V4 => ([9, 8, 7, 6].into(), [5, 4, 3, 2].into()),
        Version::V6 => ([0x2a; 16].into(), [0xfd; 16].into()),
    };
    let port = if matches!(packet.body, Transport::Icmp(_)) { 40_001 } else { 53 };
    let new = Ends { source: (to.0, 40_001), destination: (to.1, port) };
    let mut copy = frame.to_vec();
    rewrite(&mut copy, packet, &new, Delta::between(&old, &new));
    right_or_wrong(frame, &copy, packet);
    if let Ok(embedded) = Packet::parse_embedded(frame, packet) {
        let mut copy = frame.to_vec();
        rewrite_quotation(&mut copy, packet, &embedded, to, &new);
        right_or_wrong(frame, &copy, packet);
        assert_eq!(Ends::of(&Packet::parse(&copy).unwrap()).source.0, to.0);
    }
}

fn right_or_wrong(old: &[u8], new: &[u8], packet: &Packet) {
    let translated = Packet::parse(new).unwrap();
    let header = checksum::ipv4_header_checksum_ok;
    assert_eq!(header(new, &translated), header(old, packet));
    let transport = checksum::transport_checksum_ok;
    assert_eq!(transport(new, &translated), transport(old, packet), "{old:02x?}");
}

#[test]
fn every_truncation_of_every_sample_is_safe() {
    for (name, frame) in samples::all() {
        exercise(&frame);
        for len in 0..frame.len() {
            exercise(&frame[..len]);
            let padding = name.ends_with("padded") && len >= 54;
            assert!(padding || Packet::parse(&frame[..len]).is_err(), "{name} cut to {len}");
        }
    }
}

#[test]
fn every_changed_byte_of_every_sample_is_safe() {
    for (_, frame) in samples::all() {
        let mut copy = frame.to_vec();
        for at in 0..copy.len().min(120) {
            for value in [0, 1, 4, 5, 6, 0x0f, 0x44, 0x46, 0x7f, 0x80, 0xf0, 0xff] {
                let before = std::mem::replace(&mut copy[at], value);
                exercise(&copy);
                copy[at] = before;
            }
        }
    }
}

/// A sample with a few bytes changed and its end cut or extended.
pub(crate) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let samples: Vec<Vec<u8>> =
        samples::all().into_iter().map(|(_, frame)| frame.to_vec()).collect();
    let changes = prop::collection::vec((0usize..110, any::<u8>()), 0..6);
    (prop::sample::select(samples), changes, -8isize..24).prop_map(|(mut frame, changes, grow)| {
        for (at, value) in changes {
            let at = at % frame.len();
            frame[at] = value;
        }
        frame.resize(frame.len().saturating_add_signed(grow), 0);
        frame
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn arbitrary_bytes_are_safe(frame in prop::collection::vec(any::<u8>(), 0..200)) {
        exercise(&frame);
    }

    #[test]
    fn arbitrary_ip_is_safe(v6: bool, rest in prop::collection::vec(any::<u8>(), 0..160)) {
        let start: &[u8] = if v6 { &[0x86, 0xdd, 0x60] } else { &[0x08, 0x00, 0x45] };
        exercise(&[&[2; 12], start, &rest].concat());
    }

    #[test]
    fn mutated_samples_are_safe(frame in mutated()) {
        exercise(&frame);
    }
}
