//! The operator's language: node file and policy file. Model, parser, difference, API types.
//!
//! Nothing here opens a file or a socket: the texts come in as arguments, and list files through
//! a callback.

pub mod api;
pub mod limits;

mod diagnostic;
mod diff;
mod fit;
mod node;
mod parse;
mod policy;
mod ranges;
mod text;

pub use diagnostic::{Checked, Diagnostic, Severity};
pub use diff::{Change, FieldChange, diff};
pub use fit::{Misfit, misfits};
pub use node::{Api, Checksum, Log, LogFormat, Metrics, Node, OnExit, Port, Wire, ZeroCopy};
pub use parse::{inline_lists, parse_node, parse_policy};
pub use policy::{
    Action, AddressMatch, AddressSet, HostInbound, Integrity, OnChange, Policy, Replication, Rule,
    Service, Timeouts, WindowCheck, Zone,
};
