//! The engine between the two hosts, and a driver as plain as can be.

use std::net::IpAddr;
use std::sync::Arc;

use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::policy::Policy;
use engine::session::{CloseReason, SessionId};
use engine::{
    Checksum, Decision, Engine, EventKind, Mode, Origin, Port, PortId, Settings, Verdict, WorkerId,
};
use wire::Time;

use crate::host;
use crate::plan::Micros;

const POLICY: &str = r#"
    [zones]
    left = ["left"]
    right = ["right"]

    [[rule]]
    id = "rightward"
    from = "left"
    to = "right"
    action = "permit"
    log = ["close"]

    [[rule]]
    id = "leftward"
    from = "right"
    to = "left"
    action = "permit"
    log = ["close"]
"#;

/// Bytes of an Ethernet header.
const LINK: usize = 14;

/// When virtual time begins.
const START: Time = Time::from_secs(1_000);

pub(crate) struct Firewall {
    engine: Engine,
    wire: bool,
}

/// What a session's record says, as far as a forger may want to change it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Standing {
    state: engine::tcp::State,
    deadline: Time,
}

impl Firewall {
    pub(crate) fn new(wire: bool) -> Self {
        let settings = Settings {
            worker: WorkerId(0),
            node: 1,
            boot: 1,
            seed: [11, 12],
            secret: [13, 14],
            sessions: 256,
            ports: vec![port(0, wire), port(1, wire)],
        };
        let mut engine = Engine::new(settings, START);
        if !wire {
            let changes: Vec<FibChange> = (0..2).flat_map(surroundings).collect();
            engine.apply(&changes);
        }
        let policy = Policy::from_text(POLICY, 1, &["left", "right"]).expect("a valid policy");
        engine.set_policy(Arc::new(policy));
        Self { engine, wire }
    }

    /// An IP packet arrives by the port of `side`. The packet as it leaves by the other one, if it
    /// does; nothing of it but the hop limit may have changed.
    pub(crate) fn arrive(
        &mut self,
        side: usize,
        packet: &[u8],
        now: Micros,
    ) -> (Decision, Option<Vec<u8>>) {
        let mut frame = Vec::with_capacity(LINK + packet.len());
        frame.extend(mac(side, true));
        frame.extend(mac(side, false));
        frame.extend(if packet[0] >> 4 == 4 { [0x08, 0x00] } else { [0x86, 0xdd] });
        frame.extend(packet);
        let parsed = self.engine.parse(PortId(side as u16), &frame);
        let decision = self.engine.decide(Origin::Port, &parsed, &mut frame, time(now));
        self.engine.counters().balance().expect("the books balance");
        assert!(self.engine.outbox().pop().is_none(), "nothing leaves besides");
        if !matches!(decision.verdict, Verdict::Forward(_)) {
            return (decision, None);
        }
        assert_eq!(decision.verdict, Verdict::Forward(PortId(1 - side as u16)));
        let after = frame.split_off(LINK);
        assert!(self.same(packet, &after), "the packet is another one now");
        (decision, Some(after))
    }

    fn same(&self, before: &[u8], after: &[u8]) -> bool {
        if self.wire {
            return before == after;
        }
        let mut before = before.to_vec();
        if before[0] >> 4 == 4 {
            // One less in the hop limit is 256 more in the checksum (RFC 1624).
            before[8] -= 1;
            before[10..12].copy_from_slice(&after[10..12]);
        } else {
            before[7] -= 1;
        }
        before == after
    }

    /// Lets the timers run. The sessions that have ended since the last call.
    pub(crate) fn tick(&mut self, now: Micros) -> Vec<(SessionId, CloseReason)> {
        while self.engine.tick(time(now)) {}
        let mut ended = Vec::new();
        while let Some(event) = self.engine.next_event() {
            match event.kind {
                EventKind::Close(reason) => {
                    ended.push((event.session.expect("its session"), reason));
                }
                EventKind::Open => {}
                EventKind::Deny(reason) => panic!("a connection was denied: {reason}"),
            }
        }
        ended
    }

    pub(crate) fn standing(&self, id: SessionId) -> Option<Standing> {
        let mut found = None;
        self.engine.sessions().page(Default::default(), |_, session| {
            if session.id == id.counter & ((1 << 48) - 1)
                || self.engine.session_id(session.id) == id
            {
                found = Some(Standing { state: session.tcp.state(), deadline: session.deadline });
            }
        });
        found
    }

    /// At the very end: every session that was opened is closed again.
    pub(crate) fn is_empty(&self) -> bool {
        let counters = self.engine.counters();
        self.engine.sessions().is_empty() && counters.sessions_opened == counters.sessions_closed
    }
}

fn port(side: usize, wire: bool) -> Port {
    Port {
        name: ["left", "right"][side].to_owned(),
        domain: 0,
        mode: if wire { Mode::Wire(PortId(1 - side as u16)) } else { Mode::Routed },
        mac: mac(side, true),
        mtu: 1_500,
        checksum: Checksum::Verify,
        up: true,
    }
}

/// Link-layer address of the firewall's port on this side, or of the host there.
fn mac(side: usize, firewall: bool) -> [u8; 6] {
    [2, u8::from(firewall), 0, 0, 0, side as u8]
}

/// The network of one side.
fn surroundings(side: usize) -> Vec<FibChange> {
    let port = PortId(side as u16);
    let hosts = [false, true].map(|v6| IpAddr::from(host::address(side, v6)));
    let networks = [format!("10.0.{}.0/24", side + 1), format!("2001:db8:{}::/64", side + 1)];
    let own = [format!("10.0.{}.1/24", side + 1), format!("2001:db8:{}::1/64", side + 1)];
    let addresses = own.iter().map(|it| it.parse().expect("a network")).collect();
    let mut changes = vec![FibChange::PortAddresses { port, addresses }];
    for (network, address) in networks.iter().zip(hosts) {
        let kind = RouteKind::Unicast(NextHops::one(port, None));
        let prefix = network.parse().expect("a prefix");
        changes.push(FibChange::RouteSet { domain: 0, prefix, route: Route { metric: 0, kind } });
        let (mac, state) = (mac(side, false), NeighbourState::Reachable);
        changes.push(FibChange::NeighbourSet { port, address, mac, state });
    }
    changes
}

fn time(now: Micros) -> Time {
    Time(START.0 + now * 1_000)
}
