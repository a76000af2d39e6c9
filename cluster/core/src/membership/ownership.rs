//! Who owns the VIP group: the role of a node, as a table of role × trigger.
//!
//! ```text
//!               vacant               granted              handover
//!  Listening ───────────► TakingOver ───────► Active ───────────────► Yielding
//!      │ follow   ▲  ▲        │ follow         │  ▲ granted (alone)     │ stopped
//!      ▼          │  │        ▼        lapsed, ▼  │                     ▼
//!   Standby ──────┘  └──── Closed ◄─ unable ───┴──┘                  Standby
//!      │ drain     vacant
//!      ▼
//!   Drained (resume: Standby)
//! ```
//!
//! The table says what follows from a trigger; [`Member`](super::Member) says when there is one.

#[cfg(test)]
mod tests;

use core::fmt;

/// What a node is to the VIP group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Role {
    /// Has just started, and listens for an owner.
    #[default]
    Listening = 0,
    /// Holds replicas, and would take over.
    Standby = 1,
    /// Has claimed the next term, and waits for a lease.
    TakingOver = 2,
    /// Owns: forwards while its lease lives.
    Active = 3,
    /// Owns still, and hands over as planned.
    Yielding = 4,
    /// Out of service by the operator: votes, but never owns.
    Drained = 5,
    /// Owned, and lost the lease.
    Closed = 6,
}

/// What can happen to a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Trigger {
    /// A peer's claim is heard that outranks ours, or we have none.
    Follow = 0,
    /// Nobody owns, and this node is the one to.
    Vacant,
    /// The owner offers the ownership to this node, which can take it.
    Offered,
    /// There is a lease.
    Granted,
    /// There has been none for too long.
    Lapsed,
    /// This node cannot own.
    Unable,
    /// Another is to own, and one that can is there.
    HandOver,
    /// The peer that was offered the ownership has claimed it.
    Taken,
    /// The peer's term is on our disk, so that no restart of this node forgets it.
    Conceded,
    /// The offer was not taken in time.
    Withdrawn,
    /// The forwarding of this node has certainly ended.
    Stopped,
    /// The operator takes this node out of service.
    Drain,
    /// The operator puts it back.
    Resume,
}

/// What is to be done along with a change of role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Nothing.
    Keep,
    /// Vote for the claimant, as soon as that is safe.
    Follow,
    /// Claim the next term.
    Claim,
    /// Own: take addresses, forward.
    Own,
    /// Offer the ownership to the peer.
    Offer,
    /// Vote for the peer that has taken the offer; what comes without a lease is passed on to it.
    Concede,
    /// End the lease and give the addresses up, in a planned way.
    End,
    /// Stop owning after a planned end.
    Leave,
    /// Take the offer back.
    Withdraw,
    /// Stop owning at once.
    Stop,
    /// Give a claim up that was never granted.
    Abandon,
    /// Note that the node is out of service.
    Drain,
    /// Note that it is back.
    Resume,
}

/// One cell of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// The role after it.
    pub next: Role,
    /// What to do.
    pub act: Act,
}

impl Role {
    /// Every role, by its code.
    pub const ALL: [Self; 7] = [
        Self::Listening,
        Self::Standby,
        Self::TakingOver,
        Self::Active,
        Self::Yielding,
        Self::Drained,
        Self::Closed,
    ];

