//! Everything that the demo of a pair must not leave behind: network, files, two daemons.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::super::commands;
use super::super::folder::Folder;
use super::super::limits::{COMMAND, DETACH_EARLY, JOIN, PAIR_POLL, STOP, STOP_EARLY};
use super::super::process::Process;
use super::super::watch::Clear;
use super::files;
use super::network::Network;

/// The place of the demo; shared with the thread that ends it early.
pub(super) struct Site {
    folder: Folder,
    network: OnceLock<Network>,
    nodes: [Process; 2],
    /// `cluster token`, which waits for the other node.
    issuer: Mutex<Option<Child>>,
}

impl Site {
    pub(super) fn make() -> Result<Self, String> {
        let folder = Folder::make().map_err(|error| format!("no directory: {error}"))?;
        let node = |index| Process::new(files::of_node(&folder, index));
        let nodes = [node(0)?, node(1)?];
        Ok(Self { folder, network: OnceLock::new(), nodes, issuer: Mutex::default() })
    }

    /// Makes the namespaces and writes the files.
    pub(super) fn build(&self) -> Result<&Network, String> {
        files::write(&self.folder).map_err(|error| format!("files: {error}"))?;
        let network = Network::make().map_err(|error| error.to_string())?;
        Ok(self.network.get_or_init(|| network))
    }

    fn network(&self) -> Result<&Network, String> {
        self.network.get().ok_or_else(|| "there is no network".to_owned())
    }

    /// Makes the cluster of both nodes, as their operators would.
    pub(super) fn found(&self) -> Result<String, String> {
        let [first, second] = &self.network()?.nodes;
        self.nodes[0].verb(first, &["cluster", "init", "--name", "demo"], COMMAND)?;
        let mut command = self.nodes[0].command(&["cluster", "token"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut issuer = first.spawn(&mut command).map_err(|error| format!("token: {error}"))?;
        let says = issuer.stdout.take().ok_or("the token cannot be read")?;
        *self.issuer.lock().unwrap_or_else(PoisonError::into_inner) = Some(issuer);
        let lines = BufReader::new(says).lines().map_while(Result::ok);
        let token = lines.map(|line| line.trim().to_owned()).find(|it| it.starts_with("ringwall-"));
        let token = token.ok_or("`ringwall cluster token` printed none")?;
        self.nodes[1].verb(second, &["cluster", "join", &token], JOIN)?;
        self.end_issuer(JOIN);
        Ok("`cluster init` on fw1, its token used by `cluster join` on fw2".to_owned())
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
    pub(super) fn start(&self, index: usize) -> Result<u32, String> {
        let host = &self.network()?.nodes[index];
        self.nodes[index].start(host, |pid| self.folder.note_daemon(pid))
    }

    /// What a node says of its cluster.
    pub(super) fn cluster(&self, index: usize) -> Result<Value, String> {
        let text = self.nodes[index].run(&["show", "cluster", "--json"])?;
        serde_json::from_str(&text).map_err(|error| format!("`show cluster`: {error}"))
    }

    /// An operator's command to a node's daemon: its output.
    pub(super) fn run(&self, index: usize, arguments: &[&str]) -> Result<String, String> {
        self.nodes[index].run(arguments)
    }

    /// Waits until a node says so of its cluster; how long that took.
    pub(super) fn await_cluster(
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
    pub(super) fn kill(&self, index: usize) {
        self.nodes[index].kill();
    }

    /// What a node's daemon has written.
    pub(super) fn log(&self, index: usize) -> String {
        self.nodes[index].log()
    }

    /// Stops both daemons as a service manager would, the standby first.
    pub(super) fn stop(&self, standby: usize) -> Result<String, String> {
        let begun = Instant::now();
        for index in [standby, 1 - standby] {
            match self.nodes[index].end(STOP) {
                Some(status) if status.success() => {}
                Some(status) => return Err(format!("fw{}: {status}", index + 1)),
                None => return Err(format!("fw{} is still there", index + 1)),
            }
        }
        Ok(format!("both, after {} ms", begun.elapsed().as_millis()))
    }

    /// Takes the XDP programs of both nodes off their interfaces.
    pub(super) fn detach(&self, limit: Duration) -> Result<String, String> {
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
