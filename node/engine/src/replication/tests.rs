#![allow(clippy::unwrap_used, clippy::panic)]

mod records;
mod recovery;
mod rig;
mod roles;
