//! Nodes of a pair, each an engine between two ports, and the TCP peers at both ends.

use std::sync::Arc;
use std::time::Duration;

use wire::build::Builder;
use wire::{TcpFlags, Time};

use crate::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use crate::policy::Policy;
use crate::record::Record;
use crate::replication::{Contest, Imported, Note};
use crate::session::SessionId;
use crate::table::Cursor;
use crate::{
    Checksum, Decision, Engine, Mode, Origin, Port, PortId, Reason, Settings, Verdict, WorkerId,
};

pub(super) const START: Time = Time::from_secs(1_000);
pub(super) const LAN: PortId = PortId(0);
pub(super) const WAN: PortId = PortId(1);

pub(super) const RULES: &str = r#"
[zones]
in = ["a"]
out = ["b"]
[[rule]]
id = "slow"
from = "in"
to = "out"
service = ["udp/53"]
action = "permit"
replication = "async"
timeout = "90s"
[[rule]]
id = "all"
from = "in"
to = "out"
action = "permit"
log = ["close"]
"#;

/// One node of a pair.
pub(super) struct Node {
    pub(super) engine: Engine,
    pub(super) now: Time,
}

impl Node {
    pub(super) fn new(node: u16) -> Self {
        Self::with_capacity(node, 64)
    }

    pub(super) fn with_capacity(node: u16, sessions: u32) -> Self {
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
            worker: WorkerId(0),
            node,
            boot: 1,
            seed: [3, u64::from(node)],
            secret: [1, 2],
            sessions,
            ports: vec![port("a", 1), port("b", 2)],
        };
        let mut engine = Engine::new(settings, START);
        engine.apply(&[
            route("10.0.0.0/8", 0, "192.0.2.1"),
            route("198.18.0.0/15", 1, "192.0.2.129"),
            neighbour(0, "192.0.2.1"),
            neighbour(1, "192.0.2.129"),
        ]);
        engine.set_policy(policy(RULES, 1));
        Self { engine, now: START }
    }

    pub(super) fn backup(node: u16) -> Self {
        let mut backup = Self::new(node);
        backup.engine.stand_down();
        backup
    }

    /// A peer takes records, and no packet waits for it.
    pub(super) fn async_peer(&mut self) {
        self.commit(&RULES.replace("log =", "replication = \"async\"\nlog ="), 1);
        self.engine.set_peer(true, self.now);
    }

    pub(super) fn commit(&mut self, text: &str, epoch: u64) {
        self.engine.set_policy(policy(text, epoch));
    }

    /// A frame arrives, and the books are right afterwards.
    pub(super) fn arrive(&mut self, ingress: PortId, packet: &Builder<'_>) -> Decision {
        let mut frame = packet.frame().to_vec();
        frame[..6].copy_from_slice(&self.engine.ports()[ingress.index()].mac);
        let parsed = self.engine.parse(ingress, &frame);
        let decision = self.engine.decide(Origin::Port, &parsed, &mut frame, self.now);
        self.engine.counters().balance().unwrap();
        decision
    }

    pub(super) fn verdict(&mut self, ingress: PortId, packet: &Builder<'_>) -> Verdict {
        self.arrive(ingress, packet).verdict
    }

    pub(super) fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        while self.engine.tick(self.now) {}
        self.engine.counters().balance().unwrap();
    }

    pub(super) fn dropped(&self, reason: Reason) -> u64 {
        self.engine.counters().dropped(reason)
    }

    pub(super) fn sent(&mut self) -> Vec<(PortId, Vec<u8>)> {
        let outbox = self.engine.outbox();
        std::iter::from_fn(|| outbox.pop().map(|(port, frame)| (port, frame.to_vec()))).collect()
    }

    pub(super) fn notes(&mut self) -> Vec<Note> {
        std::iter::from_fn(|| self.engine.next_note()).collect()
    }

    /// The records of all sessions, made now, by place.
    pub(super) fn records(&mut self) -> Vec<Record> {
        let mut places = Vec::new();
        let mut cursor = Some(Cursor::default());
        while let Some(from) = cursor {
            cursor = self.engine.sessions().page(from, |handle, session| {
                places.push((handle.place(), session.id));
            });
        }
        let all = places.into_iter().map(|(place, id)| (place, self.engine.session_id(id)));
        all.collect::<Vec<_>>().into_iter().map(|(place, id)| self.record(place, id)).collect()
    }

    pub(super) fn record(&mut self, place: u32, id: SessionId) -> Record {
        let bytes = self.engine.export(place, id, self.now).unwrap();
        Record::parse(&bytes).unwrap().0
    }

    pub(super) fn import(&mut self, record: &Record) -> Imported {
        self.engine.import(record, Contest::Owners, self.now)
    }

    /// The same after a split.
    pub(super) fn merge(&mut self, record: &Record) -> Imported {
        self.engine.import(record, Contest::Further, self.now)
    }

    /// Takes over all that `other` has.
    pub(super) fn follow(&mut self, other: &mut Self) {
        for record in other.records() {
            assert!(matches!(self.import(&record), Imported::Opened(_) | Imported::Updated(_)));
        }
    }
}

