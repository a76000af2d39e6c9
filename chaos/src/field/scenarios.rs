//! The scenarios, one file for each kind of fault.

pub(super) mod bulk_sync;
pub(super) mod busy;
pub(super) mod comeback;
pub(super) mod commits;
pub(super) mod cost;
pub(super) mod crash;
pub(super) mod cuts;
pub(super) mod disk;
pub(super) mod gateways;
pub(super) mod history;
pub(super) mod large;
pub(super) mod lock_out;
pub(super) mod pause;
pub(super) mod small;
pub(super) mod switchover;
