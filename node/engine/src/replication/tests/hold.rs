//! Packets that wait for the backup.

use std::time::Duration;

use super::rig::*;
use crate::limits::{SYNC_FRAMES, SYNC_LIFE, SYNC_PER_SESSION};
use crate::replication::{NoteKind, Unconfirmed};
use crate::session::{CloseReason, SessionId};
use crate::{PortId, Reason, Verdict};

const CLIENT: u16 = 5_000;
const FIRST: SessionId = SessionId { node: 1, boot: 1, counter: 1 };

fn with_peer() -> Node {
    let mut a = Node::new(1);
    a.engine.set_peer(true, a.now);
    a
}

/// The backup has the session in place 0 as it is now.
fn confirm(a: &mut Node) {
    let mark = a.engine.mark();
    a.engine.release(0, FIRST, mark, a.now);
    a.engine.counters().balance().unwrap();
}

fn syn() -> wire::build::Builder<'static> {
    tcp(CLIENT, false, SYN, 0, 0)
}

fn data(seq: u32) -> wire::build::Builder<'static> {
    tcp(CLIENT, false, ACK, seq, 1).payload(b"data")
}

/// Sequence numbers of the frames sent by the port, from the client's initial one.
fn sequences(a: &mut Node, by: PortId) -> Vec<u32> {
    let frames = a.sent();
    let numbers = frames.iter().filter(|(port, _)| *port == by).map(|(_, frame)| {
        let wire::Transport::Tcp(tcp) = wire::Packet::parse(frame).unwrap().body else {
            panic!("TCP");
        };
        tcp.sequence.0.wrapping_sub(INITIAL[0])
    });
    numbers.collect()
}

#[test]
fn a_handshake_waits_twice_and_then_goes_straight() {
    let mut a = with_peer();
    assert_eq!(a.verdict(LAN, &syn()), Verdict::Hold);
    assert_eq!(a.engine.counters().held, 1);
    assert!(matches!(a.notes()[..], [note] if note.sync && note.kind == NoteKind::Opened));
    confirm(&mut a);
    assert_eq!(a.sent().len(), 1);
    assert_eq!(a.verdict(WAN, &tcp(CLIENT, true, SYN_ACK, 0, 1)), Verdict::Hold);
    assert!(a.notes().iter().any(|note| note.sync && note.kind == NoteKind::Changed));
    confirm(&mut a);
    assert_eq!(a.sent().len(), 1);
    for seq in [1, 5, 9] {
        assert_eq!(a.verdict(LAN, &data(seq)), Verdict::Forward(WAN));
        assert_eq!(a.verdict(WAN, &tcp(CLIENT, true, ACK, 1, seq)), Verdict::Forward(LAN));
    }
    assert_eq!((a.engine.counters().held, a.engine.counters().forwarded), (0, 8));
}

#[test]
fn a_record_from_before_the_syn_ack_confirms_no_syn_ack() {
    let mut a = with_peer();
    a.arrive(LAN, &syn());
    let early = a.engine.mark();
    a.engine.release(0, FIRST, early, a.now);
    a.arrive(WAN, &tcp(CLIENT, true, SYN_ACK, 0, 1));
    a.sent();
    a.engine.release(0, FIRST, early, a.now);
    assert_eq!(a.sent(), []);
    let other = SessionId { counter: 2, ..FIRST };
    a.engine.release(0, other, a.engine.mark(), a.now);
    assert_eq!((a.sent(), a.engine.held_for_backup()), (vec![], 1));
}

#[test]
fn what_follows_waits_in_order_and_the_queue_has_an_end() {
    let mut a = with_peer();
    a.arrive(LAN, &syn());
    confirm(&mut a);
    a.sent();
    a.arrive(WAN, &tcp(CLIENT, true, SYN_ACK, 0, 1));
    for seq in 0..SYNC_PER_SESSION as u32 - 1 {
        assert_eq!(a.verdict(LAN, &data(1 + 4 * seq)), Verdict::Hold);
    }
    a.engine.set_unconfirmed(Unconfirmed::Drop);
    assert_eq!(a.verdict(LAN, &data(29)), Verdict::Drop(Reason::HoldFull));
    assert_eq!(a.engine.counters().held, SYNC_PER_SESSION as u64);
    confirm(&mut a);
    assert_eq!(sequences(&mut a, WAN), [1, 5, 9, 13, 17, 21, 25]);
    assert_eq!(a.verdict(LAN, &data(29)), Verdict::Forward(WAN));
}

