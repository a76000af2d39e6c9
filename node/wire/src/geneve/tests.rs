use std::string::String;
use std::vec::Vec;

use proptest::prelude::*;

use super::*;

/// One vector, by hand from the module's table; the tag from another implementation of SipHash-2-4.
const GOLDEN: &str = include_str!("../../vectors/geneve.txt");

fn key() -> TagKey {
    TagKey::new([0x0706_0504_0302_0100, 0x0f0e_0d0c_0b0a_0908])
}

fn passed() -> Passed {
    Passed { hops: 3, port: 0x0102, domain: 7, zone: 0, term: 0x1122_3344_5566_7788, piece: false }
}

fn datagram(passed: &Passed, frame: &[u8]) -> Vec<u8> {
    [&passed.head(&key(), frame)[..], frame].concat()
}

fn bytes(hex: &str) -> Vec<u8> {
    let digits = hex.as_bytes().chunks(2);
    digits.map(|pair| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

#[test]
fn the_golden_vectors_are_written_and_read() {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let mut count = 0;
    for line in lines {
        let fields: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| u64::from_str_radix(fields[at], 16).unwrap();
        let told = Passed {
            hops: number(0) as u8,
            port: number(1) as u16,
            domain: number(2) as u16,
            zone: number(3) as u16,
            term: number(4),
            piece: false,
        };
        let (head, frame) = (bytes(fields[5]), bytes(fields[6]));
        assert_eq!(told.head(&key(), &frame)[..], head, "{line}");
        let whole = [head, frame.clone()].concat();
        assert_eq!(Passed::read(&key(), &whole), Ok((told, &frame[..])), "{line}");
        count += 1;
    }
    assert_eq!(count, 3);
}

#[test]
fn every_bit_before_the_payload_counts() {
    let frame = [0x5a; 200];
    let good = datagram(&passed(), &frame);
    for bit in 0..8 * (OVERHEAD + TAGGED_FRAME_LEN) {
        let mut bad = good.clone();
        bad[bit / 8] ^= 1 << (bit % 8);
        assert!(Passed::read(&key(), &bad).is_err(), "bit {bit}");
    }
    let other = TagKey::new([1, 2]);
    assert_eq!(Passed::read(&other, &good), Err(Refused::Tag));
    assert_eq!(Passed::read(&key(), &good[..good.len() - 1]), Err(Refused::Tag), "the length");
}

#[test]
fn what_is_not_ours_is_malformed() {
    let good = datagram(&passed(), &[1; 64]);
    let with = |at: usize, byte: u8| {
        let mut bad = good.clone();
        bad[at] = byte;
        Passed::read(&key(), &bad).map(|(passed, _)| passed)
    };
    for (at, byte, what) in [
        (0, 0x47, "version of Geneve"),
        (0, 0x3f, "options longer than the packet"),
        (0, 0x00, "no option"),
        (1, 0xc0, "a control packet"),
        (3, 0x59, "not Ethernet"),
        (8, 0x01, "another class"),
        (10, 0x82, "another option, critical"),
        (11, 0x05, "data too short"),
        (12, 0x23, "another version of the option"),
    ] {
        assert_eq!(with(at, byte), Err(Refused::Malformed), "{what}");
    }
    for length in 0..OVERHEAD {
        assert_eq!(Passed::read(&key(), &good[..length]), Err(Refused::Malformed), "{length}");
    }
}

#[test]
fn a_packet_is_passed_on_three_times_at_most() {
    let mut told = passed();
    for left in [2, 1] {
        told = told.again().unwrap();
        assert_eq!(told.hops, left);
    }
    assert_eq!(told.again(), Err(Refused::Hops));
    for hops in [0, 4, 15] {
        let bad = datagram(&Passed { hops, ..passed() }, &[1; 64]);
        assert_eq!(Passed::read(&key(), &bad), Err(Refused::Hops), "{hops}");
    }
}

#[test]
fn an_option_of_somebody_else_is_passed_over_unless_critical() {
    let frame = [3; 80];
    for (kind, taken) in [(0x01, true), (0x81, false)] {
        let mut whole = datagram(&passed(), &frame);
        let foreign = [0x01, 0x00, kind, 0x01, 0xaa, 0xbb, 0xcc, 0xdd];
        whole.splice(HEADER..HEADER, foreign);
        whole[0] += 2;
        // The header is under the tag: sign anew.
        let sum = tag(&key(), &whole[..HEADER], &whole[16..36], &frame);
        whole[36..44].copy_from_slice(&sum.to_be_bytes());
        assert_eq!(Passed::read(&key(), &whole).is_ok(), taken, "{kind:x}");
    }
}

#[test]
fn the_fabric_needs_no_more_than_it_is_said_to() {
    let (ipv6, udp, ethernet) = (40, 8, 14);
    assert!(ipv6 + udp + OVERHEAD + ethernet <= MTU_OVERHEAD as usize);
    assert_eq!(std::format!("{:?}", key()), "TagKey", "a key is never printed");
    assert_eq!(String::from_utf8(bytes("6869")).unwrap(), "hi");
}

proptest! {
    #[test]
    fn what_is_written_is_read(
        hops in 1..=PASS_HOPS_MAX, port: u16, domain: u16, zone: u16, term: u64, piece: bool,
        frame in proptest::collection::vec(any::<u8>(), 0..300),
    ) {
        let told = Passed { hops, port, domain, zone, term, piece };
        let whole = datagram(&told, &frame);
        prop_assert_eq!(Passed::read(&key(), &whole), Ok((told, &frame[..])));
    }

    #[test]
    fn any_bytes_are_refused_without_a_panic(
        junk in proptest::collection::vec(any::<u8>(), 0..400),
    ) {
        prop_assert!(Passed::read(&key(), &junk).is_err());
    }

    /// Bytes near good ones reach further into the decoder.
    #[test]
    fn damaged_packets_are_refused_without_a_panic(
        at in 0..OVERHEAD, byte: u8, cut in 0..164_usize,
    ) {
        let good = datagram(&passed(), &[7; 128]);
        let mut bad = good;
        bad[at] = byte;
        bad.truncate(cut);
        prop_assert!(Passed::read(&key(), &bad).is_err());
    }
}
