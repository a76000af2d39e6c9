//! How a change reads: `+` came, `-` went, `~` is different, `>` moved.
//!
//! ```text
//! + rule dns behind web: permit; from trust, to untrust, service udp/53
//! ~ rule web
//!     source: + 10.0.0.0/8, - branch
//!     action: permit → deny
//! > rule ssh to the top, before web (position 7 → 1)
//! ~ address blocked: + 192.0.2.0/24, + 198.51.100.0/24, + 99998 more
//! ```

use core::fmt;

use super::change::{Change, Difference, FieldChange, Place, RuleField};
use super::members::Members;

/// A line; of a rule that is different, one more for each of its fields.
impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZoneAdded { zone, ports } if ports.is_empty() => write!(f, "+ zone {zone}"),
            Self::ZoneAdded { zone, ports } => write!(f, "+ zone {zone}: {}", ports.join(", ")),
            Self::ZoneRemoved { zone } => write!(f, "- zone {zone}"),
            Self::ZoneChanged { zone, added, removed } => {
                let (added, removed) = (added.iter().collect(), removed.iter().collect());
                write!(f, "~ zone {zone}: {}", signed(&added, &removed))
            }
            Self::ZoneSessionsChanged { zone, old, new } => {
                let [old, new] = [old, new].map(|max| max.map(|max| max.to_string()));
                let (old, new) = (old.unwrap_or_default(), new.unwrap_or_default());
                write!(f, "~ zone {zone}: sessions-max {} → {}", shown(&old), shown(&new))
            }
            Self::AddressSetAdded { set, prefixes } => write!(f, "+ address {set}: {prefixes}"),
            Self::AddressSetRemoved { set, prefixes } => write!(f, "- address {set}: {prefixes}"),
            Self::AddressSetChanged { set, added, removed } => {
                write!(f, "~ address {set}: {}", signed(added, removed))
            }
            Self::RuleAdded { rule, place, is } => {
                write!(f, "+ rule {rule} {place}: {}", all(is))
            }
            Self::RuleRemoved { rule, was, place: _ } => write!(f, "- rule {rule}: {}", all(was)),
            Self::RuleChanged { rule, fields } => changed(f, format_args!("rule {rule}"), fields),
            Self::RuleMoved { rule, from, place } => {
                write!(f, "> rule {rule} {place} (position {from} → {})", place.position)
            }
            Self::HostInboundChanged { zone, added, removed } => {
                write!(f, "~ host-inbound of zone {zone}: {}", signed(added, removed))
            }
            Self::TimeoutChanged { timeout, old_seconds, new_seconds } => {
                write!(f, "~ timeout {timeout}: {old_seconds}s → {new_seconds}s")
            }
            Self::IntegrityChanged { option, old, new } => {
                write!(f, "~ integrity {option}: {old} → {new}")
            }
            Self::ScreenAdded { zone, is } if is.is_empty() => {
                write!(f, "+ screen of zone {zone}: all defaults")
            }
            Self::ScreenAdded { zone, is } => write!(f, "+ screen of zone {zone}: {}", all(is)),
            Self::ScreenRemoved { zone, was: _ } => write!(f, "- screen of zone {zone}"),
            Self::ScreenChanged { zone, fields } => {
                changed(f, format_args!("screen of zone {zone}"), fields)
            }
            Self::NatPoolAdded { pool, is } => write!(f, "+ nat-pool {pool}: {}", all(is)),
            Self::NatPoolRemoved { pool, was } => write!(f, "- nat-pool {pool}: {}", all(was)),
            Self::NatPoolChanged { pool, fields } => {
                changed(f, format_args!("nat-pool {pool}"), fields)
            }
            Self::NatRuleAdded { rule, place, is } => {
                write!(f, "+ nat {rule} {place}: {}", all(is))
            }
            Self::NatRuleRemoved { rule, was, place: _ } => write!(f, "- nat {rule}: {}", all(was)),
            Self::NatRuleChanged { rule, fields } => changed(f, format_args!("nat {rule}"), fields),
            Self::NatRuleMoved { rule, from, place } => {
                write!(f, "> nat {rule} {place} (position {from} → {})", place.position)
            }
        }
    }
}

fn changed(
    f: &mut fmt::Formatter<'_>,
    what: fmt::Arguments<'_>,
    fields: &[FieldChange],
) -> fmt::Result {
    write!(f, "~ {what}")?;
    fields.iter().try_for_each(|field| write!(f, "\n    {field}"))
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.after, &self.before) {
            (Some(after), _) => write!(f, "behind {after}"),
            (None, Some(before)) => write!(f, "to the top, before {before}"),
            (None, None) => f.write_str("alone"),
        }
    }
}

impl fmt::Display for FieldChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, difference } = self;
        match difference {
            Difference::Value { old, new } => {
                write!(f, "{field}: {} → {}", shown(old), shown(new))
            }
            Difference::List { added, removed, reordered } => {
                let order = reordered.then(|| "in another order".to_owned());
                let parts = added.signed('+').chain(removed.signed('-')).chain(order);
                write!(f, "{field}: {}", parts.collect::<Vec<_>>().join(", "))
            }
        }
    }
}

impl fmt::Display for RuleField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.field, self.value)
    }
}

fn all(fields: &[RuleField]) -> String {
    fields.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

fn signed(added: &Members, removed: &Members) -> String {
    added.signed('+').chain(removed.signed('-')).collect::<Vec<_>>().join(", ")
}

fn shown(text: &str) -> &str {
    if text.is_empty() { "(none)" } else { text }
}
