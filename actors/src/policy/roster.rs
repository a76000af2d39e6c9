//! The members as the log has them, for the part in the cluster.

use std::collections::BTreeMap;

use cluster_core::NodeId;
use cluster_core::policy::log::{Cluster, Member};
use cluster_net::store::{self, Roster};

/// What the log says now.
pub(super) fn of(cluster: &Cluster) -> Roster {
    let member = |kind, address| store::Member::new(kind, vec![address]);
    let named = cluster.members().iter();
    let invited = cluster.invited().into_iter();
    Roster {
        version: cluster.list(),
        members: named.map(|(node, it)| (*node, member(it.kind, it.address))).collect(),
        invited: invited.map(|(node, it)| (node, member(it.kind, it.address))).collect(),
        lists: cluster.lists(),
        leaving: cluster.leaving(),
        gone: cluster.gone(),
    }
}

/// Whom the log is to name: those of this node's papers, and those that it was told of, but for who has left
/// or is about to. What the log says of others counts more than papers do.
pub(super) fn wanted(
    cluster: &Cluster,
    own: NodeId,
    papers: &[(NodeId, Member)],
) -> BTreeMap<NodeId, Member> {
    let (gone, leaving) = (cluster.gone(), cluster.leaving());
    let invited = cluster.invited().into_iter();
    let named = cluster.members().iter().map(|(node, member)| (*node, member.clone()));
    let invited = invited.map(|(node, it)| {
        let name = Default::default();
        (node, Member { kind: it.kind, address: it.address, name })
    });
    let this = papers.iter().filter(|(node, _)| *node == own).cloned();
    let all = papers.iter().cloned().chain(named).chain(invited).chain(this);
    all.filter(|(node, _)| !gone.contains(node) && !leaving.contains(node)).collect()
}
