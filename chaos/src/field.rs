//! The field harness: real `ringwall` processes between real sockets, and what those saw of a fault.
//!
//! ```text
//!   Scenario ── Run ──┬── Site: Lab (namespaces, switch) + Firewalls (Pair, or the peer Keepalived)
//!                     ├── Faults: done to the site, and noted         ─► faults.log
//!                     ├── Traffic: sockets at both ends               ─► stream-N.*, slow.log, …
//!                     └── Wire: what each node emits, at the switch   ─► wire.log
//!                                     a folder of logs ─► Figures ─► Report: bars, table, JSON, HTML
//! ```
//!
//! A run leaves a folder of plain text logs ([`log`]); every figure is a function of that folder
//! ([`figures`]).

mod api;
mod failure;
mod fault;
pub mod figures;
mod fill;
mod keepalived;
mod lab;
pub mod limits;
pub mod log;
mod mappings;
mod operator;
mod pair;
mod process;
mod report;
mod ruleset;
mod run;
mod said;
mod scenario;
mod scenarios;
mod series;
mod site;
mod timeline;
pub mod traffic;
mod wait;
mod wire;

pub use self::failure::Failure;
pub use self::keepalived::Tuning;
pub use self::report::{Report, RunReport, html};
pub use self::run::Settings;
pub use self::scenario::{Bar, Of, SCENARIOS, Scenario, scenario};
pub use self::series::{Progress, series};
pub use self::site::Kind;
pub use self::wait::watch_signals;
