//! A small network with the firewall in its middle, for tests that move real packets.
//!
//! ```text
//! client ──► lan0 router wan0 ◄── server          routed: 10.1.0.0/24 and fd01::/64 on the left,
//!  c0         (ringwall run)       s0                     10.2.0.0/24 and fd02::/64 on the right
//!                                                 wire:   10.3.0.0/24 and fd03::/64 on both sides
//! ```
//!
//! Everything is made by netlink in namespaces of this test's own, and gone with the value: the
//! daemon, the namespaces, the pinned links, the files.

use std::fs;
use std::io::{self, Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use netns::{End, Namespace, VethOptions, veth, wait_ready};
use serde_json::Value;

use crate::{Background, Outcome, TempDir, binary, run_command, temp_dir, wait_for};

/// Long enough for anything but a bulk transfer on a busy machine.
pub const SOON: Duration = Duration::from_secs(15);

/// Addresses of the client, IPv4 then IPv6.
pub const CLIENT: [&str; 2] = ["10.1.0.2", "fd01::2"];
/// Addresses of the router towards the client.
pub const ROUTER: [&str; 2] = ["10.1.0.1", "fd01::1"];
/// Addresses of the router towards the server.
pub const ROUTER_WAN: [&str; 2] = ["10.2.0.1", "fd02::1"];
/// Addresses of the server.
pub const SERVER: [&str; 2] = ["10.2.0.2", "fd02::2"];
/// More addresses of the server, for what no rule allows.
pub const SERVER_OTHER: [&str; 2] = ["10.2.0.3", "fd02::3"];
/// The client's addresses in wire mode.
pub const WIRE_CLIENT: [&str; 2] = ["10.3.0.1", "fd03::1"];
/// The server's addresses in wire mode.
pub const WIRE_SERVER: [&str; 2] = ["10.3.0.2", "fd03::2"];

/// How the firewall stands in the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Routed,
    Wire,
}

/// What a world is made from.
#[derive(Clone, Copy, Debug)]
pub struct Plan<'a> {
    pub mode: Mode,
    /// Packet workers, and receive queues of every interface.
    pub workers: u16,
    pub policy: &'a str,
    /// More lines for `[node]`.
    pub node: &'a str,
}

impl<'a> Plan<'a> {
    pub fn routed(workers: u16, policy: &'a str) -> Self {
        Self { mode: Mode::Routed, workers, policy, node: "" }
    }

    pub fn wire(workers: u16, policy: &'a str) -> Self {
        Self { mode: Mode::Wire, workers, policy, node: "" }
    }

    /// With more lines for `[node]`.
    pub fn with_node(self, node: &'a str) -> Self {
        Self { node, ..self }
    }
}

/// A client, a firewall and a server.
pub struct World {
    node: Option<Background>, // First: it ends before what it stands on is taken away.
    pub client: Namespace,
    pub router: Namespace,
    pub server: Namespace,
    mode: Mode,
    workers: u16,
    folder: TempDir,
    bpf: BpfDir,
    _turn: MutexGuard<'static, ()>,
}

impl World {
    /// The network alone. Worlds of one process take turns: each is measured, and two at once
    /// would measure each other.
    ///
    /// # Panics
    /// When the kernel refuses.
    #[track_caller]
    pub fn new(plan: Plan<'_>) -> Self {
        static TURN: Mutex<()> = Mutex::new(());
        let turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
        let namespace = |name| Namespace::new(name).expect("a network namespace");
        let world = Self {
            node: None,
            client: namespace("rwt-client"),
            router: namespace("rwt-router"),
            server: namespace("rwt-server"),
            mode: plan.mode,
            workers: plan.workers,
            folder: temp_dir(),
            bpf: BpfDir::unique(),
            _turn: turn,
        };
        world.join_client();
        world.join_server();
        world.write("node.toml", &world.node_file(plan.node));
        world.write("policy.toml", plan.policy);
        world
    }

