//! The worker: everything that must outlive a flow actor's panic, and the loop over it.
//!
//! ```text
//! turn:  ┌─ drain one ring (≤ 64 frames) ─ parse all ─ touch all ─ decide all ─┐  for each port and
//!        └──────────── forward │ hand off │ drop ──── outbox ─ transmit ───────┘  each other worker,
//!        at most 16 times; then timers, rings serviced, peers woken                until nothing comes
//! ```
//!
//! A worker knows no actor, no thread and no clock: its flow actor calls [`Worker::turn`] with the
//! time and gets back what to do next. When the engine panics, the panic leaves `turn` with the burst
//! half done; [`Worker::recover`] drops the one frame in hand and the next turn goes on behind it.

mod latecomers;

use core::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use af_xdp::{Frame, Umem};
use engine::screen::Observation;
use engine::{
    Decision, Elsewhere, Engine, Event, Origin, PortId, Reason, Shares, Verdict, WorkerId,
};
use rtrb::Producer;
use wire::Time;

use self::latecomers::{Duty, Held};
use crate::batch::Batch;
use crate::fabric::{Fabric, Travelled};
use crate::handoff::{Carrier, Peer};
use crate::lease::Lease;
use crate::limits::{BURST, BURSTS_PER_TURN, IDLE_TICK, TRANSMIT_BACKLOG};
use crate::poison::{Failpoint, Poison, PoisonStore};
use crate::port::Port;
use crate::prefetch::prefetch;
use crate::wake::Bell;

/// One worker: UMEM, ports, engine, and the rings to its peers.
#[derive(Debug)]
pub struct Worker<P> {
    umem: Umem,
    ports: Vec<Attached<P>>,
    engine: Engine,
    peers: Vec<Peer>,
    bell: Bell,
    events: Producer<Event>,
    observed: Producer<Observation>,
    lease: Lease,
    /// On a node of a cluster.
    fabric: Option<Fabric>,
    /// Packets that wait until this node owns.
    held: Held,
    /// What the last turn did with packets.
    duty: Duty,
    batch: Batch,
    /// The datagram in hand, with the peer who gave it.
    datagram: Option<(usize, Carrier)>,
    poison: PoisonStore,
    failpoint: Option<Failpoint>,
    drop_only: bool,
    /// The clock jumped, and what lay in the rings then is not all out yet.
    stale: bool,
    last_turn: Option<Time>,
}

/// A port with what waits for its transmit ring.
#[derive(Debug)]
struct Attached<P> {
    port: P,
    backlog: Vec<Frame>,
}

/// What a turn says about the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// There is more to do: come again at once.
    Busy,
    /// Nothing to do until something arrives, the bell rings, or this time.
    Idle {
        /// When timers are looked at next.
        until: Time,
    },
}

/// What a worker is made of.
#[derive(Debug)]
pub struct Parts<P> {
    /// Frames for all ports.
    pub umem: Umem,
    /// The worker's queue of every port, in `PortId` order.
    pub ports: Vec<P>,
    /// The engine, with its session table.
    pub engine: Engine,
    /// Rings to every other worker.
    pub peers: Vec<Peer>,
    /// This worker's bell.
    pub bell: Bell,
    /// Where session events go.
    pub events: Producer<Event>,
    /// Where what screens observe goes, to be noted elsewhere; what finds no room is noted here.
    pub observed: Producer<Observation>,
    /// The node's permission to forward.
    pub lease: Lease,
}

impl<P: Port> Worker<P> {
    /// Assembles a worker.
    #[must_use]
    pub fn new(mut parts: Parts<P>) -> Self {
        // A peer may start first.
        parts.peers.iter_mut().for_each(|peer| peer.top_up(&mut parts.umem));
        let attach = |port| Attached { port, backlog: Vec::with_capacity(TRANSMIT_BACKLOG) };
        Self {
            umem: parts.umem,
            ports: parts.ports.into_iter().map(attach).collect(),
            engine: parts.engine,
            peers: parts.peers,
            bell: parts.bell,
            events: parts.events,
            observed: parts.observed,
            lease: parts.lease,
            fabric: None,
            held: Held::default(),
            duty: Duty::Judge,
            batch: Batch::new(BURST),
            datagram: None,
            poison: PoisonStore::default(),
            failpoint: None,
            drop_only: false,
            stale: false,
            last_turn: None,
        }
    }

