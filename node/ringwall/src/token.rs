//! `token`: makes a token for a client of the API for other machines.

use std::path::PathBuf;

use clap::Args;
use config::is_name;
use serde::Serialize;

use crate::bearer::{self, Token};
use crate::failure::Failure;
use crate::files;
use crate::out::Out;

#[derive(Args, Debug)]
#[command(after_help = "\
The node keeps a hash of the token alone, so that it cannot be shown again. Put the printed line into the \
file that `tokens` in [api] names, send the daemon SIGHUP, and give token:NAME a role in [api]. The client \
has the token in $RINGWALL_TOKEN, or in a file that --token-file names.")]
pub(crate) struct Options {
    /// Name of the token: its holder is token:NAME, in node files and in `history`
    #[arg(value_name = "NAME")]
    name: String,
    /// Write the token into this new file, which nobody else may read, instead of printing it
    #[arg(long, value_name = "FILE")]
    into: Option<PathBuf>,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let Options { name, into } = options;
    if !is_name(name) {
        let why = "NAME is a letter or `_`, then letters, digits, `-`, `_` or `.`, 63 at most";
        return Err(Failure::Usage(why.to_owned()));
    }
    if out.json() && into.is_none() {
        let why = "a token does not go into JSON, which is often kept: name a file with --into";
        return Err(Failure::Usage(why.to_owned()));
    }
    let token = Token::make().map_err(Failure::file("/dev/urandom"))?;
    let line = bearer::line(name, &token);
    match into {
        Some(path) => {
            files::write_private(path, &format!("{}\n", token.reveal()))
                .map_err(Failure::file(path))?;
        }
        None => {
            out.line("token, for the client, shown only now:")?;
            out.line(token.reveal())?;
        }
    }
    if out.json() {
        return Ok(out.value(&Made { line })?);
    }
    out.line("line for the tokens file of the node:")?;
    Ok(out.line(line)?)
}

/// What may be kept of it.
#[derive(Serialize)]
struct Made {
    line: String,
}