    /// The network with a running node.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn running(plan: Plan<'_>) -> Self {
        let mut world = Self::new(plan);
        world.start();
        world
    }

    /// The link between client and firewall, with addresses and routes; again after it was deleted.
    ///
    /// # Panics
    /// When the kernel refuses.
    pub fn join_client(&self) {
        let ends = (End::new(&self.router, "lan0"), End::new(&self.client, "c0"));
        veth(ends.0, ends.1, &self.veth_options()).expect("a veth pair");
        if self.mode == Mode::Routed {
            addresses(&self.router, "lan0", &ROUTER);
            addresses(&self.client, "c0", &CLIENT);
        } else {
            addresses(&self.client, "c0", &WIRE_CLIENT);
        }
        ready(&[(&self.router, "lan0"), (&self.client, "c0")]);
        if self.mode == Mode::Routed {
            default_routes(&self.client, &ROUTER);
        }
    }

    fn join_server(&self) {
        let ends = (End::new(&self.router, "wan0"), End::new(&self.server, "s0"));
        veth(ends.0, ends.1, &self.veth_options()).expect("a veth pair");
        if self.mode == Mode::Routed {
            addresses(&self.router, "wan0", &ROUTER_WAN);
            addresses(&self.server, "s0", &SERVER);
            addresses(&self.server, "s0", &SERVER_OTHER);
        } else {
            addresses(&self.server, "s0", &WIRE_SERVER);
        }
        ready(&[(&self.router, "wan0"), (&self.server, "s0")]);
        if self.mode == Mode::Routed {
            default_routes(&self.server, &ROUTER_WAN);
        }
    }

    fn veth_options(&self) -> VethOptions {
        VethOptions { mtu: 1500, queues: u32::from(self.workers), offloads: false }
    }

    fn node_file(&self, more: &str) -> String {
        let Self { workers, bpf, .. } = self;
        let (data, socket) = (self.path("data"), self.socket());
        let (mode, wire) = match self.mode {
            Mode::Routed => ("", ""),
            Mode::Wire => ("mode = \"wire\"\n", "[[wire]]\nports = [\"lan\", \"wan\"]\n"),
        };
        format!(
            "[node]\nid = 1\nname = \"fw\"\nworkers = {workers}\ndata-dir = {data:?}\n\
             bpf-dir = {:?}\n{more}\n\
             [[port]]\nname = \"lan\"\ninterface = \"lan0\"\n{mode}\
             [[port]]\nname = \"wan\"\ninterface = \"wan0\"\n{mode}{wire}\
             [api]\nsocket = {socket:?}\n",
            bpf.0
        )
    }

    /// A path in this world's own folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into this world's own folder.
    ///
    /// # Panics
    /// When the disk is full.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("a file of our own folder");
        path
    }

    /// The daemon's socket.
    pub fn socket(&self) -> PathBuf {
        self.path("api.sock")
    }

    /// The directory of the pinned links.
    pub fn bpf_dir(&self) -> &Path {
        &self.bpf.0
    }

    /// Starts the node, and waits until it answers and forwards.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn start(&mut self) {
        self.launch(&["--policy".into(), self.path("policy.toml")]);
    }

    /// Starts the node as [`start`](Self::start) does, without naming a policy.
    ///
    /// # Panics
    /// When it does not come up.
    #[track_caller]
    pub fn start_without_policy(&mut self) {
        self.launch(&[]);
    }

    #[track_caller]
    fn launch(&mut self, more: &[PathBuf]) {
        let mut command = Command::new(binary());
        command.arg("run").arg("--node").arg(self.path("node.toml")).args(more);
        // Kept at once, so that a start in vain shows what the node said.
        self.node = Some(self.router.run(|| Background::spawn(&mut command)));
        wait_for(SOON, "the node's API", || {
            if let Err(why) = self.node().check() {
                panic!("the node does not start: {why}");
            }
            // The socket is there before the node; an answer comes when it runs.
            self.exchange("GET", "/v1/status", "").is_ok_and(|answer| answer.0 == 200)
        });
    }

    /// The running node.
    ///
    /// # Panics
    /// When none was started.
    #[track_caller]
    pub fn node(&mut self) -> &mut Background {
        self.node.as_mut().expect("a started node")
    }

    /// Kills the node as a crash would (SIGKILL) and waits for its end.
    pub fn kill(&mut self) {
        self.node = None;
    }

    /// Runs a verb in the router's namespace against this node.
    #[track_caller]
    pub fn verb(&self, args: &[&str]) -> Outcome {
        let mut command = Command::new(binary());
        command.args(args).env("RINGWALL_SOCKET", self.socket());
        self.router.run(|| run_command(&mut command, SOON))
    }

    /// What a verb says with `--json`; it must succeed.
    #[track_caller]
    pub fn json(&self, args: &[&str]) -> Value {
        let args: Vec<&str> = args.iter().copied().chain(["--json"]).collect();
        self.verb(&args).exits(0).json()
    }

    /// A counter of all workers together.
    ///
    /// # Panics
    /// When there is none of this name.
    #[track_caller]
    pub fn counter(&self, name: &str) -> u64 {
        let counters = self.json(&["show", "counters"]);
        let counter = counters["total"][name].as_u64();
        counter.unwrap_or_else(|| panic!("no counter {name:?} in {counters}"))
    }

    /// One request to the API, past the CLI. Status and body.
    ///
    /// # Panics
    /// When the daemon does not answer.
    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        self.post_text(path, &body.to_string())
    }

    /// One request to the API with any text for a body. Status and body of the answer.
    ///
    /// # Panics
    /// When the daemon does not answer.
    #[track_caller]
    pub fn post_text(&self, path: &str, body: &str) -> (u16, Value) {
        let (status, body) = self.exchange("POST", path, body).expect("the daemon answers");
        (status, serde_json::from_str(&body).unwrap_or(Value::Null))
    }

    /// What the node shows to Prometheus.
    ///
    /// # Panics
    /// When the daemon does not answer.
    #[track_caller]
    pub fn metrics(&self) -> String {
        let (status, text) = self.exchange("GET", "/metrics", "").expect("the daemon answers");
        assert_eq!(status, 200, "{text}");
        text
    }

    fn exchange(&self, method: &str, path: &str, body: &str) -> io::Result<(u16, String)> {
        let mut stream = UnixStream::connect(self.socket())?;
        stream.set_read_timeout(Some(SOON))?;
        let length = body.len();
        let head = format!(
            "{method} {path} HTTP/1.1\r\nhost: ringwall\r\nconnection: close\r\n\
             content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let broken = || io::Error::other(format!("not HTTP: {answer}"));
        let (head, body) = answer.split_once("\r\n\r\n").ok_or_else(broken)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or_else(broken)?, body.to_owned()))
    }

    /// The law of packet conservation, for the whole node and for each worker.
    ///
    /// # Panics
    /// When a packet was lost or counted twice.
    #[track_caller]
    pub fn assert_conservation(&self) {
        let counters = self.json(&["show", "counters"]);
        let workers = counters["workers"].as_array().expect("counters of workers");
        assert_eq!(workers.len(), usize::from(self.workers));
        for named in workers.iter().chain([&counters["total"]]) {
            let sum = |names: &[&str]| -> u64 {
                names.iter().map(|name| named[*name].as_u64().expect(name)).sum()
            };
            let into = sum(&["received", "handed-in"]);
            let out = ["forwarded", "answered", "consumed", "held", "handed-out", "dropped"];
            assert_eq!(into, sum(&out), "packets in and packets out differ: {named}");
        }
    }

    /// Checks the books, stops the node (SIGTERM: exit 0), and takes the program off again.
    ///
    /// # Panics
    /// When any of it fails.
    #[track_caller]
    pub fn end(mut self) {
        self.assert_conservation();
        self.stop();
        self.detach();
    }

    /// Stops the node with SIGTERM; it must end in order.
    #[track_caller]
    pub fn stop(&mut self) {
        let node = self.node();
        let status = node.stop(SOON);
        assert!(status.success(), "SIGTERM ended it with {status}: {node}");
        self.node = None;
    }

    /// Takes the XDP programs off the interfaces.
    #[track_caller]
    pub fn detach(&self) {
        let node = self.path("node.toml");
        self.verb(&["detach", "--node", node.to_str().expect("our own path")]).exits(0);
    }
}

