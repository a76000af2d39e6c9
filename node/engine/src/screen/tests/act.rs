//! What is dropped, packet by packet: nothing under `alarm`, what is above a threshold under `drop`, and
//! everything of a blocked source.

use std::time::Duration;

use sketch::{Measure, Place};
use wire::build::Builder;

use super::wall::{
    ACK, FIN_ACK, IN, INSIDE, OUT, OUTSIDE, RST, START, SYN, Wall, ZONE, anybodys_syn, destination,
    fragment, oddities, ping, syn, udp,
};
use crate::pipeline::Stage;
use crate::screen::Meter;
use crate::{Reason, Verdict};

const SECOND: Duration = Duration::from_secs(1);

/// Screen, packets, how many of 30 in a second pass, and why the others do not.
type Line = (&'static str, fn(u16) -> Builder<'static>, u64, Reason);

const LINES: [Line; 12] = [
    ("syn-flood = { source = 10, action = \"drop\" }", syn, 10, Reason::SynFlood),
    ("syn-flood = { destination = 7, action = \"drop\" }", anybodys_syn, 7, Reason::SynFlood),
    ("syn-flood = { zone = 5, action = \"block\" }", anybodys_syn, 5, Reason::SynFlood),
    ("syn-flood = { source = 10, action = \"drop\" }", anybodys_syn, 30, Reason::SynFlood),
    ("icmp-flood = { threshold = 9, action = \"drop\" }", |_| ping(1), 9, Reason::IcmpFlood),
    ("icmp-flood = { threshold = 9, action = \"drop\" }", ping, 9, Reason::IcmpFlood),
    ("udp-flood = { threshold = 8, action = \"drop\" }", |_| udp(9), 8, Reason::UdpFlood),
    ("udp-flood = { threshold = 8, action = \"drop\" }", udp_from, 8, Reason::UdpFlood),
    ("session-limit = { source = 4, action = \"drop\" }", syn, 4, Reason::SourceSessions),
    (
        "session-limit = { destination = 3, action = \"drop\" }",
        anybodys_syn,
        3,
        Reason::DestinationSessions,
    ),
    ("session-limit = { pair = 2, action = \"block\" }", syn, 2, Reason::PairSessions),
    ("session-limit = { pair = 2, action = \"drop\" }", anybodys_syn, 30, Reason::PairSessions),
];

fn udp_from(port: u16) -> Builder<'static> {
    udp(4_000 + port)
}

fn syn_from(port: u16) -> Builder<'static> {
    syn(4_000 + port)
}

