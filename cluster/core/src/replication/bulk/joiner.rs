//! The joiner's half of a bulk.

use core::time::Duration;

use engine::session::SessionId;
use wire::{FlowKey, Time};

use super::{Outcome, Progress, Purpose};
use crate::limits::{BULK_RENEW, BULK_REPEAT, PAGE_INTERVAL, PAGE_PLACES, VERIFY_ROUNDS};
use crate::replication::envelope::{SlotSet, Writer};
use crate::replication::sessions::Sessions;
use crate::replication::walk;

/// Where the joiner stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(in crate::replication) enum State {
    /// Asks for nothing.
    #[default]
    Idle,
    /// Has asked.
    Requested,
    /// The owner has begun.
    Receiving,
    /// All have come; what did not is being dropped.
    Sweeping,
    /// Waits for digests.
    Verifying,
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::replication) enum Event {
    /// Sessions are wanted.
    Wanted,
    /// The owner has begun.
    Begun,
    /// The owner has sent all, and something may have to go.
    EndedSweep,
    /// The owner has sent all, and all that is here stays.
    EndedKeep,
    /// What had to go has gone, and digests are to prove it.
    SweptVerify,
    /// What had to go has gone, and that was all.
    SweptFinish,
    /// Digests agree.
    Proven,
    /// Digests of some slots differ.
    Disproven,
    /// The owner is another run of its daemon.
    PeerRestarted,
    /// This node owns the sessions now.
    Owned,
}

/// What is to be done about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(in crate::replication) enum Action {
    /// Nothing.
    Nothing,
    /// Ask under a new number.
    Request,
    /// Begin to drop.
    Sweep,
    /// Begin to wait for digests.
    Verify,
    /// Tell that it is complete.
    Complete,
    /// Tell that it is given up.
    Abandon,
}

/// State × event.
pub(in crate::replication) const fn step(state: State, event: Event) -> (State, Action) {
    use {Action as A, Event as E, State as S};
    match (state, event) {
        (_, E::Wanted) => (S::Requested, A::Request),
        (S::Idle, E::Owned | E::PeerRestarted) => (S::Idle, A::Nothing),
        (_, E::Owned) => (S::Idle, A::Abandon),
        (_, E::PeerRestarted) => (S::Requested, A::Request),
        (S::Requested, E::Begun) => (S::Receiving, A::Nothing),
        (S::Requested | S::Receiving, E::EndedSweep) => (S::Sweeping, A::Sweep),
        (S::Requested | S::Receiving, E::EndedKeep) => (S::Verifying, A::Verify),
        (S::Sweeping, E::SweptVerify) => (S::Verifying, A::Verify),
        (S::Sweeping, E::SweptFinish) => (S::Idle, A::Nothing),
        (S::Verifying, E::Proven) => (S::Idle, A::Complete),
        (S::Verifying, E::Disproven) => (S::Requested, A::Request),
        (S::Idle | S::Receiving | S::Sweeping | S::Verifying, E::Begun)
        | (S::Idle | S::Sweeping | S::Verifying, E::EndedSweep | E::EndedKeep)
        | (S::Idle | S::Requested | S::Receiving | S::Verifying, E::SweptVerify | E::SweptFinish)
        | (S::Idle | S::Requested | S::Receiving | S::Sweeping, E::Proven | E::Disproven) => {
            (state, A::Nothing)
        }
    }
}

/// A bulk that this node asked for.
#[derive(Debug)]
pub(in crate::replication) struct Joiner {
    state: State,
    purpose: Purpose,
    bulk: u32,
    /// Those asked for now; after a comparison only those that differed.
    slots: SlotSet,
    /// Places whose session the owner has, as records told since the request.
    marks: Box<[u64]>,
    done: u32,
    total: u32,
    since: Time,
    deadline: Option<Time>,
    request_at: Option<Time>,
    sweep_at: Time,
    cursor: u32,
    done_owed: Option<u32>,
    /// Comparisons that ended while it waits for a proof.
    rounds: u32,
    /// The first comparison that counts.
    first_round: u32,
    swept: u64,
    victims: Vec<(FlowKey, SessionId)>,
    outcome: Option<Outcome>,
}

impl Joiner {
    pub(in crate::replication) fn new(places: u32) -> Self {
        Self {
            state: State::Idle,
            purpose: Purpose::Join,
            bulk: 0,
            slots: SlotSet::NONE,
            marks: vec![0; places.div_ceil(64) as usize].into_boxed_slice(),
            done: 0,
            total: 0,
            since: Time::ZERO,
            deadline: None,
            request_at: None,
            sweep_at: Time::ZERO,
            cursor: 0,
            done_owed: None,
            rounds: 0,
            first_round: 0,
            swept: 0,
            victims: Vec::with_capacity(PAGE_PLACES as usize),
            outcome: None,
        }
    }