pub(super) fn policy(text: &str, epoch: u64) -> Arc<Policy> {
    Arc::new(Policy::from_text(text, epoch, &["a", "b"]).unwrap())
}

fn route(prefix: &str, port: u16, gateway: &str) -> FibChange {
    let kind = RouteKind::Unicast(NextHops::one(PortId(port), Some(gateway.parse().unwrap())));
    let route = Route { metric: 0, kind };
    FibChange::RouteSet { domain: 0, prefix: prefix.parse().unwrap(), route }
}

fn neighbour(port: u16, address: &str) -> FibChange {
    let (mac, state) = ([2, 0, 0, 0, 1, port as u8], NeighbourState::Permanent);
    FibChange::NeighbourSet { port: PortId(port), address: address.parse().unwrap(), mac, state }
}

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [198, 18, 0, 1];

/// A datagram of the client, or the answer.
pub(super) fn udp(client: u16, reply: bool) -> Builder<'static> {
    match reply {
        false => Builder::v4(CLIENT, SERVER).udp(client, 53),
        true => Builder::v4(SERVER, CLIENT).udp(53, client),
    }
}

/// A segment of the client, or of the server: `seq` and `ack` count from the initial numbers.
pub(super) fn tcp(
    client: u16,
    reply: bool,
    flags: TcpFlags,
    seq: u32,
    ack: u32,
) -> Builder<'static> {
    let builder = match reply {
        false => Builder::v4(CLIENT, SERVER).tcp(client, 443),
        true => Builder::v4(SERVER, CLIENT).tcp(443, client),
    };
    let [own, other] = if reply { [INITIAL[1], INITIAL[0]] } else { INITIAL };
    let ack = if flags.contains(TcpFlags::ACK) { other.wrapping_add(ack) } else { 0 };
    builder.flags(flags).seq(own.wrapping_add(seq)).ack(ack).window(60_000)
}

/// Initial sequence numbers of client and server; both wrap soon.
pub(super) const INITIAL: [u32; 2] = [u32::MAX - 5_000, u32::MAX - 100];

pub(super) const SYN: TcpFlags = TcpFlags::SYN;
pub(super) const ACK: TcpFlags = TcpFlags::ACK;
pub(super) const SYN_ACK: TcpFlags = TcpFlags(SYN.0 | ACK.0);
pub(super) const FIN: TcpFlags = TcpFlags(TcpFlags::FIN.0 | ACK.0);

/// Opens a connection through `node`.
pub(super) fn handshake(node: &mut Node, client: u16) {
    assert_eq!(node.verdict(LAN, &tcp(client, false, SYN, 0, 0)), Verdict::Forward(WAN));
    assert_eq!(node.verdict(WAN, &tcp(client, true, SYN_ACK, 0, 1)), Verdict::Forward(LAN));
    assert_eq!(node.verdict(LAN, &tcp(client, false, ACK, 1, 1)), Verdict::Forward(WAN));
}
