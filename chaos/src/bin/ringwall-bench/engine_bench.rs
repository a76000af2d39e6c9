//! Nanoseconds a packet of the engine alone: frames in memory, one core, bursts of 64.
//!
//! Writing the frames is not measured, so they are in the first-level cache as those are that the
//! kernel has just copied. Timers run every 16 bursts, as in a turn of the worker. The slowest bursts
//! of a round, one in [`DISTURBED`], are left out: in them the scheduler gave the core to others.

use std::time::Duration;

use clap::Args;
use engine::WorkerId;

use crate::failure::Failure;
use crate::report::{Bar, Comparison};
use crate::system::{self, FORWARDER_CORE};
use crate::workload::{self, BURST, Baseline, Bench, Burst, Flows, START};

/// Packets of one round at least.
const PACKETS: usize = 1 << 19;
/// Flows up to which a round starts with a pass that is not measured: their memory stays in a cache.
const WARM_FLOWS: usize = 1 << 17;
/// Bursts between two looks at the timers (`datapath::limits::BURSTS_PER_TURN`).
pub(crate) const BURSTS_PER_TURN: usize = datapath::limits::BURSTS_PER_TURN;
/// First packets of one round.
pub(crate) const NEW_FLOWS: u32 = 1 << 16;
/// Rules that new flows are matched with.
pub(crate) const RULES: u32 = 1_000;

/// Places of the table that is flooded; half of them hold open connections.
const FLOOD_SESSIONS: u32 = 1 << 17;
/// Open connections keep their rate within a tenth.
const FLOOD_BAR: Option<Bar> = Some(Bar::RatioAtMost(1.1));

/// Places in the table for each flow: at half a table's capacity none of a million is refused.
pub(crate) const SPACE: u32 = 2;
/// One burst of so many may be disturbed: a burst takes microseconds, a time slice milliseconds.
const DISTURBED: usize = 64;

/// Options of `engine`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Also a million flows; takes half a gigabyte.
    #[arg(long)]
    large: bool,
    /// Also eight million; takes five gigabytes.
    #[arg(long)]
    huge: bool,
    /// Also so many flows.
    #[arg(long)]
    flows: Vec<u32>,
    /// Leave out the new flows and the flood.
    #[arg(long)]
    established_only: bool,
}

pub(crate) fn run(options: &Options, rounds: u32) -> Result<Vec<Comparison>, Failure> {
    system::pin(FORWARDER_CORE)?;
    let mut sizes = vec![(1 << 16, Some(Bar::AtMost(60.0)))];
    if options.large {
        sizes.push((1 << 20, Some(Bar::AtMost(120.0))));
    }
    if options.huge {
        sizes.push((1 << 23, Some(Bar::AtMost(200.0))));
    }
    sizes.extend(options.flows.iter().map(|&flows| (flows, None)));
    let established = sizes.into_iter().map(|(flows, bar)| established(flows, bar, rounds));
    let mut results: Vec<Comparison> = established.collect();
    if !options.established_only {
        results.push(new_flows(rounds));
        results.extend(flood(rounds));
    }
    Ok(results)
}

/// Open connections in a table that a flood keeps full, beside the same connections in peace: what a
/// packet of theirs costs, and what the flood itself costs.
fn flood(rounds: u32) -> [Comparison; 2] {
    let engine = workload::engine(FLOOD_SESSIONS, RULES, WorkerId(0), START);
    let mut bench = Bench::new(engine, START);
    let (mut flows, mut attack) = (Flows::new(FLOOD_SESSIONS / 2), Flood::default());
    flows.open(&mut bench);
    while bench.engine.sessions().len() < bench.engine.sessions().capacity() {
        attack.strike(&mut bench);
    }
    let mut attacked = Comparison::new("established TCP in a SYN flood", "ns", FLOOD_BAR);
    let mut cost = Comparison::new("first packet of the flood", "ns", None);
    for _ in 0..rounds {
        let peace = round(&mut flows, |burst, _| assert_eq!(bench.decide(burst), BURST));
        attack.taken.clear();
        let war = flood_round(&mut flows, &mut bench, &mut attack);
        attacked.push(war, peace);
        cost.push(nanos_a_packet(core::mem::take(&mut attack.taken)), peace);
    }
    let table = bench.engine.sessions();
    assert_eq!(table.len(), table.capacity(), "the flood keeps the table full");
    [attacked, cost]
}