    /// Asks for the sessions of `slots`.
    pub(in crate::replication) fn want(
        &mut self,
        purpose: Purpose,
        slots: SlotSet,
        deadline: Option<Duration>,
        now: Time,
    ) {
        (self.purpose, self.slots, self.since) = (purpose, slots, now);
        self.deadline = deadline.map(|span| now + span);
        self.outcome = None;
        self.apply(Event::Wanted, now);
    }

    /// The owner has begun `bulk`.
    pub(in crate::replication) fn begun(&mut self, bulk: u32, sessions: u32, now: Time) {
        if bulk == self.bulk {
            self.total = sessions;
            self.apply(Event::Begun, now);
        }
    }

    /// The owner has sent all of `bulk`. That is confirmed even if it is old news.
    pub(in crate::replication) fn ended(&mut self, bulk: u32, now: Time) {
        if bulk != self.bulk {
            return;
        }
        self.done_owed = Some(bulk);
        self.apply(
            match self.purpose {
                Purpose::Join | Purpose::Repair => Event::EndedSweep,
                Purpose::Merge => Event::EndedKeep,
            },
            now,
        );
    }

    /// A record of the owner's stands in `place`.
    pub(in crate::replication) fn mark(&mut self, place: u32) {
        if self.state == State::Idle {
            return;
        }
        let Some(word) = self.marks.get_mut(place as usize / 64) else { return };
        let bit = 1 << (place % 64);
        self.done += u32::from(*word & bit == 0);
        *word |= bit;
    }

    /// The owner is another run of its daemon.
    pub(in crate::replication) fn peer_restarted(&mut self, now: Time) {
        self.apply(Event::PeerRestarted, now);
    }

    /// This node owns the sessions now. What it has is the truth; a merge goes on.
    pub(in crate::replication) fn owned(&mut self, now: Time) {
        if self.purpose != Purpose::Merge {
            self.apply(Event::Owned, now);
        }
    }

    /// A comparison ended: every slot was seen equal in round `equal_since` or later, and those of
    /// `differing` have differed long enough to be believed. True if it was waited for.
    pub(in crate::replication) fn compared(
        &mut self,
        round: u32,
        equal_since: u32,
        differing: &SlotSet,
        now: Time,
    ) -> bool {
        if self.state != State::Verifying {
            return false;
        }
        if self.rounds == 0 {
            self.first_round = round;
        }
        self.rounds += 1;
        if !differing.is_empty() {
            self.slots = *differing;
            self.apply(Event::Disproven, now);
        } else if equal_since >= self.first_round || self.rounds >= VERIFY_ROUNDS {
            self.apply(Event::Proven, now);
        }
        true
    }

    /// Nobody compares for this node: it owns, and the other one does.
    pub(in crate::replication) fn needs_no_proof(&mut self) {
        self.apply(Event::Proven, self.since);
    }

    /// What time brings: the next request, the next step of the sweep, the deadline.
    pub(in crate::replication) fn work<S: Sessions>(&mut self, sessions: &mut S, now: Time) {
        if self.state == State::Sweeping && self.sweep_at <= now {
            self.sweep(sessions, now);
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.outcome = Some(Outcome::DeadlinePassed);
        }
    }

    fn sweep<S: Sessions>(&mut self, sessions: &mut S, now: Time) {
        let (slots, marks, victims) = (&self.slots, &self.marks, &mut self.victims);
        let marked = |place: u32| {
            marks.get(place as usize / 64).is_some_and(|word| word >> (place % 64) & 1 == 1)
        };
        victims.clear();
        let next = walk::step(&*sessions, self.cursor, |row| {
            if slots.contains(row.slot) && !marked(row.place) {
                victims.push((*row.key, row.id));
            }
        });
        let gone = self.victims.iter().filter(|(key, id)| sessions.delete(key, *id, None, now));
        self.swept += gone.count() as u64;
        match (next, self.purpose) {
            (Some(cursor), _) => {
                (self.cursor, self.sweep_at) = (cursor, now + PAGE_INTERVAL);
            }
            (None, Purpose::Repair) => self.apply(Event::SweptFinish, now),
            (None, Purpose::Join | Purpose::Merge) => self.apply(Event::SweptVerify, now),
        }
    }

    /// When [`work`](Self::work) has something to do.
    pub(in crate::replication) fn work_at(&self) -> Option<Time> {
        let sweep = (self.state == State::Sweeping).then_some(self.sweep_at);
        sweep.into_iter().chain(self.deadline).min()
    }

    /// When something is to be said.
    pub(in crate::replication) fn say_at(&self) -> Option<Time> {
        let done = self.done_owed.map(|_| Time::ZERO);
        self.request_at.into_iter().chain(done).min()
    }

