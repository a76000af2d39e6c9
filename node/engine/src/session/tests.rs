#![allow(clippy::unwrap_used)]

use super::*;

fn session(direction: Direction) -> Session {
    let ends = [[10, 0, 0, 1], [192, 0, 2, 1]].map(|bytes| (IpAddr::V4(bytes.into()), 80));
    let (key, _) = FlowKey::new(3, Protocol::TCP, ends[0], ends[1]);
    let zones = [ZoneId(1), ZoneId(2)];
    let opening = Opening { key, direction, id: 77, rule: RuleIndex(4), epoch: 9, zones };
    Session::new(&opening, Time::from_secs(1_000))
}

#[test]
fn the_sender_follows_from_the_direction_of_the_first_packet() {
    for first in [Direction::Forward, Direction::Reverse] {
        let session = session(first);
        assert_eq!(session.sender(first), Peer::Initiator);
        assert_eq!(session.sender(first.reversed()), Peer::Responder);
        for peer in Peer::BOTH {
            assert_eq!(session.sender(session.direction(peer)), peer);
        }
    }
}

#[test]
fn packets_and_bytes_count_for_their_sender() {
    let mut session = session(Direction::Forward);
    session.count(Peer::Initiator, 60, Time::from_secs(1_001));
    session.count(Peer::Initiator, 40, Time::from_secs(1_002));
    session.count(Peer::Responder, 1_500, Time::from_secs(1_003));
    assert_eq!((session.packets, session.bytes), ([2, 1], [100, 1_500]));
    session.bytes[1] = u64::MAX;
    session.count(Peer::Responder, 1, Time::from_secs(1_003));
    assert_eq!(session.bytes[1], u64::MAX);
}

#[test]
fn the_last_packet_is_remembered_to_17_ms() {
    let mut session = session(Direction::Forward);
    assert_eq!(session.last_seen(), session.created);
    for nanos in [0, 1, 1 << 24, 12_345_678_901, 432_000_000_000_000] {
        let now = Time(session.created.0 + nanos);
        session.count(Peer::Initiator, 1, now);
        let late = now.since(session.last_seen());
        assert!(
            session.last_seen() <= now && late < Duration::from_millis(17),
            "{nanos}: {late:?}"
        );
    }
    // Beyond what it can tell it stands still, and a clock before the beginning is the beginning.
    session.count(Peer::Initiator, 1, Time::MAX);
    assert!(session.last_seen() > Time::from_secs(60_000_000));
    session.count(Peer::Initiator, 1, Time::ZERO);
    assert_eq!(session.last_seen(), session.created);
}

#[test]
fn an_egress_is_good_for_one_generation_of_the_fib() {
    let mut session = session(Direction::Forward);
    let lan = Egress { port: PortId(1), mac: [2; 6] };
    let wan = Egress { port: PortId(2), mac: [4; 6] };
    assert_eq!(
        (session.egress(Peer::Initiator, 0), session.last_egress(Peer::Initiator)),
        (None, None)
    );
    session.set_egress(Peer::Initiator, 5, wan);
    session.set_egress(Peer::Responder, 5, lan);
    assert_eq!(session.egress(Peer::Initiator, 5), Some(wan));
    assert_eq!(session.egress(Peer::Responder, 5), Some(lan));
    assert_eq!(session.egress(Peer::Initiator, 6), None);
    // One direction looked up anew: the other one's answer is of the old generation still.
    session.set_egress(Peer::Initiator, 6, lan);
    assert_eq!(session.egress(Peer::Initiator, 6), Some(lan));
    assert_eq!(session.egress(Peer::Responder, 6), None);
    assert_eq!(session.last_egress(Peer::Responder), Some(lan));
    session.forget_egress();
    assert_eq!(session.egress(Peer::Initiator, 6), None);
}

#[test]
fn the_initiator_is_established_once_the_responder_answered() {
    let mut session = session(Direction::Reverse);
    assert!(!session.is_established_for(Peer::Initiator));
    assert!(session.is_established_for(Peer::Responder));
    session.flags.set(Flags::REPLY_SEEN, true);
    assert!(session.is_established_for(Peer::Initiator));
}

#[test]
fn a_decided_reason_goes_before_the_timeout() {
    let mut session = session(Direction::Forward);
    assert_eq!(session.expiry_reason(), CloseReason::Timeout);
    session.close_reason = Some(CloseReason::Policy);
    assert_eq!(session.expiry_reason(), CloseReason::Policy);
}

#[test]
fn close_reasons_have_names_and_sentences() {
    let mut names: Vec<_> = CloseReason::ALL.iter().map(|reason| reason.to_string()).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), CloseReason::COUNT);
    for (position, reason) in CloseReason::ALL.iter().enumerate() {
        assert_eq!(*reason as usize, position);
        assert!(reason.explain().ends_with('.'));
        assert!(reason.name().bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'));
    }
}

#[test]
fn a_session_id_reads_as_node_boot_and_counter() {
    assert_eq!(SessionId { node: 2, boot: 31, counter: 7 }.to_string(), "2-31-7");
}
