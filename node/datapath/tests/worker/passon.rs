//! Two nodes in one thread, with a fabric between them: what the old owner of a switchover passes on, and
//! the heir holds.

use std::cell::Cell;
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsRawFd as _;
use std::time::Duration;

use engine::Reason;
use nix::sys::socket::{Shutdown, shutdown};
use ringwall_datapath::fabric::{FabricParts, Label};
use ringwall_datapath::limits::{FABRIC_TERMS_BACK, HEIR_FRAMES, HEIR_LIFE};
use ringwall_datapath::{Fabric, Latecomers, Turn};
use wire::Version::V4;
use wire::build::Builder;
use wire::geneve::{Passed, TagKey};
use wire::{TcpFlags, Time};

use crate::handoff::owner;
use crate::world::{BOTH, POLICY, Side, WAN, World, neighbour, packet, packet_to, ports, routed};

const KEY: [u64; 2] = [5, 6];
const TERM: u64 = 9;
/// What the ports are called on the fabric.
const LABELS: [Label; 2] = [Label { number: 700, domain: 0 }, Label { number: 300, domain: 0 }];
/// Longest frame of the fabric: a full one of the ports.
const LONGEST: usize = 1_514;
/// The last byte of the first node's link-layer addresses; the second has those of `world`.
const FIRST: u8 = 0xaa;

/// A node with its words.
struct Node {
    world: World,
    words: Latecomers,
}

/// The owner and its heir.
struct Nodes {
    old: Node,
    heir: Node,
    /// Where the heir's first worker listens.
    heir_at: SocketAddr,
}

pub(crate) fn socket(host: u8) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::from(([127, 9, 0, host], 0))).expect("a port");
    socket.set_nonblocking(true).expect("a socket");
    socket
}

impl Nodes {
    /// One that owns under a lease, and a backup that has none.
    fn new() -> Self {
        Self::with_workers(1)
    }

    fn with_workers(workers: usize) -> Self {
        let mut here = ports();
        here.iter_mut().for_each(|port| port.mac[5] = FIRST);
        let mut old = World::with(workers, &here, POLICY, Default::default);
        let mut heir = World::new(workers);
        let receivers = [1, 2].map(socket);
        let [one, other] = receivers.each_ref().map(|it| it.local_addr().expect("bound"));
        let [of_old, of_heir] = receivers;
        let old_words = join(&mut old, of_old, &[BYSTANDER, other]);
        let heir_words = join(&mut heir, of_heir, &[BYSTANDER, one]);
        [&old_words, &heir_words].iter().for_each(|words| words.set_heir(1));
        heir.lease.end();
        heir.workers.iter_mut().for_each(|worker| worker.engine().stand_down());
        [&old_words, &heir_words].iter().for_each(|words| words.set_term(TERM));
        let old = Node { world: old, words: old_words };
        Self { old, heir: Node { world: heir, words: heir_words }, heir_at: other }
    }

    /// The planned switchover's first half: the heir waits, the owner stops.
    fn stop(&self) {
        self.heir.words.hold(self.heir.world.now + Duration::from_millis(100));
        self.old.words.pass_on(self.old.world.now + Duration::from_secs(3));
        self.old.world.lease.end();
    }

    /// Its second half.
    fn own(&mut self) {
        let now = self.heir.world.now;
        self.heir.world.workers.iter_mut().for_each(|worker| worker.engine().take_over(now));
        self.heir.world.renew();
        self.heir.words.hold(Time::ZERO);
    }

    fn settle(&mut self) {
        self.old.world.settle();
        self.heir.world.settle();
    }

    /// All frames that left by the heir's port.
    fn arrived(&mut self, to: Side) -> Vec<Vec<u8>> {
        self.heir.world.all_sent(to.port())
    }

    /// Both nodes' frames are free again, and nothing was lost between them.
    fn audit(&mut self) {
        let [on, into] = [&mut self.old, &mut self.heir].map(|node| {
            node.world.audit();
            [node.world.total(|it| it.passed_on), node.world.total(|it| it.passed_in)]
        });
        assert_eq!(on[0] + into[0], on[1] + into[1], "passed on, and come in");
    }
}

