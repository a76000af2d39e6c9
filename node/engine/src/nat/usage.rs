//! What is in use of public addresses, for whoever asks.

use std::net::IpAddr;

use super::Counted;
use super::ports::Class;
use crate::PortId;
use crate::engine::Engine;

/// What an engine knows of translation; those of several engines add up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Public addresses that have ports to give, or had.
    pub addresses: Vec<AddressUse>,
    /// Rules that were ever in force.
    pub rules: Vec<RuleUse>,
    /// Endpoint-independent mappings.
    pub mappings: u32,
    /// What was counted.
    pub counted: Counted,
}

/// One public address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressUse {
    /// Its routing domain.
    pub domain: u16,
    /// The address.
    pub address: IpAddr,
    /// Ports in use, by [`Class`].
    pub taken: [u32; Class::ALL.len()],
    /// Ports given of another slot's run.
    pub borrowed: u64,
    /// First packets refused, since no port was left of it.
    pub refused: u64,
}

/// One rule of translation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleUse {
    /// Its id.
    pub id: String,
    /// Sessions that were opened by it here.
    pub hits: u64,
    /// Sessions now.
    pub sessions: u32,
}

impl Engine {
    /// What is in use of public addresses.
    #[must_use]
    pub fn nat_usage(&self) -> Usage {
        let addresses = self.nat.addresses.iter().map(|public| AddressUse {
            domain: public.domain,
            address: public.address,
            taken: public.runs.each_ref().map(super::Runs::taken),
            borrowed: public.borrowed,
            refused: public.refused,
        });
        let counted = self.nat.names.counted();
        let rules =
            counted.map(|(id, hits, sessions)| RuleUse { id: id.to_owned(), hits, sessions });
        Usage {
            addresses: addresses.collect(),
            rules: rules.collect(),
            mappings: self.nat.mappings.as_ref().map_or(0, super::Mappings::len),
            counted: self.nat.counters,
        }
    }

    /// The id of a rule of translation.
    #[must_use]
    pub fn nat_rule_id(&self, rule: super::NatRule) -> Option<&str> {
        self.nat.names.id(rule)
    }

    /// The addresses that ports share with those of other nodes. Where a port has one, it is what sources are
    /// translated to that leave by it: a node's own address would not go with its sessions.
    pub fn set_shared(&mut self, shared: &[(PortId, IpAddr)]) {
        self.nat.shared = shared.into();
        self.prepare_nat();
    }

    /// UDP ports that the node itself needs on its own addresses (heartbeats): no source gets them.
    pub fn set_host_udp(&mut self, ports: &[u16]) {
        self.nat.host_udp = ports.into();
        self.prepare_nat();
    }

    /// Which ports of each run are given anew, and which ones would be if this node were alone. From those it
    /// also gives while its backup is silent: that may be alone by then.
    pub const fn set_nat_half(&mut self, half: super::Half, own: super::Half) {
        self.nat.own = own;
        self.nat.half = if self.replication.is_silent() { own } else { half };
    }
}
