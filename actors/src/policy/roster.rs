//! The members as the log has them, for the part in the cluster.

use std::collections::{BTreeMap, BTreeSet};

use cluster_core::NodeId;
use cluster_core::policy::log::{Cluster, Member};
use cluster_net::store::{self, Roster};

/// What the log says now; `part` are those who take part in it, with a vote or without.
pub(super) fn of(cluster: &Cluster, part: &BTreeSet<NodeId>) -> Roster {
    let gone = cluster.gone();
    let member = |kind, address| store::Member::new(kind, vec![address]);
    let named = cluster.members().iter();
    let invited = cluster.invited().into_iter();
    Roster {
        version: cluster.list(),
        members: named.map(|(node, it)| (*node, member(it.kind, it.address))).collect(),
        invited: invited.map(|(node, it)| (node, member(it.kind, it.address))).collect(),
        parting: gone.intersection(part).copied().collect(),
        gone,
    }
}

/// Whom the log is to name: those of this node's papers, and those that it was told of, but for who has left.
pub(super) fn wanted(cluster: &Cluster, papers: &[(NodeId, Member)]) -> BTreeMap<NodeId, Member> {
    let (gone, invited): (BTreeSet<NodeId>, _) = (cluster.gone(), cluster.invited());
    let named = cluster.members().iter().map(|(node, member)| (*node, member.clone()));
    let invited = invited.into_iter().map(|(node, it)| {
        let name = Default::default();
        (node, Member { kind: it.kind, address: it.address, name })
    });
    let all = named.chain(invited).chain(papers.iter().cloned());
    all.filter(|(node, _)| !gone.contains(node)).collect()
}
