//! From the first SYN to the end of the handshake, and what does not come so far.

use std::time::Duration;

use wire::TcpFlags;

use super::rig::*;
use crate::limits::{ASK_INTERVAL, ASK_TRIES, COOKIE_GRACE};
use crate::session::Flags;
use crate::tcp::State;
use crate::{Reason, Verdict};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_flood_of_syns_leaves_nothing_behind() {
    let mut firewall = Firewall::guarding(1);
    for number in 0..10_000_u16 {
        let [high, low] = number.to_be_bytes();
        let syn = wire::build::Builder::v4([198, 19, high, low], [10, 0, 0, 1]);
        let answer = firewall.syn_ack(&syn.tcp(4_000, 80).flags(SYN));
        assert_eq!((answer.flags, answer.window), (SYN_ACK, 0));
    }
    assert!(firewall.engine.sessions().is_empty());
    let counters = firewall.engine.counters();
    assert_eq!((counters.answered, counters.answers), (10_000, 10_000));
}

#[test]
fn a_client_that_answers_is_connected_with_all_that_it_offered() {
    for ends in [V4, V6] {
        let mut firewall = Firewall::guarding(1);
        let answer = firewall.syn_ack(&ends.syn());
        assert_eq!(answer.acknowledgment, after(CLIENT, 1));
        assert_eq!(answer.timestamps.unwrap().1, CLIENT_STAMP - 1);
        let cookie = Cookie::of(&answer);

        let syn = firewall.forward(OUT, &ends.ack(cookie), IN);
        let tcp = syn.tcp();
        assert_eq!((tcp.flags, tcp.sequence.0, tcp.payload_len), (SYN, CLIENT, 0));
        assert_eq!((tcp.mss, tcp.window_scale, tcp.sack_permitted), (Some(1_400), Some(9), true));
        assert_eq!(tcp.timestamps, Some((CLIENT_STAMP, 0)));
        // 1,000 at scale 9 do not fit into a SYN.
        assert_eq!((tcp.window, syn.packet().hop_limit), (u16::MAX, 63));
        assert_eq!(firewall.state(), State::SynSent);
        assert!(firewall.session().flags.has(Flags::PROXIED));

        let (decision, sent) = firewall.arrive(IN, &ends.syn_ack());
        assert_eq!((decision.verdict, sent.len()), (Verdict::Forward(OUT), 2));
        let [ack, opening] = [sent[0].tcp(), sent[1].tcp()];
        assert_eq!([sent[0].port, sent[1].port], [IN, OUT]);
        assert_eq!([ack.flags, opening.flags], [ACK; 2]);
        assert_eq!((ack.sequence, ack.acknowledgment), (after(CLIENT, 1), after(SERVER, 1)));
        assert_eq!((ack.timestamps, ack.window), (Some((CLIENT_STAMP, SERVER_STAMP)), 1_000));
        let next = (opening.sequence, opening.acknowledgment);
        assert_eq!(next, (after(cookie.number, 1), after(CLIENT, 1)));
        assert_eq!(opening.timestamps, Some((cookie.stamp, CLIENT_STAMP)));
        // 30,000, at the scale that the client was told.
        assert_eq!(opening.window, 30_000 >> 7);
        assert_eq!(firewall.state(), State::Established);
    }
}

#[test]
fn without_timestamps_the_mss_alone_is_kept() {
    let mut firewall = Firewall::guarding(1);
    let answer = firewall.syn_ack(&V4.bare_syn().mss(1_300).window_scale(9).sack_permitted());
    assert_eq!((answer.window_scale, answer.sack_permitted), (None, false));
    let ack = V4.client().flags(ACK).ack((answer.sequence + 1).0);
    let syn = firewall.forward(OUT, &ack, IN).tcp();
    assert_eq!((syn.mss, syn.window_scale, syn.timestamps), (Some(1_300), None, None));
    assert_eq!((syn.window, syn.sack_permitted), (1_000, false));
    let answer = V4.server().flags(SYN_ACK).seq(SERVER).mss(1_460).window(30_000);
    let (_, sent) = firewall.arrive(IN, &answer);
    assert_eq!((sent[0].tcp().window, sent[1].tcp().window), (1_000, 30_000));
    assert_eq!(firewall.state(), State::Established);
}

