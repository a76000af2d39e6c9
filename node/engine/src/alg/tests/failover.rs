//! A control channel, its announcements and its transfers on another node.

use wire::Time;
use wire::build::Builder;

use super::talk::*;
use super::{h323, pptp, rtsp, sip_stream};
use crate::WorkerId;
use crate::nat::tests::rig::*;
use crate::record::Record;
use crate::replication::{Contest, NoteKind};
use crate::session::Peer::{Initiator, Responder};

/// One that has replicas, and none yet.
fn standby(nat: config::Nat) -> Wall {
    let mut standby = Wall::with(2, 256, WorkerId(0), nat.clone());
    standby.engine.set_policy(policy(CHANNELS, nat, 2));
    standby.engine.stand_down();
    standby
}

/// Tells another all that one knows.
fn tell(from: &mut Wall, to: &mut Wall) {
    to.now = from.now;
    for place in 0..from.engine.sessions().places() {
        let Some((_, session)) = from.engine.session_at(place) else { continue };
        let id = from.engine.session_id(session.id);
        let mut bytes = from.engine.export(place, id, from.now).expect("a record").to_vec();
        from.engine.export_control(place, from.now, &mut bytes);
        let (record, len) = Record::parse(&bytes).expect("it is one");
        let imported = to.engine.import(&record, Contest::Owners, to.now);
        let hash = to.engine.sessions().hash(&record.key);
        let handle =
            to.engine.sessions().find(hash, &record.key).unwrap_or_else(|| panic!("{imported:?}"));
        to.engine.import_control(handle.place(), &bytes[len..], Contest::Owners, to.now);
        // Once more, and what is cut short: nothing changes.
        to.engine.import_control(handle.place(), &bytes[len..], Contest::Owners, to.now);
        for cut in len..bytes.len() {
            to.engine.import_control(handle.place(), &bytes[len..cut], Contest::Owners, to.now);
        }
    }
}

/// All that one knows, as another takes it over.
fn taken_over(from: &mut Wall, nat: config::Nat) -> Wall {
    let mut to = standby(nat);
    tell(from, &mut to);
    to.engine.take_over(to.now);
    to
}

#[test]
fn what_was_announced_before_a_takeover_comes_after_it() {
    for nat in [masquerade(), pooled(config::Mapping::default())] {
        let mut first = wall(nat.clone());
        let mut talk = Talk::open(&mut first, ("10.0.0.5", 40_000), ("198.18.0.1", 21));
        let heard = talk.line(&mut first, Initiator, "PORT 10,0,0,5,78,32\r\n");
        let (host, port) = six(&heard);
        // Half a line, and a reply of several.
        assert_eq!(talk.say(&mut first, Initiator, b"PORT 10,0,"), "");
        talk.say(&mut first, Responder, b"211-all\r\n");
        let mut second = taken_over(&mut first, nat);
        assert_eq!((second.engine.alg_now(), second.taken(&host)), ((1, 1), 2));
        let syn = tcp(("198.18.0.1", 20), (&host, port), SYN).seq(5).mss(1_460);
        assert_eq!(second.pass(WAN, &syn).ends().destination, (ip("10.0.0.5"), 20_000));
        let inside =
            tcp(("10.0.0.5", 20_000), ("198.18.0.1", 20), SYN_ACK).seq(9).ack(6).mss(1_460);
        second.pass(LAN, &inside);
        talk.say(&mut second, Responder, b" 227 (10,0,0,9,200,10)\r\n211 end\r\n");
        assert_eq!(second.engine.alg_now(), (1, 0), "text of a reply");
        let heard = talk.say(&mut second, Initiator, b"0,5,78,33\r\n");
        assert_eq!(six(&heard).0, host, "{heard:?}");
        assert_ne!(six(&heard).1, port, "nobody gets a port twice");
        // The transfer survives the next one.
        let mut third = taken_over(
            &mut second,
            if host.starts_with("203") { pooled(config::Mapping::default()) } else { masquerade() },
        );
        let sent = tcp(("198.18.0.1", 20), (&host, port), ACK).seq(6).ack(10).payload(b"content");
        assert_eq!(third.pass(WAN, &sent).ends().destination, (ip("10.0.0.5"), 20_000));
        assert_eq!(third.taken(&host), 3);
        talk.line(&mut third, Initiator, "QUIT\r\n");
        third.now = third.now + Time::from_secs(1).since(Time::ZERO);
    }
}

