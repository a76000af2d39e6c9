//! A forger who sees no packet: it knows addresses and ports, and guesses numbers; it never guesses
//! right, since the world tells it where not to aim.

use super::super::dice::Dice;
use super::frame::{ACK, FIN, PSH, RST, SYN, Segment};

/// What a forger tries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Forgery {
    /// A segment in the middle of a connection that never was.
    NeverSeen,
    /// A reset of a connection that is.
    BlindReset,
    /// Data far outside of a connection's window.
    OutOfWindow,
    /// An end that nobody asked for.
    BlindFin,
}

impl Forgery {
    pub(crate) fn roll(dice: &mut Dice) -> Self {
        match dice.below(4) {
            0 => Self::NeverSeen,
            1 => Self::BlindReset,
            2 => Self::OutOfWindow,
            _ => Self::BlindFin,
        }
    }

    /// The segment, where the victim expects number `expected`.
    pub(crate) fn segment(self, expected: u32, dice: &mut Dice) -> Segment {
        // Further away than any window, ahead or behind.
        let far = dice.within(1 << 29..(1 << 32) - (1 << 29)) as u32;
        let (flags, payload) = match self {
            Self::NeverSeen if dice.per_mille(300) => (SYN | ACK, 0),
            Self::NeverSeen | Self::OutOfWindow => (ACK | PSH, dice.within(1..600) as u32),
            Self::BlindReset if dice.per_mille(500) => (RST, 0),
            Self::BlindReset => (RST | ACK, 0),
            Self::BlindFin => (FIN | ACK, 0),
        };
        let sequence = expected.wrapping_add(far);
        let ack = if flags & ACK != 0 { dice.next() as u32 } else { 0 };
        Segment { flags, sequence, ack, window: 5_000, scale: None, payload }
    }
}
