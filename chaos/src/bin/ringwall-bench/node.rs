//! `ringwall run` as a subject: its files, its start, its end.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::failure::Failure;

/// Time for the node to answer.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the node to end after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at either.
const POLL: Duration = Duration::from_millis(20);

/// The node's files, and a directory for its pins; gone with the value.
pub(crate) struct Place {
    directory: PathBuf,
    pins: PathBuf,
}

impl Place {
    /// Files of a node called `name` with these ports, each an interface of the same name.
    pub(crate) fn new(
        name: &str,
        workers: u16,
        ports: &[&str],
        policy: &str,
    ) -> Result<Self, Failure> {
        let unique = format!("ringwall-bench-{name}-{}", std::process::id());
        let place = Self {
            directory: std::env::temp_dir().join(&unique),
            pins: Path::new("/sys/fs/bpf").join(&unique),
        };
        let made = fs::create_dir_all(place.path("data"));
        made.map_err(Failure::io("make a directory for the node"))?;
        place.write("node.toml", &place.node(name, workers, ports))?;
        place.write("policy.toml", policy)?;
        Ok(place)
    }

    fn node(&self, name: &str, workers: u16, ports: &[&str]) -> String {
        let Self { pins, .. } = self;
        let (data, socket) = (self.path("data"), self.path("api.sock"));
        let mut text = format!(
            "[node]\nid = 1\nname = \"{name}\"\nworkers = {workers}\ndata-dir = {data:?}\n\
             bpf-dir = {pins:?}\n[api]\nsocket = {socket:?}\n"
        );
        for port in ports {
            text += &format!("[[port]]\nname = \"{port}\"\ninterface = \"{port}\"\n");
        }
        text
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        fs::write(self.path(name), text).map_err(Failure::io("write the node's files"))
    }
}

impl Drop for Place {
    /// Nothing can be done about a failure.
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.pins);
        let _ = fs::remove_dir_all(&self.directory);
    }
}

/// The running node.
pub(crate) struct Node {
    child: Child,
}

impl Node {
    /// Starts it, in the namespace of the caller.
    pub(crate) fn start(binary: &Path, place: &Place) -> Result<Self, Failure> {
        let log = fs::File::create(place.path("log")).map_err(Failure::io("make a log file"))?;
        let mut command = Command::new(binary);
        command.arg("run").arg("--node").arg(place.path("node.toml"));
        command.arg("--policy").arg(place.path("policy.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(Failure::io("start the node"))?;
        Ok(Self { child })
    }

    /// Waits until the node's API says that it runs.
    pub(crate) fn wait_ready(&mut self, place: &Place) -> Result<(), Failure> {
        let deadline = Instant::now() + START_TIMEOUT;
        while !answers(&place.path("api.sock")) {
            let ended = self.child.try_wait().map_err(Failure::io("watch the node"))?;
            if let Some(status) = ended {
                return Err(Failure::Wrong(format!("the node ended with {status}")));
            }
            if Instant::now() > deadline {
                return Err(Failure::Wrong("the node does not answer".to_owned()));
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    /// KiB of its memory that are there (`man 5 proc_pid_status`).
    pub(crate) fn resident(&self) -> Result<u64, Failure> {
        let read = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let text = read.map_err(Failure::io("read the node's memory"))?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
        kib.ok_or_else(|| Failure::Wrong("the node's memory is not told".to_owned()))
    }

    /// CPU time of all its threads so far (`man 5 proc_pid_stat`: fields 14 and 15).
    pub(crate) fn cpu(&self) -> Result<Duration, Failure> {
        let read = fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let text = read.map_err(Failure::io("read the node's CPU time"))?;
        // The second field may hold blanks and ends with the last parenthesis.
        let fields = text.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
        let a_second = sysconf(SysconfVar::CLK_TCK).ok().flatten().unwrap_or(100);
        Ok(Duration::from_secs_f64(ticks as f64 / a_second as f64))
    }

    /// Ends it; what it wrote.
    pub(crate) fn stop(mut self, place: &Place) -> String {
        let pid = Pid::from_raw(self.child.id().cast_signed());
        // One that has ended is waited for below all the same.
        let _ = kill(pid, Signal::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(POLL);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        fs::read_to_string(place.path("log")).unwrap_or_default()
    }
}

/// Whether the API says 200 to `GET /v1/status`.
fn answers(socket: &Path) -> bool {
    use std::io::{Read, Write};
    let exchange = || -> std::io::Result<bool> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(START_TIMEOUT))?;
        stream.write_all(b"GET /v1/status HTTP/1.1\r\nHost: node\r\nConnection: close\r\n\r\n")?;
        let mut start = [0; 12];
        stream.read_exact(&mut start)?;
        Ok(start.ends_with(b" 200"))
    };
    exchange().unwrap_or(false)
}
