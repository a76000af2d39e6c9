//! What a control channel has announced is let in, whoever owns then; nothing else is; and it is let in once.
//!
//! Under `replication = "sync"` an announcement leaves when the backup has it, so whoever hears it may come
//! after a takeover, too. That a pinhole is used up stands before its session in the same queue to the
//! backup: so it is known there when the session's first packet leaves, unless that very message is lost
//! and its sender dies before it has sent it again. Runs draw no crash in foul weather that is not excused
//! as a double failure, so here it is a law.

use std::net::SocketAddr;

use super::super::flow::{Flow, Part};
use super::super::topology::is_public;

pub(crate) const NAME: &str = "announced-come-once";

/// A transit frame of this flow leaves: whether it may, as far as announcements are concerned.
pub(crate) fn forwards(number: usize, flow: &Flow) -> Option<String> {
    let what = match flow.part {
        Part::Transfer { .. } => "was not announced",
        Part::Intruder { .. } => "is the second one by its pinhole",
        Part::Other => return None,
    };
    (!flow.may_pass).then(|| format!("flow {number} passed, and {what}"))
}

/// An opener was told to go there; who listens knows itself as `own`.
pub(crate) fn told(number: usize, to: SocketAddr, own: SocketAddr, public: bool) -> Option<String> {
    let right = if public { is_public(to.ip()) } else { to == own };
    (!right).then(|| format!("flow {number} is to go to {to}, for {own}"))
}
