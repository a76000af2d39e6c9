//! Traffic from ordinary sockets at both ends, each event with its time.
//!
//! ```text
//! client namespace                                   server namespace
//!   streams (UDP, paced) ───────────────────────────▶ kernel receive timestamps
//!   stream receiver ◀──────────────────────────────── streams (the client opened the flow)
//!   1,000 slow connections, 20 transfers ◀──────────▶ one echo thread, one transfer thread
//!   young connections, load, forged segments ───────▶ echo thread, counter, capture
//! ```
//!
//! The policy between must let the client open TCP and UDP connections to [`FIRST_PORT`] and the
//! fifteen ports after it; the server opens none. The ports after those are doors (`traffic/doors.rs`).
//! Sysctls of the client's namespace are changed so that its ports last.

mod bulk;
mod capture;
mod clock;
mod doors;
mod echo;
mod gateways;
mod load;
mod probe;
mod slow;
mod sockets;
mod stream;
mod talk;
mod task;
mod young;

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

use bulk::Bulk;
use clock::{monotonic, sleep_until};
use doors::Doors;
use gateways::Gateways;
use load::Load;
use netns::Namespace;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use probe::Probes;
use stream::Streams;
use task::{Guard, Ready, Task};

use super::limits::{FILES, SETTLE, START_WAIT};
use super::log::{self, Entry, Event};

/// First of the sixteen ports of the server that are used.
pub const FIRST_PORT: u16 = 7_000;

/// What is where among them.
pub(super) struct Port;

impl Port {
    const SLOW: u16 = FIRST_PORT;
    /// Slow connections that segments are forged of.
    const PROBED: u16 = FIRST_PORT + 1;
    const YOUNG: u16 = FIRST_PORT + 2;
    const BULK: u16 = FIRST_PORT + 3;
    pub(super) const LOAD: u16 = FIRST_PORT + 4;

    const fn stream(number: usize) -> u16 {
        FIRST_PORT + 5 + number as u16
    }
}

/// A port above the sixteen: shut, unless a policy opens it.
#[derive(Clone, Copy, Debug)]
pub struct Door(pub usize);

impl Door {
    /// Its number at the server.
    #[must_use]
    pub const fn port(self) -> u16 {
        FIRST_PORT + 16 + self.0 as u16
    }
}

/// The two ends of all traffic. Ends are reached by routes that the spine has made.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    pub client: &'a Namespace,
    pub server: &'a Namespace,
    pub client_address: IpAddr,
    pub server_address: IpAddr,
}

impl Ends<'_> {
    const fn of(&self, side: Side) -> &Namespace {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }
}

/// One UDP stream. The client opens the flow of every stream.
#[derive(Clone, Copy, Debug)]
pub struct StreamPlan {
    pub per_second: u32,
    pub from: Side,
}

/// What flows in a run.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Stream N is element N.
    pub streams: Vec<StreamPlan>,
    /// Slow connections: at most 64 checked bytes a second each, and back.
    pub slow: usize,
    /// Transfers, every other one towards the client, and bytes a second of all together.
    pub bulk: usize,
    pub bulk_bytes_per_second: u64,
    /// Connections opened a second; each sends after 300 ms and closes after the echo.
    pub young_per_second: u32,
    /// Small datagrams a second besides, from the client, only counted.
    pub load_per_second: u32,
    /// Whether [`Traffic::probe`] will be called; needs slow connections.
    pub probes: bool,
    /// Doors that are probed, from the first one on.
    pub doors: usize,
    /// Addresses of the server that files and calls are fetched from through gateways.
    pub gateways: Vec<IpAddr>,
}

/// What can be got through without loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// Small datagrams a second.
    pub packets_per_second: u32,
    /// Received of those sent at that rate, 1.0 is all. Clearly less if no rate without loss was found;
    /// the other number is then what arrived of too many.
    pub received: f64,
}

