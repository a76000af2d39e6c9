//! RST: the segment that a forger likes best (RFC 5961 §3).

use wire::TcpFlags;

use super::window::{self, Fit};
use super::{Accepted, Class, Invalid, Judgement, Marks, Segment, State, Tcp, WindowCheck};
use crate::session::Peer;

impl Tcp {
    #[cold]
    pub(super) fn judge_reset(
        &self,
        sender: Peer,
        segment: &Segment,
        check: WindowCheck,
    ) -> Judgement {
        let fit = match check {
            WindowCheck::Check => self.reset_fit(sender, segment),
            WindowCheck::Off => Fit::In,
        };
        match fit {
            Fit::Out(invalid) => return Judgement::Invalid(invalid),
            Fit::Stale => return Judgement::Ignore(*self),
            Fit::In => {}
        }
        let unanswered = matches!(self.state, State::SynSent | State::SynSent2);
        let opening = unanswered || self.state == State::SynReceived;
        let mut next = *self;
        next.marks[sender.index()].set(Marks::RESET_OPENING, opening);
        next.enter(State::Close);
        next.note(sender, Class::Rst, segment);
        Judgement::Accept(Accepted { finished: unanswered, ..Accepted::new(next, true) })
    }

    /// Who reset the connection before it was open, if somebody did.
    pub(crate) fn reset_while_opening(&self) -> Option<Peer> {
        Peer::BOTH.into_iter().find(|peer| self.marks[peer.index()].has(Marks::RESET_OPENING))
    }

    /// `In` closes, `Stale` passes and changes nothing.
    fn reset_fit(&self, sender: Peer, segment: &Segment) -> Fit {
        if self.answers_noted_syn(sender, segment) {
            return Fit::In;
        }
        let (from, to) = self.pair(sender);
        let exact =
            segment.sequence == from.end || (to.is_seen() && segment.sequence == to.max_ack);
        match self.state {
            State::None => Fit::Out(Invalid::State),
            State::SynSent | State::SynSent2 => self.reset_fit_opening(sender, segment, exact),
            State::SynReceived | State::Established | State::PickedUp if exact => Fit::In,
            State::SynReceived | State::Established | State::PickedUp => {
                let ahead = segment.sequence.gt(to.max_ack) && segment.sequence.le(from.max_end);
                if ahead { Fit::Stale } else { Fit::Out(Invalid::Reset) }
            }
            State::FinWait | State::CloseWait | State::LastAck if exact => Fit::In,
            // Half-closed, a connection may stream for hours, so nothing less ends it than when it
            // is open: an aborting host resets with SND.NXT. But closing peers forget at different
            // times, and who has forgotten answers by the numbers that it is sent. So whatever is
            // in the window or late passes, and its receiver decides. A reset must not shorten
            // TIME-WAIT either (RFC 1337), nor prolong a closed connection.
            State::FinWait | State::CloseWait | State::LastAck | State::TimeWait | State::Close => {
                match window::fit(from, to, &self.numbers(sender, segment)) {
                    Fit::In | Fit::Stale => Fit::Stale,
                    Fit::Out(_) => Fit::Out(Invalid::Reset),
                }
            }
        }
    }

    /// Before the connection is open: a refusal must acknowledge the SYN, an abort must be exact. An
    /// acknowledgment that makes no sense to the initiator has it reset what its peer still keeps of an old
    /// connection, and ask on (RFC 9293 §3.10.7.3, figure 9).
    fn reset_fit_opening(&self, sender: Peer, segment: &Segment, exact: bool) -> Fit {
        let refused = sender == Peer::Responder
            && segment.flags.contains(TcpFlags::ACK)
            && self.acknowledges_syn(sender, segment);
        let challenged = self.last.class == Class::Ack
            && self.last.sender == sender.other()
            && self.last.mark == segment.sequence.0;
        let aborted = exact && self.windows[sender.index()].is_seen();
        match (refused || aborted, challenged, sender) {
            (true, ..) | (false, true, Peer::Responder) => Fit::In,
            (false, true, Peer::Initiator) => Fit::Stale,
            (false, false, _) => Fit::Out(Invalid::Reset),
        }
    }
}
