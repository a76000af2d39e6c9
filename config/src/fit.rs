//! Whether a policy fits a node: the zones of the one are made of the ports of the other.

use core::fmt;

use serde::Serialize;

use crate::{NatKind, NatRule, Node, Policy, SourceNat, SourceTo};

/// Something a policy and a node do not agree on. Not an error: in a cluster one policy serves
/// nodes with different ports. `Display` says what follows from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "misfit", rename_all = "kebab-case")]
pub enum Misfit {
    /// A port of the node is in no zone.
    PortWithoutZone {
        /// Name of the port.
        port: String,
    },
    /// A zone names a port that the node does not have.
    UnknownPort {
        /// Name of the zone.
        zone: String,
        /// Name of the port.
        port: String,
    },
    /// A pool is of a domain that no port of the node is in.
    UnknownDomain {
        /// Name of the pool.
        pool: String,
        /// The domain.
        domain: u16,
    },
    /// A rule translates to a pool of another domain than the port that its packets leave by.
    OtherDomain {
        /// Id of the rule.
        rule: String,
        /// Name of the pool.
        pool: String,
        /// Name of the port.
        port: String,
    },
    /// A rule translates to the address of a port that has none: it is an end of a wire.
    InterfaceOfWire {
        /// Id of the rule.
        rule: String,
        /// Name of the port.
        port: String,
    },
    /// A rule translates to the address of a port, which in a cluster is one that moves, and there is none.
    InterfaceWithoutVip {
        /// Id of the rule.
        rule: String,
        /// Name of the port.
        port: String,
    },
}

/// Everything `policy` and `node` do not agree on: ports of the node first, then zones, then translation.
pub fn misfits(policy: &Policy, node: &Node) -> Vec<Misfit> {
    let outside = node.ports.iter().filter(|port| policy.zone_of_port(&port.name).is_none());
    let outside = outside.map(|port| Misfit::PortWithoutZone { port: port.name.clone() });
    let zones = policy.zones.iter();
    let named = zones.flat_map(|zone| zone.ports.iter().map(move |port| (&zone.name, port)));
    let unknown = named.filter(|(_, port)| node.port(port).is_none());
    let unknown =
        unknown.map(|(zone, port)| Misfit::UnknownPort { zone: zone.clone(), port: port.clone() });
    let pools = policy.nat.pools.iter();
    let elsewhere = pools.filter(|pool| node.ports.iter().all(|port| port.domain != pool.domain));
    let elsewhere = elsewhere
        .map(|pool| Misfit::UnknownDomain { pool: pool.name.clone(), domain: pool.domain });
    let interfaces = policy.nat.rules.iter().flat_map(|rule| leaving(policy, node, rule));
    outside.chain(unknown).chain(elsewhere).chain(interfaces).collect()
}

/// Ports that a rule's packets leave by, and cannot. A rule that names no zone may mean others.
fn leaving(policy: &Policy, node: &Node, rule: &NatRule) -> Vec<Misfit> {
    let NatKind::Source(SourceNat { to: Some(zone), translate, .. }) = rule.kind else {
        return Vec::new();
    };
    let ports = policy.zones[zone].ports.iter().filter_map(|name| Some((name, node.port(name)?)));
    let misfit = |(name, port): (&String, usize)| {
        let (rule, name) = (rule.id.clone(), name.clone());
        match translate {
            SourceTo::Interface => own_address(node, port, rule, name),
            SourceTo::Pool(pool) => {
                let pool = &policy.nat.pools[pool];
                let other = node.ports[port].domain != pool.domain;
                let pool = pool.name.clone();
                other.then_some(Misfit::OtherDomain { rule, pool, port: name })
            }
            SourceTo::Untouched => None,
        }
    };
    ports.filter_map(misfit).collect()
}

/// What is wrong with the address of a port that sources are translated to.
fn own_address(node: &Node, port: usize, rule: String, name: String) -> Option<Misfit> {
    let has_vip = || node.vips.iter().any(|vip| vip.port == port);
    if node.wire_peer(port).is_some() {
        return Some(Misfit::InterfaceOfWire { rule, port: name });
    }
    let stays = node.cluster.is_some() && !has_vip();
    stays.then_some(Misfit::InterfaceWithoutVip { rule, port: name })
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PortWithoutZone { port } => {
                write!(f, "port {port} is in no zone of the policy")
            }
            Self::UnknownPort { zone, port } => {
                write!(f, "zone {zone} names port {port}, which this node does not have")
            }
            Self::UnknownDomain { pool, domain } => {
                write!(f, "pool {pool} is of domain {domain}, which no port of this node is in")
            }
            Self::OtherDomain { rule, pool, port } => {
                write!(
                    f,
                    "nat rule {rule} translates to pool {pool} of another domain than port {port}"
                )
            }
            Self::InterfaceOfWire { rule, port } => {
                write!(
                    f,
                    "nat rule {rule} translates to the address of port {port}, a wire's end: it has none"
                )
            }
            Self::InterfaceWithoutVip { rule, port } => {
                write!(
                    f,
                    "nat rule {rule} translates to the address of port {port}, which has no VIP: no other \
                     node could carry its sessions on"
                )
            }
        }
    }
}
