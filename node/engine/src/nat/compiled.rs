//! The rules of translation as they are asked, immutable: a part of the [`Policy`](crate::policy::Policy).
//!
//! The matcher of the policy's own rules finds them, too: those that translate destinations are one list of
//! rules for it, those that translate sources another.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::{AddressMatch, AddressSet, Mapping, Service, SourceTo};
use wire::translate::nptv6::Nptv6;

use super::making::{FEW, Making, list};
use crate::ZoneId;
use crate::policy::{CompileError, Indexed, Linear, Matcher, Question};

/// All rules of translation of a policy.
#[derive(Debug, Default)]
pub(crate) struct Translations {
    /// Ids, in the order of the file.
    pub(crate) rules: Box<[String]>,
    pub(crate) pools: Box<[Pool]>,
    toward: Option<List<Toward>>,
    from: Option<List<From>>,
    /// Of the rules of `from`, by their places in the file; nothing if there are more than a look may take.
    outlines: Option<Box<[(u16, Outline)]>>,
    sets: Box<[AddressSet]>,
    /// Inside addresses whose endpoints have one mapping each.
    independent: Box<[Independent]>,
    served: Box<[Served]>,
    /// What the host serves on its own addresses: protocol, first and last port.
    host: Box<[(u8, u16, u16)]>,
    /// Whether sources are translated to addresses of ports.
    pub(crate) masquerades: bool,
}

/// A pool, its addresses one by one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Pool {
    pub(crate) name: String,
    pub(crate) domain: u16,
    pub(crate) arbitrary: bool,
    pub(crate) v4: Box<[Ipv4Addr]>,
    pub(crate) v6: Box<[Ipv6Addr]>,
}

/// Rules that the matcher finds, with what they do.
#[derive(Debug)]
pub(super) struct List<T> {
    pub(super) matcher: Asked,
    /// By the matcher's place: the rule's place in the file, and what it does.
    pub(super) effects: Box<[(u16, T)]>,
}

/// A few rules are compared one by one in less time than an index is walked through.
#[derive(Debug)]
pub(super) enum Asked {
    Few(Linear),
    Many(Box<Indexed>),
}

/// What becomes of a destination.
#[derive(Clone, Debug)]
pub(super) enum Toward {
    Server { first: IpAddr, count: u32, ports: Option<Ports> },
    Outside(Pair),
    Nat64(Nat64),
}

/// Ports of services, those of one protocol mapped in their order.
#[derive(Clone, Debug)]
pub(super) struct Ports {
    pub(super) services: Box<[Service]>,
    pub(super) to: u16,
}

/// What a rule for sources asks of zones, and what it does if that is all it asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outline {
    pub(super) zones: [Option<ZoneId>; 2],
    /// Of IPv4 alone. The outer `None`: it asks for more. The inner: it is for IPv6.
    pub(super) to: Option<Option<SourceTo>>,
}

/// What becomes of a source.
#[derive(Clone, Copy, Debug)]
pub(super) enum From {
    To(SourceTo, Mapping),
    Inside(Pair),
}

/// Addresses outside and as many inside.
#[derive(Clone, Copy, Debug)]
pub(super) enum Pair {
    V4 { outside: Ipv4Addr, inside: Ipv4Addr, length: u8 },
    V6 { outside: Ipv6Addr, inside: Ipv6Addr, length: u8 },
    Prefix { map: Nptv6, outside: Ipv6Addr, inside: Ipv6Addr, length: u8 },
}

/// What the sources of clients with IPv6 alone become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nat64 {
    pub(super) prefix: Ipv6Addr,
    pub(crate) to: SourceTo,
    pub(crate) mapping: Mapping,
}

#[derive(Clone, Debug)]
pub(super) struct Independent {
    pub(super) source: AddressMatch,
    /// Where its packets come from and go to.
    pub(super) zones: [Option<ZoneId>; 2],
    pub(super) parity: bool,
}

/// Ports of a destination that a rule sends to a server.
#[derive(Clone, Debug)]
pub(super) struct Served {
    destination: AddressMatch,
    services: Box<[(u8, u16, u16)]>,
    /// Any service.
    all: bool,
}

/// What of an address of the firewall's own is not for its host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicUse {
    /// Everything: it stands for another address.
    pub all: bool,
    /// The ports that translated sources have.
    pub range: bool,
    /// Services that somebody inside has: protocol, first and last port.
    pub served: Vec<(u8, u16, u16)>,
}

/// The answer about a destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub(crate) rule: u16,
    pub(crate) to: IpAddr,
    /// Its port, if that is another one.
    pub(crate) port: Option<u16>,
    /// By a prefix for IPv4: the source must become IPv4, too.
    pub(crate) nat64: bool,
}

