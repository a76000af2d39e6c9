use std::net::IpAddr;

use config::WindowCheck;
use wire::{FlowKey, Seq, TcpFlags, Time};

use super::*;
use crate::session::Opening;
use crate::tcp::{Judgement, Segment, Tcp};
use crate::{RuleIndex, ZoneId};

use Peer::{Initiator as I, Responder as R};

/// Who sends, flags, sequence number, acknowledgment. Both initial sequence numbers are 0.
type Sent = (Peer, TcpFlags, u32, u32);

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const RST: TcpFlags = TcpFlags::RST;
const SYN_ACK: TcpFlags = TcpFlags(0x12);
const FIN_ACK: TcpFlags = TcpFlags(0x11);
const RST_ACK: TcpFlags = TcpFlags(0x14);

const OPEN: [Sent; 3] = [(I, SYN, 0, 0), (R, SYN_ACK, 0, 1), (I, ACK, 1, 1)];

/// A TCP session after these segments, all of which pass.
fn after(segments: &[Sent]) -> Session {
    follow(Tcp::open(&segment(&segments[0])).expect("a SYN"), &segments[1..])
}

/// A TCP session that was picked up in the middle, and these segments.
fn picked_up(segments: &[Sent]) -> Session {
    follow(Tcp::pick_up(&segment(&(I, ACK, 1, 1))).expect("an ACK"), segments)
}

fn segment((_, flags, sequence, ack): &Sent) -> Segment {
    Segment {
        sequence: Seq(*sequence),
        acknowledgment: Seq(*ack),
        flags: *flags,
        window: 1_000,
        payload: 0,
        window_scale: None,
        sack_permitted: false,
        sack: None,
    }
}

fn follow(tcp: Tcp, segments: &[Sent]) -> Session {
    let mut session = session(Protocol::TCP);
    session.tcp = tcp;
    for sent @ (sender, flags, ..) in segments {
        session.tcp = match session.tcp.judge(*sender, &segment(sent), WindowCheck::Check) {
            Judgement::Accept(accepted) => accepted.next,
            Judgement::Ignore(next) => next,
            other @ (Judgement::Reopen | Judgement::Invalid(_)) => {
                panic!("{other:?} for {flags:?} of {sender:?}")
            }
        };
    }
    session
}

fn session(protocol: Protocol) -> Session {
    let ends = [[10, 0, 0, 1], [192, 0, 2, 1]].map(|bytes| (IpAddr::V4(bytes.into()), 80));
    let (key, direction) = FlowKey::new(0, protocol, ends[0], ends[1]);
    let zones = [ZoneId(0), ZoneId(1)];
    let opening = Opening { key, direction, id: 1, rule: RuleIndex(0), epoch: 1, zones };
    Session::new(&opening, Time::from_secs(1))
}

/// What has become of a session when it ends, and which anomaly it is: if its own time ran out, and
/// if it ends for any other reason.
fn ends() -> Vec<(tcp::State, Session, [Option<Anomaly>; 2])> {
    let open = |more: &[Sent]| after(&[&OPEN[..], more].concat());
    let unreachable = |mut session: Session| {
        session.flags.set(Flags::UNREACHABLE, true);
        session
    };
    let (unanswered, unfinished) =
        (Some(Anomaly::TcpSynUnanswered), Some(Anomaly::TcpSynAckUnanswered));
    let [refused, withdrawn] =
        [Anomaly::TcpSynRefused, Anomaly::TcpSynWithdrawn].map(|anomaly| [Some(anomaly); 2]);
    let syn = [(I, SYN, 0, 0)];
    let half = [syn[0], (R, SYN_ACK, 0, 1)];
    let crossed = [syn[0], (R, SYN, 0, 0)];
    let closing = [(I, FIN_ACK, 1, 1), (R, FIN_ACK, 1, 2), (I, ACK, 2, 2)];
    vec![
        (tcp::State::None, session(Protocol::UDP), [None; 2]),
        (tcp::State::None, unreachable(session(Protocol::UDP)), [None; 2]),
        (tcp::State::SynSent, after(&syn), [unanswered, None]),
        (tcp::State::SynSent, unreachable(after(&syn)), [None; 2]),
        // A challenge ACK is no SYN-ACK.
        (tcp::State::SynSent, after(&[syn[0], (R, ACK, 70, 90)]), [unanswered, None]),
        // Nor is what its initiator says to it the end.
        (
            tcp::State::SynSent,
            after(&[syn[0], (R, ACK, 70, 90), (I, RST, 90, 0)]),
            [unanswered, None],
        ),
        (tcp::State::SynSent2, after(&crossed), [unanswered, None]),
        (tcp::State::SynReceived, after(&half), [unfinished, None]),
        (tcp::State::SynReceived, unreachable(after(&half)), [unfinished, None]),
        (tcp::State::PickedUp, picked_up(&[]), [None; 2]),
        (tcp::State::Close, picked_up(&[(R, RST, 1, 0)]), [None; 2]),
        (tcp::State::Established, open(&[]), [None; 2]),
        (tcp::State::FinWait, open(&closing[..1]), [None; 2]),
        (tcp::State::CloseWait, open(&[closing[0], (R, ACK, 1, 2)]), [None; 2]),
        (tcp::State::LastAck, open(&closing[..2]), [None; 2]),
        (tcp::State::TimeWait, open(&closing), [None; 2]),
        (tcp::State::Close, after(&[syn[0], (R, RST_ACK, 0, 1)]), refused),
        (tcp::State::Close, after(&[half[0], half[1], (R, RST, 1, 0)]), refused),
        (tcp::State::Close, after(&[half[0], half[1], (I, RST, 1, 0)]), withdrawn),
        (tcp::State::Close, after(&[syn[0], (I, RST, 1, 0)]), withdrawn),
        (tcp::State::Close, after(&[syn[0], (R, ACK, 70, 90), (I, RST, 1, 0)]), withdrawn),
        (tcp::State::Close, after(&[crossed[0], crossed[1], (R, RST, 1, 0)]), refused),
        // What was on its way comes after the reset.
        (tcp::State::Close, after(&[half[0], half[1], (I, RST, 1, 0), (R, ACK, 1, 1)]), withdrawn),
        (tcp::State::Close, open(&[(I, RST, 1, 0)]), [None; 2]),
        (tcp::State::Close, open(&[(R, RST, 1, 0)]), [None; 2]),
        (tcp::State::Close, open(&[closing[0], (R, RST, 1, 0)]), [None; 2]),
        // Closed with the very segment that completes the handshake.
        (tcp::State::Close, after(&[half[0], half[1], closing[0], (R, RST, 1, 0)]), [None; 2]),
    ]
}

