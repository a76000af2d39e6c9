//! Bytes a session of a full table, as the system sees them: what the process grew by, all told.

use std::fs;

use clap::Args;
use engine::WorkerId;
use engine::session::Session;

use crate::failure::Failure;
use crate::report::{Bar, Comparison};
use crate::workload::{self, BURST, Bench, Burst, Flows, START};

/// Bytes a session.
const BAR: Option<Bar> = Some(Bar::AtMost(256.0));

/// Options of `memory`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Places of the table; as many flows come, so that it is full.
    #[arg(long, default_value_t = 1 << 20)]
    sessions: u32,
}

/// An engine with a full table, beside an array of as many bare sessions.
pub(crate) fn run(options: &Options, rounds: u32) -> Result<Vec<Comparison>, Failure> {
    let sessions = options.sessions.next_multiple_of(BURST as u32);
    let name = format!("memory at {sessions} sessions");
    let mut comparison = Comparison::new(name, "bytes a session", BAR);
    let mut flows = Flows::new(sessions);
    for _ in 0..rounds {
        let full = grown_by(|| full_engine(sessions, &mut flows))?;
        let array =
            grown_by(|| (sessions, vec![u8::MAX; sessions as usize * size_of::<Session>()]))?;
        comparison.push(full, array);
    }
    Ok(vec![comparison])
}

/// An engine after as many first packets as its table has places, and how many sessions it has.
fn full_engine(sessions: u32, flows: &mut Flows) -> (u32, Bench) {
    let mut bench = Bench::new(workload::engine(sessions, 1, WorkerId(0), START), START);
    let mut burst = Burst::default();
    for _ in 0..flows.count() / BURST {
        flows.next_new(&mut burst);
        bench.decide(&mut burst);
    }
    (bench.engine.sessions().gauges().sessions, bench)
}

/// Bytes of memory that what is made takes, for each of the sessions that its maker tells of.
fn grown_by<T>(make: impl FnOnce() -> (u32, T)) -> Result<f64, Failure> {
    let before = resident()?;
    let (sessions, made) = make();
    let after = resident()?;
    drop(made);
    Ok(after.saturating_sub(before) as f64 / f64::from(sessions))
}

/// Bytes of this process that are in memory (proc(5), `/proc/pid/smaps_rollup`).
fn resident() -> Result<u64, Failure> {
    let path = "/proc/self/smaps_rollup";
    let text = fs::read_to_string(path).map_err(Failure::io(&format!("read {path}")))?;
    let kib = text.lines().find_map(|line| {
        let value = line.strip_prefix("Rss:")?;
        value.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()
    });
    Ok(kib.unwrap_or_default() * 1_024)
}
