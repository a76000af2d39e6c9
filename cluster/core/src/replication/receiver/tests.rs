//! The receiving half alone.

use core::time::Duration;

use wire::Time;

use super::*;
use crate::limits::{ITEMS_PER_MESSAGE_MAX, TOMBSTONES_MAX, WINDOW_MESSAGES};
use crate::replication::envelope::MessageKind;
use crate::{Boot, NodeId, Term};

const NOW: Time = Time::from_secs(1);

fn header(number: u64, floor: u64) -> Header {
    Header {
        kind: MessageKind::Changes,
        urgent: false,
        stream: 0,
        node: NodeId(1),
        boot: Boot(1),
        peer_boot: Boot(1),
        term: Term(1),
        number,
        floor,
        ack: 0,
        ack_bits: 0,
    }
}

fn id(counter: u64) -> SessionId {
    SessionId { node: 1, boot: 1, counter }
}

/// A receiver that has applied these, all with a floor of 1.
fn after(numbers: &[u64]) -> Receiver {
    let mut receiver = Receiver::new(3);
    for number in numbers {
        let arrival = receiver.arrive(&header(*number, 1), NOW);
        assert!(matches!(arrival, Arrival::New { .. }), "{number}: {arrival:?}");
        receiver.applied(*number, false, NOW);
    }
    receiver
}

#[test]
fn every_kind_of_arrival() {
    let new = |overtaken| Arrival::New { overtaken };
    let table: [(&[u64], u64, u64, Arrival); 9] = [
        // have come, number, floor, arrival
        (&[], 1, 1, new(false)),
        (&[1, 2], 3, 1, new(false)),
        (&[1, 3], 2, 1, new(true)),
        (&[1, 3], 3, 1, Arrival::Settled),
        (&[1, 3], 1, 1, Arrival::Settled),
        (&[1, 3], 5, 5, new(false)),
        (&[1], 1 + WINDOW_MESSAGES, 1, new(false)),
        (&[1], 2 + WINDOW_MESSAGES, 1, Arrival::Beyond),
        (&[1], 2 + WINDOW_MESSAGES, 3, new(false)),
    ];
    for (come, number, floor, expected) in table {
        let arrival = after(come).arrive(&header(number, floor), NOW);
        assert_eq!(arrival, expected, "{number} with floor {floor} after {come:?}");
    }
}

#[test]
fn what_was_given_up_does_not_count_when_it_comes_after_all() {
    let mut receiver = after(&[1]);
    receiver.raise_floor(&header(5, 4));
    assert_eq!(receiver.acknowledgment(), (3, 0));
    assert_eq!(receiver.arrive(&header(2, 1), NOW), Arrival::Settled);
}

#[test]
fn nothing_is_acknowledged_before_it_is_applied() {
    let mut receiver = after(&[1]);
    receiver.arrive(&header(2, 1), NOW);
    assert_eq!(receiver.acknowledgment(), (1, 0));
    receiver.applied(2, false, NOW);
    assert_eq!(receiver.acknowledgment(), (2, 0));
}

#[test]
fn gaps_are_told_bit_by_bit() {
    assert_eq!(after(&[1, 3, 4, 7]).acknowledgment(), (1, 0b10_0110));
    assert_eq!(after(&[1, 3, 4, 7, 2]).acknowledgment(), (4, 0b100));
}

#[test]
fn a_held_packet_is_acknowledged_at_once_and_others_soon() {
    let mut receiver = after(&[1]);
    assert_eq!(receiver.acknowledge_at(), Some(NOW + ACK_DELAY));
    receiver.arrive(&header(2, 1), NOW);
    receiver.applied(2, true, NOW);
    assert_eq!(receiver.acknowledge_at(), Some(NOW));
    receiver.acknowledged();
    assert_eq!(receiver.acknowledge_at(), None);
}

