//! Names for states and for what is wrong with a segment.

use super::{Invalid, State};
use crate::Reason;

impl State {
    /// Every state, in the order of the table's columns.
    pub const ALL: [Self; 11] = [
        Self::None,
        Self::SynSent,
        Self::SynReceived,
        Self::Established,
        Self::FinWait,
        Self::CloseWait,
        Self::LastAck,
        Self::TimeWait,
        Self::Close,
        Self::SynSent2,
        Self::PickedUp,
    ];

    /// The name that `show sessions` prints.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::SynSent => "syn-sent",
            Self::SynReceived => "syn-received",
            Self::Established => "established",
            Self::FinWait => "fin-wait",
            Self::CloseWait => "close-wait",
            Self::LastAck => "last-ack",
            Self::TimeWait => "time-wait",
            Self::Close => "close",
            Self::SynSent2 => "syn-sent-2",
            Self::PickedUp => "picked-up",
        }
    }
}

impl Invalid {
    /// The name in `explain` and in logs.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoFlags => "no-flags",
            Self::SynFin => "syn-fin",
            Self::SynRst => "syn-rst",
            Self::FinRst => "fin-rst",
            Self::FinWithoutAck => "fin-without-ack",
            Self::UrgMisplaced => "urg-misplaced",
            Self::NotSyn => "not-syn",
            Self::State => "state",
            Self::AboveWindow => "above-window",
            Self::BelowWindow => "below-window",
            Self::AckAhead => "ack-ahead",
            Self::AckBehind => "ack-behind",
            Self::AfterFin => "after-fin",
            Self::SynUnacknowledged => "syn-unacknowledged",
            Self::Reset => "reset",
        }
    }
}

impl From<Invalid> for Reason {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::NoFlags => Self::TcpNoFlags,
            Invalid::SynFin => Self::TcpSynFin,
            Invalid::FinWithoutAck => Self::TcpFinWithoutAck,
            Invalid::SynRst | Invalid::FinRst | Invalid::UrgMisplaced => Self::TcpFlags,
            Invalid::NotSyn => Self::TcpNotSyn,
            Invalid::State | Invalid::AfterFin => Self::TcpState,
            Invalid::AboveWindow
            | Invalid::BelowWindow
            | Invalid::AckAhead
            | Invalid::AckBehind
            | Invalid::SynUnacknowledged
            | Invalid::Reset => Self::TcpWindow,
        }
    }
}
