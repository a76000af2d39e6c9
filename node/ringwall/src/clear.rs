//! `clear`: ends sessions now.

use clap::{Args, Subcommand};
use config::api::{self, ClearRequest, Cleared, SessionFilter};

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
    let What::Sessions(Sessions { daemon, filter, all }) = &options.what;
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
