//! A firewall between a network inside and one outside, and what its translated packets look like.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use config::{
    AddressMatch, AddressSet, Filtering, Mapping, Nat, NatKind, NatPool, NatRule, Pooling,
    SourceNat, SourceTo,
};
use wire::build::Builder;
use wire::{Ends, Packet, TcpFlags, Time, Transport};

use crate::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use crate::policy::Policy;
use crate::{
    Checksum, Decision, Engine, Mode, Origin, Port, PortId, Reason, Settings, Verdict, WorkerId,
};

pub(crate) const START: Time = Time::from_secs(1_000);
pub(crate) const LAN: PortId = PortId(0);
pub(crate) const WAN: PortId = PortId(1);

/// Inside 10.0.0.0/8 and fd00::/16 behind 10.0.0.254; outside everything else. The firewall is 10.0.0.1 and
/// 198.51.100.1, fd00::1 and 2001:db8::1.
pub(crate) const RULES: &str = r#"
[zones]
in = ["a"]
out = ["b"]
[[rule]]
id = "out"
from = "in"
to = "out"
action = "permit"
[[rule]]
id = "in"
from = "out"
to = "in"
action = "permit"
[[rule]]
id = "turn"
from = "in"
to = "in"
action = "permit"
"#;

/// A frame that left, as it is read.
#[derive(Clone, Debug)]
pub(crate) struct Left {
    pub(crate) port: PortId,
    pub(crate) frame: Vec<u8>,
    pub(crate) packet: Packet,
}

impl Left {
    fn new(port: PortId, frame: &[u8]) -> Self {
        let packet = Packet::parse(frame).expect("what leaves is a packet");
        assert!(
            wire::checksum::ipv4_header_checksum_ok(frame, &packet),
            "header checksum of {packet:?}"
        );
        assert!(wire::checksum::transport_checksum_ok(frame, &packet), "checksum of {packet:?}");
        Self { port, frame: frame.to_vec(), packet }
    }

    pub(crate) fn ends(&self) -> Ends {
        Ends::of(&self.packet)
    }
}

pub(crate) struct Wall {
    pub(crate) engine: Engine,
    pub(crate) now: Time,
}

impl Wall {
    pub(crate) fn new(nat: Nat) -> Self {
        Self::with(1, 256, WorkerId(0), nat)
    }

    pub(crate) fn with(node: u16, sessions: u32, worker: WorkerId, nat: Nat) -> Self {
        let port = |name: &str, mac: u8| Port {
            name: name.to_owned(),
            domain: 0,
            mode: Mode::Routed,
            mac: [2, 0, 0, 0, 0, mac],
            mtu: 1_500,
            checksum: Checksum::Verify,
            up: true,
        };
        let settings = Settings {
            worker,
            node,
            boot: 1,
            seed: [3, u64::from(node)],
            secret: [1, 2],
            sessions,
            ports: vec![port("a", 1), port("b", 2)],
        };
        let mut engine = Engine::new(settings, START);
        engine.apply(&[
            addresses(0, &["10.0.0.1/24", "fd00::1/64"]),
            addresses(1, &["198.51.100.1/24", "2001:db8::1/64"]),
            route("10.0.0.0/8", 0, "10.0.0.254"),
            route("0.0.0.0/0", 1, "198.51.100.254"),
            route("fd00::/16", 0, "fd00::fe"),
            route("::/0", 1, "2001:db8::fe"),
            neighbour(0, "10.0.0.254"),
            neighbour(1, "198.51.100.254"),
            neighbour(0, "fd00::fe"),
            neighbour(1, "2001:db8::fe"),
        ]);
        engine.set_policy(policy(RULES, nat, 1));
        Self { engine, now: START }
    }

    pub(crate) fn commit(&mut self, nat: Nat, epoch: u64) {
        self.engine.set_policy(policy(RULES, nat, epoch));
    }

