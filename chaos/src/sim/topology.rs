//! Who stands where, and under which policy.
//!
//! ```text
//!   hosts 10.1.0.10 …  ── lan ──┬── node 1 ──┬── wan ──  hosts 10.2.0.10 …
//!   2001:db8:1::a …             └── node 2 ──┘           2001:db8:2::a …
//!                                 │ fabric │
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use cluster_core::membership::{Alone, Config, Kind, PathId, PeerConfig, PolicyGuard, Timing, Vip};
use cluster_core::replication::Settings as Stream;
use cluster_core::{Boot, NodeId, Term};
use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::policy::Policy;
use engine::{Checksum, Engine, Mode, Port, PortId, Settings, WorkerId};
use wire::Time;

use super::planted::Planted;
use crate::limits::SESSIONS;

/// What a run is told.
#[derive(Clone, Copy, Debug)]
pub struct Sim {
    /// What everything follows from.
    pub seed: u64,
    /// Virtual seconds.
    pub seconds: u64,
    /// A mistake made on purpose.
    pub planted: Planted,
    /// Whether every event is kept as a line.
    pub log_all: bool,
}

impl Sim {
    /// A run of `seconds` from `seed`.
    #[must_use]
    pub const fn new(seed: u64, seconds: u64) -> Self {
        Self { seed, seconds, planted: Planted::Nothing, log_all: false }
    }
}

/// The wire between the two nodes alone.
pub(crate) const FABRIC: PathId = PathId(0);
/// Number of segments: fabric, LAN, WAN.
pub(crate) const SEGMENTS: usize = 3;
/// The cluster's secret: places flows into slots.
const SECRET: [u64; 2] = [0x7269_6e67, 0x7761_6c6c];

/// The segment of a port; heartbeats' paths are numbered alike.
pub(crate) const fn segment_of(port: PortId) -> usize {
    port.0 as usize + 1
}

/// The port on a data segment.
pub(crate) const fn port_of(segment: usize) -> PortId {
    PortId(segment as u16 - 1)
}

pub(crate) const fn node_id(index: usize) -> NodeId {
    NodeId(index as u16 + 1)
}

/// The address of host `number` at `side` (0: LAN, 1: WAN).
pub(crate) fn host_address(side: usize, number: usize, v6: bool) -> IpAddr {
    let (net, host) = (side as u8 + 1, number as u8 + 10);
    match v6 {
        false => IpAddr::V4(Ipv4Addr::new(10, net, 0, host)),
        true => {
            let (net, host) = (u16::from(net), u16::from(host));
            IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, net, 0, 0, 0, 0, host))
        }
    }
}

/// A host's link-layer address.
pub(crate) const fn host_mac(side: usize, number: usize) -> [u8; 6] {
    [2, 0, 0, 1, side as u8, number as u8]
}

/// A node's link-layer address on a port.
pub(crate) const fn node_mac(index: usize, port: PortId) -> [u8; 6] {
    [2, 0, 0, 0, index as u8, port.0 as u8]
}

/// The number of a host with this address.
pub(crate) fn host_number(address: IpAddr) -> Option<usize> {
    let last = match address {
        IpAddr::V4(address) => u16::from(address.octets()[3]),
        IpAddr::V6(address) => address.segments()[7],
    };
    usize::from(last).checked_sub(10)
}

/// The neighbour that the kernel finds.
pub(crate) fn neighbour(port: PortId, address: IpAddr) -> Option<FibChange> {
    let mac = host_mac(usize::from(port.0), host_number(address)?);
    Some(FibChange::NeighbourSet { port, address, mac, state: NeighbourState::Reachable })
}

fn surroundings(port: PortId) -> Vec<FibChange> {
    let net = port.0 + 1;
    let prefixes = [format!("10.{net}.0.0/24"), format!("2001:db8:{net}::/64")];
    let kind = RouteKind::Unicast(NextHops::one(port, None));
    let route = Route { metric: 0, kind };
    let set = |prefix: &String| {
        let prefix = prefix.parse().expect("a prefix");
        FibChange::RouteSet { domain: 0, prefix, route: route.clone() }
    };
    prefixes.iter().map(set).collect()
}

/// The engine of a node that has just started: a backup, as long as nobody says otherwise.
pub(crate) fn engine(sim: &Sim, index: usize, boot: Boot, now: Time) -> Engine {
    let port = |number: u16, name: &str| Port {
        name: name.to_owned(),
        domain: 0,
        mode: Mode::Routed,
        mac: node_mac(index, PortId(number)),
        mtu: 1_500,
        checksum: Checksum::Verify,
        up: true,
    };
    let settings = Settings {
        worker: WorkerId(0),
        node: node_id(index).0,
        boot: boot.0,
        seed: [sim.seed, index as u64 + 1],
        secret: SECRET,
        sessions: SESSIONS,
        ports: vec![port(0, "lan0"), port(1, "wan0")],
    };
    let mut engine = Engine::new(settings, now);
    engine.stand_down();
    let changes: Vec<FibChange> =
        [PortId(0), PortId(1)].into_iter().flat_map(surroundings).collect();
    engine.apply(&changes);
    engine
}

