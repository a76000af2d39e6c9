//! `type = "source"` and `type = "nat64"`: what a source is translated to.

use core::net::Ipv6Addr;
use core::ops::Range;

use super::family::{self, Families};
use super::fixed;
use super::pool::Pools;
use crate::parse::address::AddressRange;
use crate::parse::fields::Fields;
use crate::parse::reader::{Reader, Value, quoted};
use crate::parse::rule::{self, Books};
use crate::{AddressMatch, Filtering, Mapping, Nat64, NatKind, Service, SourceNat, SourceTo};

const MAPPING: [(&str, bool); 2] =
    [("endpoint-independent", true), ("address-and-port-dependent", false)];
const FILTERING: [(&str, Filtering); 3] = [
    ("endpoint-independent", Filtering::EndpointIndependent),
    ("address-dependent", Filtering::AddressDependent),
    ("address-and-port-dependent", Filtering::AddressAndPortDependent),
];
/// Keys of [`Mapping`].
const OF_MAPPING: [&str; 3] = ["mapping", "filtering", "port-parity"];
/// Protocols whose sessions a port or an id tells apart: ICMP, TCP, UDP, ICMPv6, SCTP.
const BY_PORTS: [u8; 5] = [1, 6, 17, 58, 132];
/// The one length of RFC 6052 §2.2 that is there.
const NAT64_LENGTH: u8 = 96;

/// `translate`, and where it stands.
type Translate = (SourceTo, Range<usize>);

pub(super) fn source(
    reader: &mut Reader<'_>,
    books: &mut Books,
    fields: &Fields<'_, '_>,
    pools: &Pools,
    source: Option<&AddressMatch>,
) -> Option<NatKind> {
    let to = rule::zone(reader, books, fields, "to");
    let destination = rule::addresses(reader, books, fields, "destination");
    let services = super::services(reader, books, fields);
    let translate = translate(reader, fields, pools);
    let mapping = mapping(reader, fields);
    has_sources(reader, fields, mapping, source);
    let of = |addresses| Families::of_match(&books.sets, addresses);
    let (from, towards) = (of(source), of(destination.as_ref()));
    if let Some(span) = fields.get("destination").map(Value::span) {
        family::check(reader, &span, ("`destination`", towards), ("`source`", from));
    }
    let (translate, span) = translate?;
    match translate {
        SourceTo::Interface => {}
        SourceTo::Pool(index) => {
            let pool = &pools.pools[index];
            let (name, families) = (format!("pool `{}`", pool.name), Families::of_pool(pool));
            let by = if from == Families::BOTH { "`destination`" } else { "`source`" };
            family::check(reader, &span, (&name, families), (by, from.and(towards)));
        }
        SourceTo::Untouched => untouched(reader, fields),
    }
    if translate != SourceTo::Untouched {
        have_ports(reader, fields, services.as_deref());
    }
    Some(NatKind::Source(SourceNat { to, destination, services, translate, mapping }))
}

pub(super) fn nat64(
    reader: &mut Reader<'_>,
    books: &Books,
    fields: &Fields<'_, '_>,
    pools: &Pools,
    source: Option<&AddressMatch>,
) -> Option<NatKind> {
    let from = Families::of_match(&books.sets, source);
    if let Some(span) = fields.get("source").map(Value::span) {
        family::check(reader, &span, ("`source`", from), ("`prefix`", Families::V6));
    }
    let prefix = nat64_prefix(reader, fields);
    let mapping = mapping(reader, fields);
    has_sources(reader, fields, mapping, source);
    let (translate, span) = translate(reader, fields, pools)?;
    match translate {
        SourceTo::Interface => {}
        SourceTo::Pool(index) => {
            let pool = &pools.pools[index];
            let (name, families) = (format!("pool `{}`", pool.name), Families::of_pool(pool));
            let wanted = ("what a nat64 rule translates into", Families::V4);
            family::check(reader, &span, (&name, families), wanted);
        }
        SourceTo::Untouched => {
            let hint = "`interface` or `pool:NAME`: an IPv6 source cannot go to IPv4 untouched";
            reader.error_hint(&span, "a nat64 rule translates its sources", hint);
        }
    }
    Some(NatKind::Nat64(Nat64 { prefix: prefix?, translate, mapping }))
}

