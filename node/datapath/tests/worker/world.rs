//! One or more workers in one thread, between a client's and a server's network: what arrives, what
//! leaves, and the laws that hold after every turn.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;
use std::time::Duration;

use af_xdp::{Umem, UmemConfig};
use datapath::limits::{EVENTS, HANDOFF_FRAMES};
use datapath::{Bell, Lease, MemoryPort, Parts, Peer, Turn, Worker};
use engine::fib::{FibChange, NeighbourState, NextHops, Route, RouteKind};
use engine::policy::Policy;
use engine::{
    Checksum, Counters, Engine, Event, Mode, Owners, Port, PortId, Reason, Settings, WorkerId,
};
use ringwall_datapath as datapath;
use rtrb::{Consumer, RingBuffer};
use wire::build::Builder;
use wire::{Packet, SLOTS, Time, Version};

pub(crate) const LAN: PortId = PortId(0);
pub(crate) const WAN: PortId = PortId(1);
pub(crate) const BOTH: [Version; 2] = [Version::V4, Version::V6];
pub(crate) const START: Time = Time::from_secs(1_000);
/// Key of the slots, as the engines have it.
pub(crate) const SECRET: [u64; 2] = [3, 4];
const FRAMES: u32 = 2_048;
/// Turns in which everything that a test sends must have come to rest.
const TURNS: usize = 1_000;

/// Everything from the client's side passes; what the server starts does not.
pub(crate) const POLICY: &str = r#"
[zones]
trust = ["lan"]
untrust = ["wan"]
[[rule]]
id = "out"
from = "trust"
to = "untrust"
action = "permit"
"#;

/// The two ends of every flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Client,
    Server,
}

impl Side {
    pub(crate) const fn port(self) -> PortId {
        match self {
            Self::Client => LAN,
            Self::Server => WAN,
        }
    }

    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Server,
            Self::Server => Self::Client,
        }
    }

    /// The host's own link-layer address.
    pub(crate) const fn mac(self) -> [u8; 6] {
        [2, 0, 0, 0, self.network(), 1]
    }

    /// That of the firewall's port on its network.
    pub(crate) const fn router(self) -> [u8; 6] {
        [2, 0, 0, 0, self.network(), 0xfe]
    }

    const fn network(self) -> u8 {
        match self {
            Self::Client => 1,
            Self::Server => 2,
        }
    }

    /// A host on its network; `254` is the firewall.
    pub(crate) fn address(self, version: Version, host: u8) -> IpAddr {
        let net = self.network();
        match version {
            Version::V4 => Ipv4Addr::new(10, 0, net, host).into(),
            Version::V6 => Ipv6Addr::new(0x2001, 0xdb8, net.into(), 0, 0, 0, 0, host.into()).into(),
        }
    }
}

/// A packet from the first host of one side to that of the other, as it leaves its sender.
pub(crate) fn packet<'a>(from: Side, version: Version) -> Builder<'a> {
    packet_to(from, version, 1)
}

/// The same, to another host.
pub(crate) fn packet_to<'a>(from: Side, version: Version, host: u8) -> Builder<'a> {
    let addresses = (from.address(version, 1), from.other().address(version, host));
    Builder::new(addresses.0, addresses.1).ethernet(from.mac(), from.router())
}

/// The packet as it must reach the other side.
pub(crate) fn routed<'a>(from: Side, sent: Builder<'a>) -> Builder<'a> {
    sent.ethernet(from.other().router(), from.other().mac()).hop_limit(63)
}

pub(crate) fn parse(frame: &[u8]) -> Packet {
    Packet::parse(frame).expect("the firewall sends nothing malformed")
}

/// Workers with their surroundings.
pub(crate) struct World<P = MemoryPort> {
    pub(crate) workers: Vec<Worker<P>>,
    pub(crate) events: Vec<Consumer<Event>>,
    pub(crate) lease: Lease,
    pub(crate) now: Time,
}

impl World {
    /// Routed ports, [`POLICY`], slots spread evenly.
    pub(crate) fn new(workers: usize) -> Self {
        Self::with(workers, &ports(), POLICY, MemoryPort::default)
    }

    pub(crate) fn under(policy: &str) -> Self {
        Self::with(1, &ports(), policy, MemoryPort::default)
    }

    /// Makes a frame arrive at a worker's queue of the side's port.
    pub(crate) fn arrive(&mut self, worker: usize, from: Side, frame: &[u8]) {
        self.port(worker, from.port()).arrive(frame);
    }

