//! Calls by SIP over TCP: messages of a stream.

use super::sip::{head, medium, message, session};
use super::talk::*;
use crate::Reason;
use crate::nat::tests::rig::*;
use crate::session::Peer::{Initiator, Responder};

const PHONE: (&str, u16) = ("10.0.0.5", 40_700);
const PROXY: (&str, u16) = ("198.18.0.1", 5_060);

pub(super) fn invite(more: usize) -> String {
    let mut lines = head("INVITE sip:bob@198.18.0.1 SIP/2.0", "1 INVITE", "10.0.0.5:40700");
    lines.extend((0..more).map(|at| format!("X-{at}: {}", "x".repeat(60))));
    message(&lines, &session("10.0.0.5", 40_000)).replace("SIP/2.0/UDP", "SIP/2.0/TCP")
}

pub(super) fn bye() -> String {
    message(&head("BYE sip:bob@198.18.0.1 SIP/2.0", "2 BYE", "10.0.0.5:40700"), &[])
}

fn text(bytes: Vec<u8>) -> String {
    let text = String::from_utf8(bytes).expect("it is text");
    if let Some((head, body)) = text.split_once("\r\n\r\n") {
        let length = head.lines().find_map(|line| line.strip_prefix("Content-Length: "));
        assert_eq!(length, Some(&*body.len().to_string()), "{text}");
    }
    text
}

#[test]
fn a_call_in_one_segment_has_media_and_ends() {
    for nat in [config::Nat::default(), masquerade(), pooled(config::Mapping::default())] {
        let mut wall = wall(nat);
        let mut talk = Talk::open(&mut wall, PHONE, PROXY);
        // They are still there, and say so.
        assert_eq!(talk.utter(&mut wall, Initiator, b"\r\n\r\n"), b"\r\n\r\n");
        let said = text(talk.utter(&mut wall, Initiator, invite(0).as_bytes()));
        let shown = talk.shown().source;
        let address = shown.0.to_string();
        assert!(said.contains(&format!("Contact: <sip:alice@{address}:{}>", shown.1)), "{said}");
        assert!(said.contains(&format!("c=IN IP4 {address}\r\n")), "{said}");
        assert_eq!(wall.engine.alg_now(), (1, 2));
        let sound = udp(("198.18.0.1", 30_000), (&address, medium(&said)));
        assert_eq!(wall.pass(WAN, &sound).ends().destination, (ip("10.0.0.5"), 40_000));
        talk.nod(&mut wall, Responder);
        // The answer, whose numbers are those of what was said.
        let mut lines = head("SIP/2.0 200 OK", "1 INVITE", &format!("{address}:{}", shown.1));
        lines[3].push_str(";tag=b");
        lines[6] = "Contact: <sip:bob@198.18.0.1:5060>".to_owned();
        let answer = message(&lines, &session("198.18.0.1", 30_000));
        let heard = text(talk.utter(&mut wall, Responder, answer.as_bytes()));
        assert!(heard.contains("Via: SIP/2.0/UDP 10.0.0.5:40700;"), "{heard}");
        assert_eq!(wall.engine.alg_now(), (1, 4));
        talk.utter(&mut wall, Initiator, bye().as_bytes());
        assert_eq!(wall.engine.alg_now(), (1, 0));
    }
}

#[test]
fn a_message_in_pieces_leaves_when_it_is_whole_in_no_longer_segments() {
    for nat in [config::Nat::default(), masquerade()] {
        let whole = invite(40);
        assert!(whole.len() > 2_900, "of three segments");
        let mut expected = None;
        for cuts in [[1, 1_460], [1_460, 2_920], [400, 1_860], [1_459, whole.len() - 1]] {
            let mut wall = wall(nat.clone());
            let mut talk = Talk::open(&mut wall, PHONE, PROXY);
            let [first, second] = cuts;
            let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
            let mut said = Vec::new();
            for piece in pieces {
                said.extend(talk.utter(&mut wall, Initiator, piece.as_bytes()));
            }
            let said = text(said);
            let shown = talk.shown().source;
            assert!(said.contains(&format!("c=IN IP4 {}\r\n", shown.0)), "{said}");
            assert_eq!(wall.engine.alg_now(), (1, 2));
            // Lost: its last piece is sent again, and all leaves again, for it may be all that was lost.
            let again = talk.segment(
                Initiator,
                talk.sent[0].wrapping_sub(pieces[2].len() as u32),
                pieces[2].as_bytes(),
            );
            let (_, left) = wall.arrive(LAN, &again);
            let again: Vec<u8> = left.iter().flat_map(data).collect();
            assert_eq!(String::from_utf8_lossy(&again), said);
            talk.nod(&mut wall, Responder);
            assert_eq!(talk.utter(&mut wall, Initiator, b"\r\n"), b"\r\n");
            assert_eq!(*expected.get_or_insert(said.clone()), said, "however it is cut");
        }
    }
}