/// `prefix`, a /96 whose bits 64 to 71 are zero (RFC 6052 §2.2).
fn nat64_prefix(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<Ipv6Addr> {
    let prefix = fixed::prefix(reader, fields, "prefix")?;
    let hint = "64:ff9b::/96 is that of everybody; the IPv4 address takes the last 32 bits";
    let AddressRange::V6(first, _) = prefix.range else {
        reader.error_hint(&prefix.span, "`prefix` is one of IPv6", hint);
        return None;
    };
    if prefix.length != NAT64_LENGTH {
        reader.error_hint(&prefix.span, format!("`prefix` must be a /{NAT64_LENGTH}"), hint);
        return None;
    }
    let first = Ipv6Addr::from_bits(first);
    if first.octets()[8] != 0 {
        reader.error_hint(&prefix.span, "bits 64 to 71 of `prefix` must be zero", "RFC 6052 §2.2");
        return None;
    }
    Some(first)
}

fn translate(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, pools: &Pools) -> Option<Translate> {
    let text = fields.required_string(reader, "translate")?;
    let span = fields.get("translate").map(Value::span)?;
    let to = match (text, text.strip_prefix("pool:")) {
        ("interface", _) => SourceTo::Interface,
        ("none", _) => SourceTo::Untouched,
        (_, Some(name)) => SourceTo::Pool(pools.find(reader, name, &span)?),
        (_, None) => {
            let message = format!("{} is no value of `translate`", quoted(text));
            let pool = pools.pools.iter().any(|pool| pool.name == text);
            let all = || match pool {
                true => Some(format!("write `pool:{text}`")),
                false => Some("`interface`, `pool:NAME` or `none`".to_owned()),
            };
            let words = if pool { [].iter() } else { ["interface", "none"].iter() };
            reader.unknown(&span, message, text, words.copied(), all);
            return None;
        }
    };
    Some((to, span))
}

fn mapping(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Mapping {
    let mapping = fields.choice(reader, "mapping", &MAPPING);
    let filtering = fields.choice(reader, "filtering", &FILTERING);
    let mapping = Mapping {
        endpoint_independent: mapping.unwrap_or_default(),
        filtering: filtering.unwrap_or_default(),
        parity: fields.boolean(reader, "port-parity").unwrap_or_default(),
    };
    if let Some(value) = fields.get("filtering")
        && mapping.filtering != Filtering::default()
        && !mapping.endpoint_independent
    {
        let message = "`filtering` of mappings that are one peer's each";
        let hint = "it needs `mapping = \"endpoint-independent\"`";
        reader.error_hint(&value.span(), message, hint);
    }
    mapping
}

/// An endpoint-independent mapping is one actor's, and the inside address alone tells whose. So it must be
/// known which addresses are inside.
fn has_sources(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    mapping: Mapping,
    source: Option<&AddressMatch>,
) {
    let Some(span) = fields.get("mapping").map(Value::span) else { return };
    if !mapping.endpoint_independent || source.is_some_and(|source| !source.negate) {
        return;
    }
    let message = "an endpoint-independent mapping without the addresses inside";
    let hint = "name them in `source`: they tell which node and worker has a mapping";
    reader.error_hint(&span, message, hint);
}

/// What an exception does not have.
fn untouched(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) {
    for key in OF_MAPPING {
        if let Some(span) = fields.key_span(key) {
            let message = format!("`{key}` in a rule that translates nothing");
            reader.error_hint(&span, message, "`translate = \"none\"` is an exception");
        }
    }
}

/// What has no ports has nothing by which many could share an address.
fn have_ports(reader: &mut Reader<'_>, fields: &Fields<'_, '_>, services: Option<&[Service]>) {
    let Some(span) = fields.get("service").map(Value::span) else { return };
    let without = services.into_iter().flatten().find(|it| !BY_PORTS.contains(&it.protocol));
    if let Some(service) = without {
        let message = format!("`{service}` has no ports to be translated by");
        let hint = "a rule of type `static` translates it";
        reader.error_hint(&span, message, hint);
    }
}
