//! Two firewalls as one: a client and a server on segments that both are on, and a fabric between them.
//!
//! ```text
//!             ┌── lan0 fw1 wan0 ──┐
//!  client ── lan       ║ fab0     wan ── server        the client's gateway is the vip 10.1.0.1,
//!             └── lan0 fw2 wan0 ──┘                     the server's the vip 10.2.0.1
//! ```

mod alg;
mod clock;
mod full;
mod paused;
mod policy;
mod screens;
mod stopped;
mod targets;
mod workers;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use netns::{End, Namespace, VethOptions, veth, wait_ready};
use ringwall_tests::{
    Background, Outcome, TempDir, binary, require, root, run_command, temp_dir, wait_for,
    wait_for_some,
};
use serde_json::Value;

use crate::sockets::{at, connect, echoes, tcp_echo};

const PORT: u16 = 7001;
/// Long enough for two daemons to start and to find each other on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);
/// How long a connection may be without an answer when its firewall dies. With debug code on a busy
/// machine, and the client's own retransmission timer (200 ms and more) in it.
const GAP: Duration = Duration::from_secs(2);

pub(crate) const POLICY: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]

[[rule]]
id = "services"
from = "trust"
to = "untrust"
service = ["tcp/7001", "udp/7002"]
action = "permit"
"#;

pub(crate) struct Pair {
    nodes: [Option<Background>; 2], // First: they end before what they stand on is taken away.
    pub(crate) client: Namespace,
    pub(crate) server: Namespace,
    routers: [Namespace; 2],
    switch: Namespace,
    folder: TempDir,
    bpf: [PathBuf; 2],
    /// Of each node.
    workers: [u32; 2],
}

/// What a node has counted of packets that were passed on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sums {
    pub(crate) passed_on: u64,
    pub(crate) passed_in: u64,
}

impl Pair {
    /// A pair that is a cluster, and not started.
    pub(crate) fn founded() -> Self {
        let pair = Self::new();
        pair.found();
        pair
    }

    /// Starts both; which of them is active.
    pub(crate) fn starts(&mut self) -> usize {
        (0..2).for_each(|index| self.start(index));
        let active = |pair: &Self| (0..2).find(|it| pair.role(*it) == "active");
        wait_for(PATIENCE, "one active node", || active(self).is_some());
        let active = active(self).expect("one of them");
        self.settles(active);
        active
    }

    pub(crate) fn sums(&self, index: usize) -> Sums {
        let counters = self.verb(index, &["show", "counters", "--json"]).exits(0).json();
        let count = |name: &str| counters["total"][name].as_u64().expect("a counter");
        Sums { passed_on: count("passed-on"), passed_in: count("passed-in") }
    }

    /// What both nodes have counted, but for zeros.
    pub(crate) fn counters(&self) -> String {
        let of = |index| self.verb(index, &["show", "counters"]).stdout;
        [0, 1].map(of).join("\n")
    }

    fn new() -> Self {
        Self::with_workers([1, 1])
    }

    fn with_workers(workers: [u32; 2]) -> Self {
        let namespace = |name| Namespace::new(name).expect("a network namespace");
        // Tests run beside each other.
        static PAIRS: AtomicU32 = AtomicU32::new(0);
        let (process, number) = (std::process::id(), PAIRS.fetch_add(1, Ordering::Relaxed));
        let bpf = |at: u32| format!("/sys/fs/bpf/ringwall-pair-{process}-{number}-{at}").into();
        let pair = Self {
            nodes: [None, None],
            client: namespace("rwp-client"),
            server: namespace("rwp-server"),
            routers: [namespace("rwp-fw1"), namespace("rwp-fw2")],
            switch: namespace("rwp-switch"),
            folder: temp_dir(),
            bpf: [bpf(1), bpf(2)],
            workers,
        };
        pair.cable();
        std::fs::write(pair.path("policy.toml"), POLICY).unwrap();
        for index in 0..2 {
            std::fs::write(pair.node_file(index), pair.node_text(index)).unwrap();
        }
        pair
    }

