//! How one node goes on alone: the entry that makes it the only voter.

use std::collections::{BTreeMap, BTreeSet};

use cluster_core::NodeId;
use openraft::{EmptyNode, EntryPayload};

use super::types::{Entry, LeaderId, LogId, Membership, Vote, number};
use crate::store::StoreError;

/// A vote in a term above all that the node knows, and an entry behind its last, of that term, with a
/// membership of this node alone. The newest membership of a log is in force as soon as it is there,
/// so this node elects itself, and commits all of its log: also entries that others acknowledged,
/// which it cannot tell from those that nobody did.
pub(super) fn entry(
    node: NodeId,
    vote: Option<Vote>,
    last: LogId,
) -> Result<(Vote, Entry), StoreError> {
    let term = vote.map_or(0, |vote| vote.leader_id().term).max(last.leader_id.term) + 1;
    let leader = LeaderId { term, node_id: number(node) };
    let nodes = BTreeMap::from([(number(node), EmptyNode::new())]);
    let members = Membership::new(vec![BTreeSet::from([number(node)])], nodes)
        .map_err(|_| StoreError::Damaged("it cannot be a voter"))?;
    let vote = Vote { leader_id: leader, committed: false };
    let log_id = LogId { leader_id: leader, index: last.index + 1 };
    Ok((vote, Entry { log_id, payload: EntryPayload::Membership(members) }))
}
