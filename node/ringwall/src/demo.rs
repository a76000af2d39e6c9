//! `demo`: the firewall at work on this machine, in network namespaces of its own.
//!
//! ```text
//!  client ──── lan0 ringwall run wan0 ──── server
//!     └ ordinary sockets                     └ ordinary sockets
//! ```
//!
//! The daemon, `commit`, `show` and `detach` are this same program, started as an operator would.
//! Without the rights for that, a capture is written and replayed instead.
//!
//! `demo pair` shows two nodes as one firewall, one of which is killed; `demo cluster` three of them that
//! agree on their policy.

mod balance;
mod cluster;
mod commands;
mod companion;
mod files;
mod folder;
mod limits;
mod live;
mod network;
mod nodes;
mod packets;
mod pair;
mod ping;
mod probe;
mod process;
mod report;
mod services;
mod site;
mod transfer;
mod twin;
mod watch;

use caps::{CapSet, Capability};
use clap::{Args, ValueEnum};

use crate::failure::Failure;
use crate::out::Out;

use report::Report;

#[derive(Args, Debug)]
pub(crate) struct Options {
    /// What to show: one node by itself; two as one firewall, one of which is killed; or three that agree
    /// on their policy
    #[arg(value_enum, default_value_t = Play::Single)]
    play: Play,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Play {
    /// One node; ends within 30 s
    Single,
    /// A connection that survives the death of its firewall; ends within 60 s
    Pair,
    /// A policy that three nodes agree on, also when the one that leads them dies; ends within 90 s
    Cluster,
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    folder::clear_stale();
    let mut report = Report::new(out);
    match (options.play, missing()) {
        (Play::Single, None) => live::run(&mut report)?,
        (Play::Single, Some(reason)) => twin::run(&mut report, &reason)?,
        (Play::Pair, None) => pair::run(&mut report)?,
        (Play::Cluster, None) => cluster::run(&mut report)?,
        (Play::Pair | Play::Cluster, Some(reason)) => {
            report.step("several nodes", "network namespaces", || Err(reason))?;
        }
    }
    if report.finish()? { Ok(()) } else { Err(Failure::Reported) }
}

/// What is missing to run on real interfaces.
fn missing() -> Option<String> {
    const NEEDED: [Capability; 3] =
        [Capability::CAP_NET_ADMIN, Capability::CAP_NET_RAW, Capability::CAP_SYS_ADMIN];
    let held = |capability| caps::has_cap(None, CapSet::Effective, capability).unwrap_or(false);
    match NEEDED.into_iter().find(|capability| !held(*capability)) {
        Some(capability) => Some(format!("no {capability}; root is needed")),
        None => netns::available().err(),
    }
}
