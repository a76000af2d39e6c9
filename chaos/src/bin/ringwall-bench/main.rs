//! `ringwall-bench`: how fast, beside a baseline in the same run.
//!
//! ```text
//! cargo run --release -p ringwall-chaos -- engine [--large]
//! cargo run --release -p ringwall-chaos -- memory
//! cargo run --release -p ringwall-chaos -- handoff
//! cargo run --release -p ringwall-chaos -- sweep
//! cargo build --release -p ringwall && sudo …/ringwall-bench forward
//!                                      sudo …/ringwall-bench idle [--binary target/release/ringwall]
//! cargo run --release -p ringwall-chaos -- raft [--kills 200]
//! ```
//!
//! | benchmark | subject | baseline | bar |
//! |---|---|---|---|
//! | `forward` | worker, engine and XDP program between two veth pairs | a bare forwarder | ≥ 90 % |
//! | `handoff` | packets that a worker gives to another | packets that it keeps | |
//! | `idle` | CPU of `ringwall run` without traffic | the bare forwarder, the same | < 2 % of a core |
//! | `engine` | parse, touch, decide, 64 at a time | a loop over as much memory | 60, 120, 200 ns; 1 µs |
//! | | open connections in a SYN flood | the same in peace | ≤ 1.1 times as dear |
//! | `sweep` | a commit until all of a million sessions are judged | a loop over as much memory | 500 ms |
//! | `memory` | what the process grows by until the table is full | an array of sessions | ≤ 256 bytes |
//! | `translated` | an engine that translates sources | the same without | ≤ 1.15; + 200 ns |
//! | `raft` | small proposals of three voters, and leaders that are killed | a bare write and fsync | |
//!
//! Subject and baseline take turns (A B A B …), so that whatever else the machine does hits both; what
//! is printed is the median of the rounds, and the median of the rounds' ratios; of `raft` quantiles of
//! all waits, in the style of `RESULTS.md`. `forward` and `idle` make network namespaces and need root.
//! Two cores are used: the sender's and the forwarder's. Absolute figures depend on the machine, ratios
//! less so.

mod engine_bench;
mod failure;
mod flood;
mod forward;
mod handoff;
mod idle;
mod lab;
mod memory;
mod node;
mod raft;
mod report;
mod screened;
mod sweep;
mod system;
mod times;
mod translated;
#[path = "../../../../node/engine/benches/workload/mod.rs"]
mod workload;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use datapath::prefetch;

use crate::failure::Failure;
use crate::report::Comparison;

/// The daemon's.
#[global_allocator]
static ALLOCATOR: datapath::HugePages = datapath::HugePages;

/// Measures ringwall beside a baseline.
#[derive(Debug, Parser)]
#[command(name = "ringwall-bench", version)]
struct Cli {
    /// One JSON document instead of a table.
    #[arg(long, global = true)]
    json: bool,
    /// Exit with 1 if a bar is missed.
    #[arg(long, global = true)]
    strict: bool,
    /// Rounds of subject and baseline each.
    #[arg(long, global = true, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Packets a second between two veth pairs, beside a bare AF_XDP forwarder (root).
    Forward(forward::Options),
    /// Nanoseconds a packet that is handed to another worker.
    Handoff(handoff::Options),
    /// CPU of a node without traffic (root).
    Idle(idle::Options),
    /// Nanoseconds a packet of the engine alone.
    Engine(engine_bench::Options),
    /// What a client meets whose server is flooded with SYNs (root).
    Flood(flood::Options),
    /// Nanoseconds a packet that screens cost.
    Screened,
    /// Nanoseconds a packet that translation costs.
    Translated,
    /// Milliseconds from a commit until every session is judged.
    Sweep(sweep::Options),
    /// Bytes a session of a full table.
    Memory(memory::Options),
    /// How long agreement takes, and how long there is none when a leader is killed.
    Raft(raft::Options),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let done = match &cli.what {
        What::Forward(options) => forward::run(options, cli.rounds),
        What::Handoff(options) => handoff::run(options, cli.rounds),
        What::Idle(options) => idle::run(options, cli.rounds),
        What::Engine(options) => engine_bench::run(options, cli.rounds),
        What::Flood(options) => flood::run(options, cli.rounds),
        What::Screened => Ok(screened::run(cli.rounds).into()),
        What::Translated => Ok(translated::run(cli.rounds)),
        What::Sweep(options) => sweep::run(options, cli.rounds),
        What::Memory(options) => memory::run(options, cli.rounds),
        What::Raft(options) => return finish(tell_times(&cli, options)),
    };
    let missed = done.and_then(|results| print(&cli, &results));
    finish(missed.map(|missed| missed && cli.strict))
}

/// The exit code: whether there was a failure, or something counts as one.
fn finish(failed: Result<bool, Failure>) -> ExitCode {
    match failed {
        Ok(true) => ExitCode::FAILURE,
        Ok(false) => ExitCode::SUCCESS,
        Err(failure) => {
            // Nothing to do if even that cannot be said.
            let _ = report::complain(&failure);
            if failure.is_skip() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
    }
}

/// There is no bar.
fn tell_times(cli: &Cli, options: &raft::Options) -> Result<bool, Failure> {
    let results = raft::run(options, cli.rounds)?;
    times::print(&results, cli.json).map_err(Failure::io("write the results"))?;
    Ok(false)
}

/// Whether a bar was missed.
fn print(cli: &Cli, results: &[Comparison]) -> Result<bool, Failure> {
    report::print(results, cli.json).map_err(Failure::io("write the results"))?;
    Ok(results.iter().any(|result| !result.holds()))
}