#[test]
fn one_too_many_takes_all_before_it_along_in_order() {
    let mut a = with_peer();
    a.arrive(LAN, &syn());
    confirm(&mut a);
    a.sent();
    a.arrive(WAN, &tcp(CLIENT, true, SYN_ACK, 0, 1));
    for seq in 0..SYNC_PER_SESSION as u32 - 1 {
        assert_eq!(a.verdict(LAN, &data(1 + 4 * seq)), Verdict::Hold);
    }
    assert_eq!(a.verdict(LAN, &data(29)), Verdict::Forward(WAN));
    assert_eq!(sequences(&mut a, WAN), [1, 5, 9, 13, 17, 21, 25, 29]);
    assert_eq!((a.engine.counters().held, a.dropped(Reason::HoldFull)), (0, 0));
    assert_eq!(a.engine.replicated().holds_skipped, 1);
    confirm(&mut a);
    assert_eq!(a.sent(), [], "nobody waits for that word any more");
}

#[test]
fn a_silent_backup_is_asked_by_one_session_at_a_time() {
    let mut a = with_peer();
    let syn = |client: u16| tcp(client, false, SYN, 0, 0);
    assert_eq!(a.verdict(LAN, &syn(1_000)), Verdict::Hold);
    assert_eq!(a.verdict(LAN, &syn(1_001)), Verdict::Hold);
    a.wait(SYNC_LIFE);
    assert_eq!(a.sent().len(), 2);
    assert_eq!(a.verdict(LAN, &syn(1_002)), Verdict::Hold, "it asks");
    assert_eq!(a.verdict(LAN, &syn(1_003)), Verdict::Forward(WAN));
    assert_eq!(a.verdict(LAN, &syn(1_002)), Verdict::Hold, "behind its first");
    a.wait(SYNC_LIFE);
    assert_eq!(a.sent().len(), 2);
    assert_eq!(a.verdict(LAN, &syn(1_004)), Verdict::Hold, "it asks again");
    let fifth = SessionId { counter: 5, ..FIRST };
    a.engine.release(4, fifth, a.engine.mark(), a.now);
    assert_eq!(a.sent().len(), 1);
    for client in 1_005..1_008 {
        assert_eq!(a.verdict(LAN, &syn(client)), Verdict::Hold, "all wait again");
    }
}

#[test]
fn a_wait_that_takes_too_long_ends_as_it_was_chosen() {
    for (unconfirmed, leaves) in [(Unconfirmed::Forward, 2), (Unconfirmed::Drop, 0)] {
        let mut a = with_peer();
        a.engine.set_unconfirmed(unconfirmed);
        a.arrive(LAN, &udp(CLIENT, false));
        assert_eq!(a.engine.held_for_backup(), 0, "its rule says async");
        a.arrive(LAN, &syn());
        a.wait(SYNC_LIFE / 2);
        a.arrive(LAN, &syn());
        assert_eq!(a.engine.next_hold_expiry(), Some(a.now + SYNC_LIFE / 2));
        a.wait(SYNC_LIFE / 2 - Duration::from_millis(1));
        assert_eq!(a.sent().len(), 0);
        a.wait(Duration::from_millis(1));
        assert_eq!(a.sent().len(), leaves);
        assert_eq!(a.dropped(Reason::HoldExpired), 2 - leaves as u64);
        assert_eq!(a.engine.replicated().holds_expired, 1);
        // Sent again, it waits only where nothing leaves without.
        let again = a.verdict(LAN, &syn());
        match unconfirmed {
            Unconfirmed::Forward => assert_eq!(again, Verdict::Forward(WAN)),
            Unconfirmed::Drop => assert_eq!(again, Verdict::Hold),
        }
    }
}

#[test]
fn what_finds_no_room_goes_on_or_not() {
    for unconfirmed in [Unconfirmed::Forward, Unconfirmed::Drop] {
        let mut a = Node::with_capacity(1, 2 * SYNC_FRAMES as u32);
        a.engine.set_peer(true, a.now);
        a.engine.set_unconfirmed(unconfirmed);
        let syn = |client: u16| tcp(client, false, SYN, 0, 0);
        for client in 0..SYNC_FRAMES as u16 {
            assert_eq!(a.verdict(LAN, &syn(1_000 + client)), Verdict::Hold);
        }
        let expected = match unconfirmed {
            Unconfirmed::Forward => Verdict::Forward(WAN),
            Unconfirmed::Drop => Verdict::Drop(Reason::HoldFull),
        };
        assert_eq!(a.verdict(LAN, &syn(9_000)), expected);
        let skipped = u64::from(unconfirmed == Unconfirmed::Forward);
        assert_eq!(a.engine.replicated().holds_skipped, skipped);
        // What would overtake others of its session goes behind them, or not at all.
        assert_eq!(a.verdict(LAN, &syn(1_000)), expected);
    }
}

