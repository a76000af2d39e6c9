//! Packet vectors: packets in, verdicts and frames out, and exactly these counters.
//!
//! The vectors are text, in `tests/vectors/`; `README.md` there tells their language. Every file is
//! run against the shipped engine, and every change of a counter that a vector does not state fails.
//!
//! | file | what it does |
//! |------|--------------|
//! | `script.rs` | reads a file of vectors |
//! | `packet.rs` | reads a packet in one line |
//! | `frame.rs` | builds the packet's bytes, sharing no code with the firewall |
//! | `network.rs` | the ports, routes and hosts that every vector lives with |
//! | `world.rs` | an engine in that network |
//! | `runner.rs` | plays a vector and compares |
//! | `geneve.rs` | not of the engine: packets between nodes, as others read them |

mod frame;
mod geneve;
mod network;
mod packet;
mod runner;
mod script;
mod world;
