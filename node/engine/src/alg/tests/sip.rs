//! Calls by SIP.

use std::time::Duration;

use wire::build::Builder;

use super::talk::*;
use crate::Reason;
use crate::nat::tests::rig::*;

const PHONE: (&str, u16) = ("10.0.0.5", 5_060);
const PROXY: (&str, u16) = ("198.18.0.1", 5_060);

/// A message whose lines end as they must, and whose length is told.
pub(super) fn message(head: &[String], body: &[String]) -> String {
    let lines =
        |lines: &[String]| lines.iter().map(|line| format!("{line}\r\n")).collect::<String>();
    let body = lines(body);
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    format!("{}{kind}Content-Length: {}\r\n\r\n{body}", lines(head), body.len())
}

pub(super) fn session(address: &str, port: u16) -> Vec<String> {
    ["v=0", "o=- 1 1 IN IP4 ADDRESS", "s=-", "c=IN IP4 ADDRESS", "t=0 0"]
        .map(|line| line.replace("ADDRESS", address))
        .into_iter()
        .chain([format!("m=audio {port} RTP/AVP 0")])
        .collect()
}

pub(super) fn head(first: &str, cseq: &str, contact: &str) -> Vec<String> {
    vec![
        first.to_owned(),
        "Via: SIP/2.0/UDP VIA;branch=z9hG4bK1".replace("VIA", contact),
        "From: <sip:alice@198.18.0.1>;tag=a".to_owned(),
        "To: <sip:bob@198.18.0.1>".to_owned(),
        "Call-ID: one@call".to_owned(),
        format!("CSeq: {cseq}"),
        format!("Contact: <sip:alice@{contact}>"),
    ]
}

fn send<'a>(from: (&str, u16), to: (&str, u16), text: &'a str) -> Builder<'a> {
    Builder::new(ip(from.0), ip(to.0)).udp(from.1, to.1).payload(text.as_bytes())
}

fn said(left: &Left) -> String {
    let text = String::from_utf8(data(left)).expect("it is text");
    let (head, body) = text.split_once("\r\n\r\n").expect("an empty line");
    let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
    assert_eq!(length, Some(&*body.len().to_string()), "{text}");
    text
}

/// The port of the only medium.
pub(super) fn medium(text: &str) -> u16 {
    let line = text.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("a medium");
    line.split(' ').next().and_then(|port| port.parse().ok()).expect("a port")
}

#[test]
fn media_come_as_long_as_the_call_is() {
    for nat in [config::Nat::default(), masquerade(), pooled(config::Mapping::default())] {
        let mut wall = wall(nat);
        let invite = message(
            &head("INVITE sip:bob@198.18.0.1 SIP/2.0", "1 INVITE", "10.0.0.5:5060"),
            &session("10.0.0.5", 40_000),
        );
        let left = wall.pass(LAN, &send(PHONE, PROXY, &invite));
        let (shown, text) = (left.ends().source, said(&left));
        let (address, told) = (shown.0.to_string(), medium(&text));
        assert!(text.contains(&format!("Contact: <sip:alice@{address}:{}>", shown.1)), "{text}");
        assert!(text.contains(&format!("Via: SIP/2.0/UDP {address}:{};", shown.1)), "{text}");
        assert!(text.contains(&format!("c=IN IP4 {address}\r\n")), "{text}");
        assert!(text.contains(&format!("o=- 1 1 IN IP4 {address}\r\n")), "{text}");
        assert_eq!(wall.engine.alg_now(), (1, 2), "sound and its RTCP");
        assert!(told.is_multiple_of(2));
        // The same again is the same.
        let again = wall.pass(LAN, &send(PHONE, PROXY, &invite));
        assert_eq!((medium(&said(&again)), wall.engine.alg_now()), (told, (1, 2)));
        // Early media, of whom the call is with alone.
        let sound = |port, to| udp(("198.18.0.1", port), (&address, to));
        assert_eq!(wall.pass(WAN, &sound(30_000, told)).ends().destination, (ip(PHONE.0), 40_000));
        let rtcp = wall.pass(WAN, &sound(30_001, told + 1));
        assert_eq!(rtcp.ends().destination, (ip(PHONE.0), 40_001));
        let stranger = udp(("198.18.0.9", 30_000), (&address, told));
        assert!(matches!(wall.drop(WAN, &stranger), Reason::NoRule | Reason::NatUnmapped));
        // The answer names the phone as it knows itself, and lets the phone send.
        let public = format!("{address}:{}", shown.1);
        let mut lines = head("SIP/2.0 200 OK", "1 INVITE", &public);
        lines[3].push_str(";tag=b");
        lines[6] = "Contact: <sip:bob@198.18.0.1:5060>".to_owned();
        let answer = message(&lines, &session("198.18.0.1", 30_000));
        let back = (&*address, shown.1);
        let text = said(&wall.pass(WAN, &send(PROXY, back, &answer)));
        assert!(text.contains("Via: SIP/2.0/UDP 10.0.0.5:5060;"), "{text}");
        assert!(text.contains("c=IN IP4 198.18.0.1\r\n") && medium(&text) == 30_000, "{text}");
        assert_eq!(wall.engine.alg_now(), (1, 4));
        let own = udp(("10.0.0.5", 40_000), ("198.18.0.1", 30_000));
        let own = wall.pass(LAN, &own).ends();
        assert_eq!(own.source, (shown.0, told), "both directions of one session");
        // Silence for longer than a session of UDP lives: the call goes on.
        wall.wait(Duration::from_secs(600));
        assert_eq!(wall.engine.alg_now(), (1, 4));
        assert_eq!(wall.pass(WAN, &sound(30_000, told)).ends().destination, (ip(PHONE.0), 40_000));
        let bye = message(&head("BYE sip:bob@198.18.0.1 SIP/2.0", "2 BYE", "10.0.0.5:5060"), &[]);
        said(&wall.pass(LAN, &send(PHONE, PROXY, &bye)));
        assert_eq!(wall.engine.alg_now(), (1, 0));
        wall.drop(WAN, &sound(30_002, told));
    }
}

