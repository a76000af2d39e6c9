//! Translation as its users see it: frames in, frames out.

mod destination;
mod failover;
mod placing;
mod rig;
mod source;
