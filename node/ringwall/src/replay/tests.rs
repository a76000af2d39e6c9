#![allow(clippy::unwrap_used)]

mod corpus;
mod sample;

use serde_json::Value;
use wire::TcpFlags;
use wire::build::Builder;

use super::Checksum;
use sample::{CLIENT, INSIDE, SERVER, capture, replay, text};

const MILLI: u64 = 1_000_000;

fn to_server() -> Builder<'static> {
    Builder::v4(CLIENT, SERVER)
}

fn to_client() -> Builder<'static> {
    Builder::v4(SERVER, CLIENT)
}

/// The fields of a line that tables below compare.
fn fate(line: &Value) -> (&str, &str, Option<&str>, &str, u64, u64) {
    let text = |field: &str| line[field].as_str();
    let number = |field: &str| line[field].as_u64().unwrap();
    let [port, verdict, state] = ["port", "verdict", "state"].map(|it| text(it).unwrap());
    (port, verdict, text("reason"), state, number("frames"), number("answers"))
}

#[test]
fn a_handshake_opens_one_session() {
    let tcp = |builder: Builder<'static>, flags, seq, ack| {
        let ports = if builder.frame()[26..30] == CLIENT { (4_000, 443) } else { (443, 4_000) };
        builder.tcp(ports.0, ports.1).flags(flags).seq(seq).ack(ack).frame()
    };
    let file = capture(&[
        (0, &tcp(to_server(), TcpFlags::SYN, 100, 0)),
        (MILLI, &tcp(to_client(), TcpFlags::SYN | TcpFlags::ACK, 900, 101)),
        (2 * MILLI, &tcp(to_server(), TcpFlags::ACK, 101, 901)),
        (3 * MILLI, &tcp(to_client(), TcpFlags::ACK, 901 + 900_000_000, 101)),
    ]);
    let lines = replay(&file, INSIDE);
    assert_eq!(fate(&lines[0]), ("inside", "forward", None, "new", 1, 0));
    assert_eq!(fate(&lines[1]), ("outside", "forward", None, "established", 1, 0));
    assert_eq!(fate(&lines[2]), ("inside", "forward", None, "established", 1, 0));
    let window = ("outside", "drop", Some("tcp-window"), "invalid", 0, 0);
    assert_eq!(fate(&lines[3]), window);
    assert_eq!(lines[0]["session"], "1-1-1");
    assert_eq!(lines[2]["session"], lines[0]["session"]);
    assert_eq!(lines[2]["n"], 3);
    let totals = &lines[4]["totals"];
    assert_eq!((&totals["forwarded"], &totals["sessions_opened"]), (&3.into(), &1.into()));
    assert_eq!(totals["dropped"]["tcp-window"], 1);
    assert_eq!(totals.get("imbalance"), None);
}

#[test]
fn what_no_rule_permits_is_dropped_and_what_is_rejected_is_answered() {
    let file = capture(&[
        (0, &to_client().udp(53, 4_000).frame()),
        (0, &to_server().tcp(4_000, 25).flags(TcpFlags::SYN).frame()),
        (0, &to_server().udp(4_000, 25).frame()),
        (0, &to_server().tcp(4_001, 443).flags(TcpFlags::ACK).frame()),
        (0, &to_server().udp(4_000, 666).frame()),
    ]);
    let lines = replay(&file, INSIDE);
    assert_eq!(fate(&lines[0]), ("outside", "drop", Some("no-rule"), "new", 0, 0));
    assert_eq!(fate(&lines[1]), ("inside", "answer", None, "new", 0, 1));
    assert_eq!(fate(&lines[2]), ("inside", "answer", None, "new", 0, 1));
    assert_eq!(fate(&lines[3]), ("inside", "drop", Some("tcp-not-syn"), "invalid", 0, 0));
    assert_eq!(fate(&lines[4]), ("inside", "drop", Some("denied"), "new", 0, 0));
}

#[test]
fn rejections_are_limited_in_number() {
    let syn = |port| to_server().tcp(port, 25).flags(TcpFlags::SYN).frame();
    let frames: Vec<_> = (1_000..1_100).map(syn).collect();
    let packets: Vec<_> = frames.iter().map(|frame| (0, &frame[..])).collect();
    let lines = replay(&capture(&packets), INSIDE);
    assert_eq!(fate(&lines[0]), ("inside", "answer", None, "new", 0, 1));
    let limited = ("inside", "drop", Some("reject-limited"), "new", 0, 0);
    assert_eq!(fate(&lines[99]), limited);
}