thread_local! {
    /// What the clock of leases shows before frames leave: long ago, unless a test says otherwise.
    static CLOCK: Cell<Time> = const { Cell::new(Time::ZERO) };
}

/// Another node of the cluster, to which nothing is passed on.
const BYSTANDER: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::new(127, 9, 0, 9)), 9);

/// Connects all workers of a node to the others; the first one hears them.
pub(crate) fn join(world: &mut World, receiver: UdpSocket, others: &[SocketAddr]) -> Latecomers {
    let words = Latecomers::default();
    let host = receiver.local_addr().expect("bound").ip();
    let mut receiver = Some(receiver);
    for worker in &mut world.workers {
        let bind = || UdpSocket::bind(SocketAddr::new(host, 0)).expect("a port");
        let sender = bind();
        sender.set_nonblocking(true).expect("a socket");
        let receiver = receiver.take().unwrap_or_else(bind);
        receiver.set_nonblocking(true).expect("a socket");
        worker.join_fabric(Fabric::new(FabricParts {
            key: TagKey::new(KEY),
            peers: others.to_vec(),
            labels: LABELS.to_vec(),
            longest_frame: LONGEST,
            receiver,
            sender,
            latecomers: words.clone(),
            clock: || CLOCK.get(),
        }));
    }
    words
}

/// As its sender sends it to the first node.
fn to_old(from: Side, sent: Builder<'_>) -> Vec<u8> {
    let mut router = from.router();
    router[5] = FIRST;
    sent.ethernet(from.mac(), router).frame().to_vec()
}

fn udp(version: wire::Version, port: u16) -> Builder<'static> {
    packet(Side::Client, version).udp(port, 53).payload(b"?")
}

#[test]
fn what_comes_to_the_old_owner_leaves_by_the_new_one_in_order() {
    for version in BOTH {
        let mut nodes = Nodes::new();
        nodes.stop();
        for port in 1_000..1_005 {
            nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, udp(version, port)));
        }
        nodes.settle();
        assert_eq!(nodes.old.world.all_sent(WAN), Vec::<Vec<u8>>::new(), "it forwards nothing");
        assert_eq!(nodes.arrived(Side::Server), Vec::<Vec<u8>>::new(), "nor does the heir, yet");
        assert_eq!(nodes.heir.world.counters(0).held, 5);
        nodes.own();
        nodes.heir.world.settle();
        let expected: Vec<Vec<u8>> = (1_000..1_005)
            .map(|port| routed(Side::Client, udp(version, port)).frame().to_vec())
            .collect();
        assert_eq!(nodes.arrived(Side::Server), expected);
        let (old, heir) = (nodes.old.world.counters(0), nodes.heir.world.counters(0));
        assert_eq!((old.received, old.passed_on, old.forwarded), (5, 5, 0));
        assert_eq!((heir.passed_in, heir.forwarded, heir.held), (5, 5, 0));
        nodes.audit();
    }
}

#[test]
fn an_owner_takes_latecomers_in_at_once_by_the_port_that_they_came_by() {
    let mut nodes = Nodes::new();
    nodes.stop();
    nodes.own();
    let request = packet(Side::Client, V4).tcp(4_000, 80).flags(TcpFlags::SYN).seq(1);
    let answer = packet(Side::Server, V4).tcp(80, 4_000).flags(TcpFlags::SYN | TcpFlags::ACK);
    let answer = answer.seq(7).ack(2);
    nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, request));
    nodes.settle();
    nodes.old.world.arrive(0, Side::Server, &to_old(Side::Server, answer));
    nodes.settle();
    let back = nodes.arrived(Side::Client);
    assert_eq!(back, [routed(Side::Server, answer).frame().to_vec()]);
    assert_eq!(nodes.heir.world.counters(0).sessions_opened, 1);
    nodes.audit();
}

