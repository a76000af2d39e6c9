//! `completion`: the script that a shell completes verbs and options by.

use clap::{Args, CommandFactory as _};
use clap_complete::Shell;

use crate::cli::Cli;
use crate::failure::Failure;
use crate::out::Out;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    // clap_complete panics when its writer fails, as a closed pipe does.
    let mut script = Vec::new();
    clap_complete::generate(options.shell, &mut Cli::command(), "ringwall", &mut script);
    Ok(out.bytes(&script)?)
}
