//! Programs that run beside a test.

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::wait::{POLL, wait_for_some};

/// A running program: killed and reaped when dropped, its output (both streams) kept by line.
#[derive(Debug)]
pub struct Background {
    name: String,
    child: Child,
    lines: Arc<Mutex<Vec<String>>>,
    readers: [JoinHandle<()>; 2],
}

impl Background {
    /// Starts it, without standard input.
    ///
    /// # Panics
    /// When it cannot be started.
    #[track_caller]
    pub fn spawn(command: &mut Command) -> Self {
        let name = format!("{command:?}");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child =
            command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}"));
        let lines = Arc::default();
        let readers = [
            follow(child.stdout.take().expect("stdout is piped"), &lines),
            follow(child.stderr.take().expect("stderr is piped"), &lines),
        ];
        Self { name, child, lines, readers }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Everything it has printed so far.
    pub fn output(&self) -> String {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Waits until it has printed a line that contains `text`, and gives that line.
    ///
    /// # Panics
    /// After `limit`, or when the program has ended without it; its output is in the message.
    #[track_caller]
    pub fn says(&mut self, limit: Duration, text: &str) -> String {
        let start = Instant::now();
        loop {
            // In this order: what is silent now has said all that it will ever say.
            let silent = self.readers.iter().all(JoinHandle::is_finished);
            let found = self.output().lines().find(|line| line.contains(text)).map(str::to_owned);
            if let Some(line) = found {
                return line;
            }
            assert!(!silent, "ended without {text:?}: {self}");
            assert!(start.elapsed() < limit, "no {text:?} within {limit:?} from {self}");
            sleep(POLL);
        }
    }

    /// An error, with what it printed, when it is no longer running.
    pub fn check(&mut self) -> Result<(), String> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(format!("ended with {status}: {self}")),
            Err(error) => Err(format!("lost ({error}): {self}")),
        }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// When it is no longer there.
    #[track_caller]
    pub fn signal(&mut self, signal: Signal) {
        if let Err(why) = self.check() {
            panic!("no {signal} to a program that has {why}");
        }
        let id = i32::try_from(self.id()).expect("process ids fit an i32");
        kill(Pid::from_raw(id), signal).expect("a child can be signalled");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// After `limit`.
    #[track_caller]
    pub fn ends(&mut self, limit: Duration) -> ExitStatus {
        let name = format!("the end of {}", self.name);
        wait_for_some(limit, &name, || self.child.try_wait().expect("a child can be waited for"))
    }

    /// Asks it to stop (SIGTERM) and waits for that.
    ///
    /// # Panics
    /// When it does not stop within `limit`.
    #[track_caller]
    pub fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.ends(limit)
    }
}

impl std::fmt::Display for Background {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}\n-- output\n{}", self.name, self.output())
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        // Both fail only when the child has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Collects lines on a thread of its own, which ends with the stream.
fn follow(from: impl Read + Send + 'static, into: &Arc<Mutex<Vec<String>>>) -> JoinHandle<()> {
    let into = Arc::clone(into);
    std::thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line).into_owned();
            into.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(10);

    fn shell(script: &str) -> Background {
        Background::spawn(Command::new("sh").args(["-c", script]))
    }

    #[test]
    fn hears_both_streams_and_stops_it() {
        let mut running = shell("echo one; echo two >&2; exec sleep 60");
        assert_eq!(running.says(LIMIT, "two"), "two");
        assert_eq!(running.says(LIMIT, "one"), "one");
        assert_eq!(running.check(), Ok(()));
        assert!(!running.stop(LIMIT).success());
        assert!(running.check().is_err());
    }

    #[test]
    #[should_panic(expected = "ended without")]
    fn notices_an_early_end() {
        shell("true").says(LIMIT, "ready");
    }
}