    /// Sends one frame through worker 0 and takes out what leaves on the other side.
    pub(crate) fn pass(&mut self, from: Side, sent: &Builder<'_>) -> Option<Vec<u8>> {
        self.arrive(0, from, &sent.frame());
        self.settle();
        self.sent(0, from.other().port())
    }

    /// Sends one frame, which must pass as a router passes it.
    pub(crate) fn passes(&mut self, from: Side, sent: Builder<'_>) {
        let arrived = self.pass(from, &sent).expect("the packet passes");
        assert_eq!(arrived[..], routed(from, sent).frame()[..], "{from:?}");
    }

    /// Sends one frame, which must be dropped for `reason`.
    pub(crate) fn is_dropped(&mut self, from: Side, sent: &Builder<'_>, reason: Reason) {
        let before = self.dropped(reason);
        assert_eq!(self.pass(from, sent), None);
        assert_eq!(self.dropped(reason), before + 1, "{reason}");
    }

    pub(crate) fn sent(&mut self, worker: usize, port: PortId) -> Option<Vec<u8>> {
        self.port(worker, port).sent()
    }

    /// All that left by a port, worker by worker.
    pub(crate) fn all_sent(&mut self, port: PortId) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        for worker in 0..self.workers.len() {
            frames.extend(core::iter::from_fn(|| self.sent(worker, port)));
        }
        frames
    }

    pub(crate) fn port(&mut self, worker: usize, port: PortId) -> &mut MemoryPort {
        self.workers[worker].port(port).expect("a port of the world")
    }
}

impl<P: datapath::Port> World<P> {
    pub(crate) fn with(
        workers: usize,
        ports: &[Port],
        policy: &str,
        queue: impl Fn() -> P,
    ) -> Self {
        let lease = Lease::default();
        let bells: Vec<Bell> = (0..workers).map(|_| Bell::new().expect("an eventfd")).collect();
        let mut peers = connect(&bells);
        let mut world = Self { workers: vec![], events: vec![], lease, now: START };
        for (index, bell) in bells.into_iter().enumerate() {
            let (events, read) = RingBuffer::new(EVENTS);
            let (observed, _) = RingBuffer::new(1);
            let parts = Parts {
                umem: umem(FRAMES),
                ports: ports.iter().map(|_| queue()).collect(),
                engine: engine(index, ports),
                peers: core::mem::take(&mut peers[index]),
                bell,
                events,
                observed,
                lease: world.lease.clone(),
            };
            world.workers.push(Worker::new(parts));
            world.events.push(read);
        }
        world.own(|slot| slot % workers);
        world.commit(policy, 1);
        world.renew();
        world
    }

    /// Says which worker owns each slot.
    pub(crate) fn own(&mut self, owner: impl Fn(usize) -> usize) {
        let owners: Owners = core::array::from_fn(|slot| WorkerId(owner(slot) as u8));
        let owners = Arc::new(owners);
        for worker in &mut self.workers {
            worker.engine().set_owners(Arc::clone(&owners));
        }
    }

    /// Puts a policy in force at all workers.
    pub(crate) fn commit(&mut self, text: &str, epoch: u64) {
        let policy = Arc::new(compile(text, epoch));
        for worker in &mut self.workers {
            worker.engine().set_policy(Arc::clone(&policy));
        }
    }

    pub(crate) fn renew(&self) {
        self.lease.renew(self.now + Lease::LENGTH);
    }

    /// One turn of one worker; the books balance after it.
    pub(crate) fn turn(&mut self, worker: usize) -> Turn {
        let now = self.now;
        let turn = self.workers[worker].turn(now);
        self.counters(worker).balance().expect("conservation");
        turn
    }

    /// Turns all workers one after the other until all are idle.
    pub(crate) fn settle(&mut self) {
        for _ in 0..TURNS {
            let turns: Vec<Turn> = (0..self.workers.len()).map(|at| self.turn(at)).collect();
            if turns.iter().all(|turn| *turn != Turn::Busy) {
                return;
            }
        }
        panic!("no rest after {TURNS} turns");
    }

