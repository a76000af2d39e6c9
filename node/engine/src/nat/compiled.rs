//! The rules of translation as they are asked, immutable: a part of the [`Policy`](crate::policy::Policy).
//!
//! The matcher of the policy's own rules finds them, too: those that translate destinations are one list of
//! rules for it, those that translate sources another.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::shim::{nat64, nptv6};
use config::{
    AddressMatch, AddressSet, DestinationNat, DestinationTo, Mapping, NatKind, PrefixNat, Service,
    SourceNat, SourceTo, StaticNat,
};

use crate::policy::{self, CompileError, Indexed, Matcher, Question};

/// All rules of translation of a policy.
#[derive(Debug, Default)]
pub(crate) struct Translations {
    /// Ids, in the order of the file.
    pub(crate) rules: Box<[String]>,
    pub(crate) pools: Box<[Pool]>,
    toward: Option<List<Toward>>,
    from: Option<List<From>>,
    sets: Box<[AddressSet]>,
    /// Inside addresses whose endpoints have one mapping each.
    independent: Box<[Independent]>,
    served: Box<[Served]>,
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
struct List<T> {
    matcher: Indexed,
    /// By the matcher's place: the rule's place in the file, and what it does.
    effects: Box<[(u16, T)]>,
}

/// What becomes of a destination.
#[derive(Clone, Debug)]
enum Toward {
    Server { first: IpAddr, count: u32, ports: Option<Ports> },
    Outside(Pair),
    Nat64(Nat64),
}

/// Ports of services, those of one protocol mapped in their order.
#[derive(Clone, Debug)]
struct Ports {
    services: Box<[Service]>,
    to: u16,
}

/// What becomes of a source.
#[derive(Clone, Copy, Debug)]
enum From {
    To(SourceTo, Mapping),
    Inside(Pair),
}

/// Addresses outside and as many inside.
#[derive(Clone, Copy, Debug)]
enum Pair {
    V4 { outside: Ipv4Addr, inside: Ipv4Addr, length: u8 },
    V6 { outside: Ipv6Addr, inside: Ipv6Addr, length: u8 },
    Prefix(nptv6::Prefixes),
}

/// What the sources of clients with IPv6 alone become.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Nat64 {
    prefix: Ipv6Addr,
    pub(crate) to: SourceTo,
    pub(crate) mapping: Mapping,
}

#[derive(Clone, Debug)]
struct Independent {
    source: AddressMatch,
    parity: bool,
}

/// Ports of a destination that a rule sends to a server.
#[derive(Clone, Debug)]
struct Served {
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
        let Making { sets, toward, from, independent, served, .. } = making;
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
            sets: sets.into(),
            independent: independent.into(),
            served: served.into(),
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
                let to = nat64::extract(nat64.prefix, destination).ok_or(Untranslatable)?;
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

    /// Whether the endpoints of an inside address have one mapping each, and whether those of ports that
    /// are neighbours belong together.
    pub(crate) fn independence(&self, address: IpAddr) -> Option<bool> {
        let fits = |of: &&Independent| of.source.matches(&self.sets, address);
        self.independent.iter().find(fits).map(|of| of.parity)
    }
}

impl<T> List<T> {
    fn find(&self, question: &Question) -> Option<(u16, &T)> {
        let place = self.matcher.find(question)?;
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

    /// Addresses of a family.
    pub(crate) const fn count(&self, v4: bool) -> usize {
        if v4 { self.v4.len() } else { self.v6.len() }
    }

    /// One of them.
    pub(crate) fn address(&self, v4: bool, place: usize) -> Option<IpAddr> {
        if v4 {
            self.v4.get(place).map(|it| IpAddr::V4(*it))
        } else {
            self.v6.get(place).map(|it| IpAddr::V6(*it))
        }
    }

    /// All.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = IpAddr> + '_ {
        self.v4.iter().map(|it| IpAddr::V4(*it)).chain(self.v6.iter().map(|it| IpAddr::V6(*it)))
    }
}

impl Served {
    fn of(destination: AddressMatch, services: Option<&[Service]>) -> Self {
        let any = (0, u16::MAX);
        let all = services.is_none();
        let ranges = |service: &Service| {
            let (first, last) = service.destination_ports.unwrap_or(any);
            (service.protocol, first, last)
        };
        let services = match services {
            Some(services) => services.iter().map(ranges).collect(),
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
            (Self::Prefix(prefixes), IpAddr::V6(address)) => {
                prefixes.inward(address).map(IpAddr::V6)
            }
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
            (Self::Prefix(prefixes), IpAddr::V6(address)) => {
                prefixes.outward(address).map(IpAddr::V6)
            }
            _ => None,
        }
    }

