//! `commit`: puts another policy in force on a running daemon.

use std::path::PathBuf;

use clap::Args;
use config::api::{self, CommitRequest, Committed};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;
use crate::{files, render};

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(flatten)]
    daemon: Daemon,
    /// Policy file; its lists are sent along
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Why, for those who look at it later
    #[arg(long, value_name = "TEXT")]
    comment: Option<String>,
    /// Epoch that the file was made from: another one in force is a conflict
    #[arg(long, value_name = "EPOCH")]
    base: Option<u64>,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    let path = &options.file;
    let text = files::read(path)?;
    let rejected = |diagnostics| Failure::Rejected { what: "policy", diagnostics };
    let text = files::inlined(path, &text).map_err(rejected)?;
    let request = CommitRequest {
        file: path.to_string_lossy().into_owned(),
        text,
        comment: options.comment.clone(),
        base: options.base,
        ..CommitRequest::default()
    };
    let committed = options.daemon.client()?.post(api::COMMIT, &request)?;
    print(&committed, out)
}

/// What is in force now, and how it differs.
pub(crate) fn print(committed: &Committed, out: &mut Out<'_>) -> Result<(), Failure> {
    if out.json() {
        return Ok(out.value(committed)?);
    }
    out.bytes(render::diagnostics(&committed.warnings).as_bytes())?;
    for change in &committed.changes {
        out.line(change.to_string())?;
    }
    let changes = match committed.changes.len() {
        0 => "nothing changed".to_owned(),
        1 => "1 change".to_owned(),
        count => format!("{count} changes"),
    };
    Ok(out.line(format!("epoch {} is in force: {changes}", committed.epoch))?)
}
