//! The mirror against the real kernel, in namespaces of its own. Without root these are skipped,
//! with a line that says so, unless `RINGWALL_REQUIRE_ALL=1` makes a skip a failure.
//!
//! What is expected is expected of an engine's tables that follow the updates, so that the tests
//! hold whatever way the kernel words a change.
#![allow(clippy::unwrap_used)]

use std::net::IpAddr;
use std::time::Duration;

use engine::PortId;
use engine::fib::{Fib, FibChange, Hop, Lookup, NeighbourState};
use futures_util::StreamExt;
use ipnet::IpNet;
use netns::{End, Namespace, VethOptions, available, veth, wait_ready};
use ringwall_actors::mirror::{LinkState, Mirror, MirrorPort, Update};
use rtnetlink::packet_core::{
    NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, NLM_F_REQUEST,
    NetlinkMessage, NetlinkPayload,
};
use rtnetlink::packet_route::neighbour::NeighbourMessage;
use rtnetlink::packet_route::route::{
    RouteAttribute, RouteHeader, RouteMessage, RouteNextHop, RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

const PATIENCE: Duration = Duration::from_secs(15);
const LEFT: PortId = PortId(0);
const RIGHT: PortId = PortId(1);
const AWAY: PortId = PortId(2);
const NEW: u16 = NLM_F_CREATE | NLM_F_EXCL;

/// A router with the ports `left` and `right` of domain 0, and a namespace that both lead to.
struct Net {
    router: Namespace,
    peer: Namespace,
}

impl Net {
    fn new() -> Option<Self> {
        if let Err(reason) = available() {
            assert!(std::env::var_os("RINGWALL_REQUIRE_ALL").is_none(), "{reason}");
            eprintln!("skipped: {reason}");
            return None;
        }
        let router = Namespace::new("mirror").unwrap();
        let peer = Namespace::new("mirror").unwrap();
        let net = Self { router, peer };
        net.connect(
            "left",
            "peer-left",
            ["10.0.0.1/24", "fd00::1/64"],
            ["10.0.0.2/24", "fd00::2/64"],
        );
        net.connect(
            "right",
            "peer-right",
            ["10.1.0.1/24", "fd01::1/64"],
            ["10.1.0.2/24", "fd01::2/64"],
        );
        Some(net)
    }

    fn connect(&self, port: &str, other: &str, own: [&str; 2], peers: [&str; 2]) {
        let ends = [End::new(&self.router, port), End::new(&self.peer, other)];
        veth(ends[0], ends[1], &VethOptions { queues: 2, ..VethOptions::default() }).unwrap();
        own.iter().for_each(|address| self.router.add_address(port, address).unwrap());
        peers.iter().for_each(|address| self.peer.add_address(other, address).unwrap());
        wait_ready(&[(&self.router, port), (&self.peer, other)]).unwrap();
    }

    /// Runs a test on a thread inside the router, with a mirror.
    fn run(&self, test: impl AsyncFnOnce(&Self, &mut Followed) + Send) {
        self.router.run(|| {
            let mut runtime = tokio::runtime::Builder::new_current_thread();
            runtime.enable_all().build().unwrap().block_on(async {
                test(self, &mut Followed::start().await).await;
            });
        });
    }

    fn index(&self, port: &str) -> u32 {
        self.router.link(port).unwrap().index
    }
}

/// The tables that the updates make.
struct Followed {
    mirror: Mirror,
    updates: mpsc::Receiver<Update>,
    fib: Fib,
    links: Vec<LinkState>,
    host_addresses: Vec<(u16, IpAddr)>,
    resyncs: usize,
    lost: Vec<IpAddr>,
    handle: rtnetlink::Handle,
}

impl Followed {
    async fn start() -> Self {
        let port = |(id, interface, domain): (PortId, &str, u16)| MirrorPort {
            id,
            interface: interface.to_owned(),
            domain,
        };
        let ports = [(LEFT, "left", 0), (RIGHT, "right", 0), (AWAY, "away", 7)].map(port);
        let (mirror, updates) = Mirror::start(ports.to_vec()).await.unwrap();
        let (connection, handle, _) = rtnetlink::new_connection().unwrap();
        tokio::spawn(connection);
        let (links, host_addresses, lost) = (Vec::new(), Vec::new(), Vec::new());
        let fib = Fib::new(&[0, 0, 7], 42);
        let mut this =
            Self { mirror, updates, fib, links, host_addresses, resyncs: 0, lost, handle };
        let first = this.updates.recv().await.unwrap();
        assert!(matches!(first, Update::Resync { .. }), "{first:?}");
        this.take(first);
        this
    }

    fn take(&mut self, update: Update) {
        match update {
            Update::Resync { changes, links, host_addresses } => {
                assert_eq!(changes.first(), Some(&FibChange::Flush));
                if self.resyncs > 0 {
                    assert_eq!(self.links, links, "links are told before");
                }
                self.apply(&changes);
                self.resyncs += 1;
                self.links = links;
                self.host_addresses = host_addresses;
            }
            Update::Changes(changes) => {
                assert!(!changes.is_empty());
                self.apply(&changes);
            }
            Update::Link(link) => {
                let at = link.port.index();
                assert_ne!(self.links[at], link);
                self.links[at] = link;
            }
            Update::HostAddresses(addresses) => {
                assert_ne!(self.host_addresses, addresses);
                self.host_addresses = addresses;
            }
        }
    }

    fn apply(&mut self, changes: &[FibChange]) {
        for change in changes {
            self.fib.apply(change);
            if let FibChange::NeighbourLost { address, .. } = change {
                self.lost.push(*address);
            }
        }
    }

    /// Follows the updates until `done`.
    async fn until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !done(self) {
            let update = timeout_at(deadline, self.updates.recv()).await;
            let update = update.unwrap_or_else(|_| panic!("{what}: not within {PATIENCE:?}"));
            self.take(update.expect("the mirror lives"));
        }
    }

    /// Where packets to `destination` may go, over all flows.
    fn ways(&self, destination: &str) -> Vec<Lookup> {
        let mut ways = Vec::new();
        for hash in (0..256).map(|step| step << 24) {
            let way = self.fib.lookup(0, address(destination), hash);
            if !ways.contains(&way) {
                ways.push(way);
            }
        }
        ways
    }

    async fn until_way(&mut self, destination: &str, way: Lookup) {
        self.until_ways(destination, &[way]).await;
    }

    async fn until_ways(&mut self, destination: &str, ways: &[Lookup]) {
        let same = |found: Vec<Lookup>| {
            found.len() == ways.len() && ways.iter().all(|way| found.contains(way))
        };
        let what = format!("{destination} by {ways:?}");
        self.until(&what, |this| same(this.ways(destination))).await;
    }

    fn mac(&self, port: PortId, of: &str) -> Option<[u8; 6]> {
        self.fib.resolve(port, address(of))
    }

    async fn add(&self, route: RouteMessage, flags: u16) {
        self.request(RouteNetlinkMessage::NewRoute(route), flags).await;
    }

    async fn delete(&self, route: RouteMessage) {
        self.request(RouteNetlinkMessage::DelRoute(route), 0).await;
    }

    async fn request(&self, request: RouteNetlinkMessage, flags: u16) {
        let mut message = NetlinkMessage::from(request);
        message.header.flags = NLM_F_REQUEST | NLM_F_ACK | flags;
        let mut answers = self.handle.clone().request(message).unwrap();
        while let Some(answer) = answers.next().await {
            if let NetlinkPayload::Error(error) = answer.payload {
                assert!(error.code.is_none(), "{}", error.to_io());
            }
        }
    }

    /// The kernel's own neighbours, as (address, message).
    async fn kernel_neighbours(&self) -> Vec<NeighbourMessage> {
        let mut stream = self.handle.neighbours().get().execute();
        let mut all = Vec::new();
        while let Some(message) = stream.next().await {
            all.push(message.unwrap());
        }
        all
    }
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn by(port: PortId, next: &str) -> Lookup {
    Lookup::Hop(Hop { port, next: address(next) })
}

fn route(prefix: &str, kind: RouteType, attributes: Vec<RouteAttribute>) -> RouteMessage {
    let prefix: IpNet = prefix.parse().unwrap();
    let mut route = RouteMessage::default();
    route.header.address_family = match prefix {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    route.header.destination_prefix_length = prefix.prefix_len();
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Static;
    route.header.scope = RouteScope::Universe;
    route.header.kind = kind;
    route.attributes = attributes;
    route.attributes.push(RouteAttribute::Destination(prefix.addr().into()));
    route
}

fn via(prefix: &str, gateway: &str) -> RouteMessage {
    let gateway = RouteAttribute::Gateway(address(gateway).into());
    route(prefix, RouteType::Unicast, vec![gateway])
}

fn multipath(prefix: &str, hops: &[(u32, &str, u8)]) -> RouteMessage {
    let hop = |&(interface, gateway, weight): &(u32, &str, u8)| {
        let mut hop = RouteNextHop::default();
        hop.interface_index = interface;
        hop.hops = weight - 1;
        hop.attributes = vec![RouteAttribute::Gateway(address(gateway).into())];
        hop
    };
    let hops = hops.iter().map(hop).collect();
    route(prefix, RouteType::Unicast, vec![RouteAttribute::MultiPath(hops)])
}

#[test]
fn what_is_there_at_the_start_comes_first() {
    let Some(net) = Net::new() else { return };
    net.router.add_route("192.0.2.0/24", "10.0.0.2").unwrap();
    net.router.add_route("2001:db8::/32", "fd01::2").unwrap();
    net.router.set_neighbour("left", "10.0.0.9", [2, 0, 0, 0, 0, 9]).unwrap();
    net.router.add_address("lo", "198.51.100.1/32").unwrap();
    net.run(async |net, now| {
        assert_eq!(now.resyncs, 1);
        let link = net.router.link("left").unwrap();
        let (ifindex, mac) = (Some(link.index), link.mac);
        let left = LinkState { port: LEFT, ifindex, up: true, mac, mtu: 1500, queues: 2 };
        assert_eq!(now.links[0], left);
        let away =
            LinkState { port: AWAY, ifindex: None, up: false, mac: [0; 6], mtu: 0, queues: 0 };
        assert_eq!((now.links.len(), &now.links[2]), (3, &away));
        assert_eq!(now.ways("192.0.2.1"), [by(LEFT, "10.0.0.2")]);
        assert_eq!(now.ways("2001:db8::1"), [by(RIGHT, "fd01::2")]);
        assert_eq!(now.ways("10.1.0.77"), [by(RIGHT, "10.1.0.77")]);
        assert_eq!(now.ways("10.0.0.1"), [Lookup::Local]);
        assert_eq!(now.ways("10.0.0.255"), [Lookup::Broadcast]);
        assert_eq!(now.ways("203.0.113.1"), [Lookup::NoRoute]);
        assert_eq!(now.mac(LEFT, "10.0.0.9"), Some([2, 0, 0, 0, 0, 9]));
        for own in ["10.0.0.1", "10.0.0.255", "fd00::1", "10.1.0.1", "127.0.0.1", "::1"] {
            assert!(now.host_addresses.contains(&(0, address(own))), "{own}");
        }
        assert!(now.host_addresses.contains(&(7, address("198.51.100.1"))));
        assert!(!now.host_addresses.contains(&(7, address("10.0.0.1"))));
    });
}

#[test]
fn routes_and_neighbours_are_followed() {
    let Some(net) = Net::new() else { return };
    net.run(async |net, now| {
        net.router.add_route("192.0.2.0/24", "10.0.0.2").unwrap();
        now.until_way("192.0.2.1", by(LEFT, "10.0.0.2")).await;
        now.add(via("192.0.2.0/24", "10.1.0.2"), NLM_F_CREATE | NLM_F_REPLACE).await;
        now.until_way("192.0.2.1", by(RIGHT, "10.1.0.2")).await;
        now.add(route("192.0.2.128/25", RouteType::BlackHole, vec![]), NEW).await;
        now.add(route("192.0.2.64/26", RouteType::Prohibit, vec![]), NEW).await;
        now.add(route("2001:db8:9::/48", RouteType::Unreachable, vec![]), NEW).await;
        now.until_way("192.0.2.129", Lookup::Blackhole).await;
        now.until_way("192.0.2.65", Lookup::Prohibit).await;
        now.until_way("2001:db8:9::1", Lookup::Unreachable).await;
        now.delete(route("192.0.2.128/25", RouteType::BlackHole, vec![])).await;
        now.until_way("192.0.2.129", by(RIGHT, "10.1.0.2")).await;
        net.router.delete_route("192.0.2.0/24").unwrap();
        now.until_way("192.0.2.129", Lookup::NoRoute).await;

        net.router.set_neighbour("right", "fd01::9", [2, 0, 0, 0, 0, 9]).unwrap();
        now.until("a neighbour", |now| now.mac(RIGHT, "fd01::9") == Some([2, 0, 0, 0, 0, 9])).await;
        net.router.delete_neighbour("right", "fd01::9").unwrap();
        now.until("its end", |now| now.mac(RIGHT, "fd01::9").is_none()).await;
        assert_eq!(now.resyncs, 1, "all of it was told");
    });
}

#[test]
fn multipath_routes_are_followed_in_both_families() {
    let Some(net) = Net::new() else { return };
    net.run(async |net, now| {
        let (left, right) = (net.index("left"), net.index("right"));
        for (prefix, of, gateways) in [
            ("192.0.2.0/24", "192.0.2.1", ["10.0.0.2", "10.1.0.2"]),
            ("2001:db8::/32", "2001:db8::1", ["fd00::2", "fd01::2"]),
        ] {
            let both = [by(LEFT, gateways[0]), by(RIGHT, gateways[1])];
            let hops = [(left, gateways[0], 3), (right, gateways[1], 1)];
            now.add(multipath(prefix, &hops), NEW).await;
            now.until_ways(of, &both).await;
            let by_left = (0..256u32)
                .filter(|step| now.fib.lookup(0, address(of), step << 24) == both[0])
                .count();
            assert_eq!(by_left, 192, "three of four");
            now.delete(route(prefix, RouteType::Unicast, vec![])).await;
            now.until_way(of, Lookup::NoRoute).await;
        }
        // One next hop after the other, as IPv6 allows.
        now.add(via("2001:db8::/32", "fd00::2"), NEW).await;
        now.add(via("2001:db8::/32", "fd01::2"), NLM_F_CREATE | NLM_F_APPEND).await;
        let both = [by(LEFT, "fd00::2"), by(RIGHT, "fd01::2")];
        now.until_ways("2001:db8::1", &both).await;
        now.delete(via("2001:db8::/32", "fd00::2")).await;
        now.until_way("2001:db8::1", both[1]).await;
        assert_eq!(now.resyncs, 1, "all of it was told");
    });
}

#[test]
fn an_ipv4_route_may_have_an_ipv6_gateway() {
    let Some(net) = Net::new() else { return };
    net.run(async |net, now| {
        let via = RouteAttribute::Via(address("fd00::2").into());
        let attributes = vec![RouteAttribute::Oif(net.index("left")), via];
        now.add(route("192.0.2.0/24", RouteType::Unicast, attributes), NEW).await;
        now.until_way("192.0.2.1", by(LEFT, "fd00::2")).await;
    });
}

#[test]
fn what_the_kernel_does_not_tell_is_found_out() {
    let Some(net) = Net::new() else { return };
    net.run(async |net, now| {
        let (left, right) = (net.index("left"), net.index("right"));
        let both = [by(LEFT, "10.0.0.2"), by(RIGHT, "10.1.0.2")];
        let hops = [(left, "10.0.0.2", 1), (right, "10.1.0.2", 1)];
        now.add(multipath("192.0.2.0/24", &hops), NEW).await;
        now.until_ways("192.0.2.1", &both).await;
        // A next hop dies and revives with its interface.
        net.router.down("left").unwrap();
        now.until_way("192.0.2.1", both[1]).await;
        now.until("a link down", |now| !now.links[0].up).await;
        net.router.up("left").unwrap();
        now.until_ways("192.0.2.1", &both).await;
        assert!(now.links[0].up, "links are told before routes");
        // A route ends with the address that it prefers as its source, wherever that is.
        net.router.add_address("lo", "198.51.100.1/32").unwrap();
        let gateway = RouteAttribute::Gateway(address("10.1.0.2").into());
        let source = RouteAttribute::PrefSource(address("198.51.100.1").into());
        let preferring = route("203.0.113.0/24", RouteType::Unicast, vec![gateway, source]);
        now.add(preferring, NEW).await;
        now.until_way("203.0.113.1", both[1]).await;
        net.router.delete_address("lo", "198.51.100.1/32").unwrap();
        now.until_way("203.0.113.1", Lookup::NoRoute).await;
        // Next hops by an interface die with its last address.
        net.router.delete_address("right", "10.1.0.1/24").unwrap();
        now.until_way("192.0.2.1", both[0]).await;
    });
}

#[test]
fn links_and_addresses_are_followed() {
    let Some(net) = Net::new() else { return };
    net.run(async |net, now| {
        net.router.set_mtu("left", 1400).unwrap();
        now.until("the MTU", |now| now.links[0].mtu == 1400).await;
        net.peer.down("peer-left").unwrap();
        now.until("no carrier", |now| !now.links[0].up).await;
        assert_eq!(now.links[0].ifindex, Some(net.index("left")));
        net.peer.up("peer-left").unwrap();
        now.until("a carrier", |now| now.links[0].up).await;

        let (own, broadcast) = ((0, address("10.5.0.1")), (0, address("10.5.0.255")));
        net.router.add_address("right", "10.5.0.1/24").unwrap();
        now.until("an address", |now| now.host_addresses.contains(&own)).await;
        assert!(now.host_addresses.contains(&broadcast));
        now.until_way("10.5.0.1", Lookup::Local).await;
        now.until_way("10.5.0.7", by(RIGHT, "10.5.0.7")).await;
        net.router.delete_address("right", "10.5.0.1/24").unwrap();
        now.until("its end", |now| !now.host_addresses.contains(&own)).await;
        now.until_way("10.5.0.1", Lookup::NoRoute).await;
        assert!(!now.host_addresses.contains(&broadcast));
    });
}

#[test]
fn an_interface_goes_and_comes_back() {
    let Some(net) = Net::new() else { return };
    net.run(async |net, now| {
        net.router.add_route("192.0.2.0/24", "10.0.0.2").unwrap();
        net.router.set_neighbour("left", "10.0.0.9", [2, 0, 0, 0, 0, 9]).unwrap();
        now.until_way("192.0.2.1", by(LEFT, "10.0.0.2")).await;
        now.until("a neighbour", |now| now.mac(LEFT, "10.0.0.9").is_some()).await;
        let before = net.index("left");
        net.router.delete("left").unwrap();
        now.until("no interface", |now| now.links[0].ifindex.is_none()).await;
        now.until_way("192.0.2.1", Lookup::NoRoute).await;
        now.until_way("10.0.0.1", Lookup::NoRoute).await;
        assert_eq!(now.mac(LEFT, "10.0.0.9"), None);

        net.connect(
            "left",
            "peer-left",
            ["10.0.0.1/24", "fd00::1/64"],
            ["10.0.0.2/24", "fd00::2/64"],
        );
        let after = net.index("left");
        assert_ne!(before, after);
        now.until("it", |now| now.links[0].ifindex == Some(after) && now.links[0].up).await;
        net.router.add_route("192.0.2.0/24", "10.0.0.2").unwrap();
        net.router.set_neighbour("left", "10.0.0.9", [2, 0, 0, 0, 0, 8]).unwrap();
        now.until_way("192.0.2.1", by(LEFT, "10.0.0.2")).await;
        now.until_way("10.0.0.1", Lookup::Local).await;
        now.until("a neighbour", |now| now.mac(LEFT, "10.0.0.9") == Some([2, 0, 0, 0, 0, 8])).await;
    });
}

#[test]
fn an_interface_may_appear_later_in_another_domain() {
    let Some(net) = Net::new() else { return };
    net.run(async |net, now| {
        net.connect(
            "away",
            "peer-away",
            ["10.7.0.1/24", "fd07::1/64"],
            ["10.7.0.2/24", "fd07::2/64"],
        );
        now.until("it", |now| now.links[2].up).await;
        net.router.add_route("192.0.2.0/24", "10.7.0.2").unwrap();
        let way = |now: &Followed, domain| now.fib.lookup(domain, address("192.0.2.1"), 0);
        now.until("its route", |now| way(now, 7) == by(AWAY, "10.7.0.2")).await;
        assert_eq!(way(now, 0), Lookup::NoRoute);
        now.until("its address", |now| now.host_addresses.contains(&(7, address("10.7.0.1"))))
            .await;
        // The route goes to the other domain.
        now.add(via("192.0.2.0/24", "10.0.0.2"), NLM_F_CREATE | NLM_F_REPLACE).await;
        now.until("a move", |now| way(now, 0) == by(LEFT, "10.0.0.2")).await;
        assert_eq!(way(now, 7), Lookup::NoRoute);
    });
}

#[test]
fn neighbours_are_resolved_by_the_kernel() {
    let Some(net) = Net::new() else { return };
    net.run(async |net, now| {
        let left = net.peer.link("peer-left").unwrap().mac;
        let right = net.peer.link("peer-right").unwrap().mac;
        for (port, of, mac) in [(LEFT, "10.0.0.2", left), (RIGHT, "fd01::2", right)] {
            now.mirror.resolve(port, address(of));
            now.until("an answer", |now| now.mac(port, of) == Some(mac)).await;
            let state = now.fib.neighbour(port, address(of)).unwrap().state;
            assert_eq!(state, NeighbourState::Reachable);
        }
        let nobody = address("10.0.0.200");
        now.mirror.resolve(LEFT, nobody);
        now.until("no answer", |now| now.lost.contains(&nobody)).await;
        assert_eq!(now.fib.resolve(LEFT, nobody), None);
        // Without an interface there is nobody to ask, and nothing breaks.
        now.mirror.resolve(AWAY, address("10.7.0.2"));
        // An operator's entry stays what it is: use would make it expire.
        let mac = [2, 0, 0, 0, 0, 9];
        net.router.set_neighbour("left", "10.0.0.9", mac).unwrap();
        now.until("a neighbour", |now| now.mac(LEFT, "10.0.0.9") == Some(mac)).await;
        now.mirror.resolve(LEFT, address("10.0.0.9"));
        now.mirror.resolve(RIGHT, address("10.1.0.2")); // carried out afterwards
        now.until("an answer", |now| now.mac(RIGHT, "10.1.0.2") == Some(right)).await;
        let all = now.kernel_neighbours().await;
        let permanent = rtnetlink::packet_route::neighbour::NeighbourState::Permanent;
        assert!(all.iter().any(|message| message.header.state == permanent));
    });
}

#[test]
fn lost_notifications_are_made_up_for() {
    const ROUTES: u32 = 30_000; // notifications of some 700 bytes in a buffer of at most 8 MiB
    let Some(net) = Net::new() else { return };
    net.run(async |net, now| {
        // The mirror cannot run while this thread does not let it.
        let left = net.index("left");
        net.router.run(|| {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let (connection, handle, _) = rtnetlink::new_connection().unwrap();
                tokio::spawn(connection);
                for number in 0..ROUTES {
                    let prefix = format!("{}/32", std::net::Ipv4Addr::from(0x6440_0000 | number));
                    let oif = vec![RouteAttribute::Oif(left)];
                    let mut message = route(&prefix, RouteType::Unicast, oif);
                    message.header.scope = RouteScope::Link;
                    handle.route().add(message).execute().await.unwrap();
                }
            });
        });
        let last = std::net::Ipv4Addr::from(0x6440_0000 | (ROUTES - 1));
        let all = |now: &Followed| now.fib.len().0 >= ROUTES as usize;
        now.until("all routes", all).await;
        assert!(now.resyncs > 1, "notifications were lost and made up for");
        assert_eq!(now.ways(&last.to_string()), [by(LEFT, &last.to_string())]);
        net.router.delete_route(&format!("{last}/32")).unwrap();
        now.until_way(&last.to_string(), Lookup::NoRoute).await;
    });
}

#[test]
fn the_mirror_ends_with_its_handle() {
    let Some(net) = Net::new() else { return };
    net.run(async |_, now| {
        let (mirror, mut updates) = Mirror::start(Vec::new()).await.unwrap();
        assert!(matches!(updates.recv().await, Some(Update::Resync { .. })));
        drop(mirror);
        let end = timeout_at(Instant::now() + PATIENCE, updates.recv()).await;
        assert_eq!(end, Ok(None));
        now.mirror.resolve(LEFT, address("10.0.0.2"));
        now.until("the other one lives", |now| now.mac(LEFT, "10.0.0.2").is_some()).await;
    });
}
