#![allow(clippy::unwrap_used)]

use std::format;
use std::string::String;
use std::vec::Vec;

use super::*;
use crate::build::{Builder, Frame};

const KEY: Key = Key::new([1, 2]);
const NOW: Context = Context { key: KEY, slot: 7 };
const ISN: u32 = u32::MAX;

fn v4() -> Builder<'static> {
    Builder::v4([198, 18, 0, 1], [10, 0, 0, 1]).tcp(40_000, 443)
}

fn v6() -> Builder<'static> {
    let [a, b] = [1, 2].map(|last| [0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    Builder::v6(a, b).tcp(40_000, 443)
}

fn syn(of: Builder<'static>) -> Builder<'static> {
    of.flags(TcpFlags::SYN | TcpFlags::ECE | TcpFlags::CWR).seq(ISN)
}

fn all_options(of: Builder<'static>) -> Builder<'static> {
    of.mss(1_460).sack_permitted().timestamps(77, 0).window_scale(9)
}

fn parse(frame: &[u8]) -> Packet {
    Packet::parse(frame).unwrap()
}

/// The SYN-ACK to a SYN, under an Ethernet header.
fn answered(syn: &Builder<'_>, context: &Context) -> Frame {
    let answer = answer(&parse(&syn.frame()), context, 1_460).unwrap();
    let mut frame = [0; 128];
    frame[..14].copy_from_slice(&syn.frame()[..14]);
    let len = answer.write(&mut frame[14..]).unwrap();
    let packet = Packet::parse(&frame[..14 + len]).unwrap();
    assert!(crate::checksum::transport_checksum_ok(&frame[..14 + len], &packet));
    answer.ethernet([1; 6], [2; 6]).frame()
}

/// The ACK that a client sends to a SYN-ACK.
fn acked(from: Builder<'static>, answer: &[u8]) -> Builder<'static> {
    let packet = parse(answer);
    let Transport::Tcp(tcp) = packet.body else { panic!("{packet:?}") };
    assert_eq!((tcp.window, tcp.flags), (0, TcpFlags::SYN | TcpFlags::ACK));
    let ack = from.flags(TcpFlags::ACK).seq(tcp.acknowledgment.0).ack((tcp.sequence + 1).0);
    match tcp.timestamps {
        None => ack,
        Some((told, _)) => ack.timestamps(99, told),
    }
}

fn proof(ack: &Builder<'_>, context: &Context) -> Option<Proof> {
    check(&parse(&ack.frame()), context)
}

#[test]
fn a_cookie_keeps_all_that_a_client_with_timestamps_offers() {
    for from in [v4(), v6()] {
        let answer = answered(&all_options(syn(from)), &NOW);
        let Transport::Tcp(tcp) = parse(&answer).body else { panic!() };
        assert_eq!(
            (tcp.mss, tcp.window_scale, tcp.sack_permitted),
            (Some(1_460), Some(SCALE), true)
        );
        let told = tcp.timestamps.unwrap();
        assert_eq!((told.1, tcp.header_len), (77, 40));
        let proof = proof(&acked(from, &answer), &NOW).unwrap();
        assert_eq!((proof.client, proof.cookie), (Seq(ISN), tcp.sequence));
        let stamped =
            Stamped { window_scale: Some(9), sack_permitted: true, told: told.0, value: 99 };
        assert_eq!(proof.offer, Offer { mss: 1_460, stamped: Some(stamped) });
    }
}

#[test]
fn without_timestamps_it_keeps_the_mss_alone() {
    let sizes = [(None, 536), (Some(1), 536), (Some(1_219), 536), (Some(1_459), 1_440)];
    for (mss, kept) in sizes.into_iter().chain([(Some(1_460), 1_460), (Some(9_000), 8_960)]) {
        let offered = syn(v4()).window_scale(7).sack_permitted();
        let offered = mss.map_or(offered, |mss| offered.mss(mss));
        let answer = answered(&offered, &NOW);
        let Transport::Tcp(tcp) = parse(&answer).body else { panic!() };
        assert_eq!((tcp.window_scale, tcp.sack_permitted, tcp.header_len), (None, false, 24));
        let proof = proof(&acked(v4(), &answer), &NOW).unwrap();
        assert_eq!(proof.offer, Offer { mss: kept, stamped: None });
    }
    let bare = answered(&syn(v6()), &NOW);
    assert_eq!(proof(&acked(v6(), &bare), &NOW).unwrap().offer.mss, 1_220);
}

#[test]
fn each_option_rides_by_itself() {
    for scale in [None, Some(0), Some(14)] {
        for sack in [false, true] {
            let offered = syn(v4()).timestamps(1, 0);
            let offered = if sack { offered.sack_permitted() } else { offered };
            let offered = scale.map_or(offered, |scale| offered.window_scale(scale));
            let answer = answered(&offered, &NOW);
            let Transport::Tcp(tcp) = parse(&answer).body else { panic!() };
            assert_eq!((tcp.window_scale, tcp.sack_permitted), (scale.map(|_| SCALE), sack));
            let kept = proof(&acked(v4(), &answer), &NOW).unwrap().offer.stamped.unwrap();
            assert_eq!((kept.window_scale, kept.sack_permitted), (scale, sack));
        }
    }
}

#[test]
fn it_is_good_in_its_slot_and_in_both_beside_it() {
    for slot in [0, 1, 2, 3, u32::MAX] {
        let answer = answered(&syn(v4()), &Context { key: KEY, slot });
        for later in 0..7_u32 {
            let slot = slot.wrapping_add(later).wrapping_sub(3);
            let good = proof(&acked(v4(), &answer), &Context { key: KEY, slot }).is_some();
            assert_eq!(good, (2..=4).contains(&later), "{slot}, {later}");
        }
    }
    assert_eq!([slot(63), slot(64), slot(64 * 7 + 1)], [0, 1, 7]);
}

#[test]
fn nothing_else_is_right() {
    let answer = answered(&all_options(syn(v4())), &NOW);
    let right = acked(v4(), &answer);
    let Transport::Tcp(tcp) = parse(&right.frame()).body else { panic!() };
    assert!(proof(&right, &NOW).is_some());
    for bit in 0..32 {
        assert_eq!(proof(&right.ack(tcp.acknowledgment.0 ^ 1 << bit), &NOW), None, "bit {bit}");
        assert_eq!(proof(&right.seq(tcp.sequence.0 ^ 1 << bit), &NOW), None, "bit {bit}");
    }
    for bit in 5..32 {
        let (value, told) = tcp.timestamps.unwrap();
        let ack = acked(v4(), &answered(&syn(v4()), &NOW)).timestamps(value, told ^ 1 << bit);
        assert_eq!(proof(&ack.ack(tcp.acknowledgment.0), &NOW), None, "bit {bit}");
    }
    for (source, destination) in [(40_001, 443), (40_000, 444)] {
        let other = Builder::v4([198, 18, 0, 1], [10, 0, 0, 1]).tcp(source, destination);
        assert_eq!(proof(&acked(other, &answer), &NOW), None);
    }
    let other = Builder::v4([198, 18, 0, 2], [10, 0, 0, 1]).tcp(40_000, 443);
    assert_eq!(proof(&acked(other, &answer), &NOW), None);
    assert_eq!(proof(&right, &Context { key: Key::new([1, 3]), ..NOW }), None);
    for flags in [TcpFlags::SYN | TcpFlags::ACK, TcpFlags::RST | TcpFlags::ACK, TcpFlags::NONE] {
        assert_eq!(proof(&right.flags(flags), &NOW), None);
    }
}

#[test]
fn a_probe_of_the_closed_window_proves_as_much_as_the_lost_ack() {
    let answer = answered(&all_options(syn(v4())), &NOW);
    let right = acked(v4(), &answer);
    let probe = proof(&right.seq(ISN), &NOW).unwrap();
    assert_eq!(Some(probe), proof(&right, &NOW));
    assert_eq!(proof(&right.seq(ISN.wrapping_add(2)), &NOW), None);
}

#[test]
fn only_a_plain_syn_is_answered() {
    let of = |packet: &Builder<'_>| answer(&parse(&packet.frame()), &NOW, 1_460).is_some();
    assert!(of(&syn(v4())) && of(&syn(v4()).dont_fragment()) && of(&syn(v6())));
    assert!(of(&syn(v4()).payload(b"fast open")));
    for flags in [TcpFlags::ACK, TcpFlags::FIN, TcpFlags::RST] {
        assert!(!of(&v4().flags(TcpFlags::SYN | flags)));
    }
    assert!(!of(&v4().flags(TcpFlags::NONE)));
    assert!(!of(&syn(v4()).ip_options(&[1, 1, 1, 1])));
    assert!(!of(&syn(v6()).extension(crate::Protocol::HOP_BY_HOP, &[1, 4, 0, 0, 0, 0])));
}

/// Other nodes and the XDP program make the same: these bytes are for ever.
#[test]
fn golden_answers() {
    let hex = |frame: &[u8]| frame.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let lines: Vec<_> = [all_options(syn(v4())), syn(v6()).mss(1_400)]
        .map(|syn| hex(&answered(&syn, &NOW)[14..]))
        .into();
    assert_eq!(lines, GOLDEN);
}

const GOLDEN: [&str; 2] = [
    "4500003c0000400040066aa80a000001c612000101bb9c40b409767e00000000a0120000d3800000\
     020405b40402080acbb10fd90000004d01030307",
    "600000000018064020010db800000000000000000000000220010db8000000000000000000000001\
     01bb9c40cea1423c00000000601200008dc80000020405b4",
];
