//! One difference between two policies.

use core::fmt;

use serde::{Deserialize, Serialize};

/// One difference. `Display` is one line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "change", rename_all = "kebab-case")]
pub enum Change {
    ZoneAdded {
        zone: String,
        ports: Vec<String>,
    },
    ZoneRemoved {
        zone: String,
    },
    ZoneChanged {
        zone: String,
        added: Vec<String>,
        removed: Vec<String>,
    },
    /// `sessions-max` of a zone; `None` is no limit.
    ZoneSessionsChanged {
        zone: String,
        old: Option<u32>,
        new: Option<u32>,
    },
    AddressSetAdded {
        set: String,
        prefixes: usize,
    },
    AddressSetRemoved {
        set: String,
        prefixes: usize,
    },
    /// Counted in prefixes that make up the difference exactly.
    AddressSetChanged {
        set: String,
        added: usize,
        removed: usize,
    },
    /// Positions count from 1.
    RuleAdded {
        rule: String,
        position: usize,
    },
    RuleRemoved {
        rule: String,
    },
    RuleChanged {
        rule: String,
        fields: Vec<FieldChange>,
    },
    /// Positions count from 1. Rules that only made room for others have not moved.
    RuleMoved {
        rule: String,
        from: usize,
        to: usize,
    },
    HostInboundChanged {
        zone: String,
        added: Vec<String>,
        removed: Vec<String>,
    },
    TimeoutChanged {
        timeout: String,
        old_seconds: u64,
        new_seconds: u64,
    },
    IntegrityChanged {
        option: String,
        old: String,
        new: String,
    },
}

/// One field of a rule, in the words of the policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldChange {
    /// Key in the policy file.
    pub field: String,
    /// What it was.
    pub old: String,
    /// What it is.
    pub new: String,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZoneAdded { zone, ports } => {
                write!(f, "zone {zone} added: {}", ports.join(", "))
            }
            Self::ZoneRemoved { zone } => write!(f, "zone {zone} removed"),
            Self::ZoneChanged { zone, added, removed } => {
                write!(f, "zone {zone} changed:{}", Lists(added, removed))
            }
            Self::ZoneSessionsChanged { zone, old, new } => {
                let [old, new] = [old, new].map(|max| max.map_or_else(none, |max| max.to_string()));
                write!(f, "zone {zone} changed: sessions-max {old} → {new}")
            }
            Self::AddressSetAdded { set, prefixes } => {
                write!(f, "address {set} added: {prefixes} prefixes")
            }
            Self::AddressSetRemoved { set, prefixes } => {
                write!(f, "address {set} removed: {prefixes} prefixes")
            }
            Self::AddressSetChanged { set, added, removed } => {
                write!(f, "address {set} changed: +{added} -{removed} prefixes")
            }
            Self::RuleAdded { rule, position } => {
                write!(f, "rule {rule} added at position {position}")
            }
            Self::RuleRemoved { rule } => write!(f, "rule {rule} removed"),
            Self::RuleChanged { rule, fields } => {
                write!(f, "rule {rule} changed:")?;
                fields.iter().enumerate().try_for_each(|(at, field)| {
                    write!(f, "{} {field}", if at > 0 { ";" } else { "" })
                })
            }
            Self::RuleMoved { rule, from, to } => {
                write!(f, "rule {rule} moved from position {from} to {to}")
            }
            Self::HostInboundChanged { zone, added, removed } => {
                write!(f, "host-inbound of zone {zone} changed:{}", Lists(added, removed))
            }
            Self::TimeoutChanged { timeout, old_seconds, new_seconds } => {
                write!(f, "timeout {timeout} changed: {old_seconds}s → {new_seconds}s")
            }
            Self::IntegrityChanged { option, old, new } => {
                write!(f, "integrity {option} changed: {old} → {new}")
            }
        }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} → {}", self.field, shown(&self.old), shown(&self.new))
    }
}

fn shown(text: &str) -> &str {
    if text.is_empty() { NONE } else { text }
}

fn none() -> String {
    NONE.to_owned()
}

const NONE: &str = "(none)";

/// What came and what went, each with its sign.
struct Lists<'a>(&'a [String], &'a [String]);

impl fmt::Display for Lists<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|added| write!(f, " +{added}"))?;
        self.1.iter().try_for_each(|removed| write!(f, " -{removed}"))
    }
}
