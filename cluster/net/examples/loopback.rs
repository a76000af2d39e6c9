//! Datagrams and round trips between two endpoints of this process, beside raw UDP.
//!
//! `cargo run --release -p ringwall-cluster-net --example loopback`
#![allow(clippy::print_stdout, clippy::unwrap_used)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cluster_core::NodeId;
use ringwall_cluster_net::Counters;
use ringwall_cluster_net::identity::{Authority, Identity};
use ringwall_cluster_net::message::Hello;
use ringwall_cluster_net::transport::{
    Event, Inbox, SendError, Settings, Timing, Transport, VERSIONS,
};
use tokio::net::UdpSocket;
use tokio::time::timeout;

const LENGTH: usize = 1100;
const FLOOD: Duration = Duration::from_secs(5);
const ROUNDS: usize = 20_000;
/// Nothing came for that long: the flood has drained away.
const QUIET: Duration = Duration::from_millis(200);
const BOUND: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let (a, b) = (UdpSocket::bind(any()).await.unwrap(), UdpSocket::bind(any()).await.unwrap());
    a.connect(b.local_addr().unwrap()).await.unwrap();
    b.connect(a.local_addr().unwrap()).await.unwrap();
    let (a, b) = (Arc::new(a), Arc::new(b));
    udp_flood(Arc::clone(&a), Arc::clone(&b)).await;
    udp_round_trips(a, b).await;

    let (mut a, mut b) = pair().await;
    let sender = a.0.sender().clone();
    let flood = tokio::spawn(async move {
        let (start, mut sent, mut full) = (Instant::now(), 0_u64, 0_u64);
        while start.elapsed() < FLOOD {
            match sender.try_datagram(NodeId(2), Bytes::from_static(&[7; LENGTH])) {
                Ok(()) => sent += 1,
                Err(SendError::Full) => {
                    full += 1;
                    tokio::task::yield_now().await;
                }
                Err(error) => panic!("{error}"),
            }
        }
        (sent, full, start.elapsed())
    });
    let mut received = 0;
    while timeout(QUIET, b.1.datagrams.recv()).await.is_ok() {
        received += 1;
    }
    let (sent, full, took) = flood.await.unwrap();
    report("quic", sent, received, took);
    println!("quic: the caller was told `full` {full} times");
    quic_round_trips(&mut a, &mut b).await;
}

fn any() -> SocketAddr {
    SocketAddr::new(Ipv4Addr::LOCALHOST.into(), 0)
}

fn report(what: &str, sent: u64, received: u64, took: Duration) {
    let rate = received as f64 / took.as_secs_f64();
    println!(
        "{what}: {sent} datagrams of {LENGTH} bytes sent, {received} received, {rate:.0} a second"
    );
}

fn report_times(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |share: f64| times[(times.len() as f64 * share) as usize];
    println!("{what}: round trip median {:?}, 99 % {:?}", at(0.5), at(0.99));
}

async fn udp_flood(a: Arc<UdpSocket>, b: Arc<UdpSocket>) {
    let flood = tokio::spawn(async move {
        let (start, mut sent) = (Instant::now(), 0);
        while start.elapsed() < FLOOD {
            sent += u64::from(a.send(&[7; LENGTH]).await.is_ok());
        }
        (sent, start.elapsed())
    });
    let (mut received, mut buffer) = (0, [0; 2 * LENGTH]);
    while timeout(QUIET, b.recv(&mut buffer)).await.is_ok() {
        received += 1;
    }
    let (sent, took) = flood.await.unwrap();
    report("udp", sent, received, took);
}

async fn udp_round_trips(a: Arc<UdpSocket>, b: Arc<UdpSocket>) {
    let echo = tokio::spawn(async move {
        let mut buffer = [0; 2 * LENGTH];
        while let Ok(length) = b.recv(&mut buffer).await {
            b.send(&buffer[..length]).await.unwrap();
        }
    });
    let (mut times, mut buffer) = (Vec::new(), [0; 2 * LENGTH]);
    for _ in 0..ROUNDS {
        let start = Instant::now();
        a.send(&[7; 100]).await.unwrap();
        timeout(BOUND, a.recv(&mut buffer)).await.unwrap().unwrap();
        times.push(start.elapsed());
    }
    echo.abort();
    report_times("udp", times);
}

type Node = (Transport, Inbox);

async fn pair() -> (Node, Node) {
    let (authority, first) = Authority::found("alpha".parse().unwrap(), NodeId(1)).unwrap();
    let second = authority.identity(NodeId(2), &first.secret).unwrap();
    let mut a = start(&first, Vec::new());
    let mut b = start(&second, vec![a.0.address().unwrap()]);
    for node in [&mut a, &mut b] {
        let event = timeout(BOUND, node.1.events.recv()).await.unwrap();
        assert!(matches!(event, Some(Event::PeerUp { .. })), "{event:?}");
    }
    (a, b)
}

fn start(identity: &Identity, peers: Vec<SocketAddr>) -> Node {
    let settings = Settings {
        listen: any(),
        peers,
        members: [NodeId(1), NodeId(2)].into(),
        hello: Hello { boot: 1, ..Hello::default() },
        versions: VERSIONS.to_vec(),
        timing: Timing::default(),
    };
    Transport::start(identity, settings, Arc::<Counters>::default()).unwrap()
}

async fn quic_round_trips(a: &mut Node, b: &mut Node) {
    let (from_a, from_b) = (a.0.sender().clone(), b.0.sender().clone());
    let (at_a, at_b) = (&mut a.1.datagrams, &mut b.1.datagrams);
    let echo = async {
        while let Some(datagram) = at_b.recv().await {
            from_b.try_datagram(NodeId(1), datagram.bytes).unwrap();
        }
    };
    let ping = async {
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let start = Instant::now();
            from_a.try_datagram(NodeId(2), Bytes::from_static(&[7; 100])).unwrap();
            timeout(BOUND, at_a.recv()).await.unwrap().unwrap();
            times.push(start.elapsed());
        }
        report_times("quic", times);
    };
    tokio::select! { () = echo => {} () = ping => {} }
}
