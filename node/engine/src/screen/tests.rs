#![allow(clippy::unwrap_used, clippy::panic)]

mod act;
mod note;
mod wall;
