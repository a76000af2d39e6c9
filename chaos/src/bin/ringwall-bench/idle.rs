//! CPU of a node that has nothing to do: `ringwall run` on two veths without traffic, from
//! `/proc/PID/stat`, beside the bare forwarder, which does nothing but sleep and look.

use std::fmt::Write as _;
use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use af_xdp::bare::{BareConfig, BareForwarder, Otherwise, RedirectProgram};
use clap::Args;
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, SysconfVar, sysconf};

use crate::failure::Failure;
use crate::lab::Lab;
use crate::report::{Bar, Comparison};
use crate::system;

/// Percent of a core that an idle node may take.
const BAR: f64 = 2.0;
/// Time for the node to answer.
const START_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for the node to end after SIGTERM.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// Between two looks at either.
const POLL: Duration = Duration::from_millis(20);
/// From the node's first answer to the measurement: what it does at its start is not idleness.
const CALM: Duration = Duration::from_secs(1);

/// Options of `idle`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The node's program.
    #[arg(long, default_value = "target/release/ringwall")]
    binary: PathBuf,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// The node's workers.
    #[arg(long, default_value_t = 1)]
    workers: u16,
}

pub(crate) fn run(options: &Options, rounds: u32) -> Result<Vec<Comparison>, Failure> {
    if !options.binary.exists() {
        return Err(Failure::Skipped(format!(
            "no program {}; `cargo build --release -p ringwall` makes it, --binary names another",
            options.binary.display()
        )));
    }
    system::require_root()?;
    let length = Duration::from_secs(options.seconds);
    let name = format!("idle node, {} worker(s)", options.workers);
    let mut comparison = Comparison::new(name, "% of a core", Some(Bar::AtMost(BAR)));
    for _ in 0..rounds {
        let lab = Lab::with_queues(u32::from(options.workers))?;
        let node = lab.run(|| node(options, length))?;
        let lab = Lab::new()?;
        let bare = lab.run(|| bare(&lab, length))?;
        comparison.push(node, bare);
    }
    Ok(vec![comparison])
}

/// Percent of a core that the node takes. To be called inside the lab.
fn node(options: &Options, length: Duration) -> Result<f64, Failure> {
    let place = Place::new(options.workers)?;
    let mut node = Node::start(&options.binary, &place)?;
    let measured = node.wait_ready(&place).and_then(|()| {
        std::thread::sleep(CALM);
        let before = node.cpu()?;
        std::thread::sleep(length);
        Ok((node.cpu()? - before).as_secs_f64())
    });
    let log = node.stop(&place);
    match measured {
        Ok(taken) => Ok(100.0 * taken / length.as_secs_f64()),
        Err(failure) => Err(Failure::Wrong(format!("{failure}\n{log}"))),
    }
}

/// Percent of a core that the bare forwarder takes. To be called inside the lab.
fn bare(lab: &Lab, length: Duration) -> Result<f64, Failure> {
    let [lan, wan] = lab.ports;
    let attach = |port| RedirectProgram::attach(port, 1, Otherwise::Drop);
    let programs = [attach(lan)?, attach(wan)?];
    let mut forwarder = BareForwarder::open(&BareConfig::new(lab.ports, 0), programs.each_ref())?;
    let stop = AtomicBool::new(false);
    let taken = std::thread::scope(|scope| {
        let forwarding = scope.spawn(|| {
            let before = system::thread_time();
            forwarder.run(&stop, false)?;
            Ok::<Duration, Failure>(system::thread_time() - before)
        });
        std::thread::sleep(length);
        stop.store(true, Ordering::Relaxed);
        forwarding.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })?;
    Ok(100.0 * taken.as_secs_f64() / length.as_secs_f64())
}

/// The node's files, and a directory for its pins; gone with the value.
struct Place {
    directory: PathBuf,
    pins: PathBuf,
}

impl Place {
    fn new(workers: u16) -> Result<Self, Failure> {
        let name = format!("ringwall-bench-idle-{}", std::process::id());
        let place = Self {
            directory: std::env::temp_dir().join(&name),
            pins: Path::new("/sys/fs/bpf").join(&name),
        };
        let made = fs::create_dir_all(place.path("data"));
        made.map_err(Failure::io("make a directory for the node"))?;
        place.write("node.toml", &place.node(workers))?;
        place.write("policy.toml", "[zones]\ninside = [\"lan\"]\noutside = [\"wan\"]\n")?;
        Ok(place)
    }

    fn node(&self, workers: u16) -> String {
        let Self { pins, .. } = self;
        let (data, socket) = (self.path("data"), self.path("api.sock"));
        let mut text = format!(
            "[node]\nid = 1\nname = \"idle\"\nworkers = {workers}\ndata-dir = {data:?}\n\
             bpf-dir = {pins:?}\n[api]\nsocket = {socket:?}\n"
        );
        for port in ["lan", "wan"] {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "[[port]]\nname = \"{port}\"\ninterface = \"{port}\"");
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
struct Node {
    child: Child,
}

impl Node {
    fn start(binary: &Path, place: &Place) -> Result<Self, Failure> {
        let log = fs::File::create(place.path("log")).map_err(Failure::io("make a log file"))?;
        let mut command = Command::new(binary);
        command.arg("run").arg("--node").arg(place.path("node.toml"));
        command.arg("--policy").arg(place.path("policy.toml"));
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = command.spawn().map_err(Failure::io("start the node"))?;
        Ok(Self { child })
    }

    /// Waits until the node's API says that it runs.
    fn wait_ready(&mut self, place: &Place) -> Result<(), Failure> {
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

    /// CPU time of all its threads so far (`man 5 proc_pid_stat`: fields 14 and 15).
    fn cpu(&self) -> Result<Duration, Failure> {
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
    fn stop(mut self, place: &Place) -> String {
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
