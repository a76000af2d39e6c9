//! More than two members: a pair with a witness, and three firewalls. A majority decides who forwards, and
//! sessions are at the owner and at one backup.
//!
//! ```text
//!             ┌── lan0 fw1 wan0 ──┐
//!  client ── lan  lan0 fw2 wan0  wan ── server       the client's gateway is the vip 10.1.0.1,
//!             └── lan0 fw3 wan0 ──┘                   the server's the vip 10.2.0.1
//!                      ║ fab0
//!                    witness
//! ```

mod changes;
mod three;
mod witness;

use std::path::{Path, PathBuf};
use std::process::Command;

use netns::{End, Namespace, VethOptions, veth, wait_ready};
use ringwall_tests::{Background, Outcome, TempDir, binary, run_command, temp_dir, wait_for};
use serde_json::Value;

use crate::pair::{PATIENCE, POLICY};
use crate::sockets::{Server, at, connect, echoes, tcp_echo};

const PORT: u16 = 7001;

/// A cluster: firewalls first, then witnesses.
struct Site {
    nodes: Vec<Option<Background>>, // First: they end before what they stand on is taken away.
    client: Namespace,
    server: Namespace,
    hosts: Vec<Namespace>,
    switch: Namespace,
    folder: TempDir,
    firewalls: usize,
}

/// A connection through the firewalls, and who answers at its end.
struct Talk {
    stream: std::net::TcpStream,
    _server: Server,
}

impl Site {
    /// A cluster, started, in which all vote.
    fn running(firewalls: usize, witnesses: usize) -> Self {
        let mut site = Self::new(firewalls, witnesses);
        site.found();
        let all = firewalls + witnesses;
        (0..all).for_each(|index| site.start(index));
        wait_for(PATIENCE, "all members vote on the policy", || {
            (0..all).all(|index| site.votes(index) == all)
        });
        site
    }

    fn new(firewalls: usize, witnesses: usize) -> Self {
        let namespace = |name: &str| Namespace::new(name).expect("a network namespace");
        let host = |index: usize| namespace(&format!("rwm-node{}", index + 1));
        let all = firewalls + witnesses;
        let site = Self {
            nodes: (0..all).map(|_| None).collect(),
            client: namespace("rwm-client"),
            server: namespace("rwm-server"),
            hosts: (0..all).map(host).collect(),
            switch: namespace("rwm-switch"),
            folder: temp_dir(),
            firewalls,
        };
        site.cable();
        std::fs::write(site.path("policy.toml"), POLICY).unwrap();
        for index in 0..all {
            std::fs::write(site.node_file(index), site.node_text(index)).unwrap();
        }
        site
    }

    fn cable(&self) {
        let switch = &self.switch;
        let plug = |inside: &Namespace, name: &str, segment: &str, port: &str, address: &str| {
            let mtu = if segment == "fab" { 1600 } else { 1500 };
            let options = VethOptions { mtu, queues: 1, offloads: false };
            veth(End::new(switch, port), End::new(inside, name), &options).unwrap();
            switch.plug(port, segment).unwrap();
            inside.add_address(name, address).unwrap();
            wait_ready(&[(switch, port), (inside, name)]).unwrap();
        };
        ["lan", "wan", "fab"].into_iter().for_each(|it| switch.add_bridge(it).unwrap());
        plug(&self.client, "c0", "lan", "lan-c", "10.1.0.2/24");
        plug(&self.server, "s0", "wan", "wan-s", "10.2.0.2/24");
        for (index, host) in self.hosts.iter().enumerate() {
            let id = index + 1;
            if index < self.firewalls {
                let (lan, wan) =
                    (format!("10.1.0.{}/24", 10 + id), format!("10.2.0.{}/24", 10 + id));
                plug(host, "lan0", "lan", &format!("lan-{id}"), &lan);
                plug(host, "wan0", "wan", &format!("wan-{id}"), &wan);
            }
            plug(host, "fab0", "fab", &format!("fab-{id}"), &format!("10.9.0.{id}/24"));
        }
        self.client.add_route("0.0.0.0/0", "10.1.0.1").unwrap();
        self.server.add_route("0.0.0.0/0", "10.2.0.1").unwrap();
    }

