#![allow(clippy::unwrap_used)]

mod delivery;
mod format;
mod grammar;
