//! openraft's types, as this adapter sets them.

use core::fmt;

use bytes::Bytes;
use cluster_core::NodeId;
use openraft::impls::leader_id_adv::LeaderId as AdvancedLeaderId;
use openraft::type_config::alias::{
    EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf,
};

openraft::declare_raft_types!(
    /// Numbers are `u64`, commands and outcomes are bytes, nodes have no data: their addresses are
    /// the transport's business.
    pub Types:
        D = Command,
        R = Outcome,
        NodeId = u64,
        Node = openraft::EmptyNode,
);

pub(super) type Entry = EntryOf<Types>;
pub(super) type LeaderId = AdvancedLeaderId<u64, u64>;
pub(super) type LogId = LogIdOf<Types>;
pub(super) type Membership = openraft::Membership<u64, openraft::EmptyNode>;
pub(super) type SnapshotMeta = SnapshotMetaOf<Types>;
pub(super) type Snapshot = SnapshotOf<Types, Bytes>;
pub(super) type StoredMembership = StoredMembershipOf<Types>;
pub(super) type Vote = VoteOf<Types>;

/// An encoded command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command(pub Bytes);

/// An encoded outcome; empty for what is no command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome(pub Bytes);

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// openraft's number of a node.
pub(super) fn number(node: NodeId) -> u64 {
    node.0.into()
}

/// The node of such a number; those that are none come from nowhere in this crate.
pub(super) fn node(number: u64) -> NodeId {
    NodeId(u16::try_from(number).unwrap_or(u16::MAX))
}
