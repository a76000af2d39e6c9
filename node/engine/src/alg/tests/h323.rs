//! Calls by H.323, in recorded messages.

use super::talk::*;
use crate::Reason;
use crate::nat::tests::rig::*;
use crate::session::Peer::{Initiator, Responder};

const RECORDED: &str = include_str!("../h323/tests/recorded.txt");
pub(super) const CALLER: (&str, u16) = ("10.0.0.5", 12_030);
pub(super) const CALLEE: (&str, u16) = ("198.18.0.1", 1_720);
/// Those that were recorded.
const THEIRS: [[u8; 4]; 2] = [[198, 18, 1, 2], [198, 18, 2, 2]];
const OURS: [[u8; 4]; 2] = [[10, 0, 0, 5], [198, 18, 0, 1]];

/// A message with other bytes in the place of all of some.
pub(super) fn with(message: &[u8], old: &[u8], new: &[u8]) -> Vec<u8> {
    let (mut message, len) = (message.to_vec(), old.len());
    let places: Vec<usize> = (len..=message.len())
        .map(|end| end - len)
        .filter(|at| message[*at..at + len] == *old)
        .collect();
    places.into_iter().for_each(|at| message[at..at + len].copy_from_slice(new));
    message
}

fn octets(hex: &str) -> Vec<u8> {
    let digit = |digit: u8| char::from(digit).to_digit(16).expect("a digit") as u8;
    hex.as_bytes().chunks(2).map(|pair| digit(pair[0]) << 4 | digit(pair[1])).collect()
}

fn framed(message: &[u8]) -> Vec<u8> {
    let len = (message.len() as u16 + 4).to_be_bytes();
    [&[3, 0, len[0], len[1]], message].concat()
}

/// The recorded messages, in frames, between our hosts.
pub(super) fn recorded() -> Vec<Vec<u8>> {
    let blocks = RECORDED.split("\n\n").map(|block| {
        block.lines().filter(|it| it.starts_with("  ")).map(str::trim).collect::<String>()
    });
    blocks
        .filter(|hex| !hex.is_empty())
        .map(|hex| {
            let message = octets(&hex);
            let message = with(&message, &THEIRS[0], &OURS[0]);
            framed(&with(&message, &THEIRS[1], &OURS[1]))
        })
        .collect()
}

/// Where the call with a channel of its own begins, and what is which in it.
pub(super) const SETUP: usize = 5;
pub(super) const CONNECT: usize = 8;
pub(super) const OPEN_BY_CALLER: usize = 13;
const OPEN_BY_CALLEE: usize = 14;
const ACK_BY_CALLEE: usize = 15;
const ACK_BY_CALLER: usize = 16;
const END: usize = 17;
const RELEASE: usize = 18;

/// An address and a port, as they stand in a message.
fn standing(address: &str, port: u16) -> Vec<u8> {
    let std::net::IpAddr::V4(address) = ip(address) else { panic!("{address}") };
    [&address.octets()[..], &port.to_be_bytes()].concat()
}

fn names(message: &[u8], address: &str, port: u16) -> bool {
    let place = standing(address, port);
    message.windows(place.len()).any(|it| it == place)
}

/// The port behind an address.
pub(super) fn port_of(message: &[u8], address: &str) -> u16 {
    let address = standing(address, 0)[..4].to_vec();
    let at = message.windows(4).position(|it| it == address).expect("the address");
    u16::from_be_bytes([message[at + 4], message[at + 5]])
}

