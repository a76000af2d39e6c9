//! A packet with other ends is the packet that would have been built with them.
mod nat64;
mod quotation;
mod recipe;

use std::net::IpAddr;

use proptest::prelude::*;
use ringwall_wire::translate::{rewrite, rewrite_simple};
use ringwall_wire::{Delta, Direction, Ends, FlowKey, Packet, Plain, Protocol, Transport, Version};
use ringwall_wire::{checksum, flow_key, udp};

use crate::samples;
use recipe::{Kind, Recipe, ends, recipe};

/// The frame with other ends.
fn rewritten(frame: &[u8], to: &Ends) -> Vec<u8> {
    let packet = Packet::parse(frame).unwrap();
    let mut frame = frame.to_vec();
    rewrite(&mut frame, &packet, to, Delta::between(&Ends::of(&packet), to));
    frame
}

#[test]
fn ends_are_those_of_the_key() {
    for (name, frame) in samples::flows() {
        let packet = Packet::parse(&frame).unwrap();
        let (key, direction) = flow_key(&packet, 1).unwrap();
        assert_eq!(Ends::of(&packet), Ends::of_key(&key, direction), "{name}");
        let back = Ends::of_key(&key, direction.reversed());
        assert_eq!(Ends::of(&packet).reversed(), back, "{name}");
    }
    for (name, frame) in samples::errors() {
        let packet = Packet::parse(&frame).unwrap();
        let addresses = Ends { source: (packet.source, 0), destination: (packet.destination, 0) };
        assert_eq!(Ends::of(&packet), addresses, "{name}");
    }
}

#[test]
fn of_a_later_fragment_only_addresses_change() {
    let to = Ends { source: ([9, 9, 9, 9].into(), 7), destination: ([8, 8, 8, 8].into(), 6) };
    let old = samples::sample("fragment4-last");
    let new = rewritten(&old, &to);
    let packet = Packet::parse(&new).unwrap();
    assert!(checksum::ipv4_header_checksum_ok(&new, &packet));
    assert_eq!((packet.source, packet.destination), (to.source.0, to.destination.0));
    assert_eq!(new[34..], old[34..]);
}

#[test]
fn ends_of_the_other_version_change_nothing() {
    let v6 = Ends { source: ([1; 16].into(), 7), destination: ([2; 16].into(), 6) };
    let mixed = Ends { source: ([1, 2, 3, 4].into(), 7), ..v6 };
    let v4 = Ends { destination: ([5, 6, 7, 8].into(), 6), ..mixed };
    for (name, frame) in samples::flows() {
        for to in [v6, mixed] {
            let packet = Packet::parse(&frame).unwrap();
            let other = packet.source.is_ipv4() || to.source.0.is_ipv4();
            assert!(!other || rewritten(&frame, &to) == frame[..], "{name}");
        }
        let mut plain = frame.to_vec();
        if let Some(read) = Plain::read(&plain, 0) {
            let other = if read.version == Version::V4 { v6 } else { v4 };
            let (key, way) = FlowKey::new(0, read.key.protocol(), other.source, other.destination);
            read.translate(&mut plain, (&key, way), Delta { header: 1, transport: 2 });
            assert_eq!(plain, frame[..], "{name}");
        }
    }
}

/// "None" stays none, and of a sum of zero one stays the other.
#[test]
fn a_datagram_without_checksum_gets_none() {
    let to = Ends { source: ([9, 9, 9, 9].into(), 7), destination: ([8, 8, 8, 8].into(), 6) };
    let new = rewritten(&samples::sample("udp4-no-checksum"), &to);
    let Transport::Udp(udp) = Packet::parse(&new).unwrap().body else { panic!("udp") };
    assert_eq!((udp.checksum, udp.source_port, udp.destination_port), (0, 7, 6));
}

#[test]
fn no_difference_is_all_zeros() {
    let key = FlowKey::new(0, Protocol::TCP, ([1, 2, 3, 4].into(), 5), ([6; 4].into(), 7)).0;
    let ends = Ends::of_key(&key, Direction::Forward);
    assert_eq!(Delta::between(&ends, &ends), Delta::default());
    assert_eq!(Delta::between(&ends, &ends.reversed()), Delta::default());
    assert_eq!(Delta::default().reversed(), Delta::default());
}

/// The checksum field of a frame, and the offset of the two bytes that the recipe lets it choose.
fn field(recipe: &Recipe, frame: &[u8]) -> Option<(u16, usize)> {
    let packet = Packet::parse(frame).unwrap();
    let (field, payload) = match recipe.kind {
        Kind::Tcp => (16, packet.end - packet.payload_len()),
        Kind::Udp => (udp::CHECKSUM, packet.transport + 8),
        Kind::Echo | Kind::EchoReply => (2, packet.transport + 8),
        Kind::UdpNoChecksum
        | Kind::Sctp
        | Kind::SctpNoChecksum
        | Kind::Gre
        | Kind::GreCall
        | Kind::Esp
        | Kind::OtherIcmp
        | Kind::Summed(_)
        | Kind::Other => return None,
    };
    let at = packet.transport as usize + field;
    Some((u16::from_be_bytes([frame[at], frame[at + 1]]), payload as usize))
}

/// The recipe with data that makes the checksum with `ends` zero.
fn zeroed(recipe: &Recipe, ends: &Ends) -> Option<Recipe> {
    let mut recipe = recipe.clone();
    recipe.data.splice(..0, [0, 0]);
    let (sum, _) = field(&recipe, &recipe.build(ends))?;
    let sum = if sum == 0xffff { 0 } else { sum };
    recipe.data[..2].copy_from_slice(&sum.to_be_bytes());
    let (sum, _) = field(&recipe, &recipe.build(ends))?;
    assert!(matches!(sum, 0 | 0xffff), "{sum:#x}");
    Some(recipe)
}