#[test]
fn fragments_wait_for_the_last_one_and_leave_together() {
    let payload = [7; 400];
    let whole = to_server().bare().udp(4_000, 53).payload(&payload).frame();
    let udp = &whole[20..];
    let piece = |offset: usize, end: usize, more| {
        let raw = to_server().raw(wire::Protocol::UDP).payload(&udp[offset..end]);
        raw.fragment(9, offset as u16, more).frame()
    };
    let [first, middle, last] =
        [piece(0, 160, true), piece(160, 320, true), piece(320, 408, false)];
    let file = capture(&[(0, &middle), (0, &last), (0, &last), (0, &first)]);
    let lines = replay(&file, INSIDE);
    assert_eq!(fate(&lines[0]), ("inside", "hold", None, "none", 0, 0));
    assert_eq!(fate(&lines[1]), ("inside", "hold", None, "none", 0, 0));
    let duplicate = ("inside", "drop", Some("fragment-duplicate"), "none", 0, 0);
    assert_eq!(fate(&lines[2]), duplicate);
    assert_eq!(fate(&lines[3]), ("inside", "forward", None, "new", 3, 0));
    assert_eq!(lines[4]["totals"]["held"], 0);
}

/// A first fragment whose rest never comes, and a packet forty seconds later.
fn capture_with_a_lost_fragment() -> Vec<u8> {
    let whole = to_server().bare().udp(4_000, 53).payload(&[7; 400]).frame();
    let first = to_server().raw(wire::Protocol::UDP).payload(&whole[20..84]);
    let first = first.fragment(9, 0, true).frame();
    let later = to_server().udp(4_000, 53).frame();
    capture(&[(0, &first), (40_000 * MILLI, &later)])
}

#[test]
fn an_expired_fragment_shows_in_the_totals_only() {
    let file = capture_with_a_lost_fragment();
    let lines = replay(&file, INSIDE);
    assert_eq!(fate(&lines[0]), ("inside", "hold", None, "none", 0, 0));
    assert_eq!(fate(&lines[1]), ("inside", "forward", None, "new", 1, 0));
    let totals = &lines[2]["totals"];
    assert_eq!((&totals["held"], &totals["dropped"]["fragment-timeout"]), (&0.into(), &1.into()));
    assert_eq!(totals["late_answers"], 1, "time exceeded in reassembly");
}

#[test]
fn a_capped_gap_keeps_the_fragment() {
    let file = capture_with_a_lost_fragment();
    let lines = sample::replay_with(&file, INSIDE, Some("20ms"));
    assert_eq!(lines[2]["totals"]["held"], 1);
}

#[test]
fn an_icmp_error_is_related_to_its_session_or_dropped() {
    let question = to_server().udp(4_000, 53).payload(b"?").frame();
    let other = to_server().udp(4_001, 53).payload(b"?").frame();
    let error = |about: &[u8]| {
        let router = Builder::v4([198, 51, 100, 1], CLIENT).icmp(3, 1, 0);
        router.payload(&about[14..]).frame()
    };
    let file = capture(&[(0, &question), (0, &error(&question)), (0, &error(&other))]);
    let lines = replay(&file, INSIDE);
    assert_eq!(fate(&lines[1]), ("outside", "forward", None, "related", 1, 0));
    let unrelated = ("outside", "drop", Some("icmp-unrelated"), "invalid", 0, 0);
    assert_eq!(fate(&lines[2]), unrelated);
}

#[test]
fn a_router_answers_the_last_hop_and_forwards_no_multicast() {
    let traceroute = to_server().hop_limit(1).udp(4_000, 53).frame();
    let multicast = Builder::v4(CLIENT, [224, 0, 0, 251]).udp(5_353, 5_353).frame();
    let link_local = Builder::v4([169, 254, 1, 1], SERVER).udp(4_000, 53).frame();
    let lines = replay(&capture(&[(0, &traceroute), (0, &multicast), (0, &link_local)]), INSIDE);
    assert_eq!(fate(&lines[0]), ("inside", "answer", None, "none", 0, 1));
    assert_eq!(lines[1]["reason"], "multicast");
    assert_eq!(lines[2]["reason"], "link-local");
}

