//! What screens cost a packet: an engine with a screen that acts and never needs to, beside the same one
//! without. What was observed is handed on as the worker does it; to note it is another thread's work.

use engine::WorkerId;

use crate::engine_bench::{BURSTS_PER_TURN, NEW_FLOWS, RULES, SPACE, new_round, round};
use crate::report::{Bar, Comparison};
use crate::workload::{self, BURST, Bench, Flows, START};

/// Open connections.
const FLOWS: u32 = 1 << 16;
/// Rules that permit so few servers that nearly all first packets are denied.
const FEW_RULES: u32 = 2;
/// Nanoseconds that an established packet may cost more.
const ESTABLISHED_BAR: Option<Bar> = Some(Bar::MoreAtMost(10.0));
/// Nanoseconds that a new or a denied one may cost more.
const FIRST_BAR: Option<Bar> = Some(Bar::MoreAtMost(150.0));

pub(crate) fn run(rounds: u32) -> [Comparison; 3] {
    [
        established(rounds),
        firsts("new flow, 1,000 rules, screened", RULES, rounds),
        firsts("denied packet, screened", FEW_RULES, rounds),
    ]
}

/// The subject, which screens, and its baseline.
fn both(flows: u32, rules: u32) -> [Bench; 2] {
    [workload::screened, workload::policy].map(|policy| {
        let mut engine = workload::engine(flows * SPACE, rules, WorkerId(0), START);
        engine.set_policy(policy(rules, 2));
        Bench::new(engine, START)
    })
}

fn established(rounds: u32) -> Comparison {
    let mut both = both(FLOWS, 1).map(|mut bench| {
        let mut flows = Flows::new(FLOWS);
        flows.open(&mut bench);
        (bench, flows)
    });
    let name = format!("established TCP, {FLOWS} flows, screened");
    let mut comparison = Comparison::new(name, "ns", ESTABLISHED_BAR);
    for _ in 0..rounds {
        let [subject, baseline] = each(&mut both, |(bench, flows)| {
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
fn firsts(name: &str, rules: u32, rounds: u32) -> Comparison {
    let mut both = both(NEW_FLOWS, rules).map(|bench| (bench, Flows::new(NEW_FLOWS)));
    let mut comparison = Comparison::new(name, "ns", FIRST_BAR);
    for _ in 0..rounds {
        let [subject, baseline] = each(&mut both, |(bench, flows)| {
            bench.clear();
            new_round(flows, |burst| bench.decide(burst))
        });
        comparison.push(subject, baseline);
    }
    comparison
}

fn each<T>(both: &mut [T; 2], measure: impl FnMut(&mut T) -> f64) -> [f64; 2] {
    both.each_mut().map(measure)
}
