//! What the engine tells about sessions: opened, closed, refused. Fixed-size records in a bounded
//! queue; a driver drains them after each burst and turns them into log lines.

use core::time::Duration;
use std::collections::VecDeque;

use wire::{Direction, Ends, FlowKey};

use crate::limits::EVENTS;
use crate::session::{CloseReason, SessionId};
use crate::{PortId, Reason, RuleIndex, ZoneId};

/// Something that happened to a session, or to a packet that wanted to be one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Open, close or deny.
    pub kind: EventKind,
    /// The flow, and which way its first packet went.
    pub key: FlowKey,
    /// The direction of the first packet within the canonical key.
    pub initiator: Direction,
    /// How the initiator's packets leave, if they are translated.
    pub translated: Option<Leaving>,
    /// The session; `None` for a denial.
    pub session: Option<SessionId>,
    /// The rule of the epoch; `None` when none matched.
    pub rule: Option<RuleIndex>,
    /// The policy's epoch that `rule` and `zones` count in, low 32 bits.
    pub epoch: u32,
    /// The epoch of the policy that judged last: that which ended it, where a policy did; else `epoch`.
    pub judged: u32,
    /// The zones of initiator and responder, where known.
    pub zones: [Option<ZoneId>; 2],
    /// The initiator's port, where known: a session knows it once a reply has left by it.
    pub ingress: Option<PortId>,
    /// The responder's port, where known.
    pub egress: Option<PortId>,
    /// Packets from initiator to responder, and back.
    pub packets: [u64; 2],
    /// Bytes (IP datagrams) from initiator to responder, and back.
    pub bytes: [u64; 2],
    /// Age of the session.
    pub duration: Duration,
}

/// What becomes of the initiator's packets of a translated session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// Both ends of them.
    pub ends: Ends,
    /// The rules that translate source and destination, as [`crate::nat::word_of`] names them; 0: none.
    pub rules: [u32; 2],
}

/// The kinds of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// A session was opened.
    Open,
    /// A session ended.
    Close(CloseReason),
    /// A packet that would have opened a session was refused.
    Deny(Reason),
}

/// The bounded queue of events between engine and driver.
#[derive(Debug)]
pub(crate) struct Events {
    queue: VecDeque<Event>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { queue: VecDeque::with_capacity(EVENTS) }
    }

    /// Queues an event; `false` when the queue is full and the event is lost.
    pub(crate) fn push(&mut self, event: Event) -> bool {
        let room = self.queue.len() < EVENTS;
        if room {
            self.queue.push_back(event);
        }
        room
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(crate) fn pop(&mut self) -> Option<Event> {
        self.queue.pop_front()
    }
}
