//! What is noted: each thing once, as what it is.

use std::time::Duration;

use sketch::{Measure, Oddity};
use wire::build::Builder;
use wire::{Protocol, TcpFlags};

use super::wall::{
    ACK, FIN_ACK, IN, INSIDE, OUT, OUTSIDE, RST, SYN, SYN_ACK, Wall, destination, fragment,
    measures, oddities, ping, source, syn, udp,
};
use crate::limits::{HELD_FRAMES, HELD_LIFE};
use crate::{Anomaly, Reason, Verdict};

use Measure::{
    Completed, Denied, Ended, FailedOther, FailedTcp, FailedUdp, HalfOpen, Icmp, Odd, Opened,
    Refused, Syn, Udp, Unanswered, Unreachable, Withdrawn,
};

fn tcp(flags: TcpFlags, port: u16) -> Builder<'static> {
    Builder::v4(OUTSIDE, INSIDE).tcp(4_000, port).flags(flags)
}

fn answer(flags: TcpFlags, ack: u32) -> Builder<'static> {
    Builder::v4(INSIDE, OUTSIDE).tcp(80, 4_000).flags(flags).ack(ack)
}

#[test]
fn refused_packets_say_what_their_sender_did() {
    let denied = |kind: Measure, failed: Measure| vec![(kind, 1), (Denied, 1), (failed, 1)];
    let table: [(Builder<'_>, Vec<(Measure, u32)>); 6] = [
        (tcp(SYN, 1_000), denied(Syn, FailedTcp)),
        (tcp(SYN, 10_000), denied(Syn, FailedTcp)),
        // A filter is asked for its state.
        (tcp(ACK, 80), vec![(Denied, 1), (FailedTcp, 1)]),
        // Late, and no question to anybody.
        (tcp(FIN_ACK, 80), vec![(Denied, 1)]),
        (tcp(RST, 80), vec![(Denied, 1)]),
        (Builder::v4(OUTSIDE, INSIDE).icmp(0, 0, 7), denied(Icmp, FailedOther)),
    ];
    for (packet, wanted) in table {
        let mut wall = Wall::new(Some(""));
        let verdict = wall.arrive(OUT, &packet);
        assert!(matches!(verdict, Verdict::Drop(_) | Verdict::Answer), "{verdict:?}");
        assert_eq!(measures(&wall.book()), wanted, "{verdict:?}");
    }
}

#[test]
fn a_scan_is_told_by_its_ports() {
    let mut wall = Wall::new(Some(""));
    (1_000..1_020).for_each(|port| _ = wall.arrive(OUT, &tcp(SYN, port)));
    let book = wall.book();
    let row = source(&book, OUTSIDE).unwrap();
    assert_eq!((row.ports.count(), row.hosts.count(), row.tally.of(FailedTcp)), (20, 1, 20));
    assert_eq!((row.tally.packets, row.tally.bytes), (20, 20 * 40));
}

#[test]
fn a_connection_is_told_from_beginning_to_end() {
    let mut wall = Wall::new(Some(""));
    wall.connect(OUTSIDE, 4_000);
    assert_eq!(measures(&wall.book()), [(Syn, 1), (Opened, 1), (Completed, 1)]);
    wall.arrive(OUT, &tcp(FIN_ACK, 80).seq(1).ack(1));
    wall.arrive(IN, &answer(FIN_ACK, 2).seq(1));
    wall.arrive(OUT, &tcp(ACK, 80).seq(2).ack(2));
    wall.wait(Duration::from_secs(600));
    let book = wall.book();
    assert_eq!(measures(&book), [(Ended, 1)]);
    let flow = book.flows.iter().next().unwrap();
    // Three of the initiator behind the first; all bytes of both sides but the first packet's.
    assert_eq!((flow.value.packets, flow.value.bytes, flow.value.ended), (3, 5 * 40, true));
}

/// Packets with the ports by which they arrive.
type Exchange<'a> = Vec<(crate::PortId, Builder<'a>)>;

