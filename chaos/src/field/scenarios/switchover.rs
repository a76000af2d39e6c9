//! A planned switchover, which nobody is to notice.

use std::time::{Duration, Instant};

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::lab::Node;
use crate::field::limits::SWITCHOVER_PATIENCE;
use crate::field::run::Run;
use crate::field::scenario::{Bar, Of, Scenario, masquerading, nothing_special};
use crate::field::traffic::{Plan, Side, StreamPlan};

const BEFORE: Duration = Duration::from_millis(1_000);
const AFTER: Duration = Duration::from_millis(1_500);
/// Between two requests, if the first is refused.
const BETWEEN: Duration = Duration::from_millis(500);
/// Of the stream that counts.
const PER_SECOND: u32 = 5_000;

const BARS: &[Bar] = &[
    Bar::none("lost"),
    Bar::none("tcp_reset"),
    Bar::none("tcp_broken"),
    Bar::none("young_dead"),
    Bar::none("overlap_ms"),
    Bar::none("overlap_frames"),
    Bar::least("takeovers", Of::Min, 1.0),
    Bar::most("takeovers", Of::Max, 1.0),
    Bar::most("refusals", Of::Median, 0.0),
];

pub(crate) const SWITCHOVER: Scenario = Scenario {
    name: "switchover",
    about: "`cluster failover` with a stream of 5,000 datagrams a second",
    bars: BARS,
    peer: true,
    wants: nothing_special,
    run,
};

/// A stream's server hears one endpoint alone: whose mapping changes is lost.
pub(crate) const NAT_SWITCHOVER: Scenario = Scenario {
    name: "nat-switchover",
    about: "as switchover, with all clients behind the address that moves",
    bars: BARS,
    peer: false,
    wants: masquerading,
    run,
};

fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    let active = run.settle()?;
    let half = run.half_load()?;
    let streams = [(PER_SECOND, Side::Client), (1_000, Side::Server)];
    let streams = streams.map(|(per_second, from)| StreamPlan { per_second, from }).to_vec();
    let plan = Plan { streams, ..half };
    run.while_flowing(&plan, |run, _| {
        run.pause(BEFORE)?;
        ask(run, active)?;
        run.pause(run.outlast(AFTER))
    })
}

/// An operator who is told that it cannot be now, and why, asks again. How often is a figure.
fn ask(run: &mut Run<'_>, active: Node) -> Result<(), Failure> {
    let end = Instant::now() + SWITCHOVER_PATIENCE;
    let mut refusals = 0;
    loop {
        let asked = run.strike(Fault::Switchover(active));
        run.measured("refusals", f64::from(refusals));
        match asked {
            Err(Failure::Refused { said, .. }) if Instant::now() < end => {
                refusals += 1;
                run.note(format!("refused: {said}"));
                run.pause(BETWEEN)?;
            }
            other => return other,
        }
    }
}