    /// Does what there is to do at `now`, within bounds.
    pub fn turn(&mut self, now: Time) -> Turn {
        let duty = self.take_duty(now);
        self.finish_batch(now, duty); // what a panic left over
        self.attend_held(now, duty);
        let mut moved = 0;
        for _ in 0..BURSTS_PER_TURN {
            let round = self.round(now, duty);
            moved += round;
            if round == 0 {
                self.stale = false;
                break;
            }
        }
        let behind = self.engine.tick(now);
        if duty != Duty::Judge {
            self.discard_outbox();
        }
        self.drain_engine();
        self.service();
        if moved > 0 || behind || self.is_sending() {
            return Turn::Busy;
        }
        let idle = now + IDLE_TICK;
        Turn::Idle { until: self.held.next_expiry().map_or(idle, |at| at.min(idle)) }
    }

    /// Puts things right after a panic left [`turn`](Self::turn): the frame in hand is dropped with
    /// reason `poison` and kept for study; sessions stay.
    pub fn recover(&mut self, now: Time) {
        let repaired = self.engine.recover();
        if let Some((frame, taken)) = self.batch.take_poisoned() {
            // What the engine had not taken yet, nobody has counted.
            if !(taken && repaired.in_flight) {
                self.engine.refuse(self.batch.origin, Reason::Poison, 1);
            }
            let bytes = self.umem.data(&frame).to_vec();
            self.poison.keep(Poison { time: now, ingress: self.batch.ingress, frame: bytes });
            self.umem.free(frame);
        }
        if let Some((giver, carrier)) = self.datagram.take() {
            if !repaired.in_flight {
                self.engine.refuse(Origin::Peer, Reason::Poison, carrier.datagram.fragments());
            }
            let frame = carrier.datagram.frame().to_vec();
            self.poison.keep(Poison { time: now, ingress: carrier.ingress, frame });
            self.peers[giver].give_back(carrier);
        }
        self.umem.reclaim();
    }

    /// Connects the worker to the other node.
    pub fn join_fabric(&mut self, fabric: Fabric) {
        self.held.reserve();
        self.fabric = Some(fabric);
    }

    /// From now on many nodes own, each its slots; for a worker that has joined the fabric.
    pub fn share(&mut self, shares: Arc<Shares>) {
        self.engine.set_shares(shares);
        if let Some(fabric) = &mut self.fabric {
            fabric.by_slots = true;
        }
    }

    /// Tells the worker's end of the fabric of so many nodes, in their order; those that it knows are the
    /// first.
    pub fn meet(&mut self, peers: &[SocketAddr]) {
        if let Some(fabric) = &mut self.fabric {
            peers.iter().skip(fabric.peers()).for_each(|peer| fabric.meet(*peer));
        }
    }

    /// The worker's end of the fabric.
    #[must_use]
    pub fn fabric(&self) -> Option<&Fabric> {
        self.fabric.as_ref()
    }

    /// From now on every packet is dropped with reason `drop-only`.
    pub fn set_drop_only(&mut self, drop_only: bool) {
        self.drop_only = drop_only;
    }

    /// Plants a panic, or takes it away.
    pub fn set_failpoint(&mut self, failpoint: Option<Failpoint>) {
        self.failpoint = failpoint;
    }

    /// Takes out the oldest poisonous frame.
    pub fn take_poison(&mut self) -> Option<Poison> {
        self.poison.take()
    }

    /// Readies for sleep: announces it, and looks once more. `false` means there is work after all.
    pub fn lie_down(&mut self) -> bool {
        self.bell.lie_down();
        let work = self.peers.iter().any(Peer::has_work);
        if work {
            self.bell.get_up();
        }
        !work
    }