/// The answer about a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    Untouched,
    /// One of the public addresses, with a port of its own.
    Shared(u16, SourceTo, Mapping),
    /// Its own public address.
    Own(u16, IpAddr),
}

/// A rule fits, and cannot do it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Untranslatable;

impl Translations {
    pub(crate) fn compile(policy: &config::Policy) -> Result<Self, CompileError> {
        let nat = &policy.nat;
        if nat.is_empty() {
            return Ok(Self::default());
        }
        let mut making = Making::new(policy);
        for (place, rule) in nat.rules.iter().enumerate() {
            making.add(place as u16, rule)?;
        }
        let Making { sets, toward, from, outlines, independent, served, .. } = making;
        let few = outlines.len() <= FEW;
        let outlines = few.then(|| from.1.iter().map(|it| it.0).zip(outlines).collect());
        let masquerades = from.1.iter().any(|(_, from)| matches!(from, From::To(SourceTo::Interface, _)))
            || toward.1.iter().any(
                |(_, it)| matches!(it, Toward::Nat64(Nat64 { to: SourceTo::Interface, .. })),
            )
            // Who reaches an inside server by its public name speaks to it as the firewall.
            || toward.1.iter().any(|(_, it)| matches!(it, Toward::Server { .. }));
        Ok(Self {
            rules: nat.rules.iter().map(|rule| rule.id.clone()).collect(),
            pools: nat.pools.iter().map(Pool::of).collect(),
            toward: list(policy, &sets, toward)?,
            from: list(policy, &sets, from)?,
            outlines,
            sets: sets.into(),
            independent: independent.into(),
            served: served.into(),
            host: policy.host_inbound.iter().flat_map(host_services).collect(),
            masquerades,
        })
    }

