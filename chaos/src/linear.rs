//! Whether a history of concurrent operations is linearizable: whether each of them can have happened
//! at one moment between its call and its answer.
//!
//! ```text
//!  file ──► parse ──► History ──► split by key ──► search ──► Verdict
//!                     call ………… answer              │           └ Violation: the shortest prefix that
//!                     call ………… (never came)        └ Model        fits no order, and what was in flight
//! ```
//!
//! The search is that of Wing and Gong (1993) with the memory of Lowe (2017), as in porcupine: what has
//! been done, as a bit set, together with the state that it led to, is looked at once. Herlihy and Wing
//! (1990) proved that a history is linearizable if its parts are, so that keys are looked at alone.

mod check;
mod history;
mod kv;
mod model;
pub mod parse;
mod policy;
mod register;
mod report;
mod split;
#[cfg(test)]
mod tests;

pub use self::check::Verdict;
pub use self::history::{Answered, Disorder, History, Operation};
pub use self::kv::{Kv, KvAnswer, KvCall, Text};
pub use self::model::Model;
pub use self::policy::{Number, Policies, PolicyAnswer, PolicyCall, PolicyLog};
pub use self::register::{Register, RegisterAnswer, RegisterCall, Value};
pub use self::report::Violation;
pub use self::split::check_keys;
