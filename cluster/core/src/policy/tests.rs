//! Several nodes with a perfect log between them.

/// Mistakes that can be planted, to see that the model finds them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The log gives a revert's number to the next proposal.
    RevertNumberNotReserved,
    /// The log remembers the last request only.
    RequestsForgotten,
    /// A node tells that it runs a policy before that is on its disk.
    ToldBeforeSaved,
    /// A node forwards although no leader has cleared it.
    ForwardsUncleared,
    /// A node forgets the deadline when its daemon restarts.
    DeadlineForgotten,
    /// A node counts the deadline by the wall clock.
    DeadlineByWallClock,
    /// A node takes what its log says of times before its disk's facts.
    TakesOldEntries,
    /// A node that reverted alone does not heed that the revision was confirmed.
    StaysRevertedAlone,
    /// The leader does not remember whom it cleared.
    ClearanceForgotten,
    /// The leader switches although a member has refused.
    RefusalIgnored,
    /// The leader does not wait for the leases of those that are down.
    LeaseNotWaitedFor,
    /// A node whose log stood still goes by a clearance from before.
    ClearedWhileStalled,
    /// The leader clears a node, and does not forget that its log stood still.
    StallOutlivesClearance,
    /// A new leader does not reckon with those that its predecessor cleared.
    NewLeaderTrusts,
}

mod client;
mod faults;
mod judge;
mod messages;
mod node;
mod stories;
mod world;
