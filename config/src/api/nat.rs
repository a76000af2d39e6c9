//! Address translation: public addresses and what is in use of them, rules, who has the most ports.

use core::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{NatKind, Policy, PrefixNat, StaticNat};

/// Ports of one public address that are given out, of each protocol: 1024 to 62463.
pub const NAT_PORTS_OF_ADDRESS: u64 = 61_440;
/// Users of a pool that are told, those with the most ports.
pub const NAT_USERS: usize = 10;

/// What is wanted to be known of translation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NatRequest {
    /// Also who has the most ports: each session is looked at for that.
    #[serde(default)]
    pub users: bool,
}

/// What a node translates, all workers together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nat {
    /// Pools of the policy in force in its order, then addresses of ports, then what is left of earlier
    /// policies.
    pub pools: Vec<NatPool>,
    /// Rules of the policy in force, in its order.
    pub rules: Vec<NatRule>,
    /// Inside endpoints that have an endpoint-independent mapping.
    pub mappings: u64,
    /// First packets that were dropped for want of a port since the start: the reason `nat-exhausted`.
    pub refused: u64,
}

/// Public addresses that share their ports out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatPool {
    /// What it is.
    pub kind: NatPoolKind,
    /// Name of the pool or of the port; empty of earlier ones.
    pub name: String,
    /// Routing domain of its addresses.
    pub domain: u16,
    /// Its addresses in the form of the policy file.
    pub addresses: Vec<String>,
    /// Ports there are of each protocol: [`NAT_PORTS_OF_ADDRESS`] an address, on all nodes together.
    pub ports: u64,
    /// Those in use by sessions that this node knows.
    pub used: NatPorts,
    /// Ports given out of another slot's run since the start.
    pub borrowed: u64,
    /// First packets refused since the start, since no port was left of the address that they had to have.
    #[serde(default)]
    pub refused: u64,
    /// Each address, in the order of numbers.
    pub by_address: Vec<NatAddress>,
    /// Who has the most ports: [`NAT_USERS`] at most, if they were asked for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub users: Vec<NatUser>,
}

/// What a set of public addresses is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NatPoolKind {
    /// A `[[nat-pool]]`.
    #[default]
    Pool,
    /// The addresses of a port.
    Interface,
    /// Of no pool and no port any more: sessions still have their ports.
    Former,
}

/// Ports in use, by protocol. A port of TCP and the same of UDP are two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatPorts {
    /// TCP.
    pub tcp: u64,
    /// UDP.
    pub udp: u64,
    /// Identifiers of ICMP and ICMPv6 queries.
    pub icmp: u64,
    /// SCTP.
    pub sctp: u64,
}

impl NatPorts {
    /// Each by its name.
    pub const fn entries(&self) -> [(&'static str, u64); 4] {
        [("tcp", self.tcp), ("udp", self.udp), ("icmp", self.icmp), ("sctp", self.sctp)]
    }

    /// All together.
    pub fn total(&self) -> u64 {
        self.entries().iter().map(|(_, used)| used).sum()
    }

    /// Of the protocol that has the most.
    pub fn most(&self) -> u64 {
        self.entries().iter().map(|(_, used)| *used).max().unwrap_or(0)
    }
}

impl core::ops::AddAssign for NatPorts {
    fn add_assign(&mut self, more: Self) {
        self.tcp += more.tcp;
        self.udp += more.udp;
        self.icmp += more.icmp;
        self.sctp += more.sctp;
    }
}

/// One public address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatAddress {
    /// The address.
    pub address: IpAddr,
    /// Its ports in use.
    pub used: NatPorts,
    /// Ports of it that were given out of another slot's run since the start.
    pub borrowed: u64,
}

/// An inside address that has ports of a pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatUser {
    /// The inside address.
    pub address: IpAddr,
    /// Its ports, of all protocols.
    pub ports: u64,
}

