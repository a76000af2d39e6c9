//! Metrics of address translation. Inside addresses are no labels: there are as many as there are hosts.

use config::api::{Nat, NatPool, NatPoolKind};
use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

/// Counters: name, help.
const COUNTERS: [(&str, &str); 3] = [
    ("ringwall_nat_borrowed_total", "Ports given out of another slot's run"),
    ("ringwall_nat_refused_total", "First packets dropped for want of a port"),
    ("ringwall_nat_rule_hits_total", "Sessions that a rule of translation opened"),
];

/// Gauges: name, help.
const GAUGES: [(&str, &str); 4] = [
    ("ringwall_nat_ports_max", "Ports of a pool, of each protocol"),
    ("ringwall_nat_ports_used", "Ports of a pool that are in use"),
    ("ringwall_nat_rule_sessions", "Live sessions of a rule of translation"),
    ("ringwall_nat_mappings", "Inside endpoints with an endpoint-independent mapping"),
];

pub(super) fn describe() {
    COUNTERS.iter().for_each(|(name, help)| describe_counter!(*name, Unit::Count, *help));
    GAUGES.iter().for_each(|(name, help)| describe_gauge!(*name, Unit::Count, *help));
}

/// Nothing of a node that has nothing to translate.
pub(super) fn nat(nat: &Nat) {
    if nat.pools.is_empty() && nat.rules.is_empty() {
        return;
    }
    nat.pools.iter().for_each(pool);
    for rule in &nat.rules {
        let label = [("rule", rule.id.clone())];
        counter!("ringwall_nat_rule_hits_total", &label).absolute(rule.hits);
        gauge!("ringwall_nat_rule_sessions", &label).set(rule.sessions as f64);
    }
    gauge!("ringwall_nat_mappings").set(nat.mappings as f64);
    counter!("ringwall_nat_refused_total").absolute(nat.refused);
}

fn pool(pool: &NatPool) {
    let label = [("pool", name(pool))];
    gauge!("ringwall_nat_ports_max", &label).set(pool.ports as f64);
    counter!("ringwall_nat_borrowed_total", &label).absolute(pool.borrowed);
    for (protocol, used) in pool.used.entries() {
        let labels = [("pool", name(pool)), ("protocol", protocol.to_owned())];
        gauge!("ringwall_nat_ports_used", &labels).set(used as f64);
    }
}

/// A pool's name has no colon, so that of a port is another.
fn name(pool: &NatPool) -> String {
    match pool.kind {
        NatPoolKind::Pool => pool.name.clone(),
        NatPoolKind::Interface => format!("interface:{}", pool.name),
        NatPoolKind::Former => format!("former:{}", pool.domain),
    }
}