    /// A frame arrives; what leaves, and the books are right.
    pub(crate) fn arrive(&mut self, port: PortId, packet: &Builder<'_>) -> (Decision, Vec<Left>) {
        let mut frame = packet.frame().to_vec();
        frame[..6].copy_from_slice(&self.engine.ports()[port.index()].mac);
        self.arrive_frame(port, frame)
    }

    pub(crate) fn arrive_frame(
        &mut self,
        port: PortId,
        mut frame: Vec<u8>,
    ) -> (Decision, Vec<Left>) {
        let mut burst = [self.engine.parse(port, &frame)];
        self.engine.touch(&mut burst, |_| {});
        let decision = self.engine.decide(Origin::Port, &burst[0], &mut frame, self.now);
        self.engine.counters().balance().expect("the books are right");
        let mut left = Vec::new();
        if let (Verdict::Forward(port), true) = (decision.verdict, decision.in_hand) {
            left.push(Left::new(port, &frame));
        }
        while let Some((port, frame)) = self.engine.outbox().pop() {
            left.push(Left::new(port, frame));
        }
        (decision, left)
    }

    /// One frame in, one out.
    pub(crate) fn pass(&mut self, port: PortId, packet: &Builder<'_>) -> Left {
        let (decision, mut left) = self.arrive(port, packet);
        assert!(matches!(decision.verdict, Verdict::Forward(_)), "{decision:?} of {packet:?}");
        assert_eq!(left.len(), 1, "{decision:?}");
        left.remove(0)
    }

    pub(crate) fn drop(&mut self, port: PortId, packet: &Builder<'_>) -> Reason {
        let (decision, left) = self.arrive(port, packet);
        assert!(left.is_empty());
        let Verdict::Drop(reason) = decision.verdict else {
            panic!("{decision:?} of {packet:?}");
        };
        reason
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        while self.engine.tick(self.now) {}
        self.engine.counters().balance().expect("the books are right");
    }

    /// Ports of an address in use, of all classes.
    pub(crate) fn taken(&self, address: &str) -> u32 {
        let usage = self.engine.nat_usage();
        let of = usage.addresses.iter().find(|it| it.address == ip(address));
        of.map_or(0, |of| of.taken.iter().sum())
    }
}

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

pub(crate) fn policy(rules: &str, nat: Nat, epoch: u64) -> Arc<Policy> {
    let mut no_lists = |_: &str| Err("no list files here".to_owned());
    let checked =
        config::parse_policy("policy", rules, &mut no_lists).expect("the rules are right");
    let mut policy = checked.value;
    // Sets of rules of translation are made by `set`: they stand behind those of the rules.
    policy.sets.extend(SETS.iter().map(|(v4, v6)| {
        AddressSet {
            name: None,
            v4: v4.map(|(a, b)| (a.to_bits(), b.to_bits())).into_iter().collect(),
            v6: v6
                .map(|(a, b): (std::net::Ipv6Addr, std::net::Ipv6Addr)| (a.to_bits(), b.to_bits()))
                .into_iter()
                .collect(),
        }
    }));
    policy.nat = nat;
    Arc::new(Policy::compile(&policy, epoch, &["a", "b"]).expect("it compiles"))
}

type Range<T> = Option<(T, T)>;

/// The sets that rules of translation may name, by their places.
const SETS: [(Range<Ipv4Addr>, Range<std::net::Ipv6Addr>); 3] = [
    // inside
    (
        Some((Ipv4Addr::new(10, 0, 0, 0), Ipv4Addr::new(10, 255, 255, 255))),
        Some((
            std::net::Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0),
            std::net::Ipv6Addr::new(0xfd00, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff, 0xffff),
        )),
    ),
    // the name of a server
    (Some((Ipv4Addr::new(198, 51, 100, 80), Ipv4Addr::new(198, 51, 100, 80))), None),
    // the firewall outside
    (Some((Ipv4Addr::new(198, 51, 100, 1), Ipv4Addr::new(198, 51, 100, 1))), None),
];