impl Drop for World {
    /// A failed test shows what the node said, and what became of the packets.
    fn drop(&mut self) {
        let Some(node) = self.node.as_ref().filter(|_| std::thread::panicking()) else { return };
        eprintln!("the node's last words:\n{}", last_lines(&node.output(), 40));
        if let Ok((_, counters)) = self.exchange("GET", "/v1/counters", "") {
            let counters: Value = serde_json::from_str(&counters).unwrap_or_default();
            let named = counters["total"].as_object().into_iter().flatten();
            let moved: Vec<_> = named.filter(|(_, count)| **count != 0).collect();
            eprintln!("counters: {moved:?}");
        }
    }
}

fn last_lines(text: &str, most: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(most)..].join("\n")
}

/// A directory on the BPF file system that is removed, with what is pinned in it, when dropped.
struct BpfDir(PathBuf);

impl BpfDir {
    fn unique() -> Self {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let number = COUNTER.fetch_add(1, Ordering::Relaxed);
        Self(format!("/sys/fs/bpf/ringwall-test-{}-{number}", std::process::id()).into())
    }
}

impl Drop for BpfDir {
    fn drop(&mut self) {
        // It is not there when no node ever started.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn addresses(namespace: &Namespace, link: &str, pair: &[&str; 2]) {
    for (address, length) in pair.iter().zip([24, 64]) {
        namespace.add_address(link, &format!("{address}/{length}")).expect("a new address");
    }
}

fn default_routes(namespace: &Namespace, via: &[&str; 2]) {
    for (prefix, gateway) in ["0.0.0.0/0", "::/0"].iter().zip(via) {
        namespace.add_route(prefix, gateway).expect("a new default route");
    }
}

fn ready(links: &[(&Namespace, &str)]) {
    wait_ready(links).expect("links that carry traffic");
}
