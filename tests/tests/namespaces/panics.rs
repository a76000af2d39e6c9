//! A packet that makes a flow actor panic costs that packet: no connection, no other packet, and
//! hardly any time. The same packet again and again costs the shard, loudly.

use std::net::{TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ringwall_tests::world::{Plan, SERVER, SOON, World};
use ringwall_tests::{require, root, wait_for};
use serde_json::json;

use crate::sockets::{SILENCE, at, connect, echoes, tcp_echo, udp, udp_answers, udp_echo};

const PORT: u16 = 7001;
const MAGIC: &[u8] = b"xyzzy-makes-it-panic";
const CONNECTIONS: usize = 1000;
/// The longest time in which the shard may forward nothing.
const GAP_MAX: Duration = Duration::from_millis(50);

const POLICY: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]

[[rule]]
id = "all"
from = "trust"
to = "untrust"
service = ["tcp/7001", "udp/7001"]
action = "permit"
"#;

fn world(workers: u16) -> World {
    World::running(Plan::routed(workers, POLICY).with_node("failpoints = true"))
}

/// Arms the failpoint in every worker.
fn plant(world: &World, times: u32) {
    let hex: String = MAGIC.iter().map(|byte| format!("{byte:02x}")).collect();
    let request = json!({ "name": format!("panic:{hex}"), "times": times });
    let (status, answer) = world.post(config::api::FAILPOINT, &request);
    assert_eq!(status, 200, "{answer}");
}

/// How many workers are in this state, and flow actors started after a panic.
fn workers_in(world: &World, state: &str) -> (usize, u64) {
    let status = world.json(&["show", "status"]);
    let workers = status["workers"].as_array().unwrap();
    let restarts = workers.iter().map(|worker| worker["restarts"].as_u64().unwrap());
    (workers.iter().filter(|worker| worker["state"] == state).count(), restarts.sum())
}

#[test]
fn a_panic_breaks_none_of_1000_connections() {
    require!(root());
    for workers in [1, 2] {
        one_panic(workers);
    }
}

fn one_panic(workers: u16) {
    let world = world(workers);
    let to = at(SERVER[0], PORT);
    let _tcp = tcp_echo(&world.server, SERVER[0], PORT);
    let _udp = udp_echo(&world.server, SERVER[0], PORT);
    let mut connections: Vec<TcpStream> = (0..CONNECTIONS)
        .map(|number| {
            let mut stream = connect(&world.client, to, SOON).unwrap();
            echoes(&mut stream, &number.to_be_bytes()).unwrap();
            stream
        })
        .collect();
    let sessions = world.json(&["show", "status"])["sessions"].as_u64().unwrap();
    assert!(sessions >= CONNECTIONS as u64, "{sessions} sessions");
    plant(&world, 1);
    // In the flow of the probes: the worker that panics is the one that should forward them.
    let probing = udp(&world.client, to);
    let magic = probing.try_clone().unwrap();
    let stream = Probes::start(probing);
    std::thread::sleep(Duration::from_millis(300));
    magic.send(MAGIC).unwrap();
    wait_for(SOON, "the poisoned packet", || world.counter("dropped.poison") == 1);
    std::thread::sleep(Duration::from_millis(300));
    let gap = stream.longest_gap();
    let broken = connections
        .iter_mut()
        .filter_map(|stream| echoes(stream, b"still there").err())
        .inspect(|error| eprintln!("broken: {error}"))
        .count();
    eprintln!(
        "{workers} worker(s): {broken} of {CONNECTIONS} connections broken, longest gap {gap:?}"
    );
    assert_eq!(broken, 0, "connections are broken");
    assert!(gap <= GAP_MAX, "nothing was forwarded for {gap:?}");
    assert_eq!(world.counter("dropped.poison"), 1);
    assert_eq!(workers_in(&world, "running"), (usize::from(workers), 1));
    drop(connections);
    world.end();
}