#[test]
fn a_channel_of_h245_that_was_announced_is_read_after_a_takeover() {
    let said = h323::recorded();
    for nat in [masquerade(), pooled(config::Mapping::default())] {
        let mut first = wall(nat.clone());
        let mut call = Talk::open(&mut first, h323::CALLER, h323::CALLEE);
        call.utter(&mut first, Initiator, &said[h323::SETUP]);
        call.utter(&mut first, Responder, &said[h323::CONNECT]);
        let mut second = taken_over(&mut first, nat.clone());
        assert_eq!(second.engine.alg_now(), (1, 1), "its pinhole");
        let (own, theirs) = (("10.0.0.5", 12_031), ("198.18.0.1", 12_030));
        let mut control = Talk::open(&mut second, own, theirs);
        assert_eq!(second.engine.alg_now(), (2, 0));
        // Half a message is kept back there.
        let open = &said[h323::OPEN_BY_CALLER];
        assert_eq!(control.utter(&mut second, Initiator, &open[..7]), b"");
        let mut third = taken_over(&mut second, nat);
        let heard = control.utter(&mut third, Initiator, &open[7..]);
        assert_eq!((third.engine.alg_now(), heard.len()), ((2, 2), open.len()));
        assert_ne!(heard, *open, "it names the public address");
        // What is signalled goes on, too.
        let public = control.shown().source.0.to_string();
        let sound = udp(("198.18.0.1", 5_001), (&public, h323::port_of(&heard, &public)));
        assert_eq!(third.pass(WAN, &sound).ends().destination, (ip("10.0.0.5"), 5_001));
        assert_eq!(call.utter(&mut third, Responder, &said[h323::CONNECT]), said[h323::CONNECT]);
        assert_eq!(third.engine.alg_now(), (2, 3));
    }
}

#[test]
fn numbers_are_right_after_a_takeover_whatever_text_there_was_no_room_for() {
    let mut first = wall(masquerade());
    let phone = ("10.0.0.5", 40_700);
    let mut talk = Talk::open(&mut first, phone, ("198.18.0.1", 5_060));
    // Too much for a record, and its far end has not acknowledged it.
    let whole = sip_stream::invite(20);
    let heard = talk.utter(&mut first, Initiator, whole.as_bytes());
    assert!(heard.len() > crate::limits::ALG_RECORD_BYTES && heard.len() != whole.len());
    let mut second = taken_over(&mut first, masquerade());
    // It cannot be repeated: it is dropped, and not told otherwise.
    let again =
        talk.segment(Initiator, talk.sent[0].wrapping_sub(whole.len() as u32), whole.as_bytes());
    assert_eq!(second.drop(LAN, &again), crate::Reason::AlgBusy);
    // What follows it is right, and so is what acknowledges it.
    assert_eq!(talk.utter(&mut second, Initiator, b"\r\n"), b"\r\n");
    talk.nod(&mut second, Responder);
    let heard = talk.utter(&mut second, Initiator, whole.as_bytes());
    assert!(String::from_utf8_lossy(&heard).contains("c=IN IP4 198.51.100.1"));
    talk.nod(&mut second, Responder);
    // What was kept back and was not acknowledged is sent again.
    assert_eq!(talk.utter(&mut second, Initiator, &whole.as_bytes()[..1_400]), b"");
    let mut third = taken_over(&mut second, masquerade());
    let ahead = talk.segment(Initiator, talk.sent[0], &whole.as_bytes()[1_400..]);
    assert_eq!(third.drop(LAN, &ahead), crate::Reason::AlgGap);
    talk.sent[0] = talk.sent[0].wrapping_sub(1_400);
    assert_eq!(talk.utter(&mut third, Initiator, &whole.as_bytes()[..1_400]), b"");
    let heard = talk.utter(&mut third, Initiator, &whole.as_bytes()[1_400..]);
    assert!(String::from_utf8_lossy(&heard).contains("c=IN IP4 198.51.100.1"));
}