    /// The role with this code.
    #[must_use]
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.get(usize::from(code)).copied()
    }

    /// Whether a node in this role claims the ownership.
    #[must_use]
    pub const fn claims(self) -> bool {
        match self {
            Self::TakingOver | Self::Active | Self::Yielding => true,
            Self::Listening | Self::Standby | Self::Drained | Self::Closed => false,
        }
    }

    /// Whether a node in this role owns.
    #[must_use]
    pub const fn owns(self) -> bool {
        match self {
            Self::Active | Self::Yielding => true,
            Self::Listening | Self::Standby | Self::TakingOver | Self::Drained | Self::Closed => {
                false
            }
        }
    }

    /// The name in logs and JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Listening => "listening",
            Self::Standby => "standby",
            Self::TakingOver => "taking-over",
            Self::Active => "active",
            Self::Yielding => "yielding",
            Self::Drained => "drained",
            Self::Closed => "closed",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Trigger {
    /// Every trigger, in the order of the table's columns.
    pub const ALL: [Self; 13] = [
        Self::Follow,
        Self::Vacant,
        Self::Offered,
        Self::Granted,
        Self::Lapsed,
        Self::Unable,
        Self::HandOver,
        Self::Taken,
        Self::Conceded,
        Self::Withdrawn,
        Self::Stopped,
        Self::Drain,
        Self::Resume,
    ];
}

/// What `trigger` makes of `role`.
#[must_use]
pub const fn step(role: Role, trigger: Trigger) -> Step {
    TABLE[role as usize][trigger as usize]
}

const fn to(next: Role, act: Act) -> Step {
    Step { next, act }
}

/// Role × trigger. A cell that only keeps its role is one that [`Member`](super::Member) never asks for,
/// or where the trigger says nothing new.
const TABLE: [[Step; 13]; 7] = {
    use Role::{
        Active as AC, Closed as CL, Drained as DR, Listening as LI, Standby as SB,
        TakingOver as TO, Yielding as YI,
    };
    const LI_: Step = to(LI, Act::Keep);
    const SB_: Step = to(SB, Act::Keep);
    const TO_: Step = to(TO, Act::Keep);
    const AC_: Step = to(AC, Act::Keep);
    const YI_: Step = to(YI, Act::Keep);
    const DR_: Step = to(DR, Act::Keep);
    const CL_: Step = to(CL, Act::Keep);
    const FOLLOW: Step = to(SB, Act::Follow);
    const CLAIM: Step = to(TO, Act::Claim);
    const DRAIN: Step = to(DR, Act::Drain);
    const CLOSE: Step = to(CL, Act::Stop);
    const OWN: Step = to(AC, Act::Own);
    [
        // Listening
        [FOLLOW, CLAIM, LI_, LI_, LI_, LI_, LI_, LI_, LI_, LI_, LI_, DRAIN, LI_],
        // Standby
        [FOLLOW, CLAIM, CLAIM, SB_, SB_, SB_, SB_, SB_, SB_, SB_, SB_, DRAIN, SB_],
        // TakingOver: a claim that is not granted in time is given up, for another to try
        [
            to(SB, Act::Abandon), // the next turn follows, with nothing claimed any more
            TO_,
            TO_,
            OWN,
            to(SB, Act::Abandon),
            to(SB, Act::Abandon),
            TO_,
            TO_,
            TO_,
            TO_,
            TO_,
            to(SB, Act::Abandon), // and the next turn drains
            TO_,
        ],
        // Active: a drain is a handover first; it comes again when this node is Standby
        [
            to(SB, Act::Stop),
            AC_,
            AC_,
            AC_,
            CLOSE,
            CLOSE,
            to(YI, Act::Offer),
            AC_,
            AC_,
            AC_,
            AC_,
            to(YI, Act::Offer),
            AC_,
        ],
        // Yielding
        [
            to(SB, Act::Stop),
            YI_,
            YI_,
            YI_,
            CLOSE,
            CLOSE,
            YI_,
            to(YI, Act::Concede),
            to(YI, Act::End),
            to(AC, Act::Withdraw),
            to(SB, Act::Leave),
            YI_,
            YI_,
        ],
        // Drained: votes like a Standby
        [
            to(DR, Act::Follow),
            DR_,
            DR_,
            DR_,
            DR_,
            DR_,
            DR_,
            DR_,
            DR_,
            DR_,
            DR_,
            DR_,
            to(SB, Act::Resume),
        ],
        // Closed: granted means alone, for nobody acknowledges a node that claims nothing
        [FOLLOW, CLAIM, CL_, OWN, CL_, CL_, CL_, CL_, CL_, CL_, CL_, DRAIN, CL_],
    ]
};
