//! Three nodes in one thread, each of which owns a third of the slots: whoever receives a packet, its flow's
//! owner judges it.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use engine::{Holder, Reason, Share, Shares};
use wire::build::Builder;
use wire::limits::PASS_HOPS_MAX;
use wire::{SLOTS, Slot, TcpFlags, Version};

use crate::handoff::{cut, slot_of};
use crate::passon::{join, socket};
use crate::world::{BOTH, POLICY, Side, World, packet, ports, routed};

const NODES: usize = 3;
/// The last byte of the first node's link-layer addresses; the others have the next ones.
const FIRST: u8 = 0xa0;
const TERM: u64 = 4;

struct Node {
    world: World,
    shares: Arc<Shares>,
}

/// The place of a node among the peers of another one.
fn place(of: usize, at: usize) -> u8 {
    (if of < at { of } else { of - 1 }) as u8
}

/// The node that owns a packet's flow while each has every third slot.
fn owner(frame: &[u8]) -> usize {
    usize::from(slot_of(frame).0) % NODES
}

/// Nodes of so many workers.
fn nodes(workers: usize) -> [Node; NODES] {
    let receivers: [UdpSocket; NODES] = std::array::from_fn(|_| socket(1));
    let addresses = receivers.each_ref().map(|it| it.local_addr().expect("bound"));
    let mut receivers = receivers.map(Some);
    std::array::from_fn(|at| {
        let mut own = ports();
        own.iter_mut().for_each(|port| port.mac[5] = FIRST + at as u8);
        let mut world = World::with(workers, &own, POLICY, Default::default);
        let others = addresses.iter().enumerate().filter(|(of, _)| *of != at);
        let others: Vec<SocketAddr> = others.map(|(_, address)| *address).collect();
        let receiver = receivers[at].take().expect("one each");
        // The term of a VIP group has nothing to do with that of a slot.
        join(&mut world, receiver, &others).set_term(TERM * 100);
        let shares = Arc::new(Shares::with_peer(0));
        world.workers.iter_mut().for_each(|worker| worker.share(Arc::clone(&shares)));
        let node = Node { world, shares };
        node.spread(at, |slot| usize::from(slot.0) % NODES, TERM);
        node
    })
}

impl Node {
    /// Says which node has which slot.
    fn spread(&self, at: usize, owner: impl Fn(Slot) -> usize, term: u64) {
        for slot in (0..SLOTS).map(Slot) {
            let owner = owner(slot);
            let holder = if owner == at { Holder::Here } else { Holder::Peer(place(owner, at)) };
            self.shares.set(slot, Share { holder, term }).expect("a later term");
        }
    }

    fn passed(&mut self) -> (u64, u64) {
        (self.world.total(|it| it.passed_on), self.world.total(|it| it.passed_in))
    }
}

/// As its sender sends it to a node.
fn to(at: usize, from: Side, sent: Builder<'_>) -> Vec<u8> {
    sent.ethernet(from.mac(), router(at, from)).frame().to_vec()
}

/// As the node sends it on.
fn from(at: usize, side: Side, sent: Builder<'_>) -> Vec<u8> {
    let sent = routed(side, sent).ethernet(router(at, side.other()), side.other().mac());
    sent.frame().to_vec()
}

fn router(at: usize, side: Side) -> [u8; 6] {
    let mut router = side.router();
    router[5] = FIRST + at as u8;
    router
}

fn settle(nodes: &mut [Node; NODES]) {
    for _ in 0..=PASS_HOPS_MAX {
        nodes.iter_mut().for_each(|node| node.world.settle());
    }
}

fn audit(nodes: &mut [Node; NODES]) {
    let mut sum = (0, 0);
    for node in nodes {
        node.world.audit();
        let (on, into) = node.passed();
        sum = (sum.0 + on, sum.1 + into);
    }
    assert_eq!(sum.0, sum.1, "passed on, and come in");
}

/// A client's port whose flow a node owns.
fn port_of(version: Version, node: usize) -> u16 {
    let owned = |port: &u16| owner(&packet(Side::Client, version).udp(*port, 53).frame()) == node;
    (10_000..).find(owned).expect("a third of all flows")
}

#[test]
fn request_and_reply_at_different_nodes_meet_at_the_owner() {
    for version in BOTH {
        for (owner, there, back) in [(0, 0, 1), (1, 0, 2), (2, 0, 0), (0, 1, 2), (1, 1, 1)] {
            let mut nodes = nodes(1);
            let port = port_of(version, owner);
            let request = packet(Side::Client, version).udp(port, 53).payload(b"?");
            let reply = packet(Side::Server, version).udp(53, port).payload(b"!");
            nodes[there].world.arrive(0, Side::Client, &to(there, Side::Client, request));
            settle(&mut nodes);
            nodes[back].world.arrive(0, Side::Server, &to(back, Side::Server, reply));
            settle(&mut nodes);
            // Both leave by the owner's own ports, once.
            for (at, node) in nodes.iter_mut().enumerate() {
                let expected =
                    |side, sent| if at == owner { vec![from(at, side, sent)] } else { vec![] };
                let left =
                    [Side::Server, Side::Client].map(|side| node.world.all_sent(side.port()));
                assert_eq!(left, [expected(Side::Client, request), expected(Side::Server, reply)]);
                let here = [there, back].iter().filter(|it| **it == at).count() as u64;
                let passed = if at == owner { (0, 2 - here) } else { (here, 0) };
                assert_eq!(
                    (node.passed(), node.world.sessions(0)),
                    (passed, usize::from(at == owner))
                );
            }
            audit(&mut nodes);
        }
    }
}

