//! The machines of a cluster, sans-IO: messages, time and facts come in as arguments, one enum of
//! outputs comes out. No socket, clock, thread or random source; what ships is what the simulator
//! runs.
//!
//! ```text
//!              heartbeats                         messages
//!                  │                                  │
//!   membership ◄───┘   who lives, who may forward     └──► replication
//!   liveness · lease · ownership · VIPs                    queues · acks · bulk · digests
//!                  │                                  │
//!                  └── lease word, addresses ──► driver ◄── records from and to the engine
//! ```

mod ids;

pub mod fencing;
pub mod limits;
pub mod membership;
pub mod placement;
pub mod policy;
pub mod replication;
pub mod screen;

pub use ids::{Boot, NodeId, Term};