#[test]
fn a_session_that_ends_takes_its_held_packets_along() {
    let mut a = with_peer();
    a.arrive(LAN, &syn());
    let (handle, _) = a.engine.session_at(0).unwrap();
    a.engine.end_session(handle, CloseReason::Cleared, a.now);
    assert_eq!((a.engine.counters().held, a.dropped(Reason::HoldClosed)), (0, 1));
    // Its place is another's now, and no late word lets anything out.
    a.arrive(LAN, &syn());
    a.engine.release(0, FIRST, u64::MAX, a.now);
    assert_eq!((a.sent(), a.engine.held_for_backup()), (vec![], 1));
}

#[test]
fn a_policy_that_forbids_the_session_drops_what_it_held() {
    let mut a = with_peer();
    a.arrive(LAN, &syn());
    a.commit(&RULES.replace("\"permit\"", "\"deny\"").replace("timeout = \"90s\"", ""), 2);
    a.wait(Duration::from_millis(1));
    assert!(a.engine.sessions().is_empty());
    assert_eq!((a.engine.counters().held, a.dropped(Reason::HoldClosed)), (0, 1));
    // One that goes on permitting it lets it wait.
    let mut a = with_peer();
    a.arrive(LAN, &syn());
    a.commit(RULES, 2);
    a.wait(Duration::from_millis(1));
    confirm(&mut a);
    assert_eq!(a.sent().len(), 1);
}

#[test]
fn a_port_that_goes_down_and_a_neighbour_that_is_lost_meanwhile() {
    let mut a = with_peer();
    a.arrive(LAN, &syn());
    a.engine.set_port(WAN, |port| port.up = false);
    confirm(&mut a);
    assert_eq!((a.sent(), a.dropped(Reason::PortDown)), (vec![], 1));
    // Without a next hop it waits once more.
    let mut a = with_peer();
    let address = "192.0.2.129".parse().unwrap();
    a.engine.apply(&[crate::fib::FibChange::NeighbourLost { port: WAN, address }]);
    assert_eq!(a.verdict(LAN, &syn()), Verdict::Hold);
    assert_eq!(a.engine.next_resolve(), None);
    confirm(&mut a);
    assert_eq!(a.engine.next_resolve(), Some((WAN, address)));
    assert_eq!((a.engine.counters().held, a.engine.held_for_backup()), (1, 0));
    let state = crate::fib::NeighbourState::Permanent;
    let mac = [2, 9, 9, 9, 9, 9];
    a.engine.apply(&[crate::fib::FibChange::NeighbourSet { port: WAN, address, mac, state }]);
    let sent = a.sent();
    assert!(matches!(&sent[..], [(WAN, frame)] if frame[..6] == mac));
    a.engine.counters().balance().unwrap();
}

#[test]
fn a_datagram_in_pieces_is_held_and_counted_once() {
    let mut a = with_peer();
    a.engine.set_port(WAN, |port| port.mtu = 600);
    let data = [7; 1_400];
    let big = wire::build::Builder::v4([10, 0, 0, 1], [198, 18, 0, 1]).udp(4_000, 4_000);
    assert_eq!(a.verdict(LAN, &big.payload(&data)), Verdict::Hold);
    assert_eq!((a.engine.counters().held, a.engine.held_for_backup()), (1, 3));
    confirm(&mut a);
    assert_eq!((a.sent().len(), a.engine.counters().forwarded), (3, 1));
}

#[test]
fn a_peer_that_goes_away_lets_all_go_on() {
    let mut a = with_peer();
    a.arrive(LAN, &syn());
    a.engine.set_peer(false, a.now);
    assert_eq!(a.sent().len(), 1);
    assert_eq!(a.verdict(WAN, &tcp(CLIENT, true, SYN_ACK, 0, 1)), Verdict::Forward(LAN));
    assert_eq!(a.notes(), []);
}

#[test]
fn a_node_that_stands_down_lets_nothing_out() {
    let mut a = with_peer();
    a.arrive(LAN, &syn());
    a.engine.stand_down();
    assert_eq!((a.engine.counters().held, a.dropped(Reason::NotOwner)), (0, 1));
    confirm(&mut a);
    assert_eq!(a.sent(), []);
}
