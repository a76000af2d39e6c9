//! `field`: real processes, real sockets, real faults, and bars.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use ringwall_chaos::field::{
    Failure, Kind, Report, SCENARIOS, Scenario, Settings, Tuning, figures, html, scenario, series,
    watch_signals,
};

/// A run could not be carried out.
const NOT_CARRIED_OUT: u8 = 2;

/// What to do.
#[derive(Debug, Args)]
pub(crate) struct Options {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Name the scenarios.
    List,
    /// Carry scenarios out, as root. Exit status: 1 if a bar is missed, 2 if a run failed.
    Run(RunOptions),
    /// Compute the figures of a run's folder anew.
    Figures {
        /// The folder, with `run.json` in it.
        folder: PathBuf,
    },
}

#[derive(Debug, Args)]
struct RunOptions {
    /// Scenarios; all of them, if none is named.
    names: Vec<String>,
    /// Runs of each.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Write all runs' figures into this file.
    #[arg(long)]
    json: Option<PathBuf>,
    /// Write a page with tables and timelines into this file.
    #[arg(long)]
    html: Option<PathBuf>,
    /// Keep the logs of all runs in this folder.
    #[arg(long)]
    logs: Option<PathBuf>,
    /// Put the peer through it: nftables, conntrackd and keepalived.
    #[arg(long, value_enum)]
    peer: Option<Peer>,
    /// The program; otherwise `ringwall` beside this one.
    #[arg(long)]
    ringwall: Option<PathBuf>,
    /// Packets a second that go through; otherwise each run measures it.
    #[arg(long)]
    capacity: Option<u32>,
    /// The figures whose bars decide the exit status, where a machine is too busy to judge times; all bars,
    /// if none is named.
    #[arg(long, value_name = "FIGURE", value_delimiter = ',')]
    judge: Vec<String>,
    /// Length of `busy`.
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// Sessions of `bulk-sync`.
    #[arg(long, default_value_t = 1_000_000)]
    sessions: u32,
}

/// How the peer is set up.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Peer {
    /// As it comes: advertisements each second.
    Default,
    /// Advertisements every 50 ms.
    Fast,
}

pub(crate) fn run(options: &Options) -> ExitCode {
    let done = match &options.verb {
        Verb::List => list(),
        Verb::Figures { folder } => recompute(folder),
        Verb::Run(options) => run_all(options),
    };
    done.unwrap_or_else(|error| {
        // Nobody can be told if even that fails.
        let _ = writeln!(io::stderr(), "ringwall-chaos: {error}");
        ExitCode::from(NOT_CARRIED_OUT)
    })
}