#[test]
fn beginnings_that_come_to_nothing_are_told_by_their_kind() {
    let reset = TcpFlags(RST.0 | ACK.0);
    let syn = tcp(SYN, 80);
    let cases: [(Exchange<'_>, Measure, bool); 4] = [
        (vec![(OUT, syn)], Unanswered, true),
        (vec![(OUT, syn), (IN, answer(SYN_ACK, 1))], HalfOpen, false),
        (vec![(OUT, syn), (IN, answer(reset, 1))], Refused, true),
        (vec![(OUT, syn), (IN, answer(SYN_ACK, 1)), (OUT, tcp(RST, 80).seq(1))], Withdrawn, true),
    ];
    for (packets, measure, failed) in cases {
        let mut wall = Wall::new(Some(""));
        for (ingress, packet) in &packets {
            assert!(matches!(wall.arrive(*ingress, packet), Verdict::Forward(_)), "{measure:?}");
        }
        wall.wait(Duration::from_secs(600));
        let mut wanted = vec![(Syn, 1), (Opened, 1), (Ended, 1), (measure, 1)];
        wanted.extend(failed.then_some((FailedTcp, 1)));
        assert_eq!(measures(&wall.book()), wanted);
    }
}

/// Hosts that nobody answers for on the last link, by queries, datagrams and SYNs.
#[test]
fn beginnings_without_a_next_hop_are_failures_of_who_began_and_told_once() {
    let mut wall = Wall::new(Some(""));
    wall.direct();
    let host = |last: u8| [10, 9, 0, last];
    for last in 1..=10 {
        let to = Builder::v4(OUTSIDE, host(last));
        for packet in [to.icmp(8, 0, 7), to.udp(4_000, 9), to.tcp(4_000, 80).flags(SYN)] {
            assert_eq!(wall.arrive(OUT, &packet), Verdict::Hold);
        }
    }
    // Of one that goes on the first packet alone counts.
    assert_eq!(wall.arrive(OUT, &Builder::v4(OUTSIDE, host(1)).udp(4_000, 9)), Verdict::Hold);
    let began = wall.book();
    assert_eq!(measures(&began), [(Syn, 10), (Udp, 10), (Icmp, 10), (Opened, 30)]);
    wall.wait(HELD_LIFE);
    let book = wall.book();
    let wanted = [(Unreachable, 30), (FailedTcp, 10), (FailedUdp, 10), (FailedOther, 10)];
    assert_eq!(measures(&book), wanted);
    let row = source(&book, OUTSIDE).unwrap();
    assert_eq!((row.hosts.count(), row.tally.packets), (10, 0));
    let anomalous = |anomaly| wall.engine.counters().anomalous(anomaly);
    let of = [Anomaly::TcpSynUnreachable, Anomaly::UdpUnreachable].map(anomalous);
    assert_eq!(of, [10, 10]);
    wall.wait(Duration::from_secs(600));
    assert_eq!(measures(&wall.book()), [(Udp, 1), (Ended, 30)]);
}

/// A server that answers clients which are gone has not begun anything.
#[test]
fn an_answer_without_a_next_hop_is_no_failure() {
    let mut wall = Wall::new(Some(""));
    wall.direct();
    for last in 1..=10 {
        let inside = [10, 9, 0, last];
        assert!(matches!(
            wall.arrive(IN, &Builder::v4(inside, OUTSIDE).udp(9, 53)),
            Verdict::Forward(_)
        ));
        assert_eq!(wall.arrive(OUT, &Builder::v4(OUTSIDE, inside).udp(53, 9)), Verdict::Hold);
    }
    wall.wait(HELD_LIFE);
    let book = wall.book();
    assert!(source(&book, OUTSIDE).is_none_or(|row| row.hosts.is_empty()));
}

/// What could not even wait opens nothing: a scan of a /64 fills no table.
#[test]
fn where_no_more_can_wait_for_a_next_hop_no_session_begins() {
    let mut wall = Wall::new(None);
    wall.direct();
    let hosts = HELD_FRAMES as u16 + 100;
    let each = |number: u16| Builder::v4(OUTSIDE, [10, 9, (number >> 8) as u8, number as u8]);
    let verdicts = (0..hosts).map(|number| wall.arrive(OUT, &each(number).udp(4_000, 9)));
    let held = verdicts.filter(|it| *it == Verdict::Hold).count();
    let refused = wall.engine.counters().dropped(Reason::NeighbourQueueFull);
    assert_eq!((held, refused), (HELD_FRAMES, 100));
    assert_eq!(wall.engine.sessions().len(), HELD_FRAMES);
    // Who has a next hop is none the worse.
    assert!(matches!(wall.arrive(OUT, &syn(4_000)), Verdict::Forward(_)));
}

#[test]
fn datagrams_without_an_answer_are_failures_and_answered_ones_are_not() {
    let mut wall = Wall::new(Some(""));
    (1..=20).for_each(|port| {
        _ = wall.arrive(OUT, &Builder::v4(OUTSIDE, INSIDE).udp(4_000, port));
    });
    wall.arrive(IN, &Builder::v4(INSIDE, OUTSIDE).udp(20, 4_000));
    wall.arrive(OUT, &ping(7));
    wall.wait(Duration::from_secs(600));
    let book = wall.book();
    let wanted = [
        (Udp, 20),
        (Icmp, 1),
        (Opened, 21),
        (Ended, 21),
        (Unanswered, 20),
        (FailedUdp, 19),
        (FailedOther, 1),
    ];
    assert_eq!(measures(&book), wanted);
    assert_eq!(source(&book, OUTSIDE).unwrap().ports.count(), 20);
}

#[test]
fn an_icmp_error_is_an_event_of_the_session_that_it_is_about() {
    let mut wall = Wall::new(Some(""));
    let mut question = udp(4_000).frame().to_vec();
    wall.frame(OUT, &question);
    // As it left: one hop less.
    question[22] -= 1;
    let error = Builder::v4(INSIDE, OUTSIDE).icmp(3, 3, 0).payload(&question[14..]);
    assert_eq!(wall.arrive(IN, &error), Verdict::Forward(OUT));
    wall.wait(Duration::from_secs(600));
    let book = wall.book();
    let wanted = [(Udp, 1), (Opened, 1), (Ended, 1), (Unreachable, 1), (FailedUdp, 1)];
    assert_eq!(measures(&book), wanted);
    assert_eq!(wall.engine.counters().anomalous(Anomaly::UdpUnreachable), 1);
}

/// However often it is told in between: in all it is what the session carried.
#[test]
fn what_a_session_carries_is_told_exactly_once() {
    let mut wall = Wall::new(Some(""));
    let (mut packets, mut told) = (0, 0);
    for number in 0..5_000_u32 {
        wall.arrive(OUT, &udp(4_000).payload(&[7; 100]));
        if number % 3 == 0 {
            wall.arrive(IN, &Builder::v4(INSIDE, OUTSIDE).udp(53, 4_000));
        }
        if number % 500 == 499 {
            let book = wall.book();
            let now = destination(&book, INSIDE).unwrap();
            assert_eq!(now.packets, u64::from(now.of(Udp)));
            told += now.packets;
            packets += 500;
            // A packet in 64 to 191 tells it.
            assert!(packets - told <= 192, "{packets} came and {told} were told");
        }
    }
    wall.wait(Duration::from_secs(600));
    let book = wall.book();
    let end = destination(&book, INSIDE).unwrap();
    assert_eq!((told + end.packets, end.of(Ended)), (5_000, 1));
}

#[test]
fn a_session_older_than_the_screens_is_not_told_at_once() {
    let mut wall = Wall::new(None);
    (0..900).for_each(|_| _ = wall.arrive(OUT, &udp(4_000)));
    wall.commit(Some(""));
    (0..900).for_each(|_| _ = wall.arrive(OUT, &udp(4_000)));
    let book = wall.book();
    let told = destination(&book, INSIDE).unwrap().packets;
    assert!((500..900).contains(&told), "{told} of those that came since");
}

#[test]
fn packets_that_the_engine_refuses_are_odd_by_the_same_reasons() {
    let flags = |bits| tcp(TcpFlags(bits), 80).frame().to_vec();
    let land = Builder::v4(INSIDE, INSIDE).udp(9, 9).frame().to_vec();
    let mut short = udp(9).frame().to_vec();
    short[14] = 0x44;
    let mut wrong = udp(9).frame().to_vec();
    *wrong.last_mut().unwrap() ^= 1;
    let routed = Builder::v4(OUTSIDE, INSIDE).ip_options(&[131, 7, 4, 1, 2, 3, 4]).udp(9, 9);
    let tiny = Builder::v4(OUTSIDE, INSIDE).fragment(1, 0, true).raw(Protocol::TCP);
    let large = Builder::v4(OUTSIDE, INSIDE).fragment(1, 65_528, false).raw(Protocol::ICMP);
    let cases = [
        (flags(0), Reason::TcpNoFlags, Oddity::TcpNoFlags),
        (flags(0x29), Reason::TcpFinWithoutAck, Oddity::TcpXmas),
        (flags(0x01), Reason::TcpFinWithoutAck, Oddity::TcpFinWithoutAck),
        (flags(0x03), Reason::TcpSynFin, Oddity::TcpSynFin),
        (flags(0x06), Reason::TcpFlags, Oddity::TcpFlags),
        (land, Reason::Land, Oddity::Land),
        (short, Reason::HeaderTooShort, Oddity::Malformed),
        (wrong, Reason::TransportChecksum, Oddity::Checksum),
        (routed.frame().to_vec(), Reason::SourceRoute, Oddity::SourceRoute),
        (
            Builder::v4(OUTSIDE, INSIDE).udp(9, 0).frame().to_vec(),
            Reason::PortZero,
            Oddity::PortZero,
        ),
        (
            Builder::v4([127, 0, 0, 1], INSIDE).udp(9, 9).frame().to_vec(),
            Reason::SourceInvalid,
            Oddity::Spoofed,
        ),
        (tiny.payload(&[0; 8]).frame().to_vec(), Reason::FragmentTiny, Oddity::FragmentTiny),
        (large.payload(&[0; 64]).frame().to_vec(), Reason::FragmentOversize, Oddity::PingOfDeath),
    ];
    for (frame, reason, oddity) in cases {
        let mut wall = Wall::new(Some(""));
        assert_eq!(wall.frame(OUT, &frame), Verdict::Drop(reason));
        assert_eq!(oddities(&wall.book()), [(oddity, 1)], "{reason}");
    }
}

#[test]
fn fragments_that_overlap_are_a_teardrop_of_who_sent_them() {
    let mut wall = Wall::new(Some(""));
    assert_eq!(wall.arrive(OUT, &fragment(7)), Verdict::Hold);
    let over = Builder::v4(OUTSIDE, INSIDE).fragment(7, 8, false).raw(Protocol::UDP);
    let verdict = wall.arrive(OUT, &over.payload(&[9; 24]));
    assert_eq!(verdict, Verdict::Drop(Reason::FragmentOverlap));
    let book = wall.book();
    assert_eq!(oddities(&book), [(Oddity::Teardrop, 1)]);
    assert_eq!(measures(&book), [(Measure::Fragment, 2), (Odd, 1)]);
}

#[test]
fn a_probe_that_opens_a_session_is_odd_too() {
    let mut wall = Wall::new(Some(""));
    let verdict = wall.arrive(OUT, &syn(9).flags(TcpFlags(SYN.0 | TcpFlags::URG.0)));
    assert_eq!(verdict, Verdict::Forward(IN));
    assert_eq!(oddities(&wall.book()), [(Oddity::TcpFlags, 1)]);
}

#[test]
fn a_backup_notes_nothing_of_packets_and_replicas() {
    let mut wall = Wall::new(Some(""));
    wall.connect(OUTSIDE, 4_000);
    wall.book();
    wall.engine.stand_down();
    wall.arrive(OUT, &syn(9));
    wall.arrive(OUT, &tcp(TcpFlags(0), 80));
    wall.arrive(OUT, &fragment(1));
    wall.wait(Duration::from_secs(600));
    assert_eq!(wall.book().noted(), 0);
}
