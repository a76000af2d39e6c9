//! Fragments in any order, once or more often, make the datagram that was split.

use proptest::prelude::*;

use super::sample::{any_lengths, any_sample};
use super::{Limits, Outcome, Rig, Sample};

fn rig() -> Rig {
    Rig::new(Limits::default())
}

#[test]
fn in_order_and_backwards() {
    for ipv6 in [false, true] {
        let sample = Sample::udp(ipv6, 3000);
        let mut fragments = sample.split(&[1480, 1480]);
        for _ in 0..2 {
            let mut rig = rig();
            rig.held(&fragments[0]);
            rig.held(&fragments[1]);
            let datagram = rig.complete(&fragments[2]);
            assert_eq!((datagram.held(), datagram.fragments()), (2, 3));
            rig.done(datagram, &sample.whole());
            assert_eq!((rig.fragments.datagrams(), rig.fragments.memory()), (0, 0));
            fragments.reverse();
        }
    }
}

#[test]
fn padding_of_the_link_is_no_data() {
    let sample = Sample::udp(false, 20);
    let mut fragments = sample.split(&[8, 8]);
    fragments.iter_mut().for_each(|frame| frame.resize(60, 0xee));
    let mut rig = rig();
    rig.held(&fragments[0]);
    rig.held(&fragments[1]);
    let datagram = rig.complete(&fragments[2]);
    rig.done(datagram, &sample.whole());
}

#[test]
fn the_largest_datagrams() {
    // 65,535 bytes are the whole packet in IPv4 and its payload in IPv6.
    for (ipv6, length) in [(false, 65_515), (true, 65_535)] {
        let sample = Sample::udp(ipv6, length);
        let fragments = sample.split(&[1440; 60]);
        let mut rig = rig();
        for fragment in &fragments[1..] {
            rig.held(fragment);
        }
        let datagram = rig.complete(&fragments[0]);
        rig.done(datagram, &sample.whole());
    }
}

#[test]
fn ids_protocols_addresses_and_zones_are_apart() {
    let sample = Sample::udp(false, 64);
    let others = [
        Sample { id: 2, ..sample.clone() },
        Sample { source: 2, ..sample.clone() },
        Sample { protocol: 47, ..sample.clone() },
        Sample::udp(true, 64),
    ];
    let mut rig = rig();
    rig.held(&sample.fragment(0, 32, true));
    for other in &others {
        rig.held(&other.fragment(32, 32, false));
    }
    assert!(matches!(rig.insert_from(9, &sample.fragment(32, 32, false)).outcome, Outcome::Held));
    assert_eq!(rig.fragments.datagrams(), 6);
    let datagram = rig.complete(&sample.fragment(32, 32, false));
    rig.done(datagram, &sample.whole());
}

#[test]
fn the_protocol_of_later_ipv6_fragments_does_not_count() {
    let sample = Sample::udp(true, 64);
    let other = Sample { protocol: 6, ..sample.clone() };
    let mut rig = rig();
    rig.held(&other.fragment(32, 32, false));
    let datagram = rig.complete(&sample.fragment(0, 32, true));
    rig.done(datagram, &sample.whole());
}

#[test]
fn congestion_met_by_one_was_met_by_all() {
    for ipv6 in [false, true] {
        for (first, second, whole) in [(2, 3, 3), (1, 1, 1), (0, 2, 0), (2, 1, 1), (0, 3, 3)] {
            let sample = |ecn| Sample { ecn, ..Sample::udp(ipv6, 64) };
            let mut rig = rig();
            rig.held(&sample(first).fragment(0, 32, true));
            let datagram = rig.complete(&sample(second).fragment(32, 32, false));
            rig.done(datagram, &sample(whole).whole());
        }
    }
}

#[test]
fn dont_fragment_counts_if_the_largest_had_it() {
    for (sizes, flags, expected) in [
        ([40, 24], [true, false], true),
        ([40, 24], [false, true], false),
        ([32, 32], [true; 2], true),
    ] {
        let sample = |dont_fragment| Sample { dont_fragment, ..Sample::udp(false, 64) };
        let mut rig = rig();
        rig.held(&sample(flags[0]).fragment(0, sizes[0], true));
        let datagram = rig.complete(&sample(flags[1]).fragment(sizes[0], sizes[1], false));
        assert_eq!(datagram.dont_fragment(), expected);
        assert_eq!(datagram.largest(), 20 + sizes[0] as u32);
        rig.done(datagram, &sample(expected).whole());
    }
}

proptest! {
    #[test]
    fn any_datagram_in_any_order(
        sample in any_sample(9..6000),
        lengths in any_lengths(),
        seed in any::<u64>(),
        copies in 1..3_usize,
    ) {
        let mut fragments = sample.split(&lengths);
        prop_assume!(fragments.len() > 1);
        let count = fragments.len();
        fragments = vec![fragments; copies].concat();
        shuffle(&mut fragments, seed);
        let mut rig = rig();
        let (mut held, mut duplicates) = (0, 0);
        for fragment in &fragments {
            match rig.outcome(fragment) {
                Outcome::Held => held += 1,
                Outcome::Duplicate => duplicates += 1,
                Outcome::Complete(datagram) => {
                    prop_assert_eq!(datagram.held() as usize, count - 1);
                    prop_assert_eq!(held, count - 1);
                    prop_assert_eq!(datagram.frame(), &sample.whole()[..]);
                    return Ok(());
                }
                Outcome::Dropped { reason, .. } => prop_assert!(false, "dropped: {}", reason),
            }
        }
        prop_assert!(false, "never complete: {} held, {} duplicates", held, duplicates);
    }
}

/// Fisher and Yates, with a small generator of its own so that a failure repeats.
pub(super) fn shuffle<T>(items: &mut [T], mut seed: u64) {
    for last in (1..items.len()).rev() {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        items.swap(last, (seed >> 33) as usize % (last + 1));
    }
}
