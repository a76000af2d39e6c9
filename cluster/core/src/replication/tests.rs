//! Two nodes over a network that loses, doubles, delays and reorders.

pub(super) mod model;
mod network;
mod partners;
mod properties;
mod scenarios;
