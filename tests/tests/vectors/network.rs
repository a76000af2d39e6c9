//! The network that every vector lives in, as `tests/vectors/README.md` tells it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::{Checksum, Mode, Port, PortId};

/// Names of the ports; a port's number is its place here.
const PORTS: [&str; 6] = ["lan", "wan", "dmz", "tap", "left", "right"];

/// Ports with addresses: the first four. The others are the two ends of a wire.
const ROUTED: u16 = 4;

/// The routes that are not those of the ports' own networks.
const ROUTES: [(&str, RouteKind); 3] = [
    ("10.30.0.0/16", RouteKind::Blackhole),
    ("10.31.0.0/16", RouteKind::Unreachable),
    ("10.32.0.0/16", RouteKind::Prohibit),
];

/// The router behind `wan`, and what lies behind it.
const GATEWAY: (IpAddr, &str) = (IpAddr::V4(Ipv4Addr::new(10, 0, 2, 9)), "10.20.0.0/16");

pub(crate) fn port_names() -> &'static [&'static str] {
    &PORTS
}

pub(crate) fn port(name: &str) -> Result<PortId, String> {
    let at = PORTS.iter().position(|port| *port == name);
    at.map(|at| PortId(at as u16)).ok_or(format!("`{name}` is no port"))
}

pub(crate) fn name(port: PortId) -> &'static str {
    PORTS[usize::from(port.0)]
}

/// Whether the port is one end of a wire, which changes nothing in a frame.
pub(crate) fn is_wire(port: PortId) -> bool {
    port.0 >= ROUTED
}

/// The ports as the engine knows them.
pub(crate) fn ports() -> Vec<Port> {
    let port = |(at, name): (u16, &&str)| Port {
        name: (*name).into(),
        domain: 0,
        mode: match at {
            0..ROUTED => Mode::Routed,
            _ => Mode::Wire(PortId(2 * ROUTED + 1 - at)),
        },
        mac: port_mac(PortId(at)),
        mtu: if *name == "dmz" { 1300 } else { 1500 },
        checksum: Checksum::Verify,
        up: true,
    };
    (0..).zip(&PORTS).map(port).collect()
}

/// Link-layer address of one of the firewall's own ports.
pub(crate) fn port_mac(port: PortId) -> [u8; 6] {
    [0x02, 0xff, 0, 0, 0, port.0 as u8]
}

/// Link-layer address that packets from and to `address` have on the wire there.
pub(crate) fn host_mac(address: IpAddr) -> [u8; 6] {
    match address {
        IpAddr::V4(v4) if v4.octets()[1] == 20 => host_mac(GATEWAY.0),
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            [0x02, 0x04, a, b, c, d]
        }
        IpAddr::V6(v6) => {
            let octets = v6.octets();
            [0x02, 0x06, 0, 0, octets[5], octets[15]]
        }
    }
}

/// Addresses, routes and known neighbours, as the mirror of a kernel would report them.
pub(crate) fn changes() -> Vec<FibChange> {
    let mut changes = vec![FibChange::Flush];
    for number in 0..ROUTED {
        let port = PortId(number);
        let (v4, v6) = (own(number, 1), own6(number, 1));
        let networks = [format!("{v4}/24"), format!("{v6}/64")];
        let addresses = networks.iter().map(|it| it.parse().expect("a network")).collect();
        changes.push(FibChange::PortAddresses { port, addresses });
        changes.extend(networks.iter().map(|network| route(network, unicast(port, None))));
        for host in 2..=9 {
            changes.push(neighbour(port, own(number, host)));
            changes.push(neighbour(port, own6(number, host.into())));
        }
    }
    changes.push(route(GATEWAY.1, unicast(PortId(1), Some(GATEWAY.0))));
    changes.extend(ROUTES.map(|(prefix, kind)| route(prefix, kind)));
    changes
}

pub(crate) fn neighbour(port: PortId, address: IpAddr) -> FibChange {
    let state = NeighbourState::Reachable;
    FibChange::NeighbourSet { port, address, mac: host_mac(address), state }
}

fn own(port: u16, host: u8) -> IpAddr {
    Ipv4Addr::new(10, 0, port as u8 + 1, host).into()
}

fn own6(port: u16, host: u16) -> IpAddr {
    Ipv6Addr::new(0x2001, 0xdb8, port + 1, 0, 0, 0, 0, host).into()
}

fn unicast(port: PortId, gateway: Option<IpAddr>) -> RouteKind {
    RouteKind::Unicast(NextHops::one(port, gateway))
}

fn route(prefix: &str, kind: RouteKind) -> FibChange {
    let prefix = prefix.parse().expect("a prefix");
    FibChange::RouteSet { domain: 0, prefix, route: Route { metric: 0, kind } }
}
