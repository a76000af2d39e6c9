//! What is refused: each with its counter, and with no other effect.

use core::time::Duration;

use bytes::Bytes;
use cluster_core::NodeId;
use tokio::net::UdpSocket;

use super::nodes::{ANY, Cluster, Node, control, quick, within};
use super::stranger::{Met, Stranger};
use crate::Counter;
use crate::codec::{self, VERSION};
use crate::limits::{BULK_BLOCK_BYTES, CONTROL_FRAME_BYTES};
use crate::message::{ControlMessage, Hello};
use crate::transport::protocol::{Close, Kind};
use crate::transport::{Down, Event, Timing};

/// Two members that are connected: node 1, and node 3 which shows that nothing else suffers.
async fn pair(cluster: &Cluster) -> (Node, Node) {
    // Refusals come soon; a machine that is busy elsewhere makes nobody silent.
    let patient = Timing::default();
    let timing = Timing { idle: patient.idle, keep_alive: patient.keep_alive, ..quick() };
    let mut a = cluster.node(1).timing(timing).start();
    let mut witness = cluster.node(3).timing(patient).calling(&a).start();
    assert_eq!((a.up().await.0, witness.up().await.0), (NodeId(3), NodeId(1)));
    (a, witness)
}

/// The two still talk, over the same connection, and nobody else was heard of.
async fn unharmed(a: &mut Node, witness: &mut Node) {
    a.sender().try_control(NodeId(3), &control(1)).unwrap();
    witness.sender().try_control(NodeId(1), &control(2)).unwrap();
    assert_eq!(witness.event().await, Event::Control { node: NodeId(1), message: control(1) });
    assert_eq!(a.event().await, Event::Control { node: NodeId(3), message: control(2) });
    witness.counted(&[]).await;
}

#[tokio::test]
async fn certificates() {
    let cluster = Cluster::new(3);
    let (mut a, mut witness) = pair(&cluster).await;
    let other = Cluster::new(2);
    let secret = &cluster.identity(1).secret;
    let outsider = cluster.authority.identity(NodeId(9), secret).unwrap();
    let forge = |names: &[&str]| Stranger::with(&cluster.authority.forge(names));
    let cases = [
        (Stranger::nobody(), Counter::NoCertificate),
        (other.stranger(2), Counter::ForeignCertificate),
        (Stranger::with(&outsider), Counter::NotAMember),
        (cluster.stranger(1), Counter::OwnIdentity),
        (forge(&["node-2.beta"]), Counter::NamelessCertificate),
        (forge(&["node-02.alpha"]), Counter::NamelessCertificate),
        (forge(&["node-2.alpha", "node-3.alpha"]), Counter::NamelessCertificate),
        (forge(&[]), Counter::NamelessCertificate),
    ];
    let mut expected = std::collections::BTreeMap::new();
    for (stranger, counter) in cases {
        for kind in [Kind::Live, Kind::Bulk] {
            stranger.call(&a, kind).await.refused().await;
            *expected.entry(counter).or_default() += 1;
            a.counted(&expected.clone().into_iter().collect::<Vec<_>>()).await;
        }
    }
    unharmed(&mut a, &mut witness).await;
}

/// Whoever answers a call is judged, too.
#[tokio::test]
async fn the_called_one_is_judged() {
    let (ours, theirs) = (Cluster::new(2), Cluster::new(2));
    let stranger = theirs.node(2).start();
    let caller = ours.node(1).calling(&stranger).once().start();
    caller.counted(&[(Counter::ForeignCertificate, 1)]).await;
    stranger.counted(&[(Counter::RefusedByPeer, 1)]).await;
    let own = ours.node(1).start();
    let caller = ours.node(1).calling(&own).once().start();
    caller.counted(&[(Counter::OwnIdentity, 1)]).await;
    own.counted(&[(Counter::RefusedByPeer, 1)]).await;
}

