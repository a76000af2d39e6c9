//! Two `ringwall` daemons as a pair.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use config::api::{Cluster, ClusterVerb, POLICY_STATUS, PolicyStatus};
use config::limits::FRAMES_DEFAULT;

use super::api::Api;
use super::failure::Failure;
use super::lab::{Lab, Node, Segment, VIPS};
use super::limits::{AGREEING, LARGE};
use super::log::Nanos;
use super::process::{Process, run};
use super::said::{Said, said};
use super::site::Wants;
use super::traffic::FIRST_PORT;
use super::wait::wait_for;

/// A pair needs a second or two; a machine that is kept busy on purpose, longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Both daemons, and what they stand on.
#[derive(Debug)]
pub(crate) struct Pair {
    binary: PathBuf,
    folder: PathBuf,
    wants: Wants,
    processes: [Option<Process>; 2],
    bpf: [PathBuf; 2],
}

impl Pair {
    /// Makes the cluster of both, by files alone, and starts them.
    pub(crate) fn new(
        lab: &Lab,
        binary: &Path,
        folder: &Path,
        wants: Wants,
    ) -> Result<Self, Failure> {
        let bpf = |number| format!("/sys/fs/bpf/ringwall-field-{}-{number}", std::process::id());
        let mut pair = Self {
            binary: binary.to_owned(),
            folder: folder.to_owned(),
            wants,
            processes: [None, None],
            bpf: [1, 2].map(|number| bpf(number).into()),
        };
        pair.write("policy.toml", &policy())?;
        for node in Node::BOTH {
            pair.write(&format!("{}.toml", node.name()), &pair.node_text(node))?;
        }
        pair.found(lab)?;
        Node::BOTH.iter().try_for_each(|node| pair.start(lab, *node))?;
        Ok(pair)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.folder.join(name);
        std::fs::write(&path, text).map_err(Failure::system(format!("write {}", path.display())))
    }

    pub(crate) fn data(&self, node: Node) -> PathBuf {
        self.folder.join(format!("data{}", node.number()))
    }

    fn node_file(&self, node: Node) -> PathBuf {
        self.folder.join(format!("{}.toml", node.name()))
    }

    fn log(&self, node: Node) -> PathBuf {
        self.folder.join(format!("{}.log", node.name()))
    }

    pub(crate) fn policy(&self) -> PathBuf {
        self.folder.join("policy.toml")
    }

    pub(crate) fn api(&self, node: Node) -> Api {
        Api::new(self.folder.join(format!("{}.sock", node.name())))
    }

    fn node_text(&self, node: Node) -> String {
        let (id, rank) = (node.number(), 120 - 10 * node.index());
        // Two machines: each node's worker has a core of its own, as far as there are cores.
        let core = node.index() % std::thread::available_parallelism().map_or(1, usize::from);
        let (many, large) = LARGE;
        let frames = if self.wants.sessions < many { FRAMES_DEFAULT } else { large };
        let (data, bpf, log) = (self.data(node), &self.bpf[node.index()], self.log(node));
        let vips = ["lan", "wan"].iter().zip(VIPS).map(|(port, address)| {
            format!(
                "[[vip]]\ngroup = \"gate\"\nport = \"{port}\"\naddress = \"{address}/24\"\n\
                 rank = {rank}\n"
            )
        });
        format!(
            "[node]\nid = {id}\nname = \"fw{id}\"\nworkers = 1\ncores = [{core}]\nsessions = {}\n\
             frames = {frames}\ndata-dir = {data:?}\nbpf-dir = {bpf:?}\n\
             [[port]]\nname = \"lan\"\ninterface = \"lan0\"\n\
             [[port]]\nname = \"wan\"\ninterface = \"wan0\"\n\
             [cluster]\nlisten = \"{}:7400\"\npeers = [\"{}:7400\"]\n\
             [fabric]\ninterface = \"fabric0\"\n{}[api]\nsocket = {:?}\n\
             [log]\nformat = \"json\"\nfile = {log:?}\n",
            self.wants.sessions,
            Segment::Fabric.address(node),
            Segment::Fabric.address(node.other()),
            vips.collect::<String>(),
            self.api(node).socket(),
        )
    }

