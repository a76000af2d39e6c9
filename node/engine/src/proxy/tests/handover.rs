//! What a backup knows of such a connection, and goes on with.

use std::time::Duration;

use super::super::{Asked, Joined, Proxied};
use super::rig::*;
use crate::replication::Imported;
use crate::session::Flags;
use crate::tcp::State;
use crate::{Reason, Verdict};

fn backup() -> Firewall {
    let mut backup = Firewall::new(2);
    backup.engine.stand_down();
    backup
}

/// What `from` knows goes to `to`, which then takes over.
fn take_over(from: &mut Firewall, to: &mut Firewall) {
    let record = from.record();
    assert!(matches!(to.import(&record), Imported::Opened(_)));
    to.now = from.now;
    to.engine.take_over(to.now);
}

#[test]
fn an_open_connection_goes_on() {
    let (mut a, mut b) = (Firewall::guarding(1), backup());
    let cookie = a.connect(V4);
    take_over(&mut a, &mut b);
    let data = V4.server().flags(ACK).payload(&[1; 300]);
    let seen = b.forward(IN, &data.timestamps(SERVER_STAMP, CLIENT_STAMP), OUT).tcp();
    assert_eq!(
        (seen.sequence, seen.timestamps.unwrap().0),
        (after(cookie.number, 1), cookie.stamp)
    );
    let ack = V4.ack(cookie).ack(after(cookie.number, 301).0);
    let seen = b.forward(OUT, &ack, IN).tcp();
    assert_eq!(seen.acknowledgment, after(SERVER, 301));
    assert_eq!(seen.timestamps, Some((CLIENT_STAMP, SERVER_STAMP)));
    // A FIN ahead of the known numbers has to prove itself: in the numbers of its sender.
    let far = V4.server().flags(FIN).seq(after(SERVER, 301 + 1_000 * 512 + 20_000).0);
    let (decision, sent) = b.arrive(IN, &far);
    assert_eq!((decision.verdict, sent[0].port), (Verdict::Answer, IN));
    let known = sent[0].tcp().acknowledgment;
    assert_eq!(known, after(SERVER, 301));
}

#[test]
fn a_connection_whose_server_is_asked_goes_on_when_it_answers() {
    let (mut a, mut b) = (Firewall::guarding(1), backup());
    let cookie = a.ask(V4);
    take_over(&mut a, &mut b);
    assert_eq!(b.state(), State::SynSent);
    let (decision, sent) = b.arrive(IN, &V4.syn_ack());
    assert_eq!((decision.verdict, sent.len()), (Verdict::Forward(OUT), 2));
    assert_eq!(sent[1].tcp().sequence, after(cookie.number, 1));
    let seen = b.forward(OUT, &V4.ack(cookie), IN).tcp();
    assert_eq!(seen.acknowledgment, after(SERVER, 1));
}

#[test]
fn a_cookie_is_good_on_every_node() {
    let (mut a, mut b) = (Firewall::guarding(1), Firewall::guarding(2));
    let cookie = Cookie::of(&a.syn_ack(&V4.syn()));
    assert_eq!(b.forward(OUT, &V4.ack(cookie), IN).tcp().flags, SYN);
    assert_eq!(b.syn_ack(&V4.syn()).sequence.0, cookie.number);
    let mut unguarded = Firewall::new(3);
    unguarded.drop(OUT, &V4.ack(cookie), Reason::TcpNotSyn);
}

#[test]
fn what_is_further_on_stays() {
    let (mut a, mut b) = (Firewall::guarding(1), backup());
    a.ask(V4);
    let asked = a.record();
    assert!(matches!(asked.proxied, Some(Proxied::Asked(_))));
    b.import(&asked);
    a.arrive(IN, &V4.syn_ack());
    let joined = a.record();
    assert!(matches!(joined.proxied, Some(Proxied::Joined(_))));
    assert!(matches!(b.import(&joined), Imported::Updated(_)));
    assert_eq!(b.record().proxied, joined.proxied);
    // A late record takes nothing back.
    assert!(matches!(b.import(&asked), Imported::Stale { .. }));
    assert_eq!(b.record().proxied, joined.proxied);
}

#[test]
fn a_session_that_no_cookie_opened_has_a_record_as_ever() {
    let mut firewall = Firewall::guarding(1);
    let other = Ends { port: 8_080, ..V4 };
    firewall.wait(Duration::from_secs(60));
    firewall.forward(OUT, &other.syn(), IN);
    assert!(!firewall.session().flags.has(Flags::PROXIED));
    let record = firewall.record();
    assert_eq!((record.proxied, record.to_bytes()[0]), (None, 1));
}

#[test]
fn words_that_mean_nothing_are_refused() {
    let joined = Proxied::Joined(Joined { shift: 7, stamp_shift: 8, up: 14, down: -7 });
    assert_eq!(Proxied::from_words(&joined.to_words()), Some(joined));
    let with = |at: usize, word: u32| {
        let mut words = joined.to_words();
        words[at] = word;
        Proxied::from_words(&words)
    };
    assert_eq!(with(0, 0), None);
    assert_eq!(with(0, 3 << 24), None);
    assert_eq!(with(0, 2 << 24 | 15 << 16), None, "no window is shifted so far");
    assert_eq!(with(0, 2 << 24 | 0xf8 << 8), None, "nor so");
    assert_eq!(with(5, 1), None);
    let mut firewall = Firewall::guarding(1);
    firewall.ask(V4);
    let Some(Proxied::Asked(asked)) = firewall.record().proxied else { panic!() };
    let Asked { client, offer, .. } = asked;
    assert_eq!((client.0, offer.mss, offer.window_scale()), (CLIENT, 1_400, Some(9)));
    let words = Proxied::Asked(asked).to_words();
    assert_eq!(Proxied::from_words(&words), Some(Proxied::Asked(asked)));
    assert_eq!(Proxied::from_words(&[words[0] | 1 << 23, words[1], words[2], 0, 0, 9]), None);
}