    /// The worker's bell: its descriptor is one of those to sleep on, and it is silenced after sleep.
    #[must_use]
    pub fn bell(&self) -> &Bell {
        &self.bell
    }

    /// The engine, for control between two turns.
    pub fn engine(&mut self) -> &mut Engine {
        &mut self.engine
    }

    /// The next hop that somebody should resolve.
    pub fn next_resolve(&mut self) -> Option<(PortId, IpAddr)> {
        self.engine.next_resolve()
    }

    /// The worker's queue of a port.
    pub fn port(&mut self, port: PortId) -> Option<&mut P> {
        self.ports.get_mut(usize::from(port.0)).map(|attached| &mut attached.port)
    }

    /// Changes the worker's queue of a port, for instance when its interface goes away or comes back.
    pub fn replace_port(&mut self, port: PortId, with: impl FnOnce(&mut P, &mut Umem)) {
        if let Some(attached) = self.ports.get_mut(usize::from(port.0)) {
            with(&mut attached.port, &mut self.umem);
            // What waited for the old queue is stale by the time there is a new one.
            for frame in attached.backlog.drain(..) {
                self.umem.free(frame);
                self.engine.output_lost();
            }
        }
    }

    /// The frames of this worker.
    #[must_use]
    pub fn umem(&self) -> &Umem {
        &self.umem
    }

    /// One burst from every port, every peer and the fabric. Returns the packets taken.
    fn round(&mut self, now: Time, duty: Duty) -> usize {
        let mut moved = 0;
        for index in 0..self.ports.len() {
            let port = &mut self.ports[index].port;
            let taken = port.receive(&mut self.umem, &mut self.batch.frames, BURST);
            if taken > 0 {
                self.batch.start(PortId(index as u16), Origin::Port);
                self.finish_batch(now, duty);
                moved += taken;
            }
        }
        for index in 0..self.peers.len() {
            moved += self.take_packets(index, now, duty);
            moved += self.take_datagrams(index, now, duty);
        }
        moved += self.take_passed(now, duty);
        if moved > 0 {
            self.transmit_all();
            // Now and not after the turn: a turn can give more than a sleeper's ring holds.
            self.peers.iter_mut().for_each(Peer::ring_if_given);
        }
        moved
    }

    /// One burst of packets that a peer gave us. A batch has one ingress, so it ends where that
    /// changes.
    fn take_packets(&mut self, index: usize, now: Time, duty: Duty) -> usize {
        let mut moved = 0;
        while moved < BURST {
            let Some(ingress) = self.peers[index].next_ingress() else { break };
            if ingress != self.batch.ingress {
                self.finish_given(now, duty, Origin::Peer);
                self.batch.ingress = ingress;
            }
            let Some(given) = self.peers[index].take() else { break };
            let Ok(frame) = self.umem.take_back(given.frame) else {
                unreachable!("a peer returns only frames that this worker lent it")
            };
            if frame.is_empty() {
                self.umem.free(frame);
                continue;
            }
            self.batch.frames.push(frame);
            moved += 1;
        }
        self.finish_given(now, duty, Origin::Peer);
        self.peers[index].top_up(&mut self.umem);
        moved
    }

    fn finish_given(&mut self, now: Time, duty: Duty, origin: Origin) {
        if !self.batch.frames.is_empty() {
            self.batch.start(self.batch.ingress, origin);
            self.finish_batch(now, duty);
        }
    }

    fn take_datagrams(&mut self, index: usize, now: Time, duty: Duty) -> usize {
        let mut moved = 0;
        while moved < BURST {
            let Some(carrier) = self.peers[index].take_datagram() else { break };
            let (_, carrier) = self.datagram.insert((index, carrier));
            if let Some(failpoint) = &mut self.failpoint {
                let struck = failpoint.strikes(carrier.datagram.frame());
                assert!(!struck, "failpoint: planted panic");
            }
            match duty.refusal() {
                Some(reason) => {
                    self.engine.refuse(Origin::Peer, reason, carrier.datagram.fragments());
                }
                None => {
                    self.engine.decide_datagram(carrier.ingress, &mut carrier.datagram, now);
                }
            }
            if let Some((_, carrier)) = self.datagram.take() {
                self.peers[index].give_back(carrier);
            }
            self.drain_engine();
            moved += 1;
        }
        moved
    }

