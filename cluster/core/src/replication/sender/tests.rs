//! The sending half alone.

use core::time::Duration;

use engine::session::CloseReason;
use wire::Time;

use super::*;
use crate::limits::{RTO_FIRST, WINDOW_MESSAGES};
use crate::replication::Settings;
use crate::replication::envelope::Writer;
use crate::replication::tests::model::Table;
use crate::{Boot, NodeId};

/// A sender over a table, with a connection and no peer behind it.
struct Alone {
    sender: Sender,
    table: Table,
    now: Time,
    releases: Releases,
    bytes: usize,
}

impl Alone {
    fn new(places: u32, change: impl FnOnce(&mut Settings)) -> Self {
        let mut settings = Settings::new(NodeId(1), Boot(1), NodeId(2), 0, places, 5);
        change(&mut settings);
        let mut sender = Sender::new(&settings);
        sender.connected();
        let table = Table::new(1, 1, places);
        let now = Time::from_secs(1);
        Self { sender, table, now, releases: Releases::new(), bytes: 0 }
    }

    fn note(&mut self) {
        while let Some(note) = self.table.notes.pop_front() {
            self.releases.extend(self.sender.note(&note, self.now));
        }
    }

    fn open(&mut self, n: u16, sync: bool) {
        self.table.open(n, sync).expect("a new flow");
        self.note();
    }

    fn close(&mut self, n: u16) {
        self.table.close(n, CloseReason::TcpRst);
        self.note();
    }

    /// Sends a message if one is due, and tells how many items it has.
    fn send(&mut self) -> Option<u16> {
        self.sender.due(self.now).filter(|due| *due <= self.now)?;
        let mut buffer = Vec::new();
        let mut writer = Writer::new(&mut buffer, MESSAGE_BYTES);
        let filled = self.sender.fill(&mut self.table, self.now, &mut writer)?;
        let items = writer.count();
        self.bytes += writer.len();
        self.sender.launch(filled, writer.len(), self.now);
        Some(items)
    }

    fn acknowledge(&mut self, ack: u64, bits: u64) {
        self.sender.acknowledge((ack, bits), 0, self.now, &mut self.releases);
    }

    fn wait(&mut self, millis: u64) {
        self.now = self.now + Duration::from_millis(millis);
    }
}

#[test]
fn an_insert_leaves_at_once_and_updates_are_merged() {
    let mut alone = Alone::new(16, |_| {});
    alone.open(1, false);
    assert_eq!(alone.send(), Some(1));
    for _ in 0..10 {
        alone.table.change(1, false, false);
        alone.note();
        alone.wait(2);
        assert_eq!(alone.send(), None);
    }
    alone.wait(5);
    assert_eq!(alone.send(), Some(1), "after 25 ms");
    assert_eq!(alone.sender.counters().records, 2);
}

#[test]
fn updates_leave_no_faster_than_they_may() {
    let mut alone = Alone::new(256, |it| it.update_bytes_per_second = Some(10_000));
    (0..200).for_each(|n| alone.open(n, false));
    while alone.send().is_some() {}
    let before = alone.bytes;
    for _ in 0..1_000 {
        (0..200).for_each(|n| alone.table.change(n, false, false));
        alone.note();
        alone.wait(1);
        while alone.send().is_some() {}
        alone.acknowledge(alone.sender.last(), 0);
    }
    let spent = alone.bytes - before;
    assert!((8_000..12_500).contains(&spent), "{spent} bytes in a second");
}

#[test]
fn deletes_wait_for_each_other_but_not_for_long() {
    let mut alone = Alone::new(256, |_| {});
    (0..60).for_each(|n| alone.open(n, false));
    while alone.send().is_some() {}
    alone.close(0);
    assert_eq!(alone.send(), None);
    alone.wait(5);
    assert_eq!(alone.send(), Some(1));
    (1..22).for_each(|n| alone.close(n));
    assert_eq!(alone.send(), Some(19), "a message full of them waits for nothing");
}

#[test]
fn a_full_window_lets_nothing_out_and_an_acknowledgment_opens_it() {
    let mut alone = Alone::new(1_024, |_| {});
    for n in 0..WINDOW_MESSAGES as u16 {
        alone.open(n, false);
        assert_eq!(alone.send(), Some(1));
    }
    alone.open(WINDOW_MESSAGES as u16, false);
    assert_eq!(alone.send(), None);
    alone.acknowledge(1, 0);
    assert_eq!(alone.send(), Some(1));
    assert_eq!(alone.sender.lag(alone.now).in_flight as u64, WINDOW_MESSAGES);
}

#[test]
fn an_acknowledgment_that_passed_what_was_given_up_releases_nothing() {
    let mut alone = Alone::new(16, |_| {});
    alone.open(1, true);
    assert_eq!(alone.send(), Some(1));
    alone.wait(RTO_FIRST.as_millis() as u64);
    alone.sender.expire(alone.now);
    assert_eq!(alone.sender.floor(), 2, "1 was given up");
    alone.acknowledge(1, 0);
    assert!(alone.releases.is_empty(), "1 never arrived");
    assert_eq!(alone.send(), Some(1), "it goes again, as 2");
    alone.acknowledge(1, 0b1);
    let id = alone.table.get(1).unwrap().id;
    assert_eq!(alone.releases, [Release { place: 0, id, up_to: 1 }]);
}

