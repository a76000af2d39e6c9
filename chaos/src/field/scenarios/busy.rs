//! No fault, and no CPU to spare.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::field::failure::Failure;
use crate::field::run::Run;
use crate::field::scenario::{Bar, Scenario, nothing_special};
use crate::field::traffic::{Plan, Side, StreamPlan};

pub(crate) const BUSY: Scenario = Scenario {
    name: "busy",
    about: "two threads a core that only compute, for --minutes, and nothing else",
    bars: &[
        Bar::none("takeovers"),
        Bar::none("tcp_broken"),
        Bar::none("overlap_ms"),
        Bar::none("overlap_frames"),
    ],
    peer: true,
    wants: nothing_special,
    run,
};

/// What flows is enough to see a takeover; the processors are busy with something else.
fn run(run: &mut Run<'_>) -> Result<(), Failure> {
    run.settle()?;
    let streams = [Side::Client, Side::Server].map(|from| StreamPlan { per_second: 200, from });
    let plan =
        Plan { streams: streams.to_vec(), slow: 100, young_per_second: 10, ..Plan::default() };
    let over = AtomicBool::new(false);
    let length = run.settings.length;
    run.while_flowing(&plan, |run, _| {
        std::thread::scope(|scope| {
            let cores = std::thread::available_parallelism().map_or(1, usize::from);
            (0..cores * 2).for_each(|_| drop(scope.spawn(|| compute(&over))));
            run.note("fault busy");
            let waited = run.pause(length);
            over.store(true, Ordering::Relaxed);
            waited
        })
    })
}

/// Numbers that nobody wants.
fn compute(over: &AtomicBool) {
    let mut number = 1_u64;
    while !over.load(Ordering::Relaxed) {
        for _ in 0..1_000_000 {
            number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        }
        std::hint::black_box(number);
    }
}
