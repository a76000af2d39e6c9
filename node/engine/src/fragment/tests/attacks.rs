//! What no honest sender does, each with its reason.

use super::{Limits, Outcome, Rig, Sample};
use crate::Reason;

fn rig() -> Rig {
    Rig::new(Limits::default())
}

#[test]
fn overlaps_take_the_datagram_with_them() {
    for ipv6 in [false, true] {
        let sample = Sample::udp(ipv6, 200);
        for (offset, length, more) in [
            (8, 8, true),     // inside the first
            (0, 64, true),    // the first again, longer (teardrop)
            (0, 24, true),    // the first again, shorter
            (24, 16, true),   // over its end
            (72, 16, true),   // over the beginning of the last
            (24, 176, false), // over all but the beginning
        ] {
            let mut rig = rig();
            rig.held(&sample.fragment(0, 32, true));
            rig.held(&sample.fragment(80, 120, false));
            let dropped = rig.dropped(&sample.fragment(offset, length, more));
            assert_eq!(dropped, (Reason::FragmentOverlap, 2), "{offset}+{length}");
            assert_eq!((rig.fragments.datagrams(), rig.fragments.memory()), (0, 0));
        }
    }
}

#[test]
fn a_held_fragment_cannot_be_replaced() {
    let sample = Sample::udp(true, 900);
    let mut other = sample.clone();
    other.payload[899] ^= 1;
    let mut rig = rig();
    rig.held(&sample.fragment(400, 500, false));
    assert!(matches!(rig.outcome(&sample.fragment(400, 500, false)), Outcome::Duplicate));
    let forged = other.fragment(400, 500, false);
    assert_eq!(rig.dropped(&forged), (Reason::FragmentOverlap, 0), "alone");
    let datagram = rig.complete(&sample.fragment(0, 400, true));
    rig.done(datagram, &sample.whole());
}

#[test]
fn ends_that_contradict_one_another() {
    for ipv6 in [false, true] {
        let sample = Sample::udp(ipv6, 200);
        let last = sample.fragment(80, 16, false);
        let [length, overlap] = [Reason::FragmentLength, Reason::FragmentOverlap];
        for (contradiction, reason) in [
            (sample.fragment(80, 24, false), overlap), // another end
            (sample.fragment(80, 8, false), overlap),  // another end, earlier: teardrop
            (sample.fragment(80, 16, true), length),   // the end, and more to come
            (sample.fragment(96, 8, true), length),    // behind the end
            (sample.fragment(64, 40, true), overlap),  // over the end
        ] {
            let mut rig = rig();
            rig.held(&last);
            assert_eq!(rig.dropped(&contradiction), (reason, 1));
        }
        // A last fragment that ends where, or before, another with more to come has ended.
        for (offset, length) in [(80, 16), (64, 8)] {
            let mut rig = rig();
            rig.held(&sample.fragment(80, 16, true));
            let last = sample.fragment(offset, length, false);
            assert_eq!(rig.dropped(&last), (Reason::FragmentLength, 1));
        }
    }
}

#[test]
fn impossible_lengths_are_dropped_alone() {
    for ipv6 in [false, true] {
        let sample = Sample::udp(ipv6, 200);
        let mut rig = rig();
        rig.held(&sample.fragment(0, 40, true));
        for fragment in [
            sample.fragment(40, 0, true),
            sample.fragment(40, 0, false),
            sample.fragment(40, 17, true),
        ] {
            assert_eq!(rig.dropped(&fragment), (Reason::FragmentLength, 0));
        }
        let datagram = rig.complete(&sample.fragment(40, 160, false));
        rig.done(datagram, &sample.whole());
    }
}

