//! `run`: the daemon. Sets the process up while it has one thread, then starts the node and serves
//! its API until it is told to stop. `witness` is the same daemon without a datapath.
//!
//! ```text
//! files ─► log, syslog, panic hook ─► bpffs, claim on the socket ─► capabilities dropped ─┐
//! end ◄── shutdown ◄── signal ◄── API, READY ◄── node: program, workers, actors ◄─────────┘
//! ```

mod capabilities;
mod log;
mod node;
mod panics;
mod syslog;
mod witness;

use std::fmt;
use std::future::Future;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use actors::{Seed, StartError, Witness};
use clap::Args;
use config::misfits;
use datapath::xdp::{self, BpfDir};
use sd_notify::NotifyState;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::backend::Backend;
use crate::failure::Failure;
use crate::limits::{NICENESS, RUNTIME_SLICE, RUNTIME_THREADS, STOP_TIMEOUT, SYSLOG_FLUSH};
use crate::server::{self, Claim, Door, DoorError, Gate, SocketError};
use crate::{files, render};

use log::LogFile;
use node::RunningNode;
use syslog::{Deliveries, Syslog};
use witness::RunningWitness;

#[derive(Args, Debug)]
#[command(after_help = "\
Needs root, or the capabilities NET_ADMIN, NET_RAW, BPF, PERFMON and IPC_LOCK. What it has beyond those it \
gives up once it is set up. SIGTERM and SIGINT stop it; the ports stay closed for transit afterwards, \
unless the node file says on-exit = \"open\". SIGHUP opens the log file anew, for whoever moved it away, \
and reads the certificate, the authority and the tokens of [api] again.")]
pub(crate) struct Options {
    /// Node file
    #[arg(long, value_name = "FILE")]
    node: PathBuf,
    /// Policy to start with; an empty data directory takes it, one with a policy keeps its own
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
}

/// Why the daemon does not run, or ended by itself.
#[derive(Debug)]
pub(crate) enum RunError {
    /// Not started as root.
    Privileges { missing: String },
    /// Capabilities could not be given up.
    Capabilities(caps::errors::CapsError),
    /// The log file.
    Log { path: String, error: std::io::Error },
    /// The API's socket.
    Socket(SocketError),
    /// What the TLS listener of `[api]` needs.
    Door(DoorError),
    /// The address of `[api]`.
    Remote { listen: SocketAddr, error: std::io::Error },
    /// The address of `[metrics]`.
    Metrics { listen: SocketAddr, error: std::io::Error },
    /// Where the XDP programs are pinned.
    Xdp(xdp::Error),
    /// The node.
    Start(StartError),
    /// Threads, signals, accepting connections.
    System(std::io::Error),
}

/// What is known before anything is started.
struct Plan {
    node: config::Node,
    work: Work,
}

/// Where the daemon's lines go.
struct Lines {
    file: Option<Arc<LogFile>>,
    syslog: Syslog,
    deliveries: Deliveries,
}

/// What the daemon does.
enum Work {
    /// Forwards; perhaps with a policy to start with.
    Firewall(Option<Seed>),
    /// Votes.
    Witness,
}

/// A node that runs, until it is told to stop.
trait Running: Backend {
    /// Stops it.
    fn shutdown(&self) -> impl Future<Output = Result<(), StartError>> + Send;
}

/// How a daemon is reached, and told to stop.
struct Reach {
    name: String,
    gate: Arc<Gate>,
    socket: Claim,
    remote: Option<(TcpListener, Arc<Door>)>,
    metrics: Option<TcpListener>,
    terminate: Signal,
    interrupt: Signal,
}

pub(crate) fn run(options: &Options, json: bool) -> Result<(), Failure> {
    let plan = plan(options)?;
    Ok(start(plan, json)?)
}

/// Runs a witness, whose node file stands at `path`.
pub(crate) fn run_witness(path: &Path, json: bool) -> Result<(), Failure> {
    let node = files::read_witness(path)?;
    eprint!("{}", render::diagnostics(&node.warnings));
    Ok(start(Plan { node: node.value, work: Work::Witness }, json)?)
}

