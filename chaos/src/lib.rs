//! What is done to ringwall to see whether it holds: the [simulator](sim), in virtual time.
//!
//! `ringwall-chaos` is its program; `ringwall-bench`, beside it, measures.

pub mod limits;
pub mod sim;
