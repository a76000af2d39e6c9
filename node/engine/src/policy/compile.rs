//! From the operator's model to what is matched. `config` has checked the model; a model built by
//! other means gets an error here, never a panic on the packet path.

use std::collections::BTreeMap;
use std::fmt;

use super::criteria::{Criteria, Service, Tables};
use super::lives::Lives;
use super::names::Names;
use super::{Indexed, Linear, Policy, Rule};
use crate::ids::{PortId, RuleIndex, ZoneId};
use crate::limits::{OWN_LIVES_MAX, RULES_MAX};
use crate::nat;
use crate::nat::Translations;
use crate::screen::Screens;

pub(super) fn compile(
    policy: &config::Policy,
    epoch: u64,
    ports: &[&str],
) -> Result<Policy, CompileError> {
    let zones = zones_by_port(policy, ports)?;
    Ok(Policy {
        epoch,
        zones: policy.zones.iter().map(|zone| zone.name.clone()).collect(),
        zone_sessions_max: policy.zones.iter().map(|zone| zone.sessions_max).collect(),
        zone_of_port: zones.of_port.into(),
        absent_ports: zones.absent.into(),
        rules: policy.rules.iter().map(facts).collect(),
        by_id: index_by_id(policy)?,
        matcher: Indexed::new(linear(policy)?),
        timeouts: nat::timeouts(policy),
        lives: Lives::of(&policy.rules).ok_or(CompileError::TooManyTimeouts)?,
        integrity: policy.integrity,
        picks_up: policy.rules.iter().any(|rule| rule.terms.pick_up),
        has_algs: policy.rules.iter().any(|rule| !rule.algs.is_empty()),
        names: Names::of(policy),
        screens: Screens::compile(policy)?,
        translations: Translations::compile(policy)?,
    })
}

/// Why a policy cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CompileError {
    /// Two zones name the same port.
    PortInTwoZones {
        /// The port.
        port: String,
        /// Both zones.
        zones: [String; 2],
    },
    /// Two rules have the same id.
    DuplicateRule {
        /// The id.
        id: String,
    },
    /// A rule refers to a zone that does not exist.
    NoSuchZone {
        /// Id of the rule.
        rule: String,
    },
    /// A rule refers to an address set that does not exist.
    NoSuchSet {
        /// Id of the rule.
        rule: String,
    },
    /// The ranges of an address set are not sorted and disjoint.
    SetNotSorted {
        /// Place of the set in `config::Policy::sets`.
        set: usize,
    },
    /// More zones than can be numbered.
    TooManyZones {
        /// How many there are.
        zones: usize,
    },
    /// More different timeouts of rules and services than a session can name.
    TooManyTimeouts,
    /// A screen is for a zone that does not exist, or exempts an address set that does not.
    ScreenOutOfRange {
        /// Place of the zone in `config::Policy::zones`.
        zone: usize,
    },
    /// A rule of translation names a prefix that is too long to be translated without state.
    NatPrefix {
        /// Id of the rule.
        rule: String,
    },
    /// More rules than the limit.
    TooManyRules {
        /// How many there are.
        rules: usize,
    },
}

impl fmt::Display for CompileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortInTwoZones { port, zones: [first, second] } => {
                write!(f, "port {port:?} is in two zones, {first:?} and {second:?}")
            }
            Self::DuplicateRule { id } => write!(f, "two rules have the id {id:?}"),
            Self::NoSuchZone { rule } => write!(f, "rule {rule:?} refers to a zone out of range"),
            Self::NoSuchSet { rule } => {
                write!(f, "rule {rule:?} refers to an address set out of range")
            }
            Self::SetNotSorted { set } => {
                write!(f, "address set {set} is not made of sorted, disjoint ranges")
            }
            Self::TooManyZones { zones } => write!(f, "{zones} zones; at most {}", u16::MAX),
            Self::TooManyTimeouts => {
                write!(f, "more than {OWN_LIVES_MAX} different timeouts of rules and services")
            }
            Self::ScreenOutOfRange { zone } => {
                write!(f, "the screen of zone {zone} refers to something out of range")
            }
            Self::NatPrefix { rule } => {
                write!(f, "rule {rule:?} names a prefix of no or of more than 64 bits")
            }
            Self::TooManyRules { rules } => write!(f, "{rules} rules; at most {RULES_MAX}"),
        }
    }
}

