//! What a worker does with packets while its node may not forward.
//!
//! ```text
//!  lease, and the engine owns ─► judge       (all else is in worker.rs)
//!  the peer owns now          ─► pass on     what waits in the engine first, then what comes
//!  about to own               ─► hold        until the lease opens: judged then, first of all
//!  else                       ─► refuse
//! ```
//!
//! An heir that was the owner a moment ago does both: what comes by its ports it passes on, and holds what
//! the fabric brings, for its sender has stopped. The duty is taken once a turn. Who stops as the owner
//! says so only after a turn of passing on whose predecessors' frames are all sent
//! ([`Worker::has_stopped`]).

use std::collections::VecDeque;

use af_xdp::Frame;
use engine::replication::Role;
use engine::{Mode, Origin, PortId, Reason};
use wire::Time;

use super::{Attached, Worker};
use crate::fabric::{Arrival, Fabric, Travelled};
use crate::lease::Lease;
use crate::limits::{BURST, HEIR_FRAMES, HEIR_LIFE};
use crate::port::Port;

/// What becomes of packets in a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Duty {
    /// The engine judges them.
    Judge,
    /// They are passed on to the node that owns.
    PassOn,
    /// They wait until this node owns.
    Hold,
    /// They are dropped.
    Refuse(Reason),
}

impl Duty {
    /// Why a datagram is dropped that was put together from fragments: it can be judged, nothing else.
    pub(super) const fn refusal(self) -> Option<Reason> {
        match self {
            Self::Judge => None,
            Self::PassOn | Self::Hold => Some(Reason::LeaseExpired),
            Self::Refuse(reason) => Some(reason),
        }
    }
}

/// Packets that wait until this node owns, in order of arrival.
#[derive(Debug, Default)]
pub(super) struct Held(VecDeque<Waiting>);

#[derive(Debug)]
struct Waiting {
    frame: Frame,
    ingress: PortId,
    since: Time,
}

impl Held {
    /// When the oldest one has waited for too long.
    pub(super) fn next_expiry(&self) -> Option<Time> {
        self.0.front().map(|waiting| waiting.since + HEIR_LIFE)
    }

    /// Takes memory; a node without peer needs none.
    pub(super) fn reserve(&mut self) {
        self.0.reserve(HEIR_FRAMES);
    }

    /// A small worker keeps most of its frames for its rings.
    fn is_full(&self, frames: u32) -> bool {
        self.0.len() >= HEIR_FRAMES.min(frames as usize / 4)
    }
}

impl<P: Port> Worker<P> {
    /// Whether nothing leaves here any more that was judged, unless there is a lease again.
    pub fn has_stopped(&self, now: Time) -> bool {
        match self.duty_at(now) {
            Duty::PassOn => self.duty == Duty::PassOn && !self.is_sending(),
            Duty::Judge | Duty::Hold | Duty::Refuse(_) => true,
        }
    }

    /// What this turn does with packets; with the output that an earlier one left, too.
    pub(super) fn take_duty(&mut self, now: Time) -> Duty {
        let last = self.last_turn.replace(now);
        self.stale |= last.is_some_and(|last| now.since(last) > Lease::LENGTH);
        let duty = self.duty_at(now);
        match duty {
            Duty::Judge => {}
            Duty::PassOn => self.stop_judging(now),
            Duty::Hold | Duty::Refuse(_) => self.discard_output(),
        }
        self.duty = duty;
        duty
    }

    fn duty_at(&self, now: Time) -> Duty {
        if self.drop_only {
            return Duty::Refuse(Reason::DropOnly);
        }
        // Also when the clock jumped by more than a lease since the last turn: what lies in the rings
        // then may be older than somebody else's takeover.
        if self.stale {
            return Duty::Refuse(Reason::LeaseExpired);
        }
        let leased = self.lease.covers(now);
        let Some(Fabric { latecomers, .. }) = &self.fabric else {
            return if leased { Duty::Judge } else { Duty::Refuse(Reason::LeaseExpired) };
        };
        match (leased, self.engine.role()) {
            (true, Role::Owner) => Duty::Judge,
            // The lease opened after the engine was told its role: the next turn is an owner's.
            (true, Role::Backup) => Duty::Hold,
            (false, _) if latecomers.are_passed_on(now) => Duty::PassOn,
            (false, _) if latecomers.are_held(now) => Duty::Hold,
            (false, _) => Duty::Refuse(Reason::LeaseExpired),
        }
    }

    /// What becomes of packets that the fabric brings.
    fn duty_to_passed(&self, now: Time, duty: Duty) -> Duty {
        let heir = self.fabric.as_ref().is_some_and(|fabric| fabric.latecomers.are_held(now));
        if heir && duty == Duty::PassOn { Duty::Hold } else { duty }
    }

    /// The first turn of passing on sends what was judged before, and passes on what waits in the engine.
    /// Later ones go on sending, as long as nobody else can own.
    fn stop_judging(&mut self, now: Time) {
        if !self.lease.covers_output(now) {
            self.discard_output();
        }
        if self.duty == Duty::PassOn {
            return self.discard_outbox();
        }
        self.drain_engine();
        let Some(fabric) = &self.fabric else { return };
        while let Some(waiting) = self.engine.next_latecomer() {
            let (packets, passed) =
                (waiting.packets, fabric.pass_on(waiting.ingress, waiting.frame));
            self.engine.pass_on(Origin::Held, passed, packets);
        }
    }

