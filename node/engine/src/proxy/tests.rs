//! Connections through a firewall that answers SYNs with cookies.
#![allow(clippy::unwrap_used)]

mod handover;
mod opening;
mod rig;
mod translation;
