//! One minute's traffic of a scope as seven numbers.

use core::fmt;

use sketch::{Measure, ScopeRow};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Feature {
    /// Packets a minute.
    Packets,
    /// Bits a minute.
    Bits,
    /// Sessions opened a minute.
    Sessions,
    /// The share of SYNs that came to no handshake.
    Unanswered,
    /// Different sources.
    Peers,
    /// Entropy of the sources of first packets, in bits.
    SourceEntropy,
    /// Entropy of their ports, in bits.
    PortEntropy,
}

impl Feature {
    /// How many there are.
    pub const COUNT: usize = 7;

    /// Every one, in the order of the wire.
    pub const ALL: [Self; Self::COUNT] = [
        Self::Packets,
        Self::Bits,
        Self::Sessions,
        Self::Unanswered,
        Self::Peers,
        Self::SourceEntropy,
        Self::PortEntropy,
    ];

    /// The logarithm that is modelled: a difference of ln 2 is twice as much. Of an entropy H that is of the
    /// number of things that are as likely, e^H.
    pub(super) fn logarithm(self, value: f64) -> f64 {
        match self {
            Self::Packets | Self::Bits | Self::Sessions | Self::Peers => value.ln_1p(),
            Self::Unanswered => (value + UNANSWERED_BASE).ln(),
            Self::SourceEntropy | Self::PortEntropy => value * core::f64::consts::LN_2,
        }
    }

    /// The value with this logarithm.
    pub(super) fn value(self, logarithm: f64) -> f64 {
        match self {
            Self::Packets | Self::Bits | Self::Sessions | Self::Peers => {
                logarithm.exp_m1().max(0.0)
            }
            Self::Unanswered => (logarithm.exp() - UNANSWERED_BASE).clamp(0.0, 1.0),
            Self::SourceEntropy | Self::PortEntropy => {
                (logarithm / core::f64::consts::LN_2).max(0.0)
            }
        }
    }

    /// Whether it is a number of events.
    pub(super) const fn is_count(self) -> bool {
        matches!(self, Self::Packets | Self::Bits | Self::Sessions | Self::Peers)
    }

    /// Whether less than expected is told, too. Less traffic is no attack; fewer sources than ever may be.
    pub(super) const fn both_ways(self) -> bool {
        matches!(self, Self::SourceEntropy | Self::PortEntropy)
    }

    /// Below it a value is too small to be an attack, whatever was expected.
    pub(super) const fn least(self) -> f64 {
        match self {
            // Ten packets, a session a second; twenty sources; 100 kbit/s.
            Self::Packets => 600.0,
            Self::Bits => 6e6,
            Self::Sessions => 60.0,
            Self::Peers => 20.0,
            Self::Unanswered | Self::SourceEntropy | Self::PortEntropy => 0.0,
        }
    }
}

/// One in ten SYNs without an answer is as good as none.
const UNANSWERED_BASE: f64 = 0.1;

/// First packets of a minute below which shares and entropies say nothing.
const BEGINNINGS_MIN: u64 = 60;

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Packets => "packets",
            Self::Bits => "bits",
            Self::Sessions => "sessions",
            Self::Unanswered => "unanswered",
            Self::Peers => "peers",
            Self::SourceEntropy => "source-entropy",
            Self::PortEntropy => "port-entropy",
        })
    }
}

/// A minute's numbers; those of too few beginnings are missing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Sample {
    values: [Option<f64>; Feature::COUNT],
}

impl Sample {
    pub(super) fn of(row: &ScopeRow) -> Self {
        let tally = &row.tally;
        let syns = u64::from(tally.of(Measure::Syn));
        let answered = u64::from(tally.of(Measure::Completed)).min(syns);
        let unanswered = (syns >= BEGINNINGS_MIN).then(|| 1.0 - answered as f64 / syns as f64);
        let enough = row.sources.total() >= BEGINNINGS_MIN;
        let values = [
            Some(tally.packets as f64),
            Some(tally.bytes as f64 * 8.0),
            Some(f64::from(tally.of(Measure::Opened))),
            unanswered,
            Some(row.peers.count() as f64),
            enough.then(|| row.sources.bits()),
            enough.then(|| row.ports.bits()),
        ];
        Self { values }
    }

    pub(super) const fn value(&self, feature: Feature) -> Option<f64> {
        self.values[feature as usize]
    }

    /// How many events a value rests on: chance makes 1/√n of it.
    pub(super) fn events(&self, feature: Feature) -> f64 {
        let of = |feature| self.value(feature).unwrap_or(0.0);
        match feature {
            Feature::Packets | Feature::Bits => of(Feature::Packets),
            Feature::Sessions | Feature::Unanswered => of(Feature::Sessions),
            Feature::Peers | Feature::SourceEntropy | Feature::PortEntropy => of(Feature::Peers),
        }
    }
}
