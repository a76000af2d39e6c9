//! The active node dies: with its links, or without.

use std::time::Duration;

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::lab::Node;
use crate::field::limits::PROBED;
use crate::field::run::{Run, Settings};
use crate::field::scenario::{Bar, Of, Scenario, masquerading, nothing_special};
use crate::field::site::Wants;

/// Traffic before the fault: long enough for young connections of every age.
const BEFORE: Duration = Duration::from_millis(1_200);
/// Traffic afterwards: several retransmissions of a kernel (200, 400, 800 ms).
const AFTER: Duration = Duration::from_millis(2_500);

/// Those of a firewall that translates first; of the rest it would have to be known which ports it gave.
const BARS: &[Bar] = &[
    Bar::most("gap_ms", Of::Median, 100.0),
    Bar::most("gap_ms", Of::Max, 200.0),
    Bar::none("tcp_broken"),
    Bar::none("young_dead"),
    Bar::least("young_opened", Of::Min, 100.0),
    Bar::least("young_opened_after", Of::Min, 100.0),
    Bar::none("overlap_ms"),
    Bar::none("overlap_frames"),
    Bar::most("takeovers", Of::Max, 1.0),
    Bar::least("takeovers", Of::Min, 1.0),
    Bar::none("rst_passed"),
    Bar::none("forged_passed"),
    // More than the round before the fault has.
    Bar::least("control_passed", Of::Min, PROBED as f64 + 1.0),
];

/// Bars without those of forged segments.
const UNFORGED: usize = 10;

pub(crate) const CRASH: Scenario = Scenario {
    name: "crash",
    about: "kill -9 of the active daemon, its links stay up",
    bars: BARS,
    peer: true,
    wants: nothing_special,
    run: |run| die(run, Fault::Kill),
};

pub(crate) const POWER_LOSS: Scenario = Scenario {
    name: "power-loss",
    about: "the active node is silent on all links from one moment on",
    bars: BARS,
    peer: true,
    wants: nothing_special,
    run: |run| die(run, Fault::PowerLoss),
};

pub(crate) const CLOCK: Scenario = Scenario {
    name: "clock",
    about: "as crash, with clocks that are eleven days apart",
    bars: BARS,
    peer: false,
    wants: |_: &Settings| Wants { clock_ahead: [0, 1_000_000, 0], ..Wants::default() },
    run: |run| die(run, Fault::Kill),
};

pub(crate) const NAT_CRASH: Scenario = Scenario {
    name: "nat-crash",
    about: "as crash, with all clients behind the address that moves",
    bars: BARS.split_at(UNFORGED).0,
    peer: false,
    wants: masquerading,
    run: die_translating,
};

/// Nothing is forged: it would have to know the ports that the firewall gave.
fn die_translating(run: &mut Run<'_>) -> Result<(), Failure> {
    let active = run.settle()?;
    let plan = run.half_load()?;
    run.while_flowing(&plan, |run, _| {
        run.pause(BEFORE)?;
        run.strike(Fault::Kill(active))?;
        run.pause(run.outlast(AFTER))
    })
}

fn die(run: &mut Run<'_>, fault: fn(Node) -> Fault) -> Result<(), Failure> {
    let active = run.settle()?;
    let plan = run.half_load()?;
    run.while_flowing(&plan, |run, traffic| {
        run.pause(BEFORE)?;
        traffic.probe()?;
        run.strike(fault(active))?;
        run.pause(run.outlast(AFTER / 2))?;
        traffic.probe()?;
        run.pause(AFTER / 2)
    })
}