/// Reads the files. Whatever is wrong with them is said before the log begins.
fn plan(options: &Options) -> Result<Plan, Failure> {
    let node = files::read_node(&options.node)?;
    let mut warnings = node.warnings;
    let mut seed = None;
    if let Some(path) = &options.policy {
        let policy = files::read_policy(path)?;
        warnings.extend(policy.warnings);
        for misfit in misfits(&policy.value, &node.value) {
            eprintln!("warning: {misfit}");
        }
        seed = Some(seed_from(path)?);
    }
    eprint!("{}", render::diagnostics(&warnings));
    Ok(Plan { node: node.value, work: Work::Firewall(seed) })
}

fn seed_from(path: &Path) -> Result<Seed, Failure> {
    let rejected = |diagnostics| Failure::Rejected { what: "policy", diagnostics };
    let text = files::inlined(path, &files::read(path)?).map_err(rejected)?;
    Ok(Seed { file: path.to_string_lossy().into_owned(), text })
}

/// Sets the process up, and runs the node in it.
fn start(plan: Plan, json: bool) -> Result<(), RunError> {
    let lines = match plan.work {
        Work::Firewall(_) => {
            capabilities::required()?;
            let lines = Lines::start(&plan.node, json)?;
            BpfDir::prepare(Path::new(&plan.node.bpf_dir)).map_err(RunError::Xdp)?;
            lines
        }
        Work::Witness => Lines::start(&plan.node, json)?,
    };
    panics::log();
    let config::Api { socket, group, .. } = &plan.node.api;
    let socket = Claim::stake(Path::new(socket), group.as_deref()).map_err(RunError::Socket)?;
    // Threads inherit what the one that starts them has: this comes before all others.
    let favoured = datapath::favour(NICENESS);
    let capabilities = capabilities::keep(match plan.work {
        Work::Firewall(_) => &capabilities::FIREWALL,
        Work::Witness => &capabilities::WITNESS,
    });
    let capabilities = capabilities.map_err(RunError::Capabilities)?;
    tracing::info!(kept = capabilities.join(","), "capabilities");
    if let Err(error) = favoured {
        tracing::warn!(%error, "no favour from the scheduler: a busy machine slows the firewall down");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        // Packets wait for what these threads bring from the peer. Without the right to it they are as
        // the others, which was said.
        .on_thread_start(|| drop(datapath::hurry(NICENESS, RUNTIME_SLICE)))
        .enable_all()
        .build()
        .map_err(RunError::System)?;
    let (to_file, syslog) = (lines.file.is_some(), lines.syslog.clone());
    let ended = runtime.block_on(serve(plan, socket, capabilities, lines));
    if let (Err(error), true) = (&ended, to_file || !syslog.is_empty()) {
        // On stderr it is said anyway, as the last word.
        tracing::error!(%error, "the daemon ends");
    }
    runtime.block_on(syslog.flush(SYSLOG_FLUSH));
    runtime.shutdown_timeout(STOP_TIMEOUT);
    ended
}

impl Lines {
    fn start(node: &config::Node, json: bool) -> Result<Self, RunError> {
        let (syslog, layer, deliveries) = Syslog::new(&node.syslog, &node.name);
        Ok(Self { file: log::start(&node.log, layer, json)?, syslog, deliveries })
    }
}

async fn serve(
    plan: Plan,
    socket: Claim,
    capabilities: Vec<String>,
    lines: Lines,
) -> Result<(), RunError> {
    let Lines { file: log, syslog, deliveries } = lines;
    deliveries.start();
    // Before the node is there: a signal that comes meanwhile must not be lost.
    let terminate = signal(SignalKind::terminate()).map_err(RunError::System)?;
    let interrupt = signal(SignalKind::interrupt()).map_err(RunError::System)?;
    let hangup = signal(SignalKind::hangup()).map_err(RunError::System)?;
    let remote = match plan.node.api.remote.clone() {
        Some(remote) => Some(open(remote).await?),
        None => None,
    };
    let door = remote.as_ref().map(|(_, door)| Arc::clone(door));
    tokio::spawn(reopen_on(hangup, log, door));
    let metrics = match plan.node.metrics {
        Some(config::Metrics { listen }) => {
            let bound = TcpListener::bind(listen).await;
            Some(bound.map_err(|error| RunError::Metrics { listen, error })?)
        }
        None => None,
    };
    let name = plan.node.name.clone();
    let gate = Arc::new(Gate::new(plan.node.api.access.clone()));
    let reach = Reach { name, gate, socket, remote, metrics, terminate, interrupt };
    match plan.work {
        Work::Firewall(seed) => {
            let node = actors::start(plan.node, seed).await.map_err(RunError::Start)?;
            attend(RunningNode { node, capabilities, syslog }, reach).await
        }
        Work::Witness => {
            let witness = Witness::start(plan.node).await.map_err(RunError::Start)?;
            attend(RunningWitness { witness, capabilities, syslog }, reach).await
        }
    }
}

/// Serves the API of a running node until something ends it.
async fn attend<B: Running>(node: B, reach: Reach) -> Result<(), RunError> {
    let Reach { name, gate, socket, remote, metrics, mut terminate, mut interrupt } = reach;
    let node = Arc::new(node);
    let (stop, stopping) = watch::channel(false);
    let mut servers = JoinSet::new();
    // Not earlier: whoever can connect gets answers.
    let socket = socket.listen().map_err(RunError::Socket)?;
    let listener = socket.listener().map_err(RunError::System)?;
    servers.spawn(server::serve(listener, Arc::clone(&node), Arc::clone(&gate), stopped(stopping)));
    if let Some((listener, door)) = remote {
        let (node, gate) = (Arc::clone(&node), Arc::clone(&gate));
        servers.spawn(server::serve_remote(listener, door, node, gate, stopped(stop.subscribe())));
    }
    if let Some(listener) = metrics {
        let stopped = stopped(stop.subscribe());
        servers.spawn(server::serve_metrics(listener, Arc::clone(&node), gate, stopped));
    }
    notify(&[NotifyState::Ready]);
    tracing::info!(node = name, "running");
    let ended = tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
        server = servers.join_next() => Err(server),
    };
    notify(&[NotifyState::Stopping]);
    match &ended {
        Ok(signal) => tracing::info!(signal, "stopping"),
        Err(server) => tracing::error!(?server, "a listener ended by itself; stopping"),
    }
    // The ports first: whoever asks meanwhile gets an error, which is better than a packet lost.
    let stopped = node.shutdown().await.map_err(RunError::Start);
    stop.send_replace(true);
    let _ = tokio::time::timeout(STOP_TIMEOUT, servers.join_all()).await;
    stopped?;
    match ended {
        Ok(_) => Ok(()),
        Err(_) => Err(RunError::System(std::io::Error::other("a listener ended by itself"))),
    }
}