#[test]
fn a_wrong_cookie_and_an_old_one_open_nothing() {
    let mut firewall = Firewall::guarding(1);
    let cookie = Cookie::of(&firewall.syn_ack(&V4.syn()));
    let wrong = Cookie { number: cookie.number ^ 1 << 20, ..cookie };
    firewall.drop(OUT, &V4.ack(wrong), Reason::BadCookie);
    let stamp = Cookie { stamp: cookie.stamp ^ 1 << 20, ..cookie };
    firewall.drop(OUT, &V4.ack(stamp), Reason::BadCookie);
    firewall.engine.set_cookie_slot(SLOT + 2);
    firewall.drop(OUT, &V4.ack(cookie), Reason::BadCookie);
    firewall.engine.set_cookie_slot(SLOT + 1);
    firewall.drop(OUT, &V4.ack(cookie).flags(RST), Reason::TcpNotSyn);
    assert_eq!(firewall.engine.counters().dropped(Reason::BadCookie), 3);
    assert!(firewall.engine.sessions().is_empty());
    firewall.forward(OUT, &V4.ack(cookie), IN);
}

#[test]
fn when_the_guard_ends_its_cookies_are_good_for_a_while() {
    let mut firewall = Firewall::guarding(1);
    let cookie = Cookie::of(&firewall.syn_ack(&V4.syn()));
    firewall.wait(60 * SECOND);
    let other = Ends { port: 8_080, ..V4 };
    assert_eq!(firewall.forward(OUT, &other.syn(), IN).tcp().flags, SYN, "nobody is guarded");
    firewall.forward(OUT, &V4.ack(cookie), IN);
    let mut late = Firewall::guarding(1);
    late.wait(60 * SECOND + COOKIE_GRACE);
    late.drop(OUT, &V4.ack(cookie), Reason::TcpNotSyn);
}

#[test]
fn the_policy_judges_the_syn_and_speaks_of_the_ack() {
    let mut firewall = Firewall::guarding(1);
    let closed = Ends { port: 81, ..V4 };
    let cookie = Cookie::of(&firewall.syn_ack(&closed.syn()));
    firewall.drop(OUT, &closed.ack(cookie), Reason::Denied);
    let rejected = Ends { port: 82, ..V4 };
    let cookie = Cookie::of(&firewall.syn_ack(&rejected.syn()));
    let (decision, sent) = firewall.arrive(OUT, &rejected.ack(cookie));
    assert_eq!((decision.verdict, sent.len()), (Verdict::Answer, 1));
    let reset = sent[0].tcp();
    assert_eq!((reset.flags, reset.sequence), (RST, after(cookie.number, 1)));
    let few = Ends { port: 83, ..V4 };
    firewall.ask(few);
    let syn = few.syn().tcp(4_001, 83).flags(SYN).seq(CLIENT);
    let cookie = Cookie::of(&firewall.syn_ack(&syn));
    let ack = few.client().tcp(4_001, 83).flags(ACK).seq(CLIENT.wrapping_add(1));
    let ack = ack.ack(cookie.number.wrapping_add(1)).timestamps(CLIENT_STAMP, cookie.stamp);
    firewall.drop(OUT, &ack, Reason::RuleSessions);
    assert_eq!(firewall.engine.sessions().len(), 1);
}

#[test]
fn a_server_that_refuses_is_heard_by_its_client() {
    let mut firewall = Firewall::guarding(1);
    let cookie = firewall.ask(V4);
    let refusal = V4.server().flags(TcpFlags(RST.0 | ACK.0)).seq(0);
    let reset = firewall.forward(IN, &refusal, OUT).tcp();
    assert_eq!((reset.sequence, reset.acknowledgment), (after(cookie.number, 1), after(CLIENT, 1)));
    assert!(firewall.engine.sessions().is_empty());
}

#[test]
fn a_server_that_is_silent_is_asked_again_by_the_clock_and_not_for_ever() {
    let mut firewall = Firewall::guarding(1);
    firewall.ask(V4);
    let mut asked = 0;
    for _ in 0..4 * u32::from(ASK_TRIES) {
        let sent = firewall.wait(ASK_INTERVAL / 2);
        for syn in sent {
            assert_eq!((syn.port, syn.tcp().flags, syn.tcp().sequence.0), (IN, SYN, CLIENT));
            assert_eq!(syn.tcp().timestamps, Some((CLIENT_STAMP, 0)));
            assert_eq!(syn.frame[..6], [2, 0, 0, 0, 1, 0]);
            asked += 1;
        }
    }
    assert_eq!(asked, ASK_TRIES);
    firewall.wait(120 * SECOND);
    assert!(firewall.engine.sessions().is_empty(), "a SYN that nobody answered");
}

