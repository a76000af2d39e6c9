//! Replication of one worker's sessions to the same worker of the peer: what changed here is brought
//! there and kept there, and the table of one can take the other's place.
//!
//! ```text
//!             notes                                  records, deletes
//!   engine ─────────► sender ──► envelope ═══════► receiver ────────► the peer's engine
//!      ▲                │ ▲                           │
//!      └── releases ────┘ └──────── acknowledgments ──┘
//!                     bulk: all sessions of some slots, walked by the owner for a joiner
//!                     digest: sums of both tables, compared slot by slot
//! ```
//!
//! [`Replication`] is one machine for one stream in both directions. It keeps no session: it knows
//! places and identities, and asks [`Sessions`] for the rest. Whoever drives it gives it an
//! [`Input`], then takes outputs until there is none; [`Replication::next_deadline`] says when
//! [`Input::Time`] is due.

mod apply;
mod bulk;
mod deletes;
mod digest;
mod emit;
pub mod halves;
mod histogram;
mod keyed;
mod link;
mod note;
mod queues;
mod receiver;
mod rtt;
mod sender;
mod sessions;
mod settings;
mod table;
#[cfg(test)]
mod tests;
mod view;
mod walk;
mod window;

pub mod envelope;
pub mod replicas;

use core::time::Duration;
use std::collections::VecDeque;

use engine::replication::Note;
use wire::Time;

pub use self::bulk::{Outcome, Progress, Purpose};
pub use self::envelope::SlotSet;
pub use self::histogram::Histogram;
pub use self::link::Link;
pub use self::note::Release;
pub use self::replicas::Replicas;
pub use self::sender::{Lag, SenderCounters};
pub use self::sessions::{Exported, Imported, Refusal, Row, Sessions};
pub use self::settings::Settings;
pub use self::table::Table;
pub use self::view::{ReceiverCounters, View};

use self::bulk::joiner::Joiner;
use self::bulk::owner::Owner;
use self::digest::{Comparer, Teller};
use self::link::{Action, Event, Run};
use self::receiver::Receiver;
use self::sender::{Releases, Sender};
use crate::limits::{MESSAGE_BYTES_MAX, MESSAGE_BYTES_MIN, VERIFY_ROUNDS};
use crate::{Boot, NodeId, Term};

/// One stream between two nodes, in both directions.
#[derive(Debug)]
pub struct Replication {
    settings: Settings,
    term: Term,
    /// The newest term that a message named.
    newest_term: Term,
    /// This node owns the sessions.
    owner: bool,
    link: Link,
    peer_boot: Option<Boot>,
    sender: Sender,
    receiver: Receiver,
    bulk_owner: Owner,
    joiner: Joiner,
    teller: Teller,
    comparer: Comparer,
    /// Rounds of digests that follow each other closely.
    close_rounds: u32,
    /// Drained by the driver after each input; one input makes at most a window's worth.
    releases: Releases,
    events: VecDeque<Waiting>,
    buffer: Vec<u8>,
    counters: ReceiverCounters,
}

/// What happens to a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Input<'a> {
    /// From now on the peer is that node. There is no connection to it yet.
    Partner(NodeId),
    /// The transport has a connection to the peer.
    Connected,
    /// The connection is gone, or the peer was declared dead.
    Lost,
    /// A message came.
    Message(&'a [u8]),
    /// A session of ours changed.
    Note(Note),
    /// Who owns the sessions has changed, or was said for the first time.
    Role {
        /// Whether this node does.
        owner: bool,
        /// Since which version.
        term: Term,
    },
    /// This node wants the peer's sessions: it joins, or both tables are to be merged. For a merge
    /// both nodes must be told.
    Want {
        /// What for.
        purpose: Purpose,
        /// After which time nobody waits for it any more.
        deadline: Option<Duration>,
    },
    /// Time has passed.
    Time,
}

/// What a stream wants done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output<'a> {
    /// Send this to the peer, as one datagram.
    Send(&'a [u8]),
    /// Packets held for a session may go.
    Release(Release),
    /// From here on there is a peer for whom packets wait; or there is none, and all held ones may go.
    Peer(bool),
    /// The peer knows of a newer ownership. Who does not own follows it by itself.
    NewerTerm(Term),
    /// A bulk that this node wanted has ended, or need not be waited for.
    Bulk(Purpose, Outcome),
}

/// Outputs that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    Peer(bool),
    NewerTerm(Term),
    Bulk(Purpose, Outcome),
}

