//! What is done to ringwall to see whether it holds: the [simulator](sim), in virtual time; the
//! [field] harness, with real processes and sockets; the [checker](linear) of histories.
//!
//! `ringwall-chaos` is its program; `ringwall-bench`, beside it, measures.

pub mod field;
mod ftp;
pub mod limits;
pub mod linear;
pub mod sim;