    /// Says it.
    pub(in crate::replication) fn say(&mut self, writer: &mut Writer<'_>, now: Time) {
        if let Some(bulk) = self.done_owed.take() {
            writer.bulk_done(bulk);
        }
        if self.request_at.is_some_and(|at| at <= now) {
            writer.bulk_request(self.bulk, self.purpose == Purpose::Merge, &self.slots);
            self.request_at = Some(now + self.repeat());
        }
    }

    /// How it ended, once.
    pub(in crate::replication) fn take_outcome(&mut self) -> Option<(Purpose, Outcome)> {
        Some((self.purpose, self.outcome.take()?))
    }

    pub(in crate::replication) fn is_busy(&self) -> bool {
        self.state != State::Idle
    }

    pub(in crate::replication) fn is_merging(&self) -> bool {
        self.purpose == Purpose::Merge && self.is_busy()
    }

    pub(in crate::replication) fn is_verifying(&self) -> bool {
        self.state == State::Verifying
    }

    /// Sessions dropped because the owner does not have them.
    pub(in crate::replication) fn swept(&self) -> u64 {
        self.swept
    }

    pub(in crate::replication) fn progress(&self, now: Time) -> Option<Progress> {
        let progress = Progress::new(self.purpose, self.done, self.total, self.since, now);
        self.is_busy().then_some(progress)
    }

    /// An owner that has begun is asked on, in case that it was deposed and crowned again.
    fn repeat(&self) -> Duration {
        if self.state == State::Requested { BULK_REPEAT } else { BULK_RENEW }
    }

    fn apply(&mut self, event: Event, now: Time) {
        let (state, action) = step(self.state, event);
        self.state = state;
        match action {
            Action::Nothing => {}
            Action::Request => self.request(event, now),
            Action::Sweep => (self.cursor, self.sweep_at) = (0, now),
            Action::Verify => self.rounds = 0,
            Action::Complete => self.end(Outcome::Complete),
            Action::Abandon => self.end(Outcome::Abandoned),
        }
        if !matches!(self.state, State::Requested | State::Receiving) {
            self.request_at = None;
        }
    }

    fn request(&mut self, event: Event, now: Time) {
        self.bulk += 1;
        self.request_at = Some(now);
        self.marks.fill(0);
        (self.done, self.total) = (0, 0);
        if event == Event::PeerRestarted && self.purpose != Purpose::Repair {
            self.slots = SlotSet::ALL;
        }
    }

    /// A repair is the machine's own business, nobody waits for it.
    fn end(&mut self, outcome: Outcome) {
        self.deadline = None;
        self.outcome = (self.purpose != Purpose::Repair).then_some(outcome).or(self.outcome);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_state_and_event() {
        use {Action as A, Event as E, State as S};
        let request = (S::Requested, A::Request);
        let abandon = (S::Idle, A::Abandon);
        let stay = |state| (state, A::Nothing);
        #[rustfmt::skip]
        let table: [(S, [(S, A); 10]); 5] = [
            // wanted, begun, ended to sweep, ended to keep, swept to verify, swept to finish,
            // proven, disproven, peer restarted, owned
            (S::Idle, [request, stay(S::Idle), stay(S::Idle), stay(S::Idle), stay(S::Idle),
                stay(S::Idle), stay(S::Idle), stay(S::Idle), stay(S::Idle), stay(S::Idle)]),
            (S::Requested, [request, stay(S::Receiving), (S::Sweeping, A::Sweep),
                (S::Verifying, A::Verify), stay(S::Requested), stay(S::Requested),
                stay(S::Requested), stay(S::Requested), request, abandon]),
            (S::Receiving, [request, stay(S::Receiving), (S::Sweeping, A::Sweep),
                (S::Verifying, A::Verify), stay(S::Receiving), stay(S::Receiving),
                stay(S::Receiving), stay(S::Receiving), request, abandon]),
            (S::Sweeping, [request, stay(S::Sweeping), stay(S::Sweeping), stay(S::Sweeping),
                (S::Verifying, A::Verify), stay(S::Idle), stay(S::Sweeping),
                stay(S::Sweeping), request, abandon]),
            (S::Verifying, [request, stay(S::Verifying), stay(S::Verifying), stay(S::Verifying),
                stay(S::Verifying), stay(S::Verifying), (S::Idle, A::Complete), request,
                request, abandon]),
        ];
        let events = [
            E::Wanted,
            E::Begun,
            E::EndedSweep,
            E::EndedKeep,
            E::SweptVerify,
            E::SweptFinish,
            E::Proven,
            E::Disproven,
            E::PeerRestarted,
            E::Owned,
        ];
        for (state, row) in table {
            for (event, expected) in events.into_iter().zip(row) {
                assert_eq!(step(state, event), expected, "{state:?} × {event:?}");
            }
        }
    }
}
