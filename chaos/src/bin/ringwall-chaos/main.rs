//! `ringwall-chaos`: whether ringwall holds when everything around it fails.
//!
//! ```text
//! cargo run --release -p ringwall-chaos --bin ringwall-chaos -- sim --seed 1 --seeds 300 --seconds 60
//! cargo run --release -p ringwall-chaos --bin ringwall-chaos -- field run crash --runs 20
//! cargo run --release -p ringwall-chaos --bin ringwall-chaos -- linear history.log
//! ```

mod field;
mod linear;
mod sim;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Breaks ringwall's surroundings on purpose, and watches.
#[derive(Debug, Parser)]
#[command(name = "ringwall-chaos", version)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Two nodes in virtual time, from a seed.
    Sim(sim::Options),
    /// Two nodes as processes, in network namespaces, under faults.
    Field(field::Options),
    /// Histories of concurrent operations: are they linearizable?
    Linear(linear::Options),
}

fn main() -> ExitCode {
    match Cli::parse().what {
        What::Sim(options) => sim::run(&options),
        What::Field(options) => field::run(&options),
        What::Linear(options) => linear::run(&options),
    }
}
