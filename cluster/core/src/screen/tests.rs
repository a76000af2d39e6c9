#![allow(clippy::unwrap_used)]

mod attacks;
mod cluster;
mod tables;
mod world;
