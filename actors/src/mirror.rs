//! The mirror: what the kernel knows of links, addresses, routes and neighbours in one network
//! namespace, as changes for the engines. Any routing daemon that speaks to the kernel works.
//!
//! ```text
//! multicast groups ──► socket ─► view (which interface is which port, own addresses)
//! dumps            ──► socket ─► translate (message → FibChange) ─► batches ─► Receiver<Update>
//! resolve(port, address) ─► resolver (rates) ─► NTF_USE: the kernel does ARP and ND
//! ```
//!
//! The first update is a [`Update::Resync`] with everything. Changes follow in the kernel's order;
//! when notifications were lost (`ENOBUFS`), and where the kernel changes routes without a
//! notification, another `Resync` follows. The receiver may be slow: then the notifications wait in
//! the kernel, and in the end a `Resync` replaces them.
//!
//! Of the routing tables only `main` counts, and of a route only next hops by a port. A route
//! without a port (blackhole, unreachable, prohibit, throw, local) holds in all domains, as it does
//! for all interfaces of the kernel. Routes with a source prefix, a type of service, or an
//! encapsulation have no equal in the engine and are left out. An engine has one route per prefix
//! and metric: of several that the kernel keeps (`ip route append`), of which it uses the first,
//! the engine uses all next hops. When a nexthop object is deleted under IPv4 routes that use it,
//! the kernel removes these without a notification, and the mirror has them until the next
//! `Resync`; routing daemons delete the routes first.

use std::fmt;
use std::io;
use std::net::IpAddr;

use engine::PortId;
use engine::fib::FibChange;
use tokio::sync::mpsc;

mod limits;
mod resolver;
mod socket;
mod task;
mod translate;
mod view;

use limits::{ASKS_MAX, UPDATES_MAX};
use task::Task;

/// The handle of a running mirror, whose task ends when this or the receiver is dropped.
#[derive(Debug)]
pub struct Mirror {
    asks: mpsc::Sender<(PortId, IpAddr)>,
}

impl Mirror {
    /// Subscribes to the kernel's notifications in the network namespace of the calling thread,
    /// dumps everything, and starts a task that follows. The first update is a
    /// [`Update::Resync`]. The sockets stay in that namespace wherever the task runs.
    ///
    /// An interface that is not there is no error: its port is without one until it appears.
    ///
    /// # Errors
    /// [`MirrorError`]; nothing is left running then.
    pub async fn start(
        ports: Vec<MirrorPort>,
    ) -> Result<(Self, mpsc::Receiver<Update>), MirrorError> {
        let (asks, asked) = mpsc::channel(ASKS_MAX);
        let (updates, receiver) = mpsc::channel(UPDATES_MAX);
        let (task, first) = Task::new(ports, updates, asked).await?;
        tokio::spawn(task.run(first));
        Ok((Self { asks }, receiver))
    }

    /// Asks the kernel to resolve a neighbour, or to verify a stale one; the answer comes as a
    /// `NeighbourSet` or `NeighbourLost`. Never blocks. The kernel is asked at most once a second
    /// for the same neighbour, so this may be called per packet; when too many requests wait, this
    /// one is dropped.
    pub fn resolve(&self, port: PortId, address: IpAddr) {
        // Full: see ASKS_MAX. Closed: the receiver of the updates is told by their end.
        let _ = self.asks.try_send((port, address));
    }
}

/// A port and the interface it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MirrorPort {
    /// The port's number in the engines.
    pub id: PortId,
    /// The interface's name, for instance `eth0`; alternative names are not looked at.
    pub interface: String,
    /// The port's routing domain.
    pub domain: u16,
}

/// What the mirror reports, in the order it has to be carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Update {
    /// Everything from the start: at first, after lost notifications, and when the kernel may have
    /// changed routes without notifications.
    Resync {
        /// Begins with `Flush`.
        changes: Vec<FibChange>,
        /// One per configured port, in the order of the configuration. What differs from the last
        /// report was reported by [`Update::Link`] just before (but for the first time).
        links: Vec<LinkState>,
        /// As in [`Update::HostAddresses`].
        host_addresses: Vec<(u16, IpAddr)>,
    },
    /// Changes of addresses, routes and neighbours; never empty.
    Changes(Vec<FibChange>),
    /// An interface of a port appeared, disappeared, or changed.
    Link(LinkState),
    /// All (domain, address) that are the host's own: of the ports, with the broadcast addresses of
    /// their IPv4 networks, and in every domain those of the loopback interface. Sorted, once each.
    HostAddresses(Vec<(u16, IpAddr)>),
}

/// The interface of a port, as the kernel shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkState {
    /// The port.
    pub port: PortId,
    /// Index of its interface; `None` if there is none, and then everything below is 0 or false.
    pub ifindex: Option<u32>,
    /// Set up by the administrator, and with a carrier.
    pub up: bool,
    /// Link-layer address; 0 for an interface without one of six bytes.
    pub mac: [u8; 6],
    /// Bytes of network-layer packet that fit a frame.
    pub mtu: u32,
    /// Receive queues (`IFLA_NUM_RX_QUEUES`): those the device can have, of which
    /// `ethtool -L` may use fewer.
    pub queues: u16,
}

/// Why the mirror cannot start.
#[derive(Debug)]
pub enum MirrorError {
    /// A netlink socket cannot be made or bound to the notifications.
    Socket(io::Error),
    /// A netlink socket cannot be written to or read.
    Transfer(io::Error),
    /// The kernel refuses a request.
    Refused {
        /// What was asked.
        what: &'static str,
        /// The kernel's answer.
        error: io::Error,
    },
    /// The kernel does not answer a request.
    Silent {
        /// What was asked.
        what: &'static str,
    },
}

impl fmt::Display for MirrorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(error) => write!(f, "no netlink socket: {error}"),
            Self::Transfer(error) => write!(f, "netlink: {error}"),
            Self::Refused { what, error } => write!(f, "the kernel refuses to {what}: {error}"),
            Self::Silent { what } => write!(f, "the kernel does not answer to {what}"),
        }
    }
}

impl std::error::Error for MirrorError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Socket(error) | Self::Transfer(error) | Self::Refused { error, .. } => {
                Some(error)
            }
            Self::Silent { .. } => None,
        }
    }
}
