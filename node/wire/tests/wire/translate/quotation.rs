//! ICMP errors about translated packets.
use std::net::IpAddr;

use proptest::prelude::*;
use ringwall_wire::build::{Builder, Frame, quotation};
use ringwall_wire::translate::rewrite_quotation;
use ringwall_wire::{Ends, Packet, Version, checksum, icmp};

use super::recipe::{Recipe, ends, recipe};
use super::{address, change};
use crate::samples;

type Outer = (IpAddr, IpAddr);

/// The error that quotes `bytes` at most of the recipe's packet.
fn error(outer: Outer, recipe: &Recipe, inner: &Ends, bytes: usize) -> Vec<u8> {
    let frame = recipe.build(inner);
    let packet = Packet::parse(&frame).unwrap();
    let headers = (packet.transport - packet.network) as usize;
    let quoted = quotation(&frame, &packet);
    let len = quoted.len().min(bytes.max(headers + 8));
    // Half of a checksum stays as it is: TCP's is at 16, that of SCTP at 8.
    let half = matches!(len - headers, 9..=11 | 17);
    let quoted = &quoted[..if half { headers + 8 } else { len }];
    let kind = match recipe.version {
        Version::V4 => icmp::v4::TIME_EXCEEDED,
        Version::V6 => icmp::v6::TIME_EXCEEDED,
    };
    let builder = Builder::new(outer.0, outer.1).vlan(5).icmp(kind, 0, 0).payload(quoted);
    let mut out = vec![0; Frame::MAX];
    let len = builder.write(&mut out).unwrap();
    out.truncate(len);
    out
}

/// The frame with other addresses, about a packet with other ends.
fn rewritten(frame: &[u8], outer: Outer, inner: &Ends) -> Option<Vec<u8>> {
    let error = Packet::parse(frame).unwrap();
    let embedded = Packet::parse_embedded(frame, &error).ok()?;
    let mut frame = frame.to_vec();
    rewrite_quotation(&mut frame, &error, &embedded, outer, inner);
    Some(frame)
}

fn outer(version: Version) -> impl Strategy<Value = Outer> {
    let v4 = version == Version::V4;
    (address(v4), address(v4))
}

/// A recipe, old and new addresses of an error, old and new ends of the packet in it.
fn case() -> impl Strategy<Value = (Recipe, Outer, Outer, Ends, Ends)> {
    recipe().prop_flat_map(|recipe| {
        let (version, kind) = (recipe.version, recipe.kind);
        let outer = || outer(version);
        (Just(recipe), outer(), outer(), ends(version, kind), ends(version, kind))
    })
}

#[test]
fn an_error_about_a_later_fragment_gets_addresses_alone() {
    let inner = samples::sample("fragment4-last");
    let frame = samples::v4().icmp(11, 1, 0).payload(&inner[14..]).frame();
    let outer = ([9, 9, 9, 9].into(), [8, 8, 8, 8].into());
    let to = Ends { source: ([7, 7, 7, 7].into(), 1), destination: ([6, 6, 6, 6].into(), 2) };
    let new = rewritten(&frame, outer, &to).unwrap();
    let packet = Packet::parse(&new).unwrap();
    assert!(checksum::ipv4_header_checksum_ok(&new, &packet));
    assert!(checksum::transport_checksum_ok(&new, &packet));
    assert_eq!((packet.source, packet.destination), outer);
    let embedded = Packet::parse_embedded(&new, &packet).unwrap();
    assert_eq!((embedded.source, embedded.destination), (to.source.0, to.destination.0));
    assert_eq!(new[42 + 20..], frame[42 + 20..]);
}

#[test]
fn addresses_of_the_other_version_change_nothing() {
    let frame = samples::sample("error4-unreachable-udp4");
    let v4: IpAddr = [1, 2, 3, 4].into();
    let v6: IpAddr = [7; 16].into();
    let ends = |source, destination| Ends { source: (source, 1), destination: (destination, 2) };
    for (outer, inner) in [
        ((v4, v6), ends(v4, v4)),
        ((v6, v4), ends(v4, v4)),
        ((v4, v4), ends(v6, v4)),
        ((v4, v4), ends(v4, v6)),
    ] {
        assert_eq!(rewritten(&frame, outer, &inner).unwrap(), frame[..]);
    }
    assert_ne!(rewritten(&frame, (v4, v4), &ends(v4, v4)).unwrap(), frame[..]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn a_rewritten_error_is_one_built_about_the_other_packet(
        (recipe, old_outer, new_outer, from, to) in case(),
        bytes in 0usize..200,
    ) {
        let frame = error(old_outer, &recipe, &from, bytes);
        let Some(new) = rewritten(&frame, new_outer, &to) else { return Ok(()) };
        prop_assert_eq!(new, error(new_outer, &recipe, &to, bytes), "{:?}", recipe);
    }

    #[test]
    fn what_is_not_translated_stays_wrong(
        (recipe, old_outer, new_outer, from, to) in case(),
        at: prop::sample::Index,
        bit in 0u32..8,
    ) {
        let mut frame = error(old_outer, &recipe, &from, 60);
        let at = 18 + at.index(frame.len() - 18);
        frame[at] ^= 1 << bit;
        let Ok(packet) = Packet::parse(&frame) else { return Ok(()) };
        let ok = checksum::transport_checksum_ok(&frame, &packet);
        if packet.is_icmp_error()
            && let Some(new) = rewritten(&frame, new_outer, &to)
        {
            let packet = Packet::parse(&new).unwrap();
            prop_assert_eq!(checksum::transport_checksum_ok(&new, &packet), ok);
        }
    }

    #[test]
    fn a_cut_frame_is_safe((recipe, from, to) in change(), len: prop::sample::Index) {
        let outer = (from.source.0, from.destination.0);
        let frame = error(outer, &recipe, &from, 200);
        let error = Packet::parse(&frame).unwrap();
        let Ok(embedded) = Packet::parse_embedded(&frame, &error) else { return Ok(()) };
        let mut cut = frame[..len.index(frame.len())].to_vec();
        rewrite_quotation(&mut cut, &error, &embedded, outer, &to);
    }

    #[test]
    fn it_undoes_itself((recipe, old_outer, new_outer, from, to) in case(), bytes in 0usize..200) {
        let frame = error(old_outer, &recipe, &from, bytes);
        let Some(new) = rewritten(&frame, new_outer, &to) else { return Ok(()) };
        prop_assert_eq!(rewritten(&new, old_outer, &from).unwrap(), frame);
    }
}
