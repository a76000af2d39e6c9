//! A planned switchover, which nobody is to notice.

use std::time::Duration;

use crate::field::failure::Failure;
use crate::field::fault::Fault;
use crate::field::run::Run;
use crate::field::scenario::{Bar, Of, Scenario, nothing_special};
use crate::field::traffic::{Plan, Side, StreamPlan};

const BEFORE: Duration = Duration::from_millis(1_000);
const AFTER: Duration = Duration::from_millis(1_500);
/// Of the stream that counts.
const PER_SECOND: u32 = 5_000;

pub(crate) const SWITCHOVER: Scenario = Scenario {
    name: "switchover",
    about: "`cluster failover` with a stream of 5,000 datagrams a second",
    bars: &[
        Bar::none("lost"),
        Bar::none("tcp_reset"),
        Bar::none("tcp_broken"),
        Bar::none("young_dead"),
        Bar::none("overlap_ms"),
        Bar::least("takeovers", Of::Min, 1.0),
        Bar::most("takeovers", Of::Max, 1.0),
    ],
    peer: true,
    wants: nothing_special,
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
        run.strike(Fault::Switchover(active))?;
        run.pause(run.outlast(AFTER))
    })
}
