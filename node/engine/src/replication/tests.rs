#![allow(clippy::unwrap_used, clippy::panic)]

mod records;
mod rig;
mod roles;
