//! `clear`: ends sessions, or blocks, now.

use clap::{Args, Subcommand};
use config::api::{
    self, AnomaliesClearRequest, ClearRequest, Cleared, Done, Prefix, SessionFilter,
};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::out::Out;

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// End the sessions that the filters choose; packets that come afterwards need a new one
    Sessions(Sessions),
    /// Forget attacks and their tables, and let blocked sources through again
    Anomalies(Anomalies),
}

#[derive(Args, Debug)]
struct Anomalies {
    #[command(flatten)]
    daemon: Daemon,
    /// Only let the sources within this prefix through again, and forget nothing
    #[arg(long, value_name = "PREFIX")]
    source: Option<Prefix>,
}

#[derive(Args, Debug)]
struct Sessions {
    #[command(flatten)]
    daemon: Daemon,
    #[command(flatten)]
    filter: Filter,
    /// All of them: asked for when no filter is given
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    match &options.what {
        What::Sessions(options) => sessions(options, out),
        What::Anomalies(options) => anomalies(options, out),
    }
}

fn anomalies(options: &Anomalies, out: &mut Out<'_>) -> Result<(), Failure> {
    let request = AnomaliesClearRequest { source: options.source };
    let done: Done = options.daemon.client()?.post(api::ANOMALIES_CLEAR, &request)?;
    if out.json() {
        return Ok(out.value(&done)?);
    }
    Ok(out.line("anomalies cleared")?)
}

fn sessions(options: &Sessions, out: &mut Out<'_>) -> Result<(), Failure> {
    let Sessions { daemon, filter, all } = options;
    let filter = SessionFilter::from(filter);
    if filter.is_empty() != *all {
        return Err(Failure::Usage("either filters, or --all".to_owned()));
    }
    let cleared: Cleared = daemon.client()?.post(api::SESSIONS_CLEAR, &ClearRequest { filter })?;
    if out.json() {
        return Ok(out.value(&cleared)?);
    }
    Ok(out.line(format!("{} sessions cleared", cleared.count))?)
}
