//! `linear`: judges files of histories.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use ringwall_chaos::limits::HISTORY_BYTES;
use ringwall_chaos::linear::Verdict;
use ringwall_chaos::linear::parse::{Parsed, parse};

/// A file could not be judged.
const NOT_JUDGED: u8 = 2;

/// What to judge. Exit status: 1 if a history is not linearizable, 2 if one could not be judged.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Histories: of a register (log lines of Jepsen), of a store (EDN), or of a policy (JSON lines).
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Revisions of a policy that are kept, the running one included.
    #[arg(long, default_value_t = 50)]
    kept: usize,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let mut worst = 0;
    for file in &options.files {
        let status = judge(file, options.kept).unwrap_or_else(|why| {
            // Nobody can be told if even that fails.
            let _ = writeln!(io::stderr(), "ringwall-chaos: {}: {why}", file.display());
            NOT_JUDGED
        });
        worst = worst.max(status);
    }
    ExitCode::from(worst)
}

fn judge(file: &Path, kept: usize) -> Result<u8, String> {
    let history = parse(&read(file)?).map_err(|error| error.to_string())?;
    let start = Instant::now();
    let verdict = history.check(kept);
    tell(file, &history, &verdict, start.elapsed()).map_err(|error| error.to_string())?;
    Ok(match verdict {
        Verdict::Linearizable => 0,
        Verdict::Violation(_) => 1,
        Verdict::Undecided { .. } => NOT_JUDGED,
    })
}

fn read(file: &Path) -> Result<String, String> {
    let bytes = fs::metadata(file).map_err(|error| error.to_string())?.len();
    if bytes > HISTORY_BYTES {
        return Err(format!("{bytes} bytes, the limit is {HISTORY_BYTES}"));
    }
    fs::read_to_string(file).map_err(|error| error.to_string())
}

fn tell(file: &Path, history: &Parsed, verdict: &Verdict, took: Duration) -> io::Result<()> {
    let mut out = io::stdout().lock();
    let (kind, operations) = (history.kind(), history.operations());
    write!(out, "{}: {kind}, {operations} operations, {took:.1?}: ", file.display())?;
    match verdict {
        Verdict::Linearizable => writeln!(out, "linearizable"),
        Verdict::Violation(violation) => write!(out, "{violation}"),
        Verdict::Undecided { configurations } => {
            writeln!(out, "undecided after {configurations} configurations")
        }
    }
}