    fn found(&self, lab: &Lab) -> Result<(), Failure> {
        let [first, second] = Node::BOTH;
        let file = |node| self.node_file(node);
        self.verb(
            lab,
            first,
            &["cluster", "init", "--name", "field", "--node", text(&file(first))],
        )?;
        let output = self.folder.join("token.txt");
        let mut command = Command::new(&self.binary);
        command.args(["cluster", "token", "--node", text(&file(first))]);
        let mut issuer = Process::start(lab.node(first), &mut command, &output)?;
        let token = wait_for(PATIENCE, "a token", || {
            let said = std::fs::read_to_string(&output).unwrap_or_default();
            let line = said.lines().find(|line| line.trim().starts_with("ringwall-"));
            line.map(|line| line.trim().to_owned()).ok_or(said)
        })?;
        self.verb(lab, second, &["cluster", "join", &token, "--node", text(&file(second))])?;
        issuer.ends(PATIENCE).map(drop)
    }

    /// A verb of the product.
    pub(crate) fn verb(&self, lab: &Lab, node: Node, args: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new(&self.binary);
        command.args(args).env("RINGWALL_SOCKET", self.api(node).socket());
        run(lab.node(node), &mut command)
    }

    pub(crate) fn start(&mut self, lab: &Lab, node: Node) -> Result<(), Failure> {
        let mut command = Command::new(&self.binary);
        command.args(["run", "--node", text(&self.node_file(node))]);
        command.args(["--policy", text(&self.policy())]);
        let ahead = self.wants.clock_ahead[node.index()];
        command.env("RINGWALL_TEST_CLOCK_OFFSET_SECONDS", ahead.to_string());
        if self.wants.wall_clocks {
            command.env("RINGWALL_TEST_WALL_OFFSET_FILE", self.wall(node));
        }
        let output = self.folder.join(format!("{}.out", node.name()));
        self.processes[node.index()] = Some(Process::start(lab.node(node), &mut command, &output)?);
        Ok(())
    }

    fn wall(&self, node: Node) -> PathBuf {
        self.folder.join(format!("{}.wall", node.name()))
    }

    /// Sets a node's clock of the wall, by seconds against the machine's.
    pub(crate) fn set_wall(&self, node: Node, ahead: i64) -> Result<(), Failure> {
        self.write(&format!("{}.wall", node.name()), &ahead.to_string())
    }

    /// A file beside the policy.
    pub(crate) fn file(&self, name: &str, text: &str) -> Result<PathBuf, Failure> {
        self.write(name, text)?;
        Ok(self.folder.join(name))
    }

    /// Waits until both nodes vote, know of a leader, and run one policy that is not on trial.
    pub(crate) fn agree(&self) -> Result<(), Failure> {
        self.agree_within(AGREEING).map(drop)
    }

    /// The same; what both say then.
    pub(crate) fn agree_within(&self, limit: Duration) -> Result<PolicyStatus, Failure> {
        wait_for(limit, "two nodes that agree on a policy", || {
            let views = Node::BOTH.map(|node| self.api(node).get::<PolicyStatus>(POLICY_STATUS));
            let [Ok(one), Ok(two)] = &views else { return Err(format!("{views:?}")) };
            let votes = |it: &PolicyStatus| it.raft.voters.len() == 2 && it.raft.leader.is_some();
            let free = |it: &PolicyStatus| it.trial.is_none() && it.may_forward;
            let settled = [one, two].into_iter().all(|it| votes(it) && free(it));
            let same = (one.epoch, one.source) == (two.epoch, two.source);
            if settled && same { Ok(one.clone()) } else { Err(format!("{one:?}\n{two:?}")) }
        })
    }

