//! Records on their way from node to node.

use proptest::prelude::*;

use super::rig::*;
use crate::record::Record;
use crate::replication::{Imported, NoteKind, Refused};
use crate::rules::NO_EPOCH;
use crate::session::{CloseReason, SessionId};
use crate::{Reason, Verdict, WorkerId};
use wire::{TcpFlags, Time};

#[test]
fn a_session_comes_over_as_it_is() {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    handshake(&mut a, 5_000);
    a.arrive(LAN, &udp(6_000, false));
    a.wait(std::time::Duration::from_secs(3));
    b.now = Time::from_secs(77_777);
    b.follow(&mut a);
    let mut there = a.records();
    let mut here = b.records();
    there.sort_by_key(|record| record.key);
    here.sort_by_key(|record| record.key);
    assert_eq!(there, here);
    assert_eq!(there[0].id, SessionId { node: 1, boot: 1, counter: 1 });
    let digests = [&a, &b].map(|node| {
        let mut sum = 0_u64;
        node.engine.sessions().page(crate::table::Cursor::default(), |_, session| {
            sum = sum.wrapping_add(node.engine.digest(session, None));
        });
        sum
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_record_of_a_session_that_is_gone_is_not_made() {
    let mut a = Node::new(1);
    a.arrive(LAN, &udp(6_000, false));
    let record = a.records()[0];
    let other = SessionId { counter: 2, ..record.id };
    assert!(a.engine.export(0, other, a.now).is_none());
    assert!(a.engine.export(1, record.id, a.now).is_none());
}

#[test]
fn a_record_that_has_the_peers_exchanged_is_refused() {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    a.arrive(LAN, &udp(6_000, false));
    let record = a.records()[0];
    let exchanged = Record { initiator: record.initiator.reversed(), ..record };
    assert!(matches!(b.import(&record), Imported::Opened(_)));
    assert_eq!(b.import(&exchanged), Imported::Refused(Refused::OtherInitiator));
    assert_eq!(b.records()[0].initiator, record.initiator);
}

#[test]
fn of_two_sessions_of_one_engine_the_later_stays() {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    a.arrive(LAN, &udp(6_000, false));
    let first = a.records()[0];
    let second = Record { id: SessionId { counter: 9, ..first.id }, ..first };
    assert!(matches!(b.import(&first), Imported::Opened(_)));
    assert!(matches!(b.import(&second), Imported::Opened(_)));
    assert_eq!(b.import(&first), Imported::Stale { place: 0, id: second.id });
    assert!(!b.engine.delete_replica(&first.key, first.id, b.now), "a late delete");
    assert!(b.engine.delete_replica(&first.key, second.id, b.now));
    assert!(b.engine.sessions().is_empty());
}

#[test]
fn of_two_nodes_sessions_the_owners_stays() {
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    a.arrive(LAN, &udp(6_000, false));
    b.arrive(LAN, &udp(6_000, false));
    let [of_a, of_b] = [&mut a, &mut b].map(|node| node.records()[0]);
    // Both were owners while they did not hear each other; then one of them yields.
    b.engine.stand_down();
    assert_eq!(a.import(&of_b), Imported::Conflict { kept: of_a.id, ended: of_b.id });
    assert_eq!(b.import(&of_a), Imported::Conflict { kept: of_a.id, ended: of_b.id });
    assert_eq!(b.records()[0].id, of_a.id);
    assert!(matches!(b.import(&of_a), Imported::Updated(_)));
    assert_eq!((a.engine.replicated().conflicts, b.engine.replicated().conflicts), (1, 1));
    assert!(!a.engine.delete_replica(&of_a.key, of_a.id, a.now), "an owner is told by nobody");
}

/// The client's SYN came to both, as hosts that look for their gateway do; the rest to one of them.
#[test]
fn after_a_split_the_session_that_is_further_on_stays_whoever_has_it() {
    for owner_is_open in [false, true] {
        let (mut owner, mut other) = (Node::new(1), Node::new(2));
        let (open, begun) =
            if owner_is_open { (&mut owner, &mut other) } else { (&mut other, &mut owner) };
        handshake(open, 5_000);
        begun.arrive(LAN, &tcp(5_000, false, SYN, 0, 0));
        let (kept, ended) = (open.records()[0].id, begun.records()[0].id);
        let [of_owner, of_other] = [&mut owner, &mut other].map(|node| node.records()[0]);
        other.engine.stand_down();
        let conflict = Imported::Conflict { kept, ended };
        assert_eq!([owner.merge(&of_other), other.merge(&of_owner)], [conflict; 2]);
        assert_eq!([owner.records()[0].id, other.records()[0].id], [kept; 2]);
        // What stays has seen both peers' numbers: nobody makes an ACK up that passes.
        let forged = tcp(5_000, true, ACK, 1 << 30, 1);
        assert_eq!(owner.verdict(WAN, &forged), Verdict::Drop(Reason::TcpWindow));
        assert_eq!(owner.verdict(LAN, &tcp(5_000, false, ACK, 1, 1)), Verdict::Forward(WAN));
    }
}

#[test]
fn of_sessions_that_are_equally_far_the_owners_stays_also_after_a_split() {
    let open: [fn(&mut Node); 3] = [
        |node| _ = node.arrive(LAN, &udp(6_000, false)),
        |node| _ = node.arrive(LAN, &tcp(6_000, false, SYN, 0, 0)),
        |node| handshake(node, 6_000),
    ];
    for open in open {
        let (mut a, mut b) = (Node::new(1), Node::new(2));
        open(&mut a);
        open(&mut b);
        let [of_a, of_b] = [&mut a, &mut b].map(|node| node.records()[0]);
        b.engine.stand_down();
        let conflict = Imported::Conflict { kept: of_a.id, ended: of_b.id };
        assert_eq!([a.merge(&of_b), b.merge(&of_a)], [conflict; 2]);
    }
}

#[test]
fn after_a_split_an_answered_flow_stays_and_a_connection_that_is_over_does_not() {
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    for node in [&mut a, &mut b] {
        node.arrive(LAN, &udp(6_000, false));
    }
    b.arrive(WAN, &udp(6_000, true));
    let of_b = b.records()[0];
    assert!(matches!(a.merge(&of_b), Imported::Conflict { kept, .. } if kept == of_b.id));
    let (mut a, mut b) = (Node::new(1), Node::new(2));
    handshake(&mut b, 5_000);
    b.arrive(LAN, &tcp(5_000, false, TcpFlags(TcpFlags::RST.0 | ACK.0), 1, 1));
    a.arrive(LAN, &tcp(5_000, false, SYN, 9_000, 0));
    let of_a = a.records()[0].id;
    for record in b.records() {
        assert!(matches!(a.merge(&record), Imported::Conflict { kept, .. } if kept == of_a));
    }
    assert_eq!(a.records()[0].id, of_a);
}

#[test]
fn a_name_outlives_two_takeovers() {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    handshake(&mut a, 5_000);
    b.follow(&mut a);
    b.engine.take_over(b.now);
    a.engine.stand_down();
    b.arrive(LAN, &udp(6_000, false));
    a.follow(&mut b);
    let names: Vec<SessionId> = a.records().iter().map(|record| record.id).collect();
    assert_eq!(names, [1, 2].map(|node| SessionId { node, boot: 1, counter: 1 }));
}

#[test]
fn a_rule_is_found_by_its_id_and_a_session_without_one_is_judged_anew() {
    let (mut a, mut b) = (Node::new(1), Node::backup(2));
    a.arrive(LAN, &udp(6_000, false));
    let record = a.records()[0];
    let Imported::Opened(handle) = b.import(&record) else { panic!("a new session") };
    let session = *b.engine.sessions().get(handle).unwrap();
    let rule = b.engine.rule_of(&session).unwrap();
    assert_eq!(b.engine.policy().rule(rule).id, "slow");
    assert_eq!(b.engine.record(&session, b.now).own_life, record.own_life);
    for (rule, epoch) in [(record.rule, 2), (record.rule + 1, 1), (0, 1)] {
        let mut b = Node::backup(2);
        let Imported::Opened(handle) = b.import(&Record { rule, epoch, ..record }) else {
            panic!("a new session");
        };
        assert_eq!(b.engine.sessions().get(handle).unwrap().epoch, NO_EPOCH);
        b.engine.take_over(b.now);
        let decision = b.arrive(WAN, &udp(6_000, true));
        assert_eq!(decision.verdict, Verdict::Forward(LAN));
        let session = *b.engine.sessions().get(handle).unwrap();
        let rule = b.engine.rule_of(&session).unwrap();
        assert_eq!(b.engine.policy().rule(rule).id, "slow");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let mut a = Node::new(1);
    for client in 0..4 {
        handshake(&mut a, 5_000 + client);
    }
    let records = a.records();
    let mut small = Node::with_capacity(2, 2);
    small.engine.stand_down();
    assert!(matches!(small.import(&records[0]), Imported::Opened(_)));
    assert!(matches!(small.import(&records[1]), Imported::Opened(_)));
    assert_eq!(small.import(&records[2]), Imported::Refused(Refused::TableFull));
    let mut other = Node::backup(2);
    other.engine.set_owners(std::sync::Arc::new([WorkerId(3); wire::SLOTS as usize]));
    let refused = Imported::Refused(Refused::OtherWorker(WorkerId(3)));
    assert_eq!(other.import(&records[0]), refused);
    let (protocol, ends) = (records[0].key.protocol(), records[0].key.ends());
    let (key, _) = wire::FlowKey::new(9, protocol, ends.0, ends.1);
    let elsewhere = Record { key, ..records[0] };
    let mut backup = Node::backup(2);
    assert_eq!(backup.import(&elsewhere), Imported::Refused(Refused::NoDomain));
}

#[test]
fn without_a_peer_nothing_is_noted() {
    let mut a = Node::new(1);
    handshake(&mut a, 5_000);
    let _ = a.records();
    a.arrive(LAN, &tcp(5_000, false, ACK, 1, 1));
    assert_eq!(a.notes(), []);
}

#[test]
fn one_note_for_each_change_and_one_for_all_packets_since_a_record() {
    let mut a = Node::new(1);
    a.async_peer();
    handshake(&mut a, 5_000);
    let id = SessionId { node: 1, boot: 1, counter: 1 };
    let kinds = |a: &mut Node| -> Vec<NoteKind> {
        let notes = a.notes();
        assert!(notes.iter().all(|note| (note.place, note.id) == (0, id)));
        notes.iter().map(|note| note.kind).collect()
    };
    assert_eq!(kinds(&mut a), [NoteKind::Opened, NoteKind::Changed, NoteKind::Changed]);
    let segment = |seq: u32| tcp(5_000, false, ACK, 1 + seq, 1).payload(b"ten bytes.");
    a.arrive(WAN, &tcp(5_000, true, ACK, 1, 1));
    a.arrive(LAN, &segment(0));
    assert_eq!(kinds(&mut a), [], "never exported: the note before stands");
    let record = a.records()[0];
    for place in 1..5 {
        a.arrive(LAN, &segment(place * 10));
    }
    assert_eq!(kinds(&mut a), [NoteKind::Moved]);
    a.arrive(LAN, &tcp(5_000, false, FIN, 51, 1));
    assert_eq!(kinds(&mut a), [NoteKind::Changed]);
    let (handle, _) = a.engine.session_at(0).unwrap();
    a.engine.end_session(handle, CloseReason::Cleared, a.now);
    assert_eq!(kinds(&mut a), [NoteKind::Closed(record.key, CloseReason::Cleared)]);
}

#[test]
fn a_full_ring_is_told_and_forgets_no_moved_session() {
    let mut a = Node::new(1);
    a.async_peer();
    handshake(&mut a, 5_000);
    let _ = a.records();
    for _ in 0..crate::limits::NOTES {
        a.arrive(LAN, &udp(6_000, false));
        let handle = a.engine.session_at(1).unwrap().0;
        a.engine.end_session(handle, CloseReason::Cleared, a.now);
    }
    assert!(a.engine.take_notes_lost());
    assert!(!a.engine.take_notes_lost());
    assert!(a.engine.replicated().notes_lost > 0);
    a.arrive(LAN, &tcp(5_000, false, ACK, 1, 1));
    assert_eq!(a.notes().len(), crate::limits::NOTES);
    a.arrive(LAN, &tcp(5_000, false, ACK, 1, 1));
    assert_eq!(a.notes().last().unwrap().kind, NoteKind::Moved);
}

/// What one peer does in a connection's life.
#[derive(Clone, Copy, Debug)]
enum Act {
    Data { reply: bool, bytes: u16 },
    Ack { reply: bool },
    Fin { reply: bool },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (any::<bool>(), 1_u16..1_400).prop_map(|(reply, bytes)| Act::Data { reply, bytes }),
        3 => any::<bool>().prop_map(|reply| Act::Ack { reply }),
        1 => any::<bool>().prop_map(|reply| Act::Fin { reply }),
    ]
}

/// The records of a connection after each of its packets.
fn history(acts: &[Act]) -> Vec<Record> {
    let mut a = Node::new(1);
    let mut records = Vec::new();
    let mut next = [1_u32; 2];
    let mut over = [false; 2];
    let mut pass = |packet: wire::build::Builder<'_>, reply: bool| {
        let ingress = if reply { WAN } else { LAN };
        assert!(matches!(a.verdict(ingress, &packet), Verdict::Forward(_)));
        records.extend(a.records());
    };
    pass(tcp(5_000, false, SYN, 0, 0), false);
    pass(tcp(5_000, true, SYN_ACK, 0, 1), true);
    pass(tcp(5_000, false, ACK, 1, 1), false);
    for act in acts {
        let (reply, flags, bytes) = match *act {
            Act::Data { reply, bytes } => (reply, ACK, usize::from(bytes)),
            Act::Ack { reply } => (reply, ACK, 0),
            Act::Fin { reply } => (reply, FIN, 0),
        };
        let (own, other) = (usize::from(reply), usize::from(!reply));
        if over[own] && (bytes > 0 || flags == FIN) {
            continue;
        }
        let data = vec![7; bytes];
        pass(tcp(5_000, reply, flags, next[own], next[other]).payload(&data), reply);
        over[own] |= flags == FIN;
        next[own] += bytes as u32 + u32::from(flags == FIN);
    }
    records
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    /// However often records come, and in whatever order: the last one tells all.
    #[test]
    fn records_may_overtake_one_another(
        acts in prop::collection::vec(act(), 1..12),
        order in prop::collection::vec(any::<prop::sample::Index>(), 1..30),
        last in any::<prop::sample::Index>(),
    ) {
        let records = history(&acts);
        let mut order: Vec<usize> = order.iter().map(|it| it.index(records.len())).collect();
        order.insert(last.index(order.len()), records.len() - 1);
        let (mut some, mut newest) = (Node::backup(2), Node::backup(2));
        let mut highest = 0;
        for place in order {
            let before = some.records();
            let imported = some.import(&records[place]);
            let stale = matches!(imported, Imported::Stale { .. });
            if stale {
                prop_assert!(place < highest, "{place} is not stale");
            }
            let after = some.records()[0];
            for before in before {
                let standing = before.tcp.standing(&after.tcp);
                prop_assert!(!standing.ahead, "something went back");
                prop_assert!((0..2).all(|side| before.packets[side] <= after.packets[side]));
            }
            highest = highest.max(place);
        }
        newest.import(records.last().unwrap());
        prop_assert_eq!(some.records(), newest.records());
    }
}
