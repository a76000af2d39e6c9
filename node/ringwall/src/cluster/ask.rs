//! `cluster failover`, `drain`, `resume`, `claim`: asks a running daemon.

use config::api::{self, ClusterRequest, ClusterVerb, Done};

use crate::daemon::Daemon;
use crate::failure::Failure;
use crate::out::Out;

pub(super) fn run(daemon: &Daemon, verb: ClusterVerb, out: &mut Out<'_>) -> Result<(), Failure> {
    let request = ClusterRequest { verb };
    let done: Done = daemon.client()?.post(api::CLUSTER_REQUEST, &request)?;
    if out.json() {
        return Ok(out.value(&done)?);
    }
    Ok(out.line("under way; `ringwall show cluster` tells how it goes")?)
}
