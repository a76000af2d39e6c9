//! An open connection: both ends speak, each in its own numbers.

use wire::build::Builder;
use wire::{Packet, Seq};

use super::rig::*;
use crate::tcp::State;
use crate::{PortId, Reason, Verdict};

/// The server's answers from its first byte on.
fn server(bytes: u32, stamp: u32) -> Builder<'static> {
    let segment = V4.server().flags(ACK).seq(after(SERVER, 1 + bytes).0);
    segment.timestamps(SERVER_STAMP.wrapping_add(stamp), CLIENT_STAMP)
}

/// The client's, which has got so many bytes.
fn client(cookie: Cookie, bytes: u32, got: u32, stamp: u32) -> Builder<'static> {
    let segment = V4.client().flags(ACK).seq(after(CLIENT, 1 + bytes).0);
    let segment = segment.ack(after(cookie.number, 1 + got).0);
    segment.timestamps(CLIENT_STAMP, cookie.stamp.wrapping_add(stamp))
}

#[test]
fn data_go_both_ways_with_timestamps_and_windows() {
    let mut firewall = Firewall::guarding(1);
    let cookie = firewall.connect(V4);
    let seen = firewall.forward(OUT, &client(cookie, 0, 0, 0).payload(&[1; 100]), IN).tcp();
    assert_eq!((seen.sequence, seen.acknowledgment), (after(CLIENT, 1), after(SERVER, 1)));
    assert_eq!((seen.timestamps, seen.window), (Some((CLIENT_STAMP, SERVER_STAMP)), 1_000));
    // The server's numbers and timestamps wrap on the way.
    let answer = server(0, 10).ack(after(CLIENT, 101).0).payload(&[2; 1_000]);
    let seen = firewall.forward(IN, &answer, OUT).tcp();
    let numbers = (seen.sequence, seen.acknowledgment);
    assert_eq!(numbers, (after(cookie.number, 1), after(CLIENT, 101)));
    assert_eq!(seen.timestamps, Some((cookie.stamp.wrapping_add(10), CLIENT_STAMP)));
    // 2,000 at scale 6 are 1,000 at the 7 that the client was told.
    assert_eq!(seen.window, 1_000);
    let seen = firewall.forward(OUT, &client(cookie, 100, 1_000, 10), IN).tcp();
    assert_eq!(seen.acknowledgment, after(SERVER, 1_001));
    assert_eq!(seen.timestamps, Some((CLIENT_STAMP, SERVER_STAMP.wrapping_add(10))));
    assert_eq!(firewall.session().packets, [3, 2]);
}

#[test]
fn sack_blocks_are_the_servers_numbers_wherever_they_stand() {
    let mut firewall = Firewall::guarding(1);
    let cookie = firewall.connect(V4);
    for bytes in [0, 500, 1_000] {
        firewall.forward(IN, &server(bytes, 1).payload(&[2; 500]), OUT);
    }
    let told = |bytes: u32| after(cookie.number, 1 + bytes).0;
    let ack = V4.client().flags(ACK).ack(told(0));
    let blocks = [(told(500), told(1_000)), (told(1_000), told(1_500))];
    let stamps = [&[8, 10][..], &CLIENT_STAMP.to_be_bytes(), &cookie.stamp.to_be_bytes()].concat();
    let sack = |blocks: &[(u32, u32)]| {
        let edges = blocks.iter().flat_map(|(a, b)| [*a, *b]).flat_map(u32::to_be_bytes);
        [5, 2 + 8 * blocks.len() as u8].into_iter().chain(edges).collect::<Vec<u8>>()
    };
    // At even places and at odd ones.
    for options in [
        [&[1, 1][..], &stamps, &[1, 1], &sack(&blocks)].concat(),
        [&[1][..], &sack(&blocks), &stamps].concat(),
        [&stamps[..], &[1], &sack(&blocks)].concat(),
    ] {
        let seen = firewall.forward(OUT, &ack.tcp_option(&options), IN).tcp();
        assert_eq!(seen.acknowledgment, after(SERVER, 1));
        let inside = |from: u32, to: u32| (after(SERVER, 1 + from), after(SERVER, 1 + to));
        assert_eq!(seen.sack.as_slice(), [inside(500, 1_000), inside(1_000, 1_500)]);
        assert_eq!(seen.timestamps, Some((CLIENT_STAMP, SERVER_STAMP)));
    }
    // What was never sent cannot be told of.
    let beyond = [&[1, 1][..], &sack(&[(told(1_000), told(99_999))])].concat();
    firewall.drop(OUT, &ack.tcp_option(&beyond), Reason::TcpWindow);
    // The server's blocks are of the client's numbers, which are the same on both sides.
    firewall.forward(OUT, &client(cookie, 0, 0, 0).payload(&[1; 2]), IN);
    let own = [(after(CLIENT, 2).0, after(CLIENT, 3).0)];
    let seen = firewall.forward(IN, &server(1_500, 1).sack(&own), OUT).tcp();
    assert_eq!(seen.sack.as_slice(), [(after(CLIENT, 2), after(CLIENT, 3))]);
}