#[test]
fn so_many_messages_a_gap_and_a_duplicate_are_acknowledged_at_once() {
    assert_eq!(after(&[1, 2, 3, 4, 5, 6, 7]).acknowledge_at(), Some(NOW + ACK_DELAY));
    assert_eq!(after(&[1, 2, 3, 4, 5, 6, 7, 8]).acknowledge_at(), Some(NOW));
    assert_eq!(after(&[1, 3]).acknowledge_at(), Some(NOW));
    let mut receiver = after(&[1]);
    receiver.acknowledged();
    let later = NOW + Duration::from_millis(1);
    receiver.arrive(&header(1, 1), later);
    assert_eq!(receiver.acknowledge_at(), Some(later));
}

#[test]
fn a_tombstone_lasts_as_long_as_an_older_message_may_come() {
    let mut receiver = after(&[1, 4]);
    receiver.bury(id(7), 4);
    assert!(receiver.is_buried(id(7), 2) && receiver.is_buried(id(7), 3));
    assert!(!receiver.is_buried(id(7), 5), "a later message knows better");
    assert!(!receiver.is_buried(id(8), 2), "another session");
    receiver.arrive(&header(2, 1), NOW);
    receiver.applied(2, false, NOW);
    assert!(receiver.is_buried(id(7), 3), "3 may still come");
    receiver.raise_floor(&header(6, 4));
    assert!(!receiver.has_tombstones(), "3 was given up");
}

#[test]
fn in_order_no_tombstone_is_needed() {
    let mut receiver = after(&[1]);
    receiver.arrive(&header(2, 1), NOW);
    receiver.bury(id(7), 2);
    assert!(!receiver.has_tombstones());
}

#[test]
fn another_run_begins_anew_at_its_floor() {
    let mut receiver = after(&[1, 2, 5]);
    receiver.bury(id(7), 5);
    receiver.peer_restarted();
    assert!(!receiver.has_tombstones());
    assert_eq!(receiver.arrive(&header(1_000, 900), NOW), Arrival::New { overtaken: false });
    receiver.applied(1_000, false, NOW);
    assert_eq!(receiver.acknowledgment().0, 899);
}

/// A message full of deletes, in which each identity is another one; whether it was taken.
fn comes_full_of_deletes(receiver: &mut Receiver, number: u64) -> bool {
    let new = matches!(receiver.arrive(&header(number, 1), NOW), Arrival::New { .. });
    if new {
        let items = ITEMS_PER_MESSAGE_MAX as u64;
        (0..items).for_each(|item| receiver.bury(id(number * items + item), number));
        receiver.applied(number, false, NOW);
    }
    new
}

#[test]
fn a_window_full_of_deletes_behind_a_gap_is_taken() {
    let mut receiver = Receiver::new(3);
    // The first is missing, so each of the others leaves its tombstones.
    for number in 2..=WINDOW_MESSAGES {
        assert!(comes_full_of_deletes(&mut receiver, number), "{number}");
    }
    assert!(receiver.tombstones() <= TOMBSTONES_MAX);
    assert_eq!(receiver.tombstones(), (WINDOW_MESSAGES as usize - 1) * ITEMS_PER_MESSAGE_MAX);
    assert!(receiver.is_buried(id(WINDOW_MESSAGES * ITEMS_PER_MESSAGE_MAX as u64), 1));
    assert!(comes_full_of_deletes(&mut receiver, 1));
    assert_eq!((receiver.tombstones(), receiver.settled()), (0, WINDOW_MESSAGES));
}

#[test]
fn a_message_ahead_of_all_others_does_not_keep_their_tombstones() {
    let mut receiver = Receiver::new(3);
    assert!(comes_full_of_deletes(&mut receiver, WINDOW_MESSAGES));
    // Two by two in the wrong order; the one before it does not come until the window is full.
    let before = (1..WINDOW_MESSAGES - 2).step_by(2);
    let behind = (WINDOW_MESSAGES + 1..2 * WINDOW_MESSAGES - 2).step_by(2);
    for number in before.chain(behind).flat_map(|number| [number + 1, number]) {
        let tombstones = receiver.tombstones();
        assert!(comes_full_of_deletes(&mut receiver, number), "{number}, with {tombstones}");
        assert!(receiver.tombstones() <= TOMBSTONES_MAX);
    }
    assert_eq!(receiver.tombstones(), (WINDOW_MESSAGES as usize - 1) * ITEMS_PER_MESSAGE_MAX);
}