#[test]
fn a_record_has_no_more_than_fits_a_message() {
    let mut first = wall(masquerade());
    let mut talk = Talk::open(&mut first, ("10.0.0.5", 40_700), ("198.18.0.1", 5_060));
    for call in 0..12 {
        let invite = sip_stream::invite(3).replace("one@call", &format!("{call}@call"));
        let invite = invite.replace("m=audio 40000", &format!("m=audio {}", 41_000 + 2 * call));
        talk.utter(&mut first, Initiator, invite.as_bytes());
    }
    talk.utter(&mut first, Initiator, b"INVITE sip:");
    assert_eq!(first.engine.alg_now(), (1, 24));
    let place = (0..first.engine.sessions().places()).find(|place| {
        let mut bytes = Vec::new();
        first.engine.export_control(*place, first.now, &mut bytes);
        assert!(bytes.len() <= crate::limits::ALG_RECORD_BYTES, "{}", bytes.len());
        bytes.len() > 700
    });
    assert!(place.is_some());
    let mut second = taken_over(&mut first, masquerade());
    let (_, pinholes) = second.engine.alg_now();
    assert!(pinholes >= 8, "{pinholes}");
    let rest = sip_stream::invite(0);
    let heard = talk.utter(&mut second, Initiator, &rest.as_bytes()[11..]);
    assert!(String::from_utf8_lossy(&heard).contains("c=IN IP4 198.51.100.1"));
}

/// A node that owns, its backup, and where a transfer goes that was announced: the first packet of that
/// waits for the backup, which knows the pinhole and nothing else yet.
fn waiting_transfer(nat: &config::Nat) -> (Wall, Wall, (String, u16)) {
    let mut first = wall(nat.clone());
    let mut talk = Talk::open(&mut first, ("10.0.0.5", 40_000), ("198.18.0.1", 21));
    let to = six(&talk.line(&mut first, Initiator, "PORT 10,0,0,5,78,32\r\n"));
    let mut second = standby(nat.clone());
    tell(&mut first, &mut second);
    assert_eq!(second.engine.alg_now(), (1, 1));
    first.engine.set_peer(true, first.now);
    let (decision, _) = first.arrive(WAN, &transfer(&to, 20));
    assert_eq!(decision.verdict, crate::Verdict::Hold);
    (first, second, to)
}

/// The first packet of a transfer, from a port of the server's.
fn transfer((host, port): &(String, u16), from: u16) -> Builder<'static> {
    tcp(("198.18.0.1", from), (host, *port), SYN).seq(5).mss(1_460)
}

/// A backup that knew the pinhole hears that it is used up: another session would be let in by it.
#[test]
fn a_pinhole_that_was_used_before_a_takeover_lets_nobody_in_after_it() {
    for nat in [config::Nat::default(), masquerade()] {
        let (mut first, mut second, to) = waiting_transfer(&nat);
        let notes: Vec<_> = std::iter::from_fn(|| first.engine.next_note()).collect();
        // In this order: the child's record makes its packet leave.
        let [parent, child] = notes[..] else { panic!("{notes:?}") };
        assert_eq!((parent.kind, child.kind), (NoteKind::Changed, NoteKind::Opened));
        assert!(parent.sync && child.sync);
        let mut bytes = Vec::new();
        first.engine.export_control(parent.place, first.now, &mut bytes);
        second.engine.import_control(parent.place, &bytes, Contest::Owners, second.now);
        assert_eq!(second.engine.alg_now(), (1, 0));
        second.engine.take_over(second.now);
        second.drop(WAN, &transfer(&to, 21));
        assert_eq!(second.taken(&to.0), first.taken(&to.0) - u32::from(to.0 != "10.0.0.5"));
    }
}

