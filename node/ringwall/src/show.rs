//! `show`: what a running daemon knows, one file for each thing.

mod agreement;
mod alg;
mod anomalies;
mod cluster;
mod conversations;
mod counters;
mod nat;
mod policy;
mod ports;
mod screens;
mod sessions;
mod status;
mod top;

use clap::{Args, Subcommand};
use config::api::PageRequest;

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::filter::Filter;
use crate::out::Out;

#[derive(Args, Debug)]
pub(crate) struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Live sessions
    Sessions(Page),
    /// Conversations: sessions with those that belong to them
    Conversations(Page),
    /// Packet counters, with the reasons of drops and the anomalies of sessions
    Counters(counters::Options),
    /// The policy in force, whether it is on trial, and the log: rules, their hits, when they hit last
    Policy(Daemon),
    /// Ports: link, mode of AF_XDP, traffic
    Ports(Daemon),
    /// The cluster: members, who owns, paths, replication, the log
    Cluster(Daemon),
    /// The daemon itself and its workers
    Status(Daemon),
    /// Attacks: what goes on, suspected attackers or sites under attack, blocked sources
    Anomalies(anomalies::Options),
    /// Screens: attacks by kind, what is blocked, what is learned of normal traffic
    Screens(Daemon),
    /// Gateways: control channels, pinholes, and what was refused
    Alg(Daemon),
    /// Address translation: pools and what is in use of them, rules and their hits
    Nat(nat::Options),
    /// Top talkers, averaged over the last seconds
    Top(top::Options),
}

/// One page of records.
#[derive(Args, Debug)]
struct Page {
    #[command(flatten)]
    daemon: Daemon,
    #[command(flatten)]
    filter: Filter,
    /// Most records to show
    #[arg(long, value_name = "NUMBER", default_value_t = PageRequest::LIMIT_DEFAULT)]
    limit: u32,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

impl Page {
    fn request(&self) -> PageRequest {
        let Self { filter, cursor, limit, .. } = self;
        PageRequest { filter: filter.into(), cursor: cursor.clone(), limit: *limit }
    }
}

pub(crate) fn run(options: &Options, out: &mut Out<'_>) -> Result<(), Failure> {
    match &options.what {
        What::Sessions(page) => sessions::run(page, out),
        What::Conversations(page) => conversations::run(page, out),
        What::Counters(options) => counters::run(options, out),
        What::Policy(daemon) => policy::run(daemon, out),
        What::Ports(daemon) => ports::run(daemon, out),
        What::Cluster(daemon) => cluster::run(daemon, out),
        What::Status(daemon) => status::run(daemon, out),
        What::Anomalies(options) => anomalies::run(options, out),
        What::Screens(daemon) => screens::run(daemon, out),
        What::Alg(daemon) => alg::run(daemon, out),
        What::Nat(options) => nat::run(options, out),
        What::Top(options) => top::run(options, out),
    }
}
