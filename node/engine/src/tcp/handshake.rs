//! How connections begin: SYN and SYN-ACK, early, late, crossed and repeated.

use wire::{Seq, TcpFlags};

use super::window::{self, Fit, Window};
use super::{
    Accepted, Class, Invalid, Judgement, Marks, Opening, Segment, State, SynOptions, Tcp,
    WindowCheck,
};
use crate::limits::ACK_WINDOW_MIN;
use crate::session::Peer;

impl Tcp {
    /// A SYN that opens, repeats an opening, or meets another on its way.
    #[cold]
    pub(super) fn judge_syn(&self, sender: Peer, segment: &Segment, state: State) -> Judgement {
        let known = self.windows[sender.index()].is_seen();
        let repeated = known && segment.sequence + 1 == self.expected_ack(sender);
        let mut next = *self;
        if repeated {
            next.extend_syn(sender, segment);
        } else if known && self.state == State::SynSent2 {
            return Judgement::Invalid(Invalid::State);
        } else {
            // A first SYN, or a client that gave up and tries again from the same port: the latest
            // SYN is the one that will be answered.
            next.begin(sender, segment);
        }
        next.opening = next.opening.simultaneous_if(sender == Peer::Responder);
        next.note(sender, Class::Syn, segment);
        let renews = next.enter(state) || !repeated;
        Judgement::Accept(Accepted::new(next, renews))
    }

    /// A SYN-ACK that answers the other peer's SYN.
    #[cold]
    pub(super) fn judge_syn_ack(
        &self,
        sender: Peer,
        segment: &Segment,
        state: State,
        check: WindowCheck,
    ) -> Judgement {
        if check == WindowCheck::Check && !self.acknowledges_syn(sender, segment) {
            return Judgement::Invalid(Invalid::SynUnacknowledged);
        }
        let repeated = self.windows[sender.index()].is_seen();
        if repeated && segment.sequence + 1 != self.expected_ack(sender) {
            return Judgement::Invalid(Invalid::State);
        }
        let mut next = *self;
        if !repeated {
            next.begin(sender, segment);
        }
        next.take_syn_ack(sender, segment, state, true)
    }

    /// A SYN-ACK after the first: repeated, or the answer to a SYN that was let through.
    #[cold]
    pub(super) fn judge_late_syn_ack(
        &self,
        sender: Peer,
        segment: &Segment,
        check: WindowCheck,
    ) -> Judgement {
        if self.state == State::SynReceived {
            return self.judge_repeated_syn_ack(sender, segment, check);
        }
        if self.state == State::PickedUp && self.answers_noted_syn(sender, segment) {
            // Whoever sends it has never said anything else: there is no first one to be late.
            return self.follow_noted_syn(sender, segment);
        }
        let (from, to) = self.pair(sender);
        match window::fit(from, to, &self.numbers(sender, segment)) {
            // First of all a late copy of the first one: also after a late copy of the SYN.
            Fit::In | Fit::Stale => Judgement::Ignore(*self),
            Fit::Out(_) if self.answers_noted_syn(sender, segment) => {
                self.follow_noted_syn(sender, segment)
            }
            Fit::Out(_) if check == WindowCheck::Off => Judgement::Ignore(*self),
            Fit::Out(invalid) => Judgement::Invalid(invalid),
        }
    }

    /// A SYN-ACK in SYN-RECEIVED.
    fn judge_repeated_syn_ack(
        &self,
        sender: Peer,
        segment: &Segment,
        check: WindowCheck,
    ) -> Judgement {
        if check == WindowCheck::Off {
            return Judgement::Ignore(*self);
        }
        if !self.acknowledges_syn(sender, segment) {
            return if self.answers_noted_syn(sender, segment) {
                self.follow_noted_syn(sender, segment)
            } else {
                Judgement::Invalid(Invalid::SynUnacknowledged)
            };
        }
        let mut next = *self;
        if segment.sequence + 1 == self.expected_ack(sender) {
            // Each peer of a simultaneous open acknowledges the other's SYN with its own SYN-ACK:
            // the second one opens. Else it is the first one again, and its window may count.
            let second =
                self.opening.is_simultaneous() && !self.marks[sender.index()].has(Marks::ACKED);
            let state = if second { State::Established } else { State::SynReceived };
            return next.take_syn_ack(sender, segment, state, second);
        }
        if sender == Peer::Initiator {
            return Judgement::Invalid(Invalid::State);
        }
        // The responder starts again with another sequence number, before anybody used the first.
        next.begin(sender, segment);
        next.take_syn_ack(sender, segment, State::SynReceived, true)
    }

