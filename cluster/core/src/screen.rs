//! Attacks: what they are, who suffers and who sends, across workers and nodes.
//!
//! ```text
//!  flow actors ── books ──►┌──────────┐──► Started · GoingOn · Ended   one line an attack and second
//!  (10 a second)           │ Detector │──► Act · Undo                  block, drop
//!  other nodes ─ digests ─►│          │──► digests                     twice a second
//!  clock, hour of day ────►└──────────┘◄── questions: tables of anomalies, top talkers, learning
//! ```
//!
//! A detector sees sketches, never packets ([`sketch::Book`]). Its memory is fixed.
//!
//! **One scan is one scan.** Books of all workers are added up. What other nodes saw comes in their digests:
//! each tells *states*, not changes: how many, in all, since its row began; which ports and hosts, as a set;
//! how many a second, now. They are kept apart by node, the newest of each, and added up when a row is
//! judged. So a digest that comes twice, late or never cannot count twice, whatever the order: there is
//! nothing to be added, only to be replaced, and sets have no doubles. (Numbered changes would be shorter,
//! but each that is lost would be missing for ever, in a scan that shows one port a minute.)
//!
//! **Who is named.** A flood is told by the destination, if there is one, and by those sources that are above
//! their own threshold. Scanners are told by source, until so many scan one destination that most must be
//! decoys; then it is told by the destination. What failed counts for a scan, never what succeeded.
//!
//! **Hysteresis.** An attack begins at its threshold and ends when it was below half of it for a while.

mod act;
mod attack;
mod baseline;
mod detector;
mod digest;
mod guard;
mod judge;
mod live;
mod peers;
mod screens;
mod state;
mod tables;
#[cfg(test)]
mod tests;
mod window;

pub use self::attack::{
    Action, Attack, Counts, Kind, Output, RateLimit, Subject, Totals, Transport,
};
pub use self::baseline::{Deviation, Feature, FeatureState, Learning};
pub use self::detector::{Detector, Settings};
pub use self::digest::{DigestError, is_digest};
pub use self::screens::{Screens, ZoneScreen};
pub use self::tables::{Anomaly, Order, Query, Side, Talker, TalkerFlow, TalkerOrder};
