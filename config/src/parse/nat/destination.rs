//! `type = "destination"`: who serves what is sent to an address.

use super::family::{self, Families};
use crate::parse::address::AddressRange;
use crate::parse::fields::Fields;
use crate::parse::reader::{Reader, Value};
use crate::parse::rule::{self, Books};
use crate::{AddressMatch, DestinationNat, DestinationTo, NatKind, Service};

/// Protocols with ports that a rule may change: TCP, UDP, SCTP.
const PORTED: [u8; 3] = [6, 17, 132];

pub(super) fn destination(
    reader: &mut Reader<'_>,
    books: &mut Books,
    fields: &Fields<'_, '_>,
    source: Option<&AddressMatch>,
) -> Option<NatKind> {
    let destination = match fields.required(reader, "destination") {
        Some(value) if is_any(value) => {
            let hint = "0.0.0.0/0 or ::/0, as `to-address` is IPv4 or IPv6";
            reader.error_hint(&value.span(), "`any` is of both families", hint);
            None
        }
        Some(_) => rule::addresses(reader, books, fields, "destination"),
        None => None,
    };
    let services = super::services(reader, books, fields);
    let to = to_address(reader, fields);
    let to_port = to_port(reader, fields, services.as_deref());
    let (destination, to) = (destination?, to?);
    let of = |addresses| Families::of_match(&books.sets, addresses);
    let families = Families::of_destination_to(to);
    check_families(reader, fields, &destination, of(Some(&destination)), families);
    if let Some(span) = fields.get("source").map(Value::span) {
        family::check(reader, &span, ("`source`", of(source)), ("`to-address`", families));
    }
    Some(NatKind::Destination(DestinationNat { destination, services, to, to_port }))
}

fn is_any(value: &Value<'_>) -> bool {
    let any = |value: &Value<'_>| value.get_ref().as_str() == Some("any");
    any(value) || value.get_ref().as_array().is_some_and(|list| list.len() == 1 && any(&list[0]))
}

fn check_families(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    destination: &AddressMatch,
    families: Families,
    to: Families,
) {
    let Some(span) = fields.get("destination").map(Value::span) else { return };
    family::check(reader, &span, ("`destination`", families), ("`to-address`", to));
    if families == Families::BOTH && !destination.negate {
        let (other, own) = if to.v4 { ("IPv6", "IPv4") } else { ("IPv4", "IPv6") };
        let message = format!("the {other} addresses of `destination` are not translated");
        let hint = format!("`to-address` is {own}: write a rule for each family");
        reader.warn(&span, message, hint);
    }
}

/// An address, a prefix or a range.
fn to_address(reader: &mut Reader<'_>, fields: &Fields<'_, '_>) -> Option<DestinationTo> {
    let text = fields.required_string(reader, "to-address")?;
    let span = fields.get("to-address").map(Value::span)?;
    let range = super::range(reader, text, &span)?;
    Some(match range {
        AddressRange::V4(first, last) => DestinationTo::V4(first, last),
        AddressRange::V6(first, last) => DestinationTo::V6(first, last),
    })
}

/// The port that the first one of the services is mapped to, of each protocol.
fn to_port(
    reader: &mut Reader<'_>,
    fields: &Fields<'_, '_>,
    services: Option<&[Service]>,
) -> Option<u16> {
    let port = fields.integer(reader, "to-port", 1..=u16::MAX.into())?;
    let port = u16::try_from(port).ok()?;
    let span = fields.key_span("to-port")?;
    let hint = "such as service = [\"tcp/443\"]";
    let Some(services) = services else {
        let message = "`to-port` without services that have ports";
        reader.error_hint(&span, message, hint);
        return None;
    };
    let ports = |service: &Service| {
        service.destination_ports.filter(|_| PORTED.contains(&service.protocol))
    };
    if let Some(without) = services.iter().find(|service| ports(service).is_none()) {
        let message = format!("`to-port` with `{without}`, which names no ports");
        reader.error_hint(&span, message, hint);
        return None;
    }
    for protocol in PORTED {
        let of_protocol = services.iter().filter(|service| service.protocol == protocol);
        let ports = of_protocol.filter_map(ports).map(|(first, last)| u32::from(last - first) + 1);
        let end = u32::from(port) + ports.sum::<u32>();
        if end > u32::from(u16::MAX) + 1 {
            let message = format!("the last of the services would go to port {}", end - 1);
            reader.error_hint(&span, message, "65535 is the last");
        }
    }
    Some(port)
}