#[test]
fn what_waits_in_the_old_owners_engine_is_passed_on_as_it_came() {
    let mut nodes = Nodes::new();
    // For a next hop, and, under a rule that is replicated, for the backup.
    let unknown = packet_to(Side::Client, V4, 9).udp(1_000, 53);
    nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, unknown));
    nodes.old.world.settle();
    let now = nodes.old.world.now;
    nodes.old.world.workers[0].engine().set_peer(true, now);
    nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, udp(V4, 2_000)));
    nodes.old.world.settle();
    assert_eq!((nodes.old.world.counters(0).held, nodes.old.world.all_sent(WAN).len()), (2, 0));

    nodes.stop();
    nodes.settle();
    assert_eq!((nodes.old.world.counters(0).held, nodes.heir.world.counters(0).held), (0, 2));
    let next = Side::Server.address(V4, 9);
    nodes.heir.world.workers[0].engine().apply(&[neighbour(Side::Server, next)]);
    nodes.own();
    nodes.settle();
    let mut expected =
        [udp(V4, 2_000), unknown].map(|it| routed(Side::Client, it).frame().to_vec());
    let mut arrived = nodes.arrived(Side::Server);
    expected.sort();
    arrived.sort();
    assert_eq!(arrived, expected, "with the hop limit of one router");
    nodes.audit();
}

#[test]
fn what_was_judged_before_the_stop_is_sent_before_it_is_told() {
    let mut nodes = Nodes::new();
    let world = &mut nodes.old.world;
    let now = world.now;
    world.port(0, WAN).room = Some(0);
    world.arrive(0, Side::Client, &to_old(Side::Client, udp(V4, 1_000)));
    world.turn(0);
    assert!(world.workers[0].has_stopped(now), "nobody has asked it to yet");
    nodes.stop();
    let world = &mut nodes.old.world;
    assert!(!world.workers[0].has_stopped(now), "no turn since");
    assert_eq!(world.turn(0), Turn::Busy);
    assert!(!world.workers[0].has_stopped(now), "a frame waits for room");
    world.port(0, WAN).room = None;
    world.settle();
    assert!(world.workers[0].has_stopped(now));
    assert_eq!(world.all_sent(WAN).len(), 1);
    nodes.audit();
}

#[test]
fn what_was_judged_does_not_leave_after_the_lease_would_have_ended() {
    let mut nodes = Nodes::new();
    let world = &mut nodes.old.world;
    world.port(0, WAN).room = Some(0);
    world.arrive(0, Side::Client, &to_old(Side::Client, udp(V4, 1_000)));
    world.turn(0);
    nodes.stop();
    let world = &mut nodes.old.world;
    world.turn(0);
    world.now = world.now + ringwall_datapath::Lease::LENGTH;
    world.turn(0);
    world.now = world.now + Duration::from_nanos(1);
    world.port(0, WAN).room = None;
    world.settle();
    assert_eq!((world.all_sent(WAN).len(), world.counters(0).outputs_lost), (0, 1));
    assert!(world.workers[0].has_stopped(world.now));
    nodes.audit();
}

#[test]
fn heir_expired_when_the_lease_does_not_come() {
    let mut nodes = Nodes::new();
    nodes.stop();
    nodes.heir.words.hold(Time::MAX);
    let arrive = |nodes: &mut Nodes, port| {
        nodes.heir.world.arrive(0, Side::Client, &udp(V4, port).frame());
        nodes.heir.world.turn(0)
    };
    arrive(&mut nodes, 1_000);
    nodes.heir.world.now = nodes.heir.world.now + HEIR_LIFE / 2;
    assert_eq!(arrive(&mut nodes, 1_001), Turn::Busy);
    let Turn::Idle { until } = nodes.heir.world.turn(0) else { panic!("nothing to do") };
    assert_eq!(until, nodes.heir.world.now + HEIR_LIFE / 2, "it wakes for the oldest");
    nodes.heir.world.now = until;
    nodes.heir.world.settle();
    assert_eq!(nodes.heir.world.dropped(Reason::HeirExpired), 1);
    // And all, when it turns out that it is not to own.
    nodes.heir.words.hold(Time::ZERO);
    nodes.heir.world.settle();
    assert_eq!(nodes.heir.world.dropped(Reason::HeirExpired), 2);
    nodes.audit();
}