    /// Nothing of a firewall reaches anybody any more; or it does again.
    fn cut_off(&self, index: usize, cut: bool) {
        for segment in ["lan", "wan", "fab"] {
            self.switch.enable_port(&format!("{segment}-{}", index + 1), !cut).unwrap();
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn node_file(&self, index: usize) -> PathBuf {
        self.path(&format!("node{}.toml", index + 1))
    }

    fn socket(&self, index: usize) -> PathBuf {
        self.path(&format!("node{}.sock", index + 1))
    }

    /// Tests run beside each other: their folders have names of their own.
    fn bpf(&self, index: usize) -> PathBuf {
        let name = self.folder.path().file_name().expect("a folder has a name");
        Path::new("/sys/fs/bpf").join(format!("{}-{index}", name.display()))
    }

    fn node_text(&self, index: usize) -> String {
        let (id, rank) = (index + 1, 120 - 10 * index);
        let (data, bpf) = (self.path(&format!("data{id}")), self.bpf(index));
        let vip = |port: &str, address: &str| {
            format!(
                "[[port]]\nname = \"{port}\"\ninterface = \"{port}0\"\n\
                 [[vip]]\ngroup = \"gate\"\nport = \"{port}\"\naddress = \"{address}\"\nrank = {rank}\n"
            )
        };
        let ports = match index < self.firewalls {
            true => vip("lan", "10.1.0.1/24") + &vip("wan", "10.2.0.1/24"),
            false => String::new(),
        };
        format!(
            "[node]\nid = {id}\nname = \"node{id}\"\ndata-dir = {data:?}\nbpf-dir = {bpf:?}\n{ports}\
             [cluster]\nlisten = \"10.9.0.{id}:7400\"\n[fabric]\ninterface = \"fab0\"\n\
             [api]\nsocket = {:?}\n",
            self.socket(index),
        )
    }

    /// Makes the cluster of all, by files alone.
    fn found(&self) {
        self.found_first(self.hosts.len());
    }

    /// Makes a cluster of the first so many, by files alone. Those that joined early learn of the others by
    /// the log.
    fn found_first(&self, all: usize) {
        let file = |index: usize| text(&self.node_file(index)).to_owned();
        self.verb(0, &["cluster", "init", "--name", "gate", "--node", &file(0)]).exits(0);
        for index in 1..all {
            let token = self.token(&[]);
            let mut join = vec!["cluster", "join", token.0.trim(), "--node"];
            let file = file(index);
            join.push(&file);
            if index >= self.firewalls {
                join.push("--witness");
            }
            self.verb(index, &join).exits(0);
            token.used();
        }
    }

    fn token(&self, more: &[&str]) -> Token {
        let mut command = Command::new(binary());
        command.args(["cluster", "token", "--node", text(&self.node_file(0))]).args(more);
        let mut issuer = self.hosts[0].run(|| Background::spawn(&mut command));
        let token = issuer.says(PATIENCE, "ringwall-");
        Token(token, issuer)
    }

    fn start(&mut self, index: usize) {
        let (file, mut command) = (self.node_file(index), Command::new(binary()));
        if index < self.firewalls {
            command.args(["run", "--node", text(&file)]);
            command.args(["--policy", text(&self.path("policy.toml"))]);
        } else {
            command.args(["witness", "--config", text(&file)]);
        }
        self.nodes[index] = Some(self.hosts[index].run(|| Background::spawn(&mut command)));
    }

    /// SIGKILL.
    fn kill(&mut self, index: usize) {
        self.nodes[index] = None;
    }

    fn verb(&self, index: usize, args: &[&str]) -> Outcome {
        let mut command = Command::new(binary());
        command.args(args).env("RINGWALL_SOCKET", self.socket(index));
        self.hosts[index].run(|| run_command(&mut command, PATIENCE))
    }

    /// `show cluster`; null while the node does not answer.
    fn cluster(&self, index: usize) -> Value {
        let outcome = self.verb(index, &["show", "cluster", "--json"]);
        if outcome.status == Some(0) { outcome.json() } else { Value::Null }
    }

    /// How many vote on the policy, as a node knows.
    fn votes(&self, index: usize) -> usize {
        let cluster = self.cluster(index);
        cluster["policy_status"]["raft"]["voters"].as_array().map_or(0, Vec::len)
    }

    fn role(&self, index: usize) -> String {
        self.cluster(index)["role"].as_str().unwrap_or_default().to_owned()
    }

    fn active(&self) -> Option<usize> {
        (0..self.firewalls).find(|index| self.role(*index) == "active")
    }

    /// Waits until one of `among` owns and is backed by another, which has its sessions and may take over;
    /// who they are.
    #[track_caller]
    fn settles(&self, among: &[usize]) -> (usize, usize) {
        let mut found = (0, 0);
        wait_for(PATIENCE, "an owner with a complete backup", || {
            let Some(owner) = among.iter().copied().find(|it| self.role(*it) == "active") else {
                return false;
            };
            let named = self.cluster(owner)["replicates_with"].as_u64();
            let Some(backup) = named.and_then(|node| usize::try_from(node).ok()) else {
                return false;
            };
            found = (owner, backup - 1);
            self.is_ready(found.1, owner)
        });
        assert!(among.contains(&found.1), "{found:?}");
        found
    }

    /// Whether a backup has all that its owner has, and may take over.
    fn is_ready(&self, backup: usize, owner: usize) -> bool {
        let cluster = self.cluster(backup);
        cluster["role"] == "standby"
            && cluster["readiness"] == "ready"
            && cluster["fitness"] == "fit"
            && cluster["replicates_with"] == owner + 1
    }

    fn sessions(&self, index: usize) -> usize {
        let page = self.verb(index, &["show", "sessions", "--json"]).exits(0).json();
        page["sessions"].as_array().map_or(0, Vec::len)
    }

    /// A connection through whoever owns.
    fn talk(&self) -> Talk {
        let server = tcp_echo(&self.server, "10.2.0.2", PORT);
        let stream = connect(&self.client, at("10.2.0.2", PORT), PATIENCE).expect("by the vip");
        let mut talk = Talk { stream, _server: server };
        talk.goes_on();
        talk
    }

    fn last_words(&self) -> String {
        let said = self.nodes.iter().flatten().map(|node| node.to_string());
        said.collect::<Vec<_>>().join("\n====\n")
    }
}

impl Talk {
    #[track_caller]
    fn goes_on(&mut self) {
        echoes(&mut self.stream, b"still there?").expect("the connection goes on");
    }
}

/// A token and who waits for its bearer.
struct Token(String, Background);

impl Token {
    fn used(mut self) {
        assert!(self.1.ends(PATIENCE).success(), "{}", self.1);
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.last_words());
        }
        self.nodes.iter_mut().for_each(|node| *node = None);
        // What a killed node leaves pinned.
        (0..self.firewalls).for_each(|index| drop(std::fs::remove_dir_all(self.bpf(index))));
    }
}

fn text(path: &Path) -> &str {
    path.to_str().expect("our own path")
}
