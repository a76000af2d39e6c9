//! `rollback`: puts an earlier policy in force again, as a new epoch.

use clap::Args;
use config::api::{self, RollbackRequest};

use crate::commit;
use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// Epoch to go back to; the one before the present otherwise
    epoch: Option<u64>,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let request = RollbackRequest { epoch: options.epoch, request: None };
    let committed = options.daemon.client()?.post(api::ROLLBACK, &request)?;
    commit::print(&committed, out)
}
