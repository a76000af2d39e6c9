//! The policy: agreed on by the cluster, compiled here, run by every worker at one epoch.
//!
//! ```text
//!  operator ─► desk ─► leader's actor: Coordinator ── append ──► Raft ── applied ──┐
//!                ▲        ▲ reports                                                │
//!                │        └────────────── Local, of each node's actor ◄────────────┘
//!                │                          │ compile   │ run            │ save   │ may forward
//!                └─ answer                  ▼           ▼                ▼        ▼
//!                                        threads   workers, XDP       disk    permit ─► lease
//! ```
//!
//! A node without `[cluster]` agrees with itself: its Raft has one voter and no network. What is decided,
//! and when, is said by the machines in `cluster_core::policy`; here is what carries it out.

mod aside;
mod check;
pub(crate) mod compile;
mod desk;
mod disk;
mod driver;
mod founding;
mod housekeeping;
mod lately;
mod limits;
mod peers;
mod permit;
mod room;
mod roster;
mod say;
mod workbench;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use cluster_core::NodeId;
use cluster_core::policy::{Epoch, Version};
use ractor::{Actor, ActorRef, SpawnErr};
use tokio::sync::watch;

pub use self::compile::{Implicit, deny_all, host_inbound, implicit};
pub(crate) use self::desk::Desk;
pub(crate) use self::driver::{PolicyMessage, Seen, Staff, Standing};
pub use self::founding::LogError;
pub(crate) use self::founding::{Founding, Grounds, Origin};
pub(crate) use self::limits::{FIRST_POLICY, FIRST_POLICY_LOOK};
pub use self::permit::Permit;

/// The policy in force, in all its forms.
#[derive(Clone, Debug)]
pub struct InForce {
    /// As the operator wrote it, checked.
    pub source: Arc<config::Policy>,
    /// As the engines use it.
    pub compiled: Arc<engine::policy::Policy>,
    /// Its epoch, and the revision that brought its text.
    pub version: Version,
    /// The operator's remark.
    pub comment: Option<String>,
    /// What tells policies apart by what they say, the same on every node of this version.
    pub digest: [u8; 16],
}

/// Who asks, as the history names him.
pub type Author = String;

/// Where below its data directory a node of a cluster keeps what it runs.
pub(crate) fn shared_folder(data: &Path) -> PathBuf {
    data.join("cluster").join("policy")
}

/// What a node begins with, before anything is agreed on: what it ran last.
///
/// # Errors
/// What is on the disk cannot be read, or is no policy any more.
pub(crate) fn first(
    folder: &Path,
    node: NodeId,
    ports: &[String],
) -> std::io::Result<(InForce, Founding)> {
    founding::first(folder, node, ports)
}

/// Checks a text that is to be the first policy.
///
/// # Errors
/// What is wrong with it.
pub(crate) fn check(file: &str, text: &str, ports: &[String]) -> Result<(), config::api::Error> {
    let first = Version { epoch: Epoch(1), source: Epoch(1) };
    compile::compile(file, text, first, ports, room::ALONE).map(drop)
}

/// For tests of other modules: a good policy as an epoch of its own.
#[cfg(test)]
pub(crate) fn sample(file: &str, text: &str, epoch: u64, ports: &[String]) -> InForce {
    let version = Version { epoch: Epoch(epoch), source: Epoch(epoch) };
    compile::compile(file, text, version, ports, room::ALONE).expect("a good policy")
}

/// Starts the actor, and the desk where requests come in.
///
/// # Errors
/// It does not start.
pub(crate) async fn start(staff: Staff) -> Result<(ActorRef<PolicyMessage>, Desk), SpawnErr> {
    let (node, raft, sender) = (staff.node, staff.grounds.raft(), staff.sender.clone());
    let (in_force, standing) = (staff.in_force.subscribe(), staff.standing.clone());
    // One for both, as they take turns.
    let checker = staff.checker();
    let (show, seen) = watch::channel(Seen::default());
    let lately = lately::Lately::default();
    let arguments = (staff, checker.clone(), show, lately.clone());
    let (actor, _) = Actor::spawn(None, driver::PolicyActor, arguments).await?;
    let desk = Desk {
        node,
        raft,
        sender,
        actor: actor.clone(),
        in_force,
        standing,
        seen,
        checker,
        lately,
    };
    Ok((actor, desk))
}
