//! The product on real interfaces: a client, `ringwall run`, and a server in namespaces of their own.
//!
//! | file | subject |
//! |------|---------|
//! | `traffic.rs` | what the policy allows passes, byte for byte; what it does not allow does not |
//! | `closed.rs` | nothing passes without a live daemon: killed, stopped, restarted, detached |
//! | `panics.rs` | a flow actor that panics breaks no connection |
//! | `pair.rs` | two firewalls as one: exactly one is active, and its death breaks no connection |
//! | `pair/stopped.rs` | a node that is stopped hands over first |
//! | `pair/screens.rs` | who is blocked stays blocked when the other node takes over |
//! | `pair/workers.rs` | two workers, IPv6, and unequal numbers of workers |
//! | `pair/full.rs` | a disk that is full for a while stops no packet, and needs no restart |
//! | `pair/paused.rs` | a node that is paused does not answer for the addresses |
//! | `pair/alg.rs` | transfers, and those that were announced, survive its death |
//! | `members.rs` | a pair with a witness, three firewalls |
//! | `switchover.rs` | planned switchovers lose no packet and break no connection |
//! | `host.rs` | the node's own traffic |
//! | `starting.rs` | without a policy, without an interface |
//! | `operate.rs` | a second instance, interfaces that come and go, policies committed live |
//! | `commits.rs` | sessions across a commit: kept, matched again, killed |
//! | `remote.rs` | the API for other machines: certificates, tokens, authors |
//! | `programs.rs` | `nmap`, `iperf3`, `curl`, path MTU discovery, hop limits |
//! | `screens.rs` | scanners, floods and odd packets by attackers' own tools are named and stopped |
//! | `screens/floods.rs` | tools that flood and sweep, and collections of exploits |
//! | `nat.rs` | translated addresses, as servers, strangers and programs see them |
//! | `nat_shown.rs` | the same, as operators see them |
//! | `alg.rs` | file transfer in every mode, through a firewall that permits control channels alone |
//! | `wire.rs` | a bump in the wire |
//! | `sockets.rs` | not a test: clients and servers made of plain sockets |
//!
//! All need root; the tests take turns (`World`), because each loads the machine.
#![allow(clippy::unwrap_used)]

mod alg;
mod closed;
mod commits;
mod host;
mod members;
mod nat;
mod nat_shown;
mod operate;
mod pair;
mod panics;
mod programs;
mod remote;
mod screens;
mod sockets;
mod starting;
mod switchover;
mod traffic;
mod wire;
