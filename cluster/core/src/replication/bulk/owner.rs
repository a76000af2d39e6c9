//! The owner's half of a bulk.

use wire::Time;

use crate::limits::{BULK_QUEUE_LOW, BULK_REPEAT};
use crate::replication::envelope::{SlotSet, Writer};
use crate::replication::sender::Sender;
use crate::replication::sessions::Sessions;
use crate::replication::walk;

/// Where the owner stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::replication) enum State {
    /// Nobody asks.
    #[default]
    Idle,
    /// Walks over the table.
    Paging,
    /// Has walked; not all is acknowledged.
    Draining,
    /// Says that this was all, until the joiner has heard it.
    Ending,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::replication) enum Event {
    /// A request with a higher number than any before.
    NewRequest,
    /// The last request once more.
    SameRequest,
    /// The walk is at the table's end.
    Walked,
    /// Everything offered is acknowledged.
    Drained,
    /// The joiner has heard the end.
    Done,
    /// The joiner is another run of its daemon, or the owner owns no more.
    Reset,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::replication) enum Action {
    /// Nothing.
    Nothing,
    /// Begin at the first place, and say so.
    Begin,
    /// Say again that it has begun.
    SayBegin,
    /// Say that this was all.
    SayEnd,
}

/// State × event.
pub(in crate::replication) const fn step(state: State, event: Event) -> (State, Action) {
    match (state, event) {
        (_, Event::NewRequest) => (State::Paging, Action::Begin),
        (_, Event::Reset) => (State::Idle, Action::Nothing),
        (State::Paging, Event::SameRequest) => (State::Paging, Action::SayBegin),
        (State::Draining, Event::SameRequest) => (State::Draining, Action::SayBegin),
        (State::Ending, Event::SameRequest) => (State::Ending, Action::SayEnd),
        (State::Idle, Event::SameRequest) => (State::Idle, Action::Nothing),
        (State::Paging, Event::Walked) => (State::Draining, Action::Nothing),
        (State::Draining, Event::Drained) => (State::Ending, Action::SayEnd),
        (State::Ending, Event::Done) => (State::Idle, Action::Nothing),
        (State::Idle | State::Draining | State::Ending, Event::Walked)
        | (State::Idle | State::Paging | State::Ending, Event::Drained)
        | (State::Idle | State::Paging | State::Draining, Event::Done) => (state, Action::Nothing),
    }
}

/// A walk over the table for a joiner.
#[derive(Debug)]
pub(in crate::replication) struct Owner {
    state: State,
    bulk: u32,
    merge: bool,
    slots: SlotSet,
    cursor: u32,
    sessions: u32,
    offered: u32,
    begin_at: Option<Time>,
    end_at: Option<Time>,
}

impl Owner {
    pub(in crate::replication) fn new() -> Self {
        Self {
            state: State::Idle,
            bulk: 0,
            merge: false,
            slots: SlotSet::NONE,
            cursor: 0,
            sessions: 0,
            offered: 0,
            begin_at: None,
            end_at: None,
        }
    }

    /// The joiner asks for the sessions of `slots`; the table has so many.
    pub(in crate::replication) fn requested(
        &mut self,
        (bulk, merge, slots): (u32, bool, SlotSet),
        sessions: u32,
        now: Time,
    ) {
        if bulk == self.bulk {
            return self.apply(Event::SameRequest, now);
        }
        if bulk > self.bulk {
            (self.bulk, self.merge, self.slots) = (bulk, merge, slots);
            self.sessions = sessions;
            self.apply(Event::NewRequest, now);
        }
    }

    /// The joiner has heard the end of `bulk`; whether that is news.
    pub(in crate::replication) fn done(&mut self, bulk: u32, now: Time) -> bool {
        let news = bulk == self.bulk && self.state == State::Ending;
        if bulk == self.bulk {
            self.apply(Event::Done, now);
        }
        news
    }

    /// The joiner is another run of its daemon, whose numbers begin anew.
    pub(in crate::replication) fn peer_restarted(&mut self, now: Time) {
        self.apply(Event::Reset, now);
        self.bulk = 0;
    }

    /// This node no longer owns; a merge goes on.
    pub(in crate::replication) fn disowned(&mut self, now: Time) {
        if !self.merge {
            self.peer_restarted(now);
        }
    }

    /// A step of the walk, if the queue wants one.
    pub(in crate::replication) fn work<S: Sessions>(
        &mut self,
        sender: &mut Sender,
        sessions: &S,
        now: Time,
    ) {
        if self.wants_page(sender) {
            self.page(sender, sessions, now);
        }
        if self.state == State::Draining && sender.bulk_pending() == 0 {
            self.apply(Event::Drained, now);
        }
    }

    /// Whether there is a step to do.
    pub(in crate::replication) fn wants_work(&self, sender: &Sender) -> bool {
        let drained = self.state == State::Draining && sender.bulk_pending() == 0;
        drained || self.wants_page(sender)
    }

    fn wants_page(&self, sender: &Sender) -> bool {
        self.state == State::Paging && sender.bulk_queued() < BULK_QUEUE_LOW
    }

    fn page<S: Sessions>(&mut self, sender: &mut Sender, sessions: &S, now: Time) {
        let (slots, offered) = (&self.slots, &mut self.offered);
        let next = walk::step(sessions, self.cursor, |row| {
            if slots.contains(row.slot) {
                sender.offer(row.place, now);
                *offered += 1;
            }
        });
        match next {
            Some(cursor) => self.cursor = cursor,
            None => self.apply(Event::Walked, now),
        }
    }

