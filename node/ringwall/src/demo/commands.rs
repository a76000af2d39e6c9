//! This same program started again, within a time.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::limits::POLL;

/// The program that runs now.
pub(super) fn program() -> Result<PathBuf, String> {
    std::env::current_exe().map_err(|error| format!("this program cannot be found: {error}"))
}

/// Waits for a process; `None` if it did not end in time.
pub(super) fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if Instant::now() > deadline {
            return None;
        }
        std::thread::sleep(POLL);
    }
}

/// Runs a command to its end: its standard output, or what it said on standard error.
pub(super) fn output(
    command: &mut Command,
    spawn: impl FnOnce(&mut Command) -> std::io::Result<Child>,
    limit: Duration,
) -> Result<String, String> {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = spawn(command).map_err(|error| format!("cannot be started: {error}"))?;
    let (out, err) = (child.stdout.take(), child.stderr.take());
    std::thread::scope(|scope| {
        // Read beside it: a full pipe would hold it up.
        let out = scope.spawn(|| text(out));
        let err = scope.spawn(|| text(err));
        let status = wait(&mut child, limit);
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        let (out, err) = (out.join().unwrap_or_default(), err.join().unwrap_or_default());
        match status {
            Some(status) if status.success() => Ok(out),
            Some(status) => Err(format!("{status}: {} {}", err.trim(), out.trim())),
            None => Err(format!("no end within {} s", limit.as_secs_f32())),
        }
    })
}

fn text(pipe: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut pipe) = pipe {
        // What was read before an error is worth showing.
        let _ = pipe.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::{Command, output};
    use std::time::{Duration, Instant};

    fn shell(script: &str, limit: Duration) -> Result<String, String> {
        output(Command::new("sh").args(["-c", script]), Command::spawn, limit)
    }

    #[test]
    fn gives_the_output_or_the_reason() {
        let long = Duration::from_secs(20);
        assert_eq!(shell("echo good", long).as_deref(), Ok("good\n"));
        assert_eq!(shell("echo bad >&2; exit 3", long).unwrap_err(), "exit status: 3: bad ");
        let much = shell("head -c 300000 /dev/zero | tr '\\0' x", long).unwrap();
        assert_eq!(much.len(), 300_000);
    }

    #[test]
    fn what_does_not_end_is_ended() {
        let begun = Instant::now();
        let error = shell("exec sleep 60", Duration::from_millis(50)).unwrap_err();
        assert_eq!(error, "no end within 0.05 s");
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}
