//! The engine between two ports, `inside` and `outside`, neither of which exists.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use config::api::Prefix;
use datapath::capture::{Captured, LinkType, ethernet_frame, ip_packet};
use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::policy::{CompileError, Policy};
use engine::{Anomaly, Checksum, Engine, Origin, PortId, Reason, Verdict};
use ipnet::IpNet;
use serde::Serialize;
use wire::Time;

use super::clock::Clock;
use super::line::Line;
use super::screens::{Detection, Event};
use super::totals::{Announced, Totals};
use crate::limits::{REPLAY_AFTERMATH, REPLAY_SESSIONS};
use crate::unplugged::{self, MAC};

/// The two ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Side {
    Inside,
    Outside,
}

impl Side {
    pub(super) const BOTH: [Self; 2] = [Self::Inside, Self::Outside];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inside => "inside",
            Self::Outside => "outside",
        }
    }

    const fn port(self) -> PortId {
        PortId(self as u16)
    }
}

/// Everything that a capture is pushed through.
pub(super) struct Firewall {
    engine: Engine,
    inside: Vec<Prefix>,
    clock: Clock,
    /// The packet in hand behind an Ethernet header.
    frame: Vec<u8>,
    totals: Totals,
    detection: Option<Detection>,
    /// What the packet in hand has let time find.
    pub(super) found: Vec<Event>,
}

const ETHERNET_HEADER: usize = 14;

/// The next hop on each side. Nobody sends to it: it only has a link-layer address, so that every
/// packet can leave. 192.0.0.8 is IPv4's dummy address (RFC 7600), 100::/64 IPv6's discard prefix
/// (RFC 6666).
const GATEWAYS: [IpAddr; 2] = [
    IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 0, 8)),
    IpAddr::V6(std::net::Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 8)),
];

impl Firewall {
    /// A firewall under `policy` that hosts of `inside` are behind.
    pub(super) fn new(
        policy: &config::Policy,
        inside: Vec<Prefix>,
        checksum: super::Checksum,
        max_gap: Option<Duration>,
    ) -> Result<Self, CompileError> {
        let clock = Clock::new(max_gap);
        let screened = policy;
        let policy = Policy::compile(policy, 1, &Side::BOTH.map(Side::name))?;
        let ports = Side::BOTH.map(|side| unplugged::port(side.name(), checksum.into()));
        let settings = unplugged::settings(ports.into(), REPLAY_SESSIONS);
        let detection = Detection::new(screened, settings.secret, clock.now());
        let mut engine = Engine::new(settings, clock.now());
        engine.set_policy(policy.into());
        engine.apply(&ways(&inside));
        let totals = Totals::default();
        let (frame, found) = (Vec::new(), Vec::new());
        Ok(Self { engine, inside, clock, frame, totals, detection, found })
    }

    /// Judges the next packet of the capture.
    pub(super) fn take(&mut self, packet: &Captured<'_>) -> Line {
        let now = self.clock.advance(packet.timestamp);
        self.detect(now);
        self.tick(now);
        match ip_packet(packet.link, packet.bytes) {
            Some(ip) => {
                self.totals.packets += 1;
                let side = self.side(source(ip));
                self.frame.resize(ETHERNET_HEADER + ip.len(), 0);
                ethernet_frame(ip, MAC, MAC, &mut self.frame);
                self.decide(Some(self.totals.packets), side, now)
            }
            None => self.take_other(packet, now),
        }
    }

    /// What is no IP packet: an Ethernet frame as it is, of another link nothing that there is a
    /// frame for.
    fn take_other(&mut self, packet: &Captured<'_>, now: Time) -> Line {
        self.totals.others += 1;
        self.frame.clear();
        if packet.link == LinkType::ETHERNET {
            self.frame.extend_from_slice(packet.bytes);
        } else {
            self.frame.resize(ETHERNET_HEADER, 0);
        }
        self.decide(None, Side::Outside, now)
    }

    fn decide(&mut self, n: Option<u64>, side: Side, now: Time) -> Line {
        let opened = self.engine.alg_counters().opened;
        let parsed = self.engine.parse(side.port(), &self.frame);
        let decision = self.engine.decide(Origin::Port, &parsed, &mut self.frame, now);
        let mut line = Line::new(n, side, &decision);
        line.frames = u32::from(decision.in_hand);
        while let Some((port, _)) = self.engine.outbox().pop() {
            match decision.verdict {
                Verdict::Forward(egress) if egress == port => line.frames += 1,
                Verdict::Forward(_)
                | Verdict::Answer
                | Verdict::Consume
                | Verdict::Hold
                | Verdict::HandOff(_)
                | Verdict::Drop(_) => line.answers += 1,
            }
        }
        self.totals.frames += u64::from(line.frames);
        self.totals.answers += u64::from(line.answers);
        if self.engine.alg_counters().opened != opened {
            self.note_announced();
        }
        self.forget_events();
        line
    }

