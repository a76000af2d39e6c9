//! Real receivers on loopback: what is sent comes, who is slow or gone holds nobody up.

use std::path::Path;
use std::time::Duration;

use config::{EventClass, Facility, Receiver, api};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram};
use tokio::time::timeout;
use tracing_subscriber::layer::SubscriberExt as _;

use super::grammar::parse;
use crate::limits::SYSLOG_QUEUE;
use crate::run::syslog::{Deliveries, Syslog, SyslogLayer};

/// How long a test waits for what must come.
const BOUND: Duration = Duration::from_secs(30);

fn new(to: Receiver) -> (Syslog, Log, Deliveries) {
    let (facility, enterprise) = (Facility::Local0, 32_473);
    let receiver = config::Syslog { to, facility, events: vec![EventClass::Attacks], enterprise };
    let (syslog, layer, deliveries) = Syslog::new(&[receiver], "fw1");
    (syslog, Log::new(layer), deliveries)
}

/// A log with a layer, and nothing else.
struct Log(tracing::Dispatch);

impl Log {
    fn new(layer: Option<SyslogLayer>) -> Self {
        Self(tracing_subscriber::registry().with(layer).into())
    }

    fn attack(&self, number: u32) {
        tracing::dispatcher::with_default(&self.0, || {
            tracing::warn!(target: "screen", event = "attack", attack = number);
        });
    }
}

fn number(message: &str) -> u32 {
    let parsed = parse(message).unwrap_or_else(|why| panic!("{why}: {message}"));
    assert_eq!(parsed.event.as_deref(), Some("attack"));
    parsed.data[0].1[1].1.parse().unwrap()
}

async fn within<T>(what: impl Future<Output = T>) -> T {
    timeout(BOUND, what).await.expect("it comes in time")
}

fn state(syslog: &Syslog) -> api::SyslogReceiver {
    syslog.status().remove(0)
}

#[tokio::test]
async fn udp_carries_a_message_a_datagram() {
    for any in ["127.0.0.1:0", "[::1]:0"] {
        let receiver = UdpSocket::bind(any).await.unwrap();
        let (syslog, log, deliveries) = new(Receiver::Udp(receiver.local_addr().unwrap()));
        assert!(!state(&syslog).delivers);
        deliveries.start();
        (1..=3).for_each(|it| log.attack(it));
        let mut bytes = [0; 4_096];
        for expected in 1..=3 {
            let length = within(receiver.recv(&mut bytes)).await.unwrap();
            assert_eq!(number(core::str::from_utf8(&bytes[..length]).unwrap()), expected);
        }
        within(syslog.flush(BOUND)).await;
        let api::SyslogReceiver { delivers, sent, dropped, refused, .. } = state(&syslog);
        assert_eq!((delivers, sent, dropped, refused), (true, 3, 0, 0));
    }
}

#[tokio::test]
async fn a_udp_receiver_that_is_not_there_is_counted_and_holds_nothing_up() {
    let port = UdpSocket::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (syslog, log, deliveries) = new(Receiver::Udp(port));
    deliveries.start();
    // The kernel tells of the first message's fate when the second is sent; whichever it is, both are done.
    for number in 1..=10 {
        log.attack(number);
        within(syslog.flush(BOUND)).await;
    }
    let api::SyslogReceiver { delivers, sent, dropped, refused, .. } = state(&syslog);
    assert_eq!((sent + refused, dropped), (10, 0));
    assert!(refused > 0 && !delivers);
}

#[tokio::test]
async fn a_unix_socket_that_appears_later_gets_what_waited() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("log");
    let (syslog, log, deliveries) = new(Receiver::Unix(path.to_str().unwrap().to_owned()));
    deliveries.start();
    log.attack(1);
    log.attack(2);
    // It has been tried once, and failed.
    tokio::task::yield_now().await;
    assert!(!state(&syslog).delivers);
    assert_eq!(numbers_at(&path, 2).await, [1, 2]);
    // Its process is started again: another socket at the same place.
    std::fs::remove_file(&path).unwrap();
    log.attack(3);
    assert_eq!(numbers_at(&path, 1).await, [3]);
    within(syslog.flush(BOUND)).await;
    assert_eq!((state(&syslog).sent, state(&syslog).dropped), (3, 0));
}

async fn numbers_at(path: &Path, many: usize) -> Vec<u32> {
    let receiver = UnixDatagram::bind(path).unwrap();
    let (mut bytes, mut all) = ([0; 4_096], Vec::new());
    for _ in 0..many {
        let length = within(receiver.recv(&mut bytes)).await.unwrap();
        all.push(number(core::str::from_utf8(&bytes[..length]).unwrap()));
    }
    all
}

/// One message of a stream with counted octets.
async fn framed(stream: &mut TcpStream) -> u32 {
    let mut length = 0_usize;
    loop {
        match within(stream.read_u8()).await.unwrap() {
            b' ' => break,
            digit => {
                assert!(digit.is_ascii_digit() && (digit != b'0' || length > 0));
                length = length * 10 + usize::from(digit - b'0');
            }
        }
    }
    let mut bytes = vec![0; length];
    within(stream.read_exact(&mut bytes)).await.unwrap();
    number(core::str::from_utf8(&bytes).unwrap())
}

#[tokio::test]
async fn tcp_counts_octets_and_connects_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (syslog, log, deliveries) = new(Receiver::Tcp(listener.local_addr().unwrap()));
    deliveries.start();
    log.attack(1);
    log.attack(2);
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    assert_eq!([framed(&mut stream).await, framed(&mut stream).await], [1, 2]);
    drop(stream);
    // What is on its way when the other end closes may be lost; what comes later is not.
    let mut next = 3;
    let mut stream = loop {
        log.attack(next);
        match timeout(Duration::from_millis(100), listener.accept()).await {
            Ok(accepted) => break accepted.unwrap().0,
            Err(_) => next += 1,
        }
        assert!(next < 300, "it never connects again");
    };
    while framed(&mut stream).await < next {}
    within(syslog.flush(BOUND)).await;
    assert_eq!((state(&syslog).sent, state(&syslog).dropped), (u64::from(next), 0));
}

/// Nobody reads: the queue fills, what is beyond is dropped and counted, and who logs goes on at once.
#[tokio::test]
async fn a_full_queue_drops_the_newest() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (syslog, log, deliveries) = new(Receiver::Tcp(listener.local_addr().unwrap()));
    let beyond = 5;
    (0..SYSLOG_QUEUE as u32 + beyond).for_each(|it| log.attack(it));
    assert_eq!((state(&syslog).sent, state(&syslog).dropped), (0, u64::from(beyond)));
    deliveries.start();
    let (mut stream, _) = within(listener.accept()).await.unwrap();
    for expected in 0..SYSLOG_QUEUE as u32 {
        assert_eq!(framed(&mut stream).await, expected);
    }
    log.attack(99);
    assert_eq!(framed(&mut stream).await, 99);
    within(syslog.flush(BOUND)).await;
    let api::SyslogReceiver { sent, dropped, .. } = state(&syslog);
    assert_eq!((sent, dropped), (SYSLOG_QUEUE as u64 + 1, u64::from(beyond)));
}

/// A daemon that ends does not wait for who never reads.
#[tokio::test]
async fn a_flush_ends_when_its_time_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere").to_str().unwrap().to_owned();
    let (syslog, log, deliveries) = new(Receiver::Unix(nowhere));
    deliveries.start();
    log.attack(1);
    within(syslog.flush(Duration::from_millis(50))).await;
    assert_eq!(state(&syslog).sent, 0);
}
