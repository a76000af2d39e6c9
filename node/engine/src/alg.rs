//! What application layer gateways read: protocols that announce, in their payload, where other connections
//! will go.
//!
//! ```text
//! a whole line, message or datagram ─► read ─► what is announced, and where in the bytes it stands
//!                                              │                              │
//!                                              └► a pinhole (not here)        └► other text in its place
//! ```
//!
//! Everything here is a function of bytes: nothing allocates, every loop and list is bounded by
//! `limits.rs`, and no input panics. Whether an announcement is to be believed (whose address, which port)
//! is for the caller to judge. What is not understood is told as such, and announces nothing.
//!
//! Text is read as the strictest reader of it would, and where two readers could differ, nothing is
//! announced: a firewall must not open what the hosts did not mean.

mod act;
mod calls;
mod conferences;
mod control;
pub mod dns;
mod edits;
pub mod endpoint;
mod expect;
pub mod ftp;
pub mod h323;
mod header;
pub mod list;
mod messages;
mod pinholes;
pub mod pptp;
mod queries;
mod reading;
mod record;
mod renumber;
pub mod rtsp;
mod scan;
pub mod sdp;
pub mod sip;
pub mod span;
mod speech;
mod steering;
mod stream;
mod table;
#[cfg(test)]
mod tests;
mod text;
pub mod tftp;
mod tracks;
mod tunnels;

pub(crate) use control::Control;
pub use endpoint::Endpoint;
pub(crate) use expect::Sides;
pub use list::List;
pub(crate) use pinholes::{Hint, Pinhole};
pub(crate) use renumber::as_seen;
pub use span::Span;
pub(crate) use speech::Speech;
pub use steering::Steering;
pub(crate) use table::{Algs, Begin, Claimed};
pub use table::{Counted, Open};