#[test]
fn what_is_kept_back_is_acknowledged_when_its_sender_asks() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, PHONE, PROXY);
    let whole = invite(20);
    let (first, rest) = whole.split_at(1_400);
    assert_eq!(talk.utter(&mut wall, Initiator, first.as_bytes()), b"");
    let again = talk.segment(Initiator, talk.sent[0].wrapping_sub(1_400), first.as_bytes());
    let (decision, left) = wall.arrive(LAN, &again);
    assert_eq!((decision.verdict, left.len()), (crate::Verdict::Answer, 1));
    let wire::Transport::Tcp(tcp) = &left[0].packet.body else { panic!() };
    assert_eq!((tcp.acknowledgment.0, left[0].port), (talk.sent[0], LAN));
    assert!(text(talk.utter(&mut wall, Initiator, rest.as_bytes())).contains("198.51.100.1"));
}

#[test]
fn a_long_message_passes_and_the_next_one_is_read() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, PHONE, PROXY);
    let mut lines = head("MESSAGE sip:bob@198.18.0.1 SIP/2.0", "1 MESSAGE", "10.0.0.5:40700");
    lines.push("Content-Type: text/plain".to_owned());
    let long =
        message(&lines, &["y".repeat(6_000)]).replace("Content-Type: application/sdp\r\n", "");
    let both = format!("{long}{}", invite(0));
    let mut said = Vec::new();
    for piece in both.as_bytes().chunks(1_000) {
        said.extend(talk.utter(&mut wall, Initiator, piece));
        talk.nod(&mut wall, Responder);
    }
    let said = String::from_utf8(said).expect("it is text");
    assert!(said.starts_with(&long), "as it came");
    assert!(said.ends_with("RTP/AVP 0\r\n") && said.contains("c=IN IP4 198.51.100.1"), "{said}");
    let counted = wall.engine.alg_counters();
    assert_eq!((counted.too_long, counted.foreign, wall.engine.alg_now()), (1, 0, (1, 2)));
}

#[test]
fn what_is_another_protocol_passes_and_opens_nothing_ever() {
    for nat in [config::Nat::default(), masquerade()] {
        for first in [&b"SSH-2.0-x\r\n"[..], b"\x16\x03\x01\x02\x00", b"INVITE sip:\x00\r\n\r\n"] {
            let mut wall = wall(nat.clone());
            let mut talk = Talk::open(&mut wall, PHONE, PROXY);
            assert_eq!(talk.utter(&mut wall, Initiator, first), first);
            let whole = invite(0);
            assert_eq!(talk.utter(&mut wall, Initiator, whole.as_bytes()), whole.as_bytes());
            assert_eq!((wall.engine.alg_now(), wall.engine.alg_counters().foreign), ((1, 0), 1));
        }
    }
}

#[test]
fn a_beginning_without_end_passes() {
    let mut wall = wall(config::Nat::default());
    let mut talk = Talk::open(&mut wall, PHONE, PROXY);
    let endless = format!("INVITE sip:bob@198.18.0.1 SIP/2.0\r\nX: {}", "z".repeat(5_000));
    let mut said = Vec::new();
    for piece in endless.as_bytes().chunks(1_000) {
        said.extend(talk.utter(&mut wall, Initiator, piece));
    }
    assert_eq!((said, wall.engine.alg_counters().foreign), (endless.into_bytes(), 1));
    assert_eq!(wall.engine.alg_now(), (1, 0));
}

#[test]
fn a_stranger_is_not_let_in_and_the_end_brings_what_was_kept_back() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, PHONE, PROXY);
    let elsewhere = invite(0).replace("c=IN IP4 10.0.0.5", "c=IN IP4 10.0.0.6");
    let said = text(talk.utter(&mut wall, Initiator, elsewhere.as_bytes()));
    assert!(said.contains("c=IN IP4 10.0.0.6\r\n"), "{said}");
    assert_eq!((wall.engine.alg_now(), wall.engine.alg_counters().third_party), ((1, 0), 1));
    talk.nod(&mut wall, Responder);
    assert_eq!(talk.utter(&mut wall, Initiator, b"BYE sip:"), b"");
    let end = talk
        .segment(Initiator, talk.sent[0], b"")
        .flags(wire::TcpFlags(ACK.0 | wire::TcpFlags::FIN.0));
    let left = wall.pass(LAN, &end);
    assert_eq!(data(&left), b"BYE sip:");
    let wire::Transport::Tcp(tcp) = &left.packet.body else { panic!() };
    assert!(tcp.flags.contains(wire::TcpFlags::FIN));
    // And again, if that is lost.
    assert_eq!(data(&wall.pass(LAN, &end)), b"BYE sip:");
}