    /// Both ends agree on a new connection that the tracker did not believe in: follow them.
    fn follow_noted_syn(&self, sender: Peer, segment: &Segment) -> Judgement {
        let opening = Opening(self.opening.again().attempt());
        let mut next = Self { opening, ..Self::IDLE };
        let end = Seq(self.last.mark);
        let initiator = sender.other();
        next.windows[initiator.index()] = Window {
            end,
            max_end: end,
            max_window: u32::from(self.last.window).max(1),
            max_ack: Seq(0),
        };
        next.options[initiator.index()] = self.noted;
        next.windows[sender.index()].max_ack = end;
        next.begin(sender, segment);
        next.take_syn_ack(sender, segment, State::SynReceived, true)
    }

    #[cold]
    pub(super) fn note_syn(&self, sender: Peer, segment: &Segment) -> Judgement {
        let mut next = *self;
        next.note(sender, Class::Syn, segment);
        next.noted = SynOptions::of(segment);
        Judgement::Ignore(next)
    }

    /// A SYN on a finished connection.
    #[cold]
    pub(super) fn judge_reopen(&self, sender: Peer, segment: &Segment) -> Judgement {
        let (from, _) = self.pair(sender);
        let newer = segment.sequence.gt(from.end);
        let late = self.is_late(sender, segment);
        match (self.state, sender) {
            (State::Close, _) if !late => Judgement::Reopen,
            _ if newer => Judgement::Reopen,
            (_, Peer::Initiator) => self.note_syn(sender, segment),
            (_, Peer::Responder) if late => Judgement::Ignore(*self),
            (_, Peer::Responder) => Judgement::Invalid(Invalid::State),
        }
    }

    /// Whether a SYN may be a late copy of the connection's own one: it is not far back.
    pub(super) fn is_late(&self, sender: Peer, segment: &Segment) -> bool {
        let (from, to) = self.pair(sender);
        segment.sequence.le(from.end) && segment.sequence.ge(from.past(to))
    }

    /// Starts the sequence space of `sender` at its SYN.
    pub(super) fn begin(&mut self, sender: Peer, segment: &Segment) {
        let other = sender.other().index();
        let end = segment.end();
        if self.windows[sender.index()].is_seen() {
            self.opening = self.opening.again();
        }
        // A window in a SYN is never scaled (RFC 7323 §2.2). What the other peer's SYN offered may
        // be used at once, as a fast-open responder does (RFC 7413 §4.2.2).
        let granted = self.windows[other].max_window;
        self.windows[sender.index()] = Window {
            end,
            max_end: end + granted,
            max_window: u32::from(segment.window).max(1),
            max_ack: self.windows[sender.index()].max_ack,
        };
        self.options[sender.index()] = SynOptions::of(segment);
        self.marks[sender.index()] = Marks(0);
        // The least that the other peer can acknowledge from now on.
        self.windows[other].max_ack = segment.sequence + 1;
    }

    /// A repeated SYN may carry less data (a fallback from fast open) or fewer options; the answer
    /// may be to either.
    fn extend_syn(&mut self, sender: Peer, segment: &Segment) {
        let window = &mut self.windows[sender.index()];
        window.end = window.end.max(segment.end());
        window.max_end = window.max_end.max(window.end);
        window.max_window = window.max_window.max(u32::from(segment.window));
        let options = &mut self.options[sender.index()];
        *options = options.or(SynOptions::of(segment));
    }

    fn take_syn_ack(
        mut self,
        sender: Peer,
        segment: &Segment,
        state: State,
        renews: bool,
    ) -> Judgement {
        let numbers = self.numbers(sender, segment);
        let stream = self.stream(sender, Class::SynAck, segment, numbers);
        self.take_stream(&stream);
        self.enter(state);
        self.note(sender, Class::SynAck, segment);
        Judgement::Accept(Accepted::new(self, renews))
    }

    /// Whether `segment` answers a SYN of the other peer that passed without being believed.
    pub(super) fn answers_noted_syn(&self, sender: Peer, segment: &Segment) -> bool {
        let opening = matches!(self.state, State::SynSent | State::SynSent2);
        !opening
            && self.last.class == Class::Syn
            && self.last.sender == sender.other()
            && segment.flags.contains(TcpFlags::ACK)
            && segment.acknowledgment.0 == self.last.mark
    }

    /// Whether it acknowledges the other peer's SYN, and no more than that peer sent.
    pub(super) fn acknowledges_syn(&self, sender: Peer, segment: &Segment) -> bool {
        let (from, to) = self.pair(sender);
        segment.acknowledgment.ge(from.max_ack) && segment.acknowledgment.le(to.end)
    }

    /// Whether it acknowledges the other peer's SYN, or what that peer may have sent unseen since then: as
    /// much as an unscaled window.
    pub(super) fn acknowledges_syn_or_later(&self, sender: Peer, segment: &Segment) -> bool {
        let (from, to) = self.pair(sender);
        let acknowledged = segment.acknowledgment;
        acknowledged.ge(from.max_ack) && acknowledged.le(to.end + ACK_WINDOW_MIN)
    }

    /// The acknowledgment that `sender`'s SYN asks for, while nothing else has been acknowledged.
    fn expected_ack(&self, sender: Peer) -> Seq {
        self.windows[sender.other().index()].max_ack
    }
}