    /// Parses what is not parsed, touches the memory that deciding will need, decides all; or does what
    /// else is done with packets.
    fn finish_batch(&mut self, now: Time, duty: Duty) {
        match duty {
            Duty::Judge => {}
            Duty::PassOn => return self.pass_batch(),
            Duty::Hold => return self.hold_batch(now),
            Duty::Refuse(reason) => return self.refuse_batch(reason),
        }
        let (umem, engine) = (&self.umem, &self.engine);
        while self.batch.parse_next(|frame, parsed| engine.parse_into(parsed, umem.data(frame))) {}
        self.engine.touch(self.batch.undecided(), prefetch);
        while !self.batch.frames.is_empty() {
            self.decide_next(now);
        }
        self.hand_on_observed();
    }

    fn hand_on_observed(&mut self) {
        let ring = &mut self.observed;
        self.engine.tell_observed(|all| {
            let room = ring.slots().min(all.len());
            let chunk = ring.write_chunk_uninit(room);
            chunk.map_or(0, |chunk| chunk.fill_from_iter(all.iter().copied()))
        });
    }

    fn refuse_batch(&mut self, reason: Reason) {
        while let Some(frame) = self.batch.take() {
            self.engine.refuse(self.batch.origin, reason, 1);
            self.umem.free(frame);
        }
        self.batch.end();
    }

    fn decide_next(&mut self, now: Time) {
        let Batch { origin, ingress, travelled, .. } = self.batch;
        let Some((parsed, frame)) = self.batch.in_hand() else { return };
        let bytes = self.umem.data_mut(frame);
        if let Some(failpoint) = &mut self.failpoint {
            assert!(!failpoint.strikes(bytes), "failpoint: planted panic");
        }
        let elsewhere = match origin {
            Origin::Port | Origin::Fabric | Origin::Held => {
                self.engine.owner(parsed, bytes, travelled.piece)
            }
            // Its slot may have changed hands while it lay in the ring.
            Origin::Peer if self.engine.shares_slots() => {
                let owner = self.engine.owner(parsed, bytes, travelled.piece);
                owner.filter(|it| matches!(it, Elsewhere::Node(..)))
            }
            Origin::Peer => None,
        };
        match elsewhere {
            None => {}
            Some(Elsewhere::Worker(worker)) => {
                let given =
                    peer(&mut self.peers, worker).is_some_and(|p| p.give(ingress, bytes).is_ok());
                self.engine.hand_off(origin, given, 1);
                return self.free_in_hand();
            }
            Some(Elsewhere::Node(place, term)) => {
                let whole = Travelled { piece: false, ..travelled };
                let passed = hand_over(self.fabric.as_ref(), (place, term), whole, ingress, bytes);
                self.engine.pass_on(origin, passed, 1);
                return self.free_in_hand();
            }
        }
        let decision = self.engine.decide(origin, parsed, bytes, now);
        if let Some(frame) = self.batch.take() {
            self.dispose(decision, frame);
        }
        if let Verdict::HandOff(to) = decision.verdict {
            self.give_datagram(to, travelled);
        }
        if self.engine.has_output() {
            self.drain_engine();
        }
    }

    /// Sends or frees the frame that was in hand.
    fn dispose(&mut self, decision: Decision, frame: Frame) {
        match decision.verdict {
            Verdict::Forward(port) if decision.in_hand => {
                if let Err(frame) = self.enqueue(port, frame) {
                    self.engine.retract(Reason::TransmitFull, decision.packets);
                    self.umem.free(frame);
                }
            }
            Verdict::Forward(_)
            | Verdict::Answer
            | Verdict::Consume
            | Verdict::Hold
            | Verdict::HandOff(_)
            | Verdict::Drop(_) => self.umem.free(frame),
        }
    }