#[tokio::test]
async fn nobody_at_the_address() {
    let cluster = Cluster::new(1);
    let silent = UdpSocket::bind(ANY).await.unwrap();
    let mut timing = quick();
    timing.reconnect = (Duration::from_secs(3600), Duration::from_secs(3600));
    let caller = cluster.node(1).calling_at(silent.local_addr().unwrap()).timing(timing).start();
    caller.counted(&[(Counter::PeerUnreachable, 1)]).await;
}

#[tokio::test]
async fn protocols() {
    let cluster = Cluster::new(3);
    let (mut a, mut witness) = pair(&cluster).await;
    let stranger = cluster.stranger(2);
    for protocols in [vec![b"ringwall/99".to_vec()], vec![b"h3".to_vec()], Vec::new()] {
        stranger.call_as(&a, protocols).await.refused().await;
    }
    let bulk = stranger.call(&a, Kind::Bulk).await.taken();
    let error = within(bulk.closed()).await;
    assert!(Close::NoPeer.is_why(&error), "{error}");
    a.counted(&[(Counter::NoCommonVersion, 3), (Counter::BulkWithoutPeer, 1)]).await;
    unharmed(&mut a, &mut witness).await;
}

fn hello(boot: u32) -> Vec<u8> {
    codec::encode(&ControlMessage::Hello(Hello { boot, ..Hello::default() })).unwrap()
}

/// The connection was closed for that.
async fn closed(met: &Met, close: Close) {
    let error = within(met.connection.closed()).await;
    assert!(close.is_why(&error), "{close:?}: {error}");
}

#[tokio::test]
async fn first_words() {
    let cluster = Cluster::new(3);
    let (mut a, mut witness) = pair(&cluster).await;
    let stranger = cluster.stranger(2);
    let newer = [VERSION + 1, 1, 0];
    let no_hellos =
        [&b""[..], b"nonsense", &hello(0), &newer, &codec::encode(&control(1)).unwrap()];
    for frame in no_hellos {
        let met = stranger.call(&a, Kind::Live).await.say(frame).await;
        closed(&met, Close::BadHello).await;
    }
    let oversized = (CONTROL_FRAME_BYTES as u32 + 1).to_be_bytes();
    let met = stranger.call(&a, Kind::Live).await.write(&oversized).await;
    closed(&met, Close::Oversized).await;
    // One who says half of it, and one who says nothing.
    let met = stranger.call(&a, Kind::Live).await.write(&[0, 0, 0, 50, 1]).await;
    closed(&met, Close::Stalled).await;
    let silent = stranger.call(&a, Kind::Live).await.taken();
    let error = within(silent.closed()).await;
    assert!(Close::Stalled.is_why(&error), "{error}");
    let expected = [
        (Counter::BadHello, no_hellos.len() as u64),
        (Counter::OversizedFrame, 1),
        (Counter::HandshakeLate, 2),
    ];
    a.counted(&expected).await;
    unharmed(&mut a, &mut witness).await;
}

#[tokio::test]
async fn later_words() {
    let cluster = Cluster::new(3);
    let (mut a, mut witness) = pair(&cluster).await;
    let stranger = cluster.stranger(2);
    let oversized = (CONTROL_FRAME_BYTES as u32 + 1).to_be_bytes().to_vec();
    let framed = |frame: &[u8]| [&(frame.len() as u32).to_be_bytes()[..], frame].concat();
    let tail = [codec::encode(&control(1)).unwrap(), vec![0]].concat();
    let cases = [
        (oversized, Counter::OversizedFrame, Close::Oversized),
        (framed(b""), Counter::Malformed, Close::Malformed),
        (framed(&[VERSION + 1, 2, 0]), Counter::Malformed, Close::Malformed),
        (framed(&tail), Counter::Malformed, Close::Malformed),
        (framed(&hello(1)), Counter::Malformed, Close::Malformed),
        (vec![0, 0, 0, 9, VERSION], Counter::Stalled, Close::Stalled),
    ];
    let mut expected = std::collections::BTreeMap::new();
    for (bytes, counter, close) in cases {
        let mut met = stranger.meet(&a).await;
        assert_eq!(a.up().await.0, NodeId(2));
        met.write(&bytes).await;
        closed(&met, close).await;
        assert_eq!(a.down().await, (NodeId(2), Down::Broke));
        *expected.entry(counter).or_default() += 1;
        a.counted(&expected.clone().into_iter().collect::<Vec<_>>()).await;
    }
    unharmed(&mut a, &mut witness).await;
}

