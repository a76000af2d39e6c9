//! Somebody who is not on the path: knows addresses and ports of a connection, guesses numbers, and
//! sends in the name of one end, from that end's network or from the other one.

use std::net::IpAddr;

use crate::dice::Dice;
use crate::host;
use crate::plan::Connection;
use crate::segment::{self, ACK, FIN, PSH, RST, SYN, Segment};
use crate::truth::Truth;

pub(crate) struct Forged {
    /// In whose name.
    pub(crate) side: usize,
    /// By which port it comes in.
    pub(crate) ingress: usize,
    pub(crate) segment: Segment,
    pub(crate) packet: Vec<u8>,
    pub(crate) permitted: Permitted,
    pub(crate) kind: Kind,
}

/// What may become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Permitted {
    /// It does not pass.
    Nothing,
    /// It may pass, because an end that follows RFC 5961 answers it with a challenge ACK and takes
    /// nothing of it (§3.2, §4.2); the session stays what it is.
    Challenge,
}

/// What is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// A reset of any number.
    Reset,
    /// The same with an acknowledgment, at times 0.
    ResetAck,
    /// A reset that hits the window but not the number.
    ResetInWindow,
    /// A reset below the window.
    ResetBelow,
    /// Data of any numbers.
    Data,
    /// Data that hits the window, with any acknowledgment (RFC 5961 §5).
    DataInWindow,
    /// Data outside the window, with the right acknowledgment.
    DataOutside,
    /// Acknowledges what was never sent.
    AckAhead,
    /// FIN of any numbers.
    Fin,
    /// SYN of any number.
    Syn,
    /// SYN-ACK of any numbers.
    SynAck,
    /// Flags that nobody combines.
    Nonsense,
    /// All numbers right, by the wrong port.
    WrongPort,
}

const KINDS: [Kind; 13] = [
    Kind::Reset,
    Kind::ResetAck,
    Kind::ResetInWindow,
    Kind::ResetBelow,
    Kind::Data,
    Kind::DataInWindow,
    Kind::DataOutside,
    Kind::AckAhead,
    Kind::Fin,
    Kind::Syn,
    Kind::SynAck,
    Kind::Nonsense,
    Kind::WrongPort,
];

impl Forged {
    /// A segment in the name of one end of this connection, if its state gives a chance.
    pub(crate) fn new(plan: &Connection, truth: &Truth, dice: &mut Dice) -> Option<Self> {
        if !truth.is_known() {
            return None;
        }
        let (kind, side) = (dice.pick(&KINDS), dice.below(2) as usize);
        let forger = Forger { truth, side };
        let (flags, sequence, ack) = forger.numbers(kind, dice)?;
        let brings = matches!(kind, Kind::Data | Kind::DataInWindow | Kind::DataOutside);
        let payload = if brings { dice.within(1..500) as u32 } else { 0 };
        let ports = [plan.ports[side], plan.ports[1 - side]];
        let window = dice.next() as u16;
        let segment = Segment { ports, sequence, ack, flags, window, payload, scale: None };
        let address = |side| IpAddr::from(host::address(side, plan.v6));
        let initiator = truth.session == Some(side);
        Some(Self {
            side,
            ingress: if kind == Kind::WrongPort { 1 - side } else { side },
            segment,
            packet: segment::write(address(side), address(1 - side), &segment),
            permitted: if kind == Kind::ResetInWindow || (kind == Kind::Syn && initiator) {
                Permitted::Challenge
            } else {
                Permitted::Nothing
            },
            kind,
        })
    }
}

struct Forger<'a> {
    truth: &'a Truth,
    side: usize,
}

impl Forger<'_> {
    /// Flags, sequence number and acknowledgment.
    fn numbers(&self, kind: Kind, dice: &mut Dice) -> Option<(u8, u32, u32)> {
        let any = self.far(self.side, dice);
        let any_ack = self.far(1 - self.side, dice);
        let (own, other) =
            (&self.truth.passed.ends[self.side], &self.truth.passed.ends[1 - self.side]);
        Some(match kind {
            Kind::Reset => (RST, any, 0),
            Kind::ResetAck => (RST | ACK, any, if dice.one_in(2) { 0 } else { any_ack }),
            Kind::ResetInWindow => (RST, self.ahead(dice).filter(|_| self.truth.is_current())?, 0),
            Kind::ResetBelow => {
                let below = other.ack?.wrapping_sub(1 + dice.below(1 << 20) as u32);
                (RST, Some(below).filter(|_| self.truth.is_open())?, 0)
            }
            Kind::Data => (ACK | PSH, any, any_ack),
            Kind::DataInWindow => {
                let window = other.edge.wrapping_sub(other.ack?);
                (ACK, other.ack?.wrapping_add(dice.below(window.into()) as u32), any_ack)
            }
            Kind::DataOutside => (ACK, any, own.ack?),
            Kind::AckAhead => {
                let sent = self.truth.sent.ends[1 - self.side].end;
                (ACK, own.end, sent.wrapping_add(1 + dice.below(1 << 20) as u32))
            }
            Kind::Fin => (FIN | ACK, any, any_ack),
            Kind::Syn => (SYN, Some(any).filter(|_| self.truth.is_open())?, 0),
            Kind::SynAck => (SYN | ACK, any, any_ack),
            Kind::Nonsense => {
                (dice.pick(&[0, PSH, SYN | FIN, SYN | RST, FIN, FIN | RST]), own.end, own.ack?)
            }
            Kind::WrongPort => (dice.pick(&[ACK, RST, FIN | ACK]), own.end, own.ack?),
        })
    }

    /// A number in the window of the receiver that is not the one that it waits for, nor the one
    /// that its true sender would use.
    fn ahead(&self, dice: &mut Dice) -> Option<u32> {
        let from = self.truth.sent.ends[self.side].end;
        let edge = self.truth.passed.ends[1 - self.side].edge;
        let room = edge.wrapping_sub(from) as i32;
        (room > 1).then(|| from.wrapping_add(1 + dice.below(room as u64 - 1) as u32))
    }

    /// A number of `side` that nobody would take for one on its way: further than two windows from
    /// all that was sent.
    fn far(&self, side: usize, dice: &mut Dice) -> u32 {
        let ends = [self.truth.sent.ends, self.truth.passed.ends];
        let window = ends.iter().flatten().map(|end| end.window).max().unwrap_or(0);
        let reach = 2 * window.max(66_000) + 70_000;
        loop {
            let number = dice.next() as u32;
            let near = |end: u32| (number.wrapping_sub(end) as i32).unsigned_abs() <= reach;
            if !ends.iter().any(|ends| near(ends[side].end)) {
                return number;
            }
        }
    }
}