/// Datagrams through the firewall and back, one a millisecond.
struct Probes {
    stop: Arc<AtomicBool>,
    /// When each datagram left, and when it was back.
    sender: JoinHandle<Vec<Instant>>,
    receiver: JoinHandle<Vec<(usize, Instant)>>,
}

impl Probes {
    fn start(socket: UdpSocket) -> Self {
        let stop = Arc::<AtomicBool>::default();
        socket.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        let (receiving, stopped) = (socket.try_clone().unwrap(), Arc::clone(&stop));
        let sender = std::thread::spawn(move || send_steadily(&socket, &stopped));
        let receiver = std::thread::spawn(move || {
            let (mut back, mut number) = (Vec::new(), [0; 8]);
            while receiving.recv(&mut number).is_ok() {
                back.push((usize::from_be_bytes(number), Instant::now()));
            }
            back
        });
        Self { stop, sender, receiver }
    }

    /// The longest time between the sending of a datagram that should have passed and the next
    /// return of any: pauses of the sender itself do not count.
    fn longest_gap(self) -> Duration {
        self.stop.store(true, Ordering::Relaxed);
        let (sent, back) = (self.sender.join().unwrap(), self.receiver.join().unwrap());
        let lost = sent.len() - back.len();
        eprintln!("{} probes sent, {lost} lost", sent.len());
        let mut longest = back[0].1 - sent[0];
        for pair in back.windows(2) {
            // The first one sent after the one that came back last, lost or not.
            longest = longest.max(pair[1].1.saturating_duration_since(sent[pair[0].0 + 1]));
        }
        longest
    }
}

fn send_steadily(socket: &UdpSocket, stopped: &AtomicBool) -> Vec<Instant> {
    let mut sent = Vec::new();
    let start = Instant::now();
    while !stopped.load(Ordering::Relaxed) {
        sent.push(Instant::now());
        socket.send(&(sent.len() - 1).to_be_bytes()).unwrap();
        let next = start + Duration::from_millis(sent.len() as u64);
        std::thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    sent
}

#[test]
fn panic_after_panic_ends_in_drop_only() {
    require!(root());
    for workers in [1, 2] {
        six_panics(workers);
    }
}

fn six_panics(workers: u16) {
    let mut world = world(workers);
    let to = at(SERVER[0], PORT);
    let _udp = udp_echo(&world.server, SERVER[0], PORT);
    // One flow, and so one worker.
    let flow = udp(&world.client, to);
    assert!(comes_back(&flow, SOON), "no echo at first");
    plant(&world, 6);
    for number in 1..=6 {
        assert_eq!(workers_in(&world, "running").0, usize::from(workers));
        flow.send(MAGIC).unwrap();
        wait_for(SOON, "the next panic", || world.counter("dropped.poison") == number);
    }
    wait_for(SOON, "drop-only", || workers_in(&world, "drop-only") == (1, 6));
    world.node().says(SOON, "DROPS EVERYTHING");
    assert!(!comes_back(&flow, SILENCE), "a shard in drop-only forwards");
    assert!(world.counter("dropped.drop-only") > 0);
    if workers == 2 {
        // Flows whose packets never touch that worker go on.
        wait_for(SOON, "a flow of the other worker", || {
            udp_answers(&world.client, to, Duration::from_millis(100))
        });
    }
    world.end();
}

/// Whether a datagram of this flow is sent back within `limit`.
fn comes_back(flow: &UdpSocket, limit: Duration) -> bool {
    flow.set_read_timeout(Some(limit)).unwrap();
    flow.send(b"still there").is_ok() && flow.recv(&mut [0; 64]).is_ok()
}

#[test]
fn failpoints_are_refused_unless_the_node_file_allows_them() {
    require!(root());
    for workers in [1, 2] {
        let world = World::running(Plan::routed(workers, POLICY));
        let (status, answer) = world.post(config::api::FAILPOINT, &json!({ "name": "panic:00" }));
        assert_ne!(status, 200);
        assert!(answer["error"].as_str().unwrap().contains("failpoints"), "{answer}");
        world.end();
    }
}
