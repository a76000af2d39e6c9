//! Instructions of the engine, counted under valgrind: the same on every machine and every day, so
//! that CI can guard them.
//!
//! `cargo bench -p ringwall-engine --bench instructions` wants valgrind and `gungraun-runner` (of the
//! version that `Cargo.lock` names) in the path. A count above its limit fails. The limits are what
//! was measured plus 5 %: whoever makes the path dearer on purpose writes a new one and says why.

#![allow(unused_qualifications, reason = "what the macros of gungraun make")]

extern crate ringwall_engine as engine;

mod workload;

use std::hint::black_box;

use engine::WorkerId;
use gungraun::prelude::*;
use gungraun::{Callgrind, EventKind};
use workload::{BURST, Baseline, Bench, Burst, Flows, START};

/// Open connections: few, since valgrind is fifty times slower and counts no cache misses.
const FLOWS: u32 = 1_024;
/// Bursts of one measurement: first-time costs are shared by so many.
const BURSTS: usize = 16;
/// Rules that a new flow is matched with.
const RULES: u32 = 1_000;

/// Instructions for `BURSTS × BURST` packets of open connections, at most: 808 a packet were measured.
const ESTABLISHED_MOST: u64 = 843_000;
/// The same for first packets: 4,237 were measured, 205 of them for counting by rule and zone and for the
/// standby's notes. That a cookie may open a connection and a screen count it, costs five where no screen is;
/// that a gateway may have announced it, and that who finds no port is counted, 26 where neither is.
const NEW_MOST: u64 = 4_390_000;

/// Of open connections with translated sources: 898 a packet were measured.
const TRANSLATED_MOST: u64 = 965_500;
/// First packets that get a port of a public address: 5,033 were measured.
const NEW_TRANSLATED_MOST: u64 = 5_323_000;

/// Nothing: valgrind knows no such thing.
fn prefetch(_: *const u8) {}

/// First packets where a screen acts and never needs to: 4,961 were measured, 796 of them for the screen.
const NEW_SCREENED_MOST: u64 = 5_334_000;
/// The same, most of which no rule permits: 3,547 were measured.
const DENIED_SCREENED_MOST: u64 = 3_813_000;
/// Rules that permit so few servers that nearly all first packets are denied.
const FEW_RULES: u32 = 2;

/// An engine and the bursts that it is to decide, all written beforehand.
struct Work {
    bench: Bench,
    bursts: Vec<Burst>,
}

fn established() -> Work {
    let mut bench = Bench::new(workload::engine(2 * FLOWS, 1, WorkerId(0), START), START);
    let mut flows = Flows::new(FLOWS);
    flows.open(&mut bench);
    Work { bench, bursts: bursts(|burst| flows.next(burst)) }
}

fn fresh() -> Work {
    let bench = Bench::new(workload::engine(2 * FLOWS, RULES, WorkerId(0), START), START);
    let mut flows = Flows::new(FLOWS);
    Work { bench, bursts: bursts(|burst| flows.next_new(burst)) }
}

/// The same with translated sources.
fn translated() -> Work {
    let mut bench = Bench::new(workload::engine(2 * FLOWS, 1, WorkerId(0), START), START);
    bench.engine.set_policy(workload::translated(1, 2));
    let mut flows = Flows::new(FLOWS);
    flows.open(&mut bench);
    Work { bench, bursts: bursts(|burst| flows.next(burst)) }
}

fn fresh_translated() -> Work {
    let mut bench = Bench::new(workload::engine(2 * FLOWS, RULES, WorkerId(0), START), START);
    bench.engine.set_policy(workload::translated(RULES, 2));
    let mut flows = Flows::new(FLOWS);
    Work { bench, bursts: bursts(|burst| flows.next_new(burst)) }
}

/// First packets under a screen.
fn fresh_screened() -> Work {
    screened(RULES)
}

fn denied_screened() -> Work {
    screened(FEW_RULES)
}

fn screened(rules: u32) -> Work {
    let mut bench = Bench::new(workload::engine(2 * FLOWS, rules, WorkerId(0), START), START);
    bench.engine.set_policy(workload::screened(rules, 2));
    let mut flows = Flows::new(FLOWS);
    Work { bench, bursts: bursts(|burst| flows.next_new(burst)) }
}

fn memory() -> (Baseline, Vec<Burst>) {
    let mut flows = Flows::new(FLOWS);
    (Baseline::new(FLOWS as usize, 2 * FLOWS), bursts(|burst| flows.next(burst)))
}

fn bursts(mut write: impl FnMut(&mut Burst)) -> Vec<Burst> {
    let one = |_| {
        let mut burst = Burst::default();
        write(&mut burst);
        burst
    };
    (0..BURSTS).map(one).collect()
}

// Everything is given back, so that no destructor is counted.
#[library_benchmark(config = limit(ESTABLISHED_MOST))]
#[bench::open_connections(setup = established)]
fn decide_established(work: Work) -> Work {
    decide(work)
}

#[library_benchmark(config = limit(NEW_MOST))]
#[bench::first_packets(setup = fresh)]
fn decide_new(work: Work) -> Work {
    decide(work)
}

#[library_benchmark(config = limit(TRANSLATED_MOST))]
#[bench::open_connections(setup = translated)]
fn decide_translated(work: Work) -> Work {
    decide(work)
}

#[library_benchmark(config = limit(NEW_TRANSLATED_MOST))]
#[bench::first_packets(setup = fresh_translated)]
fn decide_new_translated(work: Work) -> Work {
    decide(work)
}

#[library_benchmark(config = limit(NEW_SCREENED_MOST))]
#[bench::first_packets(setup = fresh_screened)]
fn decide_new_screened(work: Work) -> Work {
    decide(work)
}

#[library_benchmark(config = limit(DENIED_SCREENED_MOST))]
#[bench::first_packets(setup = denied_screened)]
fn decide_denied_screened(mut work: Work) -> Work {
    for burst in &mut work.bursts {
        assert!(work.bench.decide(burst) < BURST / 2);
    }
    work
}

// What the least that any stateful forwarder must touch takes.
#[library_benchmark]
#[bench::open_connections(setup = memory)]
fn baseline((mut baseline, mut bursts): (Baseline, Vec<Burst>)) -> (Baseline, Vec<Burst>) {
    for burst in &mut bursts {
        black_box(baseline.touch(burst));
    }
    (baseline, bursts)
}

fn decide(mut work: Work) -> Work {
    for burst in &mut work.bursts {
        assert_eq!(work.bench.decide(burst), BURST);
    }
    work
}

fn limit(most: u64) -> LibraryBenchmarkConfig {
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(Callgrind::default().hard_limits([(EventKind::Ir, most)]));
    config
}

library_benchmark_group!(
    name = engine_path,
    benchmarks = [
        decide_established,
        decide_new,
        decide_translated,
        decide_new_translated,
        decide_new_screened,
        decide_denied_screened,
        baseline
    ]
);
main!(library_benchmark_groups = engine_path);