/// Takes the place where other machines reach the API, and what says who they are.
async fn open(remote: config::Remote) -> Result<(TcpListener, Arc<Door>), RunError> {
    let listen = remote.listen;
    let door = Door::open(remote).map_err(RunError::Door)?;
    let bound = TcpListener::bind(listen).await;
    let listener = bound.map_err(|error| RunError::Remote { listen, error })?;
    Ok((listener, Arc::new(door)))
}

/// Begins the log file anew with each SIGHUP, for whoever moved it away, and reads anew who may enter.
async fn reopen_on(mut hangup: Signal, log: Option<Arc<LogFile>>, door: Option<Arc<Door>>) {
    while hangup.recv().await.is_some() {
        if let Some(Err(error)) = door.as_ref().map(|door| door.reopen()) {
            tracing::error!(%error, "SIGHUP: certificate and tokens stay as they were");
        }
        match log.as_ref().map(|log| log.reopen()) {
            Some(Ok(())) => tracing::info!("SIGHUP: the log file is opened anew"),
            Some(Err(error)) => {
                tracing::error!(%error, "SIGHUP: the log file cannot be opened; the earlier one stays");
            }
            None => tracing::info!("SIGHUP: there is no log file to open anew"),
        }
    }
}

/// Resolves when the daemon stops.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, and the daemon with it.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// Tells systemd, if it started us.
fn notify(state: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!(%error, "cannot notify the service manager");
    }
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Privileges { missing } => {
                write!(f, "the daemon needs root: the capability {missing} is missing")
            }
            Self::Capabilities(error) => write!(f, "capabilities cannot be given up: {error}"),
            Self::Log { path, error } => write!(f, "cannot write the log {path}: {error}"),
            Self::Socket(error) => error.fmt(f),
            Self::Door(error) => write!(f, "the listener of [api]: {error}"),
            Self::Remote { listen, error } => {
                write!(f, "cannot listen for the API's clients at {listen}: {error}")
            }
            Self::Metrics { listen, error } => {
                write!(f, "cannot listen for metrics at {listen}: {error}")
            }
            Self::Xdp(error) => error.fmt(f),
            Self::Start(error) => error.fmt(f),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for RunError {}
