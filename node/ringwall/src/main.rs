//! The firewall's program: the daemon (`run`), and the operator's verbs, one file each.
//!
//! | verbs | work on | through |
//! |---|---|---|
//! | `run` | interfaces | `run/`, `server` |
//! | `witness` | the other nodes | `run/`, `server` |
//! | `show`, `top`, `clear`, `compare`, `history`, `explain` | a running daemon | `client` |
//! | `commit`, `confirm`, `rollback` | a running daemon, until it is known what came of it | `insist` |
//! | `explain`, `replay` | files, by themselves | `unplugged` |
//! | `check`, `detach`, `completion`, `man`, `token` | files, by themselves | |
//! | `cluster` | files, and another node; a running daemon | `cluster_net`; `client`, `insist` |
//! | `demo` | a network of its own | the other verbs |
//!
//! Exit status: 0 done, 1 refused or failed, 2 usage, 3 done, but a node did not say in time that it runs it,
//! 4 not known to be done or not.

mod backend;
mod bearer;
mod check;
mod clear;
mod cli;
mod client;
mod cluster;
mod commit;
mod compare;
mod completion;
mod confirm;
mod daemon;
mod demo;
mod detach;
mod explain;
mod failpoint;
mod failure;
mod files;
mod filter;
mod history;
mod insist;
mod limits;
mod man;
mod out;
mod pem;
mod render;
mod replay;
mod rollback;
mod run;
mod server;
mod settled;
mod show;
mod span;
mod table;
mod token;
mod top;
mod unplugged;
mod witness;

use std::process::ExitCode;

use clap::Parser as _;

use crate::cli::{Cli, Verb};
use crate::failure::Failure;
use crate::out::Out;

/// Session tables on huge pages.
#[global_allocator]
static ALLOCATOR: datapath::HugePages = datapath::HugePages;

fn main() -> ExitCode {
    let Cli { json, verb } = Cli::parse();
    let mut out = Out::stdout(json);
    let done = carry_out(verb, &mut out).and_then(|()| Ok(out.flush()?));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(&mut out),
    }
}

fn carry_out(verb: Verb, out: &mut Out<'_>) -> Result<(), Failure> {
    match verb {
        Verb::Run(options) => run::run(&options, out.json()),
        Verb::Witness(options) => witness::run(&options, out.json()),
        Verb::Check(options) => check::run(&options, out),
        Verb::Explain(options) => explain::run(&options, out),
        Verb::Replay(options) => replay::run(&options, out),
        Verb::Show(options) => show::run(&options, out),
        Verb::Top(options) => top::run(&options, out),
        Verb::Clear(options) => clear::run(&options, out),
        Verb::Commit(options) => commit::run(&options, out),
        Verb::Confirm(options) => confirm::run(&options, out),
        Verb::Rollback(options) => rollback::run(&options, out),
        Verb::Compare(options) => compare::run(&options, out),
        Verb::History(options) => history::run(&options, out),
        Verb::Cluster(options) => cluster::run(&options, out),
        Verb::Token(options) => token::run(&options, out),
        Verb::Demo(options) => demo::run(&options, out),
        Verb::Detach(options) => detach::run(&options, out),
        Verb::Failpoint(options) => failpoint::run(&options, out),
        Verb::Completion(options) => completion::run(&options, out),
        Verb::Man(options) => man::run(&options, out),
    }
}