/// The first node stops while a transfer's first packet waits for the second one: that knows the pinhole
/// still, and what the first one says of its channel was never done.
#[test]
fn a_transfer_that_comes_while_its_node_stops_is_let_in_by_the_next_one() {
    for nat in [config::Nat::default(), masquerade()] {
        let (mut first, mut second, to) = waiting_transfer(&nat);
        first.engine.stand_down();
        second.engine.take_over(second.now);
        // The channel's: it was there first.
        let place = 0;
        let mut bytes = Vec::new();
        first.engine.export_control(place, first.now, &mut bytes);
        second.engine.import_control(place, &bytes, Contest::Owners, second.now);
        assert_eq!(second.engine.alg_now(), (1, 1));
        // And the first one believes it.
        bytes.clear();
        second.engine.export_control(place, second.now, &mut bytes);
        first.engine.import_control(place, &bytes, Contest::Owners, first.now);
        assert_eq!(first.engine.alg_now(), (1, 1));
        second.pass(WAN, &transfer(&to, 20));
        assert_eq!(second.engine.alg_now(), (1, 0));
    }
}

#[test]
fn a_track_and_a_tunnel_that_were_announced_come_after_a_takeover() {
    for nat in [config::Nat::default(), masquerade()] {
        let mut first = wall(nat.clone());
        let mut talk = Talk::open(&mut first, rtsp::PLAYER, rtsp::SERVER);
        let offer = rtsp::setup(4, "RTP/AVP;unicast;client_port=55664-55665");
        let told = rtsp::ports(&talk.line(&mut first, Initiator, &offer), "client_port");
        let mut second = taken_over(&mut first, nat.clone());
        assert_eq!(second.engine.alg_now(), (1, 2));
        let chosen = format!("RTP/AVP;unicast;client_port={}-{}", told.0, told.1);
        let chosen = rtsp::answer(4, &format!("{chosen};server_port=6970-6971"));
        let heard = talk.line(&mut second, Responder, &chosen);
        assert_eq!(rtsp::ports(&heard, "client_port"), (55_664, 55_665));
        let public = talk.shown().source.0.to_string();
        let sound = udp((rtsp::SERVER.0, 6_970), (&public, told.0));
        second.pass(WAN, &sound);
        // What is sent survives the next one.
        let mut third = taken_over(&mut second, nat);
        assert_eq!(third.engine.alg_now(), (1, 4));
        assert_eq!(third.pass(WAN, &sound).ends().destination, (ip(rtsp::PLAYER.0), 55_664));
    }
    let mut first = wall(config::Nat::default());
    let mut talk = Talk::open(&mut first, pptp::CLIENT, pptp::SERVER);
    talk.utter(&mut first, Initiator, &pptp::request(3));
    talk.utter(&mut first, Responder, &pptp::reply(700, 3, 1));
    let to = pptp::gre(pptp::CLIENT.0, pptp::SERVER.0, 700);
    first.pass(LAN, &to);
    let mut second = taken_over(&mut first, config::Nat::default());
    assert_eq!(second.engine.alg_now(), (1, 2));
    second.pass(LAN, &to);
    second.pass(WAN, &pptp::gre(pptp::SERVER.0, pptp::CLIENT.0, 3));
}

