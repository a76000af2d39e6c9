//! The worker with ports in memory: one and two workers in one thread, turned one after the other.
#![allow(clippy::unwrap_used, missing_docs)]

mod drops;
mod forward;
mod handoff;
mod hostile;
mod idle;
mod mtu;
mod neighbours;
mod passon;
mod policy;
mod shares;
mod threads;
mod twin;
mod wire_mode;
mod world;
