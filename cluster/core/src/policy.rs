//! One policy everywhere: what the cluster agrees on, what a node runs, and how a commit comes about.
//!
//! ```text
//!   request ─► coordinator (leader) ──── append ───► Raft ── entries ──► log (each node)
//!                 ▲   │ answer                                             │ summary
//!                 │   └───── ask, clear ──────► local (each node) ◄────────┘
//!                 └──────────── report ◄───────── │ compile, run, save, may forward
//! ```
//!
//! [`Log`] is a function of its entries. [`Local`] is one node's part: it runs what the log says and says
//! so once that is on its disk, carries out the deadline of a trial alone, and knows when the node may
//! forward. [`Coordinator`] is the leader's part: it collects the members' reports, and ends the first step
//! and then the second one.

mod ids;
mod layout;
mod replicated;
mod text;

pub mod coordinator;
pub mod local;
pub mod log;
#[cfg(test)]
mod tests;

pub use self::coordinator::Coordinator;
pub use self::ids::{Clocks, Epoch, MachineBoot, ProposalId, RequestId, Version, WallTime};
pub use self::layout::{command, encode_command, encode_outcome, outcome};
pub use self::local::Local;
pub use self::log::{Action, Command, Log, Outcome, Summary};
pub use self::replicated::{Malformed, Replicated};
pub use self::text::{Line, PolicyText, Secret, TooLong};
