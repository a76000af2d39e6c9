//! Whole members against each other, in virtual time.

mod certainty;
mod guard;
mod members;
mod overlap;
mod partner;
mod refusals;
mod scenarios;
mod switchover;
mod witness;
mod world;

/// A mistake planted on purpose, to see that the tests notice it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flaw {
    /// The lease is counted from the receipt of an acknowledgment.
    LeaseFromReceipt,
    /// A node goes on alone though it hears its peer.
    AloneWhileHearing,
    /// A node does not listen again after a pause.
    NoListeningAfterPause,
    /// A node acknowledges another's claim while it may still forward itself.
    VoteWhileForwarding,
    /// A voter forgets its promise when another claims.
    VoteAgainstPromise,
    /// Another's lease is believed in until it says that there is none.
    BelievedForEver,
    /// A node whose list of members is old goes on as if it were the newest.
    OldMembers,
    /// A node that has another list goes by that one alone, at once.
    ListAtOnce,
}