    fn cable(&self) {
        let switch = &self.switch;
        let queues = self.workers.into_iter().max().expect("two nodes");
        let plug =
            |inside: &Namespace, name: &str, segment: &str, port: &str, addresses: &[&str]| {
                // Wide enough for a full frame of the others, passed on.
                let mtu = if segment == "fab" { 1600 } else { 1500 };
                let options = VethOptions { mtu, queues, offloads: false };
                veth(End::new(switch, port), End::new(inside, name), &options).unwrap();
                switch.plug(port, segment).unwrap();
                addresses.iter().for_each(|address| inside.add_address(name, address).unwrap());
                wait_ready(&[(switch, port), (inside, name)]).unwrap();
            };
        ["lan", "wan", "fab"].into_iter().for_each(|it| switch.add_bridge(it).unwrap());
        plug(&self.client, "c0", "lan", "lan-c", &["10.1.0.2/24", "fd01::2/64"]);
        plug(&self.server, "s0", "wan", "wan-s", &["10.2.0.2/24", "fd02::2/64"]);
        for (router, at) in self.routers.iter().zip(1..) {
            plug(router, "lan0", "lan", &format!("lan-{at}"), &[&format!("10.1.0.{}/24", 10 + at)]);
            plug(router, "wan0", "wan", &format!("wan-{at}"), &[&format!("10.2.0.{}/24", 10 + at)]);
            plug(router, "fab0", "fab", &format!("fab-{at}"), &[&format!("10.9.0.{at}/24")]);
        }
        self.client.add_route("0.0.0.0/0", "10.1.0.1").unwrap();
        self.server.add_route("0.0.0.0/0", "10.2.0.1").unwrap();
        self.client.add_route("::/0", "fd01::1").unwrap();
        self.server.add_route("::/0", "fd02::1").unwrap();
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn node_file(&self, index: usize) -> PathBuf {
        self.path(&format!("fw{}.toml", index + 1))
    }

    fn socket(&self, index: usize) -> PathBuf {
        self.path(&format!("fw{}.sock", index + 1))
    }

    /// By how many seconds the wall clock of a node is off, while it runs and later; without the file by
    /// none.
    fn wall(&self, index: usize) -> PathBuf {
        self.path(&format!("wall{}", index + 1))
    }

    fn node_text(&self, index: usize) -> String {
        let (id, other, rank) = (index + 1, 2 - index, 120 - 10 * index);
        let workers = self.workers[index];
        let (data, bpf) = (self.path(&format!("data{id}")), &self.bpf[index]);
        let vip = |port: &str, address: &str| {
            format!(
                "[[vip]]\ngroup = \"gate\"\nport = \"{port}\"\naddress = \"{address}\"\n\
                 rank = {rank}\n"
            )
        };
        format!(
            "[node]\nid = {id}\nname = \"fw{id}\"\nworkers = {workers}\ndata-dir = {data:?}\n\
             bpf-dir = {bpf:?}\n\
             [[port]]\nname = \"lan\"\ninterface = \"lan0\"\n\
             [[port]]\nname = \"wan\"\ninterface = \"wan0\"\n\
             [cluster]\nlisten = \"10.9.0.{id}:7400\"\npeers = [\"10.9.0.{other}:7400\"]\n\
             [fabric]\ninterface = \"fab0\"\n{}{}{}{}[api]\nsocket = {:?}\n",
            vip("lan", "10.1.0.1/24"),
            vip("wan", "10.2.0.1/24"),
            vip("lan", "fd01::1/64"),
            vip("wan", "fd02::1/64"),
            self.socket(index),
        )
    }

    /// Makes the cluster of both, by files alone.
    fn found(&self) {
        self.verb(0, &["cluster", "init", "--name", "pair", "--node", text(&self.node_file(0))])
            .exits(0);
        let mut command = Command::new(binary());
        command.args(["cluster", "token", "--node", text(&self.node_file(0))]);
        let mut issuer = self.routers[0].run(|| Background::spawn(&mut command));
        let token = issuer.says(PATIENCE, "ringwall-");
        self.verb(1, &["cluster", "join", token.trim(), "--node", text(&self.node_file(1))])
            .exits(0);
        assert!(issuer.ends(PATIENCE).success(), "{issuer}");
    }

    fn start(&mut self, index: usize) {
        let mut command = Command::new(binary());
        command.args(["run", "--node", text(&self.node_file(index))]);
        command.args(["--policy", text(&self.path("policy.toml"))]);
        command.env("RINGWALL_TEST_WALL_OFFSET_FILE", self.wall(index));
        self.nodes[index] = Some(self.routers[index].run(|| Background::spawn(&mut command)));
    }

    pub(crate) fn verb(&self, index: usize, args: &[&str]) -> Outcome {
        let mut command = Command::new(binary());
        command.args(args).env("RINGWALL_SOCKET", self.socket(index));
        self.routers[index].run(|| run_command(&mut command, PATIENCE))
    }

    /// `show cluster`, once the node answers.
    fn cluster(&self, index: usize) -> Option<Value> {
        let outcome = self.verb(index, &["show", "cluster", "--json"]);
        (outcome.status == Some(0)).then(|| outcome.json())
    }

    fn role(&self, index: usize) -> String {
        let cluster = self.cluster(index);
        cluster.map_or_else(String::new, |it| it["role"].as_str().unwrap_or_default().to_owned())
    }

    /// Waits until `active` is active and the other one, complete, stands by.
    #[track_caller]
    pub(crate) fn settles(&self, active: usize) {
        wait_for(PATIENCE, "an active node and a complete standby", || {
            let standby = self.cluster(1 - active).unwrap_or_default();
            self.role(active) == "active"
                && standby["role"] == "standby"
                && standby["readiness"] == "ready"
                // It runs the policy, and may take over.
                && standby["fitness"].as_str().is_some_and(|it| !it.contains("policy"))
        });
    }

    /// Waits until one of them is active and the other, complete, stands by; which one is active.
    #[track_caller]
    fn settles_somehow(&self) -> usize {
        let active = |pair: &Self| (0..2).find(|index| pair.role(*index) == "active");
        let first = wait_for_some(PATIENCE, "an active node", || active(self));
        self.settles(first);
        first
    }

    fn last_words(&self) -> String {
        let said = self.nodes.iter().flatten().map(|node| node.to_string());
        said.collect::<Vec<_>>().join("\n====\n")
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.last_words());
        }
        self.nodes = [None, None];
        // What a killed node leaves pinned.
        self.bpf.iter().for_each(|it| drop(std::fs::remove_dir_all(it)));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("our own path")
}

