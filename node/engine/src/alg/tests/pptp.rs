//! Tunnels by PPTP.

use std::time::Duration;

use wire::Ends;
use wire::build::Builder;

use super::talk::*;
use crate::Reason;
use crate::nat::tests::rig::*;
use crate::session::Peer::{Initiator, Responder};

pub(super) const CLIENT: (&str, u16) = ("10.0.0.5", 40_200);
pub(super) const SERVER: (&str, u16) = ("198.18.0.1", 1_723);

/// A control message with the bytes that are its own.
pub(super) fn control(kind: u16, len: usize, own: &[u8]) -> Vec<u8> {
    let mut message = vec![0; len];
    message[..2].copy_from_slice(&(len as u16).to_be_bytes());
    message[2..8].copy_from_slice(&[0, 1, 0x1a, 0x2b, 0x3c, 0x4d]);
    message[8..10].copy_from_slice(&kind.to_be_bytes());
    message[12..12 + own.len()].copy_from_slice(own);
    message
}

/// Outgoing-Call-Request (RFC 2637 §2.7).
pub(super) fn request(call: u16) -> Vec<u8> {
    control(7, 168, &call.to_be_bytes())
}

/// Outgoing-Call-Reply.
pub(super) fn reply(call: u16, peer: u16, result: u8) -> Vec<u8> {
    let own = [&call.to_be_bytes()[..], &peer.to_be_bytes(), &[result]].concat();
    control(8, 32, &own)
}

/// Call-Clear-Request, and Call-Disconnect-Notify.
fn clear(call: u16) -> Vec<u8> {
    control(12, 16, &call.to_be_bytes())
}

fn disconnect(call: u16) -> Vec<u8> {
    control(13, 148, &call.to_be_bytes())
}

pub(super) fn gre(from: &str, to: &str, call: u16) -> Builder<'static> {
    Builder::new(ip(from), ip(to)).gre_call(call, 1).payload(b"ppp")
}

#[test]
fn a_tunnel_passes_by_its_numbers_until_it_is_cleared() {
    for end in [clear(3), disconnect(700)] {
        let mut wall = wall(config::Nat::default());
        let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
        let (to, back) = (gre(CLIENT.0, SERVER.0, 700), gre(SERVER.0, CLIENT.0, 3));
        assert_eq!(wall.drop(LAN, &to), Reason::NoRule);
        // In two pieces, and the number of a call is none of a service.
        let asked = request(3);
        assert_eq!(talk.utter(&mut wall, Initiator, &asked[..20]), b"");
        assert_eq!(talk.utter(&mut wall, Initiator, &asked[20..]), asked);
        talk.nod(&mut wall, Responder);
        let accepted = reply(700, 3, 1);
        assert_eq!(talk.utter(&mut wall, Responder, &accepted), accepted);
        talk.nod(&mut wall, Initiator);
        assert_eq!(wall.engine.alg_now(), (1, 2));
        wall.pass(LAN, &to);
        wall.pass(WAN, &back);
        assert_eq!(wall.drop(WAN, &gre(SERVER.0, CLIENT.0, 4)), Reason::NoRule);
        assert_eq!(wall.drop(WAN, &gre("198.18.0.9", CLIENT.0, 3)), Reason::NoRule);
        // Both are there as long as they say so.
        for _ in 0..4 {
            wall.wait(Duration::from_secs(1_700));
            talk.utter(&mut wall, Initiator, &control(5, 16, &[]));
            talk.nod(&mut wall, Responder);
        }
        assert_eq!(wall.engine.alg_now(), (1, 2));
        wall.pass(WAN, &back);
        let by = if end[9] == 12 { Initiator } else { Responder };
        talk.utter(&mut wall, by, &end);
        assert_eq!(wall.engine.alg_now(), (1, 0));
    }
}

#[test]
fn what_is_refused_or_was_not_asked_for_lets_nothing_in() {
    let mut wall = wall(config::Nat::default());
    let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
    talk.utter(&mut wall, Responder, &reply(700, 3, 1));
    assert_eq!(wall.engine.alg_now(), (1, 0), "not asked for");
    talk.utter(&mut wall, Initiator, &request(3));
    assert_eq!(wall.engine.alg_now(), (1, 1));
    talk.utter(&mut wall, Responder, &reply(700, 3, 4));
    assert_eq!(wall.engine.alg_now(), (1, 0), "refused");
    let odd = control(99, 16, &[]);
    assert_eq!(talk.utter(&mut wall, Initiator, &odd), odd);
    talk.utter(&mut wall, Initiator, &request(5));
    talk.utter(&mut wall, Initiator, &control(3, 16, &[]));
    assert_eq!((wall.engine.alg_now(), wall.engine.alg_counters().malformed), ((1, 0), 1));
    // The sides have lost step: nothing behind it is read.
    let lost = [&[0, 16, 0, 1, 0, 0, 0, 0][..], &[0; 8]].concat();
    assert_eq!(talk.utter(&mut wall, Initiator, &lost), lost);
    assert_eq!(talk.utter(&mut wall, Initiator, &request(6)), request(6));
    assert_eq!((wall.engine.alg_now(), wall.engine.alg_counters().foreign), ((1, 0), 1));
}

/// The number of no call is that of GRE without any.
#[test]
fn no_call_has_the_number_of_none() {
    for nat in [masquerade(), config::Nat::default()] {
        let mut wall = wall(nat);
        let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
        assert_eq!(number(&heard(&mut talk, &mut wall, Initiator, &request(0)), 12), 0);
        assert_eq!(wall.engine.alg_now(), (1, 0));
    }
    // Nor is one told it that comes after the last number.
    let mut wall = wall(masquerade());
    let mut last = 0;
    for client in ["10.0.0.5", "10.0.0.6"] {
        let mut talk = Talk::open(&mut wall, (client, 40_200), SERVER);
        last = number(&heard(&mut talk, &mut wall, Initiator, &request(u16::MAX)), 12);
    }
    assert_eq!(last, 1);
}