pub(crate) const INSIDE: usize = 0;
pub(crate) const NAME: usize = 1;
pub(crate) const OWN: usize = 2;

pub(crate) fn set(place: usize) -> AddressMatch {
    AddressMatch { sets: vec![place], negate: false }
}

pub(crate) fn rule(id: &str, from: Option<usize>, kind: NatKind) -> NatRule {
    NatRule { id: id.to_owned(), description: None, from, source: None, kind, line: 0 }
}

/// A pool of so many addresses from 203.0.113.1 and 2001:db8:f::1 on.
pub(crate) fn pool(addresses: u8, pooling: Pooling) -> NatPool {
    let v4 = Ipv4Addr::new(203, 0, 113, 1).to_bits();
    let v6 = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0xf, 0, 0, 0, 0, 1).to_bits();
    let more = addresses - 1;
    NatPool {
        name: "public".to_owned(),
        v4: vec![(v4, v4 + u32::from(more))],
        v6: vec![(v6, v6 + u128::from(more))],
        pooling,
        domain: 0,
    }
}

/// Sources from inside to outside.
pub(crate) fn source(translate: SourceTo, mapping: Mapping) -> NatRule {
    let kind = NatKind::Source(SourceNat {
        to: Some(1),
        destination: None,
        services: None,
        translate,
        mapping,
    });
    NatRule { source: Some(set(INSIDE)), ..rule("out", Some(0), kind) }
}

pub(crate) fn nat(pools: Vec<NatPool>, rules: Vec<NatRule>) -> Nat {
    Nat { pools, rules }
}

pub(crate) fn masquerade() -> Nat {
    masquerade_by(Mapping::default())
}

pub(crate) fn masquerade_by(mapping: Mapping) -> Nat {
    nat(Vec::new(), vec![source(SourceTo::Interface, mapping)])
}

/// One public address, 203.0.113.1.
pub(crate) fn pooled(mapping: Mapping) -> Nat {
    nat(vec![pool(1, Pooling::Paired)], vec![source(SourceTo::Pool(0), mapping)])
}

pub(crate) fn independent(filtering: Filtering) -> Mapping {
    Mapping { endpoint_independent: true, filtering, parity: false }
}

fn addresses(port: u16, addresses: &[&str]) -> FibChange {
    let addresses = addresses.iter().map(|it| it.parse().expect("an address")).collect();
    FibChange::PortAddresses { port: PortId(port), addresses }
}

pub(crate) fn route(prefix: &str, port: u16, gateway: &str) -> FibChange {
    let kind = RouteKind::Unicast(NextHops::one(PortId(port), Some(ip(gateway))));
    let route = Route { metric: 0, kind };
    FibChange::RouteSet { domain: 0, prefix: prefix.parse().expect("a prefix"), route }
}

fn neighbour(port: u16, address: &str) -> FibChange {
    let (mac, state) = ([2, 0, 0, 0, 1, port as u8], NeighbourState::Permanent);
    FibChange::NeighbourSet { port: PortId(port), address: ip(address), mac, state }
}

pub(crate) fn udp(from: (&str, u16), to: (&str, u16)) -> Builder<'static> {
    Builder::new(ip(from.0), ip(to.0)).udp(from.1, to.1).payload(b"to whom it may concern")
}

pub(crate) fn tcp(from: (&str, u16), to: (&str, u16), flags: TcpFlags) -> Builder<'static> {
    Builder::new(ip(from.0), ip(to.0)).tcp(from.1, to.1).flags(flags).window(60_000)
}

/// The answer to a packet that has left.
pub(crate) fn answer_udp(left: &Left) -> Builder<'static> {
    let Ends { source, destination } = left.ends();
    Builder::new(destination.0, source.0).udp(destination.1, source.1).payload(b"gladly")
}

pub(crate) fn icmp_id(left: &Left) -> u16 {
    let Transport::Icmp(icmp) = &left.packet.body else { panic!("{left:?}") };
    icmp.id
}