#[test]
fn media_of_third_parties_and_of_refused_calls_do_not_come() {
    let mut wall = wall(masquerade());
    let lines = head("INVITE sip:bob@198.18.0.1 SIP/2.0", "1 INVITE", "10.0.0.5:5060");
    let elsewhere = message(&lines, &session("10.0.0.6", 40_000));
    let text = said(&wall.pass(LAN, &send(PHONE, PROXY, &elsewhere)));
    assert!(text.contains("c=IN IP4 10.0.0.6\r\n"), "{text}");
    assert_eq!((wall.engine.alg_now(), wall.engine.alg_counters().third_party), ((1, 0), 1));
    let low = message(&lines, &session("10.0.0.5", 52));
    wall.pass(LAN, &send(PHONE, PROXY, &low));
    assert_eq!(wall.engine.alg_now(), (1, 0));
    let invite = message(&lines, &session("10.0.0.5", 40_000));
    let left = wall.pass(LAN, &send(PHONE, PROXY, &invite));
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((1, 2), 3));
    let shown = left.ends().source;
    let busy = message(&head("SIP/2.0 486 Busy", "1 INVITE", "198.51.100.1:5060"), &[]);
    wall.pass(WAN, &send(PROXY, ("198.51.100.1", shown.1), &busy));
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((1, 0), 1));
    // What nobody answers ends with time.
    wall.pass(LAN, &send(PHONE, PROXY, &invite));
    wall.wait(Duration::from_secs(181));
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((1, 0), 1));
}

#[test]
fn a_call_with_more_media_than_are_read_lets_nothing_in() {
    let mut wall = wall(config::Nat::default());
    let mut body = session("10.0.0.5", 40_000);
    body.extend((0..40).map(|at| format!("m=audio {} RTP/AVP 0", 41_000 + 2 * at)));
    let lines = head("INVITE sip:bob@198.18.0.1 SIP/2.0", "1 INVITE", "10.0.0.5:5060");
    let invite = message(&lines, &body);
    wall.pass(LAN, &send(PHONE, PROXY, &invite));
    assert_eq!((wall.engine.alg_now(), wall.engine.alg_counters().malformed), ((1, 0), 1));
}

#[test]
fn so_many_announcements_of_one_channel_stand_and_the_oldest_goes() {
    let mut wall = wall(masquerade());
    for call in 0..20 {
        let mut lines = head("INVITE sip:bob@198.18.0.1 SIP/2.0", "1 INVITE", "10.0.0.5:5060");
        lines[4] = format!("Call-ID: {call}@call");
        let invite = message(&lines, &session("10.0.0.5", 40_000 + 2 * call));
        wall.pass(LAN, &send(PHONE, PROXY, &invite));
    }
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((1, 32), 33));
}

#[test]
fn whoever_says_the_same_again_and_again_takes_no_room_for_it() {
    let mut wall = wall(masquerade());
    let lines = head("INVITE sip:bob@198.18.0.1 SIP/2.0", "1 INVITE", "10.0.0.5:5060");
    let invite = message(&lines, &session("10.0.0.5", 40_000));
    let shown = wall.pass(LAN, &send(PHONE, PROXY, &invite)).ends().source;
    let mut answer = head("SIP/2.0 200 OK", "1 INVITE", &format!("198.51.100.1:{}", shown.1));
    answer[3].push_str(";tag=b");
    let answer = message(&answer, &[]);
    for _ in 0..crate::limits::PINHOLES_MAX {
        wall.now = wall.now + Duration::from_millis(1);
        wall.pass(LAN, &send(PHONE, PROXY, &invite));
        wall.pass(WAN, &send(PROXY, ("198.51.100.1", shown.1), &answer));
    }
    let other = message(&lines, &session("10.0.0.5", 41_000));
    wall.pass(LAN, &send(PHONE, PROXY, &other));
    assert_eq!((wall.engine.alg_now(), wall.engine.alg_counters().no_room), ((1, 4), 0));
}

