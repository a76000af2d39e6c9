//! Connections picked up in the middle: their SYNs were never seen here.
//!
//! As Linux's `nf_conntrack_tcp_loose` does it, the first ACK tells where its sender is, and by its
//! acknowledgment where the other peer is. Its sender is the initiator from then on, whoever it was to
//! the peers.
//!
//! | known from | of the initiator | of the responder |
//! |---|---|---|
//! | the initiator's segments | `end`, its window | `end`: what is acknowledged; `max_end` |
//! | the responder's first one | `max_end` | `end`, its window |
//!
//! Until the responder speaks, nobody knows what it offered and what it sent before, so a segment needs
//! only to lie within a quarter of the sequence space. From then on the four bounds hold. Nobody told
//! the window scales either: both are taken for the largest there is, so that no honest segment is
//! dropped. A window is then up to 16,384 times too wide; it is no wider than a window can be, and a
//! RST must be as exact as ever. (Linux checks no bound at all then.)

use super::segment::SynOptions;
use super::window::{self, WINDOW_MAX, Window};
use super::{Accepted, Class, Invalid, Judgement, Marks, Segment, State, Tcp, WindowCheck};
use crate::session::Peer;

impl Tcp {
    /// Judges the first segment of a session whose rule picks connections up: beside a SYN, an ACK
    /// opens it. A SYN-ACK, a FIN or a RST does not: they are the answer to something, or an end.
    pub fn pick_up(segment: &Segment) -> Result<Self, Invalid> {
        match Class::of(segment.flags)? {
            Class::Syn => Self::open(segment),
            Class::Ack => Ok(Self::in_the_middle(segment)),
            Class::SynAck | Class::Fin | Class::Rst | Class::None => Err(Invalid::NotSyn),
        }
    }

    /// What one ACK of a connection tells about it.
    fn in_the_middle(segment: &Segment) -> Self {
        let mut tcp = Self { options: [SynOptions::UNKNOWN; 2], ..Self::IDLE };
        let numbers = tcp.numbers(Peer::Initiator, segment);
        let (end, offered) = (numbers.end, numbers.window.max(1));
        let initiator =
            Window { end, max_end: end + WINDOW_MAX, max_window: offered, max_ack: numbers.ack };
        let responder = Window {
            end: numbers.ack,
            max_end: numbers.ack + offered,
            max_ack: numbers.sequence,
            ..Window::UNSEEN
        };
        tcp.windows = [initiator, responder];
        tcp.marks[0] = Marks::ACKED;
        tcp.marks[0].set(Marks::UNACKNOWLEDGED, segment.payload > 0);
        tcp.state = State::PickedUp;
        tcp.note(Peer::Initiator, Class::Ack, segment);
        tcp
    }

    /// Whether one peer has not been seen yet, as only in a connection picked up.
    pub(super) fn is_half_seen(&self) -> bool {
        !self.windows.iter().all(Window::is_seen)
    }

    /// FIN or ACK of a connection of which the responder was not seen before.
    #[cold]
    pub(super) fn judge_half_seen(
        &self,
        sender: Peer,
        class: Class,
        segment: &Segment,
        state: State,
        check: WindowCheck,
    ) -> Judgement {
        let numbers = self.numbers(sender, segment);
        let (from, to) = self.pair(sender);
        if check == WindowCheck::Check {
            if self.marks[sender.index()].has(Marks::FIN) && numbers.end.gt(from.end) {
                return Judgement::Invalid(Invalid::AfterFin);
            }
            if let Some(invalid) = window::out_of_reach(from, to, &numbers) {
                return Judgement::Invalid(invalid);
            }
        }
        let mut known = *self;
        let (mut from, mut to) = (*from, *to);
        // What is acknowledged was sent.
        to.end = to.end.max(numbers.ack);
        if to.is_seen() {
            // The responder's first segment: what it offers is the bound from now on.
            from.max_ack = numbers.ack;
            to.max_end = to.end;
        } else {
            from.max_end = from.max_end.max(numbers.end + WINDOW_MAX);
        }
        known.windows[sender.index()] = from;
        known.windows[sender.other().index()] = to;
        let stream = known.stream(sender, class, segment, numbers);
        Judgement::Accept(Accepted::new(known.step(&stream, state, check), true))
    }
}