/// The replication of a node that has just started.
pub(crate) fn stream(sim: &Sim, index: usize, boot: Boot, term: Term) -> Stream {
    let seed = sim.seed ^ u64::from(boot.0) << 32 ^ index as u64;
    let (node, peer) = (node_id(index), node_id(1 - index));
    Stream { term, ..Stream::new(node, boot, peer, 0, SESSIONS, seed) }
}

/// The membership of a node. The first has the better rank.
pub(crate) fn member(index: usize) -> Config {
    let paths = (0..SEGMENTS as u8).map(PathId).collect();
    let vip = |port: u16, address: &str, prefix| Vip {
        port: PortId(port),
        address: address.parse().expect("an address"),
        prefix,
    };
    Config {
        node: node_id(index),
        kind: Kind::Firewall,
        rank: 200 - index as u16,
        preempt: false,
        alone: Alone::Forward,
        guard: PolicyGuard::Digest,
        list: 0,
        earlier: Vec::new(),
        peers: vec![PeerConfig { node: node_id(1 - index), kind: Kind::Firewall, paths }],
        vips: vec![vip(0, "10.1.0.1", 24), vip(1, "10.2.0.1", 24)],
        timing: Timing::default(),
        secret: [7; 32],
    }
}

/// The how-manieth policy is in force. The odd ones permit one service that the even ones do not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Revision(pub(crate) u32);

impl Revision {
    #[expect(non_upper_case_globals, reason = "reads like the variant that it is")]
    pub(crate) const First: Self = Self(1);

    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    pub(crate) const fn permits_the_sometimes_denied(self) -> bool {
        self.0 % 2 == 1
    }

    /// What heartbeats tell of it.
    pub(crate) const fn digest(self) -> [u8; 16] {
        (self.0 as u128).to_be_bytes()
    }

    pub(crate) fn policy(self) -> Arc<Policy> {
        let more = if self.permits_the_sometimes_denied() { SOMETIMES } else { "" };
        let text = format!("{RULES}{more}{SHARED_BY_ALL}");
        let compiled = Policy::from_text(&text, u64::from(self.0), &["lan0", "wan0"]);
        Arc::new(compiled.expect("the policy is right"))
    }
}

/// Services, by port.
pub(crate) mod service {
    /// TCP from LAN to WAN.
    pub(crate) const WEB: u16 = 80;
    /// TCP from WAN to LAN.
    pub(crate) const MAIL: u16 = 25;
    /// UDP from LAN to WAN, held for the backup.
    pub(crate) const ECHO: u16 = 7;
    /// UDP from LAN to WAN, not held.
    pub(crate) const HASTY: u16 = 9;
    /// UDP from LAN to WAN, under every other policy.
    pub(crate) const SOMETIMES: u16 = 777;
    /// TCP and UDP, under no policy.
    pub(crate) const NEVER: u16 = 23;
    /// TCP and UDP from LAN to WAN, with a translated source: the flow's number is added, since its client's
    /// port does not tell the server who it is.
    pub(crate) const SHARED: u16 = 30_000;
}

/// Whether an address is of the pool that sources are translated to.
pub(crate) fn is_public(address: IpAddr) -> bool {
    let pool = [IpAddr::from([10, 2, 0, 200]), IpAddr::from([0x2001, 0xdb8, 2, 0, 0, 0, 0, 200])];
    pool.contains(&address)
}

const RULES: &str = r#"
[zones]
lan = ["lan0"]
wan = ["wan0"]
[[rule]]
id = "out"
from = "lan"
to = "wan"
service = ["tcp/80", "udp/7", "tcp/30000-39999", "udp/30000-39999"]
action = "permit"
[[rule]]
id = "hasty"
from = "lan"
to = "wan"
service = ["udp/9"]
action = "permit"
replication = "async"
[[rule]]
id = "in"
from = "wan"
to = "lan"
service = ["tcp/25"]
action = "permit"
"#;

/// One public address of each family: all translated flows share its ports.
const SHARED_BY_ALL: &str = r#"
[[nat-pool]]
name = "public"
addresses = ["10.2.0.200", "2001:db8:2::c8"]
[[nat]]
id = "shared"
type = "source"
from = "lan"
to = "wan"
service = ["tcp/30000-39999", "udp/30000-39999"]
translate = "pool:public"
"#;

const SOMETIMES: &str = r#"
[[rule]]
id = "sometimes"
from = "lan"
to = "wan"
service = ["udp/777"]
action = "permit"
"#;
