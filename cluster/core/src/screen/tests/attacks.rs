//! One node: each attack by its name, no attack where there is none, and what is done.

use core::net::{IpAddr, Ipv4Addr};
use core::time::Duration;

use sketch::{Kind as Seen, Observation, Oddity};

use super::world::{DENIED, World, from, name, place, tcp};
use crate::limits::{ATTACKS_MAX, ODD_ATTACKS_MAX, SCREEN_SOURCES};
use crate::screen::{Action, Kind, RateLimit, Subject};

const UDP: u8 = 17;
const ICMP: u8 = 1;

fn udp(kind: Seen, source: &str, destination: &str, port: u16) -> Observation {
    Observation { protocol: UDP, ..tcp(kind, source, destination, port) }
}

fn icmp(kind: Seen, source: &str, destination: &str) -> Observation {
    Observation { protocol: ICMP, ..tcp(kind, source, destination, 8) }
}

/// The address with this number, from all over the Internet.
fn anybody(number: u32) -> IpAddr {
    IpAddr::V4(Ipv4Addr::from_bits(number.wrapping_mul(2_654_435_761) | 0x0100_0000))
}

/// Notes what `each` makes of 0 up to `count`, on both workers by turns, within one second, and lets two
/// pass.
fn burst(world: &mut World, count: u32, each: impl Fn(u32) -> Observation) {
    for number in 0..count {
        world.note(0, number as usize % 2, &each(number));
    }
    world.run_seconds(2);
}

