//! A teller and a comparer, each over a table of its own.

use core::time::Duration;

use engine::replication::Contest;
use wire::Time;

use super::comparer::Found;
use super::*;
use crate::limits::DIGEST_UNEQUAL_ROUNDS;
use crate::replication::envelope::{Header, SlotSet};
use crate::replication::envelope::{Item, Message, MessageKind, Writer};
use crate::replication::tests::model::{self, Entry, Table};
use crate::{Boot, NodeId, Term};

struct Both {
    tables: [Table; 2],
    teller: Teller,
    comparer: Comparer,
    now: Time,
}

const HEADER: Header = Header {
    kind: MessageKind::Control,
    urgent: false,
    stream: 0,
    node: NodeId(1),
    boot: Boot(1),
    peer_boot: Boot(1),
    term: Term(1),
    number: 0,
    floor: 1,
    ack: 0,
    ack_bits: 0,
};

impl Both {
    /// Two tables with the same sessions.
    fn new(flows: u16) -> Self {
        let tables = [1, 1].map(|node| Table::new(node, 1, 4_096));
        let mut both = Self {
            tables,
            teller: Teller::new(),
            comparer: Comparer::new(),
            now: Time::from_secs(1),
        };
        (0..flows).for_each(|n| both.open([true, true], n));
        both
    }

    fn open(&mut self, at: [bool; 2], n: u16) {
        let tables = self.tables.iter_mut().zip(at).filter(|(_, at)| *at);
        tables.for_each(|(table, _)| _ = table.open(n, false));
    }

    /// One round, of which the pieces that `lost` names do not arrive.
    fn round(&mut self, lost: impl Fn(u16) -> bool) -> Option<Found> {
        self.teller.begin(self.now);
        let mut found = None;
        loop {
            let deadlines = [self.teller.say_at(), self.teller.work_at(), self.comparer.work_at()];
            let Some(next) = deadlines.into_iter().flatten().min() else { return found };
            self.now = self.now.max(next);
            self.teller.work(&self.tables[0], self.now);
            found = found.or(self.comparer.work(&self.tables[1], self.now));
            if self.teller.say_at().is_some_and(|at| at <= self.now) {
                found = found.or(self.say(&lost));
            }
        }
    }

    fn say(&mut self, lost: &impl Fn(u16) -> bool) -> Option<Found> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, crate::limits::MESSAGE_BYTES);
        if self.teller.say(&mut writer, self.now) {
            self.teller.rest_until(self.now + Duration::from_secs(1));
        }
        writer.finish(&HEADER);
        let item = Message::parse(&bytes).unwrap().items().next();
        let Some(Item::Digest { round, first, words }) = item else { panic!("{item:?}") };
        if lost(first) && !words.is_empty() {
            return None;
        }
        self.comparer.heard(round, first, words, self.now)
    }
}

fn slots(flows: &[u16]) -> SlotSet {
    let mut set = SlotSet::NONE;
    flows.iter().for_each(|n| set.insert(model::slot(&model::key(*n))));
    set
}

#[test]
fn equal_tables_are_proven_equal_since_the_rounds_beginning() {
    let mut both = Both::new(500);
    let began = both.now;
    let found = both.round(|_| false).expect("a whole round");
    assert_eq!((found.equal_since, found.differing), (1, SlotSet::NONE));
    assert_eq!(both.comparer.proof.as_of(), Some(began));
    both.teller.result(found.round, found.equal_since, 0);
    assert_eq!(both.teller.proof.as_of(), Some(began));
}

#[test]
fn a_difference_is_believed_the_second_time() {
    for at in [[true, false], [false, true]] {
        let mut both = Both::new(500);
        both.open(at, 900);
        let first = both.round(|_| false).expect("a whole round");
        assert_eq!((first.equal_since, first.differing), (0, SlotSet::NONE));
        // What else comes in the same slot at both does not hide it.
        let slot = model::slot(&model::key(900));
        let same = (901..60_000).find(|n| model::slot(&model::key(*n)) == slot).unwrap();
        both.tables.iter_mut().for_each(|table| insert(table, same));
        let second = both.round(|_| false).expect("a whole round");
        assert_eq!(second.differing, slots(&[900]));
    }
}

/// Puts the same session into a table, whatever its counter.
fn insert(table: &mut Table, n: u16) {
    use crate::replication::Sessions;
    let id = engine::session::SessionId { node: 9, boot: 9, counter: n.into() };
    let entry = Entry { key: model::key(n), id, rank: 1, window: 1, held: 0 };
    let mut record = Vec::new();
    entry.write(&mut record);
    table.import(&record, Contest::Owners, Time::ZERO);
}

#[test]
fn a_difference_that_is_another_one_each_time_is_believed_at_last() {
    let mut both = Both::new(0);
    let slot = model::slot(&model::key(0));
    let flows: Vec<u16> = (0..u16::MAX).filter(|n| model::slot(&model::key(*n)) == slot).collect();
    for round in 0..DIGEST_UNEQUAL_ROUNDS {
        let n = flows[usize::from(round) % flows.len()];
        let fresh = round + 1;
        insert(&mut both.tables[0], n);
        both.tables[0].change(n, true, false);
        let believed = !both.round(|_| false).expect("a whole round").differing.is_empty();
        assert_eq!(believed, fresh == DIGEST_UNEQUAL_ROUNDS, "round {fresh}");
    }
}

#[test]
fn lost_pieces_prove_nothing_and_hide_nothing_else() {
    let mut both = Both::new(500);
    assert_eq!(both.round(|first| first == 128), None, "the round is not whole");
    let found = both.round(|first| first == 256).expect("the first round, as far as it came");
    assert_eq!((found.round, found.equal_since), (1, 0));
    let found = both.round(|_| false).expect("the second round");
    assert_eq!((found.round, found.equal_since), (2, 1), "each slot was seen once");
}

#[test]
fn an_older_rounds_piece_is_not_compared() {
    let mut both = Both::new(10);
    both.round(|_| false);
    let mut bytes = Vec::new();
    let mut writer = Writer::new(&mut bytes, crate::limits::MESSAGE_BYTES);
    writer.digest(0, 0, &[7; 128]);
    writer.finish(&HEADER);
    let item = Message::parse(&bytes).unwrap().items().next();
    let Some(Item::Digest { round, first, words }) = item else { panic!("{item:?}") };
    assert_eq!(both.comparer.heard(round, first, words, both.now), None);
    assert_eq!(both.comparer.proof.unequal(), Some(0));
}