/// After a takeover the second half of a line came first: that alone does not mean that the first half was
/// passed on before.
#[test]
fn what_comes_out_of_order_after_a_takeover_is_read_in_order() {
    let mut first = wall(masquerade());
    let mut talk = Talk::open(&mut first, ("10.0.0.5", 40_000), ("198.18.0.1", 21));
    talk.line(&mut first, Initiator, "NOOP\r\n");
    let mut second = taken_over(&mut first, masquerade());
    let at = talk.sent[0];
    let [head, tail] = ["PORT 10,0,", "0,5,78,32\r\n"];
    let early = talk.segment(Initiator, at + head.len() as u32, tail.as_bytes());
    assert_eq!(second.drop(LAN, &early), crate::Reason::AlgGap);
    assert_eq!(talk.say(&mut second, Initiator, head.as_bytes()), "");
    let heard = talk.say(&mut second, Initiator, tail.as_bytes());
    assert_eq!((six(&heard).0.as_str(), second.engine.alg_now()), ("198.51.100.1", (1, 1)));
}

/// The record is of before the answer of the server's stack: where its text begins is known all the same.
#[test]
fn the_first_line_of_a_server_is_read_in_order_after_a_takeover() {
    let mut first = wall(masquerade());
    let (client, server) = (("10.0.0.5", 40_000), ("198.18.0.1", 21));
    let syn = first.pass(LAN, &tcp(client, server, SYN).seq(1_000).mss(1_460)).ends().source;
    let mut second = standby(masquerade());
    tell(&mut first, &mut second);
    let back = (&*syn.0.to_string(), syn.1);
    first.pass(WAN, &tcp(server, back, SYN_ACK).seq(6_999).ack(1_001).mss(1_460));
    first.pass(LAN, &tcp(client, server, ACK).seq(1_001).ack(7_000));
    tell(&mut first, &mut second);
    second.engine.take_over(second.now);
    second.pass(LAN, &tcp(client, server, ACK).seq(1_001).ack(7_000));
    let [head, tail] = ["227 Entering Passive Mode (198,18,", "0,1,200,10)\r\n"];
    let says =
        |at: usize, text| tcp(server, back, ACK).seq(7_000 + at as u32).ack(1_001).payload(text);
    let early = says(head.len(), tail.as_bytes());
    assert_eq!(second.drop(WAN, &early), crate::Reason::AlgGap);
    second.arrive(WAN, &says(0, head.as_bytes()));
    second.arrive(WAN, &early);
    assert_eq!(second.engine.alg_now(), (1, 1));
}

/// What another node has passed on is not sent again: who sends only what follows is believed.
#[test]
fn what_the_record_does_not_know_of_is_passed_over_when_it_is_not_sent_again() {
    let mut first = wall(config::Nat::default());
    let mut talk = Talk::open(&mut first, ("10.0.0.5", 40_000), ("198.18.0.1", 21));
    let mut second = taken_over(&mut first, config::Nat::default());
    talk.line(&mut first, Initiator, "NOOP\r\n");
    let line = b"PORT 10,0,0,5,78,32\r\n";
    let next = talk.segment(Initiator, talk.sent[0], line);
    assert_eq!(second.drop(LAN, &next), crate::Reason::AlgGap);
    second.pass(LAN, &next);
    assert_eq!(second.engine.alg_now(), (1, 1));
}

/// Nodes have seeds of their own for their tables; what a call is called they must agree on.
#[test]
fn a_call_that_is_spoken_of_after_a_takeover_is_the_same_call() {
    for nat in [config::Nat::default(), masquerade()] {
        let mut first = wall(nat.clone());
        let mut talk = Talk::open(&mut first, ("10.0.0.5", 40_700), ("198.18.0.1", 5_060));
        let invite = sip_stream::invite(0);
        let told = talk.utter(&mut first, Initiator, invite.as_bytes());
        let mut second = taken_over(&mut first, nat);
        assert_ne!(first.engine.settings.seed, second.engine.settings.seed);
        let again = talk.utter(&mut second, Initiator, invite.as_bytes());
        assert_eq!(String::from_utf8(again), String::from_utf8(told), "the same ports");
        assert_eq!(second.engine.alg_now(), (1, 2));
        let bye = sip_stream::bye();
        talk.utter(&mut second, Initiator, bye.as_bytes());
        assert_eq!(second.engine.alg_now(), (1, 0));
    }
}
