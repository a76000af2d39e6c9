//! A program that runs beside the harness, and never after it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use netns::Namespace;
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;

use super::failure::Failure;
use super::wait::wait_for;

/// A running program: killed and reaped when dropped. What it says goes into a file.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    output: PathBuf,
}

impl Process {
    /// Starts it inside `namespace`, without standard input.
    pub(crate) fn start(
        namespace: &Namespace,
        command: &mut Command,
        output: &Path,
    ) -> Result<Self, Failure> {
        let name = command.get_program().to_string_lossy().into_owned();
        let failed = |what: &str| Failure::system(format!("{what} {}", output.display()));
        let said = File::options().create(true).append(true).open(output);
        let said = said.map_err(failed("write to"))?;
        let also = said.try_clone().map_err(failed("write to"))?;
        command.stdin(Stdio::null()).stdout(said).stderr(also);
        let child = namespace.run(|| unmasked().and_then(|()| command.spawn()));
        let child = child.map_err(Failure::system(format!("start {name}")))?;
        Ok(Self { name, child, output: output.to_owned() })
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Fails if it has ended.
    pub(crate) fn check(&mut self) -> Result<(), Failure> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(_)) => {
                Err(Failure::Ended { what: self.name.clone(), output: self.output.clone() })
            }
            Err(error) => Err(Failure::system(format!("look after {}", self.name))(error)),
        }
    }

    /// Sends a signal to it; it has not been waited for, so its number is its own.
    pub(crate) fn signal(&self, signal: Signal) -> Result<(), Failure> {
        kill(Pid::from_raw(self.id().cast_signed()), signal)
            .map_err(Failure::call(format!("signal {}", self.name)))
    }

    /// Waits for its end.
    pub(crate) fn ends(&mut self, limit: Duration) -> Result<ExitStatus, Failure> {
        let what = format!("the end of {}", self.name);
        wait_for(limit, &what, || match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// CPU time that all its threads have used, by the scheduler's own account.
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let folder = format!("/proc/{}/task", self.id());
        let failed = || Failure::system(format!("read {folder}"));
        let threads = std::fs::read_dir(&folder).map_err(failed())?;
        let nanos = threads.flatten().filter_map(|thread| {
            // A thread that ends meanwhile is none that counts.
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split_whitespace().next()?.parse::<u64>().ok()
        });
        Ok(Duration::from_nanos(nanos.sum()))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Both fail only when it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A child inherits the signals that its parent's thread has blocked; this thread lives for one child.
fn unmasked() -> std::io::Result<()> {
    Ok(SigSet::empty().thread_set_mask()?)
}

/// Runs a program to its end inside `namespace`; what it said, if it succeeded.
pub(crate) fn run(namespace: &Namespace, command: &mut Command) -> Result<String, Failure> {
    run_to(namespace, command, &[0])
}

/// The same, if it ends with one of these exit statuses.
pub(crate) fn run_to(
    namespace: &Namespace,
    command: &mut Command,
    statuses: &[i32],
) -> Result<String, Failure> {
    let what = format!("{command:?}");
    command.stdin(Stdio::null());
    let output = namespace.run(|| unmasked().and_then(|()| command.output()));
    let output = output.map_err(Failure::system(format!("run {what}")))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(status) if statuses.contains(&status) => Ok(text(&output.stdout)),
        _ => Err(Failure::Refused { what, said: text(&output.stderr) + &text(&output.stdout) }),
    }
}
