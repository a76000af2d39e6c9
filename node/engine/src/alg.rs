//! Application-level gateways: what protocols say in their payload about connections to come.
//!
//! A parser here is a function of the bytes: it tells which addresses and ports a message names and where
//! they stand, and decides nothing. It allocates nothing and panics on no input.

pub mod h323;
