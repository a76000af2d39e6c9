//! `cluster recover`: lets one node go on alone when the others are lost for good.

use std::io::{self, BufRead as _, Write as _};
use std::path::Path;

use clap::Args;
use cluster_net::identity::Identity;
use cluster_net::raft::{Generation, RaftStore};
use serde::Serialize;

use super::{ClusterError, File, own, read, runtime};
use crate::failure::Failure;
use crate::limits::REPLY_BYTES;
use crate::out::Out;
use crate::server::Claim;

#[derive(Args, Debug)]
#[command(after_help = "\
For a cluster that has lost its majority for good, while the daemon does not run. This node becomes the only \
voter, with all that its log holds. What the other nodes hold is refused from then on: each of them has to \
be wiped (the folder `cluster` of its data directory), and to join anew. A node that still runs elsewhere \
knows nothing of it and goes on by itself: make sure that none does.")]
pub(super) struct Recover {
    #[command(flatten)]
    file: File,
    /// This node goes on alone
    #[arg(long, required = true)]
    sole_survivor: bool,
    /// Do not ask
    #[arg(long)]
    yes: bool,
}

/// The log, below the data directory.
const LOG: &str = "cluster/policy/raft.redb";

#[derive(Serialize)]
struct Recovered<'a> {
    done: &'static str,
    cluster: &'a str,
    node: u16,
    generation: u64,
}

pub(super) fn run(options: &Recover, out: &mut Out<'_>) -> Result<(), Failure> {
    let (node, _, papers) = read(&options.file)?;
    let identity = own(&node, &papers)?;
    let path = Path::new(&node.data_dir).join(LOG);
    // Whoever has the socket is the daemon; nobody becomes it meanwhile.
    let claim = Claim::stake(Path::new(&node.api.socket), None).map_err(ClusterError::Running)?;
    if !path.exists() {
        return Err(ClusterError::NoLog(path).into());
    }
    let store = RaftStore::open(&path, &identity.cluster, identity.node)?;
    if !options.yes && !agreed(&identity, io::stdin().lock())? {
        return Err(ClusterError::NotAgreed.into());
    }
    let generation = runtime()?.block_on(store.survive_alone())?;
    drop(claim);
    say(&identity, generation, out)
}

/// Says what it means, and asks. The question is no output.
fn agreed(identity: &Identity, reply: impl io::BufRead) -> Result<bool, Failure> {
    let (node, cluster) = (identity.node, &identity.cluster);
    let question = format!(
        "Node {node} becomes the only voter of cluster `{cluster}`, with all that its log holds.\n\
         What every other node holds is refused from then on: each has to be wiped, and to join anew.\n\
         Make sure that none of them runs. Type `yes` to go on: "
    );
    let mut stderr = io::stderr();
    stderr.write_all(question.as_bytes()).and_then(|()| stderr.flush())?;
    let mut line = String::new();
    // What is no text is no `yes` either.
    let read = reply.take(REPLY_BYTES).read_line(&mut line);
    Ok(read.is_ok() && line.trim() == "yes")
}

fn say(identity: &Identity, generation: Generation, out: &mut Out<'_>) -> Result<(), Failure> {
    let (cluster, node) = (identity.cluster.as_str(), identity.node.0);
    let generation = generation.number;
    if out.json() {
        return Ok(out.value(&Recovered { done: "recovered", cluster, node, generation })?);
    }
    out.line(format!(
        "node {node} of cluster {cluster} goes on alone, in generation {generation}"
    ))?;
    out.line("start its daemon; then wipe each other node, and let it join anew:")?;
    out.line("`cluster token --replaces ID` here, `cluster join` there")?;
    Ok(())
}
