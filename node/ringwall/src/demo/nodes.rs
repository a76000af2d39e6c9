//! Several nodes as one firewall: their network, files and daemons, for the demos that show them.

mod files;
mod network;
mod site;

pub(super) use network::{Network, SERVER};
pub(super) use site::{Site, owns, stands_by};
