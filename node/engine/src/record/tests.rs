#![allow(clippy::unwrap_used)]

use std::net::IpAddr;

use proptest::prelude::*;
use wire::{Seq, TcpFlags};

use super::*;
use crate::proxy::{Asked, Joined};
use crate::session::Peer;
use crate::tcp::{Judgement, Segment};
use config::WindowCheck;

const GOLDEN: &str = include_str!("../../vectors/records.txt");

fn segment(flags: TcpFlags, sequence: u32, acknowledgment: u32) -> Segment {
    Segment {
        sequence: Seq(sequence),
        acknowledgment: Seq(acknowledgment),
        flags,
        window: 0x7210,
        payload: 0,
        window_scale: flags.contains(TcpFlags::SYN).then_some(7),
        sack_permitted: flags.contains(TcpFlags::SYN),
        sack: None,
    }
}

/// A connection after so many segments of its handshake, and of its closing.
fn tracker(segments: usize) -> Tcp {
    let (syn, ack, fin) = (TcpFlags::SYN, TcpFlags::ACK, TcpFlags::FIN | TcpFlags::ACK);
    let (a, b) = (0xffff_fff0, 0x0102_0304_u32);
    let all = [
        (Peer::Initiator, segment(syn, a, 0)),
        (Peer::Responder, segment(syn | ack, b, a.wrapping_add(1))),
        (Peer::Initiator, segment(ack, a.wrapping_add(1), b + 1)),
        (Peer::Initiator, segment(fin, a.wrapping_add(1), b + 1)),
    ];
    let mut tcp = Tcp::open(&all[0].1).unwrap();
    for (sender, segment) in &all[1..segments] {
        let Judgement::Accept(accepted) = tcp.judge(*sender, segment, WindowCheck::Check) else {
            panic!("{segment:?} is honest");
        };
        tcp = accepted.next;
    }
    tcp
}

fn key(protocol: Protocol, v6: bool) -> (FlowKey, Direction) {
    let [a, b]: [IpAddr; 2] = match v6 {
        true => ["2001:db8::7", "2001:db8:ffff::9"].map(|text| text.parse().unwrap()),
        false => ["198.51.100.7", "203.0.113.9"].map(|text| text.parse().unwrap()),
    };
    FlowKey::new(258, protocol, (b, 40_001), (a, 443))
}

fn record(protocol: Protocol, v6: bool, tcp: Tcp) -> Record {
    let (key, initiator) = key(protocol, v6);
    let id = SessionId { node: 0x0a0b, boot: 0x1122_3344, counter: 3 << 48 | 0x5566_7788 };
    Record {
        key,
        initiator,
        id,
        conversation: SessionId { node: 0x0c0d, ..id },
        flags: Flags::REPLY_SEEN.with(Flags::LOG_CLOSE),
        tcp,
        close_reason: None,
        query: 0,
        packets: [1, 0x1234_5678_9abc],
        bytes: [60, u64::MAX],
        rule: 0x0123_4567_89ab_cdef,
        epoch: 9,
        zones: [0xaabb_ccdd, 0],
        age: Duration::from_micros(3_600_000_001),
        idle: Duration::from_millis(1_500),
        remaining: Duration::from_secs(432_000),
        own_life: Some(Duration::from_secs(90)),
        proxied: None,
        translated: None,
    }
}

/// A connection that a cookie opens, and one that it has opened.
fn asked() -> Proxied {
    let stamped = wire::cookie::Stamped {
        window_scale: Some(9),
        sack_permitted: true,
        told: 0x1122_3344,
        value: 0x5566_7788,
    };
    let offer = wire::cookie::Offer { mss: 1_400, stamped: Some(stamped) };
    Proxied::Asked(Asked {
        client: Seq(0xffff_fff0),
        cookie: Seq(0x0a0b_0c0d),
        offer,
        window: 0x7210,
    })
}

fn joined() -> Proxied {
    Proxied::Joined(Joined { shift: 0x0102_0304, stamp_shift: 0x0506_0708, up: 9, down: -7 })
}

fn translated(protocol: Protocol, v6: bool) -> Translated {
    let [a, b]: [IpAddr; 2] = match v6 {
        true => ["2001:db8:f::1", "2001:db8:ffff::9"].map(|text| text.parse().unwrap()),
        false => ["192.0.2.1", "203.0.113.9"].map(|text| text.parse().unwrap()),
    };
    let (key, initiator) = FlowKey::new(258, protocol, (b, 2_051), (a, 443));
    let marks = Marks::PORT.with(Marks::MAPPED).with(Marks::OPEN);
    Translated { key, initiator, marks, rules: [0x0a0b_0c0d, 0] }
}

