//! Runs a program to its end and keeps what it said.

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::{binary, wait_for_some};

/// A verb of the product ends within this time; longer work goes through [`run_command`].
const VERB_LIMIT: Duration = Duration::from_secs(60);

/// Runs `ringwall ARGS` to its end.
///
/// # Panics
/// When it is not there, or runs for longer than a minute.
#[track_caller]
pub fn run<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Outcome {
    run_command(Command::new(binary()).args(args), VERB_LIMIT)
}

/// Runs any program to its end, without standard input.
///
/// # Panics
/// When it cannot be started, or runs for longer than `limit` (it is killed then).
#[track_caller]
pub fn run_command(command: &mut Command, limit: Duration) -> Outcome {
    let name = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child =
        Reaped(command.spawn().unwrap_or_else(|error| panic!("{name} cannot be started: {error}")));
    let stdout = collect(child.0.stdout.take().expect("stdout is piped"));
    let stderr = collect(child.0.stderr.take().expect("stderr is piped"));
    let status = wait_for_some(limit, &format!("the end of {name}"), || {
        child.0.try_wait().expect("a child can be waited for")
    });
    let text = |reader: JoinHandle<String>| reader.join().expect("the reader does not panic");
    Outcome { name, status: status.code(), stdout: text(stdout), stderr: text(stderr) }
}

/// What a program left behind. The methods that check return it again, to be chained.
#[derive(Clone, Debug)]
pub struct Outcome {
    name: String,
    /// Exit status; none when a signal ended it.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Outcome {
    /// # Panics
    /// When the exit status is another one; everything that was printed is in the message.
    #[track_caller]
    pub fn exits(self, status: i32) -> Self {
        assert_eq!(self.status, Some(status), "unexpected exit status of {self}");
        self
    }

    /// # Panics
    /// When `text` stands neither on stdout nor on stderr.
    #[track_caller]
    pub fn says(self, text: &str) -> Self {
        let said = self.stdout.contains(text) || self.stderr.contains(text);
        assert!(said, "no {text:?} in what was said by {self}");
        self
    }

    /// Standard output as one JSON value.
    ///
    /// # Panics
    /// When it is none.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("no JSON ({error}) from {self}"))
    }

    /// Standard output as JSON values, one a line.
    ///
    /// # Panics
    /// When a line is none.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<serde_json::Value> {
        let parse = |line| {
            serde_json::from_str(line)
                .unwrap_or_else(|error| panic!("no JSON ({error}): {line:?} from {self}"))
        };
        self.stdout.lines().map(parse).collect()
    }
}

impl std::fmt::Display for Outcome {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, status, stdout, stderr } = self;
        write!(f, "{name}: status {status:?}\n-- stdout\n{stdout}\n-- stderr\n{stderr}")
    }
}

/// A child that does not outlive a panic.
struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // Both fail only when the child has ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // A broken pipe ends the output; what came before it counts.
        let _ = from.read_to_end(&mut bytes);
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Outcome {
        run_command(Command::new("sh").args(["-c", script]), Duration::from_secs(10))
    }

    #[test]
    fn keeps_status_and_both_outputs() {
        let outcome = shell("echo '{\"a\":1}'; echo oops >&2; exit 3").exits(3).says("oops");
        assert_eq!(outcome.json()["a"], 1);
        assert_eq!(outcome.json_lines().len(), 1);
    }

    #[test]
    fn much_output_does_not_block() {
        assert_eq!(shell("head -c 1000000 /dev/zero").exits(0).stdout.len(), 1_000_000);
    }

    #[test]
    #[should_panic(expected = "in vain for the end of")]
    fn ends_what_does_not_end() {
        run_command(Command::new("sleep").arg("60"), Duration::from_millis(50));
    }
}
