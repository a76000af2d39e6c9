//! Everything that a demo must not leave behind: network, files, daemon.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use super::files::{self, LOG, NODE, POLICY, SOCKET};
use super::folder::Folder;
use super::limits::{DETACH_EARLY, STOP, STOP_EARLY};
use super::network::Network;
use super::process::{Files, Process};
use super::watch::Clear;

/// The place of the demo; shared with the thread that ends it early.
pub(super) struct Site {
    folder: Folder,
    network: OnceLock<Network>,
    daemon: Process,
}

impl Site {
    pub(super) fn make() -> Result<Self, String> {
        let folder = Folder::make().map_err(|error| format!("no directory: {error}"))?;
        let daemon = Process::new(Files {
            node: folder.file(NODE),
            policy: folder.file(POLICY),
            socket: folder.file(SOCKET),
            log: folder.file(LOG),
        })?;
        Ok(Self { folder, network: OnceLock::new(), daemon })
    }

    /// Makes the namespaces and writes the files.
    pub(super) fn build(&self) -> Result<&Network, String> {
        files::write(&self.folder).map_err(|error| format!("files: {error}"))?;
        let network = Network::make().map_err(|error| error.to_string())?;
        Ok(self.network.get_or_init(|| network))
    }

    /// Starts the daemon inside the router and waits until its API answers.
    pub(super) fn start(&self) -> Result<String, String> {
        let network = self.network.get().ok_or("there is no network")?;
        let begun = Instant::now();
        let pid = self.daemon.start(&network.router, |pid| self.folder.note_daemon(pid))?;
        self.run(&["show", "ports"])?;
        Ok(format!("process {pid} answers after {} ms", begun.elapsed().as_millis()))
    }

    /// An operator's command to the daemon: its output.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        self.daemon.run(arguments)
    }

    /// A file of this demo, for a command line.
    pub(super) fn file(&self, name: &str) -> String {
        self.folder.file(name).to_string_lossy().into_owned()
    }

    /// What the daemon has written.
    pub(super) fn log(&self) -> String {
        self.daemon.log()
    }

    /// Stops the daemon as a service manager would: SIGTERM, and its exit status.
    pub(super) fn stop(&self) -> Result<String, String> {
        let begun = Instant::now();
        match self.daemon.end(STOP) {
            Some(status) if status.success() => {
                Ok(format!("{status}, after {} ms", begun.elapsed().as_millis()))
            }
            Some(status) => Err(status.to_string()),
            None => Err(format!("still there after {} s", STOP.as_secs())),
        }
    }

    /// Takes the XDP programs off the interfaces.
    pub(super) fn detach(&self, limit: Duration) -> Result<String, String> {
        let network = self.network.get().ok_or("there is no network")?;
        let output = self.daemon.verb(&network.router, &["detach"], limit)?;
        Ok(output.trim().replace('\n', "; "))
    }
}

impl Clear for Site {
    fn clear(&self) {
        if self.daemon.end(STOP_EARLY).is_none() {
            // It was told to stop and did not.
            self.daemon.kill();
        }
        if self.folder.bpf_dir().exists() {
            // The namespaces go in a moment, and the links with them.
            let _ = self.detach(DETACH_EARLY);
        }
        self.folder.remove();
    }
}
