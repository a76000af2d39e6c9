//! What a node tells of its part in a pair.

use std::path::Path;
use std::time::Duration;

use cluster_core::Term;
use cluster_net::Counter;
use cluster_net::identity::{Authority, Papers};
use cluster_net::store::{Assignment, Member as Other, Run, Seed, Store};
use tokio::net::UdpSocket;

use super::*;

/// For what must happen.
const PATIENCE: Duration = Duration::from_secs(15);

/// Node 1 of a pair whose other node nobody has heard of, with its papers in `folder`.
fn plan(folder: &Path) -> Plan {
    let own = NodeId(1);
    let papers = Papers::new(folder);
    papers.prepare().expect("a folder");
    let name = "gate".parse().expect("a name");
    let (_, identity) = Authority::found(name, own).expect("an authority");
    let assignment = Assignment { owner: own, backup: None, term: Term(1) };
    let other = Other::at(vec!["127.0.0.1:9".parse().expect("an address")]);
    let seed = Seed {
        cluster: identity.cluster.clone(),
        node: own,
        placement: vec![Run::all(assignment)],
        members: [(own, Other::at(Vec::new())), (NodeId(2), other)].into(),
        founder: true,
    };
    Store::create(&papers.store_path(), &seed).expect("a store");
    papers.keep_identity(&identity).expect("an identity");
    let text = format!(
        "[node]\nid = 1\nname = \"fw1\"\ndata-dir = {:?}\n\
         [[port]]\nname = \"lan\"\ninterface = \"eth0\"\n\
         [cluster]\nlisten = \"127.0.0.1:7400\"\n[fabric]\ninterface = \"lo\"\n",
        folder.to_str().expect("UTF-8"),
    );
    let config = config::parse_node("node.toml", &text).expect("a good file").value;
    let plan = Plan::read(&config, Kind::Firewall).expect("a pair").expect("it has a cluster");
    // Any port that is free.
    Plan { listen: "127.0.0.1:0".parse().expect("an address"), ..plan }
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
