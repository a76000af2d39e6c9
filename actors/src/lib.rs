//! The actors of a node: supervision, and the drivers that connect the machines to the world.
//!
//! ```text
//! node ─┬─ shard 0 (thread, pinned): supervisor ─ flow actor ─ worker 0 ── AF_XDP queues
//!       ├─ shard 1 …
//!       ├─ policy      checks and compiles a revision, switches all workers at one epoch
//!       ├─ ports       mirrors links, addresses, routes, neighbours; reopens ports
//!       ├─ telemetry   session events to the log
//!       ├─ screener    what workers noted to the detector, attacks to the log, blocks to workers
//!       ├─ keeper      renews the permission to forward while every worker moves; in a pair it is
//!       └─ cluster     that does so, when membership says so, and that replicates sessions
//! ```
//!
//! Packets never pass through a mailbox: bursts travel in the workers' rings, mailboxes carry control.

pub mod clock;
pub mod cluster;
pub mod epochs;
pub mod flow;
pub mod gate;
pub mod keeper;
pub mod lease;
pub mod limits;
pub mod mirror;
pub mod node;
pub mod opening;
pub mod policy;
pub mod ports;
pub mod question;
pub mod restarts;
pub mod revisions;
pub(crate) mod screener;
pub use screener::obey;
pub mod shard;
mod sleeper;
pub mod study;
pub mod telemetry;
pub mod witness;

pub use node::{Node, Seed, StartError, engine_port, start};
pub use question::Question;
pub use witness::Witness;