impl std::error::Error for CompileError {}

struct Zones {
    of_port: Vec<Option<ZoneId>>,
    absent: Vec<(ZoneId, String)>,
}

fn zones_by_port(policy: &config::Policy, ports: &[&str]) -> Result<Zones, CompileError> {
    if policy.zones.len() > usize::from(u16::MAX) {
        return Err(CompileError::TooManyZones { zones: policy.zones.len() });
    }
    let by_name: BTreeMap<&str, PortId> =
        ports.iter().enumerate().map(|(at, name)| (*name, PortId(at as u16))).collect();
    let mut zones = Zones { of_port: vec![None; ports.len()], absent: Vec::new() };
    for (at, zone) in policy.zones.iter().enumerate() {
        let id = ZoneId(at as u16);
        for name in &zone.ports {
            let Some(port) = by_name.get(name.as_str()) else {
                zones.absent.push((id, name.clone()));
                continue;
            };
            let place = &mut zones.of_port[port.index()];
            if let Some(other) = place.replace(id).filter(|other| *other != id) {
                let zones = [policy.zones[other.index()].name.clone(), zone.name.clone()];
                return Err(CompileError::PortInTwoZones { port: name.clone(), zones });
            }
        }
    }
    Ok(zones)
}

fn facts(rule: &config::Rule) -> Rule {
    Rule {
        id: rule.id.clone(),
        action: rule.action,
        log_open: rule.log_open,
        log_close: rule.log_close,
        on_change: rule.on_change,
        replication: rule.replication,
        sessions_max: rule.terms.sessions_max,
        pick_up: rule.terms.pick_up,
        algs: rule.algs.clone().into(),
        line: rule.line,
    }
}

fn index_by_id(policy: &config::Policy) -> Result<BTreeMap<String, RuleIndex>, CompileError> {
    if policy.rules.len() > RULES_MAX {
        return Err(CompileError::TooManyRules { rules: policy.rules.len() });
    }
    let mut by_id = BTreeMap::new();
    for (at, rule) in policy.rules.iter().enumerate() {
        if by_id.insert(rule.id.clone(), RuleIndex(at as u32)).is_some() {
            return Err(CompileError::DuplicateRule { id: rule.id.clone() });
        }
    }
    Ok(by_id)
}

/// Finds the first of a model's rules, one by one.
pub(crate) fn linear(policy: &config::Policy) -> Result<Linear, CompileError> {
    let mut tables = Tables::default();
    for (at, set) in policy.sets.iter().enumerate() {
        if !tables.book.add_set(set) {
            return Err(CompileError::SetNotSorted { set: at });
        }
    }
    let criteria = policy.rules.iter().map(|rule| criteria(policy, rule, &mut tables));
    let criteria = criteria.collect::<Result<Vec<_>, _>>()?;
    Ok(Linear::new(criteria, tables))
}

fn criteria(
    policy: &config::Policy,
    rule: &config::Rule,
    tables: &mut Tables,
) -> Result<Criteria, CompileError> {
    let zone = |of: Option<usize>| match of {
        Some(at) if at >= policy.zones.len() => {
            Err(CompileError::NoSuchZone { rule: rule.id.clone() })
        }
        Some(at) => Ok(Some(ZoneId(at as u16))),
        None => Ok(None),
    };
    let mut addresses = |of: &Option<config::AddressMatch>| {
        let test = of.as_ref().map(|of| tables.book.add_test(of));
        let missing = || CompileError::NoSuchSet { rule: rule.id.clone() };
        test.map(|test| test.ok_or_else(missing)).transpose()
    };
    let (source, destination) = (addresses(&rule.source)?, addresses(&rule.destination)?);
    let services = rule.services.as_ref().map(|list| add_services(list, tables));
    Ok(Criteria { from: zone(rule.from)?, to: zone(rule.to)?, services, source, destination })
}

fn add_services(list: &[config::Service], tables: &mut Tables) -> (u32, u32) {
    let from = tables.services.len() as u32;
    tables.services.extend(list.iter().map(Service::from));
    (from, tables.services.len() as u32)
}