/// The connection answers again and again; the longest time without an answer until `limit`.
pub(crate) fn longest_gap(stream: &mut std::net::TcpStream, limit: Duration) -> Duration {
    let (start, mut last, mut longest) = (Instant::now(), Instant::now(), Duration::ZERO);
    while start.elapsed() < limit {
        echoes(stream, b"still there?").expect("the connection goes on");
        longest = longest.max(last.elapsed());
        last = Instant::now();
        std::thread::sleep(Duration::from_millis(5));
    }
    longest
}

#[test]
fn the_death_of_the_active_node_breaks_no_connection() {
    require!(root());
    let mut pair = Pair::founded();
    let active = pair.starts();

    let _server = tcp_echo(&pair.server, "10.2.0.2", PORT);
    let mut stream = connect(&pair.client, at("10.2.0.2", PORT), PATIENCE).expect("by the vip");
    echoes(&mut stream, b"hello").expect("an echo");
    wait_for(PATIENCE, "the session on the standby", || {
        let page = pair.verb(1 - active, &["show", "sessions", "--json"]).exits(0).json();
        page["sessions"].as_array().is_some_and(|sessions| !sessions.is_empty())
    });

    pair.nodes[active] = None; // SIGKILL
    let gap = longest_gap(&mut stream, Duration::from_secs(3));
    eprintln!("the longest time without an answer: {gap:?}");
    assert!(gap <= GAP, "{gap:?}");
    assert_eq!(pair.role(1 - active), "active");
    let failover = &pair.cluster(1 - active).expect("it runs")["last_failover"];
    assert_eq!(failover["why"], "owner-silent", "{failover}");

    pair.start(active);
    pair.settles(1 - active);
    echoes(&mut stream, b"and still").expect("the return of the other changes nothing");

    // And back, as planned.
    pair.verb(1 - active, &["cluster", "failover"]).exits(0);
    pair.settles(active);
    echoes(&mut stream, b"goodbye").expect("a planned failover breaks nothing either");
}
