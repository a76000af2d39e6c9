//! A server that is guarded by SYN cookies, behind the translation of its name.

use std::time::Duration;

use sketch::Place;
use wire::build::{Builder, quotation};
use wire::{Packet, Seq, Tcp, TcpFlags, Transport};

use super::destination::web;
use super::rig::*;
use crate::{Reason, Verdict};

const SYN: TcpFlags = TcpFlags::SYN;
const ACK: TcpFlags = TcpFlags::ACK;
const RST: TcpFlags = TcpFlags::RST;
const SYN_ACK: TcpFlags = TcpFlags(SYN.0 | ACK.0);

const SCREEN: &str = r#"
[[screen]]
zone = "out"
syn-flood = { destination = 5, action = "drop" }
"#;
/// The number of the zone outside.
const ZONE: u8 = 1;

const ASKER: (&str, u16) = ("198.18.0.9", 50_000);
const NAMED: (&str, u16) = ("198.51.100.80", 83);
const SERVER: (&str, u16) = ("10.0.0.80", 8_083);
/// What client and server begin with.
const ASKED: u32 = u32::MAX;
const SERVED: u32 = 7_000;

/// Guarding the name of a server.
fn guarding() -> Wall {
    let translated = || nat(Vec::new(), vec![web(NAME)]);
    let mut wall = Wall::new(translated());
    wall.engine.set_policy(policy(&[RULES, SCREEN].concat(), translated(), 2));
    wall.engine.set_cookie_slot(9);
    let until = START + Duration::from_secs(60);
    wall.engine.guard(&Place::of(ZONE, ip(NAMED.0)), 1_460, until);
    wall
}

fn tcp_of(left: &Left) -> Tcp {
    let Transport::Tcp(tcp) = left.packet.body else { panic!("{left:?}") };
    tcp
}

fn end((address, port): (&str, u16)) -> (std::net::IpAddr, u16) {
    (ip(address), port)
}

fn ends(left: &Left) -> [(std::net::IpAddr, u16); 2] {
    [left.ends().source, left.ends().destination]
}

/// The number of the cookie; the server has been asked.
fn ask(wall: &mut Wall) -> u32 {
    let syn = tcp(ASKER, NAMED, SYN).seq(ASKED).mss(1_400);
    let (decision, left) = wall.arrive(WAN, &syn);
    assert_eq!((decision.verdict, left.len()), (Verdict::Answer, 1));
    assert_eq!((left[0].port, ends(&left[0])), (WAN, [end(NAMED), end(ASKER)]));
    let cookie = tcp_of(&left[0]).sequence.0;
    let ack = tcp(ASKER, NAMED, ACK).seq(ASKED.wrapping_add(1)).ack(cookie.wrapping_add(1));
    let asked = wall.pass(WAN, &ack);
    assert_eq!((asked.port, ends(&asked)), (LAN, [end(ASKER), end(SERVER)]));
    assert_eq!((tcp_of(&asked).flags, tcp_of(&asked).sequence), (SYN, Seq(ASKED)));
    cookie
}