    /// When something is to be said.
    pub(in crate::replication) fn say_at(&self) -> Option<Time> {
        self.begin_at.into_iter().chain(self.end_at).min()
    }

    /// Says it.
    pub(in crate::replication) fn say(&mut self, writer: &mut Writer<'_>, now: Time) {
        if self.begin_at.take().is_some() {
            writer.bulk_begin(self.bulk, self.sessions);
        }
        if self.end_at.is_some_and(|at| at <= now) {
            writer.bulk_end(self.bulk, self.offered);
            self.end_at = Some(now + BULK_REPEAT);
        }
    }

    /// Whether a walk is on: digests have no say meanwhile.
    pub(in crate::replication) fn is_busy(&self) -> bool {
        self.state != State::Idle
    }

    pub(in crate::replication) fn is_merging(&self) -> bool {
        self.merge && self.is_busy()
    }

    fn apply(&mut self, event: Event, now: Time) {
        let (state, action) = step(self.state, event);
        self.state = state;
        match action {
            Action::Nothing => {}
            Action::Begin => (self.cursor, self.offered, self.begin_at) = (0, 0, Some(now)),
            Action::SayBegin => self.begin_at = Some(now),
            Action::SayEnd => self.end_at = Some(now),
        }
        if self.state != State::Ending {
            self.end_at = None;
        }
        if self.state == State::Idle {
            self.begin_at = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replication::envelope::{Header, Item, Message, MessageKind};
    use crate::replication::sender::Releases;
    use crate::replication::settings::Settings;
    use crate::replication::tests::model::Table;
    use crate::{Boot, NodeId, Term};

    #[test]
    fn every_state_and_event() {
        use {Action as A, Event as E, State as S};
        let events = [E::NewRequest, E::SameRequest, E::Walked, E::Drained, E::Done, E::Reset];
        let begin = (S::Paging, A::Begin);
        let idle = (S::Idle, A::Nothing);
        #[rustfmt::skip]
        let table = [
            // new request, same request, walked, drained, done, reset
            (S::Idle, [begin, idle, idle, idle, idle, idle]),
            (S::Paging, [begin, (S::Paging, A::SayBegin), (S::Draining, A::Nothing),
                (S::Paging, A::Nothing), (S::Paging, A::Nothing), idle]),
            (S::Draining, [begin, (S::Draining, A::SayBegin), (S::Draining, A::Nothing),
                (S::Ending, A::SayEnd), (S::Draining, A::Nothing), idle]),
            (S::Ending, [begin, (S::Ending, A::SayEnd), (S::Ending, A::Nothing),
                (S::Ending, A::Nothing), idle, idle]),
        ];
        for (state, row) in table {
            for (event, expected) in events.into_iter().zip(row) {
                assert_eq!(step(state, event), expected, "{state:?} × {event:?}");
            }
        }
    }

    /// What the owner says now, as the peer reads it.
    fn said(owner: &mut Owner, now: Time) -> Vec<&'static str> {
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, 1_200);
        owner.say(&mut writer, now);
        writer.finish(&HEADER);
        let items = Message::parse(&bytes).unwrap().items().map(|item| {
            let begin = Item::BulkBegin { bulk: 7, sessions: 3 };
            assert!(item == begin || item == Item::BulkEnd { bulk: 7, sent: 3 }, "{item:?}");
            if item == begin { "begin" } else { "end" }
        });
        items.collect()
    }

    const HEADER: Header = Header {
        kind: MessageKind::Changes,
        urgent: false,
        stream: 0,
        node: NodeId(1),
        boot: Boot(1),
        peer_boot: Boot(1),
        term: Term(1),
        number: 1,
        floor: 1,
        ack: 0,
        ack_bits: 0,
    };

    #[test]
    fn the_end_is_said_when_all_is_acknowledged_and_until_it_is_heard() {
        let now = Time::from_secs(1);
        let mut sender = Sender::new(&Settings::new(NodeId(1), Boot(1), NodeId(2), 0, 8, 1));
        sender.connected();
        let mut table = Table::new(1, 1, 8);
        (0..3).for_each(|n| _ = table.open(n, false));
        let mut owner = Owner::new();
        owner.requested((7, false, SlotSet::ALL), 3, now);
        assert_eq!(said(&mut owner, now), ["begin"]);
        owner.work(&mut sender, &table, now);
        let mut bytes = Vec::new();
        let mut writer = Writer::new(&mut bytes, 1_200);
        let filled = sender.fill(&mut table, now, &mut writer).expect("three sessions");
        sender.launch(filled, writer.len(), now);
        owner.work(&mut sender, &table, now);
        assert_eq!((owner.say_at(), owner.wants_work(&sender)), (None, false), "all is under way");
        sender.acknowledge((1, 0), 0, now, &mut Releases::new());
        assert!(owner.wants_work(&sender));
        owner.work(&mut sender, &table, now);
        assert_eq!(said(&mut owner, now), ["end"]);
        assert_eq!(owner.say_at(), Some(now + BULK_REPEAT));
        assert_eq!(said(&mut owner, now + BULK_REPEAT), ["end"]);
        assert!(owner.done(7, now) && !owner.done(7, now), "the second one is no news");
        assert_eq!(owner.say_at(), None);
    }
}
