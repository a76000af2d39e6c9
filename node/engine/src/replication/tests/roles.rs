//! Owners and backups.

use std::time::Duration;

use super::rig::*;
use crate::limits::{REPLICA_GRACE, TAKEOVER_GRACE};
use crate::replication::{Imported, NoteKind, Refused, Role};
use crate::rules::NO_EPOCH;
use crate::session::CloseReason;
use crate::{Reason, RuleIndex, Verdict};

const NOT_OWNER: Verdict = Verdict::Drop(Reason::NotOwner);

#[test]
fn a_backup_forwards_nothing_and_an_owner_that_stands_down_neither() {
    let mut backup = Node::backup(2);
    assert_eq!(backup.engine.role(), Role::Backup);
    assert_eq!(backup.verdict(LAN, &tcp(5_000, false, SYN, 0, 0)), NOT_OWNER);
    let mut a = Node::new(1);
    handshake(&mut a, 5_000);
    // Both directions have been straight.
    for _ in 0..2 {
        assert_eq!(a.verdict(LAN, &tcp(5_000, false, ACK, 1, 1)), Verdict::Forward(WAN));
        assert_eq!(a.verdict(WAN, &tcp(5_000, true, ACK, 1, 1)), Verdict::Forward(LAN));
    }
    a.engine.stand_down();
    assert_eq!(a.verdict(LAN, &tcp(5_000, false, ACK, 1, 1)), NOT_OWNER);
    assert_eq!(a.verdict(WAN, &tcp(5_000, true, ACK, 1, 1)), NOT_OWNER);
    assert_eq!(a.verdict(LAN, &udp(6_000, false)), NOT_OWNER);
    assert_eq!(a.dropped(Reason::NotOwner), 3);
    a.engine.take_over(a.now);
    assert_eq!(a.verdict(LAN, &tcp(5_000, false, ACK, 1, 1)), Verdict::Forward(WAN));
}

#[test]
fn fragments_and_datagrams_of_a_backup_go_nowhere() {
    let mut backup = Node::backup(2);
    let data = [7; 800];
    let first = udp(6_000, false).payload(&data).fragment(1, 0, true);
    assert_eq!(backup.verdict(LAN, &first), NOT_OWNER);
    assert_eq!(backup.engine.counters().held, 0);
}

#[test]
fn packets_that_waited_for_a_neighbour_do_not_leave_a_node_that_stands_down() {
    let mut a = Node::new(1);
    let address = "192.0.2.129".parse().unwrap();
    let gone = crate::fib::FibChange::NeighbourLost { port: WAN, address };
    a.engine.apply(&[gone]);
    assert_eq!(a.verdict(LAN, &udp(6_000, false)), Verdict::Hold);
    a.engine.stand_down();
    assert_eq!((a.engine.counters().held, a.dropped(Reason::NotOwner)), (0, 1));
    a.engine.counters().balance().unwrap();
}

#[test]
fn replicas_do_not_age_until_their_owner_has_been_silent_for_long() {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    a.arrive(LAN, &udp(6_000, false));
    b.follow(&mut a);
    b.wait(REPLICA_GRACE - Duration::from_secs(60));
    assert_eq!(b.engine.sessions().len(), 1);
    b.wait(Duration::from_secs(400));
    b.wait(Duration::from_secs(70));
    assert!(b.engine.sessions().is_empty());
    assert!(b.engine.next_event().is_none(), "of its end the owner tells");
}

#[test]
fn after_a_takeover_lives_go_on_where_they_were() {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    a.async_peer();
    a.arrive(LAN, &udp(6_000, false)); // lives for 30 s
    handshake(&mut a, 5_000); // for days
    b.follow(&mut a);
    b.wait(Duration::from_secs(25));
    b.engine.take_over(b.now);
    b.wait(Duration::from_secs(4));
    assert_eq!(b.engine.sessions().len(), 2);
    b.wait(TAKEOVER_GRACE);
    assert_eq!(b.engine.sessions().len(), 1);
}

