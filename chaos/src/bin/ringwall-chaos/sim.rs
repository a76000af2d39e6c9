//! Many seeds, on all cores, and a report of those that broke something.

use std::io::{self, Write};
use std::process::{Command, ExitCode};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use clap::Args;
use ringwall_chaos::limits::{BAR_FAULTS, BAR_FLOWS, BAR_SECONDS, SECONDS_MIN};
use ringwall_chaos::sim::{Outcome, Sim, Tally, run as run_one};

/// What to run.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// How many seeds, one after the other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// Virtual seconds of each run.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u64).range(SECONDS_MIN..))]
    seconds: u64,
    /// Threads; as many as there are cores if not given.
    #[arg(long)]
    threads: Option<usize>,
    /// Go on after a seed that broke something.
    #[arg(long)]
    keep_going: bool,
    /// Print every event. For a single seed.
    #[arg(long)]
    events: bool,
}

/// What all seeds together came to.
#[derive(Debug, Default)]
struct Sum {
    runs: u64,
    /// Runs that were long and wild enough, and those of them that broke nothing.
    counted: [u64; 2],
    broken: Vec<Outcome>,
    tally: Tally,
    connections: [u64; 3],
    splits: u64,
}

/// Runs the seeds. Nothing else is printed but what a person wants to know.
pub(crate) fn run(options: &Options) -> ExitCode {
    let start = Instant::now();
    let next = AtomicU64::new(0);
    let sum = Mutex::new(Sum::default());
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..options.threads.unwrap_or(cores) {
            scope.spawn(|| work(options, &next, &sum));
        }
    });
    let sum = sum.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Nothing to do if even that cannot be said.
    let _ = tell(options, &sum, start.elapsed().as_secs_f64());
    if sum.broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn work(options: &Options, next: &AtomicU64, sum: &Mutex<Sum>) {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= options.seeds {
            return;
        }
        let seed = options.seed + number;
        let sim = Sim { log_all: options.events, ..Sim::new(seed, options.seconds) };
        let outcome = run_one(&sim);
        if options.events {
            let _ = print_lines(&outcome);
        }
        let mut sum = sum.lock().unwrap_or_else(PoisonError::into_inner);
        sum.add(outcome);
        if !sum.broken.is_empty() && !options.keep_going {
            next.store(options.seeds, Ordering::Relaxed);
        }
    }
}

impl Sum {
    fn add(&mut self, outcome: Outcome) {
        self.runs += 1;
        self.counted[0] += u64::from(outcome.counts());
        self.counted[1] += u64::from(outcome.counts() && outcome.violation.is_none());
        self.splits += outcome.splits;
        self.tally.add(&outcome.tally);
        for (sum, one) in self.connections.iter_mut().zip(outcome.connections) {
            *sum += one;
        }
        if outcome.violation.is_some() {
            self.broken.push(outcome);
        }
    }
}

fn print_lines(outcome: &Outcome) -> io::Result<()> {
    let mut out = io::stdout().lock();
    outcome.lines.iter().try_for_each(|line| writeln!(out, "{line}"))
}

fn tell(options: &Options, sum: &Sum, seconds: f64) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let Tally { events, flows, forwarded, forged, answered, faults, takeovers, translated, .. } =
        sum.tally;
    let [acknowledged, completed, exempt] = sum.connections;
    for outcome in &sum.broken {
        writeln!(out, "{outcome}")?;
        writeln!(out, "commit {}", commit())?;
        writeln!(
            out,
            "again: cargo run --release -p ringwall-chaos --bin ringwall-chaos -- sim --seed {} \
             --seconds {}\n",
            outcome.sim.seed, options.seconds
        )?;
    }
    writeln!(
        out,
        "{} runs of {} s, {} broken; {faults} faults, {takeovers} takeovers, {} splits",
        sum.runs,
        options.seconds,
        sum.broken.len(),
        sum.splits
    )?;
    let bar = format!("{BAR_FLOWS} flows, {BAR_FAULTS} faults, {BAR_SECONDS} s");
    let [counted, clean] = sum.counted;
    writeln!(out, "{counted} of them count (at least {bar}): {clean} clean")?;
    writeln!(out, "{flows} flows, {forwarded} frames forwarded, {forged} forged sent")?;
    writeln!(out, "{answered} datagrams answered in quiet, {translated} frames translated")?;
    writeln!(
        out,
        "{acknowledged} connections acknowledged, {completed} of them completed, {exempt} excused"
    )?;
    writeln!(out, "{events} events in {seconds:.1} s")
}

/// The commit that is checked out, as far as it can be told.
fn commit() -> String {
    let described = Command::new("git").args(["describe", "--always", "--dirty"]).output();
    let text = described.ok().filter(|it| it.status.success()).map(|it| it.stdout);
    text.map_or_else(|| "unknown".into(), |it| String::from_utf8_lossy(&it).trim().to_owned())
}
