//! Nanoseconds a match, beside a loop that reads as scattered from as much memory; and the time to
//! compile.
//!
//! `cargo bench -p ringwall-engine --bench matcher`. The ratios come first, from
//! interleaved rounds, since two numbers taken at different times on a busy machine compare badly.

extern crate ringwall_engine as engine;

use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use engine::ZoneId;
use engine::policy::{Matcher, Policy, Question};
use rulesets::{Dice, Seed, classbench, question};
use wire::Protocol;

#[path = "../src/policy/tests/rulesets.rs"]
#[allow(dead_code, reason = "shared with tests that use more of it")]
mod rulesets;

const SEEDS: [(Seed, &str); 3] = [(Seed::Acl, "ACL"), (Seed::Fw, "FW"), (Seed::Ipc, "IPC")];
const RULES: [usize; 3] = [1_000, 10_000, 100_000];
/// Packets asked in turn: their memory is read in order, and costs little.
const QUESTIONS: usize = 1 << 15;
/// Dependent reads of the baseline: address interval, its class, pair and leaf.
const READS: usize = 4;
/// Questions timed at once, and how often.
const PIECE: usize = 512;
const ROUNDS: usize = 25;
/// Rules up to which the scan is measured too.
const SCAN_MAX: usize = 1_000;

/// A rule set, packets near its rules, and memory to compare with.
struct Subject {
    policy: Policy,
    questions: Vec<Question>,
    memory: Vec<u64>,
}

impl Subject {
    fn new(model: &config::Policy, dice: &mut Dice) -> Self {
        let policy = Policy::compile(model, 1, &["lan", "wan"]).expect("a policy that compiles");
        let questions = (0..QUESTIONS).map(|_| question(model, dice)).collect();
        let words = (policy.index_bytes() / 8).next_power_of_two() / 2;
        let memory = (0..words).map(|_| dice.roll()).collect();
        Self { policy, questions, memory }
    }

    fn found(&self, of: &[Question]) -> usize {
        of.iter().filter(|asked| black_box(self.policy.find(asked)).is_some()).count()
    }

    fn scanned(&self, of: &[Question]) -> usize {
        let linear = self.policy.linear();
        of.iter().filter(|asked| black_box(linear.find(asked)).is_some()).count()
    }

    fn touched(&self, of: &[Question]) -> u64 {
        let read = |asked: &Question| {
            let mut at = u64::from(asked.source_port) << 16 | u64::from(asked.destination_port);
            if let std::net::IpAddr::V4(source) = asked.source {
                at ^= u64::from(source.to_bits());
            }
            for _ in 0..READS {
                at = at.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_right(20);
                at ^= self.memory[at as usize & (self.memory.len() - 1)];
            }
            black_box(at)
        };
        of.iter().fold(0, |sum, asked| sum ^ read(asked))
    }
}

/// Nanoseconds a question of two loops. Rounds are interleaved and cut into short pieces, and of each
/// piece the quickest counts: a piece is over before another program takes the core.
fn compare<A, B>(
    questions: &[Question],
    one: impl Fn(&[Question]) -> A,
    other: impl Fn(&[Question]) -> B,
) -> (f64, f64) {
    let pieces: Vec<_> = questions.chunks(PIECE).collect();
    let mut quickest = vec![[Duration::MAX; 2]; pieces.len()];
    for _ in 0..ROUNDS {
        for (piece, best) in pieces.iter().zip(&mut quickest) {
            best[0] = best[0].min(timed(|| one(piece)));
        }
        for (piece, best) in pieces.iter().zip(&mut quickest) {
            best[1] = best[1].min(timed(|| other(piece)));
        }
    }
    let nanos = |which: usize| {
        let total: Duration = quickest.iter().map(|best| best[which]).sum();
        total.as_nanos() as f64 / questions.len() as f64
    };
    (nanos(0), nanos(1))
}

#[allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]
fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let start = Instant::now();
    black_box(work());
    start.elapsed()
}

fn matching(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("match");
    group.throughput(Throughput::Elements(QUESTIONS as u64));
    group.sample_size(20).measurement_time(Duration::from_secs(2));
    for (seed, name) in SEEDS {
        for rules in RULES {
            let dice = &mut Dice(rules as u64);
            let subject = Subject::new(&classbench(seed, rules, dice), dice);
            let what = format!("{name} {rules}");
            tell(&format!("{what} rules"), &subject);
            group.bench_function(format!("index {what}"), |b| {
                b.iter(|| subject.found(&subject.questions))
            });
            group.bench_function(format!("baseline {what}"), |b| {
                b.iter(|| subject.touched(&subject.questions))
            });
            if rules <= SCAN_MAX {
                group.bench_function(format!("scan {what}"), |b| {
                    b.iter(|| subject.scanned(&subject.questions))
                });
            }
        }
    }
    group.finish();
}

fn tell(what: &str, subject: &Subject) {
    let asked = &subject.questions;
    let hits = subject.found(asked) * 100 / asked.len();
    let (index, baseline) = compare(asked, |of| subject.found(of), |of| subject.touched(of));
    let (bytes, ratio) = (subject.policy.index_bytes(), index / baseline);
    eprintln!(
        "{what}: {index:.0} ns a match, baseline {baseline:.0} ns, ratio {ratio:.2}; \
         {bytes} bytes, {hits} % of packets match"
    );
}

/// 10,000 rules, two of which name a list of 100,000 prefixes.
fn compiling(criterion: &mut Criterion) {
    let mut model = classbench(Seed::Acl, 10_000, &mut Dice(3));
    let prefix = |at: u32| ((at * 40_503) & !0xff, (at * 40_503) | 0xff);
    let mut prefixes: Vec<_> = (0..100_000).map(prefix).collect();
    prefixes.sort_unstable();
    prefixes.dedup();
    let ranges = prefixes.len();
    model.sets.push(config::AddressSet { name: None, v4: prefixes, v6: Vec::new() });
    let sets = vec![model.sets.len() - 1];
    for (rule, negate) in [(10, false), (5_000, true)] {
        model.rules[rule].source = Some(config::AddressMatch { sets: sets.clone(), negate });
    }
    let compile = || Policy::compile(&model, 1, &["lan", "wan"]).expect("a policy that compiles");
    let copy = || (model.rules.clone(), model.sets.clone());
    let (mut one, mut other) = (Duration::MAX, Duration::MAX);
    for _ in 0..ROUNDS {
        one = one.min(timed(compile));
        other = other.min(timed(copy));
    }
    eprintln!(
        "compile 10000 rules and {ranges} prefixes: {one:.1?}, a copy of them {other:.1?}; {} bytes",
        compile().index_bytes()
    );
    let dice = &mut Dice(4);
    tell("ACL 10000 and a list of 100000 prefixes", &Subject::new(&model, dice));
    let mut group = criterion.benchmark_group("compile");
    group.sample_size(10);
    group.bench_function("10000 rules, 100000 prefixes", |b| b.iter(compile));
    let large = classbench(Seed::Fw, 100_000, &mut Dice(5));
    group.bench_function("FW 100000 rules", |b| {
        b.iter(|| Policy::compile(&large, 1, &["lan", "wan"]).expect("a policy that compiles"));
    });
    group.finish();
}

criterion_group!(benches, matching, compiling);
criterion_main!(benches);
