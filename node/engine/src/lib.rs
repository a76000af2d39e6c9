//! The firewall itself, sans-IO: frames, time and seeds come in as arguments, verdicts and frames
//! come out, and nothing here knows a socket, a clock or a thread.
//!
//! [`Engine::decide`] is the way in. Which stages a packet goes through, and in which order, is told
//! by `pipeline.rs` alone; `commit.rs` carries out what it decides.

mod anomaly;
mod census;
mod commit;
mod counters;
mod engine;
mod event;
mod explain;
mod ids;
mod integrity;
mod keyed;
mod latecomers;
mod ledger;
mod outbox;
mod pipeline;
mod ports;
mod reason;
mod reassembly;
mod rematch;
mod rules;
mod shares;
mod straight;
mod sweep;
mod verdict;

pub mod alg;
pub mod answer;
pub mod fib;
pub mod fragment;
pub mod limits;
pub mod nat;
pub mod pending;
pub mod policy;
pub mod proxy;
pub mod record;
pub mod replication;
pub mod screen;
pub mod session;
pub mod table;
pub mod tcp;
pub mod timer;
pub mod track;

pub use anomaly::Anomaly;
pub use counters::{Counters, Imbalance};
pub use engine::{Engine, Origin, Owners, Parsed, Recovered, Settings};
pub use event::{Event, EventKind, Leaving};
pub use explain::Explanation;
pub use ids::{PortId, RuleIndex, ZoneId};
pub use latecomers::Latecomer;
pub use outbox::Outbox;
pub use pipeline::Stage;
pub use ports::{Checksum, Mode, Port};
pub use reason::Reason;
pub use rules::{Hits, NO_EPOCH, Rules};
pub use shares::{Elsewhere, Holder, Older, Share, Shares};
pub use verdict::{Arrived, Decision, Pieces, State, Verdict, WorkerId};
