//! Everything that a demo must not leave behind: network, files, daemon.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::commands;
use super::files::{self, LOG, NODE, POLICY, SOCKET};
use super::folder::Folder;
use super::limits::{COMMAND, DETACH_EARLY, POLL, START, STOP, STOP_EARLY};
use super::network::Network;

/// The place of the demo; shared with the thread that ends it early.
pub(super) struct Site {
    program: PathBuf,
    folder: Folder,
    network: OnceLock<Network>,
    daemon: Mutex<Option<Child>>,
}

impl Site {
    pub(super) fn make() -> Result<Self, String> {
        let folder = Folder::make().map_err(|error| format!("no directory: {error}"))?;
        let program = commands::program()?;
        Ok(Self { program, folder, network: OnceLock::new(), daemon: Mutex::new(None) })
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
        let child = self.spawn(network).map_err(|error| format!("cannot be started: {error}"))?;
        let pid = child.id();
        *self.daemon() = Some(child);
        self.folder.note_daemon(pid).map_err(|error| format!("its process id: {error}"))?;
        self.await_socket(begun)?;
        self.run(&["show", "ports"])?;
        Ok(format!("process {pid} answers after {} ms", begun.elapsed().as_millis()))
    }

    fn spawn(&self, network: &Network) -> io::Result<Child> {
        let log = File::create(self.folder.file(LOG))?;
        let mut command = Command::new(&self.program);
        command.arg("run").arg("--node").arg(self.folder.file(NODE));
        command.arg("--policy").arg(self.folder.file(POLICY));
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A process group of its own: the demo stops it, not the terminal's Ctrl-C.
        network.router.spawn(command.process_group(0))
    }

    fn await_socket(&self, begun: Instant) -> Result<(), String> {
        let socket = self.folder.file(SOCKET);
        while UnixStream::connect(&socket).is_err() {
            let ended = self.daemon().as_mut().map(Child::try_wait);
            if let Some(Ok(Some(status))) = ended {
                return Err(format!("ended by itself, {status}"));
            }
            if begun.elapsed() > START {
                return Err(format!("no answer within {} s", START.as_secs()));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// An operator's command to the daemon: its output.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--socket").arg(self.folder.file(SOCKET));
        commands::output(&mut command, Command::spawn, COMMAND)
            .map_err(|error| format!("`ringwall {}`: {error}", arguments.join(" ")))
    }

    /// A file of this demo, for a command line.
    pub(super) fn file(&self, name: &str) -> String {
        self.folder.file(name).to_string_lossy().into_owned()
    }

    /// What the daemon has written.
    pub(super) fn log(&self) -> String {
        let bytes = std::fs::read(self.folder.file(LOG)).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// Stops the daemon as a service manager would: SIGTERM, and its exit status.
    pub(super) fn stop(&self) -> Result<String, String> {
        let begun = Instant::now();
        match self.end_daemon(STOP) {
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
        let mut command = Command::new(&self.program);
        command.arg("detach").arg("--node").arg(self.folder.file(NODE));
        let output =
            commands::output(&mut command, |command| network.router.spawn(command), limit)?;
        Ok(output.trim().replace('\n', "; "))
    }

    /// Ends and removes everything that is there, by force if it must be. Does no harm twice.
    pub(super) fn clear(&self) {
        if self.end_daemon(STOP_EARLY).is_none() {
            // It was told to stop and did not.
            if let Some(child) = self.daemon().as_mut() {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
        if self.folder.bpf_dir().exists() {
            // The namespaces go in a moment, and the links with them.
            let _ = self.detach(DETACH_EARLY);
        }
        self.folder.remove();
    }

    /// SIGTERM and the exit status; `None` if it did not end in time, or none was started.
    fn end_daemon(&self, limit: Duration) -> Option<ExitStatus> {
        let mut daemon = self.daemon();
        let child = daemon.as_mut()?;
        // Still our child, ended or not, so the number is nobody else's.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let status = commands::wait(child, limit)?;
        *daemon = None;
        Some(status)
    }

    fn daemon(&self) -> MutexGuard<'_, Option<Child>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