#[test]
fn a_session_past_its_last_known_life_is_given_a_little_more() {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    a.arrive(LAN, &udp(6_000, false));
    b.follow(&mut a);
    b.wait(Duration::from_secs(100));
    b.async_peer();
    b.engine.take_over(b.now);
    b.wait(Duration::from_secs(2));
    let decision = b.arrive(WAN, &udp(6_000, true));
    assert_eq!(decision.verdict, Verdict::Forward(LAN));
    assert_eq!(decision.session.unwrap().node, 1);
    // And one for which nothing comes ends, with a note for the next backup.
    let mut c = Node::backup(3);
    c.follow(&mut a);
    c.wait(Duration::from_secs(100));
    c.async_peer();
    c.engine.take_over(c.now);
    c.wait(TAKEOVER_GRACE + Duration::from_secs(61));
    assert!(c.engine.sessions().is_empty());
    assert!(matches!(c.notes()[..], [note] if matches!(note.kind, NoteKind::Closed(..))));
}

#[test]
fn a_backup_leaves_sessions_of_an_older_policy_to_their_owner() {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    a.arrive(LAN, &udp(6_000, false));
    b.follow(&mut a);
    let strict = RULES.replace("\"permit\"", "\"deny\"").replace("timeout = \"90s\"", "");
    b.commit(&strict, 2);
    b.wait(Duration::from_secs(1));
    assert_eq!(b.engine.sessions().len(), 1);
    b.engine.take_over(b.now);
    b.wait(Duration::from_secs(1));
    assert!(b.engine.sessions().is_empty(), "an owner judges it");
}

/// The rules at other places, with another one before them.
fn moved() -> String {
    let (head, rules) = RULES.split_once("[[rule]]").unwrap();
    let new =
        "id = \"new\"\nfrom = \"in\"\nto = \"out\"\nservice = \"tcp/1\"\naction = \"permit\"\n";
    format!("{head}[[rule]]\n{new}[[rule]]{rules}")
        .replace("log =", "replication = \"async\"\nlog =")
}

fn echo() -> wire::build::Builder<'static> {
    wire::build::Builder::v4([10, 0, 0, 1], [198, 18, 0, 1]).echo_request(7, 0)
}

/// An owner with a connection, a datagram and an echo request, and its backup.
fn pair() -> (Node, Node) {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    a.async_peer();
    handshake(&mut a, 5_000);
    a.arrive(LAN, &udp(6_000, false));
    a.arrive(LAN, &echo());
    a.notes();
    b.follow(&mut a);
    (a, b)
}

fn digests(node: &Node) -> Vec<u64> {
    let sessions = (0..64).filter_map(|place| node.engine.session_at(place));
    let mut digests: Vec<u64> =
        sessions.map(|(_, session)| node.engine.digest(session, None)).collect();
    digests.sort_unstable();
    digests
}

#[test]
fn a_backup_follows_rules_through_a_commit_without_a_record() {
    // Whichever of both switches first.
    for owner_first in [true, false] {
        let (mut a, mut b) = pair();
        let order = if owner_first { [&mut a, &mut b] } else { [&mut b, &mut a] };
        for node in order {
            node.commit(&moved(), 2);
            node.wait(Duration::from_secs(1));
        }
        assert!(a.notes().is_empty(), "the same rules: a million sessions would make no traffic");
        assert_eq!((digests(&a), digests(&a).len()), (digests(&b), 3));
        b.engine.take_over(b.now);
        b.wait(Duration::from_secs(1));
        assert!(epochs(&b).iter().all(|epoch| *epoch == 2), "{:?}", epochs(&b));
        assert_eq!(rules(&b), rules(&a));
    }
}

