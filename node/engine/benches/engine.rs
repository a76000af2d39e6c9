//! Nanoseconds a packet of the engine, beside a loop that touches as much memory.
//!
//! `cargo bench -p ringwall-engine --bench engine`: small sizes, for a look while working. The
//! large ones, and medians of interleaved runs, are `ringwall-bench engine`.

extern crate ringwall_engine as engine;

mod workload;

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, Criterion, Throughput, criterion_group, criterion_main};
use engine::WorkerId;
use engine::policy::Policy;
use workload::{BURST, Baseline, Bench, Burst, Flows, START};

/// Nothing here: to speak to the processor is the datapath's. So the large size is slower than there.
fn prefetch(_: *const u8) {}

/// Flows whose memory the second-level cache holds, and ones that it does not.
const FLOWS: [u32; 2] = [1_024, 65_536];
const NEW_FLOWS: u32 = 16_384;
/// One that permits everything, and one for each server.
const RULES: [u32; 2] = [1, 1_000];

fn bench(sessions: u32, rules: u32) -> Bench {
    Bench::new(workload::engine(sessions, rules, WorkerId(0), START), START)
}

fn group<'a>(criterion: &'a mut Criterion, name: &str) -> BenchmarkGroup<'a, WallTime> {
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Elements(BURST as u64));
    group.sample_size(30).measurement_time(Duration::from_secs(3));
    group
}

/// A burst of 64 packets of open TCP connections.
fn established(criterion: &mut Criterion) {
    let mut group = group(criterion, "established");
    for count in FLOWS {
        let mut subject = bench(2 * count, 1);
        let mut flows = Flows::new(count);
        flows.open(&mut subject);
        group.bench_function(format!("{count} flows"), |bencher| {
            bencher.iter_custom(|iterations| {
                sum(iterations, &mut flows, |burst| assert_eq!(subject.decide(burst), BURST))
            });
        });
    }
    group.finish();
}

/// The same frames and as much other memory, read and counted into.
fn baseline(criterion: &mut Criterion) {
    let mut group = group(criterion, "baseline");
    for count in FLOWS {
        let mut flows = Flows::new(count);
        let mut baseline = Baseline::new(flows.count(), 2 * count);
        group.bench_function(format!("{count} flows"), |bencher| {
            bencher.iter_custom(|iterations| {
                sum(iterations, &mut flows, |burst| black_box(baseline.touch(burst)))
            });
        });
    }
    group.finish();
}

/// The same as [`established`] under a screen: 10 ns a packet more are allowed.
fn screened(criterion: &mut Criterion) {
    let mut group = group(criterion, "established, screened");
    for count in FLOWS {
        let mut subject = bench(2 * count, 1);
        subject.engine.set_policy(workload::screened(1, 2));
        let mut flows = Flows::new(count);
        flows.open(&mut subject);
        group.bench_function(format!("{count} flows"), |bencher| {
            bencher.iter_custom(|iterations| {
                sum(iterations, &mut flows, |burst| assert_eq!(subject.decide(burst), BURST))
            });
        });
    }
    group.finish();
}

/// A burst of 64 first packets, with the rule somewhere among so many.
fn new_flows(criterion: &mut Criterion) {
    firsts(criterion, "new flow", workload::policy);
}

/// The same under a screen: 150 ns a packet more are allowed.
fn screened_flows(criterion: &mut Criterion) {
    firsts(criterion, "new flow, screened", workload::screened);
}

fn firsts(criterion: &mut Criterion, name: &str, policy: fn(u32, u64) -> Arc<Policy>) {
    let mut group = group(criterion, name);
    for rules in RULES {
        let mut subject = bench(2 * NEW_FLOWS, rules);
        subject.engine.set_policy(policy(rules, 2));
        let mut flows = Flows::new(NEW_FLOWS);
        let mut burst = Burst::default();
        group.bench_function(format!("{rules} rules"), |bencher| {
            bencher.iter_custom(|iterations| {
                let mut taken = Duration::ZERO;
                for _ in 0..iterations {
                    if subject.engine.sessions().len() == flows.count() {
                        subject.clear();
                    }
                    flows.next_new(&mut burst);
                    taken += workload::timed(|| assert_eq!(subject.decide(&mut burst), BURST));
                }
                taken
            });
        });
    }
    group.finish();
}

/// The time that `work` takes with so many bursts, without that of writing their packets.
fn sum<T>(bursts: u64, flows: &mut Flows, mut work: impl FnMut(&mut Burst) -> T) -> Duration {
    let mut burst = Burst::default();
    let one = |_| {
        flows.next(&mut burst);
        workload::timed(|| work(&mut burst))
    };
    (0..bursts).map(one).sum()
}

criterion_group!(benches, established, screened, baseline, new_flows, screened_flows);
criterion_main!(benches);
