//! `[[nat-pool]]` and `[[nat]]`: address translation.

mod destination;
mod family;
mod fixed;
pub(crate) mod host;
mod outside;
mod pool;
mod source;

pub(crate) use family::Families;

use core::ops::Range;
use std::collections::BTreeMap;

use super::address::AddressRange;
use super::fields::{self, Fields};
use super::groups::Item;
use super::reader::{Reader, quoted};
use super::rule::{self, Books};
use super::service;
use crate::limits::{NAT_RULES_MAX, NAT_SERVICES_MAX, SETS_MAX};
use crate::{AddressMatch, Nat, NatKind, NatRule, Service};

use fixed::Sides;
use outside::{Claim, Outside};
use pool::Pools;

const SOURCE: [&str; 12] = [
    "id",
    "description",
    "type",
    "from",
    "to",
    "source",
    "destination",
    "service",
    "translate",
    "mapping",
    "filtering",
    "port-parity",
];
const DESTINATION: [&str; 9] = [
    "id",
    "description",
    "type",
    "from",
    "source",
    "destination",
    "service",
    "to-address",
    "to-port",
];
const FIXED: [&str; 6] = ["id", "description", "type", "from", "outside", "inside"];
const NAT64: [&str; 10] = [
    "id",
    "description",
    "type",
    "from",
    "source",
    "prefix",
    "translate",
    "mapping",
    "filtering",
    "port-parity",
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Source,
    Destination,
    Static,
    Prefix,
    Nat64,
}

const KINDS: [(&str, Kind); 5] = [
    ("source", Kind::Source),
    ("destination", Kind::Destination),
    ("static", Kind::Static),
    ("nptv6", Kind::Prefix),
    ("nat64", Kind::Nat64),
];

impl Kind {
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Source => &SOURCE,
            Self::Destination => &DESTINATION,
            Self::Static | Self::Prefix => &FIXED,
            Self::Nat64 => &NAT64,
        }
    }

    fn name(self) -> &'static str {
        KINDS.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| name)
    }
}

/// All of translation, and where each rule stands.
pub(crate) fn nat(
    reader: &mut Reader<'_>,
    books: &mut Books,
    document: &Fields<'_, '_>,
) -> (Nat, Vec<Range<usize>>) {
    let pools = Pools::parse(reader, document);
    let tables = document.tables(reader, "nat");
    if let Some(first) = tables.get(NAT_RULES_MAX) {
        let message = format!("{} nat rules, the limit is {NAT_RULES_MAX}", tables.len());
        reader.error(&first.span(), message);
        return (Nat::default(), Vec::new());
    }
    let mut section = Section { pools, outside: Outside::new(), lines: BTreeMap::new() };
    let (mut rules, mut spans, mut services) = (Vec::new(), Vec::new(), 0);
    for value in tables {
        let Some(fields) = Fields::open(reader, value, "the nat rule") else { continue };
        let Some(rule) = section.rule(reader, books, &fields) else { continue };
        services += services_of(&rule.kind).map_or(0, <[Service]>::len);
        if services > NAT_SERVICES_MAX || books.sets.len() > SETS_MAX {
            let message = format!(
                "the nat rules up to here hold {services} services (limit {NAT_SERVICES_MAX}), the policy \
                 {} address sets (limit {SETS_MAX})",
                books.sets.len()
            );
            reader.error(&fields.span, message);
            break;
        }
        rules.push(rule);
        spans.push(fields.span);
    }
    (Nat { pools: section.pools.pools, rules }, spans)
}

fn services_of(kind: &NatKind) -> Option<&[Service]> {
    match kind {
        NatKind::Source(source) => source.services.as_deref(),
        NatKind::Destination(destination) => destination.services.as_deref(),
        NatKind::Static(_) | NatKind::Prefix(_) | NatKind::Nat64(_) => None,
    }
}

/// What the rules of the section share.
struct Section {
    pools: Pools,
    outside: Outside,
    /// Lines of the ids so far.
    lines: BTreeMap<String, usize>,
}