#[test]
fn a_call_with_a_channel_of_its_own() {
    let said = recorded();
    for nat in [config::Nat::default(), masquerade(), pooled(config::Mapping::default())] {
        let mut wall = wall(nat);
        let early = tcp(("10.0.0.5", 12_031), ("198.18.0.1", 12_030), SYN).seq(7).mss(1_460);
        assert_eq!(wall.drop(LAN, &early), Reason::NoRule);
        let mut call = Talk::open(&mut wall, CALLER, CALLEE);
        let shown = call.shown().source;
        let public = shown.0.to_string();
        let setup = call.utter(&mut wall, Initiator, &said[SETUP]);
        assert!(names(&setup, &public, shown.1) && names(&setup, "198.18.0.1", 1_720));
        for message in &said[SETUP + 1..=CONNECT] {
            assert_eq!(call.utter(&mut wall, Responder, message), *message);
        }
        assert_eq!(wall.engine.alg_now(), (1, 1), "its channel of H.245");
        let mut control = Talk::open(&mut wall, ("10.0.0.5", 12_031), ("198.18.0.1", 12_030));
        assert_eq!(wall.engine.alg_now(), (2, 0), "which is read, too");
        control.utter(&mut wall, Initiator, &said[OPEN_BY_CALLER]);
        assert_eq!(wall.engine.alg_now(), (2, 2), "RTCP names its pair");
        control.utter(&mut wall, Responder, &said[OPEN_BY_CALLEE]);
        control.utter(&mut wall, Responder, &said[ACK_BY_CALLEE]);
        let heard = control.utter(&mut wall, Initiator, &said[ACK_BY_CALLER]);
        assert_eq!(wall.engine.alg_now(), (2, 4));
        let port = port_of(&heard, &public);
        assert!(port.is_multiple_of(2) && names(&heard, &public, port + 1), "{heard:?}");
        let sound = udp(("198.18.0.1", 5_000), (&public, port));
        assert_eq!(wall.pass(WAN, &sound).ends().destination, (ip("10.0.0.5"), 5_000));
        let theirs = wall.pass(LAN, &udp(("10.0.0.5", 5_000), ("198.18.0.1", 5_000)));
        assert_eq!(theirs.ends().source, (ip(&public), port), "both directions of one session");
        let stranger = udp(("198.18.0.9", 5_000), (&public, port + 1));
        assert!(matches!(wall.drop(WAN, &stranger), Reason::NoRule | Reason::NatUnmapped));
        let sessions = (0..wall.engine.sessions().places())
            .filter_map(|place| wall.engine.session_at(place))
            .map(|(_, session)| (session.id, session.conversation));
        let sessions: Vec<_> = sessions.collect();
        assert!(sessions.iter().all(|it| it.1 == sessions[0].1), "one conversation: {sessions:?}");
        control.utter(&mut wall, Initiator, &said[END]);
        assert_eq!(wall.engine.alg_now(), (2, 0));
        let sound = udp(("198.18.0.1", 5_002), (&public, port));
        assert!(matches!(wall.drop(WAN, &sound), Reason::NoRule | Reason::NatUnmapped));
        call.utter(&mut wall, Initiator, &said[RELEASE]);
    }
}

#[test]
fn a_call_with_fast_start() {
    let said = recorded();
    for nat in [config::Nat::default(), masquerade()] {
        let mut wall = wall(nat);
        let mut call = Talk::open(&mut wall, CALLER, CALLEE);
        let public = call.shown().source.0.to_string();
        let setup = call.utter(&mut wall, Initiator, &said[0]);
        assert_eq!(wall.engine.alg_now(), (1, 6), "sound, picture, and another's RTCP");
        assert!(public == "10.0.0.5" || !setup.windows(4).any(|it| it == OURS[0]), "{setup:?}");
        for message in &said[1..4] {
            assert_eq!(call.utter(&mut wall, Responder, message), *message);
        }
        assert_eq!(wall.engine.alg_now(), (1, 12));
        for port in [5_000, 5_001, 6_000, 6_001, 14_031] {
            wall.pass(LAN, &udp(("10.0.0.5", 5_000), ("198.18.0.1", port)));
        }
        call.nod(&mut wall, Initiator);
        // It is answered: its pinholes stand for longer than it may ring.
        wall.wait(std::time::Duration::from_secs(600));
        assert_eq!(wall.engine.alg_now(), (1, 12));
        call.utter(&mut wall, Initiator, &said[4]);
        assert_eq!(wall.engine.alg_now(), (1, 0));
    }
}

