//! From the operator's rules to the lists that are asked.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use config::{
    AddressMatch, AddressSet, DestinationNat, DestinationTo, Mapping, NatKind, PrefixNat, Service,
    SourceNat, SourceTo, StaticNat,
};
use wire::translate::nptv6::Nptv6;

use super::compiled::{
    Asked, From, Independent, List, Nat64, Outline, Pair, Ports, Served, Toward,
};
use crate::ZoneId;
use crate::policy::{self, CompileError, Indexed};

/// Rules up to which they are compared one by one.
pub(super) const FEW: usize = 4;

/// The lists while they are put together.
pub(super) struct Making<'a> {
    policy: &'a config::Policy,
    /// The sets that rules of translation name, and those that prefixes are.
    pub(super) sets: Vec<AddressSet>,
    /// Where sets of the policy are among them.
    places: Vec<(usize, usize)>,
    pub(super) toward: (Vec<config::Rule>, Vec<(u16, Toward)>),
    pub(super) from: (Vec<config::Rule>, Vec<(u16, From)>),
    /// Of the rules of `from`, in their order.
    pub(super) outlines: Vec<Outline>,
    pub(super) independent: Vec<Independent>,
    pub(super) served: Vec<Served>,
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
    pub(super) fn new(policy: &'a config::Policy) -> Self {
        let (toward, from) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
        let (sets, places) = (Vec::new(), Vec::new());
        let (outlines, independent, served) = (Vec::new(), Vec::new(), Vec::new());
        Self { policy, sets, places, toward, from, outlines, independent, served }
    }

    pub(super) fn add(&mut self, place: u16, rule: &config::NatRule) -> Result<(), CompileError> {
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
                let (inside, outside, length) = (*inside, *outside, *length);
                let map = Nptv6::new(inside, outside, length);
                let map = map.ok_or(CompileError::NatPrefix { rule: rule.id.clone() })?;
                self.add_pair(place, rule, Pair::Prefix { map, outside, inside, length }, *zone);
            }
            NatKind::Nat64(nat) => {
                let bits = nat.prefix.to_bits();
                let v6 = vec![(bits, bits | u128::from(u32::MAX))];
                let destination = self.own(AddressSet { name: None, v4: Vec::new(), v6 });
                let nat64 = Nat64 { prefix: nat.prefix, to: nat.translate, mapping: nat.mapping };
                self.add_independent([rule.from, None], &source, nat.mapping);
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
        self.add_independent([rule.from, nat.to], &source, nat.mapping);
        let services = nat.services.clone();
        let any = source.is_none() && destination.is_none() && services.is_none();
        let like_others = nat.mapping.parity || nat.mapping.endpoint_independent;
        let to = (any && !like_others).then(|| self.of_v4(nat.translate));
        self.outlines.push(Outline { zones: [rule.from, nat.to].map(zone_id), to });
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
        self.outlines.push(Outline { zones: [rule.from, zone].map(zone_id), to: None });
    }

    /// What IPv4 sources become of all that there are; `None`: the rule is not for them.
    fn of_v4(&self, translate: SourceTo) -> Option<SourceTo> {
        let none = |pool: &config::NatPool| pool.v4.is_empty();
        match translate {
            SourceTo::Pool(pool) if self.policy.nat.pools.get(pool).is_none_or(none) => None,
            SourceTo::Pool(_) | SourceTo::Interface | SourceTo::Untouched => Some(translate),
        }
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

    fn add_independent(
        &mut self,
        zones: [Option<usize>; 2],
        source: &Option<AddressMatch>,
        mapping: Mapping,
    ) {
        if let Some(source) = source.clone().filter(|_| mapping.endpoint_independent) {
            let (zones, parity) = (zones.map(zone_id), mapping.parity);
            self.independent.push(Independent { source, zones, parity });
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

/// The number of a zone of the policy, as [`policy::scan`] gives it.
fn zone_id(of: Option<usize>) -> Option<ZoneId> {
    of.map(|place| ZoneId(place as u16))
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
        let (v4, v6) = (complement(&v4, (0, u32::MAX), 1), complement(&v6, (0, u128::MAX), 1));
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
fn complement<T>(ranges: &[(T, T)], (least, most): (T, T), one: T) -> Vec<(T, T)>
where
    T: Copy + Ord + std::ops::Add<Output = T> + std::ops::Sub<Output = T>,
{
    let mut free = Vec::new();
    let mut next = Some(least);
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
        algs: Vec::new(),
        line: rule.line,
    });
    list.1.push((place, effect));
}

pub(super) fn list<T>(
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
    let few = model.rules.len() <= FEW;
    let matcher = match policy::scan(&model)? {
        rules if few => Asked::Few(rules),
        rules => Asked::Many(Box::new(Indexed::new(rules))),
    };
    Ok(Some(List { matcher, effects: effects.into() }))
}