#[test]
fn a_release_covers_what_the_record_told_and_no_later_packet() {
    let mut alone = Alone::new(16, |_| {});
    alone.open(1, true);
    assert_eq!(alone.send(), Some(1));
    alone.table.change(1, true, true);
    alone.note();
    assert_eq!(alone.send(), Some(1), "a change that holds a packet leaves at once");
    alone.acknowledge(1, 0);
    assert_eq!(alone.releases.pop_front().unwrap().up_to, 1);
    alone.acknowledge(2, 0);
    assert_eq!(alone.releases.pop_front().unwrap().up_to, 2);
}

#[test]
fn three_later_ones_acknowledged_are_a_loss_two_are_not() {
    let mut alone = Alone::new(16, |_| {});
    for n in 0..4 {
        alone.open(n, false);
        assert_eq!(alone.send(), Some(1));
    }
    alone.acknowledge(0, 0b110);
    assert_eq!(alone.send(), None);
    alone.acknowledge(0, 0b1110);
    assert_eq!(alone.sender.counters().lost_overtaken, 1);
    assert_eq!(alone.send(), Some(1));
    assert_eq!(alone.sender.floor(), 5);
}

#[test]
fn a_silent_peer_is_asked_ever_more_seldom() {
    let mut alone = Alone::new(16, |_| {});
    alone.open(1, false);
    let mut waits = Vec::new();
    for _ in 0..4 {
        assert_eq!(alone.send(), Some(1));
        let deadline = alone.sender.loss_deadline().unwrap();
        waits.push(deadline.since(alone.now).as_millis());
        alone.sender.expire(Time(deadline.0 - 1));
        assert_eq!(alone.send(), None, "not before its time");
        alone.now = deadline;
        alone.sender.expire(deadline);
    }
    assert_eq!(waits, [50, 100, 200, 400]);
}

#[test]
fn bulk_leaves_room_and_is_overtaken_by_what_is_new() {
    let mut alone = Alone::new(8_192, |_| {});
    for place in 0..8_000 {
        alone.open(place as u16, false);
        while alone.send().is_some() {}
        alone.acknowledge(alone.sender.last(), 0);
    }
    (0..8_000).for_each(|place| alone.sender.offer(place, alone.now));
    let start = alone.sender.last();
    while alone.send().is_some() {}
    assert!(alone.sender.last() - start < WINDOW_MESSAGES / 2, "half of the window is free");
    alone.open(8_001, true);
    assert_eq!(alone.send(), Some(1));
    let left = alone.sender.bulk_pending();
    alone.acknowledge(start + 1, 0);
    assert!(alone.sender.bulk_pending() < left);
    alone.close(7_999);
    assert_eq!(alone.sender.bulk_pending(), left - 17 - 1, "one that ended is not waited for");
}

#[test]
fn the_age_of_the_oldest_change_grows_until_it_is_acknowledged() {
    let mut alone = Alone::new(16, |_| {});
    alone.open(1, false);
    alone.wait(3);
    let waits = alone.sender.lag(alone.now);
    assert_eq!((waits.queued, waits.in_flight), (1, 0));
    assert!((2_990_000..=3_010_000).contains(&waits.oldest_nanos), "{waits:?}");
    assert_eq!(alone.send(), Some(1));
    alone.wait(3);
    let flies = alone.sender.lag(alone.now);
    assert_eq!((flies.queued, flies.in_flight), (0, 1));
    assert!((5_990_000..=6_010_000).contains(&flies.oldest_nanos), "{flies:?}");
    alone.acknowledge(1, 0);
    assert_eq!(alone.sender.lag(alone.now), Lag::default());
}

#[test]
fn answers_are_bounded_in_a_second() {
    let mut alone = Alone::new(16, |_| {});
    alone.open(1, false);
    (0..ANSWERS_PER_SECOND + 5).for_each(|_| alone.sender.answer(0, alone.now));
    assert_eq!(alone.sender.counters().answers_suppressed, 5);
    alone.wait(1_000);
    alone.sender.answer(0, alone.now);
    assert_eq!(alone.sender.counters().answers_suppressed, 5);
}

#[test]
fn what_makes_no_sense_is_counted() {
    let mut alone = Alone::new(4, |_| {});
    alone.acknowledge(1, 0);
    assert_eq!(alone.sender.counters().impossible, 1);
    let id = engine::session::SessionId { node: 1, boot: 1, counter: 1 };
    let note = Note { kind: NoteKind::Opened, place: 4, id, sync: true };
    let release = alone.sender.note(&note, alone.now);
    assert_eq!(release, Some(Release { place: 4, id, up_to: u64::MAX }), "nobody hangs");
    assert_eq!(alone.sender.counters().misplaced, 1);
}