impl Replication {
    /// A stream without a connection, of a node that does not own.
    pub fn new(mut settings: Settings) -> Self {
        settings.message_bytes = within_limits(settings.message_bytes);
        Self {
            term: settings.term,
            newest_term: settings.term,
            owner: false,
            link: Link::Down,
            peer_boot: None,
            sender: Sender::new(&settings),
            receiver: Receiver::new(settings.seed),
            bulk_owner: Owner::new(),
            joiner: Joiner::new(settings.places),
            teller: Teller::new(),
            comparer: Comparer::new(),
            close_rounds: 0,
            releases: Releases::new(),
            events: VecDeque::new(),
            buffer: Vec::with_capacity(2 * MESSAGE_BYTES_MAX),
            counters: ReceiverCounters::default(),
            settings,
        }
    }

    /// The other node.
    pub fn partner(&self) -> NodeId {
        self.settings.peer
    }

    /// The path to the peer carries messages of so many bytes now.
    pub fn set_message_bytes(&mut self, bytes: usize) {
        self.settings.message_bytes = within_limits(bytes);
    }

    /// Takes an input.
    pub fn handle<S: Sessions>(&mut self, input: Input<'_>, sessions: &mut S, now: Time) {
        match input {
            Input::Partner(node) => self.change_partner(node, now),
            Input::Connected => self.link_event(Event::Connected, now),
            Input::Lost => self.link_event(Event::Lost, now),
            Input::Message(bytes) => self.message(bytes, sessions, now),
            Input::Note(note) => self.releases.extend(self.sender.note(&note, now)),
            Input::Role { owner, term } => self.role(owner, term, now),
            Input::Want { purpose, deadline } => self.want(purpose, deadline, now),
            Input::Time => self.work(sessions, now),
        }
    }

    /// Whether what waits leaves at once, and is acknowledged at once: its owner is about to stop, and
    /// the peer is to know all before.
    pub fn set_hurry(&mut self, hurry: bool) {
        self.sender.hurries = hurry;
    }

    /// Whether the peer has all changes, or there is none. A bulk does not count.
    pub fn is_settled(&self, now: Time) -> bool {
        let lag = self.sender.lag(now);
        self.link != Link::Up || lag.queued + lag.deletes_queued + lag.in_flight == 0
    }

