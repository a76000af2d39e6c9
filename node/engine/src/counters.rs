//! Counters of one engine, and the conservation law that ties them together.

use crate::{Anomaly, Reason};

/// Plain counters, written by the engine's only thread. Units are packets, or sessions where it says so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters {
    /// Packets taken from a port.
    pub received: u64,
    /// Packets taken over from another worker of this node.
    pub handed_in: u64,
    /// Packets given to the worker that owns their flow.
    pub handed_out: u64,
    /// Packets that came over the fabric, from a node that owns no more.
    pub passed_in: u64,
    /// Packets passed on over the fabric, to the node that owns now.
    pub passed_on: u64,
    /// Packets that left by a port because of their own merit.
    pub forwarded: u64,
    /// Packets answered instead of forwarded (RST, ICMP error).
    pub answered: u64,
    /// Packets meant for the firewall itself.
    pub consumed: u64,
    /// Packets waiting now: fragments of incomplete datagrams, packets without a next hop, packets
    /// that came before this node owned.
    pub held: u64,
    /// Dropped packets by [`Reason`].
    pub dropped: [u64; Reason::COUNT],
    /// Frames the engine made itself: answers.
    pub answers: u64,
    /// Frames that could not be queued for output, though their packet had its verdict.
    pub outputs_lost: u64,
    /// Session events that found the event queue full.
    pub events_lost: u64,
    /// Sessions opened.
    pub sessions_opened: u64,
    /// Sessions closed.
    pub sessions_closed: u64,
    /// Of them: gave way to another, the table being full.
    pub sessions_evicted: u64,
    /// Sessions by their [`Anomaly`].
    pub anomalies: [u64; Anomaly::COUNT],
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            received: 0,
            handed_in: 0,
            handed_out: 0,
            passed_in: 0,
            passed_on: 0,
            forwarded: 0,
            answered: 0,
            consumed: 0,
            held: 0,
            dropped: [0; Reason::COUNT],
            answers: 0,
            outputs_lost: 0,
            events_lost: 0,
            sessions_opened: 0,
            sessions_closed: 0,
            sessions_evicted: 0,
            anomalies: [0; Anomaly::COUNT],
        }
    }
}

impl Counters {
    /// Packets dropped for `reason`.
    #[must_use]
    pub fn dropped(&self, reason: Reason) -> u64 {
        self.dropped[reason as usize]
    }

    /// Sessions with this anomaly.
    #[must_use]
    pub fn anomalous(&self, anomaly: Anomaly) -> u64 {
        self.anomalies[anomaly as usize]
    }

    /// Packets dropped for any reason.
    #[must_use]
    pub fn dropped_total(&self) -> u64 {
        self.dropped.iter().sum()
    }

    /// Checks `received + handed_in + passed_in
    /// = forwarded + answered + consumed + held + handed_out + passed_on + Σ dropped`.
    ///
    /// # Errors
    /// The two sides of the equation, when they differ.
    pub fn balance(&self) -> Result<(), Imbalance> {
        let taken = self.received + self.handed_in + self.passed_in;
        let given = self.forwarded
            + self.answered
            + self.consumed
            + self.held
            + self.handed_out
            + self.passed_on
            + self.dropped_total();
        if taken == given { Ok(()) } else { Err(Imbalance { taken, given }) }
    }

    pub(crate) fn drop(&mut self, reason: Reason, packets: u64) {
        self.dropped[reason as usize] += packets;
    }
}

/// A broken conservation law: a packet was lost or counted twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Imbalance {
    /// Packets that entered.
    pub taken: u64,
    /// Packets with a verdict, or waiting.
    pub given: u64,
}

impl core::fmt::Display for Imbalance {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{} packets taken, {} accounted for", self.taken, self.given)
    }
}

impl core::error::Error for Imbalance {}
