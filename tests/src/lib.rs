//! What the whole-product tests share. The tests themselves are in `tests/tests/`, one file a
//! subject; this library holds no test of the firewall and no rule about it.
//!
//! | need | here |
//! |------|------|
//! | the built product | [`binary()`]: one place that finds or builds it |
//! | run a verb and look at what it says | [`run()`], [`Outcome`] |
//! | a program in the background that surely ends | [`Background`] |
//! | skip where root or a tool is missing | [`require!`] with [`root()`], [`tool()`] |
//! | bodies of the fuzz targets | [`fuzz::TARGETS`] |
//! | captures that are not in this repository | [`Corpus`] |
//! | wait for something, but not for ever | [`wait_for()`], [`wait_for_some()`] |
//! | a directory that is gone afterwards | [`temp_dir()`] |
//! | a network with a running firewall in it | [`world::World`] |
//!
//! The shape of a test that needs the machine:
//!
//! ```no_run
//! use ringwall_tests::{binary, require, root, tool, wait_for, Background};
//! use std::{process::Command, time::Duration};
//!
//! // #[test]
//! fn a_node_opens_its_socket() {
//!     require!(root(), tool("curl"));
//!     let socket = std::path::Path::new("/tmp/example.sock");
//!     let mut node = Background::spawn(Command::new(binary()).args(["run", "--node", "node.toml"]));
//!     wait_for(Duration::from_secs(5), "the API socket", || node.check().is_ok() && socket.exists());
//! }
//! ```

mod background;
mod binary;
mod corpus;
pub mod fuzz;
mod requirement;
mod run;
mod wait;
pub mod world;

pub use background::Background;
pub use binary::{binary, workspace};
pub use corpus::Corpus;
pub use requirement::{REQUIRE_ALL, root, skip, tool};
pub use run::{Outcome, run, run_command};
pub use tempfile::TempDir;
pub use wait::{wait_for, wait_for_some};

/// An empty directory of this test's own, removed when the value is dropped.
///
/// # Panics
/// When the system's temporary directory cannot be written.
pub fn temp_dir() -> TempDir {
    tempfile::Builder::new().prefix("ringwall-").tempdir().expect("a temporary directory")
}
