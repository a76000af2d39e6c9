//! Where something that was decided has come into force, and where that is not known.

use config::api::Excused;

use crate::failure::Failure;
use crate::out::Out;
use crate::span::took;

/// How far a decision has come.
pub(crate) struct Settled<'a> {
    /// From the request to the last member that runs it.
    pub(crate) took_milliseconds: u64,
    /// Members that were not waited for.
    pub(crate) excused: &'a [Excused],
    /// Members that did not say in time that they run it.
    pub(crate) missing: &'a [u16],
}

impl Settled<'_> {
    /// Says `what` it is that is in force, where, and who was not waited for.
    pub(crate) fn tell(&self, what: &str, out: &mut Out<'_>) -> Result<(), Failure> {
        let place = match (self.missing.is_empty(), self.excused.is_empty()) {
            (true, true) => " on every node",
            (true, false) => " on every node that may forward",
            (false, _) => "",
        };
        out.line(format!("{what}{place} ({})", took(self.took_milliseconds)))?;
        for Excused { node, why } in self.excused {
            out.line(format!("node {node} was not waited for: {why}"))?;
        }
        Ok(())
    }
}

/// Done, but not if a member is `missing`: then also what that one `may` do.
pub(crate) fn judge(missing: &[u16], may: &'static str) -> Result<(), Failure> {
    match missing {
        [] => Ok(()),
        nodes => Err(Failure::Missing { nodes: nodes.to_vec(), may }),
    }
}
