//! `show counters`.

use clap::Args;
use config::api::{self, Counters};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::table::Table;

#[derive(Args, Debug)]
pub(super) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// Counters that are zero, too
    #[arg(long)]
    all: bool,
}

pub(super) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let counters: Counters = options.daemon.client()?.get(api::COUNTERS)?;
    if out.json() {
        return Ok(out.value(&counters)?);
    }
    let mut table = Table::new(&["COUNTER", "TOTAL", "BY WORKER"]);
    let wanted = counters.total.iter().filter(|(_, value)| options.all || **value > 0);
    for (name, value) in wanted {
        let workers = counters.workers.iter();
        let each = workers.map(|worker| worker.get(name).copied().unwrap_or(0).to_string());
        let each: Vec<_> = each.collect();
        table.row([name.clone(), value.to_string(), each.join(" ")]);
    }
    Ok(table.print("nothing was counted yet", out)?)
}
