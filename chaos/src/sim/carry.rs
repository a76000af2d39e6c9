//! What a daemon wants done, done to the world.

use cluster_core::membership::messages::Event as Told;
use engine::PortId;
use wire::Time;

use super::daemon::Effect;
use super::flow::{FIRST_PORT, Part};
use super::hosts::frame::{self, Body, Read};
use super::invariants::{forgery, overlap, pinholes, policy};
use super::log::Fact;
use super::network::End;
use super::node::Message;
use super::planted::Planted;
use super::topology::{FABRIC, segment_of, service};
use super::world::{Event, World};
use crate::limits::{BURST, HOSTS};

impl World {
    /// The effects of one turn, in order.
    pub(crate) fn carry_out(&mut self, node: usize, effects: Vec<Effect>) {
        let boot = self.nodes[node].boots;
        for effect in effects {
            match effect {
                Effect::Heartbeat(path, bytes) => {
                    self.send(node, path, || Message::Heartbeat(path, bytes.clone()));
                }
                Effect::Replicate(bytes) => {
                    self.send(node, FABRIC, || Message::Replication(bytes.clone()));
                }
                Effect::Frame(port, frame) => self.emit(node, port, frame),
                Effect::Persist(facts) => {
                    let busy = &mut self.nodes[node].disk_busy;
                    *busy = self.now.max(*busy) + self.dice[1].micros(200..3_000);
                    self.queue.push(*busy, Event::Persisted { node, boot, facts });
                }
                Effect::Lease(until) => self.set_lease(node, until),
                Effect::Stopped => {
                    let now = self.now;
                    if self.sim.planted != Planted::KeepsTheLease {
                        self.overlap.ends(node, now);
                    }
                }
                Effect::Connect(attempt) => {
                    let at = self.now + self.dice[1].micros(400..4_000);
                    self.queue.push(at, Event::Connected { node, boot, attempt });
                }
                Effect::Addresses(held) => {
                    self.nodes[node].addresses = held;
                    self.note(Fact::Addresses { node, held });
                }
                Effect::Announce(port) => self.announce(node, port),
                Effect::Resolve(port, address) => {
                    let at = self.now + self.dice[1].micros(80..900);
                    self.queue.push(at, Event::Resolved { node, boot, port, address });
                }
                Effect::Owns(owns, term) => self.note(Fact::Owns { node, owns, term }),
                Effect::Linked(attempt) => self.note(Fact::Connected { node, attempt }),
                Effect::Ready(readiness) => self.note(Fact::Ready { node, readiness }),
                Effect::Told(event) => self.told(node, event),
                Effect::Answered(_, granted) => self.note(Fact::Answered { node, granted }),
                Effect::PassOn => {}
            }
        }
    }

    fn set_lease(&mut self, node: usize, until: Option<Time>) {
        let now = self.now;
        let it = &mut self.nodes[node];
        it.lease = until;
        let until = until.map(|until| it.clock.world(until));
        self.note(Fact::Lease { node, until });
        match until {
            Some(until) => {
                let apart = self.network.apart_ago(now);
                let found = self.overlap.lease(node, until, apart, now);
                self.breaks(overlap::NAME, found);
            }
            None => self.overlap.ends(node, now + BURST),
        }
    }