/// One rule of translation as it is in force. An empty list or `None` is any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatRule {
    /// Stable id.
    pub id: String,
    /// `source`, `destination`, `static`, `nptv6`, `nat64`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The operator's words.
    pub description: Option<String>,
    /// Zone the packet enters by; of rules that go both ways the zone outside.
    pub from: Option<String>,
    /// Zone the packet leaves by.
    pub to: Option<String>,
    /// Sources as the policy file would say it, `!` in front of negated ones.
    pub source: Vec<String>,
    /// Destinations; of rules that go both ways the addresses outside, of `nat64` its prefix.
    pub destination: Vec<String>,
    /// Services.
    pub service: Vec<String>,
    /// Into what: `pool:NAME`, `interface`, `none`, or addresses, with a port behind them if it is another.
    pub translate: String,
    /// Sessions that it opened here since the start.
    pub hits: u64,
    /// Live sessions.
    pub sessions: u64,
}

impl Nat {
    /// What `policy` says, nothing in use: all pools, and all rules.
    pub fn of(policy: &Policy) -> Self {
        Self {
            pools: policy.nat.pools.iter().map(NatPool::of).collect(),
            rules: policy.nat.rules.iter().map(|rule| NatRule::of(policy, rule)).collect(),
            ..Self::default()
        }
    }
}

impl NatPool {
    /// `pool`, of which nothing is in use.
    pub fn of(pool: &crate::NatPool) -> Self {
        let crate::NatPool { name, v4, v6, pooling: _, domain } = pool.clone();
        let of_v4 = v4.iter().flat_map(|&(first, last)| first..=last);
        let of_v6 = v6.iter().flat_map(|&(first, last)| first..=last);
        let unused = |address| NatAddress { address, used: NatPorts::default(), borrowed: 0 };
        let by_address: Vec<_> = of_v4
            .map(|bits| IpAddr::V4(bits.into()))
            .chain(of_v6.map(|bits| IpAddr::V6(bits.into())))
            .map(unused)
            .collect();
        Self {
            kind: NatPoolKind::Pool,
            name,
            domain,
            addresses: crate::AddressSet { name: None, v4, v6 }.texts().collect(),
            ports: NAT_PORTS_OF_ADDRESS * by_address.len() as u64,
            by_address,
            ..Self::default()
        }
    }

    /// The address of this pool with the fewest ports left, by the protocol that has the most in use.
    pub fn fullest(&self) -> Option<&NatAddress> {
        self.by_address.iter().max_by_key(|it| it.used.most())
    }
}

impl NatRule {
    /// `rule` of `policy`, without hits.
    pub fn of(policy: &Policy, rule: &crate::NatRule) -> Self {
        let zone = |zone| policy.zone_name(zone).map(str::to_owned);
        let said = Self {
            id: rule.id.clone(),
            kind: rule.kind.name().to_owned(),
            description: rule.description.clone(),
            from: zone(rule.from),
            to: None,
            source: policy.address_texts(rule.source.as_ref()),
            destination: Vec::new(),
            service: Vec::new(),
            translate: String::new(),
            hits: 0,
            sessions: 0,
        };
        let services = |of: &Option<Vec<crate::Service>>| {
            of.iter().flatten().map(ToString::to_string).collect()
        };
        match &rule.kind {
            NatKind::Source(nat) => Self {
                to: zone(nat.to),
                destination: policy.address_texts(nat.destination.as_ref()),
                service: services(&nat.services),
                translate: policy.nat.source_to_text(nat.translate),
                ..said
            },
            NatKind::Destination(nat) => Self {
                destination: policy.address_texts(Some(&nat.destination)),
                service: services(&nat.services),
                translate: match nat.to_port {
                    Some(port) => format!("{} port {port}", nat.to),
                    None => nat.to.to_string(),
                },
                ..said
            },
            NatKind::Nat64(nat) => Self {
                destination: vec![format!("{}/96", nat.prefix)],
                translate: policy.nat.source_to_text(nat.translate),
                ..said
            },
            NatKind::Static(StaticNat::V4 { outside, inside, length, zone: of }) => {
                said.both_ways(zone(*of), (outside, inside, *length))
            }
            NatKind::Static(StaticNat::V6 { outside, inside, length, zone: of })
            | NatKind::Prefix(PrefixNat { outside, inside, length, zone: of }) => {
                said.both_ways(zone(*of), (outside, inside, *length))
            }
        }
    }

    fn both_ways<A: core::fmt::Display>(
        self,
        from: Option<String>,
        (outside, inside, length): (A, A, u8),
    ) -> Self {
        let destination = vec![format!("{outside}/{length}")];
        Self { from, destination, translate: format!("{inside}/{length}"), ..self }
    }
}