/// By the name in the file of golden vectors.
fn samples() -> Vec<(&'static str, Record)> {
    let base = |protocol, v6, tcp| record(protocol, v6, tcp);
    let tcp = Protocol::TCP;
    let closing =
        Record { close_reason: Some(CloseReason::TcpFin), ..base(tcp, false, tracker(4)) };
    let udp = Record { own_life: None, rule: 0, ..base(Protocol::UDP, false, Tcp::IDLE) };
    let echo = Record { query: 128, ..base(Protocol::ICMPV6, true, Tcp::IDLE) };
    vec![
        ("tcp-syn-sent-v4", base(tcp, false, tracker(1))),
        ("tcp-syn-received-v6", base(tcp, true, tracker(2))),
        ("tcp-established-v4", base(tcp, false, tracker(3))),
        ("tcp-fin-wait-v4", closing),
        ("udp-v4", udp),
        ("icmp-v6", base(Protocol::ICMPV6, true, Tcp::IDLE)),
        ("icmp-v6-of-a-known-type", echo),
        ("tcp-asked-v4", Record { proxied: Some(asked()), ..base(tcp, false, tracker(1)) }),
        ("tcp-joined-v6", Record { proxied: Some(joined()), ..base(tcp, true, tracker(3)) }),
        (
            "tcp-translated-v4",
            Record { translated: Some(translated(tcp, false)), ..base(tcp, false, tracker(3)) },
        ),
        (
            "icmp-translated-v6-v4",
            Record { translated: Some(translated(Protocol::ICMP, false)), ..echo },
        ),
        (
            "tcp-both-v6",
            Record {
                proxied: Some(joined()),
                translated: Some(Translated { rules: [0; 2], ..translated(tcp, true) }),
                ..base(tcp, true, tracker(3))
            },
        ),
    ]
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

/// Name and bytes of each vector.
fn golden() -> Vec<(String, Vec<u8>)> {
    let lines = GOLDEN.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let pairs = lines.map(|line| line.split_once(' ').unwrap());
    pairs.map(|(name, text)| (name.to_owned(), unhex(text))).collect()
}

#[test]
fn the_golden_vectors_are_what_is_written_and_what_is_read() {
    let samples = samples();
    let golden = golden();
    assert_eq!(golden.len(), samples.len());
    for ((name, bytes), (sample, record)) in golden.iter().zip(&samples) {
        assert_eq!(name, sample);
        assert_eq!(hex(bytes), hex(&record.to_bytes()), "{name}");
        assert_eq!(Record::parse(bytes), Ok((*record, bytes.len())), "{name}");
    }
}

#[test]
fn a_newer_record_is_read_as_far_as_it_is_known() {
    for (name, record) in samples() {
        let record = Record { proxied: None, translated: None, ..record };
        let mut bytes = record.to_bytes()[..LEN].to_vec();
        (bytes[0], bytes[1]) = (VERSION_TRANSLATED + 1, LEN as u8 + 5);
        bytes.extend_from_slice(b"later");
        bytes[2] |= 0x80; // a flag that does not exist yet
        bytes.push(0xee); // the next record
        assert_eq!(Record::parse(&bytes), Ok((record, LEN + 5)), "{name}");
    }
}

#[test]
fn what_cannot_be_is_refused_by_its_cause() {
    let (_, record) = samples()[2];
    let with = |at: usize, byte: u8| {
        let mut bytes = record.to_bytes();
        bytes[at] = byte;
        Record::parse(&bytes).map(|_| ())
    };
    assert_eq!(with(0, 1), Ok(()));
    assert_eq!(with(0, 0), Err(Malformed::Version(0)));
    assert_eq!(with(1, 191), Err(Malformed::Length(191)));
    assert_eq!(with(1, 193), Err(Malformed::Length(193)));
    assert_eq!(with(2, 0x40), Err(Malformed::Flags(0x4013)));
    assert_eq!(with(43, 0x14), Err(Malformed::Key));
    assert_eq!(with(4, 0xff), Err(Malformed::Key)); // the low end is the higher one
    assert_eq!(with(50, 1), Err(Malformed::Identity)); // no worker has nine bits
    assert_eq!(with(72, 11), Err(Malformed::Tcp)); // no such state
    assert_eq!(with(72, 0), Err(Malformed::Tcp)); // TCP before its first segment
    assert_eq!(with(76, 0x1f), Err(Malformed::Tcp)); // a scale of 15
    assert_eq!(with(80, 6), Err(Malformed::Tcp)); // no such class
    assert_eq!(with(81, 2), Err(Malformed::Tcp)); // no such peer
    assert_eq!(with(96, 0xff), Err(Malformed::Tcp)); // a window beyond any
    assert_eq!(with(120, 99), Err(Malformed::CloseReason(99)));
    assert_eq!(with(180, 0xff), Err(Malformed::Idle));
    let counter = |text: &Record| text.to_bytes();
    let zero = Record { id: SessionId { counter: 3 << 48, ..record.id }, ..record };
    assert_eq!(Record::parse(&counter(&zero)), Err(Malformed::Identity));
    let mut udp = samples()[4].1.to_bytes();
    udp[90] = 1;
    assert_eq!(Record::parse(&udp), Err(Malformed::Tcp));
    for end in 0..LEN {
        assert_eq!(Record::parse(&record.to_bytes()[..end]), Err(Malformed::Truncated));
    }
    let mut proxied = Record { proxied: Some(joined()), ..record }.to_bytes();
    assert_eq!(Record::parse(&proxied[..LEN]), Err(Malformed::Truncated));
    proxied[LEN] = 3; // no such kind
    assert_eq!(Record::parse(&proxied), Err(Malformed::Proxied));
    proxied[0] = VERSION_TRANSLATED + 1; // a later version may have it
    assert_eq!(Record::parse(&proxied), Ok((record, LEN_PROXIED)));
    proxied[1] = LEN as u8;
    proxied[0] = VERSION_PROXIED;
    assert_eq!(Record::parse(&proxied), Err(Malformed::Length(LEN as u8)));
    let other = Record { translated: Some(translated(Protocol::TCP, false)), ..record };
    let at = |place: usize, byte: u8| {
        let mut bytes = other.to_bytes();
        bytes[place] = byte;
        Record::parse(&bytes).map(|_| ())
    };
    assert_eq!(at(123, 64), Err(Malformed::Translated)); // no such mark
    assert_eq!(at(LEN, 0xff), Err(Malformed::Translated)); // the low end is the higher one
    assert_eq!(at(122, 9), Err(Malformed::Proxied)); // says that a cookie opened it
    assert_eq!(at(1, LEN as u8), Err(Malformed::Length(LEN as u8)));
    let udp = Record { proxied: Some(joined()), ..samples()[4].1 };
    assert_eq!(Record::parse(&udp.to_bytes()), Err(Malformed::Proxied));
}

#[test]
fn what_does_not_fit_is_the_largest_that_does() {
    let (_, record) = samples()[0];
    let forever = Duration::from_secs(1 << 40);
    let long = Record { remaining: forever, packets: [u64::MAX; 2], ..record };
    let (read, _) = Record::parse(&long.to_bytes()).unwrap();
    assert_eq!(read.packets, [(1 << 48) - 1; 2]);
    assert_eq!(read.remaining, Duration::from_millis(u64::from(u32::MAX)));
}

proptest! {
    /// Bytes of all kinds, most of them nearly a record: never a panic, and what is read is written
    /// as it was.
    #[test]
    fn no_bytes_do_harm(
        sample in 0_usize..6,
        changes in prop::collection::vec((0_usize..LEN, any::<u8>()), 0..6),
        cut in 0_usize..LEN + 1,
        noise in prop::collection::vec(any::<u8>(), 0..300),
    ) {
        let _ = Record::parse(&noise);
        let mut bytes = samples()[sample].1.to_bytes();
        for (at, byte) in changes {
            bytes[at] = byte;
        }
        let _ = Record::parse(&bytes[..cut]);
        if let Ok((record, LEN)) = Record::parse(&bytes) {
            let written = record.to_bytes();
            prop_assert_eq!(Record::parse(&written), Ok((record, LEN)));
            if bytes[0] == VERSION {
                bytes[122..124].fill(0);
                prop_assert_eq!(hex(&bytes), hex(&written));
            }
        }
    }
}