/// Why traffic could not be started, or its logs not be written.
#[derive(Debug)]
pub enum Error {
    /// A system call.
    Io { what: &'static str, error: io::Error },
    /// Not all connections were open, or not all streams flowed, within the time allowed.
    NotReady { kind: &'static str, ready: usize, wanted: usize },
    /// More than there are ports or numbers for.
    TooMany { kind: &'static str, at_most: usize },
    /// What a dialog began with did not come about.
    Dialog { what: &'static str, event: Event },
    /// The kernel's table has no such socket of ours.
    NoSocket(SocketAddr),
    /// No segment of the connections that are to be probed was seen.
    NoNumbers,
    /// A namespace.
    Network(netns::Error),
    /// A log.
    Log(log::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { what, error } => write!(f, "cannot {what}: {error}"),
            Self::NotReady { kind, ready, wanted } => {
                write!(f, "{kind}: {ready} of {wanted} work after the time allowed")
            }
            Self::TooMany { kind, at_most } => write!(f, "at most {at_most} {kind}"),
            Self::Dialog { what, event } => write!(f, "cannot {what}: {event:?}"),
            Self::NoSocket(local) => write!(f, "the kernel knows no socket at {local}"),
            Self::Network(error) => write!(f, "{error}"),
            Self::NoNumbers => write!(f, "no segment of a slow connection was seen to forge from"),
            Self::Log(error) => write!(f, "{error}"),
        }
    }
}

impl Error {
    /// For `map_err`.
    fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { what, error }
    }
}

impl std::error::Error for Error {}

impl From<netns::Error> for Error {
    fn from(error: netns::Error) -> Self {
        Self::Network(error)
    }
}

impl From<log::Error> for Error {
    fn from(error: log::Error) -> Self {
        Self::Log(error)
    }
}

/// Traffic that flows.
#[derive(Debug)]
pub struct Traffic {
    signals: Guard,
    streams: Streams,
    echo: Task<()>,
    slow: Task<Vec<Entry>>,
    young: Option<Task<Vec<Entry>>>,
    bulk: Bulk,
    load: Option<Load>,
    probes: Option<Probes>,
    doors: Doors,
    gateways: Gateways,
}

impl Traffic {
    /// Starts all that is planned; returns when every slow connection and transfer is open and every
    /// stream arrives.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NotReady`], [`Error::TooMany`].
    pub fn start(ends: &Ends<'_>, plan: &Plan) -> Result<Self, Error> {
        make_room(ends)?;
        let guard = Guard::default();
        let signals = &guard.0;
        let probes = plan.probes.then(|| Probes::start(ends, signals)).transpose()?;
        let echo = echo::start(ends, signals)?;
        let (slow_ready, bulk_ready) = (Ready::default(), Ready::default());
        let slow = slow::start(ends, plan.slow, &slow_ready, signals)?;
        let rate = plan.bulk_bytes_per_second;
        let bulk = Bulk::start(ends, plan.bulk, rate, &bulk_ready, signals)?;
        let until = monotonic() + START_WAIT;
        slow_ready.wait("slow connections", plan.slow, until)?;
        bulk_ready.wait("transfers", plan.bulk, until)?;
        let gateways = Gateways::start(ends, &plan.gateways, signals)?;
        let young = some(plan.young_per_second);
        let young = young.map(|rate| young::start(ends, rate, signals)).transpose()?;
        let load = some(plan.load_per_second);
        let load = load.map(|rate| Load::start(ends, rate, signals)).transpose()?;
        let streams = Streams::start(ends, &plan.streams, signals)?;
        let doors = Doors::start(ends, plan.doors, signals)?;
        let signals = guard;
        Ok(Self { streams, echo, slow, young, bulk, load, probes, doors, gateways, signals })
    }

    /// Sends a round of forged segments and controls: for each of a few live slow connections a reset
    /// 2^30 outside its window and a keepalive with right numbers (RFC 9293 §3.8.4), and a segment with
    /// ACK and data of a flow never seen. What is sent, and what arrives, is in `probes.log`.
    ///
    /// # Errors
    /// [`Error::NoNumbers`], [`Error::Io`], [`Error::TooMany`].
    pub fn probe(&self) -> Result<(), Error> {
        self.probes.as_ref().map_or(Err(Error::NoNumbers), Probes::send)
    }

    /// What gateways were told to expect is used now: the fault is over.
    pub fn use_announced(&self) {
        self.gateways.go_on();
    }

    /// Stops the senders, waits (with a bound) for what is owed, and writes the logs into `folder`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Log`].
    pub fn finish(self, folder: &Path) -> Result<(), Error> {
        let Self { signals, mut streams, echo, slow, young, bulk, load, probes, .. } = self;
        let (mut doors, mut gateways) = (self.doors, self.gateways);
        let mut usages = Vec::new();
        signals.0.stop();
        streams.finish_senders(folder, &mut usages)?;
        doors.finish_senders(folder, &mut usages)?;
        slow::finish(slow, folder, &mut usages)?;
        if let Some(young) = young {
            young::finish(young, folder, &mut usages)?;
        }
        bulk.finish(folder, &mut usages)?;
        gateways.finish_files(&mut usages)?;
        sleep_until(monotonic() + SETTLE);
        signals.0.end();
        let sockets = streams.finish_receivers(folder, &mut usages)?;
        log::write(folder, "sockets.log", sockets)?;
        doors.finish_receivers(folder, &mut usages)?;
        gateways.finish(folder, &mut usages)?;
        if let Some(load) = load {
            load.finish(folder, &mut usages)?;
        }
        if let Some(probes) = probes {
            probes.finish(folder, &mut usages)?;
        }
        echo.join(&mut usages)?;
        Ok(log::write(folder, "threads.log", usages)?)
    }
}

/// Finds how many small datagrams a second reach the server without loss, in at most 3 s.
///
/// # Errors
/// [`Error::Io`].
pub fn capacity(ends: &Ends<'_>) -> Result<Capacity, Error> {
    load::search(ends)
}

const fn some(rate: u32) -> Option<u32> {
    if rate == 0 { None } else { Some(rate) }
}

/// Files and ports for all connections, those in TIME-WAIT included.
fn make_room(ends: &Ends<'_>) -> Result<(), Error> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)
        .map_err(|errno| Error::io("ask the limit of files")(errno.into()))?;
    let wanted = FILES.min(hard).max(soft);
    setrlimit(Resource::RLIMIT_NOFILE, wanted, hard)
        .map_err(|errno| Error::io("raise the limit of files")(errno.into()))?;
    // From above the forged segments' ports on. A port in TIME-WAIT serves again after a second
    // (RFC 6191 §2).
    ends.client.set_sysctl("net/ipv4/ip_local_port_range", "10000 65000")?;
    ends.client.set_sysctl("net/ipv4/tcp_tw_reuse", "1")?;
    Ok(())
}
