//! What a node tells of its part in a pair.

use std::path::Path;
use std::time::Duration;

use cluster_core::Term;
use cluster_core::membership::PathId;
use cluster_net::Counter;
use cluster_net::identity::{Authority, Papers};
use cluster_net::store::{Assignment, Member as Other, Run, Seed, Store};
use tokio::net::UdpSocket;

use super::*;

/// For what must happen.
const PATIENCE: Duration = Duration::from_secs(15);

/// Node 1 of a pair whose other node nobody has heard of, with its papers in `folder`.
fn plan(folder: &Path) -> Plan {
    let other = Other::at(vec!["127.0.0.1:9".parse().expect("an address")]);
    let plan = read(folder, &[(1, Other::at(Vec::new())), (2, other)], "", Kind::Firewall);
    let plan = plan.expect("a pair").expect("it has a cluster");
    // Any port that is free.
    Plan { listen: "127.0.0.1:0".parse().expect("an address"), ..plan }
}

/// What node 1 reads of a cluster of these members; `more` stands in its `[cluster]`.
fn read(
    folder: &Path,
    members: &[(u16, Other)],
    more: &str,
    kind: Kind,
) -> Result<Option<Plan>, ClusterError> {
    Plan::read(&joined(folder, members, more), kind)
}

/// Its node file, with the papers that belong to it.
fn joined(folder: &Path, members: &[(u16, Other)], more: &str) -> config::Node {
    let own = NodeId(1);
    let papers = Papers::new(folder);
    papers.prepare().expect("a folder");
    let name = "gate".parse().expect("a name");
    let (_, identity) = Authority::found(name, own).expect("an authority");
    let assignment = Assignment { owner: own, backup: None, term: Term(1) };
    let seed = Seed {
        cluster: identity.cluster.clone(),
        node: own,
        placement: vec![Run::all(assignment)],
        members: members.iter().map(|(node, it)| (NodeId(*node), it.clone())).collect(),
        founder: true,
        boots: 0,
    };
    Store::create(&papers.store_path(), &seed).expect("a store");
    papers.keep_identity(&identity).expect("an identity");
    let text = format!(
        "[node]\nid = 1\nname = \"fw1\"\ndata-dir = {:?}\n\
         [[port]]\nname = \"lan\"\ninterface = \"eth0\"\n\
         [cluster]\nlisten = \"127.0.0.1:7400\"\n{more}[fabric]\ninterface = \"lo\"\n",
        folder.to_str().expect("UTF-8"),
    );
    config::parse_node("node.toml", &text).expect("a good file").value
}

/// A member that told this address when it joined.
fn told(node: u16, kind: Kind, address: &str) -> (u16, Other) {
    (node, Other::new(kind, vec![address.parse().expect("an address")]))
}

/// Where a plan has the others, and whom it calls.
fn places(plan: Result<Option<Plan>, ClusterError>) -> (Vec<(u16, Kind, String)>, Vec<String>) {
    let plan = plan.expect("a good cluster").expect("it has one");
    let others = plan.others.iter().map(|it| (it.node.0, it.kind, it.address.to_string()));
    (others.collect(), plan.calls.iter().map(ToString::to_string).collect())
}

#[test]
fn members_are_where_they_said_and_the_other_one_of_two_is_where_the_node_file_says() {
    const PEER: &str = "peers = [\"127.0.0.9:7400\"]\n";
    let (firewall, witness) = (Kind::Firewall, Kind::Witness);
    let own = || told(1, firewall, "127.0.0.1:7400");
    let two = || told(2, firewall, "127.0.0.2:7400");
    let three = || told(3, witness, "127.0.0.3:7400");
    let folder = || tempfile::tempdir().expect("a folder");
    let pair = read(folder().path(), &[own(), two()], PEER, firewall);
    let there = vec![(2, firewall, "127.0.0.9:7400".to_owned())];
    assert_eq!(
        places(pair),
        (there, vec!["127.0.0.9:7400".to_owned(), "127.0.0.2:7400".to_owned()])
    );
    let more = read(folder().path(), &[own(), two(), three()], PEER, firewall);
    let (there, called) = places(more);
    let expected =
        [(2, firewall, "127.0.0.2:7400".to_owned()), (3, witness, "127.0.0.3:7400".to_owned())];
    assert_eq!((there.as_slice(), called.len()), (&expected[..], 3));
    let silent = (2, Other::at(Vec::new()));
    let nowhere = read(folder().path(), &[own(), silent, three()], "", firewall);
    assert!(matches!(nowhere, Err(ClusterError::NoAddress(NodeId(2)))));
    let alone = read(folder().path(), &[own()], "", firewall);
    assert_eq!(places(alone).0, [], "who made the cluster may be its only member");
}

#[test]
fn a_node_is_run_as_what_it_joined_as() {
    let (firewall, witness) = (Kind::Firewall, Kind::Witness);
    for (joined, run) in [(firewall, witness), (witness, firewall)] {
        let members = [told(1, joined, "127.0.0.1:7400"), told(2, firewall, "127.0.0.2:7400")];
        let folder = tempfile::tempdir().expect("a folder");
        let refused = read(folder.path(), &members, "", run);
        assert!(matches!(refused, Err(ClusterError::Kind(kind)) if kind == joined));
    }
}

/// A firewall hears a firewall on every path, and a witness on the fabric.
#[test]
fn a_witness_has_the_fabric_alone() {
    let members = [
        told(1, Kind::Firewall, "127.0.0.1:7400"),
        told(2, Kind::Firewall, "127.0.0.2:7400"),
        told(3, Kind::Witness, "127.0.0.3:7400"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let plan = read(folder.path(), &members, "", Kind::Firewall).expect("a good cluster");
    let mut plan = plan.expect("it has one");
    plan.paths.push(paths::Path::segment(PathId(1), "lan", "eth0", 7_401));
    let membership = plan.membership();
    let told: Vec<_> =
        membership.peers.iter().map(|it| (it.node.0, it.kind, it.paths.len())).collect();
    assert_eq!(told, [(2, Kind::Firewall, 2), (3, Kind::Witness, 1)]);
    assert_eq!(plan.firewalls().map(|it| it.node).collect::<Vec<_>>(), [NodeId(2)]);
    assert_eq!(plan.members(), [1, 2, 3].map(NodeId).into());
}

#[test]
fn what_the_clusters_port_refuses_is_counted_for_the_view() {
    let folder = tempfile::tempdir().expect("a folder");
    let plan = plan(folder.path());
    let (_policy, in_force) =
        watch::channel(crate::policy::deny_all(&["lan".to_owned()]).expect("a policy"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let net = Arc::<Counters>::default();
        let (transport, _inbox) =
            connect(&plan, 1, &in_force, Arc::clone(&net)).expect("a free port");
        let stranger = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let to = transport.address().expect("it listens");
        stranger.send_to(&[0; 40], to).await.expect("a way there");
        let counted = async {
            while net.get(Counter::NotQuic) == 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        assert!(timeout(PATIENCE, counted).await.is_ok(), "{:?}", net.nonzero());
        let shown = show::net(&net);
        assert_eq!((shown["not-quic"], shown["stalled"]), (1, 0));
        transport.stop().await;
    });
}
