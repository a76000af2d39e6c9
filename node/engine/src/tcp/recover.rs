//! A connection whose last segments nobody here saw: what its peers may send until both have shown
//! where they are.
//!
//! | segment | inside the known bounds | ahead, up to the sender's limit | elsewhere |
//! |---|---|---|---|
//! | ACK, with or without data | as ever | once: the bounds are put there | invalid |
//! | SYN, FIN, RST | as ever | challenge ACK | challenge ACK |
//!
//! What a segment acknowledges may be ahead, too, up to the receiver's limit, until the receiver's own
//! segments have passed it: its peer may acknowledge bit by bit what came while nobody looked.
//!
//! A SYN, FIN or RST is what forgers need (RFC 5961 §3 to §5), so a limit is not enough for it. The
//! firewall asks its sender by a challenge ACK: below all that it has acknowledged, so that an honest
//! peer's answer is an ACK with its true numbers (RFC 9293 §3.10.7.4), and one that has forgotten the
//! connection answers with a RST of a known number. Nothing passes meanwhile.

use wire::Seq;

use super::{Class, Judgement, Segment, State, Tcp, WindowCheck, window};
use crate::replication::Recovery;
use crate::session::Peer;

/// What becomes of a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Recovered {
    /// What [`Tcp::judge`] says.
    Strictly(Judgement),
    /// That, of a connection whose bounds were moved; and whether its sender's were.
    Moved(Judgement, bool),
    /// Dropped; its sender is asked with these numbers.
    Challenge {
        /// Below all that the sender has acknowledged.
        sequence: Seq,
        /// After all that the sender is known to have sent.
        acknowledgment: Seq,
    },
}

impl Tcp {
    /// Where a peer may be that was let go on for `ahead` bytes, and then fills its window.
    pub(crate) fn limit(&self, peer: Peer, ahead: u32) -> Seq {
        let (from, to) = self.pair(peer);
        // At most 2^28 + 2^30: less than half of what comparisons can tell.
        from.end + ahead.saturating_add(to.max_window)
    }

    /// [`Self::judge`] for a connection that may be further on than it is known to be.
    pub(crate) fn recover(
        &self,
        sender: Peer,
        segment: &Segment,
        check: WindowCheck,
        recovery: &Recovery,
    ) -> Recovered {
        let strict = self.judge(sender, segment, check);
        let Ok(class) = Class::of(segment.flags) else { return Recovered::Strictly(strict) };
        if check == WindowCheck::Off || !self.is_synchronised() {
            return Recovered::Strictly(strict);
        }
        match class {
            Class::Ack => match strict {
                Judgement::Invalid(_) => self.jump(sender, segment, check, recovery, strict),
                Judgement::Accept(_) | Judgement::Ignore(_) | Judgement::Reopen => {
                    Recovered::Strictly(strict)
                }
            },
            Class::Syn | Class::SynAck | Class::Fin | Class::Rst
                if self.is_behind(sender, recovery) && !self.matches(sender, segment, &strict) =>
            {
                let (from, _) = self.pair(sender);
                Recovered::Challenge { sequence: from.max_ack - 1, acknowledgment: from.end }
            }
            Class::Syn | Class::SynAck | Class::Fin | Class::Rst | Class::None => {
                Recovered::Strictly(strict)
            }
        }
    }

    /// Moves the bounds to where the segment is, if the limits allow it, and judges it there.
    fn jump(
        &self,
        sender: Peer,
        segment: &Segment,
        check: WindowCheck,
        recovery: &Recovery,
        strict: Judgement,
    ) -> Recovered {
        let numbers = self.numbers(sender, segment);
        let (own, other) = (sender.index(), sender.other().index());
        let mut moved = *self;
        let acknowledged = numbers.ack.max(numbers.sack);
        if acknowledged.gt(self.windows[other].end) {
            let allowed = self.may_be_ahead(sender.other(), recovery)
                && acknowledged.le(recovery.limits[other]);
            if !allowed {
                return Recovered::Strictly(strict);
            }
            let window = &mut moved.windows[other];
            window.end = acknowledged;
            window.max_end = window.max_end.max(acknowledged);
        }
        let (from, to) = self.pair(sender);
        let jumps = numbers.sequence.gt(from.max_end) && numbers.end.gt(from.end);
        if jumps {
            if !self.is_behind(sender, recovery) || numbers.end.gt(recovery.limits[own]) {
                return Recovered::Strictly(strict);
            }
            // One window from here: what its receiver acknowledged before, this one knew.
            moved.windows[own].max_end = (numbers.sequence + to.max_window).max(numbers.end);
        }
        match moved.judge(sender, segment, check) {
            Judgement::Invalid(_) => Recovered::Strictly(strict),
            judgement @ (Judgement::Accept(_) | Judgement::Ignore(_) | Judgement::Reopen) => {
                Recovered::Moved(judgement, jumps)
            }
        }
    }

    /// Whether a peer may be further on than it is known to be, and has not shown it yet.
    fn is_behind(&self, peer: Peer, recovery: &Recovery) -> bool {
        recovery.jumps[peer.index()] && self.may_be_ahead(peer, recovery)
    }

    fn may_be_ahead(&self, peer: Peer, recovery: &Recovery) -> bool {
        let finished = self.marks[peer.index()].has(super::Marks::FIN);
        !finished && self.windows[peer.index()].end.lt(recovery.limits[peer.index()])
    }

    /// Whether a segment of one of the forgers' kinds fits what is known. A SYN passes an open
    /// connection whatever its number is, for the receiver to answer; here it needs a known one.
    fn matches(&self, sender: Peer, segment: &Segment, strict: &Judgement) -> bool {
        let (from, to) = self.pair(sender);
        match strict {
            Judgement::Accept(_) | Judgement::Reopen => true,
            Judgement::Ignore(_) => {
                let numbers = self.numbers(sender, segment);
                !matches!(window::fit(from, to, &numbers), window::Fit::Out(_))
            }
            Judgement::Invalid(_) => false,
        }
    }

    const fn is_synchronised(&self) -> bool {
        match self.state {
            State::SynReceived
            | State::Established
            | State::FinWait
            | State::CloseWait
            | State::LastAck => true,
            State::None
            | State::SynSent
            | State::SynSent2
            | State::PickedUp
            | State::TimeWait
            | State::Close => false,
        }
    }
}