#[test]
fn a_guarded_server_is_asked_by_its_own_address_and_seen_by_its_name() {
    let mut wall = guarding();
    let cookie = ask(&mut wall);
    let answer = tcp(SERVER, ASKER, SYN_ACK).seq(SERVED).ack(ASKED.wrapping_add(1)).mss(1_380);
    let (decision, left) = wall.arrive(LAN, &answer);
    assert_eq!((decision.verdict, left.len()), (Verdict::Forward(WAN), 2));
    assert_eq!((left[0].port, ends(&left[0])), (LAN, [end(ASKER), end(SERVER)]));
    assert_eq!((left[1].port, ends(&left[1])), (WAN, [end(NAMED), end(ASKER)]));
    assert_eq!(tcp_of(&left[0]).acknowledgment, Seq(SERVED) + 1);
    assert_eq!(tcp_of(&left[1]).sequence, Seq(cookie) + 1);

    let asks = tcp(ASKER, NAMED, ACK).seq(ASKED.wrapping_add(1)).ack(cookie.wrapping_add(1));
    let inside = wall.pass(WAN, &asks.payload(b"who is there?"));
    assert_eq!(ends(&inside), [end(ASKER), end(SERVER)]);
    assert_eq!(tcp_of(&inside).acknowledgment, Seq(SERVED) + 1);
    let says = tcp(SERVER, ASKER, ACK).seq(SERVED + 1).ack(ASKED.wrapping_add(14));
    let outside = wall.pass(LAN, &says.payload(b"nobody"));
    assert_eq!(ends(&outside), [end(NAMED), end(ASKER)]);
    assert_eq!(tcp_of(&outside).sequence, Seq(cookie) + 1);

    // A router beyond is told by neither name nor number of the server, which hears of both as its own.
    let quoted = quotation(&outside.frame, &outside.packet).to_vec();
    let error = Builder::new(ip("192.0.2.77"), ip(NAMED.0)).icmp(3, 4, 1_300).payload(&quoted);
    let told = wall.pass(WAN, &error);
    let inner = Packet::parse_embedded(&told.frame, &told.packet).expect("it quotes");
    assert_eq!((told.port, told.packet.destination), (LAN, ip(SERVER.0)));
    assert_eq!((inner.source, inner.source_port), end(SERVER));
    assert_eq!(inner.tcp_sequence, Some(Seq(SERVED) + 1));
}

#[test]
fn a_server_behind_the_firewalls_own_address_is_guarded_and_the_host_is_not() {
    let translated = || nat(Vec::new(), vec![web(OWN)]);
    let mut wall = Wall::new(translated());
    wall.engine.set_policy(policy(&[RULES, SCREEN].concat(), translated(), 2));
    wall.engine.set_cookie_slot(9);
    let until = START + Duration::from_secs(60);
    wall.engine.guard(&Place::of(ZONE, ip("198.51.100.1")), 1_460, until);
    let served = ("198.51.100.1", NAMED.1);
    let (decision, left) = wall.arrive(WAN, &tcp(ASKER, served, SYN).seq(ASKED).mss(1_400));
    assert_eq!((decision.verdict, left.len()), (Verdict::Answer, 1));
    let cookie = tcp_of(&left[0]).sequence + 1;
    let ack = tcp(ASKER, served, ACK).seq(ASKED.wrapping_add(1)).ack(cookie.0);
    assert_eq!(ends(&wall.pass(WAN, &ack)), [end(ASKER), end(SERVER)]);
    let to_host = tcp(ASKER, ("198.51.100.1", 22), SYN).seq(ASKED);
    assert_eq!(wall.drop(WAN, &to_host), Reason::LocalDestination);
}

#[test]
fn a_server_that_is_silent_is_asked_again_and_one_that_refuses_is_heard() {
    let mut wall = guarding();
    ask(&mut wall);
    wall.now = wall.now + crate::limits::ASK_INTERVAL * 2;
    while wall.engine.tick(wall.now) {}
    let (port, frame) = wall.engine.outbox().pop().expect("asked by the timer");
    let again = Packet::parse(frame).expect("a packet");
    assert_eq!(
        (port, again.destination, again.ports()),
        (LAN, ip(SERVER.0), Some((ASKER.1, SERVER.1)))
    );
    while wall.engine.outbox().pop().is_some() {}
    let refusal = tcp(SERVER, ASKER, TcpFlags(RST.0 | ACK.0)).seq(0).ack(ASKED.wrapping_add(1));
    let refused = wall.pass(LAN, &refusal);
    assert_eq!((refused.port, ends(&refused)), (WAN, [end(NAMED), end(ASKER)]));
}

#[test]
fn a_cookie_for_a_port_that_no_rule_names_opens_nothing() {
    let mut wall = guarding();
    let other = (NAMED.0, 22);
    let (_, left) = wall.arrive(WAN, &tcp(ASKER, other, SYN).seq(ASKED));
    let cookie = tcp_of(&left[0]).sequence.0;
    let ack = tcp(ASKER, other, ACK).seq(ASKED.wrapping_add(1)).ack(cookie.wrapping_add(1));
    assert_eq!(wall.drop(WAN, &ack), Reason::NoRule);
    assert!(wall.engine.sessions().is_empty());
}
