//! A daemon of the demo: this same program inside a namespace, with its log and its API.

use std::fs::File;
use std::io;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netns::Namespace;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::commands;
use super::limits::{COMMAND, POLL, START};

/// One daemon, running or not.
pub(super) struct Process {
    program: PathBuf,
    files: Files,
    child: Mutex<Option<Child>>,
}

/// What it reads and writes.
pub(super) struct Files {
    pub(super) node: PathBuf,
    pub(super) policy: PathBuf,
    pub(super) socket: PathBuf,
    pub(super) log: PathBuf,
}

impl Process {
    pub(super) fn new(files: Files) -> Result<Self, String> {
        Ok(Self { program: commands::program()?, files, child: Mutex::new(None) })
    }

    /// Starts it inside a host and waits until its API answers; its process id.
    pub(super) fn start(
        &self,
        host: &Namespace,
        note: impl FnOnce(u32) -> io::Result<()>,
    ) -> Result<u32, String> {
        let begun = Instant::now();
        let child = self.spawn(host).map_err(|error| format!("cannot be started: {error}"))?;
        let pid = child.id();
        *self.child() = Some(child);
        note(pid).map_err(|error| format!("its process id: {error}"))?;
        self.await_socket(begun)?;
        Ok(pid)
    }

    fn spawn(&self, host: &Namespace) -> io::Result<Child> {
        let log = File::options().create(true).append(true).open(&self.files.log)?;
        let mut command = Command::new(&self.program);
        command.arg("run").arg("--node").arg(&self.files.node);
        command.arg("--policy").arg(&self.files.policy);
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        // A process group of its own: the demo stops it, not the terminal's Ctrl-C.
        host.spawn(command.process_group(0))
    }

    fn await_socket(&self, begun: Instant) -> Result<(), String> {
        while UnixStream::connect(&self.files.socket).is_err() {
            let ended = self.child().as_mut().map(Child::try_wait);
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

    /// An operator's command to it: the output.
    pub(super) fn run(&self, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--socket").arg(&self.files.socket);
        commands::output(&mut command, Command::spawn, COMMAND)
            .map_err(|error| format!("`ringwall {}`: {error}", arguments.join(" ")))
    }

    /// A verb that works on its node file, inside its host: the output.
    pub(super) fn verb(
        &self,
        host: &Namespace,
        arguments: &[&str],
        limit: Duration,
    ) -> Result<String, String> {
        let mut command = self.command(arguments);
        commands::output(&mut command, |command| host.spawn(command), limit)
            .map_err(|error| format!("`ringwall {}`: {error}", arguments.join(" ")))
    }

    /// This program, with a verb that works on the node file.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(arguments).arg("--node").arg(&self.files.node);
        command
    }

    /// What it has written.
    pub(super) fn log(&self) -> String {
        let bytes = std::fs::read(&self.files.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// SIGTERM and the exit status; `None` if it did not end in time, or none was started.
    pub(super) fn end(&self, limit: Duration) -> Option<ExitStatus> {
        let mut running = self.child();
        let child = running.as_mut()?;
        // Still our child, ended or not, so the number is nobody else's.
        let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        let status = commands::wait(child, limit)?;
        *running = None;
        Some(status)
    }

    /// SIGKILL: the daemon has no time for anything.
    pub(super) fn kill(&self) {
        if let Some(mut child) = self.child().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    fn child(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