/// A recipe, and two pairs of ends of its version.
fn change() -> impl Strategy<Value = (Recipe, Ends, Ends)> {
    recipe().prop_flat_map(|recipe| {
        let (version, kind) = (recipe.version, recipe.kind);
        (Just(recipe), ends(version, kind), ends(version, kind))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6_000))]

    #[test]
    fn a_rewritten_packet_is_one_built_with_its_ends((recipe, from, to) in change()) {
        let frame = recipe.build(&from);
        prop_assert_eq!(rewritten(&frame, &to), recipe.build(&to), "{:?}", recipe);
    }

    #[test]
    fn sums_of_zero_are_no_exception((recipe, from, to) in change(), before: bool) {
        let Some(recipe) = zeroed(&recipe, if before { &from } else { &to }) else { return Ok(()) };
        prop_assert_eq!(rewritten(&recipe.build(&from), &to), recipe.build(&to), "{:?}", recipe);
    }

    #[test]
    fn the_packets_that_go_back_take_the_complement((recipe, from, to) in change()) {
        let delta = Delta::between(&from, &to);
        prop_assert_eq!(Delta::between(&to.reversed(), &from.reversed()), delta.reversed());
        prop_assert_eq!(delta.reversed().reversed(), delta);
        let answer = recipe.build(&to.reversed());
        let mut back = answer.clone();
        rewrite(&mut back, &Packet::parse(&answer).unwrap(), &from.reversed(), delta.reversed());
        prop_assert_eq!(back, recipe.build(&from.reversed()));
    }

    #[test]
    fn a_wrong_checksum_stays_wrong((recipe, from, to) in change(), at: prop::sample::Index, bit in 0u32..8) {
        let mut wrong = recipe.build(&from);
        let packet = Packet::parse(&wrong).unwrap();
        let at = packet.transport as usize + at.index(packet.transport_len().max(1) as usize);
        let Some(byte) = wrong.get_mut(at) else { return Ok(()) };
        *byte ^= 1 << bit;
        let Ok(packet) = Packet::parse(&wrong) else { return Ok(()) };
        let ok = checksum::transport_checksum_ok(&wrong, &packet);
        let new = rewritten(&wrong, &to);
        let Ok(packet) = Packet::parse(&new) else { return Ok(()) };
        prop_assert_eq!(checksum::transport_checksum_ok(&new, &packet), ok);
    }

    #[test]
    fn the_short_descriptor_translates_like_the_long_one((recipe, from, to) in change(), zero: bool) {
        let recipe = if zero { zeroed(&recipe, &to).unwrap_or(recipe) } else { recipe };
        let mut frame = recipe.build(&from);
        let expected = rewritten(&frame, &to);
        let packet = Packet::parse(&frame).unwrap();
        let (key, way) = FlowKey::new(0, packet.protocol, to.source, to.destination);
        let mut simple = frame.clone();
        let done = rewrite_simple(&mut simple, &packet, (&key, way), Delta::between(&from, &to));
        prop_assert_eq!(&simple, if done { &expected } else { &frame });
        let Some(plain) = Plain::read(&frame, 0) else { return Ok(()) };
        let (key, way) = FlowKey::new(0, plain.key.protocol(), to.source, to.destination);
        plain.translate(&mut frame, (&key, way), Delta::between(&from, &to));
        prop_assert_eq!(frame, expected);
    }

    #[test]
    fn a_source_of_ipv4_alone_makes_the_same_key_and_difference(
        from: (u32, u16), to: (u32, u16), there: (u32, u16), domains: [u16; 2],
    ) {
        let end = |(address, port): (u32, u16)| (std::net::Ipv4Addr::from_bits(address).into(), port);
        let ends = |source| Ends { source: end(source), destination: end(there) };
        let delta = Delta::between(&ends(from), &ends(to));
        prop_assert_eq!(Delta::between_v4_sources(from, to), delta);
        let key = |domain, source| FlowKey::new(domain, Protocol::TCP, end(source), end(there));
        let (old, way) = key(domains[0], from);
        prop_assert_eq!(old.v4_ends(way), Some([from, there]));
        prop_assert_eq!(FlowKey::v4(domains[1], Protocol::TCP, to, there), key(domains[1], to));
    }

    #[test]
    fn a_cut_frame_is_safe((recipe, from, to) in change(), len: prop::sample::Index) {
        let frame = recipe.build(&from);
        let packet = Packet::parse(&frame).unwrap();
        let mut cut = frame[..len.index(frame.len())].to_vec();
        rewrite(&mut cut, &packet, &to, Delta::between(&from, &to));
    }
}

/// How many of the recipes the short descriptor reads: the property above is about something.
#[test]
fn recipes_make_plain_packets_too() {
    use proptest::strategy::ValueTree;
    use proptest::test_runner::TestRunner;
    let mut runner = TestRunner::deterministic();
    let plain = (0..1_000).filter(|_| {
        let (recipe, from, _) = change().new_tree(&mut runner).unwrap().current();
        Plain::read(&recipe.build(&from), 0).is_some()
    });
    assert!(plain.count() >= 50);
}

/// Any address of a version.
fn address(v4: bool) -> BoxedStrategy<IpAddr> {
    if v4 {
        any::<[u8; 4]>().prop_map(IpAddr::from).boxed()
    } else {
        any::<[u16; 8]>().prop_map(IpAddr::from).boxed()
    }
}
