//! The command line: verbs and their arguments, in clap's words.

use clap::{Parser, Subcommand};

use crate::{
    check, clear, cluster, commit, compare, completion, confirm, demo, detach, explain, failpoint,
    history, man, replay, rollback, run, show, token, top, witness,
};

/// A stateful firewall on AF_XDP.
#[derive(Debug, Parser)]
#[command(name = "ringwall", version, propagate_version = true)]
#[command(after_help = "\
Exit status: 0 done, 1 refused or failed, 2 usage. Of commit, confirm and rollback also: 3 done, but a node \
did not say in time that it runs it, 4 not known to be done or not.")]
pub(crate) struct Cli {
    /// JSON instead of text for people
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// Run the firewall
    Run(run::Options),
    /// Run a witness, which only votes
    Witness(witness::Options),
    /// Find every mistake in node and policy files
    Check(check::Options),
    /// Tell what a running daemon, or a policy file, would do with a packet, stage by stage
    Explain(explain::Options),
    /// Push a capture through the firewall and tell each packet's fate
    Replay(replay::Options),
    /// Show what a running daemon knows
    Show(show::Options),
    /// Watch top talkers and attacks on a terminal screen, live
    Top(top::Options),
    /// End sessions
    Clear(clear::Options),
    /// Put another policy in force, on every node; with --confirm on trial
    Commit(commit::Options),
    /// Keep the policy that is on trial
    Confirm(confirm::Options),
    /// Put an earlier policy in force again, or end a trial
    Rollback(rollback::Options),
    /// Tell how two policies differ, rule by rule
    Compare(compare::Options),
    /// List the policies that were in force, with their authors
    History(history::Options),
    /// Make a cluster, let nodes in and out, hand over
    Cluster(cluster::Options),
    /// Make a token for a client of the API for other machines
    Token(token::Options),
    /// Show the firewall at work on this machine, in a network of its own; ends within 60 s
    Demo(demo::Options),
    /// Take the XDP programs of an ended daemon off their interfaces
    Detach(detach::Options),
    /// Plant a failure, where the node file allows it
    #[command(hide = true)]
    Failpoint(failpoint::Options),
    /// Print a completion script for a shell
    Completion(completion::Options),
    /// Write the manual pages into a directory
    Man(man::Options),
}