/// A newer node may say more than this one knows.
#[tokio::test]
async fn an_unknown_message_is_passed_over() {
    let cluster = Cluster::new(3);
    let (mut a, mut witness) = pair(&cluster).await;
    let mut met = cluster.stranger(2).meet(&a).await;
    assert_eq!(a.up().await.0, NodeId(2));
    met.say(&[VERSION, 250, 1, 2, 3]).await;
    met.say(&codec::encode(&control(5)).unwrap()).await;
    assert_eq!(a.event().await, Event::Control { node: NodeId(2), message: control(5) });
    a.counted(&[(Counter::UnknownMessage, 1)]).await;
    unharmed(&mut a, &mut witness).await;
}

#[tokio::test]
async fn a_bulk_block_that_is_too_long_costs_the_bulk_connection_alone() {
    let cluster = Cluster::new(3);
    let (mut a, mut witness) = pair(&cluster).await;
    let stranger = cluster.stranger(2);
    let mut met = stranger.meet(&a).await;
    assert_eq!(a.up().await.0, NodeId(2));
    let bulk = stranger.call(&a, Kind::Bulk).await.taken();
    let mut stream = within(bulk.open_uni()).await.unwrap();
    within(stream.write_all(&(BULK_BLOCK_BYTES as u32 + 1).to_be_bytes())).await.unwrap();
    let error = within(bulk.closed()).await;
    assert!(Close::Oversized.is_why(&error), "{error}");
    assert_eq!(a.event().await, Event::BulkLost { node: NodeId(2) });
    met.say(&codec::encode(&control(5)).unwrap()).await;
    assert_eq!(a.event().await, Event::Control { node: NodeId(2), message: control(5) });
    a.counted(&[(Counter::OversizedFrame, 1)]).await;
    unharmed(&mut a, &mut witness).await;
}

/// What comes to the port and is no QUIC is counted; what looks like it is dropped by quinn. Neither
/// touches a connection.
#[tokio::test]
async fn garbage_on_the_port() {
    let cluster = Cluster::new(3);
    let (mut a, mut witness) = pair(&cluster).await;
    let socket = UdpSocket::bind(ANY).await.unwrap();
    let mut state = 1_u32;
    for round in 0..200_u64 {
        let mut bytes: Vec<u8> = (0..1 + round * 7)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect();
        let foreign = round % 2 == 0;
        bytes[0] = if foreign { bytes[0] & !0x40 } else { bytes[0] | 0x40 };
        socket.send_to(&bytes, a.address()).await.unwrap();
        if foreign {
            // One by one, so that the socket's buffer cannot lose any.
            a.counted(&[(Counter::NotQuic, round / 2 + 1)]).await;
        }
    }
    unharmed(&mut a, &mut witness).await;
    a.counted(&[(Counter::NotQuic, 100)]).await;
}

#[tokio::test]
async fn nothing_is_sent_to_nobody() {
    let cluster = Cluster::new(2);
    let a = cluster.node(1).start();
    let sender = a.sender();
    let sent = [
        sender.try_datagram(NodeId(2), Bytes::from_static(b"x")),
        sender.try_control(NodeId(2), &control(1)),
        sender.try_bulk(NodeId(2), Bytes::from_static(b"x")),
    ];
    assert_eq!(sent, [Err(crate::transport::SendError::Down); 3]);
    assert_eq!(sender.datagram_bytes(NodeId(2)), None);
    a.counted(&[(Counter::PeerDown, 3)]).await;
}
