//! `ringwall` daemons as one firewall: a pair, or three.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use config::api::{Cluster, ClusterVerb, Committed, POLICY_STATUS, PolicyStatus};
use config::limits::FRAMES_DEFAULT;

use super::api::Api;
use super::failure::Failure;
use super::lab::{Lab, Node, Segment, VIPS};
use super::limits::{AGREEING, LARGE};
use super::log::Nanos;
use super::process::{Process, run, run_to};
use super::said::{Said, said};
use super::site::Wants;
use super::traffic::FIRST_PORT;
use super::wait::wait_for;

/// A cluster needs a second or two; a machine that is kept busy on purpose, longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Exit status of `ringwall commit`: in force, but a node did not say in time that it runs it.
const MISSING: i32 = 3;

/// All daemons, and what they stand on.
#[derive(Debug)]
pub(crate) struct Pair {
    binary: PathBuf,
    folder: PathBuf,
    wants: Wants,
    processes: [Option<Process>; Node::ALL.len()],
    bpf: [PathBuf; Node::ALL.len()],
}

impl Pair {
    /// Makes the cluster of all, by files alone, and starts them.
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
            processes: Node::ALL.map(|_| None),
            bpf: Node::ALL.map(|node| bpf(node.number()).into()),
        };
        pair.write("policy.toml", &(policy() + wants.policy))?;
        for &node in wants.nodes {
            pair.write(&format!("{}.toml", node.name()), &pair.node_text(node))?;
        }
        pair.found(lab)?;
        wants.nodes.iter().try_for_each(|node| pair.start(lab, *node))?;
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
        // Machines of their own: each node's worker has a core of its own, as far as there are cores. A third
        // node, which does least, has none then.
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let core = node.index().min(cores - 1);
        let (many, large) = LARGE;
        let frames = if self.wants.sessions < many { FRAMES_DEFAULT } else { large };
        let (data, bpf, log) = (self.data(node), &self.bpf[node.index()], self.log(node));
        let vips = ["lan", "wan"].iter().zip(VIPS).map(|(port, address)| {
            format!(
                "[[vip]]\ngroup = \"gate\"\nport = \"{port}\"\naddress = \"{address}/24\"\n\
                 rank = {rank}\n"
            )
        });
        let others = self.wants.nodes.iter().filter(|it| **it != node);
        let peers = others.map(|it| format!("{}:7400", Segment::Fabric.address(*it)));
        let peers: Vec<String> = peers.collect();
        format!(
            "[node]\nid = {id}\nname = \"fw{id}\"\nworkers = 1\ncores = [{core}]\nsessions = {}\n\
             frames = {frames}\ndata-dir = {data:?}\nbpf-dir = {bpf:?}\n\
             [[port]]\nname = \"lan\"\ninterface = \"lan0\"\n\
             [[port]]\nname = \"wan\"\ninterface = \"wan0\"\n\
             [cluster]\nlisten = \"{}:7400\"\npeers = {peers:?}\n\
             [fabric]\ninterface = \"fabric0\"\n{}[api]\nsocket = {:?}\n\
             [log]\nformat = \"json\"\nfile = {log:?}\n",
            self.wants.sessions,
            Segment::Fabric.address(node),
            vips.collect::<String>(),
            self.api(node).socket(),
        )
    }

    /// The first node makes the cluster, the others join it. Who joined early learns of who came later by
    /// new papers.
    fn found(&self, lab: &Lab) -> Result<(), Failure> {
        let Some((&first, joiners)) = self.wants.nodes.split_first() else { return Ok(()) };
        let file = self.node_file(first);
        self.verb(lab, first, &["cluster", "init", "--name", "field", "--node", text(&file)])?;
        for &node in joiners {
            self.join(lab, (first, node), &[], &[])?;
        }
        for &node in joiners.split_last().map_or(&[][..], |(_, earlier)| earlier) {
            let number = node.number().to_string();
            self.join(lab, (first, node), &["--replaces", &number], &["--renew"])?;
        }
        Ok(())
    }

    /// `at` issues a token, and `node` brings it.
    fn join(
        &self,
        lab: &Lab,
        (at, node): (Node, Node),
        issuing: &[&str],
        joining: &[&str],
    ) -> Result<(), Failure> {
        let file = [at, node].map(|it| self.node_file(it));
        let output = self.folder.join(format!("token-{}{}.txt", node.number(), joining.concat()));
        let mut command = Command::new(&self.binary);
        command.args(["cluster", "token", "--node", text(&file[0])]).args(issuing);
        let mut issuer = Process::start(lab.node(at), &mut command, &output)?;
        let token = wait_for(PATIENCE, "a token", || {
            let said = std::fs::read_to_string(&output).unwrap_or_default();
            let line = said.lines().find(|line| line.trim().starts_with("ringwall-"));
            line.map(|line| line.trim().to_owned()).ok_or(said)
        })?;
        let join =
            [&["cluster", "join", token.as_str(), "--node", text(&file[1])], joining].concat();
        self.verb(lab, node, &join)?;
        issuer.ends(PATIENCE).map(drop)
    }

    /// A verb of the product.
    fn verb(&self, lab: &Lab, node: Node, args: &[&str]) -> Result<String, Failure> {
        let mut command = Command::new(&self.binary);
        command.args(args).env("RINGWALL_SOCKET", self.api(node).socket());
        run(lab.node(node), &mut command)
    }

    /// `ringwall commit FILE`; also if a node did not say in time that it runs the policy.
    pub(crate) fn commit(&self, lab: &Lab, node: Node, file: &Path) -> Result<Committed, Failure> {
        let mut command = Command::new(&self.binary);
        command.args(["commit", text(file), "--json"]);
        command.env("RINGWALL_SOCKET", self.api(node).socket());
        let said = run_to(lab.node(node), &mut command, &[0, MISSING])?;
        let what = "ringwall commit".to_owned();
        serde_json::from_str(&said).map_err(|_| Failure::Strange { what, said })
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

    /// Waits until all nodes vote, know of a leader, and run one policy that is not on trial.
    pub(crate) fn agree(&self) -> Result<(), Failure> {
        self.agree_within(AGREEING).map(drop)
    }

    /// The same; what they say then.
    pub(crate) fn agree_within(&self, limit: Duration) -> Result<PolicyStatus, Failure> {
        let nodes = self.wants.nodes;
        wait_for(limit, "nodes that agree on a policy", || {
            let ask = |node: &Node| self.api(*node).get::<PolicyStatus>(POLICY_STATUS);
            let views: Result<Vec<_>, _> = nodes.iter().map(ask).collect();
            let views = views.map_err(|failure| failure.to_string())?;
            agreed(&views).cloned().ok_or_else(|| format!("{views:?}"))
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

    /// Waits until one node is active, another one stands by, complete, and a third one waits for the place
    /// of either; the active one.
    pub(crate) fn settle(&mut self) -> Result<Node, Failure> {
        self.settle_within(PATIENCE)
    }

    pub(crate) fn settle_within(&mut self, limit: Duration) -> Result<Node, Failure> {
        for process in self.processes.iter_mut().flatten() {
            process.check()?;
        }
        let nodes = self.wants.nodes;
        wait_for(limit, "an active node and a complete standby", || {
            let views: Result<Vec<_>, _> =
                nodes.iter().map(|node| self.api(*node).cluster()).collect();
            let views = views.map_err(|failure| failure.to_string())?;
            let active = views.iter().position(|it| settled(it, &views));
            active.map(|index| nodes[index]).ok_or_else(|| format!("{views:?}"))
        })
    }

    /// The process of each node that runs.
    pub(crate) fn ids(&self) -> [Option<u32>; Node::ALL.len()] {
        self.processes.each_ref().map(|process| process.as_ref().map(Process::id))
    }

    /// What the nodes have logged since `since`.
    pub(crate) fn said(&self, since: Nanos) -> Result<Vec<(Node, Said)>, Failure> {
        let mut all = Vec::new();
        for &node in self.wants.nodes {
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
        self.processes = Node::ALL.map(|_| None);
        // What a killed node leaves pinned.
        self.bpf.iter().for_each(|it| drop(std::fs::remove_dir_all(it)));
    }
}

/// What all nodes of a cluster say, if each votes, knows of a leader, and runs the one policy.
fn agreed(views: &[PolicyStatus]) -> Option<&PolicyStatus> {
    let first = views.first()?;
    let votes = |it: &PolicyStatus| it.raft.voters.len() == views.len() && it.raft.leader.is_some();
    let free = |it: &PolicyStatus| it.trial.is_none() && it.may_forward;
    let same = |it: &PolicyStatus| (it.epoch, it.source) == (first.epoch, first.source);
    views.iter().all(|it| votes(it) && free(it) && same(it)).then_some(first)
}

/// Whether `active`, one of `all`, is active; another one could take over without losing anything; and who
/// else there is stands by.
fn settled(active: &Cluster, all: &[Cluster]) -> bool {
    let standbys = || all.iter().filter(|it| it.node != active.node);
    let backup = standbys().find(|it| Some(it.node) == active.replicates_with);
    let Some(backup) = backup else { return false };
    let streams = active.streams.iter().chain(&backup.streams);
    let owns = active.role == "active" && active.lease_ground.as_deref() == Some("votes");
    let connected = streams.clone().all(|it| it.connected) && active.streams.len() == 1;
    let stand_by = standbys().all(|it| it.role == "standby" && it.owner == Some(active.node));
    let fit = all.iter().all(|it| it.fitness == "fit");
    let paths = all.iter().flat_map(|it| &it.members).flat_map(|it| &it.paths);
    let near = paths.map(|it| &it.state).all(|state| state == "up");
    let know_all = all.iter().all(|it| it.members.len() + 1 == all.len());
    owns && connected && stand_by && backup.readiness == "ready" && fit && near && know_all
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

/// Behind a policy: what leaves to the server comes from the address that its port shares.
pub(crate) const MASQUERADE: &str = r#"
[[nat]]
id = "out"
type = "source"
from = "trust"
to = "untrust"
translate = "interface"
"#;

/// Behind a policy: files and calls through gateways. Who goes to the server's other address is translated.
pub(crate) const GATEWAYS: &str = r#"
[[rule]]
id = "gateways"
from = "trust"
to = "untrust"
service = ["tcp/21", "udp/5060"]
action = "permit"
alg = "auto"
[[nat]]
id = "some"
type = "source"
from = "trust"
to = "untrust"
destination = ["10.2.0.3"]
translate = "interface"
"#;

fn text(path: &Path) -> &str {
    path.to_str().expect("our own path")
}

#[cfg(test)]
mod tests {
    use config::api::{ClusterMember, ClusterPath, ClusterStream, Raft};

    use super::*;

    /// What the nodes of a cluster say that has settled: the first one owns, the second one backs it.
    fn views(count: u16) -> Vec<Cluster> {
        let path = || ClusterPath { state: "up".to_owned(), ..ClusterPath::default() };
        let member = |node| ClusterMember { node, paths: vec![path()], ..ClusterMember::default() };
        let stream = || ClusterStream { connected: true, ..ClusterStream::default() };
        let view = |node: u16| Cluster {
            node,
            role: if node == 1 { "active" } else { "standby" }.to_owned(),
            owner: Some(1),
            replicates_with: [None, Some(2), Some(1), None][usize::from(node)],
            lease_ground: (node == 1).then(|| "votes".to_owned()),
            fitness: "fit".to_owned(),
            readiness: if node < 3 { "ready" } else { "bulk-waiting" }.to_owned(),
            members: (1..=count).filter(|it| *it != node).map(member).collect(),
            streams: if node < 3 { vec![stream()] } else { Vec::new() },
            ..Cluster::default()
        };
        (1..=count).map(view).collect()
    }

    /// Makes something of a view wrong.
    type Break<T> = fn(&mut T);

    fn who(views: &[Cluster]) -> Vec<u16> {
        views.iter().filter(|it| settled(it, views)).map(|it| it.node).collect()
    }

    #[test]
    fn a_cluster_has_settled_when_one_owns_one_backs_it_and_the_third_stands_by() {
        for count in [2, 3] {
            assert_eq!(who(&views(count)), [1], "{count}");
        }
        let breaks: [(&str, usize, Break<Cluster>); 11] = [
            ("nobody owns", 0, |it| it.role = "standby".to_owned()),
            ("alone", 0, |it| it.lease_ground = Some("alone".to_owned())),
            ("no backup", 0, |it| it.replicates_with = None),
            ("another one as its backup", 0, |it| it.replicates_with = Some(3)),
            ("the stream is cut", 0, |it| it.streams[0].connected = false),
            ("the backup is not complete", 1, |it| it.readiness = "bulk-running".to_owned()),
            ("its stream is cut", 1, |it| it.streams[0].connected = false),
            ("the third one listens", 2, |it| it.role = "listening".to_owned()),
            ("it follows another one", 2, |it| it.owner = Some(2)),
            ("it is not fit", 2, |it| it.fitness = "port-down".to_owned()),
            ("it does not know the second one", 2, |it| drop(it.members.pop())),
        ];
        for (what, node, damage) in breaks {
            let mut all = views(3);
            damage(&mut all[node]);
            assert!(who(&all).is_empty(), "{what}");
        }
        for (node, member) in [(0, 1), (1, 0), (2, 0), (2, 1)] {
            let mut all = views(3);
            all[node].members[member].paths[0].state = "down".to_owned();
            assert!(who(&all).is_empty(), "{node} hears {member}");
        }
    }

    #[test]
    fn nodes_agree_when_each_votes_and_runs_the_one_policy() {
        let status = |count: u16| {
            let raft = Raft { leader: Some(2), voters: (1..=count).collect(), ..Raft::default() };
            PolicyStatus { epoch: 4, source: 4, may_forward: true, raft, ..PolicyStatus::default() }
        };
        for count in [2, 3] {
            let all = vec![status(count); usize::from(count)];
            assert_eq!(agreed(&all), Some(&all[0]), "{count}");
        }
        assert_eq!(agreed(&[]), None);
        let breaks: [(&str, Break<PolicyStatus>); 5] = [
            ("it knows of no leader", |it| it.raft.leader = None),
            ("it knows of two voters", |it| it.raft.voters.truncate(2)),
            ("it runs another policy", |it| it.epoch = 5),
            ("by another text", |it| it.source = 3),
            ("it may not forward", |it| it.may_forward = false),
        ];
        for (what, damage) in breaks {
            for node in 0..3 {
                let mut all = vec![status(3); 3];
                damage(&mut all[node]);
                assert_eq!(agreed(&all), None, "{what}: {node}");
            }
        }
    }
}
