//! One event of the log, taken apart.

use core::fmt::{self, Write as _};

use config::EventClass;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};

/// A line of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) severity: Severity,
    pub(super) class: EventClass,
    /// The field `event`: what kind of event it is.
    pub(super) event: Option<String>,
    /// What is said in words.
    pub(super) words: Option<String>,
    /// All other fields, in their order.
    pub(super) fields: Vec<(&'static str, String)>,
}

/// Severities of RFC 5424 §6.2.1 that a line can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Error = 3,
    Warning = 4,
    Informational = 6,
}

impl Line {
    pub(super) fn of(event: &Event<'_>, severity: Severity, class: EventClass) -> Self {
        let mut line = Self { severity, class, event: None, words: None, fields: Vec::new() };
        event.record(&mut line);
        line
    }

    /// The line as people read it: what it is, then its fields.
    pub(super) fn text(&self) -> String {
        let mut text = self.words.clone().or_else(|| self.event.clone()).unwrap_or_default();
        for (name, value) in &self.fields {
            let gap = if text.is_empty() { "" } else { " " };
            let plain = !value.is_empty() && !value.contains([' ', '"', '=']);
            // Writing into a string does not fail.
            let _ = match plain {
                true => write!(text, "{gap}{name}={value}"),
                false => write!(text, "{gap}{name}={value:?}"),
            };
        }
        text
    }

    fn take(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.words = Some(value),
            "event" => self.event = Some(value),
            name => self.fields.push((name, value)),
        }
    }
}

impl Visit for Line {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }
}

/// How severe a line is. What only helps to find mistakes is not told: sending it would make more of it.
pub(super) const fn severity(level: &Level) -> Option<Severity> {
    match *level {
        Level::ERROR => Some(Severity::Error),
        Level::WARN => Some(Severity::Warning),
        Level::INFO => Some(Severity::Informational),
        Level::DEBUG | Level::TRACE => None,
    }
}

/// What a line is about, by who says it. What is said of receivers is for the log alone: each line about one
/// that takes nothing would be another message for it.
pub(super) fn class(metadata: &Metadata<'_>) -> Option<EventClass> {
    Some(match metadata.target() {
        target if target.starts_with(OWN) => return None,
        "screen" => EventClass::Attacks,
        "session" => EventClass::Sessions,
        target if POLICY.iter().any(|it| target.starts_with(it)) => EventClass::Policy,
        _ => EventClass::Node,
    })
}

/// Who speaks of receivers.
const OWN: &str = "ringwall::run::syslog::deliver";
/// Who speaks of the policy, and of the log that nodes agree on it by.
const POLICY: [&str; 3] = ["ringwall_actors::policy", "ringwall_cluster_net::raft", "openraft"];