#[test]
fn a_connection_whose_every_packet_comes_by_the_next_node_is_one_session() {
    let mut nodes = nodes(2);
    let client = |seq, ack, flags| {
        packet(Side::Client, Version::V4).tcp(41_000, 80).seq(seq).ack(ack).flags(flags)
    };
    let server = |seq, ack, flags| {
        packet(Side::Server, Version::V4).tcp(80, 41_000).seq(seq).ack(ack).flags(flags)
    };
    let (syn, ack) = (TcpFlags::SYN, TcpFlags::ACK);
    let mut talk = vec![
        (Side::Client, client(1, 0, syn)),
        (Side::Server, server(9, 2, syn | ack)),
        (Side::Client, client(2, 10, ack)),
    ];
    talk.extend(
        (0..30)
            .flat_map(|_| [(Side::Server, server(10, 2, ack)), (Side::Client, client(2, 10, ack))]),
    );
    let owner = owner(&client(1, 0, syn).frame());
    for (number, (side, sent)) in talk.iter().enumerate() {
        let at = number % NODES;
        nodes[at].world.arrive(number % 2, *side, &to(at, *side, *sent));
        settle(&mut nodes);
        assert_eq!(nodes[owner].world.all_sent(side.other().port()), [from(owner, *side, *sent)]);
    }
    let sessions = nodes.each_mut().map(|node| node.world.total(|it| it.sessions_opened));
    assert_eq!(sessions.iter().sum::<u64>(), 1);
    assert_eq!(nodes[owner].passed(), (0, (talk.len() - talk.len() / NODES) as u64));
    audit(&mut nodes);
}

/// The fragments go where their own key says, and the datagram from there where its flow is.
#[test]
fn a_datagram_in_fragments_is_judged_by_the_owner_of_its_flow() {
    let kinds = [1, 2].map(|workers| BOTH.map(|version| (workers, version)));
    for (workers, version) in kinds.into_iter().flatten() {
        for flow in 0..NODES {
            let port = port_of(version, flow);
            let payload: Vec<u8> = (0..3_000_u32).map(|it| it as u8).collect();
            let whole = packet(Side::Client, version).udp(port, 53).payload(&payload);
            for assembler in 0..NODES {
                let mut nodes = nodes(workers);
                let pieces = |id| {
                    cut(&whole.ethernet(Side::Client.mac(), router(0, Side::Client)), id, 1_300)
                };
                let id = (1..).find(|id| owner(&pieces(*id)[0]) == assembler).expect("a third");
                let pieces = pieces(id);
                assert_eq!(pieces.len(), 3);
                for piece in &pieces {
                    nodes[0].world.arrive(0, Side::Client, piece);
                }
                settle(&mut nodes);
                let left: Vec<Vec<u8>> = nodes[flow].world.all_sent(Side::Server.port());
                assert_eq!(left.len(), 3, "flow {flow}, fragments {assembler}");
                for (left, sent) in left.iter().zip(&pieces) {
                    assert_eq!(left.len(), sent.len(), "its sender's own pieces");
                }
                for (at, node) in nodes.iter_mut().enumerate().filter(|(at, _)| *at != flow) {
                    assert_eq!(
                        node.world.all_sent(Side::Server.port()),
                        Vec::<Vec<u8>>::new(),
                        "{at}"
                    );
                }
                audit(&mut nodes);
            }
        }
    }
}

#[test]
fn what_nobody_owns_ends_at_its_hop_limit_and_is_counted() {
    let mut nodes = nodes(1);
    // All say that the next one has it: two tables of the past.
    for (at, node) in nodes.iter().enumerate() {
        node.spread(at, |_| (at + 1) % NODES, TERM + 1);
    }
    for port in 1_000..1_010 {
        let sent = packet(Side::Client, Version::V4).udp(port, 53);
        nodes[0].world.arrive(0, Side::Client, &to(0, Side::Client, sent));
    }
    settle(&mut nodes);
    // Three times on, and the fourth node, which is the first one, drops it.
    assert_eq!(nodes.each_mut().map(Node::passed), [(10, 10), (10, 10), (10, 10)]);
    assert_eq!(nodes[0].world.dropped(Reason::FabricHops), 10);
    assert!(nodes.iter_mut().all(|node| node.world.all_sent(Side::Server.port()).is_empty()));
    audit(&mut nodes);
}

#[test]
fn a_slot_that_changes_hands_takes_its_packets_along_at_once() {
    let mut nodes = nodes(1);
    let port = port_of(Version::V4, 1);
    let sent = packet(Side::Client, Version::V4).udp(port, 53);
    let slot = slot_of(&sent.frame());
    for (term, owner) in [(TERM, 1), (TERM + 1, 2), (TERM + 2, 0), (TERM + 3, 1)] {
        for (at, node) in nodes.iter().enumerate() {
            let holder = if owner == at { Holder::Here } else { Holder::Peer(place(owner, at)) };
            assert_eq!(node.shares.set(slot, Share { holder, term }), Ok(()));
        }
        nodes[0].world.arrive(0, Side::Client, &to(0, Side::Client, sent));
        settle(&mut nodes);
        let left = nodes.each_mut().map(|node| node.world.all_sent(Side::Server.port()).len());
        assert_eq!(left.iter().position(|it| *it == 1), Some(owner), "{left:?}");
        assert_eq!(left.iter().sum::<usize>(), 1);
    }
    audit(&mut nodes);
}
