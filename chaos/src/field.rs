//! The field harness: real `ringwall` processes between real sockets, and what those saw of a fault.
//!
//! A run leaves a folder of plain text logs ([`log`]); every figure is a function of that folder
//! ([`figures`]).

pub mod figures;
pub mod limits;
pub mod log;
pub mod traffic;
