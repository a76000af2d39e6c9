//! What translation costs a packet: an engine whose clients are behind public addresses, beside the same one
//! whose clients are seen as they are.

use engine::WorkerId;

use crate::engine_bench::{BURSTS_PER_TURN, NEW_FLOWS, RULES, SPACE, new_round, round};
use crate::report::{Bar, Comparison};
use crate::workload::{self, BURST, Bench, Flows, START};

/// Open connections: those that the second-level cache holds, and those that it does not.
const FLOWS: [u32; 2] = [1 << 10, 1 << 16];
/// An established packet may cost as much more.
const ESTABLISHED_BAR: Option<Bar> = Some(Bar::RatioAtMost(1.15));
/// Nanoseconds that a new flow may cost more.
const NEW_BAR: Option<Bar> = Some(Bar::MoreAtMost(200.0));

pub(crate) fn run(rounds: u32) -> Vec<Comparison> {
    let mut results: Vec<Comparison> =
        FLOWS.into_iter().map(|flows| established(flows, rounds)).collect();
    results.push(firsts(rounds));
    results
}

/// The subject, which translates, and its baseline.
fn both(flows: u32, rules: u32) -> [Bench; 2] {
    [workload::translated, workload::policy].map(|policy| {
        let mut engine = workload::engine(flows * SPACE, rules, WorkerId(0), START);
        engine.set_policy(policy(rules, 2));
        Bench::new(engine, START)
    })
}

fn established(flows: u32, rounds: u32) -> Comparison {
    let mut both = both(flows, 1).map(|mut bench| {
        let mut flows = Flows::new(flows);
        flows.open(&mut bench);
        (bench, flows)
    });
    let name = format!("established TCP, {flows} flows, source translated");
    let mut comparison = Comparison::new(name, "ns", ESTABLISHED_BAR);
    for _ in 0..rounds {
        let [subject, baseline] = both.each_mut().map(|(bench, flows)| {
            round(flows, |burst, number| {
                assert_eq!(bench.decide(burst), BURST);
                if number.is_multiple_of(BURSTS_PER_TURN) {
                    bench.tick();
                }
            })
        });
        comparison.push(subject, baseline);
    }
    comparison
}

/// First packets, each of a flow that the table does not have.
fn firsts(rounds: u32) -> Comparison {
    let mut both = both(NEW_FLOWS, RULES).map(|bench| (bench, Flows::new(NEW_FLOWS)));
    let mut comparison = Comparison::new("new flow, 1,000 rules, source translated", "ns", NEW_BAR);
    for _ in 0..rounds {
        let [subject, baseline] = both.each_mut().map(|(bench, flows)| {
            bench.clear();
            new_round(flows, |burst| bench.decide(burst))
        });
        comparison.push(subject, baseline);
    }
    comparison
}
