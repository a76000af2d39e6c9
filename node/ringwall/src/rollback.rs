//! `rollback`: puts an earlier policy in force again, as a new epoch; or ends a trial.

use clap::Args;
use config::api::{self, Committed, RollbackRequest};

use crate::commit;
use crate::failure::Failure;
use crate::insist::Insistence;
use crate::out::Out;

#[derive(Args, Debug)]
#[command(after_help = "\
While a policy is on trial, the one before is all that can be gone back to. Exit status: as of `commit`.")]
pub(crate) struct Options {
    #[command(flatten)]
    insistence: Insistence,
    /// Epoch to go back to; the one before the present otherwise
    epoch: Option<u64>,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let request = |request| RollbackRequest { epoch: options.epoch, request: Some(request) };
    let committed: Committed = options.insistence.post(api::ROLLBACK, request)?;
    commit::print(&committed, out)
}