#[test]
fn a_server_that_does_less_than_was_promised_is_understood() {
    let mut firewall = Firewall::guarding(1);
    let cookie = firewall.ask(V4);
    let plain = V4.server().flags(SYN_ACK).seq(SERVER).window(30_000).mss(536);
    let (_, sent) = firewall.arrive(IN, &plain);
    // It takes the client's windows as they are, and the client shifts its ones.
    assert_eq!(sent[0].tcp().window, u16::MAX);
    assert_eq!((sent[0].tcp().timestamps, sent[1].tcp().window), (None, 30_000 >> 7));
    let seen = firewall.forward(OUT, &client(cookie, 0, 0, 0).window(100), IN).tcp();
    assert_eq!(seen.window, 100 << 9);
    let segment = V4.server().flags(ACK).window(30_000).payload(&[1; 10]);
    assert_eq!(firewall.forward(IN, &segment, OUT).tcp().window, 30_000 >> 7);
}

#[test]
fn a_reset_of_either_end_closes_and_is_believed_by_the_other() {
    for from in [IN, OUT] {
        let mut firewall = Firewall::guarding(1);
        let cookie = firewall.connect(V4);
        let seen = match from {
            IN => firewall.forward(IN, &V4.server().flags(RST), OUT).tcp(),
            _ => firewall.forward(OUT, &V4.client().flags(RST), IN).tcp(),
        };
        let expected = if from == IN { after(cookie.number, 1) } else { after(CLIENT, 1) };
        assert_eq!((seen.flags, seen.sequence), (RST, expected));
        assert_eq!(firewall.state(), State::Close);
    }
    // A forger that knows the numbers of neither end.
    let mut firewall = Firewall::guarding(1);
    let cookie = firewall.connect(V4);
    firewall.drop(
        IN,
        &V4.server().flags(RST).seq(cookie.number.wrapping_add(1)),
        Reason::TcpWindow,
    );
}

#[test]
fn a_lost_acknowledgment_of_the_handshake_is_said_again_by_the_client() {
    let mut firewall = Firewall::guarding(1);
    let cookie = firewall.connect(V4);
    let again = firewall.forward(IN, &V4.syn_ack(), OUT).tcp();
    assert_eq!((again.flags, again.sequence.0), (SYN_ACK, cookie.number));
    // It is out of the client's window, so it acknowledges what it has (RFC 9293 §3.10.7.4).
    let seen = firewall.forward(OUT, &client(cookie, 0, 0, 0), IN).tcp();
    assert_eq!(seen.acknowledgment, after(SERVER, 1));
}

#[test]
fn both_ends_close() {
    let mut firewall = Firewall::guarding(1);
    let cookie = firewall.connect(V4);
    let seen = firewall.forward(IN, &server(0, 1).flags(FIN), OUT).tcp();
    assert_eq!((seen.flags, seen.sequence), (FIN, after(cookie.number, 1)));
    assert_eq!(firewall.state(), State::FinWait);
    let seen = firewall.forward(OUT, &client(cookie, 0, 1, 1).flags(FIN), IN).tcp();
    assert_eq!((seen.flags, seen.acknowledgment), (FIN, after(SERVER, 2)));
    let last = server(1, 2).ack(after(CLIENT, 2).0);
    assert_eq!(firewall.forward(IN, &last, OUT).tcp().sequence, after(cookie.number, 2));
    assert_eq!(firewall.state(), State::TimeWait);
}

/// An ICMP error about `quoted`, from a router outside or inside.
fn too_big(ingress: PortId, quoted: &[u8], firewall: &mut Firewall) -> (Verdict, Vec<Sent>) {
    let packet = Packet::parse(quoted).unwrap();
    let bytes = &quoted[14..14 + 28];
    let router = if ingress == OUT { [198, 18, 9, 9] } else { [10, 9, 9, 9] };
    let core::net::IpAddr::V4(sender) = packet.source else { panic!() };
    let error = Builder::v4(router, sender.octets()).icmp(3, 4, 1_400).payload(bytes);
    let (decision, sent) = firewall.arrive(ingress, &error);
    (decision.verdict, sent)
}

#[test]
fn an_icmp_error_quotes_the_number_that_its_reader_knows() {
    let mut firewall = Firewall::guarding(1);
    let cookie = firewall.connect(V4);
    let there = firewall.forward(IN, &server(0, 1).payload(&[1; 500]), OUT);
    let (verdict, sent) = too_big(OUT, &there.frame, &mut firewall);
    assert_eq!(verdict, Verdict::Forward(IN));
    let packet = sent[0].packet();
    let quoted = Packet::parse_embedded(&sent[0].frame, &packet).unwrap();
    assert_eq!(quoted.tcp_sequence, Some(after(SERVER, 1)));
    // The client's own numbers are the same everywhere.
    let here = firewall.forward(OUT, &client(cookie, 0, 0, 0).payload(&[1; 500]), IN);
    let (verdict, sent) = too_big(IN, &here.frame, &mut firewall);
    assert_eq!(verdict, Verdict::Forward(OUT));
    let quoted = Packet::parse_embedded(&sent[0].frame, &sent[0].packet()).unwrap();
    assert_eq!(quoted.tcp_sequence, Some(Seq(CLIENT) + 1));
}
