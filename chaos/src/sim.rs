//! The simulator: two nodes as they ship, a network, hosts and faults, all in virtual time and all from
//! one seed. The same seed gives the same run, to the last event.
//!
//! ```text
//!            Planned faults                       Flows: TCP, datagrams, denied, forged
//!                  │ strike                                 │ traffic
//!                  ▼                                        ▼
//!   Node ── Daemon (driver) ── Effect ──► World ◄── frames ── hosts
//!    │        │ engine::Engine              │ network: loss, delay, cuts
//!    │        │ membership::Member          ▼
//!    │        │ replication::Replication   log, invariants
//!    └ kernel: lease word, addresses, rings; disk: facts; a clock of its own
//! ```
//!
//! Time goes from event to event; where nothing happens, nothing is run.

mod carry;
mod clock;
mod daemon;
pub(crate) mod dice;
mod fault;
mod flow;
mod hosts;
mod invariants;
mod log;
mod network;
mod node;
mod planted;
mod queue;
mod run;
mod strike;
mod table;
#[cfg(test)]
mod tests;
mod topology;
mod traffic;
mod world;

pub use self::invariants::Violation;
pub use self::planted::Planted;
pub use self::run::{Outcome, run};
pub use self::topology::Sim;
pub use self::world::Tally;