#[test]
fn state_and_close_reason_tell_the_anomaly() {
    let ends = ends();
    for state in tcp::State::ALL {
        assert!(ends.iter().any(|(listed, ..)| *listed == state), "{state:?} is missing");
    }
    for (line, (state, session, [ran_out, otherwise])) in ends.iter().enumerate() {
        assert_eq!(session.tcp.state(), *state, "line {line}");
        for reason in CloseReason::ALL {
            let expected = if *reason == CloseReason::Timeout { ran_out } else { otherwise };
            assert_eq!(Anomaly::at_end(session, *reason), *expected, "line {line}, {reason}");
        }
    }
}

/// An ICMP error as its type and code say.
fn error(kind: u8, code: u8) -> Icmp {
    Icmp { kind, code, id: 0, sequence: 0, rest: 0, embedded: true, query: false }
}

#[test]
fn only_an_unreachable_for_a_syn_or_a_datagram_is_odd() {
    use Version::{V4, V6};
    let (syn, udp) = (Some(Anomaly::TcpSynUnreachable), Some(Anomaly::UdpUnreachable));
    let opening = after(&OPEN[..1]);
    let rows = [
        (opening, I, V4, (3, 0), syn),
        (opening, I, V4, (3, 13), syn),
        (opening, I, V6, (1, 4), syn),
        (after(&[(I, SYN, 0, 0), (R, SYN, 0, 0)]), I, V4, (3, 1), syn),
        // A path MTU, time exceeded, packet too big, parameter problem.
        (opening, I, V4, (3, 4), None),
        (opening, I, V4, (11, 0), None),
        (opening, I, V6, (2, 0), None),
        (opening, I, V6, (3, 0), None),
        (opening, I, V4, (12, 0), None),
        // About the answer, and later.
        (after(&OPEN[..2]), R, V4, (3, 3), None),
        (after(&OPEN[..2]), I, V4, (3, 3), None),
        (after(&OPEN), I, V4, (3, 1), None),
        (session(Protocol::UDP), I, V4, (3, 3), udp),
        (session(Protocol::UDP), R, V4, (3, 3), udp),
        (session(Protocol::UDP), I, V6, (1, 4), udp),
        (session(Protocol::UDP), I, V4, (3, 4), None),
        (session(Protocol::UDP), I, V6, (2, 0), None),
        (session(Protocol::ICMP), I, V4, (3, 1), None),
        (session(Protocol::SCTP), I, V4, (3, 2), None),
    ];
    for (line, (mut session, sender, version, (kind, code), expected)) in
        rows.into_iter().enumerate()
    {
        let error = error(kind, code);
        assert_eq!(Anomaly::of_error(&session, sender, version, &error), expected, "line {line}");
        session.flags.set(Flags::UNREACHABLE, true);
        assert_eq!(
            Anomaly::of_error(&session, sender, version, &error),
            None,
            "line {line}, again"
        );
    }
}

#[test]
fn names_are_unlike_each_other_and_unlike_those_of_reasons() {
    let anomalies = Anomaly::ALL.iter().map(|anomaly| anomaly.name());
    let mut names: Vec<_> =
        anomalies.chain(crate::Reason::ALL.iter().map(|reason| reason.name())).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), Anomaly::COUNT + crate::Reason::COUNT);
    for (position, anomaly) in Anomaly::ALL.iter().enumerate() {
        assert_eq!(*anomaly as usize, position);
        assert!(anomaly.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'));
        assert!(anomaly.explain().ends_with('.'), "{anomaly:?} lacks a sentence");
    }
}