#[test]
fn what_is_not_ip_has_no_number_and_what_is_cut_off_has_a_reason() {
    let whole = to_server().udp(4_000, 53).payload(&[1; 100]).frame();
    let mut arp = [0; 42];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    let mut pause = [0; 60];
    pause[12..14].copy_from_slice(&[0x88, 0x08]);
    let file =
        capture(&[(0, &arp), (0, &whole[..60]), (0, &pause), (0, &whole[..30]), (0, &whole)]);
    let lines = replay(&file, INSIDE);
    let numbers: Vec<_> = lines.iter().map(|line| line["n"].as_u64()).collect();
    assert_eq!(numbers, [None, Some(1), None, None, Some(2), None]);
    assert_eq!(lines[0]["verdict"], "consume");
    assert_eq!(lines[1]["reason"], "total-length-too-long");
    assert_eq!(lines[2]["reason"], "not-ip");
    assert_eq!(lines[3]["reason"], "header-truncated");
    let totals = &lines[5]["totals"];
    assert_eq!((&totals["packets"], &totals["others"]), (&2.into(), &3.into()));
    assert_eq!(totals["received"], 5);
}

#[test]
fn ipv6_has_its_own_inside() {
    let (client, server) = ([0x2001, 0xdb8, 1, 0, 0, 0, 0, 5], [0x2001, 0xdb8, 2, 0, 0, 0, 0, 9]);
    let file = capture(&[
        (0, &Builder::v6(client, server).echo_request(7, 1).frame()),
        (0, &Builder::v6(server, client).echo_reply(7, 1).frame()),
        (0, &Builder::v6(server, client).echo_reply(8, 1).frame()),
    ]);
    let lines = replay(&file, "10.0.1.0/24,2001:db8:1::/64");
    assert_eq!(fate(&lines[0]), ("inside", "forward", None, "new", 1, 0));
    assert_eq!(fate(&lines[1]), ("outside", "forward", None, "established", 1, 0));
    assert_eq!(lines[2]["verdict"], "drop");
}

#[test]
fn the_same_file_gives_the_same_output() {
    let frames: Vec<_> = (0..200u16).map(|port| to_server().udp(port, 53).frame()).collect();
    let packets: Vec<_> = frames.iter().map(|frame| (0, &frame[..])).collect();
    let file = capture(&packets);
    assert_eq!(text(&file, INSIDE, true).0, text(&file, INSIDE, true).0);
}

#[test]
fn checksums_left_to_hardware_can_be_trusted() {
    let mut frame = to_server().udp(4_000, 53).payload(b"?").frame().to_vec();
    frame[40] ^= 0xff;
    let file = capture(&[(0, &frame)]);
    assert_eq!(replay(&file, INSIDE)[0]["reason"], "transport-checksum");
    let mut options = sample::Given::new(&file, INSIDE);
    options.options.checksum = Checksum::Trust;
    assert_eq!(options.lines()[0]["verdict"], "forward");
}

#[test]
fn people_get_a_table() {
    let file = capture(&[
        (0, &to_server().udp(4_000, 53).frame()),
        (0, &to_client().udp(53, 4_001).frame()),
    ]);
    let (text, _) = text(&file, INSIDE, false);
    assert!(text.contains("     1 inside  forward new         1-1-1\n"), "{text}");
    assert!(text.contains("     2 outside drop    new                    no-rule\n"), "{text}");
    assert!(text.contains("\nforwarded 1, answered 0, consumed 0, held 0, dropped 1\n"), "{text}");
}

#[test]
fn a_file_that_ends_early_is_told_after_its_packets() {
    let mut file = capture(&[(0, &to_server().udp(4_000, 53).frame())]);
    file.extend([0; 7]);
    let (text, done) = text(&file, INSIDE, true);
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines[0]["verdict"], "forward");
    let error = lines[1]["totals"]["error"].as_str().unwrap();
    assert!(error.contains("ends in the middle"), "{error}");
    assert!(done.is_err());
}
