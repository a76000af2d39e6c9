//! Everything that a demo of several nodes must not leave behind: network, files, daemons.

use std::io::{self, BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::commands;
use super::super::folder::Folder;
use super::super::limits::{
    COMMAND, DETACH_EARLY, EXCERPT_LINES, JOIN, PAIR_POLL, STOP, STOP_EARLY,
};
use super::super::process::Process;
use super::super::report::Report;
use super::super::watch::Clear;
use super::files;
use super::network::Network;
use netns::Namespace;

/// The place of the demo; shared with the thread that ends it early.
pub(in crate::demo) struct Site {
    folder: Folder,
    network: OnceLock<Network>,
    nodes: Vec<Process>,
    /// `cluster token`, which waits for a node.
    issuer: Mutex<Option<Child>>,
}

impl Site {
    pub(in crate::demo) fn make(count: usize) -> Result<Self, String> {
        let folder = Folder::make().map_err(|error| format!("no directory: {error}"))?;
        let node = |index| Process::new(files::of_node(&folder, index));
        let nodes = (0..count).map(node).collect::<Result<Vec<_>, _>>()?;
        Ok(Self { folder, network: OnceLock::new(), nodes, issuer: Mutex::default() })
    }

    /// Makes the namespaces and writes the files.
    pub(in crate::demo) fn build(&self) -> Result<&Network, String> {
        files::write(&self.folder, self.nodes.len()).map_err(|error| format!("files: {error}"))?;
        let network = Network::make(self.nodes.len()).map_err(|error| error.to_string())?;
        Ok(self.network.get_or_init(|| network))
    }

    fn network(&self) -> Result<&Network, String> {
        self.network.get().ok_or_else(|| "there is no network".to_owned())
    }

    /// Makes the cluster of all nodes, as their operators would.
    pub(in crate::demo) fn found(&self) -> Result<String, String> {
        let first = &self.network()?.nodes[0];
        self.nodes[0].verb(first, &["cluster", "init", "--name", "demo"], COMMAND)?;
        let joiners: Vec<_> = self.nodes.iter().zip(&self.network()?.nodes).skip(1).collect();
        for (node, host) in &joiners {
            let token = self.token(first, &[])?;
            node.verb(host, &["cluster", "join", &token], JOIN)?;
            self.end_issuer(JOIN);
        }
        // Who joined before the last one learns who came after it.
        let earlier = joiners.len().saturating_sub(1);
        for ((node, host), number) in joiners[..earlier].iter().zip(2..) {
            let number: u16 = number;
            let token = self.token(first, &["--replaces", &number.to_string()])?;
            node.verb(host, &["cluster", "join", &token, "--renew"], JOIN)?;
            self.end_issuer(JOIN);
        }
        let others: Vec<String> = (2..=self.nodes.len()).map(|at| format!("fw{at}")).collect();
        let others = others.join(", ");
        Ok(format!("`cluster init` on fw1, its tokens used by `cluster join` on {others}"))
    }

    /// A token of the first node, which then waits for whoever brings it.
    fn token(&self, first: &Namespace, more: &[&str]) -> Result<String, String> {
        let mut command = self.nodes[0].command(&[&["cluster", "token"], more].concat());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut issuer = first.spawn(&mut command).map_err(|error| format!("token: {error}"))?;
        let says = issuer.stdout.take().ok_or("the token cannot be read")?;
        *self.issuer.lock().unwrap_or_else(PoisonError::into_inner) = Some(issuer);
        let lines = BufReader::new(says).lines().map_while(Result::ok);
        let token = lines.map(|line| line.trim().to_owned()).find(|it| it.starts_with("ringwall-"));
        token.ok_or_else(|| "`ringwall cluster token` printed none".to_owned())
    }

    fn end_issuer(&self, limit: Duration) {
        let mut issuer = self.issuer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = issuer.take()
            && commands::wait(&mut child, limit).is_none()
        {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Starts a node's daemon and waits until its API answers.
    pub(in crate::demo) fn start(&self, index: usize) -> Result<u32, String> {
        let host = &self.network()?.nodes[index];
        self.nodes[index].start(host, |pid| self.folder.note_daemon(pid))
    }

    /// What a node says of its cluster.
    pub(in crate::demo) fn cluster(&self, index: usize) -> Result<Value, String> {
        let text = self.nodes[index].run(&["show", "cluster", "--json"])?;
        serde_json::from_str(&text).map_err(|error| format!("`show cluster`: {error}"))
    }

    /// An operator's command to a node's daemon: its output.
    pub(in crate::demo) fn run(&self, index: usize, arguments: &[&str]) -> Result<String, String> {
        self.nodes[index].run(arguments)
    }

    /// Waits until a node says so of its cluster; how long that took.
    pub(in crate::demo) fn await_cluster(
        &self,
        index: usize,
        limit: Duration,
        is_so: impl Fn(&Value) -> bool,
    ) -> Result<Duration, String> {
        let begun = Instant::now();
        loop {
            let seen = self.cluster(index);
            if seen.as_ref().is_ok_and(&is_so) {
                return Ok(begun.elapsed());
            }
            if begun.elapsed() > limit {
                let seen = seen.map_or_else(|error| error, |seen| seen.to_string());
                return Err(format!("not within {} s: {seen}", limit.as_secs()));
            }
            std::thread::sleep(PAIR_POLL);
        }
    }

    /// SIGKILL.
    pub(in crate::demo) fn kill(&self, index: usize) {
        self.nodes[index].kill();
    }

    /// What a node's daemon has written.
    pub(in crate::demo) fn log(&self, index: usize) -> String {
        self.nodes[index].log()
    }

    /// The file of the other policy.
    pub(in crate::demo) fn changed(&self) -> String {
        self.folder.file(files::CHANGED).to_string_lossy().into_owned()
    }

    /// Stops all daemons as a service manager would, the active one last.
    pub(in crate::demo) fn stop(&self, active: usize) -> Result<String, String> {
        let begun = Instant::now();
        let standbys = (0..self.nodes.len()).filter(|index| *index != active);
        for index in standbys.chain([active]) {
            match self.nodes[index].end(STOP) {
                Some(status) if status.success() => {}
                Some(status) => return Err(format!("fw{}: {status}", index + 1)),
                None => return Err(format!("fw{} is still there", index + 1)),
            }
        }
        Ok(format!("all, after {} ms", begun.elapsed().as_millis()))
    }

    /// What the daemons said last.
    pub(in crate::demo) fn last_words(&self, report: &mut Report<'_, '_>) -> io::Result<()> {
        for index in 0..self.nodes.len() {
            let log = self.log(index);
            let first = log.lines().count().saturating_sub(EXCERPT_LINES);
            let title = format!("last words of fw{}", index + 1);
            report.excerpt(&title, log.lines().skip(first))?;
        }
        Ok(())
    }

    /// Takes the XDP programs of all nodes off their interfaces.
    pub(in crate::demo) fn detach(&self, limit: Duration) -> Result<String, String> {
        let hosts = &self.network()?.nodes;
        for (node, host) in self.nodes.iter().zip(hosts) {
            node.verb(host, &["detach"], limit)?;
        }
        Ok("all interfaces given back".to_owned())
    }
}

impl Clear for Site {
    fn clear(&self) {
        self.end_issuer(Duration::ZERO);
        for node in &self.nodes {
            if node.end(STOP_EARLY).is_none() {
                // It was told to stop and did not, or is dead.
                node.kill();
            }
        }
        if self.folder.bpf_dir().exists() {
            // The namespaces go in a moment, and the links with them.
            let _ = self.detach(DETACH_EARLY);
        }
        self.folder.remove();
    }
}

/// Whether a node says that it owns.
pub(in crate::demo) fn owns(cluster: &Value) -> bool {
    cluster["role"] == "active"
}

/// Whether a node could take over.
pub(in crate::demo) fn stands_by(cluster: &Value) -> bool {
    let complete = cluster["role"] == "standby" && cluster["readiness"] == "ready";
    complete && cluster["fitness"] == "fit"
}
