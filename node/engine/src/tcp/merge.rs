//! Two trackers of one session, of which one may be older: which is further on, and what both
//! together know. Nothing goes back: no attempt, no state, no window.

use std::cmp::Ordering;

use super::window::Window;
use super::{State, Tcp};
use crate::session::Peer;

/// How far one tracker is, compared with another one of the same session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Standing {
    /// Something of it is further on.
    pub(crate) ahead: bool,
    /// Something of the other one is further on.
    pub(crate) behind: bool,
}

impl Standing {
    const fn of(order: Ordering) -> Self {
        Self { ahead: order.is_gt(), behind: order.is_lt() }
    }

    const fn with(self, other: Self) -> Self {
        Self { ahead: self.ahead || other.ahead, behind: self.behind || other.behind }
    }
}

impl State {
    /// States come in this order only; see the transition table. A closed connection is at its end,
    /// whichever state it was closed in.
    pub(crate) const fn rank(self) -> u8 {
        match self {
            Self::None => 0,
            Self::SynSent => 1,
            Self::SynSent2 => 2,
            Self::SynReceived | Self::PickedUp => 3,
            Self::Established => 4,
            Self::FinWait => 5,
            Self::CloseWait => 6,
            Self::LastAck => 7,
            Self::TimeWait => 8,
            Self::Close => 9,
        }
    }
}

impl State {
    /// Opening, open, closing, closed: as far as a digest tells states apart.
    pub(crate) const fn class(self) -> u8 {
        match self {
            Self::None => 0,
            Self::SynSent | Self::SynSent2 | Self::SynReceived | Self::PickedUp => 1,
            Self::Established => 2,
            Self::FinWait | Self::CloseWait | Self::LastAck => 3,
            Self::TimeWait | Self::Close => 4,
        }
    }
}

impl Tcp {
    /// Compares attempt, then state, then windows.
    pub(crate) fn standing(&self, other: &Self) -> Standing {
        let order = self.phase(other);
        if order.is_ne() {
            return Standing::of(order);
        }
        let of = |peer| self.window_standing(other, peer);
        of(Peer::Initiator).with(of(Peer::Responder))
    }

    /// Whether a state that the backup could not derive from the next segments was entered since
    /// `before`: a peer's sequence space was begun.
    pub(crate) fn begins_since(&self, before: &Self) -> bool {
        let seen = |tcp: &Self| tcp.windows.each_ref().map(Window::is_seen);
        self.opening != before.opening || seen(self) != seen(before)
    }

    /// What the backup is told at once: state, attempt and FINs.
    pub(crate) fn changes_class(&self, before: &Self) -> bool {
        let fins = |tcp: &Self| tcp.marks.map(|marks| marks.has(super::Marks::FIN));
        self.state != before.state || self.opening != before.opening || fins(self) != fins(before)
    }

    /// What both know; `fresher` is whose last segment counts when neither is further on.
    pub(crate) fn merged(&self, other: &Self, fresher: bool) -> Self {
        let order = self.phase(other);
        let (front, back) = match order {
            Ordering::Greater => (self, other),
            Ordering::Less => (other, self),
            Ordering::Equal if fresher => (self, other),
            Ordering::Equal => (other, self),
        };
        if front.opening.attempt() != back.opening.attempt() {
            return *front;
        }
        let mut next = *front;
        for peer in Peer::BOTH {
            next.take_window(back, peer);
        }
        next.opening = front.opening.simultaneous_if(back.opening.is_simultaneous());
        next
    }

    /// Attempt, then state.
    fn phase(&self, other: &Self) -> Ordering {
        let attempts = self.opening.attempt().wrapping_sub(other.opening.attempt()) as i8;
        attempts.cmp(&0).then(self.state.rank().cmp(&other.state.rank()))
    }

    fn window_standing(&self, other: &Self, peer: Peer) -> Standing {
        let (a, b) = (self.window(peer), other.window(peer));
        let seen = Standing::of(a.is_seen().cmp(&b.is_seen()));
        let known = Standing::of(self.knows_ack(peer).cmp(&other.knows_ack(peer)));
        let both_seen = a.is_seen() && b.is_seen();
        let numbers = match both_seen {
            true => [a.end - b.end, a.max_end - b.max_end, a.max_window.cmp(&b.max_window) as i32],
            false => [0; 3],
        };
        let both_known = self.knows_ack(peer) && other.knows_ack(peer);
        let ack = if both_known { a.max_ack - b.max_ack } else { 0 };
        let start = seen.with(known).with(Standing::of(ack.cmp(&0)));
        numbers.into_iter().fold(start, |all, it| all.with(Standing::of(it.cmp(&0))))
    }

    /// Takes over what `back`, of the same attempt, knows more of a peer.
    fn take_window(&mut self, back: &Self, peer: Peer) {
        let knows = (self.knows_ack(peer), back.knows_ack(peer));
        let theirs = *back.window(peer);
        let (options, marks) = (back.options[peer.index()], back.marks[peer.index()]);
        let own = &mut self.windows[peer.index()];
        let ack = match knows {
            (true, true) => own.max_ack.max(theirs.max_ack),
            (false, true) => theirs.max_ack,
            (_, false) => own.max_ack,
        };
        match (own.is_seen(), theirs.is_seen()) {
            (true, true) => {
                own.end = own.end.max(theirs.end);
                own.max_end = own.max_end.max(theirs.max_end);
                own.max_window = own.max_window.max(theirs.max_window);
            }
            (false, true) => *own = theirs,
            (_, false) => {}
        }
        own.max_ack = ack;
        let options = self.options[peer.index()].or(options);
        self.options[peer.index()] = options;
        let lasting = super::Marks(marks.0 & !super::Marks::UNACKNOWLEDGED.0);
        self.marks[peer.index()] = self.marks[peer.index()].or(lasting);
    }

    /// Whether `max_ack` of a peer means something: the other one has sent its SYN.
    fn knows_ack(&self, peer: Peer) -> bool {
        self.window(peer.other()).is_seen()
    }

    const fn window(&self, peer: Peer) -> &Window {
        &self.windows[peer.index()]
    }
}

#[cfg(test)]
mod tests;