#[test]
fn heir_full_drops_the_newest_and_keeps_frames_for_the_rings() {
    let mut nodes = Nodes::new();
    nodes.stop();
    let fit = HEIR_FRAMES.min(2_048 / 4);
    for port in 0..fit as u16 + 3 {
        nodes.heir.world.arrive(0, Side::Client, &udp(V4, 1_000 + port).frame());
    }
    nodes.heir.world.settle();
    assert_eq!(nodes.heir.world.dropped(Reason::HeirFull), 3);
    nodes.own();
    nodes.settle();
    assert_eq!(nodes.arrived(Side::Server).len(), fit);
    nodes.audit();
}

#[test]
fn a_lease_that_opens_before_the_engine_owns_drops_nothing() {
    let mut nodes = Nodes::new();
    nodes.heir.world.renew();
    nodes.heir.world.arrive(0, Side::Client, &udp(V4, 1_000).frame());
    nodes.heir.world.settle();
    assert_eq!(nodes.heir.world.counters(0).held, 1);
    nodes.own();
    nodes.settle();
    assert_eq!(nodes.arrived(Side::Server).len(), 1);
    nodes.audit();
}

#[test]
fn an_heir_that_owned_a_moment_ago_passes_on_and_holds_what_comes_back() {
    let mut nodes = Nodes::new();
    nodes.stop();
    nodes.own();
    // And back at once: hosts still send to the heir of now, whose peer stops a moment later.
    nodes.old.words.hold(Time::MAX);
    nodes.old.world.workers[0].engine().stand_down();
    nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, udp(V4, 1_000)));
    nodes.settle();
    assert_eq!(nodes.arrived(Side::Server).len(), 1, "the other one owns still");
    nodes.heir.words.pass_on(Time::MAX);
    nodes.heir.world.lease.end();
    nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, udp(V4, 1_001)));
    nodes.settle();
    nodes.settle();
    assert_eq!(nodes.old.world.counters(0).held, 1, "back again, and held");
    nodes.old.world.workers[0].engine().take_over(nodes.old.world.now);
    nodes.old.words.pass_on(Time::ZERO);
    nodes.old.world.renew();
    nodes.settle();
    assert_eq!(nodes.old.world.all_sent(WAN).len(), 1);
    nodes.audit();
}

#[test]
fn fabric_hops_end_a_packet_that_nobody_owns() {
    let mut nodes = Nodes::new();
    nodes.stop();
    nodes.heir.words.hold(Time::ZERO);
    nodes.heir.words.pass_on(Time::MAX);
    nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, udp(V4, 1_000)));
    (0..4).for_each(|_| nodes.settle());
    assert_eq!(nodes.old.world.counters(0).passed_on, 2);
    assert_eq!(nodes.heir.world.counters(0).passed_on, 1);
    assert_eq!(nodes.heir.world.dropped(Reason::FabricHops), 1);
    nodes.audit();
}

#[test]
fn held_packets_reach_the_worker_that_owns_their_flow() {
    let mut nodes = Nodes::with_workers(2);
    nodes.stop();
    for port in 1_000..1_040 {
        nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, udp(V4, port)));
    }
    nodes.settle();
    nodes.own();
    nodes.settle();
    for worker in [0, 1] {
        let frames: Vec<Vec<u8>> =
            core::iter::from_fn(|| nodes.heir.world.sent(worker, WAN)).collect();
        assert!(!frames.is_empty() && frames.iter().all(|it| owner(it) == worker), "{worker}");
    }
    nodes.audit();
}

#[test]
fn fabric_too_big_and_full_are_counted_at_the_sender() {
    let mut nodes = Nodes::new();
    nodes.stop();
    let long = packet(Side::Client, V4).udp(1_000, 53).payload(&[1; 1_473]);
    nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, long));
    nodes.settle();
    assert_eq!(nodes.old.world.dropped(Reason::FabricTooBig), 1);
    let fabric = nodes.old.world.workers[0].fabric().expect("joined");
    // It says that nobody is connected, and sends nothing from now on.
    let _ = shutdown(fabric.sender().as_raw_fd(), Shutdown::Write);
    nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, udp(V4, 1_000)));
    nodes.settle();
    assert_eq!(nodes.old.world.dropped(Reason::FabricFull), 1);
    nodes.audit();
}