/// As [`round`], with a burst of the flood before each of the others.
fn flood_round(flows: &mut Flows, bench: &mut Bench, attack: &mut Flood) -> f64 {
    let mut burst = Burst::default();
    let one = |number: usize| {
        attack.strike(bench);
        if number.is_multiple_of(BURSTS_PER_TURN) {
            bench.tick();
        }
        flows.next(&mut burst);
        workload::timed(|| assert_eq!(bench.decide(&mut burst), BURST, "an open one is never lost"))
    };
    nanos_a_packet((0..PACKETS / BURST).map(one).collect())
}

/// First packets without end, a million a second of virtual time.
#[derive(Default)]
struct Flood {
    next: u32,
    burst: Burst,
    taken: Vec<Duration>,
}

impl Flood {
    fn strike(&mut self, bench: &mut Bench) {
        Flows::flood(&mut self.burst, FLOOD_SESSIONS + self.next);
        self.next = self.next.wrapping_add(BURST as u32);
        bench.wait(Duration::from_micros(BURST as u64));
        self.taken.push(workload::timed(|| bench.decide(&mut self.burst)));
    }
}

fn established(count: u32, bar: Option<Bar>, rounds: u32) -> Comparison {
    let sessions = count * SPACE;
    let engine = workload::engine(sessions, 1, WorkerId(0), START);
    let mut bench = Bench::new(engine, START);
    let [mut flows, mut same_flows] = [Flows::new(count), Flows::new(count)];
    flows.open(&mut bench);
    let mut baseline = Baseline::new(flows.count(), sessions);
    let mut comparison = Comparison::new(format!("established TCP, {count} flows"), "ns", bar);
    for _ in 0..rounds {
        let subject = round(&mut flows, |burst, number| {
            assert_eq!(bench.decide(burst), BURST, "{:?}", bench.engine.counters());
            if number.is_multiple_of(BURSTS_PER_TURN) {
                bench.tick();
            }
        });
        comparison.push(subject, round(&mut same_flows, |burst, _| baseline.touch(burst)));
    }
    comparison
}

/// Some passes over all flows; nanoseconds a packet.
pub(crate) fn round<T>(flows: &mut Flows, mut work: impl FnMut(&mut Burst, usize) -> T) -> f64 {
    let bursts = flows.count() / BURST;
    let packets = bursts * BURST;
    let passes = (PACKETS / packets).max(1);
    let unmeasured = if packets <= WARM_FLOWS { bursts } else { 0 };
    let mut burst = Burst::default();
    let one = |number| {
        flows.next(&mut burst);
        workload::timed(|| work(&mut burst, number))
    };
    nanos_a_packet((0..unmeasured + passes * bursts).map(one).skip(unmeasured).collect())
}

/// Of the undisturbed bursts.
fn nanos_a_packet(mut bursts: Vec<Duration>) -> f64 {
    bursts.sort_unstable();
    bursts.truncate(bursts.len() - bursts.len() / DISTURBED);
    let taken: Duration = bursts.iter().sum();
    taken.as_nanos() as f64 / (bursts.len() * BURST) as f64
}

/// First packets, each of a flow that the table does not have, whose rule is somewhere among many.
fn new_flows(rounds: u32) -> Comparison {
    let sessions = NEW_FLOWS * SPACE;
    let engine = workload::engine(sessions, RULES, WorkerId(0), START);
    let mut bench = Bench::new(engine, START);
    let mut flows = Flows::new(NEW_FLOWS);
    let mut baseline = Baseline::new(flows.count(), sessions);
    let name = format!("new flow, {RULES} rules");
    let mut comparison = Comparison::new(name, "ns", Some(Bar::AtMost(1_000.0)));
    for _ in 0..rounds {
        bench.clear();
        let subject = new_round(&mut flows, |burst| assert_eq!(bench.decide(burst), BURST));
        let touched = new_round(&mut flows, |burst| baseline.touch(burst));
        comparison.push(subject, touched);
    }
    comparison
}

pub(crate) fn new_round<T>(flows: &mut Flows, mut work: impl FnMut(&mut Burst) -> T) -> f64 {
    let count = flows.count();
    let mut burst = Burst::default();
    let one = |_| {
        flows.next_new(&mut burst);
        workload::timed(|| work(&mut burst))
    };
    nanos_a_packet((0..count / BURST).map(one).collect())
}