#[test]
fn a_message_in_pieces_is_one() {
    let said = recorded();
    let mut wall = wall(masquerade());
    let mut call = Talk::open(&mut wall, CALLER, CALLEE);
    for cut in [1, 3, 4, 5, 60, said[SETUP].len() - 1] {
        let (first, rest) = said[SETUP].split_at(cut);
        assert_eq!(call.utter(&mut wall, Initiator, first), b"");
        let setup = call.utter(&mut wall, Initiator, rest);
        assert_eq!(setup.len(), said[SETUP].len());
        assert!(names(&setup, "198.51.100.1", call.shown().source.1));
        call.nod(&mut wall, Responder);
    }
    // One behind the other, the last one half, with a keep-alive between them.
    let both = [&said[SETUP], &[3, 0, 0, 4][..], &said[SETUP], &said[SETUP][..9]].concat();
    let heard = call.utter(&mut wall, Initiator, &both);
    assert_eq!(heard.len(), 2 * said[SETUP].len() + 4);
    assert!(!heard.windows(4).any(|it| it == OURS[0]));
}

#[test]
fn who_names_another_host_or_nothing_that_is_understood_lets_nothing_in() {
    let said = recorded();
    let mut wall = wall(config::Nat::default());
    let mut call = Talk::open(&mut wall, CALLER, CALLEE);
    let elsewhere = with(&said[CONNECT], &OURS[1], &[198, 18, 0, 7]);
    assert_eq!(call.utter(&mut wall, Responder, &elsewhere), elsewhere);
    let low = with(&said[CONNECT], &12_030_u16.to_be_bytes(), &22_u16.to_be_bytes());
    assert_eq!(call.utter(&mut wall, Responder, &low), low);
    let counted = *wall.engine.alg_counters();
    assert_eq!((counted.third_party, counted.low_port, wall.engine.alg_now()), (1, 1, (1, 0)));
    // Cut short, whatever it says.
    for len in 8..said[CONNECT].len() {
        let short = framed(&said[CONNECT][4..len]);
        assert_eq!(call.utter(&mut wall, Responder, &short), short);
        call.nod(&mut wall, Initiator);
    }
    assert!(wall.engine.alg_counters().malformed > 10);
    // No TPKT: from here on nothing is read.
    assert_eq!(call.utter(&mut wall, Responder, b"HTTP/1.0"), b"HTTP/1.0");
    let before = wall.engine.alg_now();
    assert_eq!(call.utter(&mut wall, Responder, &said[CONNECT]), said[CONNECT]);
    assert_eq!((wall.engine.alg_now(), wall.engine.alg_counters().foreign), (before, 1));
}

#[test]
fn a_channel_of_h245_is_none_of_signalling() {
    let said = recorded();
    let mut wall = wall(config::Nat::default());
    let mut call = Talk::open(&mut wall, CALLER, CALLEE);
    call.utter(&mut wall, Responder, &said[CONNECT]);
    let mut control = Talk::open(&mut wall, ("10.0.0.5", 12_031), ("198.18.0.1", 12_030));
    control.utter(&mut wall, Responder, &said[CONNECT]);
    assert_eq!(wall.engine.alg_now(), (2, 0), "there is no second one by it");
    // Once closed, it is no control channel: that it came once is used up.
    let again = tcp(("10.0.0.5", 12_032), ("198.18.0.1", 12_030), SYN).seq(7).mss(1_460);
    assert_eq!(wall.drop(LAN, &again), Reason::NoRule);
}

const ENDPOINT: (&str, u16) = ("10.0.0.5", 1_719);
const GATEKEEPER: (&str, u16) = ("198.18.0.1", 1_719);

/// A RegistrationRequest, by hand: signalling at `port`, RAS where it comes from.
fn registration(address: &str, port: u16) -> Vec<u8> {
    let begin = octets("0c000000060008914a0004800100");
    let (signal, ras) = (standing(address, port), standing("10.0.0.5", 1_719));
    [&begin, &signal[..], &[1, 0], &ras, &octets("0200b5000036")].concat()
}

/// A RegistrationConfirm that names the gatekeeper's signalling.
fn confirmation() -> Vec<u8> {
    let signal = standing("198.18.0.1", 1_720);
    [&octets("10000000060008914a00040100"), &signal[..], &octets("000041")].concat()
}