/// As a function of a number from 0, with ports that are none of the reserved ones.
fn numbered(each: fn(u16) -> Builder<'static>) -> impl Fn(u16) -> Builder<'static> {
    move |number| each(number + 1)
}

#[test]
fn what_is_above_a_threshold_is_dropped_and_the_next_second_begins_anew() {
    for (screen, each, passes, reason) in LINES {
        let mut wall = Wall::new(Some(screen));
        let first = wall.burst(30, reason, numbered(each));
        assert_eq!(first, (passes, 30 - passes), "{screen}");
        if !screen.starts_with("session-limit") && passes < 30 {
            wall.wait(SECOND);
            let next = wall.burst(30, reason, |number| each(number + 101));
            assert_eq!(next, (passes, 30 - passes), "{screen}");
        }
    }
}

/// The sum of all workers is above a limit: one of two, with half of the slots, lets half of it through.
#[test]
fn a_worker_lets_its_part_of_a_lowered_limit_through_until_its_end() {
    let cases: [(usize, Meter, &str); 5] = [
        (0, Meter::SynsOfSource, "198.18.0.1"),
        (1, Meter::SynsToDestination, "10.0.0.1"),
        (4, Meter::Icmp, "10.0.0.1"),
        (6, Meter::Udp, "10.0.0.1"),
        (7, Meter::Udp, "10.0.0.1"),
    ];
    for (line, meter, place) in cases {
        let (screen, each, passes, reason) = LINES[line];
        let mut wall = Wall::new(Some(screen));
        wall.own_half();
        let place = Place::of(ZONE, place.parse().unwrap());
        let (limit, until) = (passes as u32, START + 3 * SECOND);
        wall.engine.curb(meter, &place, limit, until);
        let burst = |wall: &mut Wall, at: u16| wall.burst(30, reason, |it| each(it + at)).0;
        assert_eq!(burst(&mut wall, 1), passes.div_ceil(2), "{screen}");
        wall.wait(SECOND);
        wall.engine.uncurb(meter, &place);
        assert_eq!(burst(&mut wall, 101), passes, "{screen}: a word ends it");
        wall.wait(SECOND);
        wall.engine.curb(meter, &place, limit, until);
        wall.wait(SECOND);
        assert_eq!(burst(&mut wall, 201), passes, "{screen}: it ends by itself");
        wall.engine.curb(meter, &place, limit, until + 3 * SECOND);
        wall.commit(Some(screen));
        wall.wait(SECOND);
        assert_eq!(burst(&mut wall, 301), passes, "{screen}: another policy has other limits");
    }
}

/// Of a zone all sources count together; a policy without a limit has none to lower.
#[test]
fn zones_are_limited_together_and_nothing_is_without_a_limit() {
    let mut wall =
        Wall::new(Some("syn-flood = { zone = 8, action = \"drop\" }\nudp-flood = \"off\""));
    let until = START + 60 * SECOND;
    wall.engine.curb(Meter::SynsOfZone, &Place::zone(ZONE), 3, until);
    wall.engine.curb(Meter::Udp, &Place::of(ZONE, INSIDE.into()), 3, until);
    assert_eq!(wall.burst(30, Reason::SynFlood, numbered(anybodys_syn)), (3, 27));
    assert_eq!(wall.burst(30, Reason::UdpFlood, udp_from), (30, 0));
}

#[test]
fn under_alarm_everything_passes_and_is_noted() {
    for (screen, each, _, reason) in LINES {
        let alarm = screen.replace("\"drop\"", "\"alarm\"").replace("\"block\"", "\"alarm\"");
        let mut wall = Wall::new(Some(&alarm));
        assert_eq!(wall.burst(30, reason, numbered(each)), (30, 0), "{alarm}");
        let book = wall.book();
        let tally = destination(&book, INSIDE).unwrap();
        let opened = u64::from(tally.of(Measure::Opened));
        let counters = wall.engine.counters();
        assert_eq!((opened, counters.dropped_total()), (counters.sessions_opened, 0), "{alarm}");
    }
}

#[test]
fn what_a_limit_drops_is_noted_as_that_and_as_the_flood_that_it_is() {
    let mut wall = Wall::new(Some("syn-flood = { source = 10, action = \"drop\" }"));
    wall.burst(30, Reason::SynFlood, numbered(syn));
    let book = wall.book();
    let tally = destination(&book, INSIDE).unwrap();
    let of = |measure| tally.of(measure);
    let (syns, denied) = (of(Measure::Syn), of(Measure::Denied));
    assert_eq!((syns, denied, of(Measure::Opened), of(Measure::FailedTcp)), (30, 20, 10, 0));
}

#[test]
fn fragments_above_their_threshold_are_not_held() {
    let mut wall = Wall::new(Some("fragment-flood = { threshold = 6, action = \"drop\" }"));
    (1..=30).for_each(|id| _ = wall.arrive(OUT, &fragment(id)));
    let counters = wall.engine.counters();
    assert_eq!((counters.held, counters.dropped(Reason::FragmentFlood)), (6, 24));
    let book = wall.book();
    assert_eq!(destination(&book, INSIDE).unwrap().of(Measure::Fragment), 30);
}

#[test]
fn completed_handshakes_are_limited_by_source_and_syns_are_not() {
    let mut wall = Wall::new(Some("connection-rate = { threshold = 3, action = \"drop\" }"));
    // Whoever forges sources completes nothing.
    assert_eq!(wall.burst(9, Reason::ConnectionRate, |number| syn_from(number + 500)), (9, 0));
    (1..=3).for_each(|port| wall.connect(OUTSIDE, port));
    assert_eq!(wall.burst(5, Reason::ConnectionRate, syn_from), (0, 5));
    assert_eq!(wall.burst(5, Reason::ConnectionRate, anybodys_syn), (5, 0));
    wall.wait(SECOND);
    assert_eq!(wall.burst(5, Reason::ConnectionRate, syn_from), (5, 0));
}

#[test]
fn a_blocked_source_sends_nothing_until_its_time_is_over() {
    let mut wall = Wall::new(Some(""));
    wall.connect(OUTSIDE, 9);
    let data = |_| Builder::v4(OUTSIDE, INSIDE).tcp(9, 80).flags(ACK).seq(1).ack(1);
    let blocked = Place::of(ZONE, OUTSIDE.into());
    wall.engine.block(&blocked, START + 3 * SECOND);
    assert_eq!(wall.burst(4, Reason::Blocked, data), (0, 4), "of an open connection");
    assert_eq!(wall.burst(4, Reason::Blocked, syn_from), (0, 4));
    assert_eq!(wall.burst(4, Reason::Blocked, ping), (0, 4));
    assert_eq!(wall.burst(4, Reason::Blocked, fragment), (0, 4));
    assert_eq!(wall.burst(4, Reason::Blocked, anybodys_syn), (4, 0));
    // What is sent to it is another matter.
    let answer = Builder::v4(INSIDE, OUTSIDE).tcp(80, 9).flags(ACK).seq(1).ack(1);
    assert_eq!(wall.arrive(IN, &answer), Verdict::Forward(OUT));
    wall.wait(2 * SECOND);
    assert_eq!(wall.burst(1, Reason::Blocked, data), (0, 1));
    wall.wait(SECOND);
    assert_eq!(wall.burst(4, Reason::Blocked, data), (4, 0));
    wall.engine.block(&blocked, START + 100 * SECOND);
    assert_eq!(wall.burst(1, Reason::Blocked, data), (0, 1));
    wall.engine.unblock(&blocked);
    assert_eq!(wall.burst(4, Reason::Blocked, data), (4, 0));
}

#[test]
fn a_prefix_is_blocked_where_the_zone_counts_by_prefixes() {
    let mut wall = Wall::new(Some("aggregate-v4 = 24"));
    wall.engine.block(&Place::new(ZONE, OUTSIDE.into(), 24, 64), START + SECOND);
    assert_eq!(wall.burst(2, Reason::Blocked, syn_from), (0, 2));
    let neighbour = |port| Builder::v4([198, 18, 0, 99], INSIDE).tcp(port + 1, 80).flags(SYN);
    assert_eq!(wall.burst(2, Reason::Blocked, neighbour), (0, 2));
    assert_eq!(wall.burst(2, Reason::Blocked, anybodys_syn), (2, 0));
}

#[test]
fn nothing_is_done_about_who_is_exempt() {
    let screen = "exempt = \"198.18.0.1\"\nsyn-flood = { source = 2, action = \"drop\" }\n\
                  udp-flood = { threshold = 2, action = \"drop\" }\n\
                  session-limit = { source = 1, action = \"drop\" }";
    let mut wall = Wall::new(Some(screen));
    assert_eq!(wall.burst(9, Reason::SynFlood, syn_from), (9, 0));
    assert_eq!(wall.burst(9, Reason::UdpFlood, |_| udp(9)), (9, 0));
    let other = |_| Builder::v4([198, 18, 0, 2], INSIDE).udp(9, 53);
    assert_eq!(wall.burst(9, Reason::UdpFlood, other), (0, 9), "its destination is flooded");
}

#[test]
fn a_session_that_ends_gives_its_place_back() {
    let mut wall = Wall::new(Some("session-limit = { source = 2, action = \"drop\" }"));
    assert_eq!(wall.burst(3, Reason::SourceSessions, syn_from), (2, 1));
    let reset = Builder::v4(INSIDE, OUTSIDE).tcp(80, 4_000).flags(RST).ack(1);
    wall.arrive(IN, &reset.flags(wire::TcpFlags(RST.0 | ACK.0)));
    wall.wait(Duration::from_secs(11));
    assert_eq!(wall.engine.sessions().len(), 1);
    assert_eq!(wall.burst(3, Reason::SourceSessions, |port| syn_from(port + 50)), (1, 2));
    // A connection opened anew on its ports takes its own place.
    wall.wait(Duration::from_secs(600));
    assert_eq!(wall.engine.sessions().len(), 0);
    assert_eq!(wall.burst(3, Reason::SourceSessions, syn_from), (2, 1));
}

#[test]
fn another_policy_counts_the_sessions_that_are_there() {
    let limit = Some("session-limit = { source = 5, action = \"drop\" }");
    let mut wall = Wall::new(None);
    assert_eq!(wall.burst(4, Reason::SourceSessions, syn_from), (4, 0));
    for _ in 0..5 {
        wall.commit(limit);
        wall.wait(SECOND);
        assert_eq!(wall.burst(1, Reason::SourceSessions, |_| syn_from(90)), (1, 0));
        assert_eq!(wall.burst(1, Reason::SourceSessions, |_| syn_from(91)), (0, 1));
        wall.commit(None);
        wall.wait(SECOND);
        assert_eq!(wall.burst(1, Reason::SourceSessions, |_| syn_from(90)), (1, 0));
    }
    // Amid a sweep, by other numbers: nobody is counted twice.
    wall.commit(limit);
    wall.commit(Some("aggregate-v4 = 24\nsession-limit = { source = 5, action = \"drop\" }"));
    wall.commit(limit);
    wall.wait(SECOND);
    assert_eq!(wall.burst(1, Reason::SourceSessions, |_| syn_from(91)), (0, 1));
    assert_eq!(wall.burst(1, Reason::SourceSessions, anybodys_syn), (1, 0));
}

type Frame = fn() -> Vec<u8>;

/// Packets that the engine lets through and a screen may not.
const ODD: [(Frame, sketch::Oddity); 7] = [
    (|| with_option(&[7, 7, 4, 1, 2, 3, 4]), sketch::Oddity::RecordRoute),
    (|| with_option(&[68, 8, 5, 0, 1, 2, 3, 4]), sketch::Oddity::Timestamp),
    (|| with_option(&[130, 3, 0]), sketch::Oddity::Security),
    (|| with_option(&[136, 4, 0, 1]), sketch::Oddity::Stream),
    (|| ping(1).payload(&[7; 1_500]).frame().to_vec(), sketch::Oddity::IcmpLarge),
    (
        || {
            let nuke = Builder::v4(OUTSIDE, INSIDE).tcp(9, 139);
            nuke.flags(wire::TcpFlags(SYN.0 | wire::TcpFlags::URG.0)).frame().to_vec()
        },
        sketch::Oddity::WinNuke,
    ),
    (
        || Builder::v4(OUTSIDE, INSIDE).raw(wire::Protocol(200)).payload(&[1; 8]).frame().to_vec(),
        sketch::Oddity::UnknownProtocol,
    ),
];

fn with_option(option: &'static [u8]) -> Vec<u8> {
    Builder::v4(OUTSIDE, INSIDE).ip_options(option).udp(9, 53).frame().to_vec()
}

#[test]
fn odd_packets_pass_under_alarm_and_not_under_drop() {
    for (frame, oddity) in ODD {
        let mut wall = Wall::new(Some(""));
        assert_eq!(wall.frame(OUT, &frame()), Verdict::Forward(IN), "{oddity:?}");
        let noted = oddities(&wall.book());
        assert!(noted.contains(&(oddity, 1)), "{noted:?}");
        let mut wall = Wall::new(Some("anomalies = { action = \"drop\" }"));
        assert_eq!(wall.frame(OUT, &frame()), Verdict::Drop(Reason::Odd), "{oddity:?}");
        assert_eq!(oddities(&wall.book()), [(oddity, 1)]);
        assert_eq!(wall.engine.counters().dropped(Reason::Odd), 1);
        // From inside there is no screen.
        let mut back = frame();
        back[26..34].rotate_left(4);
        assert_ne!(wall.frame(IN, &back), Verdict::Drop(Reason::Odd));
    }
}

#[test]
fn explain_tells_what_a_screen_would_do_and_counts_nothing() {
    let mut wall = Wall::new(Some("syn-flood = { source = 2, action = \"drop\" }"));
    let mut frame = syn_from(9).frame().to_vec();
    frame[..6].copy_from_slice(&wall.engine.ports()[OUT.index()].mac);
    for _ in 0..9 {
        assert_eq!(wall.engine.explain(OUT, &frame, wall.now).reason, None);
    }
    wall.burst(2, Reason::SynFlood, syn_from);
    let explained = wall.engine.explain(OUT, &frame, wall.now);
    assert_eq!(explained.reason, Some(Reason::SynFlood));
    let says = explained.stages.iter().find(|(stage, _)| *stage == Stage::Screen);
    assert_eq!(says.unwrap().1, Reason::SynFlood.explain());
    wall.engine.block(&Place::of(ZONE, OUTSIDE.into()), wall.now + SECOND);
    assert_eq!(wall.engine.explain(OUT, &frame, wall.now).reason, Some(Reason::Blocked));
}

#[test]
fn without_a_screen_there_is_nothing() {
    let mut wall = Wall::new(None);
    assert!(!wall.engine.is_screening());
    let mut book = sketch::Book::new(crate::screen::seed([1, 2]), &[]);
    assert!(!wall.engine.exchange_book(&mut book));
    wall.engine.block(&Place::of(ZONE, OUTSIDE.into()), START + SECOND);
    assert_eq!(wall.burst(9, Reason::Blocked, syn_from), (9, 0));
    wall.commit(Some(""));
    assert!(wall.engine.is_screening());
    wall.arrive(OUT, &syn(7).flags(FIN_ACK));
    wall.commit(None);
    assert!(!wall.engine.is_screening());
}
