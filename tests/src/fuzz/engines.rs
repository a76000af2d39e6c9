//! The engine that sequences and `explain` bodies are put to: two routed ports, a wire of two more,
//! routes, neighbours, and policies that differ in what matters to live sessions.

use std::sync::{Arc, LazyLock};

use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::policy::Policy;
use engine::{Checksum, Engine, Mode, Port, PortId, Settings, WorkerId};
use wire::Time;

pub(super) const START: Time = Time::from_secs(1_000);
pub(super) const PORTS: [&str; 4] = ["a", "b", "x", "y"];
/// The MAC addresses of the ports.
pub(super) const MACS: [[u8; 6]; 4] =
    [[2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2], [2, 0, 0, 0, 0, 3], [2, 0, 0, 0, 0, 4]];

/// Small, so that a sequence fills the table.
const SESSIONS: u32 = 16;

/// Permissive; strict, without UDP and with another order of zones; with every action, and `keep`
/// and `kill` of live sessions; nothing at all.
const RULES: [&str; 4] = [
    r#"
[zones]
in = ["a", "x"]
out = ["b", "y"]
[[rule]]
id = "all"
from = "in"
to = "out"
action = "permit"
[[rule]]
id = "ping"
from = "out"
to = "in"
service = ["icmp/echo-request", "udp/53"]
action = "permit"
"#,
    r#"
[zones]
out = ["b"]
in = ["a"]
wire = ["x", "y"]
[[rule]]
id = "all"
from = "in"
to = "out"
service = ["tcp/1-65535"]
action = "permit"
[[rule]]
id = "never"
from = "in"
to = "out"
service = ["udp/1-65535"]
action = "reject"
[integrity]
tcp-window = "off"
[timeouts]
fragment = "2s"
"#,
    r#"
[zones]
in = ["a", "x"]
out = ["b", "y"]
[addresses]
some = ["10.0.0.0/31", "fd00:a::/126"]
[[rule]]
id = "kept"
from = "in"
to = "out"
source = ["some"]
service = ["tcp/443"]
action = "permit"
on-change = "keep"
log = ["open", "close"]
[[rule]]
id = "all"
from = "in"
to = "out"
action = "permit"
on-change = "kill"
[[rule]]
id = "no"
from = "out"
to = "in"
action = "deny"
"#,
    "[zones]\nin = [\"a\"]\n",
];

static POLICIES: LazyLock<Vec<config::Policy>> = LazyLock::new(|| {
    let mut no_lists = |_: &str| Err("no lists".to_owned());
    let mut parse = |text: &&str| {
        let parsed = config::parse_policy("fuzz", text, &mut no_lists);
        parsed.unwrap_or_else(|errors| panic!("{errors:?}")).value
    };
    RULES.iter().map(&mut parse).collect()
});

/// One of the policies.
pub(super) fn policy(which: u8, epoch: u64) -> Arc<Policy> {
    let policy = &POLICIES[usize::from(which) % POLICIES.len()];
    Arc::new(Policy::compile(policy, epoch, &PORTS).expect("the policies compile"))
}

/// An engine with routes and the first policy.
pub(super) fn engine() -> Engine {
    let modes = [Mode::Routed, Mode::Routed, Mode::Wire(PortId(3)), Mode::Wire(PortId(2))];
    let port = |((name, mac), mode): ((&str, [u8; 6]), Mode)| Port {
        name: name.to_owned(),
        domain: u16::from(mode != Mode::Routed),
        mode,
        mac,
        mtu: 1_500,
        checksum: Checksum::Verify,
        up: true,
    };
    let settings = Settings {
        worker: WorkerId(0),
        node: 1,
        boot: 1,
        seed: [3, 4],
        secret: [1, 2],
        sessions: SESSIONS,
        ports: PORTS.into_iter().zip(MACS).zip(modes).map(port).collect(),
    };
    let mut engine = Engine::new(settings, START);
    engine.apply(&routes());
    engine.set_policy(policy(0, 1));
    engine
}

fn routes() -> Vec<FibChange> {
    let own = |port, addresses: [&str; 2]| FibChange::PortAddresses {
        port: PortId(port),
        addresses: addresses.map(|it| it.parse().expect("a network")).to_vec(),
    };
    vec![
        own(0, ["192.0.2.2/25", "fd00:a::ffff/64"]),
        own(1, ["192.0.2.130/25", "fd00:b::ffff/64"]),
        route("10.0.0.0/8", 0, "192.0.2.1"),
        route("198.18.0.0/15", 1, "192.0.2.129"),
        route("fd00:a::/32", 0, "192.0.2.1"),
        route("fd00:b::/32", 1, "192.0.2.129"),
        neighbour(0, "192.0.2.1", 9),
        neighbour(1, "192.0.2.129", 9),
    ]
}

fn route(prefix: &str, port: u16, gateway: &str) -> FibChange {
    let gateway = Some(gateway.parse().expect("an address"));
    let kind = RouteKind::Unicast(NextHops::one(PortId(port), gateway));
    let prefix = prefix.parse().expect("a prefix");
    FibChange::RouteSet { domain: 0, prefix, route: Route { metric: 0, kind } }
}

fn neighbour(port: u16, address: &str, last: u8) -> FibChange {
    let (mac, state) = ([2, 0, 0, 0, 9, last], NeighbourState::Permanent);
    let address = address.parse().expect("an address");
    FibChange::NeighbourSet { port: PortId(port), address, mac, state }
}

/// Something that the kernel may say about routes and neighbours.
pub(super) fn change(which: u8) -> FibChange {
    let to = "198.18.0.0/15".parse().expect("a prefix");
    let metric = 0;
    match which % 10 {
        0 => neighbour(1, "192.0.2.129", which / 10),
        1 => neighbour(0, "192.0.2.1", which / 10),
        2 => FibChange::NeighbourLost {
            port: PortId(u16::from(which / 10 % 2)),
            address: ["192.0.2.1", "192.0.2.129"][usize::from(which / 10 % 2)]
                .parse()
                .expect("an address"),
        },
        3 => FibChange::RouteDelete { domain: 0, prefix: to, metric, hop: None },
        4 => route("198.18.0.0/15", u16::from(which / 10 % 2), "192.0.2.129"),
        5 => route("10.0.0.0/8", 0, "192.0.2.1"),
        6 => FibChange::PortDown { port: PortId(u16::from(which / 10 % 3)) },
        7 => {
            let kinds = [RouteKind::Blackhole, RouteKind::Unreachable, RouteKind::Prohibit];
            let kind = kinds[usize::from(which / 10 % 3)].clone();
            FibChange::RouteSet { domain: 0, prefix: to, route: Route { metric, kind } }
        }
        8 => FibChange::Flush,
        _ => FibChange::RouteSet {
            domain: 0,
            prefix: to,
            route: Route { metric, kind: RouteKind::Unicast(NextHops::one(PortId(1), None)) },
        },
    }
}

/// Everything that [`Engine`] is told at the start, again.
pub(super) fn dump() -> Vec<FibChange> {
    let mut changes = vec![FibChange::Flush];
    changes.extend(routes());
    changes
}