#[test]
fn only_so_much_text_waits_for_its_far_end() {
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, PHONE, PROXY);
    let whole = invite(10);
    let mut spoken = 0;
    let reason = loop {
        let more = talk.segment(Initiator, talk.sent[0], whole.as_bytes());
        let (decision, left) = wall.arrive(LAN, &more);
        if let crate::Verdict::Drop(reason) = decision.verdict {
            break reason;
        }
        talk.sent[0] = talk.sent[0].wrapping_add(whole.len() as u32);
        for left in &left {
            talk.hear(Initiator, left);
        }
        spoken += 1;
    };
    assert_eq!(reason, Reason::AlgBusy);
    assert!((2..12).contains(&spoken), "{spoken}");
    talk.nod(&mut wall, Responder);
    assert!(text(talk.utter(&mut wall, Initiator, whole.as_bytes())).contains("198.51.100.1"));
}

#[test]
fn ten_thousand_media_let_nothing_in_and_the_next_call_is_read() {
    let media: String = (0..10_000_u32)
        .map(|at| format!("m=audio {} RTP/AVP 0\r\n", 10_000 + 2 * (at % 20_000)))
        .collect();
    let body = [session("10.0.0.5", 40_000).join("\r\n"), media].join("\r\n");
    let mut lines = head("INVITE sip:bob@198.18.0.1 SIP/2.0", "1 INVITE", "10.0.0.5:40700");
    lines.push("Content-Type: application/sdp".to_owned());
    lines.push(format!("Content-Length: {}", body.len()));
    let whole = format!("{}\r\n\r\n{body}", lines.join("\r\n"));
    let mut wall = wall(masquerade());
    let mut talk = Talk::open(&mut wall, PHONE, PROXY);
    for piece in whole.as_bytes().chunks(1_400) {
        talk.utter(&mut wall, Initiator, piece);
        talk.nod(&mut wall, Responder);
    }
    let counted = *wall.engine.alg_counters();
    assert_eq!((wall.engine.alg_now(), counted.opened, counted.too_long), ((1, 0), 0, 1));
    text(talk.utter(&mut wall, Initiator, invite(0).as_bytes()));
    assert_eq!(wall.engine.alg_now(), (1, 2));
}

/// An INVITE of just what a segment may have, which grows where its address is told otherwise.
fn full() -> String {
    let lines = head("INVITE sip:bob@198.18.0.1 SIP/2.0", "1 INVITE", "10.0.0.5:40700");
    let of = |fill: usize| {
        let more = [lines.clone(), vec![format!("X: {}", "x".repeat(fill))]].concat();
        message(&more, &session("10.0.0.5", 40_000))
    };
    let whole = of(1_460 - of(0).len());
    assert_eq!(whole.len(), 1_460);
    whole
}

#[test]
fn a_segment_that_grows_leaves_as_two_of_which_the_last_one_says_what_it_said() {
    let mut wall = wall(masquerade());
    let talk = Talk::open(&mut wall, PHONE, PROXY);
    let whole = full();
    let flags = wire::TcpFlags(ACK.0 | wire::TcpFlags::PSH.0 | wire::TcpFlags::FIN.0);
    let last = talk.segment(Initiator, talk.sent[0], whole.as_bytes()).flags(flags);
    for _ in 0..2 {
        let (_, left) = wall.arrive(LAN, &last);
        assert_eq!((left.len(), left[0].packet.ip_len()), (2, 1_500));
        let wire::Transport::Tcp(first) = &left[0].packet.body else { panic!() };
        let wire::Transport::Tcp(second) = &left[1].packet.body else { panic!() };
        assert_eq!((first.flags, second.flags), (ACK, flags));
        assert_eq!(second.sequence, first.sequence + 1_460);
        let said = text(left.iter().flat_map(data).collect());
        assert!(said.len() > 1_460 && said.contains("c=IN IP4 198.51.100.1\r\n"), "{said}");
    }
}

#[test]
fn what_leaves_in_pieces_waits_for_the_backup_in_pieces() {
    let mut wall = wall(masquerade());
    let talk = Talk::open(&mut wall, PHONE, PROXY);
    wall.engine.set_peer(true, wall.now);
    let whole = full();
    let segment = talk.segment(Initiator, talk.sent[0], whole.as_bytes());
    let (decision, left) = wall.arrive(LAN, &segment);
    assert_eq!((decision.verdict, left.len()), (crate::Verdict::Hold, 0));
    let mark = wall.engine.mark();
    for place in 0..wall.engine.sessions().places() {
        let found = wall.engine.session_at(place).map(|(_, session)| session.id);
        if let Some(id) = found.map(|id| wall.engine.session_id(id)) {
            wall.engine.release(place, id, mark, wall.now);
        }
    }
    wall.engine.counters().balance().expect("the books are right");
    let mut lens = Vec::new();
    while let Some((port, frame)) = wall.engine.outbox().pop() {
        let packet = wire::Packet::parse(frame).expect("a packet");
        assert!(port == WAN && wire::checksum::transport_checksum_ok(frame, &packet));
        lens.push(packet.ip_len());
    }
    assert!(lens.len() == 2 && lens[0] == 1_500, "{lens:?}");
}
