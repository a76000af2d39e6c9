//! Golden bytes: what they pin, a node of another version relies on.

use sketch::{Aggregation, Book, DenyClass, Kind, Observation, Seed};

use super::super::{Detector, Screens};
use super::*;

const SEED: Seed = Seed::new([1, 2]);

fn settings(node: u16) -> Settings {
    Settings { node: NodeId(node), boot: Boot(3), seed: SEED }
}

/// A node that has seen one denied packet.
fn message() -> Vec<u8> {
    let start = Time::from_secs(1_000);
    let mut detector = Detector::new(settings(7), Screens::default(), start);
    let mut book = Book::new(SEED, &[Aggregation::default(); 2]);
    book.note(&Observation {
        kind: Kind::Denied(DenyClass::Policy),
        zone: 1,
        protocol: 6,
        source: [192, 0, 2, 1].into(),
        destination: [10, 0, 0, 1].into(),
        source_port: 1,
        port: 23,
        packets: 1,
        bytes: 60,
    });
    detector.take(&mut book, start);
    let mut messages = detector.digests(Time::from_millis(1_001_000));
    assert_eq!(messages.len(), 1);
    messages.remove(0)
}

#[test]
fn these_bytes() {
    let message = message();
    let hash = |of: u64| ((of >> 32) as u32).to_be_bytes();
    let port = hash(SEED.word(6 << 16 | 23));
    let place = |address: &str| Place::of(1, address.parse().unwrap());
    let [source, destination] = ["192.0.2.1", "10.0.0.1"].map(|it| {
        use sketch::Key as _;
        hash(place(it).hash(SEED))
    });
    // Syn, denied and failed TCP are 1; one packet of 60 bytes; as much in the last second, averages 0, 0, 8.
    let counts = [17, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 60];
    let figures = [counts.as_slice(), &counts, &[0, 0, 8]].concat();
    let set = |hash: [u8; 4]| [[1, 1].as_slice(), &hash].concat();
    let none = vec![1, 0];
    let item = |kind: u8, parts: &[&[u8]]| {
        let body = parts.concat();
        [[kind].as_slice(), &(body.len() as u16).to_be_bytes(), &body].concat()
    };
    let from = [1, 4, 32, 192, 0, 2, 1];
    let to = [1, 4, 32, 10, 0, 0, 1];
    let (ports, hosts, peers) = (set(port), set(destination), set(source));
    let expected = [
        [1, 22, 0, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1].as_slice(),
        &SEED.check().to_be_bytes(),
        &[0, 4],
        &item(1, &[&from, &figures, &ports, &hosts, &ports, &hosts]),
        &item(2, &[&to, &figures, &ports, &peers]),
        &item(2, &[&[1, 6, 0], &figures, &none, &none]),
        &item(3, &[&from, &to, &figures, &ports]),
    ];
    assert_eq!(message, expected.concat());
}

fn heard(message: &[u8]) -> Result<usize, DigestError> {
    let mut peers = Peers::default();
    let heard = read(message, &settings(8), &mut peers, Time::from_secs(5))?;
    Ok(peers.iter().map(|peer| peer.sources.len() + peer.destinations.len()).sum::<usize>()
        + heard.blocks.len()
        + heard.guards.len())
}

/// What is done, by a node that has seen nothing.
fn doing(blocks: &[(Place, Time)], guards: &[Place], now: Time) -> Vec<Vec<u8>> {
    let start = Time::from_secs(1_000);
    let (mut own, mut teller) = (Own::new(start), Teller::new(start));
    let done = Done { blocks: blocks.iter().map(|(at, end)| (at, *end)), guards: guards.iter() };
    teller.tell(&settings(7), &mut own, &Screens::default(), done, None, now)
}

#[test]
fn guards_and_blocks_are_these_bytes() {
    let now = Time::from_secs(1_001);
    let place = |address: &str| Place::of(1, address.parse().unwrap());
    let guards = ["10.0.0.1", "2001:db8::1"].map(place);
    let messages = doing(&[(place("192.0.2.1"), Time::from_secs(1_061))], &guards, now);
    let expected = [
        [1, 22, 0, 7, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1].as_slice(),
        &SEED.check().to_be_bytes(),
        &[0, 3],
        &[7, 0, 11, 1, 4, 32, 10, 0, 0, 1, 0, 0, 0x13, 0x88],
        &[7, 0, 23, 1, 6, 128, 0x20, 1, 0xd, 0xb8],
        &[0; 11],
        &[1, 0, 0, 0x13, 0x88],
        &[4, 0, 11, 1, 4, 32, 192, 0, 2, 1, 0, 0, 0xea, 0x60],
    ];
    assert_eq!(messages, [expected.concat()]);
    let mut peers = Peers::default();
    let there = Time::from_secs(5);
    let heard = read(&messages[0], &settings(8), &mut peers, there).unwrap();
    let until = Time::from_secs(10);
    assert_eq!(heard.guards, guards.map(|it| (it, until)));
    assert_eq!(heard.blocks, [(place("192.0.2.1"), Time::from_secs(65))]);
}

/// Whatever another node says, what it guards ends soon after it has fallen silent.
#[test]
fn a_guard_that_is_said_to_last_for_ever_does_not() {
    let place = Place::of(1, [10, 0, 0, 1].into());
    let mut message = doing(&[], &[place], Time::from_secs(1_001)).remove(0);
    let last = message.len() - 4;
    message[last..].fill(0xff);
    let heard = read(&message, &settings(8), &mut Peers::default(), Time::from_secs(5)).unwrap();
    assert_eq!(heard.guards, [(place, Time::from_secs(5) + GUARD_TOLD_LIFE)]);
    message.truncate(last);
    message[24] -= 4;
    let heard = read(&message, &settings(8), &mut Peers::default(), Time::from_secs(5));
    assert_eq!(heard.err(), Some(DigestError::Malformed(Malformed::Truncated)));
}

