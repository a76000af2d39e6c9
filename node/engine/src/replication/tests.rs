#![allow(clippy::unwrap_used, clippy::panic)]

mod hold;
mod records;
mod recovery;
mod rig;
mod roles;
