//! `failpoint`: plants a failure in a running daemon whose node file says `failpoints = true`. For
//! tests of recovery; not shown in the help.

use clap::Args;
use config::api::{self, Done, FailpointRequest};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// Which failure
    name: String,
    /// In which worker; all otherwise
    #[arg(long, value_name = "NUMBER")]
    worker: Option<u16>,
    /// How often; 0 takes it out again
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    times: u32,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let Options { daemon, name, worker, times } = options;
    let request = FailpointRequest { name: name.clone(), worker: *worker, times: *times };
    let done: Done = daemon.client()?.post(api::FAILPOINT, &request)?;
    if out.json() { Ok(out.value(&done)?) } else { Ok(out.line("planted")?) }
}