    /// Whether nothing is translated.
    pub(crate) const fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }

    /// Whether any destination is translated by a rule.
    pub(crate) const fn has_targets(&self) -> bool {
        self.toward.is_some()
    }

    /// Whether any inside endpoint has one mapping for all.
    pub(crate) const fn has_mappings(&self) -> bool {
        !self.independent.is_empty()
    }

    /// What the destination of a first packet becomes. `spread` shares clients among servers.
    pub(crate) fn target(
        &self,
        question: &Question,
        spread: impl FnOnce(IpAddr) -> u32,
    ) -> Result<Option<Target>, Untranslatable> {
        let Some((rule, toward)) = self.toward.as_ref().and_then(|list| list.find(question)) else {
            return Ok(None);
        };
        let (to, port, nat64) = match toward {
            Toward::Server { first, count, ports } => {
                let server = nth(*first, spread(question.source) % count);
                let port = ports.as_ref().map(|ports| ports.map(question).ok_or(Untranslatable));
                (server, port.transpose()?, false)
            }
            Toward::Outside(pair) => {
                (pair.inward(question.destination).ok_or(Untranslatable)?, None, false)
            }
            Toward::Nat64(nat64) => {
                let IpAddr::V6(destination) = question.destination else { return Ok(None) };
                let to = nat64.extract(destination).ok_or(Untranslatable)?;
                (to.into(), None, true)
            }
        };
        Ok(Some(Target { rule, to, port, nat64 }))
    }

    /// What the source of a first packet becomes.
    pub(crate) fn origin(&self, question: &Question) -> Result<Origin, Untranslatable> {
        let Some((rule, from)) = self.from.as_ref().and_then(|list| list.find(question)) else {
            return Ok(Origin::Untouched);
        };
        match from {
            From::To(SourceTo::Untouched, _) => Ok(Origin::Untouched),
            From::To(to, mapping) => Ok(Origin::Shared(rule, *to, *mapping)),
            From::Inside(pair) => {
                let outside = pair.outward(question.source).ok_or(Untranslatable)?;
                Ok(Origin::Own(rule, outside))
            }
        }
    }

    /// What the source becomes of a packet to a public endpoint that turns back to another host inside: as
    /// of one that goes outside by an endpoint-independent rule, if there is one for it. `sent` is what it
    /// was sent to.
    pub(crate) fn origin_outside(
        &self,
        question: &Question,
        sent: (IpAddr, u16),
    ) -> Option<(u16, SourceTo, Mapping)> {
        let fits = |of: &&Independent| {
            let [from, to] = of.zones;
            from.is_none_or(|from| from == question.from_zone)
                && to != Some(question.from_zone)
                && of.source.matches(&self.sets, question.source)
        };
        let [_, to] = self.independent.iter().find(fits)?.zones;
        let outward = Question {
            to_zone: to.unwrap_or(question.to_zone),
            destination: sent.0,
            destination_port: sent.1,
            ..*question
        };
        match self.origin(&outward).ok()? {
            Origin::Shared(rule, to, mapping) if mapping.endpoint_independent => {
                Some((rule, to, mapping))
            }
            Origin::Shared(..) | Origin::Own(..) | Origin::Untouched => None,
        }
    }

    /// What the source becomes of a packet of IPv4 between two zones, where that is all that the rules ask
    /// about. `None`: they ask for more.
    #[inline(always)]
    pub(crate) fn source_by_zones(&self, zones: [ZoneId; 2]) -> Option<(u16, SourceTo)> {
        for (rule, Outline { zones: [from, to], to: source }) in self.outlines.as_ref()? {
            let fits =
                from.is_none_or(|from| from == zones[0]) && to.is_none_or(|to| to == zones[1]);
            if fits && let Some(to) = (*source)? {
                return Some((*rule, to));
            }
        }
        Some((0, SourceTo::Untouched))
    }

    /// What the source becomes of a packet whose destination the rule of this place has made IPv4.
    pub(crate) fn origin_of(&self, rule: u16) -> Option<Origin> {
        let (_, toward) = self.toward.as_ref()?.effects.iter().find(|(place, _)| *place == rule)?;
        match toward {
            Toward::Nat64(Nat64 { to, mapping, .. }) => Some(Origin::Shared(rule, *to, *mapping)),
            Toward::Server { .. } | Toward::Outside(_) => None,
        }
    }

    /// What is sent to an address of the firewall's own and is not for its host; `None`: nothing.
    pub(crate) fn public_use(&self, domain: u16, address: IpAddr) -> Option<PublicUse> {
        let pooled = || {
            let of = self.pools.iter().filter(|pool| pool.domain == domain);
            of.flat_map(Pool::addresses).any(|of| of == address)
        };
        let toward = self.toward.iter().flat_map(|list| &list.effects);
        let outside = toward.filter_map(|(_, toward)| match toward {
            Toward::Outside(pair) => Some(pair.ranges()),
            Toward::Server { .. } | Toward::Nat64(_) => None,
        });
        let mut of_address = outside.filter(|[outside, _]| outside.contains(address));
        let public = PublicUse {
            all: of_address.next().is_some() || self.serves_all(address),
            range: self.masquerades && !super::is_link_local(address) || pooled(),
            served: self.served(address).collect(),
        };
        (public != PublicUse::default()).then_some(public)
    }

    /// Whether a rule sends everything to a server that comes to an address.
    fn serves_all(&self, address: IpAddr) -> bool {
        let of = self.served.iter().filter(|of| of.all);
        of.map(|of| &of.destination).any(|of| of.matches(&self.sets, address))
    }

    /// The ports of a public address that rules send to servers: protocol, first and last.
    pub(crate) fn served(&self, address: IpAddr) -> impl Iterator<Item = (u8, u16, u16)> + '_ {
        let of = self.served.iter().filter(move |of| of.destination.matches(&self.sets, address));
        of.flat_map(|of| of.services.iter().copied())
    }

    /// What the host serves on its own addresses, so that no source gets it: protocol, first and last port.
    pub(crate) fn host(&self) -> impl Iterator<Item = (u8, u16, u16)> + '_ {
        self.host.iter().copied()
    }

    /// Whether the endpoints of an inside address have one mapping each, and whether those of ports that
    /// are neighbours belong together.
    pub(crate) fn independence(&self, address: IpAddr) -> Option<bool> {
        let fits = |of: &&Independent| of.source.matches(&self.sets, address);
        self.independent.iter().find(fits).map(|of| of.parity)
    }
}

impl Nat64 {
    /// The IPv4 address that an IPv6 address stands for (RFC 6052 §2.2, of a prefix of 96 bits).
    fn extract(&self, address: Ipv6Addr) -> Option<Ipv4Addr> {
        let bits = address.to_bits();
        (bits >> 32 == self.prefix.to_bits() >> 32).then(|| Ipv4Addr::from_bits(bits as u32))
    }
}

impl<T> List<T> {
    fn find(&self, question: &Question) -> Option<(u16, &T)> {
        let place = match &self.matcher {
            Asked::Few(rules) => rules.find(question),
            Asked::Many(rules) => rules.find(question),
        }?;
        self.effects.get(place.index()).map(|(rule, effect)| (*rule, effect))
    }
}

impl Pool {
    fn of(pool: &config::NatPool) -> Self {
        let v4 = pool.v4.iter().flat_map(|(first, last)| *first..=*last).map(Ipv4Addr::from_bits);
        let v6 = pool.v6.iter().flat_map(|(first, last)| *first..=*last).map(Ipv6Addr::from_bits);
        Self {
            name: pool.name.clone(),
            domain: pool.domain,
            arbitrary: pool.pooling == config::Pooling::Arbitrary,
            v4: v4.collect(),
            v6: v6.collect(),
        }
    }

    /// All.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.v4.iter().map(|it| IpAddr::V4(*it)).chain(self.v6.iter().map(|it| IpAddr::V6(*it)))
    }
}