    /// The burst in hand belongs to the peer.
    pub(super) fn pass_batch(&mut self) {
        let (origin, ingress) = (self.batch.origin, self.batch.ingress);
        while let Some(frame) = self.batch.take() {
            self.pass_on(origin, ingress, &frame);
            self.umem.free(frame);
        }
        self.batch.end();
    }

    fn pass_on(&mut self, origin: Origin, ingress: PortId, frame: &Frame) {
        let Some(fabric) = &self.fabric else { return };
        let passed = fabric.pass_on(ingress, self.umem.data(frame));
        self.engine.pass_on(origin, passed, 1);
    }

    /// The burst in hand came too early.
    pub(super) fn hold_batch(&mut self, now: Time) {
        let (origin, ingress) = (self.batch.origin, self.batch.ingress);
        while let Some(frame) = self.batch.take() {
            if self.held.is_full(self.umem.capacity()) {
                self.engine.refuse(origin, Reason::HeirFull, 1);
                self.umem.free(frame);
                continue;
            }
            self.engine.hold_for_lease(origin, 1);
            self.held.0.push_back(Waiting { frame, ingress, since: now });
        }
        self.batch.end();
    }

    /// What waited is judged before all that comes, or goes where the rest goes.
    pub(super) fn attend_held(&mut self, now: Time, duty: Duty) {
        match self.duty_to_passed(now, duty) {
            Duty::Judge => self.release_held(now),
            Duty::PassOn => {
                while let Some(Waiting { frame, ingress, .. }) = self.held.0.pop_front() {
                    self.pass_on(Origin::Held, ingress, &frame);
                    self.umem.free(frame);
                }
            }
            Duty::Hold => self.expire_held(Some(now)),
            Duty::Refuse(_) => self.expire_held(None),
        }
    }

    fn release_held(&mut self, now: Time) {
        while let Some(Waiting { frame, ingress, .. }) = self.held.0.pop_front() {
            let full = self.batch.frames.len() == BURST;
            if full || ingress != self.batch.ingress {
                self.finish_given(now, Duty::Judge, Origin::Held);
                self.batch.ingress = ingress;
            }
            self.batch.frames.push(frame);
        }
        self.finish_given(now, Duty::Judge, Origin::Held);
        self.transmit_all();
    }

    /// Drops what has waited too long at `now`; all, without a time.
    fn expire_held(&mut self, now: Option<Time>) {
        let over = |held: &mut Waiting| now.is_none_or(|now| held.since + HEIR_LIFE <= now);
        while let Some(waiting) = self.held.0.pop_front_if(over) {
            self.engine.refuse(Origin::Held, Reason::HeirExpired, 1);
            self.umem.free(waiting.frame);
        }
    }

    /// One burst of what the peer passed on.
    pub(super) fn take_passed(&mut self, now: Time, duty: Duty) -> usize {
        let duty = self.duty_to_passed(now, duty);
        let mut taken = 0;
        while taken < BURST && self.take_one_passed(now, duty) {
            taken += 1;
        }
        self.finish_given(now, duty, Origin::Fabric);
        taken
    }

    /// Whether there was one. Without a free frame it stays where it is, in the socket.
    fn take_one_passed(&mut self, now: Time, duty: Duty) -> bool {
        let Some(fabric) = &mut self.fabric else { return false };
        let Some(mut frame) = self.umem.alloc() else { return false };
        let Some(arrival) = fabric.receive() else {
            self.umem.free(frame);
            return false;
        };
        match arrival {
            Arrival::Refused(reason) => self.engine.refuse(Origin::Fabric, reason, 1),
            Arrival::Frame(port, passed) if duty == Duty::PassOn => {
                let again = fabric.pass_again(port, &passed);
                self.engine.pass_on(Origin::Fabric, again, 1);
            }
            Arrival::Frame(port, passed) if self.umem.write(&mut frame, fabric.frame()).is_ok() => {
                self.arrive(port, Travelled::of(&passed), frame, now, duty);
                return true;
            }
            Arrival::Frame(..) => self.engine.refuse(Origin::Fabric, Reason::FabricTooBig, 1),
        }
        self.umem.free(frame);
        true
    }

    /// The frame goes into the burst as if it had come in by `ingress` of this node.
    fn arrive(
        &mut self,
        ingress: PortId,
        travelled: Travelled,
        mut frame: Frame,
        now: Time,
        duty: Duty,
    ) {
        if (ingress, travelled) != (self.batch.ingress, self.batch.travelled) {
            self.finish_given(now, duty, Origin::Fabric);
            (self.batch.ingress, self.batch.travelled) = (ingress, travelled);
        }
        if let Some(port) = self.engine.ports().get(ingress.index()) {
            readdress(self.umem.data_mut(&mut frame), port);
        }
        self.batch.frames.push(frame);
    }

    /// Drops what waits to be sent, because nothing may be any more.
    pub(super) fn discard_output(&mut self) {
        for Attached { backlog, .. } in &mut self.ports {
            for frame in backlog.drain(..) {
                self.umem.free(frame);
                self.engine.output_lost();
            }
        }
        self.discard_outbox();
    }

    pub(super) fn discard_outbox(&mut self) {
        while self.engine.outbox().pop().is_some() {
            self.engine.output_lost();
        }
    }
}

/// The sender meant the other node's port, which is this one's now. A wire's frames are not for it.
fn readdress(frame: &mut [u8], port: &engine::Port) {
    let Some(to) = frame.first_chunk_mut::<6>() else { return };
    match port.mode {
        Mode::Routed if to[0] & 1 == 0 => *to = port.mac,
        Mode::Routed | Mode::Wire(_) => {}
    }
}
