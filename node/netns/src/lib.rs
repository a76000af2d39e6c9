//! Network namespaces, veth pairs, addresses and routes, for the demo, the chaos harness and tests.
//!
//! Everything is a blocking call that speaks netlink itself, so no `ip` or `ethtool` binary is
//! needed, and everything acts *inside* a [`Namespace`]: the machine's own network is never
//! touched. A namespace lives as long as its value (or a process or socket in it), so a panic or a
//! kill leaves nothing behind; only one made by [`Namespace::visible`] has a name that a killed
//! process leaves in `/run/netns`, and [`cleanup_stale`] removes those.
//!
//! ```no_run
//! # use ringwall_netns as netns;
//! # fn main() -> Result<(), netns::Error> {
//! use netns::{End, Namespace, VethOptions};
//! let client = Namespace::new("client")?;
//! let server = Namespace::new("server")?;
//! netns::veth(End::new(&client, "c0"), End::new(&server, "s0"), &VethOptions::default())?;
//! client.add_address("c0", "10.0.0.1/24")?;
//! server.add_address("s0", "10.0.0.2/24")?;
//! netns::wait_ready(&[(&client, "c0"), (&server, "s0")])?;
//! let mut ping = std::process::Command::new("ping");
//! assert!(client.status(ping.args(["-c1", "10.0.0.2"])).expect("ping runs").success());
//! # Ok(())
//! # }
//! ```

mod address;
mod error;
mod ethtool;
mod limits;
mod link;
mod namespace;
mod netlink;

pub use error::Error;
pub use link::{End, Link, VethOptions, veth, wait_ready};
pub use namespace::{Namespace, available, cleanup_stale};

#[cfg(test)]
mod tests;
