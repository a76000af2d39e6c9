//! Address translation: pools, and rules of every kind.
//!
//! Rules translate, they do not permit: the first packet of a session needs a `[[rule]]` that permits it
//! as well. That one sees the source before, and the destination after translation.

use core::net::{Ipv4Addr, Ipv6Addr};

use serde::Serialize;

use crate::{AddressMatch, Service};

/// All of address translation. The first rule that fits translates; one for the source and one for the
/// destination may both.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Nat {
    /// Named pools, in the order of the file.
    pub pools: Vec<NatPool>,
    /// Rules, first match wins.
    pub rules: Vec<NatRule>,
}

impl Nat {
    /// Whether nothing is translated.
    pub fn is_empty(&self) -> bool {
        self.pools.is_empty() && self.rules.is_empty()
    }

    /// The rule whose stable id is `id`.
    pub fn rule(&self, id: &str) -> Option<&NatRule> {
        self.rules.iter().find(|rule| rule.id == id)
    }

    /// The pool named `name`.
    pub fn pool(&self, name: &str) -> Option<&NatPool> {
        self.pools.iter().find(|pool| pool.name == name)
    }
}

/// Public addresses that sources are translated to, by ports 1024 to 62463.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NatPool {
    /// Name, unique among pools.
    pub name: String,
    /// IPv4 addresses as inclusive ranges of numbers: sorted, disjoint, not adjacent.
    pub v4: Vec<(u32, u32)>,
    /// The same of IPv6.
    pub v6: Vec<(u128, u128)>,
    /// Whether an inside address always meets the same public address.
    pub pooling: Pooling,
    /// The routing domain of the ports that these addresses are on.
    pub domain: u16,
}

/// How a pool's addresses are given out (RFC 4787 §4.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// One inside address has one public address; when its ports are used up, it gets no more.
    #[default]
    Paired,
    /// When its ports are used up, it gets those of the pool's other addresses.
    Arbitrary,
}

impl Pooling {
    /// The word of the policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Paired => "paired",
            Self::Arbitrary => "arbitrary",
        }
    }
}

/// One rule of translation.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NatRule {
    /// Stable id, unique among the rules of translation: counters and sessions refer to it.
    pub id: String,
    /// The operator's own words.
    pub description: Option<String>,
    /// Index of the zone that the packet enters by; `None` means any. What goes both ways has a zone
    /// outside in its kind instead.
    pub from: Option<usize>,
    /// Source addresses, before translation; `None` means any. Of an endpoint-independent mapping they are
    /// there, and not negated.
    pub source: Option<AddressMatch>,
    /// What is translated, and into what.
    pub kind: NatKind,
    /// Line of the rule in its file, from 1. For messages only, so not serialized.
    #[serde(skip)]
    pub line: usize,
}

/// What a rule of translation does.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum NatKind {
    /// The source of sessions gets a public address and port.
    Source(SourceNat),
    /// The destination of sessions is another than the one they are sent to.
    Destination(DestinationNat),
    /// Addresses outside stand for as many inside, both ways, ports untouched.
    Static(StaticNat),
    /// A prefix inside stands for one outside, both ways, without state (RFC 6296).
    Prefix(PrefixNat),
    /// Clients with IPv6 alone reach IPv4 by a prefix (RFC 6146).
    Nat64(Nat64),
}

impl NatKind {
    /// The word of the policy file.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Source(_) => "source",
            Self::Destination(_) => "destination",
            Self::Static(_) => "static",
            Self::Prefix(_) => "nptv6",
            Self::Nat64(_) => "nat64",
        }
    }
}

/// `type = "source"`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SourceNat {
    /// Index of the zone that the packet leaves by; `None` means any.
    pub to: Option<usize>,
    /// Destination addresses, after the destination's translation; `None` means any.
    pub destination: Option<AddressMatch>,
    /// Services; `None` means any.
    pub services: Option<Vec<Service>>,
    /// Into what.
    pub translate: SourceTo,
    /// How mappings are made and used.
    pub mapping: Mapping,
}

/// What a source is translated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SourceTo {
    /// The address of the port that the packet leaves by: masquerade.
    Interface,
    /// One of this pool, an index into [`Nat::pools`].
    Pool(usize),
    /// Not at all: an exception from the rules below.
    Untouched,
}

/// The behaviour of RFC 4787 §4.1 and §5, for TCP as well (RFC 5382).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Mapping {
    /// Whether an inside endpoint keeps its public one whoever it speaks to.
    pub endpoint_independent: bool,
    /// Who may reach an inside endpoint by its mapping.
    pub filtering: Filtering,
    /// Even ports stay even, odd ones odd, and the two of a pair are neighbours (RFC 4787 §4.2.2).
    pub parity: bool,
}

/// Who may open sessions to an inside endpoint by its mapping. A `[[rule]]` must permit it as well.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Filtering {
    /// Anybody.
    EndpointIndependent,
    /// Addresses that it has sent to.
    AddressDependent,
    /// Endpoints that it has sent to: nobody opens anything.
    #[default]
    AddressAndPortDependent,
}

impl Filtering {
    /// The word of the policy file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::EndpointIndependent => "endpoint-independent",
            Self::AddressDependent => "address-dependent",
            Self::AddressAndPortDependent => "address-and-port-dependent",
        }
    }
}

/// `type = "destination"`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct DestinationNat {
    /// Destination addresses, as sent to.
    pub destination: AddressMatch,
    /// Services, as sent to; `None` means any. Here and in source rules none has a timeout.
    pub services: Option<Vec<Service>>,
    /// The addresses that serve, inclusive: more than one share the clients by their addresses.
    pub to: DestinationTo,
    /// The first port that serves. The ports of the services of one protocol are mapped in their order,
    /// one service behind the other: `tcp/80` and `tcp/443` to 8080 and 8081, and `udp/443` to 8080.
    /// `None` leaves them. Where it stands, all services have destination ports, and none leads beyond
    /// 65535.
    pub to_port: Option<u16>,
}

/// Who serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum DestinationTo {
    /// IPv4, first and last address.
    V4(u32, u32),
    /// IPv6, first and last address.
    V6(u128, u128),
}

/// `type = "static"`: equal in size and family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StaticNat {
    /// First address outside, first address inside, prefix length.
    V4 {
        /// First address outside.
        outside: Ipv4Addr,
        /// First address inside.
        inside: Ipv4Addr,
        /// Bits that both have in common with the rest of their prefix: 0 to 32.
        length: u8,
        /// Index of the zone outside.
        zone: Option<usize>,
    },
    /// The same of IPv6, bits copied: no checksum stays as it was.
    V6 {
        /// First address outside.
        outside: Ipv6Addr,
        /// First address inside.
        inside: Ipv6Addr,
        /// 0 to 128.
        length: u8,
        /// Index of the zone outside.
        zone: Option<usize>,
    },
}

/// `type = "nptv6"`: checksum-neutral prefix translation (RFC 6296).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PrefixNat {
    /// The prefix inside.
    pub inside: Ipv6Addr,
    /// The prefix outside.
    pub outside: Ipv6Addr,
    /// Bits of both: 16 to 64.
    pub length: u8,
    /// Index of the zone outside.
    pub zone: Option<usize>,
}

/// `type = "nat64"`: `prefix` with the IPv4 address in its last 32 bits (RFC 6052 §2.2, a /96).
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Nat64 {
    /// The first 96 bits.
    pub prefix: Ipv6Addr,
    /// IPv4 into which the source is translated.
    pub translate: SourceTo,
    /// How mappings are made and used.
    pub mapping: Mapping,
}