    /// A frame leaves the engine, and the node if its lease still lives.
    fn emit(&mut self, node: usize, port: PortId, frame: Vec<u8>) {
        let (now, planted) = (self.now, self.sim.planted);
        let it = &mut self.nodes[node];
        let unmade = it.daemon.as_mut().map(|daemon| &mut daemon.unmade).filter(|it| **it > 0);
        match unmade {
            Some(unmade) => *unmade -= 1,
            None => it.books.emitted_now += 1,
        }
        if !it.has_lease(it.local(now), planted) {
            it.books.discarded += 1;
            if let Some(daemon) = &mut it.daemon {
                daemon.engine.output_lost();
            }
            return;
        }
        self.tally.forwarded += 1;
        let read = frame::read(&frame);
        let flow = read.as_ref().and_then(|read| flow_of(read, self.flows.len()));
        self.note(Fact::Forwards { node, port, flow: flow.map(|(flow, _)| flow) });
        self.breaks(overlap::NAME, self.overlap.forwards(node, now));
        if let Some(read) = &read {
            self.judge(node, read, flow.map(|(flow, _)| flow));
        }
        if planted == Planted::SwallowsFrames && self.tally.forwarded == 1_000 {
            self.network.books.sent += 1;
            return;
        }
        let side = usize::from(port.0);
        let ways = self.network.frame_ways(segment_of(port), End::Node(node), End::Hosts);
        for way in ways.into_iter().flatten() {
            let frame = frame.clone();
            self.queue.push(now + way, Event::FrameToHosts { side, frame });
        }
    }

    /// Whether a frame may leave at all.
    fn judge(&mut self, node: usize, read: &Read, flow: Option<usize>) {
        self.breaks(forgery::NAME, forgery::passes(read));
        let (Some(flow), Some(daemon)) = (flow, &self.nodes[node].daemon) else { return };
        let tcp = match read.body {
            Body::Tcp(_) => true,
            Body::Udp(_) => false,
            Body::Other => return,
        };
        let it = &self.flows[flow];
        if it.part != Part::Other {
            return self.breaks(pinholes::NAME, pinholes::forwards(flow, it));
        }
        let found = policy::forwards(it.ends.side, it.ends.ports[1], tcp, daemon.revision);
        self.breaks(policy::NAME, found);
    }

    fn announce(&mut self, node: usize, port: PortId) {
        let side = usize::from(port.0);
        for host in 0..HOSTS {
            self.tell_host(side, host, node);
        }
    }

    /// A host is told that `node` has the gateway's address.
    pub(crate) fn tell_host(&mut self, side: usize, host: usize, node: usize) {
        let ways = self.network.ways(side + 1, End::Node(node), End::Hosts);
        for way in ways.into_iter().flatten() {
            self.queue.push(self.now + way, Event::Announced { side, host, node });
        }
    }

    /// What a member tells people.
    fn told(&mut self, node: usize, event: Told) {
        match event {
            Told::Role { from, to, term } => self.note(Fact::Role { node, from, to, term }),
            Told::TookOver { why, detection, .. } => {
                self.tally.takeovers += 1;
                let micros = detection.as_micros() as u64;
                self.note(Fact::TookOver { node, why, micros });
            }
            Told::Path { path, up, .. } => self.note(Fact::Path { node, path, up }),
            Told::Paused(span) => {
                self.note(Fact::Paused { node, micros: span.as_micros() as u64 });
            }
            Told::SplitHealed { .. } => {
                self.overlap.mark(self.now);
                self.note(Fact::Healed { node });
            }
            Told::SwitchoverFailed { .. }
            | Told::PeerBooted { .. }
            | Told::PeerClass { .. }
            | Told::PolicyDiffers { .. }
            | Told::MembersDiffer { .. }
            | Told::MembersSettled { .. }
            | Told::AddressConflict(_) => {}
        }
    }
}

/// The flow that a frame is of, and the end that it is for.
pub(crate) fn flow_of(read: &Read, flows: usize) -> Option<(usize, usize)> {
    let number = |port: u16| port.checked_sub(FIRST_PORT).map(usize::from);
    let (from, to) = read.ports;
    let client = number(to).filter(|flow| *flow < flows).map(|flow| (flow, 0));
    let base = [service::FILES_SHARED, service::DATA_SHARED, service::SHARED];
    let base = base.into_iter().find(|base| to >= *base);
    let shared = base.map(|base| (usize::from(to - base), 1));
    client
        .or(shared)
        .or_else(|| number(from).map(|flow| (flow, 1)))
        .filter(|(flow, _)| *flow < flows)
}