/// What the other side hears.
fn heard(talk: &mut Talk, wall: &mut Wall, by: crate::session::Peer, message: &[u8]) -> Vec<u8> {
    let heard = talk.utter(wall, by, message);
    talk.nod(wall, by.other());
    assert_eq!(heard.len(), message.len());
    heard
}

fn number(message: &[u8], at: usize) -> u16 {
    u16::from_be_bytes([message[at], message[at + 1]])
}

/// Where a call's packets leave for, and by which number.
fn call_of(left: &Left) -> (std::net::IpAddr, std::net::IpAddr, u16) {
    let Ends { source, destination } = left.ends();
    assert_eq!(source.1, 0);
    (source.0, destination.0, destination.1)
}

#[test]
fn clients_that_give_the_same_number_have_tunnels_through_one_address() {
    let mut wall = wall(masquerade());
    let public = "198.51.100.1";
    let mut numbers = Vec::new();
    let clients = [("10.0.0.5", 700_u16), ("10.0.0.6", 701), ("10.0.0.7", 702)];
    let mut talks = clients.map(|(client, _)| Talk::open(&mut wall, (client, 40_200), SERVER));
    for ((client, theirs), talk) in clients.iter().zip(&mut talks) {
        let told = number(&heard(talk, &mut wall, Initiator, &request(3)), 12);
        assert!(!numbers.contains(&told), "{told} of {numbers:?}");
        numbers.push(told);
        let accepted = heard(talk, &mut wall, Responder, &reply(*theirs, told, 1));
        assert_eq!(accepted, reply(*theirs, 3, 1), "as it gave it");
        // Set-Link-Info and WAN-Error-Notify name what the other side gave (RFC 2637 §2.14, §2.15).
        let link = heard(talk, &mut wall, Responder, &control(15, 24, &told.to_be_bytes()));
        assert_eq!(number(&link, 12), 3);
        let to = wall.pass(LAN, &gre(client, SERVER.0, *theirs));
        assert_eq!(call_of(&to), (ip(public), ip(SERVER.0), *theirs));
        let back = wall.pass(WAN, &gre(SERVER.0, public, told));
        assert_eq!(call_of(&back), (ip(SERVER.0), ip(client), 3));
    }
    assert_eq!(numbers[0], 3, "nobody else has it");
    for (((client, theirs), talk), told) in clients.iter().zip(&mut talks).zip(&numbers) {
        assert_eq!(call_of(&wall.pass(WAN, &gre(SERVER.0, public, *told))).1, ip(client));
        assert_eq!(number(&heard(talk, &mut wall, Initiator, &clear(3)), 12), *told);
        // Another call of the same number is told alike: packets of the first one still come by that.
        let again = number(&heard(talk, &mut wall, Initiator, &request(3)), 12);
        assert_eq!(again, *told);
        heard(talk, &mut wall, Responder, &reply(*theirs + 10, again, 1));
        let to = wall.pass(LAN, &gre(client, SERVER.0, *theirs + 10));
        assert_eq!(call_of(&to), (ip(public), ip(SERVER.0), *theirs + 10));
        assert_eq!(call_of(&wall.pass(WAN, &gre(SERVER.0, public, again))).1, ip(client));
    }
    let public_use = wall.engine.policy().public_use(0, ip(public)).unwrap();
    assert!(public_use.served.contains(&(47, 0, 0)), "else they are the host's");
    let stranger = wall.drop(WAN, &gre(SERVER.0, public, 99));
    assert_eq!((stranger, wall.engine.alg_counters().no_room), (Reason::LocalDestination, 0));
}

#[test]
fn a_server_behind_a_public_name_has_tunnels_by_its_numbers() {
    let target = config::NatKind::Destination(config::DestinationNat {
        destination: set(OWN),
        services: Some(vec![config::Service {
            destination_ports: Some((1_723, 1_723)),
            ..config::Service::of_protocol(6)
        }]),
        to: config::DestinationTo::V4(ip4("10.0.2.100"), ip4("10.0.2.100")),
        to_port: None,
    });
    let nat = nat(Vec::new(), vec![rule("to", Some(1), target)]);
    let mut wall = wall(nat.clone());
    let rules = CHANNELS.replace("\"tcp/1720\"]\naction", "\"tcp/1720\", \"tcp/1723\"]\naction");
    let rules = rules.replace("[\"ftp\", \"h323\"]", "\"auto\"");
    assert_ne!(rules, CHANNELS);
    wall.engine.set_policy(policy(&rules, nat, 3));
    let (client, public) = (("198.18.0.1", 40_000), "198.51.100.1");
    let mut talk = Talk::open_by(&mut wall, [WAN, LAN], client, (public, 1_723));
    assert_eq!(heard(&mut talk, &mut wall, Initiator, &request(3)), request(3));
    assert_eq!(heard(&mut talk, &mut wall, Responder, &reply(9, 3, 1)), reply(9, 3, 1));
    let inside = ip("10.0.2.100");
    assert_eq!(call_of(&wall.pass(WAN, &gre(client.0, public, 9))), (ip(client.0), inside, 9));
    let back = wall.pass(LAN, &gre("10.0.2.100", client.0, 3));
    assert_eq!(call_of(&back), (ip(public), ip(client.0), 3));
}