#[test]
fn what_an_owner_ends_by_a_commit_ends_on_its_backup() {
    let (mut a, mut b) = pair();
    let last = "action = \"permit\"\nreplication = \"async\"\nlog = [\"close\"]";
    let deny = moved().replace(last, "action = \"deny\"");
    for node in [&mut b, &mut a] {
        node.commit(&deny, 2);
        node.wait(Duration::from_secs(1));
    }
    assert_eq!((a.engine.sessions().len(), b.engine.sessions().len()), (1, 3));
    for note in a.notes() {
        let NoteKind::Closed(key, CloseReason::Policy) = note.kind else { panic!("{note:?}") };
        assert!(b.engine.delete_replica(&key, note.id, b.now));
    }
    assert_eq!(b.engine.sessions().len(), 1);
}

#[test]
fn a_session_that_matches_another_rule_is_told_to_the_backup() {
    let (mut a, mut b) = pair();
    let first = "[[rule]]\nid = \"first\"\nfrom = \"in\"\nto = \"out\"\nservice = \"tcp\"\n\
                 action = \"permit\"\n";
    let text = moved().replacen("[[rule]]", &format!("{first}[[rule]]"), 1);
    for node in [&mut b, &mut a] {
        node.commit(&text, 2);
        node.wait(Duration::from_secs(1));
    }
    assert_ne!(digests(&a), digests(&b));
    let [note] = a.notes()[..] else { panic!("one session has another rule") };
    let record = a.record(note.place, note.id);
    b.import(&record);
    assert_eq!(digests(&a), digests(&b));
}

#[test]
fn after_a_takeover_all_are_judged_without_a_packet_whatever_came_meanwhile() {
    for permitted in [true, false] {
        let (mut a, mut b) = (Node::new(1), Node::backup(2));
        a.async_peer();
        // It comes under a policy that its backup does not run, so that the backup knows no rule of it.
        let action = if permitted { "permit" } else { "deny" };
        let text =
            RULES.replace("\"permit\"", &format!("\"{action}\"")).replace("log = [\"close\"]", "");
        b.commit(&text.replace("timeout = \"90s\"", ""), 2);
        handshake(&mut a, 5_000);
        a.arrive(LAN, &udp(6_000, false));
        a.arrive(LAN, &echo());
        b.follow(&mut a);
        assert!(epochs(&b).iter().all(|epoch| *epoch == NO_EPOCH));
        b.wait(Duration::from_secs(5));
        assert_eq!(b.engine.sessions().len(), 3, "what becomes of them their owner says");
        b.engine.take_over(b.now);
        b.wait(Duration::from_secs(1));
        assert_eq!(epochs(&b), if permitted { vec![2; 3] } else { vec![] });
    }
}

fn epochs(node: &Node) -> Vec<u32> {
    let sessions = (0..64).filter_map(|place| node.engine.session_at(place));
    sessions.map(|(_, session)| session.epoch).collect()
}

#[test]
fn an_owner_judges_at_once_what_comes_under_another_policy() {
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    handshake(&mut a, 5_000);
    b.commit(RULES, 2);
    b.wait(Duration::from_secs(1));
    b.follow(&mut a);
    assert_eq!(rules(&b), rules(&a));
    assert_eq!(rules(&b), [Some(RuleIndex(1))]);
}

#[test]
fn what_an_owner_denies_does_not_come_in_by_a_record_of_another_policy() {
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    handshake(&mut a, 5_000);
    b.engine.set_peer(true, b.now);
    b.commit(&RULES.replace("\"permit\"\nlog", "\"deny\"\nlog"), 2);
    let record = a.records()[0];
    assert_eq!(b.import(&record), Imported::Refused(Refused::Denied));
    assert!(b.engine.sessions().is_empty());
    // And its sender is told.
    let closed = NoteKind::Closed(record.key, CloseReason::Policy);
    assert!(b.notes().iter().any(|note| note.id == record.id && note.kind == closed));
}

fn rules(node: &Node) -> Vec<Option<RuleIndex>> {
    let sessions = (0..64).filter_map(|place| node.engine.session_at(place));
    sessions.map(|(_, session)| node.engine.rule_of(session)).collect()
}