    /// What is to be done next; `None` until the next input.
    pub fn poll_output<S: Sessions>(&mut self, sessions: &mut S, now: Time) -> Option<Output<'_>> {
        if let Some(release) = self.releases.pop_front() {
            return Some(Output::Release(release));
        }
        if let Some(event) = self.events.pop_front() {
            return Some(match event {
                Waiting::Peer(there) => Output::Peer(there),
                Waiting::NewerTerm(term) => Output::NewerTerm(term),
                Waiting::Bulk(purpose, outcome) => Output::Bulk(purpose, outcome),
            });
        }
        let sends =
            self.link == Link::Up && (self.emit_changes(sessions, now) || self.emit_control(now));
        sends.then_some(Output::Send(&self.buffer))
    }

    /// When time makes a difference; a time that has passed if at once.
    pub fn next_deadline(&self, now: Time) -> Option<Time> {
        let works = [
            self.sender.loss_deadline(),
            self.bulk_owner.wants_work(&self.sender).then_some(now),
            self.joiner.work_at(),
            self.teller.work_at(),
            self.may_compare().then(|| self.teller.rests_until()).flatten(),
            self.comparer.work_at(),
        ];
        let sends = if self.link == Link::Up { self.send_at(now) } else { None };
        works.into_iter().flatten().chain(sends).min()
    }

    /// Numbers go on, so that an earlier partner who comes back takes none of them for one that it had.
    fn change_partner(&mut self, node: NodeId, now: Time) {
        if node == self.settings.peer {
            return;
        }
        self.link_event(Event::Lost, now);
        self.settings.peer = node;
        self.peer_boot = None;
        self.peer_restarted(now);
    }

    /// Carries out what the link's table says; whether a message is to be taken.
    fn link_event(&mut self, event: Event, now: Time) {
        let (link, action) = link::step(self.link, event);
        self.link = link;
        match action {
            Action::Nothing | Action::Meet | Action::Take => {}
            Action::Resume => {
                self.sender.connected();
                self.events.push_back(Waiting::Peer(true));
            }
            Action::GiveUp => {
                self.sender.connection_lost();
                self.events.push_back(Waiting::Peer(false));
            }
            Action::Restart => self.peer_restarted(now),
            Action::RefuseUnconnected => self.counters.refused_unconnected += 1,
            Action::RefuseOldRun => self.counters.refused_boot += 1,
        }
    }

    /// A message of this run of the peer's daemon; whether it is to be taken.
    fn meet(&mut self, boot: Boot, now: Time) -> bool {
        let event = Event::Message(Run::of(boot, self.peer_boot));
        let (_, action) = link::step(self.link, event);
        self.link_event(event, now);
        let takes = match action {
            Action::Meet | Action::Take | Action::Restart => true,
            Action::Nothing
            | Action::Resume
            | Action::GiveUp
            | Action::RefuseUnconnected
            | Action::RefuseOldRun => false,
        };
        if takes {
            self.peer_boot = Some(boot);
        }
        takes
    }

    fn peer_restarted(&mut self, now: Time) {
        self.sender.peer_restarted();
        self.receiver.peer_restarted();
        self.bulk_owner.peer_restarted(now);
        self.joiner.peer_restarted(now);
        self.comparer.reset();
        self.teller.rest_until(now);
    }

    fn role(&mut self, owner: bool, term: Term, now: Time) {
        self.term = self.term.max(term);
        self.newest_term = self.newest_term.max(term);
        let changed = std::mem::replace(&mut self.owner, owner) != owner;
        self.follow_newest_term();
        if !changed {
            return;
        }
        self.comparer.reset();
        self.teller.rest_until(now);
        if owner {
            self.joiner.owned(now);
        } else {
            self.bulk_owner.disowned(now);
            self.sender.forget_timeouts();
        }
        self.take_outcome();
    }

    /// Whoever does not own is of the newest term that it heard of, also while it still owned.
    fn follow_newest_term(&mut self) {
        if !self.owner {
            self.term = self.newest_term;
        }
    }

    fn want(&mut self, purpose: Purpose, deadline: Option<Duration>, now: Time) {
        if purpose == Purpose::Merge {
            self.sender.forget_timeouts();
        }
        // How an earlier one ended says nothing about this one.
        self.events.retain(|event| !matches!(event, Waiting::Bulk(..)));
        self.joiner.want(purpose, SlotSet::ALL, deadline, now);
    }

    /// What time brings. Each walk takes one step, so that no call is long.
    fn work<S: Sessions>(&mut self, sessions: &mut S, now: Time) {
        self.sender.expire(now);
        self.bulk_owner.work(&mut self.sender, sessions, now);
        self.joiner.work(sessions, now);
        self.teller.work(sessions, now);
        if let Some(found) = self.comparer.work(sessions, now) {
            self.compared(found, now);
        }
        self.next_round(now);
        self.take_outcome();
    }

    /// Begins a round of digests if it is time and both tables stand still enough.
    fn next_round(&mut self, now: Time) {
        if self.owner && self.sender.take_repair_needed() {
            self.close_rounds = VERIFY_ROUNDS;
            self.teller.hurry(now);
        }
        if !self.may_compare() || self.teller.rests_until().is_none_or(|at| at > now) {
            return;
        }
        let interval = self.settings.digest_interval_verifying;
        if u128::from(self.sender.lag(now).oldest_nanos) > interval.as_nanos() {
            return self.teller.rest_until(now + interval);
        }
        self.teller.begin(now);
    }

    /// Whether this node compares its table with the peer's at all now.
    fn may_compare(&self) -> bool {
        let peer = self.link == Link::Up && self.peer_boot.is_some();
        self.owner && peer && !self.bulk_owner.is_busy()
    }

    /// The rest after a round.
    fn digest_interval(&mut self) -> Duration {
        match self.close_rounds.checked_sub(1) {
            Some(left) => {
                self.close_rounds = left;
                self.settings.digest_interval_verifying
            }
            None => self.settings.digest_interval,
        }
    }

    fn take_outcome(&mut self) {
        if self.owner && self.joiner.is_verifying() {
            self.joiner.needs_no_proof();
        }
        if let Some((purpose, outcome)) = self.joiner.take_outcome() {
            self.events.push_back(Waiting::Bulk(purpose, outcome));
        }
    }
}

fn within_limits(message_bytes: usize) -> usize {
    message_bytes.clamp(MESSAGE_BYTES_MIN, MESSAGE_BYTES_MAX)
}