#[test]
fn a_server_is_asked_again_when_its_client_asks() {
    let mut firewall = Firewall::guarding(1);
    let cookie = firewall.ask(V4);
    firewall.drop(OUT, &V4.ack(cookie), Reason::ServerPending);
    // Without the clock's SYNs.
    firewall.now = firewall.now + ASK_INTERVAL + ASK_INTERVAL;
    let probe = V4.ack(cookie).seq(CLIENT);
    let syn = firewall.forward(OUT, &probe, IN).tcp();
    assert_eq!((syn.flags, syn.sequence.0, syn.window_scale), (SYN, CLIENT, Some(9)));
    firewall.drop(OUT, &probe, Reason::ServerPending);
    assert_eq!(firewall.state(), State::SynSent);
    let (_, sent) = firewall.arrive(IN, &V4.syn_ack());
    assert_eq!(sent.len(), 2);
}

#[test]
fn a_probe_in_the_place_of_the_lost_ack_opens_too() {
    let mut firewall = Firewall::guarding(1);
    let cookie = Cookie::of(&firewall.syn_ack(&V4.syn()));
    let syn = firewall.forward(OUT, &V4.ack(cookie).seq(CLIENT), IN).tcp();
    assert_eq!((syn.flags, syn.sequence.0), (SYN, CLIENT));
}

#[test]
fn a_client_that_gives_up_takes_its_server_along() {
    let mut firewall = Firewall::guarding(1);
    firewall.ask(V4);
    let reset = V4.client().flags(RST);
    assert_eq!(firewall.forward(OUT, &reset, IN).tcp().flags, RST);
    assert!(firewall.engine.sessions().is_empty());
}

#[test]
fn a_server_with_an_old_connection_is_told_to_forget_it() {
    let mut firewall = Firewall::guarding(1);
    firewall.ask(V4);
    let challenge = V4.server().flags(ACK).seq(77).ack(88);
    let (decision, sent) = firewall.arrive(IN, &challenge);
    assert_eq!((decision.verdict, sent[0].port), (Verdict::Answer, IN));
    assert_eq!((sent[0].tcp().flags, sent[0].tcp().sequence.0), (RST, 88));
    assert_eq!(firewall.state(), State::SynSent);
}

#[test]
fn a_session_that_was_beginning_or_is_over_gives_way() {
    let mut firewall = Firewall::new(1);
    firewall.forward(OUT, &V4.syn(), IN);
    assert!(!firewall.session().flags.has(Flags::PROXIED));
    firewall.guard(firewall.now + 60 * SECOND);
    firewall.connect(V4);
    assert_eq!(firewall.state(), State::Established);
    // Reset, and the same ports again.
    firewall.forward(OUT, &V4.client().flags(RST), IN);
    assert_eq!(firewall.state(), State::Close);
    let again = Cookie::of(&firewall.syn_ack(&V4.syn().seq(77_777)));
    let syn = firewall.forward(OUT, &V4.ack(again).seq(77_778), IN).tcp();
    assert_eq!((syn.flags, syn.sequence.0), (SYN, 77_777));
    assert_eq!(firewall.state(), State::SynSent);
}

#[test]
fn a_syn_of_an_open_connection_is_answered_too_and_does_it_no_harm() {
    let mut firewall = Firewall::guarding(1);
    let cookie = firewall.connect(V4);
    let again = Cookie::of(&firewall.syn_ack(&V4.bare_syn().seq(5)));
    let ack = V4.client().flags(ACK).seq(6).ack(again.number.wrapping_add(1));
    let (decision, _) = firewall.arrive(OUT, &ack);
    assert!(matches!(decision.verdict, Verdict::Drop(Reason::TcpWindow)), "{decision:?}");
    let data = V4.ack(cookie).payload(b"still here");
    assert_eq!(firewall.forward(OUT, &data, IN).tcp().payload_len, 10);
}

#[test]
fn what_would_happen_is_told_of_the_syn() {
    let mut firewall = Firewall::guarding(1);
    let cookie = Cookie::of(&firewall.syn_ack(&V4.syn()));
    for (ends, verdict) in [(V4, "forward"), (Ends { port: 81, ..V4 }, "drop")] {
        let cookie =
            if ends.port == 80 { cookie } else { Cookie::of(&firewall.syn_ack(&ends.syn())) };
        let mut frame = ends.ack(cookie).frame().to_vec();
        frame[..6].copy_from_slice(&firewall.engine.ports()[1].mac);
        assert_eq!(firewall.engine.explain(OUT, &frame, firewall.now).verdict, verdict);
    }
    let mut frame = V4.syn().frame().to_vec();
    frame[..6].copy_from_slice(&firewall.engine.ports()[1].mac);
    assert_eq!(firewall.engine.explain(OUT, &frame, firewall.now).verdict, "answer");
}