    /// Lets time pass, under a lease that is renewed in time, a turn every half second.
    pub(crate) fn wait(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now = end.min(self.now + Duration::from_millis(500));
            self.renew();
            self.settle();
        }
    }

    pub(crate) fn counters(&mut self, worker: usize) -> Counters {
        self.workers[worker].engine().counters().clone()
    }

    /// The sum over all workers.
    pub(crate) fn total(&mut self, of: impl Fn(&Counters) -> u64) -> u64 {
        self.workers.iter_mut().map(|worker| of(worker.engine().counters())).sum()
    }

    pub(crate) fn dropped(&mut self, reason: Reason) -> u64 {
        self.total(|counters| counters.dropped(reason))
    }

    pub(crate) fn sessions(&mut self, worker: usize) -> usize {
        self.workers[worker].engine().sessions().len()
    }

    /// Nothing is on its way any more: each frame is free, or lent to another worker. Frames of
    /// tokens that a panic lost were freed again; elsewhere there must be none.
    pub(crate) fn audit(&mut self) {
        self.audit_after(0);
    }

    pub(crate) fn audit_after(&mut self, lost: u64) {
        let others = self.workers.len() - 1;
        for worker in &mut self.workers {
            let mut found = None;
            worker.replace_port(LAN, |_, umem| found = Some(umem.audit()));
            let audit = found.expect("every worker has this port");
            assert!(audit.balanced(), "{audit:?}");
            assert_eq!((audit.held, audit.abandoned, audit.refused), (0, lost, 0), "{audit:?}");
            assert_eq!(audit.lent as usize, others * HANDOFF_FRAMES, "{audit:?}");
        }
        let out = self.total(|counters| counters.handed_out);
        assert_eq!(out, self.total(|counters| counters.handed_in));
    }
}

pub(crate) fn ports() -> Vec<Port> {
    let port = |side: Side, name: &str| Port {
        name: name.to_owned(),
        domain: 0,
        mode: Mode::Routed,
        mac: side.router(),
        mtu: 1_500,
        checksum: Checksum::Verify,
        up: true,
    };
    vec![port(Side::Client, "lan"), port(Side::Server, "wan")]
}

pub(crate) fn compile(text: &str, epoch: u64) -> Policy {
    let mut no_lists = |_: &str| Err("no lists".to_owned());
    let parsed = config::parse_policy("policy.toml", text, &mut no_lists).expect("a valid policy");
    Policy::compile(&parsed.value, epoch, &["lan", "wan"]).expect("a policy that compiles")
}

pub(crate) fn umem(frames: u32) -> Umem {
    let config = UmemConfig { frames, frame_size: 2_048, headroom: 0, huge_pages: false };
    Umem::new(&config).expect("memory for frames")
}

pub(crate) fn neighbour(side: Side, address: IpAddr) -> FibChange {
    let state = NeighbourState::Reachable;
    FibChange::NeighbourSet { port: side.port(), address, mac: side.mac(), state }
}

fn engine(worker: usize, ports: &[Port]) -> Engine {
    let settings = Settings {
        worker: WorkerId(worker as u8),
        node: 7,
        boot: 9,
        seed: [1, 2],
        secret: SECRET,
        sessions: 8_192,
        ports: ports.to_vec(),
    };
    let mut engine = Engine::new(settings, START);
    for side in [Side::Client, Side::Server] {
        engine.apply(&network(side));
    }
    engine
}

/// The side's network with its routes, the firewall's address, and the first host as a neighbour.
fn network(side: Side) -> Vec<FibChange> {
    let nets = BOTH.map(|version| {
        let length = if version == Version::V4 { 24 } else { 64 };
        format!("{}/{length}", side.address(version, 254))
    });
    let addresses = nets.iter().map(|net| net.parse().expect("a network")).collect();
    let mut changes = vec![FibChange::PortAddresses { port: side.port(), addresses }];
    for (net, version) in nets.iter().zip(BOTH) {
        let kind = RouteKind::Unicast(NextHops::one(side.port(), None));
        let prefix = net.parse().expect("a network");
        changes.push(FibChange::RouteSet { domain: 0, prefix, route: Route { metric: 0, kind } });
        changes.push(neighbour(side, side.address(version, 1)));
    }
    changes
}

/// Every worker with a ring to and from every other.
fn connect(bells: &[Bell]) -> Vec<Vec<Peer>> {
    let mut peers: Vec<Vec<Peer>> = bells.iter().map(|_| Vec::new()).collect();
    for a in 0..bells.len() {
        for b in a + 1..bells.len() {
            let ids = [a, b].map(|index| WorkerId(index as u8));
            let [of_a, of_b] = Peer::pair(ids, [bells[a].clone(), bells[b].clone()]);
            peers[a].push(of_a);
            peers[b].push(of_b);
        }
    }
    peers
}

const _: () = assert!(SLOTS as usize <= 1 << 16);