    /// Notes the pinholes that the last packet has opened.
    fn note_announced(&mut self) {
        for open in self.engine.open_pinholes(usize::MAX) {
            let announced = Announced {
                alg: open.alg.name(),
                protocol: open.protocol.0,
                source: open.from,
                destination: open.to.0,
                destination_port: open.to.1,
            };
            if !self.totals.announced.contains(&announced) {
                self.totals.announced.push(announced);
            }
        }
    }

    /// Lets time go on after the last packet, if there are screens: what that finds.
    pub(super) fn finish(&mut self) -> Vec<Event> {
        if self.detection.is_some() {
            self.detect(self.clock.now() + REPLAY_AFTERMATH);
        }
        core::mem::take(&mut self.found)
    }

    /// Has the detector look as often as it would have until now, and sessions end in between.
    fn detect(&mut self, now: Time) {
        while let Some(due) = self.detection.as_mut().and_then(|it| it.due(now)) {
            self.tick(due);
            if let Some(detection) = &mut self.detection {
                self.found.extend(detection.look(&mut self.engine));
            }
        }
    }

    /// Ends what is over by now.
    fn tick(&mut self, now: Time) {
        loop {
            let behind = self.engine.tick(now);
            while self.engine.outbox().pop().is_some() {
                self.totals.late_answers += 1;
            }
            self.forget_events();
            if !behind {
                break;
            }
        }
    }

    /// Nobody logs here, and nobody resolves: the next hops are known.
    fn forget_events(&mut self) {
        while self.engine.next_event().is_some() {}
        while self.engine.next_resolve().is_some() {}
    }

    fn side(&self, source: IpAddr) -> Side {
        let inside = self.inside.iter().any(|prefix| prefix.contains(source));
        if inside { Side::Inside } else { Side::Outside }
    }

    /// What became of everything so far; `error` says why the capture ended early.
    pub(super) fn totals(&self, error: Option<String>) -> Totals {
        let counters = self.engine.counters();
        let dropped = Reason::ALL.iter().map(|reason| (reason.name(), counters.dropped(*reason)));
        let dropped: BTreeMap<_, _> = dropped.filter(|(_, packets)| *packets > 0).collect();
        let anomalies = Anomaly::ALL.iter().map(|it| (it.name(), counters.anomalous(*it)));
        let anomalies: BTreeMap<_, _> = anomalies.filter(|(_, sessions)| *sessions > 0).collect();
        Totals {
            received: counters.received,
            forwarded: counters.forwarded,
            answered: counters.answered,
            consumed: counters.consumed,
            held: counters.held,
            dropped,
            outputs_lost: counters.outputs_lost,
            sessions_opened: counters.sessions_opened,
            sessions_closed: counters.sessions_closed,
            anomalies,
            imbalance: counters.balance().err().map(|imbalance| imbalance.to_string()),
            error,
            ..self.totals.clone()
        }
    }
}

impl From<super::Checksum> for Checksum {
    fn from(checksum: super::Checksum) -> Self {
        match checksum {
            super::Checksum::Verify => Self::Verify,
            super::Checksum::Trust => Self::Trust,
        }
    }
}

/// Routes to `inside` by the one port, to everywhere else by the other, and neighbours to carry it.
fn ways(inside: &[Prefix]) -> Vec<FibChange> {
    let everywhere = [[0; 4].into(), [0; 16].into()].map(|any: IpAddr| (any, 0, Side::Outside));
    let inside = inside.iter().map(|prefix| (prefix.address(), prefix.length(), Side::Inside));
    let neighbours = Side::BOTH.into_iter().flat_map(|side| {
        GATEWAYS.map(|address| FibChange::NeighbourSet {
            port: side.port(),
            address,
            mac: MAC,
            state: NeighbourState::Permanent,
        })
    });
    // A default route in --inside replaces the one to the outside.
    everywhere.into_iter().chain(inside).filter_map(route).chain(neighbours).collect()
}

fn route((address, length, side): (IpAddr, u8, Side)) -> Option<FibChange> {
    let gateway = GATEWAYS.into_iter().find(|gateway| gateway.is_ipv4() == address.is_ipv4());
    let kind = RouteKind::Unicast(NextHops::one(side.port(), gateway));
    let prefix = IpNet::new(address, length).ok()?;
    Some(FibChange::RouteSet { domain: 0, prefix, route: Route { metric: 0, kind } })
}

/// The source address of an IP packet that has its fixed header.
fn source(ip: &[u8]) -> IpAddr {
    let v4 = || ip.get(12..).and_then(|rest| rest.first_chunk::<4>()).copied();
    let v6 = || ip.get(8..).and_then(|rest| rest.first_chunk::<16>()).copied();
    let source = match ip.first() {
        Some(first) if first >> 4 == 6 => v6().map(IpAddr::from),
        Some(_) | None => v4().map(IpAddr::from),
    };
    source.expect("the capture reader gives no IP packet without its fixed header")
}
