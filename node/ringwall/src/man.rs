//! `man`: a manual page for the program and for each verb, from the same words as `--help`.

use std::path::PathBuf;

use clap::{Args, CommandFactory as _};

use crate::cli::Cli;
use crate::failure::Failure;
use crate::out::Out;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// Directory to write into; made if it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let directory = &options.directory;
    std::fs::create_dir_all(directory).map_err(Failure::file(directory))?;
    let command = Cli::command().disable_help_subcommand(true);
    clap_mangen::generate_to(command, directory).map_err(Failure::file(directory))?;
    if out.json() {
        return Ok(out.value(&serde_json::json!({ "directory": directory }))?);
    }
    Ok(out.line(format!("manual pages are in {}", directory.display()))?)
}