    /// The first and the last address outside, and inside.
    fn ranges(&self) -> [AddressSet; 2] {
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
            Self::Prefix(nptv6::Prefixes { outside, inside, length }) => {
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

/// The lists while they are put together.
struct Making<'a> {
    policy: &'a config::Policy,
    /// The sets that rules of translation name, and those that prefixes are.
    sets: Vec<AddressSet>,
    /// Where sets of the policy are among them.
    places: Vec<(usize, usize)>,
    toward: (Vec<config::Rule>, Vec<(u16, Toward)>),
    from: (Vec<config::Rule>, Vec<(u16, From)>),
    independent: Vec<Independent>,
    served: Vec<Served>,
}

/// What a list's rule matches.
#[derive(Default)]
struct Fields {
    from: Option<usize>,
    to: Option<usize>,
    source: Option<AddressMatch>,
    destination: Option<AddressMatch>,
    services: Option<Vec<Service>>,
}

impl<'a> Making<'a> {
    fn new(policy: &'a config::Policy) -> Self {
        let (toward, from) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let (sets, places) = (Vec::new(), Vec::new());
        let (independent, served) = (Vec::new(), Vec::new());
        Self { policy, sets, places, toward, from, independent, served }
    }

    fn add(&mut self, place: u16, rule: &config::NatRule) -> Result<(), CompileError> {
        let source = rule.source.as_ref().map(|of| self.known(of, rule)).transpose()?;
        match &rule.kind {
            NatKind::Source(nat) => self.add_source(place, rule, source, nat)?,
            NatKind::Destination(nat) => self.add_destination(place, rule, source, nat)?,
            NatKind::Static(nat) => {
                let (pair, zone) = match *nat {
                    StaticNat::V4 { outside, inside, length, zone } => {
                        (Pair::V4 { outside, inside, length }, zone)
                    }
                    StaticNat::V6 { outside, inside, length, zone } => {
                        (Pair::V6 { outside, inside, length }, zone)
                    }
                };
                self.add_pair(place, rule, pair, zone);
            }
            NatKind::Prefix(PrefixNat { inside, outside, length, zone }) => {
                let prefixes =
                    nptv6::Prefixes { inside: *inside, outside: *outside, length: *length };
                self.add_pair(place, rule, Pair::Prefix(prefixes), *zone);
            }
            NatKind::Nat64(nat) => {
                let bits = nat.prefix.to_bits();
                let v6 = vec![(bits, bits | u128::from(u32::MAX))];
                let destination = self.own(AddressSet { name: None, v4: Vec::new(), v6 });
                let nat64 = Nat64 { prefix: nat.prefix, to: nat.translate, mapping: nat.mapping };
                self.add_independent(&source, nat.mapping);
                let fields = Fields {
                    from: rule.from,
                    source,
                    destination: Some(destination),
                    ..Fields::default()
                };
                push(&mut self.toward, place, rule, fields, Toward::Nat64(nat64));
            }
        }
        Ok(())
    }

    fn add_source(
        &mut self,
        place: u16,
        rule: &config::NatRule,
        source: Option<AddressMatch>,
        nat: &SourceNat,
    ) -> Result<(), CompileError> {
        let destination = nat.destination.as_ref().map(|of| self.known(of, rule)).transpose()?;
        self.add_independent(&source, nat.mapping);
        let services = nat.services.clone();
        let source = match nat.translate {
            SourceTo::Pool(pool) => self.of_families(source, pool),
            SourceTo::Interface | SourceTo::Untouched => source,
        };
        let fields = Fields { from: rule.from, to: nat.to, source, destination, services };
        push(&mut self.from, place, rule, fields, From::To(nat.translate, nat.mapping));
        Ok(())
    }

    fn add_destination(
        &mut self,
        place: u16,
        rule: &config::NatRule,
        source: Option<AddressMatch>,
        nat: &DestinationNat,
    ) -> Result<(), CompileError> {
        let destination = self.known(&nat.destination, rule)?;
        let (first, count) = match nat.to {
            DestinationTo::V4(first, last) => {
                (IpAddr::V4(Ipv4Addr::from_bits(first)), last.saturating_sub(first))
            }
            DestinationTo::V6(first, last) => {
                let more = u32::try_from(last.saturating_sub(first)).unwrap_or(u32::MAX);
                (IpAddr::V6(Ipv6Addr::from_bits(first)), more)
            }
        };
        let services = nat.services.clone();
        self.served.push(Served::of(destination.clone(), services.as_deref()));
        let ports = nat.to_port.zip(services.clone());
        let ports = ports.map(|(to, services)| Ports { services: services.into(), to });
        let fields =
            Fields { from: rule.from, to: None, source, destination: Some(destination), services };
        let toward = Toward::Server { first, count: count.saturating_add(1), ports };
        push(&mut self.toward, place, rule, fields, toward);
        Ok(())
    }

    /// Both ways: who is inside leaves by the outside address, and is reached by it.
    fn add_pair(&mut self, place: u16, rule: &config::NatRule, pair: Pair, zone: Option<usize>) {
        let [outside, inside] = pair.ranges().map(|range| self.own(range));
        let inward = Fields { from: zone, destination: Some(outside), ..Fields::default() };
        push(&mut self.toward, place, rule, inward, Toward::Outside(pair));
        let outward =
            Fields { from: rule.from, to: zone, source: Some(inside), ..Fields::default() };
        push(&mut self.from, place, rule, outward, From::Inside(pair));
    }

    /// Sources of those families that a pool has addresses of: others are left to the rules below.
    fn of_families(&mut self, source: Option<AddressMatch>, pool: usize) -> Option<AddressMatch> {
        let pool = self.policy.nat.pools.get(pool)?;
        let (v4, v6) = (!pool.v4.is_empty(), !pool.v6.is_empty());
        if v4 && v6 {
            return source;
        }
        let mut set = match &source {
            None => everything(),
            Some(of) => meant(of, &self.sets),
        };
        if !v4 {
            set.v4.clear();
        }
        if !v6 {
            set.v6.clear();
        }
        Some(self.own(set))
    }

    fn add_independent(&mut self, source: &Option<AddressMatch>, mapping: Mapping) {
        if let Some(source) = source.clone().filter(|_| mapping.endpoint_independent) {
            self.independent.push(Independent { source, parity: mapping.parity });
        }
    }

    /// A match of the policy, of the sets that are kept here.
    fn known(
        &mut self,
        of: &AddressMatch,
        rule: &config::NatRule,
    ) -> Result<AddressMatch, CompileError> {
        let sets = of.sets.iter().map(|set| self.place_of(*set, rule));
        Ok(AddressMatch { sets: sets.collect::<Result<_, _>>()?, negate: of.negate })
    }

    fn place_of(&mut self, set: usize, rule: &config::NatRule) -> Result<usize, CompileError> {
        if let Some((_, place)) = self.places.iter().find(|(from, _)| *from == set) {
            return Ok(*place);
        }
        let missing = CompileError::NoSuchSet { rule: rule.id.clone() };
        self.sets.push(self.policy.sets.get(set).ok_or(missing)?.clone());
        self.places.push((set, self.sets.len() - 1));
        Ok(self.sets.len() - 1)
    }

    fn own(&mut self, set: AddressSet) -> AddressMatch {
        self.sets.push(set);
        AddressMatch { sets: vec![self.sets.len() - 1], negate: false }
    }
}

fn everything() -> AddressSet {
    AddressSet { name: None, v4: vec![(0, u32::MAX)], v6: vec![(0, u128::MAX)] }
}

/// All addresses of a match in one set.
fn meant(of: &AddressMatch, sets: &[AddressSet]) -> AddressSet {
    let known = || of.sets.iter().filter_map(|set| sets.get(*set));
    let v4 = joined(known().flat_map(|set| set.v4.iter().copied()).collect());
    let v6 = joined(known().flat_map(|set| set.v6.iter().copied()).collect());
    if of.negate {
        let (v4, v6) = (complement(&v4, u32::MAX, 1), complement(&v6, u128::MAX, 1));
        return AddressSet { name: None, v4, v6 };
    }
    AddressSet { name: None, v4, v6 }
}

/// Ranges, sorted and disjoint.
fn joined<T: Copy + Ord>(mut ranges: Vec<(T, T)>) -> Vec<(T, T)> {
    ranges.sort_unstable();
    let mut joined: Vec<(T, T)> = Vec::new();
    for (first, last) in ranges {
        match joined.last_mut() {
            Some(before) if first <= before.1 => before.1 = before.1.max(last),
            Some(_) | None => joined.push((first, last)),
        }
    }
    joined
}

/// All that is in none of these ranges; `one` is the step between two addresses.
fn complement<T>(ranges: &[(T, T)], most: T, one: T) -> Vec<(T, T)>
where
    T: Copy + Ord + std::ops::Add<Output = T> + std::ops::Sub<Output = T>,
{
    let mut free = Vec::new();
    let mut next = Some(most - most);
    for (first, last) in ranges {
        if let Some(from) = next.filter(|from| from < first) {
            free.push((from, *first - one));
        }
        next = (*last < most).then(|| *last + one);
    }
    free.extend(next.map(|from| (from, most)));
    free
}

fn push<T>(
    list: &mut (Vec<config::Rule>, Vec<(u16, T)>),
    place: u16,
    rule: &config::NatRule,
    fields: Fields,
    effect: T,
) {
    let Fields { from, to, source, destination, services } = fields;
    list.0.push(config::Rule {
        id: format!("{} {}", rule.id, list.0.len()),
        description: None,
        from,
        to,
        source,
        destination,
        services,
        action: config::Action::Permit,
        log_open: false,
        log_close: false,
        on_change: config::OnChange::default(),
        replication: config::Replication::default(),
        terms: config::Terms::default(),
        line: rule.line,
    });
    list.1.push((place, effect));
}

fn list<T>(
    policy: &config::Policy,
    sets: &[AddressSet],
    (rules, effects): (Vec<config::Rule>, Vec<(u16, T)>),
) -> Result<Option<List<T>>, CompileError> {
    if rules.is_empty() {
        return Ok(None);
    }
    let model = config::Policy {
        zones: policy.zones.clone(),
        sets: sets.to_vec(),
        rules,
        ..config::Policy::default()
    };
    Ok(Some(List { matcher: policy::matcher(&model)?, effects: effects.into() }))
}
