//! What the crate promises, seen from outside.
#![allow(clippy::unwrap_used)]

mod arbitrary;
mod building;
mod checksums;
mod descriptor;
mod differential;
mod embedded;
mod keys;
mod malformed;
mod neighbors;
mod samples;
mod translate;
mod vectors;
