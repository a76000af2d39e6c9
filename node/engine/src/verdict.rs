//! What the engine says of a packet.

use core::fmt;

use crate::session::SessionId;
use crate::{Elsewhere, PortId, Reason, RuleIndex};

/// The one thing that happens to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Leaves by this port: the frame in hand, rewritten; or, for a reassembled datagram, the
    /// frames in the outbox.
    Forward(PortId),
    /// An answer went to the outbox instead.
    Answer,
    /// Was for the firewall itself.
    Consume,
    /// Waits inside the engine (a fragment, or no link-layer address of the next hop yet).
    Hold,
    /// Belongs to another worker of this node, or to another node; a reassembled one is fetched by
    /// [`Engine::exchange_datagram`](crate::Engine::exchange_datagram), or sent by
    /// [`Engine::pass_datagram`](crate::Engine::pass_datagram).
    HandOff(Elsewhere),
    /// Gone.
    Drop(Reason),
}

/// A worker of this node: the index of its thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkerId(pub u8);

/// What connection tracking says of a packet, before policy is asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum State {
    /// Opens a session, policy permitting.
    New,
    /// Belongs to a session.
    Established,
    /// An ICMP error about a session's packet.
    Related,
    /// Contradicts its session, or needs one and has none.
    Invalid,
    /// Never got as far as the session table.
    #[default]
    None,
}

impl State {
    /// The name that `replay` and `explain` print.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Established => "established",
            Self::Related => "related",
            Self::Invalid => "invalid",
            Self::None => "none",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The verdict with what led to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What happens.
    pub verdict: Verdict,
    /// What connection tracking said.
    pub state: State,
    /// The session, when the packet has one or opened one.
    pub session: Option<SessionId>,
    /// The rule that was asked.
    pub rule: Option<RuleIndex>,
    /// Packets that this verdict is for: 1, or the fragments of a reassembled datagram.
    pub packets: u32,
    /// With `Forward`: whether the frame in hand is to be sent. Otherwise the outbox has what is.
    pub in_hand: bool,
}

/// How a packet, or the fragments of a datagram, arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// The port it came in by.
    pub ingress: PortId,
    /// Packets that it stands for.
    pub packets: u32,
    /// Set for a reassembled datagram.
    pub pieces: Option<Pieces>,
}

/// What is known of the fragments that a datagram came in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pieces {
    /// The longest, bytes of IP packet.
    pub largest: u32,
    /// Whether a router may make them smaller.
    pub fragmentable: bool,
}

impl Decision {
    pub(crate) const fn bare(verdict: Verdict) -> Self {
        Self { verdict, state: State::None, session: None, rule: None, packets: 1, in_hand: false }
    }
}
