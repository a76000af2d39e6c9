//! Packets from and to real interfaces: the XDP program, AF_XDP ports and their twins, and the
//! worker that moves packets between them and the engine.

mod batch;
pub mod capture;
pub mod fabric;
pub mod handoff;
mod huge;
mod lease;
pub mod limits;
pub mod poison;
pub mod port;
mod prefetch;
mod realtime;
pub mod wake;
pub mod worker;
pub mod xdp;
pub mod xsk;

pub use fabric::Fabric;
pub use handoff::Peer;
pub use huge::HugePages;
pub use lease::{Latecomers, Lease};
pub use poison::{Failpoint, Poison};
pub use port::{MemoryPort, Port};
pub use prefetch::prefetch;
pub use realtime::{favour, hurry, run_first};
pub use wake::Bell;
pub use worker::{Parts, Turn, Worker};
pub use xsk::XskPort;
