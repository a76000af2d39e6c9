//! Translation as its users see it: frames in, frames out.

mod cookies;
mod destination;
mod failover;
mod families;
mod placing;
pub(crate) mod rig;
mod simply;
mod source;
