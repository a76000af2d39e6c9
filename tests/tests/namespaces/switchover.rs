//! Planned switchovers under traffic: no packet of a stream is lost, and no connection notices.

use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep, spawn};
use std::time::{Duration, Instant};

use netns::Namespace;
use ringwall_tests::{require, root, wait_for};

use crate::pair::{PATIENCE, Pair};
use crate::sockets::{at, connect, tcp_server};

const UDP_PORT: u16 = 7002;
const TCP_PORT: u16 = 7001;
/// Switchovers, back and forth.
const ROUNDS: usize = 10;
/// Datagrams a second of the stream. `RINGWALL_UDP_RATE` sets another.
const RATE: u64 = 1_000;
/// The client's packets wait in this much of the server's memory while the machine runs something else.
const RECEIVE_BYTES: usize = 4 << 20;

/// A stream of numbered datagrams, and who counts them at the other end.
struct Stream {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    sender: Option<JoinHandle<()>>,
    receiver: Option<JoinHandle<Vec<u64>>>,
}

impl Stream {
    fn start(client: &Namespace, server: &Namespace, rate: u64) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let from = client.run(|| UdpSocket::bind(at("10.1.0.2", 0))).unwrap();
        let to = server.run(|| UdpSocket::bind(at("10.2.0.2", UDP_PORT))).unwrap();
        nix::sys::socket::setsockopt(&to, nix::sys::socket::sockopt::RcvBufForce, &RECEIVE_BYTES)
            .unwrap();
        from.connect(at("10.2.0.2", UDP_PORT)).unwrap();
        to.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&sent));
        let sender = spawn(move || {
            let start = Instant::now();
            while !stopped.load(Ordering::Relaxed) {
                let due = start.elapsed().as_nanos() as u64 * rate / 1_000_000_000;
                while counted.load(Ordering::Relaxed) < due {
                    let number = counted.fetch_add(1, Ordering::Relaxed);
                    from.send(&number.to_be_bytes()).unwrap();
                }
                sleep(Duration::from_micros(200));
            }
        });
        let receiver = spawn(move || {
            let (mut got, mut buffer) = (Vec::new(), [0; 8]);
            // Ends with the first silence of half a second: the sender has ended, or nothing passes.
            while to.recv(&mut buffer).is_ok() {
                got.push(u64::from_be_bytes(buffer));
            }
            got
        });
        Self { stop, sent, sender: Some(sender), receiver: Some(receiver) }
    }

    /// Ends it: how many were sent, and all that came.
    fn end(mut self) -> (u64, Vec<u64>) {
        self.stop.store(true, Ordering::Relaxed);
        self.sender.take().unwrap().join().unwrap();
        let got = self.receiver.take().unwrap().join().unwrap();
        (self.sent.load(Ordering::Relaxed), got)
    }
}

/// A connection that never rests: data there, and an answer to each piece of it.
struct Talk {
    stop: Arc<AtomicBool>,
    pieces: Arc<AtomicU64>,
    talker: Option<JoinHandle<std::io::Result<()>>>,
}

impl Talk {
    fn start(client: &Namespace) -> Self {
        let mut stream = connect(client, at("10.2.0.2", TCP_PORT), PATIENCE).expect("by the vip");
        let (stop, pieces) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let (stopped, counted) = (Arc::clone(&stop), Arc::clone(&pieces));
        let talker = spawn(move || {
            let (mut piece, mut back) = ([7_u8; 8_192], [0; 8_192]);
            while !stopped.load(Ordering::Relaxed) {
                piece[0] = piece[0].wrapping_add(1);
                stream.write_all(&piece)?;
                stream.read_exact(&mut back)?;
                assert_eq!(piece, back);
                counted.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
        Self { stop, pieces, talker: Some(talker) }
    }

    fn end(mut self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        let result = self.talker.take().unwrap().join().unwrap();
        result.expect("no reset, no silence");
        self.pieces.load(Ordering::Relaxed)
    }
}

/// What a host's kernel has counted, all protocols: `TcpInErrs`-like names as `nstat` has them.
fn counted(inside: &Namespace, name: &str) -> u64 {
    let mut nstat = std::process::Command::new("nstat");
    nstat.args(["-a", "-z", "-s", name]);
    let said = inside.run(|| nstat.output()).expect("nstat runs");
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let line = said.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
    line.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn rate() -> u64 {
    let set = std::env::var("RINGWALL_UDP_RATE").ok();
    set.map_or(RATE, |rate| rate.parse().expect("a number"))
}

fn missing(sent: u64, got: &[u64]) -> Vec<u64> {
    let mut here = vec![false; sent as usize];
    got.iter().for_each(|number| here[*number as usize] = true);
    (0..sent).filter(|number| !here[*number as usize]).collect()
}

#[test]
fn ten_switchovers_lose_no_packet_and_break_no_connection() {
    require!(root());
    let mut pair = Pair::founded();
    let mut active = pair.starts();
    let echo = |mut stream: std::net::TcpStream| {
        let mut buffer = [0; 8_192];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            if stream.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
    };
    let _server = tcp_server(&pair.server, "10.2.0.2", TCP_PORT, echo);
    let stream = Stream::start(&pair.client, &pair.server, rate());
    let talk = Talk::start(&pair.client);
    for round in 0..ROUNDS {
        let before = talk.pieces.load(Ordering::Relaxed);
        // The standby fetches all sessions first, each time.
        wait_for(PATIENCE, "a standby that can take over", || {
            pair.verb(active, &["cluster", "failover"]).status == Some(0)
        });
        active = 1 - active;
        pair.settles(active);
        wait_for(PATIENCE, "an answer on the connection", || {
            talk.pieces.load(Ordering::Relaxed) > before + 1
        });
        sleep(Duration::from_millis(100 * (round as u64 % 5)));
    }
    let (pieces, (sent, got)) = (talk.end(), stream.end());
    let lost = missing(sent, &got);
    let sums = [0, 1].map(|node| pair.sums(node));
    eprintln!("{sent} datagrams, {} lost; {pieces} pieces; {sums:?}", lost.len());
    assert_eq!(lost, Vec::<u64>::new(), "lost; {}", pair.counters());
    assert_eq!(got.len() as u64, sent, "none came twice");
    for host in [&pair.client, &pair.server] {
        assert_eq!(counted(host, "TcpOutRsts") + counted(host, "TcpEstabResets"), 0, "resets");
    }
    let [one, other] = sums;
    assert_eq!(one.passed_on + other.passed_on, one.passed_in + other.passed_in, "none was lost");
    assert!(one.passed_on > 0 && other.passed_on > 0, "both were the old owner");
}