    /// The daemon, if it runs.
    pub(crate) fn process(&self, node: Node) -> Option<&Process> {
        self.processes[node.index()].as_ref()
    }

    /// Kills it and waits for its end. Nothing if it does not run.
    pub(crate) fn kill(&mut self, node: Node) {
        self.processes[node.index()] = None;
    }

    /// Asks it to end (SIGTERM).
    pub(crate) fn stop(&mut self, node: Node) -> Result<(), Failure> {
        let Some(mut process) = self.processes[node.index()].take() else { return Ok(()) };
        process.signal(nix::sys::signal::Signal::SIGTERM)?;
        process.ends(PATIENCE).map(drop)
    }

    pub(crate) fn failover(&self, active: Node) -> Result<(), Failure> {
        self.api(active).request(ClusterVerb::Failover)
    }

    /// Waits until one node is active and the other one stands by, complete; the active one.
    pub(crate) fn settle(&mut self) -> Result<Node, Failure> {
        self.settle_within(PATIENCE)
    }

    pub(crate) fn settle_within(&mut self, limit: Duration) -> Result<Node, Failure> {
        for process in self.processes.iter_mut().flatten() {
            process.check()?;
        }
        wait_for(limit, "an active node and a complete standby", || {
            let views = Node::BOTH.map(|node| self.api(node).cluster());
            let [Ok(one), Ok(two)] = &views else { return Err(format!("{views:?}")) };
            let found = if settled(one, two) {
                Some(Node::Fw1)
            } else {
                settled(two, one).then_some(Node::Fw2)
            };
            found.ok_or_else(|| format!("{one:?}\n{two:?}"))
        })
    }

    /// The process of each node that runs.
    pub(crate) fn ids(&self) -> [Option<u32>; 2] {
        self.processes.each_ref().map(|process| process.as_ref().map(Process::id))
    }

    /// What both nodes have logged since `since`.
    pub(crate) fn said(&self, since: Nanos) -> Result<Vec<(Node, Said)>, Failure> {
        let mut all = Vec::new();
        for node in Node::BOTH {
            let path = self.log(node);
            let lines = said(&path, since).map_err(Failure::system("read a node's log"))?;
            all.extend(lines.into_iter().map(|line| (node, line)));
        }
        all.sort_by_key(|(_, line)| line.at);
        Ok(all)
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.processes = [None, None];
        // What a killed node leaves pinned.
        self.bpf.iter().for_each(|it| drop(std::fs::remove_dir_all(it)));
    }
}

/// Whether `active` is active, and `standby` could take over without losing anything.
fn settled(active: &Cluster, standby: &Cluster) -> bool {
    let streams = active.streams.iter().chain(&standby.streams);
    let owns = active.role == "active" && active.lease_ground.as_deref() == Some("votes");
    let connected = streams.clone().all(|it| it.connected) && active.streams.len() == 1;
    let complete = standby.role == "standby" && standby.readiness == "ready";
    let fit = active.fitness == "fit" && standby.fitness == "fit";
    let paths = [active, standby].into_iter().flat_map(|it| &it.members).flat_map(|it| &it.paths);
    owns && connected && complete && fit && paths.map(|it| &it.state).all(|state| state == "up")
}

/// What the traffic needs. Datagrams that fill the table must not be forgotten before it is full.
pub(crate) fn policy() -> String {
    let last = FIRST_PORT + 15;
    format!(
        "[timeouts]\nudp-first = \"20m\"\nudp-stream = \"20m\"\n\n\
         [zones]\ntrust = [\"lan\"]\nuntrust = [\"wan\"]\n\n[[rule]]\nid = \"services\"\n\
         from = \"trust\"\nto = \"untrust\"\n\
         service = [\"tcp/{FIRST_PORT}-{last}\", \"udp/{FIRST_PORT}-{last}\"]\n\
         action = \"permit\"\n"
    )
}

fn text(path: &Path) -> &str {
    path.to_str().expect("our own path")
}