impl Section {
    /// The rule; `None` if what it does cannot be told.
    fn rule(
        &mut self,
        reader: &mut Reader<'_>,
        books: &mut Books,
        fields: &Fields<'_, '_>,
    ) -> Option<NatRule> {
        let id = fields.required_string(reader, "id").unwrap_or_default().to_owned();
        rule::check_id(reader, fields, &id, &mut self.lines);
        let kind = fields.required(reader, "type");
        let kind = kind.and_then(|value| fields::choice(reader, value, "type", &KINDS));
        check_keys(reader, fields, kind);
        let description = rule::description(reader, fields);
        let zone = rule::zone(reader, books, fields, "from");
        let line = reader.line(fields.span.start);
        let (from, source, kind) = match kind? {
            kind @ (Kind::Static | Kind::Prefix) => {
                let claim = |range| Claim { rule: id.clone(), line, zone, range };
                (None, None, self.fixed(reader, fields, kind, claim)?)
            }
            kind @ (Kind::Source | Kind::Destination | Kind::Nat64) => {
                let source = rule::addresses(reader, books, fields, "source");
                let kind = self.by_sessions(reader, books, fields, kind, source.as_ref());
                (zone, source, kind?)
            }
        };
        Some(NatRule { id, description, from, source, kind, line })
    }

    /// What is translated session by session.
    fn by_sessions(
        &self,
        reader: &mut Reader<'_>,
        books: &mut Books,
        fields: &Fields<'_, '_>,
        kind: Kind,
        source: Option<&AddressMatch>,
    ) -> Option<NatKind> {
        match kind {
            Kind::Source => source::source(reader, books, fields, &self.pools, source),
            Kind::Destination => destination::destination(reader, books, fields, source),
            Kind::Nat64 => source::nat64(reader, books, fields, &self.pools, source),
            Kind::Static | Kind::Prefix => None,
        }
    }

    /// What is translated address by address.
    fn fixed(
        &mut self,
        reader: &mut Reader<'_>,
        fields: &Fields<'_, '_>,
        kind: Kind,
        claim: impl Fn(AddressRange) -> Claim,
    ) -> Option<NatKind> {
        let sides = Sides::parse(reader, fields)?;
        let (outside, inside) = (&sides.outside, &sides.inside);
        let zone = claim(outside.range).zone;
        self.outside.outside(reader, &self.pools, claim(outside.range), &outside.span);
        if kind != Kind::Prefix {
            return sides.r#static(zone);
        }
        self.outside.inside(reader, claim(inside.range), &inside.span);
        sides.nptv6(reader, zone)
    }
}

/// A key of another type is told as that, and any other as unknown.
fn check_keys(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, kind: Option<Kind>) {
    let Some(kind) = kind else { return };
    let others = KINDS.iter().flat_map(|(_, kind)| kind.keys()).copied();
    let others: Vec<&str> = others.filter(|key| !kind.keys().contains(key)).collect();
    fields.check_keys(reader, kind.keys(), &others);
    for (key, span, _) in fields.entries().iter().filter(|(key, _, _)| others.contains(key)) {
        let of = KINDS.iter().filter(|(_, kind)| kind.keys().contains(key));
        let of: Vec<_> = of.map(|(name, _)| *name).collect();
        let message = format!("`{key}` in a rule of type `{}`", kind.name());
        reader.error_hint(span, message, format!("it is a key of {}", of.join(", ")));
    }
}

/// The services at `service`, without timeouts: those are of the rule that permits.
fn services(
    reader: &mut Reader<'_>,
    books: &Books,
    fields: &Fields<'_, '_>,
) -> Option<Vec<Service>> {
    let value = fields.get("service")?;
    let mut services = service::of_rule(reader, &books.services, value)?;
    services.iter_mut().for_each(|service| service.timeout = None);
    Service::tidy(&mut services);
    Some(services)
}

/// Addresses that no host has: nothing can be translated from or to them.
const UNUSABLE: [AddressRange; 6] = [
    AddressRange::V4(0, 0x00ff_ffff),
    AddressRange::V4(0x7f00_0000, 0x7fff_ffff),
    AddressRange::V4(0xe000_0000, u32::MAX),
    AddressRange::V6(0, 1),
    AddressRange::V6(0xfe80 << 112, (0xfec0 << 112) - 1),
    AddressRange::V6(0xff << 120, u128::MAX),
];

/// Addresses of hosts: one, a prefix or a range, written out.
fn range(reader: &mut Reader<'_>, text: &str, span: &Range<usize>) -> Option<AddressRange> {
    let range = match AddressRange::parse(text) {
        Ok(range) => range,
        Err(error) => {
            reader.error_hint(span, format!("{} {error}", quoted(text)), error.hint());
            return None;
        }
    };
    if UNUSABLE.iter().any(|it| it.touches(range)) {
        let message = format!("{} has addresses that no host can have", quoted(text));
        let hint = "such as those of 0.0.0.0/8, 127.0.0.0/8, multicast, link-local IPv6";
        reader.error_hint(span, message, hint);
        return None;
    }
    Some(range)
}
