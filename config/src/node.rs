//! The node file as the daemon uses it: one machine's ports, sizes and places.

use core::fmt;
use core::net::{IpAddr, SocketAddr};

use serde::Serialize;

use crate::Access;

/// One machine: everything that is not policy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Node {
    /// Number of the node in its cluster, from 1.
    pub id: u16,
    /// Name of the node in logs and metrics.
    pub name: String,
    /// Directory of everything the node keeps.
    pub data_dir: String,
    /// Packet workers: one pinned thread each.
    pub workers: u16,
    /// The core of each worker. `None`: the cores that the daemon may use, in their order, if there are
    /// enough. Empty: workers are bound to none.
    pub cores: Option<Vec<u16>>,
    /// What the XDP program does when the daemon stops on purpose.
    pub on_exit: OnExit,
    /// Directory in a bpffs where the XDP links and maps are pinned.
    pub bpf_dir: String,
    /// Sessions of the whole node, divided among its workers.
    pub sessions: u32,
    /// Bytes of a UMEM frame: 2048 or 4096.
    pub frame_size: u32,
    /// UMEM frames of each worker.
    pub frames: u32,
    /// Allows planted failures through the API. For tests, so not in the examples.
    pub failpoints: bool,
    /// Ports, in the order of the file.
    pub ports: Vec<Port>,
    /// Pairs of ports that form a bump in the wire. A port in none of them is routed.
    pub wires: Vec<Wire>,
    /// Where the other nodes are, if there are any.
    pub cluster: Option<Cluster>,
    /// The network between the nodes.
    pub fabric: Option<Fabric>,
    /// Addresses that move from node to node.
    pub vips: Vec<Vip>,
    /// Neighbours without which the node is less fit to have them.
    pub targets: Vec<Target>,
    /// Operator's API.
    pub api: Api,
    /// Prometheus endpoint, if there is one.
    pub metrics: Option<Metrics>,
    /// The daemon's log.
    pub log: Log,
    /// Where events go besides.
    pub syslog: Vec<Syslog>,
}

impl Node {
    /// Index of the port named `name`.
    pub fn port(&self, name: &str) -> Option<usize> {
        self.ports.iter().position(|port| port.name == name)
    }

    /// Index of the port at the other end of the wire of port `port`; `None` if it is routed.
    pub fn wire_peer(&self, port: usize) -> Option<usize> {
        self.wires.iter().find_map(|wire| wire.peer(port))
    }
}

/// A network interface given to the datapath.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// Name the policy's zones use, unique in the node.
    pub name: String,
    /// Interface of the kernel, unique in the node.
    pub interface: String,
    /// Routing domain: addresses of different domains never mix.
    pub domain: u16,
    /// What to do about transport checksums of received frames.
    pub checksum: Checksum,
    /// Receive queues to serve; `None` means all the interface has.
    pub queues: Option<u16>,
    /// Microseconds of busy polling; `None` means the kernel's interrupts do it.
    pub busy_poll: Option<u32>,
    /// Zero copy where the driver has it, or never.
    pub zero_copy: ZeroCopy,
}

/// Two ports, by index, whose frames go from one to the other unrouted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Wire {
    /// Index of one port.
    pub a: usize,
    /// Index of the other.
    pub b: usize,
}

impl Wire {
    /// The other end, if `port` is an end of this wire.
    pub fn peer(&self, port: usize) -> Option<usize> {
        match port {
            _ if port == self.a => Some(self.b),
            _ if port == self.b => Some(self.a),
            _ => None,
        }
    }
}

/// Where a node and its peers listen. Only addresses: trust comes from `cluster init` and `join`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Cluster {
    /// Where this node listens for its peers.
    pub listen: SocketAddr,
    /// Where its peers do.
    pub peers: Vec<SocketAddr>,
    /// How slots are given to nodes. Counts at `cluster init` only.
    pub placement: Placement,
    /// What becomes of a packet that waits for the peer, and is not confirmed in time.
    pub unconfirmed: Unconfirmed,
}

/// What becomes of packets under a rule with `replication = "sync"` that the peer does not confirm
/// within 20 ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unconfirmed {
    /// They leave without: a slow peer costs no connection.
    #[default]
    Forward,
    /// They are dropped: no connection begins that a takeover would lose.
    Drop,
}

impl Unconfirmed {
    /// As in the node file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Forward => "forward",
            Self::Drop => "drop",
        }
    }
}

/// How slots are given to nodes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Placement {
    /// All of them to the node that has the addresses.
    #[default]
    Vip,
    /// Spread over all nodes.
    Hash,
}

