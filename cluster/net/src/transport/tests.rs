//! Endpoints on this machine, real QUIC: who meets whom, what gets through, what is refused.

mod calls;
pub(crate) mod nodes;
mod proxy;
mod refusals;
mod stranger;
mod traffic;

use core::time::Duration;

use cluster_core::{Boot, NodeId};

use super::*;
use nodes::{Cluster, Node, control, quick, within};
use proxy::Proxy;

#[tokio::test]
async fn two_nodes_meet_by_their_certificates() {
    let cluster = Cluster::new(2);
    let mut a = cluster.node(1).start();
    let mut b = cluster.node(2).calling(&a).boot(7).start();
    let at_a = a.event().await;
    let Event::PeerUp { node, boot, version, hello } = at_a else { panic!("{at_a:?}") };
    assert_eq!((node, boot, version, hello.workers), (NodeId(2), Boot(7), 1, 2));
    assert_eq!(b.up().await, (NodeId(1), Boot(1)));
    assert_eq!(a.sender().peers(), [(NodeId(2), Boot(7))]);
    assert_eq!(b.sender().peers(), [(NodeId(1), Boot(1))]);
    talk(&a, &mut b).await;
    talk(&b, &mut a).await;
    let moved = [(Counter::DatagramsSent, 1), (Counter::DatagramsReceived, 1)];
    a.counted(&moved).await;
    b.counted(&moved).await;
}

/// One of everything.
async fn talk(from: &Node, to: &mut Node) {
    let (sender, peer, id) = (from.sender(), to.id, from.id);
    sender.try_control(peer, &control(9)).unwrap();
    assert_eq!(to.event().await, Event::Control { node: id, message: control(9) });
    sender.try_datagram(peer, Bytes::from_static(b"record")).unwrap();
    let datagram = to.datagram().await;
    assert_eq!((datagram.node, &datagram.bytes[..]), (id, &b"record"[..]));
    sender.try_bulk(peer, Bytes::from_static(b"block")).unwrap();
    let block = to.block().await;
    assert_eq!((block.node, &block.bytes[..]), (id, &b"block"[..]));
}

#[tokio::test]
async fn a_goodbye_is_heard_and_the_peer_called_again() {
    let cluster = Cluster::new(2);
    let b = cluster.node(2).start();
    let mut a = cluster.node(1).calling(&b).start();
    assert_eq!(a.up().await, (NodeId(2), Boot(1)));
    let address = b.address();
    within(b.transport.stop()).await;
    assert_eq!(a.down().await, (NodeId(2), Down::Closed));
    let b = cluster.node(2).at(address).boot(2).start_again().await;
    assert_eq!(a.up().await, (NodeId(2), Boot(2)));
    drop(b);
}

/// The node that was killed says nothing. Its next run disowns the connections of the last at the
/// first packet that comes for one, so nobody waits for silence.
#[tokio::test]
async fn a_restart_is_noticed_without_a_goodbye() {
    let cluster = Cluster::new(2);
    let mut timing = quick();
    timing.idle = Duration::from_secs(3600);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let b = runtime.block_on_elsewhere(cluster.node(2)).await;
    let mut a = cluster.node(1).calling(&b).timing(timing).start();
    assert_eq!(a.up().await, (NodeId(2), Boot(1)));
    let address = b.address();
    let killed = tokio::task::spawn_blocking(move || {
        runtime.shutdown_timeout(Duration::from_secs(5));
        drop(b);
    });
    within(killed).await.unwrap();
    let mut b = cluster.node(2).at(address).boot(2).start_again().await;
    assert_eq!(a.down().await, (NodeId(2), Down::Restarted));
    assert_eq!(a.up().await, (NodeId(2), Boot(2)));
    assert_eq!(b.up().await, (NodeId(1), Boot(1)));
}