    fn free_in_hand(&mut self) {
        if let Some(frame) = self.batch.take() {
            self.umem.free(frame);
        }
    }

    fn give_datagram(&mut self, to: Elsewhere, travelled: Travelled) {
        let worker = match to {
            Elsewhere::Worker(worker) => worker,
            Elsewhere::Node(place, term) => {
                let (fabric, pieces) =
                    (self.fabric.as_ref(), Travelled { piece: true, ..travelled });
                return self.engine.pass_datagram(|port, piece| {
                    hand_over(fabric, (place, term), pieces, port, piece)
                });
            }
        };
        let peer = peer(&mut self.peers, worker);
        let given = peer.is_some_and(|peer| peer.give_datagram(&mut self.engine).is_ok());
        if !given {
            self.engine.drop_datagram();
        }
    }

    fn enqueue(&mut self, port: PortId, frame: Frame) -> Result<(), Frame> {
        let Some(attached) = self.ports.get_mut(usize::from(port.0)) else { return Err(frame) };
        if attached.backlog.len() == TRANSMIT_BACKLOG {
            attached.port.transmit(&mut self.umem, &mut attached.backlog);
        }
        if attached.backlog.len() == TRANSMIT_BACKLOG {
            return Err(frame);
        }
        attached.backlog.push(frame);
        Ok(())
    }

    /// Moves what the engine made itself to the transmit rings, and its events to their ring.
    fn drain_engine(&mut self) {
        while let Some((port, bytes)) = self.engine.outbox().pop() {
            let frame = self.umem.alloc().and_then(|mut frame| {
                let fits = self.umem.write(&mut frame, bytes).is_ok();
                if fits {
                    Some(frame)
                } else {
                    self.umem.free(frame);
                    None
                }
            });
            let sent = frame.is_some_and(|frame| {
                self.enqueue(port, frame).map_err(|frame| self.umem.free(frame)).is_ok()
            });
            if !sent {
                self.engine.output_lost();
            }
        }
        while let Some(event) = self.engine.next_event() {
            if self.events.push(event).is_err() {
                self.engine.event_lost();
            }
        }
    }

    /// Sends what was judged, at once. A process that was stopped in the middle of a turn goes on here
    /// when somebody else may own.
    fn transmit_all(&mut self) {
        if !self.may_send() {
            return self.discard_output();
        }
        for Attached { port, backlog } in &mut self.ports {
            if !backlog.is_empty() {
                port.transmit(&mut self.umem, backlog);
                port.kick();
            }
        }
    }

    fn may_send(&self) -> bool {
        let clock = self.fabric.as_ref().map(|fabric| fabric.clock);
        clock.is_none_or(|clock| self.lease.covers_output(clock()))
    }

    fn service(&mut self) {
        self.transmit_all();
        self.hand_on_observed();
        for Attached { port, .. } in &mut self.ports {
            port.service(&mut self.umem);
        }
        for peer in &mut self.peers {
            peer.top_up(&mut self.umem);
            peer.ring_if_given();
        }
    }

    fn is_sending(&self) -> bool {
        self.ports.iter().any(|Attached { port, backlog }| {
            port.sending() || (!backlog.is_empty() && !port.stalled())
        })
    }
}

/// To the node at this place, which has the slot since `term`. A node without fabric has no such slots.
fn hand_over(
    fabric: Option<&Fabric>,
    (place, term): (u8, u64),
    travelled: Travelled,
    port: PortId,
    frame: &[u8],
) -> Result<(), Reason> {
    let fabric = fabric.ok_or(Reason::FabricFull)?;
    fabric.hand_over(place.into(), term, travelled, (port, frame))
}

fn peer(peers: &mut [Peer], worker: WorkerId) -> Option<&mut Peer> {
    peers.iter_mut().find(|peer| peer.worker == worker)
}
