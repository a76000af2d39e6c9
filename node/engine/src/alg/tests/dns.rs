//! Queries by DNS.

use std::time::Duration;

use wire::build::Builder;

use super::talk::{CHANNELS, wall};
use crate::limits::QUERIES_PER_SESSION;
use crate::nat::tests::rig::*;
use crate::session::CloseReason;
use crate::{EventKind, Reason};

const CLIENT: (&str, u16) = ("10.0.0.5", 4_000);
const SERVER: (&str, u16) = ("198.18.0.1", 53);

/// A message about `a.`, of this number and these flags (RFC 1035 §4.1.1).
fn message(id: u16, flags: u16) -> Vec<u8> {
    let header = [id, flags, 1, 0, 0, 0].map(u16::to_be_bytes).concat();
    [&header[..], b"\x01a\0\0\x01\0\x01"].concat()
}

const QUERY: u16 = 0x0100;
const RESPONSE: u16 = 0x8180;

fn send<'a>(from: (&str, u16), to: (&str, u16), text: &'a [u8]) -> Builder<'a> {
    Builder::new(ip(from.0), ip(to.0)).udp(from.1, to.1).payload(text)
}

#[test]
fn a_session_ends_with_its_last_answer_and_its_port_is_free() {
    for nat in [config::Nat::default(), masquerade()] {
        let mut wall = wall(nat.clone());
        let logged = CHANNELS.replacen("alg = ", "log = [\"close\"]\nalg = ", 1);
        wall.engine.set_policy(policy(&logged, nat, 3));
        let shown = wall.pass(LAN, &send(CLIENT, SERVER, &message(7, QUERY))).ends().source;
        let shown = (&*shown.0.to_string(), shown.1);
        wall.pass(LAN, &send(CLIENT, SERVER, &message(8, QUERY)));
        // One that is sent again is one.
        wall.pass(LAN, &send(CLIENT, SERVER, &message(7, QUERY)));
        let forged = message(9, RESPONSE);
        assert_eq!(wall.drop(WAN, &send(SERVER, shown, &forged)), Reason::AlgUnasked);
        wall.pass(WAN, &send(SERVER, shown, &message(7, RESPONSE)));
        wall.wait(Duration::from_millis(100));
        assert_eq!(wall.engine.sessions().len(), 1, "the other one is not answered");
        let twice = message(7, RESPONSE);
        assert_eq!(wall.drop(WAN, &send(SERVER, shown, &twice)), Reason::AlgUnasked);
        wall.pass(WAN, &send(SERVER, shown, &message(8, RESPONSE)));
        wall.wait(Duration::from_millis(100));
        assert_eq!((wall.engine.sessions().len(), wall.engine.alg_now().0), (0, 0));
        assert_eq!(wall.taken("198.51.100.1"), 0);
        let events = std::iter::from_fn(|| wall.engine.next_event());
        let ended = events.filter(|it| it.kind == EventKind::Close(CloseReason::Answered));
        assert_eq!(ended.count(), 1);
    }
}

#[test]
fn what_is_no_dns_does_not_pass() {
    let mut wall = wall(config::Nat::default());
    let tunnelled = b"not a message of DNS, but as long as one";
    assert_eq!(wall.drop(LAN, &send(CLIENT, SERVER, tunnelled)), Reason::AlgMalformed);
    wall.pass(LAN, &send(CLIENT, SERVER, &message(7, QUERY)));
    let cut = &message(7, RESPONSE)[..14];
    assert_eq!(wall.drop(WAN, &send(SERVER, CLIENT, cut)), Reason::AlgMalformed);
    let asks = message(7, QUERY);
    assert_eq!(wall.drop(WAN, &send(SERVER, CLIENT, &asks)), Reason::AlgUnasked);
    let answers = message(7, RESPONSE);
    assert_eq!(wall.drop(LAN, &send(CLIENT, SERVER, &answers)), Reason::AlgUnasked);
    assert_eq!(wall.engine.alg_counters().malformed, 2);
}

#[test]
fn of_many_queries_at_once_every_response_passes() {
    let mut wall = wall(config::Nat::default());
    for id in 0..=QUERIES_PER_SESSION as u16 {
        wall.pass(LAN, &send(CLIENT, SERVER, &message(id, QUERY)));
    }
    for id in (0..=QUERIES_PER_SESSION as u16).rev() {
        wall.pass(WAN, &send(SERVER, CLIENT, &message(id, RESPONSE)));
    }
    assert_eq!(wall.engine.sessions().len(), 1);
}
