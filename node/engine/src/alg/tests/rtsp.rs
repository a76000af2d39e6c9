//! Media by RTSP.

use std::time::Duration;

use super::talk::*;
use crate::Reason;
use crate::nat::tests::rig::*;
use crate::session::Peer::{Initiator, Responder};

pub(super) const PLAYER: (&str, u16) = ("10.0.0.5", 40_100);
pub(super) const SERVER: (&str, u16) = ("198.18.0.1", 554);

pub(super) fn setup(cseq: u32, transport: &str) -> String {
    format!("SETUP rtsp://198.18.0.1/a RTSP/1.0\r\nCSeq: {cseq}\r\nTransport: {transport}\r\n\r\n")
}

pub(super) fn answer(cseq: u32, transport: &str) -> String {
    format!(
        "RTSP/1.0 200 OK\r\nCSeq: {cseq}\r\nSession: one;timeout=60\r\nTransport: {transport}\r\n\r\n"
    )
}

fn teardown(session: &str) -> String {
    format!("TEARDOWN rtsp://198.18.0.1/a RTSP/1.0\r\nCSeq: 9\r\nSession: {session}\r\n\r\n")
}

/// What a transport says of ports.
pub(super) fn ports(text: &str, name: &str) -> (u16, u16) {
    let (_, rest) = text.split_once(&format!("{name}=")).expect("ports");
    let end = rest.find(|it: char| !it.is_ascii_digit() && it != '-').expect("an end");
    let (first, last) = rest[..end].split_once('-').expect("two");
    (first.parse().expect("a port"), last.parse().expect("a port"))
}

fn dropped(wall: &mut Wall, port: crate::PortId, packet: &wire::build::Builder<'_>) {
    assert!(matches!(wall.drop(port, packet), Reason::NoRule | Reason::NatUnmapped));
}

#[test]
fn a_track_is_sent_to_its_player_until_it_is_torn_down() {
    for nat in [config::Nat::default(), masquerade(), pooled(config::Mapping::default())] {
        let mut wall = wall(nat);
        let mut talk = Talk::open(&mut wall, PLAYER, SERVER);
        let public = talk.shown().source.0.to_string();
        let offer = "RTP/AVP;unicast;client_port=55664-55665";
        let heard = talk.line(&mut wall, Initiator, &setup(4, offer));
        let (first, last) = ports(&heard, "client_port");
        assert_eq!((first % 2, last), (0, first + 1), "{heard}");
        assert_eq!(wall.engine.alg_now(), (1, 2));
        let chosen = format!("{};server_port=6970-6971", heard_transport(&heard));
        let heard = talk.line(&mut wall, Responder, &answer(4, &chosen));
        assert_eq!(ports(&heard, "client_port"), (55_664, 55_665));
        assert_eq!((ports(&heard, "server_port"), wall.engine.alg_now()), ((6_970, 6_971), (1, 4)));
        let sound = |from, to| udp(("198.18.0.1", from), (&public, to));
        assert_eq!(wall.pass(WAN, &sound(6_970, first)).ends().destination, (ip(PLAYER.0), 55_664));
        assert_eq!(wall.pass(WAN, &sound(6_971, last)).ends().destination, (ip(PLAYER.0), 55_665));
        let report = wall.pass(LAN, &udp((PLAYER.0, 55_665), (SERVER.0, 6_971)));
        assert_eq!(report.ends().source, (ip(&public), last));
        wall.pass(LAN, &udp((PLAYER.0, 55_666), (SERVER.0, 6_970)));
        dropped(&mut wall, WAN, &udp(("198.18.0.9", 6_970), (&public, first)));
        // It plays for longer than an offer stands.
        wall.wait(Duration::from_secs(600));
        assert_eq!(wall.engine.alg_now(), (1, 4));
        talk.line(&mut wall, Initiator, &teardown("other"));
        assert_eq!(wall.engine.alg_now(), (1, 4), "another session");
        talk.line(&mut wall, Initiator, &teardown("one"));
        assert_eq!(wall.engine.alg_now(), (1, 0));
        dropped(&mut wall, WAN, &sound(6_975, first));
    }
}

fn heard_transport(heard: &str) -> String {
    let line = heard.lines().find_map(|line| line.strip_prefix("Transport: "));
    line.expect("a transport").to_owned()
}

#[test]
fn what_stays_in_the_connection_or_is_for_others_lets_nothing_in() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, PLAYER, SERVER);
    for transport in [
        "RTP/AVP/TCP;unicast;interleaved=0-1",
        "RTP/AVP;multicast;client_port=55664-55665",
        "RTP/AVP;unicast;destination=10.0.0.6;client_port=55664-55665",
        "RTP/AVP;unicast;destination=a.name;client_port=55664-55665",
        "RTP/AVP;unicast;client_port=554-555",
    ] {
        let request = setup(1, transport);
        assert_eq!(talk.line(&mut wall, Initiator, &request), request);
        // Nor does an answer to it.
        let answered = answer(1, &format!("{transport};server_port=6970-6971"));
        assert_eq!(talk.line(&mut wall, Responder, &answered), answered);
        assert_eq!(wall.engine.alg_now(), (1, 0), "{transport}");
    }
    let counted = wall.engine.alg_counters();
    assert_eq!((counted.third_party, counted.low_port), (1, 1));
    // Media between messages are no messages.
    let media = [&b"$\x00\x00\x20"[..], &[b'S'; 32], b"$\x01\x00\x04SETU"].concat();
    assert_eq!(talk.utter(&mut wall, Responder, &media), media);
    let heard = talk.line(&mut wall, Initiator, &setup(2, "RTP/AVP;unicast;client_port=5000-5001"));
    assert!(heard.contains("client_port=") && !heard.contains("=5000-5001"), "{heard}");
    assert_eq!((wall.engine.alg_now(), wall.engine.alg_counters().foreign), ((1, 2), 0));
}

#[test]
fn an_offer_that_is_refused_or_not_answered_is_forgotten() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, PLAYER, SERVER);
    let offer = setup(7, "RTP/AVP;unicast;client_port=5000-5001");
    talk.line(&mut wall, Initiator, &offer);
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((1, 2), 3));
    talk.line(&mut wall, Responder, "RTSP/1.0 461 Unsupported transport\r\nCSeq: 7\r\n\r\n");
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((1, 0), 1));
    talk.line(&mut wall, Initiator, &offer);
    wall.wait(Duration::from_secs(181));
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((1, 0), 1));
    // A server that says where it sends from without having been asked.
    let unasked = answer(8, "RTP/AVP;unicast;client_port=5000-5001;server_port=6970-6971");
    assert_eq!(talk.line(&mut wall, Responder, &unasked), unasked);
    assert_eq!(wall.engine.alg_now(), (1, 0));
    // Malformed, and another protocol.
    let odd = setup(9, "RTP/AVP;client_port=x");
    assert_eq!(talk.line(&mut wall, Initiator, &odd), odd);
    assert_eq!(talk.line(&mut wall, Initiator, "GET / HTTP/1.1\r\n\r\n"), "GET / HTTP/1.1\r\n\r\n");
    assert_eq!(talk.line(&mut wall, Initiator, &offer), offer);
    let counted = wall.engine.alg_counters();
    assert_eq!((counted.malformed, counted.foreign, wall.engine.alg_now()), (1, 1, (1, 0)));
}