/// What an heir says of a datagram from the peer's address.
fn refused(from: u8, head: impl FnOnce(&[u8]) -> Vec<u8>) -> Vec<Reason> {
    let mut nodes = Nodes::new();
    nodes.own();
    let frame = udp(V4, 1_000).frame().to_vec();
    let datagram = [head(&frame), frame].concat();
    socket(from).send_to(&datagram, nodes.heir_at).expect("sent");
    nodes.settle();
    let counters = nodes.heir.world.counters(0);
    let taken = nodes.arrived(Side::Server).len() as u64;
    assert_eq!(counters.passed_in, 1);
    assert_eq!(taken + counters.dropped_total(), 1);
    let is_hit = |reason: &&Reason| counters.dropped(**reason) > 0;
    Reason::ALL.iter().filter(is_hit).copied().collect()
}

#[test]
fn nothing_is_taken_from_the_fabric_but_what_the_peer_passes_on() {
    let passed = Passed { hops: 3, port: 700, domain: 0, zone: 0, term: TERM, piece: false };
    let head = |passed: Passed, key: [u64; 2]| {
        move |frame: &[u8]| passed.head(&TagKey::new(key), frame).to_vec()
    };
    assert_eq!(refused(1, head(passed, KEY)), []);
    assert_eq!(refused(1, head(Passed { term: TERM + 1, ..passed }, KEY)), []);
    assert_eq!(refused(9, head(passed, KEY)), [], "of a third node");
    assert_eq!(refused(3, head(passed, KEY)), [Reason::FabricStranger]);
    assert_eq!(refused(1, head(passed, [5, 7])), [Reason::FabricTag]);
    assert_eq!(refused(1, |_| b"GET / HTTP/1.1".to_vec()), [Reason::FabricMalformed]);
    assert_eq!(refused(1, head(Passed { hops: 4, ..passed }, KEY)), [Reason::FabricHops]);
    let back = |terms| Passed { term: TERM - terms, ..passed };
    assert_eq!(refused(1, head(back(FABRIC_TERMS_BACK), KEY)), []);
    assert_eq!(refused(1, head(back(FABRIC_TERMS_BACK + 1), KEY)), [Reason::FabricTerm]);
    for stranger in [Passed { port: 701, ..passed }, Passed { domain: 1, ..passed }] {
        assert_eq!(refused(1, head(stranger, KEY)), [Reason::FabricPort]);
    }
}

#[test]
fn a_node_without_ownership_takes_nothing_from_the_fabric() {
    let mut nodes = Nodes::new();
    nodes.stop();
    nodes.heir.words.hold(Time::ZERO);
    nodes.old.world.arrive(0, Side::Client, &to_old(Side::Client, udp(V4, 1_000)));
    nodes.settle();
    assert_eq!(nodes.heir.world.dropped(Reason::LeaseExpired), 1);
    nodes.audit();
}

/// Somebody else may own when a process that was stopped in the middle of a turn goes on.
#[test]
fn what_was_judged_before_a_pause_does_not_leave_after_it() {
    let mut nodes = Nodes::new();
    let frame = to_old(Side::Client, udp(BOTH[0], 1_000));
    nodes.old.world.arrive(0, Side::Client, &frame);
    CLOCK.set(Time(u64::MAX));
    nodes.old.world.settle();
    assert_eq!(nodes.old.world.all_sent(WAN), Vec::<Vec<u8>>::new());
    CLOCK.set(Time::ZERO);
    nodes.old.world.arrive(0, Side::Client, &frame);
    nodes.old.world.settle();
    assert_eq!(nodes.old.world.all_sent(WAN).len(), 1, "with a lease it does");
    nodes.audit();
}