/// The network between the nodes of a cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fabric {
    /// Interface of the kernel; no port.
    pub interface: String,
    /// UDP port of packets that belong to another node.
    pub geneve_port: u16,
    /// UDP port of heartbeats.
    pub heartbeat_port: u16,
}

/// An address that moves from node to node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Vip {
    /// The group that moves together.
    pub group: String,
    /// Index of the port that has it.
    pub port: usize,
    /// The address.
    pub address: IpAddr,
    /// Length of its network's prefix.
    pub length: u8,
    /// This node's rank in the group; the highest that is fit has it.
    pub rank: u8,
}

/// A neighbour that a node must reach to be fit: a router behind one of its ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// Index of the port that it is behind, on the same segment.
    pub port: usize,
    /// Its address.
    pub address: IpAddr,
}

/// What a node does with transit traffic after a regular stop.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnExit {
    /// The XDP program stays and drops transit.
    #[default]
    Closed,
    /// The XDP program is removed; the kernel does as it is set.
    Open,
}

/// What to do about transport checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Checksum {
    /// Verify them; a wrong one is a drop.
    #[default]
    Verify,
    /// Take them as they are, and complete the ones a local sender left to hardware.
    Trust,
}

/// Whether AF_XDP binds in zero-copy mode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ZeroCopy {
    /// Zero copy where the driver has it, else copy.
    #[default]
    Auto,
    /// Always copy.
    Off,
}

/// The operator's HTTP API.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Api {
    /// Path of the Unix socket.
    pub socket: String,
    /// The group whose members may connect; `None`: only the daemon's own user and root.
    pub group: Option<String>,
    /// Where other machines reach it, if they do.
    pub remote: Option<Remote>,
    /// Who may do what.
    pub access: Access,
}

/// The API for other machines: TLS, for clients with a certificate or a token. The paths name PEM files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Remote {
    /// Address and port to listen on.
    pub listen: SocketAddr,
    /// The node's certificate, and those between it and its authority.
    pub certificate: String,
    /// Its private key.
    pub key: String,
    /// The authorities whose certificates clients may show; `None`: no certificate counts.
    pub client_ca: Option<String>,
    /// The names and hashes of tokens; `None`: no token counts.
    pub tokens: Option<String>,
}

/// The Prometheus endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Metrics {
    /// Address and port to listen on.
    pub listen: SocketAddr,
}

/// Where the daemon's log goes and what it looks like.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Log {
    /// Lines for people or for machines.
    pub format: LogFormat,
    /// File to append to; `None` means standard error.
    pub file: Option<String>,
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// One readable line.
    #[default]
    Text,
    /// One JSON object per line.
    Json,
}

/// A receiver of events, in the form of RFC 5424.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Syslog {
    /// Where it is.
    pub to: Receiver,
    /// What kind of program the node is to it.
    pub facility: Facility,
    /// What it is told of, each once.
    pub events: Vec<EventClass>,
    /// The private enterprise number behind the name of structured data.
    pub enterprise: u32,
}

/// Where a receiver of events is, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub enum Receiver {
    /// A Unix datagram socket: a message each datagram.
    Unix(String),
    /// The same by UDP (RFC 5426).
    Udp(SocketAddr),
    /// TCP, with the octets of each message counted (RFC 6587 §3.4.1).
    Tcp(SocketAddr),
}

impl fmt::Display for Receiver {
    /// As in the node file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix:{path}"),
            Self::Udp(address) => write!(f, "udp:{address}"),
            Self::Tcp(address) => write!(f, "tcp:{address}"),
        }
    }
}

/// A facility of RFC 5424 §6.2.1 that a program like this may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Facility {
    /// 3: a system daemon.
    #[default]
    Daemon,
    /// 4: security.
    Auth,
    /// 10: security, for few eyes.
    Authpriv,
    /// 16.
    Local0,
    /// 17.
    Local1,
    /// 18.
    Local2,
    /// 19.
    Local3,
    /// 20.
    Local4,
    /// 21.
    Local5,
    /// 22.
    Local6,
    /// 23.
    Local7,
}

impl Facility {
    /// Its number.
    pub const fn number(self) -> u8 {
        match self {
            Self::Daemon => 3,
            Self::Auth => 4,
            Self::Authpriv => 10,
            Self::Local0 => 16,
            Self::Local1 => 17,
            Self::Local2 => 18,
            Self::Local3 => 19,
            Self::Local4 => 20,
            Self::Local5 => 21,
            Self::Local6 => 22,
            Self::Local7 => 23,
        }
    }
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum EventClass {
    /// Attacks that begin, go on, end; sources that are blocked.
    Attacks,
    /// Sessions and packets under a rule that logs them.
    Sessions,
    /// The policy, and how the nodes agree on it.
    Policy,
    /// The daemon, its ports, its cluster.
    Node,
}
