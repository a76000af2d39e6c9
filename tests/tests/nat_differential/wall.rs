//! The engine, as a router between the same two networks.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::policy::Policy;
use engine::{Checksum, Engine, Mode, Origin, Port, PortId, Settings, Verdict, WorkerId};
use wire::Time;

use crate::scenario::{INSIDE, Network, OUTSIDE, Passed, Router, Side};

/// Time that goes by with every packet: about what the other router takes.
const STEP: Duration = Duration::from_micros(100);
const PORTS: [&str; 2] = ["lan", "wan"];
const SESSIONS: u32 = 2_048;
const ETHERNET: usize = 14;

pub(crate) struct Wall {
    engine: Engine,
    now: Time,
}

impl Wall {
    pub(crate) fn new(policy: &str) -> Self {
        let now = Time::from_secs(1_000);
        let port = |side: u8| Port {
            name: PORTS[usize::from(side)].to_owned(),
            domain: 0,
            mode: Mode::Routed,
            mac: mac(1, side),
            mtu: 1_500,
            checksum: Checksum::Verify,
            up: true,
        };
        let settings = Settings {
            worker: WorkerId(0),
            node: 1,
            boot: 1,
            seed: [1, 2],
            secret: [3, 4],
            sessions: SESSIONS,
            ports: vec![port(0), port(1)],
        };
        let mut engine = Engine::new(settings, now);
        for (side, network) in [INSIDE, OUTSIDE].into_iter().enumerate() {
            engine.apply(&changes(side as u8, network));
        }
        let policy = Policy::from_text(policy, 1, &PORTS).expect("the policy is right");
        engine.set_policy(Arc::new(policy));
        Self { engine, now }
    }
}

impl Router for Wall {
    fn pass(&mut self, from: Side, datagram: &[u8]) -> Passed {
        self.now = self.now + STEP;
        while self.engine.tick(self.now) {}
        let (side, to) = (from as u8, PortId(from.other() as u16));
        let mut frame = [&mac(1, side)[..], &mac(2, side), &[8, 0], datagram].concat();
        let mut burst = [self.engine.parse(PortId(side.into()), &frame)];
        self.engine.touch(&mut burst, |_| {});
        let decision = self.engine.decide(Origin::Port, &burst[0], &mut frame, self.now);
        self.engine.counters().balance().expect("the books are right");
        let mut out = Vec::new();
        if matches!(decision.verdict, Verdict::Forward(port) if port == to) && decision.in_hand {
            out.push(frame[ETHERNET..].to_vec());
        }
        while let Some((port, frame)) = self.engine.outbox().pop() {
            if port == to {
                out.push(frame[ETHERNET..].to_vec());
            }
        }
        while self.engine.next_event().is_some() {}
        let why = if let Verdict::Drop(reason) = decision.verdict {
            reason.name().to_owned()
        } else {
            format!("{:?}", decision.verdict)
        };
        Passed { out, why }
    }
}

/// Of the router (1) or its neighbour (2) at a side.
const fn mac(who: u8, side: u8) -> [u8; 6] {
    [2, 0, 0, 0, who, side + 1]
}

fn changes(side: u8, network: Network) -> [FibChange; 3] {
    let port = PortId(side.into());
    let gateway: IpAddr = network.gateway.parse().expect("an address");
    let own = format!("{}/24", network.router).parse().expect("an address");
    let kind = RouteKind::Unicast(NextHops::one(port, Some(gateway)));
    let prefix = network.prefix.parse().expect("a prefix");
    [
        FibChange::PortAddresses { port, addresses: vec![own] },
        FibChange::RouteSet { domain: 0, prefix, route: Route { metric: 0, kind } },
        FibChange::NeighbourSet {
            port,
            address: gateway,
            mac: mac(2, side),
            state: NeighbourState::Permanent,
        },
    ]
}