/// The ports that an entry of `host-inbound` names: one without services leaves the host all of them in its
/// zone, whatever is given here.
fn host_services(inbound: &config::HostInbound) -> impl Iterator<Item = (u8, u16, u16)> + '_ {
    inbound.services.iter().flatten().map(ports_of)
}

fn ports_of(service: &Service) -> (u8, u16, u16) {
    let (first, last) = service.destination_ports.unwrap_or((0, u16::MAX));
    (service.protocol, first, last)
}

impl Served {
    pub(super) fn of(destination: AddressMatch, services: Option<&[Service]>) -> Self {
        let any = (0, u16::MAX);
        let all = services.is_none();
        let services = match services {
            Some(services) => services.iter().map(ports_of).collect(),
            None => [6, 17, 132].map(|protocol| (protocol, any.0, any.1)).into(),
        };
        Self { destination, services, all }
    }
}

impl Ports {
    /// The port that serves. `None`: beyond the last one, which `config` rules out.
    fn map(&self, question: &Question) -> Option<u16> {
        let mut before = 0_u32;
        for service in &self.services {
            let (first, last) = service.destination_ports.unwrap_or((0, u16::MAX));
            let within = (first..=last).contains(&question.destination_port);
            if service.protocol == question.protocol.0 && within {
                let place = before + u32::from(question.destination_port - first);
                return u16::try_from(u32::from(self.to) + place).ok();
            }
            if service.protocol == question.protocol.0 {
                before += u32::from(last - first) + 1;
            }
        }
        None
    }
}

impl Pair {
    /// The inside address of one outside.
    fn inward(&self, address: IpAddr) -> Option<IpAddr> {
        match (self, address) {
            (Self::V4 { inside, length, .. }, IpAddr::V4(address)) => {
                Some(exchange_v4(address, *inside, *length).into())
            }
            (Self::V6 { inside, length, .. }, IpAddr::V6(address)) => {
                Some(exchange_v6(address, *inside, *length).into())
            }
            (Self::Prefix { map, .. }, IpAddr::V6(address)) => map.inward(address).map(IpAddr::V6),
            _ => None,
        }
    }

    /// The outside address of one inside.
    fn outward(&self, address: IpAddr) -> Option<IpAddr> {
        match (self, address) {
            (Self::V4 { outside, length, .. }, IpAddr::V4(address)) => {
                Some(exchange_v4(address, *outside, *length).into())
            }
            (Self::V6 { outside, length, .. }, IpAddr::V6(address)) => {
                Some(exchange_v6(address, *outside, *length).into())
            }
            (Self::Prefix { map, .. }, IpAddr::V6(address)) => map.outward(address).map(IpAddr::V6),
            _ => None,
        }
    }

    /// The first and the last address outside, and inside.
    pub(super) fn ranges(&self) -> [AddressSet; 2] {
        let v4 = |address: Ipv4Addr, length: u8| {
            let host = host_v4(length);
            let bits = address.to_bits() & !host;
            AddressSet { name: None, v4: vec![(bits, bits | host)], v6: Vec::new() }
        };
        let v6 = |address: Ipv6Addr, length: u8| {
            let host = host_v6(length);
            let bits = address.to_bits() & !host;
            AddressSet { name: None, v4: Vec::new(), v6: vec![(bits, bits | host)] }
        };
        match *self {
            Self::V4 { outside, inside, length } => [v4(outside, length), v4(inside, length)],
            Self::V6 { outside, inside, length } => [v6(outside, length), v6(inside, length)],
            Self::Prefix { outside, inside, length, .. } => {
                [v6(outside, length), v6(inside, length)]
            }
        }
    }
}

fn host_v4(length: u8) -> u32 {
    u32::MAX.checked_shr(length as u32).unwrap_or(0)
}

fn host_v6(length: u8) -> u128 {
    u128::MAX.checked_shr(length as u32).unwrap_or(0)
}

fn exchange_v4(address: Ipv4Addr, prefix: Ipv4Addr, length: u8) -> Ipv4Addr {
    let host = host_v4(length);
    Ipv4Addr::from_bits(prefix.to_bits() & !host | address.to_bits() & host)
}

fn exchange_v6(address: Ipv6Addr, prefix: Ipv6Addr, length: u8) -> Ipv6Addr {
    let host = host_v6(length);
    Ipv6Addr::from_bits(prefix.to_bits() & !host | address.to_bits() & host)
}

/// The address so many behind the first.
fn nth(first: IpAddr, place: u32) -> IpAddr {
    match first {
        IpAddr::V4(first) => Ipv4Addr::from_bits(first.to_bits().wrapping_add(place)).into(),
        IpAddr::V6(first) => {
            Ipv6Addr::from_bits(first.to_bits().wrapping_add(u128::from(place))).into()
        }
    }
}