#[test]
fn the_ping_of_death() {
    let bytes = [0; 64];
    for (ipv6, fits, exceeds) in [(false, 65_515 - 65_504, 12), (true, 65_535 - 65_504, 32)] {
        let sample = Sample::udp(ipv6, 64);
        let mut rig = rig();
        let last = |length: usize| sample.fragment_of(65_504, &bytes[..length], false);
        assert_eq!(rig.dropped(&last(exceeds)), (Reason::FragmentOversize, 0));
        rig.held(&last(fits));
    }
    let sample = Sample::udp(true, 64);
    let highest = sample.fragment_of(65_528, &bytes[..8], false);
    assert_eq!(rig().dropped(&highest), (Reason::FragmentOversize, 0));
}

#[test]
fn headers_of_the_first_fragment_count_too() {
    // The last fragment fits behind its own 20 bytes of header, but not behind the first one's 28.
    let sample = Sample { options: [vec![1; 8], vec![]], ..Sample::udp(false, 64) };
    let last = sample.fragment_of(65_504, &[0; 11], false);
    for first_comes_first in [true, false] {
        let mut fragments = [last.clone(), sample.fragment(0, 64, true)];
        if first_comes_first {
            fragments.reverse();
        }
        let mut rig = rig();
        rig.held(&fragments[0]);
        assert_eq!(rig.dropped(&fragments[1]), (Reason::FragmentOversize, 1));
    }
}

#[test]
fn a_tcp_header_in_pieces() {
    let sample = Sample::tcp(false, 64);
    for offset in [0, 8, 16] {
        let piece = sample.fragment(offset, 8, true);
        assert_eq!(rig().dropped(&piece), (Reason::FragmentTiny, 0), "offset {offset}");
    }
    let mut tolerant = Rig::new(Limits { tiny: false, ..Limits::default() });
    for offset in (0..56).step_by(8) {
        tolerant.held(&sample.fragment(offset, 8, true));
    }
    let datagram = tolerant.complete(&sample.fragment(56, 8, false));
    tolerant.done(datagram, &sample.whole());

    let mut strict = rig();
    strict.held(&sample.fragment(24, 40, false));
    let datagram = strict.complete(&sample.fragment(0, 24, true));
    strict.done(datagram, &sample.whole());
    // The header says 24 bytes, and 20 of them are there: an option is cut off.
    let mut options = sample;
    options.payload[12] = 0x70;
    assert_eq!(rig().dropped(&options.fragment(0, 24, true)), (Reason::FragmentTiny, 0));
}

#[test]
fn an_ipv6_header_chain_in_pieces() {
    // RFC 7112 §5 leaves no choice, so neither does `tiny`.
    let limits = Limits { tiny: false, ..Limits::default() };
    let tcp = Sample::tcp(true, 64).fragment(0, 16, true);
    // Destination options of 24 bytes behind the fragment header, cut after 16.
    let mut options = Sample { protocol: 60, ..Sample::udp(true, 64) };
    options.payload[..4].copy_from_slice(&[17, 2, 1, 20]);
    for first in [tcp, options.fragment(0, 16, true)] {
        assert_eq!(Rig::new(limits).dropped(&first), (Reason::FragmentHeaderChain, 0));
    }
    let mut rig = Rig::new(limits);
    rig.held(&Sample::tcp(true, 64).fragment(0, 24, true));
    rig.held(&Sample { id: 9, protocol: 59, ..Sample::udp(true, 64) }.fragment(0, 8, true));
}

#[test]
fn an_unfragmentable_part_without_end() {
    let padding = |units: u8| {
        let mut body = vec![0; usize::from(units) * 8 + 7];
        body[0] = units;
        (60, body) // Pad1 options
    };
    let long = Sample { extensions: vec![padding(50), padding(50)], ..Sample::udp(true, 64) };
    assert_eq!(rig().dropped(&long.fragment(0, 32, true)), (Reason::FragmentHeaderChain, 0));
    let fits = Sample { extensions: vec![padding(50)], ..Sample::udp(true, 64) };
    let mut rig = rig();
    rig.held(&fits.fragment(0, 32, true));
    let datagram = rig.complete(&fits.fragment(32, 32, false));
    rig.done(datagram, &fits.whole());
}
