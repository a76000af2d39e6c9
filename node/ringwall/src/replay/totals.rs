//! The last line: what became of everything.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Serialize;

use crate::failure::Failure;
use crate::out::Out;

/// Sums over a whole capture. `received = forwarded + answered + consumed + held + Σ dropped`; of
/// these, held are the packets that still waited at the end.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Totals {
    /// Packets with an `n`.
    pub(super) packets: u64,
    /// Packets without.
    pub(super) others: u64,
    pub(super) received: u64,
    pub(super) forwarded: u64,
    pub(super) answered: u64,
    pub(super) consumed: u64,
    pub(super) held: u64,
    /// Packets by reason, those included that were held first and expired later.
    pub(super) dropped: BTreeMap<&'static str, u64>,
    /// Frames that left on the far side.
    pub(super) frames: u64,
    /// Frames sent back at once.
    pub(super) answers: u64,
    /// Frames sent back when something had expired; no packet's line has them.
    pub(super) late_answers: u64,
    pub(super) outputs_lost: u64,
    pub(super) sessions_opened: u64,
    pub(super) sessions_closed: u64,
    /// Sessions by what was odd about them.
    pub(super) anomalies: BTreeMap<&'static str, u64>,
    /// What control channels have announced, in the order that they did.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) announced: Vec<Announced>,
    /// Set when packets were lost or counted twice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) imbalance: Option<String>,
    /// Why the capture could not be read to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// A pinhole that a gateway opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Announced {
    pub(super) alg: &'static str,
    /// IP protocol.
    pub(super) protocol: u8,
    /// Who may come.
    pub(super) source: IpAddr,
    /// To which endpoint.
    pub(super) destination: IpAddr,
    pub(super) destination_port: u16,
}

/// The totals as a line of its own.
#[derive(Serialize)]
struct Last<'a> {
    totals: &'a Totals,
}

impl Totals {
    /// Whether every packet is accounted for, once.
    pub(super) fn balanced(&self) -> bool {
        self.imbalance.is_none()
    }

    pub(super) fn print(&self, out: &mut Out<'_>) -> Result<(), Failure> {
        if out.json() {
            return Ok(out.value(&Last { totals: self })?);
        }
        let Self { packets, others, forwarded, answered, consumed, held, .. } = self;
        let dropped: u64 = self.dropped.values().sum();
        out.line(format!("\n{packets} IP packets, {others} others"))?;
        out.line(format!(
            "forwarded {forwarded}, answered {answered}, consumed {consumed}, held {held}, \
             dropped {dropped}"
        ))?;
        for (reason, packets) in &self.dropped {
            out.line(format!("{packets:>10} {reason}"))?;
        }
        let (opened, closed) = (self.sessions_opened, self.sessions_closed);
        out.line(format!("sessions opened {opened}, closed {closed}"))?;
        for (anomaly, sessions) in &self.anomalies {
            out.line(format!("{sessions:>10} {anomaly}"))?;
        }
        for Announced { alg, source, destination, destination_port, .. } in &self.announced {
            out.line(format!("{alg} announced {source} to {destination} port {destination_port}"))?;
        }
        if let Some(imbalance) = &self.imbalance {
            out.line(format!("packets are not conserved, which is a bug: {imbalance}"))?;
        }
        Ok(())
    }
}