fn list() -> Result<ExitCode, String> {
    let mut out = io::stdout().lock();
    for it in SCENARIOS {
        let peer = if it.peer { " (also --peer)" } else { "" };
        writeln!(out, "{:<14} {}{peer}", it.name, it.about).map_err(|it| it.to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn recompute(folder: &Path) -> Result<ExitCode, String> {
    let figures = figures::figures(folder).map_err(|error| error.to_string())?;
    let text = serde_json::to_string_pretty(&figures).map_err(|error| error.to_string())?;
    writeln!(io::stdout(), "{text}").map_err(|error| error.to_string())?;
    Ok(ExitCode::SUCCESS)
}

fn run_all(options: &RunOptions) -> Result<ExitCode, String> {
    watch_signals().map_err(|error| error.to_string())?;
    let scenarios = chosen(options)?;
    check_judged(&options.judge, &scenarios)?;
    let settings = settings(options)?;
    let logs = Logs::new(options.logs.as_deref()).map_err(|error| error.to_string())?;
    let mut reports = Vec::new();
    for scenario in scenarios {
        let folder = logs.path.join(format!("{}-{}", scenario.name, settings.kind.name()));
        let report = one(scenario, &settings, options.runs, &folder);
        write!(io::stdout(), "{report}").map_err(|error| error.to_string())?;
        reports.push(report);
        // After each, so that what was measured is not lost with what comes.
        write_reports(options, &reports)?;
    }
    Ok(status(&reports, &options.judge))
}

fn one(scenario: &'static Scenario, settings: &Settings, runs: u32, folder: &Path) -> Report {
    let mut progress = |run: &ringwall_chaos::field::RunReport| {
        let said = match &run.outcome {
            Ok(figures) => format!("gap {:?} ms, lost {}", figures.gap_ms, figures.lost),
            Err(failure) => failure.to_string(),
        };
        // Only to pass the time.
        let _ = writeln!(io::stderr(), "{} run {}: {said}", scenario.name, run.number);
    };
    series(scenario, settings, runs, folder, &mut progress)
}

fn chosen(options: &RunOptions) -> Result<Vec<&'static Scenario>, String> {
    if options.names.is_empty() {
        let wanted = |it: &&Scenario| it.peer || options.peer.is_none();
        return Ok(SCENARIOS.iter().filter(wanted).collect());
    }
    let find = |name: &String| {
        let found = scenario(name).ok_or(format!("no scenario `{name}`; see `field list`"))?;
        match options.peer.is_some() && !found.peer {
            true => Err(format!("the peer has nothing like `{name}`")),
            false => Ok(found),
        }
    };
    options.names.iter().map(find).collect()
}

/// A name that is no bar's would judge nothing, and all would hold.
fn check_judged(judged: &[String], scenarios: &[&Scenario]) -> Result<(), String> {
    let mut bars = scenarios.iter().flat_map(|scenario| scenario.bars);
    let unknown = judged.iter().find(|name| bars.clone().all(|bar| bar.figure != **name));
    match unknown {
        Some(name) => {
            let known = bars.next().map_or("none", |bar| bar.figure);
            Err(format!("no scenario that is run has a bar for `{name}`, as for `{known}`"))
        }
        None => Ok(()),
    }
}

fn settings(options: &RunOptions) -> Result<Settings, String> {
    let kind = match options.peer {
        Some(Peer::Default) => Kind::Keepalived(Tuning::Default),
        Some(Peer::Fast) => Kind::Keepalived(Tuning::Fast),
        None => Kind::Ringwall(program(options)?),
    };
    let length = Duration::try_from_secs_f64(options.minutes * 60.0);
    Ok(Settings {
        kind,
        capacity: options.capacity,
        length: length.map_err(|error| format!("--minutes: {error}"))?,
        sessions: options.sessions,
    })
}

fn program(options: &RunOptions) -> Result<PathBuf, String> {
    let beside = || {
        let own = std::env::current_exe().map_err(|error| error.to_string())?;
        Ok::<_, String>(own.with_file_name("ringwall"))
    };
    let path = options.ringwall.clone().map_or_else(beside, Ok)?;
    let absolute = path.canonicalize();
    absolute.map_err(|error| {
        format!(
            "{}: {error}; build it (`cargo build --release`), or name it (--ringwall)",
            path.display()
        )
    })
}

fn write_reports(options: &RunOptions, reports: &[Report]) -> Result<(), String> {
    let write = |path: &PathBuf, text: String| {
        fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
    };
    if let Some(path) = &options.json {
        let all: Vec<_> = reports.iter().map(Report::json).collect();
        let text = serde_json::to_string_pretty(&all).map_err(|error| error.to_string())?;
        write(path, text + "\n")?;
    }
    options.html.iter().try_for_each(|path| write(path, html(reports)))
}

fn status(reports: &[Report], judged: &[String]) -> ExitCode {
    if reports.iter().any(Report::failed) {
        ExitCode::from(NOT_CARRIED_OUT)
    } else if reports.iter().all(|report| report.holds(judged)) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Where logs go: kept if the user wants them, else gone with this value.
struct Logs {
    path: PathBuf,
    kept: bool,
}

impl Logs {
    fn new(wanted: Option<&Path>) -> Result<Self, Failure> {
        let name = format!("ringwall-field-logs-{}", std::process::id());
        let path = wanted.map_or_else(|| std::env::temp_dir().join(name), Path::to_owned);
        let failed = |error| Failure::System { what: format!("make {}", path.display()), error };
        fs::create_dir_all(&path).map_err(failed)?;
        Ok(Self { path, kept: wanted.is_some() })
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        if !self.kept {
            // In the system's temporary folder, which is cleaned in time.
            let _ = fs::remove_dir_all(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{SCENARIOS, check_judged};

    #[test]
    fn only_figures_with_a_bar_are_judged() {
        let scenarios: Vec<_> = SCENARIOS.iter().filter(|it| it.name == "crash").collect();
        let judge = |name: &str| check_judged(&["gap_ms".to_owned(), name.to_owned()], &scenarios);
        assert_eq!(judge("overlap_ms"), Ok(()));
        assert!(judge("overlap").is_err_and(|error| error.contains("`overlap`")));
        assert!(judge("bulk_s").is_err(), "of another scenario");
    }
}
