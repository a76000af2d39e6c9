//! A cluster's wires and papers: who a node is, how it becomes one, how it talks to the others, and
//! what it keeps on disk. Drivers, not machines: what is decided about slots, leases and sessions is
//! decided in `cluster_core`.
//!
//! ```text
//!  init ──► identity ◄── join ◄── token        one folder, `<data-dir>/cluster`
//!              │                                  identity.toml   who this node is, the secret
//!              ▼                                  authority.toml  the CA's key, on the first node
//!          transport ◄──► transport of a peer     node.redb       placement, terms, zones, members
//!              │ events, datagrams, bulk
//!              ▼
//!           driver ──► store
//!              ├─────► raft ──► calls of the transport          raft.redb  log, vote, snapshot
//!              └─────► policy ► calls of the transport
//! ```
//!
//! - Trust comes from the cluster's own authority and the list of members, never from an address.
//!   A node's number is read from its verified certificate, whatever the node says itself.
//! - Certificates are judged without dates: see [`identity`].
//! - Whatever is refused has a counter ([`Counter`]) and no other effect.
//! - `bincode` is known to [`codec`] alone, openraft to [`raft`].

pub mod codec;
pub mod identity;
pub mod join;
pub mod limits;
pub mod message;
pub mod policy;
pub mod raft;
pub mod store;
pub mod token;
pub mod transport;

mod counters;
mod files;
mod tls;

pub use counters::{Counter, Counters};
