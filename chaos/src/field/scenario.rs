//! The scenarios: what is done, and the bars for what it may cost.

use super::failure::Failure;
use super::run::{Run, Settings};
use super::scenarios::{
    bulk_sync, busy, comeback, commits, cost, crash, cuts, disk, history, large, lock_out, pause,
    small, switchover,
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
    pause::PAUSE,
    switchover::SWITCHOVER,
    comeback::RETURN,
    cuts::FABRIC_CUT,
    cuts::LINK_CUT,
    cuts::ONE_WAY,
    cuts::SPLIT,
    busy::BUSY,
    disk::DISK_FULL,
    cost::COST,
    bulk_sync::BULK_SYNC,
    commits::COMMITS,
    lock_out::LOCK_OUT,
    large::LARGE,
    small::SMALL,
    history::HISTORY,
];

/// The scenario of that name.
#[must_use]
pub fn scenario(name: &str) -> Option<&'static Scenario> {
    SCENARIOS.iter().find(|it| it.name == name)
}

/// What most of them want.
pub(crate) fn nothing_special(_: &Settings) -> Wants {
    Wants::default()
}