/// Starting a node in a runtime of its own, from within another.
trait Elsewhere {
    async fn block_on_elsewhere(&self, builder: nodes::Builder<'_>) -> Node;
}

impl Elsewhere for tokio::runtime::Runtime {
    async fn block_on_elsewhere(&self, builder: nodes::Builder<'_>) -> Node {
        let _inside = self.enter();
        builder.start()
    }
}

/// Both call at once; one connection is left, the same at both ends, and it works.
#[tokio::test]
async fn both_ends_may_call() {
    let cluster = Cluster::new(2);
    for _ in 0..10 {
        let [at_a, at_b] = nodes::free_addresses();
        let mut a = cluster.node(1).at(at_a).calling_at(at_b).start();
        let mut b = cluster.node(2).at(at_b).calling_at(at_a).start();
        // Pings go until one of each end arrives over what both kept.
        let settled = async {
            loop {
                let sent = [(&a, 2), (&b, 1)].map(|(from, to)| {
                    from.sender().try_datagram(NodeId(to), Bytes::from_static(b"ping")).is_ok()
                });
                let pause = Duration::from_millis(5);
                let heard = timeout(pause, a.inbox.datagrams.recv()).await.is_ok()
                    && timeout(pause, b.inbox.datagrams.recv()).await.is_ok();
                if sent == [true; 2] && heard {
                    break;
                }
            }
        };
        within(settled).await;
        for node in [&mut a, &mut b] {
            let mut ups = 0;
            while let Ok(event) = node.inbox.events.try_recv() {
                match event {
                    Event::PeerUp { .. } => ups += 1,
                    Event::PeerDown { .. } => ups -= 1,
                    Event::Control { .. } | Event::BulkLost { .. } | Event::Disowned { .. } => {}
                }
                assert!((0..=1).contains(&ups), "each up has its down");
            }
            assert_eq!(ups, 1);
        }
    }
}

/// A connection that the higher number called is refused while there is one that the lower called.
#[tokio::test]
async fn a_second_connection_is_refused() {
    let cluster = Cluster::new(2);
    let [at_a, at_b] = nodes::free_addresses();
    let mut a = cluster.node(1).at(at_a).calling_at(at_b).start();
    let mut b = cluster.node(2).at(at_b).start();
    assert_eq!((a.up().await.0, b.up().await.0), (NodeId(2), NodeId(1)));
    // As node 2 does that calls at the same time.
    let late = cluster.stranger(2);
    let hello = Hello { boot: 1, ..Hello::default() };
    let hello = crate::codec::encode(&ControlMessage::Hello(hello)).unwrap();
    let refused = late.call(&a, Kind::Live).await.say(&hello).await;
    let error = within(refused.connection.closed()).await;
    assert!(Close::Duplicate.is_why(&error), "{error}");
    a.counted(&[(Counter::DuplicateConnection, 1)]).await;
    talk(&a, &mut b).await;
}

#[tokio::test]
async fn a_node_that_is_connected_does_not_call() {
    let cluster = Cluster::new(2);
    let [at_a, at_b] = nodes::free_addresses();
    let mut a = cluster.node(1).timing(quick()).at(at_a).calling_at(at_b).start();
    let mut b = cluster.node(2).timing(quick()).at(at_b).calling_at(at_a).start();
    assert_eq!((a.up().await.0, b.up().await.0), (NodeId(2), NodeId(1)));
    let duplicates =
        || [&a, &b].map(|node| node.counters.get(Counter::DuplicateConnection)).iter().sum::<u64>();
    // As long as ten of the longest pauses between calls: nobody goes on calling.
    let many = async {
        while duplicates() <= 2 {
            tokio::time::sleep(quick().reconnect.0).await;
        }
    };
    assert!(timeout(10 * quick().reconnect.1, many).await.is_err(), "{} calls", duplicates());
}

#[tokio::test]
async fn three_nodes_are_three_pairs() {
    let cluster = Cluster::new(3);
    let a = cluster.node(1).start();
    let b = cluster.node(2).calling(&a).start();
    let c = cluster.node(3).calling(&a).calling(&b).start();
    let mut nodes = [a, b, c];
    for node in &mut nodes {
        let mut met = [node.up().await.0, node.up().await.0];
        met.sort();
        let own = node.id;
        let others: Vec<NodeId> =
            [1, 2, 3].map(NodeId).into_iter().filter(|id| *id != own).collect();
        assert_eq!(met[..], others);
    }
    for from in 0..3 {
        for to in (0..3).filter(|to| *to != from) {
            let (sender, peer) = (nodes[from].sender().clone(), nodes[to].id);
            sender.try_control(peer, &control(from as u32)).unwrap();
            let expected = Event::Control { node: nodes[from].id, message: control(from as u32) };
            assert_eq!(nodes[to].event().await, expected);
        }
    }
    for node in &nodes {
        node.counted(&[]).await;
    }
}

#[tokio::test]
async fn a_newer_node_talks_to_an_older_one() {
    let cluster = Cluster::new(3);
    let newer = cluster.node(1).versions(&[2, 1]).start();
    let mut older = cluster.node(2).versions(&[1]).calling(&newer).start();
    let event = older.event().await;
    assert!(matches!(event, Event::PeerUp { version: 1, .. }), "{event:?}");
    let mut same = cluster.node(3).versions(&[2, 1]).calling(&newer).start();
    let event = same.event().await;
    assert!(matches!(event, Event::PeerUp { version: 2, .. }), "{event:?}");
}

#[tokio::test]
async fn without_a_shared_version_nobody_meets() {
    let cluster = Cluster::new(2);
    let newer = cluster.node(1).versions(&[3, 2]).start();
    let older = cluster.node(2).versions(&[1]).calling(&newer).once().start();
    newer.counted(&[(Counter::NoCommonVersion, 1)]).await;
    older.counted(&[(Counter::NoCommonVersion, 1)]).await;
}

#[tokio::test]
async fn a_path_that_goes_silent_is_given_up() {
    let cluster = Cluster::new(2);
    let mut a = cluster.node(1).timing(quick()).start();
    let proxy = Proxy::to(a.address()).await;
    let mut b = cluster.node(2).timing(quick()).calling_at(proxy.address()).start();
    assert_eq!((a.up().await.0, b.up().await.0), (NodeId(2), NodeId(1)));
    proxy.silence(true);
    assert_eq!(a.down().await, (NodeId(2), Down::Silent));
    assert_eq!(b.down().await, (NodeId(1), Down::Silent));
    proxy.silence(false);
    assert_eq!((a.up().await.0, b.up().await.0), (NodeId(2), NodeId(1)));
}

/// The list of members takes trust back at once, whatever the certificate says.
#[tokio::test]
async fn a_retired_member_is_thrown_out_and_kept_out() {
    let cluster = Cluster::new(2);
    let mut a = cluster.node(1).start();
    let stranger = cluster.stranger(2);
    let met = stranger.meet(&a).await;
    assert_eq!(a.up().await.0, NodeId(2));
    a.sender().set_members([NodeId(1)].into());
    let error = within(met.connection.closed()).await;
    assert!(Close::NotAMember.is_why(&error), "{error}");
    assert_eq!(
        a.event().await,
        Event::PeerDown { node: NodeId(2), boot: Boot(1), why: Down::Removed }
    );
    a.counted(&[(Counter::NotAMember, 1)]).await;
    stranger.call(&a, Kind::Live).await.refused().await;
    a.counted(&[(Counter::NotAMember, 2)]).await;
    a.sender().set_members([NodeId(1), NodeId(2)].into());
    let _met = stranger.meet(&a).await;
    assert_eq!(a.up().await.0, NodeId(2));
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let cluster = Cluster::new(2);
    let taken = cluster.node(1).start();
    let error = cluster.node(2).at(taken.address()).try_start().unwrap_err();
    assert!(matches!(error, TransportError::Socket(_)), "{error}");
    let error = cluster.node(2).boot(0).try_start().unwrap_err();
    assert!(matches!(error, TransportError::Boot), "{error}");
    let mut many = cluster.node(2);
    for _ in 0..=PEERS {
        many = many.calling(&taken);
    }
    let error = many.try_start().unwrap_err();
    assert!(matches!(error, TransportError::Peers(_)), "{error}");
}
