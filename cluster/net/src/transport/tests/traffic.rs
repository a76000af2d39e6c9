//! Much traffic: what is full says so, nothing is thrown away in secret, nothing comes twice.

use std::collections::BTreeSet;

use bytes::Bytes;
use cluster_core::NodeId;

use super::nodes::{Cluster, Node, control, within};
use super::proxy::Proxy;
use crate::Counter;
use crate::limits::{BULK_BLOCK_BYTES, CONTROL_QUEUE, DATAGRAM_SEND_BYTES, DATAGRAMS, TEXT_BYTES};
use crate::message::{ControlMessage, ErrorReport};
use crate::transport::{Event, SendError};

async fn pair(cluster: &Cluster) -> (Node, Node) {
    let mut a = cluster.node(1).start();
    let mut b = cluster.node(2).calling(&a).start();
    assert_eq!((a.up().await.0, b.up().await.0), (NodeId(2), NodeId(1)));
    (a, b)
}

fn numbered(number: u32, length: usize) -> Bytes {
    let mut bytes = vec![0; length];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes(bytes[..4].try_into().unwrap())
}

/// Datagram frames that the connection of `node` to `peer` has sent and received.
fn frames(node: &Node, peer: u16) -> (u64, u64) {
    let link = node.sender().shared.switchboard.get(NodeId(peer)).unwrap();
    let stats = link.connection.stats();
    (stats.frame_tx.datagram, stats.frame_rx.datagram)
}

/// In this runtime nothing is sent while the loop runs, so the buffer fills up. Everything that was
/// taken is sent: quinn threw nothing away.
#[tokio::test]
async fn a_full_send_buffer_is_said_to_the_caller() {
    const LENGTH: usize = 1000;
    let cluster = Cluster::new(2);
    let (a, mut b) = pair(&cluster).await;
    let attempts = 2 * DATAGRAM_SEND_BYTES / LENGTH;
    let sent = (0..attempts)
        .map(|at| a.sender().try_datagram(NodeId(2), numbered(at as u32, LENGTH)))
        .collect::<Vec<_>>();
    let taken = sent.iter().filter(|sent| sent.is_ok()).count();
    assert!((1..attempts).contains(&taken), "{taken} of {attempts}");
    assert!(sent[taken..].iter().all(|sent| *sent == Err(SendError::Full)));
    let (taken, refused) = (taken as u64, (attempts - taken) as u64);
    a.counted(&[(Counter::DatagramsSent, taken), (Counter::DatagramSendFull, refused)]).await;
    let flown = async {
        while frames(&a, 2).0 < taken {
            tokio::task::yield_now().await;
        }
    };
    within(flown).await;
    assert_eq!(frames(&a, 2).0, taken);
    // What arrives is a part of it, in order on this path, none twice.
    a.sender().try_control(NodeId(2), &control(1)).unwrap();
    b.event().await;
    let mut last = None;
    while let Ok(datagram) = b.inbox.datagrams.try_recv() {
        let next = Some(number(&datagram.bytes));
        assert!(next > last, "{next:?} after {last:?}");
        last = next;
    }
    assert!(last.is_some());
}

#[tokio::test]
async fn a_datagram_that_the_path_does_not_carry_is_refused() {
    let cluster = Cluster::new(2);
    let (a, _b) = pair(&cluster).await;
    let most = a.sender().datagram_bytes(NodeId(2)).unwrap();
    assert!(most >= 1100, "{most}");
    let sent = a.sender().try_datagram(NodeId(2), vec![0; 70_000].into());
    assert!(matches!(sent, Err(SendError::TooLarge { .. })), "{sent:?}");
    a.counted(&[(Counter::DatagramTooLarge, 1)]).await;
}

/// A driver that does not read loses the newest, and each is counted.
#[tokio::test]
async fn a_full_inbox_drops_the_newest_and_counts() {
    let cluster = Cluster::new(2);
    let (a, mut b) = pair(&cluster).await;
    let wanted = DATAGRAMS as u64 + 100;
    let mut next = 0;
    let filled = async {
        while b.counters.get(Counter::DatagramReceiveFull) < 100 {
            if a.sender().try_datagram(NodeId(2), numbered(next, 8)).is_ok() {
                next += 1;
            }
            tokio::task::yield_now().await;
        }
    };
    within(filled).await;
    a.sender().try_control(NodeId(2), &control(1)).unwrap();
    b.event().await;
    let settled = async {
        let (received, full) = (Counter::DatagramsReceived, Counter::DatagramReceiveFull);
        while b.counters.get(received) + b.counters.get(full) != frames(&b, 1).1 {
            tokio::task::yield_now().await;
        }
    };
    within(settled).await;
    assert!(frames(&b, 1).1 >= wanted);
    assert_eq!(b.counters.get(Counter::DatagramsReceived), DATAGRAMS as u64);
    let mut kept = 0;
    while b.inbox.datagrams.try_recv().is_ok() {
        kept += 1;
    }
    assert_eq!(kept, DATAGRAMS);
}

