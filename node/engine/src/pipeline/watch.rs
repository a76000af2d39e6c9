//! The stages by name, and who watches a packet go through them.

use core::fmt;

/// Watches the stages go by; `explain` does, the packet path does not.
pub(crate) trait Watch {
    fn stage(&mut self, stage: Stage, says: impl FnOnce() -> String);
}

/// Nobody watches.
pub(crate) struct Unwatched;

impl Watch for Unwatched {
    #[inline(always)]
    fn stage(&mut self, _: Stage, _: impl FnOnce() -> String) {}
}

/// The stages by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Headers and checksums.
    Integrity,
    /// What the screen of its zone drops.
    Screen,
    /// Whether a router forwards such a packet.
    Transit,
    /// The session table.
    Lookup,
    /// The protocol's state machine.
    Tracker,
    /// Addresses and ports that change.
    Translation,
    /// The rules.
    Policy,
    /// The routing table and the next hop.
    Route,
    /// What comes of it.
    Verdict,
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Integrity => "integrity",
            Self::Screen => "screen",
            Self::Transit => "transit",
            Self::Lookup => "lookup",
            Self::Tracker => "tracker",
            Self::Translation => "translation",
            Self::Policy => "policy",
            Self::Route => "route",
            Self::Verdict => "verdict",
        })
    }
}
