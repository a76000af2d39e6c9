//! Round trips, every link type, both byte orders, and files that lie.
#![allow(clippy::unwrap_used)]

mod corpus;
mod format;
mod hostile;
mod link;
mod port;
