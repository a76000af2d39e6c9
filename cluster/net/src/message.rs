//! What nodes say to each other on the control stream. Sessions are not among it: they travel as
//! records, in datagrams and bulk blocks whose bytes belong to `cluster_core`.
//!
//! | message | direction | meaning |
//! |---|---|---|
//! | hello | both, first | which run of which node this is, and what it can do |
//! | policy | both | the policy that a node runs; a peer with another gets no lease |
//! | bulk request, progress, end | backup ↔ owner | the sessions of some slots, all of them |
//! | digests | both | what each slot holds, in eight bytes |
//! | switchover | both | a planned change of the owner |
//! | error | both | why something was not done, for the log |

use crate::codec::{Decode, Encode};
use crate::limits::{DIGESTS, FEATURES, SLOTS, TEXT_BYTES};

/// One message of the control stream. Its tag on the wire stands in `codec`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ControlMessage {
    /// The first message in each direction, and never again.
    Hello(Hello),
    /// The policy that the sender runs from now on.
    Policy(PolicyDigest),
    /// Asks for the sessions of some slots.
    BulkRequest(BulkRequest),
    /// How far a transfer is.
    BulkProgress(BulkProgress),
    /// The end of a transfer.
    BulkEnd(BulkEnd),
    /// What some slots hold.
    Digests(Digests),
    /// A step of a planned change of the owner.
    Switchover(Switchover),
    /// Why something was not done.
    Error(ErrorReport),
}

/// Which run of a node this is, and what it can do. Its number is not here: the certificate has it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Hello {
    /// The run of the daemon: later runs have higher numbers.
    pub boot: u32,
    /// Workers of the node: each has a replication stream of its own.
    pub workers: u16,
    /// Digest of the policy that the node runs.
    pub policy: [u8; 32],
    /// What the node can do beyond its protocol version, as short words.
    pub features: Vec<String>,
}

/// The policy that a node runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct PolicyDigest {
    /// Version of the policy at that node.
    pub epoch: u64,
    /// Digest of its text.
    pub digest: [u8; 32],
}

/// Slots from `first` to `last`, both included.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Slots {
    /// The first.
    pub first: u16,
    /// The last.
    pub last: u16,
}

/// Asks the owner for all sessions of some slots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct BulkRequest {
    /// Number of the transfer, chosen by who asks.
    pub transfer: u32,
    /// Term that the asker knows.
    pub term: u64,
    /// Which slots.
    pub slots: Slots,
}

/// How far a transfer is, in sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct BulkProgress {
    /// Number of the transfer.
    pub transfer: u32,
    /// Sessions sent so far.
    pub sent: u64,
    /// Sessions that there were at the start; the table moves meanwhile.
    pub expected: u64,
}

/// How a transfer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum BulkOutcome {
    /// Everything was sent.
    Complete,
    /// Who asked wants no more of it.
    Cancelled,
    /// The sender does not own those slots, or not in that term.
    NotOwner,
    /// The sender has as many transfers under way as it can.
    Busy,
}

/// The end of a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct BulkEnd {
    /// Number of the transfer.
    pub transfer: u32,
    /// Sessions sent.
    pub sent: u64,
    /// How it ended.
    pub outcome: BulkOutcome,
}

/// What some slots hold: for each, a sum over its sessions.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct Digests {
    /// Term of the sender.
    pub term: u64,
    /// The first slot.
    pub first: u16,
    /// One digest for each slot from there on.
    pub digests: Vec<u64>,
}

/// A step of a planned change of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub enum SwitchoverStep {
    /// The owner offers its slots.
    Offer,
    /// The other is ready to take them.
    Accept,
    /// The other is not, or does not want to.
    Refuse,
    /// The owner's lease has ended; the other may begin.
    LeaseEnded,
}

/// A planned change of the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Encode, Decode)]
pub struct Switchover {
    /// The term that the change makes.
    pub term: u64,
    /// Which slots.
    pub slots: Slots,
    /// The step.
    pub step: SwitchoverStep,
}

/// Why something was not done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Encode, Decode)]
pub struct ErrorReport {
    /// What it is about: the tag of the message that it answers, or 0.
    pub about: u8,
    /// For the log.
    pub text: String,
}

impl ControlMessage {
    /// Whether each part is within its own limit. `codec` asks on both sides, so that what one node
    /// sends another takes.
    #[must_use]
    pub fn is_within_limits(&self) -> bool {
        match self {
            Self::Hello(hello) => {
                hello.features.len() <= FEATURES
                    && hello.features.iter().all(|feature| feature.len() <= TEXT_BYTES)
            }
            Self::Policy(_) | Self::BulkProgress(_) | Self::BulkEnd(_) => true,
            Self::BulkRequest(BulkRequest { slots, .. })
            | Self::Switchover(Switchover { slots, .. }) => {
                slots.first <= slots.last && slots.last < SLOTS
            }
            Self::Digests(digests) => {
                digests.digests.len() <= DIGESTS
                    && usize::from(digests.first) + digests.digests.len() <= usize::from(SLOTS)
            }
            Self::Error(report) => report.text.len() <= TEXT_BYTES,
        }
    }
}
