//! Whether a policy fits a node: the zones of the one are made of the ports of the other.

use core::fmt;

use serde::Serialize;

use crate::{Node, Policy};

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
}

/// Everything `policy` and `node` do not agree on: ports of the node first, then zones.
pub fn misfits(policy: &Policy, node: &Node) -> Vec<Misfit> {
    let outside = node.ports.iter().filter(|port| policy.zone_of_port(&port.name).is_none());
    let outside = outside.map(|port| Misfit::PortWithoutZone { port: port.name.clone() });
    let zones = policy.zones.iter();
    let named = zones.flat_map(|zone| zone.ports.iter().map(move |port| (&zone.name, port)));
    let unknown = named.filter(|(_, port)| node.port(port).is_none());
    let unknown =
        unknown.map(|(zone, port)| Misfit::UnknownPort { zone: zone.clone(), port: port.clone() });
    outside.chain(unknown).collect()
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
        }
    }
}