fn ras<'a>(from: (&str, u16), to: (&str, u16), message: &'a [u8]) -> wire::build::Builder<'a> {
    wire::build::Builder::new(ip(from.0), ip(to.0)).udp(from.1, to.1).payload(message)
}

#[test]
fn who_is_registered_is_called_as_long_as_that_lasts() {
    for nat in [config::Nat::default(), masquerade(), pooled(config::Mapping::default())] {
        let mut wall = wall(nat);
        let request = registration("10.0.0.5", 1_720);
        let left = wall.pass(LAN, &ras(ENDPOINT, GATEKEEPER, &request));
        let (shown, said) = (left.ends().source, data(&left));
        let public = shown.0.to_string();
        assert!(names(&said, &public, shown.1), "its RAS");
        let port = port_of(&said, &public);
        assert_eq!(wall.engine.alg_now(), (1, 1));
        let confirm = confirmation();
        wall.pass(WAN, &ras(GATEKEEPER, (&public, shown.1), &confirm));
        assert_eq!(wall.engine.alg_now(), (1, 2), "and the gatekeeper's signalling");
        wall.wait(std::time::Duration::from_secs(250));
        assert_eq!(wall.engine.alg_now(), (1, 2));
        // A call from there is read, and so is its media.
        let mut call =
            Talk::open_by(&mut wall, [WAN, LAN], ("198.18.0.1", 40_000), (&public, port));
        assert_eq!(wall.engine.alg_now(), (2, 2));
        let connect = with(&recorded()[CONNECT], &OURS[1], &OURS[0]);
        let heard = call.utter(&mut wall, Responder, &connect);
        assert_eq!(wall.engine.alg_now(), (2, 3));
        let control = (&*public, port_of(&heard, &public));
        Talk::open_by(&mut wall, [WAN, LAN], ("198.18.0.1", 40_001), control);
        assert_eq!(wall.engine.alg_now(), (3, 2));
        wall.pass(WAN, &ras(GATEKEEPER, (&public, shown.1), &octets("1c0000")));
        assert_eq!(wall.engine.alg_now(), (3, 0), "it is registered no more");
    }
}

#[test]
fn who_registers_another_host_is_not_called_there() {
    let mut wall = wall(config::Nat::default());
    wall.pass(LAN, &ras(ENDPOINT, GATEKEEPER, &registration("10.0.0.6", 1_720)));
    wall.pass(LAN, &ras(ENDPOINT, GATEKEEPER, &registration("10.0.0.5", 80)));
    let whole = registration("10.0.0.5", 1_720);
    for len in 0..20 {
        wall.pass(LAN, &ras(ENDPOINT, GATEKEEPER, &whole[..len]));
    }
    let counted = wall.engine.alg_counters();
    assert_eq!((counted.third_party, counted.low_port, wall.engine.alg_now()), (1, 1, (1, 0)));
    // Nobody confirms it: it is forgotten.
    wall.pass(LAN, &ras(ENDPOINT, GATEKEEPER, &whole));
    assert_eq!(wall.engine.alg_now(), (1, 1));
    wall.wait(std::time::Duration::from_secs(181));
    assert_eq!(wall.engine.alg_now().1, 0);
}

#[test]
fn so_many_channels_of_one_stand_and_the_oldest_goes() {
    let said = recorded();
    let mut wall = wall(masquerade());
    let mut call = Talk::open(&mut wall, CALLER, CALLEE);
    call.utter(&mut wall, Responder, &said[CONNECT]);
    let mut control = Talk::open(&mut wall, ("10.0.0.5", 12_031), ("198.18.0.1", 12_030));
    for port in 0..40_u16 {
        let new = (5_001 + 2 * port).to_be_bytes();
        let open = with(&said[OPEN_BY_CALLER], &5_001_u16.to_be_bytes(), &new);
        control.utter(&mut wall, Initiator, &open);
        control.nod(&mut wall, Responder);
    }
    assert_eq!((wall.engine.alg_now(), wall.taken("198.51.100.1")), ((2, 32), 34));
}
