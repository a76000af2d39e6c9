//! Screens: what counts as an attack in a zone, and what is done about it.
//!
//! A zone without a screen has no detector at all. With one it has those of [`Screen`]; each can be set or
//! switched off.

use core::time::Duration;

use serde::Serialize;

use crate::AddressMatch;

/// The detectors of one zone, for packets that enter by it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Screen {
    /// Index of the zone. A zone has one screen at most.
    pub zone: usize,
    /// Sources that are never named nor blocked.
    pub exempt: Option<AddressMatch>,
    /// Bits of a source that count: all that have these in common are one source.
    pub aggregate: PrefixLengths,
    /// SYNs a second.
    pub syn_flood: Option<SynFlood>,
    /// ICMP packets a second.
    pub icmp_flood: Option<Flood>,
    /// UDP packets a second.
    pub udp_flood: Option<Flood>,
    /// Fragments a second.
    pub fragment_flood: Option<Flood>,
    /// Ports that one source fails at.
    pub port_scan: Option<Scan>,
    /// Hosts that one source fails at.
    pub address_sweep: Option<Scan>,
    /// Sessions at once.
    pub session_limit: Option<SessionLimit>,
    /// Completed handshakes of one source a second, which nobody can forge.
    pub connection_rate: Option<Flood>,
    /// Packets that cannot be right.
    pub anomalies: Option<Flood>,
    /// What is unusual for the hour.
    pub baseline: Option<Baseline>,
}

impl Screen {
    /// The screen of a zone about which nothing else is said.
    pub fn of_zone(zone: usize) -> Self {
        let flood = |threshold| Some(Flood { threshold, response: Response::default() });
        Self {
            zone,
            exempt: None,
            aggregate: PrefixLengths::default(),
            syn_flood: Some(SynFlood::default()),
            icmp_flood: flood(1_000),
            udp_flood: flood(1_000),
            fragment_flood: flood(1_000),
            port_scan: Some(Scan::of(20)),
            address_sweep: Some(Scan::of(10)),
            session_limit: None,
            connection_rate: None,
            anomalies: flood(1),
            baseline: Some(Baseline::default()),
        }
    }
}

/// Bits of an address that count, in both families.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PrefixLengths {
    /// 24 to 32.
    pub v4: u8,
    /// 48 to 64, or 128: each address by itself.
    pub v6: u8,
}

impl Default for PrefixLengths {
    /// A single IPv4 address; of IPv6 what one subscriber has.
    fn default() -> Self {
        Self { v4: 32, v6: 64 }
    }
}

/// What is done about an attack. It is always told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reaction {
    /// Nothing else.
    #[default]
    Alarm,
    /// What is above the threshold is dropped.
    Drop,
    /// SYNs to a destination above its threshold are answered in its place, with cookies, and it is spoken to
    /// when the answer is right. Of a SYN flood alone; what is above another of its thresholds is dropped.
    Proxy,
    /// The source is blocked for a time. Where there is none to block, what is above the threshold is
    /// dropped.
    Block,
}

impl Reaction {
    /// The word of the policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Alarm => "alarm",
            Self::Drop => "drop",
            Self::Proxy => "proxy",
            Self::Block => "block",
        }
    }
}

/// What is done, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Response {
    /// What.
    pub action: Reaction,
    /// How long a source stays blocked after its last offence.
    pub block_for: Duration,
}

impl Default for Response {
    fn default() -> Self {
        Self { action: Reaction::Alarm, block_for: Duration::from_secs(300) }
    }
}

/// SYNs a second; the defaults are those of Junos.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SynFlood {
    /// To one destination: from here on it is told.
    pub alarm: u32,
    /// From one source.
    pub source: u32,
    /// To one destination: from here on the rest is dropped, if that is the action.
    pub destination: u32,
    /// Into the whole zone. `None`: any number.
    pub zone: Option<u32>,
    /// What is done.
    pub response: Response,
}

impl Default for SynFlood {
    fn default() -> Self {
        let response = Response::default();
        Self { alarm: 512, source: 1_024, destination: 2_048, zone: None, response }
    }
}

/// A rate that is an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Flood {
    /// So many a second.
    pub threshold: u32,
    /// What is done.
    pub response: Response,
}

/// Different things that one source fails at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Scan {
    /// So many in `window`.
    pub threshold: u32,
    /// The time of a fast scan.
    pub window: Duration,
    /// So many in a tenth of a second.
    pub burst_threshold: u32,
    /// So many in `slow_window`.
    pub slow_threshold: u32,
    /// The time of a slow one.
    pub slow_window: Duration,
    /// What is done.
    pub response: Response,
}

impl Scan {
    /// What is enough at once where nothing is said: half of what is enough in the window, but no fewer than
    /// the 10 of Junos if the window allows them.
    pub fn burst_of(threshold: u32) -> u32 {
        (threshold / 2).max(10).min(threshold)
    }

    /// So many in a minute, and over hours.
    fn of(threshold: u32) -> Self {
        Self {
            threshold,
            window: Duration::from_secs(60),
            burst_threshold: Self::burst_of(threshold),
            slow_threshold: threshold,
            slow_window: Duration::from_secs(4 * 3_600),
            response: Response::default(),
        }
    }
}

/// Sessions at once; `None` is any number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct SessionLimit {
    /// Of one source.
    pub source: Option<u32>,
    /// To one destination.
    pub destination: Option<u32>,
    /// Between the two.
    pub pair: Option<u32>,
    /// What is done.
    pub response: Response,
}

/// How unusual traffic must be to be told. Nothing else is done: what is unusual need not be an attack.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Baseline {
    /// Standard deviations away from what is expected at this hour.
    pub deviations: u32,
    /// Times what is expected, or that part of it.
    pub factor: u32,
    /// How long is learned before anything is told.
    pub learn: Duration,
}

impl Default for Baseline {
    fn default() -> Self {
        let learn = Duration::from_secs(3 * 86_400);
        Self { deviations: 4, factor: 3, learn }
    }
}
