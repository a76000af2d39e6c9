//! `witness`: the daemon of a member that only votes.

use std::path::PathBuf;

use clap::Args;

use crate::failure::Failure;
use crate::run;

#[derive(Args, Debug)]
#[command(after_help = "\
A witness gives two firewalls a majority: one goes on when the other dies, and never both when they are cut \
off from each other. It has no ports, and needs no root but for a real-time thread. It becomes a member by \
`ringwall cluster join --witness`. SIGTERM and SIGINT stop it.")]
pub(crate) struct Options {
    /// Node file: a cluster and a fabric in it, and no ports
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

pub(crate) fn run(options: &Options, json: bool) -> Result<(), Failure> {
    run::run_witness(&options.config, json)
}