/// A driver that does not read blocks stops the sender of bulk, and nobody else.
#[tokio::test]
async fn bulk_waits_for_its_reader_and_holds_nobody_up() {
    let cluster = Cluster::new(2);
    let (mut a, mut b) = pair(&cluster).await;
    let mut accepted = 0_u32;
    // Full for a while, though everything that runs has had its turns: the reader is what is missing.
    let stopped = async {
        let mut refused = 0;
        while refused < 2000 {
            match a.sender().try_bulk(NodeId(2), numbered(accepted, BULK_BLOCK_BYTES)) {
                Ok(()) => (accepted, refused) = (accepted + 1, 0),
                Err(SendError::Full) => refused += 1,
                Err(error) => panic!("{error}"),
            }
            tokio::task::yield_now().await;
        }
    };
    within(stopped).await;
    for round in 0..100 {
        a.sender().try_datagram(NodeId(2), numbered(round, 100)).unwrap();
        assert_eq!(number(&b.datagram().await.bytes), round);
        b.sender().try_control(NodeId(1), &control(round)).unwrap();
        assert_eq!(a.event().await, Event::Control { node: NodeId(2), message: control(round) });
    }
    for expected in 0..accepted {
        assert_eq!(number(&b.block().await.bytes), expected);
    }
    assert!(a.counters.get(Counter::BulkSendFull) >= 2000);
    a.sender().try_bulk(NodeId(2), numbered(accepted, 4)).unwrap();
    assert_eq!(number(&b.block().await.bytes), accepted);
    let long = a.sender().try_bulk(NodeId(2), numbered(0, BULK_BLOCK_BYTES + 1));
    assert_eq!(long, Err(SendError::TooLarge { most: BULK_BLOCK_BYTES }));
    assert_eq!(a.counters.get(Counter::OversizedFrame), 1);
}

#[tokio::test]
async fn a_full_control_queue_is_said_to_the_caller() {
    let cluster = Cluster::new(2);
    let (a, mut b) = pair(&cluster).await;
    let sent: Vec<_> = (0..CONTROL_QUEUE + 10)
        .map(|at| a.sender().try_control(NodeId(2), &control(at as u32)))
        .collect();
    let full = vec![Err(SendError::Full); 10];
    assert_eq!(sent, [vec![Ok(()); CONTROL_QUEUE], full].concat());
    for at in 0..CONTROL_QUEUE {
        let expected = Event::Control { node: NodeId(1), message: control(at as u32) };
        assert_eq!(b.event().await, expected);
    }
    let text = "x".repeat(TEXT_BYTES + 1);
    let unsayable = ControlMessage::Error(ErrorReport { about: 0, text });
    let sent = a.sender().try_control(NodeId(2), &unsayable);
    assert_eq!(sent, Err(SendError::Unsayable));
    a.counted(&[(Counter::ControlSendFull, 10), (Counter::OversizedFrame, 1)]).await;
}

async fn each_once(from: &Node, to: &mut Node, numbers: &BTreeSet<u32>) {
    for at in numbers {
        from.sender().try_datagram(to.id, numbered(*at, 1000)).unwrap();
    }
    let mut arrived = BTreeSet::new();
    for _ in numbers {
        let at = number(&to.datagram().await.bytes);
        assert!(arrived.insert(at), "{at} came twice");
    }
    assert_eq!(arrived, *numbers);
}

/// Somebody on the path repeats each packet, turns batches around, and sends old ones again.
#[tokio::test]
async fn a_repeated_packet_is_delivered_once() {
    const GROUPS: u32 = 50;
    const GROUP: u32 = 8;
    let cluster = Cluster::new(2);
    let mut a = cluster.node(1).start();
    let proxy = Proxy::to(a.address()).await;
    let mut b = cluster.node(2).calling_at(proxy.address()).start();
    assert_eq!((a.up().await.0, b.up().await.0), (NodeId(2), NodeId(1)));
    proxy.mischief();
    for group in 0..GROUPS {
        let numbers: BTreeSet<u32> = (group * GROUP..(group + 1) * GROUP).collect();
        each_once(&a, &mut b, &numbers).await;
        each_once(&b, &mut a, &numbers).await;
    }
    let sent = u64::from(GROUPS * GROUP);
    assert!(proxy.repeated() >= 2 * sent, "{} packets were repeated", proxy.repeated());
    let counted = [(Counter::DatagramsSent, sent), (Counter::DatagramsReceived, sent)];
    a.counted(&counted).await;
    b.counted(&counted).await;
}
