//! The books: each packet is taken once and settled once.

use crate::session::CloseReason;
use crate::{Anomaly, Counters, Decision, Origin, Reason, Verdict};

/// Counters with the packets that are being judged right now.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    counters: Counters,
    /// Packets taken and not settled: 0 between two packets, unless a panic came in between.
    in_flight: u32,
}

impl Ledger {
    pub(crate) const fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Takes packets in.
    #[inline]
    pub(crate) fn take(&mut self, origin: Origin, packets: u32) {
        match origin {
            Origin::Port => self.counters.received += u64::from(packets),
            Origin::Peer => self.counters.handed_in += u64::from(packets),
            Origin::Fabric => self.counters.passed_in += u64::from(packets),
            Origin::Held => {
                self.counters.held = self.counters.held.saturating_sub(u64::from(packets));
            }
        }
        self.in_flight = packets;
    }

    /// Packets that were held come back to be judged together with the one just taken.
    pub(crate) fn resume(&mut self, held: u32) {
        self.counters.held = self.counters.held.saturating_sub(u64::from(held));
        self.in_flight += held;
    }

    /// Enters the verdict of the packets in flight.
    pub(crate) fn settle(&mut self, decision: &Decision) {
        let packets = u64::from(decision.packets);
        self.in_flight = 0;
        match decision.verdict {
            Verdict::Forward(_) => self.counters.forwarded += packets,
            Verdict::Answer => self.counters.answered += packets,
            Verdict::Consume => self.counters.consumed += packets,
            Verdict::Hold => self.counters.held += packets,
            Verdict::HandOff(_) => self.in_flight = decision.packets, // settled by `hand_off`
            Verdict::Drop(reason) => self.counters.drop(reason, packets),
        }
    }

    /// Enters the verdict of nearly every packet.
    #[inline]
    pub(crate) fn settle_forwarded(&mut self) {
        self.in_flight = 0;
        self.counters.forwarded += 1;
    }

    pub(crate) fn hand_off(&mut self, given: bool, packets: u32) {
        self.in_flight = 0;
        if given {
            self.counters.handed_out += u64::from(packets);
        } else {
            self.counters.drop(Reason::HandoffFull, u64::from(packets));
        }
    }

    pub(crate) fn hold(&mut self, packets: u32) {
        self.in_flight = 0;
        self.counters.held += u64::from(packets);
    }

    /// Packets in flight were passed on to the node that owns, or could not be.
    pub(crate) fn pass(&mut self, passed: Result<(), Reason>, packets: u32) {
        match passed {
            Ok(()) => self.pass_on(packets),
            Err(reason) => {
                self.in_flight = 0;
                self.counters.drop(reason, u64::from(packets));
            }
        }
    }

    pub(crate) fn pass_on(&mut self, packets: u32) {
        self.in_flight = 0;
        self.counters.passed_on += u64::from(packets);
    }

    /// Held packets leave at last.
    pub(crate) fn release(&mut self, packets: u32) {
        self.counters.held = self.counters.held.saturating_sub(u64::from(packets));
        self.counters.forwarded += u64::from(packets);
    }

    /// Held packets are dropped.
    pub(crate) fn expire(&mut self, reason: Reason, packets: u32) {
        self.counters.held = self.counters.held.saturating_sub(u64::from(packets));
        self.counters.drop(reason, u64::from(packets));
    }

    pub(crate) fn retract(&mut self, reason: Reason, packets: u32) {
        let packets = u64::from(packets);
        self.counters.forwarded = self.counters.forwarded.saturating_sub(packets);
        self.counters.drop(reason, packets);
    }

    /// After a panic: what was in flight is counted as poison. Whether anything was.
    pub(crate) fn settle_poisoned(&mut self) -> bool {
        let packets = core::mem::take(&mut self.in_flight);
        self.counters.drop(Reason::Poison, u64::from(packets));
        packets > 0
    }

    pub(crate) fn answered(&mut self) {
        self.counters.answers += 1;
    }

    pub(crate) fn output_lost(&mut self) {
        self.counters.outputs_lost += 1;
    }

    pub(crate) fn event_lost(&mut self) {
        self.counters.events_lost += 1;
    }

    pub(crate) fn opened(&mut self) {
        self.counters.sessions_opened += 1;
    }

    pub(crate) fn closed(&mut self, reason: CloseReason) {
        self.counters.sessions_closed += 1;
        self.counters.sessions_evicted += u64::from(reason == CloseReason::Evicted);
    }

    pub(crate) fn anomalous(&mut self, anomaly: Anomaly) {
        self.counters.anomalies[anomaly as usize] += 1;
    }
}
