//! Tunnels by PPTP.

use std::time::Duration;

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

#[test]
fn through_a_public_address_nothing_is_let_in() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, CLIENT, SERVER);
    assert_eq!(talk.utter(&mut wall, Initiator, &request(3)), request(3));
    assert_eq!((wall.engine.alg_now(), wall.engine.alg_counters().no_room), ((1, 0), 1));
}