#[test]
fn numbers_that_are_missing_are_lost_once_they_are_far_behind() {
    let numbered = |number: u64| {
        let mut bytes = message();
        bytes[8..16].copy_from_slice(&number.to_be_bytes());
        bytes
    };
    let lost = |numbers: &[u64]| {
        let mut peers = Peers::default();
        for number in numbers {
            let _ = read(&numbered(*number), &settings(8), &mut peers, Time::from_secs(5));
        }
        peers.lost()
    };
    let after = u64::from(crate::limits::DIGEST_LOST_AFTER);
    assert_eq!(lost(&[900]), 0, "what there was before the first is not known");
    assert_eq!(lost(&[1, 2, 3, 4]), 0);
    assert_eq!([lost(&[1, 3, 1 + after]), lost(&[1, 3, 2 + after])], [0, 1]);
    assert_eq!(lost(&[1, 3, 2, 2 + after, 3 + after]), 0, "overtaken");
    assert_eq!(lost(&[1, 3, 3, 1, 2 + after]), 1, "a copy is no other one");
    assert_eq!(lost(&[1, 1_001]), 999 - (after - 1));
    assert_eq!(lost(&[1, 1_001, 1_001 + after]), 999);
    assert_eq!(lost(&[u64::MAX, 0, 1]), 0);
    assert_eq!(lost(&[1, u64::MAX]), u64::MAX - 2 - (after - 1));
}

#[test]
fn what_a_newer_version_adds_is_passed_over() {
    let mut newer = message();
    newer[1] += 2;
    newer.splice(22..22, [9, 9]);
    newer[21] += 1;
    newer.extend([99, 0, 2, 5, 5, 7, 7, 7]);
    // A longer body: two counts more than this version has, and a tail.
    let body = 24 + 3;
    let figures = body + 7;
    newer[figures] += 2;
    newer.splice(figures + 18..figures + 18, [5, 6]);
    newer[body - 1] += 2;
    assert_eq!(heard(&newer), heard(&message()));
    assert_eq!(heard(&message()), Ok(3));
}

#[test]
fn every_mistake_has_its_name() {
    let good = message();
    let spoil = |at: usize, to: u8| {
        let mut bytes = good.clone();
        bytes[at] = to;
        heard(&bytes)
    };
    assert_eq!(spoil(0, 2), Err(DigestError::Malformed(Malformed::Version(2))));
    assert_eq!(spoil(1, 21), Err(DigestError::Malformed(Malformed::Value)));
    assert!(spoil(1, 255).is_err());
    assert_eq!(spoil(3, 8), Err(DigestError::Own));
    assert_eq!(spoil(16, good[16] ^ 1), Err(DigestError::Seed));
    assert_eq!(spoil(21, 5), Err(DigestError::Malformed(Malformed::Truncated)));
    assert_eq!(heard(&good[..21]), Err(DigestError::Malformed(Malformed::Truncated)));
    assert_eq!(heard(&[1; DIGEST_BYTES + 1]), Err(DigestError::Length(DIGEST_BYTES + 1)));
    let mut peers = Peers::default();
    for node in 0..16_u16 {
        let mut bytes = good.clone();
        bytes[3] = node as u8 + 20;
        let result = read(&bytes, &settings(8), &mut peers, Time::from_secs(5));
        assert_eq!(result.err(), (node == 15).then_some(DigestError::Nodes));
    }
}

#[test]
fn a_message_far_behind_is_refused() {
    let mut peers = Peers::default();
    let mut number = |number: u16| {
        let mut bytes = message();
        bytes[14..16].copy_from_slice(&number.to_be_bytes());
        read(&bytes, &settings(8), &mut peers, Time::from_secs(5)).err()
    };
    assert_eq!([number(3_000), number(1_976), number(1_975)], [None, None, Some(DigestError::Old)]);
}

/// However much there is to tell, it is in bounded messages, the scanners first.
#[test]
fn a_crowd_is_told_within_bounds_and_scanners_first() {
    let start = Time::from_secs(1_000);
    let mut detector = Detector::new(settings(7), Screens::default(), start);
    let mut book = Book::new(SEED, &[Aggregation::default(); 2]);
    let denied = |source: u32, port: u16| Observation {
        kind: Kind::Denied(DenyClass::Policy),
        zone: 1,
        protocol: 6,
        source: core::net::Ipv4Addr::from_bits(source).into(),
        destination: [10, 0, 0, 1].into(),
        source_port: 1,
        port,
        packets: 1,
        bytes: 60,
    };
    (0..1_900).for_each(|it| book.note(&denied(0x0a00_0000 + it * 77, 1)));
    (1..50).for_each(|port| book.note(&denied(0xc000_0201, port)));
    detector.take(&mut book, start);
    let messages = detector.digests(Time::from_millis(1_000_500));
    assert_eq!(messages.len(), crate::limits::DIGESTS_AT_ONCE);
    assert!(messages.iter().all(|it| it.len() <= DIGEST_BYTES));
    let first = [SOURCE, 0];
    assert_eq!(
        (messages[0][22], messages[0][25..32].to_vec()),
        (first[0], vec![1, 4, 32, 192, 0, 2, 1])
    );
    assert!(detector.digests(Time::from_millis(1_000_900)).is_empty(), "not before it is due");
    let more = detector.digests(Time::from_millis(1_001_000));
    assert!(!more.is_empty(), "the rest follows");
}
