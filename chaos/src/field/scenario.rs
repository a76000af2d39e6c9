//! The scenarios: what is done, and the bars for what it may cost.

use super::failure::Failure;
use super::lab::Node;
use super::pair::MASQUERADE;
use super::run::{Run, Settings};
use super::scenarios::{
    bulk_sync, busy, comeback, commits, cost, crash, cuts, disk, gateways, history, large,
    lock_out, pause, small, switchover,
};
use super::site::Wants;

/// One row of the table.
pub struct Scenario {
    pub name: &'static str,
    pub about: &'static str,
    pub bars: &'static [Bar],
    /// Whether the peer can be put through it as well.
    pub peer: bool,
    pub(crate) wants: fn(&Settings) -> Wants,
    pub(crate) run: fn(&mut Run<'_>) -> Result<(), Failure>,
}

/// What of all runs of a figure is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Of {
    Median,
    Max,
    Min,
    Sum,
}

impl Of {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Median => "median",
            Self::Max => "max",
            Self::Min => "min",
            Self::Sum => "sum",
        }
    }
}

/// A bar: it holds if the figure is there and within the bounds.
#[derive(Clone, Copy, Debug)]
pub struct Bar {
    pub figure: &'static str,
    pub of: Of,
    pub least: f64,
    pub most: f64,
}

impl Bar {
    pub(crate) const fn most(figure: &'static str, of: Of, most: f64) -> Self {
        Self { figure, of, least: f64::NEG_INFINITY, most }
    }

    pub(crate) const fn least(figure: &'static str, of: Of, least: f64) -> Self {
        Self { figure, of, least, most: f64::INFINITY }
    }

    pub(crate) const fn none(figure: &'static str) -> Self {
        Self::most(figure, Of::Max, 0.0)
    }
}

/// All of them, in the order of the table.
pub const SCENARIOS: &[Scenario] = &[
    crash::POWER_LOSS,
    crash::CRASH,
    crash::CLOCK,
    crash::NAT_CRASH,
    gateways::CRASH,
    gateways::SWITCHOVER,
    pause::PAUSE,
    switchover::SWITCHOVER,
    switchover::NAT_SWITCHOVER,
    comeback::RETURN,
    cuts::FABRIC_CUT,
    cuts::LINK_CUT,
    cuts::ONE_WAY,
    cuts::SPLIT,
    cuts::NAT_SPLIT,
    busy::BUSY,
    disk::DISK_FULL,
    cost::COST,
    bulk_sync::BULK_SYNC,
    commits::COMMITS,
    lock_out::LOCK_OUT,
    large::LARGE,
    large::LARGE_3,
    small::SMALL,
    small::SMALL_3,
    history::HISTORY,
];

/// The scenario of that name.
#[must_use]
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|it| it.name == name)
}

/// A third firewall.
pub(crate) fn three(_: &Settings) -> Wants {
    Wants { nodes: &Node::ALL, ..Wants::default() }
}

/// All clients behind the address of the servers' gateway.
pub(crate) fn masquerading(_: &Settings) -> Wants {
    Wants { policy: MASQUERADE, ..Wants::default() }
}

/// What most of them want.
pub(crate) fn nothing_special(_: &Settings) -> Wants {
    Wants::default()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::site::Kind;
    use super::*;

    #[test]
    fn the_peer_is_a_pair() {
        let settings = Settings {
            kind: Kind::Ringwall("ringwall".into()),
            capacity: None,
            length: Duration::ZERO,
            sessions: 0,
        };
        for it in SCENARIOS.iter().filter(|it| it.peer) {
            assert_eq!((it.wants)(&settings).nodes, Node::BOTH, "{}", it.name);
        }
    }

    #[test]
    fn each_name_is_that_of_one() {
        for (number, it) in SCENARIOS.iter().enumerate() {
            assert!(SCENARIOS[..number].iter().all(|other| other.name != it.name), "{}", it.name);
        }
    }
}
