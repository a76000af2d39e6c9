//! What is done to ringwall to see whether it holds: the [simulator](sim), in virtual time,
//! and the [field] harness, with real processes and sockets.
//!
//! `ringwall-chaos` is its program; `ringwall-bench`, beside it, measures.

pub mod field;
pub mod limits;
pub mod sim;