/// Both ends send from where they listen, and either may be the first.
#[test]
fn who_sends_from_where_it_listens_is_seen_there_whoever_is_the_first() {
    for nat in [config::Nat::default(), masquerade(), pooled(config::Mapping::default())] {
        for client_first in [true, false] {
            let mut wall = wall(nat.clone());
            let lines = head("INVITE sip:bob@198.18.0.1 SIP/2.0", "1 INVITE", "10.0.0.5:5060");
            let invite = message(&lines, &session("10.0.0.5", 40_000));
            let left = wall.pass(LAN, &send(PHONE, PROXY, &invite));
            let (shown, told) = (left.ends().source, medium(&said(&left)));
            let public = shown.0.to_string();
            let mut lines = head("SIP/2.0 200 OK", "1 INVITE", &format!("{public}:{}", shown.1));
            lines[3].push_str(";tag=b");
            let answer = message(&lines, &session("198.18.0.1", 30_000));
            wall.pass(WAN, &send(PROXY, (&public, shown.1), &answer));
            for (step, port) in [(0, 0), (1, 1), (2, 0)] {
                let forth = udp((PHONE.0, 40_000 + port), ("198.18.0.1", 30_000 + port));
                let back = udp(("198.18.0.1", 30_000 + port), (&public, told + port));
                let forth = |wall: &mut Wall| {
                    let seen = wall.pass(LAN, &forth).ends().source;
                    assert_eq!(seen, (shown.0, told + port), "step {step}");
                };
                let back = |wall: &mut Wall| {
                    let heard = wall.pass(WAN, &back).ends().destination;
                    assert_eq!(heard, (ip(PHONE.0), 40_000 + port), "step {step}");
                };
                if client_first {
                    forth(&mut wall);
                    back(&mut wall);
                } else {
                    back(&mut wall);
                    forth(&mut wall);
                }
            }
            assert_eq!(wall.engine.sessions().len(), 3, "signalling, sound, and its RTCP");
            let taken = wall.taken(&public);
            let bye = head("BYE sip:bob@198.18.0.1 SIP/2.0", "2 BYE", "10.0.0.5:5060");
            wall.pass(LAN, &send(PHONE, PROXY, &message(&bye, &[])));
            assert_eq!(wall.taken(&public), taken, "their sessions have them still");
            wall.wait(Duration::from_secs(7_200));
            assert_eq!((wall.engine.sessions().len(), wall.taken(&public)), (0, 0));
        }
    }
}

/// Phones may use the ports of their last call again, whose media have not expired.
#[test]
fn media_of_the_next_call_take_the_place_of_those_of_the_last_one() {
    let mut wall = wall(masquerade());
    for call in ["one@call", "two@call", "three@call"] {
        let named = |mut lines: Vec<String>| {
            lines[4] = format!("Call-ID: {call}");
            lines
        };
        let lines = head("INVITE sip:bob@198.18.0.1 SIP/2.0", "1 INVITE", "10.0.0.5:5060");
        let invite = message(&named(lines), &session("10.0.0.5", 40_000));
        let left = wall.pass(LAN, &send(PHONE, PROXY, &invite));
        let (shown, told) = (left.ends().source, medium(&said(&left)));
        let public = shown.0.to_string();
        let lines = head("SIP/2.0 200 OK", "1 INVITE", &format!("{public}:{}", shown.1));
        let answer = message(&named(lines), &session("198.18.0.1", 30_000));
        wall.pass(WAN, &send(PROXY, (&public, shown.1), &answer));
        let forth = udp((PHONE.0, 40_000), ("198.18.0.1", 30_000));
        wall.pass(LAN, &forth);
        let heard = wall.pass(WAN, &udp(("198.18.0.1", 30_000), (&public, told)));
        assert_eq!(heard.ends().destination, (ip(PHONE.0), 40_000), "{call}");
        assert_eq!(wall.pass(LAN, &forth).ends().source, (shown.0, told), "{call}");
        let bye = head("BYE sip:bob@198.18.0.1 SIP/2.0", "2 BYE", "10.0.0.5:5060");
        wall.pass(LAN, &send(PHONE, PROXY, &message(&named(bye), &[])));
    }
    assert_eq!((wall.engine.sessions().len(), wall.taken("198.51.100.1")), (2, 2));
    wall.wait(Duration::from_secs(7_200));
    assert_eq!((wall.engine.sessions().len(), wall.taken("198.51.100.1")), (0, 0));
}