type Burst = (&'static str, u32, fn(u32) -> Observation, &'static [&'static str]);

fn port_of(number: u32) -> u16 {
    number as u16 + 1
}

fn host(number: u32) -> String {
    format!("10.0.{}.{}", number / 200, number % 200 + 1)
}

const BURSTS: [Burst; 19] = [
    ("18 ports", 18, |it| tcp(DENIED, "192.0.2.1", "10.0.0.1", port_of(it)), &[]),
    (
        "20 ports",
        20,
        |it| tcp(DENIED, "192.0.2.1", "10.0.0.1", port_of(it)),
        &["tcp-port-scan from 192.0.2.1"],
    ),
    (
        "20 UDP ports without an answer",
        20,
        |it| udp(Seen::Unanswered, "192.0.2.1", "10.0.0.1", port_of(it)),
        &["udp-port-scan from 192.0.2.1"],
    ),
    ("one port again and again", 100, |_| tcp(DENIED, "192.0.2.1", "10.0.0.1", 23), &[]),
    ("a browser", 200, |it| tcp(Seen::Permitted, "192.0.2.1", &host(it), 443), &[]),
    ("9 hosts", 9, |it| icmp(Seen::Unanswered, "192.0.2.1", &host(it)), &[]),
    (
        "10 hosts",
        10,
        |it| icmp(Seen::Unanswered, "192.0.2.1", &host(it)),
        &["icmp-sweep from 192.0.2.1"],
    ),
    (
        "10 hosts that refuse",
        10,
        |it| tcp(Seen::Refused, "2001:db8::1", &format!("2001:db8:1::{it}"), 22),
        &["tcp-sweep from 2001:db8::/64"],
    ),
    (
        "an xmas scan",
        20,
        |it| tcp(Seen::Odd(Oddity::TcpXmas), "192.0.2.1", "10.0.0.1", port_of(it)),
        &["tcp-port-scan from 192.0.2.1", "tcp-xmas from 192.0.2.1 to 10.0.0.1"],
    ),
    (
        "one land packet",
        1,
        |_| tcp(Seen::Odd(Oddity::Land), "10.0.0.1", "10.0.0.1", 80),
        &["land from 10.0.0.1 to 10.0.0.1"],
    ),
    (
        "teardrop from forged sources",
        50,
        |it| from(Seen::Odd(Oddity::Teardrop), anybody(it), [10, 0, 0, 1].into(), 0),
        &["teardrop from", "teardrop from", "teardrop from", "teardrop to 10.0.0.1"],
    ),
    ("511 SYNs", 511, |it| from(Seen::Permitted, anybody(it), [10, 0, 0, 1].into(), 80), &[]),
    (
        "512 SYNs",
        512,
        |it| from(Seen::Permitted, anybody(it), [10, 0, 0, 1].into(), 80),
        &["syn-flood to 10.0.0.1"],
    ),
    (
        "1024 SYNs of one source",
        1_024,
        |it| tcp(Seen::Permitted, "192.0.2.1", &host(it % 100), 80),
        &["session-limit from 192.0.2.1", "syn-flood from 192.0.2.1"],
    ),
    (
        "an ICMP flood",
        1_000,
        |it| Observation { source: anybody(it), ..icmp(Seen::Permitted, "192.0.2.1", "10.0.0.1") },
        &["icmp-flood to 10.0.0.1"],
    ),
    (
        "a UDP flood within one session",
        1,
        |_| Observation { packets: 5_000, ..udp(Seen::Carried, "192.0.2.1", "10.0.0.1", 53) },
        &["udp-flood to 10.0.0.1"],
    ),
    (
        "a fragment flood",
        1_000,
        |_| udp(Seen::Fragment, "192.0.2.1", "10.0.0.1", 0),
        &["fragment-flood to 10.0.0.1"],
    ),
    (
        "sessions at once",
        300,
        |it| tcp(Seen::Permitted, "192.0.2.1", "10.0.0.1", port_of(it)),
        &["session-limit from 192.0.2.1"],
    ),
    (
        "connections a second",
        50,
        |_| tcp(Seen::Completed, "192.0.2.1", "10.0.0.1", 80),
        &["connection-rate from 192.0.2.1"],
    ),
];

const LIMITS: &str = "session-limit = { source = 250 }\nconnection-rate = { threshold = 50 }\n";

#[test]
fn each_attack_has_its_name_and_what_is_none_has_none() {
    for (what, count, each, names) in BURSTS {
        let mut world = World::new(1, LIMITS);
        burst(&mut world, count, each);
        let mut seen = world.nodes[0].names();
        seen.sort();
        assert_eq!(seen.len(), names.len(), "{what}: {seen:?}");
        let alike = seen.iter().zip(names).all(|(seen, name)| seen.starts_with(name));
        assert!(alike, "{what}: {seen:?}");
    }
}

#[test]
fn a_zone_without_a_screen_is_counted_and_nothing_else() {
    let mut world = World::new(1, "");
    burst(&mut world, 5_000, |it| Observation {
        zone: 0,
        ..tcp(DENIED, "192.0.2.1", "10.0.0.1", port_of(it))
    });
    assert_eq!(world.nodes[0].said, []);
    let query = crate::screen::Query::new(crate::screen::Side::Sources);
    let rows = world.nodes[0].detector.anomalies(&query, world.now);
    assert_eq!((rows.len(), rows[0].totals.anomalies), (1, 5_000));
}

#[test]
fn what_was_done_is_counted() {
    let mut world =
        World::new(2, "action = \"block\"\nsyn-flood = { source = 100, action = \"drop\" }\n");
    burst(&mut world, 20, |it| tcp(DENIED, "192.0.2.1", "10.0.0.1", port_of(it)));
    burst(&mut world, 20, |it| tcp(DENIED, "192.0.2.2", "10.0.0.1", port_of(it)));
    burst(&mut world, 500, |_| tcp(Seen::Permitted, "192.0.2.3", "10.0.0.1", 80));
    let [own, other] = [0, 1].map(|node: usize| world.nodes[node].detector.counts());
    let begun: Vec<_> = own.begun.iter().map(|(kind, count)| format!("{kind} {count}")).collect();
    assert_eq!(begun, ["syn-flood 1", "tcp-port-scan 2"]);
    assert_eq!((own.blocks, own.noted, own.evicted), (2, 540, 0));
    assert_eq!((other.blocks, other.noted), (2, 0), "another node's block is one here as well");
    assert_eq!(world.nodes[0].detector.curbs(), 1);
    assert!(own.digests_made > 0);
    assert_eq!((other.digests_taken, other.digests_refused), (own.digests_made, 0));
    assert!(world.nodes[1].detector.hear(&[1; 9], world.now).is_err());
    assert_eq!(world.nodes[1].detector.counts().digests_refused, 1);
    world.run_seconds(60);
    assert_eq!(world.nodes[0].detector.curbs(), 0, "the flood is over");
}

#[test]
fn an_attack_has_a_beginning_one_line_a_second_and_an_end_with_totals() {
    let mut world = World::new(1, "");
    for _ in 0..5 {
        for number in 0..600 {
            let syn = from(Seen::Permitted, anybody(number), [10, 0, 0, 1].into(), 80);
            world.note(0, 0, &syn);
        }
        world.run_seconds(1);
    }
    // Above half of its threshold it goes on; below, it ends after a while.
    burst(&mut world, 300, |it| from(Seen::Permitted, anybody(it), [10, 0, 0, 1].into(), 80));
    world.run_seconds(20);
    let node = &world.nodes[0];
    let lines: Vec<_> = node.said.iter().map(|(_, it)| format!("{it:?}")).collect();
    let count = |word: &str| lines.iter().filter(|line| line.starts_with(word)).count();
    assert_eq!((count("Started"), count("GoingOn"), count("Ended")), (1, 5, 1), "{lines:#?}");
    let ended = node.ended()[0];
    assert_eq!((ended.totals.packets, ended.totals.sessions), (3_300, 3_300));
    assert_eq!((ended.most, ended.seen, ended.number), (600, 300, 1));
    assert!((5..=6).contains(&ended.lasted.as_secs()), "{ended:?}");
    assert!((450..750).contains(&ended.peers), "{} sources", ended.peers);
    assert!(ended.teller);
}

#[test]
fn actions_begin_at_the_threshold_and_end_with_the_attack() {
    let lines = "syn-flood = { destination = 700, action = \"drop\" }\n\
                 udp-flood = { action = \"drop\" }\n\
                 port-scan = { action = \"block\", block-for = \"2m\" }\n";
    let mut world = World::new(1, lines);
    let syns = |world: &mut World, many| {
        burst(world, many, |it| from(Seen::Permitted, anybody(it), [10, 0, 0, 1].into(), 80));
    };
    syns(&mut world, 600);
    assert_eq!(
        (world.nodes[0].said.len(), world.nodes[0].acts()),
        (1, vec![]),
        "told, not yet limited"
    );
    syns(&mut world, 800);
    burst(&mut world, 1, |_| Observation {
        packets: 5_000,
        ..udp(Seen::Carried, "192.0.2.1", "10.0.0.2", 53)
    });
    burst(&mut world, 20, |it| tcp(DENIED, "192.0.2.9", "10.0.0.3", port_of(it)));
    let limit = |kind, to, threshold| {
        let subject = Subject::Destination(place(to));
        Action::Drop(RateLimit { kind, subject, threshold })
    };
    let syn = limit(Kind::SynFlood, "10.0.0.1", 700);
    let drop = limit(Kind::UdpFlood, "10.0.0.2", 1_000);
    let acts = world.nodes[0].acts();
    assert_eq!(acts[..2], [syn, drop]);
    let Action::Block { source, until } = acts[2] else { panic!("{acts:?}") };
    assert_eq!((source, acts.len()), (place("192.0.2.9"), 3));
    let left = until.since(world.now);
    assert!(left > Duration::from_secs(115) && left <= Duration::from_secs(120), "{left:?}");
    world.run_seconds(30);
    assert_eq!(world.nodes[0].undone(), [syn, drop], "a block ends by itself");
    assert_eq!(world.nodes[0].detector.blocks().count(), 1);
    world.run_seconds(100);
    assert_eq!(world.nodes[0].detector.blocks().count(), 0);
}

#[test]
fn who_is_exempt_is_neither_named_nor_blocked() {
    let lines = "action = \"block\"\nexempt = [\"192.0.2.0/28\"]\n";
    let mut world = World::new(1, lines);
    burst(&mut world, 100, |it| tcp(DENIED, "192.0.2.1", "10.0.0.1", port_of(it)));
    assert_eq!(world.nodes[0].said, []);
    burst(&mut world, 100, |it| tcp(DENIED, "192.0.2.16", "10.0.0.1", port_of(it)));
    assert_eq!(world.nodes[0].names(), ["tcp-port-scan from 192.0.2.16"]);
}

/// One port every three minutes: four hours hold eighty of them.
#[test]
fn ten_ports_at_once_are_a_scan_and_ten_in_a_second_are_not() {
    let scan = |count: u16, pause: u64| {
        let mut world = World::new(1, "");
        for port in 1..=count {
            world.note(0, 0, &tcp(DENIED, "192.0.2.1", "10.0.0.1", port));
            world.run(pause);
        }
        world.run_seconds(2);
        world.nodes[0].names()
    };
    assert_eq!(scan(10, 0), ["tcp-port-scan from 192.0.2.1"]);
    assert_eq!(scan(9, 0), [""; 0]);
    assert_eq!(scan(19, 100), [""; 0]);
}

#[test]
fn a_slow_scan_is_found_by_its_twentieth_port() {
    let mut world = World::new(1, "");
    for port in 1..=20 {
        assert_eq!(world.nodes[0].said, [], "port {port}");
        world.note(0, usize::from(port % 2), &tcp(DENIED, "192.0.2.1", "10.0.0.1", port));
        world.run_seconds(180);
    }
    let started = world.nodes[0].started();
    assert_eq!(name(started[0]), "tcp-port-scan from 192.0.2.1");
    assert_eq!((started[0].seen, started[0].threshold), (20, 20));
}

#[test]
fn decoys_are_told_by_what_they_scan_and_not_blocked() {
    let mut world = World::new(1, "action = \"block\"\n");
    burst(&mut world, 20 * 22, |it| {
        let decoy: IpAddr = [198, 51, 100, (it % 20) as u8 + 1].into();
        from(DENIED, decoy, [10, 0, 0, 1].into(), (it / 20) as u16 + 1)
    });
    let node = &world.nodes[0];
    let names = node.names();
    assert_eq!(names.len(), 8, "{names:?}");
    assert_eq!(names[7], "tcp-port-scan to 10.0.0.1");
    assert_eq!(node.ended().iter().filter(|it| it.folded).count(), 7);
    assert_eq!(node.detector.blocks().count(), 0, "what was blocked is let through again");
    assert_eq!((node.undone().len(), node.started()[7].peers), (7, 10));
}

/// A million forged sources for ten seconds; meanwhile one scanner shows a port a second to another host.
#[test]
fn a_spoofed_flood_hides_no_scanner_and_takes_no_memory() {
    let mut world = World::new(1, "action = \"block\"\n");
    let mut number = 0_u32;
    for tenth in 0..220_u16 {
        for _ in 0..if tenth < 100 { 10_000 } else { 0 } {
            number += 1;
            let syn = from(Seen::Permitted, anybody(number), [10, 0, 0, 1].into(), 80);
            world.note(0, number as usize % 2, &syn);
        }
        if tenth % 10 == 5 {
            world.note(0, 0, &tcp(DENIED, "192.0.2.1", "10.0.0.2", tenth));
        }
        world.run(100);
    }
    let node = &world.nodes[0];
    assert_eq!(node.names(), ["syn-flood to 10.0.0.1", "tcp-port-scan from 192.0.2.1"]);
    let blocked: Vec<_> = node.detector.blocks().map(|(place, _)| place.to_string()).collect();
    assert_eq!(blocked, ["192.0.2.1"], "no forged source is blocked");
    assert_eq!(node.detector.own.sources.capacity(), SCREEN_SOURCES);
    assert_eq!(node.detector.beyond_limits(), [0; 3]);
}

#[test]
fn more_attacks_than_are_followed_are_counted() {
    let mut world = World::new(1, "");
    for source in 0..300_u32 {
        for port in 0..20 {
            // Each at a host of its own, so that they are no decoys.
            let source_address: IpAddr = Ipv4Addr::from_bits(0xc633_6400 + source).into();
            let target: IpAddr = Ipv4Addr::from_bits(0x0a00_0000 + source).into();
            world.note(0, 0, &from(DENIED, source_address, target, port + 1));
        }
    }
    world.run_seconds(1);
    assert_eq!(world.nodes[0].started().len(), ATTACKS_MAX);
    assert_eq!(world.nodes[0].detector.beyond_limits()[0], 44);
}

#[test]
fn odd_packets_to_many_hosts_leave_room_for_a_scan() {
    let mut world = World::new(1, "");
    let pair = |at: u32| -> [IpAddr; 2] {
        [0xc633_6400, 0x0a00_0000].map(|first| Ipv4Addr::from_bits(first + at).into())
    };
    for [source, target] in (0..400).map(pair) {
        world.note(0, 0, &from(Seen::Odd(Oddity::Checksum), source, target, 1));
    }
    world.run_seconds(1);
    assert_eq!(world.nodes[0].started().len(), ODD_ATTACKS_MAX);
    burst(&mut world, 30, |it| tcp(DENIED, "192.0.2.1", "192.0.2.9", port_of(it)));
    let names = world.nodes[0].names();
    assert!(names.iter().any(|name| name == "tcp-port-scan from 192.0.2.1"), "{names:?}");
}

#[test]
fn another_policy_ends_what_it_does_not_look_for() {
    let mut world = World::new(1, "port-scan = { action = \"block\" }\n");
    burst(&mut world, 30, |it| tcp(DENIED, "192.0.2.1", "10.0.0.1", port_of(it)));
    assert_eq!(world.nodes[0].detector.blocks().count(), 1);
    let screens = super::world::screens("port-scan = \"off\"\nexempt = \"192.0.2.1\"\n");
    world.nodes[0].detector.screen(screens, world.now);
    world.run_seconds(1);
    assert_eq!(world.nodes[0].detector.attacks().count(), 0);
    assert_eq!((world.nodes[0].ended().len(), world.nodes[0].undone().len()), (1, 1));
    assert_eq!(world.nodes[0].detector.blocks().count(), 0);
}

#[test]
fn sessions_that_ended_are_not_open() {
    let mut world = World::new(1, LIMITS);
    for _ in 0..10 {
        burst(&mut world, 200, |it| tcp(Seen::Permitted, "192.0.2.1", "10.0.0.1", port_of(it)));
        burst(&mut world, 200, |it| tcp(Seen::Ended, "192.0.2.1", "10.0.0.1", port_of(it)));
    }
    assert_eq!(world.nodes[0].said, []);
}

#[test]
fn a_flooded_destination_is_answered_for_until_the_flood_is_over() {
    let mut world = World::new(1, "syn-flood = { destination = 700, action = \"proxy\" }\n");
    let syns = |world: &mut World, many| {
        burst(world, many, |it| from(Seen::Permitted, anybody(it), [10, 0, 0, 1].into(), 80));
    };
    let destination = place("10.0.0.1");
    let proxy = Action::Proxy { destination };
    syns(&mut world, 600);
    assert_eq!((world.nodes[0].said.len(), world.nodes[0].acts()), (1, vec![]), "told alone");
    syns(&mut world, 800);
    assert_eq!(world.nodes[0].acts(), [proxy]);
    // From now on the XDP program answers, and no worker notes anything. It is said again each second, also
    // below the threshold, as long as there is half of what is told.
    for many in [9_000; 10].into_iter().chain([300; 20]) {
        let now = world.now;
        world.nodes[0].detector.answered(destination, many, now);
        world.run_seconds(1);
    }
    let acts = world.nodes[0].acts();
    assert!((29..=31).contains(&acts.len()) && acts.iter().all(|it| *it == proxy), "{acts:?}");
    assert_eq!(world.nodes[0].undone(), []);
    for _ in 0..12 {
        let now = world.now;
        world.nodes[0].detector.answered(destination, 200, now);
        world.run_seconds(1);
    }
    assert_eq!(world.nodes[0].undone(), [proxy]);
    let ended = world.nodes[0].ended()[0];
    assert!(ended.totals.packets >= 90_000 && ended.most == 9_000, "{ended:?}");
    // It begins anew at the threshold only.
    let said = world.nodes[0].acts().len();
    syns(&mut world, 600);
    assert_eq!(world.nodes[0].acts().len(), said);
    // Who sends from one address is limited, not answered.
    let one = |_| tcp(Seen::Permitted, "192.0.2.1", "10.0.0.9", 80);
    burst(&mut world, 1_100, one);
    let acts = world.nodes[0].acts().split_off(said);
    let source = Subject::Source(place("192.0.2.1"));
    let limited = |it: &Action| matches!(it, Action::Drop(limit) if limit.subject == source);
    assert!(acts.iter().any(limited), "{acts:?}");
}
